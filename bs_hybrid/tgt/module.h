/* SPDX-License-Identifier: GPL-2.0-only */
/* module.h - what is known of the tgtd we were loaded into. */
#ifndef HB_TGT_MODULE_H
#define HB_TGT_MODULE_H

#include <stdbool.h>
#include <stddef.h>

/* The version the running program tells when started with --version, e.g. "1.0.85". 0, or -errno with "" in ret. */
int version_of_host(char *ret, size_t room);
/* Were our structs checked against this version? */
bool version_is_known(const char *version);

#endif

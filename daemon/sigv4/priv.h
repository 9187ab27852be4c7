/* SPDX-License-Identifier: GPL-2.0-only */
/* priv.h - what the files of this room share. */
#ifndef HB_SIGV4_PRIV_H
#define HB_SIGV4_PRIV_H

#include "sigv4/sigv4.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define UNSIGNED "UNSIGNED-PAYLOAD"

/* parse.c: the only header of that name; NULL: none. *ret_n: how many there are. */
const char *sigv4_field(const struct sigv4_request *q, const char *name, size_t len, unsigned *ret_n);

/* canon.c: the canonical request, malloc'd; body_hash: as it goes into it. NULL: out of memory. */
char *sigv4_canonical(const struct sigv4_request *q, const struct sigv4 *s, const char *body_hash);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/* ctl.h - the control socket on tgtd's event loop. */
#ifndef HB_TGT_CTL_H
#define HB_TGT_CTL_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"

/* Listens at the socket that the configuration names, if nobody of us does yet. A socket that cannot be had is told
 * in the log; LUNs work without. */
void ctl_serve(const struct conf *conf);
/* Drops clients that stall; returns when to be called again (monotonic; UINT64_MAX: no need). */
uint64_t ctl_run(void);
/* Does a control client wait for this pool? */
bool ctl_waiting(const struct hb_pool *pool);
void ctl_stop(void);

#endif

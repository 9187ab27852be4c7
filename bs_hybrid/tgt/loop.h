/* SPDX-License-Identifier: GPL-2.0-only */
/* loop.h - tgtd's event loop and the pools: who is run when.
 *
 * Every pass of tgtd's loop begins with its scheduled events. Whoever gave a pool something to do (a command, a
 * readable descriptor, a deadline) touches it, and the one event of ours runs all touched pools, once, before tgtd
 * waits again: device I/O of all commands that came in one pass goes down together, without a system call between.
 *
 * Deadlines are kept by one timer descriptor on the monotonic clock (tgtd's own timers tick at 500 ms on the wall
 * clock). Pools run also while they have no LUN: write-back and cleaning go on.
 */
#ifndef HB_TGT_LOOP_H
#define HB_TGT_LOOP_H

#include <stdint.h>

#include "base/err.h"

struct pool;

/* Watches a pool that was just opened. 0 or -errno. */
int loop_add(struct pool *pool, struct err *err);
/* Before the pool is closed. */
void loop_remove(struct pool *pool);

/* This pool is to be run in this pass. */
void loop_touch(struct pool *pool);
/* There is something to drain in this pass. */
void loop_wake(void);
/* Runs all pools and waits for their devices, without tgtd's loop, at most until `until_ns`: for closing. */
void loop_pump(uint64_t until_ns);
uint64_t loop_now_ns(void);

#endif

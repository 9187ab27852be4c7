/* SPDX-License-Identifier: GPL-2.0-only */
/* loop.h - tgtd's event loop and the pools: who is run when.
 *
 * Every pass of tgtd's loop begins with its scheduled events. Whoever gave a pool something to do (a readable
 * descriptor, a deadline, a verb) touches it, and the one event of ours runs all touched pools, once, before tgtd
 * waits again. Commands differ: one that is alone in the pool runs it at once; of several, those that follow each other
 * closely are gathered for a few passes, so that their device I/O goes down in one system call; one that was answered
 * from memory and left nothing to do runs nothing.
 *
 * Deadlines are kept by one timer descriptor on the monotonic clock (tgtd's own timers tick at 500 ms on the wall
 * clock). Pools run also while they have no LUN: write-back and cleaning go on.
 *
 * A pool's descriptors come and go with its cache levels, and a level that leaves closes its own inside hb_pool_run().
 * tgtd must not be left with a closed descriptor, whose number may be another's a moment later: so it watches our
 * duplicates of them. They are put right at the beginning of a pass, when none of its events is being handled.
 */
#ifndef HB_TGT_LOOP_H
#define HB_TGT_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct pool;

/* Watches a pool that was just opened. 0 or -errno. */
int loop_add(struct pool *pool, struct err *err);
/* Before the pool is closed. */
void loop_remove(struct pool *pool);

/* The pool has other descriptors than before, or will have. */
void loop_rewatch(struct pool *pool);

/* To be called after tgt_event_del(). tgtd then looks at its events anew, and drops those that it has in hand: of
 * those that are watched by level nothing is lost, but our devices' edges do not come again. All pools run in the next
 * pass. */
void loop_dropped(void);

/* This pool is to be run in this pass. */
void loop_touch(struct pool *pool);
/* A command was submitted. `waits`: it is not finished yet. If it is the only one, the pool runs at once; else it may
 * take a few passes, so that what follows goes down to the devices with it. */
void loop_command(struct pool *pool, bool waits);
/* There is something to drain in this pass. */
void loop_wake(void);
/* Runs all pools and waits for their devices, without tgtd's loop, at most until `until_ns`: for closing. */
void loop_pump(uint64_t until_ns);
uint64_t loop_now_ns(void);

#endif

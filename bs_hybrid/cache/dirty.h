/* SPDX-License-Identifier: GPL-2.0-only */
/* dirty.h - the set of dirty pool blocks, in pool order: a radix tree of bits, so that write-back can sweep the disk
 * like an elevator and gather long runs. Pure memory; a leaf is 512 bits (2 MiB of pool), empty leaves are freed. */
#ifndef HB_CACHE_DIRTY_H
#define HB_CACHE_DIRTY_H

#include "base/units.h"

struct dirty;

struct dirty *dirty_new(void);			/* NULL when out of memory */
void dirty_free(struct dirty *d);
/* 0, or -ENOMEM (nothing changed). Setting a member again is no error. */
int dirty_set(struct dirty *d, pblk_t p);
void dirty_clear(struct dirty *d, pblk_t p);	/* clearing a non-member is no error */
bool dirty_test(const struct dirty *d, pblk_t p);
/* The first member at or after `from`. False if there is none. */
bool dirty_next(const struct dirty *d, pblk_t from, pblk_t *ret);
/* How many members follow one another from p on, p included; at most max. */
uint64_t dirty_run(const struct dirty *d, pblk_t p, uint64_t max);
uint64_t dirty_count(const struct dirty *d);
uint64_t dirty_bytes(const struct dirty *d);	/* memory */

#endif

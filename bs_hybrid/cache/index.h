/* SPDX-License-Identifier: GPL-2.0-only */
/* index.h - the index of the write tier: which pool block lies in which slot, with what checksum, in what state.
 *
 * Pure memory. One version of a pool block at most: the newest. 14.5 bytes a slot, hash heads included: parallel
 * arrays of hash and link, checksum, state and flags, plus half a head per slot. The aim is 16 bytes per cached block
 * with everything else that is kept of it.
 * A slot's state: DEAD (nothing there that counts), CLEAN (the capacity device has the same bytes), DIRTY (only this
 * slot has them), LOST (the bytes were dirty and their checksum no longer holds: reads fail until rewritten).
 */
#ifndef HB_CACHE_INDEX_H
#define HB_CACHE_INDEX_H

#include "base/units.h"

enum slot_state { SLOT_DEAD, SLOT_CLEAN, SLOT_DIRTY, SLOT_LOST };

struct idx;

/* For slots 1 .. nslots-1. NULL when out of memory, and for more than 2^31 slots: 8 TiB. */
struct idx *idx_new(uint32_t nslots);
void idx_free(struct idx *x);

/* The slot that holds p, in any state but DEAD; SLOT_NONE if none. */
slot_t idx_find(const struct idx *x, pblk_t p);
/* Begins to bring into the processor's cache what idx_find(p) will look at: with step 0 where the chain begins, with
 * step 1 (some time after) its first node. Changes nothing. */
void idx_prefetch(const struct idx *x, pblk_t p, int step);
/* Enters p, with no flags. The slot must be DEAD and p absent (asserted). Cannot fail. */
void idx_put(struct idx *x, slot_t s, pblk_t p, uint32_t crc, enum slot_state st);
/* Makes a live slot DEAD and forgets its block and flags. Walks the whole chain: see idx_pblk. */
void idx_drop(struct idx *x, slot_t s);

enum slot_state idx_state(const struct idx *x, slot_t s);
/* Between live states only. */
void idx_set_state(struct idx *x, slot_t s, enum slot_state st);
/* Of a live slot. Walks on to the end of its hash chain, by one slot on average when all slots are live. */
pblk_t idx_pblk(const struct idx *x, slot_t s);
uint32_t idx_crc(const struct idx *x, slot_t s);	/* of a live slot */
bool idx_hit(const struct idx *x, slot_t s);		/* read since it was entered or last cleared */
void idx_set_hit(struct idx *x, slot_t s, bool hit);
/* The block was asked for again, or was admitted because of that: worth a place on the next level. Stays with a live
 * slot, whatever its state, until it is dropped. */
bool idx_earned(const struct idx *x, slot_t s);
void idx_set_earned(struct idx *x, slot_t s, bool earned);

uint64_t idx_count(const struct idx *x, enum slot_state st);	/* slots in a live state */
uint64_t idx_bytes(const struct idx *x);			/* memory */

#endif

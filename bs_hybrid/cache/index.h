/* SPDX-License-Identifier: GPL-2.0-only */
/* index.h - the index of the write tier: which pool block lies in which slot, with what checksum, in what state.
 *
 * Pure memory. One version of a pool block at most: the newest. 16 bytes a slot, hash heads included:
 * parallel arrays of block (40 bits) and flags, checksum, hash link, plus half a head per slot.
 * A slot's state: DEAD (nothing there that counts), CLEAN (the capacity device has the same bytes), DIRTY (only this
 * slot has them), LOST (the bytes were dirty and their checksum no longer holds: reads fail until rewritten).
 */
#ifndef HB_CACHE_INDEX_H
#define HB_CACHE_INDEX_H

#include "base/units.h"

enum slot_state { SLOT_DEAD, SLOT_CLEAN, SLOT_DIRTY, SLOT_LOST };

struct idx;

/* For slots 1 .. nslots-1. NULL when out of memory. */
struct idx *idx_new(uint32_t nslots);
void idx_free(struct idx *x);

/* The slot that holds p, in any state but DEAD; SLOT_NONE if none. */
slot_t idx_find(const struct idx *x, pblk_t p);
/* Begins to bring into the processor's cache what idx_find(p) will look at: with step 0 where the chain begins, with
 * step 1 (some time after) its first node. Changes nothing. */
void idx_prefetch(const struct idx *x, pblk_t p, int step);
/* Enters p. The slot must be DEAD and p absent (asserted). Cannot fail. */
void idx_put(struct idx *x, slot_t s, pblk_t p, uint32_t crc, enum slot_state st);
/* Makes a live slot DEAD and forgets its block. */
void idx_drop(struct idx *x, slot_t s);

enum slot_state idx_state(const struct idx *x, slot_t s);
/* Between live states only. */
void idx_set_state(struct idx *x, slot_t s, enum slot_state st);
pblk_t idx_pblk(const struct idx *x, slot_t s);		/* of a live slot */
uint32_t idx_crc(const struct idx *x, slot_t s);	/* of a live slot */
bool idx_hit(const struct idx *x, slot_t s);		/* read since it was entered or last cleared */
void idx_set_hit(struct idx *x, slot_t s, bool hit);

uint64_t idx_count(const struct idx *x, enum slot_state st);	/* slots in a live state */
uint64_t idx_bytes(const struct idx *x);			/* memory */

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/* recent.h - when each block was last asked for: 16 bits a block, in regions of 64, as many as fit. Within the room.
 *
 * A stamp is a coarse time (ticks, counted by the caller) and a bit "fetched ahead and not asked for since". Regions
 * not touched for longest make room for new ones; what was forgotten looks as if it had never been asked for. */
#ifndef HB_CACHE_RECENT_H
#define HB_CACHE_RECENT_H

#include "base/units.h"

#define RECENT_REGION_BLK 64u
#define RECENT_AHEAD 0x8000u		/* fetched ahead, not asked for since */
#define RECENT_TIME 0x7fffu		/* 0: never asked for */

struct recent;

/* Remembers about history_blk blocks (at least 4 regions); 2.1 bytes each. NULL when out of memory. */
struct recent *recent_new(uint64_t history_blk);
void recent_free(struct recent *r);
uint64_t recent_bytes(const struct recent *r);

void recent_tick(struct recent *r);
/* Ticks since this stamp, modulo 2^15. */
uint32_t recent_age(const struct recent *r, uint16_t stamp);
uint16_t recent_get(struct recent *r, uint64_t space, uint64_t blk);
/* The block was asked for now; returns its stamp before. */
uint16_t recent_touch(struct recent *r, uint64_t space, uint64_t blk);
void recent_set_ahead(struct recent *r, uint64_t space, uint64_t blk);
/* How many of the 16 blocks that share an aligned group with blk were asked for within so many ticks. */
uint32_t recent_busy(struct recent *r, uint64_t space, uint64_t blk, uint32_t ticks);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/* recent.c - when each block was last asked for: sets of four regions, found by a fingerprint. */
#include "cache/recent.h"

#include "base/mem.h"
#include "base/rng.h"

#include <string.h>

#define WAYS 4u
#define GROUP_BLK 16u
#define GOLDEN 0x9e3779b97f4a7c15ull

/* The keys of a set lie in one half of a cache line, apart from the stamps: looking for what is not there is cheap. */
struct set {
	uint32_t print[WAYS];		/* 0: free */
	uint16_t used[WAYS];		/* tick of the last touch */
	uint64_t pad;
};

struct region {
	uint16_t stamp[RECENT_REGION_BLK];
};

struct recent {
	struct set *sets;
	struct region *regions;		/* WAYS a set; behind the sets in the same memory */
	uint64_t n_sets;
	uint64_t table_bytes;
	uint16_t now;			/* 1 .. RECENT_TIME */
	uint64_t last_hash;		/* the region found last: requests and plans ask for neighbours */
	struct region *last;		/* NULL: none */
};

struct recent *recent_new(uint64_t history_blk)
{
	struct recent *r = mem_zalloc(sizeof(*r));

	if (!r)
		return NULL;
	r->n_sets = MAX(DIV_UP(history_blk, (uint64_t)RECENT_REGION_BLK * WAYS), 1u);
	r->table_bytes = r->n_sets * (sizeof(struct set) + WAYS * sizeof(struct region));
	r->sets = mem_map(r->table_bytes);
	if (!r->sets) {
		mem_free(r);
		return NULL;
	}
	r->regions = (struct region *)(r->sets + r->n_sets);
	r->now = 1;
	return r;
}

void recent_free(struct recent *r)
{
	if (!r)
		return;
	mem_unmap(r->sets, r->table_bytes);
	mem_free(r);
}

uint64_t recent_bytes(const struct recent *r)
{
	return sizeof(*r) + r->table_bytes;
}

void recent_tick(struct recent *r)
{
	r->now = r->now == RECENT_TIME ? 1 : r->now + 1;
}

uint32_t recent_age(const struct recent *r, uint16_t stamp)
{
	return (r->now - (stamp & RECENT_TIME)) & RECENT_TIME;
}

/* The region with this block; made if it is not there and `make`, else NULL. */
static struct region *region_of(struct recent *r, uint64_t space, uint64_t blk, bool make)
{
	uint64_t hash = hash64(space * GOLDEN + blk / RECENT_REGION_BLK + 1);
	uint64_t n = (uint64_t)(((unsigned __int128)hash * r->n_sets) >> 64);
	struct set *set = &r->sets[n];
	uint32_t print = (uint32_t)hash | 1, way = 0;

	if (r->last && r->last_hash == hash)
		return r->last;
	for (uint32_t i = 0; i < WAYS; i++) {
		if (set->print[i] == print) {
			way = i;
			goto found;
		}
		if (!set->print[i] || (set->print[way] && recent_age(r, set->used[i]) > recent_age(r, set->used[way])))
			way = i;
	}
	if (!make)
		return NULL;
	if (r->last == &r->regions[n * WAYS + way])
		r->last = NULL;		/* it was another's until now */
	set->print[way] = print;
	memset(&r->regions[n * WAYS + way], 0, sizeof(struct region));
found:
	if (make)
		set->used[way] = r->now;
	r->last_hash = hash;
	r->last = &r->regions[n * WAYS + way];
	return r->last;
}

uint16_t recent_get(struct recent *r, uint64_t space, uint64_t blk)
{
	struct region *g = region_of(r, space, blk, false);

	return g ? g->stamp[blk % RECENT_REGION_BLK] : 0;
}

uint16_t recent_touch(struct recent *r, uint64_t space, uint64_t blk)
{
	uint16_t *at = &region_of(r, space, blk, true)->stamp[blk % RECENT_REGION_BLK], before = *at;

	*at = r->now;
	return before;
}

void recent_set_ahead(struct recent *r, uint64_t space, uint64_t blk)
{
	region_of(r, space, blk, true)->stamp[blk % RECENT_REGION_BLK] |= RECENT_AHEAD;
}

uint32_t recent_busy(struct recent *r, uint64_t space, uint64_t blk, uint32_t ticks)
{
	struct region *g = region_of(r, space, blk, false);
	uint32_t first = ROUND_DOWN(blk % RECENT_REGION_BLK, GROUP_BLK), n = 0;

	for (uint32_t i = first; g && i < first + GROUP_BLK; i++)
		n += (g->stamp[i] & RECENT_TIME) && recent_age(r, g->stamp[i]) <= ticks;
	return n;
}

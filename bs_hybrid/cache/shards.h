/* SPDX-License-Identifier: GPL-2.0-only */
/* shards.h - what miss ratio an LRU cache of any size would have: a sampled curve in fixed memory.
 *
 * SHARDS of fixed size, with its adjustment for the samples expected (C. A. Waldspurger, N. Park, A. Garthwaite, I.
 * Ahmad: "Efficient MRC Construction with SHARDS", FAST 2015). Keys are sampled by their hash, so a key is followed
 * always or never; when more keys live than fit, the rate is lowered and those above it are forgotten. */
#ifndef HB_CACHE_SHARDS_H
#define HB_CACHE_SHARDS_H

#include "base/rng.h"
#include "base/units.h"

#define SHARDS_SAMPLES_MIN 64u
#define SHARDS_SAMPLES_MAX 8192u
#define SHARDS_RATE_ONE (1u << 24)

struct shards_core;

/* Read by shards_access only. */
struct shards {
	uint32_t below;			/* a key whose hash (24 bits) is below this is sampled */
	struct shards_core *core;	/* owned */
	uint64_t accesses;		/* all */
};

/* samples: SHARDS_SAMPLES_MIN .. SHARDS_SAMPLES_MAX keys at once; 8192 take 226 KiB, 512 16 KiB. half_life: after
 * so many accesses the past counts half (0: for ever). 0, -EINVAL or -ENOMEM. */
int shards_init(struct shards *s, uint32_t samples, uint64_t half_life);
void shards_end(struct shards *s);		/* also after a failed or no init of a zeroed struct */
uint64_t shards_bytes(const struct shards *s);

/* Not to be called directly. */
void shards_sampled(struct shards *s, uint64_t key, uint32_t hash);

/* One access to a block. Keys of one instance are of one volume (or of one pool). */
static inline void shards_access(struct shards *s, uint64_t key)
{
	uint32_t hash = (uint32_t)(hash64(key + 0x9e3779b97f4a7c15ull) >> 40);

	s->accesses++;
	if (hash < s->below)
		shards_sampled(s, key, hash);
}

/* The miss ratio, 0 .. 1, of an LRU cache of so many blocks; 1 when nothing is known. */
double shards_miss_ratio(const struct shards *s, uint64_t blocks);
/* Part of all keys that is followed: 0 .. 1. */
double shards_rate(const struct shards *s);

#endif

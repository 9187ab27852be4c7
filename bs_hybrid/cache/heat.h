/* SPDX-License-Identifier: GPL-2.0-only */
/* heat.h - where a volume is read and written: counts in a fixed number of equal parts of its range, fading by time. */
#ifndef HB_CACHE_HEAT_H
#define HB_CACHE_HEAT_H

#include "base/units.h"

#define HEAT_BUCKETS 1024u

struct heat;

struct heat_at {
	float reads, writes;		/* blocks, each counting half after a half-life */
};

/* Of a volume of blocks (> 0) blocks. 8.3 KiB. NULL when out of memory. half_life_ns > 0, e.g. an hour. */
struct heat *heat_new(uint64_t blocks, uint64_t half_life_ns);
void heat_free(struct heat *h);
uint64_t heat_bytes(const struct heat *h);
/* The volume has another size now. Growing merges buckets when it has to; shrinking forgets what lies behind. */
void heat_resize(struct heat *h, uint64_t blocks);

/* A request; a part beyond the end does not count. Times of one instance never go back (if so: as at the latest). */
void heat_count(struct heat *h, uint64_t now_ns, uint64_t blk, uint64_t count, bool is_write);

/* Blocks per bucket, a power of two; bucket n is blocks n * this .. */
uint64_t heat_bucket_blk(const struct heat *h);
/* Buckets that are within the volume, at most HEAT_BUCKETS. */
uint32_t heat_used(const struct heat *h);
/* Copies the first max of them as they are at now_ns; returns how many. */
uint32_t heat_read(struct heat *h, uint64_t now_ns, struct heat_at *ret, uint32_t max);

#endif

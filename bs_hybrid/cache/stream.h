/* SPDX-License-Identifier: GPL-2.0-only */
/* stream.h - sequential streams among many clients' requests, and what to fetch together with a miss. Pure memory.
 *
 * Two questions, one instance a pool. Is a request part of a stream, and may it pass by the cache (streams_request)?
 * Which neighbours of a missing run are worth fetching with it (streams_miss)? The second asks a model that learns
 * what is asked for soon after a miss nearby (guess.h), so it covers streams, clusters, and blocks that were used
 * together before, and stops by itself where nothing of that kind is seen.
 *
 * All addresses are (space, block): a space is a volume's id, or whatever has neighbours of its own. Memory is fixed
 * after streams_new. For each request: streams_request, then streams_miss for each of its missing runs, before the
 * next request is told. */
#ifndef HB_CACHE_STREAM_H
#define HB_CACHE_STREAM_H

#include "base/units.h"

#define STREAMS_AHEAD_MAX 256u		/* blocks: 1 MiB */

struct streams_conf {
	uint32_t count;			/* streams followed at once, 1 .. 1024; 0: 128 */
	uint32_t ahead_max_blk;		/* on each side of a miss, 1 .. STREAMS_AHEAD_MAX; 0: 64 (256 KiB) */
	uint64_t history_blk;		/* blocks remembered, 2.1 bytes each; well: 4 times the cache */
	uint64_t trial_blk;		/* so many blocks enter the cache before one fetched ahead and not asked for
					 * leaves it; well: a twentieth of the cache (half of S3-FIFO's small queue) */
	uint64_t bypass_blk;		/* a stream this long passes by the cache; 0: never */
	float price;			/* of a block fetched in vain, in read operations; 0: 0.15 */
	float waste_max;		/* above this many in vain per block wanted the price rises; 0: 0.6 */
	uint32_t bridge_blk;		/* read over so many cached blocks to reach missing ones; 0: end there */
};

/* What a block is that a plan might cover. */
enum streams_at {
	STREAMS_MISSING,		/* could be fetched */
	STREAMS_CACHED,			/* is in the cache, or being fetched */
	STREAMS_END			/* not next to the miss on the device, a hole, or outside */
};
typedef enum streams_at (*streams_look_fn)(void *ctx, uint64_t space, uint64_t blk);

struct stream_info {
	uint64_t len_blk;		/* of the stream, this request included; 0: not part of one */
	bool bypass;			/* reads: not to be kept; writes: past the SSD */
};

/* One range that covers the missing run. */
struct stream_plan {
	uint64_t from;
	uint32_t count;			/* blocks */
};

struct streams_stats {
	uint64_t misses;		/* runs asked for */
	uint64_t ahead;			/* blocks planned beyond them */
	uint64_t used;			/* of those, told as asked for */
	uint64_t learnt;		/* examples */
	float price;			/* now */
};

struct streams;

/* NULL when out of memory, or for a conf out of range. */
struct streams *streams_new(const struct streams_conf *conf);
void streams_free(struct streams *s);
uint64_t streams_bytes(const struct streams *s);

/* A request for count (> 0) blocks, hit or not. */
struct stream_info streams_request(struct streams *s, uint64_t space, uint64_t blk, uint32_t count, bool is_write);
/* Of the request told last, count blocks from blk are missing and will be read. `look` is asked for neighbours only,
 * going outwards from the run, and never twice for a block. The blocks beyond the run enter the cache on probation;
 * the caller marks their frames, and tells streams_used when one is asked for first. */
struct stream_plan streams_miss(struct streams *s, uint64_t blk, uint32_t count, streams_look_fn look, void *ctx);
void streams_used(struct streams *s, uint32_t blocks);
/* Adjustable while running. */
void streams_set_bypass(struct streams *s, uint64_t bypass_blk);
int streams_set_ahead(struct streams *s, uint32_t ahead_max_blk);	/* 0, or -EINVAL when out of range */
struct streams_stats streams_stats(const struct streams *s);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/* readahead.h - the seam for read-ahead: who is told of every read, and asked what to fetch around what is missing.
 *
 * A new one: a struct read_ahead in its own file, and a line in read_aheads[].
 */
#ifndef HB_REPLAY_READAHEAD_H
#define HB_REPLAY_READAHEAD_H

#include "cache/stream.h"

/* Neighbouring blocks of one volume, by the key of the first (trace.h). */
struct run {
	uint64_t key;
	uint32_t blocks;
};

#define AHEAD_RUN_MAX 256u		/* blocks of one missing run, as in the engine */

/* What is fetched ahead enters the cache marked. The first one who asks for it takes the mark off, which for the policy
 * is no hit: without read-ahead it would have been the block's miss. Any method but create and destroy may be NULL. */
struct read_ahead {
	const char *name;		/* as on the command line */
	const char *help;		/* one line */
	/* For a cache of so many blocks; NULL when out of memory. Both NULL: there is no read-ahead. */
	void *(*create)(uint32_t capacity);
	void (*destroy)(void *state);
	/* A read of `whole` begins, in the order of the trace, be it cached or not. Writes are not told. */
	void (*request)(void *state, const struct run *whole);
	/* Of the read told last `missing` (1 .. AHEAD_RUN_MAX blocks) will be fetched. Returns one run of the same
	 * volume that covers it, which one operation then fetches as far as it is not cached. `look` answers what a
	 * neighbour is; a space is a volume's number. */
	struct run (*miss)(void *state, const struct run *missing, streams_look_fn look, void *ctx);
	/* So many marked blocks were asked for by reads. */
	void (*used)(void *state, uint32_t blocks);
	/* The read `whole` is over. Returns what is fetched now, whether something of it was missing or not, as far as
	 * it is not cached: directly behind the last missing block it continues that operation. 0 blocks: nothing. */
	struct run (*behind)(void *state, const struct run *whole);
};

extern const struct read_ahead *const read_aheads[];	/* ends with NULL; the first is none, the second Hybrid's */
extern const struct read_ahead read_ahead_streams;

const struct read_ahead *read_ahead_named(const char *name);	/* NULL: no such */

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/* replay.h - one replay: a trace through a cache of one size, kept by one policy. */
#ifndef HB_REPLAY_REPLAY_H
#define HB_REPLAY_REPLAY_H

#include <stdatomic.h>

#include "contender.h"
#include "readahead.h"
#include "trace.h"

struct replay_options {
	bool no_write_allocate;		/* a write of a block that is not cached passes by */
	const struct read_ahead *read_ahead;
};

/* All but operations and seeks counts blocks. */
struct result {
	uint64_t accesses, misses;	/* reads and writes */
	uint64_t reads, read_misses;
	uint64_t hdd_reads;		/* operations: runs of missing blocks of read requests, and what was ahead */
	uint64_t hdd_seeks;		/* of these, not beginning where the one before ended */
	uint64_t hdd_blocks;		/* what they fetched */
	uint64_t ahead, ahead_used;	/* of these, fetched ahead; of these, asked for by a read in time */
	uint64_t bytes;			/* memory of the policy at the end, ghosts included */
};

/* `done` counts accesses as they go by. The trace must know the future if the policy wants it. 0 or -ENOMEM. */
int replay(const struct trace *t, const struct contender *c, uint32_t capacity, const struct replay_options *options,
	   atomic_ullong *done, struct result *ret);

#endif

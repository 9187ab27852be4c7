/* SPDX-License-Identifier: GPL-2.0-only */
/* streams.c - Hybrid's read-ahead, its own code (cache/stream.h), asked as the engine asks it (engine/ahead.c). */
#include "readahead.h"

#include "trace.h"

/* As ahead_init() of the engine chooses them, for a RAM of so many frames. */
#define HISTORY_MIN (1u << 20) /* 2.4 MiB */
#define HISTORY_MAX (1u << 22)
#define TRIAL_MIN 16u

static uint64_t space_of(uint64_t key)
{
	return key >> KEY_BLOCK_BITS;
}

static uint64_t blk_of(uint64_t key)
{
	return key & ((1ull << KEY_BLOCK_BITS) - 1);
}

static void *create(uint32_t capacity)
{
	struct streams_conf c = {
		.history_blk = MIN(MAX(4ull * capacity, HISTORY_MIN), HISTORY_MAX),
		.trial_blk = MAX(capacity / 20, TRIAL_MIN),
	};

	return streams_new(&c);
}

static void destroy(void *state)
{
	streams_free(state);
}

static void request(void *state, const struct run *whole)
{
	streams_request(state, space_of(whole->key), blk_of(whole->key), whole->blocks, false);
}

static struct run miss(void *state, const struct run *missing, streams_look_fn look, void *ctx)
{
	uint64_t blk = blk_of(missing->key);
	struct stream_plan plan = streams_miss(state, blk, missing->blocks, look, ctx);

	return (struct run){.key = missing->key - (blk - plan.from), .blocks = plan.count};
}

static void used(void *state, uint32_t blocks)
{
	streams_used(state, blocks);
}

const struct read_ahead read_ahead_streams = {
	.name = "streams",
	.help = "Hybrid's, its own code: around a miss, what is likely to be asked for soon",
	.create = create,
	.destroy = destroy,
	.request = request,
	.miss = miss,
	.used = used,
};

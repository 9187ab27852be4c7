/* SPDX-License-Identifier: GPL-2.0-only */
/* replay.c - a cache of one level: what is cached where, what misses, and what the HDD has to do for it.
 *
 * Every block that is asked for is cached (writes, too, unless told otherwise). The HDD only reads what read requests
 * miss: a write of whole blocks needs nothing from there.
 */
#include "replay.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"

#define TELL_EVERY (1u << 16)		/* accesses */

struct cache {
	const struct trace *t;
	const struct contender *c;
	void *policy;			/* owner */
	const struct read_ahead *ahead;
	void *ahead_state;		/* owner; NULL: no read-ahead */
	uint32_t capacity, used;
	uint32_t *where;		/* by number: the id, or POLICY_NONE */
	uint32_t *numbers;		/* by id */
	uint32_t nnumbers, room;	/* those of the trace, and of strangers */
	struct keymap strangers;	/* what read-ahead fetched and the trace never asks for: numbers by key */
	bool *marked;			/* by id: fetched ahead, and nobody has asked for it yet */
	uint64_t arm;			/* the key behind what the HDD read last */
	uint64_t fetched;		/* blocks, for the request */
	struct result result;
};

static void cache_free(struct cache *k)
{
	if (k->policy)
		contender_destroy(k->c, k->policy);
	if (k->ahead_state)
		k->ahead->destroy(k->ahead_state);
	free(k->where);
	free(k->numbers);
	free(k->marked);
	keymap_free(&k->strangers);
}

static int cache_init(struct cache *k)
{
	k->nnumbers = k->room = k->t->nunique;
	k->where = reallocarray(NULL, k->room, sizeof(*k->where));
	k->numbers = reallocarray(NULL, k->capacity, sizeof(*k->numbers));
	k->marked = calloc(k->capacity, sizeof(*k->marked));
	k->policy = contender_create(k->c, k->capacity);
	/* Who knows the future of the trace does not know that of strangers. */
	if (k->ahead->create && !k->c->wants_future)
		k->ahead_state = k->ahead->create(k->capacity);
	if (!k->where || !k->numbers || !k->marked || !k->policy ||
	    (k->ahead->create && !k->c->wants_future && !k->ahead_state))
		return -ENOMEM;
	memset(k->where, 0xff, k->room * sizeof(*k->where));	/* POLICY_NONE */
	return 0;
}

/* A block comes in; another leaves when there is no room. */
static void bring(struct cache *k, uint32_t number, const struct ask *ask)
{
	uint32_t id = k->used;

	if (k->used < k->capacity) {
		k->used++;
	} else {
		id = contender_evict(k->c, k->policy, ask);
		k->where[k->numbers[id]] = POLICY_NONE;
	}
	k->numbers[id] = number;
	k->where[number] = id;
	k->marked[id] = false;
	contender_insert(k->c, k->policy, id, ask);
}

/* ------------------------------------------------------------------ the HDD */
/* It reads a block. Within a request, what follows the block before directly is the same operation. */
static void hdd_read(struct cache *k, uint64_t key)
{
	bool there = key == k->arm;

	k->result.hdd_reads += !there || !k->fetched;
	k->result.hdd_seeks += !there;
	k->result.hdd_blocks++;
	k->fetched++;
	k->arm = key + 1;
}

/* The number of any block, be it of the trace or not; KEYMAP_NONE when out of memory. */
static uint32_t number_of(struct cache *k, uint64_t key)
{
	uint32_t number = keymap_get(&k->t->numbers, key);

	if (number == KEYMAP_NONE)
		number = keymap_get(&k->strangers, key);
	if (number != KEYMAP_NONE)
		return number;
	if (k->nnumbers == k->room) {
		uint32_t room = k->room + k->room / 2 + 1024;
		uint32_t *p = reallocarray(k->where, room, sizeof(*p));

		if (!p)
			return KEYMAP_NONE;
		k->where = p;
		k->room = room;
	}
	if (keymap_put(&k->strangers, key, k->nnumbers))
		return KEYMAP_NONE;
	k->where[k->nnumbers] = POLICY_NONE;
	return k->nnumbers++;
}

/* ------------------------------------------------------------------ read-ahead */
static enum streams_at look(void *ctx, uint64_t space, uint64_t blk)
{
	const struct cache *k = ctx;
	uint64_t key = space << KEY_BLOCK_BITS | blk;
	uint32_t number;

	if (blk >> KEY_BLOCK_BITS)
		return STREAMS_END;
	number = keymap_get(&k->t->numbers, key);
	if (number == KEYMAP_NONE)
		number = keymap_get(&k->strangers, key);
	return number == KEYMAP_NONE || k->where[number] == POLICY_NONE ? STREAMS_MISSING : STREAMS_CACHED;
}

/* Fetches the keys from .. end - 1, as far as they are not cached. */
static int fetch_ahead(struct cache *k, uint64_t from, uint64_t end)
{
	for (uint64_t key = from; key < end; key++) {
		struct ask ask = {.key = key};
		uint32_t number = number_of(k, key);

		if (number == KEYMAP_NONE)
			return -ENOMEM;
		if (k->where[number] != POLICY_NONE)
			continue;
		hdd_read(k, key);
		bring(k, number, &ask);
		k->marked[k->where[number]] = true;
		k->result.ahead++;
	}
	return 0;
}

/* The at-th access of the trace, a read, misses; up to `most` blocks of its request are not planned for yet. Returns
 * what to fetch around the missing run that begins there. */
static struct run plan(struct cache *k, uint64_t at, uint32_t most, uint32_t *ret_blocks)
{
	struct run run = {.key = k->t->keys[k->t->accesses[at]], .blocks = 1};

	while (run.blocks < most && run.blocks < AHEAD_RUN_MAX &&
	       k->where[k->t->accesses[at + run.blocks]] == POLICY_NONE)
		run.blocks++;
	*ret_blocks = run.blocks;
	/* As the engine: nothing ahead when much of the memory is being read into. */
	if (k->fetched >= k->capacity / 4)
		return run;
	return k->ahead->miss(k->ahead_state, &run, look, k);
}

/* ------------------------------------------------------------------ requests */
/* An access to a cached block. */
static void touch(struct cache *k, uint32_t id, const struct ask *ask, bool write)
{
	if (!k->marked[id]) {
		contender_hit(k->c, k->policy, id, ask);
		return;
	}
	k->marked[id] = false;
	if (write)
		return;			/* it was read for nothing */
	k->result.ahead_used++;
	if (k->ahead->used)
		k->ahead->used(k->ahead_state, 1);
}

/* One access to a block, the at-th of the trace. */
static void access_block(struct cache *k, uint64_t at, bool write, bool allocate)
{
	uint32_t number = k->t->accesses[at], id = k->where[number];
	struct ask ask = {.key = k->t->keys[number], .next = k->c->wants_future ? k->t->next[at] : NEVER};

	if (id != POLICY_NONE) {
		touch(k, id, &ask, write);
		return;
	}
	k->result.misses++;
	k->result.read_misses += !write;
	if (!write)
		hdd_read(k, ask.key);
	if (allocate)
		bring(k, number, &ask);
}

static void write_request(struct cache *k, uint64_t at, uint32_t blocks, bool allocate)
{
	for (uint32_t i = 0; i < blocks; i++)
		access_block(k, at + i, true, allocate);
}

/* In the order of the engine: what lies before a missing run, the run, what lies behind it. */
static int read_request(struct cache *k, uint64_t at, uint32_t blocks)
{
	struct run whole = {.key = k->t->keys[k->t->accesses[at]], .blocks = blocks}, around = {0};
	uint32_t planned = k->ahead_state && k->ahead->miss ? 0 : blocks, run;
	int rc = 0;

	k->fetched = 0;
	if (k->ahead_state && k->ahead->request)
		k->ahead->request(k->ahead_state, &whole);
	for (uint32_t i = 0; i < blocks && rc == 0; i++) {
		if (i >= planned && k->where[k->t->accesses[at + i]] == POLICY_NONE) {
			around = plan(k, at + i, blocks - i, &run);
			planned = i + run;
			rc = fetch_ahead(k, around.key, whole.key + i);
		}
		access_block(k, at + i, false, true);
		if (rc == 0 && around.blocks && i + 1 == planned) {
			rc = fetch_ahead(k, whole.key + planned, around.key + around.blocks);
			around.blocks = 0;
		}
	}
	if (rc == 0 && k->ahead_state && k->ahead->behind) {
		around = k->ahead->behind(k->ahead_state, &whole);
		rc = fetch_ahead(k, around.key, around.key + around.blocks);
	}
	return rc;
}

static int run_requests(struct cache *k, const struct replay_options *options, atomic_ullong *done)
{
	const struct trace *t = k->t;
	uint64_t at = 0, told = 0;
	int rc = 0;

	for (uint64_t r = 0; r < t->nrequests && rc == 0; r++) {
		uint32_t blocks = REQUEST_BLOCKS(t->requests[r]);
		bool write = t->requests[r] & REQUEST_WRITE;

		if (write)
			write_request(k, at, blocks, !options->no_write_allocate);
		else
			rc = read_request(k, at, blocks);
		at += blocks;
		if (at - told >= TELL_EVERY) {
			atomic_fetch_add_explicit(done, at - told, memory_order_relaxed);
			told = at;
		}
	}
	atomic_fetch_add_explicit(done, at - told, memory_order_relaxed);
	return rc;
}

int replay(const struct trace *t, const struct contender *c, uint32_t capacity, const struct replay_options *options,
	   atomic_ullong *done, struct result *ret)
{
	struct cache k = {.t = t, .c = c, .capacity = capacity, .ahead = options->read_ahead, .arm = UINT64_MAX};
	int rc = cache_init(&k);

	if (rc == 0)
		rc = run_requests(&k, options, done);
	if (rc == 0) {
		k.result.accesses = t->naccesses;
		k.result.reads = t->nreads;
		k.result.bytes = contender_bytes(c, k.policy);
		*ret = k.result;
	}
	cache_free(&k);
	return rc;
}

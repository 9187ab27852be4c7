/* SPDX-License-Identifier: GPL-2.0-only */
/* tinylfu.c - W-TinyLFU: what is new passes a small LRU window; when it leaves that, it gets a place in the main part
 * only if it was asked for more often lately than who would have to go.
 *
 * After G. Einziger, R. Friedman, B. Manes: "TinyLFU: a highly efficient cache admission policy", ACM Transactions on
 * Storage 13(4), 2017: a window of 1 %, a main part in two segments (a protected one of 80 %), and a count-min sketch
 * of four rows of 4-bit counters that are all halved after ten times as many accesses as there are places. No
 * doorkeeper, and no chance: the same trace gives the same result.
 */
#include "contender.h"

#include <stdlib.h>

#include "base/rng.h"
#include "cache/queue.h"

#define ROWS 4u
#define COUNTER_MAX 15u
#define COUNTERS_PER_PLACE 4u		/* in each row, at least */
#define SAMPLE_PER_PLACE 10u

enum segment { WINDOW, PROBATION, PROTECTED, SEGMENTS };

struct tinylfu {
	uint32_t c, window_max, protected_max;
	struct queue segments[SEGMENTS];
	struct queue_link *links;		/* by id */
	uint64_t *keys;				/* by id */
	uint8_t *segment;			/* by id: enum segment */
	uint8_t *sketch;			/* two counters a byte; the rows one after the other */
	uint64_t row;				/* counters a row: a power of two */
	uint64_t sampled;
};

static void tinylfu_destroy(void *policy)
{
	struct tinylfu *t = policy;

	if (!t)
		return;
	free(t->links);
	free(t->keys);
	free(t->segment);
	free(t->sketch);
	free(t);
}

static void *tinylfu_create(uint32_t capacity)
{
	struct tinylfu *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->c = capacity;
	t->window_max = MAX(capacity / 100, 1u);
	t->protected_max = (uint32_t)((uint64_t)(capacity - t->window_max) * 80 / 100);
	for (t->row = 16; t->row < (uint64_t)capacity * COUNTERS_PER_PLACE;)
		t->row *= 2;
	t->links = reallocarray(NULL, capacity, sizeof(*t->links));
	t->keys = reallocarray(NULL, capacity, sizeof(*t->keys));
	t->segment = malloc(capacity);
	t->sketch = calloc(ROWS, t->row / 2);
	if (!t->links || !t->keys || !t->segment || !t->sketch) {
		tinylfu_destroy(t);
		return NULL;
	}
	for (unsigned i = 0; i < SEGMENTS; i++)
		t->segments[i] = queue_on(t->links);
	return t;
}

/* ------------------------------------------------------------------ how often */
/* The place of a key's counter in a row, counted over all rows. */
static uint64_t counter_of(const struct tinylfu *t, uint64_t key, unsigned row)
{
	return row * t->row + (hash64(key + (row + 1) * 0x9e3779b97f4a7c15ull) & (t->row - 1));
}

static unsigned counter_get(const struct tinylfu *t, uint64_t at)
{
	return t->sketch[at / 2] >> (at % 2 * 4) & COUNTER_MAX;
}

static unsigned frequency(const struct tinylfu *t, uint64_t key)
{
	unsigned least = COUNTER_MAX;

	for (unsigned row = 0; row < ROWS; row++)
		least = MIN(least, counter_get(t, counter_of(t, key, row)));
	return least;
}

static void count(struct tinylfu *t, uint64_t key)
{
	unsigned least = frequency(t, key);

	/* Only the smallest counters grow: the others have counted somebody else as well. */
	for (unsigned row = 0; row < ROWS && least < COUNTER_MAX; row++) {
		uint64_t at = counter_of(t, key, row);

		if (counter_get(t, at) == least)
			t->sketch[at / 2] = (uint8_t)(t->sketch[at / 2] + (1u << (at % 2 * 4)));
	}
	if (++t->sampled < (uint64_t)t->c * SAMPLE_PER_PLACE)
		return;
	for (uint64_t i = 0; i < ROWS * t->row / 2; i++)
		t->sketch[i] = t->sketch[i] >> 1 & 0x77;
	t->sampled /= 2;
}

/* ------------------------------------------------------------------ where */
static void move(struct tinylfu *t, uint32_t id, enum segment to)
{
	queue_del(&t->segments[t->segment[id]], id);
	t->segment[id] = (uint8_t)to;
	queue_put(&t->segments[to], id);
}

static void tinylfu_hit(void *policy, uint32_t id, const struct ask *ask)
{
	struct tinylfu *t = policy;

	count(t, ask->key);
	move(t, id, t->segment[id] == WINDOW ? WINDOW : PROTECTED);
	if (t->segments[PROTECTED].count > t->protected_max)
		move(t, t->segments[PROTECTED].oldest, PROBATION);
}

static uint32_t tinylfu_evict(void *policy, const struct ask *ask)
{
	struct tinylfu *t = policy;
	uint32_t candidate = t->segments[WINDOW].oldest, victim = t->segments[PROBATION].oldest;

	(void)ask;
	if (victim == POLICY_NONE)
		victim = t->segments[PROTECTED].oldest;
	if (victim == POLICY_NONE || (t->segments[WINDOW].count >= t->window_max &&
				      frequency(t, t->keys[candidate]) <= frequency(t, t->keys[victim]))) {
		victim = candidate;
	} else if (t->segments[WINDOW].count >= t->window_max) {
		move(t, candidate, PROBATION);
	}
	queue_del(&t->segments[t->segment[victim]], victim);
	return victim;
}

static void tinylfu_insert(void *policy, uint32_t id, const struct ask *ask)
{
	struct tinylfu *t = policy;

	count(t, ask->key);
	t->keys[id] = ask->key;
	t->segment[id] = WINDOW;
	queue_put(&t->segments[WINDOW], id);
	if (t->segments[WINDOW].count > t->window_max)	/* while there is room, everybody is let in */
		move(t, t->segments[WINDOW].oldest, PROBATION);
}

static uint64_t tinylfu_bytes(const void *policy)
{
	const struct tinylfu *t = policy;

	return sizeof(*t) + ROWS * t->row / 2 +
	       t->c * (uint64_t)(sizeof(*t->links) + sizeof(*t->keys) + sizeof(*t->segment));
}

const struct contender contender_tinylfu = {
	.name = "tinylfu",
	.title = "W-TinyLFU",
	.create = tinylfu_create,
	.destroy = tinylfu_destroy,
	.hit = tinylfu_hit,
	.evict = tinylfu_evict,
	.insert = tinylfu_insert,
	.bytes = tinylfu_bytes,
};

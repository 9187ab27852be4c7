/* SPDX-License-Identifier: GPL-2.0-only */
/* belady.c - the optimum, which needs to know the future: who is used again last, or never, goes.
 *
 * L. Belady: "A study of replacement algorithms for a virtual-storage computer", IBM Systems Journal 5(2), 1966 (MIN).
 * A heap of what is cached, by next use: O(log n) an access. A key that is inserted may well be the next to go, but it
 * does come in first.
 */
#include "contender.h"

#include <stdlib.h>

struct belady {
	uint32_t c, count;
	uint32_t *heap;				/* ids; whose next use is last is heap[0] */
	uint32_t *place;			/* by id: where it is in the heap */
	uint32_t *next;				/* by id */
};

static void belady_destroy(void *policy)
{
	struct belady *b = policy;

	if (!b)
		return;
	free(b->heap);
	free(b->place);
	free(b->next);
	free(b);
}

static void *belady_create(uint32_t capacity)
{
	struct belady *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->c = capacity;
	b->heap = reallocarray(NULL, capacity, sizeof(*b->heap));
	b->place = reallocarray(NULL, capacity, sizeof(*b->place));
	b->next = reallocarray(NULL, capacity, sizeof(*b->next));
	if (b->heap && b->place && b->next)
		return b;
	belady_destroy(b);
	return NULL;
}

static void set(struct belady *b, uint32_t at, uint32_t id)
{
	b->heap[at] = id;
	b->place[id] = at;
}

/* Who is used later than all above moves up. */
static void up(struct belady *b, uint32_t at, uint32_t id)
{
	while (at && b->next[b->heap[(at - 1) / 2]] < b->next[id]) {
		set(b, at, b->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	set(b, at, id);
}

static void down(struct belady *b, uint32_t at, uint32_t id)
{
	for (;;) {
		uint64_t child = 2 * (uint64_t)at + 1;

		if (child >= b->count)
			break;
		if (child + 1 < b->count && b->next[b->heap[child]] < b->next[b->heap[child + 1]])
			child++;
		if (b->next[b->heap[child]] <= b->next[id])
			break;
		set(b, at, b->heap[child]);
		at = (uint32_t)child;
	}
	set(b, at, id);
}

/* A hit only ever moves the next use further away. */
static void belady_hit(void *policy, uint32_t id, const struct ask *ask)
{
	struct belady *b = policy;

	b->next[id] = ask->next;
	up(b, b->place[id], id);
}

static uint32_t belady_evict(void *policy, const struct ask *ask)
{
	struct belady *b = policy;
	uint32_t id = b->heap[0];

	(void)ask;
	if (--b->count)
		down(b, 0, b->heap[b->count]);
	return id;
}

static void belady_insert(void *policy, uint32_t id, const struct ask *ask)
{
	struct belady *b = policy;

	b->next[id] = ask->next;
	up(b, b->count++, id);
}

static uint64_t belady_bytes(const void *policy)
{
	const struct belady *b = policy;

	return sizeof(*b) + b->c * (uint64_t)(sizeof(*b->heap) + sizeof(*b->place) + sizeof(*b->next));
}

const struct contender contender_belady = {
	.name = "belady",
	.title = "Belady",
	.wants_future = true,
	.create = belady_create,
	.destroy = belady_destroy,
	.hit = belady_hit,
	.evict = belady_evict,
	.insert = belady_insert,
	.bytes = belady_bytes,
};

/* SPDX-License-Identifier: GPL-2.0-only */
/* arc.c - ARC: two lists of what was used once (T1) and more often (T2), a ghost of each (B1, B2), and a target for T1
 * that a hit in a ghost moves.
 *
 * After N. Megiddo, D. Modha: "ARC: a self-tuning, low overhead replacement cache", FAST 2003, figure 4, whose names
 * are used here. As nothing is removed, ghosts are there only when the cache is full: all of the figure but the hits
 * happens in evict().
 */
#include "contender.h"

#include <assert.h>
#include <stdlib.h>

#include "cache/queue.h"
#include "keymap.h"

enum list { T1, T2, B1, B2, LISTS };

/* Nodes 0 .. c - 1 are what is cached, by id; c .. 2c - 1 are ghosts. There are at most c: |L1| + |L2| <= 2c. */
struct arc {
	uint32_t c;
	double p;				/* the target for T1, 0 .. c */
	struct queue lists[LISTS];
	struct queue_link *links;		/* by node */
	uint64_t *keys;				/* by node */
	uint8_t *list;				/* by node: enum list */
	uint32_t *spare, nspare;		/* nodes for ghosts */
	struct keymap ghosts;			/* by key: the node */
	bool to_t2;				/* where the insert that follows goes */
};

static void arc_destroy(void *policy)
{
	struct arc *a = policy;

	if (!a)
		return;
	free(a->links);
	free(a->keys);
	free(a->list);
	free(a->spare);
	keymap_free(&a->ghosts);
	free(a);
}

static void *arc_create(uint32_t capacity)
{
	struct arc *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->c = capacity;
	a->links = reallocarray(NULL, 2 * (size_t)capacity, sizeof(*a->links));
	a->keys = reallocarray(NULL, 2 * (size_t)capacity, sizeof(*a->keys));
	a->list = malloc(2 * (size_t)capacity);
	a->spare = reallocarray(NULL, capacity, sizeof(*a->spare));
	if (!a->links || !a->keys || !a->list || !a->spare) {
		arc_destroy(a);
		return NULL;
	}
	for (unsigned i = 0; i < LISTS; i++)
		a->lists[i] = queue_on(a->links);
	while (a->nspare < capacity) {
		a->spare[a->nspare] = capacity + a->nspare;
		a->nspare++;
	}
	return a;
}

static uint32_t count(const struct arc *a, enum list list)
{
	return a->lists[list].count;
}

static void put(struct arc *a, enum list list, uint32_t node)
{
	a->list[node] = (uint8_t)list;
	queue_put(&a->lists[list], node);
}

static void forget(struct arc *a, uint32_t ghost)
{
	queue_del(&a->lists[a->list[ghost]], ghost);
	keymap_del(&a->ghosts, a->keys[ghost]);
	a->spare[a->nspare++] = ghost;
}

/* The oldest of T1 or T2 leaves; its key stays as a ghost, unless `list` is LISTS. Returns its id. */
static uint32_t leave(struct arc *a, enum list from, enum list to)
{
	uint32_t id = a->lists[from].oldest, ghost;

	queue_del(&a->lists[from], id);
	if (to == LISTS)
		return id;
	assert(a->nspare);
	ghost = a->spare[--a->nspare];
	a->keys[ghost] = a->keys[id];
	if (keymap_put(&a->ghosts, a->keys[id], ghost))
		abort();			/* out of memory: the replay ends, and says so */
	put(a, to, ghost);
	return id;
}

/* REPLACE of the paper. */
static uint32_t replace(struct arc *a, bool from_b2)
{
	uint32_t t1 = count(a, T1);

	if (t1 && (t1 > a->p || (from_b2 && t1 == a->p) || !count(a, T2)))
		return leave(a, T1, B1);
	return leave(a, T2, B2);
}

/* Case IV: the key is new. */
static uint32_t evict_for_new(struct arc *a)
{
	uint32_t l1 = count(a, T1) + count(a, B1);

	if (l1 == a->c) {
		if (count(a, T1) == a->c)
			return leave(a, T1, LISTS);
		forget(a, a->lists[B1].oldest);
	} else if (l1 + count(a, T2) + count(a, B2) == 2 * a->c) {
		forget(a, a->lists[B2].oldest);
	}
	return replace(a, false);
}

static uint32_t arc_evict(void *policy, const struct ask *ask)
{
	struct arc *a = policy;
	uint32_t ghost = keymap_get(&a->ghosts, ask->key);
	double b1 = count(a, B1), b2 = count(a, B2);
	bool in_b2;

	a->to_t2 = ghost != KEYMAP_NONE;
	if (!a->to_t2)
		return evict_for_new(a);
	in_b2 = a->list[ghost] == B2;
	if (in_b2)			/* case III */
		a->p = MAX(a->p - MAX(b1 / b2, 1), 0);
	else				/* case II */
		a->p = MIN(a->p + MAX(b2 / b1, 1), a->c);
	forget(a, ghost);
	return replace(a, in_b2);
}

static void arc_insert(void *policy, uint32_t id, const struct ask *ask)
{
	struct arc *a = policy;

	a->keys[id] = ask->key;
	put(a, a->to_t2 ? T2 : T1, id);
	a->to_t2 = false;
}

/* Case I. */
static void arc_hit(void *policy, uint32_t id, const struct ask *ask)
{
	struct arc *a = policy;

	(void)ask;
	queue_del(&a->lists[a->list[id]], id);
	put(a, T2, id);
}

static uint64_t arc_bytes(const void *policy)
{
	const struct arc *a = policy;

	return sizeof(*a) + keymap_bytes(&a->ghosts) +
	       a->c * (2 * (uint64_t)(sizeof(*a->links) + sizeof(*a->keys) + sizeof(*a->list)) + sizeof(*a->spare));
}

const struct contender contender_arc = {
	.name = "arc",
	.title = "ARC",
	.create = arc_create,
	.destroy = arc_destroy,
	.hit = arc_hit,
	.evict = arc_evict,
	.insert = arc_insert,
	.bytes = arc_bytes,
};

/* SPDX-License-Identifier: GPL-2.0-only */
/* twoq.c - 2Q: what is new waits in a FIFO (A1in), and is remembered for a while after it left (A1out); only what comes
 * back then is kept by LRU (Am).
 *
 * After T. Johnson, D. Shasha: "2Q: a low overhead high performance buffer management replacement algorithm", VLDB
 * 1994: the full version, with the sizes it recommends, a quarter of the places for A1in, and half as many keys as
 * places for A1out.
 */
#include "contender.h"

#include <stdlib.h>

#include "cache/queue.h"
#include "keymap.h"

/* Nodes 0 .. c - 1 are what is cached, by id; behind them those of A1out. */
struct twoq {
	uint32_t c, kin, kout;
	struct queue a1in, am, a1out;
	struct queue_link *links;		/* by node */
	uint64_t *keys;				/* by node */
	bool *hot;				/* by id: in Am */
	uint32_t *spare, nspare;
	struct keymap ghosts;			/* by key: the node */
	bool to_am;				/* where the insert that follows goes */
};

static void twoq_destroy(void *policy)
{
	struct twoq *q = policy;

	if (!q)
		return;
	free(q->links);
	free(q->keys);
	free(q->hot);
	free(q->spare);
	keymap_free(&q->ghosts);
	free(q);
}

static void *twoq_create(uint32_t capacity)
{
	struct twoq *q = calloc(1, sizeof(*q));
	size_t nodes;

	if (!q)
		return NULL;
	q->c = capacity;
	q->kin = MAX(capacity / 4, 1u);
	q->kout = MAX(capacity / 2, 1u);
	nodes = (size_t)q->c + q->kout;
	q->links = reallocarray(NULL, nodes, sizeof(*q->links));
	q->keys = reallocarray(NULL, nodes, sizeof(*q->keys));
	q->hot = calloc(capacity, sizeof(*q->hot));
	q->spare = reallocarray(NULL, q->kout, sizeof(*q->spare));
	if (!q->links || !q->keys || !q->hot || !q->spare) {
		twoq_destroy(q);
		return NULL;
	}
	q->a1in = queue_on(q->links);
	q->am = queue_on(q->links);
	q->a1out = queue_on(q->links);
	while (q->nspare < q->kout) {
		q->spare[q->nspare] = capacity + q->nspare;
		q->nspare++;
	}
	return q;
}

static void forget(struct twoq *q, uint32_t ghost)
{
	queue_del(&q->a1out, ghost);
	keymap_del(&q->ghosts, q->keys[ghost]);
	q->spare[q->nspare++] = ghost;
}

static void remember(struct twoq *q, uint64_t key)
{
	uint32_t ghost;

	if (!q->nspare)
		forget(q, q->a1out.oldest);
	ghost = q->spare[--q->nspare];
	q->keys[ghost] = key;
	if (keymap_put(&q->ghosts, key, ghost))
		abort();			/* out of memory: the replay ends, and says so */
	queue_put(&q->a1out, ghost);
}

static uint32_t twoq_evict(void *policy, const struct ask *ask)
{
	struct twoq *q = policy;
	bool in = q->a1in.count > q->kin || !q->am.count;
	uint32_t ghost = keymap_get(&q->ghosts, ask->key), id = in ? q->a1in.oldest : q->am.oldest;

	/* Looked up before the victim's key can push it out. */
	q->to_am = ghost != KEYMAP_NONE;
	if (q->to_am)
		forget(q, ghost);
	queue_del(in ? &q->a1in : &q->am, id);
	if (in)
		remember(q, q->keys[id]);
	return id;
}

static void twoq_insert(void *policy, uint32_t id, const struct ask *ask)
{
	struct twoq *q = policy;

	q->keys[id] = ask->key;
	q->hot[id] = q->to_am;
	queue_put(q->to_am ? &q->am : &q->a1in, id);
	q->to_am = false;
}

/* In A1in nothing changes: what is asked for twice in a short time says nothing about later. */
static void twoq_hit(void *policy, uint32_t id, const struct ask *ask)
{
	struct twoq *q = policy;

	(void)ask;
	if (!q->hot[id])
		return;
	queue_del(&q->am, id);
	queue_put(&q->am, id);
}

static uint64_t twoq_bytes(const void *policy)
{
	const struct twoq *q = policy;
	uint64_t nodes = (uint64_t)q->c + q->kout;

	return sizeof(*q) + keymap_bytes(&q->ghosts) + nodes * (sizeof(*q->links) + sizeof(*q->keys)) +
	       q->c * sizeof(*q->hot) + q->kout * sizeof(*q->spare);
}

const struct contender contender_2q = {
	.name = "2q",
	.title = "2Q",
	.create = twoq_create,
	.destroy = twoq_destroy,
	.hit = twoq_hit,
	.evict = twoq_evict,
	.insert = twoq_insert,
	.bytes = twoq_bytes,
};

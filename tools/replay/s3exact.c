/* SPDX-License-Identifier: GPL-2.0-only */
/* s3exact.c - S3-FIFO to the letter of its paper, to hold the product's against, which saves memory in its ghost.
 *
 * After J. Yang, Y. Zhang, Z. Qiu, Y. Yue, K. V. Rashmi: "FIFO queues are all you need for cache eviction", SOSP 2023.
 * Here the ghost is a queue of whole keys: one that came back makes room for another. The product's (cache/s3fifo.c)
 * has fingerprints, and lets an entry go by how many were made after it, whether they are still there or not.
 */
#include "contender.h"

#include <stdlib.h>

#include "cache/queue.h"
#include "keymap.h"

#define FREQ_MAX 3
#define FREQ_TO_MAIN 2

/* Nodes 0 .. c - 1 are what is cached, by id; behind them those of the ghost. */
struct s3exact {
	uint32_t c, small_target, ghost_max;
	struct queue small, main, ghost;
	struct queue_link *links;		/* by node */
	uint64_t *keys;				/* by node */
	uint8_t *freq;				/* by id */
	uint32_t *spare, nspare;		/* nodes for the ghost */
	struct keymap ghosts;			/* by key: the node */
	bool to_main;				/* where the insert that follows goes */
};

static void s3exact_destroy(void *policy)
{
	struct s3exact *s = policy;

	if (!s)
		return;
	free(s->links);
	free(s->keys);
	free(s->freq);
	free(s->spare);
	keymap_free(&s->ghosts);
	free(s);
}

static void *s3exact_create(uint32_t capacity)
{
	struct s3exact *s = calloc(1, sizeof(*s));
	size_t nodes;

	if (!s)
		return NULL;
	s->c = capacity;
	s->small_target = MAX(capacity / 10, 1u);
	s->ghost_max = capacity - capacity / 10;
	nodes = (size_t)s->c + s->ghost_max;
	s->links = reallocarray(NULL, nodes, sizeof(*s->links));
	s->keys = reallocarray(NULL, nodes, sizeof(*s->keys));
	s->freq = calloc(capacity, sizeof(*s->freq));
	s->spare = reallocarray(NULL, s->ghost_max, sizeof(*s->spare));
	if (!s->links || !s->keys || !s->freq || !s->spare) {
		s3exact_destroy(s);
		return NULL;
	}
	s->small = queue_on(s->links);
	s->main = queue_on(s->links);
	s->ghost = queue_on(s->links);
	while (s->nspare < s->ghost_max) {
		s->spare[s->nspare] = capacity + s->nspare;
		s->nspare++;
	}
	return s;
}

static void forget(struct s3exact *s, uint32_t ghost)
{
	queue_del(&s->ghost, ghost);
	keymap_del(&s->ghosts, s->keys[ghost]);
	s->spare[s->nspare++] = ghost;
}

static void remember(struct s3exact *s, uint64_t key)
{
	uint32_t ghost;

	if (!s->nspare)
		forget(s, s->ghost.oldest);
	ghost = s->spare[--s->nspare];
	s->keys[ghost] = key;
	if (keymap_put(&s->ghosts, key, ghost))
		abort();			/* out of memory: the replay ends, and says so */
	queue_put(&s->ghost, ghost);
}

/* The turn of the oldest in small: true if it is to go. */
static bool turn_small(struct s3exact *s, uint32_t id)
{
	queue_del(&s->small, id);
	if (s->freq[id] < FREQ_TO_MAIN) {
		remember(s, s->keys[id]);
		return true;
	}
	s->freq[id] = 0;
	queue_put(&s->main, id);
	return false;
}

static bool turn_main(struct s3exact *s, uint32_t id)
{
	queue_del(&s->main, id);
	if (!s->freq[id])
		return true;
	s->freq[id]--;
	queue_put(&s->main, id);
	return false;
}

static uint32_t s3exact_evict(void *policy, const struct ask *ask)
{
	struct s3exact *s = policy;
	uint32_t ghost = keymap_get(&s->ghosts, ask->key), id;
	bool small;

	s->to_main = ghost != KEYMAP_NONE;
	if (s->to_main)
		forget(s, ghost);
	do {
		small = s->small.count >= s->small_target || !s->main.count;
		id = small ? s->small.oldest : s->main.oldest;
	} while (!(small ? turn_small : turn_main)(s, id));
	return id;
}

static void s3exact_insert(void *policy, uint32_t id, const struct ask *ask)
{
	struct s3exact *s = policy;

	s->keys[id] = ask->key;
	s->freq[id] = 0;
	queue_put(s->to_main ? &s->main : &s->small, id);
	s->to_main = false;
}

static void s3exact_hit(void *policy, uint32_t id, const struct ask *ask)
{
	struct s3exact *s = policy;

	(void)ask;
	s->freq[id] = (uint8_t)MIN(s->freq[id] + 1, FREQ_MAX);
}

static uint64_t s3exact_bytes(const void *policy)
{
	const struct s3exact *s = policy;
	uint64_t nodes = (uint64_t)s->c + s->ghost_max;

	return sizeof(*s) + keymap_bytes(&s->ghosts) + nodes * (sizeof(*s->links) + sizeof(*s->keys)) +
	       s->c * sizeof(*s->freq) + s->ghost_max * sizeof(*s->spare);
}

const struct contender contender_s3exact = {
	.name = "s3exact",
	.title = "S3-FIFO exact",
	.create = s3exact_create,
	.destroy = s3exact_destroy,
	.hit = s3exact_hit,
	.evict = s3exact_evict,
	.insert = s3exact_insert,
	.bytes = s3exact_bytes,
};

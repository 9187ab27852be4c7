/* SPDX-License-Identifier: GPL-2.0-only */
/* tuned.c - the policy of fifos.h in the shape that serves best at present, found by trying all of them in miniature.
 *
 * No one shape is right: a loop wants a short ghost (so that main keeps one part of it rather than none), slow returns
 * want a long one, skewed random use a small probation queue, drifting sets no main at all. So a sample of the keys (by
 * hash, so all requests for a key or none) is also put through one small cache per shape, as much smaller as the
 * sample is than the whole. After C. Waldspurger, T. Saemundsson, I. Ahmad, N. Park: "Cache modeling and optimization
 * using miniature simulations", ATC 2017. Misses are counted with the older ones fading; now and then the cache takes
 * the shape with the fewest. A change of shape moves nothing: queues grow into it by what comes and goes.
 */
#include "cache/policy.h"

#include "base/mem.h"
#include "base/rng.h"
#include "cache/fifos.h"

#define MINI_PART 128u			/* a miniature has 1 / MINI_PART of the places, */
#define MINI_LEAST 256u			/* but so many if the cache has */
#define FADE_SHIFT 3u			/* with each choice older misses lose 1 / 2^FADE_SHIFT of their weight */
#define BETTER_SHIFT 7u			/* another shape must be better by 1 / 2^BETTER_SHIFT */
#define RECENCY_SHIFT 4u		/* recency by so much: see choose() */
#define MISS 256u
#define GHOST_MAX 1200u
#define FIRST 4u			/* the shape to begin with */

#define SHAPE(s, g) { .small = (s), .ghost = (g), .burst = (s) * 2 / 5, .hits_to_main = 1 }

static const struct shape shapes[] = {
	SHAPE(30, 300), SHAPE(30, 600), SHAPE(30, GHOST_MAX),
	SHAPE(100, 300), SHAPE(100, 600), SHAPE(100, GHOST_MAX),
	SHAPE(250, 300), SHAPE(250, 600), SHAPE(250, GHOST_MAX),
	{ .small = SHAPE_ONE, .hits_to_main = 1, .by_recency = true },
};

#define MINIS ARRAY_LEN(shapes)

/* A cache of its own, of hashes. */
struct mini {
	struct fifos fifos;
	uint32_t *heads;		/* hash chains, as many as places; UINT32_MAX ends them */
	uint32_t *nexts;		/* by id */
	uint32_t used;
	uint64_t misses;		/* fading; in 1 / MISS */
};

struct policy {
	struct fifos fifos;
	uint32_t sample_below;		/* keys with a smaller hash are in the sample */
	uint32_t mini_capacity;
	uint32_t round_left;		/* sampled requests until the next choice */
	uint32_t shape;			/* the present one */
	struct mini minis[MINIS];
	char *tables;
	uint64_t table_bytes;
};

static uint64_t mini_memory(uint32_t capacity)
{
	return fifos_memory(capacity, GHOST_MAX) + DIV_UP((uint64_t)capacity * 2 * sizeof(uint32_t), 64u) * 64;
}

static void mini_make(struct mini *m, char *memory, uint32_t capacity, const struct shape *shape)
{
	fifos_make(&m->fifos, memory, capacity, GHOST_MAX);
	fifos_shape(&m->fifos, shape);
	m->heads = (uint32_t *)(memory + fifos_memory(capacity, GHOST_MAX));
	m->nexts = m->heads + capacity;
	for (uint32_t i = 0; i < capacity; i++)
		m->heads[i] = POLICY_NONE;
}

static struct policy *tuned_create(uint32_t capacity)
{
	struct policy *p = mem_zalloc(sizeof(*p));
	uint64_t own = fifos_memory(capacity, GHOST_MAX);

	if (!p)
		return NULL;
	p->mini_capacity = MAX(capacity / MINI_PART, MIN(capacity, MINI_LEAST));
	p->sample_below = (uint32_t)MIN(((uint64_t)p->mini_capacity << 32) / MAX(capacity, 1u), UINT32_MAX);
	p->round_left = p->mini_capacity;
	p->table_bytes = own + MINIS * mini_memory(p->mini_capacity);
	p->tables = mem_map(p->table_bytes);
	if (!p->tables) {
		mem_free(p);
		return NULL;
	}
	fifos_make(&p->fifos, p->tables, capacity, GHOST_MAX);
	p->shape = FIRST;
	fifos_shape(&p->fifos, &shapes[p->shape]);
	for (unsigned int i = 0; i < MINIS; i++)
		mini_make(&p->minis[i], p->tables + own + i * mini_memory(p->mini_capacity), p->mini_capacity,
			  &shapes[i]);
	return p;
}

static void tuned_destroy(struct policy *p)
{
	if (!p)
		return;
	mem_unmap(p->tables, p->table_bytes);
	mem_free(p);
}

static uint32_t *mini_head(struct mini *m, uint32_t hash)
{
	return &m->heads[(uint64_t)hash * m->fifos.capacity >> 32];
}

static bool never_busy(void *ctx, uint32_t id)
{
	(void)ctx;
	(void)id;
	return false;
}

/* A free place, or that of a victim. */
static uint32_t mini_place(struct mini *m)
{
	uint32_t id, *link;
	bool earned;

	if (m->used < m->fifos.capacity)
		return m->used++;
	id = fifos_evict(&m->fifos, never_busy, NULL, &earned);
	link = mini_head(m, m->fifos.hashes[id]);
	while (*link != id)
		link = &m->nexts[*link];
	*link = m->nexts[id];
	return id;
}

static void mini_ask(struct mini *m, uint32_t hash)
{
	uint32_t id = *mini_head(m, hash), *head;

	while (id != POLICY_NONE && m->fifos.hashes[id] != hash)
		id = m->nexts[id];
	if (id != POLICY_NONE) {
		fifos_hit(&m->fifos, id);
		return;
	}
	m->misses += MISS;
	id = mini_place(m);
	head = mini_head(m, hash);
	m->nexts[id] = *head;
	*head = id;
	fifos_insert(&m->fifos, id, hash);
}

/* The shape with the fewest misses, if it is better by enough. Recency must be better by more: it lets go of all that
 * main has kept, which other shapes then need long to gather again. */
static void choose(struct policy *p)
{
	uint64_t now = p->minis[p->shape].misses, least = now - (now >> BETTER_SHIFT);
	uint32_t best = p->shape;

	for (uint32_t i = 0; i < MINIS; i++) {
		uint64_t misses = p->minis[i].misses;

		p->minis[i].misses -= misses >> FADE_SHIFT;
		if (shapes[i].by_recency && i != p->shape)
			misses += misses >> RECENCY_SHIFT;
		if (misses < least) {
			least = misses;
			best = i;
		}
	}
	p->shape = best;
	fifos_shape(&p->fifos, &shapes[best]);
}

/* A choice for every so many sampled requests as a miniature has places. */
static void sampled(struct policy *p, uint32_t hash)
{
	for (unsigned int i = 0; i < MINIS; i++)
		mini_ask(&p->minis[i], hash);
	if (--p->round_left)
		return;
	p->round_left = p->mini_capacity;
	choose(p);
}

static void tuned_insert(struct policy *p, uint32_t id, uint64_t key)
{
	uint64_t hash = hash64(key);
	bool in_sample = hash >> 32 <= p->sample_below;	/* bits that nothing else looks at */

	fifos_insert(&p->fifos, id, (uint32_t)hash);
	p->fifos.states[id].marked = in_sample;
	if (in_sample)
		sampled(p, (uint32_t)hash);
}

static void tuned_hit(struct policy *p, uint32_t id)
{
	fifos_hit(&p->fifos, id);
	if (p->fifos.states[id].marked)
		sampled(p, p->fifos.hashes[id]);
}

static void tuned_remove(struct policy *p, uint32_t id)
{
	fifos_remove(&p->fifos, id);
}

static uint32_t tuned_evict(struct policy *p, policy_busy_fn busy, void *ctx, bool *ret_earned)
{
	return fifos_evict(&p->fifos, busy, ctx, ret_earned);
}

static void tuned_ready(struct policy *p, uint32_t id)
{
	fifos_ready(&p->fifos, id);
}

static uint64_t tuned_bytes(const struct policy *p)
{
	return sizeof(*p) + p->table_bytes;
}

const struct policy_ops policy_tuned = {
	.name = "tuned",
	.create = tuned_create,
	.destroy = tuned_destroy,
	.insert = tuned_insert,
	.hit = tuned_hit,
	.remove = tuned_remove,
	.evict = tuned_evict,
	.ready = tuned_ready,
	.bytes = tuned_bytes,
};

/* SPDX-License-Identifier: GPL-2.0-only */
/* s3fifo.c - the policy: a small queue on probation, a main queue, and a ghost of what left the small one.
 *
 * After J. Yang, Y. Zhang, Z. Qiu, Y. Yue, K. V. Rashmi: "FIFO queues are all you need for cache eviction", SOSP 2023.
 * A new key begins in the small queue (a tenth of the places). What is asked for twice there moves to main when its
 * turn comes; the rest leaves, and only its fingerprint is remembered, as long as main is deep. A key that comes back
 * while remembered goes to main at once. In main, a key's turn costs it one of its (at most three) hits; without
 * any it leaves. A hit thus changes two bits and no queue.
 *
 * The ghost is a table of sets of eight {fingerprint, when}: an entry is alive while fewer keys than main is deep were
 * remembered after it, and a new one takes the place of the oldest of its set. With twice as many places as live
 * entries hardly any goes too early, and nothing needs to be deleted in order.
 */
#include "cache/policy.h"

#include "base/mem.h"
#include "base/rng.h"
#include "cache/queue.h"

#include <assert.h>

#define SMALL_PART 10			/* the small queue's share: 1 / SMALL_PART */
#define FREQ_MAX 3u
#define FREQ_TO_MAIN 2u			/* so many hits lead from small to main */
#define GHOST_WAYS 8u
#define GHOST_SPARE 2u			/* places per live entry */

enum place { FREE, SMALL, MAIN, SMALL_ASIDE, MAIN_ASIDE };

struct state {
	uint8_t place;			/* enum place */
	uint8_t freq;			/* 0 .. FREQ_MAX */
	bool earned;			/* was hit, or came back out of the ghost */
};

struct ghost {
	uint32_t print;
	uint32_t when;			/* 0: nothing here */
};

struct policy {
	uint32_t capacity;
	uint32_t small_target;
	struct queue small, main;
	uint64_t *keys;			/* by id; the other tables follow in the same memory */
	struct ghost *ghosts;
	struct queue_link *links;	/* by id */
	struct state *states;		/* by id */
	uint32_t ghost_live;		/* entries younger than this count */
	uint32_t ghost_sets;
	uint32_t ghost_now;		/* counts entries made; skips 0 */
	uint64_t table_bytes;
};

static struct policy *s3_create(uint32_t capacity)
{
	struct policy *p = mem_zalloc(sizeof(*p));
	uint64_t ghosts;

	if (!p)
		return NULL;
	p->capacity = capacity;
	p->small_target = MAX(capacity / SMALL_PART, 1u);
	p->ghost_live = MAX(capacity - capacity / SMALL_PART, 1u);
	p->ghost_sets = (uint32_t)DIV_UP((uint64_t)p->ghost_live * GHOST_SPARE, GHOST_WAYS);
	p->ghost_now = 1;
	ghosts = (uint64_t)p->ghost_sets * GHOST_WAYS;
	p->table_bytes = ghosts * sizeof(*p->ghosts) +
			 (uint64_t)capacity * (sizeof(*p->keys) + sizeof(*p->links) + sizeof(*p->states));
	p->ghosts = mem_map(p->table_bytes);	/* first: a set shall be one cache line */
	if (!p->ghosts) {
		mem_free(p);
		return NULL;
	}
	p->keys = (uint64_t *)(p->ghosts + ghosts);
	p->links = (struct queue_link *)(p->keys + capacity);
	p->states = (struct state *)(p->links + capacity);
	p->small = queue_on(p->links);
	p->main = queue_on(p->links);
	return p;
}

static void s3_destroy(struct policy *p)
{
	if (!p)
		return;
	mem_unmap(p->ghosts, p->table_bytes);
	mem_free(p);
}

static struct ghost *ghost_set(struct policy *p, uint64_t hash)
{
	return &p->ghosts[((hash >> 32) * p->ghost_sets >> 32) * GHOST_WAYS];
}

/* How many keys were remembered after this entry; a free one is older than all. */
static uint32_t ghost_age(const struct policy *p, const struct ghost *g)
{
	return g->when ? p->ghost_now - g->when : UINT32_MAX;
}

static void ghost_remember(struct policy *p, uint64_t key)
{
	uint64_t hash = hash64(key);
	struct ghost *set = ghost_set(p, hash), *g = set;

	for (unsigned int i = 1; i < GHOST_WAYS; i++)
		if (ghost_age(p, &set[i]) > ghost_age(p, g))
			g = &set[i];
	*g = (struct ghost){ .print = (uint32_t)hash, .when = p->ghost_now };
	p->ghost_now += p->ghost_now == UINT32_MAX ? 2 : 1;
}

/* True if the key is remembered; forgets it. */
static bool ghost_recall(struct policy *p, uint64_t key)
{
	uint64_t hash = hash64(key);
	struct ghost *set = ghost_set(p, hash);

	for (unsigned int i = 0; i < GHOST_WAYS; i++) {
		if (set[i].print == (uint32_t)hash && ghost_age(p, &set[i]) <= p->ghost_live) {
			set[i].when = 0;
			return true;
		}
	}
	return false;
}

static void s3_insert(struct policy *p, uint32_t id, uint64_t key)
{
	bool back = ghost_recall(p, key);

	assert(id < p->capacity && p->states[id].place == FREE);
	p->keys[id] = key;
	p->states[id] = (struct state){ .place = back ? MAIN : SMALL, .earned = back };
	queue_put(back ? &p->main : &p->small, id);
}

static void s3_hit(struct policy *p, uint32_t id)
{
	struct state *s = &p->states[id];

	assert(id < p->capacity && s->place != FREE);
	s->freq = MIN(s->freq + 1u, FREQ_MAX);
	s->earned = true;
}

static void s3_remove(struct policy *p, uint32_t id)
{
	struct state *s = &p->states[id];

	assert(id < p->capacity && s->place != FREE);
	if (s->place == SMALL)
		queue_del(&p->small, id);
	else if (s->place == MAIN)
		queue_del(&p->main, id);
	s->place = FREE;
}

/* The turn of main's oldest: it leaves its queue, and stays (at the young end, for one of its hits), is set aside, or
 * is to go: only then true. */
static bool turn_main(struct policy *p, uint32_t id, policy_busy_fn busy, void *ctx)
{
	struct state *s = &p->states[id];

	queue_del(&p->main, id);
	if (s->freq) {
		s->freq--;
		queue_put(&p->main, id);
		return false;
	}
	if (busy(ctx, id)) {
		s->place = MAIN_ASIDE;
		return false;
	}
	return true;
}

/* The turn of small's oldest: it moves to main, is set aside, or is to go (true) and is remembered. */
static bool turn_small(struct policy *p, uint32_t id, policy_busy_fn busy, void *ctx)
{
	struct state *s = &p->states[id];

	queue_del(&p->small, id);
	if (s->freq >= FREQ_TO_MAIN) {
		*s = (struct state){ .place = MAIN, .earned = true };
		queue_put(&p->main, id);
		return false;
	}
	if (busy(ctx, id)) {
		s->place = SMALL_ASIDE;
		return false;
	}
	ghost_remember(p, p->keys[id]);
	return true;
}

/* Each round of the loop takes a hit from an id, moves it to main for its hits, or sets it aside: work that was paid
 * for by that hit or by that pin. */
static uint32_t s3_evict(struct policy *p, policy_busy_fn busy, void *ctx, bool *ret_earned)
{
	while (p->small.count || p->main.count) {
		bool small = p->small.count >= p->small_target || !p->main.count;
		uint32_t id = small ? p->small.oldest : p->main.oldest;

		if (!(small ? turn_small : turn_main)(p, id, busy, ctx))
			continue;
		p->states[id].place = FREE;
		*ret_earned = p->states[id].earned;
		return id;
	}
	return POLICY_NONE;
}

static void s3_ready(struct policy *p, uint32_t id)
{
	struct state *s = &p->states[id];

	assert(id < p->capacity && s->place != FREE);
	if (s->place == SMALL_ASIDE) {
		s->place = SMALL;
		queue_put_oldest(&p->small, id);
	} else if (s->place == MAIN_ASIDE) {
		s->place = MAIN;
		queue_put_oldest(&p->main, id);
	}
}

static uint64_t s3_bytes(const struct policy *p)
{
	return sizeof(*p) + p->table_bytes;
}

const struct policy_ops policy_s3fifo = {
	.name = "s3fifo",
	.create = s3_create,
	.destroy = s3_destroy,
	.insert = s3_insert,
	.hit = s3_hit,
	.remove = s3_remove,
	.evict = s3_evict,
	.ready = s3_ready,
	.bytes = s3_bytes,
};

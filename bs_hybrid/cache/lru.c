/* SPDX-License-Identifier: GPL-2.0-only */
/* lru.c - the policy everybody knows: the key asked for longest ago goes first. Here to be compared with. */
#include "cache/policy.h"

#include "base/mem.h"
#include "cache/queue.h"

#include <assert.h>

enum place { FREE, QUEUED, ASIDE };

struct state {
	uint8_t place;			/* enum place */
	bool earned;
};

struct policy {
	uint32_t capacity;
	struct queue queue;
	struct queue_link *links;	/* by id; the states follow in the same memory */
	struct state *states;		/* by id */
	uint64_t table_bytes;
};

static struct policy *lru_create(uint32_t capacity)
{
	struct policy *p = mem_zalloc(sizeof(*p));

	if (!p)
		return NULL;
	p->capacity = capacity;
	p->table_bytes = (uint64_t)capacity * (sizeof(*p->links) + sizeof(*p->states));
	p->links = mem_map(p->table_bytes);
	if (!p->links) {
		mem_free(p);
		return NULL;
	}
	p->states = (struct state *)(p->links + capacity);
	p->queue = queue_on(p->links);
	return p;
}

static void lru_destroy(struct policy *p)
{
	if (!p)
		return;
	mem_unmap(p->links, p->table_bytes);
	mem_free(p);
}

static void lru_insert(struct policy *p, uint32_t id, uint64_t key)
{
	(void)key;
	assert(id < p->capacity && p->states[id].place == FREE);
	p->states[id] = (struct state){ .place = QUEUED };
	queue_put(&p->queue, id);
}

static void lru_hit(struct policy *p, uint32_t id)
{
	assert(id < p->capacity && p->states[id].place != FREE);
	if (p->states[id].place == QUEUED)
		queue_del(&p->queue, id);
	p->states[id] = (struct state){ .place = QUEUED, .earned = true };
	queue_put(&p->queue, id);
}

static void lru_remove(struct policy *p, uint32_t id)
{
	assert(id < p->capacity && p->states[id].place != FREE);
	if (p->states[id].place == QUEUED)
		queue_del(&p->queue, id);
	p->states[id].place = FREE;
}

static uint32_t lru_evict(struct policy *p, policy_busy_fn busy, void *ctx, bool *ret_earned)
{
	uint32_t id;

	while ((id = p->queue.oldest) != POLICY_NONE) {
		queue_del(&p->queue, id);
		if (busy(ctx, id)) {
			p->states[id].place = ASIDE;
			continue;
		}
		p->states[id].place = FREE;
		*ret_earned = p->states[id].earned;
		return id;
	}
	return POLICY_NONE;
}

static void lru_ready(struct policy *p, uint32_t id)
{
	assert(id < p->capacity && p->states[id].place != FREE);
	if (p->states[id].place != ASIDE)
		return;
	p->states[id].place = QUEUED;
	queue_put_oldest(&p->queue, id);
}

static uint64_t lru_bytes(const struct policy *p)
{
	return sizeof(*p) + p->table_bytes;
}

const struct policy_ops policy_lru = {
	.name = "lru",
	.create = lru_create,
	.destroy = lru_destroy,
	.insert = lru_insert,
	.hit = lru_hit,
	.remove = lru_remove,
	.evict = lru_evict,
	.ready = lru_ready,
	.bytes = lru_bytes,
};

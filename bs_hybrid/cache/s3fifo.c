/* SPDX-License-Identifier: GPL-2.0-only */
/* s3fifo.c - the policy of fifos.h with the shape of its paper: a tenth on probation, as many remembered as main is
 * deep, two hits lead to main. */
#include "cache/policy.h"

#include "base/mem.h"
#include "base/rng.h"
#include "cache/fifos.h"

static const struct shape paper = { .small = 100, .ghost = 900, .hits_to_main = 2 };

struct policy {
	struct fifos fifos;
	void *tables;
	uint64_t table_bytes;
};

static struct policy *s3_create(uint32_t capacity)
{
	struct policy *p = mem_zalloc(sizeof(*p));

	if (!p)
		return NULL;
	p->table_bytes = fifos_memory(capacity, paper.ghost);
	p->tables = mem_map(p->table_bytes);
	if (!p->tables) {
		mem_free(p);
		return NULL;
	}
	fifos_make(&p->fifos, p->tables, capacity, paper.ghost);
	fifos_shape(&p->fifos, &paper);
	return p;
}

static void s3_destroy(struct policy *p)
{
	if (!p)
		return;
	mem_unmap(p->tables, p->table_bytes);
	mem_free(p);
}

static void s3_insert(struct policy *p, uint32_t id, uint64_t key)
{
	fifos_insert(&p->fifos, id, (uint32_t)hash64(key));
}

static void s3_hit(struct policy *p, uint32_t id)
{
	fifos_hit(&p->fifos, id);
}

static void s3_remove(struct policy *p, uint32_t id)
{
	fifos_remove(&p->fifos, id);
}

static uint32_t s3_evict(struct policy *p, policy_busy_fn busy, void *ctx, bool *ret_earned)
{
	return fifos_evict(&p->fifos, busy, ctx, ret_earned);
}

static void s3_ready(struct policy *p, uint32_t id)
{
	fifos_ready(&p->fifos, id);
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

/* SPDX-License-Identifier: GPL-2.0-only */
/* test_index.c - the index of the write tier against plain arrays. */
#include "suites.h"

#include <string.h>

#include "base/mem.h"
#include "cache/index.h"

#define SLOTS 6000u
#define BLOCKS 9000u

struct model_slot {
	uint32_t block;			/* number into model.blocks */
	uint32_t crc;
	enum slot_state st;
	bool hit;
};

static struct {
	struct model_slot slots[SLOTS];
	pblk_t blocks[BLOCKS];		/* different ones, all over the 40 bits */
	uint32_t slot_of[BLOCKS];	/* 0: none */
	uint64_t counts[SLOT_LOST + 1];
} model;

static void model_init(struct rng *r)
{
	uint64_t stride = rng_below(r, (1ull << PBLK_BITS) / BLOCKS - 1) + 1;

	memset(&model, 0, sizeof(model));
	for (uint32_t i = 0; i < BLOCKS; i++) {
		/* Neighbours, a stride, and the upper end. */
		uint64_t n = i < 3000 ? i : i < 6000 ? i * stride : PBLK_MAX - (i - 6000);

		model.blocks[i].n = n;
	}
}

static enum slot_state live_state(struct rng *r)
{
	return (enum slot_state)(SLOT_CLEAN + rng_below(r, SLOT_LOST));
}

static void step(struct idx *x, struct rng *r)
{
	slot_t s = { 1 + (uint32_t)rng_below(r, SLOTS - 1) };
	struct model_slot *m = &model.slots[s.n];
	uint32_t block = (uint32_t)rng_below(r, BLOCKS), what = (uint32_t)rng_below(r, 8);
	enum slot_state st = live_state(r);

	if (m->st == SLOT_DEAD) {
		if (model.slot_of[block])
			return;
		*m = (struct model_slot){ .block = block, .crc = (uint32_t)rng_next(r), .st = st };
		model.slot_of[block] = s.n;
		model.counts[st]++;
		idx_put(x, s, model.blocks[block], m->crc, st);
	} else if (what < 3) {
		model.slot_of[m->block] = 0;
		model.counts[m->st]--;
		m->st = SLOT_DEAD;
		idx_drop(x, s);
	} else if (what < 5) {
		model.counts[m->st]--;
		model.counts[st]++;
		m->st = st;
		idx_set_state(x, s, st);
	} else {
		m->hit = what & 1;
		idx_set_hit(x, s, m->hit);
	}
}

static void compare(struct idx *x, struct rng *r)
{
	slot_t s = { 1 + (uint32_t)rng_below(r, SLOTS - 1) };
	const struct model_slot *m = &model.slots[s.n];
	uint32_t block = (uint32_t)rng_below(r, BLOCKS);

	CHECK(idx_find(x, model.blocks[block]).n == model.slot_of[block]);
	CHECK(idx_state(x, s) == m->st);
	if (m->st == SLOT_DEAD) {
		CHECK(!idx_hit(x, s));
		return;
	}
	CHECK(idx_find(x, model.blocks[m->block]).n == s.n);
	CHECK(idx_pblk(x, s).n == model.blocks[m->block].n);
	CHECK(idx_crc(x, s) == m->crc);
	CHECK(idx_hit(x, s) == m->hit);
	CHECK(idx_count(x, m->st) == model.counts[m->st]);
}

static void random_ops(void)
{
	struct rng r = unit_rng();
	struct idx *x = idx_new(SLOTS);

	CU_ASSERT_PTR_NOT_NULL_FATAL(x);
	model_init(&r);
	for (unit_step = 0; unit_step < 3000000; unit_step++) {
		step(x, &r);
		compare(x, &r);
	}
	for (uint32_t i = 0; i < BLOCKS; i++)
		CHECK(idx_find(x, model.blocks[i]).n == model.slot_of[i]);
	for (int st = SLOT_CLEAN; st <= SLOT_LOST; st++)
		CHECK(idx_count(x, (enum slot_state)st) == model.counts[st]);
	idx_free(x);
}

/* Any 40 bits come back as they were, and only what was put is found, whatever the number of slots. */
static void any_block(void)
{
	struct rng r = unit_rng();

	for (unit_step = 0; unit_step < 300; unit_step++) {
		uint32_t nslots = 2 + (uint32_t)rng_below(&r, unit_step % 2 ? 40 : 5000);
		struct idx *x = idx_new(nslots);
		uint64_t first = rng_next(&r) & PBLK_MAX;

		CHECK(x);
		for (uint32_t i = 1; i < nslots; i++) {
			pblk_t p = { (first + i * 0x100000001ull) & PBLK_MAX };

			idx_put(x, (slot_t){i}, p, i, SLOT_DIRTY);
		}
		for (uint32_t i = 1; i < nslots; i++) {
			pblk_t p = { (first + i * 0x100000001ull) & PBLK_MAX };

			CHECK(idx_find(x, p).n == i && idx_pblk(x, (slot_t){i}).n == p.n);
			/* differs in one bit */
			p.n ^= 1ull << rng_below(&r, PBLK_BITS);
			CHECK(!idx_find(x, p).n || idx_pblk(x, idx_find(x, p)).n == p.n);
		}
		idx_free(x);
	}
}

static void sixteen_bytes(void)
{
	struct idx *x = idx_new(1u << 20);

	CU_ASSERT_PTR_NOT_NULL_FATAL(x);
	CU_ASSERT(idx_bytes(x) <= (16ull << 20) + 4096);
	idx_free(x);
}

static void out_of_memory(void)
{
	for (unsigned long nth = 1; nth <= 2; nth++) {
		mem_fail_at(nth);
		CU_ASSERT_PTR_NULL(idx_new(100));
	}
	mem_fail_at(0);
	idx_free(NULL);
}

static void put_twice(void *x)
{
	idx_put(x, (slot_t){2}, (pblk_t){7}, 0, SLOT_CLEAN);
}

static void put_on_live(void *x)
{
	idx_put(x, (slot_t){1}, (pblk_t){8}, 0, SLOT_CLEAN);
}

static void put_on_none(void *x)
{
	idx_put(x, SLOT_NONE, (pblk_t){8}, 0, SLOT_CLEAN);
}

static void drop_dead(void *x)
{
	idx_drop(x, (slot_t){2});
}

static void revive_dead(void *x)
{
	idx_set_state(x, (slot_t){2}, SLOT_CLEAN);
}

static void beyond(void *x)
{
	idx_state(x, (slot_t){10});
}

static void asserts(void)
{
	struct idx *x = idx_new(10);

	CU_ASSERT_PTR_NOT_NULL_FATAL(x);
	idx_put(x, (slot_t){1}, (pblk_t){7}, 0, SLOT_CLEAN);
	CU_ASSERT(unit_dies(put_twice, x));
	CU_ASSERT(unit_dies(put_on_live, x));
	CU_ASSERT(unit_dies(put_on_none, x));
	CU_ASSERT(unit_dies(drop_dead, x));
	CU_ASSERT(unit_dies(revive_dead, x));
	CU_ASSERT(unit_dies(beyond, x));
	idx_free(x);
}

const struct hb_suite suite_index = { "index", (CU_TestInfo[]){
	{ "random_ops", random_ops },
	{ "any_block", any_block },
	{ "sixteen_bytes", sixteen_bytes },
	{ "out_of_memory", out_of_memory },
	{ "asserts", asserts },
	CU_TEST_INFO_NULL
} };

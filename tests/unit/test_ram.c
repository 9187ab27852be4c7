/* SPDX-License-Identifier: GPL-2.0-only */
/* test_ram.c - the RAM tier against a plain list of frames, with either policy. */
#include "suites.h"

#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "cache/ram.h"

#define FRAMES 100u
#define BLOCKS 250u			/* 1 .. BLOCKS - 1; 0 is "none" */

enum state { FREE, TAKEN, CACHED, LEAKED };

struct model_frame {
	struct frame *f;
	enum state st;
	uint64_t block;			/* while CACHED */
	uint32_t pins;
	uint64_t stamp;			/* what its first and last bytes hold */
};

static struct {
	struct model_frame frames[FRAMES];	/* in the order in which they were first seen */
	uint32_t seen, cached, leaked;
} model;

static const struct policy_ops *const policies[] = { &policy_s3fifo, &policy_lru };

static struct model_frame *model_of(struct frame *f)
{
	uint32_t i = 0;

	while (i < model.seen && model.frames[i].f != f)
		i++;
	CHECK(i < FRAMES);
	if (i == model.seen)
		model.frames[model.seen++].f = f;
	return &model.frames[i];
}

static struct model_frame *model_find(uint64_t block)
{
	for (uint32_t i = 0; i < model.seen; i++)
		if (model.frames[i].st == CACHED && model.frames[i].block == block)
			return &model.frames[i];
	return NULL;
}

static uint32_t model_count(enum state st, bool unpinned)
{
	uint32_t n = st == FREE ? FRAMES - model.seen : 0;

	for (uint32_t i = 0; i < model.seen; i++)
		n += model.frames[i].st == st && !(unpinned && model.frames[i].pins);
	return n;
}

static void stamp(struct ram *r, struct model_frame *m, uint64_t value)
{
	char *data = ram_data(r, m->f);

	m->stamp = value;
	CHECK((uintptr_t)data % BLK_BYTES == 0);
	put_le64(data, value);
	put_le64(data + BLK_BYTES - 8, value);
}

static bool stamp_ok(struct ram *r, const struct model_frame *m)
{
	const char *data = ram_data(r, m->f);

	return get_le64(data) == m->stamp && get_le64(data + BLK_BYTES - 8) == m->stamp;
}

static void take(struct ram *r, struct rng *rng)
{
	uint32_t unused = model_count(FREE, false), evictable = model_count(CACHED, true);
	pblk_t victim = {12345};
	bool earned = false;
	struct frame *f = ram_take(r, &victim, &earned);
	struct model_frame *m;

	CHECK(!f == !(unused + evictable));
	if (!f)
		return;
	m = model_of(f);
	CHECK(f->earned == earned && f->pins == 1 && !f->cached);
	if (unused) {
		CHECK(victim.n == 0 && m->st == FREE && !earned);
	} else {
		CHECK(m->st == CACHED && m->block == victim.n && !m->pins);
		CHECK(stamp_ok(r, m));	/* the victim's bytes are still there */
		model.cached--;
	}
	m->st = TAKEN;
	m->pins = 1;
	stamp(r, m, rng_next(rng));
}

static void unpin(struct ram *r, struct model_frame *m)
{
	if (--m->pins == 0 && m->st == TAKEN)
		m->st = FREE;
	ram_unpin(r, m->f);
}

static void step_taken(struct ram *r, struct rng *rng, struct model_frame *m, uint64_t block)
{
	uint32_t what = (uint32_t)rng_below(rng, 1000);

	if (what < 2 && model.leaked < 10) {
		m->st = LEAKED;
		model.leaked++;
		ram_leak(r, m->f);
	} else if (what < 300) {
		unpin(r, m);
	} else if (!model_find(block)) {
		m->st = CACHED;
		m->block = block;
		model.cached++;
		ram_insert(r, m->f, (pblk_t){block});
	}
}

static void step_cached(struct ram *r, struct rng *rng, struct model_frame *m)
{
	uint32_t what = (uint32_t)rng_below(rng, 100);

	CHECK(stamp_ok(r, m));
	if (what < 50) {
		ram_hit(r, m->f);
	} else if (what < 60) {
		m->st = m->pins ? TAKEN : FREE;
		model.cached--;
		ram_remove(r, m->f);
	} else if (m->pins && what < 85) {
		unpin(r, m);
	} else {
		m->pins++;
		ram_pin(m->f);
	}
}

static void step(struct ram *r, struct rng *rng)
{
	uint64_t block = 1 + rng_below(rng, BLOCKS - 1);
	struct model_frame *m = model_find(block);
	struct frame *f = ram_find(r, (pblk_t){block});

	CHECK(f == (m ? m->f : NULL));
	CHECK(!f || (f->cached && f->pblk.n == block && f->pins == m->pins));
	if (m && rng_below(rng, 2)) {
		step_cached(r, rng, m);
	} else if (!rng_below(rng, 3) || !model.seen) {
		take(r, rng);
	} else {
		m = &model.frames[rng_below(rng, model.seen)];
		if (m->st == TAKEN)
			step_taken(r, rng, m, block);
		else if (m->st == CACHED)
			step_cached(r, rng, m);
	}
	CHECK(ram_cached(r) == model.cached && ram_leaked(r) == model.leaked);
}

static void random_ops(void)
{
	struct rng rng = unit_rng();

	unit_step = 0;
	for (size_t i = 0; i < ARRAY_LEN(policies); i++) {
		struct ram *r = ram_new(FRAMES * BLK_BYTES + 4095, policies[i]);

		CU_ASSERT_PTR_NOT_NULL_FATAL(r);
		memset(&model, 0, sizeof(model));
		CU_ASSERT_EQUAL(ram_frames(r), FRAMES);
		for (int k = 0; k < 1000000; k++, unit_step++)
			step(r, &rng);
		CHECK(model_count(CACHED, false) == model.cached && model.seen == FRAMES);
		ram_free(r);
	}
}

/* As long as one frame is neither pinned nor leaked, a frame can be had; and again as soon as one is unpinned. */
static void all_pinned(void)
{
	for (size_t i = 0; i < ARRAY_LEN(policies); i++) {
		struct ram *r = ram_new(FRAMES * BLK_BYTES, policies[i]);
		struct frame *f, *held[FRAMES];
		pblk_t victim;
		bool earned;

		CU_ASSERT_PTR_NOT_NULL_FATAL(r);
		for (uint32_t k = 0; k < FRAMES; k++) {
			held[k] = ram_take(r, &victim, &earned);
			CHECK(held[k]);
			ram_insert(r, held[k], (pblk_t){k + 1});
		}
		for (unit_step = 0; unit_step < 1000; unit_step++) {
			uint32_t k = unit_step * 7 % FRAMES;

			CHECK(!ram_take(r, &victim, &earned));
			ram_pin(held[k]);
			ram_unpin(r, held[k]);
			CHECK(!ram_take(r, &victim, &earned));
			ram_unpin(r, held[k]);
			f = ram_take(r, &victim, &earned);
			CHECK(f == held[k] && victim.n == k + 1);
			ram_insert(r, f, victim);
		}
		ram_free(r);
	}
}

/* A device that answers late may write into a leaked frame even after the pool was closed. */
static void leaked_outlives(void)
{
	struct ram *r = ram_new(64 * BLK_BYTES, &policy_s3fifo);
	struct frame *f;
	pblk_t victim;
	bool earned;
	char *data;

	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	f = ram_take(r, &victim, &earned);
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	data = ram_data(r, f);
	ram_leak(r, f);
	ram_free(r);
	memset(data, 1, BLK_BYTES);
	CU_ASSERT_EQUAL(data[BLK_BYTES - 1], 1);
}

static void sizes(void)
{
	struct ram *r = ram_new(MIB(4), &policy_s3fifo);

	CU_ASSERT_PTR_NULL(ram_new(0, &policy_s3fifo));
	CU_ASSERT_PTR_NULL(ram_new(64 * BLK_BYTES - 1, &policy_s3fifo));
	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	CU_ASSERT_EQUAL(ram_frames(r), 1024);
	CU_ASSERT(ram_bytes(r) < MIB(4) / 50);	/* bookkeeping stays below 2 % */
	ram_free(r);
	ram_free(NULL);
}

static void out_of_memory(void)
{
	for (unsigned long nth = 1; nth <= 5; nth++) {
		mem_fail_at(nth);
		CU_ASSERT_PTR_NULL(ram_new(MIB(1), &policy_s3fifo));
	}
	mem_fail_at(0);
}

/* ------------------------------------------------------------------ what the caller must not do */
static struct ram *dying;

static void insert_twice(void *f)
{
	pblk_t victim;
	bool earned;

	(void)f;
	ram_insert(dying, ram_take(dying, &victim, &earned), (pblk_t){7});
}

static void unpin_once_more(void *f)
{
	ram_unpin(dying, f);
	ram_unpin(dying, f);
}

static void leak_cached(void *f)
{
	ram_leak(dying, f);
}

static void remove_twice(void *f)
{
	ram_remove(dying, f);
	ram_remove(dying, f);
}

static void pin_free(void *f)
{
	ram_remove(dying, f);
	ram_unpin(dying, f);
	ram_pin(f);
}

static void asserts(void)
{
	struct frame *f;
	pblk_t victim;
	bool earned;

	dying = ram_new(MIB(1), &policy_lru);
	CU_ASSERT_PTR_NOT_NULL_FATAL(dying);
	f = ram_take(dying, &victim, &earned);
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	ram_insert(dying, f, (pblk_t){7});
	CU_ASSERT(unit_dies(insert_twice, f));
	CU_ASSERT(unit_dies(unpin_once_more, f));
	CU_ASSERT(unit_dies(leak_cached, f));
	CU_ASSERT(unit_dies(remove_twice, f));
	CU_ASSERT(unit_dies(pin_free, f));
	ram_free(dying);
}

const struct hb_suite suite_ram = { "ram", (CU_TestInfo[]){
	{ "random_ops", random_ops },
	{ "all_pinned", all_pinned },
	{ "leaked_outlives", leaked_outlives },
	{ "sizes", sizes },
	{ "out_of_memory", out_of_memory },
	{ "asserts", asserts },
	CU_TEST_INFO_NULL
} };

/* SPDX-License-Identifier: GPL-2.0-only */
/* test_ram.c - the RAM tier against a plain list of frames, with either policy. */
#include "suites.h"

#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "cache/ram.h"

#define FRAMES 100u
#define BLOCKS 250u			/* 1 .. BLOCKS - 1; 0 is "none" */
#define OWNERS 4u			/* 1 .. OWNERS - 1 have floors */

enum state { FREE, TAKEN, CACHED, LEAKED };

struct model_frame {
	struct frame *f;
	enum state st;
	uint64_t block;			/* while CACHED */
	uint32_t pins;
	uint64_t stamp;			/* what its first and last bytes hold */
	uint8_t owner;			/* while CACHED */
};

static struct {
	struct model_frame frames[FRAMES];	/* in the order in which they were first seen */
	uint32_t seen, cached, leaked;
} model;

static const struct policy_ops *const policies[] = { &policy_tuned, &policy_s3fifo, &policy_lru };

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
		m->owner = 0;
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

/* Frames change hands, floors change: all together leave half of the frames. */
static void step_owners(struct ram *r, struct rng *rng, struct model_frame *m)
{
	uint32_t owned[OWNERS] = {0};

	if (!rng_below(rng, 50)) {
		uint8_t owner = (uint8_t)(1 + rng_below(rng, OWNERS - 1));

		CHECK(ram_floor(r, owner, (uint32_t)rng_below(rng, FRAMES / 6)) == 0);
	} else if (m->st == CACHED) {
		m->owner = (uint8_t)rng_below(rng, OWNERS);
		ram_own(r, m->f, m->owner);
	}
	for (uint32_t i = 0; i < model.seen; i++)
		if (model.frames[i].st == CACHED)
			owned[model.frames[i].owner]++;
	for (uint8_t i = 1; i < OWNERS; i++)
		CHECK(ram_owned(r, i) == owned[i]);
}

static void step(struct ram *r, struct rng *rng, bool owners)
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
	if (owners && model.seen && !rng_below(rng, 4))
		step_owners(r, rng, &model.frames[rng_below(rng, model.seen)]);
	CHECK(ram_cached(r) == model.cached && ram_leaked(r) == model.leaked);
}

static void random_ops(void)
{
	struct rng rng = unit_rng();

	unit_step = 0;
	for (size_t i = 0; i < 2 * ARRAY_LEN(policies); i++) {
		struct ram *r = ram_new(FRAMES * BLK_BYTES + 4095, policies[i / 2]);

		CU_ASSERT_PTR_NOT_NULL_FATAL(r);
		memset(&model, 0, sizeof(model));
		CU_ASSERT_EQUAL(ram_frames(r), FRAMES);
		for (uint8_t o = 1; i % 2 && o < OWNERS; o++)
			CU_ASSERT_EQUAL(ram_floor(r, o, FRAMES / 8), 0);
		for (int k = 0; k < 1000000; k++, unit_step++)
			step(r, &rng, i % 2);
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

/* ------------------------------------------------------------------ floors */
static void ask(struct ram *r, uint64_t block, uint8_t owner)
{
	struct frame *f = ram_find(r, (pblk_t){block});
	pblk_t victim;
	bool earned;

	if (f) {
		ram_hit(r, f);
		return;
	}
	f = ram_take(r, &victim, &earned);
	CHECK(f);
	ram_insert(r, f, (pblk_t){block});
	if (owner)
		ram_own(r, f, owner);
	ram_unpin(r, f);
}

static uint32_t there(struct ram *r, uint64_t first, uint32_t n)
{
	uint32_t found = 0;

	for (uint32_t i = 0; i < n; i++)
		found += ram_find(r, (pblk_t){first + i}) != NULL;
	return found;
}

/* What others ask for takes nothing from one that is not above its floor, however long nobody asks it for anything. */
static void floor_holds(void)
{
	struct rng rng = unit_rng();

	for (size_t i = 0; i < ARRAY_LEN(policies); i++) {
		struct ram *r = ram_new(FRAMES * BLK_BYTES, policies[i]);

		CU_ASSERT_PTR_NOT_NULL_FATAL(r);
		CU_ASSERT_EQUAL(ram_floor(r, 1, 30), 0);
		CU_ASSERT_EQUAL(ram_floor(r, 2, 20), 0);
		for (uint64_t b = 1; b <= 60; b++) /* twice its floor */
			ask(r, b, 1);
		for (uint64_t b = 101; b <= 115; b++) /* less than its floor */
			ask(r, b, 2);
		for (unit_step = 0; unit_step < 20000; unit_step++) {
			ask(r, 1000 + rng_below(&rng, 100000), 0);
			CHECK(ram_owned(r, 1) >= 30 && ram_owned(r, 2) == 15);
		}
		CU_ASSERT_EQUAL(ram_owned(r, 1), 30);
		CU_ASSERT_EQUAL(there(r, 1, 60), 30);
		CU_ASSERT_EQUAL(there(r, 101, 15), 15);
		ram_free(r);
	}
}

/* In its room an owner keeps what it uses, and what it uses no more goes. */
static void floor_moves_on(void)
{
	struct rng rng = unit_rng();

	for (size_t i = 0; i < ARRAY_LEN(policies); i++) {
		struct ram *r = ram_new(FRAMES * BLK_BYTES, policies[i]);

		CU_ASSERT_PTR_NOT_NULL_FATAL(r);
		CU_ASSERT_EQUAL(ram_floor(r, 1, 30), 0);
		for (unit_step = 0; unit_step < 40000; unit_step++) {
			uint64_t first = unit_step < 20000 ? 1 : 501;

			ask(r, 1000 + rng_below(&rng, 100000), 0);
			ask(r, first + rng_below(&rng, 25), 1);
			if (unit_step % 100 == 0) /* one that is asked for once */
				ask(r, 200001 + unit_step, 1);
			if (unit_step % 20000 > 10000)
				CHECK(there(r, first, 25) >= 24 && ram_owned(r, 1) >= 30);
		}
		CU_ASSERT_EQUAL(there(r, 1, 25), 0);
		ram_free(r);
	}
}

/* Raised and lowered while frames are there, which move when they are owned again; at last nobody's. */
static void floor_changes(void)
{
	struct ram *r = ram_new(FRAMES * BLK_BYTES, &policy_tuned);
	uint64_t next = 1000;

	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	for (uint64_t b = 1; b <= FRAMES; b++)
		ask(r, b, 0);
	CU_ASSERT_EQUAL(ram_floor(r, 1, 40), 0);
	for (uint64_t b = 1; b <= 50; b++)
		ram_own(r, ram_find(r, (pblk_t){b}), 1);
	CU_ASSERT_EQUAL(ram_owned(r, 1), 50);
	for (int i = 0; i < 1000; i++)
		ask(r, next++, 0);
	CU_ASSERT_EQUAL(ram_owned(r, 1), 40);
	CU_ASSERT_EQUAL(ram_floor(r, 1, 10), 0);
	for (uint64_t b = 1; b <= 50; b++)
		if (ram_find(r, (pblk_t){b}))
			ram_own(r, ram_find(r, (pblk_t){b}), 1);
	for (int i = 0; i < 1000; i++)
		ask(r, next++, 0);
	CU_ASSERT_EQUAL(ram_owned(r, 1), 10);
	CU_ASSERT_EQUAL(ram_floor(r, 1, 50), 0); /* more room than it has: it keeps what it has */
	for (int i = 0; i < 1000; i++)
		ask(r, next++, 0);
	CU_ASSERT_EQUAL(ram_owned(r, 1), 10);
	CU_ASSERT_EQUAL(ram_floor(r, 1, 0), 0);
	for (uint64_t b = 1; b <= 50; b++)
		if (ram_find(r, (pblk_t){b}))
			ram_own(r, ram_find(r, (pblk_t){b}), 0);
	CU_ASSERT_EQUAL(ram_owned(r, 1), 0);
	for (int i = 0; i < 1000; i++)
		ask(r, next++, 0);
	CU_ASSERT_EQUAL(there(r, 1, 50), 0);
	ram_free(r);
}

/* All that is not under guard is pinned: then that gives way, and nothing else does. */
static void floor_gives_way(void)
{
	struct ram *r = ram_new(FRAMES * BLK_BYTES, &policy_tuned);
	struct frame *f;
	pblk_t victim;
	bool earned;

	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	CU_ASSERT_EQUAL(ram_floor(r, 7, 50), 0);
	for (uint64_t b = 1; b <= 50; b++)
		ask(r, b, 7);
	for (uint64_t b = 51; b <= 100; b++) {
		ask(r, b, 0);
		ram_pin(ram_find(r, (pblk_t){b}));
	}
	for (uint64_t b = 1; b <= 50; b++)
		if (b != 33)
			ram_pin(ram_find(r, (pblk_t){b}));
	f = ram_take(r, &victim, &earned);
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL(victim.n, 33);
	CU_ASSERT_EQUAL(ram_owned(r, 7), 49);
	CU_ASSERT_PTR_NULL(ram_take(r, &victim, &earned));
	ram_free(r);
	r = ram_new(FRAMES * BLK_BYTES, &policy_tuned);
	mem_fail_at(1);
	CU_ASSERT_EQUAL(ram_floor(r, 1, 10), -ENOMEM);
	mem_fail_at(0);
	ask(r, 1, 1); /* nobody's, then */
	CU_ASSERT_EQUAL(ram_owned(r, 1), 0);
	ram_free(r);
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
	{ "floor_holds", floor_holds },
	{ "floor_moves_on", floor_moves_on },
	{ "floor_changes", floor_changes },
	{ "floor_gives_way", floor_gives_way },
	{ "leaked_outlives", leaked_outlives },
	{ "sizes", sizes },
	{ "out_of_memory", out_of_memory },
	{ "asserts", asserts },
	CU_TEST_INFO_NULL
} };

/* SPDX-License-Identifier: GPL-2.0-only */
/* test_dirty.c - the dirty set against an array of bytes. */
#include "suites.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "cache/dirty.h"

/* The model: four windows of the pool; what lies between them is never set. Window ends are chosen so that the tree's
 * borders (leaf, nodes of each height, the last block) lie within. */
#define WINDOW 4096u
#define WINDOWS 4u

static const uint64_t window_first[WINDOWS] = {
	0, (1ull << 21) - 2048, (1ull << 33) - 1000, PBLK_MAX + 1 - WINDOW
};
static uint8_t model[WINDOWS * WINDOW];
static uint64_t model_count;

static uint64_t block_of(uint32_t i)
{
	return window_first[i / WINDOW] + i % WINDOW;
}

static uint32_t model_next(uint32_t i)
{
	while (i < sizeof(model) && !model[i])
		i++;
	return i;
}

static uint64_t model_run(uint32_t i, uint64_t max)
{
	uint32_t n = i;

	/* A window's end is followed by nothing. */
	while (n < sizeof(model) && n - i < max && n / WINDOW == i / WINDOW && model[n])
		n++;
	return n - i;
}

static void model_set(struct dirty *d, uint32_t i, bool set)
{
	model_count += (uint64_t)set - model[i];
	model[i] = set;
	if (set)
		CHECK(dirty_set(d, (pblk_t){block_of(i)}) == 0);
	else
		dirty_clear(d, (pblk_t){block_of(i)});
}

static void compare(const struct dirty *d, struct rng *r, uint32_t i)
{
	pblk_t p = {block_of(i)}, next = {0};
	uint64_t max = rng_below(r, 2) ? rng_below(r, 40) : rng_next(r);
	uint32_t want = model_next(i);

	CHECK(dirty_test(d, p) == model[i]);
	CHECK(dirty_count(d) == model_count);
	CHECK(dirty_run(d, p, max) == model_run(i, max));
	CHECK(dirty_next(d, p, &next) == (want < sizeof(model)));
	CHECK(want == sizeof(model) || next.n == block_of(want));
}

/* Sets and clears single blocks and runs; now and then nearly everything goes. */
static void random_ops(void)
{
	struct rng r = unit_rng();
	struct dirty *d = dirty_new();
	uint64_t empty_bytes;

	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	empty_bytes = dirty_bytes(d);
	memset(model, 0, sizeof(model));
	model_count = 0;
	for (unit_step = 0; unit_step < 400000; unit_step++) {
		uint32_t i = (uint32_t)rng_below(&r, sizeof(model));
		uint64_t len = rng_below(&r, 4) ? 1 : rng_below(&r, 200);
		bool set = rng_below(&r, 100) < (unit_step / 20000 % 2 ? 20 : 60);

		for (; len && i < sizeof(model); len--, i++)
			model_set(d, i, set);
		compare(d, &r, (uint32_t)rng_below(&r, sizeof(model)));
		compare(d, &r, MIN(i, (uint32_t)sizeof(model) - 1));
	}
	for (uint32_t i = 0; i < sizeof(model); i++) {
		unit_step = i;
		compare(d, &r, i);
	}
	for (uint32_t i = 0; i < sizeof(model); i++)
		model_set(d, i, false);
	CHECK(dirty_count(d) == 0 && dirty_bytes(d) == empty_bytes);	/* nothing empty is kept */
	dirty_free(d);
}

/* Between the windows: nothing is there, and the next member is found across the gap. */
static void gaps(void)
{
	struct dirty *d = dirty_new();
	pblk_t p = {99};

	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	CU_ASSERT(!dirty_next(d, (pblk_t){0}, &p));
	CU_ASSERT(!dirty_test(d, (pblk_t){PBLK_MAX}));
	dirty_clear(d, (pblk_t){5});
	CU_ASSERT(dirty_set(d, (pblk_t){5}) == 0);
	CU_ASSERT(!dirty_test(d, (pblk_t){PBLK_MAX}) && !dirty_test(d, (pblk_t){512 + 5}));
	dirty_clear(d, (pblk_t){512 + 5});
	dirty_clear(d, (pblk_t){(1ull << 39) + 5});
	CU_ASSERT(dirty_test(d, (pblk_t){5}));
	CU_ASSERT(!dirty_next(d, (pblk_t){6}, &p) && !dirty_next(d, (pblk_t){1ull << 39}, &p));
	CU_ASSERT(p.n == 99);
	for (unsigned int bit = 3; bit < PBLK_BITS; bit++) {
		CU_ASSERT(dirty_set(d, (pblk_t){1ull << bit}) == 0);
		CU_ASSERT(dirty_next(d, (pblk_t){(1ull << (bit - 1)) + 3}, &p) && p.n == 1ull << bit);
		CU_ASSERT(dirty_run(d, p, UINT64_MAX) == 1);
		CU_ASSERT(dirty_run(d, p, 0) == 0);
	}
	CU_ASSERT(dirty_count(d) == PBLK_BITS - 3 + 1);
	dirty_free(d);
	dirty_free(NULL);
}

/* Every allocation of every insertion fails once: nothing changes then, and the set stays sound. */
static void out_of_memory(void)
{
	struct rng r = unit_rng();
	struct dirty *d;
	unsigned long made;

	mem_fail_at(1);
	CU_ASSERT_PTR_NULL(dirty_new());
	mem_fail_at(0);
	d = dirty_new();
	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	memset(model, 0, sizeof(model));
	model_count = 0;
	for (unit_step = 0; unit_step < 3000; unit_step++) {
		uint32_t i = (uint32_t)rng_below(&r, sizeof(model));
		int rc = -ENOMEM;

		for (unsigned long nth = 1; rc; nth++) {
			mem_fail_at(nth);
			rc = dirty_set(d, (pblk_t){block_of(i)});
			made = mem_fail_at(0);
			CHECK(rc == (made < nth ? 0 : -ENOMEM));
			model_count += !rc && !model[i];
			model[i] |= !rc;
			compare(d, &r, i);
			compare(d, &r, (uint32_t)rng_below(&r, sizeof(model)));
		}
		for (unsigned int k = 0; k < 3; k++)
			model_set(d, model_next(i) % sizeof(model), false);
	}
	dirty_free(d);
}

const struct hb_suite suite_dirty = { "dirty", (CU_TestInfo[]){
	{ "random_ops", random_ops },
	{ "gaps", gaps },
	{ "out_of_memory", out_of_memory },
	CU_TEST_INFO_NULL
} };

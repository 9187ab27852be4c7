/* SPDX-License-Identifier: GPL-2.0-only */
/* test_pages.c - the pages of the metadata area against an array of states. */
#include "suites.h"

#include <string.h>

#include "base/mem.h"
#include "space/pages.h"

#define PAGES_MAX 3000u

enum state { FREE, FRESH, USED, LATE, OWN };

static struct {
	uint32_t count, free;
	enum state st[PAGES_MAX];
} model;

static struct pages *start(uint32_t count)
{
	struct pages *p = pages_new(count);

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	memset(&model, 0, sizeof(model));
	model.count = model.free = count;
	return p;
}

static uint32_t model_lowest(void)
{
	for (uint32_t n = 0; n < model.count; n++)
		if (model.st[n] == FREE)
			return n;
	return PAGE_NONE;
}

static uint32_t model_high(void)
{
	uint32_t n = model.count;

	while (n && model.st[n - 1] == FREE)
		n--;
	return n;
}

static void change_all(enum state from, enum state to)
{
	for (uint32_t n = 0; n < model.count; n++) {
		if (model.st[n] == from) {
			model.st[n] = to;
			model.free += to == FREE;
		}
	}
}

static void step(struct pages *p, struct rng *r, bool fill)
{
	uint32_t n = (uint32_t)rng_below(r, model.count), what = (uint32_t)rng_below(r, 1000);

	if (what < 4) {
		pages_begin(p);
		change_all(LATE, OWN);
	} else if (what < 8) {
		pages_commit(p);
		change_all(OWN, FREE);
	} else if (what < 10) {
		pages_rooted(p);
		change_all(FRESH, USED);
	} else if (what < (fill ? 700 : 300)) {
		uint32_t want = model_lowest();

		CHECK(pages_take(p) == want);
		if (want != PAGE_NONE) {
			model.st[want] = FRESH;
			model.free--;
		}
	} else if (what < 720) {
		CHECK(pages_mark(p, n) == (model.st[n] == FREE));
		model.free -= model.st[n] == FREE;
		if (model.st[n] == FREE)
			model.st[n] = USED;
	} else if (model.st[n] == USED) {
		pages_retire(p, n);
		model.st[n] = LATE;
	} else if (model.st[n] == FRESH) {
		pages_retire(p, n);
		model.st[n] = FREE;
		model.free++;
	}
}

static void random_ops(void)
{
	static const uint32_t counts[] = { 1, 64, 65, 1000, PAGES_MAX };
	struct rng r = unit_rng();

	unit_step = 0;
	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		struct pages *p = start(counts[i]);

		for (int k = 0; k < 100000; k++, unit_step++) {
			step(p, &r, k / 10000 % 2);
			CHECK(pages_free_count(p) == model.free);
			CHECK(pages_high(p) == model_high());
		}
		CHECK(pages_count(p) == model.count);
		CHECK(!pages_mark(p, model.count) && !pages_mark(p, PAGE_NONE));
		pages_free(p);
	}
}

/* A page retired while a checkpoint is being written is still reachable by its root: it waits for the next one. */
static void late_pages_wait(void)
{
	struct pages *p = start(4);

	for (uint32_t i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(pages_take(p), i);
	pages_rooted(p);
	pages_retire(p, 1);
	CU_ASSERT_EQUAL(pages_take(p), PAGE_NONE);
	pages_begin(p);
	pages_retire(p, 2);
	CU_ASSERT_EQUAL(pages_take(p), PAGE_NONE);
	pages_commit(p);
	CU_ASSERT_EQUAL(pages_take(p), 1);
	CU_ASSERT_EQUAL(pages_take(p), PAGE_NONE);
	pages_commit(p);	/* without a beginning: nothing is its own */
	CU_ASSERT_EQUAL(pages_take(p), PAGE_NONE);
	pages_begin(p);
	pages_begin(p);		/* the first one failed */
	pages_commit(p);
	CU_ASSERT_EQUAL(pages_take(p), 2);
	pages_free(p);
}

/* What a checkpoint took that ran out of pages is nobody's when it is retired, whatever becomes of the next one. */
static void failed_attempt(void)
{
	struct pages *p = start(3);

	CU_ASSERT(pages_mark(p, 0));
	pages_begin(p);
	CU_ASSERT_EQUAL(pages_take(p), 1);
	CU_ASSERT_EQUAL(pages_take(p), 2);
	CU_ASSERT_EQUAL(pages_take(p), PAGE_NONE);
	pages_retire(p, 2);
	CU_ASSERT_EQUAL(pages_take(p), 2);
	pages_rooted(p);
	pages_retire(p, 2);
	pages_retire(p, 0);
	CU_ASSERT_EQUAL(pages_take(p), PAGE_NONE);
	pages_free(p);
}

static void out_of_memory(void)
{
	for (unsigned long nth = 1; nth <= 5; nth++) {
		mem_fail_at(nth);
		CU_ASSERT_PTR_NULL(pages_new(1000));
	}
	mem_fail_at(0);
	pages_free(NULL);
}

static void retire_free(void *p)
{
	pages_retire(p, 1);
}

static void retire_twice(void *p)
{
	pages_retire(p, 0);
	pages_retire(p, 0);
}

static void retire_own(void *p)
{
	pages_retire(p, 0);
	pages_begin(p);
	pages_retire(p, 0);
}

static void asserts(void)
{
	struct pages *p = start(10);

	CU_ASSERT(pages_mark(p, 0));
	CU_ASSERT(unit_dies(retire_free, p));
	CU_ASSERT(unit_dies(retire_twice, p));
	CU_ASSERT(unit_dies(retire_own, p));
	pages_free(p);
}

const struct hb_suite suite_pages = { "pages", (CU_TestInfo[]){
	{ "random_ops", random_ops },
	{ "late_pages_wait", late_pages_wait },
	{ "failed_attempt", failed_attempt },
	{ "out_of_memory", out_of_memory },
	{ "asserts", asserts },
	CU_TEST_INFO_NULL
} };

/* SPDX-License-Identifier: GPL-2.0-only */
/* test_chunks.c - chunks against an array of states. */
#include "suites.h"

#include <errno.h>

#include <string.h>

#include "base/mem.h"
#include "space/chunks.h"

#define CHUNKS_MAX 5000u

enum state { FREE, TAKEN, REFERENCED, LIMBO };

static struct {
	uint32_t first, count, cursor;
	enum state st[CHUNKS_MAX];
	uint32_t refs[CHUNKS_MAX];
	uint32_t free, limbo;
} model;

static struct chunks *start(uint32_t first, uint32_t count)
{
	struct chunks *c = chunks_new((chunk_t){first}, count);

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	memset(&model, 0, sizeof(model));
	model.first = first;
	model.count = model.free = count;
	return c;
}

/* What chunks_take must answer; UINT32_MAX: none. */
static uint32_t model_choose(uint32_t near)
{
	if (near >= model.first && near - model.first < model.count && model.st[near - model.first] == FREE)
		return near - model.first;
	for (uint32_t i = 0; i < model.count; i++) {
		uint32_t n = (model.cursor + i) % model.count;

		if (model.st[n] == FREE)
			return n;
	}
	return UINT32_MAX;
}

static void take(struct chunks *c, struct rng *r)
{
	uint32_t near = rng_below(r, 2) ? 0 : model.first - 1 + (uint32_t)rng_below(r, model.count + 2);
	uint32_t want = model_choose(near);
	chunk_t k = chunks_take(c, (chunk_t){near});

	CHECK(k.n == (want == UINT32_MAX ? 0 : model.first + want));
	if (want == UINT32_MAX)
		return;
	model.st[want] = TAKEN;
	model.cursor = want + 1;
	model.free--;
}

static void release(struct chunks *c, uint32_t n)
{
	model.limbo -= model.st[n] == LIMBO;
	model.st[n] = FREE;
	model.free++;
	chunks_release(c, (chunk_t){model.first + n});
}

static void ref(struct chunks *c, uint32_t n)
{
	model.free -= model.st[n] == FREE;
	model.st[n] = REFERENCED;
	model.refs[n]++;
	chunks_ref(c, (chunk_t){model.first + n});
}

static void unref(struct chunks *c, uint32_t n)
{
	bool last = --model.refs[n] == 0;

	if (last) {
		model.st[n] = LIMBO;
		model.limbo++;
	}
	CHECK(chunks_unref(c, (chunk_t){model.first + n}) == last);
}

static void step(struct chunks *c, struct rng *r, bool fill)
{
	uint32_t n = (uint32_t)rng_below(r, model.count);

	if (rng_below(r, 3) < (fill ? 2 : 1)) {
		take(c, r);
		return;
	}
	switch (model.st[n]) {
	case FREE:
		if (!rng_below(r, 20))
			ref(c, n);
		break;
	case TAKEN:
		(rng_below(r, 4) ? ref : release)(c, n);
		break;
	case REFERENCED:
		(rng_below(r, 3) ? unref : ref)(c, n);
		break;
	case LIMBO:
		release(c, n);
		break;
	}
}

static void compare(struct chunks *c, uint32_t n)
{
	CHECK(chunks_refs(c, (chunk_t){model.first + n}) == model.refs[n]);
	CHECK(chunks_free_count(c) == model.free);
	CHECK(chunks_limbo_count(c) == model.limbo);
	CHECK(chunks_total(c) == model.count);
}

static void random_ops(void)
{
	static const uint32_t counts[] = { 1, 63, 64, 65, 700, 4096, 4097, CHUNKS_MAX };
	struct rng r = unit_rng();

	unit_step = 0;
	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		struct chunks *c = start(1 + (uint32_t)rng_below(&r, 100000), counts[i]);

		for (int k = 0; k < 100000; k++, unit_step++) {
			step(c, &r, k / 10000 % 2);
			compare(c, (uint32_t)rng_below(&r, model.count));
		}
		chunks_free(c);
	}
}

static void fill_and_empty(void)
{
	struct chunks *c = start(3, CHUNKS_MAX);

	CU_ASSERT(!chunks_exists(c, (chunk_t){2}) && !chunks_exists(c, (chunk_t){3 + CHUNKS_MAX}));
	CU_ASSERT(chunks_exists(c, (chunk_t){3}) && chunks_exists(c, (chunk_t){2 + CHUNKS_MAX}));
	for (uint32_t i = 0; i < CHUNKS_MAX; i++)
		CHECK(chunks_take(c, CHUNK_NONE).n == 3 + i);
	CU_ASSERT_EQUAL(chunks_take(c, CHUNK_NONE).n, 0);
	CU_ASSERT_EQUAL(chunks_take(c, (chunk_t){7}).n, 0);
	chunks_release(c, (chunk_t){7});
	CU_ASSERT_EQUAL(chunks_take(c, (chunk_t){9}).n, 7);
	/* A chunk in limbo is not given out. */
	chunks_ref(c, (chunk_t){7});
	CU_ASSERT(chunks_unref(c, (chunk_t){7}));
	CU_ASSERT_EQUAL(chunks_take(c, (chunk_t){7}).n, 0);
	CU_ASSERT(chunks_bytes(c) > CHUNKS_MAX * 4);
	chunks_free(c);
}

/* Around powers of 64, where the levels of the free set are full to the last bit. */
static void full_levels(void)
{
	static const uint32_t counts[] = { 64, 65, 4095, 4096, 4097, 262143, 262144, 262145 };

	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		struct chunks *c = chunks_new((chunk_t){1}, counts[i]);

		CU_ASSERT_PTR_NOT_NULL_FATAL(c);
		for (uint32_t n = 1; n <= counts[i]; n++)
			CHECK(chunks_take(c, CHUNK_NONE).n == n);
		for (uint32_t n = 1; n <= counts[i]; n += n / 3 + 1) {
			CHECK(chunks_take(c, CHUNK_NONE).n == 0);
			chunks_release(c, (chunk_t){n});
			CHECK(chunks_free_count(c) == 1 && chunks_take(c, CHUNK_NONE).n == n);
			/* and with the last allocation at the end, or next to it */
			chunks_release(c, (chunk_t){counts[i] - n % 2});
			CHECK(chunks_take(c, (chunk_t){counts[i] - n % 2}).n == counts[i] - n % 2);
		}
		chunks_free(c);
	}
}

/* What is free stays free, what is referenced stays so; what is new is free. */
static void grow(void)
{
	struct chunks *c = start(5, 100);

	for (uint32_t k = 5; k < 105; k += 3)
		chunks_ref(c, (chunk_t){k});
	for (unsigned long nth = 1; nth <= 2; nth++) {
		mem_fail_at(nth);
		CU_ASSERT_EQUAL(chunks_reserve(c, 10000), -ENOMEM);
	}
	mem_fail_at(0);
	CU_ASSERT_EQUAL(chunks_total(c), 100);
	CU_ASSERT_EQUAL(chunks_reserve(c, 10000), 0);
	CU_ASSERT_EQUAL(chunks_reserve(c, 7000), 0);
	CU_ASSERT_FALSE(chunks_exists(c, (chunk_t){105}));
	CU_ASSERT_EQUAL(chunks_free_count(c), 66);
	chunks_grow(c, 9000);
	CU_ASSERT_EQUAL(chunks_total(c), 9000);
	CU_ASSERT_EQUAL(chunks_free_count(c), 8966);
	CU_ASSERT(chunks_exists(c, (chunk_t){9004}) && !chunks_exists(c, (chunk_t){9005}));
	for (uint32_t k = 5; k < 105; k++)
		CU_ASSERT_EQUAL(chunks_refs(c, (chunk_t){k}), (k - 5) % 3 == 0);
	for (uint32_t i = 0; i < 8966; i++) {
		chunk_t k = chunks_take(c, CHUNK_NONE);

		CU_ASSERT(k.n >= 5 && k.n < 9005 && (k.n >= 105 || (k.n - 5) % 3));
	}
	CU_ASSERT_EQUAL(chunks_take(c, CHUNK_NONE).n, 0);
	chunks_free(c);
}

static void out_of_memory(void)
{
	for (unsigned long nth = 1; nth <= 3; nth++) {
		mem_fail_at(nth);
		CU_ASSERT_PTR_NULL(chunks_new((chunk_t){1}, 1000));
	}
	mem_fail_at(0);
	chunks_free(NULL);
}

static void release_free(void *c)
{
	chunks_release(c, (chunk_t){2});
}

static void release_referenced(void *c)
{
	chunks_release(c, (chunk_t){1});
}

static void unref_free(void *c)
{
	chunks_unref(c, (chunk_t){2});
}

static void ref_limbo(void *c)
{
	chunks_unref(c, (chunk_t){1});
	chunks_ref(c, (chunk_t){1});
}

static void ref_outside(void *c)
{
	chunks_ref(c, (chunk_t){11});
}

static void asserts(void)
{
	struct chunks *c = start(1, 10);

	chunks_ref(c, (chunk_t){1});
	CU_ASSERT(unit_dies(release_free, c));
	CU_ASSERT(unit_dies(release_referenced, c));
	CU_ASSERT(unit_dies(unref_free, c));
	CU_ASSERT(unit_dies(ref_limbo, c));
	CU_ASSERT(unit_dies(ref_outside, c));
	chunks_free(c);
}

const struct hb_suite suite_chunks = { "chunks", (CU_TestInfo[]){
	{ "random_ops", random_ops },
	{ "fill_and_empty", fill_and_empty },
	{ "full_levels", full_levels },
	{ "grow", grow },
	{ "out_of_memory", out_of_memory },
	{ "asserts", asserts },
	CU_TEST_INFO_NULL
} };

/* SPDX-License-Identifier: GPL-2.0-only */
/* test_owners.c - whose a chunk is, against a plain array; searching, memory that runs out. */
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "cache/owners.h"
#include "suites.h"

#define CHUNKS 20000u

static uint8_t model[CHUNKS];

/* All of one number, as owners_next finds them: some bytes of the table at a time. */
static void find_all(const struct owners *o, uint8_t no, uint32_t bytes)
{
	chunk_t at = CHUNK_NONE;
	uint32_t next = 0;
	int rc;

	while ((rc = owners_next(o, no, &at, bytes)) != -ENOENT) {
		CHECK(rc == 0 || (at.n < CHUNKS && model[at.n] == no));
		for (; next < at.n && next < CHUNKS; next++)
			CHECK(model[next] != no);
		if (rc == 1)
			next = ++at.n;
	}
	for (; next < CHUNKS; next++)
		CHECK(model[next] != no);
}

static void random_ops(void)
{
	struct owners *o = owners_new();
	struct rng rng = unit_rng();

	CU_ASSERT_PTR_NOT_NULL_FATAL(o);
	memset(model, 0, sizeof(model));
	for (unit_step = 0; unit_step < 300000; unit_step++) {
		uint32_t k = (uint32_t)rng_below(&rng, rng_below(&rng, 2) ? CHUNKS : 500);
		uint8_t no = (uint8_t)rng_below(&rng, rng_below(&rng, 3) ? 3 : OWNERS_MAX + 1);

		CHECK(owners_get(o, (chunk_t){k}) == model[k]);
		CHECK(owners_set(o, (chunk_t){k}, no) == 0);
		model[k] = no;
		if (unit_step % 10000 == 0)
			find_all(o, (uint8_t)(1 + rng_below(&rng, 3)), 1 + (uint32_t)rng_below(&rng, 10000));
	}
	for (uint32_t k = 0; k < CHUNKS; k++)
		CHECK(owners_get(o, (chunk_t){k}) == model[k]);
	CU_ASSERT_EQUAL(owners_get(o, (chunk_t){UINT32_MAX}), 0);
	owners_free(o);
}

/* A byte a chunk where there are any, and next to nothing where there are none. */
static void memory(void)
{
	struct owners *o = owners_new();

	CU_ASSERT_PTR_NOT_NULL_FATAL(o);
	CU_ASSERT_EQUAL(owners_set(o, (chunk_t){1u << 30}, 0), 0);
	CU_ASSERT(owners_bytes(o) < 100);
	for (uint32_t k = 0; k < CHUNKS; k++)
		CU_ASSERT_EQUAL(owners_set(o, (chunk_t){(1u << 24) + k}, 9), 0);
	CU_ASSERT(owners_bytes(o) < CHUNKS + 2 * 4096 + 2 * 8 * (1 << 12));
	CU_ASSERT_EQUAL(owners_get(o, (chunk_t){(1u << 24) + 5}), 9);
	CU_ASSERT_EQUAL(owners_get(o, (chunk_t){5}), 0);
	owners_free(o);
	owners_free(NULL);
}

static void out_of_memory(void)
{
	struct owners *o;

	mem_fail_at(1);
	CU_ASSERT_PTR_NULL(owners_new());
	mem_fail_at(0);
	o = owners_new();
	CU_ASSERT_PTR_NOT_NULL_FATAL(o);
	for (unsigned long nth = 1; nth <= 2; nth++) {
		mem_fail_at(nth);
		CU_ASSERT_EQUAL(owners_set(o, (chunk_t){7}, 3), -ENOMEM);
		CU_ASSERT_EQUAL(owners_set(o, (chunk_t){7}, 0), 0);
		mem_fail_at(0);
		CU_ASSERT_EQUAL(owners_get(o, (chunk_t){7}), 0);
	}
	CU_ASSERT_EQUAL(owners_set(o, (chunk_t){7}, 3), 0);
	CU_ASSERT_EQUAL(owners_get(o, (chunk_t){7}), 3);
	owners_free(o);
}

static CU_TestInfo tests[] = {{"random_ops", random_ops}, {"memory", memory}, {"out_of_memory", out_of_memory},
			      CU_TEST_INFO_NULL};
const struct hb_suite suite_owners = {"owners", tests};

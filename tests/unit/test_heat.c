/* SPDX-License-Identifier: GPL-2.0-only */
/* test_heat.c - the heat of a volume against counts that fade one by one. */
#include "suites.h"

#include <string.h>

#include "base/mem.h"
#include "base/units.h"
#include "cache/heat.h"

#define HOUR (3600 * SEC_NS)

static struct heat_at out[HEAT_BUCKETS];

static bool near(double is, double want)
{
	double off = is > want ? is - want : want - is;

	return off <= 0.015 * want + 0.001;
}

static void counts_by_place(void)
{
	struct heat *h = heat_new(1 << 20, HOUR);

	CU_ASSERT_PTR_NOT_NULL_FATAL(h);
	CU_ASSERT_EQUAL(heat_bucket_blk(h), 1024);
	CU_ASSERT_EQUAL(heat_used(h), 1024);
	heat_count(h, 5, 1000, 48, false);		/* over a border: 24 and 24 */
	heat_count(h, 5, 2048, 3000, true);		/* three buckets */
	heat_count(h, 5, (1 << 20) - 10, UINT64_MAX, true);	/* beyond the end */
	heat_count(h, 5, 1 << 20, 5, true);
	CU_ASSERT_EQUAL(heat_read(h, 5, out, 3), 3);
	CU_ASSERT_EQUAL(heat_read(h, 5, out, HEAT_BUCKETS + 1), 1024);
	CU_ASSERT(near(out[0].reads, 24) && near(out[1].reads, 24) && near(out[2].reads, 0));
	CU_ASSERT(near(out[2].writes, 1024) && near(out[3].writes, 1024) && near(out[4].writes, 952));
	CU_ASSERT(near(out[1023].writes, 10));
	heat_free(h);
}

static void fades(void)
{
	struct heat *h = heat_new(1024, HOUR);
	uint64_t now = 77 * HOUR;

	CU_ASSERT_PTR_NOT_NULL_FATAL(h);
	heat_count(h, now, 7, 1, false);
	heat_read(h, now + HOUR, out, 8);
	CU_ASSERT(near(out[7].reads, 0.5));
	heat_count(h, now, 7, 1, false);		/* time went back: counts as now */
	heat_read(h, now + 2 * HOUR, out, 8);
	CU_ASSERT(near(out[7].reads, 0.75));
	heat_count(h, now + 5000 * HOUR, 6, 1, true);
	heat_read(h, now + 5000 * HOUR, out, 8);
	CU_ASSERT(near(out[7].reads, 0) && near(out[6].writes, 1));
	heat_free(h);
}

/* Over many half-lives (the weights start anew several times) the counts stay those of the model. */
static void long_life(void)
{
	struct heat *h = heat_new(16, HOUR);
	struct rng r = unit_rng();
	double model[16] = {0};
	uint64_t now = 1;

	CU_ASSERT_PTR_NOT_NULL_FATAL(h);
	for (unit_step = 0; unit_step < 20000; unit_step++) {
		uint64_t blk = rng_below(&r, 16), steps = rng_below(&r, 8);

		now += steps * (HOUR / 64);
		for (int i = 0; i < 16; i++)
			for (uint64_t k = 0; k < steps; k++)
				model[i] /= 1.0108892860517005;
		model[blk] += 1;
		heat_count(h, now, blk, 1, false);
		if (unit_step % 100)
			continue;
		heat_read(h, now, out, 16);
		for (int i = 0; i < 16; i++)
			CHECK(near(out[i].reads, model[i]));
	}
	heat_free(h);
}

static void resizes(void)
{
	struct heat *h = heat_new(1024, HOUR);
	double sum = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(h);
	for (uint64_t b = 0; b < 1024; b++)
		heat_count(h, 1, b, 1, true);
	heat_resize(h, 1025);
	CU_ASSERT_EQUAL(heat_bucket_blk(h), 2);
	CU_ASSERT_EQUAL(heat_used(h), 513);
	heat_resize(h, 1ull << 40);
	CU_ASSERT_EQUAL(heat_bucket_blk(h), 1ull << 30);
	heat_read(h, 1, out, HEAT_BUCKETS);
	for (uint32_t i = 0; i < HEAT_BUCKETS; i++)
		sum += out[i].writes;
	CU_ASSERT(near(out[0].writes, 1024) && near(sum, 1024));
	heat_count(h, 1, (1ull << 40) - 1, 1, true);
	heat_resize(h, 1ull << 35);
	CU_ASSERT_EQUAL(heat_read(h, 1, out, HEAT_BUCKETS), 32);
	heat_resize(h, 1ull << 40);
	heat_read(h, 1, out, HEAT_BUCKETS);
	CU_ASSERT(near(out[1023].writes, 0) && near(out[0].writes, 1024));
	CU_ASSERT(heat_bytes(h) <= 8300);
	heat_free(h);
	mem_fail_at(1);
	CU_ASSERT_PTR_NULL(heat_new(1, HOUR));
	mem_fail_at(0);
}

static CU_TestInfo tests[] = {
	{"counts_by_place", counts_by_place},
	{"fades", fades},
	{"long_life", long_life},
	{"resizes", resizes},
	CU_TEST_INFO_NULL,
};
const struct hb_suite suite_heat = {"heat", tests};

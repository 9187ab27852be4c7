/* SPDX-License-Identifier: GPL-2.0-only */
/* test_shards.c - the sampled miss ratio curve against exact LRU. */
#include "suites.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/units.h"
#include "cache/shards.h"

#define KEYS 60000u
#define POINTS 5u
#define WINDOW (1u << 20)		/* accesses of the exact reference, at most */

static const uint32_t parts[POINTS] = {1, 5, 10, 20, 40};	/* percent of KEYS */

/* Exact stack distances: a Fenwick tree over all accesses. */
static struct {
	uint32_t tree[WINDOW + 1], last[KEYS];
	uint32_t now, misses[POINTS];
} exact;

static void exact_add(uint32_t at, uint32_t by)
{
	for (; at <= WINDOW; at += at & -at)
		exact.tree[at] += by;
}

static uint32_t exact_sum(uint32_t at)
{
	uint32_t sum = 0;

	for (; at; at &= at - 1)
		sum += exact.tree[at];
	return sum;
}

static void exact_access(uint32_t key)
{
	uint32_t distance = UINT32_MAX, at = exact.last[key];

	exact.now++;
	CHECK(exact.now <= WINDOW);
	if (at) {
		distance = exact_sum(exact.now) - exact_sum(at) + 1;
		exact_add(at, (uint32_t)-1);
	}
	exact_add(exact.now, 1);
	exact.last[key] = exact.now;
	for (uint32_t i = 0; i < POINTS; i++)
		exact.misses[i] += distance > KEYS / 100 * parts[i];
}

enum kind { SKEWED, LOOPS, UNIFORM, KINDS };

static uint32_t key_of(enum kind kind, struct rng *r, uint32_t i)
{
	uint64_t octave = 1ull << rng_below(r, 15);

	if (kind == LOOPS)		/* a short loop and a long one, by turns */
		return i & 1 ? i / 2 % 2000 : 2000 + i / 2 % 20000;
	return (uint32_t)(kind == SKEWED ? octave + rng_below(r, octave) : rng_below(r, KEYS));
}

static double distance_of(double d)
{
	return d < 0 ? -d : d;
}

/* Mean absolute error over the points. */
static double error_of(enum kind kind, uint32_t samples, uint32_t accesses)
{
	struct rng r = unit_rng();
	struct shards s;
	double sum = 0;

	memset(&exact, 0, sizeof(exact));
	CU_ASSERT_EQUAL_FATAL(shards_init(&s, samples, 0), 0);
	for (uint32_t i = 0; i < accesses; i++) {
		uint32_t key = key_of(kind, &r, i);

		exact_access(key);
		shards_access(&s, key);
	}
	for (uint32_t i = 0; i < POINTS; i++)
		sum += distance_of(shards_miss_ratio(&s, KEYS / 100 * parts[i]) - (double)exact.misses[i] / accesses);
	shards_end(&s);
	return sum / POINTS;
}

static void near_exact(void)
{
	for (enum kind kind = 0; kind < KINDS; kind++) {
		CU_ASSERT(error_of(kind, 8192, 600000) < 0.02);
		CU_ASSERT(error_of(kind, 1024, 600000) < 0.05);
	}
}

/* As long as all keys fit, it is exact but for the histogram's steps. */
static void all_followed(void)
{
	struct shards s;

	CU_ASSERT_EQUAL_FATAL(shards_init(&s, 1024, 0), 0);
	CU_ASSERT(shards_miss_ratio(&s, 100) >= 1);
	for (uint32_t i = 0; i < 100000; i++)
		shards_access(&s, i % 1000);
	CU_ASSERT(shards_rate(&s) >= 1);
	CU_ASSERT(shards_miss_ratio(&s, 800) > 0.99);
	CU_ASSERT_DOUBLE_EQUAL(shards_miss_ratio(&s, 1100), 0.01, 0.0001);
	CU_ASSERT(shards_miss_ratio(&s, 0) >= 1);
	shards_end(&s);
}

static void falls_with_size(void)
{
	struct rng r = unit_rng();
	struct shards s;
	double before = 1;

	CU_ASSERT_EQUAL_FATAL(shards_init(&s, 64, 5000), 0);
	for (uint32_t i = 0; i < 300000; i++)
		shards_access(&s, rng_below(&r, 3) ? rng_below(&r, 500) : rng_next(&r) >> 20);
	for (uint64_t blocks = 0; blocks < 100000; blocks += 7) {
		double now = shards_miss_ratio(&s, blocks);

		CHECK(now >= 0 && now <= before);
		before = now;
	}
	CU_ASSERT(shards_miss_ratio(&s, UINT64_MAX / 2) >= 0);
	shards_end(&s);
}

/* A workload that changes is followed; without a half-life the past counts for ever. */
static void follows_change(void)
{
	struct rng r = unit_rng();
	struct shards fading, ever;

	CU_ASSERT_EQUAL_FATAL(shards_init(&fading, 4096, 50000), 0);
	CU_ASSERT_EQUAL_FATAL(shards_init(&ever, 4096, 0), 0);
	for (uint32_t i = 0; i < 1000000; i++) {
		uint64_t key = i < 500000 ? i : rng_below(&r, 1000);

		shards_access(&fading, key);
		shards_access(&ever, key);
	}
	CU_ASSERT(shards_miss_ratio(&fading, 2000) < 0.05);
	CU_ASSERT(shards_miss_ratio(&ever, 2000) > 0.4);
	shards_end(&fading);
	shards_end(&ever);
}

static void memory_is_fixed(void)
{
	struct shards s;

	CU_ASSERT_EQUAL(shards_init(&s, SHARDS_SAMPLES_MIN - 1, 0), -EINVAL);
	CU_ASSERT_EQUAL(shards_init(&s, SHARDS_SAMPLES_MAX + 1, 0), -EINVAL);
	shards_end(&s);
	for (unsigned long n = 1; n <= 2; n++) {
		mem_fail_at(n);
		CU_ASSERT_EQUAL(shards_init(&s, 512, 0), -ENOMEM);
		shards_end(&s);
	}
	mem_fail_at(0);
	CU_ASSERT_EQUAL_FATAL(shards_init(&s, 512, 0), 0);
	CU_ASSERT(shards_bytes(&s) <= 17 * 1024);
	shards_end(&s);
	CU_ASSERT_EQUAL_FATAL(shards_init(&s, 8192, 0), 0);
	CU_ASSERT(shards_bytes(&s) <= 256 * 1024);
	mem_fail_at(0);
	for (uint64_t i = 0; i < 100000; i++)
		shards_access(&s, i);
	CU_ASSERT_EQUAL(mem_fail_at(0), 0);
	CU_ASSERT(shards_rate(&s) < 0.1);
	shards_end(&s);
}

static CU_TestInfo tests[] = {
	{"near_exact", near_exact},
	{"all_followed", all_followed},
	{"falls_with_size", falls_with_size},
	{"follows_change", follows_change},
	{"memory_is_fixed", memory_is_fixed},
	CU_TEST_INFO_NULL,
};
const struct hb_suite suite_shards = {"shards", tests};

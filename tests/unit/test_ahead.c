/* SPDX-License-Identifier: GPL-2.0-only */
/* test_ahead.c - streams among many, what may pass by the cache, and what is fetched together with a miss. */
#include "suites.h"

#include <errno.h>

#include "base/mem.h"
#include "cache/stream.h"

#define TRIAL 1000u

static struct streams *new_streams(struct streams_conf conf)
{
	struct streams *s;

	conf.history_blk = 1 << 20;
	conf.trial_blk = TRIAL;
	s = streams_new(&conf);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	return s;
}

static enum streams_at all_missing(void *ctx, uint64_t space, uint64_t blk)
{
	(void)ctx;
	(void)space;
	(void)blk;
	return STREAMS_MISSING;
}

/* ------------------------------------------------------------------ streams */
static void many_at_once(void)
{
	struct streams *s = new_streams((struct streams_conf){ .count = 128 });

	for (uint64_t round = 0; round < 50; round++)
		for (uint64_t n = 0; n < 128; n++) {
			struct stream_info i = streams_request(s, n % 7, (n << 30) + round * 16, 16, n & 1);

			CHECK(i.len_blk == (round ? (round + 1) * 16 : 0));
			CHECK(!i.bypass);
		}
	/* One more than there is room for: the one asked for longest ago is forgotten, and only that. */
	streams_request(s, 1, 1ull << 50, 8, false);
	CU_ASSERT_EQUAL(streams_request(s, 1, (1ull << 30) + 800, 16, false).len_blk, 816);
	CU_ASSERT_EQUAL(streams_request(s, 0, 800, 16, false).len_blk, 0);
	streams_free(s);
}

static void gaps_and_overtaking(void)
{
	static const uint64_t order[] = {0, 16, 8, 24, 40, 32, 48, 56, 72, 64, 88, 80};
	struct streams *s = new_streams((struct streams_conf){0});
	struct stream_info i = {0};

	for (size_t n = 0; n < ARRAY_LEN(order); n++)
		i = streams_request(s, 3, order[n], 8, false);
	CU_ASSERT_EQUAL(i.len_blk, 96);
	CU_ASSERT_EQUAL(streams_request(s, 3, 100, 4, false).len_blk, 104);	/* a gap of 4 */
	CU_ASSERT_EQUAL(streams_request(s, 3, 103, 4, false).len_blk, 107);	/* overlaps by one */
	CU_ASSERT_EQUAL(streams_request(s, 4, 107, 4, false).len_blk, 0);	/* another space */
	CU_ASSERT_EQUAL(streams_request(s, 3, 400, 4, false).len_blk, 0);	/* too far */
	streams_free(s);
}

static void hot_run_stays(void)
{
	struct streams *s = new_streams((struct streams_conf){ .bypass_blk = 256 });
	struct stream_info i = {0};

	for (int round = 0; round < 100; round++)
		for (uint64_t blk = 0; blk < 192; blk += 16)
			CHECK(!streams_request(s, 1, 5000 + blk, 16, false).bypass);
	for (uint64_t blk = 0; blk < 4096; blk += 16) {
		i = streams_request(s, 1, 100000 + blk, 16, blk & 16);
		CHECK(i.bypass == (blk + 16 >= 256));
	}
	for (int round = 0; round < 5; round++)		/* the stream's end becomes a hot run */
		i = streams_request(s, 1, 104080, 16, false);
	CU_ASSERT(!i.bypass);
	streams_set_bypass(s, 0);
	CU_ASSERT(!streams_request(s, 1, 104096, 16, false).bypass);
	streams_free(s);
}

/* ------------------------------------------------------------------ plans */
static void stream_is_read_ahead(void)
{
	struct streams *s = new_streams((struct streams_conf){0});
	uint64_t have = 0, ops = 0, first_reach = 0;
	struct stream_plan p;

	for (uint64_t blk = 0; blk < 8192; blk += 8) {
		streams_request(s, 1, blk, 8, false);
		if (blk + 8 <= have) {
			streams_used(s, 8);
			continue;
		}
		p = streams_miss(s, MAX(blk, have), blk + 8 - MAX(blk, have), all_missing, NULL);
		have = p.from + p.count;
		if (ops++ == 1)
			first_reach = have - blk - 8;
	}
	CU_ASSERT(first_reach > 0 && first_reach < 32);	/* it begins small */
	CU_ASSERT(have - 8192 <= 64);
	CU_ASSERT(ops <= 1024 / 6);
	CU_ASSERT(streams_stats(s).used * 10 >= streams_stats(s).ahead * 9);
	streams_free(s);
}

/* Single blocks at random, far apart: nothing is worth fetching with them, once that is learnt. */
static void random_is_left_alone(void)
{
	struct streams *s = new_streams((struct streams_conf){0});
	struct rng r = unit_rng();
	uint64_t before = 0;

	for (unit_step = 0; unit_step < 40000; unit_step++) {
		uint64_t blk = rng_below(&r, 1ull << 36);

		if (unit_step == 20000)
			before = streams_stats(s).ahead;
		streams_request(s, 9, blk, 1, false);
		streams_miss(s, blk, 1, all_missing, NULL);
	}
	CU_ASSERT(streams_stats(s).ahead - before < 200);
	CU_ASSERT(streams_stats(s).learnt > 1000);
	streams_free(s);
}

/* Clusters of 8 blocks, asked for one by one in any order: one miss soon brings most of the cluster. */
static void clusters_are_learnt(void)
{
	struct streams *s = new_streams((struct streams_conf){0});
	struct rng r = unit_rng();
	uint64_t late = 0;

	for (unit_step = 0; unit_step < 20000; unit_step++) {
		uint64_t first = rng_below(&r, 1ull << 30) * 8, start = rng_below(&r, 8);
		uint32_t have = 0;

		for (uint64_t k = 0; k < 8; k++) {
			uint64_t blk = first + (start + k * 3) % 8;
			struct stream_plan p;

			streams_request(s, 2, blk, 1, false);
			if (have >> (blk - first) & 1) {
				streams_used(s, 1);
				continue;
			}
			p = streams_miss(s, blk, 1, all_missing, NULL);
			for (uint64_t b = p.from; b < p.from + p.count; b++)
				if (b >= first && b < first + 8)
					have |= 1u << (b - first);
			late += unit_step >= 10000;
		}
	}
	CU_ASSERT(late < 10000 * 4);	/* of 8 */
	streams_free(s);
}

/* Which blocks of a small space are what, and that nobody asks twice or beyond the limit. */
struct board {
	enum streams_at at[2048];
	bool asked[2048];
	uint32_t limit;
	uint64_t lo, hi;
};

static enum streams_at board_look(void *ctx, uint64_t space, uint64_t blk)
{
	struct board *b = ctx;

	CHECK(space == 5 && blk < 2048 && !b->asked[blk]);
	CHECK(blk < b->lo || blk >= b->hi);
	CHECK(blk + b->limit >= b->lo && blk < b->hi + b->limit);
	b->asked[blk] = true;
	return blk == 2047 ? STREAMS_END : b->at[blk];
}

static void plan_keeps_bounds(void)
{
	struct rng r = unit_rng();

	for (uint32_t bridge = 0; bridge < 4; bridge += 3) {
		struct streams *s = new_streams((struct streams_conf){ .ahead_max_blk = 32, .bridge_blk = bridge });

		for (unit_step = 0; unit_step < 20000; unit_step++) {
			struct board b = { .limit = 32 };
			struct stream_plan p;

			if (unit_step == 10000) {
				CU_ASSERT_EQUAL(streams_set_ahead(s, 0), -EINVAL);
				CU_ASSERT_EQUAL(streams_set_ahead(s, 8), 0);
			}
			b.limit = unit_step >= 10000 ? 8 : 32;
			for (size_t i = 0; i < ARRAY_LEN(b.at); i++)
				b.at[i] = rng_below(&r, 8) ? STREAMS_MISSING :
					  rng_below(&r, 2) ? STREAMS_CACHED :
							     STREAMS_END;
			b.lo = rng_below(&r, 2) ? rng_below(&r, 40) : rng_below(&r, 2000);
			b.hi = b.lo + 1 + rng_below(&r, 20);
			streams_request(s, 5, b.lo, (uint32_t)(b.hi - b.lo), false);
			p = streams_miss(s, b.lo, (uint32_t)(b.hi - b.lo), board_look, &b);
			CHECK(p.from <= b.lo && p.from + p.count >= b.hi);
			CHECK(b.lo - p.from <= b.limit && p.from + p.count - b.hi <= b.limit);
			for (uint64_t k = p.from; k < p.from + p.count; k++) {
				bool own = k >= b.lo && k < b.hi;

				CHECK(own || b.at[k] != STREAMS_END);
				CHECK(own || bridge || b.at[k] == STREAMS_MISSING);
			}
			CHECK(p.from == b.lo || b.at[p.from] == STREAMS_MISSING);
		}
		streams_free(s);
	}
}

/* ------------------------------------------------------------------ memory, limits */
static void memory_is_fixed(void)
{
	struct streams_conf conf = { .history_blk = 100000 }, wrong[] = {
		{ .count = 1025 }, { .ahead_max_blk = STREAMS_AHEAD_MAX + 1 }, { .price = -1 }
	};
	struct streams *s;
	uint64_t bytes;

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		CU_ASSERT_PTR_NULL(streams_new(&wrong[i]));
	for (unsigned long n = 1;; n++) {
		mem_fail_at(n);
		s = streams_new(&conf);
		if (s)
			break;
	}
	mem_fail_at(0);
	bytes = streams_bytes(s);
	CU_ASSERT(bytes < 700000);
	for (uint64_t i = 0; i < 10000; i++) {
		streams_request(s, i, i * 77, 3, i & 1);
		streams_miss(s, i * 77, 3, all_missing, NULL);
	}
	CU_ASSERT_EQUAL(mem_fail_at(0), 0);
	CU_ASSERT_EQUAL(streams_bytes(s), bytes);
	streams_free(s);
}

static CU_TestInfo tests[] = {
	{"many_at_once", many_at_once},
	{"gaps_and_overtaking", gaps_and_overtaking},
	{"hot_run_stays", hot_run_stays},
	{"stream_is_read_ahead", stream_is_read_ahead},
	{"random_is_left_alone", random_is_left_alone},
	{"clusters_are_learnt", clusters_are_learnt},
	{"plan_keeps_bounds", plan_keeps_bounds},
	{"memory_is_fixed", memory_is_fixed},
	CU_TEST_INFO_NULL,
};
const struct hb_suite suite_ahead = {"ahead", tests};

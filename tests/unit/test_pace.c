/* SPDX-License-Identifier: GPL-2.0-only */
/* test_pace.c - the pace of write-back: by itself, and what it makes of a modelled disk in virtual time. The ratios are
 * those the product promises; the figures behind them are exact, and `pace` (tests/bench) prints them.
 */
#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "engine/pace.h"
#include "pace_rig.h"
#include "suites.h"

/* ------------------------------------------------------------------ the pace alone */

struct desk {
	struct dev dev;
	struct pace pace;
	struct pace_view view;
};

static void look_at(struct desk *d, uint64_t ns)
{
	d->view.dev = &d->dev;
	d->view.now_ns = ns;
	pace_look(&d->pace, &d->view);
}

/* What a write took that was alone. */
static void did_write(struct desk *d, uint32_t nblk, uint64_t took_ns)
{
	uint64_t cost = pace_cost_ns(&d->pace, nblk), begin = d->view.now_ns;

	pace_sent(&d->pace, cost);
	look_at(d, begin + took_ns);
	pace_ended(&d->pace, cost, nblk, begin, d->view.now_ns);
	look_at(d, d->view.now_ns);
}

static uint32_t sent_at_once(struct desk *d)
{
	uint32_t n = 0;

	for (; n < 1000 && pace_may(&d->pace, 1); n++)
		pace_sent(&d->pace, pace_cost_ns(&d->pace, 1));
	d->pace.flight = 0;
	d->pace.flight_ns = 0;
	return n;
}

static void had_read(struct desk *d)
{
	d->view.reads = true;
	look_at(d, d->view.now_ns);
	d->view.reads = false;
	d->dev.stats.ios[DEV_READ]++;
	look_at(d, d->view.now_ns + MSEC_NS);
	look_at(d, d->view.now_ns + 100 * MSEC_NS);
}

/* Neighbours many, blocks that are far apart few, unless nobody reads: then as many as a drive can sort. */
static void test_flight(void)
{
	struct desk d = {.view = {.hurry = true, .full = 512}};
	uint32_t near_alone, far_alone, near_beside, far_beside;

	look_at(&d, 1000 * SEC_NS);
	for (int i = 0; i < 200; i++)
		did_write(&d, 1, 200000);
	near_alone = sent_at_once(&d);
	had_read(&d);
	near_beside = sent_at_once(&d);
	for (int i = 0; i < 200; i++)
		did_write(&d, 1, 6 * MSEC_NS);
	had_read(&d);
	far_beside = sent_at_once(&d);
	look_at(&d, d.view.now_ns + 10 * SEC_NS);
	far_alone = sent_at_once(&d);
	CU_ASSERT(near_alone >= 10 && near_alone <= 32);
	CU_ASSERT(near_beside >= 5 && near_beside < near_alone);
	CU_ASSERT(far_beside <= 4 && far_beside >= 1);
	CU_ASSERT(far_alone >= 20 && far_alone <= 40);
	d.view.hurry = false;
	look_at(&d, d.view.now_ns);
	CU_ASSERT(sent_at_once(&d) < 10);
	d.view.hurry = true;
	d.view.full = PACE_FULL;
	had_read(&d);
	CU_ASSERT(sent_at_once(&d) > far_beside);
}

/* However long somebody reads: the share comes, more of it the fuller the tier is; and when to look again is known. */
static uint64_t got_of_a_second(uint32_t full)
{
	struct desk d = {.view = {.hurry = true, .full = full}};
	uint64_t got = 0, end;

	look_at(&d, 1000 * SEC_NS);
	for (int i = 0; i < 100; i++)
		did_write(&d, 1, 5 * MSEC_NS);
	end = d.view.now_ns + 10 * SEC_NS;
	d.view.reads = true;
	look_at(&d, d.view.now_ns);
	while (d.view.now_ns < end) {
		if (pace_may(&d.pace, 1)) {
			did_write(&d, 1, 5 * MSEC_NS);
			got += 5 * MSEC_NS;
			continue;
		}
		CHECK(pace_next_ns(&d.pace) > d.view.now_ns + MSEC_NS && pace_next_ns(&d.pace) < end + SEC_NS);
		look_at(&d, pace_next_ns(&d.pace) - MSEC_NS);
		CU_ASSERT(!pace_may(&d.pace, 1));
		look_at(&d, pace_next_ns(&d.pace));
		CU_ASSERT(pace_may(&d.pace, 1));
	}
	return got / 10;
}

static void test_share(void)
{
	uint64_t low = got_of_a_second(0), balance = got_of_a_second(768), full = got_of_a_second(PACE_FULL);

	CU_ASSERT(low > 40 * MSEC_NS && low < 80 * MSEC_NS);
	CU_ASSERT(balance > 100 * MSEC_NS && balance < 150 * MSEC_NS);
	CU_ASSERT(full > 400 * MSEC_NS && full < 550 * MSEC_NS);
}

/* Who reads again at once is waited for, who does not is not. */
static void test_expects(void)
{
	struct desk d = {.view = {.hurry = true, .full = 512}};

	look_at(&d, 1000 * SEC_NS);
	for (int i = 0; i < 200; i++)
		did_write(&d, 1, 5 * MSEC_NS); /* no share is owed */
	for (int i = 0; i < 30; i++) {
		d.view.reads = true;
		look_at(&d, d.view.now_ns);
		CU_ASSERT(!pace_may(&d.pace, 1));
		d.view.reads = false;
		d.dev.stats.ios[DEV_READ]++;
		look_at(&d, d.view.now_ns + 5 * MSEC_NS);
		if (i > 20)
			CU_ASSERT(!pace_may(&d.pace, 1));
		look_at(&d, d.view.now_ns + 200000);
	}
	CU_ASSERT_EQUAL(pace_next_ns(&d.pace), d.pace.read_ns + 3 * MSEC_NS);
	look_at(&d, pace_next_ns(&d.pace));
	CU_ASSERT(pace_may(&d.pace, 1));
	for (int i = 0; i < 5; i++)
		had_read(&d);
	d.dev.stats.ios[DEV_READ]++;
	look_at(&d, d.view.now_ns);
	CU_ASSERT(pace_may(&d.pace, 1));
	d.view.checkpoint = true;
	look_at(&d, d.view.now_ns);
	CU_ASSERT(!pace_may(&d.pace, 1));
}

/* A flush that takes long by what was written before it: less is written before the next, if somebody reads. */
static void test_batch(void)
{
	struct desk d = {.view = {.hurry = true, .full = 512}};

	look_at(&d, 1000 * SEC_NS);
	for (int i = 0; i < 20; i++) {
		pace_flush_sent(&d.pace, d.view.now_ns);
		look_at(&d, d.view.now_ns + SEC_NS);
		pace_flushed(&d.pace, 4000, d.view.now_ns);
	}
	CU_ASSERT_EQUAL(pace_batch_blk(&d.pace, 64, 4096), 4096);
	had_read(&d);
	CU_ASSERT_EQUAL(pace_batch_blk(&d.pace, 64, 4096), 64);
	for (int i = 0; i < 100; i++) {
		pace_flush_sent(&d.pace, d.view.now_ns);
		pace_flushed(&d.pace, 64, d.view.now_ns + 64000);
	}
	CU_ASSERT(pace_batch_blk(&d.pace, 64, 4096) > 1000);
}

/* ------------------------------------------------------------------ the pool over a modelled disk */

static struct pace_shape shape(void)
{
	return (struct pace_shape){.model = hdd_model_default, .tier_bytes = MIB(16), .volume_bytes = MIB(160),
				   .disk_bytes = MIB(256), .seed = 1};
}

static struct pace_rig *filled(const struct pace_shape *s)
{
	struct pace_rig *rig = pace_new(s);

	pace_fill(rig, MIB(1), false);
	pace_settle(rig);
	return rig;
}

static void say(const char *what, double x, double y)
{
	if (x > y)
		printf("\n%s: %.1f, limit %.1f\n", what, x, y);
	CU_ASSERT(x <= y);
}

/* Random writes to ten times the tier: five times the bare disk, and nobody waits long; with readers, their p99 stays
 * below twice what they have alone. */
static void steady(uint64_t cache_bytes)
{
	struct pace_shape s = shape();
	double bare = pace_bare(&s, 32, 3000);
	struct pace_rig *rig = filled(&s);
	struct pace_result alone = pace_run(rig, 0, 50, 30 * SEC_NS), r;

	if (cache_bytes) {
		pace_free(rig);
		s.model.write_cache_bytes = cache_bytes;
		rig = filled(&s);
	}
	pace_run(rig, 32, 0, 10 * SEC_NS);
	r = pace_run(rig, 32, 0, 10 * SEC_NS);
	CU_ASSERT_EQUAL(r.errors, 0);
	say("five times the bare disk, writes a second", 5 * bare, r.writes_s);
	say("longest write, ms", r.write_max_ms, 500);
	say("requests by block", (double)r.disk_writes, 1.1 * (double)r.written_back);
	pace_run(rig, 32, 50, 10 * SEC_NS);
	r = pace_run(rig, 32, 50, 30 * SEC_NS);
	CU_ASSERT_EQUAL(r.errors, 0);
	say("p99 of reads, ms", r.read_p99_ms, 2 * alone.read_p99_ms);
	say("twice the bare disk beside readers, writes a second", 2 * bare, r.writes_s);
	say("longest write beside readers, ms", r.write_max_ms, 500);
	pace_free(rig);
}

static void test_steady(void)
{
	steady(0);
}

/* With a cache in the drive it is the flush that readers wait for. */
static void test_drive_cache(void)
{
	steady(MIB(64));
}

/* Twice what the disk can read, one at a time: still no writer is left standing. */
static void test_flood(void)
{
	struct pace_shape s = shape();
	double bare = pace_bare(&s, 32, 3000);
	struct pace_rig *rig = filled(&s);
	struct pace_result r;

	pace_run(rig, 32, 200, 10 * SEC_NS);
	r = pace_run(rig, 32, 200, 20 * SEC_NS);
	CU_ASSERT_EQUAL(r.errors, 0);
	say("half of the bare disk, writes a second", bare / 2, r.writes_s);
	say("longest write, ms", r.write_max_ms, 5000);
	pace_free(rig);
}

/* How many writes the disk gets for 64 KiB at random, written back at once; how many stretches that should be. */
static double count_runs(struct pace_shape *s, double *stretches)
{
	struct pace_rig *rig = filled(s);
	struct hb_stats a, b;
	uint64_t before, writes;
	double p;

	pace_fill(rig, KIB(64), true);
	hb_pool_stats(rig->pool, &a);
	p = (double)a.dirty_bytes / (double)s->volume_bytes;
	*stretches += (double)(s->volume_bytes / KIB(64)) * p * (1 - p);
	before = dev_hdd_stats(rig->disk)->requests[DEV_WRITE];
	pace_settle(rig);
	hb_pool_stats(rig->pool, &b);
	writes = dev_hdd_stats(rig->disk)->requests[DEV_WRITE] - before;
	CU_ASSERT_EQUAL(b.dirty_bytes, 0);
	pace_free(rig);
	return (double)writes;
}

/* A write a stretch; of one draw chance makes a tenth more or less. */
static void test_runs(void)
{
	struct pace_shape s = shape();
	double writes = 0, stretches = 0;

	s.tier_bytes = MIB(256);
	s.volume_bytes = MIB(128);
	for (s.seed = 1; s.seed <= 6; s.seed++)
		writes += count_runs(&s, &stretches);
	say("writes of the disk", writes, 1.1 * stretches);
}

static CU_TestInfo pace_tests[] = {
	{"flight", test_flight}, {"share", test_share},	      {"expects", test_expects},
	{"batch", test_batch},	 {"steady", test_steady},     {"drive_cache", test_drive_cache},
	{"flood", test_flood},	 {"runs", test_runs},	      CU_TEST_INFO_NULL,
};

const struct hb_suite suite_pace = {"pace", pace_tests};

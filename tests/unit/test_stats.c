/* SPDX-License-Identifier: GPL-2.0-only */
/* test_stats.c - the numbers of pools, tiers and volumes agree with each other and with what was asked; maps of volumes
 * agree with what was written, whatever steps they come in.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/verbs.h"
#include "ctl_fixture.h"
#include "engine/pool.h"
#include "suites.h"

#define VOLUME_BYTES MIB(24)

static struct ctl_fixture fix;
static struct hb_volume *vol;
static uint8_t buf[KIB(256)];

static void make(const char *name, uint64_t bytes)
{
	struct err err = ERR_INIT;

	ram_pool_must(hb_volume_create(fix.pool, name, bytes, &err), &err);
}

static void setup(void)
{
	struct err err = ERR_INIT;

	ctl_fixture_open(&fix);
	make("v", VOLUME_BYTES);
	ram_pool_must(hb_volume_open(fix.pool, "v", &vol, &err), &err);
}

static void teardown(void)
{
	hb_volume_close(vol);
	ctl_fixture_close(&fix);
}

static void io_done(struct hb_req *r)
{
	*(bool *)r->owner = true;
}

static int io(struct hb_volume *v, enum hb_op op, uint64_t off, uint64_t len)
{
	bool done = false;
	struct hb_req r = {.op = op, .vol = v, .off_bytes = off, .len_bytes = len, .buf = buf, .done = io_done,
			   .owner = &done};

	if (!hb_submit(&r))
		ram_pool_run(&fix.ram, &done);
	return r.error;
}

static void no_answer(struct verb_call *call)
{
	(void)call;
	CU_FAIL("the verb should have been finished");
}

/* Takes args. The result, owned, or NULL with *code. */
static json_t *run(const char *verb, json_t *args, int *code)
{
	struct verb_call call = {.host = &fix.host, .answered = no_answer};

	CU_ASSERT_FATAL(verb_run(&call, verb, NULL, args));
	json_decref(args);
	if (code)
		*code = call.err.code;
	return call.result;
}

static json_t *at(const json_t *o, const char *a, const char *b)
{
	json_t *v = json_object_get(json_object_get(o, a), b);

	CU_ASSERT_PTR_NOT_NULL_FATAL(v);
	return v;
}

static uint64_t num(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	CU_ASSERT_FATAL(json_is_integer(v));
	return (uint64_t)json_integer_value(v);
}

static const json_t *named(const json_t *list, const char *key, const char *name)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (!strcmp(json_string_value(json_object_get(json_array_get(list, i), key)), name))
			return json_array_get(list, i);
	return NULL;
}

static uint64_t sum_of(const json_t *o)
{
	uint64_t sum = 0;
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)o, key, v)
		sum += (uint64_t)json_integer_value(v);
	return sum;
}

static uint64_t buckets_sum(const json_t *latency)
{
	uint64_t sum = 0;
	json_t *b;
	size_t i;

	json_array_foreach(json_object_get(latency, "buckets"), i, b)
		sum += num(b, "count");
	return sum;
}

/* ------------------------------------------------------------------ counting */
static void test_counts(void)
{
	const json_t *v;
	json_t *s, *more;

	setup();
	CU_ASSERT_EQUAL(io(vol, HB_WRITE, 0, KIB(64)), 0);
	CU_ASSERT_EQUAL(io(vol, HB_WRITE, MIB(1), KIB(4)), 0);
	CU_ASSERT_EQUAL(io(vol, HB_READ, 0, KIB(128)), 0);
	CU_ASSERT_EQUAL(io(vol, HB_UNMAP, MIB(1), KIB(4)), 0);
	CU_ASSERT_EQUAL(io(vol, HB_FLUSH, 0, 0), 0);
	CU_ASSERT_EQUAL(io(vol, HB_READ, VOLUME_BYTES, KIB(4)), -EINVAL);
	s = run("stats", NULL, NULL);
	v = named(json_object_get(s, "volumes"), "name", "v");
	CU_ASSERT_PTR_NOT_NULL_FATAL(v);
	CU_ASSERT_EQUAL(num(at(v, "requests", "write"), "count"), 2);
	CU_ASSERT_EQUAL(num(at(v, "requests", "write"), "bytes"), KIB(68));
	CU_ASSERT_EQUAL(num(at(v, "requests", "read"), "count"), 2);
	CU_ASSERT_EQUAL(num(at(v, "requests", "read"), "errors"), 1);
	CU_ASSERT_EQUAL(num(at(v, "requests", "unmap"), "count"), 1);
	CU_ASSERT_EQUAL(num(at(v, "requests", "flush"), "count"), 1);
	CU_ASSERT_EQUAL(num(at(v, "requests", "other"), "count"), 0);
	CU_ASSERT_EQUAL(num(json_object_get(v, "read_blocks"), "unmapped"), 16);
	CU_ASSERT_EQUAL(num(json_object_get(v, "read_blocks"), "staging"), 16);
	CU_ASSERT_EQUAL(num(at(v, "latency", "read"), "count"), 2);
	CU_ASSERT_EQUAL(num(at(v, "latency", "write"), "count"), 2);
	CU_ASSERT_EQUAL(buckets_sum(at(v, "latency", "write")), 2);
	CU_ASSERT(num(at(v, "latency", "write"), "sum_ns") > 0);
	CU_ASSERT(num(at(v, "latency", "write"), "p50_ns") <= num(at(v, "latency", "write"), "p99_ns"));
	/* The pool has one volume: the same numbers. */
	more = json_object_get(s, "requests");
	CU_ASSERT_EQUAL(num(json_object_get(more, "write"), "bytes"), KIB(68));
	CU_ASSERT_EQUAL(num(json_object_get(more, "read"), "errors"), 1);
	CU_ASSERT_EQUAL(num(json_object_get(s, "endurance"), "initiator_written_bytes"), KIB(68));
	CU_ASSERT(num(json_object_get(s, "endurance"), "ssd_written_bytes") >= KIB(68));
	CU_ASSERT(json_is_null(json_object_get(s, "next")));
	json_decref(s);
	teardown();
}

static void check_agreement(const json_t *s)
{
	const json_t *v = named(json_object_get(s, "volumes"), "name", "v");
	const json_t *reads = json_object_get(s, "reads_blocks");
	const json_t *tiers = json_object_get(s, "tiers"), *level = named(tiers, "tier", "cache1");
	const json_t *ram = named(tiers, "tier", "ram"), *ssd = named(tiers, "tier", "ssd");
	const json_t *capacity = named(tiers, "tier", "capacity");
	uint64_t all = num(at(s, "requests", "read"), "bytes") / BLK_BYTES;

	CU_ASSERT_FATAL(v && ram && ssd && capacity && level);
	CU_ASSERT_EQUAL(sum_of(json_object_get(v, "read_blocks")), all);
	CU_ASSERT_EQUAL(sum_of(reads), all);
	CU_ASSERT_EQUAL(num(json_object_get(v, "read_blocks"), "cache1"), num(reads, "read_levels"));
	CU_ASSERT_EQUAL(num(json_object_get(v, "read_blocks"), "capacity"), num(reads, "read_capacity"));
	CU_ASSERT_EQUAL(num(ram, "hit_blocks") + num(ram, "miss_blocks") + num(reads, "read_zero"), all);
	CU_ASSERT_EQUAL(num(ssd, "hit_blocks") + num(ssd, "miss_blocks"), num(ram, "miss_blocks"));
	CU_ASSERT_EQUAL(num(level, "hit_blocks") + num(level, "miss_blocks"), num(ssd, "miss_blocks"));
	CU_ASSERT_EQUAL(num(capacity, "hit_blocks"), num(level, "miss_blocks"));
}

/* With a cache level, more than fits anywhere, random reads: every place is met, and nobody counts differently. */
static void test_places_agree(void)
{
	struct rng rng = unit_rng();
	struct err err = ERR_INIT;
	const json_t *level;
	struct dev *dev;
	json_t *s;

	setup();
	ram_pool_must(dev_ram_new(MIB(16), &dev, &err), &err);
	ram_pool_must(hb_level_add(fix.pool, dev, &err), &err);
	for (uint64_t off = 0; off < MIB(20); off += sizeof(buf))
		CU_ASSERT_EQUAL(io(vol, HB_WRITE, off, sizeof(buf)), 0);
	CU_ASSERT_EQUAL(hb_pool_writeback(fix.pool), 0);
	for (unit_step = 0; unit_step < 60000; unit_step++) {
		uint64_t blocks = 1 + rng_below(&rng, 4), in = rng_below(&rng, 3) ? MIB(8) : VOLUME_BYTES;

		CHECK(io(vol, rng_below(&rng, 5) ? HB_READ : HB_WRITE,
			 rng_below(&rng, in / BLK_BYTES - 4) * BLK_BYTES, blocks * BLK_BYTES) == 0);
	}
	s = run("stats", NULL, NULL);
	check_agreement(s);
	level = named(json_object_get(s, "tiers"), "tier", "cache1");
	CU_ASSERT(num(level, "hit_blocks") > 0);
	CU_ASSERT(num(level, "miss_blocks") > 0);
	CU_ASSERT(num(level, "admitted_blocks") > 0);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(s, "devices")), 3);
	CU_ASSERT_PTR_NOT_NULL(named(json_object_get(s, "devices"), "tier", "cache1"));
	json_decref(s);
	teardown();
}

static void test_many_volumes(void)
{
	char name[16], last[HB_NAME_MAX + 1] = "";
	struct err err = ERR_INIT;
	unsigned seen = 0, parts = 0;

	setup();
	for (unsigned i = 0; i < 600; i++) {
		struct hb_volume *v;

		snprintf(name, sizeof(name), "w%03u", i);
		make(name, MIB(1));
		if (i % 2) /* what nobody asked for anything is left out */
			continue;
		ram_pool_must(hb_volume_open(fix.pool, name, &v, &err), &err);
		CU_ASSERT_EQUAL(io(v, HB_READ, 0, KIB(4)), 0);
		hb_volume_close(v);
	}
	for (bool more = true; more; parts++) {
		json_t *s = run("stats", last[0] ? json_pack("{s:s}", "after", last) : NULL, NULL);
		const json_t *list = json_object_get(s, "volumes"), *next = json_object_get(s, "next");

		CU_ASSERT(json_array_size(list) <= VERB_STATS_MAX);
		seen += (unsigned)json_array_size(list);
		CU_ASSERT_PTR_NULL(named(list, "name", "w001"));
		more = json_is_string(next);
		snprintf(last, sizeof(last), "%s", more ? json_string_value(next) : "");
		json_decref(s);
		CU_ASSERT_FATAL(parts < 100);
	}
	CU_ASSERT_EQUAL(seen, 301); /* and v, which is open */
	CU_ASSERT_EQUAL(parts, 3);
	teardown();
}

static void test_buckets(void)
{
	uint64_t before = 0;

	for (unsigned i = 0; i < HB_HIST_BUCKETS - 1; i++) {
		CU_ASSERT(hb_hist_end_ns(i) > before);
		CU_ASSERT(before < 8000 || hb_hist_end_ns(i) - before <= before / 4 + 1);
		before = hb_hist_end_ns(i);
	}
	CU_ASSERT(before > 25 * SEC_NS); /* nothing takes longer */
	CU_ASSERT_EQUAL(hb_hist_end_ns(HB_HIST_BUCKETS - 1), 0);
}

/* ------------------------------------------------------------------ how far write-back is behind */
static uint64_t lag(void)
{
	struct hb_stats *s = malloc(sizeof(*s));
	uint64_t ns;

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	hb_pool_stats(fix.pool, s);
	ns = s->wb_lag_ns;
	free(s);
	return ns;
}

/* The same 256 KiB over and over: a segment each time, in which nothing stays dirty. */
static void churn(unsigned n)
{
	while (n-- > 0) {
		CU_ASSERT_EQUAL(io(vol, HB_WRITE, MIB(1), sizeof(buf)), 0);
		fix.ram.clock_ns += 30 * MSEC_NS;
	}
}

static void lag_is(uint64_t since)
{
	uint64_t age = fix.ram.clock_ns - since;

	CU_ASSERT(lag() >= age - age / 16 && lag() <= age + age / 16);
}

static void test_lag(void)
{
	struct err err = ERR_INIT;
	uint64_t first, second;

	setup();
	hb_volume_close(vol);
	ram_pool_close(&fix.ram);
	ram_pool_open_with(&fix.ram, KIB(256)); /* more segments than times are kept */
	fix.pool = fix.ram.pool;
	make("v", VOLUME_BYTES);
	ram_pool_must(hb_volume_open(fix.pool, "v", &vol, &err), &err);
	CU_ASSERT_EQUAL(lag(), 0);
	first = fix.ram.clock_ns;
	CU_ASSERT_EQUAL(io(vol, HB_WRITE, 0, KIB(4)), 0);
	churn(20);
	lag_is(first);
	second = fix.ram.clock_ns;
	CU_ASSERT_EQUAL(io(vol, HB_WRITE, KIB(64), KIB(4)), 0);
	churn(75);
	CU_ASSERT(fix.pool->dirty_clock.every > 1);
	lag_is(first);
	CU_ASSERT_EQUAL(io(vol, HB_WRITE, 0, KIB(4)), 0);
	lag_is(second);
	CU_ASSERT_EQUAL(hb_pool_writeback(fix.pool), 0);
	CU_ASSERT_EQUAL(lag(), 0);
	fix.ram.clock_ns += 3600 * SEC_NS; /* an old segment, with something new in it */
	CU_ASSERT_EQUAL(lag(), 0);
	CU_ASSERT_EQUAL(io(vol, HB_WRITE, 0, KIB(4)), 0);
	CU_ASSERT(lag() > 0 && lag() < SEC_NS);
	teardown();
}

/* Through many more segments than times are kept. */
static void test_lag_long(void)
{
	struct dirty_clock *c;

	setup();
	c = &fix.pool->dirty_clock;
	for (unsigned i = 0; i < 4000; i++) {
		CU_ASSERT_EQUAL(io(vol, HB_WRITE, i % 64 * KIB(256), KIB(256)), 0);
		fix.ram.clock_ns += 10 * MSEC_NS;
		CHECK(c->n <= DIRTY_TIMES);
		for (uint32_t k = 1; k < c->n; k++)
			CHECK(c->seq[k] > c->seq[k - 1] && c->ns[k] >= c->ns[k - 1]);
		CHECK(lag() <= fix.ram.clock_ns);
	}
	CU_ASSERT(c->n > 0);
	CU_ASSERT_EQUAL(hb_pool_writeback(fix.pool), 0);
	CU_ASSERT_EQUAL(lag(), 0);
	teardown();
}

/* ------------------------------------------------------------------ maps of volumes */
struct was_seen {
	uint64_t all, unmapped, dirty, parts;
	uint64_t mapped[HB_PLACES_BUCKETS_MAX];
};

static void add_buckets(const json_t *list, struct was_seen *s)
{
	json_t *b, *n;
	const char *key;
	size_t i;

	json_array_foreach((json_t *)list, i, b) {
		uint64_t at_bucket = num(b, "bucket");

		CU_ASSERT_FATAL(at_bucket < HB_PLACES_BUCKETS_MAX);
		s->dirty += num(b, "dirty");
		json_object_foreach(b, key, n) {
			uint64_t count = (uint64_t)json_integer_value(n);

			if (!strcmp(key, "bucket") || !strcmp(key, "dirty"))
				continue;
			s->all += count;
			if (!strcmp(key, "unmapped"))
				s->unmapped += count;
			else
				s->mapped[at_bucket] += count;
		}
	}
}

/* All parts of the answer, added up. Returns the size of a bucket. */
static uint64_t see(const char *name, unsigned buckets, struct was_seen *s)
{
	json_t *args = json_pack("{s:s, s:i}", "name", name, "buckets", buckets), *part;
	uint64_t bucket_bytes = 0;
	bool more = true;

	*s = (struct was_seen){0};
	while (more) {
		part = run("volume-heat", args, NULL);
		CU_ASSERT_PTR_NOT_NULL_FATAL(part);
		add_buckets(json_object_get(part, "buckets"), s);
		bucket_bytes = num(part, "bucket_bytes");
		more = !json_is_true(json_object_get(part, "complete"));
		args = more ? json_pack("{s:s, s:O}", "name", name, "cursor", json_object_get(part, "cursor")) : NULL;
		json_decref(part);
		CU_ASSERT_FATAL(++s->parts < 10000);
	}
	return bucket_bytes;
}

static void test_map(void)
{
	static const unsigned buckets[] = {1, 2, 7, 64, 1000, 1024};
	static bool written[MIB(512) / BLK_BYTES + 3];
	const uint64_t blocks = ARRAY_LEN(written);
	struct rng rng = unit_rng();
	struct err err = ERR_INIT;
	struct hb_volume *big;
	struct was_seen *s = malloc(sizeof(*s));
	uint64_t n = 0;

	setup();
	memset(written, 0, sizeof(written));
	make("big", blocks * BLK_BYTES);
	ram_pool_must(hb_volume_open(fix.pool, "big", &big, &err), &err);
	for (int i = 0; i < 600; i++) {
		uint64_t b = rng_below(&rng, rng_below(&rng, 2) ? 4000 : blocks);

		CU_ASSERT_EQUAL(io(big, HB_WRITE, b * BLK_BYTES, BLK_BYTES), 0);
		n += !written[b];
		written[b] = true;
	}
	CU_ASSERT_EQUAL(io(big, HB_WRITE, (blocks - 1) * BLK_BYTES, BLK_BYTES), 0);
	n += !written[blocks - 1];
	written[blocks - 1] = true;
	for (size_t k = 0; k < ARRAY_LEN(buckets); k++) {
		uint64_t bytes = see("big", buckets[k], s), each = bytes / BLK_BYTES;

		CU_ASSERT(each * buckets[k] >= blocks);
		CU_ASSERT_EQUAL(s->all, blocks);
		CU_ASSERT_EQUAL(s->all - s->unmapped, n);
		CU_ASSERT_EQUAL(s->dirty, n);
		for (uint64_t b = 0; b < blocks; b += each) {
			uint64_t want = 0;

			for (uint64_t i = b; i < MIN(b + each, blocks); i++)
				want += written[i];
			CHECK(s->mapped[b / each] == want);
		}
	}
	hb_volume_close(big);
	free(s);
	teardown();
}

/* More than one step. */
static void test_map_steps(void)
{
	struct was_seen *s = malloc(sizeof(*s));
	struct err err = ERR_INIT;
	struct hb_volume *big;

	setup();
	make("big", GIB(64));
	ram_pool_must(hb_volume_open(fix.pool, "big", &big, &err), &err);
	for (uint64_t i = 0; i < 700; i++)
		CU_ASSERT_EQUAL(io(big, HB_WRITE, i * KIB(192) + KIB(8), KIB(4)), 0);
	see("big", 64, s);
	CU_ASSERT_EQUAL(s->parts, 2);
	CU_ASSERT_EQUAL(s->all, GIB(64) / BLK_BYTES);
	CU_ASSERT_EQUAL(s->all - s->unmapped, 700);
	fix.host.may_wait = true;
	see("big", 64, s);
	CU_ASSERT_EQUAL(s->parts, 1);
	CU_ASSERT_EQUAL(s->all - s->unmapped, 700);
	hb_volume_close(big);
	free(s);
	teardown();
}

static void test_map_sampled(void)
{
	struct hb_places_plan plan = {.bucket_bytes = MIB(1), .every = 4};
	static struct hb_places got[24];
	uint64_t off = 0, all = 0, mapped = 0;
	struct hb_volume_info info;
	int rc;

	setup();
	CU_ASSERT_FATAL(hb_volume_find(fix.pool, "v", &info));
	for (uint64_t at_bytes = 0; at_bytes < MIB(12); at_bytes += sizeof(buf))
		CU_ASSERT_EQUAL(io(vol, HB_WRITE, at_bytes, sizeof(buf)), 0);
	memset(got, 0, sizeof(got));
	while ((rc = hb_volume_places(fix.pool, info.id, &plan, &off, got, 24)) == 0)
		CU_ASSERT_FATAL(off < VOLUME_BYTES);
	CU_ASSERT_EQUAL(rc, 1);
	for (int i = 0; i < 24; i++) {
		uint64_t in = 0;

		for (int k = 0; k < HB_PLACES; k++)
			in += got[i].blocks[k];
		CU_ASSERT_EQUAL(in, MIB(1) / BLK_BYTES / 4);
		CU_ASSERT_EQUAL(got[i].blocks[HB_PLACE_ZERO], i < 12 ? 0 : in);
		all += in;
		mapped += in - got[i].blocks[HB_PLACE_ZERO];
	}
	CU_ASSERT_EQUAL(all, VOLUME_BYTES / BLK_BYTES / 4);
	CU_ASSERT_EQUAL(mapped, all / 2);
	/* Fewer buckets than the volume has: up to there. */
	off = 0;
	memset(got, 0, sizeof(got));
	CU_ASSERT_EQUAL(hb_volume_places(fix.pool, info.id, &plan, &off, got, 2), 1);
	CU_ASSERT_EQUAL(off, MIB(2));
	/* No plans. */
	off = 4096;
	CU_ASSERT_EQUAL(hb_volume_places(fix.pool, info.id, &plan, &off, got, 2), -EINVAL);
	off = 0;
	plan.every = 0;
	CU_ASSERT_EQUAL(hb_volume_places(fix.pool, info.id, &plan, &off, got, 2), -EINVAL);
	plan = (struct hb_places_plan){.bucket_bytes = MIB(1) + 4096, .every = 1};
	CU_ASSERT_EQUAL(hb_volume_places(fix.pool, info.id, &plan, &off, got, 2), -EINVAL);
	CU_ASSERT_EQUAL(hb_volume_places(fix.pool, 999, &plan, &off, got, 2), -ENOENT);
	CU_ASSERT_EQUAL(hb_volume_places_plan(fix.pool, 999, 1, &plan), -ENOENT);
	teardown();
}

static void test_map_hostile(void)
{
	static const char *const wrong[] = {"x", "1", "1.40.0.0.0", "1.0.10000.1.0", "1.401.10000.1.0",
					    "1.40.ffffffffffffffff.1.0", "1.40.10000.ffffffff.0", "1.40.10000.1.1",
					    "2.40.10000.1.0", "1.40.10000.1.ffffffffffff0000", "01.40.10000.1.0",
					    "1.40.10000.1.0x", "1.40.10000.1.0 ", "-1.40.10000.1.0"};
	struct rng rng = unit_rng();
	char cursor[80];
	json_t *r;
	int code;

	setup();
	CU_ASSERT_EQUAL(io(vol, HB_WRITE, 0, sizeof(buf)), 0);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		CU_ASSERT_PTR_NULL(run("volume-heat", json_pack("{s:s, s:s}", "name", "v", "cursor", wrong[i]), &code));
		CU_ASSERT_EQUAL(code, -EINVAL);
	}
	for (unit_step = 0; unit_step < 20000; unit_step++) {
		snprintf(cursor, sizeof(cursor), "1.%llx.%llx.%llx.%llx",
			 (unsigned long long)rng_below(&rng, 1100),
			 (unsigned long long)rng_next(&rng) >> rng_below(&rng, 64),
			 (unsigned long long)rng_below(&rng, 1ull << rng_below(&rng, 34)),
			 (unsigned long long)rng_next(&rng) >> rng_below(&rng, 64));
		r = run("volume-heat", json_pack("{s:s, s:s}", "name", "v", "cursor", cursor), &code);
		CHECK(r ? code == 0 : code == -EINVAL);
		json_decref(r);
	}
	CU_ASSERT_PTR_NULL(run("volume-heat", json_pack("{s:s}", "name", "nosuch"), &code));
	CU_ASSERT_EQUAL(code, -ENOENT);
	CU_ASSERT_PTR_NULL(run("volume-heat", json_pack("{s:s, s:i}", "name", "v", "buckets", 1025), &code));
	CU_ASSERT_EQUAL(code, -EINVAL);
	teardown();
}

static void test_heat(void)
{
	json_t *r, *h;

	setup();
	r = run("volume-heat", json_pack("{s:s}", "name", "v"), NULL);
	CU_ASSERT(json_is_null(json_object_get(r, "heat")));
	json_decref(r);
	CU_ASSERT_EQUAL(io(vol, HB_WRITE, 0, KIB(256)), 0);
	r = run("volume-heat", json_pack("{s:s}", "name", "v"), NULL);
	h = json_object_get(r, "heat");
	CU_ASSERT(json_array_size(json_object_get(h, "writes")) > 1);
	CU_ASSERT(json_real_value(json_array_get(json_object_get(h, "writes"), 0)) > 0);
	CU_ASSERT(json_real_value(json_array_get(json_object_get(h, "reads"), 0)) == 0);
	json_decref(r);
	teardown();
}

/* ------------------------------------------------------------------ memory runs out */
static void fail_each(const char *verb, const char *name)
{
	json_t *want = run(verb, name ? json_pack("{s:s}", "name", name) : NULL, NULL), *args, *got;
	unsigned long made;
	int code;

	for (unit_step = 1;; unit_step++) {
		args = name ? json_pack("{s:s}", "name", name) : NULL;
		mem_fail_at(unit_step);
		got = run(verb, args, &code);
		made = mem_fail_at(0);
		CHECK(got ? json_object_size(got) == json_object_size(want) : code == -ENOMEM);
		json_decref(got);
		if (made < unit_step)
			break;
	}
	CHECK(unit_step > 20);
	json_decref(want);
}

static void test_no_memory(void)
{
	json_malloc_t was_malloc;
	json_free_t was_free;

	json_get_alloc_funcs(&was_malloc, &was_free);
	json_set_alloc_funcs(mem_alloc, mem_free);
	setup();
	CU_ASSERT_EQUAL(io(vol, HB_WRITE, 0, sizeof(buf)), 0);
	fail_each("stats", NULL);
	fail_each("volume-heat", "v");
	teardown();
	json_set_alloc_funcs(was_malloc, was_free);
}

static CU_TestInfo tests[] = {
	{"counts", test_counts},
	{"places_agree", test_places_agree},
	{"many_volumes", test_many_volumes},
	{"buckets", test_buckets},
	{"lag", test_lag},
	{"lag_long", test_lag_long},
	{"map", test_map},
	{"map_steps", test_map_steps},
	{"map_sampled", test_map_sampled},
	{"map_hostile", test_map_hostile},
	{"heat", test_heat},
	{"no_memory", test_no_memory},
	CU_TEST_INFO_NULL};
const struct hb_suite suite_stats = {"stats", tests};

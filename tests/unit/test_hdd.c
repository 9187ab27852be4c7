/* SPDX-License-Identifier: GPL-2.0-only */
/* test_hdd.c - the modelled HDD's figures, in virtual time: rates, read-ahead, age, scale, flush, write cache. */
#include "dev/hdd_model.h"
#include "hdd_rig.h"
#include "suites.h"

/* ------------------------------------------------------------------ figures */

static void test_random(void)
{
	struct hdd_model datasheet = hdd_model_default;
	const struct hdd_stats *s;
	struct load *l = load_new(NULL, DRIVE_BYTES);

	CU_ASSERT(between(load_run(l, 1, 4000, random_read), 105, 115));
	s = dev_hdd_stats(l->dev);
	CU_ASSERT_EQUAL(s->requests[DEV_READ], 4000);
	CU_ASSERT_EQUAL(s->bytes[DEV_READ], 4000 * BLK_BYTES);
	CU_ASSERT(s->seeks[DEV_READ] > 3990);
	CU_ASSERT(s->sequential[DEV_READ] < 10);
	CU_ASSERT(between((double)s->seek_ns[DEV_READ] / 4e9, 4.7, 5.1));	/* ms */
	CU_ASSERT(between((double)s->wait_ns[DEV_READ] / 4e9, 4.07, 4.27));	/* half a turn: 4.17 */
	CU_ASSERT(s->busy_ns[DEV_READ] > (l->last_ns - 12345) / 100 * 99);	/* one after the other: always busy */
	CU_ASSERT_EQUAL(s->requests[DEV_WRITE] + s->busy_ns[DEV_WRITE], 0);
	load_free(l);
	CU_ASSERT(between(iops(NULL, 1, 4000, random_write), 105, 115));
	/* A mean seek of 8.5 ms, as data sheets have it, makes 79 of it. */
	datasheet.seek_max_ns = 15700000;
	CU_ASSERT(between(iops(&datasheet, 1, 4000, random_read), 76, 82));
	/* And the size of the drive does not matter. */
	l = load_new(NULL, GIB(1));
	CU_ASSERT(between(load_run(l, 1, 4000, random_read), 105, 118));
	load_free(l);
}

static void test_queueing(void)
{
	struct hdd_model fifo = hdd_model_default;
	double one = iops(NULL, 1, 4000, random_read), deep = iops(NULL, 32, 8000, random_read);

	CU_ASSERT(between(deep / one, 2.0, 3.5));
	CU_ASSERT(between(iops(NULL, 4, 4000, random_read) / one, 1.2, 1.8));
	fifo.depth = 1;
	CU_ASSERT(between(iops(&fifo, 32, 4000, random_read) / one, 0.95, 1.05));
}

static double stream_mb(uint64_t from, unsigned depth, uint64_t len, void (*next)(struct load *l, struct dev_io *io))
{
	struct load *l = load_new(NULL, DRIVE_BYTES);
	double r;

	l->at = from;
	l->step = len;
	r = load_run(l, depth, MIB(512) / len, next) * (double)len / 1e6;
	load_free(l);
	return r;
}

static void test_sequential(void)
{
	uint64_t inner = DRIVE_BYTES - GIB(1);

	CU_ASSERT(between(stream_mb(0, 1, KIB(64), ascending_read), 178, 180.1));
	CU_ASSERT(between(stream_mb(0, 1, BLK_BYTES, ascending_read), 178, 180.1));
	CU_ASSERT(between(stream_mb(0, 32, KIB(256), ascending_read), 176, 180.1));
	CU_ASSERT(between(stream_mb(0, 8, MIB(1), ascending_write), 178, 180.1));
	CU_ASSERT(between(stream_mb(inner, 8, KIB(64), ascending_read), 89, 90.1));
	CU_ASSERT(between(stream_mb(inner, 8, KIB(64), ascending_write), 89, 90.1));
	/* Half of the tracks is 7/12 of the bytes, and there the rate is the mean of both. */
	CU_ASSERT(between(stream_mb(DRIVE_BYTES / 12 * 7, 8, KIB(64), ascending_read), 132, 138));
}

static void strided_write(struct load *l, struct dev_io *io)
{
	io->op = DEV_WRITE;
	io->off_bytes = l->at;
	l->at += l->step;
}

static void test_sorted_writes(void)
{
	double random = iops(NULL, 8, 2000, random_write);
	struct load *l = load_new(NULL, DRIVE_BYTES);
	double strided;

	l->step = KIB(56);
	strided = load_run(l, 8, 4000, strided_write);
	/* 56 KiB pass in 0.32 ms. */
	CU_ASSERT(between(strided, 3000, 3150));
	CU_ASSERT(strided > 15 * random);
	CU_ASSERT(dev_hdd_stats(l->dev)->seeks[DEV_WRITE] < 10);
	/* Once on a track: the turn is what it costs, and not a seek besides. */
	l->step = MIB(1);
	CU_ASSERT(between(load_run(l, 1, 2000, strided_write), 165, 175));
	load_free(l);
}

/* A reader that thinks between requests: the drive goes on into its buffer, and waits when that is full. */
static void test_read_ahead(void)
{
	const uint64_t len = KIB(64), pass = 364089, think[] = { 100000, 3000000, 50000000 };
	struct load *l = load_new(NULL, DRIVE_BYTES);
	uint64_t off = GIB(1);

	l->next = ascending_read;
	load_start(l, &l->ios[0], DEV_READ, off, len);
	load_settle(l);
	for (size_t i = 0; i < ARRAY_LEN(think); i++) {
		for (int n = 0; n < 40; n++) {
			off += len;
			l->now_ns += think[i];
			dev_drain(l->dev, l->now_ns);
			l->longest_ns = 0;
			load_start(l, &l->ios[0], DEV_READ, off, len);
			load_settle(l);
			CHECK(l->longest_ns <= pass + 10);
			CHECK(think[i] < pass || l->longest_ns < pass / 3);
		}
	}
	CU_ASSERT_EQUAL(dev_hdd_stats(l->dev)->sequential[DEV_READ], 120);
	/* A long pause fills the buffer and no more: the rest comes at the platter's pace. */
	l->now_ns += 50 * MSEC_NS;
	dev_drain(l->dev, l->now_ns);
	l->at = off += len;
	l->step = MIB(1);
	CU_ASSERT(between(load_run(l, 1, 8, ascending_read) * 1.048576, 170, 230));
	CU_ASSERT(between(load_run(l, 1, 8, ascending_read) * 1.048576, 170, 181));
	off = l->at;
	load_start(l, &l->ios[0], DEV_READ, off, len);
	load_settle(l);
	CU_ASSERT_EQUAL(dev_hdd_stats(l->dev)->seeks[DEV_READ], 1);
	/* Forward over a gap within the buffer's reach; back again it is a turn. */
	l->longest_ns = 0;
	load_start(l, &l->ios[0], DEV_READ, off + KIB(512), len);
	load_settle(l);
	CU_ASSERT(l->longest_ns < 8 * pass);
	l->longest_ns = 0;
	load_start(l, &l->ios[0], DEV_READ, off, len);
	load_settle(l);
	CU_ASSERT(l->longest_ns > 10 * pass);
	load_free(l);
}

/* A stream keeps the arm, and a lonely request far away would wait for ever. */
static void test_age(void)
{
	struct hdd_model m = hdd_model_default;

	for (uint64_t age = 100; age <= 500; age += 400) {
		struct load *l;

		m.age_ns = age * MSEC_NS;
		l = load_new(&m, DRIVE_BYTES);
		l->step = KIB(64);
		load_start(l, &l->ios[63], DEV_READ, DRIVE_BYTES / 2, BLK_BYTES);
		load_run(l, 16, 20000, ascending_read);
		CU_ASSERT(between((double)l->longest_ns / 1e6, (double)age, (double)age + 30));
		CU_ASSERT(dev_hdd_stats(l->dev)->aged >= 1);
		load_free(l);
		/* All of them old: served in their order, so each waits for those before it at most. */
		l = load_new(&m, DRIVE_BYTES);
		load_run(l, 32, 4000, random_read);
		CU_ASSERT(between((double)l->longest_ns / 1e6, 50, (double)age + 32 * 18));
		load_free(l);
	}
}

static void test_scale(void)
{
	struct hdd_model m = hdd_model_default;
	double one = iops(NULL, 8, 3000, random_read);

	m.scale = 0.1;
	CU_ASSERT(between(iops(&m, 8, 3000, random_read) / one, 9.8, 10.2));
	m.scale = 2;
	CU_ASSERT(between(iops(&m, 8, 3000, random_read) / one, 0.49, 0.51));
}

/* ------------------------------------------------------------------ order, flush, write cache */

static void test_flush(void)
{
	struct load *l = load_new(NULL, DRIVE_BYTES);

	l->next = random_write;
	for (int i = 0; i < 10; i++)
		load_start(l, &l->ios[i], DEV_WRITE, rng_below(&l->rng, 1u << 20) * BLK_BYTES, BLK_BYTES);
	load_start(l, &l->ios[10], DEV_FLUSH, 0, 0);
	load_start(l, &l->ios[11], DEV_READ, l->ios[3].io.off_bytes, BLK_BYTES);
	load_start(l, &l->ios[12], DEV_FLUSH, 0, 0);
	load_settle(l);
	CU_ASSERT_EQUAL(l->order[10], 1);
	CU_ASSERT_EQUAL(l->order[11], l->ios[11].io.off_bytes);
	CU_ASSERT_EQUAL(l->order[12], 1);
	/* The medium gets it when what it covers is done. */
	CU_ASSERT_EQUAL(l->medium->log[10], 1);
	CU_ASSERT_EQUAL(l->medium->log[12], 1);
	CU_ASSERT_EQUAL(dev_hdd_stats(l->dev)->flushes, 2);
	load_free(l);
}

static void test_write_cache(void)
{
	struct hdd_model m = hdd_model_default;
	const struct hdd_stats *s;
	struct load *l;
	uint64_t begin;
	double rate;

	m.write_cache_bytes = MIB(4);
	l = load_new(&m, DRIVE_BYTES);
	s = dev_hdd_stats(l->dev);
	rate = load_run(l, 8, 1000, random_write);	/* 1000 of 1024 blocks: all fit */
	CU_ASSERT(rate > 50000);
	CU_ASSERT_EQUAL(s->cached, 1000);
	CU_ASSERT(s->requests[DEV_WRITE] < 5);
	begin = l->now_ns;
	load_start(l, &l->ios[0], DEV_FLUSH, 0, 0);
	load_settle(l);
	CU_ASSERT_EQUAL(s->requests[DEV_WRITE], 1000);
	CU_ASSERT_EQUAL(s->bytes[DEV_WRITE], 1000 * BLK_BYTES);
	/* In ascending order: a short seek and half a turn each. */
	CU_ASSERT(between((double)(l->now_ns - begin) / 1e9, 4, 8));
	/* Longer than the cache: at the pace of the sorted platter. Reads meanwhile get their turns. */
	rate = load_run(l, 32, 6000, random_write);
	CU_ASSERT(between(rate, 150, 260));
	l->longest_ns = 0;
	load_start(l, &l->ios[0], DEV_READ, 0, BLK_BYTES);
	load_settle(l);
	CU_ASSERT(l->longest_ns < 40 * MSEC_NS);
	load_free(l);
	/* Merged: a sequential stream of small writes goes down as one, and what does not fit at all goes past. */
	l = load_new(&m, DRIVE_BYTES);
	l->step = BLK_BYTES;
	load_run(l, 8, 20000, ascending_write);
	s = dev_hdd_stats(l->dev);
	CU_ASSERT(s->requests[DEV_WRITE] < 2000);
	load_free(l);
	m.write_cache_bytes = KIB(512);
	l = load_new(&m, DRIVE_BYTES);
	l->step = MIB(1);
	rate = load_run(l, 4, 100, ascending_write);
	CU_ASSERT(between(rate * 1.048576, 165, 181));
	CU_ASSERT_EQUAL(dev_hdd_stats(l->dev)->cached, 0);
	load_free(l);
}

static uint64_t taken(struct hdd_drive *d)
{
	struct hdd_extent e = { 0, 0 };

	CU_ASSERT(hdd_cache_take(d, &e));
	d->cache.destaging = 0;
	return e.off << 8 | e.len / KIB(4);
}

/* The cache's ranges: merged when they touch or overlap, taken upwards from where the last one ended, then anew. */
static void test_extents(void)
{
	struct hdd_model m = hdd_model_default;
	struct hdd_extent e;
	struct hdd_drive d;

	m.write_cache_bytes = MIB(1);
	CU_ASSERT_EQUAL_FATAL(hdd_drive_init(&d, &m, DRIVE_BYTES), 0);
	CU_ASSERT(hdd_cache_add(&d, MIB(10), KIB(4)));
	CU_ASSERT(hdd_cache_add(&d, MIB(20), KIB(4)));
	CU_ASSERT(hdd_cache_add(&d, MIB(30), KIB(8)));
	CU_ASSERT(hdd_cache_add(&d, MIB(30) + KIB(16), KIB(8)));
	CU_ASSERT(hdd_cache_add(&d, MIB(30) + KIB(4), KIB(12)));	/* joins both */
	CU_ASSERT_EQUAL(d.cache.n, 3);
	CU_ASSERT_EQUAL(d.cache.bytes, KIB(32));
	CU_ASSERT(!hdd_cache_add(&d, MIB(50), MIB(1)));
	CU_ASSERT_EQUAL(taken(&d), MIB(10) << 8 | 1);
	CU_ASSERT(hdd_cache_add(&d, MIB(5), KIB(4)));
	CU_ASSERT(hdd_cache_add(&d, MIB(10) + KIB(4), KIB(4)));
	CU_ASSERT_EQUAL(taken(&d), (MIB(10) + KIB(4)) << 8 | 1);
	CU_ASSERT_EQUAL(taken(&d), MIB(20) << 8 | 1);
	CU_ASSERT_EQUAL(taken(&d), MIB(30) << 8 | 6);
	CU_ASSERT_EQUAL(taken(&d), MIB(5) << 8 | 1);
	CU_ASSERT(!hdd_cache_take(&d, &e));
	CU_ASSERT_EQUAL(d.cache.bytes, 0);
	hdd_drive_free(&d);
}

static CU_TestInfo hdd_tests[] = {
	{ "random", test_random },
	{ "queueing", test_queueing },
	{ "sequential", test_sequential },
	{ "sorted_writes", test_sorted_writes },
	{ "read_ahead", test_read_ahead },
	{ "age", test_age },
	{ "scale", test_scale },
	{ "flush", test_flush },
	{ "write_cache", test_write_cache },
	{ "extents", test_extents },
	CU_TEST_INFO_NULL,
};

const struct hb_suite suite_hdd = { "hdd", hdd_tests };

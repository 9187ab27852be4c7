/* SPDX-License-Identifier: GPL-2.0-only */
/* pace.c - write-back over a modelled disk, in virtual time: what random writes get for many times the write tier's
 * size, what random reads wait meanwhile, and what the disk did. The same program gives the same figures.
 *
 * pace [--tier=MIB] [--volume=MIB] [--disk=MIB] [--depth=N] [--cache=MIB] [--reads=N] [--seconds=N] [--seed=N]
 *      [--times] [--only=SECTION]
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "tests/unit/pace_rig.h"

static struct {
	uint64_t tier_mib, volume_mib, disk_mib, depth, cache_mib, reads, seconds, seed, times;
	const char *only;
} opt = {.tier_mib = 128, .reads = 50, .seconds = 60, .seed = 1, .only = ""};

static const struct option options[] = {
	{"tier", required_argument, NULL, 't'},	   {"volume", required_argument, NULL, 'v'},
	{"disk", required_argument, NULL, 'D'},	   {"depth", required_argument, NULL, 'd'},
	{"cache", required_argument, NULL, 'c'},   {"reads", required_argument, NULL, 'r'},
	{"seconds", required_argument, NULL, 's'}, {"seed", required_argument, NULL, 'S'},
	{"times", no_argument, NULL, 'T'},	   {"only", required_argument, NULL, 'o'},
	{NULL, 0, NULL, 0},
};

static void print_second(struct pace_rig *rig)
{
	static uint64_t writes_before;
	struct hb_stats st;

	hb_pool_stats(rig->pool, &st);
	printf("  %5llu s: dirty %2.0f %%, free segments %2.0f %%, %llu writes/s, %llu runs, %llu checkpoints\n",
	       (unsigned long long)(rig->now_ns / SEC_NS), 100.0 * (double)st.dirty_bytes / (double)st.log_bytes,
	       100.0 * (double)st.log_free_bytes / (double)st.log_bytes,
	       (unsigned long long)(rig->writes - MIN(writes_before, rig->writes)), (unsigned long long)st.wb_runs,
	       (unsigned long long)st.checkpoints);
	writes_before = rig->writes;
}

static void print_writes(const char *what, const struct pace_result *r, double bare)
{
	printf("%s: %.0f writes/s", what, r->writes_s);
	if (bare > 0)
		printf(" = %.1f x bare", r->writes_s / bare);
	printf("; p50 %.2f p99 %.2f max %.1f ms\n", r->write_p50_ms, r->write_p99_ms, r->write_max_ms);
}

static void print_reads(const struct pace_result *r)
{
	printf("  reads: %.1f/s, p50 %.1f p99 %.1f max %.1f ms\n", r->reads_s, r->read_p50_ms, r->read_p99_ms,
	       r->read_max_ms);
}

static void print_disk(const struct pace_result *r)
{
	printf("  disk: busy %.0f %%; %llu blocks written back, %.2f requests and %.2f seeks each, %llu flushes; dirty "
	       "%.0f..%.0f %%, free segments from %.0f %%; %llu errors\n",
	       r->disk_busy * 100, (unsigned long long)r->written_back,
	       (double)r->disk_writes / (double)MAX(r->written_back, 1u),
	       (double)r->disk_seeks / (double)MAX(r->written_back, 1u), (unsigned long long)r->flushes,
	       r->full_min * 100, r->full_max * 100, r->free_min * 100, (unsigned long long)r->errors);
}

static bool wanted(const char *section)
{
	return !opt.only[0] || strstr(opt.only, section);
}

static struct pace_shape shape(void)
{
	struct pace_shape s = {.model = hdd_model_default, .seed = opt.seed, .depth = (uint32_t)opt.depth};

	s.model.write_cache_bytes = MIB(opt.cache_mib);
	s.tier_bytes = MIB(opt.tier_mib);
	s.volume_bytes = MIB(opt.volume_mib ? opt.volume_mib : 10 * opt.tier_mib);
	s.disk_bytes = opt.disk_mib ? MIB(opt.disk_mib) : s.volume_bytes + s.volume_bytes / 8 + MIB(64);
	return s;
}

/* Writers alone, then with readers beside them; before that the readers alone. */
static void steady(void)
{
	struct pace_shape s = shape();
	double bare = pace_bare(&s, 32, 20000);
	uint64_t ns = opt.seconds * SEC_NS;
	struct pace_rig *rig = pace_new(&s);
	struct pace_result alone, r;

	printf("tier %llu MiB, volume %llu MiB, disk %llu MiB\nbare disk, depth 32: %.0f writes/s; depth 1: %.0f\n",
	       (unsigned long long)opt.tier_mib, (unsigned long long)(s.volume_bytes >> 20),
	       (unsigned long long)(s.disk_bytes >> 20), bare, pace_bare(&s, 1, 5000));
	pace_fill(rig, MIB(1), false);
	pace_settle(rig);
	alone = pace_run(rig, 0, (uint32_t)opt.reads, ns);
	printf("readers alone\n");
	print_reads(&alone);
	rig->every_s = opt.times ? print_second : NULL;
	r = pace_run(rig, 32, 0, ns);
	print_writes("32 writers, from an empty tier", &r, bare);
	print_disk(&r);
	r = pace_run(rig, 32, 0, ns);
	print_writes("32 writers, steady", &r, bare);
	print_disk(&r);
	pace_run(rig, 32, (uint32_t)opt.reads, ns);
	r = pace_run(rig, 32, (uint32_t)opt.reads, ns);
	print_writes("32 writers with readers, steady", &r, bare);
	print_reads(&r);
	printf("  p99 %.2f x alone\n", r.read_p99_ms / alone.read_p99_ms);
	print_disk(&r);
	pace_free(rig);
}

/* Random 64 KiB writes, then all of it to the disk. */
static void runs(void)
{
	struct pace_shape s = shape();
	struct pace_rig *rig;
	struct hb_stats a, b;
	uint64_t begin;

	s.tier_bytes = GIB(1);
	s.volume_bytes = MIB(512);
	s.disk_bytes = GIB(1);
	rig = pace_new(&s);
	for (int i = 0; i < 2; i++) {
		if (!i) {
			pace_fill(rig, MIB(1), false);
			pace_settle(rig);
		}
		hb_pool_stats(rig->pool, &a);
		pace_fill(rig, KIB(64), true);
		begin = rig->now_ns;
		uint64_t before = dev_hdd_stats(rig->disk)->requests[DEV_WRITE];

		pace_settle(rig);
		hb_pool_stats(rig->pool, &b);
		printf("8192 random writes of 64 KiB: %llu blocks in %llu runs, %llu writes of the disk, %.2f s\n",
		       (unsigned long long)(b.wb_blocks - a.wb_blocks), (unsigned long long)(b.wb_runs - a.wb_runs),
		       (unsigned long long)(dev_hdd_stats(rig->disk)->requests[DEV_WRITE] - before),
		       (double)(rig->now_ns - begin) / 1e9);
	}
	pace_free(rig);
}

/* 1 GiB in order, past the write tier and through it: what the SSD and the disk have of it, and how long it takes. */
static void stream_of(uint64_t cache_mib, uint32_t each, uint32_t depth, uint32_t bypass_blk, bool again)
{
	struct pace_shape s = shape();
	struct pace_stream r;
	struct pace_rig *rig;
	uint64_t begin;

	s.model.write_cache_bytes = MIB(cache_mib);
	s.volume_bytes = GIB(1);
	s.disk_bytes = GIB(3);
	rig = pace_new(&s);
	pace_bypass(rig, bypass_blk);
	for (int i = 0; i <= again; i++) {
		begin = rig->now_ns;
		r = pace_stream(rig, 0, GIB(1) / BLK_BYTES, each, depth);
	}
	pace_settle(rig);
	printf("  drive cache %2llu MiB, %4u KiB each, depth %2u, %-7s: %5.1f MiB/s answered, %5.1f to the disk's last "
	       "block; SSD bytes by initiator byte %.4f, past the SSD %.1f %%; %llu errors\n",
	       (unsigned long long)cache_mib, each / 1024, depth, bypass_blk ? "through" : again ? "past, 2" : "past",
	       1024 / r.seconds, 1024e9 / (double)(rig->now_ns - begin), (double)r.tier_bytes / (double)GIB(1),
	       100 * (double)r.past_bytes / (double)GIB(1), (unsigned long long)rig->errors);
	pace_free(rig);
}

static void stream(void)
{
	static const struct {
		uint32_t each, depth;
	} with[] = {{MIB(1), 1}, {KIB(256), 1}, {KIB(256), 8}, {KIB(512), 16}, {MIB(1), 32}};

	printf("1 GiB in order, tier %llu MiB\n", (unsigned long long)opt.tier_mib);
	for (uint64_t cache = 0; cache <= 64; cache += 64)
		for (unsigned i = 0; i < ARRAY_LEN(with); i++) {
			stream_of(cache, with[i].each, with[i].depth, HB_ATTR_NEVER, false);
			stream_of(cache, with[i].each, with[i].depth, 0, false);
			stream_of(cache, with[i].each, with[i].depth, 0, true);
		}
}

/* The same beside random writers, and beside readers. */
static void beside(void)
{
	for (int past = 0; past < 2; past++)
		for (int reads = 0; reads < 2; reads++) {
			struct pace_shape s = shape();
			struct pace_stream r;
			struct pace_rig *rig;

			s.volume_bytes = GIB(2);
			s.disk_bytes = GIB(4);
			rig = pace_new(&s);
			pace_fill(rig, MIB(1), false);
			pace_settle(rig);
			pace_bypass(rig, past ? 0 : HB_ATTR_NEVER);
			pace_run(rig, reads ? 0 : 8, reads ? (uint32_t)opt.reads : 0, 20 * SEC_NS);
			r = pace_stream(rig, 0, GIB(1) / BLK_BYTES, KIB(512), 16);
			printf("  %-7s beside %s: %.1f MiB/s, %.4f SSD bytes by initiator byte; ",
			       past ? "past" : "through", reads ? "readers" : "8 random writers", 1024 / r.seconds,
			       (double)r.tier_bytes / (double)(GIB(1) + r.others * BLK_BYTES));
			if (reads)
				printf("reads p50 %.1f p99 %.1f ms\n", r.read_p50_ms, r.read_p99_ms);
			else
				printf("random writes %.0f/s\n", (double)r.others / r.seconds);
			pace_free(rig);
		}
}

int main(int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 't': opt.tier_mib = strtoull(optarg, NULL, 10); break;
		case 'v': opt.volume_mib = strtoull(optarg, NULL, 10); break;
		case 'D': opt.disk_mib = strtoull(optarg, NULL, 10); break;
		case 'd': opt.depth = strtoull(optarg, NULL, 10); break;
		case 'c': opt.cache_mib = strtoull(optarg, NULL, 10); break;
		case 'r': opt.reads = strtoull(optarg, NULL, 10); break;
		case 's': opt.seconds = strtoull(optarg, NULL, 10); break;
		case 'S': opt.seed = strtoull(optarg, NULL, 10); break;
		case 'T': opt.times = 1; break;
		case 'o': opt.only = optarg; break;
		default: return 2;
		}
	}
	if (wanted("steady"))
		steady();
	if (wanted("runs"))
		runs();
	if (wanted("stream")) {
		stream();
		beside();
	}
	return 0;
}

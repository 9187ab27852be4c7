/* SPDX-License-Identifier: GPL-2.0-only */
/* costs.c - what snapshots, clones and deletions cost: the engine alone, in this process, on a pool of files.
 *
 * usage: costs CONFIG
 * The pool is formatted already and large enough (the capacity device is a sparse file). Prints one line a figure:
 * "NAME VALUE UNIT"; what each one is to be compared with is table.py's business. Times are of this process' CPU, so
 * that a busy machine does not count.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "conf/conf.h"
#include "engine/engine.h"
#include "host/host.h"

#define LEAF_BYTES MIB(16)
#define SNAPS 101
#define SPAN MIB(256)
#define WRITES 60000u
#define READS 60000u

static struct hb_pool *pool;
static struct host_pool *host;
static struct rng rng = {.s = 1};
static uint8_t *buf;

static void die(const char *what, const struct err *err)
{
	fprintf(stderr, "costs: %s: %s\n", what, err && err->text[0] ? err->text : "failed");
	exit(1);
}

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static void done(struct hb_req *req)
{
	*(bool *)req->owner = true;
}

/* Submits and waits. */
static void ask(struct hb_volume *v, enum hb_op op, uint64_t off, uint64_t len, uint64_t from)
{
	bool ready = false;
	struct hb_req req = {.op = op, .vol = v, .src_vol = v, .src_off_bytes = from, .off_bytes = off,
			     .len_bytes = len, .buf = buf, .done = done, .owner = &ready};

	if (!hb_submit(&req))
		while (!ready)
			hb_pool_run(pool);
	if (req.error) {
		fprintf(stderr, "costs: request %d at %llu: %s\n", op, (unsigned long long)off,
			strerror(-req.error));
		exit(1);
	}
}

/* Lets background work come to an end; `deleted`: all volumes' space, too. */
static void settle(void)
{
	struct hb_stats s;

	do {
		for (int i = 0; i < 100; i++)
			hb_pool_run(pool);
		hb_pool_stats(pool, &s);
	} while (s.deleting);
}

static struct hb_volume *make(const char *name, uint64_t size)
{
	struct hb_volume *v;
	struct err err = ERR_INIT;

	if (hb_volume_create(pool, name, size, &err) || hb_volume_open(pool, name, &v, &err))
		die(name, &err);
	return v;
}

static void snapshot(const char *source, const char *name, bool writable)
{
	struct hb_snap what = {.source = source, .name = name, .writable = writable};
	struct err err = ERR_INIT;

	if (hb_volume_snapshot(pool, &what, 1, &err))
		die(name, &err);
}

static void drop(const char *name)
{
	struct err err = ERR_INIT;

	if (hb_volume_delete(pool, name, &err))
		die(name, &err);
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Every entry of the map is in use: one leaf is written, and the others share its chunks. */
static void fill_map(struct hb_volume *v, uint64_t size)
{
	for (uint64_t at = 0; at < LEAF_BYTES; at += MIB(1))
		ask(v, HB_WRITE, at, MIB(1), 0);
	for (uint64_t n = LEAF_BYTES; n < size; n *= 2)
		ask(v, HB_COPY, n, MIN(n, size - n), 0);
}

/* Median of the time that taking a snapshot keeps the loop, of a small volume and of a large one in turn. */
static void snapshot_latency(void)
{
	static const uint64_t size[2] = {1ull << 30, 1ull << 40};
	static const char *const what[2] = {"1GiB", "1TiB"};
	struct hb_volume *v[2];
	uint64_t took[2][SNAPS];
	char name[HB_NAME_MAX];

	for (int k = 0; k < 2; k++) {
		v[k] = make(what[k], size[k]);
		fill_map(v[k], size[k]);
	}
	for (unsigned i = 0; i < 2 * SNAPS; i++) {
		int k = i % 2;
		uint64_t t;

		/* Something to copy-on-write between two. */
		ask(v[k], HB_WRITE, rng_below(&rng, size[k] / 4096) * 4096, 4096, 0);
		snprintf(name, sizeof(name), "%s-%u", what[k], i);
		t = cpu_ns();
		snapshot(what[k], name, false);
		took[k][i / 2] = cpu_ns() - t;
	}
	for (int k = 0; k < 2; k++) {
		qsort(took[k], SNAPS, sizeof(took[k][0]), by_size);
		printf("snapshot-%s %.2f us\n", what[k], (double)took[k][SNAPS / 2] / 1000);
		hb_volume_close(v[k]);
	}
}

static uint64_t random_writes(struct hb_volume *v)
{
	uint64_t t = cpu_ns();

	for (unsigned i = 0; i < WRITES; i++) {
		ask(v, HB_WRITE, rng_below(&rng, SPAN / 4096) * 4096, 4096, 0);
		if (i % 64 == 0)
			hb_pool_run(pool);
	}
	return (cpu_ns() - t) / WRITES;
}

static uint64_t random_reads(struct hb_volume *v)
{
	uint64_t t = cpu_ns();

	for (unsigned i = 0; i < READS; i++)
		ask(v, HB_READ, rng_below(&rng, SPAN / 4096) * 4096, 4096, 0);
	return (cpu_ns() - t) / READS;
}

static void write_before_after(void)
{
	struct hb_volume *v = make("writes", SPAN);
	uint64_t before[3], after[3];

	for (uint64_t at = 0; at < SPAN; at += MIB(1))
		ask(v, HB_WRITE, at, MIB(1), 0);
	random_writes(v);
	for (int i = 0; i < 3; i++) {
		char name[HB_NAME_MAX];

		before[i] = random_writes(v);
		snprintf(name, sizeof(name), "writes-%d", i);
		snapshot("writes", name, false);
		after[i] = random_writes(v);
		drop(name);
		settle();
	}
	qsort(before, 3, sizeof(before[0]), by_size);
	qsort(after, 3, sizeof(after[0]), by_size);
	printf("write-before %llu ns\nwrite-after %llu ns\n", (unsigned long long)before[1],
	       (unsigned long long)after[1]);
	hb_volume_close(v);
}

/* The same where nearly every write after the snapshot is the first one to its part of the map. */
static void write_spread(void)
{
	const uint64_t size = 1ull << 36;
	struct hb_volume *v = make("spread", size);
	uint64_t before = 0, after = 0;
	char name[HB_NAME_MAX];

	fill_map(v, size);
	for (int i = 0; i < 8; i++) {
		for (int k = 0; k < 2; k++) {
			uint64_t t;

			if (k) {
				snprintf(name, sizeof(name), "spread-%d", i);
				snapshot("spread", name, false);
			}
			t = cpu_ns();
			for (unsigned n = 0; n < 4000; n++) {
				ask(v, HB_WRITE, rng_below(&rng, size / 4096) * 4096, 4096, 0);
				if (n % 64 == 0)
					hb_pool_run(pool);
			}
			*(k ? &after : &before) += cpu_ns() - t;
		}
	}
	printf("spread-before %llu ns\nspread-after %llu ns\n", (unsigned long long)before / 32000,
	       (unsigned long long)after / 32000);
	hb_volume_close(v);
}

/* Clones of clones; each generation changes something. */
static void generations(void)
{
	struct hb_volume *v = make("gen-0", SPAN);
	char name[HB_NAME_MAX], next[HB_NAME_MAX];
	struct err err = ERR_INIT;

	for (uint64_t at = 0; at < SPAN; at += MIB(1))
		ask(v, HB_WRITE, at, MIB(1), 0);
	for (int i = 0; i < 3; i++)
		random_reads(v);
	for (unsigned g = 0; g <= 1000; g++) {
		if (g <= 1 || g == 10 || g == 100 || g == 1000) {
			uint64_t least = UINT64_MAX;

			for (int i = 0; i < 3; i++)
				least = MIN(least, random_reads(v));
			printf("read-gen-%u %llu ns\n", g, (unsigned long long)least);
		}
		snprintf(name, sizeof(name), "gen-%u", g);
		snprintf(next, sizeof(next), "gen-%u", g + 1);
		snapshot(name, next, true);
		hb_volume_close(v);
		if (hb_volume_open(pool, next, &v, &err))
			die(next, &err);
		ask(v, HB_WRITE, rng_below(&rng, SPAN / 4096) * 4096, 4096, 0);
		if (g % 50 == 0)
			hb_pool_run(pool);
	}
	hb_volume_close(v);
}

/* Deletes them again, oldest first. */
static void deletions(void)
{
	uint64_t t = cpu_ns();
	char name[HB_NAME_MAX];

	for (unsigned g = 0; g <= 1000; g++) {
		snprintf(name, sizeof(name), "gen-%u", g);
		drop(name);
	}
	settle();
	printf("delete %.1f us\n", (double)(cpu_ns() - t) / 1001 / 1000);
}

/* So many snapshots, each a little different: opening, listing, deleting, memory, for each of them. */
static void many(const struct conf *conf, unsigned n)
{
	struct hb_volume *v = make("many", SPAN);
	char name[HB_NAME_MAX + 1] = "";
	struct hb_stats before, after;
	struct hb_volume_info info;
	struct err err = ERR_INIT;
	uint64_t t;

	hb_pool_stats(pool, &before);
	for (unsigned i = 0; i < n; i++) {
		ask(v, HB_WRITE, rng_below(&rng, SPAN / 4096) * 4096, 4096, 0);
		snprintf(name, sizeof(name), "many-%u", i);
		snapshot("many", name, false);
		if (i % 50 == 0)
			hb_pool_run(pool);
	}
	hb_pool_stats(pool, &after);
	printf("many-%u-memory %.0f bytes\n", n, (double)(after.mem_map - before.mem_map) / n);
	hb_volume_close(v);
	t = cpu_ns();
	if (host_pool_close(host, &err))
		die("close", &err);
	printf("many-%u-close %.2f us\n", n, (double)(cpu_ns() - t) / n / 1000);
	t = cpu_ns();
	if (host_pool_open(&conf->pools[0], 0, &host, &err))
		die("open again", &err);
	printf("many-%u-open %.2f us\n", n, (double)(cpu_ns() - t) / n / 1000);
	pool = host_pool_engine(host);
	t = cpu_ns();
	name[0] = 0;
	while (hb_volume_next(pool, name, &info))
		;
	printf("many-%u-list %.3f us\n", n, (double)(cpu_ns() - t) / n / 1000);
	t = cpu_ns();
	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "many-%u", i);
		drop(name);
	}
	drop("many");
	settle();
	printf("many-%u-delete %.2f us\n", n, (double)(cpu_ns() - t) / n / 1000);
}

/* 100 clones of one image read all of it; the process begins cold. */
static void clone_storm(const struct conf *conf)
{
	const uint64_t size = MIB(16);
	struct hb_volume *v = make("image", size);
	struct hb_stats before, after;
	struct err err = ERR_INIT;
	char name[HB_NAME_MAX];

	for (uint64_t at = 0; at < size; at += MIB(1))
		ask(v, HB_WRITE, at, MIB(1), 0);
	snapshot("image", "image-s", false);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "clone-%d", i);
		snapshot("image-s", name, true);
	}
	hb_volume_close(v);
	if (hb_pool_writeback(pool))
		die("write-back", NULL);
	if (host_pool_close(host, &err) || host_pool_open(&conf->pools[0], 0, &host, &err))
		die("open again", &err);
	pool = host_pool_engine(host);
	hb_pool_stats(pool, &before);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "clone-%d", i);
		if (hb_volume_open(pool, name, &v, &err))
			die(name, &err);
		for (uint64_t at = 0; at < size; at += MIB(1))
			ask(v, HB_READ, at, MIB(1), 0);
		hb_volume_close(v);
	}
	hb_pool_stats(pool, &after);
	printf("storm %.3f reads of devices per block of the image\n",
	       (double)(after.read_capacity + after.read_ssd - before.read_capacity - before.read_ssd) /
		       (double)(size / 4096));
}

int main(int argc, char **argv)
{
	struct err err = ERR_INIT;
	struct conf *conf = NULL;

	buf = malloc(MIB(1));
	if (argc != 2 || !buf) {
		fprintf(stderr, "usage: costs CONFIG\n");
		return 2;
	}
	for (size_t i = 0; i < MIB(1) / 8; i++)
		((uint64_t *)buf)[i] = rng_next(&rng);
	if (conf_load(argv[1], &conf, &err) || host_pool_open(&conf->pools[0], 0, &host, &err))
		die(argv[1], &err);
	pool = host_pool_engine(host);
	snapshot_latency();
	write_before_after();
	write_spread();
	generations();
	deletions();
	many(conf, 1000);
	many(conf, 10000);
	clone_storm(conf);
	if (host_pool_close(host, &err))
		die("close", &err);
	conf_free(conf);
	free(buf);
	return 0;
}

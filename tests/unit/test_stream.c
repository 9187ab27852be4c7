/* SPDX-License-Identifier: GPL-2.0-only */
/* test_stream.c - snapshots as streams: there and back, cut, in the wrong order, twice, with little memory or room. */
#include <errno.h>

#include "dev/sim.h"
#include "stream_rig.h"
#include "suites.h"

/* ------------------------------------------------------------------ there and back */
static void test_chain(void)
{
	struct pipe p[3], again;

	pools_open();
	make_chain(&a);
	p[0] = export(&a, "s1", NULL);
	p[1] = export(&a, "s2", "s1");
	p[2] = export(&a, "s3", "s2");
	CHECK(p[1].len < MIB(1) / 8 && p[2].len < MIB(1) + MIB(1) / 8);
	import(&p[0], NULL, 0);
	import(&p[1], NULL, 0);
	import(&p[2], NULL, 0);
	b_has(3, 0);
	same("s1", "s1");
	same("s2", "s2");
	same("s3", "s3");
	/* What was imported can be exported: it is one family, and differs in the same places. */
	again = export(&b, "s3", "s2");
	CHECK(again.len == p[2].len);
	CHECK(!memcmp(again.bytes + frame_at(&p[2], 0) + WIRE_FRAME_BYTES,
		      p[2].bytes + frame_at(&p[2], 0) + WIRE_FRAME_BYTES, frame_at(&p[2], 1) - frame_at(&p[2], 0) -
		      WIRE_FRAME_BYTES));
	for (int i = 0; i < 3; i++)
		free(p[i].bytes);
	free(again.bytes);
	pools_close();
}

/* Two generations at once, and the last one as a whole. */
static void test_shortcuts(void)
{
	struct pipe p;

	pools_open();
	make_chain(&a);
	p = export(&a, "s1", NULL);
	import(&p, NULL, 0);
	free(p.bytes);
	p = export(&a, "s3", "s1");
	import(&p, "both", 0);
	same("s3", "both");
	free(p.bytes);
	p = export(&a, "s3", NULL);
	import(&p, "whole", AGAIN);
	same("s3", "whole");
	free(p.bytes);
	pools_close();
}

static void test_nothing_in_it(void)
{
	struct err err = ERR_INIT;
	struct pipe p;

	pools_open();
	CHECK(hb_volume_create(a.pool, "v", KIB(4), &err) == 0);
	snap(&a, "v", "empty", false);
	snap(&a, "v", "still", false);
	p = export(&a, "empty", NULL);
	CHECK(p.len == WIRE_HEADER_BYTES + WIRE_FRAME_BYTES);
	import(&p, NULL, 0);
	same("empty", "empty");
	free(p.bytes);
	p = export(&a, "still", "empty");
	CHECK(p.len == WIRE_HEADER_BYTES + WIRE_FRAME_BYTES);
	import(&p, NULL, 0);
	same("still", "still");
	b_has(2, 0);
	free(p.bytes);
	pools_close();
}

/* A pipe takes and gives what it likes. */
static void test_narrow_pipes(void)
{
	static const size_t most[] = {1, 47, 4097, 70000};
	struct pipe whole, p;
	struct err err;

	pools_open();
	make_chain(&a);
	whole = export(&a, "s1", NULL);
	for (size_t i = 0; i < ARRAY_LEN(most); i++) {
		p = (struct pipe){.most = most[i], .stutters = i % 2};
		unit_step = i;
		CHECK(try_export(&a, "s1", NULL, &p, &err) == 0);
		CHECK(p.len == whole.len && !memcmp(p.bytes, whole.bytes, p.len));
		p.stutters = !p.stutters;
		import(&p, NULL, 0);
		same("s1", "s1");
		drop(&b, "s1");
		free(p.bytes);
	}
	free(whole.bytes);
	pools_close();
}

/* ------------------------------------------------------------------ cut short */
/* The stream ends after `cut` bytes; the next attempt has all of it. */
static void cut_and_resume(struct pipe *p, size_t cut, const char *name, unsigned snapshots)
{
	size_t len = p->len;

	unit_step = cut;
	p->len = cut;
	refused(p, NULL, 0, -EPIPE, "the stream ends too early");
	b_has(snapshots, cut >= WIRE_HEADER_BYTES);
	p->len = len;
	import(p, NULL, RESUME);
	b_has(snapshots + 1, 0);
	same(name, name);
	drop(&b, name);
}

static void cut_everywhere(struct pipe *p, const char *name, unsigned snapshots)
{
	unsigned n = frames_of(p);

	cut_and_resume(p, 0, name, snapshots);
	cut_and_resume(p, 100, name, snapshots);
	for (unsigned i = 0; i < n; i++) {
		size_t at = frame_at(p, i), bytes = frame_bytes(p, at);

		cut_and_resume(p, at, name, snapshots);
		cut_and_resume(p, at + 1 + i % (WIRE_FRAME_BYTES - 1), name, snapshots);
		if (bytes > WIRE_FRAME_BYTES)
			cut_and_resume(p, at + bytes / 2, name, snapshots);
	}
}

static void test_cut(void)
{
	struct pipe p[3];

	pools_open();
	make_chain(&a);
	p[0] = export(&a, "s1", NULL);
	p[1] = export(&a, "s2", "s1");
	p[2] = export(&a, "s3", "s2");
	cut_everywhere(&p[0], "s1", 0);
	import(&p[0], NULL, 0);
	cut_everywhere(&p[1], "s2", 1);
	import(&p[1], NULL, 0);
	cut_everywhere(&p[2], "s3", 2);
	for (int i = 0; i < 3; i++)
		free(p[i].bytes);
	pools_close();
}

/* Cut again and again, each time a little later; what is there already is not written again. */
static void test_resume_often(void)
{
	struct hb_stats *before = malloc(sizeof(*before)), *after = malloc(sizeof(*after));
	struct pipe p;
	size_t len;

	pools_open();
	make_chain(&a);
	p = export(&a, "s1", NULL);
	len = p.len;
	for (p.len = 1000; p.len < len; p.len += 300000)
		refused(&p, NULL, RESUME, -EPIPE, "the stream ends too early");
	p.len = len - 1;
	refused(&p, NULL, RESUME, -EPIPE, "the stream ends too early");
	p.len = len;
	hb_pool_stats(b.pool, before);
	import(&p, NULL, RESUME);
	hb_pool_stats(b.pool, after);
	CHECK(after->reqs[HB_WRITE] == before->reqs[HB_WRITE] && after->reqs[HB_COMPARE] > before->reqs[HB_COMPARE]);
	same("s1", "s1");
	b_has(1, 0);
	free(p.bytes);
	free(before);
	free(after);
	pools_close();
}

/* What was left was changed meanwhile, where the stream has data: it is put right. */
static void test_resume_repairs(void)
{
	char work[HB_NAME_MAX + 1] = "import-";
	struct hb_volume_info info;
	struct pipe p;

	pools_open();
	make_chain(&a);
	p = export(&a, "s1", NULL);
	p.len -= WIRE_FRAME_BYTES;
	refused(&p, NULL, 0, -EPIPE, "the stream ends too early");
	CHECK(hb_volume_next(b.pool, work, &info) && !strncmp(info.name, "import-", 7));
	put(&b, info.name, KIB(40), KIB(4), 77);
	unmap(&b, info.name, MIB(1), KIB(64));
	unmap(&b, info.name, MIB(4), KIB(64));	/* reads as what the stream has there, but is a hole */
	p.len += WIRE_FRAME_BYTES;
	import(&p, NULL, RESUME);
	same("s1", "s1");
	free(p.bytes);
	pools_close();
}

static void test_source_fails(void)
{
	struct pipe p;
	size_t len;

	pools_open();
	make_chain(&a);
	p = export(&a, "s1", NULL);
	len = p.len;
	p.len = MIB(1);
	p.fails_with = -EIO;
	refused(&p, NULL, 0, -EIO, "the stream cannot be read: ");
	b_has(0, 1);
	p.len = len;	/* and in the place of its end */
	refused(&p, NULL, RESUME, -EIO, "the stream cannot be read: ");
	b_has(0, 1);
	p.fails_with = 0;
	import(&p, NULL, RESUME);
	same("s1", "s1");
	free(p.bytes);
	pools_close();
}

/* ------------------------------------------------------------------ foreign, out of order, twice */
static void test_order(void)
{
	struct err err = ERR_INIT;
	struct pipe p[3];

	pools_open();
	make_chain(&a);
	p[0] = export(&a, "s1", NULL);
	p[1] = export(&a, "s2", "s1");
	p[2] = export(&a, "s3", "s2");
	refused(&p[1], NULL, 0, -ENOENT, "the stream of 's2' starts from a snapshot with content ");
	/* The name is not what counts. */
	CHECK(hb_volume_create(b.pool, "v", VOL_BYTES, &err) == 0);
	snap(&b, "v", "s2", false);
	refused(&p[2], NULL, 0, -ENOENT, "import that one first");
	b_has(1, 1);
	drop(&b, "s2");
	drop(&b, "v");
	import(&p[0], "first", 0);
	refused(&p[2], NULL, 0, -ENOENT, "import that one first");
	import(&p[1], "second", 0);
	import(&p[2], "third", 0);
	same("s3", "third");
	b_has(3, 0);
	for (int i = 0; i < 3; i++)
		free(p[i].bytes);
	pools_close();
}

static void test_twice(void)
{
	struct err err = ERR_INIT;
	struct pipe p;

	pools_open();
	make_chain(&a);
	p = export(&a, "s1", NULL);
	CHECK(hb_volume_create(b.pool, "s1", VOL_BYTES, &err) == 0);
	refused(&p, NULL, 0, -EEXIST, "volume 's1' exists already in pool main");
	refused(&p, "-x", 0, -EINVAL, "'-x' is no name");
	import(&p, "one", 0);
	refused(&p, NULL, 0, -EEXIST, "this was imported already: snapshot 'one' has the same content");
	refused(&p, "two", 0, -EEXIST, "imported already");
	refused(&p, "two", RESUME, -EEXIST, "imported already");
	refused(&p, "one", AGAIN, -EEXIST, "volume 'one' exists already");
	import(&p, "two", AGAIN);
	same("s1", "one");
	same("s1", "two");
	/* The very pool that it came from has it, too. */
	CHECK(try_import(&a, &p, "mine", 0, &err) == -EEXIST);
	b_has(2, 1);
	free(p.bytes);
	pools_close();
}

/* What an unfinished import left belongs to a stream with the same beginning; else it is not gone on from. */
static void test_leftovers(void)
{
	struct err err = ERR_INIT;
	struct hb_volume_info info;
	char cursor[HB_NAME_MAX + 1] = "import-";
	struct pipe full, inc, first;
	struct hb_volume *vol;
	size_t len;

	pools_open();
	make_chain(&a);
	first = export(&a, "s1", NULL);
	full = export(&a, "s2", NULL);
	inc = export(&a, "s2", "s1");
	import(&first, NULL, 0);
	len = full.len;
	full.len /= 2;
	refused(&full, NULL, 0, -EPIPE, "the stream ends too early");
	refused(&inc, NULL, RESUME, -EINVAL, "was not left by this stream");
	CHECK(hb_volume_next(b.pool, cursor, &info));
	vol = open_volume(&b, info.name);
	refused(&inc, NULL, 0, -EBUSY, "is being imported already");
	refused(&full, NULL, RESUME, -EBUSY, "is being imported already");
	hb_volume_close(vol);
	refused(&inc, NULL, RESUME, -EINVAL, "was not left by this stream");
	inc.len -= 1;
	refused(&inc, NULL, 0, -EPIPE, "the stream ends too early");	/* anew: the full one's leftovers are gone */
	inc.len += 1;
	full.len = len;
	refused(&full, NULL, RESUME, -EINVAL, "was not left by this stream");
	import(&inc, NULL, RESUME);
	same("s2", "s2");
	b_has(2, 0);
	/* As after a crash between the last two steps. */
	CHECK(hb_volume_create(b.pool, info.name, VOL_BYTES, &err) == 0);
	refused(&full, NULL, RESUME, -EEXIST, "imported already");
	b_has(2, 0);
	free(first.bytes);
	free(full.bytes);
	free(inc.bytes);
	pools_close();
}

/* ------------------------------------------------------------------ exports that fail */
static void export_refused(const char *snapshot, const char *from, int code, const char *words)
{
	struct pipe p = {0};
	struct err err;

	if (try_export(&a, snapshot, from, &p, &err) != code || !strstr(err.text, words))
		printf("\nexpected %d: ...%s...\ngot      %d: %s\n", code, words, err.code, err.text);
	CHECK(err.code == code && strstr(err.text, words) && !p.len);
}

static void test_export_refused(void)
{
	struct err err = ERR_INIT;
	struct pipe p;

	pools_open();
	make_chain(&a);
	CHECK(hb_volume_create(a.pool, "w", VOL_BYTES, &err) == 0);
	snap(&a, "w", "foreign", false);
	export_refused("nosuch", NULL, -ENOENT, "no volume 'nosuch'");
	export_refused("s1", "nosuch", -ENOENT, "no volume 'nosuch'");
	export_refused("v", NULL, -EINVAL, "export a snapshot of it");
	export_refused("s1", "v", -EINVAL, "export a snapshot of it");
	export_refused("s1", "foreign", -EINVAL, "not of the family");
	export_refused("s1", "s1", -EINVAL, "same content");
	for (size_t full = 1; full < MIB(3); full = full * 3 + 1000) {
		p = (struct pipe){.full_at = full};
		CHECK(try_export(&a, "s1", NULL, &p, &err) == -EPIPE);
		CHECK(strstr(err.text, "the stream cannot be written: "));
		free(p.bytes);
	}
	drop(&a, "s1");		/* nothing was left open */
	drop(&a, "s2");
	pools_close();
}

/* Given up with requests in flight. */
static void test_given_up(void)
{
	struct stream_export_how how;
	struct stream_import_how in_how;
	struct stream_export *x;
	struct stream_import *y;
	struct pipe p, sink = {0};
	struct err err = ERR_INIT;

	pools_open();
	make_chain(&a);
	p = export(&a, "s1", NULL);
	how = (struct stream_export_how){.pool = a.pool, .snapshot = "s1", .sink = {&sink, pipe_write}};
	in_how = (struct stream_import_how){.pool = b.pool, .source = {&p, pipe_read}};
	for (int turns = 0; turns < 40; turns++) {
		unit_step = (uint64_t)turns;
		CHECK(stream_export_new(&how, &x, &err) == 0 && stream_import_new(&in_how, &y, &err) == 0);
		p.pos = sink.len = 0;
		for (int i = 0; i < turns; i++) {
			if (!(stream_export_run(x) & STREAM_AGAIN))
				hb_pool_run(a.pool);
			if (!(stream_import_run(y) & STREAM_AGAIN))
				hb_pool_run(b.pool);
		}
		stream_export_free(x);
		stream_import_free(y);
	}
	free(sink.bytes);
	if (info_of(&b, "s1").snapshot)
		same("s1", "s1");
	free(p.bytes);
	pools_close();
}

/* ------------------------------------------------------------------ memory */
static void test_export_no_memory(void)
{
	unsigned long made = 1;

	pools_open();
	make_chain(&a);
	for (unsigned long n = 1; made >= n - 1; n++) {
		struct pipe p = {0};
		struct err err;
		int rc;

		unit_step = n;
		CHECK(n < 1000);
		mem_fail_at(n);
		rc = try_export(&a, "s3", "s1", &p, &err);
		made = mem_fail_at(0);
		CHECK(rc == 0 || rc == -ENOMEM);
		free(p.bytes);
	}
	drop(&a, "s1");
	pools_close();
}

static void test_import_no_memory(void)
{
	unsigned long made = 1, n;
	unsigned snapshots, others;
	struct pipe p[2];

	pools_open();
	make_chain(&a);
	p[0] = export(&a, "s1", NULL);
	p[1] = export(&a, "s2", "s1");
	import(&p[0], NULL, 0);
	for (n = 1; made >= n - 1; n++) {
		struct err err;
		int rc;

		unit_step = n;
		CHECK(n < 5000);
		mem_fail_at(n);
		rc = try_import(&b, &p[1], NULL, 0, &err);
		made = mem_fail_at(0);
		CHECK(rc == 0 || rc == -ENOMEM);
		count_volumes(&b, &snapshots, &others);
		CHECK(snapshots == (rc ? 1u : 2u));
		if (rc)
			import(&p[1], NULL, RESUME);
		same("s2", "s2");
		b_has(2, 0);
		drop(&b, "s2");
	}
	CHECK(n > 5);
	free(p[0].bytes);
	free(p[1].bytes);
	pools_close();
}

/* There is no room: nothing new, and when there is, it goes on. */
static void test_full_pool(void)
{
	struct err err = ERR_INIT;
	struct pipe p;

	pools_open();
	CHECK(hb_volume_create(a.pool, "v", MIB(32), &err) == 0);
	CHECK(hb_volume_create(b.pool, "fat", MIB(64), &err) == 0);
	for (uint64_t i = 0; i < 24; i++)
		put(&a, "v", MIB(i), MIB(1), 1 + i * MIB(1));
	for (uint64_t i = 0; i < 44; i++)
		put(&b, "fat", MIB(i), MIB(1), 1 + i * MIB(1));
	snap(&a, "v", "s", false);
	p = export(&a, "s", NULL);
	refused(&p, NULL, 0, -ENOSPC, "cannot be written at byte ");
	b_has(0, 2);
	drop(&b, "fat");
	import(&p, NULL, RESUME);
	same("s", "s");
	free(p.bytes);
	pools_close();
}

/* ------------------------------------------------------------------ crashes */
/* Pool b on simulated disks. The one that runs is `now`, and its pool is in b. */
struct world {
	struct sim_clock clock;
	struct sim_disk *disk[2];
	struct ram_pool pool;
};

static struct world *now;

static uint64_t world_now(void *ctx)
{
	(void)ctx;
	return now->clock.now_ns += 1000;
}

static void world_wait(void *ctx, uint64_t until_ns)
{
	uint64_t next = MIN(sim_disk_next_ns(now->disk[0]), sim_disk_next_ns(now->disk[1]));

	(void)ctx;
	next = MIN(next, until_ns);
	if (next != UINT64_MAX && next > now->clock.now_ns)
		now->clock.now_ns = next;
}

static void world_open(struct world *w, const void *staging)
{
	struct hb_open open = {.ram_bytes = MIB(4), .boot_token = staging ? 1 : 2};
	struct hb_create how = {.name = "main", .any_size = true};
	struct err err = ERR_INIT;

	now = w;
	ram_pool_init(&b);
	b.rng.s = 99;
	b.env.now_ns = world_now;
	b.env.wait = world_wait;
	b.staging = mem_map(hb_staging_bytes());
	if (staging)
		memcpy(b.staging, staging, hb_staging_bytes());
	open.staging = b.staging;
	open.capacity = sim_open(w->disk[0]);
	open.write_tier = sim_open(w->disk[1]);
	if (!staging)
		hb_pool_create(&b.env, &how, open.capacity, open.write_tier, NULL, &err);
	ram_pool_must(hb_pool_open(&b.env, &open, &b.pool, &err), &err);
}

static void world_close(void)
{
	ram_pool_close(&b);
	sim_disk_free(now->disk[0]);
	sim_disk_free(now->disk[1]);
}

/* As the pool would be found if all ended here: s2 is there wholly, or can be had by going on. */
static void crash_now(struct world *w, struct pipe *p, enum sim_crash how, uint64_t seed)
{
	struct world c = {.clock = {.now_ns = w->clock.now_ns}};
	uint8_t *staging = calloc(1, hb_staging_bytes());	/* after a power cut: empty */
	struct hb_volume_info info;

	if (how == SIM_PROCESS_DEATH)
		memcpy(staging, b.staging, hb_staging_bytes());
	for (int i = 0; i < 2; i++)
		c.disk[i] = sim_disk_crashed(w->disk[i], how, &c.clock, seed + (uint64_t)i);
	w->pool = b;
	world_open(&c, staging);
	free(staging);
	CHECK(hb_pool_check(b.pool, true, NULL, NULL, NULL) == 0);
	same("s1", "s1");
	if (hb_volume_find(b.pool, "s2", &info))
		refused(p, NULL, RESUME, -EEXIST, "imported already");
	else
		import(p, NULL, RESUME);
	same("s2", "s2");
	b_has(2, 0);
	world_close();
	now = w;
	b = w->pool;
}

/* Killed, or without power, after each turn of an import. */
static void test_crash(void)
{
	struct world w = {.clock = {.now_ns = SEC_NS}};
	struct stream_import_how how = {.depth = 4};
	struct rng rng = unit_rng();
	struct pipe p[2], source;
	struct stream_import *x;
	struct err err = ERR_INIT;
	unsigned what = 0;

	ram_pool_open(&a);
	make_chain(&a);
	p[0] = export(&a, "s1", NULL);
	p[1] = export(&a, "s2", "s1");
	for (int i = 0; i < 2; i++)
		w.disk[i] = sim_disk_new(&w.clock, i ? "ssd" : "hdd",
					 i ? RAM_POOL_WRITE_BYTES : RAM_POOL_CAPACITY_BYTES, 4096, rng_next(&rng));
	world_open(&w, NULL);
	import(&p[0], NULL, 0);
	source = p[1];
	source.most = 1000;
	source.stutters = true;
	how.source = (struct stream_source){&source, pipe_read};
	how.pool = b.pool;
	CHECK(stream_import_new(&how, &x, &err) == 0);
	for (unit_step = 0; !(what & (STREAM_DONE | STREAM_FAILED)); unit_step++) {
		what = stream_import_run(x);
		b.env.wait(b.env.ctx, hb_pool_run(b.pool));
		crash_now(&w, &p[1], unit_step % 2 ? SIM_POWER_CUT : SIM_PROCESS_DEATH, rng_next(&rng));
	}
	CHECK(what == STREAM_DONE);
	stream_import_free(x);
	crash_now(&w, &p[1], SIM_POWER_CUT, rng_next(&rng));
	CHECK(unit_step > 10 && info_of(&b, "s2").snapshot);
	same("s2", "s2");
	world_close();
	ram_pool_close(&a);
	free(p[0].bytes);
	free(p[1].bytes);
}

static CU_TestInfo stream_tests[] = {
	{"chain", test_chain},
	{"shortcuts", test_shortcuts},
	{"nothing_in_it", test_nothing_in_it},
	{"narrow_pipes", test_narrow_pipes},
	{"cut", test_cut},
	{"resume_often", test_resume_often},
	{"resume_repairs", test_resume_repairs},
	{"source_fails", test_source_fails},
	{"order", test_order},
	{"twice", test_twice},
	{"leftovers", test_leftovers},
	{"export_refused", test_export_refused},
	{"given_up", test_given_up},
	{"export_no_memory", test_export_no_memory},
	{"import_no_memory", test_import_no_memory},
	{"full_pool", test_full_pool},
	{"crash", test_crash},
	CU_TEST_INFO_NULL,
};

const struct hb_suite suite_stream = {"stream", stream_tests};

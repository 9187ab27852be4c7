/* SPDX-License-Identifier: GPL-2.0-only */
/* test_scrub.c - scrubs of a pool on simulated disks, slot by slot: what is healed from where, what is lost, a mirror's
 * halves, blocks of the capacity device that cannot be read, pace and ends. Random stories are the simulator's. */
#include <stdlib.h>
#include <string.h>

#include "dev/sim.h"
#include "engine/pool.h"
#include "suites.h"

#define VOL_BYTES MIB(8)
#define STAGING_BYTES (BLK_BYTES + 4 * KIB(256))

static struct sim_clock sim_time;
static struct sim_disk *cap, *half[2];
static bool mirrored;
static struct rng rng;
static struct hb_env env;
static void *staging;
static struct hb_pool *pool;
static struct hb_volume *vol;

/* ------------------------------------------------------------------ a machine */
static uint64_t env_now(void *ctx)
{
	(void)ctx;
	return sim_time.now_ns;
}

static uint64_t env_wall(void *ctx)
{
	(void)ctx;
	return 1700000000 + sim_time.now_ns / SEC_NS;
}

static uint64_t env_random(void *ctx)
{
	(void)ctx;
	return rng_next(&rng);
}

static void env_log(void *ctx, enum hb_log_level level, const char *text)
{
	(void)ctx, (void)level, (void)text;
}

static void env_wait(void *ctx, uint64_t until_ns)
{
	uint64_t next = MIN(until_ns, sim_disk_next_ns(cap));

	(void)ctx;
	for (int i = 0; i < 1 + mirrored; i++)
		next = MIN(next, sim_disk_next_ns(half[i]));
	sim_time.now_ns = MAX(sim_time.now_ns + 1000, next == UINT64_MAX ? 0 : next);
}

static void open_pool(void)
{
	struct hb_open how = {.capacity = sim_open(cap), .staging = staging,
			      .staging_bytes = STAGING_BYTES, .boot_token = 1, .ram_bytes = KIB(512), .any_size = true,
			      .dirty_low_pct = 80, .dirty_high_pct = 90, .writeback_idle_ns = 3600 * SEC_NS};
	struct dev *d[2] = {sim_open(half[0]), mirrored ? sim_open(half[1]) : NULL};
	struct err err = ERR_INIT;

	how.write_tier = d[0];
	CU_ASSERT_FATAL(!mirrored || hb_mirror_open(&env, how.capacity, d, &how.write_tier, &err) == 0);
	CU_ASSERT_FATAL(hb_pool_open(&env, &how, &pool, &err) == 0);
}

static void setup(bool mirror)
{
	struct hb_create how = {.name = "main", .segment_bytes = KIB(256), .any_size = true};
	struct err err = ERR_INIT;
	struct dev *c, *d[2];

	sim_time = (struct sim_clock){.now_ns = SEC_NS};
	rng.s = 7;
	mirrored = mirror;
	env = (struct hb_env){.now_ns = env_now, .wall_s = env_wall, .random = env_random, .log = env_log,
			      .wait = env_wait};
	cap = sim_disk_new(&sim_time, "cap", MIB(32), 4096, 1);
	for (int i = 0; i < 2; i++)
		half[i] = sim_disk_new(&sim_time, "half", MIB(16), 4096, 2);
	staging = mem_map(STAGING_BYTES);
	c = sim_open(cap);
	for (int i = 0; i < 2; i++)
		d[i] = i && !mirrored ? NULL : sim_open(half[i]);
	CU_ASSERT_FATAL(hb_pool_create(&env, &how, c, d[0], d[1], &err) == 0);
	dev_close(c);
	dev_close(d[0]);
	dev_close(d[1]);
	open_pool();
	CU_ASSERT_FATAL(hb_volume_create(pool, "v", VOL_BYTES, &err) == 0);
	CU_ASSERT_FATAL(hb_volume_open(pool, "v", &vol, &err) == 0);
}

static void tear_down_disks(void)
{
	sim_disk_free(cap);
	sim_disk_free(half[0]);
	sim_disk_free(half[1]);
	mem_unmap(staging, STAGING_BYTES);
}

static void teardown(void)
{
	struct err err = ERR_INIT;

	hb_volume_close(vol);
	CU_ASSERT(hb_pool_close(pool, &err) == 0);
	tear_down_disks();
}

/* ------------------------------------------------------------------ requests */
static void request_done(struct hb_req *req)
{
	*(bool *)req->owner = true;
}

static int request(enum hb_op op, uint64_t off, uint64_t len, void *buf)
{
	bool done = false;
	struct hb_req req = {.op = op, .vol = vol, .off_bytes = off, .len_bytes = len, .buf = buf,
			     .done = request_done, .owner = &done};

	done = hb_submit(&req);
	while (!done)
		env_wait(NULL, hb_pool_run(pool));
	return req.error;
}

static void fill(uint8_t *buf, uint64_t off, uint64_t len)
{
	for (uint64_t i = 0; i < len; i += 8)
		memcpy(buf + i, &(uint64_t){hash64(off + i)}, 8);
}

static void put(uint64_t off, uint64_t len)
{
	uint8_t *buf = malloc(len);

	fill(buf, off, len);
	CU_ASSERT(request(HB_WRITE, off, len, buf) == 0);
	CU_ASSERT(request(HB_FLUSH, 0, 0, NULL) == 0);
	free(buf);
}

/* The error of reading the block; 0: its bytes are right. */
static int get(uint64_t off)
{
	uint8_t buf[BLK_BYTES], want[BLK_BYTES];
	int rc = request(HB_READ, off, BLK_BYTES, buf);

	fill(want, off, BLK_BYTES);
	CU_ASSERT(rc || !memcmp(buf, want, BLK_BYTES));
	return rc;
}

static pblk_t home(uint64_t off)
{
	return map_find(&pool->maps, &vol->map, (vblk_t){off / BLK_BYTES});
}

static slot_t slot_of(uint64_t off)
{
	slot_t s = idx_find(pool->idx, home(off));

	CU_ASSERT(s.n && segs_of_slot(&pool->segs, s)->buf < 0);
	return s;
}

static void flip(int which, uint64_t off)
{
	sim_disk_flip(half[which], (uint64_t)slot_of(off).n * BLK_BYTES * 8 + 12345);
}

/* Until it has ended, and what it asked for has been done. */
static struct hb_scrub_status scrub(enum hb_scrub_what what, uint64_t rate)
{
	struct hb_scrub how = {what, rate};
	struct hb_scrub_status st;
	struct err err = ERR_INIT;

	CU_ASSERT(hb_scrub_start(pool, &how, &err) == 0);
	do {
		env_wait(NULL, MIN(hb_pool_run(pool), sim_time.now_ns + MSEC_NS));
		hb_scrub_status(pool, &st);
		CU_ASSERT(st.done_bytes <= st.total_bytes);
	} while (st.state == HB_SCRUB_RUNNING);
	CU_ASSERT(st.state == HB_SCRUB_DONE && st.done_bytes == st.total_bytes && st.finished_s >= st.started_s);
	for (int i = 0; i < 200; i++)
		env_wait(NULL, MIN(hb_pool_run(pool), sim_time.now_ns + MSEC_NS));
	return st;
}

static bool says(const struct hb_scrub_status *st, uint64_t found, uint64_t healed, uint64_t lost, uint64_t unreadable)
{
	bool ok = st->found_blocks == found && st->healed_blocks == healed && st->lost_blocks == lost &&
		  st->unreadable_blocks == unreadable && !st->skipped_bytes;

	if (!ok)
		printf("\nfound %lu healed %lu lost %lu unreadable %lu skipped %lu\n", (unsigned long)st->found_blocks,
		       (unsigned long)st->healed_blocks, (unsigned long)st->lost_blocks,
		       (unsigned long)st->unreadable_blocks, (unsigned long)st->skipped_bytes);
	return ok;
}

/* ------------------------------------------------------------------ tests */
static void test_good(void)
{
	struct hb_scrub_status st;

	setup(false);
	hb_scrub_status(pool, &st);
	CU_ASSERT(st.state == HB_SCRUB_NEVER && !st.total_bytes);
	put(0, MIB(4));
	st = scrub(HB_SCRUB_ALL, 0);
	CU_ASSERT(says(&st, 0, 0, 0, 0));
	CU_ASSERT(st.done_bytes >= MIB(4) + MIB(2)); /* the chunks, and what is no longer in staging */
	CU_ASSERT(hb_pool_check(pool, true, NULL, NULL, NULL) == 0);
	teardown();
}

static void test_clean(void)
{
	struct hb_scrub_status st;

	setup(false);
	put(0, MIB(4));
	CU_ASSERT(hb_pool_writeback(pool) == 0);
	for (uint64_t off = 0; off < 10 * KIB(64); off += KIB(64))
		flip(0, off);
	st = scrub(HB_SCRUB_FAST, 0);
	CU_ASSERT(says(&st, 10, 10, 0, 0));
	CU_ASSERT(!idx_find(pool->idx, home(KIB(64))).n);
	for (uint64_t off = 0; off < MIB(1); off += BLK_BYTES)
		CU_ASSERT(get(off) == 0);
	CU_ASSERT(hb_pool_check(pool, true, NULL, NULL, NULL) == 0);
	st = scrub(HB_SCRUB_FAST, 0);
	CU_ASSERT(says(&st, 0, 0, 0, 0));
	teardown();
}

static void test_dirty(void)
{
	struct hb_scrub_status st;

	setup(false);
	put(0, MIB(4));
	CU_ASSERT(get(KIB(64)) == 0); /* in RAM from now on */
	CU_ASSERT_FATAL(ram_find(pool->ram, home(KIB(64))) && !ram_find(pool->ram, home(0)));
	flip(0, 0);
	flip(0, KIB(64));
	st = scrub(HB_SCRUB_FAST, 0);
	CU_ASSERT(says(&st, 2, 1, 1, 0));
	CU_ASSERT(get(0) == -EBADMSG && get(KIB(64)) == 0 && get(KIB(4)) == 0);
	CU_ASSERT(idx_state(pool->idx, idx_find(pool->idx, home(KIB(64)))) == SLOT_DIRTY);
	CU_ASSERT(hb_pool_check(pool, true, NULL, NULL, NULL) == 1);
	st = scrub(HB_SCRUB_FAST, 0); /* a mark of loss is no new find */
	CU_ASSERT(says(&st, 0, 0, 0, 0));
	put(0, BLK_BYTES);
	CU_ASSERT(hb_pool_writeback(pool) == 0 && hb_pool_check(pool, true, NULL, NULL, NULL) == 0);
	teardown();
}

/* Reads that fail and then succeed cost nothing. */
static void test_read_errors(void)
{
	struct hb_scrub_status st;

	setup(false);
	put(0, MIB(4));
	slot_of(0);
	sim_disk_arm(half[0], &(struct sim_faults){.ops = 1u << DEV_READ, .eio_at = 1, .eio_count = 2});
	st = scrub(HB_SCRUB_FAST, 0);
	CU_ASSERT(says(&st, 0, 0, 0, 0));
	CU_ASSERT(hb_pool_check(pool, true, NULL, NULL, NULL) == 0);
	/* The write tier does not answer: it has failed, and nothing is said of its blocks. */
	sim_disk_arm(half[0], &(struct sim_faults){.ops = 1u << DEV_READ, .stuck_at = 2, .late_ns = SEC_NS});
	st = scrub(HB_SCRUB_FAST, 0);
	CU_ASSERT(st.found_blocks == 0 && st.skipped_bytes && st.skipped_bytes < st.done_bytes);
	CU_ASSERT(!idx_count(pool->idx, SLOT_LOST));
	hb_volume_close(vol);
	hb_pool_abandon(pool);
	tear_down_disks();
}

/* A bad slot that replay needs, whose record says that it is dirty, and that was written back: dropped, and then read
 * again by replay, it would be lost. */
static void test_checkpoint(void)
{
	struct hb_scrub_status st;
	struct err err = ERR_INIT;
	uint64_t seq;

	setup(false);
	put(0, MIB(1) + KIB(512));
	CU_ASSERT(hb_pool_writeback(pool) == 0);
	seq = segs_of_slot(&pool->segs, slot_of(KIB(8)))->seq;
	CU_ASSERT_FATAL(seq >= pool->sb.log_seg_seq);
	flip(0, KIB(8));
	st = scrub(HB_SCRUB_FAST, 0);
	CU_ASSERT(says(&st, 1, 1, 0, 0) && seq < pool->sb.log_seg_seq);
	hb_pool_abandon(pool);
	open_pool();
	CU_ASSERT_FATAL(hb_volume_open(pool, "v", &vol, &err) == 0);
	CU_ASSERT(get(KIB(8)) == 0);
	CU_ASSERT(hb_pool_check(pool, true, NULL, NULL, NULL) == 0);
	teardown();
}

static bool halves_agree(uint64_t off)
{
	uint8_t a[BLK_BYTES], b[BLK_BYTES];

	sim_disk_peek(half[0], (uint64_t)slot_of(off).n * BLK_BYTES, a, BLK_BYTES);
	sim_disk_peek(half[1], (uint64_t)slot_of(off).n * BLK_BYTES, b, BLK_BYTES);
	return !memcmp(a, b, BLK_BYTES);
}

static void test_mirror(void)
{
	struct hb_scrub_status st;

	setup(true);
	put(0, MIB(4));
	for (uint64_t off = 0; off < 8 * KIB(32); off += KIB(32))
		flip(off / KIB(32) % 2, off); /* dirty, nowhere else */
	flip(0, KIB(4)); /* bad on both */
	flip(1, KIB(4));
	st = scrub(HB_SCRUB_FAST, 0);
	CU_ASSERT(says(&st, 9, 8, 1, 0));
	for (uint64_t off = 0; off < 8 * KIB(32); off += KIB(32))
		CU_ASSERT(halves_agree(off) && get(off) == 0);
	CU_ASSERT(get(KIB(4)) == -EBADMSG);
	CU_ASSERT(dev_mirror_state(pool->wt, 0) == MIRROR_IN && dev_mirror_state(pool->wt, 1) == MIRROR_IN);
	st = scrub(HB_SCRUB_FAST, 0);
	CU_ASSERT(says(&st, 0, 0, 0, 0));
	/* A half that cannot be read in one place is written there. */
	sim_disk_arm(half[1], &(struct sim_faults){.ops = 1u << DEV_READ, .eio_at = 1, .eio_count = 2});
	st = scrub(HB_SCRUB_FAST, 0);
	CU_ASSERT(says(&st, 1, 1, 0, 0));
	CU_ASSERT(get(KIB(8)) == 0);
	teardown();
}

/* The first read of the first chunk fails, and its first blocks alone. */
static struct hb_scrub_status scrub_capacity(unsigned bad)
{
	struct hb_scrub_status st;

	sim_disk_arm(cap, &(struct sim_faults){.ops = 1u << DEV_READ, .eio_at = 1, .eio_count = 1 + bad});
	st = scrub(HB_SCRUB_CAPACITY, 0);
	sim_disk_arm(cap, &(struct sim_faults){0});
	return st;
}

static void test_capacity(void)
{
	struct hb_scrub_status st;
	uint64_t off = 0;

	setup(false);
	put(0, MIB(4));
	while (home(off).n % pool->sb.chunk_blk || chunk_of(pool, home(off)).n != pool->sb.first_chunk)
		off += BLK_BYTES;
	st = scrub_capacity(3);
	CU_ASSERT(says(&st, 0, 0, 0, 0)); /* dirty: what is there does not matter */
	CU_ASSERT(hb_pool_writeback(pool) == 0);
	CU_ASSERT(idx_count(pool->idx, SLOT_DIRTY) == 0);
	CU_ASSERT(get(off + BLK_BYTES) == 0); /* one of them is in RAM */
	st = scrub_capacity(3);
	CU_ASSERT(says(&st, 3, 3, 0, 0));
	CU_ASSERT(idx_count(pool->idx, SLOT_DIRTY) == 3);
	CU_ASSERT(hb_pool_writeback(pool) == 0 && idx_count(pool->idx, SLOT_DIRTY) == 0);
	blk_drop(pool, idx_find(pool->idx, home(off))); /* one copy goes, another one is wrong, the third is in RAM */
	put(MIB(5), MIB(2)); /* the others are no longer in staging */
	for (unsigned i = 0; i < 3; i += 2)
		if (ram_find(pool->ram, home(off + i * BLK_BYTES)))
			ram_remove(pool->ram, ram_find(pool->ram, home(off + i * BLK_BYTES)));
	CU_ASSERT(get(off + BLK_BYTES) == 0);
	flip(0, off + 2 * BLK_BYTES);
	st = scrub_capacity(3);
	CU_ASSERT(says(&st, 3, 1, 0, 2));
	CU_ASSERT(st.unreadable[0] == home(off).n && st.unreadable[1] == home(off).n + 2);
	st = scrub(HB_SCRUB_FAST, 0);
	CU_ASSERT(says(&st, 1, 1, 0, 0)); /* the wrong copy */
	CU_ASSERT(hb_pool_check(pool, true, NULL, NULL, NULL) == 0);
	for (uint64_t at = off; at < off + KIB(64); at += BLK_BYTES)
		CU_ASSERT(get(at) == 0);
	teardown();
}

static void test_pace(void)
{
	struct hb_scrub_status st;
	uint64_t began, fast;

	setup(false);
	put(0, MIB(4));
	began = sim_time.now_ns;
	st = scrub(HB_SCRUB_FAST, 0);
	fast = sim_time.now_ns - began;
	began = sim_time.now_ns;
	st = scrub(HB_SCRUB_FAST, MIB(1));
	CU_ASSERT(sim_time.now_ns - began > 2 * SEC_NS && fast < SEC_NS);
	CU_ASSERT(st.finished_s - st.started_s >= 2);
	teardown();
}

static void test_face(void)
{
	struct hb_scrub how = {HB_SCRUB_ALL, MIB(1)};
	struct hb_scrub_status st;
	struct err err = ERR_INIT;

	setup(false);
	put(0, MIB(4));
	hb_scrub_stop(pool); /* nothing to stop */
	CU_ASSERT(hb_scrub_start(pool, &(struct hb_scrub){0}, &err) == -EINVAL);
	CU_ASSERT(hb_scrub_start(pool, &how, &err) == 0 && hb_pool_due(pool));
	err = ERR_INIT;
	CU_ASSERT(hb_scrub_start(pool, &how, &err) == -EBUSY);
	for (int i = 0; i < 8; i++)
		env_wait(NULL, hb_pool_run(pool));
	hb_scrub_status(pool, &st);
	CU_ASSERT(st.state == HB_SCRUB_RUNNING && st.done_bytes && st.done_bytes < st.total_bytes && !st.finished_s);
	CU_ASSERT(st.eta_s != UINT64_MAX && st.eta_s > 0 && st.eta_s < 30);
	hb_scrub_stop(pool);
	for (int i = 0; i < 100; i++)
		env_wait(NULL, MIN(hb_pool_run(pool), sim_time.now_ns + MSEC_NS));
	hb_scrub_status(pool, &st);
	CU_ASSERT(st.state == HB_SCRUB_STOPPED && st.finished_s);
	CU_ASSERT(hb_scrub_start(pool, &how, &err) == 0); /* from the beginning; the closing ends it */
	hb_pool_run(pool);
	teardown();
}

static CU_TestInfo tests[] = {
	{"good", test_good},   {"clean", test_clean},       {"dirty", test_dirty}, {"read_errors", test_read_errors},
	{"checkpoint", test_checkpoint}, {"mirror", test_mirror}, {"capacity", test_capacity}, {"pace", test_pace},
	{"face", test_face}, CU_TEST_INFO_NULL};

const struct hb_suite suite_scrub = {"scrub", tests};

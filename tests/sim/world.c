/* SPDX-License-Identifier: GPL-2.0-only */
/* world.c - making, opening, running and verifying a simulated world. */
#include "tests/sim/world.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "tests/sim/oracle_priv.h"
#include "tests/sim/relatives.h"

#define VERIFY_BYTES KIB(256)
#define VOLUMES_SEEN 512
#define RELATIVES_ONE_IN 6 /* of verifications: also how snapshots differ, and what is shared */
#define POLL_NS 5000

/* ------------------------------------------------------------------ the environment */

static uint64_t env_now(void *ctx)
{
	return ((struct world *)ctx)->clock.now_ns;
}

static uint64_t env_wall(void *ctx)
{
	return 1700000000 + ((struct world *)ctx)->clock.now_ns / SEC_NS;
}

static uint64_t env_random(void *ctx)
{
	return rng_next(&((struct world *)ctx)->rng);
}

static void env_log(void *ctx, enum hb_log_level level, const char *text)
{
	const struct world *w = ctx;

	if (w->verbose)
		fprintf(stderr, "%*s[%u] %12.6f %d %s\n", (int)w->depth * 4, "", w->depth,
			(double)w->clock.now_ns / 1e9, level, text);
}

/* What cannot be unwound from: the run ends here; the parent process names the seed. */
static void world_die(const struct world *w, const char *what)
{
	fprintf(stderr, "seed %" PRIu64 " depth %u at %.6f s: %s\n", w->seed, w->depth, (double)w->clock.now_ns / 1e9,
		what);
	abort();
}

static uint64_t disks_next(const struct world *w)
{
	uint64_t next = UINT64_MAX;

	for (int i = 0; i < DISKS_MAX; i++)
		if (w->disk[i])
			next = MIN(next, sim_disk_next_ns(w->disk[i]));
	return next;
}

static void world_advance(struct world *w, uint64_t to_ns)
{
	if (to_ns == UINT64_MAX)
		world_die(w, "the engine waits for something that will never come");
	w->clock.now_ns = MAX(w->clock.now_ns, to_ns);
	if (w->clock.now_ns > w->patience_ns)
		world_die(w, "out of patience: something does not end");
}

/* Somebody who waits for one device while another has something to drain polls: that takes time, too. */
static void env_wait(void *ctx, uint64_t until_ns)
{
	struct world *w = ctx;
	uint64_t to = MIN(until_ns, disks_next(w));

	world_advance(w, MAX(to, w->clock.now_ns + POLL_NS));
}

void world_patience(struct world *w, uint64_t ns)
{
	w->patience_ns = w->clock.now_ns + ns;
}

/* ------------------------------------------------------------------ making */

struct shape shape_draw(uint64_t seed)
{
	struct rng r = {seed ^ 0x5a17};
	struct shape s = {
		.disk_bytes = {MIB(6) + MIB(rng_below(&r, 4)), MIB(2) + KIB(256) * rng_below(&r, 9)},
		.logical_bytes = {rng_below(&r, 2) ? 512 : 4096, rng_below(&r, 2) ? 512 : 4096},
		.slow = {rng_below(&r, 4) != 0, rng_below(&r, 4) == 0},
		.chunk_bytes = rng_below(&r, 3) ? 65536 : 131072,
		.segment_bytes = 64 * BLK_BYTES,
		.staging_bytes = BLK_BYTES + (6 + rng_below(&r, 11)) * 64 * BLK_BYTES,
		.ram_bytes = MIB(4),
		.dirty_low_pct = rng_below(&r, 2) ? 0 : 1 + (uint32_t)rng_below(&r, 40),
		.writeback_depth = 1 + (uint32_t)rng_below(&r, 8),
		.writeback_idle_ns = rng_below(&r, 2) ? 0 : (1 + rng_below(&r, 200)) * MSEC_NS,
		.volumes = 1 + (unsigned)rng_below(&r, 4),
		.depth = 1 + (unsigned)rng_below(&r, 12),
		.volume_bytes = KIB(64) << rng_below(&r, 4),
		.space_bytes = KIB(1536),
		.flush_pct = 1 + (unsigned)rng_below(&r, 12),
		.fua_pct = (unsigned)rng_below(&r, 15),
		.read_pct = 5 + (unsigned)rng_below(&r, 40),
		.verb_pct = rng_below(&r, 2) ? 1 : 4,
		.big_pct = (unsigned)rng_below(&r, 8),
		.family_pct = (unsigned)rng_below(&r, 60),
		.relatives = (unsigned)rng_below(&r, 10),
	};

	if (s.dirty_low_pct)
		s.dirty_high_pct = s.dirty_low_pct + 10 + (uint32_t)rng_below(&r, 40);
	return s;
}

static void world_env(struct world *w)
{
	w->env = (struct hb_env){.ctx = w,
				 .now_ns = env_now,
				 .wall_s = env_wall,
				 .random = env_random,
				 .log = env_log,
				 .wait = env_wait};
}

struct world *world_new(uint64_t seed, const struct shape *shape)
{
	static const char *const names[] = {"capacity", "write", "level1", "level2", "mirror"};
	struct world *w = need(calloc(1, sizeof(*w)));

	w->seed = seed;
	w->shape = *shape;
	w->rng.s = seed;
	w->cut_rng.s = ~seed;
	w->clock.now_ns = SEC_NS + seed % SEC_NS;
	for (int i = 0; i < DISKS_MAX; i++) {
		int like = i == MIRROR ? WRITE_TIER : i;
		uint64_t bytes = shape->disk_bytes[shape->disk_bytes[i] ? i : like];

		if (i == MIRROR ? !shape->mirrored : i >= DISKS + (int)shape->levels)
			continue;
		w->disk[i] = sim_disk_new(&w->clock, names[i], bytes, shape->logical_bytes[like],
					  hash64(seed + (uint64_t)i));
		sim_disk_set_rotational(w->disk[i], shape->slow[like]);
	}
	stage_new(&w->stage, shape->staging_bytes);
	w->boot_token = hash64(seed) | 1;
	w->oracle = oracle_new();
	w->rule = AFTER_DEATH;
	w->patience_ns = UINT64_MAX;
	world_env(w);
	return w;
}

void world_free(struct world *w)
{
	if (!w)
		return;
	if (w->pool)
		hb_pool_abandon(w->pool);
	for (int i = 0; i < DISKS_MAX; i++)
		if (w->disk[i])
			sim_disk_free(w->disk[i]);
	stage_drop(&w->stage);
	if (!w->parent) {
		oracle_free(w->oracle);
		free(w->old_stage);
	}
	free(w);
}

/* ------------------------------------------------------------------ opening and closing */

int world_format(struct world *w, struct err *err)
{
	struct hb_create how = {.name = "simpool",
				.chunk_bytes = w->shape.chunk_bytes,
				.segment_bytes = w->shape.segment_bytes,
				.any_size = true};
	struct dev *dev[DISKS_MAX];
	int rc;

	world_patience(w, 3600 * SEC_NS);
	for (int i = 0; i < DISKS_MAX; i++)
		dev[i] = w->disk[i] ? sim_open(w->disk[i]) : NULL;
	rc = hb_pool_create(&w->env, &how, dev[CAPACITY], dev[WRITE_TIER], dev[MIRROR], err);
	for (int i = LEVEL1; !rc && i <= LEVEL2; i++)
		if (dev[i])
			rc = hb_level_create(&w->env, dev[CAPACITY], dev[i], &how, err);
	for (int i = 0; i < DISKS_MAX; i++)
		dev_close(dev[i]);
	return rc;
}

static int open_write_tier(struct world *w, struct dev *capacity, struct dev **ret, struct err *err)
{
	struct dev *half[2] = {NULL, NULL};
	int rc;

	if (!w->shape.mirrored) {
		*ret = sim_open(w->disk[WRITE_TIER]);
		return 0;
	}
	for (int i = 0; i < 2; i++)
		if (w->half_away != 1 + i)
			half[i] = sim_open(w->disk[i ? MIRROR : WRITE_TIER]);
	rc = hb_mirror_open(&w->env, capacity, half, ret, err);
	for (int i = 0; rc && i < 2; i++)
		dev_close(half[i]);
	return rc;
}

int world_open(struct world *w, struct err *err)
{
	struct hb_open how = {
		.staging = w->stage.mem,
		.staging_bytes = w->stage.bytes,
		.boot_token = w->boot_token,
		.ram_bytes = w->shape.ram_bytes,
		.dirty_low_pct = w->shape.dirty_low_pct,
		.dirty_high_pct = w->shape.dirty_high_pct,
		.read_only = w->read_only,
		.writeback_idle_ns = w->shape.writeback_idle_ns,
		.writeback_depth = w->shape.writeback_depth,
		.any_size = true,
	};
	int rc;

	world_patience(w, 3600 * SEC_NS);
	how.capacity = sim_open(w->disk[CAPACITY]);
	rc = open_write_tier(w, how.capacity, &how.write_tier, err);
	if (rc) {
		dev_close(how.capacity);
		return rc;
	}
	for (int i = LEVEL1; i <= LEVEL2; i++)
		if (w->disk[i] && !(w->levels_away & 1u << (i - LEVEL1)))
			how.levels[how.nlevels++] = sim_open(w->disk[i]);
	rc = hb_pool_open(&w->env, &how, &w->pool, err);
	if (rc) {
		assert(rc < 0 && err->code == rc && err->text[0]);
		w->pool = NULL;
		dev_close(how.capacity);
		dev_close(how.write_tier);
		for (uint32_t i = 0; i < how.nlevels; i++)
			dev_close(how.levels[i]);
	}
	return rc;
}

int world_close(struct world *w, struct err *err)
{
	int rc;

	world_patience(w, 3600 * SEC_NS);
	rc = hb_pool_close(w->pool, err);
	w->pool = NULL;
	return rc;
}

bool world_must_format(struct world *w)
{
	struct err err = ERR_INIT;

	if (!world_format(w, &err))
		return true;
	why_set(&w->why, "create: %s", err.text);
	return false;
}

bool world_must_open(struct world *w)
{
	struct err err = ERR_INIT;

	if (!world_open(w, &err))
		return true;
	why_set(&w->why, "open: %s", err.text);
	return false;
}

/* ------------------------------------------------------------------ running */

bool world_turn(struct world *w, uint64_t until_ns)
{
	uint64_t next;

	instant_arm(w);
	next = hb_pool_run(w->pool);
	instant_disarm(w);
	next = MIN(MIN(next, disks_next(w)), until_ns);
	if (next == UINT64_MAX)
		return false;
	world_advance(w, next);
	return true;
}

struct answer {
	const struct world *w;
	bool done;
	uint64_t ns; /* when; the turn goes on beyond it, to the next moment at which something happens */
};

static void do_done(struct hb_req *req)
{
	struct answer *a = req->owner;

	a->done = true;
	a->ns = a->w->clock.now_ns;
}

uint64_t world_do(struct world *w, struct hb_req *req)
{
	struct answer a = {.w = w};
	uint64_t begin = w->clock.now_ns;

	req->done = do_done;
	req->owner = &a;
	world_patience(w, 600 * SEC_NS);
	if (req->op == HB_FLUSH && !req->vol ? hb_sync(w->pool, req) : hb_submit(req))
		return 0;
	while (!a.done)
		if (!world_turn(w, UINT64_MAX) && !a.done)
			world_die(w, "a request waits for something that will never come");
	return a.ns - begin;
}

bool world_flush(struct world *w)
{
	struct hb_req req = {.op = HB_FLUSH};
	uint64_t since = oracle_event(w->oracle);

	world_do(w, &req);
	if (!req.error)
		oracle_flushed(w->oracle, since);
	return !req.error;
}

void world_crash(struct world *w, enum sim_crash how)
{
	if (w->pool) {
		hb_pool_abandon(w->pool);
	}
	w->pool = NULL;
	for (int i = 0; i < DISKS_MAX; i++)
		if (w->disk[i])
			sim_disk_crash(w->disk[i], how);
	if (how == SIM_POWER_CUT) {
		stage_after_power_cut(w);
		w->rule = MAX(w->rule, AFTER_POWER_CUT);
	}
}

/* ------------------------------------------------------------------ verifying */

static bool read_error_ok(const struct world *w, int error)
{
	return w->damaged && (error == -EBADMSG || error == -EIO);
}

/* Block by block, when the large read failed: the blocks that can be read still must be right. */
static bool verify_blocks(struct world *w, struct verdict *x, struct ovol *v, struct hb_volume *vol, uint64_t off,
			  uint64_t len, uint8_t *buf)
{
	for (uint64_t at = 0; at < len; at += BLK_BYTES) {
		struct hb_req req = {
			.op = HB_READ, .vol = vol, .off_bytes = off + at, .len_bytes = BLK_BYTES, .buf = buf};

		world_do(w, &req);
		if (req.error && read_error_ok(w, req.error))
			continue;
		if (req.error) {
			why_set(&w->why, "read of %s at %" PRIu64 ": error %d", ovol_name(v), off + at, req.error);
			return false;
		}
		if (!verdict_data(x, v, (off + at) / ORACLE_SECTOR, buf, BLK_BYTES / ORACLE_SECTOR, &w->why))
			return false;
	}
	return true;
}

static bool verify_volume(struct world *w, struct verdict *x, struct ovol *v, const struct hb_volume_info *info)
{
	struct hb_volume *vol;
	struct err err = ERR_INIT;
	uint8_t *buf = need(malloc(VERIFY_BYTES));
	bool ok = true;

	if (hb_volume_open(w->pool, info->name, &vol, &err)) {
		why_set(&w->why, "open volume: %s", err.text);
		free(buf);
		return false;
	}
	for (uint64_t off = 0; ok && off < info->size_bytes; off += VERIFY_BYTES) {
		uint64_t len = MIN(VERIFY_BYTES, info->size_bytes - off);
		struct hb_req req = {.op = HB_READ, .vol = vol, .off_bytes = off, .len_bytes = len, .buf = buf};

		world_do(w, &req);
		if (req.error)
			ok = verify_blocks(w, x, v, vol, off, len, buf);
		else
			ok = verdict_data(x, v, off / ORACLE_SECTOR, buf, len / ORACLE_SECTOR, &w->why);
	}
	hb_volume_close(vol);
	free(buf);
	return ok;
}

static void note_finding(void *ctx, enum hb_check_class c, const char *text)
{
	struct world *w = ctx;

	if (!w->damaged && !(w->level_damaged && c == HB_CHECK_DATA && !strncmp(text, "level", 5)))
		why_set(&w->why, "check (class %d): %s", (int)c, text);
}

bool world_check(struct world *w)
{
	int n;

	world_patience(w, 3600 * SEC_NS);
	n = hb_pool_check(w->pool, true, note_finding, NULL, w);
	if (n && !w->damaged && !w->level_damaged)
		why_set(&w->why, "check: %d", n);
	return !w->why.text[0];
}

static bool verify_volumes(struct world *w, struct verdict *x)
{
	struct hb_volume_info *info = need(calloc(VOLUMES_SEEN, sizeof(*info)));
	struct ovol *v[VOLUMES_SEEN];
	char cursor[HB_NAME_MAX + 1] = "";
	unsigned n = 0;
	bool ok;

	while (n < VOLUMES_SEEN && hb_volume_next(w->pool, cursor, &info[n]))
		if (!info[n].deleting)
			n++;
	ok = verdict_volumes(x, info, n, v, &w->why);
	for (unsigned i = 0; ok && i < n; i++)
		ok = verify_volume(w, x, v[i], &info[i]);
	free(info);
	return ok && verdict_settle(x, &w->why);
}

static bool verify_relatives(struct world *w, const struct verdict *x)
{
	if (w->damaged || rng_below(&w->cut_rng, RELATIVES_ONE_IN))
		return true;
	return relatives_found(w, x, &w->cut_rng) && relatives_usage(w);
}

/* Half of the time all that the cache levels hold is in use before anything is read. */
static void load_levels(struct world *w)
{
	struct hb_stats st;
	bool all = w->read_only || rng_below(&w->cut_rng, 2);

	for (unsigned i = 0; !all && i < 10000; i++) {
		hb_pool_stats(w->pool, &st);
		all = st.loading_pct == 100;
		for (uint32_t k = 0; k < st.nlevels; k++)
			all &= st.levels[k].state != HB_TIER_ON || st.levels[k].loading_pct == 100;
		if (!all)
			world_turn(w, w->clock.now_ns + MSEC_NS);
	}
}

/* Where no medium was hurt, nothing in a cache level has a wrong checksum. */
static bool verify_levels(struct world *w)
{
	struct hb_stats st;

	hb_pool_stats(w->pool, &st);
	for (uint32_t i = 0; i < st.nlevels && !w->damaged && !w->level_damaged; i++)
		if (st.levels[i].bad_blocks)
			why_set(&w->why, "%" PRIu64 " blocks of cache level %u had a wrong checksum",
				st.levels[i].bad_blocks, st.levels[i].level);
	return !w->why.text[0];
}

bool world_verify(struct world *w, bool adopt)
{
	struct verdict *x = verdict_begin(w->oracle, w->rule);
	bool ok = (load_levels(w), verify_volumes(w, x)) && world_check(w) && verify_levels(w) &&
		  verify_relatives(w, x) &&
		  (!w->look || w->damaged || w->look(w, w->look_ctx));

	w->found_hash = verdict_hash(x);
	if (ok && adopt) {
		verdict_adopt(x);
		w->rule = AFTER_DEATH;
	}
	verdict_free(x);
	return ok;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* cases_mode.c - stories of cache modes and of pins. A write that is answered in a mode other than write-back is looked
 * for on the capacity disk as a power cut at that moment leaves it, without asking the engine. Where reads come from is
 * asked of the counters.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "tests/sim/cases.h"
#include "tests/sim/oracle_priv.h"
#include "tests/sim/workload.h"

#define VOLUMES HB_MODES
#define SIZE_BLK 128u
#define PER_BLK (BLK_BYTES / ORACLE_SECTOR)
#define WRITE_MOST 64u /* sectors */
#define WAIT_NS (300 * SEC_NS)
#define LONE_NS (100 * MSEC_NS) /* a lone write is answered within: four times what these disks were seen to take */

struct tale {
	struct story s;
	struct ovol *v[VOLUMES];
	struct hb_volume *h[VOLUMES];
	enum hb_mode mode[VOLUMES];
	uint64_t next_id;
	uint8_t buf[WRITE_MOST * ORACLE_SECTOR];
};

static bool ok(const struct tale *t)
{
	return !t->s.w->why.text[0];
}

static void set(struct tale *t, unsigned i, const struct hb_volume_attr *a)
{
	struct world *w = t->s.w;
	struct err err = ERR_INIT;

	oracle_vol_set(w->oracle, t->v[i], a);
	if (hb_volume_set(w->pool, ovol_name(t->v[i]), a, HB_ATTR_ALL, &err))
		why_set(&w->why, "set: %s", err.text);
	oracle_vol_end(w->oracle, true);
	t->mode[i] = a->mode;
}

static void make(struct tale *t, unsigned i, const char *name, uint64_t blks)
{
	struct world *w = t->s.w;
	struct err err = ERR_INIT;

	t->v[i] = oracle_vol_create(w->oracle, name, blks * BLK_BYTES);
	if (hb_volume_create(w->pool, name, blks * BLK_BYTES, &err) ||
	    hb_volume_open(w->pool, name, &t->h[i], &err))
		why_set(&w->why, "%s", err.text);
	oracle_vol_end(w->oracle, true);
	if (ok(t) && !workload_attach(t->s.l))
		why_set(&w->why, "attach");
}

/* The pool was opened anew. */
static void open_again(struct tale *t, unsigned n)
{
	struct err err = ERR_INIT;

	for (unsigned i = 0; i < n && ok(t); i++)
		if (hb_volume_open(t->s.w->pool, ovol_name(t->v[i]), &t->h[i], &err))
			why_set(&t->s.w->why, "%s", err.text);
}

/* Whether a disk as a power cut leaves it holds these bytes at a place where that sector may be. */
static bool holds(const struct sim_disk *d, uint64_t sector, const void *data)
{
	uint8_t page[BLK_BYTES];

	for (uint64_t at = 0; (at = sim_disk_next_page(d, at)) != UINT64_MAX; at++) {
		sim_disk_peek(d, at * BLK_BYTES, page, BLK_BYTES);
		if (!memcmp(page + sector % PER_BLK * ORACLE_SECTOR, data, ORACLE_SECTOR))
			return true;
	}
	return false;
}

static void must_be_on_disk(struct tale *t, unsigned i, uint64_t sector, unsigned n)
{
	struct world *w = t->s.w;
	struct sim_clock clock = {0};

	for (unsigned k = 0; k < 2; k++) {
		struct sim_disk *d = sim_disk_crashed(w->disk[CAPACITY], SIM_POWER_CUT_UNTORN, &clock,
						      rng_next(&w->cut_rng));
		unsigned at = k ? n - 1 : 0;

		if (!holds(d, sector + at, t->buf + at * ORACLE_SECTOR))
			why_set(&w->why, "%s, mode %d: sector %" PRIu64 " was answered, and is not on the disk",
				ovol_name(t->v[i]), (int)t->mode[i], sector + at);
		sim_disk_free(d);
	}
}

/* Returns the simulated time until the answer; *error is what it was. */
static uint64_t write_some(struct tale *t, unsigned i, uint64_t sector, unsigned n, int *error)
{
	struct world *w = t->s.w;
	struct hb_req r = {.op = HB_WRITE, .vol = t->h[i], .buf = t->buf};
	uint64_t ids[WRITE_MOST], ns;
	op_t op = oracle_begin(w->oracle, HB_WRITE, false);

	for (unsigned k = 0; k < n; k++) {
		ids[k] = ++t->next_id;
		sector_fill(t->buf + k * ORACLE_SECTOR, ids[k]);
	}
	oracle_write(w->oracle, op, t->v[i], sector, ids, n);
	r.off_bytes = sector * ORACLE_SECTOR;
	r.len_bytes = (uint64_t)n * ORACLE_SECTOR;
	ns = world_do(w, &r);
	oracle_end(w->oracle, op, r.error ? OP_FAILED : t->mode[i] == HB_MODE_WRITE_BACK ? OP_DONE : OP_DURABLE);
	if (!r.error && t->mode[i] != HB_MODE_WRITE_BACK)
		must_be_on_disk(t, i, sector, n);
	*error = r.error;
	return ns;
}

static void write_at(struct tale *t, unsigned i, uint64_t sector, unsigned n)
{
	struct world *w = t->s.w;
	int error;
	uint64_t ns = write_some(t, i, sector, n, &error);

	if (error)
		why_set(&w->why, "a write answers %d", error);
	if (ns > LONE_NS)
		why_set(&w->why, "%s, mode %d: a lone write was answered after %" PRIu64 " ms", ovol_name(t->v[i]),
			(int)t->mode[i], (uint64_t)(ns / MSEC_NS));
}

static void write_any(struct tale *t, unsigned i, uint64_t from_blk)
{
	struct rng *g = &t->s.w->rng;
	bool whole = rng_below(g, 3);
	unsigned n = 1 + (unsigned)rng_below(g, WRITE_MOST);
	uint64_t room = ovol_sectors(t->v[i]) - from_blk * PER_BLK - WRITE_MOST, at = rng_below(g, room + 1);

	if (whole) {
		n = (unsigned)ROUND_UP(n, PER_BLK);
		at = ROUND_DOWN(at, PER_BLK);
	}
	write_at(t, i, from_blk * PER_BLK + at, n);
}

static void read_at(struct tale *t, unsigned i, uint64_t blk)
{
	static uint8_t sink[BLK_BYTES];
	struct hb_req r = {.op = HB_READ, .vol = t->h[i], .buf = sink, .off_bytes = blk * BLK_BYTES,
			   .len_bytes = BLK_BYTES};
	struct world *w = t->s.w;
	uint64_t since = oracle_event(w->oracle);

	world_do(w, &r);
	if (r.error)
		why_set(&w->why, "a read answers %d", r.error);
	else
		oracle_read(w->oracle, t->v[i], blk * PER_BLK, sink, PER_BLK, since, &w->why);
}

static uint64_t from_disk(const struct tale *t)
{
	struct hb_stats st;

	hb_pool_stats(t->s.w->pool, &st);
	return st.read_capacity;
}

/* Written as a whole, and read twice: where from? */
static void judge_caching(struct tale *t, unsigned i)
{
	enum hb_mode m = t->mode[i];
	uint64_t blk = rng_below(&t->s.w->rng, SIZE_BLK), before, first, second;

	write_at(t, i, blk * PER_BLK, PER_BLK);
	before = from_disk(t);
	read_at(t, i, blk);
	first = from_disk(t) - before;
	read_at(t, i, blk);
	second = from_disk(t) - before - first;
	if ((m <= HB_MODE_WRITE_THROUGH && first) || (m >= HB_MODE_READ_ONLY && !first) ||
	    second != (m == HB_MODE_NONE))
		why_set(&t->s.w->why, "mode %d: written and read twice; from the disk came %" PRIu64 ", %" PRIu64,
			(int)m, first, second);
}

/* After so long nothing is dirty that a volume in another mode than write-back wrote before. */
static void settle(struct tale *t, unsigned i)
{
	struct world *w = t->s.w;
	struct hb_volume_info info;

	world_patience(w, WAIT_NS);
	do {
		bool more = world_turn(w, UINT64_MAX);

		hb_volume_info(t->h[i], &info);
		if (info.settling && !more)
			why_set(&w->why, "%s never settles", ovol_name(t->v[i]));
	} while (info.settling && ok(t));
}

static void change_mode(struct tale *t, unsigned i)
{
	struct hb_volume_attr a;

	volattr_default(&a);
	a.mode = (enum hb_mode)rng_below(&t->s.w->rng, HB_MODES);
	set(t, i, &a);
	if (rng_below(&t->s.w->rng, 2))
		settle(t, i);
}

static bool begin(struct tale *t, struct run *r, uint64_t write_tier, uint64_t ram)
{
	struct shape shape = shape_draw(r->seed);

	shape.disk_bytes[CAPACITY] = MIB(12);
	shape.disk_bytes[WRITE_TIER] = write_tier;
	shape.segment_bytes = KIB(256);
	shape.ram_bytes = ram;
	shape.slow[CAPACITY] = shape.slow[WRITE_TIER] = false;
	shape.writeback_idle_ns = 20 * SEC_NS;
	shape.dirty_low_pct = 20;
	shape.dirty_high_pct = 60;
	shape.staging_bytes = BLK_BYTES + 16 * 64 * BLK_BYTES;
	t->next_id = 1 + ((uint64_t)1 << 40);
	return story_begin(&t->s, r, &shape);
}

/* One volume of each mode. */
static void make_all(struct tale *t)
{
	static const char *const names[VOLUMES] = {"back", "through", "around", "reads", "none"};

	for (unsigned i = 0; ok(t) && i < VOLUMES; i++) {
		struct hb_volume_attr a;

		volattr_default(&a);
		a.mode = (enum hb_mode)i;
		make(t, i, names[i], SIZE_BLK);
		set(t, i, &a);
	}
}

/* The pool's process ends, or its power does; and on with the volumes as they are found then. */
static bool next_life(struct tale *t)
{
	bool good = ok(t) && story_crash(&t->s, rng_below(&t->s.w->rng, 2) ? SIM_POWER_CUT : SIM_PROCESS_DEATH);

	for (unsigned i = 0; good && i < VOLUMES; i++) /* the last change may be gone */
		t->mode[i] = oracle_attr(t->s.w->oracle, t->v[i])->mode;
	if (good)
		open_again(t, VOLUMES);
	return good;
}

void case_modes(struct run *r)
{
	static const struct cuts cuts = {.one_in = 300, .death_pct = 50, .twice_pct = 10};
	struct tale *t = need(calloc(1, sizeof(*t)));
	bool good = begin(t, r, MIB(4), MIB(1));
	struct rng *g = &t->s.w->rng;

	if (good)
		make_all(t);
	world_watch(t->s.w, &cuts);
	for (unsigned life = 0; good && ok(t) && life < 3; life++) {
		for (unsigned k = 0; ok(t) && k < 120; k++) {
			unsigned i = (unsigned)rng_below(g, VOLUMES);

			if (!rng_below(g, 12))
				change_mode(t, i);
			else if (!rng_below(g, 4))
				judge_caching(t, i);
			else
				write_any(t, i, 0);
		}
		good = next_life(t);
	}
	story_end(&t->s);
	free(t);
}

/* ------------------------------------------------------------------ a capacity disk that fails */

#define GIVE_UP_NS (25 * SEC_NS) /* as hybrid-pool(8) has it */
#define AGAIN_NS (10 * SEC_NS) /* write-back tries once a second */

/* A checkpoint met the fault: no more writes are taken until the pool is opened again. */
static bool pool_failed(const struct tale *t)
{
	struct hb_stats st;

	hb_pool_stats(t->s.w->pool, &st);
	return st.failed;
}

/* What is promised of a mode other than write-back: good news only of what is on the disk, which write_some() looks up;
 * bad news only after so long, unless the whole pool failed; and a disk that fails a few times and then works costs
 * time alone. */
static void write_on_sick_disk(struct tale *t, unsigned i, bool for_ever)
{
	struct world *w = t->s.w;
	unsigned n = 1 + (unsigned)rng_below(&w->rng, WRITE_MOST);
	uint64_t at = rng_below(&w->rng, SIZE_BLK * PER_BLK - n + 1), ns;
	int error;

	ns = write_some(t, i, at, n, &error);
	if (error && (error != -EIO || (!pool_failed(t) && (t->mode[i] == HB_MODE_WRITE_BACK || !for_ever ||
							    ns < GIVE_UP_NS))))
		why_set(&w->why, "mode %d: a write answers %d after %" PRIu64 " ms", (int)t->mode[i], error,
			(uint64_t)(ns / MSEC_NS));
	if (ns > (for_ever ? GIVE_UP_NS + SEC_NS : AGAIN_NS))
		why_set(&w->why, "mode %d: a write was answered after %" PRIu64 " ms", (int)t->mode[i],
			(uint64_t)(ns / MSEC_NS));
	for (uint64_t b = at / PER_BLK; ok(t) && b <= (at + n - 1) / PER_BLK; b++)
		if (rng_below(&w->rng, 2)) /* or it stays in doubt until after the crash */
			read_at(t, i, b);
}

void case_through_eio(struct run *r)
{
	static const unsigned ops[] = {1u << DEV_WRITE, 1u << DEV_FLUSH, 1u << DEV_WRITE | 1u << DEV_FLUSH};
	static const struct cuts cuts = {.one_in = 150, .death_pct = 50};
	struct tale *t = need(calloc(1, sizeof(*t)));
	bool good = begin(t, r, MIB(4), MIB(1));
	struct world *w = t->s.w;

	if (good)
		make_all(t);
	world_watch(w, &cuts);
	for (unsigned k = 0; good && ok(t) && k < 8; k++) {
		uint64_t counts[] = {1, 3, UINT32_MAX};
		struct sim_faults f = {.ops = ops[rng_below(&w->rng, ARRAY_LEN(ops))],
				       .eio_at = 1 + rng_below(&w->rng, 6),
				       .eio_count = counts[rng_below(&w->rng, 3)]};

		sim_disk_arm(w->disk[CAPACITY], &f);
		for (unsigned n = 0; ok(t) && n < 5; n++)
			write_on_sick_disk(t, (unsigned)rng_below(&w->rng, VOLUMES), f.eio_count > 3);
		sim_disk_arm(w->disk[CAPACITY], &(struct sim_faults){0});
		for (unsigned n = 0; ok(t) && n < 5; n++)
			write_on_sick_disk(t, (unsigned)rng_below(&w->rng, VOLUMES), false);
		good = ok(t) && ((!pool_failed(t) && rng_below(&w->rng, 2)) || next_life(t));
	}
	if (good && ok(t))
		next_life(t);
	story_end(&t->s);
	free(t);
}

/* ------------------------------------------------------------------ pins */

#define PINNED_BLK 80u
#define OTHER_BLK 1536u

static void until_loaded(struct tale *t)
{
	struct world *w = t->s.w;
	struct hb_volume_info info;

	world_patience(w, WAIT_NS);
	do {
		world_turn(w, UINT64_MAX);
		hb_volume_info(t->h[0], &info);
	} while (ok(t) && (!info.pinned_bytes || info.pinned_cached_bytes < info.pinned_bytes));
	if (ok(t) && info.pinned_bytes > PINNED_BLK * BLK_BYTES)
		why_set(&w->why, "%" PRIu64 " bytes are pinned", info.pinned_bytes);
}

/* What others read and write goes several times through RAM and write tier. */
static void others(struct tale *t)
{
	struct rng *g = &t->s.w->rng;

	for (unsigned k = 0; ok(t) && k < 2000; k++) {
		if (rng_below(g, 2))
			read_at(t, 1, rng_below(g, OTHER_BLK));
		else
			write_any(t, 1, 0);
		if (!rng_below(g, 30))
			write_at(t, 0, rng_below(g, PINNED_BLK) * PER_BLK, PER_BLK);
	}
}

void case_pins(struct run *r)
{
	struct tale *t = need(calloc(1, sizeof(*t)));
	bool good = begin(t, r, MIB(6), KIB(512));
	struct hb_volume_attr a;
	uint64_t before;

	volattr_default(&a);
	volattr_pin(&a, 0, PINNED_BLK);
	if (good) {
		make(t, 0, "pinned", 2 * PINNED_BLK);
		make(t, 1, "other", OTHER_BLK);
	}
	for (uint64_t at = 0; good && ok(t) && at < 2 * PINNED_BLK; at += WRITE_MOST / PER_BLK)
		write_at(t, 0, at * PER_BLK, WRITE_MOST);
	for (uint64_t at = 0; good && ok(t) && at < OTHER_BLK; at += WRITE_MOST / PER_BLK)
		write_at(t, 1, at * PER_BLK, WRITE_MOST);
	if (good && ok(t))
		set(t, 0, &a);
	for (unsigned life = 0; good && ok(t) && life < 2; life++) {
		until_loaded(t);
		others(t);
		if (!ok(t))
			break;
		before = from_disk(t);
		for (uint64_t b = 0; ok(t) && b < PINNED_BLK; b++)
			read_at(t, 0, b);
		/* The log may have been short of room for a moment, and let some go. */
		if (ok(t) && from_disk(t) - before > PINNED_BLK / 6)
			why_set(&t->s.w->why, "%" PRIu64 " of %u pinned blocks were on no fast tier",
				from_disk(t) - before, PINNED_BLK);
		good = ok(t) && story_crash(&t->s, life ? SIM_POWER_CUT : SIM_PROCESS_DEATH);
		if (good)
			open_again(t, 2);
	}
	story_end(&t->s);
	free(t);
}

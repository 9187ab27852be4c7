/* SPDX-License-Identifier: GPL-2.0-only */
/* cases_level.c - stories of cache levels: more data than RAM, levels that are away for a while, come back stale, fail
 * or lie. Whatever happens to a level, no request may fail and no byte may be wrong. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "tests/sim/cases.h"
#include "tests/sim/workload.h"

#define STEPS 400u
#define RACES 250u

/* More is read than RAM holds, again and again. */
static struct shape level_shape(uint64_t seed)
{
	struct shape s = shape_draw(seed);
	struct rng r = {seed ^ 0x1e7e1};

	s.levels = 1 + (unsigned)rng_below(&r, 2);
	s.ram_bytes = KIB(512) + KIB(256) * rng_below(&r, 3);
	for (unsigned i = 0; i < s.levels; i++) {
		s.disk_bytes[LEVEL1 + i] = KIB(256) * (10 + rng_below(&r, 8));
		s.logical_bytes[LEVEL1 + i] = rng_below(&r, 2) ? 512 : 4096;
	}
	s.disk_bytes[CAPACITY] = MIB(10);
	s.disk_bytes[WRITE_TIER] = KIB(256) * (8 + rng_below(&r, 4));
	s.volume_bytes = MIB(1);
	s.space_bytes = MIB(3);
	s.read_pct = 60 + (unsigned)rng_below(&r, 30);
	s.big_pct = 10;
	s.depth = 1 + (unsigned)rng_below(&r, 6);
	s.writeback_idle_ns = 20 * MSEC_NS;
	s.no_copy = rng_below(&r, 3) == 0;
	return s;
}

/* A level is away for a life, and comes back as it was. */
static void come_and_go(struct world *w)
{
	w->levels_away = rng_below(&w->rng, 2) ? 0 : (unsigned)rng_below(&w->rng, 4);
}

/* While requests go on: a level leaves for good, and its disk comes back as a new one. */
static bool change_levels(struct story *s)
{
	struct world *w = s->w;
	struct rng *g = &w->rng;
	struct hb_stats st;
	struct err err = ERR_INIT;
	unsigned no;

	hb_pool_stats(w->pool, &st);
	if (rng_below(g, 3) || w->levels_away || st.nlevels != w->shape.levels)
		return true;
	no = 1 + (unsigned)rng_below(g, w->shape.levels);
	world_patience(w, 60 * SEC_NS); /* the last turn may have gone far on, to the next moment of an idle pool */
	if (hb_level_remove(w->pool, no, &err)) {
		why_set(&w->why, "remove level %u: %s", no, err.text);
		return false;
	}
	if (!workload_run(s->l, STEPS / 8))
		return false;
	hb_pool_stats(w->pool, &st);
	if (st.levels[no - 1].state != HB_TIER_NONE) /* something is still in flight */
		return true;
	world_patience(w, 60 * SEC_NS);
	if (hb_level_add(w->pool, sim_open(w->disk[LEVEL1 + no - 1]), &err)) {
		why_set(&w->why, "add level %u: %s", no, err.text);
		return false;
	}
	return true;
}

static bool live(struct story *s, unsigned lives, const struct cuts *cuts)
{
	bool ok = true;

	world_watch(s->w, cuts);
	for (unsigned i = 0; ok && i < lives; i++) {
		struct err err = ERR_INIT;

		ok = workload_run(s->l, STEPS) && change_levels(s) && workload_run(s->l, STEPS / 2);
		come_and_go(s->w);
		if (ok && !rng_below(&s->w->rng, 4)) {
			ok = workload_quiet(s->l);
			workload_close_volumes(s->l);
			if (ok && world_close(s->w, &err))
				why_set(&s->w->why, "close: %s", err.text);
			ok = ok && !s->w->why.text[0] && world_must_open(s->w) && world_verify(s->w, true) &&
			     workload_attach(s->l);
		} else {
			ok = ok && story_crash(s, rng_below(&s->w->rng, 2) ? SIM_PROCESS_DEATH : SIM_POWER_CUT);
		}
	}
	return ok;
}

void case_levels(struct run *r)
{
	static const struct cuts cuts = {
		.one_in = 60, .death_pct = 50, .depth = 2, .inner_one_in = 20, .twice_pct = 30, .use_pct = 20};
	struct shape shape = level_shape(r->seed);
	struct story s;

	if (story_begin(&s, r, &shape))
		live(&s, 6, &cuts);
	story_end(&s);
}

static void flip_some(struct sim_disk *d, struct rng *g, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint64_t page = sim_disk_next_page(d, rng_below(g, sim_disk_size(d) / BLK_BYTES));

		if (page != UINT64_MAX)
			sim_disk_flip(d, page * BLK_BYTES * 8 + rng_below(g, BLK_BYTES * 8ull));
	}
}

static void race_done(struct hb_req *r)
{
	*(bool *)r->owner = true;
}

/* A block is read, and written before the read has its bytes: if those are wrong, the level's copy was, and the new
 * ones are in memory only. */
static void race(struct world *w, struct ovol *v, struct hb_volume *h, uint64_t at)
{
	enum { N = BLK_BYTES / ORACLE_SECTOR };
	static uint8_t sink[BLK_BYTES], data[BLK_BYTES];
	bool done = false;
	struct hb_req read = {.op = HB_READ, .vol = h, .off_bytes = at * ORACLE_SECTOR, .len_bytes = BLK_BYTES,
			      .buf = sink, .done = race_done, .owner = &done};
	struct hb_req write = {.op = HB_WRITE, .vol = h, .off_bytes = at * ORACLE_SECTOR, .len_bytes = BLK_BYTES,
			       .buf = data};
	uint64_t ids[N], since = oracle_event(w->oracle);
	op_t op;

	world_patience(w, 600 * SEC_NS);
	done = hb_submit(&read);
	op = oracle_begin(w->oracle, HB_WRITE, false);
	for (unsigned i = 0; i < N; i++) {
		ids[i] = rng_next(&w->rng) | 1;
		sector_fill(data + i * ORACLE_SECTOR, ids[i]);
	}
	oracle_write(w->oracle, op, v, at, ids, N);
	world_do(w, &write);
	oracle_end(w->oracle, op, write.error ? OP_FAILED : OP_DONE);
	while (!done)
		world_turn(w, UINT64_MAX);
	if (read.error || (write.error && write.error != -ENOSPC))
		why_set(&w->why, "a read beside a write: %d, %d", read.error, write.error);
	else
		oracle_read(w->oracle, v, at, sink, N, since, &w->why);
}

static void races(struct world *w)
{
	struct ovol *v = oracle_vol(w->oracle, (unsigned)rng_below(&w->rng, 4));
	struct hb_volume *h;
	struct err err = ERR_INIT;

	if (!v || w->why.text[0] || hb_volume_open(w->pool, ovol_name(v), &h, &err))
		return;
	for (unsigned i = 0; !ovol_frozen(v) && i < RACES && !w->why.text[0]; i++)
		race(w, v, h, rng_below(&w->rng, ovol_size(v) / BLK_BYTES) * (BLK_BYTES / ORACLE_SECTOR));
	hb_volume_close(h);
}

/* I/O errors, hanging, flipped bits, no room, flushes that do nothing: on levels only. */
void case_level_faults(struct run *r)
{
	static const struct cuts cuts = {.one_in = 100, .death_pct = 50, .submit_one_in = 200};
	struct shape shape = level_shape(r->seed);
	struct story s;
	bool ok = story_begin(&s, r, &shape) && workload_run(s.l, STEPS);
	struct rng *g = &s.w->rng;

	world_watch(s.w, &cuts);
	for (unsigned i = 0; ok && i < 4; i++) {
		struct sim_disk *d = s.w->disk[LEVEL1 + rng_below(g, shape.levels)];
		struct sim_faults f = {0};

		switch (rng_below(g, 6)) {
		case 0:
			f.eio_at = 1 + rng_below(g, 80);
			f.eio_count = rng_below(g, 2) ? 1 : UINT32_MAX;
			break;
		case 1:
			f.ops = rng_below(g, 2) ? 1u << DEV_READ : 0;
			f.stuck_at = 1 + rng_below(g, 60);
			f.late_ns = rng_below(g, 2) ? 1 + rng_below(g, 200 * MSEC_NS) : 0;
			break;
		case 2:
			f.room_bytes = KIB(4) * (1 + rng_below(g, 100));
			break;
		case 3:
			s.w->level_damaged = true; /* its table may outlive its data */
			f.lying_flush = true;
			break;
		default:
			s.w->level_damaged = true;
			flip_some(d, g, rng_below(g, 2) ? 20 : 1000);
			ok = workload_quiet(s.l); /* a copy under way would take what the races write to its source */
			if (ok)
				races(s.w);
			break;
		}
		sim_disk_arm(d, &f);
		ok = ok && workload_run(s.l, STEPS) && workload_quiet(s.l);
		sim_disk_arm(d, &(struct sim_faults){0});
		come_and_go(s.w);
		ok = ok && story_crash(&s, rng_below(g, 2) ? SIM_PROCESS_DEATH : SIM_POWER_CUT);
	}
	story_end(&s);
}

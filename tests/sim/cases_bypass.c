/* SPDX-License-Identifier: GPL-2.0-only */
/* cases_bypass.c - stories of long sequential writes that pass the write tier by, several at once, while others read,
 * write, unmap, copy, snapshot and revert the same volumes. After each life that ends quietly the pool is checked as it
 * is, before a crash lets it count its chunks anew.
 */
#include <inttypes.h>

#include "base/units.h"
#include "tests/sim/cases.h"
#include "tests/sim/oracle_priv.h"
#include "tests/sim/workload.h"

static struct shape bypass_shape(uint64_t seed)
{
	struct shape s = shape_draw(seed);
	struct rng r = {seed ^ 0xb1fa55};

	s.disk_bytes[CAPACITY] = MIB(12);
	s.disk_bytes[WRITE_TIER] = KIB(256) * (12 + rng_below(&r, 8));
	s.volume_bytes = MIB(1) << rng_below(&r, 2);
	s.space_bytes = MIB(4);
	s.stream_pct = 30 + (unsigned)rng_below(&r, 50);
	s.bypass_blk = 1 + (uint32_t)rng_below(&r, 40);
	s.depth = 2 + (unsigned)rng_below(&r, 12);
	s.big_pct = 0;
	return s;
}

/* Nobody is left out, and every chunk is accounted for. */
static bool quiet_and_right(struct story *s)
{
	return workload_quiet(s->l) && world_check(s->w);
}

static bool crash(struct story *s)
{
	return story_crash(s, rng_below(&s->w->rng, 2) ? SIM_POWER_CUT : SIM_PROCESS_DEATH);
}

/* The same after faults, where they left a pool that goes on. */
static bool still_right(struct story *s)
{
	struct hb_stats st;

	hb_pool_stats(s->w->pool, &st);
	return st.failed || hb_pool_dev(s->w->pool, HB_ROLE_CAPACITY)->failed || world_check(s->w);
}

void case_bypass(struct run *r)
{
	static const struct cuts cuts = {
		.one_in = 4, .death_pct = 35, .twice_pct = 5, .use_pct = 5, .submit_one_in = 30};
	struct shape shape = bypass_shape(r->seed);
	struct story s;
	bool ok;

	if (r->seed % 3 == 0) {
		shape.levels = 1;
		shape.disk_bytes[LEVEL1] = MIB(3);
		shape.logical_bytes[LEVEL1] = 512;
		shape.ram_bytes = KIB(512);
	}
	ok = story_begin(&s, r, &shape);
	world_watch(s.w, &cuts);
	for (unsigned i = 0; ok && i < 4; i++) {
		ok = workload_run(s.l, 120);
		if (ok && i % 2)
			ok = quiet_and_right(&s);
		ok = ok && crash(&s);
	}
	story_end(&s);
}

/* Of the device's own: a write, a flush or any I/O fails once, a few times, for good; or never ends. */
void case_bypass_faults(struct run *r)
{
	static const struct cuts cuts = {.one_in = 5, .death_pct = 15};
	static const unsigned ops[] = {0, 1u << DEV_WRITE, 1u << DEV_WRITE,
				       1u << DEV_FLUSH, 1u << DEV_FLUSH, 1u << DEV_FLUSH};
	struct shape shape = bypass_shape(r->seed);
	struct story s;
	bool ok;

	shape.ram_bytes = MIB(4);
	ok = story_begin(&s, r, &shape) && workload_run(s.l, 40);
	world_watch(s.w, &cuts);
	for (unsigned i = 0; ok && i < 3; i++) {
		struct rng *g = &s.w->rng;
		struct sim_faults f = {.ops = ops[rng_below(g, ARRAY_LEN(ops))]};

		if (rng_below(g, 4)) {
			f.eio_at = 1 + rng_below(g, f.ops == 1u << DEV_FLUSH ? 8 : 40);
			f.eio_count = rng_below(g, 2) ? 1 : rng_below(g, 2) ? 3 : UINT32_MAX;
		} else {
			f.stuck_at = 1 + rng_below(g, 30);
			f.late_ns = rng_below(g, 3) ? 1 + rng_below(g, 200 * MSEC_NS) : 0;
		}
		s.w->tolerate |= TOLERATE_IO;
		sim_disk_arm(s.w->disk[CAPACITY], &f);
		ok = workload_run(s.l, 100) && workload_quiet(s.l);
		sim_disk_arm(s.w->disk[CAPACITY], &(struct sim_faults){0});
		s.w->tolerate &= ~(unsigned)TOLERATE_IO;
		ok = ok && still_right(&s) && crash(&s);
		if (ok && rng_below(g, 2))
			ok = workload_run(s.l, 30) && quiet_and_right(&s);
	}
	story_end(&s);
}

/* Few chunks are free, so one that is freed is taken at once; and write-back always has something on its way. */
void case_bypass_reuse(struct run *r)
{
	static const struct cuts cuts = {.one_in = 12, .death_pct = 40};
	struct shape shape = bypass_shape(r->seed);
	struct story s;
	bool ok;

	shape.disk_bytes[CAPACITY] = MIB(5);
	shape.volume_bytes = MIB(1);
	shape.space_bytes = MIB(3);
	shape.chunk_bytes = 65536;
	shape.volumes = 3;
	shape.family_pct = 0;
	shape.relatives = 0;
	shape.no_copy = true;
	shape.slow[CAPACITY] = true;
	shape.dirty_low_pct = 1;
	shape.dirty_high_pct = 40;
	shape.writeback_idle_ns = MSEC_NS;
	shape.writeback_depth = 8;
	shape.stream_pct = 50;
	shape.flush_pct = 15;
	shape.read_pct = 25;
	shape.verb_pct = 1;
	ok = story_begin(&s, r, &shape);
	s.w->tolerate |= TOLERATE_SPACE;
	world_watch(s.w, &cuts);
	for (unsigned i = 0; ok && i < 3; i++)
		ok = workload_run(s.l, 300) && quiet_and_right(&s) && crash(&s);
	story_end(&s);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* cases.c - the table of cases, and the stories of plain crashes. */
#include "tests/sim/cases.h"

#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "tests/sim/workload.h"

bool story_begin(struct story *s, struct run *r, const struct shape *shape)
{
	*s = (struct story){.r = r};
	s->w = world_new(r->seed, shape);
	s->w->verbose = r->verbose;
	s->l = workload_new(s->w);
	return world_must_format(s->w) && world_must_open(s->w);
}

void story_end(struct story *s)
{
	s->r->why = s->w->why;
	s->r->crash_worlds += s->w->crash_worlds;
	s->r->trace = hash64(s->r->trace ^ s->w->clock.trace) + s->w->crash_worlds;
	if (s->w->pool)
		hb_pool_abandon(s->w->pool);
	s->w->pool = NULL;
	workload_free(s->l);
	world_free(s->w);
}

bool story_crash(struct story *s, enum sim_crash how)
{
	struct world *w = s->w;

	if (w->why.text[0])
		return false;
	world_crash(w, how);
	workload_detach(s->l);
	if (!world_must_open(w) || !world_verify(w, true))
		return false;
	w->crash_worlds++;
	return workload_attach(s->l);
}

bool story_cool(struct story *s)
{
	struct world *w = s->w;
	struct err err = ERR_INIT;

	if (w->why.text[0] || !workload_quiet(s->l))
		return false;
	workload_close_volumes(s->l);
	if (rng_below(&w->rng, 2))
		world_crash(w, SIM_PROCESS_DEATH);
	else if (world_close(w, &err))
		why_set(&w->why, "close: %s", err.text);
	return !w->why.text[0] && world_must_open(w) && workload_attach(s->l);
}

/* Lives of one world: work under observation, a crash, recovery under observation, and on. */
static void live_and_die(struct run *r, const struct cuts *cuts, unsigned lives, unsigned steps)
{
	struct shape shape = shape_draw(r->seed);
	struct story s;
	bool ok;

	shape.growths = r->seed % 4;
	ok = story_begin(&s, r, &shape);
	world_watch(s.w, cuts);
	for (unsigned i = 0; ok && i < lives; i++) {
		bool death = rng_below(&s.w->rng, 100) < cuts->death_pct;

		ok = workload_run(s.l, steps / 2 + (unsigned)rng_below(&s.w->rng, steps));
		if (!rng_below(&s.w->rng, 4))
			stage_remember(s.w);
		ok = ok && story_crash(&s, death ? SIM_PROCESS_DEATH : SIM_POWER_CUT);
		if (ok && rng_below(&s.w->rng, 2))
			ok = story_cool(&s);
	}
	story_end(&s);
}

static void case_kill(struct run *r)
{
	static const struct cuts cuts = {
		.one_in = 3, .death_pct = 100, .use_pct = 5, .submit_one_in = 10, .instant_one_in = 12};

	live_and_die(r, &cuts, 4, 150);
}

static void case_power(struct run *r)
{
	static const struct cuts cuts = {.one_in = 3, .twice_pct = 10, .use_pct = 5};

	live_and_die(r, &cuts, 4, 150);
}

static void case_every(struct run *r)
{
	static const struct cuts cuts = {.one_in = 1, .death_pct = 30, .submit_one_in = 4};

	live_and_die(r, &cuts, 2, 40);
}

static void case_mixed(struct run *r)
{
	static const struct cuts cuts = {
		.one_in = 20, .death_pct = 40, .twice_pct = 10, .use_pct = 10, .submit_one_in = 60};

	live_and_die(r, &cuts, 12, 200);
}

static void case_recovery_cut(struct run *r)
{
	static const struct cuts cuts = {
		.one_in = 30, .death_pct = 40, .depth = 4, .inner_one_in = 3, .twice_pct = 10, .most = 1200};

	live_and_die(r, &cuts, 4, 150);
}

/* Clean closes, looked at at every I/O of theirs; work in between is short. */
static void case_close_cut(struct run *r)
{
	static const struct cuts cuts = {.one_in = 1, .death_pct = 30, .depth = 2, .inner_one_in = 10, .most = 1500};
	static const struct cuts none = {0};
	struct shape shape = shape_draw(r->seed);
	struct err err = ERR_INIT;
	struct story s;
	bool ok = story_begin(&s, r, &shape);

	for (unsigned i = 0; ok && i < 4; i++) {
		ok = workload_run(s.l, 20 + (unsigned)rng_below(&s.w->rng, 100)) && workload_quiet(s.l);
		if (!ok)
			break;
		workload_close_volumes(s.l);
		world_watch(s.w, &cuts);
		if (world_close(s.w, &err))
			why_set(&s.w->why, "close: %s", err.text);
		if (!s.w->why.text[0] && rng_below(&s.w->rng, 2))
			world_crash(s.w, SIM_POWER_CUT); /* loses nothing now */
		s.w->rule = AFTER_DEATH;
		ok = !s.w->why.text[0] && world_must_open(s.w);
		world_watch(s.w, &none);
		ok = ok && !s.w->why.text[0] && world_verify(s.w, true) && workload_attach(s.l);
	}
	story_end(&s);
}

/* A write tier so small that it is cleaned and checkpointed all the time. */
static void case_checkpoint_cut(struct run *r)
{
	static const struct cuts cuts = {.one_in = 6, .death_pct = 25, .depth = 2, .inner_one_in = 20, .twice_pct = 10};
	struct shape shape = shape_draw(r->seed);
	struct story s;
	bool ok;

	shape.disk_bytes[WRITE_TIER] = KIB(256) * (8 + r->seed % 3);
	shape.read_pct = 5;
	shape.big_pct = 15;
	shape.verb_pct = 6;
	ok = story_begin(&s, r, &shape);
	world_watch(s.w, &cuts);
	for (unsigned i = 0; ok && i < 4; i++)
		ok = workload_run(s.l, 150) &&
		     story_crash(&s, rng_below(&s.w->rng, 3) ? SIM_POWER_CUT : SIM_PROCESS_DEATH);
	story_end(&s);
}

const struct sim_case sim_cases[] = {
	{"kill", "process death at I/O events; nothing that was answered may be missing", 4, case_kill},
	{"power", "power cuts at I/O events; a prefix, with all that was flushed", 6, case_power},
	{"every", "a crash at every single I/O event of a short life", 4, case_every},
	{"mixed", "long lives of both kinds of crash, one after the other", 4, case_mixed},
	{"recovery-cut", "crashes while recovering from crashes, four deep", 3, case_recovery_cut},
	{"close-cut", "a crash at every I/O event of a clean close, and of the open after it", 2, case_close_cut},
	{"checkpoint-cut", "a write tier so small that it is checkpointed and cleaned all the time", 4,
	 case_checkpoint_cut},
	{"lineage", "trees of snapshots and clones, reverted and deleted in any order; crashes of both kinds", 4,
	 case_lineage},
	{"group", "groups of snapshots show a prefix of writes that were ordered across volumes", 3, case_group},
	{"trim", "relatives are deleted, with a crash at every I/O event: all space comes back", 3, case_trim},
	{"ceiling", "what goes through a volume's ceilings in simulated time; bursts, patience, flushes, closing", 2,
	 case_ceiling},
	{"shares", "volumes that compete for a slow device get of it what their shares are", 1, case_shares},
	{"writers", "volumes that write faster than their pool get of its pace what their shares are", 1, case_writers},
	{"modes", "cache modes, changed online: what was answered is on the capacity disk", 2, case_modes},
	{"through-eio", "the capacity disk fails writes and flushes: modes that wait for it say so, and no lies", 1,
	 case_through_eio},
	{"floor", "a quiet volume with a cache floor keeps its hits beside a noisy one", 1, case_floor},
	{"bypass", "long writes that pass the write tier by, among others; crashes of both kinds at all moments", 4,
	 case_bypass},
	{"bypass-faults", "the same over a capacity device that fails or hangs: nothing is lost, no chunk is", 4,
	 case_bypass_faults},
	{"bypass-reuse", "the same in a pool so full that what is freed is written again at once", 3,
	 case_bypass_reuse},
	{"pins", "pinned blocks stay on the fast tiers, whatever others do", 1, case_pins},
	{"levels", "cache levels that are emptied, loaded, away for a while: never a wrong byte", 4, case_levels},
	{"level-faults", "cache levels that fail, hang, lie or rot: no request fails", 3, case_level_faults},
	{"scrub", "rot is found, and healed or said to be lost; good media are left alone", 4, case_scrub},
	{"mirror", "a write tier on two disks: one may fail, hang, rot, be away, come back stale", 5, case_mirror},
	{"create-cut", "a crash while a pool is created: a pool, or none, and it can be created again", 1,
	 case_create_cut},
	{"eio", "an I/O of either device fails, or a few; then a crash without faults", 3, case_eio},
	{"stuck", "an I/O never completes, and comes back late", 2, case_stuck},
	{"no-room", "a device's own space runs out below the pool", 1, case_no_room},
	{"full-pool", "more is written than fits: refused, then room is made, then accepted", 1, case_full_pool},
	{"full-log", "writes faster than the capacity device takes them: slowed, never refused", 3, case_full_log},
	{"flips", "bits flip on disks at a crash: data is right or refused, never wrong", 3, case_flips},
	{"lying", "flushes that do nothing must be noticed as loss", 1, case_lying},
	{"malloc", "the n-th allocation fails while creating, opening, checking, closing", 1, case_malloc},
	{"read-only", "a crashed pool opened read-only shows the same and changes nothing", 1, case_read_only},
};
const unsigned sim_ncases = ARRAY_LEN(sim_cases);

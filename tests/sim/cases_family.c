/* SPDX-License-Identifier: GPL-2.0-only */
/* cases_family.c - stories of families of volumes: trees of snapshots and clones; their deleting; and, told in
 * chain.c, groups. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "tests/sim/cases.h"
#include "tests/sim/oracle_priv.h"
#include "tests/sim/relatives.h"
#include "tests/sim/workload.h"

static bool all_is_free(struct world *w)
{
	struct hb_stats st;

	hb_pool_stats(w->pool, &st);
	return st.free_bytes == st.capacity_bytes;
}

static void idle_step(struct world *w)
{
	struct hb_req flush = {.op = HB_FLUSH};

	world_patience(w, 600 * SEC_NS);
	for (int i = 0; i < 5; i++)
		world_turn(w, w->clock.now_ns + 50 * MSEC_NS);
	world_do(w, &flush); /* nothing to tell the oracle: this one is not about what was written */
	if (flush.error)
		why_set(&w->why, "flush while idle: %d", flush.error);
}

/* Nothing is left: all space must come back by itself. */
static bool space_comes_back(struct world *w)
{
	struct hb_stats st;

	for (int i = 0; i < 200 && !w->why.text[0] && !all_is_free(w); i++)
		idle_step(w);
	hb_pool_stats(w->pool, &st);
	if (st.free_bytes != st.capacity_bytes)
		why_set(&w->why, "all is deleted, yet %" PRIu64 " of %" PRIu64 " bytes are free (%" PRIu64 " in limbo)",
			st.free_bytes, st.capacity_bytes, st.limbo_bytes);
	return !w->why.text[0];
}

/* Of an open pool that nobody uses, in an order of its own. */
static bool delete_everything(struct world *w)
{
	for (unsigned tries = 0; tries < 2000 && !w->why.text[0]; tries++) {
		char cursor[HB_NAME_MAX + 1] = "";
		struct hb_volume_info info, some = {0};
		struct err err = ERR_INIT;
		unsigned n = 0;
		int rc;

		while (hb_volume_next(w->pool, cursor, &info))
			if (!rng_below(&w->cut_rng, ++n))
				some = info;
		if (!n)
			return true;
		rc = hb_volume_delete(w->pool, some.name, &err);
		if (rc == -ENOSPC) /* the log is full for a moment */
			idle_step(w);
		else if (rc)
			why_set(&w->why, "delete of %s: %s", some.name, err.text);
	}
	why_set(&w->why, "volumes cannot be deleted");
	return false;
}

/* ------------------------------------------------------------------ lineage */

/* Volumes before the story begins, all gone again: ids go on from there. (Tables by id wrap around somewhere.) */
static bool skip_ids(struct world *w, unsigned n)
{
	struct err err = ERR_INIT;

	if (hb_volume_create(w->pool, "first", KIB(4), &err))
		why_set(&w->why, "%s", err.text);
	while (n && !w->why.text[0]) {
		unsigned part = MIN(n, HB_GROUP_MAX);
		char name[HB_GROUP_MAX][16];
		struct hb_snap what[HB_GROUP_MAX];

		for (unsigned i = 0; i < part; i++) {
			snprintf(name[i], sizeof(name[i]), "skip%u", i);
			what[i] = (struct hb_snap){.source = "first", .name = name[i], .writable = i % 2};
		}
		if (hb_volume_snapshot(w->pool, what, part, &err))
			why_set(&w->why, "%s", err.text);
		for (unsigned i = 0; i < part; i++)
			if (hb_volume_delete(w->pool, name[i], &err))
				why_set(&w->why, "%s", err.text);
		for (int i = 0; i < 10; i++)
			idle_step(w);
		n -= part;
	}
	if (w->why.text[0] || !delete_everything(w))
		return false;
	idle_step(w); /* the oracle knows of none of it: it must be over for good */
	return space_comes_back(w);
}

void case_lineage(struct run *r)
{
	static const struct cuts cuts = {.one_in = 4,
					 .death_pct = 40,
					 .depth = 2,
					 .inner_one_in = 40,
					 .twice_pct = 5,
					 .use_pct = 10,
					 .submit_one_in = 25,
					 .instant_one_in = 25,
					 .most = 500};
	struct shape shape = shape_draw(r->seed);
	struct story s;
	bool ok;

	shape.volumes = 3;
	shape.volume_bytes = KIB(16) << r->seed % 4;
	shape.space_bytes = KIB(1024);
	shape.disk_bytes[CAPACITY] += MIB(6); /* each block may be in another old chunk */
	shape.relatives = 24;
	shape.family_pct = 75;
	shape.verb_pct = 40 + (unsigned)(r->seed % 3) * 40;
	shape.starve_pct = r->seed % 2 ? 0 : 15;
	if (r->seed % 5 == 2) { /* units do not hold so many */
		shape.group = 40;
		shape.relatives = 60;
		shape.volume_bytes = KIB(16);
	}
	ok = story_begin(&s, r, &shape);
	if (ok && r->seed % 4 == 3)
		ok = skip_ids(s.w, 1000 + (unsigned)rng_below(&s.w->rng, 24));
	world_watch(s.w, &cuts);
	for (unsigned i = 0; ok && i < 4; i++) {
		bool death = rng_below(&s.w->rng, 2);

		ok = workload_run(s.l, 60 + (unsigned)rng_below(&s.w->rng, 120)) &&
		     story_crash(&s, death ? SIM_PROCESS_DEATH : SIM_POWER_CUT) && workload_renew(s.l);
		if (ok && rng_below(&s.w->rng, 3))
			ok = story_cool(&s);
	}
	story_end(&s);
}

/* ------------------------------------------------------------------ trim */

/* Whatever a crash left: when everything is deleted, everything is free. */
static bool clone_gives_back(struct world *w, void *ctx)
{
	(void)ctx;
	if (!w->parent || rng_below(&w->cut_rng, 3))
		return true;
	return delete_everything(w) && space_comes_back(w);
}

/* Deletes one after the other, with work between; what was told of each before must come back. */
static bool delete_in_steps(struct story *s)
{
	struct world *w = s->w;
	struct ovol *v;

	while ((v = oracle_vol(w->oracle, 0)) && !w->why.text[0]) {
		unsigned n = 0;

		while (oracle_vol(w->oracle, n))
			n++;
		v = oracle_vol(w->oracle, (unsigned)rng_below(&w->rng, n));
		if (!workload_quiet(s->l))
			return false;
		workload_delete(s->l, v);
		for (uint64_t turns = rng_below(&w->rng, 6); turns > 0; turns--)
			world_turn(w, w->clock.now_ns + rng_below(&w->rng, 30 * MSEC_NS));
		if (rng_below(&w->rng, 3) == 0 && !world_flush(w))
			return false;
		if (n > 3 && rng_below(&w->rng, 3) == 0 && !workload_run(s->l, 2))
			return false;
	}
	return !w->why.text[0];
}

static bool trim_is_whole(struct world *w)
{
	world_watch(w, &(struct cuts){0});
	return world_flush(w) && space_comes_back(w);
}

/* Deleting one volume gives back at least what was said. */
static bool usage_is_true(struct story *s)
{
	struct world *w = s->w;
	struct ovol *v = oracle_vol(w->oracle, 0);
	struct hb_usage u = {0};
	struct hb_stats st;
	uint64_t had;
	int rc = 0;

	if (!v || !workload_quiet(s->l))
		return !w->why.text[0];
	for (int i = 0; i < 20; i++) /* what is being deleted now is not to be counted */
		idle_step(w);
	hb_pool_stats(w->pool, &st);
	had = st.free_bytes;
	while (!rc)
		rc = hb_volume_usage(w->pool, ovol_id(v), &u);
	if (!workload_delete(s->l, v))
		return !w->why.text[0];
	for (int i = 0; i < 200 && st.free_bytes < had + u.exclusive_bytes; i++) {
		idle_step(w);
		hb_pool_stats(w->pool, &st);
	}
	if (rc != 1 || st.free_bytes < had + u.exclusive_bytes)
		why_set(&w->why, "%" PRIu64 " bytes were to come back, %" PRIu64 " did", u.exclusive_bytes,
			st.free_bytes - had);
	return !w->why.text[0];
}

void case_trim(struct run *r)
{
	struct cuts cuts = {.one_in = 1, .death_pct = 40, .most = 400};
	struct shape shape = shape_draw(r->seed);
	struct story s;
	bool ok;

	shape.volumes = 3;
	shape.volume_bytes = KIB(256);
	shape.space_bytes = KIB(1536);
	shape.relatives = 16;
	shape.family_pct = 80;
	shape.verb_pct = 60;
	shape.read_pct = 5;
	if (r->seed % 6 == 1) { /* maps of more than one leaf: parts of them are shared */
		shape.relatives = 3;
		shape.volume_bytes = KIB(64);
		shape.space_bytes = MIB(90);
		cuts.most = 40;
	}
	ok = story_begin(&s, r, &shape);
	if (ok && r->seed % 6 == 1)
		ok = workload_create(s.l, "large", MIB(20));
	s.w->look = clone_gives_back;
	for (unsigned i = 0; ok && i < 3; i++) {
		ok = workload_run(s.l, 120) && usage_is_true(&s);
		world_watch(s.w, &cuts);
		ok = ok && delete_in_steps(&s) && trim_is_whole(s.w);
		if (ok && rng_below(&s.w->rng, 2))
			ok = workload_run(s.l, 40);
		ok = ok && story_crash(&s, rng_below(&s.w->rng, 2) ? SIM_POWER_CUT : SIM_PROCESS_DEATH);
	}
	story_end(&s);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* crash.c - looking at a world as if it crashed now: clone, recover, verify, throw away; and again while the clone
 * recovers. The world itself does not notice: clones have their own generators, and the oracle is only asked.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "tests/sim/oracle_priv.h"
#include "tests/sim/world.h"

static bool chance(struct rng *r, unsigned pct)
{
	return rng_below(r, 100) < pct;
}

struct world *world_clone(struct world *w, enum sim_crash how)
{
	struct world *c = need(malloc(sizeof(*c)));

	*c = *w;
	c->parent = w;
	c->depth = w->depth + 1;
	c->pool = NULL;
	c->cut_rng.s = rng_next(&w->cut_rng);
	c->rng.s = rng_next(&w->cut_rng);
	c->clock.event = NULL;
	c->clock.now_ns += SEC_NS;
	c->crash_worlds = 0;
	if (w->depth) /* or cuts within cuts would multiply without end */
		c->cuts.inner_one_in *= 3;
	c->env.ctx = c;
	for (int i = 0; i < DISKS_MAX; i++)
		if (w->disk[i])
			c->disk[i] = sim_disk_crashed(w->disk[i], how, &c->clock, rng_next(&c->cut_rng));
	if (how == SIM_PROCESS_DEATH) {
		stage_clone(&c->stage, &w->stage);
		return c;
	}
	c->rule = MAX(c->rule, AFTER_POWER_CUT);
	stage_clone(&c->stage, &w->stage);
	stage_after_power_cut(c);
	return c;
}

/* The same must be found after one more power cut: recovery made nothing worse, and repeats itself. */
static bool clone_again(struct world *c)
{
	uint64_t hash = c->found_hash;

	world_crash(c, SIM_POWER_CUT);
	if (!world_must_open(c) || !world_verify(c, false))
		return false;
	c->crash_worlds++;
	if (c->found_hash == hash)
		return true;
	why_set(&c->why, "a second power cut right after recovery shows other data than the first");
	return false;
}

/* Clean close and open again: nothing may change. */
static bool clone_close(struct world *c)
{
	uint64_t hash = c->found_hash;
	struct err err = ERR_INIT;

	if (world_close(c, &err)) {
		why_set(&c->why, "close after recovery: %s", err.text);
		return false;
	}
	if (!world_must_open(c) || !world_verify(c, false))
		return false;
	if (c->found_hash == hash)
		return true;
	why_set(&c->why, "close and open show other data than before");
	return false;
}

static void watch_event(void *ctx, struct sim_disk *disk, enum sim_event what);

static bool clone_live(struct world *c)
{
	const struct cuts *k = &c->cuts;
	bool ok;

	if (c->depth < k->depth && k->inner_one_in) {
		c->clock.event = watch_event;
		c->clock.ctx = c;
	}
	ok = world_must_open(c);
	c->clock.event = NULL;
	if (!ok || c->why.text[0] || !world_verify(c, false))
		return false;
	c->crash_worlds++;
	if (c->rule == AFTER_POWER_CUT && chance(&c->cut_rng, k->twice_pct) && !clone_again(c))
		return false;
	return !chance(&c->cut_rng, k->use_pct) || clone_close(c);
}

bool world_probe(struct world *w, enum sim_crash how)
{
	struct world *c, *first = w;
	bool ok;

	while (first->parent)
		first = first->parent;
	if (w->cuts.most && first->probes >= w->cuts.most)
		return true;
	first->probes++;
	c = world_clone(w, how);
	ok = clone_live(c);
	w->crash_worlds += c->crash_worlds;
	if (!ok)
		why_set(&w->why, "after a %s at %.6f s (I/O %" PRIu64 "): %s",
			how == SIM_POWER_CUT ? "power cut" : "death", (double)w->clock.now_ns / 1e9,
			w->clock.completions, c->why.text);
	world_free(c);
	return ok;
}

static void watch_event(void *ctx, struct sim_disk *disk, enum sim_event what)
{
	struct world *w = ctx;
	unsigned one_in = w->depth ? w->cuts.inner_one_in : w->cuts.one_in;

	(void)disk;
	(void)what;
	if (w->why.text[0] || !one_in || rng_below(&w->cut_rng, one_in))
		return;
	world_probe(w, chance(&w->cut_rng, w->cuts.death_pct) ? SIM_PROCESS_DEATH : SIM_POWER_CUT);
}

void world_submitted(struct world *w)
{
	unsigned one_in = w->cuts.submit_one_in;

	if (one_in && !w->why.text[0] && !rng_below(&w->cut_rng, one_in))
		world_probe(w, SIM_PROCESS_DEATH);
}

void world_watch(struct world *w, const struct cuts *cuts)
{
	w->cuts = *cuts;
	w->clock.event = cuts->one_in ? watch_event : NULL;
	w->clock.ctx = w;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* cases_mirror.c - stories of a mirrored write tier: one half fails, hangs, rots, is away, comes back stale; no request
 * fails, and nothing that was answered is lost. */
#include <errno.h>
#include <string.h>

#include "base/units.h"
#include "tests/sim/cases.h"
#include "tests/sim/workload.h"

#define STEPS 150u

static struct sim_disk *half_disk(struct world *w, int half)
{
	return w->disk[half ? MIRROR : WRITE_TIER];
}

/* Which half something is wrong with, or -1: nothing may befall the other one then, for no good copy would be left. */
struct patient {
	int rotten; /* has wrong bytes, for good */
	int failing; /* may still do what it was to do while the pool was opened, until the next crash */
};

/* Something befalls one half, if both are there. */
static void hurt(struct world *w, struct patient *p)
{
	int half = p->rotten >= 0 ? p->rotten : p->failing >= 0 ? p->failing : (int)rng_below(&w->rng, 2);
	struct rng *g = &w->rng;
	struct sim_faults f = {0};
	struct hb_mirror_status st;

	hb_mirror_status(w->pool, &st);
	if (st.half[!half] != HB_HALF_IN)
		return;
	switch (rng_below(g, 6)) {
	case 0:
	case 1:
		f.ops = rng_below(g, 2) ? 0 : rng_below(g, 2) ? 1u << DEV_WRITE : 1u << DEV_FLUSH;
		f.eio_at = 1 + rng_below(g, f.ops == 1u << DEV_FLUSH ? 5 : 40);
		f.eio_count = rng_below(g, 2) ? 1 : UINT32_MAX;
		break;
	case 2:
		f.stuck_at = 1 + rng_below(g, 40);
		break;
	case 3:
		p->rotten = half;
		for (unsigned i = 0; i < 10 && st.half[half] == HB_HALF_IN; i++) {
			/* Behind the superblocks: those have copies of their own. */
			uint64_t page = sim_disk_next_page(half_disk(w, half), 64 + rng_below(g, 448));

			if (page != UINT64_MAX)
				sim_disk_flip(half_disk(w, half),
					      page * BLK_BYTES * 8 + rng_below(g, BLK_BYTES * 8ull));
		}
		break;
	default:
		break;
	}
	sim_disk_arm(half_disk(w, half), &f);
}

/* The half that is out is not to be taken for good, alone. */
static bool stale_is_refused(struct world *w, int stale)
{
	struct err err = ERR_INIT;

	w->half_away = 1 + !stale;
	if (!world_open(w, &err)) {
		why_set(&w->why, "opened with the stale half %d alone", stale);
		return false;
	}
	w->half_away = 0;
	return true;
}

static void crash(struct world *w, struct workload *l)
{
	world_crash(w, rng_below(&w->rng, 2) ? SIM_PROCESS_DEATH : SIM_POWER_CUT);
	workload_detach(l);
}

static int fail_while_opening(struct world *w)
{
	struct rng *g = &w->rng;
	int half = (int)rng_below(g, 2);
	struct sim_faults f = {.ops = rng_below(g, 2) ? 0 : 1u << DEV_WRITE | 1u << DEV_FLUSH};

	if (rng_below(g, 4)) {
		f.eio_at = 1 + rng_below(g, f.ops ? 8 : 80);
		f.eio_count = rng_below(g, 2) ? 1 : UINT32_MAX;
	} else {
		f.stuck_at = 1 + rng_below(g, f.ops ? 8 : 80);
	}
	sim_disk_arm(half_disk(w, half), &f);
	return half;
}

static bool reopen(struct story *s, const struct hb_mirror_status *before, struct patient *patient)
{
	struct world *w = s->w;
	struct rng *g = &w->rng;
	bool both = before->half[0] == HB_HALF_IN && before->half[1] == HB_HALF_IN;
	int out = before->half[0] != HB_HALF_IN ? 0 : 1;

	w->half_away = 0;
	if (!both && before->recorded && !stale_is_refused(w, out))
		return false;
	if (!rng_below(g, 3))
		w->half_away = !both ? 1 + out : 1 + (patient->rotten >= 0 ? patient->rotten : (int)rng_below(g, 2));
	patient->failing = -1;
	if (both && !w->half_away && patient->rotten < 0 && !rng_below(g, 3))
		patient->failing = fail_while_opening(w);
	if (!world_must_open(w) || !world_verify(w, true))
		return false;
	w->crash_worlds++;
	return workload_attach(s->l);
}

/* A half that is out gets a blank disk's place: its own, after it was closed. */
static bool replaced(struct story *s)
{
	struct world *w = s->w;
	uint64_t end_ns = w->clock.now_ns + 60 * SEC_NS; /* an I/O that hangs takes 8 s of them */
	struct hb_mirror_status st;

	while (w->clock.now_ns < end_ns) {
		hb_mirror_status(w->pool, &st);
		if (st.half[0] == HB_HALF_IN && st.half[1] == HB_HALF_IN)
			return true;
		if (st.half[0] == HB_HALF_OUT || st.half[1] == HB_HALF_OUT)
			return true;
		if (!workload_run(s->l, 10))
			return false;
	}
	why_set(&w->why, "a half is never made good: %llu of %llu", (unsigned long long)st.done_bytes,
		(unsigned long long)st.total_bytes);
	return false;
}

void case_mirror(struct run *r)
{
	static const struct cuts cuts = {.one_in = 25,
					 .death_pct = 50,
					 .depth = 2,
					 .inner_one_in = 15,
					 .twice_pct = 20,
					 .submit_one_in = 60,
					 .most = 400};
	struct shape shape = shape_draw(r->seed);
	struct story s;
	struct patient patient = {-1, -1};
	bool ok;

	shape.mirrored = true;
	shape.levels = 0;
	if (r->seed % 3) { /* halves of different sizes: the smaller one is what counts */
		shape.disk_bytes[MIRROR] = shape.disk_bytes[WRITE_TIER];
		shape.disk_bytes[r->seed % 3 == 1 ? MIRROR : WRITE_TIER] += MIB(1);
	}
	ok = story_begin(&s, r, &shape) && workload_run(s.l, 40);
	world_watch(s.w, &cuts);
	for (unsigned i = 0; ok && i < 5; i++) {
		struct hb_mirror_status st;

		hurt(s.w, &patient);
		ok = workload_run(s.l, STEPS) && (rng_below(&s.w->rng, 2) || replaced(&s));
		if (!ok)
			break;
		hb_mirror_status(s.w->pool, &st);
		sim_disk_arm(half_disk(s.w, 0), &(struct sim_faults){0});
		sim_disk_arm(half_disk(s.w, 1), &(struct sim_faults){0});
		crash(s.w, s.l);
		ok = reopen(&s, &st, &patient);
	}
	story_end(&s);
}

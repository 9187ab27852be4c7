/* SPDX-License-Identifier: GPL-2.0-only */
/* cases_scrub.c - stories of scrubs: of media that nobody hurt, and that crash meanwhile; of media on which live slots
 * were flipped; of a capacity device that cannot read some blocks. Whatever was clean is healed, whatever was dirty is
 * healed from memory or lost, nobody ever reads a wrong byte, and a scrub of good media finds nothing.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/pool.h"
#include "tests/sim/cases.h"
#include "tests/sim/oracle_priv.h"
#include "tests/sim/workload.h"

#define STEPS 250u
#define HURT_MAX 24u

/* What was flipped. */
struct hurt {
	pblk_t b;
	bool dirty;
};

struct scrub_story {
	struct story s;
	struct hurt hurt[HURT_MAX];
	unsigned nhurt, ndirty;
};

/* No snapshots and no shared chunks: each block can be written again by whoever finds it lost. */
static struct shape scrub_shape(uint64_t seed)
{
	struct shape s = shape_draw(seed);
	struct rng r = {seed ^ 0x5c20b};

	s.levels = (unsigned)rng_below(&r, 3);
	s.ram_bytes = rng_below(&r, 3) ? KIB(512) : MIB(4);
	for (unsigned i = 0; i < s.levels; i++) {
		s.disk_bytes[LEVEL1 + i] = KIB(256) * (10 + rng_below(&r, 8));
		s.logical_bytes[LEVEL1 + i] = rng_below(&r, 2) ? 512 : 4096;
	}
	s.disk_bytes[CAPACITY] = MIB(10);
	s.disk_bytes[WRITE_TIER] = KIB(256) * (16 + rng_below(&r, 16));
	s.staging_bytes = BLK_BYTES + (4 + rng_below(&r, 3)) * 64 * BLK_BYTES; /* little is in memory */
	s.writeback_idle_ns = rng_below(&r, 2) ? 0 : 20 * MSEC_NS;
	s.volume_bytes = MIB(1);
	s.space_bytes = MIB(3);
	s.family_pct = 0;
	s.no_copy = true;
	return s;
}

/* ------------------------------------------------------------------ hurting */

/* Whether the slot can be hurt: it counts, it is on the medium, and replay has no need of it (damage of the log is
 * another story). */
static bool may_hurt(struct hb_pool *p, struct segs *segs, const struct idx *x, const struct level *l, slot_t slot)
{
	struct seg *g = segs_of_slot(segs, slot);

	return g->state == SEG_SEALED && g->buf < 0 && !g->unloaded && (l || g->seq < p->sb.log_seg_seq) &&
	       (idx_state(x, slot) == SLOT_CLEAN || idx_state(x, slot) == SLOT_DIRTY);
}

static void flip(struct world *w, int disk, uint64_t off)
{
	sim_disk_flip(w->disk[disk], off * 8 + rng_below(&w->rng, BLK_BYTES * 8));
}

static void hurt_some(struct scrub_story *x)
{
	struct world *w = x->s.w;
	struct hb_pool *p = w->pool;
	unsigned want = 1 + (unsigned)rng_below(&w->rng, HURT_MAX);

	x->nhurt = x->ndirty = 0;
	for (unsigned tries = 0; tries < 2000 && x->nhurt < want; tries++) {
		unsigned t = (unsigned)rng_below(&w->rng, 1 + p->nlevels);
		struct level *l = t ? &p->levels[t - 1] : NULL;
		struct segs *segs = l ? &l->segs : &p->segs;
		const struct idx *ix = l ? l->idx : p->idx;
		slot_t slot;
		pblk_t b;

		if (l && l->state != LEVEL_ON)
			continue;
		slot.n = segs->seg_blk + (uint32_t)rng_below(&w->rng, (uint64_t)segs->nsegs * segs->seg_blk);
		if (!may_hurt(p, segs, ix, l, slot))
			continue;
		b = idx_pblk(ix, slot);
		for (unsigned i = 0; i < x->nhurt; i++)
			if (x->hurt[i].b.n == b.n) /* two flips of one bit heal it */
				b.n = 0;
		if (!b.n)
			continue;
		x->hurt[x->nhurt].b = b;
		x->hurt[x->nhurt++].dirty = idx_state(ix, slot) == SLOT_DIRTY;
		x->ndirty += idx_state(ix, slot) == SLOT_DIRTY;
		flip(w, l ? LEVEL1 + (int)t - 1 : WRITE_TIER, l ? level_off(l, slot) : (uint64_t)slot.n * BLK_BYTES);
	}
	w->level_damaged = true;
}

/* ------------------------------------------------------------------ scrubbing */

static bool start(struct scrub_story *x, enum hb_scrub_what what)
{
	struct world *w = x->s.w;
	struct hb_scrub how = {what, rng_below(&w->rng, 2) ? 0 : MIB(1) + rng_below(&w->rng, MIB(100))};
	struct err err = ERR_INIT;

	if (hb_scrub_start(w->pool, &how, &err))
		why_set(&w->why, "scrub: %s", err.text);
	return !w->why.text[0];
}

static bool running(struct world *w, struct hb_scrub_status *st)
{
	hb_scrub_status(w->pool, st);
	return st->state == HB_SCRUB_RUNNING || st->state == HB_SCRUB_STOPPING;
}

/* Work goes on while it runs; in the end it must end by itself. */
static bool run_to_end(struct scrub_story *x, struct hb_scrub_status *st)
{
	struct world *w = x->s.w;

	for (unsigned i = 0; i < 40 && running(w, st); i++)
		if (!workload_run(x->s.l, STEPS / 10))
			return false;
	if (!workload_quiet(x->s.l))
		return false;
	world_patience(w, 600 * SEC_NS);
	while (running(w, st))
		world_turn(w, w->clock.now_ns + 10 * MSEC_NS);
	if (st->state != HB_SCRUB_DONE || st->done_bytes != st->total_bytes)
		why_set(&w->why, "the scrub ended in state %d after %" PRIu64 " of %" PRIu64 " bytes", (int)st->state,
			st->done_bytes, st->total_bytes);
	if (st->found_blocks < st->healed_blocks + st->lost_blocks + st->unreadable_blocks)
		why_set(&w->why, "the scrub healed more than it found");
	return !w->why.text[0];
}

/* ------------------------------------------------------------------ looking */

static void only_lost(void *ctx, enum hb_check_class c, const char *text)
{
	struct world *w = ctx;

	if (c != HB_CHECK_DATA || !strstr(text, " is lost"))
		why_set(&w->why, "check after the scrub (class %d): %s", (int)c, text);
}

/* What was clean is not lost; all that can be read is right; the check finds nothing but what is lost. */
static bool look(struct scrub_story *x)
{
	struct world *w = x->s.w;
	struct hb_pool *p = w->pool;

	for (unsigned i = 0; i < x->nhurt; i++) {
		slot_t slot = idx_find(p->idx, x->hurt[i].b);

		if (!x->hurt[i].dirty && slot.n && idx_state(p->idx, slot) == SLOT_LOST)
			why_set(&w->why, "block %" PRIu64 " was clean, and is lost", x->hurt[i].b.n);
	}
	world_patience(w, 3600 * SEC_NS);
	if (hb_pool_check(p, true, only_lost, NULL, w) < 0)
		why_set(&w->why, "check fails");
	if (w->why.text[0])
		return false;
	w->damaged = true;
	world_verify(w, false);
	w->damaged = false;
	return !w->why.text[0];
}

static bool write_block(struct world *w, struct ovol *v, struct hb_volume *h, uint64_t b, uint8_t *buf)
{
	struct hb_req req = {
		.op = HB_WRITE, .vol = h, .off_bytes = b * BLK_BYTES, .len_bytes = BLK_BYTES, .buf = buf};
	op_t op = oracle_begin(w->oracle, HB_WRITE, false);
	uint64_t ids[8];

	for (unsigned i = 0; i < 8; i++)
		sector_fill(buf + i * ORACLE_SECTOR, ids[i] = hash64(w->clock.now_ns ^ b << 8 ^ (uint64_t)i << 56) | 1);
	oracle_write(w->oracle, op, v, b * 8, ids, 8);
	world_do(w, &req);
	oracle_end(w->oracle, op, req.error ? OP_FAILED : OP_DONE);
	if (req.error)
		why_set(&w->why, "a lost block cannot be written: error %d", req.error);
	return !req.error;
}

/* Whatever is lost is written again. */
static bool write_lost(struct world *w)
{
	uint8_t *buf = need(calloc(1, BLK_BYTES));
	struct ovol *v;

	for (unsigned i = 0; (v = oracle_vol(w->oracle, i)) && !w->why.text[0]; i++) {
		struct err err = ERR_INIT;
		struct hb_volume *h;

		if (hb_volume_open(w->pool, ovol_name(v), &h, &err)) {
			why_set(&w->why, "%s", err.text);
			break;
		}
		for (uint64_t b = 0; b < ovol_size(v) / BLK_BYTES && !w->why.text[0]; b++) {
			struct hb_req req = {.op = HB_READ,
					     .vol = h,
					     .off_bytes = b * BLK_BYTES,
					     .len_bytes = BLK_BYTES,
					     .buf = buf};

			world_do(w, &req);
			if (req.error)
				write_block(w, v, h, b, buf);
		}
		hb_volume_close(h);
	}
	free(buf);
	return !w->why.text[0];
}

/* Closed and opened: what was dropped is forgotten by the checkpoint, too; then all must be as if nothing had been. */
static bool come_back(struct scrub_story *x)
{
	struct world *w = x->s.w;
	struct err err = ERR_INIT;

	if (!workload_quiet(x->s.l))
		return false;
	workload_close_volumes(x->s.l);
	if (world_close(w, &err))
		why_set(&w->why, "close: %s", err.text);
	return !w->why.text[0] && world_must_open(w) && world_verify(w, true) && workload_attach(x->s.l);
}

/* ------------------------------------------------------------------ the stories */

static bool scrub_hurt(struct scrub_story *x)
{
	static const struct cuts none = {0};
	struct world *w = x->s.w;
	struct hb_scrub_status st;
	bool ok;

	world_watch(w, &none);
	w->tolerate |= TOLERATE_MEDIUM;
	hurt_some(x);
	ok = start(x, rng_below(&w->rng, 2) ? HB_SCRUB_FAST : HB_SCRUB_ALL) && run_to_end(x, &st);
	if (ok && st.lost_blocks > x->ndirty)
		why_set(&w->why, "%u dirty blocks were hurt, and the scrub lost %" PRIu64, x->ndirty, st.lost_blocks);
	if (ok && st.unreadable_blocks + st.skipped_bytes)
		why_set(&w->why, "the scrub could not read what can be read");
	ok = ok && look(x) && write_lost(w);
	w->tolerate &= ~(unsigned)TOLERATE_MEDIUM;
	x->nhurt = 0;
	return ok && come_back(x);
}

static bool scrub_good(struct scrub_story *x)
{
	static const struct cuts cuts = {.one_in = 60, .death_pct = 50, .twice_pct = 20, .use_pct = 20};
	struct world *w = x->s.w;
	struct hb_scrub_status st;
	bool ok = workload_run(x->s.l, STEPS / 2);

	world_watch(w, &cuts);
	ok = ok && start(x, (enum hb_scrub_what)(1 + rng_below(&w->rng, 3)));
	if (ok && rng_below(&w->rng, 2))
		ok = run_to_end(x, &st);
	else
		ok = ok && workload_run(x->s.l, STEPS / 4);
	if (!ok)
		return false;
	if (!rng_below(&w->rng, 4))
		hb_scrub_stop(w->pool);
	hb_scrub_status(w->pool, &st);
	if (!w->level_damaged && st.found_blocks + st.skipped_bytes)
		why_set(&w->why, "a scrub of good media found %" PRIu64 " bad blocks", st.found_blocks);
	return story_crash(&x->s, rng_below(&w->rng, 2) ? SIM_PROCESS_DEATH : SIM_POWER_CUT);
}

/* One read of the capacity device fails, and the first block of those tried again alone (or some more). */
static bool scrub_unreadable(struct scrub_story *x)
{
	static const struct cuts cuts = {.one_in = 60, .death_pct = 50};
	struct world *w = x->s.w;
	struct sim_faults f = {.ops = 1u << DEV_READ, .eio_count = 2 + rng_below(&w->rng, 6)};
	struct hb_scrub_status st;
	bool ok;

	world_watch(w, &cuts);
	w->tolerate |= TOLERATE_IO;
	f.eio_at = 1 + rng_below(&w->rng, 10);
	ok = start(x, HB_SCRUB_CAPACITY);
	sim_disk_arm(w->disk[CAPACITY], &f);
	ok = ok && run_to_end(x, &st);
	sim_disk_arm(w->disk[CAPACITY], &(struct sim_faults){0});
	w->tolerate &= ~(unsigned)TOLERATE_IO;
	if (ok && (st.lost_blocks || st.found_blocks != st.healed_blocks + st.unreadable_blocks))
		why_set(&w->why, "a scrub of the capacity device does not say what became of what it found");
	return ok && story_crash(&x->s, rng_below(&w->rng, 2) ? SIM_PROCESS_DEATH : SIM_POWER_CUT);
}

/* A read of some device hangs, and comes back late; nothing is said of blocks because of that. */
static bool scrub_stuck(struct scrub_story *x)
{
	static const struct cuts cuts = {.one_in = 60, .death_pct = 50};
	struct world *w = x->s.w;
	struct sim_disk *d = w->disk[rng_below(&w->rng, DISKS + w->shape.levels)];
	struct sim_faults f = {.ops = 1u << DEV_READ, .stuck_at = 1 + rng_below(&w->rng, 20), .late_ns = 100 * MSEC_NS};
	struct hb_scrub_status st;
	bool ok;

	world_watch(w, &cuts);
	w->tolerate |= TOLERATE_IO;
	ok = start(x, HB_SCRUB_ALL);
	sim_disk_arm(d, &f);
	for (unsigned i = 0; ok && i < 20 && running(w, &st); i++)
		ok = workload_run(x->s.l, STEPS / 10);
	ok = ok && workload_quiet(x->s.l);
	hb_scrub_status(w->pool, &st);
	if (ok && st.lost_blocks)
		why_set(&w->why, "a scrub loses blocks because a device is late");
	sim_disk_arm(d, &(struct sim_faults){0});
	w->tolerate &= ~(unsigned)TOLERATE_IO;
	return ok && story_crash(&x->s, rng_below(&w->rng, 2) ? SIM_PROCESS_DEATH : SIM_POWER_CUT);
}

void case_scrub(struct run *r)
{
	struct shape shape = scrub_shape(r->seed);
	struct scrub_story x = {0};
	bool ok = story_begin(&x.s, r, &shape) && workload_run(x.s.l, STEPS);

	for (unsigned i = 0; ok && i < 5; i++) {
		switch (rng_below(&x.s.w->rng, 7)) {
		case 0:
		case 1:
			ok = scrub_good(&x);
			break;
		case 2:
			ok = scrub_unreadable(&x);
			break;
		case 3:
			ok = scrub_stuck(&x);
			break;
		default:
			ok = workload_run(x.s.l, STEPS / 2) && scrub_hurt(&x);
			break;
		}
	}
	story_end(&x.s);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* cases_qos.c - stories of volumes that have ceilings, and of volumes that compete. Time is simulated, so what goes
 * through in it can be asserted.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/load.h"

#define SLACK_NS (20 * MSEC_NS)
#define PATIENCE_NS (20 * SEC_NS)
#define SHARERS 3 /* volumes that compete */
#define OTHER 3 /* one more, whose blocks take the place of theirs on the write tier */

/* ------------------------------------------------------------------ ceilings */

/* So much went through in ns, with a queue that never ran empty: not more than the ceiling and what was saved up, and
 * at least 95 % of it. `surely`: what certainly was saved up (one of two ceilings may have been idle). `out`: what was
 * let through before and answered since, or the other way round. */
static void judge(struct world *w, const char *what, uint64_t did, uint64_t rate, uint64_t ns, uint64_t saved_ns,
		  uint64_t surely_ns, uint64_t out, bool is_it)
{
	uint64_t most = rate * (ns + saved_ns) / SEC_NS + out, least = rate * (ns + surely_ns) / SEC_NS * 95 / 100;

	if (!rate)
		return;
	if (did > most || (is_it && did + out < least))
		why_set(&w->why,
			"ceiling of %" PRIu64 " %s a second: %" PRIu64 " in %.3f s and %.3f s saved; at most %" PRIu64
			", at least %" PRIu64,
			rate, what, did, (double)ns / 1e9, (double)saved_ns / 1e9, most, least);
}

/* One ceiling, or both; the volume was idle before, perhaps. */
static void keep_ceiling(struct load *d, bool was_idle)
{
	struct world *w = d->w;
	struct hb_volume_attr a = {.share = 100, .burst_s = (uint32_t)rng_below(&w->rng, 4)};
	unsigned which = 1 + (unsigned)rng_below(&w->rng, 3);
	uint64_t ns = SEC_NS * (10 + rng_below(&w->rng, 20)), saved, surely = 0, ios, bytes, limited_ns;
	struct hb_volume_info info;

	a.iops = which & 1 ? 10 + (uint32_t)rng_below(&w->rng, 90) : 0;
	a.bandwidth = which & 2 ? MIB(1) + rng_below(&w->rng, MIB(8)) : 0;
	load_set(d, &a);
	saved = MAX(a.burst_s * SEC_NS, SLACK_NS);
	if (was_idle) {
		load_pass_time(w, saved + SEC_NS);
		surely = saved;
	}
	load_run(w, &d, 1, ns);
	/* Which of two ceilings it is that holds depends on the sizes: the one that would take longer. */
	ios = a.iops ? d->ios * SEC_NS / a.iops : 0;
	bytes = a.bandwidth ? d->bytes * SEC_NS / a.bandwidth : 0;
	judge(w, "I/Os", d->ios, a.iops, ns, saved, surely, 2 * d->depth, which == 1 || (which == 3 && ios > bytes));
	judge(w, "bytes", d->bytes, a.bandwidth, ns, saved, surely, LOAD_LEN_MAX * d->depth,
	      which == 2 || (which == 3 && bytes > ios));
	hb_volume_info(d->h, &info);
	limited_ns = info.waits.limited_ns;
	if (!info.waits.limited || !limited_ns || d->longest_ns > PATIENCE_NS + 5 * SEC_NS)
		why_set(&w->why, "%" PRIu64 " waits, %" PRIu64 " ns in all, the longest request %" PRIu64,
			info.waits.limited, limited_ns, d->longest_ns);
}

/* More in flight than the ceiling lets through while an initiator waits: none waits for longer, and none fails. */
static void keep_patience(struct load *d)
{
	struct hb_volume_attr a = {.share = 100, .iops = 10};

	load_set(d, &a);
	d->op = HB_READ;
	d->len = BLK_BYTES;
	d->depth = LOAD_SLOTS_MAX;
	load_run(d->w, &d, 1, 100 * SEC_NS);
	if (d->longest_ns > PATIENCE_NS + 5 * SEC_NS || d->answers < LOAD_SLOTS_MAX * 3)
		why_set(&d->w->why, "%d in flight at 10 a second: %" PRIu64 " answers, the longest took %.3f s",
			LOAD_SLOTS_MAX, d->answers, (double)d->longest_ns / 1e9);
}

/* A flush does not wait behind what waits for a ceiling; closing lets all of that go. */
static void flush_and_close(struct load *d)
{
	struct world *w = d->w;
	struct hb_req flush = {.op = HB_FLUSH, .vol = d->h};
	uint64_t began = w->clock.now_ns;

	world_do(w, &flush);
	if (flush.error || w->clock.now_ns - began > 5 * SEC_NS || !d->out)
		why_set(&w->why, "a flush beside %u held requests: error %d, %.3f s", d->out, flush.error,
			(double)(w->clock.now_ns - began) / 1e9);
	began = w->clock.now_ns;
	world_patience(w, 600 * SEC_NS);
	hb_volume_close(d->h);
	if (d->out || w->clock.now_ns - began > 5 * SEC_NS)
		why_set(&w->why, "closing left %u requests, and took %.3f s", d->out,
			(double)(w->clock.now_ns - began) / 1e9);
}

static struct shape plain_shape(uint64_t seed)
{
	struct shape shape = shape_draw(seed);

	shape.disk_bytes[CAPACITY] = MIB(32);
	shape.disk_bytes[WRITE_TIER] = MIB(16);
	shape.staging_bytes = BLK_BYTES + 16 * 64 * BLK_BYTES;
	shape.dirty_low_pct = 30;
	shape.dirty_high_pct = 60;
	shape.writeback_depth = 8;
	shape.slow[CAPACITY] = shape.slow[WRITE_TIER] = false;
	return shape;
}

void case_ceiling(struct run *r)
{
	struct shape shape = plain_shape(r->seed);
	struct load *d = NULL;
	struct story s;

	if (story_begin(&s, r, &shape))
		d = load_new(&s, "limited", MIB(2));
	for (unsigned i = 0; d && i < 3; i++) {
		bool idle = rng_below(&s.w->rng, 2);

		if (idle)
			load_quiet(s.w, d);
		keep_ceiling(d, idle);
	}
	if (d && !s.w->why.text[0])
		keep_patience(d);
	if (d && !s.w->why.text[0])
		flush_and_close(d);
	if (d && !s.w->why.text[0])
		story_crash(&s, rng_below(&s.w->rng, 2) ? SIM_POWER_CUT : SIM_PROCESS_DEATH);
	if (d)
		load_free(d, false);
	story_end(&s);
}

/* ------------------------------------------------------------------ turns */

static uint64_t turns_of(const struct load *d)
{
	struct hb_volume_info info;

	hb_volume_info(d->h, &info);
	return info.waits.queued - d->waits;
}

/* From now on the turns count that each waits for. */
static void begin(struct load *const *d)
{
	for (unsigned i = 0; i < SHARERS; i++) {
		d[i]->waits = 0;
		d[i]->waits = turns_of(d[i]);
	}
}

static void judge_shares(struct world *w, const char *what, struct load *const *d, const uint32_t *share, double off)
{
	uint64_t sum = 0, shares = 0;

	for (unsigned i = 0; i < SHARERS; i++) {
		sum += turns_of(d[i]);
		shares += share[i];
	}
	for (unsigned i = 0; i < SHARERS; i++) {
		double part = (double)turns_of(d[i]) / (double)sum, want = (double)share[i] / (double)shares;

		if (w->verbose)
			fprintf(stderr, "%s: volume %u of share %u got %" PRIu64 " of %" PRIu64 ", %.4f, due %.4f\n",
				what, i, share[i], turns_of(d[i]), sum, part, want);
		if (part < want * (1 - off) - off / 10 || part > want * (1 + off) + off / 10)
			why_set(&w->why, "%s: a volume of share %u of %" PRIu64 " got %" PRIu64 " of %" PRIu64, what,
				share[i], shares, turns_of(d[i]), sum);
	}
}

static void share(struct load *d, uint32_t n)
{
	struct hb_volume_attr a = {.share = n};

	load_set(d, &a);
}

static void draw_shares(struct world *w, struct load *const *d, uint32_t *ret)
{
	for (unsigned i = 0; i < SHARERS; i++) {
		ret[i] = 50 + (uint32_t)rng_below(&w->rng, 450) * (i > 0);
		share(d[i], ret[i]);
	}
}

/* All read what only the slow device has; then two stop, and the third has it all, without a wait. */
static void share_reads(struct world *w, struct load *const *d)
{
	struct hb_volume_info before, after;
	uint32_t shares[SHARERS];

	for (unsigned i = 0; i <= OTHER; i++)
		load_fill(d[i]);
	for (unsigned i = 0; i < SHARERS; i++) {
		d[i]->op = HB_READ;
		d[i]->len = BLK_BYTES;
		d[i]->places = ovol_size(d[i]->v) / BLK_BYTES;
		d[i]->depth = 40;
	}
	draw_shares(w, d, shares);
	load_run(w, d, SHARERS, SEC_NS);
	begin(d);
	load_run(w, d, SHARERS, 5 * SEC_NS);
	judge_shares(w, "reads", d, shares, 0.03);
	load_quiet(w, d[1]);
	load_quiet(w, d[2]);
	load_run(w, d, 1, SEC_NS);
	hb_volume_info(d[0]->h, &before);
	load_run(w, d, 1, 2 * SEC_NS);
	hb_volume_info(d[0]->h, &after);
	if (before.waits.queued != after.waits.queued)
		why_set(&w->why, "a volume that is alone waited %" PRIu64 " times for its turn",
			after.waits.queued - before.waits.queued);
	load_quiet(w, d[0]);
}

static void share_writes(struct world *w, struct load *const *d)
{
	uint32_t shares[SHARERS];

	draw_shares(w, d, shares);
	for (unsigned i = 0; i < SHARERS; i++) {
		d[i]->op = HB_WRITE;
		d[i]->len = BLK_BYTES;
		d[i]->places = ovol_size(d[i]->v) / BLK_BYTES;
		d[i]->depth = 40;
	}
	load_run(w, d, SHARERS, 2 * SEC_NS);
	begin(d);
	load_run(w, d, SHARERS, 6 * SEC_NS);
	judge_shares(w, "writes", d, shares, 0.15);
	for (unsigned i = 0; i < SHARERS; i++)
		load_quiet(w, d[i]);
}

static void compete(struct run *r, const struct shape *shape, void (*tell)(struct world *w, struct load *const *d))
{
	static const char *const names[OTHER + 1] = {"one", "two", "three", "other"};
	struct load *d[OTHER + 1] = {NULL};
	struct story s;
	bool ok = story_begin(&s, r, shape);

	for (unsigned i = 0; ok && i <= OTHER; i++)
		d[i] = load_new(&s, names[i], MIB(16));
	if (ok && !s.w->why.text[0])
		tell(s.w, d);
	for (unsigned i = 0; ok && i <= OTHER; i++)
		load_free(d[i], !s.w->why.text[0]);
	if (ok && !s.w->why.text[0])
		story_crash(&s, SIM_PROCESS_DEATH);
	story_end(&s);
}

void case_shares(struct run *r)
{
	struct shape shape = plain_shape(r->seed);

	shape.disk_bytes[CAPACITY] = MIB(80);
	shape.disk_bytes[WRITE_TIER] = MIB(6);
	shape.slow[CAPACITY] = true;
	compete(r, &shape, share_reads);
}

/* Marks so far from each other that what one round of write-back cleans does not empty the queue of those that wait.
 * Between the rounds nobody is slowed down, and each writes what it can: so turns are judged, not blocks. */
void case_writers(struct run *r)
{
	struct shape shape = plain_shape(r->seed);

	shape.disk_bytes[CAPACITY] = MIB(80);
	shape.disk_bytes[WRITE_TIER] = MIB(64);
	shape.dirty_low_pct = 1;
	shape.dirty_high_pct = 95;
	shape.slow[CAPACITY] = true;
	compete(r, &shape, share_writes);
}

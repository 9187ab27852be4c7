/* SPDX-License-Identifier: GPL-2.0-only */
/* through.c - volumes whose writes are answered when the capacity device has them: write-through, write-around,
 * read-only, none (enum hb_mode).
 *
 * All writes go through the log first, in every mode: that is what makes them atomic and keeps their order. In these
 * modes the request then waits for its unit to be durable, and for write-back to have written its blocks and flushed
 * the capacity device behind them; write-back begins at once for that, with the blocks of those that wait longest.
 *
 * A block that others rewrite all the time never becomes clean. So what counts is that a round of write-back that
 * began after the unit was durable has written the block: what such a round takes is this write's bytes or newer ones.
 * A request goes through its blocks in order and never looks again at one that it has passed: each round that ends
 * brings it on, and none waits for ever. If the capacity device takes no writes, it fails after STUCK_NS.
 *
 * Crash story: answered when the write to the capacity device is done, before its flush: the power fails, the write
 * tier's device dies with it, and the block is where the initiator was told that it is not needed: nowhere.
 */
#include <stdlib.h>

#include "engine/pool.h"
#include "format/volrec.h"

#define STEP_RUNS 4096u /* of a map, looked at in one go */
#define ROUND_RUNS 128u /* places on the disk that one round writes to for those that wait: about a second of an HDD */
#define SWEEP_NS (200 * MSEC_NS) /* a round for other reasons ends after so long when somebody waits */

static int cmp_block(const void *a, const void *b)
{
	uint64_t x = ((const struct wb_block *)a)->p.n, y = ((const struct wb_block *)b)->p.n;

	return x < y ? -1 : x > y;
}

/* Whether the round that has just ended wrote b, and began after round `after`. */
static bool just_written(const struct hb_pool *p, pblk_t b, uint64_t after)
{
	const struct writeback *w = &p->wb;
	struct wb_block key = {.p = b};

	return p->through.ending && w->round > after &&
	       bsearch(&key, w->batch, w->nbatch, sizeof(*w->batch), cmp_block);
}

bool through_keeps(struct hb_pool *p, const struct hb_volume *v, pblk_t b)
{
	slot_t s;

	if (v->attr.mode != HB_MODE_WRITE_AROUND)
		return false;
	s = idx_find(p->idx, b);
	if (s.n) /* a dirty one carries on what its predecessor was */
		return idx_state(p->idx, s) == SLOT_CLEAN || idx_earned(p->idx, s);
	return level_find(p, b, &s) != NULL;
}

/* A block of v is on the capacity device: its slot stays only if the mode keeps what was written. */
static void let_go(struct hb_pool *p, const struct hb_volume *v, pblk_t b)
{
	slot_t s;

	if (v->attr.mode < HB_MODE_WRITE_AROUND || pins_has(p, b))
		return;
	s = idx_find(p->idx, b);
	if (s.n && idx_state(p->idx, s) == SLOT_CLEAN &&
	    (v->attr.mode > HB_MODE_WRITE_AROUND || !idx_earned(p->idx, s)))
		blk_drop(p, s);
}

/* Moves *at past all that the capacity device has. 1: it is at the end; 0: that block is dirty; -EAGAIN: go on;
 * -EBADMSG: that block is lost. */
static int advance(struct hb_pool *p, struct hb_volume *v, uint64_t *at, uint64_t end, uint64_t after)
{
	end = MIN(end, v->size_blk);
	for (uint32_t runs = 0; *at < end; runs++) {
		uint64_t n;
		pblk_t b;
		slot_t s;

		*at = map_next_mapped(&p->maps, &v->map, (vblk_t){*at}).n;
		if (*at >= end)
			break;
		if (runs == STEP_RUNS)
			return -EAGAIN;
		n = map_find_run(&p->maps, &v->map, (vblk_t){*at}, MIN(end - *at, STEP_RUNS), &b);
		for (; n--; b.n++, ++*at) {
			if (dirty_test(p->dirty, b) && !just_written(p, b, after))
				return 0;
			s = idx_find(p->idx, b);
			if (s.n && idx_state(p->idx, s) == SLOT_LOST)
				return -EBADMSG;
			let_go(p, v, b);
		}
	}
	*at = end;
	return 1;
}

static uint64_t end_of(const struct hb_req *r)
{
	return DIV_UP(r->off_bytes + r->len_bytes, BLK_BYTES);
}

/* ---------------------------------------------------------------- requests */

bool through_asked(const struct hb_req *r)
{
	return r->vol && r->vol->attr.mode != HB_MODE_WRITE_BACK && !r->pool->read_only;
}

void through_begin(struct hb_req *r)
{
	if (r->npinned) {
		req_unpin(r);
		req_wake_all(&r->pool->starved);
	}
	r->round = r->pool->wb.round;
	r->pos = r->off_bytes / BLK_BYTES;
}

enum step step_through(struct hb_req *r)
{
	struct hb_pool *p = r->pool;
	int rc;

	if (r->error)
		return STEP_DONE;
	rc = advance(p, r->vol, &r->pos, end_of(r), r->round);
	if (rc == 1 || BUG(THROUGH_NOT_AWAITED))
		return STEP_DONE;
	if (rc == -EAGAIN) {
		req_wake(r);
		return STEP_WAIT;
	}
	if (!rc && (p->failed || p->cap->failed))
		rc = -EIO;
	if (rc) {
		req_fail(r, rc, MAX(r->pos * BLK_BYTES, r->off_bytes));
		return STEP_DONE;
	}
	req_wait(r, &p->through.waiters);
	p->due = true;
	return STEP_WAIT;
}

uint64_t through_expire(struct hb_pool *p)
{
	uint64_t now, next = UINT64_MAX;

	if (list_empty(&p->through.waiters))
		return next;
	now = pool_now(p);
	list_each_safe(l, tmp, &p->through.waiters) {
		struct hb_req *r = list_entry(l, struct hb_req, link);

		if (!p->failed && !p->cap->failed && now - r->ready_ns < STUCK_NS) {
			next = MIN(next, r->ready_ns + STUCK_NS);
			continue;
		}
		pool_log(p, HB_LOG_WARN, "a write to volume %s is not on the capacity device after %llu s: it fails",
			 r->vol->name, (unsigned long long)((now - r->ready_ns) / SEC_NS));
		req_fail(r, -EIO, MAX(r->pos * BLK_BYTES, r->off_bytes));
		req_wake(r);
	}
	return next;
}

/* ---------------------------------------------------------------- volumes that were in write-back */

void through_mode(struct hb_volume *v, enum hb_mode old)
{
	struct hb_pool *p = v->pool;
	enum hb_mode now = v->attr.mode;

	if (p->replaying || (old == HB_MODE_WRITE_BACK) == (now == HB_MODE_WRITE_BACK))
		return;
	through_forget(v);
	if (now == HB_MODE_WRITE_BACK)
		return;
	v->settle_at = 0;
	v->settle_round = p->wb.round;
	list_push(&p->through.settling, &v->settling);
	p->due = true;
}

void through_forget(struct hb_volume *v)
{
	if (link_on_list(&v->settling))
		list_del(&v->settling);
}

/* ---------------------------------------------------------------- rounds of write-back */

bool through_waiting(const struct hb_pool *p)
{
	return !list_empty(&p->through.waiters) || !list_empty(&p->through.settling);
}

bool through_hurry(const struct hb_pool *p)
{
	return !p->wb.forced && !p->wb.nurgent && !list_empty(&p->through.waiters) &&
	       pool_now(p) - p->wb.batch_start_ns >= SWEEP_NS;
}

void through_look(struct hb_pool *p)
{
	list_each_safe(l, tmp, &p->through.waiters) {
		struct hb_req *r = list_entry(l, struct hb_req, link);

		if (advance(p, r->vol, &r->pos, end_of(r), r->round))
			req_wake(r); /* step_through() says what it was */
	}
	list_each_safe(l, tmp, &p->through.settling) {
		struct hb_volume *v = list_entry(l, struct hb_volume, settling);
		int rc = advance(p, v, &v->settle_at, UINT64_MAX, v->settle_round);

		v->settle_at += rc == -EBADMSG;
		if (rc == 1)
			list_del(&v->settling);
	}
}

void through_cleaned(struct hb_pool *p)
{
	if (!through_waiting(p))
		return;
	qsort(p->wb.batch, p->wb.nbatch, sizeof(*p->wb.batch), cmp_block);
	p->through.ending = true;
	through_look(p);
	p->through.ending = false;
}

/* Dirty blocks of v from `at` on become urgent, as long as *left places are left. */
static void choose(struct hb_pool *p, struct hb_volume *v, uint64_t at, uint64_t end, uint32_t *left)
{
	struct writeback *w = &p->wb;
	uint64_t last = 0;

	end = MIN(end, v->size_blk);
	for (uint32_t runs = 0; runs < STEP_RUNS; runs++) {
		uint64_t n;
		pblk_t b;

		at = map_next_mapped(&p->maps, &v->map, (vblk_t){at}).n;
		if (at >= end)
			return;
		n = map_find_run(&p->maps, &v->map, (vblk_t){at}, MIN(end - at, STEP_RUNS), &b);
		for (; n--; b.n++, at++) {
			if (!dirty_test(p->dirty, b) || !wb_eligible(p, b).n)
				continue;
			if (w->nurgent == WB_BATCH_BLK || (b.n != last + 1 && !*left))
				return;
			*left -= b.n != last + 1;
			w->urgent[w->nurgent++] = b;
			last = b.n;
		}
	}
}

bool through_choose(struct hb_pool *p)
{
	uint32_t left = ROUND_RUNS, before = p->wb.nurgent;

	through_look(p);
	list_each(l, &p->through.waiters) {
		struct hb_req *r = list_entry(l, struct hb_req, link);

		choose(p, r->vol, r->pos, end_of(r), &left);
	}
	list_each(l, &p->through.settling) {
		struct hb_volume *v = list_entry(l, struct hb_volume, settling);

		choose(p, v, v->settle_at, UINT64_MAX, &left);
	}
	return p->wb.nurgent > before;
}

/* ---------------------------------------------------------------- what is at stake */

bool hb_pool_warning(const struct hb_pool *p, char *text, size_t size)
{
	bool any = false;

	for (uint32_t i = 0; i < p->nnames && !any; i++)
		any = p->by_name[i]->attr.mode == HB_MODE_WRITE_BACK && !(p->by_name[i]->flags & VOLREC_SNAPSHOT);
	if (!any || p->halves.mirrored || p->read_only)
		return false;
	text_fmt(text, size,
		 "write-back without a mirror: if the write tier's device dies, up to %llu MiB of the newest writes "
		 "die with it",
		 (unsigned long long)DIV_UP((uint64_t)p->dirty_high * BLK_BYTES, MIB(1)));
	return true;
}

void through_warn(const struct hb_pool *p)
{
	char text[160];

	if (hb_pool_warning(p, text, sizeof(text)))
		pool_log(p, HB_LOG_INFO, "%s", text); /* the tool would repeat a warning with each command */
}

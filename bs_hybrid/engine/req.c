/* SPDX-License-Identifier: GPL-2.0-only */
/* req.c - the life of a request: checked, stepped until it waits or is done, answered.
 *
 * A request is always in exactly one place: being stepped; on one of the pool's lists (ready, log_waiters,
 * space_waiters, starved, flush_waiters, finished) or of its volume's (limits, reading, writing); or waiting for
 * fetches or writes of its own (waiting > 0, on no list); or on through.waiters, bypass.waiters, bypass.unflushed.
 * Each step function goes on from req->pos and may be called any number of times. A request whose work is done and
 * that has HB_FUA waits on flush_waiters before it is answered.
 */
#include "engine/pool.h"
#include "format/volrec.h"

enum { REQ_WORK, REQ_FLUSH, REQ_THROUGH };

static enum step step_flush(struct hb_req *r);

static enum step (*const steps[HB_OPS])(struct hb_req *) = {
	[HB_READ] = step_read,       [HB_WRITE] = step_write,          [HB_WRITE_SAME] = step_write,
	[HB_COMPARE] = step_compare, [HB_COMPARE_WRITE] = step_atomic, [HB_OR_WRITE] = step_write,
	[HB_UNMAP] = step_unmap,     [HB_PREFETCH] = step_prefetch,    [HB_COPY] = step_copy,
	[HB_FLUSH] = step_flush,
};

static bool writes(const struct hb_req *r)
{
	return r->op == HB_WRITE || r->op == HB_WRITE_SAME || r->op == HB_COMPARE_WRITE || r->op == HB_OR_WRITE ||
	       r->op == HB_UNMAP || r->op == HB_COPY;
}

void req_wait(struct hb_req *r, struct link *list)
{
	assert(!link_on_list(&r->link) && !r->waiting);
	list_push(list, &r->link);
}

void req_wake(struct hb_req *r)
{
	if (link_on_list(&r->link))
		list_del(&r->link);
	list_push(&r->pool->ready, &r->link);
}

void req_wake_all(struct link *list)
{
	struct link *l;

	while ((l = list_pop(list))) {
		struct hb_req *r = list_entry(l, struct hb_req, link);

		list_push(&r->pool->ready, &r->link);
	}
}

void req_unpin(struct hb_req *r)
{
	for (uint16_t i = 0; i < r->npinned; i++)
		ram_unpin(r->pool->ram, r->pinned[i]);
	r->npinned = 0;
}

static enum step step_flush(struct hb_req *r)
{
	struct hb_pool *p = r->pool;

	if (r->state == REQ_WORK) {
		r->seq = log_last(p);
		r->state = REQ_FLUSH;
	}
	if (r->seq <= p->log.durable_seq)
		return STEP_DONE;
	if (p->failed || p->read_only) {
		req_fail(r, p->read_only ? -EROFS : -EIO, r->off_bytes);
		return STEP_DONE;
	}
	req_wait(r, &p->flush_waiters);
	return STEP_WAIT;
}

static enum step work(struct hb_req *r)
{
	enum step s;

	if (r->state == REQ_THROUGH)
		return step_through(r);
	if (r->state == REQ_WORK) {
		if (r->error) /* a fetch failed */
			return r->waiting ? STEP_WAIT : STEP_DONE;
		s = steps[r->op](r);
		if (s != STEP_DONE || r->error || !writes(r) ||
		    !((r->flags & HB_FUA && !BUG(IGNORE_FUA)) || through_asked(r)))
			return s;
	}
	s = step_flush(r);
	if (s != STEP_DONE || r->error || !writes(r) || !through_asked(r))
		return s;
	r->state = REQ_THROUGH; /* durable in the log; now the capacity device (P2) */
	through_begin(r);
	return step_through(r);
}

static unsigned hist_bucket(uint64_t ns)
{
	uint64_t us = ns / 1000;
	unsigned lg;

	if (us < 4)
		return (unsigned)us;
	lg = 63u - (unsigned)__builtin_clzll(us);
	return MIN((lg - 1) * 4 + (unsigned)(us >> (lg - 2) & 3), HB_HIST_BUCKETS - 1u);
}

static void account_volume(struct hb_volume_stats *st, const struct hb_req *r, uint64_t ns, unsigned bucket)
{
	static const uint8_t asks[HB_OPS] = {
		[HB_READ] = HB_ASK_READ,      [HB_WRITE] = HB_ASK_WRITE,         [HB_WRITE_SAME] = HB_ASK_WRITE,
		[HB_COMPARE] = HB_ASK_OTHER,  [HB_COMPARE_WRITE] = HB_ASK_WRITE, [HB_OR_WRITE] = HB_ASK_WRITE,
		[HB_UNMAP] = HB_ASK_UNMAP,    [HB_PREFETCH] = HB_ASK_OTHER,      [HB_COPY] = HB_ASK_WRITE,
		[HB_FLUSH] = HB_ASK_FLUSH,
	};
	uint8_t ask = asks[r->op];

	st->reqs[ask]++;
	st->bytes[ask] += r->len_bytes;
	st->errors[ask] += r->error != 0;
	if (ask == HB_ASK_READ) {
		st->lat_read[bucket / 2]++;
		st->lat_read_ns += ns;
	} else if (ask == HB_ASK_WRITE) {
		st->lat_write[bucket / 2]++;
		st->lat_write_ns += ns;
	}
}
_Static_assert(HB_HIST_BUCKETS == 2 * HB_VOL_HIST_BUCKETS, "each bucket of a volume is two");

/* Off the books; the caller answers. */
static void account(struct hb_req *r)
{
	struct hb_pool *p = r->pool;
	uint64_t ns = pool_now(p) - r->start_ns;
	unsigned b = hist_bucket(ns);

	if (r->pinned) {
		req_unpin(r);
		mem_free(r->pinned);
		r->pinned = NULL;
		req_wake_all(&p->starved);
	}
	if (r->pieces) /* it found no room for its record, for too long */
		bypass_drop(r);
	p->inflight--;
	if (r->vol) {
		r->vol->inflight--;
		account_volume(&r->vol->st, r, ns, b);
	}
	if (r->op == HB_COPY)
		r->src_vol->inflight--;
	p->st.reqs[r->op]++;
	p->st.req_bytes[r->op] += r->len_bytes;
	p->st.req_errors[r->op] += r->error != 0;
	if ((r->op == HB_READ || r->op == HB_WRITE) && r->len_bytes)
		seen_request(r, r->op == HB_WRITE);
	if (r->op == HB_READ) {
		p->st.lat_read[b]++;
		p->st.lat_read_ns += ns;
	} else if (r->op == HB_FLUSH) {
		p->st.lat_flush[b]++;
		p->st.lat_flush_ns += ns;
	} else if (writes(r)) {
		p->st.lat_write[b]++;
		p->st.lat_write_ns += ns;
	}
}

static bool in_range(const struct hb_volume *v, uint64_t off, uint64_t len)
{
	uint64_t size = v->size_blk * BLK_BYTES;

	return off <= size && len <= size - off && off % SECTOR_BYTES == 0 && len % SECTOR_BYTES == 0;
}

static int check(struct hb_req *r)
{
	bool big_ok = r->op == HB_UNMAP || r->op == HB_PREFETCH || r->op == HB_WRITE_SAME || r->op == HB_COPY;
	bool atomic = r->op == HB_COMPARE_WRITE || (r->op == HB_WRITE && r->flags & HB_ATOMIC);

	if (r->op >= HB_OPS)
		return -EINVAL;
	if (r->op == HB_FLUSH)
		return 0;
	if (!in_range(r->vol, r->off_bytes, r->len_bytes) || (!big_ok && r->len_bytes > HB_REQ_MAX) ||
	    (atomic && r->len_bytes > HB_ATOMIC_MAX))
		return -EINVAL;
	if (r->op == HB_COPY && (r->src_vol->pool != r->pool || !in_range(r->src_vol, r->src_off_bytes, r->len_bytes)))
		return -EINVAL;
	if (r->op == HB_WRITE_SAME && r->len_bytes &&
	    ((r->pattern_bytes != SECTOR_BYTES && r->pattern_bytes != BLK_BYTES) || r->len_bytes % r->pattern_bytes))
		return -EINVAL;
	if (writes(r) && r->pool->failed)
		return -EIO;
	if (writes(r) && (r->pool->read_only || (r->vol->flags & VOLREC_SNAPSHOT && !BUG(SNAPSHOT_WRITABLE))))
		return -EROFS;
	return 0;
}

static bool submit(struct hb_pool *p, struct hb_req *r)
{
	int rc;

	r->pool = p;
	r->error = 0;
	r->error_off = r->off_bytes;
	r->link = (struct link){NULL, NULL};
	r->pos = r->seq = 0;
	r->start_ns = r->ready_ns = pool_now(p);
	r->waiting = r->run_blk = 0;
	r->state = REQ_WORK;
	r->turn = r->turned_away = false;
	r->paid = false;
	r->pinned = NULL;
	r->planned = UINT64_MAX; /* nothing yet */
	r->bypass = false;
	r->npinned = 0;
	r->pieces = NULL;
	r->past = 0;
	r->past_from = r->past_to = 0;
	p->inflight++;
	if (r->vol)
		r->vol->inflight++;
	if (r->op == HB_COPY)
		r->src_vol->inflight++;
	if (r->op != HB_FLUSH)
		p->wb.last_activity_ns = r->start_ns;
	rc = check(r);
	if (rc)
		req_fail(r, rc, r->off_bytes);
	else if (r->op != HB_FLUSH && r->vol->limits.on && !limits_pass(r))
		return false;
	if (rc || work(r) == STEP_DONE) {
		account(r);
		return true;
	}
	return false;
}

bool hb_submit(struct hb_req *r)
{
	return submit(r->vol->pool, r);
}

bool hb_sync(struct hb_pool *pool, struct hb_req *r)
{
	r->op = HB_FLUSH;
	r->flags = 0;
	r->len_bytes = r->off_bytes = 0;
	return submit(pool, r);
}

/* Steps everything ready; true if anything was. Those done go to `finished`. */
static bool run_ready(struct hb_pool *p)
{
	struct link todo, *l;
	bool any = false;

	list_init(&todo);
	list_splice(&todo, &p->ready);
	while ((l = list_pop(&todo))) {
		struct hb_req *r = list_entry(l, struct hb_req, link);

		any = true;
		if (work(r) == STEP_DONE)
			list_push(&p->finished, &r->link);
	}
	return any;
}

static bool answer_finished(struct hb_pool *p)
{
	struct link *l;
	bool any = false;

	while ((l = list_pop(&p->finished))) {
		struct hb_req *r = list_entry(l, struct hb_req, link);

		any = true;
		account(r);
		r->done(r);
	}
	return any;
}

static uint64_t fail_old(struct hb_pool *p, struct link *list, const char *what, int error)
{
	const struct seg *g = segs_oldest(&p->segs);
	uint64_t now, next = UINT64_MAX;

	if (list_empty(list))
		return next;
	now = pool_now(p);
	list_each_safe(l, tmp, list) {
		struct hb_req *r = list_entry(l, struct hb_req, link);

		if (now - r->ready_ns < STUCK_NS) {
			next = MIN(next, r->ready_ns + STUCK_NS);
			continue;
		}
		pool_log(p, HB_LOG_WARN,
			 "a request found no %s for %llu s: %u free segments, %llu dirty blocks, oldest segment: "
			 "%u live, %u dirty; checkpoint state %d, %u freed chunks wait",
			 what, (unsigned long long)(STUCK_NS / SEC_NS), p->segs.nfree,
			 (unsigned long long)idx_count(p->idx, SLOT_DIRTY), g ? g->live : 0, g ? g->dirty : 0,
			 p->ck.state, p->limbo_n);
		req_fail(r, error, r->off_bytes + r->pos);
		req_wake(r);
	}
	return next;
}

/* A write that has found no room for STUCK_NS fails: the initiator would give up on it anyhow, and tgt cannot remove a
 * LUN that has commands in flight. That it waited for its volume's ceilings before does not count. Returns when to look
 * again. */
static uint64_t fail_stuck(struct hb_pool *p)
{
	uint64_t next = fail_old(p, &p->log_waiters, "room in the log", -ETIMEDOUT);

	next = MIN(next, fail_old(p, &p->space_waiters, "chunk", -ENOSPC));
	next = MIN(next, fail_old(p, &p->starved, "frame", -ETIMEDOUT));
	next = MIN(next, through_expire(p));
	list_each(l, &p->write_turns.flows)
		next = MIN(next, fail_old(p, &list_entry(l, struct flow, link)->reqs, "turn to write", -ETIMEDOUT));
	list_each(l, &p->read_turns.turns.flows)
		next = MIN(next, fail_old(p, &list_entry(l, struct flow, link)->reqs, "turn to read", -ETIMEDOUT));
	return next;
}

static uint64_t deadline(struct hb_pool *p, uint64_t wake_ns)
{
	uint64_t now = pool_now(p), d = MIN(wake_ns, fail_stuck(p));

	if (p->cap->inflight || p->wt->inflight || level_inflight(p)) /* time limits */
		d = MIN(d, now + SEC_NS);
	if (p->log.unit && p->log.nrec && !p->failed)
		d = MIN(d, p->log.unit_ns + UNIT_AGE_NS);
	d = MIN(d, wb_deadline(p));
	d = MIN(d, pins_deadline(p));
	d = MIN(d, floors_deadline(p));
	d = MIN(d, scrub_deadline(p));
	if (p->halves.mirrored)
		d = MIN(d, MAX(dev_mirror_next_ns(p->wt), now));
	if (p->ck.retry_ns > now)
		d = MIN(d, p->ck.retry_ns);
	if (!list_empty(&p->ready))
		d = now;
	return d;
}

uint64_t hb_pool_run(struct hb_pool *p)
{
	uint64_t throttle_ns = UINT64_MAX, limits_ns = UINT64_MAX;
	bool more = true, trimmed = false;

	assert(!p->running);
	p->running = true;
	p->due = false;
	for (int i = 0; more && i < 8; i++) {
		uint64_t now = pool_now(p);

		more = dev_drain(p->wt, now) > 0;
		more |= dev_drain(p->cap, now) > 0;
		more |= level_drain(p);
		limbo_pump(p);
		limits_ns = limits_pump(p);
		throttle_ns = throttle_pump(p);
		read_pump(p);
		more |= run_ready(p);
		p->read_turns.given = 0; /* who got a turn was stepped, and has used it or did not need it */
		fetch_flush(p);
		if (!p->read_only) {
			more |= bypass_pump(p);
			more |= clean_pump(p);
			more |= wb_pump(p);
			more |= level_pump(p);
			more |= scrub_pump(p);
			if (!i) { /* what takes long: once */
				trimmed = vol_pump(p);
				trimmed |= pins_pump(p);
				floors_pump(p);
			}
			more |= halves_pump(p);
			more |= log_pump(p);
			more |= ckpt_pump(p);
		}
		fetch_flush(p);
		dev_kick(p->wt);
		dev_kick(p->cap);
		level_kick(p);
		more |= answer_finished(p);
	}
	p->running = false;
	return more || trimmed ? pool_now(p) : deadline(p, MIN(throttle_ns, limits_ns));
}

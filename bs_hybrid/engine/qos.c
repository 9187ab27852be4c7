/* SPDX-License-Identifier: GPL-2.0-only */
/* qos.c - the ceilings of a volume: I/Os and bytes a second, with what an idle volume has saved up.
 *
 * What counts. Reads, writes, compares and prefetches: their bytes, and one I/O for each 256 KiB begun (as Amazon's
 * EBS counts them). What moves no data - unmapping, writing zeros with WRITE SAME, the part of a copy that only shares
 * chunks - costs one I/O and no bytes, however long. A copy is paid for by the volume it goes to. Flushes cost nothing
 * and never wait: what waits here was not answered, so no flush speaks of it. FUA changes nothing.
 *
 * A ceiling is a clock (the virtual scheduling algorithm of ITU-T I.371, a token bucket without tokens): at_ns is the
 * time at which all that went through is paid for. A request goes through when that time has come, and moves it on by
 * its cost; so a long one waits for nothing, and those behind it do. While the volume is idle the clock falls behind
 * the present, by SLACK_NS or its burst at most: in any N seconds at most (N + burst) * ceiling goes through, and one
 * request. SLACK_NS makes up for a loop that wakes late.
 *
 * Bounded: nobody waits for longer than PATIENCE_NS. An initiator gives up after some 30 s, and would take errors for
 * a broken disk; so one that keeps more in flight than its ceiling lets through in that time gets more than its
 * ceiling. What it waits for after that (room in the log, a chunk) is counted from then on: see fail_stuck().
 */
#include "engine/pool.h"

#define IO_BYTES KIB(256)
#define SLACK_NS (20 * MSEC_NS)
#define PATIENCE_NS (20 * SEC_NS)

/* Bytes that a request moves. */
static uint64_t bytes_of(const struct hb_req *r)
{
	uint64_t chunk = (uint64_t)r->pool->sb.chunk_blk * BLK_BYTES;

	switch (r->op) {
	case HB_UNMAP:
		return 0;
	case HB_WRITE_SAME:
		return all_zero(r->buf, r->pattern_bytes) ? 0 : r->len_bytes;
	case HB_COPY:
		if (r->off_bytes % chunk != r->src_off_bytes % chunk)
			return r->len_bytes;
		/* What lies before the first whole chunk and behind the last is copied. */
		return MIN(r->len_bytes,
			   (chunk - r->off_bytes % chunk) % chunk + (r->off_bytes + r->len_bytes) % chunk);
	default:
		return r->len_bytes;
	}
}

static void pay(struct bucket *b, uint64_t now, uint64_t saved_ns, uint64_t rate, uint64_t units)
{
	uint64_t oldest = now > saved_ns ? now - saved_ns : 0;
	unsigned __int128 ns;

	if (!rate) {
		b->at_ns = now; /* were there a ceiling, nothing would be saved up */
		return;
	}
	if (b->at_ns < oldest && !BUG(BURST_FOR_EVER))
		*b = (struct bucket){.at_ns = oldest};
	ns = (unsigned __int128)units * SEC_NS + b->part;
	b->part = (uint64_t)(ns % rate);
	b->at_ns += (uint64_t)MIN(ns / rate, PATIENCE_NS);
	b->at_ns = MIN(b->at_ns, now + PATIENCE_NS);
}

/* When the first in the queue goes through. */
static uint64_t due_ns(const struct hb_volume *v, const struct hb_req *r)
{
	return MIN(MAX(v->limits.ios.at_ns, v->limits.bytes.at_ns), r->start_ns + PATIENCE_NS);
}

static void go_through(struct hb_volume *v, const struct hb_req *r, uint64_t now)
{
	uint64_t bytes = bytes_of(r), saved = MAX(v->attr.burst_s * SEC_NS, SLACK_NS);

	pay(&v->limits.ios, now, saved, v->attr.iops, MAX(DIV_UP(bytes, IO_BYTES), 1));
	if (!BUG(BYTES_UNLIMITED))
		pay(&v->limits.bytes, now, saved, v->attr.bandwidth, bytes);
}

bool limits_pass(struct hb_req *r)
{
	struct hb_volume *v = r->vol;
	struct hb_pool *p = v->pool;
	uint64_t at;

	if (list_empty(&v->limits.reqs)) {
		at = due_ns(v, r);
		if (at <= r->start_ns) {
			go_through(v, r, r->start_ns);
			return true;
		}
		list_push(&p->limited, &v->limits.link);
		p->limited_until_ns = MIN(p->limited_until_ns, at);
		p->due = true;
	}
	req_wait(r, &v->limits.reqs);
	v->waits.limited++;
	p->st.limited++;
	return false;
}

static void release(struct hb_volume *v, uint64_t now)
{
	struct hb_req *r = list_first(&v->limits.reqs, struct hb_req, link);

	v->waits.limited_ns += now - r->start_ns;
	v->pool->st.limited_ns += now - r->start_ns;
	r->ready_ns = now;
	req_wake(r);
	if (list_empty(&v->limits.reqs))
		list_del(&v->limits.link);
}

/* Lets through whose time has come; returns when the next one's comes. */
static uint64_t pump_volume(struct hb_volume *v, uint64_t now)
{
	while (!list_empty(&v->limits.reqs)) {
		struct hb_req *r = list_first(&v->limits.reqs, struct hb_req, link);
		uint64_t at = due_ns(v, r);

		if (at > now)
			return at;
		go_through(v, r, now);
		release(v, now);
	}
	return UINT64_MAX;
}

uint64_t limits_pump(struct hb_pool *p)
{
	uint64_t now, next = UINT64_MAX;

	if (list_empty(&p->limited))
		return p->limited_until_ns = UINT64_MAX;
	now = pool_now(p);
	if (now < p->limited_until_ns)
		return p->limited_until_ns;
	list_each_safe(l, tmp, &p->limited)
		next = MIN(next, pump_volume(list_entry(l, struct hb_volume, limits.link), now));
	return p->limited_until_ns = next;
}

void limits_let_go(struct hb_volume *v)
{
	uint64_t now = pool_now(v->pool);

	while (!list_empty(&v->limits.reqs))
		release(v, now);
}

void limits_init(struct hb_volume *v)
{
	struct limits *l = &v->limits;
	uint64_t now = pool_now(v->pool);

	if (!l->reqs.next)
		list_init(&l->reqs);
	/* Debts were made under the old ceilings, parts of a nanosecond are parts of the old rates', and a volume that
	 * had no ceilings has saved up nothing. */
	l->ios = (struct bucket){.at_ns = l->on ? MIN(l->ios.at_ns, now) : now};
	l->bytes = (struct bucket){.at_ns = l->on ? MIN(l->bytes.at_ns, now) : now};
	l->on = v->attr.iops || v->attr.bandwidth;
	if (!list_empty(&l->reqs)) {
		v->pool->limited_until_ns = 0;
		v->pool->due = true;
	}
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* turns.c - volumes that compete take turns by their shares: start-time fair queueing.
 *
 * Each volume is a flow. What is served gets a start tag, the later of the virtual time and the finish tag of what the
 * flow was served last, and a finish tag, later by cost / share. The flow whose first request has the least start tag
 * is served next, and its start tag is the virtual time. So flows that always have something waiting get service in
 * proportion to their shares; one that was idle neither gains nor loses by it; and what nobody else wants anybody gets.
 * (P. Goyal, H. Vin, H. Cheng, "Start-time Fair Queuing", 1996; with several served at once: W. Jin, J. Chase, J. Kaur,
 * "Interposed Proportional Sharing for a Storage Service Utility", 2004.)
 *
 * There are two such places: writers that are slowed down (throttle.c), and reads from the capacity device, here. A
 * device takes the reads of a single volume as they come. As soon as a second volume has any, only so many are let out
 * as keep the device busy, and the rest wait in their flows; for what a device was told it does in an order of its own.
 * A turn is one device read, of at most READ_IO_BLK neighbours; its cost is the time it takes, in blocks: one for each,
 * and HEAD_BLK for getting there.
 */
#include "engine/pool.h"

#define TAG_SCALE (1u << 20)
#define COST_MAX (1u << 20)
#define DEPTH_ROTATING 16u /* device reads out while volumes compete */
#define DEPTH_FLASH 64u
#define HEAD_BLK_ROTATING 128u /* 4 ms at 128 MiB/s */
#define HEAD_BLK_FLASH 16u

void turns_init(struct turns *t)
{
	list_init(&t->flows);
	t->now = 0;
}

void flow_init(struct flow *f)
{
	list_init(&f->reqs);
}

void flow_fini(struct flow *f)
{
	assert(list_empty(&f->reqs));
	if (link_on_list(&f->link))
		list_del(&f->link);
}

void turns_wait(struct turns *t, struct flow *f, struct hb_req *r)
{
	if (!link_on_list(&f->link)) {
		f->start = MAX(t->now, f->finish);
		list_push(&t->flows, &f->link);
	}
	r->wait_ns = pool_now(r->pool);
	req_wait(r, &f->reqs);
}

/* Requests may have been taken from the lists by others: what is empty then is found here. */
struct flow *turns_next(struct turns *t)
{
	struct flow *best = NULL;

	list_each_safe(l, tmp, &t->flows) {
		struct flow *f = list_entry(l, struct flow, link);

		if (list_empty(&f->reqs))
			list_del(&f->link);
		else if (!best || f->start < best->start)
			best = f;
	}
	return best;
}

void turns_pay(struct turns *t, struct flow *f, uint32_t share, uint64_t cost)
{
	uint64_t start = link_on_list(&f->link) ? f->start : MAX(t->now, f->finish);

	if (BUG(SHARES_IGNORED))
		share = HB_SHARE_DEFAULT;
	t->now = MAX(t->now, start);
	f->finish = start + MIN(cost, COST_MAX) * TAG_SCALE / share;
	f->start = f->finish;
}

void turns_wake_all(struct turns *t)
{
	list_each(l, &t->flows)
		req_wake_all(&list_entry(l, struct flow, link)->reqs);
	turns_next(t);
}

/* ---------------------------------------------------------------- reads from the capacity device */

/* No other volume has reads out, or requests that wait. */
static bool alone(const struct hb_volume *v)
{
	const struct read_turns *t = &v->pool->read_turns;
	const struct link *first = t->turns.flows.next;

	return t->readers == (v->reads > 0) &&
	       (first == &t->turns.flows || (first == &v->reading.link && first->next == &t->turns.flows));
}

static uint32_t depth(const struct hb_pool *p)
{
	return p->cap->geom.rotational ? DEPTH_ROTATING : DEPTH_FLASH;
}

static uint32_t head_blk(const struct hb_pool *p)
{
	return p->cap->geom.rotational ? HEAD_BLK_ROTATING : HEAD_BLK_FLASH;
}

/* The block goes on with the device read that this request began. */
static bool goes_on(const struct hb_req *r, pblk_t b)
{
	return r->run_blk && b.n == r->run_next && r->run_blk < READ_IO_BLK;
}

bool read_turn(struct hb_req *r, pblk_t b)
{
	struct hb_pool *p = r->pool;
	struct read_turns *t = &p->read_turns;
	struct hb_volume *v = r->vol;
	uint32_t most = depth(p);

	if (r->turn || goes_on(r, b))
		return true;
	if (!link_on_list(&v->reading.link)) {
		if (alone(v) || (list_empty(&t->turns.flows) && t->reads + t->given < most))
			return true;
		/* Another had the device for itself and filled it: a newcomer is not to wait for all of that. */
		if (t->reads > most && v->reads < most / (t->readers + 1))
			return true;
	}
	r->turned_away = true;
	return false;
}

void read_begun(struct hb_req *r, struct fetch *f)
{
	struct hb_volume *v = r->vol;
	struct read_turns *t = &v->pool->read_turns;

	if (!goes_on(r, f->p)) {
		if (!r->turn)
			turns_pay(&t->turns, &v->reading, v->attr.share, head_blk(v->pool));
		else if (t->given)
			t->given--;
		r->turn = false;
		r->run_blk = 0;
		f->reader = v;
		t->readers += !v->reads++;
		t->reads++;
	}
	v->reading.finish += TAG_SCALE / v->attr.share;
	v->reading.start += link_on_list(&v->reading.link) ? TAG_SCALE / v->attr.share : 0;
	r->run_blk++;
	r->run_next = f->p.n + 1;
}

void read_ended(struct hb_pool *p, struct fetch *f)
{
	struct hb_volume *v = f->reader;

	if (!v)
		return;
	f->reader = NULL;
	p->read_turns.readers -= !--v->reads;
	p->read_turns.reads--;
}

void read_wait(struct hb_req *r)
{
	struct hb_volume *v = r->vol;

	turns_wait(&v->pool->read_turns.turns, &v->reading, r);
	v->pool->due = true;
	v->waits.queued++;
	v->pool->st.queued++;
}

void read_pump(struct hb_pool *p)
{
	struct read_turns *t = &p->read_turns;
	struct flow *f;
	uint64_t now;

	if (list_empty(&t->turns.flows))
		return;
	now = pool_now(p);
	while ((f = turns_next(&t->turns))) {
		struct hb_volume *v = container_of(f, struct hb_volume, reading);
		struct hb_req *r = list_first(&f->reqs, struct hb_req, link);

		if (t->reads + t->given >= depth(p) && !alone(v))
			break;
		turns_pay(&t->turns, f, v->attr.share, head_blk(p));
		v->waits.queued_ns += now - r->wait_ns;
		p->st.queued_ns += now - r->wait_ns;
		r->turn = true;
		t->given++;
		req_wake(r);
		if (list_empty(&f->reqs))
			list_del(&f->link);
	}
}

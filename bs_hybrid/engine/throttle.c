/* SPDX-License-Identifier: GPL-2.0-only */
/* throttle.c - writers are slowed to the pace of write-back as the write tier fills, smoothly, so that there is no
 * cliff.
 *
 * Fullness f is the larger of: dirty blocks between the low and the high mark (those that only wait for the flush
 * behind them do not count); free segments between the cleaner's mark and what writers must leave.
 * From f = 0.5 on each block costs blk_ns * (f - 0.5) / (1 - f), blk_ns being the measured time to write one
 * block back: at the f where that equals the arrival interval, arrivals and write-back are in balance. The shape is
 * that of ZFS's write throttle (A. Leventhal, 2013).
 *
 * Those that wait take turns by the shares of their volumes (turns.c): one that writes much does not make all others
 * wait behind it.
 */
#include "engine/pool.h"

#define MAX_DELAY_NS (100 * MSEC_NS)
#define BURST_NS (2 * MSEC_NS) /* delays shorter than this add up before anybody waits */

uint32_t throttle_full(const struct hb_pool *p)
{
	uint64_t dirty = idx_count(p->idx, SLOT_DIRTY), written = wb_written(p);
	uint32_t low = clean_low(p), f = 0, g = 0; /* above FREE_SEGS_USER */

	dirty -= MIN(written, dirty);

	if (dirty > p->dirty_low)
		f = (uint32_t)MIN(1024, (dirty - p->dirty_low) * 1024 / (p->dirty_high - p->dirty_low));
	if (p->segs.nfree < low)
		g = (low - p->segs.nfree) * 1024 / (low - FREE_SEGS_USER); /* where users get no more segments: 1 */
	return MAX(f, MIN(g, 1000u));
}

static uint64_t cost_ns(const struct hb_pool *p)
{
	uint32_t f = throttle_full(p);

	if (f <= 512)
		return 0;
	if (f >= 1024)
		return MAX_DELAY_NS;
	return MIN(p->wb.blk_ns * (f - 512) / (1024 - f), MAX_DELAY_NS);
}

static void slow_down(struct hb_req *r)
{
	turns_wait(&r->pool->write_turns, &r->vol->writing, r);
	r->vol->waits.queued++;
}

bool throttle_pass(struct hb_req *r, uint64_t nblk)
{
	struct hb_pool *p = r->pool;
	uint64_t now, cost;

	if (r->paid || p->failed)
		return true;
	r->seq = nblk;
	if (turns_next(&p->write_turns)) {
		slow_down(r);
		return false;
	}
	cost = cost_ns(p);
	if (cost) {
		now = pool_now(p);
		if (p->throttle_until_ns < now)
			p->throttle_until_ns = now;
		if (p->throttle_until_ns > now + BURST_NS || cost == MAX_DELAY_NS) {
			p->st.throttled++;
			slow_down(r);
			return false;
		}
		p->throttle_until_ns += MIN(cost * nblk, MAX_DELAY_NS);
		turns_pay(&p->write_turns, &r->vol->writing, r->vol->attr.share, MAX(nblk, 1));
	}
	r->paid = true;
	return true;
}

uint64_t throttle_pump(struct hb_pool *p)
{
	uint64_t now;
	struct flow *f;

	if (list_empty(&p->write_turns.flows))
		return UINT64_MAX;
	now = pool_now(p);
	while ((f = turns_next(&p->write_turns))) {
		struct hb_volume *v = container_of(f, struct hb_volume, writing);
		struct hb_req *r = list_first(&f->reqs, struct hb_req, link);
		uint64_t cost = cost_ns(p);

		if (p->throttle_until_ns > now)
			return p->throttle_until_ns;
		if (cost == MAX_DELAY_NS && now - r->ready_ns < 10 * SEC_NS)
			return now + MSEC_NS;
		p->st.throttled_ns += now - r->wait_ns;
		v->waits.queued_ns += now - r->wait_ns;
		p->throttle_until_ns = now + MIN(cost * MAX(r->seq, 1), MAX_DELAY_NS);
		turns_pay(&p->write_turns, f, v->attr.share, MAX(r->seq, 1));
		r->paid = true;
		req_wake(r);
	}
	return UINT64_MAX;
}

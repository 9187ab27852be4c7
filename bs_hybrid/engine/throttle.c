/* SPDX-License-Identifier: GPL-2.0-only */
/* throttle.c - writers are slowed to the pace of write-back as the write tier fills, smoothly, so that there is no
 * cliff.
 *
 * Fullness f is the larger of: dirty blocks between the low and the high mark; free segments below the cleaner's mark.
 * From f = 0.5 on each block costs blk_ns * (f - 0.5) / (1 - f), blk_ns being the measured time to write one
 * block back: at the f where that equals the arrival interval, arrivals and write-back are in balance. The shape is
 * that of ZFS's write throttle (A. Leventhal, 2013).
 */
#include "engine/pool.h"

#define MAX_DELAY_NS (100 * MSEC_NS)
#define BURST_NS (2 * MSEC_NS) /* delays shorter than this add up before anybody waits */

/* Fullness in 1/1024. */
static uint32_t fullness(const struct hb_pool *p)
{
	uint64_t dirty = idx_count(p->idx, SLOT_DIRTY);
	uint32_t low = clean_low(p), f = 0, g = 0;

	if (dirty > p->dirty_low)
		f = (uint32_t)MIN(1024, (dirty - p->dirty_low) * 1024 / (p->dirty_high - p->dirty_low));
	if (p->segs.nfree < low)
		g = (uint32_t)((uint64_t)(low - p->segs.nfree) * 1024 / low);
	return MAX(f, MIN(g, 1000u));
}

static uint64_t cost_ns(const struct hb_pool *p)
{
	uint32_t f = fullness(p);

	if (f <= 512)
		return 0;
	if (f >= 1024)
		return MAX_DELAY_NS;
	return MIN(p->wb.blk_ns * (f - 512) / (1024 - f), MAX_DELAY_NS);
}

bool throttle_pass(struct hb_req *r, uint64_t nblk)
{
	struct hb_pool *p = r->pool;
	uint64_t now, cost;

	if (r->paid || p->failed)
		return true;
	r->seq = nblk;
	if (!list_empty(&p->throttled)) {
		req_wait(r, &p->throttled);
		return false;
	}
	cost = cost_ns(p);
	if (cost) {
		now = pool_now(p);
		if (p->throttle_until_ns < now)
			p->throttle_until_ns = now;
		if (p->throttle_until_ns > now + BURST_NS || cost == MAX_DELAY_NS) {
			p->st.throttled++;
			req_wait(r, &p->throttled);
			return false;
		}
		p->throttle_until_ns += MIN(cost * nblk, MAX_DELAY_NS);
	}
	r->paid = true;
	return true;
}

uint64_t throttle_pump(struct hb_pool *p)
{
	uint64_t now;

	if (list_empty(&p->throttled))
		return UINT64_MAX;
	now = pool_now(p);
	while (!list_empty(&p->throttled)) {
		struct hb_req *r = list_first(&p->throttled, struct hb_req, link);
		uint64_t cost = cost_ns(p);

		if (p->throttle_until_ns > now)
			return p->throttle_until_ns;
		if (cost == MAX_DELAY_NS && now - r->start_ns < 10 * SEC_NS)
			return now + MSEC_NS;
		p->st.throttled_ns += now - r->start_ns;
		p->throttle_until_ns = now + MIN(cost * MAX(r->seq, 1), MAX_DELAY_NS);
		r->paid = true;
		req_wake(r);
	}
	return UINT64_MAX;
}

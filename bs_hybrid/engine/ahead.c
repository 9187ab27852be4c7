/* SPDX-License-Identifier: GPL-2.0-only */
/* ahead.c - reading more than was asked for from the capacity device: what cache/stream.h thinks will be asked for
 * soon, if it lies beside what is being read anyhow. One longer read costs a disk little more than a short one.
 *
 * Addresses are the volume's. What is fetched ahead enters RAM like any block, marked; the first one who asks for it
 * takes the mark off, which counts as the block's miss and not as a hit.
 */
#include "engine/pool.h"

#define AHEAD_RUN_MAX 256u /* blocks of one missing run */
#define HISTORY_MIN (1u << 20) /* 2.4 MiB */
#define HISTORY_MAX (1u << 22)
#define BYPASS_BLK 8192u /* 32 MiB: unless the volume says otherwise */

int ahead_init(struct hb_pool *p)
{
	uint64_t frames = ram_frames(p->ram);
	struct streams_conf c = {
		.history_blk = MIN(MAX(4 * frames, HISTORY_MIN), HISTORY_MAX),
		.trial_blk = MAX(frames / 20, 16),
	};

	p->streams = streams_new(&c);
	return p->streams ? 0 : -ENOMEM;
}

/* A new read: is it part of a stream that need not stay? */
void ahead_request(struct hb_req *r)
{
	uint64_t blk = r->off_bytes / BLK_BYTES, end = DIV_UP(r->off_bytes + r->len_bytes, BLK_BYTES);
	const struct hb_volume_attr *a = &r->vol->attr;
	uint64_t limit = a->bypass_blk ? a->bypass_blk : BYPASS_BLK;
	struct stream_info i;

	r->planned = blk;
	if (end == blk)
		return;
	r->pool->ahead_last = r;
	i = streams_request(r->pool->streams, r->vol->id, blk, (uint32_t)(end - blk), false);
	r->bypass = a->bypass_blk != HB_ATTR_NEVER && i.len_blk >= limit;
	r->pool->st.bypassed_blocks += r->bypass ? end - blk : 0;
}

/* Whether nothing faster than the capacity device has b, nor is it on its way. */
static bool missing(struct hb_pool *p, pblk_t b)
{
	return !blk_cached(p, b) && !fetch_under_way(p, b);
}

struct looking {
	struct hb_pool *p;
	struct hb_volume *v;
	uint64_t blk, pblk; /* the miss: others must lie beside it */
};

static enum streams_at look(void *ctx, uint64_t space, uint64_t blk)
{
	const struct looking *k = ctx;
	pblk_t b;

	(void)space;
	if (blk >= k->v->size_blk)
		return STREAMS_END;
	b = map_find(&k->p->maps, &k->v->map, (vblk_t){blk});
	if (!b.n || b.n - k->pblk != blk - k->blk) /* modulo 2^64: before it, too */
		return STREAMS_END;
	return missing(k->p, b) ? STREAMS_MISSING : STREAMS_CACHED;
}

struct ahead_plan ahead_miss(struct hb_req *r, uint64_t blk, pblk_t b, uint64_t run)
{
	struct hb_pool *p = r->pool;
	const struct hb_volume_attr *a = &r->vol->attr;
	struct looking k = {p, r->vol, blk, b.n};
	struct ahead_plan ret = {0, 0};
	struct stream_plan plan;
	uint32_t n = 1, max;

	while (n < run && n < AHEAD_RUN_MAX && missing(p, (pblk_t){b.n + n}))
		n++;
	r->planned = blk + n;
	/* One that had to wait is not thought about again: others have been told of meanwhile. */
	if (p->ahead_last != r || a->read_ahead_blk == HB_ATTR_NEVER || p->rd.nfetch >= ram_frames(p->ram) / 4)
		return ret;
	plan = streams_miss(p->streams, blk, n, look, &k);
	max = a->read_ahead_blk ? a->read_ahead_blk : STREAMS_AHEAD_MAX;
	ret.before = (uint32_t)MIN(blk - plan.from, max);
	ret.after = (uint32_t)MIN(plan.from + plan.count - (blk + n), max);
	return ret;
}

void ahead_used(struct hb_pool *p)
{
	streams_used(p->streams, 1);
	p->st.ahead_used++;
}

void ahead_fetch(struct hb_req *r, pblk_t b, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		pblk_t at = {b.n + i};

		if (missing(r->pool, at) && !fetch_ahead(r->pool, r, at))
			return;
	}
}

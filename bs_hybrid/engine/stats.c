/* SPDX-License-Identifier: GPL-2.0-only */
/* stats.c - the numbers of a pool and of its volumes, and how far write-back is behind. */

#include "engine/pool.h"

uint64_t hb_hist_end_ns(unsigned i)
{
	if (i >= HB_HIST_BUCKETS - 1)
		return 0;
	return 1000ull * (i < 4 ? i + 1 : (5ull + i % 4) << (i / 4 - 1));
}

/* ---------------------------------------------------------------- how far write-back is behind
 * Segments keep no time. But few times are enough to tell the age of the oldest dirty one: of those not older than it
 * at most DIRTY_TIMES are kept, every second, fourth, ... when there would be more. */

/* When a segment was opened, or a little before. */
static uint64_t opened_ns(const struct dirty_clock *c, uint64_t seq, uint64_t now)
{
	uint64_t ns = c->n ? c->ns[0] : now;

	for (uint32_t i = 0; i < c->n && c->seq[i] <= seq; i++)
		ns = c->ns[i];
	return ns;
}

static void forget_times(struct dirty_clock *c, uint64_t oldest_seq)
{
	uint32_t gone = 0;

	while (gone + 1 < c->n && c->seq[gone + 1] <= oldest_seq)
		gone++;
	c->n -= gone;
	memmove(c->seq, c->seq + gone, c->n * sizeof(c->seq[0]));
	memmove(c->ns, c->ns + gone, c->n * sizeof(c->ns[0]));
	if (c->n < DIRTY_TIMES / 4 && c->every > 1)
		c->every /= 2;
}

static void note_time(struct dirty_clock *c, uint64_t seq, uint64_t now)
{
	if (c->n == DIRTY_TIMES) {
		c->n = 1; /* the first stays whatever its number: nothing older is known */
		c->every *= 2;
		for (uint32_t i = 1; i < DIRTY_TIMES; i++) {
			if (c->seq[i] % c->every)
				continue;
			c->seq[c->n] = c->seq[i];
			c->ns[c->n++] = c->ns[i];
		}
	}
	c->every = MAX(c->every, 1);
	if (c->n && (seq % c->every || seq <= c->seq[c->n - 1]))
		return;
	c->seq[c->n] = seq;
	c->ns[c->n++] = now;
}

/* The oldest segment with dirty blocks; NULL: none. A sealed one gets no new ones, so where the last search ended the
 * next may begin. */
static const struct seg *oldest_dirty(struct hb_pool *p)
{
	struct dirty_clock *c = &p->dirty_clock;
	struct seg *g = c->at.n ? segs_at(&p->segs, c->at) : NULL;
	struct link *l = g && g->seq == c->at_seq && link_on_list(&g->fifo) ? &g->fifo : p->segs.sealed.next;

	if (!idx_count(p->idx, SLOT_DIRTY)) {
		c->clean_ns = pool_now(p);
		return NULL;
	}
	for (; l != &p->segs.sealed; l = l->next) {
		g = list_entry(l, struct seg, fifo);
		if (!g->dirty)
			continue;
		c->at = segs_no(&p->segs, g);
		c->at_seq = g->seq;
		return g;
	}
	return p->log.cur ? segs_at(&p->segs, p->log.cur->seg) : NULL;
}

static uint64_t wb_lag(struct hb_pool *p)
{
	const struct seg *g = p->read_only ? NULL : oldest_dirty(p);
	uint64_t now = pool_now(p);

	if (!g)
		return 0;
	/* A segment that is filled slowly is older than what is dirty in it. */
	return now - MIN(now, MAX(opened_ns(&p->dirty_clock, g->seq, now), p->dirty_clock.clean_ns));
}

/* A segment was opened. */
static void dirty_watch(struct hb_pool *p)
{
	const struct seg *g = oldest_dirty(p);
	uint64_t seq = segs_at(&p->segs, p->log.cur->seg)->seq;

	forget_times(&p->dirty_clock, g ? g->seq : seq);
	note_time(&p->dirty_clock, seq, pool_now(p));
}

/* ---------------------------------------------------------------- the numbers */
void hb_pool_stats(struct hb_pool *p, struct hb_stats *ret)
{
	struct hb_stats *s = ret;
	uint64_t chunk = (uint64_t)p->sb.chunk_blk * BLK_BYTES, seg = (uint64_t)p->sb.seg_blk * BLK_BYTES;

	*s = p->st;
	s->capacity_bytes = chunks_total(p->chunks) * chunk;
	s->free_bytes = chunks_free_count(p->chunks) * chunk;
	s->limbo_bytes = chunks_limbo_count(p->chunks) * chunk;
	s->log_bytes = p->segs.nsegs * seg;
	s->log_free_bytes = p->segs.nfree * seg;
	s->dirty_bytes = idx_count(p->idx, SLOT_DIRTY) * BLK_BYTES;
	s->clean_bytes = idx_count(p->idx, SLOT_CLEAN) * BLK_BYTES;
	s->ram_bytes = ram_frames(p->ram) * BLK_BYTES;
	s->ram_used_bytes = ram_cached(p->ram) * BLK_BYTES;
	s->full_pct = p->full_pct;
	s->volumes = p->nnames;
	s->deleting = 0;
	list_each(l, &p->deleting)
		s->deleting++;
	s->loading_pct = p->loading ? (uint32_t)(100ull * p->loader.at / MAX(p->loader.n, 1)) : 100;
	s->nlevels = p->nlevels;
	for (uint32_t i = 0; i < p->nlevels; i++)
		level_stats(&p->levels[i], &s->levels[i]);
	s->wb_lag_ns = wb_lag(p);
	s->meta_pages = pages_count(p->pages);
	s->meta_free_pages = pages_free_count(p->pages);
	s->failed = p->failed;
	s->read_only = p->read_only;
	text_fmt(s->trouble, sizeof(s->trouble), "%s", p->trouble);
	s->mem_index = idx_bytes(p->idx) + dirty_bytes(p->dirty) + (uint64_t)p->segs.nsegs * sizeof(struct seg) +
		       (p->floors.own ? owners_bytes(p->floors.own) : 0);
	s->mem_map = mapset_bytes(&p->maps) + chunks_bytes(p->chunks);
	s->mem_ram_meta = ram_bytes(p->ram);
	s->mem_other = sizeof(*p) + FETCHES * sizeof(struct fetch) + WAITERS * sizeof(struct waiter) +
		       READ_IOS * sizeof(struct read_io) + bypass_bytes(p) +
		       p->wb.depth * (uint64_t)WB_RUN_BLK * BLK_BYTES +
		       (p->scrub ? sizeof(*p->scrub) + 2 * SCRUB_BLK * BLK_BYTES : 0);
}

bool hb_volume_stats(struct hb_pool *p, uint32_t id, struct hb_volume_stats *ret)
{
	const struct hb_volume *v = vol_by_id(p, id);

	if (v)
		*ret = v->st;
	return v != NULL;
}

const struct dev *hb_pool_level_dev(const struct hb_pool *p, unsigned i)
{
	return i < p->nlevels ? p->levels[i].dev : NULL;
}

static uint32_t used_pct(uint64_t total, uint64_t left)
{
	return total ? (uint32_t)((total - left) * 100 / total) : 0;
}

void space_watch(struct hb_pool *p)
{
	static const uint32_t marks[] = HB_FULL_PCTS;
	uint32_t space = used_pct(chunks_total(p->chunks), chunks_free_count(p->chunks));
	uint32_t meta = used_pct(pages_count(p->pages), pages_free_count(p->pages));
	uint32_t pct = MAX(space, meta), mark = 0;

	dirty_watch(p);
	for (unsigned i = 0; i < ARRAY_LEN(marks); i++)
		if (pct >= marks[i] || (p->full_pct >= marks[i] && pct + 2 > marks[i]))
			mark = marks[i];
	if (mark > p->full_pct)
		pool_log(p, HB_LOG_WARN, "%s is %u %% full: delete snapshots or volumes, or grow the capacity device",
			 space >= meta ? "the pool" : "the metadata area", pct);
	p->full_pct = mark;
}

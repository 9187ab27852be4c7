/* SPDX-License-Identifier: GPL-2.0-only */
/* stats.c - the numbers of a pool. */

#include "engine/pool.h"

void hb_pool_stats(const struct hb_pool *p, struct hb_stats *ret)
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
	s->meta_pages = pages_count(p->pages);
	s->meta_free_pages = pages_free_count(p->pages);
	s->failed = p->failed;
	s->read_only = p->read_only;
	text_fmt(s->trouble, sizeof(s->trouble), "%s", p->trouble);
	s->mem_index = idx_bytes(p->idx) + dirty_bytes(p->dirty) + (uint64_t)p->segs.nsegs * sizeof(struct seg);
	s->mem_map = mapset_bytes(&p->maps) + chunks_bytes(p->chunks);
	s->mem_ram_meta = ram_bytes(p->ram);
	s->mem_other = sizeof(*p) + FETCHES * sizeof(struct fetch) + WAITERS * sizeof(struct waiter) +
		       READ_IOS * sizeof(struct read_io) + p->wb.depth * (uint64_t)WB_RUN_BLK * BLK_BYTES;
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

	for (unsigned i = 0; i < ARRAY_LEN(marks); i++)
		if (pct >= marks[i] || (p->full_pct >= marks[i] && pct + 2 > marks[i]))
			mark = marks[i];
	if (mark > p->full_pct)
		pool_log(p, HB_LOG_WARN, "%s is %u %% full: delete snapshots or volumes, or grow the capacity device",
			 space >= meta ? "the pool" : "the metadata area", pct);
	p->full_pct = mark;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* level_check.c - proving that a cache level holds nothing but what the capacity device has; see hb_pool_check. */
#include "engine/pool.h"

static void check_bytes(struct level_checker *c, struct level *l, slot_t s, uint8_t *mem, uint8_t *home)
{
	struct hb_pool *p = l->pool;
	pblk_t b = idx_pblk(l->idx, s);
	const uint8_t *m = level_in_memory(l, s);
	int rc = 0;

	if (m)
		memcpy(mem, m, BLK_BYTES);
	else
		rc = sync_io(&p->env, l->dev, DEV_READ, level_off(l, s) / BLK_BYTES, mem, 1);
	if (!rc && crc32c(0, mem, BLK_BYTES) != idx_crc(l->idx, s))
		c->find(c->ctx, HB_CHECK_DATA, "level %u: slot %u: bad checksum of block %llu", l->no, s.n,
			(unsigned long long)b.n);
	else if (!rc && !sync_io(&p->env, p->cap, DEV_READ, b.n, home, 1) && memcmp(mem, home, BLK_BYTES))
		c->find(c->ctx, HB_CHECK_DATA, "level %u: slot %u: block %llu differs from the capacity device", l->no,
			s.n, (unsigned long long)b.n);
	else if (rc)
		c->find(c->ctx, HB_CHECK_DATA, "level %u: slot %u cannot be read: %s", l->no, s.n, strerror(-rc));
}

static void check_segment(struct level_checker *c, struct level *l, uint32_t no, uint8_t *mem)
{
	struct hb_pool *p = l->pool;
	const struct seg *g = &l->segs.v[no];
	uint32_t live = 0;

	for (uint32_t i = 0; i < l->sb.seg_blk; i++) {
		slot_t s = {no * l->sb.seg_blk + i};
		pblk_t b;

		if (idx_state(l->idx, s) == SLOT_DEAD)
			continue;
		live++;
		b = idx_pblk(l->idx, s);
		if (i >= g->used || (g->state != SEG_OPEN && g->state != SEG_SEALED))
			c->find(c->ctx, HB_CHECK_INDEX, "level %u: slot %u is live where nothing was written", l->no,
				s.n);
		if (idx_find(p->idx, b).n)
			c->find(c->ctx, HB_CHECK_INDEX, "block %llu is in the write tier and in level %u",
				(unsigned long long)b.n, l->no);
		if (!chunks_refs(p->chunks, chunk_of(p, b)))
			c->find(c->ctx, HB_CHECK_INDEX, "block %llu is in level %u, but its chunk is not in use",
				(unsigned long long)b.n, l->no);
		if (mem)
			check_bytes(c, l, s, mem, mem + BLK_BYTES);
	}
	if (live != g->live)
		c->find(c->ctx, HB_CHECK_INDEX, "level %u: segment %u: %u live slots, counted were %u", l->no, no, live,
			g->live);
}

int level_check(struct hb_pool *p, struct level_checker *c, bool deep)
{
	uint8_t *mem = deep ? mem_alloc(2 * BLK_BYTES) : NULL;

	if (deep && !mem)
		return -ENOMEM;
	for (uint32_t i = 0; i < p->nlevels; i++)
		for (uint32_t no = 1; p->levels[i].state == LEVEL_ON && no <= p->levels[i].segs.nsegs; no++)
			check_segment(c, &p->levels[i], no, mem);
	mem_free(mem);
	return 0;
}

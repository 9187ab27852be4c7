/* SPDX-License-Identifier: GPL-2.0-only */
/* check.c - proving that all derived state agrees; and writing everything back on demand.
 *
 * Run between turns. Space: every mapped block lies in a chunk that exists and is referenced, the counts add up.
 * Index: segments' counts, the dirty set and the index tell the same story. Data (deep): every live slot has the bytes
 * its checksum says, and every cached frame holds them, too.
 */
#include <stdarg.h>

#include "engine/pool.h"
#include "format/volrec.h"

struct checker {
	struct hb_pool *p;
	void (*report)(void *ctx, enum hb_check_class c, const char *text);
	void (*progress)(void *ctx, uint64_t done, uint64_t total);
	void *ctx;
	int findings, error;
};

static void find(struct checker *c, enum hb_check_class cl, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void find(struct checker *c, enum hb_check_class cl, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	c->findings++;
	if (!c->report)
		return;
	va_start(ap, fmt);
	text_vfmt(text, sizeof(text), fmt, ap);
	va_end(ap);
	c->report(c->ctx, cl, text);
}

static void check_volume(struct checker *c, const struct hb_volume *v, uint8_t *used)
{
	struct hb_pool *p = c->p;
	uint64_t mapped = 0;
	vblk_t at = map_next_mapped(&p->maps, &v->map, (vblk_t){0});

	while (at.n != UINT64_MAX) {
		pblk_t b;
		uint64_t n = map_find_run(&p->maps, &v->map, at, p->sb.chunk_blk - at.n % p->sb.chunk_blk, &b);
		chunk_t k = chunk_of(p, b);

		if (!chunks_exists(p->chunks, k)) {
			find(c, HB_CHECK_MAP, "volume %s: block %llu lies in chunk %u, which does not exist", v->name,
			     (unsigned long long)at.n, k.n);
		} else {
			if (!chunks_refs(p->chunks, k))
				find(c, HB_CHECK_SPACE, "volume %s: block %llu lies in chunk %u, which is free",
				     v->name, (unsigned long long)at.n, k.n);
			used[(k.n - p->sb.first_chunk) / 8] |= (uint8_t)(1u << (k.n - p->sb.first_chunk) % 8);
		}
		mapped += n;
		at = map_next_mapped(&p->maps, &v->map, (vblk_t){at.n + n});
	}
	if (mapped != v->mapped_blk && !(v->flags & VOLREC_DELETING))
		find(c, HB_CHECK_MAP, "volume %s: %llu blocks are mapped, counted were %llu", v->name,
		     (unsigned long long)mapped, (unsigned long long)v->mapped_blk);
}

static int check_space(struct checker *c)
{
	struct hb_pool *p = c->p;
	uint8_t *used = mem_zalloc(p->sb.nchunks / 8 + 1);
	uint64_t n = 0;

	if (!used)
		return -ENOMEM;
	for (uint32_t i = 0; i < VOL_HASH; i++)
		list_each(l, &p->vol_hash[i])
			check_volume(c, list_entry(l, struct hb_volume, by_id), used);
	for (uint32_t i = 0; i < p->sb.nchunks; i++) {
		bool in_map = used[i / 8] & 1u << i % 8;
		uint32_t refs = chunks_refs(p->chunks, (chunk_t){p->sb.first_chunk + i});

		n += in_map;
		if (!in_map && refs)
			find(c, HB_CHECK_SPACE, "chunk %u has %u references, no volume uses it", p->sb.first_chunk + i,
			     refs);
	}
	if (n + chunks_free_count(p->chunks) + chunks_limbo_count(p->chunks) != chunks_total(p->chunks))
		find(c, HB_CHECK_SPACE, "%llu chunks used, %u free, %u in limbo: of %u", (unsigned long long)n,
		     chunks_free_count(p->chunks), chunks_limbo_count(p->chunks), chunks_total(p->chunks));
	mem_free(used);
	return 0;
}

static void check_segment(struct checker *c, uint32_t no, uint64_t *dirty)
{
	struct hb_pool *p = c->p;
	const struct seg *g = &p->segs.v[no];
	uint32_t live = 0, d = 0;

	for (uint32_t i = 0; i < p->sb.seg_blk; i++) {
		slot_t s = {no * p->sb.seg_blk + i};
		enum slot_state st = idx_state(p->idx, s);

		if (st == SLOT_DEAD)
			continue;
		live++;
		d += st == SLOT_DIRTY;
		if (i >= g->used || i + footer_blk(p->sb.seg_blk) >= p->sb.seg_blk)
			find(c, HB_CHECK_INDEX, "slot %u is live, beyond what segment %u holds", s.n, no);
		if (idx_find(p->idx, idx_pblk(p->idx, s)).n != s.n)
			find(c, HB_CHECK_INDEX, "block %llu is not found where it is",
			     (unsigned long long)idx_pblk(p->idx, s).n);
		if ((st == SLOT_DIRTY) != dirty_test(p->dirty, idx_pblk(p->idx, s)))
			find(c, HB_CHECK_INDEX, "block %llu: dirty in one place only",
			     (unsigned long long)idx_pblk(p->idx, s).n);
		if (!chunks_refs(p->chunks, chunk_of(p, idx_pblk(p->idx, s))))
			find(c, HB_CHECK_INDEX, "block %llu is cached, but its chunk is not in use",
			     (unsigned long long)idx_pblk(p->idx, s).n);
	}
	*dirty += d;
	if (live != g->live || d != g->dirty)
		find(c, HB_CHECK_LOG, "segment %u: %u live and %u dirty slots, counted were %u and %u", no, live, d,
		     g->live, g->dirty);
	if (live && (g->state == SEG_FREE || g->state == SEG_NEXT || g->state == SEG_FREEING))
		find(c, HB_CHECK_LOG, "segment %u is free and has %u live slots", no, live);
}

static void check_slot(struct checker *c, slot_t s, uint8_t *mem)
{
	struct hb_pool *p = c->p;
	pblk_t b = idx_pblk(p->idx, s);
	struct seg *g = segs_of_slot(&p->segs, s);
	struct frame *f = ram_find(p->ram, b);
	int rc = 0;

	if (idx_state(p->idx, s) == SLOT_LOST) {
		find(c, HB_CHECK_DATA, "block %llu is lost", (unsigned long long)b.n);
		return;
	}
	if (g->buf >= 0)
		memcpy(mem, p->log.bufs[g->buf].mem + (uint64_t)(s.n % p->sb.seg_blk) * BLK_BYTES, BLK_BYTES);
	else
		rc = sync_io(&p->env, p->wt, DEV_READ, s.n, mem, 1);
	if (rc == -ENOMEM)
		c->error = rc;
	else if (rc)
		find(c, HB_CHECK_DATA, "slot %u cannot be read: %s", s.n, strerror(-rc));
	else if (crc32c(0, mem, BLK_BYTES) != idx_crc(p->idx, s))
		find(c, HB_CHECK_DATA, "slot %u: bad checksum of block %llu", s.n, (unsigned long long)b.n);
	if (f && crc32c(0, ram_data(p->ram, f), BLK_BYTES) != idx_crc(p->idx, s))
		find(c, HB_CHECK_DATA, "block %llu: RAM and the write tier differ", (unsigned long long)b.n);
}

/* Nothing is in flight while slots are read one by one. What completes here goes on in the next turn. */
static void quiesce(struct hb_pool *p)
{
	while (p->cap->inflight || p->wt->inflight) {
		dev_kick(p->cap);
		dev_kick(p->wt);
		if (dev_drain(p->cap, pool_now(p)) + dev_drain(p->wt, pool_now(p)) == 0)
			p->env.wait(p->env.ctx, pool_now(p) + SEC_NS);
	}
}

static int check_data(struct checker *c)
{
	struct hb_pool *p = c->p;
	uint8_t *mem = mem_alloc(BLK_BYTES);

	if (!mem)
		return -ENOMEM;
	quiesce(p);
	for (uint32_t no = 1; no <= p->segs.nsegs; no++) {
		if (c->progress)
			c->progress(c->ctx, no, p->segs.nsegs);
		for (uint32_t i = 0; p->segs.v[no].live && i < p->sb.seg_blk; i++) {
			slot_t s = {no * p->sb.seg_blk + i};

			if (idx_state(p->idx, s) != SLOT_DEAD)
				check_slot(c, s, mem);
		}
	}
	mem_free(mem);
	return c->error;
}

int hb_pool_check(struct hb_pool *p, bool deep, void (*report)(void *ctx, enum hb_check_class c, const char *text),
		  void (*progress)(void *ctx, uint64_t done, uint64_t total), void *ctx)
{
	struct checker c = {p, report, progress, ctx, 0, 0};
	uint64_t dirty = 0;
	int rc = check_space(&c);

	for (uint32_t no = 1; no <= p->segs.nsegs; no++)
		check_segment(&c, no, &dirty);
	if (dirty != dirty_count(p->dirty))
		find(&c, HB_CHECK_INDEX, "%llu dirty slots, %llu dirty blocks", (unsigned long long)dirty,
		     (unsigned long long)dirty_count(p->dirty));
	if (!rc && deep)
		rc = check_data(&c);
	return rc ? rc : c.findings;
}

int hb_pool_writeback(struct hb_pool *p)
{
	uint64_t start = pool_now(p), last = UINT64_MAX, progress_ns = start;

	if (p->read_only)
		return -EROFS;
	p->wb.forced = true;
	while (!p->failed && idx_count(p->idx, SLOT_DIRTY)) {
		uint64_t next = hb_pool_run(p), dirty = idx_count(p->idx, SLOT_DIRTY), now = pool_now(p);

		if (dirty != last) {
			last = dirty;
			progress_ns = now;
		}
		if (now - progress_ns > 2 * DEV_TIMEOUT_NS || p->cap->failed)
			break;
		if (dirty && next > now)
			p->env.wait(p->env.ctx, MIN(next, now + 10 * MSEC_NS));
	}
	p->wb.forced = false;
	return idx_count(p->idx, SLOT_DIRTY) || p->failed ? -EIO : 0;
}

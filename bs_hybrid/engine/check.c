/* SPDX-License-Identifier: GPL-2.0-only */
/* check.c - proving that all derived state agrees; and writing everything back on demand.
 *
 * Run between turns. Space: references of chunks and fragment records are what the maps of all volumes come to, the
 * counts add up, and every volume fits its lineage.
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

/* ---------------------------------------------------------------- volumes and space */

static void check_lineage(struct checker *c, const struct hb_volume *v)
{
	const struct hb_volume *parent = v->parent_id ? vol_by_id(c->p, v->parent_id) : NULL;
	bool content = !all_zero(v->content, sizeof(v->content));

	if (v->parent_id >= v->id || !v->family_id || v->family_id > v->id ||
	    (parent && parent->family_id != v->family_id) || (!v->parent_id && v->family_id != v->id))
		find(c, HB_CHECK_MAP, "volume %s: id %u, parent %u and family %u do not fit", v->name, v->id,
		     v->parent_id, v->family_id);
	if (content != ((v->flags & VOLREC_SNAPSHOT) != 0))
		find(c, HB_CHECK_MAP, content ? "volume %s is none, yet has the content of a snapshot"
					      : "snapshot %s has no content", v->name);
}

static void check_volume(struct checker *c, const struct hb_volume *v)
{
	struct hb_pool *p = c->p;
	uint64_t mapped = map_count(&p->maps, &v->map);
	vblk_t behind = map_next_mapped(&p->maps, &v->map, (vblk_t){v->size_blk});

	if (v->flags & VOLREC_DELETING)
		return;
	if (mapped != v->mapped_blk)
		find(c, HB_CHECK_MAP, "volume %s: %llu blocks are mapped, counted were %llu", v->name,
		     (unsigned long long)mapped, (unsigned long long)v->mapped_blk);
	if (behind.n != UINT64_MAX)
		find(c, HB_CHECK_MAP, "volume %s: block %llu is mapped, behind its end", v->name,
		     (unsigned long long)behind.n);
	check_lineage(c, v);
}

/* All references, counted again. */
struct recount {
	struct checker *c;
	struct ptrset met;
	uint32_t *chunks, *frags; /* by number; chunks from first_chunk on */
};

static bool recount_met(void *ctx, const void *node)
{
	return ptrset_add(&((struct recount *)ctx)->met, node);
}

static void recount_chunk(void *ctx, chunk_t k)
{
	struct recount *r = ctx;
	struct hb_pool *p = r->c->p;

	if (chunks_exists(p->chunks, k))
		r->chunks[k.n - p->sb.first_chunk]++;
	else
		find(r->c, HB_CHECK_MAP, "a map names chunk %u, which does not exist", k.n);
}

static void recount_frag(void *ctx, uint32_t f)
{
	struct recount *r = ctx;

	if (f < mapset_frag_count(&r->c->p->maps))
		r->frags[f]++;
	else
		find(r->c, HB_CHECK_MAP, "a map names fragment record %u, which does not exist", f);
}

static void check_frags(struct recount *r)
{
	struct hb_pool *p = r->c->p;

	for (uint32_t f = 0; f < mapset_frag_count(&p->maps); f++) {
		chunk_t chunks[CHUNK_BLK_MAX];
		uint32_t refs, n = mapset_frag(&p->maps, f, &refs, chunks);

		if (refs != r->frags[f])
			find(r->c, HB_CHECK_MAP, "fragment record %u has %u references, counted were %u", f,
			     r->frags[f], refs);
		for (uint32_t i = 0; i < n; i++)
			recount_chunk(r, chunks[i]);
	}
}

static void check_chunks(struct recount *r)
{
	struct hb_pool *p = r->c->p;
	uint64_t used = 0;

	for (uint32_t i = 0; i < p->sb.nchunks; i++) {
		uint32_t refs = chunks_refs(p->chunks, (chunk_t){p->sb.first_chunk + i});

		used += r->chunks[i] != 0;
		if (refs != r->chunks[i])
			find(r->c, HB_CHECK_SPACE, "chunk %u has %u references, counted were %u",
			     p->sb.first_chunk + i, r->chunks[i], refs);
	}
	if (used + chunks_free_count(p->chunks) + chunks_limbo_count(p->chunks) + p->bypass.taken !=
	    chunks_total(p->chunks))
		find(r->c, HB_CHECK_SPACE, "%llu chunks used, %u free, %u in limbo, %u being written: of %u",
		     (unsigned long long)used, chunks_free_count(p->chunks), chunks_limbo_count(p->chunks),
		     p->bypass.taken, chunks_total(p->chunks));
}

static int check_space(struct checker *c)
{
	struct hb_pool *p = c->p;
	struct recount r = {.c = c,
			    .chunks = mem_calloc(p->sb.nchunks + 1u, sizeof(*r.chunks)),
			    .frags = mem_calloc(mapset_frag_count(&p->maps) + 1u, sizeof(*r.frags))};
	const struct map_refs how = {&r, recount_met, recount_chunk, recount_frag};
	int rc = r.chunks && r.frags ? 0 : -ENOMEM;

	for (uint32_t i = 0; !rc && i < VOL_HASH; i++) {
		list_each(l, &p->vol_hash[i]) {
			struct hb_volume *v = list_entry(l, struct hb_volume, by_id);

			check_volume(c, v);
			map_walk_refs(&v->map, &how);
		}
	}
	if (r.met.nomem)
		rc = -ENOMEM;
	if (!rc)
		check_frags(&r);
	if (!rc)
		check_chunks(&r);
	ptrset_free(&r.met);
	mem_free(r.chunks);
	mem_free(r.frags);
	return rc;
}

/* ---------------------------------------------------------------- segments and the index */

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

/* ---------------------------------------------------------------- data */

/* Of two halves of the write tier, one good copy will do: the other is healed when it is read. */
static int read_slot(struct hb_pool *p, slot_t s, uint8_t *mem)
{
	int rc = -ENODEV;

	if (!p->halves.mirrored)
		return sync_io(&p->env, p->wt, DEV_READ, s.n, mem, 1);
	for (int i = 0; i < 2; i++) {
		if (dev_mirror_state(p->wt, i) != MIRROR_IN)
			continue;
		rc = sync_io_at(&p->env, p->wt, (uint8_t)(i + 1), DEV_READ, s.n, mem, 1);
		if (!rc && crc32c(0, mem, BLK_BYTES) == idx_crc(p->idx, s))
			break;
	}
	return rc;
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
		rc = read_slot(p, s, mem);
	if (rc == -ENOMEM)
		c->error = rc;
	else if (rc)
		find(c, HB_CHECK_DATA, "slot %u cannot be read: %s", s.n, strerror(-rc));
	else if (crc32c(0, mem, BLK_BYTES) != idx_crc(p->idx, s))
		find(c, HB_CHECK_DATA, "slot %u: bad checksum of block %llu", s.n, (unsigned long long)b.n);
	if (f && crc32c(0, ram_data(p->ram, f), BLK_BYTES) != idx_crc(p->idx, s))
		find(c, HB_CHECK_DATA, "block %llu: RAM and the write tier differ", (unsigned long long)b.n);
}

/* Nothing is in flight while slots are read one by one. What completes here goes on in the next turn; but for a half of
 * the write tier that is lost meanwhile: writes are not answered before that is recorded. */
static void quiesce(struct hb_pool *p)
{
	while (p->cap->inflight || p->wt->inflight || level_inflight(p)) {
		bool more = halves_pump(p);

		dev_kick(p->cap);
		dev_kick(p->wt);
		level_kick(p);
		more |= dev_drain(p->cap, pool_now(p)) + dev_drain(p->wt, pool_now(p)) + level_drain(p) > 0;
		if (!more)
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

static void find_any(void *ctx, enum hb_check_class class, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	text_vfmt(text, sizeof(text), fmt, ap);
	va_end(ap);
	find(ctx, class, "%s", text);
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
	if (floors_miscounted(p))
		find(&c, HB_CHECK_INDEX, "the blocks of owner %u were counted wrongly", floors_miscounted(p));
	if (!rc && deep)
		rc = check_data(&c);
	if (!rc)
		rc = level_check(p, &(struct level_checker){&c, find_any}, deep);
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

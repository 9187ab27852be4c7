/* SPDX-License-Identifier: GPL-2.0-only */
/* blocks.c - what happens to blocks: the index, the segments' counts, the dirty set, RAM and the map move together
 * here, so that requests, cleaning and replay cannot let them drift apart.
 */
#include "engine/pool.h"

/* The dirty set must hold b already when st is SLOT_DIRTY (dirty_set can fail, this cannot). */
void blk_put(struct hb_pool *p, slot_t s, pblk_t b, uint32_t crc, enum slot_state st)
{
	struct seg *g = segs_of_slot(&p->segs, s);

	assert(st != SLOT_DIRTY || dirty_test(p->dirty, b));
	idx_put(p->idx, s, b, crc, st);
	if (p->floors.own)
		floors_count(p, b, 1);
	g->live++;
	g->dirty += st == SLOT_DIRTY;
	g->changed = true;
}

static void forget(struct hb_pool *p, slot_t s)
{
	struct seg *g = segs_of_slot(&p->segs, s);

	assert(g->live > 0);
	g->live--;
	g->dirty -= idx_state(p->idx, s) == SLOT_DIRTY;
	g->changed = true;
	if (p->floors.own)
		floors_count(p, idx_pblk(p->idx, s), -1);
	idx_drop(p->idx, s);
}

void blk_drop(struct hb_pool *p, slot_t s)
{
	if (idx_state(p->idx, s) == SLOT_DIRTY)
		dirty_clear(p->dirty, idx_pblk(p->idx, s));
	forget(p, s);
}

void blk_supersede(struct hb_pool *p, pblk_t b, bool changed)
{
	slot_t s = idx_find(p->idx, b);

	if (s.n)
		forget(p, s);
	else
		level_kill(p, b);
	if (changed)
		level_touch(p, b);
}

void blk_set_state(struct hb_pool *p, slot_t s, enum slot_state st)
{
	struct seg *g = segs_of_slot(&p->segs, s);
	enum slot_state old = idx_state(p->idx, s);

	if (old == SLOT_DIRTY && st != SLOT_DIRTY)
		dirty_clear(p->dirty, idx_pblk(p->idx, s));
	g->dirty -= old == SLOT_DIRTY;
	g->dirty += st == SLOT_DIRTY;
	g->changed = true;
	idx_set_state(p->idx, s, st);
}

void blk_poison(struct hb_pool *p, pblk_t b, bool killed)
{
	if (!p->rd.nfetch)
		return;
	list_each(l, &p->rd.hash[hash64(b.n) % FETCH_HASH]) {
		struct fetch *f = list_entry(l, struct fetch, hash);

		if (f->p.n == b.n) { /* it stays findable here: it may be freed after it was rewritten */
			f->poisoned = true;
			f->killed |= killed;
		}
	}
}

/* b's bytes count no longer (unmapped, freed): drops every cached copy. */
static void blk_kill(struct hb_pool *p, pblk_t b)
{
	slot_t s = idx_find(p->idx, b);
	struct frame *f = p->ram ? ram_find(p->ram, b) : NULL;

	if (s.n && !BUG(KILL_KEEPS_SLOT))
		blk_drop(p, s);
	level_kill(p, b);
	level_touch(p, b);
	pins_killed(p, b);
	if (f)
		ram_remove(p->ram, f);
	blk_poison(p, b, true);
}

bool blk_cached(struct hb_pool *p, pblk_t b)
{
	slot_t s;

	return ram_find(p->ram, b) || idx_find(p->idx, b).n || level_find(p, b, &s);
}

const uint8_t *blk_in_memory(struct hb_pool *p, pblk_t b)
{
	struct frame *f = ram_find(p->ram, b);
	struct level *l;
	struct seg *g;
	slot_t s;

	if (f)
		return ram_data(p->ram, f);
	s = idx_find(p->idx, b);
	if (!s.n) {
		l = p->nlevels ? level_find(p, b, &s) : NULL;
		return l ? level_in_memory(l, s) : NULL;
	}
	if (idx_state(p->idx, s) == SLOT_LOST)
		return NULL;
	g = segs_of_slot(&p->segs, s);
	return g->buf < 0 ? NULL : p->log.bufs[g->buf].mem + (uint64_t)(s.n % p->sb.seg_blk) * BLK_BYTES;
}

int blk_map(struct hb_pool *p, struct hb_volume *v, vblk_t vb, pblk_t b)
{
	pblk_t old = map_find(&p->maps, &v->map, vb);
	int rc;

	if (old.n == b.n)
		return 0;
	rc = map_set(&p->maps, &v->map, vb, b);
	if (rc)
		return rc;
	v->mapped_blk += !old.n;
	if (v->owner)
		floors_mapped(v, b);
	return 0;
}

/* One chunk's part. If nobody else refers to the chunk, the blocks themselves are garbage now; if the chunk was freed,
 * limbo_add has killed them all already. */
static int unmap_part(struct hb_pool *p, struct hb_volume *v, vblk_t vb, uint32_t n)
{
	chunk_t own = map_writable(&p->maps, &v->map, vb);
	uint32_t mapped = 0, in_own = 0;
	int rc;

	for (uint32_t i = 0; i < n; i++) {
		pblk_t b = map_find(&p->maps, &v->map, (vblk_t){vb.n + i});

		mapped += b.n != 0;
		if (b.n && own.n && chunk_of(p, b).n == own.n)
			in_own |= 1u << i;
	}
	if (!mapped)
		return 0;
	rc = map_unset(&p->maps, &v->map, vb, n);
	if (rc)
		return rc;
	v->mapped_blk -= mapped;
	for (uint32_t i = 0; i < n; i++)
		if (in_own & 1u << i)
			blk_kill(p, (pblk_t){(uint64_t)own.n * p->sb.chunk_blk + vb.n % p->sb.chunk_blk + i});
	return 0;
}

int blk_unmap(struct hb_pool *p, struct hb_volume *v, vblk_t vb, uint64_t count)
{
	uint64_t end = vb.n + count;
	int rc;

	while (vb.n < end) {
		uint64_t chunk_end = ROUND_DOWN(vb.n, p->sb.chunk_blk) + p->sb.chunk_blk;
		vblk_t next = map_next_mapped(&p->maps, &v->map, vb);
		uint64_t n;

		if (next.n >= end)
			break;
		if (next.n >= chunk_end) { /* holes in between */
			vb = next;
			continue;
		}
		n = MIN(end, chunk_end) - vb.n;
		rc = unmap_part(p, v, vb, (uint32_t)n);
		if (rc)
			return rc;
		vb.n += n;
	}
	return 0;
}

int blk_share(struct hb_pool *p, struct hb_volume *v, vblk_t vb, struct hb_volume *src, vblk_t svb, uint64_t count)
{
	uint32_t cb = p->sb.chunk_blk;

	pins_shared(p, v);
	floors_shared(v);
	for (uint64_t done = 0; done < count; done += cb) {
		vblk_t d = {vb.n + done}, s = {svb.n + done};
		uint64_t before = 0, after = 0;
		int rc;

		if (v == src && d.n == s.n)
			continue;
		for (uint32_t i = 0; i < cb; i++)
			before += map_find(&p->maps, &v->map, (vblk_t){d.n + i}).n != 0;
		rc = map_share_chunk(&p->maps, &v->map, d, &src->map, s);
		if (rc)
			return rc;
		for (uint32_t i = 0; i < cb; i++)
			after += map_find(&p->maps, &v->map, (vblk_t){d.n + i}).n != 0;
		v->mapped_blk += after - before;
	}
	return 0;
}

/* The new chunks have the bytes on the capacity device, and nothing else has any of them: what caches knew of their
 * former lives went when they were freed. */
uint32_t blk_chunks(struct hb_pool *p, struct hb_volume *v, vblk_t vb, pblk_t b, uint32_t count)
{
	uint32_t cb = p->sb.chunk_blk;

	pins_shared(p, v);
	for (uint32_t done = 0; done < count; done += cb) {
		uint32_t mapped = 0;

		for (uint32_t i = 0; i < cb; i++)
			mapped += map_find(&p->maps, &v->map, (vblk_t){vb.n + done + i}).n != 0;
		if (map_set_chunk(&p->maps, &v->map, (vblk_t){vb.n + done}, chunk_of(p, (pblk_t){b.n + done})))
			return done;
		v->mapped_blk += cb - mapped;
		for (uint32_t i = 0; i < cb; i++)
			blk_supersede(p, (pblk_t){b.n + done + i}, true);
	}
	return count;
}

/* ---------------------------------------------------------------- limbo
 * Crash story: a chunk is freed by unit 7, given to another volume by unit 8, and unit 8's data is written back while
 * unit 7 is not durable. Power fails; the log ends at unit 6; the former owner maps the chunk and finds the other's
 * data. Hence (P4). Units become durable in order and reads end in any order, so a ring with both numbers is enough.
 */
void limbo_add(void *pool, chunk_t k)
{
	struct hb_pool *p = pool;
	struct limbo_entry *e;

	for (uint32_t i = 0; i < p->sb.chunk_blk; i++)
		blk_kill(p, (pblk_t){(uint64_t)k.n * p->sb.chunk_blk + i});
	floors_freed(p, k);
	if (p->replaying) { /* replay: the record is in the log that is being read */
		chunks_release(p->chunks, k);
		return;
	}
	if (p->limbo_n == p->limbo_cap) {
		uint32_t cap = p->limbo_cap ? p->limbo_cap * 2 : 256;
		struct limbo_entry *ring = mem_calloc(cap, sizeof(*ring));

		if (!ring) /* the chunk stays in limbo until the next open, which counts it free */
			return;
		for (uint32_t i = 0; i < p->limbo_n; i++)
			ring[i] = p->limbo[(p->limbo_head + i) % p->limbo_cap];
		mem_free(p->limbo);
		p->limbo = ring;
		p->limbo_cap = cap;
		p->limbo_head = 0;
	}
	e = &p->limbo[(p->limbo_head + p->limbo_n++) % p->limbo_cap];
	/* The freeing record is the one being appended: in the open unit, or in the next to be opened. */
	*e = (struct limbo_entry){p->log.unit_seq, p->rd.next_read_id, k};
}

void limbo_pump(struct hb_pool *p)
{
	uint64_t oldest_read = UINT64_MAX;
	bool any = false;

	if (!list_empty(&p->rd.cap_order))
		oldest_read = list_first(&p->rd.cap_order, struct read_io, order)->id;
	while (p->limbo_n) {
		struct limbo_entry *e = &p->limbo[p->limbo_head];

		if (e->unit_seq > p->log.durable_seq || oldest_read < e->read_id)
			break;
		chunks_release(p->chunks, e->chunk);
		p->limbo_head = (p->limbo_head + 1) % p->limbo_cap;
		p->limbo_n--;
		any = true;
	}
	if (any || (!p->limbo_n && !p->bypass.taken && !list_empty(&p->space_waiters)))
		req_wake_all(&p->space_waiters);
	else if (p->limbo_n && !list_empty(&p->space_waiters))
		log_want(p, p->limbo[p->limbo_head].unit_seq);
}

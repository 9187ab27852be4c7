/* SPDX-License-Identifier: GPL-2.0-only */
/* level.c - cache levels at work: finding, entering, superseding, emptying; see level.h.
 *
 * Crash stories
 * - A segment is emptied and filled anew before a checkpoint says so (L3): power fails, the table of the last root
 *   lists what was there, its old footer may still be there, too, and each slot is a wrong block. The checksums would
 *   tell, but a cache that needs its checksums for what happens every day is not one to trust.
 * - A block is entered while an older version of it is still on its way to be read: (P6) as for RAM.
 * - A level that holds an old version of a block: nobody would ever notice, for its checksum is right. Hence (L1): each
 *   new version of a block kills what levels have of it, in the same turn.
 */
#include "engine/pool.h"

static uint32_t seg_room(const struct level *l)
{
	return l->sb.seg_blk - footer_blk(l->sb.seg_blk);
}

/* Segments that are kept free or are becoming free: two for filling, some for the checkpoint to give back at once. */
static uint32_t low_mark(const struct level *l)
{
	return MAX(3, l->segs.nsegs / 32);
}

/* ---------------------------------------------------------------- finding */

struct level *level_find(struct hb_pool *p, pblk_t b, slot_t *ret)
{
	for (uint32_t i = 0; i < p->nlevels; i++) {
		struct level *l = &p->levels[i];

		if (l->state != LEVEL_ON)
			continue;
		*ret = idx_find(l->idx, b);
		if (ret->n)
			return l;
	}
	return NULL;
}

struct level *level_below(struct hb_pool *p, unsigned no)
{
	for (uint32_t i = 0; i < p->nlevels; i++)
		if (p->levels[i].no > no && p->levels[i].state == LEVEL_ON && !p->levels[i].dev->failed)
			return &p->levels[i];
	return NULL;
}

const uint8_t *level_in_memory(struct level *l, slot_t s)
{
	struct seg *g = segs_of_slot(&l->segs, s);

	return g->buf < 0 ? NULL : l->bufs[g->buf].mem + (uint64_t)(s.n % l->sb.seg_blk) * BLK_BYTES;
}

void level_drop(struct level *l, slot_t s)
{
	struct seg *g = segs_of_slot(&l->segs, s);

	g->live--;
	idx_drop(l->idx, s);
	level_changed(l, segs_no(&l->segs, g));
}

void level_kill(struct hb_pool *p, pblk_t b)
{
	slot_t s;
	struct level *l;

	l = level_find(p, b, &s);
	if (l && !BUG(LEVEL_KILL_LOST))
		level_drop(l, s);
}

/* ---------------------------------------------------------------- going out */

void level_out(struct level *l, const char *why)
{
	if (l->state != LEVEL_ON)
		return;
	l->state = LEVEL_OUT;
	pool_log(l->pool, HB_LOG_WARN,
		 "cache level %u (%s) is out: %s; nothing is lost, its blocks are on the capacity device", l->no,
		 l->dev->name, why);
	l->loader.at = l->loader.n;
	l->cur = NULL;
}

void level_read_ended(struct level *l, uint32_t n, int error)
{
	l->st.errors += error != 0;
	l->st.read_blocks += error ? 0 : n;
	if (!error)
		l->read_errors = 0;
	else if (error == -ETIMEDOUT || l->dev->failed)
		level_out(l, error == -ETIMEDOUT ? "it does not answer" : "it failed");
	else if (++l->read_errors >= LEVEL_READ_ERRORS)
		level_out(l, "it cannot be read");
}

/* ---------------------------------------------------------------- filling */

static void buf_written(struct dev_io *io)
{
	struct level_buf *b = container_of(io, struct level_buf, io);
	struct level *l = b->l;

	if (io->error) {
		level_out(l, "it does not take writes");
		if (io->error == -ETIMEDOUT)
			b->mem = NULL; /* given up */
	} else {
		l->st.written_bytes += io->len_bytes;
		segs_at(&l->segs, b->seg)->buf = -1;
		level_changed(l, b->seg);
		b->seg = SEG_NONE;
	}
}

/* The open segment goes to the device. */
static void seal(struct level *l)
{
	struct level_buf *b = l->cur;
	struct seg *g = segs_at(&l->segs, b->seg);
	struct footer f = {.seg = b->seg.n, .seg_seq = g->seq, .nslots = l->sb.seg_blk};

	memcpy(f.pool_uuid, l->sb.pool_uuid, 16);
	footer_encode(&f, l->footer, b->mem + (uint64_t)seg_room(l) * BLK_BYTES);
	segs_seal(&l->segs, b->seg);
	b->iov = (struct iovec){b->mem, (size_t)l->sb.seg_blk * BLK_BYTES};
	b->io = (struct dev_io){.op = DEV_WRITE,
				.off_bytes = level_off(l, (slot_t){b->seg.n * l->sb.seg_blk}),
				.len_bytes = (uint64_t)l->sb.seg_blk * BLK_BYTES,
				.iov = &b->iov,
				.niov = 1,
				.done = buf_written};
	l->cur = NULL;
	l->pool->due = true;
	dev_queue(l->dev, &b->io);
}

static bool open_segment(struct level *l)
{
	struct level_buf *b = NULL;
	segno_t no;

	for (uint32_t i = 0; i < LEVEL_BUFS && !b; i++)
		if (!l->bufs[i].seg.n && l->bufs[i].mem)
			b = &l->bufs[i];
	no = b ? segs_choose(&l->segs) : SEG_NONE;
	if (!no.n)
		return false;
	segs_open(&l->segs, no, l->next_seq++);
	b->seg = no;
	segs_at(&l->segs, no)->buf = (int16_t)(b - l->bufs);
	memset(l->footer, 0, sizeof(l->footer));
	l->cur = b;
	l->segs_since++;
	l->pool->due = true;
	return true;
}

bool level_put(struct level *l, pblk_t b, const void *data, uint32_t crc, bool earned)
{
	struct seg *g;
	slot_t s;

	if (l->state != LEVEL_ON || l->pool->read_only || l->pool->failed || (!l->cur && !open_segment(l)))
		return false;
	assert(!idx_find(l->pool->idx, b).n && !level_find(l->pool, b, &s)); /* (L1) */
	g = segs_at(&l->segs, l->cur->seg);
	s.n = l->cur->seg.n * l->sb.seg_blk + g->used;
	memcpy(l->cur->mem + (uint64_t)g->used * BLK_BYTES, data, BLK_BYTES);
	l->footer[g->used] = (struct footer_slot){b.n, crc};
	idx_put(l->idx, s, b, crc, SLOT_CLEAN);
	idx_set_earned(l->idx, s, earned);
	g->live++;
	g->used++;
	l->st.admitted_blocks++;
	if (g->used == seg_room(l))
		seal(l);
	return true;
}

/* ---------------------------------------------------------------- emptying */

static void image_read_done(struct image *m)
{
	struct level *l = m->owner;

	segs_at(&l->segs, l->seg)->readers--;
	level_read_ended(l, m->n, m->error);
}

/* As in clean.c. */
static const uint8_t *slot_bytes(struct level *l, slot_t s, bool *ret_wait)
{
	struct seg *g = segs_at(&l->segs, l->seg);
	uint32_t at = s.n % l->sb.seg_blk;

	*ret_wait = true;
	if (!l->have_image) {
		l->image.done = image_read_done;
		l->image.owner = l;
		if (!image_read(&l->image, l->dev, 0, level_off(l, (slot_t){l->seg.n * l->sb.seg_blk}), at,
				g->used - at)) {
			*ret_wait = false;
			return NULL;
		}
		l->have_image = true;
		g->readers++;
		return NULL;
	}
	*ret_wait = l->image.reading;
	return *ret_wait ? NULL : image_block(&l->image, at);
}

/* False: come back later. */
static bool empty_slot(struct level *l, slot_t s)
{
	struct hb_pool *p = l->pool;
	struct level *below = level_below(p, l->no);
	pblk_t b = idx_pblk(l->idx, s);
	bool hit = idx_hit(l->idx, s), earned = idx_earned(l->idx, s) || hit || pins_has(p, b);
	bool pinned = pins_keep(p, b, l->no), again = pinned || (hit && l->moved < l->sb.seg_blk / 2);
	uint32_t crc = idx_crc(l->idx, s);
	const uint8_t *m = NULL;
	bool wait;

	if (again || (earned && below)) {
		m = slot_bytes(l, s, &wait);
		if (wait)
			return false;
		if (m && crc32c(0, m, BLK_BYTES) != crc) {
			l->st.bad_blocks++;
			m = NULL;
		}
	}
	level_drop(l, s);
	if (m && again && level_put(l, b, m, crc, true)) {
		l->moved += !pinned;
		l->st.again_blocks++;
	} else if (m && below && level_put(below, b, m, crc, true)) {
		l->st.fallen_blocks++;
	}
	return true;
}

/* From now on a checkpoint that begins has it no more. */
static void freeing(struct level *l, segno_t no)
{
	struct hb_pool *p = l->pool;

	segs_freeing(&l->segs, no, 0);
	segs_at(&l->segs, no)->free_ckpt = p->sb.ckpt_seq + (p->ck.state == CKPT_IDLE ? 1 : 2);
	level_changed(l, no);
}

/* Which one may be emptied now. */
static struct seg *oldest(struct level *l)
{
	list_each(g_link, &l->segs.sealed) {
		struct seg *g = list_entry(g_link, struct seg, fifo);

		if (g->state == SEG_SEALED)
			return g->buf < 0 ? g : NULL;
	}
	return NULL;
}

static uint32_t coming_free(struct level *l)
{
	uint32_t n = 0;

	list_each(g_link, &l->segs.sealed) {
		if (list_entry(g_link, struct seg, fifo)->state != SEG_FREEING)
			break;
		n++;
	}
	return n;
}

static bool release(struct level *l)
{
	bool any = false;

	list_each_safe(g_link, tmp, &l->segs.sealed) {
		struct seg *g = list_entry(g_link, struct seg, fifo);

		if (g->state != SEG_FREEING || g->readers)
			break;
		if (g->free_ckpt > l->pool->sb.ckpt_seq)
			break;
		segs_release(&l->segs, segs_no(&l->segs, g));
		any = true;
	}
	return any;
}

static bool empty_some(struct level *l)
{
	struct seg *g;

	if (!l->seg.n) {
		if (l->segs.nfree + coming_free(l) >= low_mark(l))
			return false;
		g = oldest(l);
		if (!g)
			return false;
		l->seg = segs_no(&l->segs, g);
		l->at = l->moved = 0;
		l->have_image = false;
	}
	g = segs_at(&l->segs, l->seg);
	while (l->at < g->used) {
		slot_t s = {l->seg.n * l->sb.seg_blk + l->at};

		if (idx_state(l->idx, s) != SLOT_DEAD && !empty_slot(l, s))
			return false;
		l->at++;
	}
	if (l->image.reading)
		return false;
	freeing(l, l->seg);
	l->seg = SEG_NONE;
	l->st.emptied_segments++;
	return true;
}

static bool pump(struct level *l)
{
	struct hb_pool *p = l->pool;
	bool did;

	if (l->state != LEVEL_ON)
		return false;
	if (l->dev->failed) {
		level_out(l, "it failed");
		return true;
	}
	if (p->failed || p->read_only)
		return false;
	did = release(l);
	if (!p->closing)
		did |= empty_some(l);
	if (l->segs.nfree < low_mark(l) / 2 + 1 && coming_free(l))
		p->ck.wanted = true;
	return did;
}

bool level_pump(struct hb_pool *p)
{
	bool did = false;

	did = level_leave(p);
	did |= level_load_pump(p);
	for (uint32_t i = 0; i < p->nlevels; i++)
		did |= pump(&p->levels[i]);
	return did | level_save_pump(p);
}

bool level_drain(struct hb_pool *p)
{
	bool any = false;

	for (uint32_t i = 0; i < p->nlevels; i++)
		any |= p->levels[i].dev && dev_drain(p->levels[i].dev, pool_now(p)) > 0;
	return any;
}

void level_kick(struct hb_pool *p)
{
	for (uint32_t i = 0; i < p->nlevels; i++)
		if (p->levels[i].dev)
			dev_kick(p->levels[i].dev);
}

uint32_t level_inflight(const struct hb_pool *p)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < p->nlevels; i++)
		n += p->levels[i].dev ? p->levels[i].dev->inflight : 0;
	return n;
}

void level_close(struct hb_pool *p)
{
	for (uint32_t i = 0; i < p->nlevels; i++)
		if (p->levels[i].state == LEVEL_ON && p->levels[i].cur && !p->read_only && !p->failed)
			seal(&p->levels[i]);
}

void level_stats(const struct level *l, struct hb_tier_stats *ret)
{
	*ret = l->st;
	ret->level = l->no;
	ret->state = l->state == LEVEL_ON ? HB_TIER_ON : l->state == LEVEL_OUT ? HB_TIER_OUT : HB_TIER_NONE;
	if (l->state != LEVEL_ON)
		return;
	text_fmt(ret->name, sizeof(ret->name), "%s", l->dev->name);
	ret->bytes = (uint64_t)l->segs.nsegs * l->sb.seg_blk * BLK_BYTES;
	ret->used_bytes = idx_count(l->idx, SLOT_CLEAN) * BLK_BYTES;
	ret->loading_pct = l->load_table ? (uint32_t)(100ull * l->loader.at / MAX(l->loader.n, 1)) : 100;
	ret->memory_bytes = idx_bytes(l->idx) + (uint64_t)l->segs.nsegs * sizeof(struct seg) +
			    LEVEL_BUFS * (uint64_t)l->sb.seg_blk * BLK_BYTES;
}

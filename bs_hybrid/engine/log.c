/* SPDX-License-Identifier: GPL-2.0-only */
/* log.c - appending to the log: segments, units, records, in staging memory. Nothing here waits for a device.
 *
 * An append copies the block into the open unit of the open segment's buffer. log_publish() then stores the unit's
 * counts in one word: from that instant on the append survives the death of the process. A unit is closed when it is
 * full, by age, or because somebody wants it durable (logio.c), and written in one piece.
 *
 * A segment's blocks:  unit, unit, ..., unit, (unused), footer.
 */
#include "engine/pool.h"

int log_init(struct hb_pool *p)
{
	struct log *l = &p->log;

	list_init(&l->bufs_free);
	list_init(&l->ios_free);
	list_init(&l->inflight);
	l->nbuf = stage_fit(p->stage_bytes, p->sb.seg_blk);
	if (l->nbuf < 3)
		return -EINVAL;
	for (uint32_t i = 0; i < l->nbuf; i++) {
		l->bufs[i] = (struct seg_buf){.mem = stage_buf(p->stage, p->sb.seg_blk, i), .no = i};
		list_push(&l->bufs_free, &l->bufs[i].free);
	}
	for (uint32_t i = 0; i < UNIT_IOS; i++) {
		l->ios[i].pool = p;
		list_push(&l->ios_free, &l->ios[i].link);
	}
	return 0;
}

static uint32_t seg_room(const struct hb_pool *p)
{
	return p->sb.seg_blk - footer_blk(p->sb.seg_blk);
}

/* The open segment is full: its footer goes behind it, and its buffer is free once all its writes are done. */
static void seal(struct hb_pool *p)
{
	struct log *l = &p->log;
	struct footer f = {
		.seg = l->cur->seg.n, .seg_seq = segs_at(&p->segs, l->cur->seg)->seq, .nslots = p->sb.seg_blk};
	uint32_t at = seg_room(p);

	memcpy(f.pool_uuid, p->sb.pool_uuid, 16);
	if (BUG(FOOTER_SHIFTED))
		memmove(l->footer + 1, l->footer, (p->sb.seg_blk - 1) * sizeof(l->footer[0]));
	footer_encode(&f, l->footer, l->cur->mem + (uint64_t)at * BLK_BYTES);
	l->cur->sealed = true;
	if (BUG(STAGE_FREED_EARLY))
		stage_release(p->stage, l->cur->no);
	segs_seal(&p->segs, l->cur->seg);
	log_write(p, l->cur, at, footer_blk(p->sb.seg_blk), 0);
	l->cur = NULL;
}

static bool at_least(const struct link *list, uint32_t n)
{
	list_each(l, list)
		if (!n || !--n)
			return true;
	return false;
}

bool log_open_segment(struct hb_pool *p, uint32_t min_free)
{
	struct log *l = &p->log;
	struct seg_buf *b;
	segno_t next;

	assert(!l->unit);
	/* As with segments, users leave one buffer and some I/Os to the log's own work and to the verbs. */
	if (!at_least(&l->bufs_free, min_free >= FREE_SEGS_USER ? 2 : 1) || list_empty(&l->ios_free))
		return false;
	if (p->segs.nfree < min_free)
		return false;
	next = segs_choose(&p->segs);
	assert(next.n);
	if (l->cur)
		seal(p);
	b = list_entry(list_pop(&l->bufs_free), struct seg_buf, free);
	if (b->seg.n) /* what was readable from this memory is read from the device from now on */
		segs_at(&p->segs, b->seg)->buf = -1;
	b->seg = l->next_seg;
	b->sealed = false;
	segs_open(&p->segs, b->seg, l->next_seg_seq);
	segs_at(&p->segs, b->seg)->buf = (int16_t)b->no;
	stage_claim(p->stage, b->no, b->seg.n, l->next_seg_seq);
	l->cur = b;
	l->next_seg = next;
	l->next_seg_seq++;
	memset(l->footer, 0, sizeof(l->footer));
	p->ck.segs_since++;
	space_watch(p);
	return true;
}

static void open_unit(struct hb_pool *p)
{
	struct log *l = &p->log;
	struct seg *g = segs_at(&p->segs, l->cur->seg);
	struct unit_head h = {
		.generation = p->sb.generation,
		.seg_seq = g->seq,
		.unit_seq = l->unit_seq,
		.seg = l->cur->seg.n,
		.next_seg = l->next_seg.n,
		.off = g->used,
	};

	memcpy(h.pool_uuid, p->sb.pool_uuid, 16);
	l->unit_off = g->used;
	l->unit = l->cur->mem + (uint64_t)g->used * BLK_BYTES;
	l->nrec = l->nblk = l->bytes = 0;
	l->unit_ns = pool_now(p);
	unit_open(&h, l->unit);
	stage_set_open(p->stage, l->cur->no, l->unit_off);
	g->used++;
	g->last_unit = l->unit_seq;
	g->changed = true;
}

bool log_close_unit(struct hb_pool *p)
{
	struct log *l = &p->log;

	if (!l->unit)
		return true;
	if (list_empty(&l->ios_free))
		return false;
	if (BUG(LATE_PUBLISH))
		log_publish(p);
	unit_close(l->unit, l->durable_seq);
	stage_set_open(p->stage, l->cur->no, STAGE_NO_OPEN);
	l->unit = NULL;
	p->st.units++;
	p->st.unit_blocks += 1u + l->nblk;
	log_write(p, l->cur, l->unit_off, 1u + l->nblk, l->unit_seq++);
	return true;
}

static bool unit_fits(const struct hb_pool *p, uint32_t ndata, uint32_t bytes)
{
	const struct log *l = &p->log;

	return l->nblk + ndata <= UNIT_DATA_MAX && l->bytes + ndata * REC_DATA_BYTES + bytes <= UNIT_STREAM_BYTES &&
	       p->segs.v[l->cur->seg.n].used + ndata <= seg_room(p);
}

bool log_room(struct hb_pool *p, uint32_t ndata, uint32_t bytes, bool own)
{
	struct log *l = &p->log;

	assert(ndata <= UNIT_DATA_MAX && ndata + 1 <= seg_room(p) &&
	       ndata * REC_DATA_BYTES + bytes <= UNIT_STREAM_BYTES);
	if (p->failed || p->read_only || (!own && p->segs.nfree < FREE_SEGS_OWN))
		return false;
	if (l->unit) {
		if (unit_fits(p, ndata, bytes))
			return true;
		if ((!own && !at_least(&l->ios_free, OWN_IOS + 1)) || !log_close_unit(p))
			return false;
	}
	if (!l->cur || segs_at(&p->segs, l->cur->seg)->used + 1 + ndata > seg_room(p))
		if (!log_open_segment(p, own ? FREE_SEGS_OWN : FREE_SEGS_USER))
			return false;
	open_unit(p);
	return true;
}

static void append_rec(struct hb_pool *p, const struct rec *r)
{
	struct log *l = &p->log;

	l->bytes = (uint16_t)(l->bytes + rec_encode(r, unit_stream(l->unit) + l->bytes));
	if (!l->nrec++) /* from now on it has a time to be closed at */
		p->due = true;
}

slot_t log_data(struct hb_pool *p, const struct rec *r, const void *data, uint32_t *ret_crc)
{
	struct log *l = &p->log;
	struct seg *g = segs_at(&p->segs, l->cur->seg);
	uint32_t off = g->used;
	struct rec rec = *r;

	assert(l->unit && unit_fits(p, 1, 0) && off == l->unit_off + 1 + l->nblk);
	rec.type = REC_DATA;
	/* The checksum is of the copy: the initiator's buffer belongs to it, and may change under us. */
	rec.crc = crc32c_copy_block(l->cur->mem + (uint64_t)off * BLK_BYTES, data);
	append_rec(p, &rec);
	l->nblk++;
	g->used++;
	l->footer[off] = (struct footer_slot){r->pblk, rec.crc};
	*ret_crc = rec.crc;
	return (slot_t){l->cur->seg.n * p->sb.seg_blk + off};
}

void log_rec(struct hb_pool *p, const struct rec *r)
{
	assert(p->log.unit && unit_fits(p, 0, rec_bytes(r->type)));
	append_rec(p, r);
}

void log_publish(struct hb_pool *p)
{
	struct log *l = &p->log;

	if (l->unit)
		unit_fill(l->unit, l->nrec, l->nblk, l->bytes);
}

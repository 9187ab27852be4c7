/* SPDX-License-Identifier: GPL-2.0-only */
/* replay.c - the log from the last checkpoint on, applied to what load.c brought in.
 *
 * Each segment is read whole; units that are still in staging are laid over it (and written to their places, unless the
 * pool is open for reading only). A unit counts if its header, its place, its number and all its data are right.
 * The first one that is not ends the log: it was being written when power failed, and nothing after it was ever
 * answered as durable. Unless a later unit says the contrary (its durable_seq): then it is damage. If only data
 * blocks of it are bad, those are marked lost and the log goes on; if its header is, the pool is refused.
 */
#include "engine/pool.h"

#define ASK_AHEAD_SEGS 1024u

/* A whole segment, and behind it the same from the other half of a mirrored write tier, if both counted when it was
 * read: what was under way when power failed may be on one of them only. One of them may fail at any time from then on;
 * what the image has from it is written to the other all the same. */
struct log_image {
	uint8_t *blk;
	bool both;
};

struct replayer {
	struct hb_pool *p;
	bool staged;
	struct log_image image, other; /* the current one, a spare */
	segno_t seg, next;
	uint64_t seg_seq, unit_seq; /* expected */
	uint32_t off;
	struct rec_group group;
	struct err *err;
};

static uint8_t *blk_at(uint8_t *image, uint32_t off)
{
	return image + (uint64_t)off * BLK_BYTES;
}

/* ---------------------------------------------------------------- staging */

/* The open unit, as the process left it: what was published, closed. Returns whether there is anything in it. */
static bool close_staged(uint8_t *unit)
{
	uint16_t nrec, nblk, bytes, n = 0, b = 0, at = 0;

	unit_get_fill(unit, &nrec, &nblk, &bytes);
	while (n + BUG(STAGED_TAIL_DROPPED) < nrec) {
		struct rec r;
		uint32_t len = rec_decode(&r, unit_stream(unit) + at, MIN(bytes, UNIT_STREAM_BYTES) - at);

		if (!len ||
		    (r.type == REC_DATA && (b == UNIT_DATA_MAX || crc32c(0, blk_at(unit, 1u + b), BLK_BYTES) != r.crc)))
			break;
		b += r.type == REC_DATA;
		at = (uint16_t)(at + len);
		n++;
	}
	memset(unit_stream(unit) + at, 0, UNIT_STREAM_BYTES - at);
	unit_fill(unit, n, b, at);
	unit_close(unit, 0);
	return n > 0;
}

static bool mine(const struct hb_pool *p, const struct unit_head *h, segno_t seg, uint64_t seg_seq, uint32_t off)
{
	return !memcmp(h->pool_uuid, p->sb.pool_uuid, 16) && h->generation == p->sb.generation && h->seg == seg.n &&
	       h->seg_seq == seg_seq && h->off == off &&
	       off + 1u + h->nblk <= p->sb.seg_blk - footer_blk(p->sb.seg_blk);
}

/* Lays one staged buffer's units over the image; writes those the device does not have. */
static int lay_buffer(struct replayer *rp, uint32_t buf, const struct stage_desc *d, uint8_t *image)
{
	struct hb_pool *p = rp->p;
	uint8_t *mem = stage_buf(p->stage, p->sb.seg_blk, buf);
	uint32_t off = 0, n;
	int rc = 0;

	while (!rc && off < p->sb.seg_blk - footer_blk(p->sb.seg_blk)) {
		bool open = d->open_off == off;
		struct unit_head h;

		if (unit_decode(&h, blk_at(mem, off), open) || !mine(p, &h, (segno_t){d->seg}, d->seg_seq, off))
			break;
		n = 1u + h.nblk;
		if (memcmp(blk_at(image, off), blk_at(mem, off), (size_t)n * BLK_BYTES)) {
			memcpy(blk_at(image, off), blk_at(mem, off), (size_t)n * BLK_BYTES);
			if (open && !close_staged(blk_at(image, off)))
				break;
			p->st.staged_units++;
			if (!p->read_only && !BUG(STAGED_NOT_WRITTEN))
				rc = sync_io(&p->env, p->wt, DEV_WRITE, (uint64_t)d->seg * p->sb.seg_blk + off,
					     blk_at(image, off), n);
		}
		if (open)
			break;
		off += n;
	}
	return rc;
}

static bool both_count(const struct hb_pool *p)
{
	return p->halves.mirrored && dev_mirror_state(p->wt, 0) == MIRROR_IN &&
	       dev_mirror_state(p->wt, 1) == MIRROR_IN;
}

/* What cannot be read may be needed by nobody: it is zeros, and judged like any other bytes. */
static int read_or_zeros(struct hb_pool *p, uint8_t side, uint64_t at, uint8_t *mem)
{
	int rc = sync_io_at(&p->env, p->wt, side, DEV_READ, at, mem, p->sb.seg_blk);

	for (uint32_t i = 0; rc == -EIO && i < p->sb.seg_blk; i++) {
		int one = sync_io_at(&p->env, p->wt, side, DEV_READ, at + i, blk_at(mem, i), 1);

		if (one == -EIO && !p->wt->failed)
			memset(blk_at(mem, i), 0, BLK_BYTES);
		else if (one)
			return one;
		if (i + 1 == p->sb.seg_blk)
			return 0;
	}
	return rc;
}

/* Of both halves, if both are there until it is read. */
static int read_image(struct hb_pool *p, uint64_t at, struct log_image *image)
{
	int rc = 0;

	image->both = both_count(p);
	if (image->both) {
		rc = read_or_zeros(p, 1, at, image->blk);
		if (!rc)
			rc = read_or_zeros(p, 2, at, blk_at(image->blk, p->sb.seg_blk));
		if (both_count(p) || p->wt->failed)
			return rc;
		image->both = false;
	}
	return read_or_zeros(p, 0, at, image->blk);
}

static int load_image(struct replayer *rp, segno_t seg, uint64_t seg_seq, struct log_image *image)
{
	struct hb_pool *p = rp->p;
	int rc = read_image(p, (uint64_t)seg.n * p->sb.seg_blk, image);

	for (uint32_t i = 0; !rc && rp->staged && i < p->stage_nbuf; i++) {
		struct stage_desc d;

		stage_get(p->stage, i, &d);
		if (!d.used || d.seg != seg.n || d.seg_seq != seg_seq)
			continue;
		rc = lay_buffer(rp, i, &d, image->blk);
		if (p->read_only) /* what was not written to its place is read from here */
			segs_at(&p->segs, seg)->buf = i < p->log.nbuf ? (int16_t)i : -1;
	}
	if (rc)
		err_set(rp->err, rc, "log segment %u: %s", seg.n, strerror(-rc));
	return rc;
}

/* ---------------------------------------------------------------- one record */

static int bad(struct replayer *rp, const char *what)
{
	return err_set(rp->err, -EBADMSG, "log unit %llu: %s", (unsigned long long)rp->unit_seq, what);
}

static int apply_data(struct replayer *rp, const struct rec *r, slot_t s, bool lost)
{
	struct hb_pool *p = rp->p;
	enum slot_state st = lost || r->flags & REC_LOST ? SLOT_LOST : r->flags & REC_CLEAN ? SLOT_CLEAN : SLOT_DIRTY;
	pblk_t b = {r->pblk};
	slot_t old;
	int rc = 0;

	if (!pblk_ok(p, r->pblk))
		return bad(rp, "names a block that is not there");
	if (!(r->flags & REC_MOVED)) {
		struct hb_volume *v = vol_by_id(p, r->vol);

		if (!v || r->vblk >= HB_VOLUME_BYTES_MAX / BLK_BYTES ||
		    r->vblk % p->sb.chunk_blk != r->pblk % p->sb.chunk_blk)
			return bad(rp, "names a volume's block that is not there");
		rc = blk_map(p, v, (vblk_t){r->vblk}, b);
	}
	if (!rc && st == SLOT_DIRTY)
		rc = dirty_set(p->dirty, b);
	if (rc)
		return err_set(rp->err, rc, "out of memory");
	old = idx_find(p->idx, b);
	if (old.n && BUG(REPLAY_KEEPS_OLD))
		return 0;
	if (st == SLOT_DIRTY)
		blk_supersede(p, b, !(r->flags & REC_MOVED));
	else if (old.n)
		blk_drop(p, old);
	if (!(lost && r->flags & REC_CLEAN)) /* the capacity device has what was lost here */
		blk_put(p, s, b, r->crc, st);
	p->st.replayed_blocks++;
	return 0;
}

static int apply_seg_free(struct replayer *rp, const struct rec *r)
{
	struct hb_pool *p = rp->p;
	struct seg *g;

	if (!r->seg || r->seg > p->segs.nsegs)
		return bad(rp, "frees a segment that is not there");
	g = segs_at(&p->segs, (segno_t){r->seg});
	if (g->seq != r->seg_seq || g->state != SEG_SEALED)
		return 0;
	for (uint32_t i = 0; i < g->used && g->live; i++)
		if (idx_state(p->idx, (slot_t){r->seg * p->sb.seg_blk + i}) != SLOT_DEAD)
			blk_drop(p, (slot_t){r->seg * p->sb.seg_blk + i});
	segs_release(&p->segs, (segno_t){r->seg});
	return 0;
}

static int apply_range(struct replayer *rp, const struct rec *r)
{
	struct hb_pool *p = rp->p;
	struct hb_volume *v = vol_by_id(p, r->vol), *src = r->type == REC_SHARE ? vol_by_id(p, r->src_vol) : v;
	uint64_t max = HB_VOLUME_BYTES_MAX / BLK_BYTES;
	int rc;

	if (!v || !src || r->vblk > max || r->count > max - r->vblk || r->src_vblk > max ||
	    r->count > max - r->src_vblk)
		return bad(rp, "names a range that is not there");
	if (r->type == REC_UNMAP) {
		rc = blk_unmap(p, v, (vblk_t){r->vblk}, r->count);
	} else {
		uint32_t cb = p->sb.chunk_blk;

		if (r->vblk % cb || r->src_vblk % cb || r->count % cb || r->count > SHARE_STEP_CHUNKS * cb)
			return bad(rp, "shares parts of chunks");
		rc = blk_share(p, v, (vblk_t){r->vblk}, src, (vblk_t){r->src_vblk}, r->count);
	}
	return rc ? err_set(rp->err, rc, "out of memory") : 0;
}

/* The chunks were nobody's when the record came: else it is not ours. */
static int apply_chunks(struct replayer *rp, const struct rec *r)
{
	struct hb_pool *p = rp->p;
	struct hb_volume *v = vol_by_id(p, r->vol);
	uint64_t max = HB_VOLUME_BYTES_MAX / BLK_BYTES, cb = p->sb.chunk_blk;

	if (!v || r->vblk > max || r->count > BYPASS_PIECE_BLK || r->count > max - r->vblk || !r->count ||
	    r->vblk % cb || r->pblk % cb || r->count % cb || !pblk_ok(p, r->pblk) ||
	    !pblk_ok(p, r->pblk + r->count - 1))
		return bad(rp, "maps chunks that are not there");
	for (uint64_t i = 0; i < r->count; i += cb)
		if (chunks_refs(p->chunks, chunk_of(p, (pblk_t){r->pblk + i})))
			return bad(rp, "maps chunks that are in use");
	if (blk_chunks(p, v, (vblk_t){r->vblk}, (pblk_t){r->pblk}, (uint32_t)r->count) < r->count)
		return err_set(rp->err, -ENOMEM, "out of memory");
	return 0;
}

static int apply(struct replayer *rp, const struct rec *r, slot_t s, bool lost)
{
	struct hb_pool *p = rp->p;
	int rc = lineage_replay(p, &rp->group, r);

	switch (r->type) {
	case REC_DATA:
		return apply_data(rp, r, s, lost);
	case REC_UNMAP:
	case REC_SHARE:
		return apply_range(rp, r);
	case REC_CHUNKS:
		return apply_chunks(rp, r);
	case REC_SEG_FREE:
		return apply_seg_free(rp, r);
	default:
		if (r->type == REC_VOL_TRIM &&
		    (r->vblk > HB_VOLUME_BYTES_MAX / BLK_BYTES || r->count > PTREE_LEVELS_MAX))
			return bad(rp, "trims beyond a volume");
		if (r->type != REC_VOL_SNAP && r->type != REC_VOL_REVERT)
			rc = vol_apply(p, r);
		return rc == -EBADMSG ? bad(rp, "changes a volume in a way that makes no sense")
		       : rc           ? err_set(rp->err, rc, "out of memory")
				      : 0;
	}
}

/* ---------------------------------------------------------------- one unit */

enum verdict { UNIT_GOOD, UNIT_BAD_DATA, UNIT_NONE };

/* Whether the expected unit stands at off of an image. bad_from: the first data block that is wrong. */
static enum verdict judge(const struct replayer *rp, uint8_t *image, segno_t seg, uint64_t seg_seq, uint32_t off,
			  struct unit_head *h)
{
	const struct hb_pool *p = rp->p;
	uint32_t at = 0, b = 0;
	enum verdict v = UNIT_GOOD;

	if (off >= p->sb.seg_blk - footer_blk(p->sb.seg_blk) || unit_decode(h, blk_at(image, off), false) ||
	    !mine(p, h, seg, seg_seq, off) || h->unit_seq != rp->unit_seq || !h->next_seg ||
	    h->next_seg > p->segs.nsegs)
		return UNIT_NONE;
	for (uint32_t i = 0; i < h->nrec; i++) {
		struct rec r;
		uint32_t n = rec_decode(&r, unit_stream(blk_at(image, off)) + at, h->stream_bytes - at);

		if (!n)
			return UNIT_NONE;
		at += n;
		if (r.type != REC_DATA)
			continue;
		if (b++ >= h->nblk)
			return UNIT_NONE;
		if (crc32c(0, blk_at(image, off + b), BLK_BYTES) != r.crc && !BUG(TORN_UNIT_COUNTS))
			v = UNIT_BAD_DATA;
	}
	return b == h->nblk ? v : UNIT_NONE;
}

static uint8_t *twin_at(const struct replayer *rp, const struct log_image *image, uint32_t off)
{
	return blk_at(image->blk, rp->p->sb.seg_blk + off);
}

/* As judge(); what this half's image has wrong is taken from the other half's. */
static enum verdict judge_both(const struct replayer *rp, const struct log_image *image, segno_t seg, uint64_t seg_seq,
			       uint32_t off, struct unit_head *h)
{
	enum verdict v = judge(rp, image->blk, seg, seg_seq, off, h);
	uint8_t *head = blk_at(image->blk, off);
	uint32_t at = 0, blk = off + 1;

	if (v == UNIT_GOOD || !image->both || off >= rp->p->sb.seg_blk)
		return v;
	if (v == UNIT_NONE) {
		uint8_t *keep = rp->p->scratch;

		memcpy(keep, head, BLK_BYTES);
		memcpy(head, twin_at(rp, image, off), BLK_BYTES);
		v = judge(rp, image->blk, seg, seg_seq, off, h);
		if (v == UNIT_NONE)
			memcpy(head, keep, BLK_BYTES);
	}
	for (uint32_t i = 0; v == UNIT_BAD_DATA && i < h->nrec; i++) {
		struct rec r;

		at += rec_decode(&r, unit_stream(head) + at, h->stream_bytes - at);
		if (r.type != REC_DATA)
			continue;
		if (crc32c(0, blk_at(image->blk, blk), BLK_BYTES) != r.crc &&
		    crc32c(0, twin_at(rp, image, blk), BLK_BYTES) == r.crc)
			memcpy(blk_at(image->blk, blk), twin_at(rp, image, blk), BLK_BYTES);
		blk++;
	}
	if (v == UNIT_NONE)
		return v;
	/* What was taken over made them alike: even_out() is to see that they were not. */
	memset(twin_at(rp, image, off), 0, BLK_BYTES);
	return judge(rp, image->blk, seg, seg_seq, off, h);
}

/* A unit that counts is the same on both halves from now on; or on the one that is left, if the other fails now. */
static int even_out(struct replayer *rp, const struct unit_head *h)
{
	struct hb_pool *p = rp->p;
	uint32_t n = 1u + h->nblk;

	if (!rp->image.both || p->read_only || BUG(MIRROR_NOT_EVENED) ||
	    !memcmp(blk_at(rp->image.blk, rp->off), twin_at(rp, &rp->image, rp->off), (size_t)n * BLK_BYTES))
		return 0;
	return sync_io(&p->env, p->wt, DEV_WRITE, (uint64_t)rp->seg.n * p->sb.seg_blk + rp->off,
		       blk_at(rp->image.blk, rp->off), n);
}

static int apply_unit(struct replayer *rp, const struct unit_head *h)
{
	struct hb_pool *p = rp->p;
	struct seg *g = segs_at(&p->segs, rp->seg);
	uint32_t at = 0, blk = rp->off + 1;
	int error = even_out(rp, h);

	if (error)
		return err_set(rp->err, error, "log unit %llu: %s", (unsigned long long)rp->unit_seq,
			       strerror(-error));

	p->log.unit_seq = rp->unit_seq;
	g->last_unit = rp->unit_seq;
	g->used = rp->off + 1u + h->nblk;
	g->changed = true;
	for (uint32_t i = 0; i < h->nrec; i++) {
		slot_t s = {rp->seg.n * p->sb.seg_blk + blk};
		bool lost = false;
		struct rec r;
		int rc;

		at += rec_decode(&r, unit_stream(blk_at(rp->image.blk, rp->off)) + at, h->stream_bytes - at);
		if (r.type == REC_DATA) {
			lost = crc32c(0, blk_at(rp->image.blk, blk), BLK_BYTES) != r.crc;
			if (lost)
				pool_log(p, HB_LOG_ERROR, "log unit %llu: block %llu is lost: wrong bytes",
					 (unsigned long long)rp->unit_seq, (unsigned long long)r.pblk);
			blk++;
		}
		rc = apply(rp, &r, s, lost);
		if (rc)
			return rc;
	}
	p->st.replayed_units++;
	rp->off += 1u + h->nblk;
	rp->next = (segno_t){h->next_seg};
	rp->unit_seq++;
	return 0;
}

/* ---------------------------------------------------------------- the chain */

/* The segment becomes the one being replayed. */
static int enter_segment(struct replayer *rp, segno_t seg, uint64_t seg_seq)
{
	struct seg *g = segs_at(&rp->p->segs, seg);

	if (g->state == SEG_SEALED && g->seq == seg_seq) {
		list_del(&g->fifo);
	} else if (g->state == SEG_FREE) {
		rp->p->segs.nfree--;
		g->used = 0;
	} else {
		return bad(rp, "goes on in a segment that is in use");
	}
	g->state = SEG_OPEN;
	g->seq = seg_seq;
	g->changed = true;
	rp->seg = seg;
	rp->seg_seq = seg_seq;
	return 0;
}

/* Staging holds a later unit: the process died, not the machine, and whatever staging let go of had been written. */
static bool staged_beyond(const struct replayer *rp)
{
	struct hb_pool *p = rp->p;

	for (uint32_t i = 0; rp->staged && i < p->stage_nbuf; i++) {
		const uint8_t *mem = stage_buf(p->stage, p->sb.seg_blk, i);
		struct stage_desc d;

		stage_get(p->stage, i, &d);
		for (uint32_t off = 0; d.used && off < p->sb.seg_blk;) {
			struct unit_head h;

			if (unit_decode(&h, mem + (uint64_t)off * BLK_BYTES, d.open_off == off) ||
			    !mine(p, &h, (segno_t){d.seg}, d.seg_seq, off))
				break;
			if (h.unit_seq > rp->unit_seq)
				return true;
			off += 1u + h.nblk;
		}
	}
	return false;
}

/* Whether a unit in this segment says that the expected one was durable. *next: the segment they say follows. True if
 * there is any unit. */
static bool testimony(const struct replayer *rp, uint8_t *image, segno_t seg, uint64_t seg_seq, uint32_t from,
		      segno_t *next, bool *ret)
{
	const struct hb_pool *p = rp->p;
	bool any = false;

	for (uint32_t off = from; off < p->sb.seg_blk; off++) {
		struct unit_head h;

		if (unit_decode(&h, blk_at(image, off), false) || !mine(p, &h, seg, seg_seq, off))
			continue;
		any = true;
		*ret |= h.durable_seq >= rp->unit_seq;
		if (h.next_seg && h.next_seg <= p->segs.nsegs)
			*next = (segno_t){h.next_seg};
	}
	return any;
}

/* No unit of this life of the segment can be told: the one that is damaged may have been its only one, and then nothing
 * says which segment followed. The log takes free segments in the order of their numbers: those behind are asked. */
static int ask_ahead(struct replayer *rp, segno_t seg, uint64_t seg_seq, bool *ret)
{
	struct hb_pool *p = rp->p;
	int rc = 0;

	for (uint32_t i = 0; !rc && !*ret && i < MIN(p->segs.nsegs, ASK_AHEAD_SEGS); i++) {
		segno_t n = {1 + (seg.n + i) % p->segs.nsegs};
		struct unit_head h;

		rc = sync_io(&p->env, p->wt, DEV_READ, (uint64_t)n.n * p->sb.seg_blk, rp->other.blk, 1);
		if (rc == -EIO && !p->wt->failed) {
			rc = 0;
			continue;
		}
		if (rc)
			return err_set(rp->err, rc, "log segment %u: %s", n.n, strerror(-rc));
		if (unit_decode(&h, rp->other.blk, false) || h.seg_seq <= seg_seq || !mine(p, &h, n, h.seg_seq, 0))
			continue;
		rc = load_image(rp, n, h.seg_seq, &rp->other);
		if (!rc)
			testimony(rp, rp->other.blk, n, h.seg_seq, 0, &n, ret);
	}
	return rc;
}

/* Whether a later unit says that the expected one was durable. Looks on in this segment and in those that follow. */
static int evidence(struct replayer *rp, bool *ret)
{
	struct hb_pool *p = rp->p;
	segno_t seg = rp->seg, next = rp->next;
	uint64_t seg_seq = rp->seg_seq;
	uint32_t from = rp->off; /* the header of a unit with bad data still says which segment follows */
	uint8_t *image = rp->image.blk;

	*ret = staged_beyond(rp);
	for (uint32_t i = 0; !*ret && i <= p->segs.nsegs; i++) {
		bool any = testimony(rp, image, seg, seg_seq, from, &next, ret);

		if (i && !any)
			return ask_ahead(rp, seg, seg_seq, ret);
		if (*ret)
			break;
		seg = next;
		seg_seq++;
		from = 0;
		image = rp->other.blk;
		if (load_image(rp, seg, seg_seq, &rp->other))
			return rp->err->code;
	}
	return 0;
}

/* The expected unit is not at rp->off: does the log go on in the next segment? 1, 0: it ends, -errno. */
static int next_segment(struct replayer *rp, struct unit_head *h)
{
	struct hb_pool *p = rp->p;
	struct log_image spare = rp->image;
	int rc = load_image(rp, rp->next, rp->seg_seq + 1, &rp->other);

	if (rc)
		return rc;
	if (judge_both(rp, &rp->other, rp->next, rp->seg_seq + 1, 0, h) == UNIT_NONE)
		return 0;
	segs_seal(&p->segs, rp->seg);
	rc = enter_segment(rp, rp->next, rp->seg_seq + 1);
	if (rc)
		return rc;
	rp->image = rp->other;
	rp->other = spare;
	rp->off = 0;
	return 1;
}

static int run(struct replayer *rp)
{
	struct hb_pool *p = rp->p;
	int rc = load_image(rp, rp->seg, rp->seg_seq, &rp->image);

	while (!rc) {
		struct unit_head h;
		enum verdict v = judge_both(rp, &rp->image, rp->seg, rp->seg_seq, rp->off, &h);
		bool was_durable;

		if (v == UNIT_NONE) {
			rc = next_segment(rp, &h);
			if (rc < 0)
				return rc;
			if (rc > 0) {
				rc = 0;
				continue;
			}
		}
		if (v != UNIT_GOOD) {
			rc = evidence(rp, &was_durable);
			if (rc)
				return rc;
			if (!was_durable || BUG(DAMAGE_ENDS_LOG))
				break;
			if (v == UNIT_NONE)
				return bad(rp, "is damaged, and was durable");
		}
		rc = apply_unit(rp, &h);
	}
	if (!rc)
		segs_seal(&p->segs, rp->seg);
	return rc;
}

static int missing(struct hb_pool *p, struct err *err)
{
	for (uint32_t i = 1; i <= p->segs.nsegs; i++)
		if (p->segs.v[i].missing && !p->read_only)
			return err_set(err, -EBADMSG,
				       "segment %u: the list of its blocks is damaged, %u of them are unsaved; "
				       "open for reading only to save the rest",
				       i, p->segs.v[i].missing);
	return 0;
}

int replay(struct hb_pool *p, bool staged, struct err *err)
{
	struct replayer rp = {
		.p = p,
		.staged = staged,
		.err = err,
		.off = p->sb.log_off,
		.unit_seq = p->sb.log_unit_seq,
		.next = {p->sb.log_next_seg},
		.image.blk = mem_alloc((size_t)p->sb.seg_blk * BLK_BYTES * (both_count(p) ? 2 : 1)),
		.other.blk = mem_alloc((size_t)p->sb.seg_blk * BLK_BYTES * (both_count(p) ? 2 : 1)),
	};
	struct seg *g = segs_at(&p->segs, (segno_t){p->sb.log_seg});
	int rc = rp.image.blk && rp.other.blk ? 0 : err_set(err, -ENOMEM, "out of memory");

	if (!rc && g->used > p->sb.log_off && p->sb.log_off != p->sb.seg_blk - 1)
		rc = err_set(err, -EBADMSG, "the log begins inside what the segment table has");
	if (!rc)
		rc = enter_segment(&rp, (segno_t){p->sb.log_seg}, p->sb.log_seg_seq);
	if (!rc)
		rc = run(&rp);
	if (!rc)
		rc = missing(p, err);
	mem_free(rp.image.blk);
	mem_free(rp.other.blk);
	mem_free(rp.group.rec);
	if (rc)
		return rc;
	p->log.unit_seq = rp.unit_seq;
	p->log.written_seq = rp.unit_seq - 1;
	/* No life number is ever given twice: segments that were opened behind the end of the log have footers that
	 * would be taken for those of the segments opened now. No more than all can have been opened since the root. */
	p->log.next_seg_seq = rp.seg_seq + 1 + (BUG(SEG_SEQ_REPEATS) ? 0 : p->segs.nsegs);
	return 0;
}

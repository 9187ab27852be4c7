/* SPDX-License-Identifier: GPL-2.0-only */
/* clean.c - making segments free again, oldest first.
 *
 * Dirty and lost slots must go first: dirty ones by being appended again or, if there are too many of them, by
 * write-back (which looks at the oldest segments when free ones are short), lost ones by a record that carries the
 * mark forward. Clean blocks that were hit are appended again (a second life, at most half a segment), the others
 * are forgotten. When nothing in it is live, a SEG_FREE record goes to the log; when that is durable, nobody reads
 * from it and replay does not need it, the segment is free (P5).
 *
 * Crash story: without the record, a segment reused after the last checkpoint looks, at the next open, like one whose
 * dirty blocks have been overwritten.
 */
#include "engine/pool.h"

#define CLEAN_MOVING_MAX 64u
#define CLEAN_BACKOFF_NS SEC_NS

uint32_t clean_low(const struct hb_pool *p)
{
	return MAX(FREE_SEGS_USER + 2, p->segs.nsegs / 8);
}

bool clean_urgent(const struct hb_pool *p)
{
	return p->segs.nfree < MAX(FREE_SEGS_USER + 1, clean_low(p) / 2);
}

static bool needed_by_replay(const struct hb_pool *p, const struct seg *g)
{
	return g->seq >= p->sb.log_seg_seq && !BUG(FREE_REPLAY_SEG);
}

/* FREEING -> FREE where nothing is in the way any more. */
static bool release(struct hb_pool *p)
{
	bool any = false;

	list_each_safe(l, tmp, &p->segs.sealed) {
		struct seg *g = list_entry(l, struct seg, fifo);

		if (g->state != SEG_FREEING) /* the oldest are freed first */
			break;
		if (g->free_unit > p->log.durable_seq) {
			log_want(p, g->free_unit);
			break;
		}
		if (g->free_ckpt > p->sb.ckpt_seq) {
			p->ck.wanted = true;
			break;
		}
		if (g->readers)
			break;
		if (needed_by_replay(p, g)) {
			p->ck.wanted = true;
			break;
		}
		if (g->buf >= 0) { /* its staging memory is no longer its own */
			struct seg_buf *b = &p->log.bufs[g->buf];

			if (b->writes)
				break;
			b->seg = SEG_NONE;
		}
		segs_release(&p->segs, segs_no(&p->segs, g));
		p->st.segments_cleaned++;
		any = true;
	}
	if (any)
		req_wake_all(&p->log_waiters);
	return any;
}

/* The block in slot s goes to the head of the log in the state it is in. A mark of loss must get there even when free
 * segments are short. False: no room. */
static bool append_again(struct hb_pool *p, slot_t s, const void *data)
{
	static const uint8_t flags[] = {[SLOT_CLEAN] = REC_CLEAN, [SLOT_DIRTY] = 0, [SLOT_LOST] = REC_LOST};
	enum slot_state st = idx_state(p->idx, s);
	pblk_t b = idx_pblk(p->idx, s);
	struct rec r = {.pblk = b.n, .flags = REC_MOVED | flags[st]};
	uint32_t crc;
	slot_t to;

	if (!log_room(p, 1, 0, st == SLOT_LOST))
		return false;
	to = log_data(p, &r, data, &crc);
	log_publish(p);
	blk_supersede(p, b);
	blk_put(p, to, b, crc, st);
	p->st.blocks_moved++;
	return true;
}

/* A block that is to move was read: append it again, unless it was overwritten or has moved on. */
void clean_moved(struct hb_pool *p, struct fetch *f, bool ok)
{
	slot_t now = idx_find(p->idx, f->p);
	enum slot_state st = now.n ? idx_state(p->idx, now) : SLOT_DEAD;

	p->clean.moving--;
	if (!ok)
		p->clean.backoff_until_ns = pool_now(p) + CLEAN_BACKOFF_NS;
	if (!ok || f->poisoned || now.n != f->slot.n || (st != SLOT_CLEAN && st != SLOT_DIRTY))
		return;
	if (!append_again(p, now, ram_data(p->ram, f->f)) && st == SLOT_CLEAN)
		blk_drop(p, now); /* not worth waiting for */
}

/* Moving a dirty block costs a write to the flash, writing it back a seek of the disk: as long as there is room for
 * dirty blocks, and the segment gives back more than it takes, they move. */
static bool may_move_dirty(const struct hb_pool *p, const struct seg *g)
{
	return idx_count(p->idx, SLOT_DIRTY) < p->dirty_high && g->dirty <= p->sb.seg_blk / 4 * 3 &&
	       p->segs.nfree >= FREE_SEGS_USER && pool_now(p) >= p->clean.backoff_until_ns;
}

static bool move_dirty(struct hb_pool *p, slot_t s)
{
	pblk_t b = idx_pblk(p->idx, s);
	const uint8_t *m = blk_in_memory(p, b);

	if (!may_move_dirty(p, segs_of_slot(&p->segs, s)))
		return false;
	if (m) {
		memcpy(p->scratch, m, BLK_BYTES); /* staging memory may go to another segment meanwhile */
		return append_again(p, s, p->scratch);
	}
	if (p->clean.moving >= CLEAN_MOVING_MAX || !fetch_move(p, b, s))
		return false;
	p->clean.moving++;
	return true;
}

/* One slot of the segment being emptied. False: come back later. */
static bool empty_slot(struct hb_pool *p, slot_t s)
{
	switch (idx_state(p->idx, s)) {
	case SLOT_CLEAN:
		if (idx_hit(p->idx, s) && p->clean.moved < p->sb.seg_blk / 2 &&
		    !ram_find(p->ram, idx_pblk(p->idx, s)) && fetch_move(p, idx_pblk(p->idx, s), s)) {
			p->clean.moving++;
			p->clean.moved++;
			return true;
		}
		blk_drop(p, s);
		return true;
	case SLOT_LOST:
		return append_again(p, s, zero_block); /* the mark needs a slot to live in */
	case SLOT_DIRTY:
		return move_dirty(p, s);
	default:
		return true;
	}
}

static bool empty_segment(struct hb_pool *p, struct seg *g)
{
	uint32_t base = p->clean.seg.n * p->sb.seg_blk;
	struct rec r = {.type = REC_SEG_FREE, .seg = p->clean.seg.n, .seg_seq = g->seq};

	while (p->clean.at < g->used) {
		if (!empty_slot(p, (slot_t){base + p->clean.at})) {
			fetch_flush(p);
			return false;
		}
		p->clean.at++;
	}
	fetch_flush(p);
	if (p->clean.moving)
		return false;
	if (g->live) { /* a move that failed, or a slot that came back: again from the start */
		p->clean.at = 0;
		p->clean.moved = p->sb.seg_blk;
		return false;
	}
	if (log_room(p, 0, rec_bytes(REC_SEG_FREE), true)) {
		if (!BUG(NO_SEG_FREE))
			log_rec(p, &r);
		log_publish(p);
	} else { /* not even for that: then a checkpoint that begins from now on says it */
		g->free_ckpt = p->sb.ckpt_seq + (p->ck.state == CKPT_IDLE ? 1 : 2);
	}
	segs_freeing(&p->segs, p->clean.seg, log_last(p));
	p->clean.seg = SEG_NONE;
	return true;
}

bool clean_pump(struct hb_pool *p)
{
	bool did = release(p);

	if (p->failed || p->closing || p->segs.nfree >= clean_low(p))
		return did;
	if (!p->clean.seg.n) {
		struct seg *g = segs_oldest(&p->segs);

		if (!g)
			return did;
		if (needed_by_replay(p, g)) { /* not before a checkpoint has moved on */
			p->ck.wanted = true;
			return did;
		}
		if (g->dirty && !may_move_dirty(p, g)) /* write-back's turn */
			return did;
		p->clean.seg = segs_no(&p->segs, g);
		p->clean.at = p->clean.moved = 0;
	}
	return empty_segment(p, segs_at(&p->segs, p->clean.seg)) || did;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* clean.c - making segments of the write tier free again, oldest first.
 *
 * Dirty and lost slots must go first: dirty ones by being appended again or, if there are too many of them, by
 * write-back (which looks at the oldest segments when free ones are short), lost ones by a record that carries the
 * mark forward. Clean blocks that are pinned are appended again, those whose volume has not more than its floor
 * (floors.c), and those that were hit (a second life, at most half a segment); those that were asked for at all fall to
 * the next level, the others are forgotten. What moves comes from an image of the segment, read at once, and is
 * checked: a wrong byte is not to get a right checksum. When nothing in a segment is live, a SEG_FREE record goes to
 * the log; when that is durable, nobody reads from it and replay does not need it, the segment is free (P5).
 *
 * Crash story: without the record, a segment reused after the last checkpoint looks, at the next open, like one whose
 * dirty blocks have been overwritten.
 */
#include "engine/pool.h"

#define CLEAN_BACKOFF_NS SEC_NS

uint32_t clean_low(const struct hb_pool *p)
{
	return MAX(FREE_SEGS_USER + 2, p->segs.nsegs / 8);
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

/* The bytes of a slot of the segment being emptied. NULL: not in memory; *ret_wait: they will be. */
static const uint8_t *slot_bytes(struct hb_pool *p, slot_t s, bool *ret_wait)
{
	struct cleaner *c = &p->clean;
	struct seg *g = segs_of_slot(&p->segs, s);
	uint32_t at = s.n % p->sb.seg_blk;

	*ret_wait = false;
	if (g->buf >= 0)
		return p->log.bufs[g->buf].mem + (uint64_t)at * BLK_BYTES;
	if (!c->have_image) {
		c->have_image = true;
		g->readers++;
		if (!image_read(&c->image, p->wt, 0, (uint64_t)c->seg.n * p->sb.seg_blk * BLK_BYTES, at,
				g->used - at)) {
			g->readers--;
			c->have_image = false;
		}
		*ret_wait = true;
		return NULL;
	}
	*ret_wait = c->image.reading;
	return *ret_wait ? NULL : image_block(&c->image, at);
}

static void image_read_done(struct image *m)
{
	struct hb_pool *p = m->owner;

	segs_at(&p->segs, p->clean.seg)->readers--;
	if (m->error)
		p->clean.backoff_until_ns = pool_now(p) + CLEAN_BACKOFF_NS;
}

int clean_init(struct hb_pool *p)
{
	int rc = image_init(&p->clean.image, p->sb.seg_blk);

	p->clean.image.done = image_read_done;
	p->clean.image.owner = p;
	return rc;
}

void clean_fini(struct hb_pool *p)
{
	image_fini(&p->clean.image);
}

/* A mark of loss must get there even when free segments are short. */
bool append_again(struct hb_pool *p, slot_t s, const void *data)
{
	static const uint8_t flags[] = {[SLOT_CLEAN] = REC_CLEAN, [SLOT_DIRTY] = 0, [SLOT_LOST] = REC_LOST};
	enum slot_state st = idx_state(p->idx, s);
	pblk_t b = idx_pblk(p->idx, s);
	bool earned = idx_earned(p->idx, s);
	struct rec r = {.pblk = b.n, .flags = REC_MOVED | flags[st]};
	uint32_t crc;
	slot_t to;

	if (!log_room(p, 1, 0, st == SLOT_LOST))
		return false;
	to = log_data(p, &r, data, &crc);
	log_publish(p);
	blk_supersede(p, b, false);
	blk_put(p, to, b, crc, st);
	idx_set_earned(p->idx, to, earned);
	p->st.blocks_moved++;
	return true;
}

/* Moving a dirty block costs a write to the flash, writing it back a seek of the disk: as long as there is room for
 * dirty blocks, and the segment gives back more than it takes, they move. */
static bool may_move_dirty(const struct hb_pool *p, const struct seg *g)
{
	return idx_count(p->idx, SLOT_DIRTY) < p->dirty_high + wb_written(p) && g->dirty <= p->sb.seg_blk / 4 * 3 &&
	       p->segs.nfree >= FREE_SEGS_USER && pool_now(p) >= p->clean.backoff_until_ns;
}

/* Write-back leaves its sweep for this, and writes of blocks far from one another are what a disk is slowest at: only
 * if the cleaner would not get on by itself. */
bool clean_urgent(struct hb_pool *p)
{
	const struct seg *g = segs_oldest(&p->segs);

	return p->segs.nfree < MAX(FREE_SEGS_USER + 1, clean_low(p) / 2) && g && g->dirty && !may_move_dirty(p, g);
}

static bool intact(const struct hb_pool *p, slot_t s, const uint8_t *m)
{
	return crc32c(0, m, BLK_BYTES) == idx_crc(p->idx, s);
}

/* A dirty block whose bytes are wrong or cannot be read stays where it is: write-back tries again, and says in the end
 * that it is lost. */
static bool empty_dirty(struct hb_pool *p, slot_t s)
{
	const uint8_t *m;
	bool wait;

	if (!may_move_dirty(p, segs_of_slot(&p->segs, s)))
		return false;
	m = slot_bytes(p, s, &wait);
	if (!m || !intact(p, s, m)) {
		if (!wait) {
			p->clean.have_image = false;
			p->clean.backoff_until_ns = pool_now(p) + CLEAN_BACKOFF_NS;
		}
		return false;
	}
	memcpy(p->scratch, m, BLK_BYTES); /* staging memory may go to another segment meanwhile */
	if (!append_again(p, s, p->scratch))
		return false;
	p->clean.again++;
	return true;
}

static bool empty_clean(struct hb_pool *p, slot_t s)
{
	struct cleaner *c = &p->clean;
	pblk_t b = idx_pblk(p->idx, s);
	/* Always, unless the log is short of room itself: then it is like one that was hit. */
	bool pinned = pins_keep(p, b, 0), floored = floors_keep(p, b);
	bool always = (pinned || (floored && c->at_ease)) && !clean_urgent(p);
	bool again = always ||
		     ((pinned || (idx_hit(p->idx, s) && !ram_find(p->ram, b))) && c->moved < p->sb.seg_blk / 2) ||
		     (floored && c->again < p->sb.seg_blk / 2);
	bool fall = (idx_hit(p->idx, s) || idx_earned(p->idx, s) || pins_has(p, b) || floored) && level_below(p, 0) &&
		    !p->closing;
	const uint8_t *m;
	uint32_t crc;
	bool wait;

	if (again || fall) {
		m = slot_bytes(p, s, &wait);
		if (wait)
			return false;
		if (m && !intact(p, s, m)) {
			p->st.checksum_errors++;
			m = NULL;
		}
		if (m && again) {
			memcpy(p->scratch, m, BLK_BYTES);
			if (append_again(p, s, p->scratch)) {
				c->moved += !always;
				c->again++;
				return true;
			}
			if (floored && segs_coming(&p->segs)) /* these are free first, whatever is emptied now */
				return false;
		}
		if (m && fall) {
			crc = idx_crc(p->idx, s);
			blk_drop(p, s); /* first: a block is in one place at most */
			p->st.fallen_blocks += level_put(level_below(p, 0), b, m, crc, true);
			return true;
		}
	}
	blk_drop(p, s);
	pins_left(p, b);
	return true;
}

/* One slot of the segment being emptied. False: come back later. */
static bool empty_slot(struct hb_pool *p, slot_t s)
{
	switch (idx_state(p->idx, s)) {
	case SLOT_CLEAN:
		return empty_clean(p, s);
	case SLOT_LOST:
		return append_again(p, s, zero_block); /* the mark needs a slot to live in */
	case SLOT_DIRTY:
		return empty_dirty(p, s);
	default:
		return true;
	}
}

static bool empty_segment(struct hb_pool *p, struct seg *g)
{
	uint32_t base = p->clean.seg.n * p->sb.seg_blk;
	struct rec r = {.type = REC_SEG_FREE, .seg = p->clean.seg.n, .seg_seq = g->seq};

	while (p->clean.at < g->used) {
		if (!empty_slot(p, (slot_t){base + p->clean.at}))
			return false;
		p->clean.at++;
	}
	if (p->clean.image.reading)
		return false;
	if (g->live) { /* a slot that came back: again from the start */
		p->clean.at = 0;
		p->clean.moved = p->clean.again = p->sb.seg_blk;
		p->clean.at_ease = false;
		p->clean.have_image = false;
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

		if (!g || floors_enough_coming(p))
			return did;
		if (needed_by_replay(p, g)) { /* not before a checkpoint has moved on */
			p->ck.wanted = true;
			return did;
		}
		if (g->dirty && !may_move_dirty(p, g)) /* write-back's turn */
			return did;
		p->clean.seg = segs_no(&p->segs, g);
		p->clean.at = p->clean.moved = p->clean.again = 0;
		p->clean.at_ease = floors_at_ease(p);
		p->clean.have_image = false;
	}
	return empty_segment(p, segs_at(&p->segs, p->clean.seg)) || did;
}

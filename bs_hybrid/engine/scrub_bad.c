/* SPDX-License-Identifier: GPL-2.0-only */
/* scrub_bad.c - what the scrub does about a block that is bad.
 *
 * - Bad on one half of a mirror: the good bytes are written over it there.
 * - A clean slot of the write tier, any slot of a level: dropped; the capacity device has the bytes.
 * - A dirty slot: if RAM has the bytes, they are appended to the log again; else the slot is read a few times more,
 *   alone, and then the block is lost. Nothing else has its bytes - unless it is on its way to the capacity device
 *   just now: then the end of that is waited for.
 * - A block of the capacity device that cannot be read: if RAM, the write tier or a level has it, intact, it is made
 *   dirty.
 *
 * Crash stories
 * - A mend is torn by a power cut: that half was bad before, the other half is not touched.
 * - A bad slot that replay still needs: power fails, and the log seems to end there, or to be damaged. Hence a
 *   checkpoint behind it is asked for.
 * - A block that cannot be read is written over in place, outside the log: a chunk that was freed meanwhile may have
 *   another owner whose bytes are there, or on their way. So it goes through the log like any dirty block: a record
 *   that moves it and does not say that it is clean. If power fails before that is durable, its copy is where it was,
 *   and the next scrub finds it again; afterwards it is dirty, and write-back rewrites it.
 */
#include "engine/pool.h"

#define TRIES 3
#define NO_ROOM_NS (100 * MSEC_NS)

static bool good(const struct image *m, uint32_t i, uint32_t crc)
{
	const uint8_t *b = image_block(m, i);

	return b && crc32c(0, b, BLK_BYTES) == crc;
}

static void healed(struct scrub *s)
{
	s->st.found_blocks++;
	s->st.healed_blocks++;
}

/* ---------------------------------------------------------------- judging */

static enum slot_state state_of(const struct scrub *s, slot_t slot, uint32_t i)
{
	if (BUG(SCRUB_STALE))
		return !(s->was_live >> i & 1) ? SLOT_DEAD : s->was_dirty >> i & 1 ? SLOT_DIRTY : SLOT_CLEAN;
	return idx_state(s->pool->idx, slot);
}

static void judge_write_tier(struct scrub *s)
{
	struct hb_pool *p = s->pool;

	for (uint32_t i = 0; i < s->n; i++) {
		slot_t slot = {s->slot.n + i};
		enum slot_state st = state_of(s, slot, i);
		bool a, b;

		if (st == SLOT_DEAD || st == SLOT_LOST)
			continue;
		a = good(&s->image[0], i, idx_crc(p->idx, slot));
		b = s->both ? good(&s->image[1], i, idx_crc(p->idx, slot)) : a;
		if (a && b)
			continue;
		if (s->held->seq >= p->sb.log_seg_seq)
			p->ck.wanted = true;
		if (a != b) {
			p->st.checksum_errors++;
			s->mend |= 1ull << i;
		} else if (st == SLOT_CLEAN || BUG(SCRUB_DROPS_DIRTY)) {
			p->st.checksum_errors++;
			blk_drop(p, slot);
			healed(s);
		} else {
			s->again |= 1ull << i;
		}
	}
}

static void judge_level(struct scrub *s, struct level *l)
{
	for (uint32_t i = 0; i < s->n && l->state == LEVEL_ON; i++) {
		slot_t slot = {s->slot.n + i};

		if (idx_state(l->idx, slot) == SLOT_DEAD || good(&s->image[0], i, idx_crc(l->idx, slot)))
			continue;
		l->st.bad_blocks++;
		level_drop(l, slot);
		healed(s);
	}
}

void scrub_judge(struct scrub *s)
{
	if (!s->st.tier)
		judge_write_tier(s);
	else if (s->st.tier < SCRUB_CAPACITY)
		judge_level(s, &s->pool->levels[s->st.tier - 1]);
	else
		for (uint32_t i = 0; i < s->n; i++)
			s->unread |= (uint64_t)!image_block(&s->image[0], i) << i;
}

/* ---------------------------------------------------------------- one half of a mirror */

static void mended(struct dev_io *io)
{
	struct scrub *s = container_of(io, struct scrub, write);

	s->io = s->writing = false;
	s->mend &= s->mend - 1;
	s->st.healed_blocks += !io->error;
	if (io->error == -ETIMEDOUT) { /* it may still be read from */
		s->image[0].mem = s->image[1].mem = NULL;
		s->mend = 0;
	}
	if (!scrub_cut_off(s) && !scrub_has_work(s))
		scrub_stretch_over(s);
}

/* Block i is bad on one half. */
static void mend(struct scrub *s, uint32_t i)
{
	struct hb_pool *p = s->pool;
	slot_t slot = {s->slot.n + i};
	enum slot_state st = idx_state(p->idx, slot);
	bool first = st != SLOT_DEAD && st != SLOT_LOST && good(&s->image[0], i, idx_crc(p->idx, slot));
	bool second = st != SLOT_DEAD && st != SLOT_LOST && good(&s->image[1], i, idx_crc(p->idx, slot));

	if (first == second || dev_mirror_state(p->wt, 0) != MIRROR_IN || dev_mirror_state(p->wt, 1) != MIRROR_IN) {
		s->mend &= s->mend - 1; /* superseded meanwhile, or the bad half is out anyhow */
		return;
	}
	s->st.found_blocks++;
	s->iov = (struct iovec){(uint8_t *)image_block(&s->image[first ? 0 : 1], i), BLK_BYTES};
	s->write = (struct dev_io){.op = DEV_WRITE,
				   .side = first ? 2 : 1,
				   .off_bytes = (uint64_t)slot.n * BLK_BYTES,
				   .len_bytes = BLK_BYTES,
				   .iov = &s->iov,
				   .niov = 1,
				   .done = mended};
	s->io = s->writing = true;
	dev_queue(p->wt, &s->write);
}

/* ---------------------------------------------------------------- a dirty block */

/* Write-back has read it, from RAM, and it may become clean in a moment. */
static bool being_written_back(const struct hb_pool *p, slot_t slot)
{
	for (uint32_t i = 0; i < p->wb.nbatch; i++)
		if (p->wb.batch[i].slot.n == slot.n)
			return true;
	for (uint32_t r = 0; r < p->wb.depth; r++)
		for (uint32_t i = 0; p->wb.runs[r].busy && !p->wb.runs[r].late && i < p->wb.runs[r].good; i++)
			if (p->wb.runs[r].blk[i].slot.n == slot.n)
				return true;
	return false;
}

static void read_again_done(struct image *m)
{
	struct scrub *s = m->owner;
	struct hb_pool *p = s->pool;
	slot_t slot = {s->slot.n + m->first};
	bool fine;

	s->io = false;
	if (scrub_cut_off(s))
		return;
	if (m->error == -ETIMEDOUT || m->dev->failed) {
		scrub_stretch_skipped(s);
		return;
	}
	fine = idx_state(p->idx, slot) == SLOT_DEAD || good(m, m->first, idx_crc(p->idx, slot));
	s->tries = fine ? 0 : (uint8_t)(s->tries + 1);
	if (fine)
		s->again &= s->again - 1;
	if (!scrub_has_work(s))
		scrub_stretch_over(s);
}

static void read_again(struct scrub *s, uint32_t i)
{
	s->image[0].done = read_again_done;
	s->io = image_read(&s->image[0], s->pool->wt, s->both ? 1 + s->tries % 2 : 0, (uint64_t)s->slot.n * BLK_BYTES,
			   i, 1);
	if (!s->io)
		s->wait_ns = pool_now(s->pool) + NO_ROOM_NS;
}

static void lose(struct scrub *s, slot_t slot)
{
	struct hb_pool *p = s->pool;
	struct wb_block b = {idx_pblk(p->idx, slot), slot, idx_crc(p->idx, slot)};

	wb_lose(p, &b, image_block(&s->image[0], slot.n - s->slot.n) ? "returned wrong bytes" : "cannot read it");
	s->st.found_blocks++;
	s->st.lost_blocks++;
}

/* Block i was dirty and bad. */
static void save(struct scrub *s, uint32_t i)
{
	struct hb_pool *p = s->pool;
	slot_t slot = {s->slot.n + i};
	enum slot_state st = idx_state(p->idx, slot);
	struct frame *f = st == SLOT_DIRTY ? ram_find(p->ram, idx_pblk(p->idx, slot)) : NULL;

	if (f && crc32c(0, ram_data(p->ram, f), BLK_BYTES) == idx_crc(p->idx, slot)) {
		if (!append_again(p, slot, ram_data(p->ram, f))) {
			s->wait_ns = pool_now(p) + NO_ROOM_NS;
			return;
		}
		p->st.checksum_errors++;
		healed(s);
	} else if (st == SLOT_DIRTY && being_written_back(p, slot)) {
		s->wait_ns = pool_now(p) + NO_ROOM_NS;
		return;
	} else if (st == SLOT_DIRTY && s->tries < TRIES) {
		read_again(s, i);
		return;
	} else if (st == SLOT_DIRTY) {
		lose(s, slot);
	} else if (st == SLOT_CLEAN) { /* written back meanwhile, from RAM */
		p->st.checksum_errors++;
		blk_drop(p, slot);
		healed(s);
	}
	s->again &= s->again - 1;
	s->tries = 0;
}

/* ---------------------------------------------------------------- a block of the capacity device */

static void unreadable(struct scrub *s, pblk_t b)
{
	if (!s->st.unreadable_blocks)
		pool_log(s->pool, HB_LOG_ERROR,
			 "the capacity device cannot read block %llu, and nothing else has it; others are counted",
			 (unsigned long long)b.n);
	if (s->st.unreadable_blocks < HB_SCRUB_LISTED)
		s->st.unreadable[s->st.unreadable_blocks] = b.n;
	s->st.unreadable_blocks++;
	s->st.found_blocks++;
	s->unread &= s->unread - 1;
}

/* Where b's copy is on a device, and what it must be like. */
static slot_t find_copy(struct hb_pool *p, pblk_t b, struct level **ret_l, uint32_t *ret_crc, bool *ret_earned)
{
	slot_t slot = idx_find(p->idx, b);
	struct level *l = slot.n ? NULL : level_find(p, b, &slot);
	const struct idx *x = l ? l->idx : p->idx;

	*ret_l = l;
	*ret_crc = slot.n ? idx_crc(x, slot) : 0;
	*ret_earned = slot.n && idx_earned(x, slot);
	return slot;
}

/* b, which is clean, becomes dirty: these are its bytes. */
static void rewrite(struct scrub *s, pblk_t b, const uint8_t *data)
{
	struct hb_pool *p = s->pool;
	struct rec r = {.pblk = b.n, .flags = REC_MOVED};
	struct level *l;
	bool earned;
	uint32_t crc;
	slot_t to;

	find_copy(p, b, &l, &crc, &earned);
	memcpy(p->scratch, data, BLK_BYTES); /* staging memory may go to another segment meanwhile */
	if (!log_room(p, 1, 0, false) || dirty_set(p->dirty, b)) {
		s->wait_ns = pool_now(p) + NO_ROOM_NS;
		return;
	}
	to = log_data(p, &r, p->scratch, &crc);
	log_publish(p);
	blk_supersede(p, b, false);
	blk_put(p, to, b, crc, SLOT_DIRTY);
	idx_set_earned(p->idx, to, earned);
	p->st.blocks_moved++;
	healed(s);
	s->unread &= s->unread - 1;
}

static pblk_t first_unread(const struct scrub *s)
{
	return (pblk_t){s->home.n + (unsigned)__builtin_ctzll(s->unread)};
}

/* Nobody needs what is there: the block is free, or will be written anyhow, or was lost before. */
static bool needless(struct hb_pool *p, pblk_t b)
{
	slot_t slot = idx_find(p->idx, b);

	return !chunks_refs(p->chunks, chunk_of(p, b)) || (slot.n && idx_state(p->idx, slot) != SLOT_CLEAN);
}

static void copy_read(struct image *m)
{
	struct scrub *s = m->owner;
	struct hb_pool *p = s->pool;
	pblk_t b = first_unread(s);
	struct level *l;
	slot_t slot;
	uint32_t crc;
	bool earned;

	s->io = false;
	scrub_let_go(s);
	if (s->copy_of)
		level_read_ended(s->copy_of, 1, m->error);
	if (scrub_cut_off(s))
		return;
	if (m->error == -ETIMEDOUT) { /* says nothing about the copy */
		scrub_stretch_skipped(s);
		return;
	}
	slot = find_copy(p, b, &l, &crc, &earned);
	if (slot.n == s->copy.n && l == s->copy_of && !needless(p, b)) { /* else: once more, from the beginning */
		if (good(m, 0, crc))
			rewrite(s, b, image_block(m, 0));
		else
			unreadable(s, b);
	}
	if (!scrub_has_work(s))
		scrub_stretch_over(s);
}

static void save_home(struct scrub *s)
{
	struct hb_pool *p = s->pool;
	pblk_t b = first_unread(s);
	const uint8_t *m = needless(p, b) ? NULL : blk_in_memory(p, b);
	struct level *l;
	slot_t slot;
	uint32_t crc;
	bool earned;

	if (needless(p, b)) {
		s->unread &= s->unread - 1;
		return;
	}
	slot = find_copy(p, b, &l, &crc, &earned);
	if (m && (!slot.n || crc32c(0, m, BLK_BYTES) == crc)) {
		rewrite(s, b, m);
		return;
	}
	if (!slot.n) {
		unreadable(s, b);
		return;
	}
	s->image[1].done = copy_read;
	s->io = image_read(&s->image[1], l ? l->dev : p->wt, 0,
			   l ? level_off(l, slot) : (uint64_t)slot.n * BLK_BYTES, 0, 1);
	if (!s->io) {
		s->wait_ns = pool_now(p) + NO_ROOM_NS;
		return;
	}
	s->copy = slot;
	s->copy_of = l;
	s->held = segs_of_slot(l ? &l->segs : &p->segs, slot);
	s->held->readers++;
}

bool scrub_work(struct scrub *s)
{
	if (s->mend)
		mend(s, (uint32_t)__builtin_ctzll(s->mend));
	else if (s->again)
		save(s, (uint32_t)__builtin_ctzll(s->again));
	else
		save_home(s);
	if (!s->io && !scrub_has_work(s))
		scrub_stretch_over(s);
	return s->io || s->wait_ns <= pool_now(s->pool);
}

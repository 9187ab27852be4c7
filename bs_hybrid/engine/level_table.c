/* SPDX-License-Identifier: GPL-2.0-only */
/* level_table.c - the levels' part of a checkpoint: each writes its table to its own device, flushes, writes the
 * table's head, flushes; then the pool's root may follow.
 *
 * The table is encoded while requests go on, so it may be newer than the root, never older. That is as good: what was
 * superseded after the root is in the log, and replay kills it; what was entered was on the capacity device, durably.
 *
 * Crash stories
 * - The root before the table: nothing wrong, the level is empty.
 * - The table of the former root is overwritten before the new root is durable: the level is empty after a crash.
 *   So there are two copies, taken in turn by the number of the checkpoint.
 * - A page is written when it changed, with the checkpoint after that; the device answers the flush and loses it all
 *   the same. Later heads of this copy are not lost, and the page that is there is an older one, with a good
 *   checksum: what it names was rewritten since. So the head vouches for the pages, by a checksum of theirs.
 * - A level's device that missed a checkpoint comes back with blocks that were rewritten meanwhile: its head has
 *   another number, or, if it is a copy of the device from a time that then went another way, another nonce.
 */
#include "engine/pool.h"

static uint64_t copy_blk(const struct level *l, unsigned copy)
{
	return l->sb.meta_start_blk + copy * (l->sb.meta_pages + 1ull);
}

void level_changed(struct level *l, segno_t seg)
{
	l->stale[seg.n / LEVELTAB_PER_PAGE] = 3;
}

static void save_failed(struct level *l, int error)
{
	l->save = SAVE_IDLE;
	if (error == -ETIMEDOUT)
		l->save_mem = NULL; /* given up */
	level_out(l, "it does not take its table");
}

static void written(struct dev_io *io)
{
	struct level *l = io->owner;

	l->save_writes--;
	if (io->error && l->save != SAVE_IDLE)
		save_failed(l, io->error);
}

static void issue(struct level *l, uint32_t i, enum dev_op op, uint64_t blk)
{
	l->save_iov[i] = (struct iovec){l->save_mem + (size_t)i * BLK_BYTES, BLK_BYTES};
	l->save_io[i] = (struct dev_io){.op = op, .done = written, .owner = l};
	if (op == DEV_WRITE) {
		l->save_io[i].off_bytes = blk * BLK_BYTES;
		l->save_io[i].len_bytes = BLK_BYTES;
		l->save_io[i].iov = &l->save_iov[i];
		l->save_io[i].niov = 1;
	}
	l->save_writes++;
	dev_queue(l->dev, &l->save_io[i]);
}

static void encode_entry(struct level *l, uint32_t no, struct leveltab_entry *e)
{
	struct seg *g = &l->segs.v[no];

	*e = (struct leveltab_entry){0};
	if (g->state != SEG_SEALED || g->buf >= 0) /* (L2), (L3) */
		return;
	if (level_unloaded(l, (segno_t){no})) {
		level_load_entry(l, (segno_t){no}, e);
		return;
	}
	if (!g->live)
		return;
	e->seq = g->seq;
	e->used_blk = g->used;
	for (uint32_t i = 0; i < g->used; i++)
		if (idx_state(l->idx, (slot_t){no * l->sb.seg_blk + i}) != SLOT_DEAD)
			e->live[i / 8] |= (uint8_t)(1u << i % 8);
}

static void encode_page(struct level *l, uint32_t page, uint8_t *to)
{
	memset(to, 0, BLK_BYTES);
	for (uint32_t i = 0; i < LEVELTAB_PER_PAGE; i++) {
		uint32_t no = page * LEVELTAB_PER_PAGE + i;
		struct leveltab_entry e;

		if (no < 1 || no > l->segs.nsegs)
			continue;
		encode_entry(l, no, &e);
		leveltab_put(to, i, &e);
	}
	leveltab_seal(to, page);
}

static bool write_pages(struct level *l)
{
	unsigned copy = l->save_seq % 2;
	uint32_t n = 0;

	while (l->save_page < l->sb.meta_pages && n < LEVEL_SAVE_PAGES) {
		uint32_t page = l->save_page++;

		if (!(l->stale[page] & 1u << copy))
			continue;
		l->stale[page] &= copy ? 1 : 2;
		encode_page(l, page, l->save_mem + (size_t)n * BLK_BYTES);
		l->page_crc[copy * l->sb.meta_pages + page] = leveltab_crc(l->save_mem + (size_t)n * BLK_BYTES);
		issue(l, n++, DEV_WRITE, copy_blk(l, copy) + 1 + page);
	}
	return n > 0;
}

static void write_head(struct level *l)
{
	unsigned copy = l->save_seq % 2;
	struct leveltab_head h = {
		.ckpt_seq = l->save_seq,
		.nonce = l->save_nonce,
		.next_seq = l->next_seq,
		.pages = l->sb.meta_pages,
		.pages_crc = leveltab_vouch(l->page_crc + copy * l->sb.meta_pages, l->sb.meta_pages),
	};

	memcpy(h.pool_uuid, l->sb.pool_uuid, 16);
	memcpy(h.dev_uuid, l->sb.dev_uuid, 16);
	leveltab_head_encode(&h, l->save_mem);
	issue(l, 0, DEV_WRITE, copy_blk(l, copy));
}

static bool save_step(struct level *l)
{
	if (l->save == SAVE_IDLE || l->save_writes)
		return false;
	switch (l->save) {
	case SAVE_PAGES:
		if (!write_pages(l)) {
			l->save = SAVE_FLUSH1;
			issue(l, 0, DEV_FLUSH, 0);
		}
		break;
	case SAVE_FLUSH1:
		l->save = SAVE_HEAD;
		write_head(l);
		break;
	case SAVE_HEAD:
		l->save = SAVE_FLUSH2;
		issue(l, 0, DEV_FLUSH, 0);
		break;
	default:
		l->save = SAVE_IDLE;
		l->segs_since = 0;
		break;
	}
	return true;
}

void level_save_begin(struct hb_pool *p, uint64_t ckpt_seq, uint64_t nonce)
{
	for (uint32_t i = 0; i < p->nlevels; i++) {
		struct level *l = &p->levels[i];

		if (l->state != LEVEL_ON || l->save_writes)
			continue;
		l->save = SAVE_PAGES;
		l->save_seq = ckpt_seq;
		l->save_nonce = nonce;
		l->save_page = 0;
	}
}

bool level_save_pump(struct hb_pool *p)
{
	bool did = false;

	for (uint32_t i = 0; i < p->nlevels; i++)
		did |= save_step(&p->levels[i]);
	return did;
}

bool level_wants_table(const struct hb_pool *p)
{
	for (uint32_t i = 0; i < p->nlevels; i++)
		if (p->levels[i].state == LEVEL_ON && p->levels[i].segs_since > MAX(2, p->levels[i].segs.nsegs / 32))
			return true;
	return false;
}

bool level_saving(const struct hb_pool *p)
{
	for (uint32_t i = 0; i < p->nlevels; i++)
		if (p->levels[i].save != SAVE_IDLE)
			return true;
	return false;
}

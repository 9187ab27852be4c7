/* SPDX-License-Identifier: GPL-2.0-only */
/* unmap.c - the step of HB_UNMAP (and of zeros written by HB_WRITE_SAME): blocks wholly inside become holes, the edges
 * are written with zeros. The record goes to the log before the map changes: if memory runs out half-way, replay does
 * more than was done, never less (the request failed, so either is right).
 */
#include "engine/pool.h"

#define UNMAP_STEP_BLK 4096u /* one record, one turn: of a map's leaf or two at most as many entries as one has */

/* [abs, abs+n) lies within one block and does not fill it. 1, 0: waits, -errno. */
static int zero_part(struct hb_req *r, uint64_t abs, uint32_t n)
{
	struct hb_pool *p = r->pool;
	vblk_t vb = {abs / BLK_BYTES};
	const uint8_t *old;
	int rc = need_block(r, r->vol, vb, &old, false);

	if (rc <= 0)
		return rc;
	if (old == zero_block)
		return 1;
	memcpy(p->scratch, old, BLK_BYTES);
	memset(p->scratch + abs % BLK_BYTES, 0, n);
	rc = put_block(r, r->vol, vb, p->scratch);
	return rc ? rc : 1;
}

/* Whole blocks. 1 or -errno. */
static int unmap_blocks(struct hb_req *r, vblk_t vb, uint64_t n)
{
	struct hb_pool *p = r->pool;
	struct rec rec = {.type = REC_UNMAP, .vol = r->vol->id, .vblk = vb.n, .count = n};
	int rc;

	if (p->failed)
		return -EIO;
	if (!meta_room(p, META_SPARE_UNMAP + meta_frag_spare(p)) && !meta_wait(p))
		return -ENOSPC;
	if (!meta_room(p, META_SPARE_UNMAP + meta_frag_spare(p)) || !log_room(p, 0, rec_bytes(REC_UNMAP), false)) {
		req_wait(r, &p->log_waiters);
		return -EAGAIN;
	}
	if (!BUG(UNLOGGED_UNMAP))
		log_rec(p, &rec);
	log_publish(p);
	rc = blk_unmap(p, r->vol, vb, n);
	return rc ? rc : 1;
}

enum step step_unmap(struct hb_req *r)
{
	struct hb_pool *p = r->pool;
	uint64_t end = r->off_bytes + r->len_bytes;

	while (r->pos < r->len_bytes) {
		uint64_t abs = r->off_bytes + r->pos, n = MIN(BLK_BYTES - abs % BLK_BYTES, end - abs);
		vblk_t vb = {abs / BLK_BYTES};
		bool whole = n == BLK_BYTES;
		int rc;

		if (whole) {
			vblk_t next = map_next_mapped(&p->maps, &r->vol->map, vb);

			if (next.n > vb.n) { /* holes already */
				r->pos = MIN(next.n, end / BLK_BYTES) * BLK_BYTES - r->off_bytes;
				if (next.n >= end / BLK_BYTES && end % BLK_BYTES == 0)
					return STEP_DONE;
				continue;
			}
			n = MIN((end - abs) / BLK_BYTES, UNMAP_STEP_BLK);
			rc = unmap_blocks(r, vb, n);
			n *= BLK_BYTES;
		} else {
			rc = zero_part(r, abs, (uint32_t)n);
		}
		if (rc == 0)
			fetch_flush(p);
		if (rc == 0 || rc == -EAGAIN)
			return STEP_WAIT;
		if (rc < 0) {
			req_fail(r, rc, abs);
			return STEP_DONE;
		}
		r->pos += n;
		if (whole && r->pos < r->len_bytes) {
			req_wake(r);
			return STEP_WAIT;
		}
	}
	return STEP_DONE;
}

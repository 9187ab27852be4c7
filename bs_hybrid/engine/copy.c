/* SPDX-License-Identifier: GPL-2.0-only */
/* copy.c - the step of HB_COPY: whole chunks at equal offsets within their chunks are shared, no data moves; the rest
 * goes piece by piece through memory.
 */
#include "engine/pool.h"

static bool overlap(const struct hb_req *r)
{
	return r->vol == r->src_vol && r->off_bytes < r->src_off_bytes + r->len_bytes &&
	       r->src_off_bytes < r->off_bytes + r->len_bytes;
}

/* Bytes from here on that can be shared: whole chunks. */
static uint64_t sharable(const struct hb_req *r)
{
	uint64_t cb = (uint64_t)r->pool->sb.chunk_blk * BLK_BYTES;
	uint64_t d = r->off_bytes + r->pos, s = r->src_off_bytes + r->pos;

	if (d % cb || s % cb)
		return 0;
	return MIN(ROUND_DOWN(r->len_bytes - r->pos, cb), SHARE_STEP_CHUNKS * cb);
}

static int share(struct hb_req *r, uint64_t len)
{
	struct hb_pool *p = r->pool;
	struct rec rec = {
		.type = REC_SHARE,
		.vol = r->vol->id,
		.vblk = (r->off_bytes + r->pos) / BLK_BYTES,
		.src_vol = r->src_vol->id,
		.src_vblk = (r->src_off_bytes + r->pos) / BLK_BYTES,
		.count = len / BLK_BYTES,
	};
	int rc;

	if (p->failed)
		return -EIO;
	if (rec.vblk + rec.count > r->vol->size_blk) /* reverted to a smaller size meanwhile */
		return -EINVAL;
	if (!meta_room(p, META_SPARE_WRITE + 2 * meta_frag_spare(p)) && !meta_wait(p))
		return -ENOSPC;
	if (!meta_room(p, META_SPARE_WRITE + 2 * meta_frag_spare(p)) || !log_room(p, 0, rec_bytes(REC_SHARE), false)) {
		req_wait(r, &p->log_waiters);
		return -EAGAIN;
	}
	log_rec(p, &rec);
	log_publish(p);
	rc = blk_share(p, r->vol, (vblk_t){rec.vblk}, r->src_vol, (vblk_t){rec.src_vblk}, rec.count);
	if (rc) /* replay would share what was not shared here, and later writes of the source with it */
		pool_fail(p, "out of memory while chunks were being shared");
	return rc ? rc : 1;
}

/* n bytes of the source from byte s on: within two blocks of it. 1, 0: waits, -errno. */
static int source(struct hb_req *r, uint64_t s, uint8_t *to, uint32_t n)
{
	while (n) {
		uint32_t part = (uint32_t)MIN(BLK_BYTES - s % BLK_BYTES, n);
		const uint8_t *m;
		int rc = need_block(r, r->src_vol, (vblk_t){s / BLK_BYTES}, &m, false);

		if (rc <= 0)
			return rc;
		memcpy(to, m + s % BLK_BYTES, part);
		to += part;
		s += part;
		n -= part;
	}
	return 1;
}

/* One block of the target, or the part of it that is in the range; a block is copied at one instant. *len is cut to
 * it. */
static int copy_piece(struct hb_req *r, uint64_t *len)
{
	struct hb_pool *p = r->pool;
	uint64_t d = r->off_bytes + r->pos;
	uint32_t n = (uint32_t)MIN(BLK_BYTES - d % BLK_BYTES, r->len_bytes - r->pos);
	uint8_t piece[BLK_BYTES];
	const uint8_t *m;
	int rc = source(r, r->src_off_bytes + r->pos, piece, n);

	*len = n;
	if (rc <= 0)
		return rc;
	if (n < BLK_BYTES) {
		rc = need_block(r, r->vol, (vblk_t){d / BLK_BYTES}, &m, false);
		if (rc <= 0)
			return rc;
		memcpy(p->scratch, m, BLK_BYTES);
	}
	memcpy(p->scratch + d % BLK_BYTES, piece, n);
	rc = put_block(r, r->vol, (vblk_t){d / BLK_BYTES}, p->scratch);
	return rc ? rc : 1;
}

#define COPY_STEP_PIECES 256u

enum step step_copy(struct hb_req *r)
{
	uint32_t pieces = 0;

	if (overlap(r)) {
		req_fail(r, -EINVAL, r->off_bytes);
		return STEP_DONE;
	}
	if (!throttle_pass(r, 1))
		return STEP_WAIT;
	while (r->pos < r->len_bytes) {
		uint64_t len = sharable(r);
		bool shared = len > 0;
		int rc = shared ? share(r, len) : copy_piece(r, &len);

		if (rc == 0)
			fetch_flush(r->pool);
		if (rc == 0 || rc == -EAGAIN)
			return STEP_WAIT;
		if (rc < 0) {
			req_fail(r, rc, r->off_bytes + r->pos);
			return STEP_DONE;
		}
		r->pos += len;
		if ((shared || ++pieces == COPY_STEP_PIECES) && r->pos < r->len_bytes) {
			req_wake(r);
			return STEP_WAIT;
		}
	}
	return STEP_DONE;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* atomic.c - HB_COMPARE_WRITE and HB_ATOMIC writes: all blocks at one instant, in one unit of the log.
 *
 * All old contents that are needed are brought into memory and pinned; then, in one turn and without waiting: compare,
 * choose places, append everything, publish once. A unit is valid as a whole or not at all, and its counts are
 * published in one store: neither a power cut nor a kill leaves half of it.
 */
#include "engine/pool.h"

#define ATOMIC_BLK (HB_ATOMIC_MAX / BLK_BYTES + 1) /* an unaligned range touches one more */
_Static_assert(ATOMIC_BLK <= UNIT_DATA_MAX, "fits one unit");

struct place {
	pblk_t b;
	chunk_t taken;
};

static uint64_t first_blk(const struct hb_req *r)
{
	return r->off_bytes / BLK_BYTES;
}

static uint32_t blks(const struct hb_req *r)
{
	return (uint32_t)(DIV_UP(r->off_bytes + r->len_bytes, BLK_BYTES) - first_blk(r));
}

/* Which bytes of the request's data block i takes: [*from, *from + n) of the request, at *in of the block. */
static uint32_t slice(const struct hb_req *r, uint32_t i, uint64_t *from, uint32_t *in)
{
	uint64_t start = (first_blk(r) + i) * BLK_BYTES, lo = MAX(start, r->off_bytes);
	uint64_t hi = MIN(start + BLK_BYTES, r->off_bytes + r->len_bytes);

	*from = lo - r->off_bytes;
	*in = (uint32_t)(lo - start);
	return (uint32_t)(hi - lo);
}

static bool needs_old(const struct hb_req *r, uint32_t i)
{
	uint64_t from;
	uint32_t in;

	return r->op == HB_COMPARE_WRITE || slice(r, i, &from, &in) < BLK_BYTES;
}

/* 1: all that is needed is in memory and pinned; 0: waits; -errno. */
static int gather(struct hb_req *r)
{
	uint32_t n = blks(r), missing = 0;
	const uint8_t *old;

	req_unpin(r);
	/* Those that are there first, so that reading the others does not push them out. */
	for (uint32_t i = 0; i < n; i++) {
		pblk_t b = map_find(&r->pool->maps, &r->vol->map, (vblk_t){first_blk(r) + i});
		bool there = !b.n || blk_in_memory(r->pool, b);
		int rc = 1;

		if (!needs_old(r, i))
			continue;
		if (there)
			rc = need_block(r, r->vol, (vblk_t){first_blk(r) + i}, &old, true);
		if (rc < 0)
			return req_fail(r, rc, (first_blk(r) + i) * BLK_BYTES);
		missing += !there;
	}
	for (uint32_t i = 0; missing && i < n; i++) {
		pblk_t b = map_find(&r->pool->maps, &r->vol->map, (vblk_t){first_blk(r) + i});
		int rc;

		if (!needs_old(r, i) || !b.n || blk_in_memory(r->pool, b))
			continue;
		rc = need_block(r, r->vol, (vblk_t){first_blk(r) + i}, &old, true);
		if (rc < 0)
			return req_fail(r, rc, (first_blk(r) + i) * BLK_BYTES);
		if (!r->waiting) { /* on `starved`: nothing could be started, perhaps for our own pins */
			req_unpin(r);
			break;
		}
	}
	if (!missing)
		return 1;
	fetch_flush(r->pool);
	return 0;
}

static const uint8_t *old_bytes(struct hb_req *r, uint32_t i)
{
	pblk_t b = map_find(&r->pool->maps, &r->vol->map, (vblk_t){first_blk(r) + i});
	const uint8_t *m = b.n ? blk_in_memory(r->pool, b) : zero_block;

	assert(m);
	return m;
}

static bool same(struct hb_req *r)
{
	const uint8_t *want = r->buf;

	for (uint32_t i = 0; i < blks(r); i++) {
		uint64_t from;
		uint32_t in, n = slice(r, i, &from, &in);
		const uint8_t *have = old_bytes(r, i) + in;

		for (uint32_t k = 0; k < n; k++) {
			if (have[k] != want[from + k]) {
				req_fail(r, -EILSEQ, r->off_bytes + from + k);
				return false;
			}
		}
	}
	return true;
}

/* Places for all blocks, or none: 0, -EAGAIN (the request waits), -errno. */
static int choose(struct hb_req *r, struct place *pl, uint32_t n)
{
	struct hb_pool *p = r->pool;
	chunk_t last = CHUNK_NONE;
	uint64_t last_no = UINT64_MAX;
	int rc = 0;
	uint32_t i;

	for (i = 0; i < n; i++) {
		vblk_t vb = {first_blk(r) + i};

		pl[i].taken = CHUNK_NONE;
		if (last.n && vb.n / p->sb.chunk_blk == last_no) { /* the chunk just taken */
			pl[i].b = (pblk_t){(uint64_t)last.n * p->sb.chunk_blk + vb.n % p->sb.chunk_blk};
			continue;
		}
		rc = put_target(r, r->vol, vb, &pl[i].b, &pl[i].taken);
		if (rc)
			break;
		last = pl[i].taken;
		last_no = vb.n / p->sb.chunk_blk;
	}
	if (!rc)
		return 0;
	while (i--)
		if (pl[i].taken.n)
			chunks_release(p->chunks, pl[i].taken);
	return rc;
}

/* The new bytes of block i. The edges of an unaligned request were saved in `edge` before anything was appended. */
static const uint8_t *bytes_of(const struct hb_req *r, uint32_t i, uint8_t *edge)
{
	const uint8_t *data = (const uint8_t *)r->buf + (r->op == HB_COMPARE_WRITE ? r->len_bytes : 0);
	uint64_t from;
	uint32_t in, n = slice(r, i, &from, &in);

	if (n == BLK_BYTES)
		return data + from;
	edge += i ? BLK_BYTES : 0;
	memcpy(edge + in, data + from, n);
	return edge;
}

static uint8_t *edges(const struct hb_req *r)
{
	return (uint8_t *)(r->pinned + ATOMIC_BLK);
}

static void append_all(struct hb_req *r, const struct place *pl, uint32_t n)
{
	struct hb_pool *p = r->pool;

	for (uint32_t i = 0; i < n; i++) {
		vblk_t vb = {first_blk(r) + i};

		if (put_commit(p, r->vol, vb, pl[i].b, bytes_of(r, i, edges(r)))) {
			/* Part of it is appended but not published: nothing more may be, or it would be, too. */
			req_fail(r, -ENOMEM, vb.n * BLK_BYTES);
			pool_fail(p, "out of memory within an atomic write");
			return;
		}
		if (BUG(TORN_ATOMIC))
			log_publish(p);
	}
	log_publish(p);
}

enum step step_atomic(struct hb_req *r)
{
	struct hb_pool *p = r->pool;
	struct place pl[ATOMIC_BLK];
	uint32_t n = blks(r);
	int rc;

	if (!r->len_bytes)
		return STEP_DONE;
	if (!throttle_pass(r, n))
		return STEP_WAIT;
	if (!r->pinned)
		r->pinned = mem_alloc(ATOMIC_BLK * sizeof(*r->pinned) + 2 * BLK_BYTES);
	if (!r->pinned) {
		req_fail(r, -ENOMEM, r->off_bytes);
		return STEP_DONE;
	}
	rc = gather(r);
	if (rc <= 0)
		return rc == 0 || r->waiting ? STEP_WAIT : STEP_DONE;
	if (r->op == HB_COMPARE_WRITE && !same(r) && !BUG(COMPARE_SKIPPED))
		return STEP_DONE;
	for (uint32_t i = 0; i<n; i += n> 1 ? n - 1 : 1)
		if (needs_old(r, i))
			memcpy(edges(r) + (i ? BLK_BYTES : 0), old_bytes(r, i), BLK_BYTES);
	if (p->failed) {
		req_fail(r, -EIO, r->off_bytes);
		return STEP_DONE;
	}
	if (!log_room(p, n, 0, false)) {
		req_unpin(r);
		req_wait(r, &p->log_waiters);
		return STEP_WAIT;
	}
	rc = choose(r, pl, n);
	if (rc == -EAGAIN)
		return STEP_WAIT;
	if (rc)
		req_fail(r, rc, r->off_bytes);
	else
		append_all(r, pl, n);
	return STEP_DONE;
}

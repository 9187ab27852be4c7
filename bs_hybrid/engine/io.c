/* SPDX-License-Identifier: GPL-2.0-only */
/* io.c - the steps of reads, plain writes, compares and prefetches. */
#include "engine/pool.h"

#define PREFETCH_BLK 16u

/* The part of the block at byte `abs` that [abs, end) covers. */
static uint32_t part(uint64_t abs, uint64_t end)
{
	return (uint32_t)MIN(BLK_BYTES - abs % BLK_BYTES, end - abs);
}

/* No fetch could be started: wait for one to end. If some of our own are under way, their end steps us again. */
static enum step starve(struct hb_req *r)
{
	bool turn = r->turned_away;

	fetch_flush(r->pool);
	r->turned_away = false;
	if (!r->waiting && turn)
		read_wait(r);
	else if (!r->waiting)
		req_wait(r, &r->pool->starved);
	return STEP_WAIT;
}

static bool lost(struct hb_pool *p, pblk_t b)
{
	slot_t s = idx_find(p->idx, b);

	return s.n && idx_state(p->idx, s) == SLOT_LOST;
}

/* ---------------------------------------------------------------- read */

/* Levels above `hit` (NULL: all) were asked in vain. */
static void count_misses(struct hb_pool *p, const struct level *hit)
{
	for (uint32_t i = 0; i < p->nlevels && &p->levels[i] != hit; i++)
		p->levels[i].st.miss_blocks += p->levels[i].state == LEVEL_ON;
}

/* The same of a block that a cache level may hold; -ENOENT: none does. */
static int read_level(struct hb_req *r, pblk_t b, uint8_t *dst, uint32_t in, uint32_t n)
{
	struct hb_pool *p = r->pool;
	const uint8_t *m;
	slot_t s;
	struct level *l = level_find(p, b, &s);
	int rc;

	if (!l)
		return -ENOENT;
	m = level_in_memory(l, s);
	if (m)
		memcpy(dst, m + in, n);
	rc = m ? 1 : fetch_start(p, r, b, dst, (uint16_t)in, (uint16_t)n, false);
	if (rc > 0) {
		idx_set_hit(l->idx, s, true);
		l->st.hit_blocks++;
		p->st.read_levels++;
		r->vol->st.read_blocks[HB_PLACE_LEVEL1 + l->no - 1]++;
		count_misses(p, l);
	}
	return rc;
}

/* One block of a read: answered from memory, or a fetch. 1, or 0: no resources, or -errno. */
static int read_block(struct hb_req *r, pblk_t b, uint8_t *dst, uint32_t in, uint32_t n)
{
	struct hb_pool *p = r->pool;
	struct frame *f = ram_find(p->ram, b);
	struct seg *g;
	slot_t s;
	int rc;

	if (f) {
		memcpy(dst, (uint8_t *)ram_data(p->ram, f) + in, n);
		if (f->ahead) { /* what would have been a miss is no second use */
			f->ahead = false;
			ahead_used(p);
		} else {
			ram_hit(p->ram, f);
		}
		p->st.read_ram++;
		r->vol->st.read_blocks[HB_PLACE_RAM]++;
		return 1;
	}
	s = idx_find(p->idx, b);
	if (!s.n && p->nlevels && (rc = read_level(r, b, dst, in, n)) >= 0)
		return rc;
	if (!s.n) {
		rc = fetch_start(p, r, b, dst, (uint16_t)in, (uint16_t)n, false);
		if (rc > 0) {
			p->st.read_capacity++;
			r->vol->st.read_blocks[HB_PLACE_CAPACITY]++;
			count_misses(p, NULL);
		}
		return rc;
	}
	if (idx_state(p->idx, s) == SLOT_LOST)
		return -EBADMSG;
	idx_set_hit(p->idx, s, true);
	g = segs_of_slot(&p->segs, s);
	if (g->buf >= 0) {
		memcpy(dst, p->log.bufs[g->buf].mem + (uint64_t)(s.n % p->sb.seg_blk) * BLK_BYTES + in, n);
		p->st.read_staging++;
		r->vol->st.read_blocks[HB_PLACE_STAGING]++;
		return 1;
	}
	rc = fetch_start(p, r, b, dst, (uint16_t)in, (uint16_t)n, false);
	p->st.read_ssd += rc > 0;
	r->vol->st.read_blocks[HB_PLACE_WRITE] += rc > 0;
	return rc;
}

enum step step_read(struct hb_req *r)
{
	struct hb_pool *p = r->pool;
	uint64_t end = r->off_bytes + r->len_bytes;
	struct ahead_plan plan = {0, 0};
	uint8_t *buf = r->buf;

	if (r->planned == UINT64_MAX)
		ahead_request(r);
	while (r->pos < r->len_bytes) {
		uint64_t abs = r->off_bytes + r->pos;
		pblk_t b;
		uint64_t run = map_find_run(&p->maps, &r->vol->map, (vblk_t){abs / BLK_BYTES},
					    DIV_UP(end, BLK_BYTES) - abs / BLK_BYTES, &b);

		for (uint64_t i = 0; i < run; i++) {
			uint32_t n;
			int rc = 1;

			abs = r->off_bytes + r->pos;
			n = part(abs, end);
			if (!b.n) {
				memset(buf + r->pos, 0, n);
				p->st.read_zero++;
				r->vol->st.read_blocks[HB_PLACE_ZERO]++;
			} else {
				uint64_t blk = abs / BLK_BYTES;

				if (blk >= r->planned && !blk_cached(p, (pblk_t){b.n + i})) {
					plan = ahead_miss(r, blk, (pblk_t){b.n + i}, run - i);
					ahead_fetch(r, (pblk_t){b.n + i - plan.before}, plan.before);
				}
				rc = read_block(r, (pblk_t){b.n + i}, buf + r->pos, abs % BLK_BYTES, n);
				if (rc > 0 && plan.after && blk + 1 == r->planned) {
					ahead_fetch(r, (pblk_t){b.n + i + 1}, plan.after);
					plan.after = 0;
				}
			}
			if (rc == 0)
				return starve(r);
			if (rc < 0) {
				req_fail(r, rc, abs);
				fetch_flush(p);
				return r->waiting ? STEP_WAIT : STEP_DONE;
			}
			r->pos += n;
		}
	}
	fetch_flush(p);
	return r->waiting ? STEP_WAIT : STEP_DONE;
}

/* ---------------------------------------------------------------- old contents */

int need_block(struct hb_req *r, struct hb_volume *v, vblk_t vb, const uint8_t **ret, bool pin)
{
	struct hb_pool *p = r->pool;
	pblk_t b = map_find(&p->maps, &v->map, vb);
	struct frame *f;

	if (!b.n) {
		*ret = zero_block;
		return 1;
	}
	if (lost(p, b))
		return -EBADMSG;
	*ret = blk_in_memory(p, b);
	if (*ret) {
		f = pin ? ram_find(p->ram, b) : NULL;
		if (f) {
			ram_pin(f);
			r->pinned[r->npinned++] = f;
		}
		return 1;
	}
	if (!fetch_start(p, r, b, NULL, 0, 0, pin))
		starve(r);
	return 0;
}

enum step step_compare(struct hb_req *r)
{
	uint64_t end = r->off_bytes + r->len_bytes;
	const uint8_t *buf = r->buf, *old;

	while (r->pos < r->len_bytes) {
		uint64_t abs = r->off_bytes + r->pos;
		uint32_t n = part(abs, end), in = abs % BLK_BYTES;
		int rc = need_block(r, r->vol, (vblk_t){abs / BLK_BYTES}, &old, false);

		if (rc == 0) {
			fetch_flush(r->pool);
			return STEP_WAIT;
		}
		if (rc < 0) {
			req_fail(r, rc, abs);
			return STEP_DONE;
		}
		for (uint32_t i = 0; i < n; i++) {
			if (buf[r->pos + i] != old[in + i]) {
				req_fail(r, -EILSEQ, abs + i);
				return STEP_DONE;
			}
		}
		r->pos += n;
	}
	return STEP_DONE;
}

enum step step_prefetch(struct hb_req *r)
{
	struct hb_pool *p = r->pool;
	uint64_t len = MIN(r->len_bytes, ram_frames(p->ram) / 2 * BLK_BYTES);

	if (r->vol->attr.mode == HB_MODE_NONE)
		return STEP_DONE;
	while (r->pos < len) {
		uint64_t abs = r->off_bytes + r->pos;
		pblk_t b = map_find(&p->maps, &r->vol->map, (vblk_t){abs / BLK_BYTES});

		if (b.n && !lost(p, b) && !blk_in_memory(p, b) && !fetch_start(p, r, b, NULL, 0, 0, false))
			return starve(r);
		r->pos += part(abs, r->off_bytes + len);
	}
	fetch_flush(p);
	return r->waiting ? STEP_WAIT : STEP_DONE;
}

/* ---------------------------------------------------------------- write */

/* Chooses where vb's new bytes go: in place if nobody shares the chunk, else in a fresh one (*taken). */
int put_target(struct hb_req *r, struct hb_volume *v, vblk_t vb, pblk_t *ret, chunk_t *taken)
{
	struct hb_pool *p = r->pool;
	chunk_t c = map_writable(&p->maps, &v->map, vb);

	*taken = CHUNK_NONE;
	if (vb.n >= v->size_blk) /* the volume was reverted to a smaller size meanwhile */
		return -EINVAL;
	/* Overwriting in place needs no page of the metadata that is not needed already; all else may. */
	if (!meta_room(p, META_SPARE_WRITE + 2 * meta_frag_spare(p)) && (!c.n || !map_find(&p->maps, &v->map, vb).n)) {
		if (!meta_wait(p))
			return -ENOSPC;
		req_wait(r, &p->log_waiters);
		return -EAGAIN;
	}
	if (!c.n) {
		c = *taken = chunks_take(p->chunks, map_near(&p->maps, &v->map, vb));
		if (!c.n && (p->limbo_n || p->bypass.taken)) {
			/* Some will be free as soon as their records are durable, or what goes past is mapped. */
			if (p->limbo_n)
				log_want(p, p->limbo[p->limbo_head].unit_seq);
			req_wait(r, &p->space_waiters);
			return -EAGAIN;
		}
		if (!c.n)
			return -ENOSPC;
	}
	*ret = (pblk_t){(uint64_t)c.n * p->sb.chunk_blk + vb.n % p->sb.chunk_blk};
	return 0;
}

/* The log has room. 0, or -ENOMEM with nothing changed. */
int put_commit(struct hb_pool *p, struct hb_volume *v, vblk_t vb, pblk_t b, const void *data)
{
	struct rec rec = {.vol = v->id, .vblk = vb.n, .pblk = b.n};
	bool was_dirty = dirty_test(p->dirty, b), keep = through_keeps(p, v, b);
	pblk_t old = v->attr.npins ? map_find(&p->maps, &v->map, vb) : b;
	struct frame *f;
	uint32_t crc;
	slot_t s;
	int rc = dirty_set(p->dirty, b);

	if (rc)
		return rc;
	rc = blk_map(p, v, vb, b);
	if (rc) {
		if (!was_dirty)
			dirty_clear(p->dirty, b);
		return rc;
	}
	s = log_data(p, &rec, data, &crc);
	blk_supersede(p, b, true);
	blk_put(p, s, b, crc, SLOT_DIRTY);
	if (keep)
		idx_set_earned(p->idx, s, true);
	if (v->attr.npins)
		pins_written(p, v, vb, old, b);
	f = ram_find(p->ram, b);
	if (f && v->attr.mode >= HB_MODE_READ_ONLY && !pins_has(p, b))
		ram_remove(p->ram, f);
	else if (f && !BUG(STALE_RAM))
		copy_block_cold(ram_data(p->ram, f), data);
	if (!BUG(STALE_FETCH))
		blk_poison(p, b, false);
	return 0;
}

int put_block(struct hb_req *r, struct hb_volume *v, vblk_t vb, const void *data)
{
	struct hb_pool *p = r->pool;
	chunk_t taken;
	pblk_t b;
	int rc;

	if (p->failed)
		return -EIO;
	if (!log_room(p, 1, 0, false)) {
		req_wait(r, &p->log_waiters);
		return -EAGAIN;
	}
	rc = put_target(r, v, vb, &b, &taken);
	if (rc)
		return rc;
	rc = put_commit(p, v, vb, b, data);
	if (rc && taken.n)
		chunks_release(p->chunks, taken);
	if (!BUG(LATE_PUBLISH))
		log_publish(p);
	return rc;
}

/* Lays the request's bytes over [in, in+n) of a block. A pattern goes on where it was at the end of the last block. */
static void lay_over(const struct hb_req *r, uint8_t *blk, uint32_t in, uint32_t n)
{
	const uint8_t *src = r->buf;

	switch (r->op) {
	case HB_WRITE_SAME:
		for (uint32_t i = 0; i < n; i += SECTOR_BYTES)
			memcpy(blk + in + i, src + (r->pos + i) % r->pattern_bytes, SECTOR_BYTES);
		break;
	case HB_OR_WRITE:
		for (uint32_t i = 0; i < n; i++)
			blk[in + i] |= src[r->pos + i];
		break;
	default:
		memcpy(blk + in, src + r->pos, n);
	}
}

/* The block's new bytes: the initiator's own where it covers the whole block, else made in scratch. 1, 0: wait,
 * -errno. */
static int new_bytes(struct hb_req *r, uint64_t abs, uint32_t n, const uint8_t **ret)
{
	uint8_t *scratch = r->pool->scratch;
	const uint8_t *old;
	int rc;

	if (n == BLK_BYTES && r->op == HB_WRITE) {
		*ret = (uint8_t *)r->buf + r->pos;
		return 1;
	}
	if (n < BLK_BYTES || r->op == HB_OR_WRITE) {
		rc = need_block(r, r->vol, (vblk_t){abs / BLK_BYTES}, &old, false);
		if (rc <= 0)
			return rc;
		memcpy(scratch, BUG(RMW_FORGETS) ? zero_block : old, BLK_BYTES);
	}
	lay_over(r, scratch, abs % BLK_BYTES, n);
	*ret = scratch;
	return 1;
}

/* The searches that the next blocks of a long write will make, begun together: one after the other each would wait for
 * memory. Guesses that the blocks lie behind each other, as they mostly do; where not, nothing but time is lost. */
static void prefetch_searches(const struct hb_req *r, uint64_t abs, uint64_t end)
{
	const struct hb_pool *p = r->pool;
	pblk_t b;
	uint64_t n = map_find_run(&p->maps, &r->vol->map, (vblk_t){abs / BLK_BYTES},
				  MIN((end - abs) / BLK_BYTES, PREFETCH_BLK), &b);

	for (int depth = 0; b.n && depth < 2; depth++) {
		for (uint64_t i = 0; i < n; i++) {
			idx_prefetch(p->idx, (pblk_t){b.n + i}, depth);
			ram_prefetch(p->ram, (pblk_t){b.n + i}, depth);
		}
	}
}

#define WRITE_STEP_BLK 4096u /* then others get their turn */

enum step step_write(struct hb_req *r)
{
	uint64_t end = r->off_bytes + r->len_bytes, left = DIV_UP(r->len_bytes, BLK_BYTES);
	uint32_t done = 0;

	if (r->op == HB_WRITE && r->flags & HB_ATOMIC)
		return step_atomic(r);
	if (r->op == HB_WRITE_SAME && all_zero(r->buf, r->pattern_bytes))
		return step_unmap(r);
	if (r->op == HB_WRITE && !bypass_step(r))
		return STEP_WAIT;
	left -= r->past_to - r->past_from;
	if (r->error || !left)
		return STEP_DONE;
	if (!throttle_pass(r, left))
		return STEP_WAIT;
	while (r->pos < r->len_bytes) {
		uint64_t abs = r->off_bytes + r->pos;
		uint32_t n = part(abs, end);
		const uint8_t *data;
		int rc;

		if (abs / BLK_BYTES == r->past_from && r->past_to > r->past_from) {
			r->pos += (r->past_to - r->past_from) * BLK_BYTES;
			continue;
		}
		if (done % PREFETCH_BLK == 0 && end - abs >= 4 * BLK_BYTES)
			prefetch_searches(r, abs, end);
		rc = new_bytes(r, abs, n, &data);
		if (rc == 0) {
			fetch_flush(r->pool);
			return STEP_WAIT;
		}
		if (rc > 0)
			rc = put_block(r, r->vol, (vblk_t){abs / BLK_BYTES}, data);
		if (rc == -EAGAIN)
			return STEP_WAIT;
		if (rc) {
			req_fail(r, rc, abs);
			return STEP_DONE;
		}
		r->pos += n;
		if (++done == WRITE_STEP_BLK && r->pos < r->len_bytes) {
			req_wake(r);
			return STEP_WAIT;
		}
	}
	return STEP_DONE;
}

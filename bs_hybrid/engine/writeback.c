/* SPDX-License-Identifier: GPL-2.0-only */
/* writeback.c - dirty blocks go to the capacity device, in pool order, in long runs.
 *
 * A round: pick runs of dirty blocks (first what the oldest segments hold, if the cleaner is short of segments; else
 * onward from the elevator's cursor), read them from RAM, staging or the write tier, check them, write each run,
 * and after WB_BATCH_BLK blocks or at the end flush the capacity device. Only then do the blocks become clean, and
 * only those whose slot is still the one that was written.
 *
 * Crash stories
 * - Written back before its unit is durable (P2): power fails, the log ends before the unit, and the capacity device
 *   holds bytes that were never promised - in a chunk that may belong to another volume again.
 * - Clean before the flush (P3): the segment is freed and reused, power fails, the capacity device had the write in its
 *   cache only: the block is gone.
 * One batch at a time: two writes of one block are never in flight together.
 */
#include <stdlib.h>

#include "engine/pool.h"

#define WB_BACKOFF_NS SEC_NS
#define WB_READ_TRIES 3

int wb_init(struct hb_pool *p, uint32_t depth)
{
	struct writeback *w = &p->wb;

	w->depth = depth;
	w->blk_ns = 100000;
	w->runs = mem_calloc(depth, sizeof(*w->runs));
	w->batch = mem_calloc(WB_BATCH_BLK, sizeof(*w->batch));
	w->urgent = mem_calloc(WB_BATCH_BLK, sizeof(*w->urgent));
	if (!w->runs || !w->batch || !w->urgent)
		return -ENOMEM;
	for (uint32_t i = 0; i < depth; i++) {
		w->runs[i].pool = p;
		w->runs[i].mem = mem_map((size_t)WB_RUN_BLK * BLK_BYTES);
		if (!w->runs[i].mem)
			return -ENOMEM;
	}
	return 0;
}

void wb_fini(struct hb_pool *p)
{
	struct writeback *w = &p->wb;

	for (uint32_t i = 0; w->runs && i < w->depth; i++)
		if (w->runs[i].mem && !w->runs[i].busy)
			mem_unmap(w->runs[i].mem, (size_t)WB_RUN_BLK * BLK_BYTES);
	mem_free(w->runs);
	mem_free(w->batch);
	mem_free(w->urgent);
}

/* The slot of b if it may be written back now (P2). */
static slot_t eligible(struct hb_pool *p, pblk_t b)
{
	slot_t s = idx_find(p->idx, b);

	if (!s.n || idx_state(p->idx, s) != SLOT_DIRTY)
		return SLOT_NONE;
	if (segs_of_slot(&p->segs, s)->last_unit > p->log.durable_seq && !BUG(WRITE_BACK_EARLY))
		return SLOT_NONE;
	return s;
}

/* ---------------------------------------------------------------- one run */

/* A run whose memory a device may still write into stays busy for ever: there is one less. */
static void run_over(struct wb_run *r)
{
	r->busy = r->late;
	r->pool->wb.busy--;
}

static void run_written(struct dev_io *io)
{
	struct wb_run *r = container_of(io, struct wb_run, io);
	struct hb_pool *p = r->pool;
	struct writeback *w = &p->wb;

	if (io->error) {
		if (!p->cap_errors_logged++)
			pool_log(p, HB_LOG_ERROR,
				 "the capacity device does not take writes (%s); blocks stay in the log",
				 strerror(-io->error));
		w->backoff_until_ns = pool_now(p) + WB_BACKOFF_NS;
		r->late |= io->error == -ETIMEDOUT;
	} else {
		for (uint32_t i = 0; i < r->good; i++)
			w->batch[w->nbatch++] = r->blk[i];
		p->st.wb_blocks += r->good;
		p->st.wb_runs++;
	}
	run_over(r);
}

static void write_run(struct wb_run *r)
{
	struct hb_pool *p = r->pool;

	if (!r->good) {
		run_over(r);
		return;
	}
	r->iov = (struct iovec){r->mem, (size_t)r->good * BLK_BYTES};
	r->io = (struct dev_io){.op = DEV_WRITE,
				.off_bytes = r->blk[0].p.n * BLK_BYTES,
				.iov = &r->iov,
				.niov = 1,
				.len_bytes = (uint64_t)r->good * BLK_BYTES,
				.done = run_written};
	dev_queue(p->cap, &r->io);
}

/* The block cannot be had: it is lost, unless it was superseded meanwhile. */
static void lose(struct hb_pool *p, const struct wb_block *b, const char *why)
{
	p->st.checksum_errors++;
	if (idx_find(p->idx, b->p).n != b->slot.n || idx_crc(p->idx, b->slot) != b->crc)
		return;
	pool_log(p, HB_LOG_ERROR, "block %llu is lost: the write tier %s", (unsigned long long)b->p.n, why);
	blk_set_state(p, b->slot, SLOT_LOST);
}

/* Blocks first .. first+n-1 are in memory: bad ones end what may be written. */
static void check_blocks(struct wb_run *r, uint32_t first, uint32_t n)
{
	for (uint32_t i = first; i < first + n; i++) {
		if (crc32c(0, r->mem + (uint64_t)i * BLK_BYTES, BLK_BYTES) == r->blk[i].crc)
			continue;
		r->good = MIN(r->good, i);
		lose(r->pool, &r->blk[i], "returned wrong bytes");
	}
}

static void read_slots(struct wb_run *r, uint32_t first, uint32_t n, uint8_t tries);

/* A read failed: each block alone, a few times; one that cannot be read is lost, or it would keep its segment, and in
 * the end the whole log, for ever. A device that is gone or late is another matter: nothing is said of its blocks. */
static void read_failed(struct wb_run *r, uint32_t first, uint32_t n, uint8_t tries, int error)
{
	struct hb_pool *p = r->pool;

	if (error == -ETIMEDOUT || r->late || p->wt->failed) {
		r->late |= error == -ETIMEDOUT; /* somebody may still write into this memory: nothing in it counts */
		r->good = 0;
		p->wb.backoff_until_ns = pool_now(p) + WB_BACKOFF_NS;
	} else if (n > 1) {
		for (uint32_t i = first; i < first + n; i++)
			read_slots(r, i, 1, 0);
	} else if (tries < WB_READ_TRIES) {
		read_slots(r, first, 1, (uint8_t)(tries + 1));
	} else {
		r->good = MIN(r->good, first);
		lose(p, &r->blk[first], "cannot read it");
	}
}

static void read_done(struct dev_io *io)
{
	struct wb_read *rd = container_of(io, struct wb_read, io);
	struct wb_run *r = rd->run;
	uint32_t first = rd->first, n = rd->n;

	segs_of_slot(&r->pool->segs, r->blk[first].slot)->readers--;
	if (io->error)
		read_failed(r, first, n, rd->tries, io->error);
	else if (!r->late)
		check_blocks(r, first, n);
	if (--r->reads == 0 && !r->gathering)
		write_run(r);
}

/* Starts reading blocks first .. first+n-1, whose slots are neighbours in one segment. */
static void read_slots(struct wb_run *r, uint32_t first, uint32_t n, uint8_t tries)
{
	struct wb_read *rd = &r->read[first];
	struct hb_pool *p = r->pool;

	rd->run = r;
	rd->first = first;
	rd->n = n;
	rd->tries = tries;
	rd->iov = (struct iovec){r->mem + (uint64_t)first * BLK_BYTES, (size_t)n * BLK_BYTES};
	rd->io = (struct dev_io){.op = DEV_READ,
				 .off_bytes = (uint64_t)r->blk[first].slot.n * BLK_BYTES,
				 .iov = &rd->iov,
				 .niov = 1,
				 .len_bytes = (uint64_t)n * BLK_BYTES,
				 .done = read_done};
	r->reads++;
	segs_of_slot(&p->segs, r->blk[first].slot)->readers++;
	dev_queue(p->wt, &rd->io);
}

static void fill_run(struct wb_run *r)
{
	struct hb_pool *p = r->pool;
	uint32_t first = 0, pending = 0;

	for (uint32_t i = 0; i < r->n; i++) {
		const uint8_t *m = blk_in_memory(p, r->blk[i].p);
		bool joins = pending && r->blk[i].slot.n == r->blk[i - 1].slot.n + 1 &&
			     r->blk[i].slot.n % p->sb.seg_blk != 0;

		if (pending && (m || !joins)) {
			read_slots(r, first, pending, 0);
			pending = 0;
		}
		if (m) {
			memcpy(r->mem + (uint64_t)i * BLK_BYTES, m, BLK_BYTES);
			check_blocks(r, i, 1);
			continue;
		}
		if (!pending)
			first = i;
		pending++;
	}
	if (pending)
		read_slots(r, first, pending, 0);
}

static void start_run(struct hb_pool *p, struct wb_run *r)
{
	r->busy = true;
	p->wb.busy++;
	r->reads = 0;
	r->good = r->n;
	r->gathering = true;
	fill_run(r);
	r->gathering = false;
	if (!r->reads)
		write_run(r);
}

/* ---------------------------------------------------------------- choosing */

/* Extends a run from b on. Returns its length. */
static uint32_t gather(struct hb_pool *p, struct wb_run *r, pblk_t b)
{
	uint64_t max = dirty_run(p->dirty, b, WB_RUN_BLK);

	r->n = 0;
	for (uint64_t i = 0; i < max; i++) {
		pblk_t n = {b.n + i};
		slot_t s = eligible(p, n);

		if (!s.n)
			break;
		r->blk[r->n++] = (struct wb_block){n, s, idx_crc(p->idx, s)};
	}
	return r->n;
}

/* The next run's first block: urgent ones first. */
static bool next_block(struct hb_pool *p, pblk_t *ret)
{
	struct writeback *w = &p->wb;

	while (w->urgent_at < w->nurgent) {
		pblk_t b = w->urgent[w->urgent_at++];

		/* Never twice in a batch: the cursor is behind everything this round has taken. */
		if (b.n >= w->cursor.n && eligible(p, b).n) {
			*ret = b;
			return true;
		}
	}
	if (w->nurgent)
		return false;
	while (dirty_next(p->dirty, w->cursor, ret)) {
		if (eligible(p, *ret).n)
			return true;
		w->cursor.n = ret->n + 1;
	}
	return false;
}

static int cmp_pblk(const void *a, const void *b)
{
	uint64_t x = ((const pblk_t *)a)->n, y = ((const pblk_t *)b)->n;

	return x < y ? -1 : x > y;
}

/* What the oldest segments hold, sorted. */
static void choose_urgent(struct hb_pool *p)
{
	struct writeback *w = &p->wb;

	w->nurgent = w->urgent_at = 0;
	list_each(l, &p->segs.sealed) {
		struct seg *g = list_entry(l, struct seg, fifo);
		uint32_t base = segs_no(&p->segs, g).n * p->sb.seg_blk;

		if (w->nurgent + p->sb.seg_blk > WB_BATCH_BLK / 2)
			break;
		for (uint32_t i = 0; g->dirty && i < g->used; i++) {
			slot_t s = {base + i};

			if (idx_state(p->idx, s) == SLOT_DIRTY && eligible(p, idx_pblk(p->idx, s)).n)
				w->urgent[w->nurgent++] = idx_pblk(p->idx, s);
		}
	}
	qsort(w->urgent, w->nurgent, sizeof(*w->urgent), cmp_pblk);
}

/* ---------------------------------------------------------------- rounds */

static void mark_clean(struct hb_pool *p)
{
	struct writeback *w = &p->wb;

	for (uint32_t i = 0; i < w->nbatch; i++) {
		const struct wb_block *b = &w->batch[i];
		slot_t s = idx_find(p->idx, b->p);

		if (s.n && ((s.n == b->slot.n && idx_crc(p->idx, s) == b->crc) || BUG(CLEAN_NEWER)) &&
		    idx_state(p->idx, s) == SLOT_DIRTY)
			blk_set_state(p, s, SLOT_CLEAN);
	}
}

static void batch_flushed(struct dev_io *io)
{
	struct writeback *w = container_of(io, struct writeback, flush_io);
	struct hb_pool *p = container_of(w, struct hb_pool, wb);
	uint64_t now = pool_now(p);

	w->flushing = false;
	p->st.wb_flushes++;
	if (io->error) {
		if (!p->cap_errors_logged++)
			pool_log(p, HB_LOG_ERROR, "the capacity device does not flush (%s); blocks stay in the log",
				 strerror(-io->error));
		w->backoff_until_ns = now + WB_BACKOFF_NS;
		if (p->ck.state != CKPT_IDLE) /* the error is reported once, and may be about the checkpoint's pages */
			p->ck.flush_error = io->error;
	} else if (w->nbatch) {
		mark_clean(p);
		w->blk_ns = (7 * w->blk_ns + (now - w->batch_start_ns) / w->nbatch) / 8;
	}
	w->nbatch = 0;
	w->nurgent = 0;
	w->round_done = false;
}

static bool end_batch(struct hb_pool *p)
{
	struct writeback *w = &p->wb;

	if (w->busy || w->flushing)
		return false;
	if (!w->nbatch) {
		w->round_done = false;
		w->nurgent = 0;
		return false;
	}
	w->flushing = true;
	if (BUG(CLEAN_BEFORE_FLUSH))
		mark_clean(p);
	w->flush_io = (struct dev_io){.op = DEV_FLUSH, .done = batch_flushed};
	dev_queue(p->cap, &w->flush_io);
	return true;
}

static bool needed(const struct hb_pool *p, uint64_t now)
{
	uint64_t dirty = idx_count(p->idx, SLOT_DIRTY);

	if (!dirty || p->closing || now < p->wb.backoff_until_ns || p->cap->failed)
		return false;
	return p->wb.forced || dirty > p->dirty_low || clean_urgent(p) || now - p->wb.last_activity_ns >= p->idle_ns;
}

/* Dirty blocks that are not durable yet keep write-back waiting: ask for it. */
static void want_durable(struct hb_pool *p)
{
	if (p->log.durable_seq < log_last(p))
		log_want(p, log_last(p));
}

bool wb_pump(struct hb_pool *p)
{
	struct writeback *w = &p->wb;
	bool did = false;
	pblk_t b;

	if (w->flushing)
		return false;
	if (p->closing)
		w->round_done = true; /* what is in flight is enough: the rest is safe in the log */
	if (!w->round_done && (w->busy || w->nbatch || needed(p, pool_now(p)))) {
		if (!w->busy && !w->nbatch) {
			w->batch_start_ns = pool_now(p);
			if (clean_urgent(p) && !w->forced) {
				choose_urgent(p);
				if (w->nurgent)
					w->cursor.n = 0;
			}
		}
		for (uint32_t i = 0; i < w->depth && !w->round_done; i++) {
			struct wb_run *r = &w->runs[i];

			if (r->busy)
				continue;
			if (w->nbatch + (w->busy + 1) * WB_RUN_BLK > WB_BATCH_BLK || !next_block(p, &b) ||
			    !gather(p, r, b)) {
				w->round_done = true;
				if (w->cursor.n && !w->nurgent && !dirty_next(p->dirty, w->cursor, &b))
					w->cursor.n = 0; /* the elevator starts again at the bottom */
				want_durable(p);
				break;
			}
			w->cursor.n = b.n + r->n;
			start_run(p, r);
			did = true;
		}
	}
	if (w->round_done)
		did |= end_batch(p);
	return did;
}

uint64_t wb_deadline(const struct hb_pool *p)
{
	const struct writeback *w = &p->wb;

	if (!idx_count(p->idx, SLOT_DIRTY) || p->failed || p->read_only || p->cap->failed || w->busy || w->flushing)
		return UINT64_MAX;
	return MAX(MAX(w->last_activity_ns + p->idle_ns, w->backoff_until_ns), pool_now(p) + 10 * MSEC_NS);
}

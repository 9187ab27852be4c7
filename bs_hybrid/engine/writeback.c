/* SPDX-License-Identifier: GPL-2.0-only */
/* writeback.c - dirty blocks go to the capacity device, in pool order, in long runs.
 *
 * A round: pick runs of dirty blocks (what the oldest segments hold, if the cleaner is stuck for them; else onward from
 * the elevator's cursor: one sweep over the disk handles all that is dirty), read them from RAM, staging or the write
 * tier, check them, write each run when its pace allows (pace.h), and after a batch or at the end flush the capacity
 * device. Only then do the blocks become clean, and only those whose slot is still the one that was written.
 *
 * Runs are filled ahead of their turn: a disk that has to wait for the write tier's bytes loses a turn of its platter.
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
	list_init(&w->line);
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
	struct link *l;

	while (w->runs && (l = list_pop(&w->line))) { /* those filled are nobody's but ours */
		struct wb_run *r = list_entry(l, struct wb_run, line);

		r->busy = !r->filled || r->late;
	}
	for (uint32_t i = 0; w->runs && i < w->depth; i++)
		if (w->runs[i].mem && !w->runs[i].busy)
			mem_unmap(w->runs[i].mem, (size_t)WB_RUN_BLK * BLK_BYTES);
	mem_free(w->runs);
	mem_free(w->batch);
	mem_free(w->urgent);
}

slot_t wb_eligible(struct hb_pool *p, pblk_t b)
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
	r->pool->wb.busy_blk -= r->n;
}

bool wb_holds(const struct hb_pool *p, chunk_t k)
{
	uint64_t first = (uint64_t)k.n * p->sb.chunk_blk;

	for (uint32_t i = 0; p->wb.busy && i < p->wb.depth; i++) {
		const struct wb_run *r = &p->wb.runs[i];

		if (r->busy && r->blk[0].p.n < first + p->sb.chunk_blk && first < r->blk[0].p.n + r->n)
			return true;
	}
	return false;
}

static void run_written(struct dev_io *io)
{
	struct wb_run *r = container_of(io, struct wb_run, io);
	struct hb_pool *p = r->pool;
	struct writeback *w = &p->wb;

	pace_ended(&w->pace, r->cost_ns, r->good, r->begin_ns, pool_now(p));
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

/* Its bytes are there, as far as they can be had. */
static void run_filled(struct wb_run *r)
{
	r->filled = true;
	if (r->good)
		return;
	list_del(&r->line);
	run_over(r);
}

static void write_run(struct wb_run *r)
{
	struct hb_pool *p = r->pool;

	r->begin_ns = pool_now(p);
	r->cost_ns = pace_cost_ns(&p->wb.pace, r->good);
	pace_sent(&p->wb.pace, r->cost_ns);
	r->iov = (struct iovec){r->mem, (size_t)r->good * BLK_BYTES};
	r->io = (struct dev_io){.op = DEV_WRITE,
				.off_bytes = r->blk[0].p.n * BLK_BYTES,
				.iov = &r->iov,
				.niov = 1,
				.len_bytes = (uint64_t)r->good * BLK_BYTES,
				.done = run_written};
	dev_queue(p->cap, &r->io);
}

/* Sends what may be sent now, and never past a run that is not filled yet: the disk would have to come back for it. */
static bool write_ready(struct hb_pool *p)
{
	struct writeback *w = &p->wb;
	bool did = false;

	while (!list_empty(&w->line)) {
		struct wb_run *r = list_first(&w->line, struct wb_run, line);

		if (!r->filled || (!p->closing && !pace_may(&w->pace, r->good)))
			break;
		list_del(&r->line);
		if (p->closing)
			run_over(r);
		else
			write_run(r);
		did = true;
	}
	return did;
}

static void read_slots(struct wb_run *r, uint32_t first, uint32_t n, uint8_t tries, uint8_t side);

void wb_lose(struct hb_pool *p, const struct wb_block *b, const char *why)
{
	p->st.checksum_errors++;
	if (idx_find(p->idx, b->p).n != b->slot.n || idx_crc(p->idx, b->slot) != b->crc)
		return;
	pool_log(p, HB_LOG_ERROR, "block %llu is lost: the write tier %s", (unsigned long long)b->p.n, why);
	blk_set_state(p, b->slot, SLOT_LOST);
}

/* Blocks first .. first+n-1 are in memory: bad ones end what may be written. `served`: the half of a mirror that they
 * come from, if the other one was not asked yet. */
static void check_blocks(struct wb_run *r, uint32_t first, uint32_t n, uint8_t served)
{
	for (uint32_t i = first; i < first + n; i++) {
		if (crc32c(0, r->mem + (uint64_t)i * BLK_BYTES, BLK_BYTES) == r->blk[i].crc)
			continue;
		if (served && dev_mirror_state(r->pool->wt, 2 - served) == MIRROR_IN) {
			read_slots(r, i, 1, 0, 3 - served);
			continue;
		}
		r->good = MIN(r->good, i);
		wb_lose(r->pool, &r->blk[i], "returned wrong bytes");
	}
}

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
			read_slots(r, i, 1, 0, 0);
	} else if (tries < WB_READ_TRIES) {
		read_slots(r, first, 1, (uint8_t)(tries + 1), 0);
	} else {
		r->good = MIN(r->good, first);
		wb_lose(p, &r->blk[first], "cannot read it");
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
		check_blocks(r, first, n, rd->io.side ? 0 : rd->io.served);
	if (--r->reads == 0 && !r->gathering)
		run_filled(r);
}

/* Starts reading blocks first .. first+n-1, whose slots are neighbours in one segment. */
static void read_slots(struct wb_run *r, uint32_t first, uint32_t n, uint8_t tries, uint8_t side)
{
	struct wb_read *rd = &r->read[first];
	struct hb_pool *p = r->pool;

	rd->run = r;
	rd->first = first;
	rd->n = n;
	rd->tries = tries;
	rd->iov = (struct iovec){r->mem + (uint64_t)first * BLK_BYTES, (size_t)n * BLK_BYTES};
	rd->io = (struct dev_io){.op = DEV_READ,
				 .side = side,
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
			read_slots(r, first, pending, 0, 0);
			pending = 0;
		}
		if (m) {
			memcpy(r->mem + (uint64_t)i * BLK_BYTES, m, BLK_BYTES);
			check_blocks(r, i, 1, 0);
			continue;
		}
		if (!pending)
			first = i;
		pending++;
	}
	if (pending)
		read_slots(r, first, pending, 0, 0);
}

static void start_run(struct hb_pool *p, struct wb_run *r)
{
	r->busy = true;
	p->wb.busy++;
	p->wb.busy_blk += r->n;
	r->reads = 0;
	r->good = r->n;
	r->gathering = true;
	r->filled = false;
	list_push(&p->wb.line, &r->line);
	fill_run(r);
	r->gathering = false;
	if (!r->reads)
		run_filled(r);
}

/* ---------------------------------------------------------------- choosing */

/* Extends a run from b on, up to `most` blocks. Returns its length. */
static uint32_t gather(struct hb_pool *p, struct wb_run *r, pblk_t b, uint32_t most)
{
	uint64_t max = dirty_run(p->dirty, b, most);

	r->n = 0;
	for (uint64_t i = 0; i < max; i++) {
		pblk_t n = {b.n + i};
		slot_t s = wb_eligible(p, n);

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
		if (b.n >= w->cursor.n && wb_eligible(p, b).n) {
			*ret = b;
			return true;
		}
	}
	if (w->nurgent)
		return false;
	while (dirty_next(p->dirty, w->cursor, ret)) {
		if (wb_eligible(p, *ret).n)
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

/* What the oldest segments hold, sorted: whole segments, about `most` blocks. */
static void choose_urgent(struct hb_pool *p, uint32_t most)
{
	struct writeback *w = &p->wb;

	w->nurgent = w->urgent_at = 0;
	list_each(l, &p->segs.sealed) {
		struct seg *g = list_entry(l, struct seg, fifo);
		uint32_t base = segs_no(&p->segs, g).n * p->sb.seg_blk;

		if (w->nurgent && w->nurgent + p->sb.seg_blk > most) /* all in one round, or the last ones never */
			break;
		for (uint32_t i = 0; g->dirty && i < g->used; i++) {
			slot_t s = {base + i};

			if (idx_state(p->idx, s) == SLOT_DIRTY && wb_eligible(p, idx_pblk(p->idx, s)).n)
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

static void round_over(struct hb_pool *p)
{
	struct writeback *w = &p->wb;

	if (w->urgent_round || (w->through_round && w->nurgent))
		w->cursor = w->resume; /* or the far end of the disk would be reached less and less often */
	w->urgent_round = false;
	w->nbatch = w->nurgent = w->taken = 0;
	if (!BUG(THROUGH_STALLS))
		w->urgent_at = 0;
	w->round_done = false;
}

/* A small batch says little about what a block takes: it counts by its size. */
static void measure(struct writeback *w, uint64_t now)
{
	int64_t took = (int64_t)((now - w->batch_start_ns) / w->nbatch), mean = (int64_t)w->blk_ns;

	pace_flushed(&w->pace, w->nbatch, now);
	w->blk_ns = (uint64_t)(mean + (took - mean) * MIN((int64_t)w->nbatch, 1024) / 4096);
}

static void batch_flushed(struct dev_io *io)
{
	struct writeback *w = container_of(io, struct writeback, flush_io);
	struct hb_pool *p = container_of(w, struct hb_pool, wb);
	uint64_t now = pool_now(p);

	w->flushing = false;
	p->st.wb_flushes++;
	if (io->error && !BUG(FAILED_FLUSH_COUNTS)) {
		w->backoff_until_ns = now + WB_BACKOFF_NS;
		cap_flush_failed(p, io->error);
	} else if (w->nbatch) {
		mark_clean(p);
		measure(w, now);
		through_cleaned(p);
	}
	round_over(p);
}

/* What was written since the last flush may be lost with it, and no later one brings it back: it stays dirty. */
void wb_flush_lost(struct hb_pool *p)
{
	p->wb.nbatch = 0;
}

void cap_flush_failed(struct hb_pool *p, int error)
{
	if (!p->cap_errors_logged++)
		pool_log(p, HB_LOG_ERROR, "the capacity device does not flush (%s); blocks stay in the log",
			 strerror(-error));
	/* The error is reported once, and may be about what anybody wrote before. */
	if (p->ck.state != CKPT_IDLE)
		p->ck.flush_error = error;
	wb_flush_lost(p);
	bypass_flush_lost(p);
}

static bool end_batch(struct hb_pool *p)
{
	struct writeback *w = &p->wb;

	if (w->busy || w->flushing)
		return false;
	if (!w->nbatch) {
		round_over(p);
		return false;
	}
	if (!p->closing && !pace_may(&w->pace, 0))
		return false;
	w->flushing = true;
	pace_flush_sent(&w->pace, pool_now(p));
	if (BUG(CLEAN_BEFORE_FLUSH))
		mark_clean(p);
	w->flush_io = (struct dev_io){.op = DEV_FLUSH, .done = batch_flushed};
	dev_queue(p->cap, &w->flush_io);
	return true;
}

static bool possible(const struct hb_pool *p, uint64_t now)
{
	return idx_count(p->idx, SLOT_DIRTY) && !p->closing && now >= p->wb.backoff_until_ns && !p->cap->failed;
}

static bool pressed(struct hb_pool *p)
{
	return p->wb.forced || idx_count(p->idx, SLOT_DIRTY) > p->dirty_low || clean_urgent(p);
}

/* Whether there is a reason besides those that wait in through.c. */
static bool needed(struct hb_pool *p, uint64_t now)
{
	return possible(p, now) && (pressed(p) || now - p->wb.last_activity_ns >= p->idle_ns);
}

/* Dirty blocks that are not durable yet keep write-back waiting: ask for it. */
static void want_durable(struct hb_pool *p)
{
	if (p->log.durable_seq < log_last(p))
		log_want(p, log_last(p));
}

/* For those that wait in through.c: every second round, if there are other reasons, too. */
static void begin_through(struct hb_pool *p)
{
	struct writeback *w = &p->wb;
	bool other = needed(p, pool_now(p));

	if (!through_waiting(p) || w->forced || (other && w->through_round)) {
		w->through_round = false;
		return;
	}
	want_durable(p);
	w->through_round = through_choose(p);
	if (w->through_round) {
		qsort(w->urgent, w->nurgent, sizeof(*w->urgent), cmp_pblk);
		w->resume = w->cursor;
		w->cursor.n = 0;
	} else if (!other) {
		w->round_done = true;
	}
}

/* Blocks are dirty until the flush: a round must not take so many that writers stand still until then. */
static uint32_t most_unflushed(const struct hb_pool *p)
{
	return MIN((p->dirty_high - p->dirty_low) / 4, WB_BATCH_BLK);
}

static uint32_t batch_blk(const struct hb_pool *p)
{
	return pace_batch_blk(&p->wb.pace, 64, MAX(most_unflushed(p), WB_RUN_BLK));
}

/* Without this, fullness would rise and fall with every batch, and all that follows it. */
uint32_t wb_written(const struct hb_pool *p)
{
	return MIN(p->wb.nbatch, most_unflushed(p));
}

/* Its cursor only rises until the round is over, whatever fails: no block is in one twice. */
static void begin_round(struct hb_pool *p)
{
	struct writeback *w = &p->wb;

	w->batch_start_ns = pool_now(p);
	want_durable(p);
	w->round++;
	if (clean_urgent(p) && !w->forced) {
		choose_urgent(p, batch_blk(p));
		w->urgent_round = w->nurgent;
		if (w->urgent_round) {
			w->resume = w->cursor;
			w->cursor.n = 0;
		}
	}
	if (!w->urgent_round)
		begin_through(p);
}

/* Nothing more to take from here on, or the batch is full. */
static void end_round(struct hb_pool *p)
{
	struct writeback *w = &p->wb;
	pblk_t b;

	w->round_done = true;
	if (w->cursor.n && !w->nurgent && !dirty_next(p->dirty, w->cursor, &b))
		w->cursor.n = 0; /* the elevator starts again at the bottom */
	want_durable(p);
}

/* The lowest ones first: the memory of the others stays untouched where runs are long and few. */
static struct wb_run *free_run(struct writeback *w)
{
	for (uint32_t i = 0; i < w->depth; i++)
		if (!w->runs[i].busy)
			return &w->runs[i];
	return NULL;
}

static bool start_runs(struct hb_pool *p)
{
	struct writeback *w = &p->wb;
	uint32_t most = w->urgent_round ? WB_BATCH_BLK : batch_blk(p);
	/* Never none: somebody may wait for a block while the pace sees no need of any. */
	uint32_t longest = MAX(pace_run_blk(&w->pace, WB_RUN_BLK), 16u);
	bool did = false;
	struct wb_run *r;
	pblk_t b;

	while (w->busy_blk < WB_AHEAD_BLK && (r = free_run(w))) {
		if (w->taken >= most || through_hurry(p) || !next_block(p, &b) ||
		    !gather(p, r, b, MIN(longest, most - w->taken))) {
			end_round(p);
			break;
		}
		w->cursor.n = b.n + r->n;
		w->taken += r->n;
		start_run(p, r);
		did = true;
	}
	return did;
}

static void look_around(struct hb_pool *p, uint64_t now)
{
	struct pace_view v = {.dev = p->cap,
			      .reads = !list_empty(&p->rd.cap_order),
			      .checkpoint = p->ck.writes || p->ck.state >= CKPT_FLUSH1,
			      .hurry = pressed(p) || through_waiting(p),
			      .full = p->wb.forced ? PACE_FULL : throttle_full(p),
			      .now_ns = now};

	pace_look(&p->wb.pace, &v);
}

bool wb_pump(struct hb_pool *p)
{
	struct writeback *w = &p->wb;
	uint64_t now = pool_now(p);
	bool did = false;

	look_around(p, now);
	if (w->flushing)
		return false;
	if (!idx_count(p->idx, SLOT_DIRTY) && through_waiting(p)) /* unmapped, or lost, or nothing was dirty */
		through_look(p);
	if (p->closing)
		w->round_done = true; /* what is in flight is enough: the rest is safe in the log */
	if (!w->round_done &&
	    (w->busy || w->nbatch || needed(p, now) || (possible(p, now) && through_waiting(p)))) {
		if (!w->taken)
			begin_round(p);
		if (!w->round_done)
			did = start_runs(p);
	}
	did |= write_ready(p);
	if (w->round_done)
		did |= end_batch(p);
	return did;
}

/* Something could be sent if the pace allowed it. */
static bool held(const struct writeback *w)
{
	if (w->round_done && w->nbatch && !w->busy)
		return true;
	return !list_empty(&w->line) && list_first(&w->line, struct wb_run, line)->filled;
}

uint64_t wb_deadline(const struct hb_pool *p)
{
	const struct writeback *w = &p->wb;

	if (p->failed || p->read_only || p->cap->failed || w->flushing)
		return UINT64_MAX;
	if (held(w))
		return MAX(pace_next_ns(&w->pace), pool_now(p));
	if (w->busy)
		return UINT64_MAX;
	if (through_waiting(p))
		return MAX(w->backoff_until_ns, pool_now(p) + 10 * MSEC_NS);
	if (!idx_count(p->idx, SLOT_DIRTY))
		return UINT64_MAX;
	return MAX(MAX(w->last_activity_ns + p->idle_ns, w->backoff_until_ns), pool_now(p) + 10 * MSEC_NS);
}

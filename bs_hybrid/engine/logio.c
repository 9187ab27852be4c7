/* SPDX-License-Identifier: GPL-2.0-only */
/* logio.c - writing the log's units to the write tier, and making them durable.
 *
 * Units are written in any order and complete in any order; written_seq follows the longest complete prefix. A flush
 * of the write tier that was queued when written_seq was s makes s the durable_seq. There is one flush at a time; who
 * asks meanwhile shares the next one.
 *
 * If a unit cannot be written after a few tries, or a flush fails, the pool fails: its answered writes are in
 * staging and in what was written, and the next open finds them. A failed flush is never tried again: the kernel
 * reports a lost write once, so a second flush that succeeds proves nothing.
 */
#include "engine/pool.h"

#define UNIT_TRIES 3

static void unit_written(struct dev_io *io)
{
	struct unit_io *u = container_of(io, struct unit_io, io);
	struct hb_pool *p = u->pool;
	struct log *l = &p->log;

	if (io->error && io->error != -ETIMEDOUT && u->tries++ < UNIT_TRIES && !p->wt->failed) {
		dev_queue(p->wt, io);
		return;
	}
	if (io->error)
		pool_fail(p, "the write tier does not take the log");
	u->done = true;
	u->buf->writes--;
	if (u->buf->sealed && !u->buf->writes && !p->failed) {
		stage_release(p->stage, u->buf->no);
		list_push(&l->bufs_free, &u->buf->free);
		req_wake_all(&p->log_waiters);
	}
	if (!u->seq) {
		list_push(&l->ios_free, &u->link);
		return;
	}
	if (BUG(WRITTEN_SEQ_JUMPS) && u->seq > l->written_seq && !p->failed)
		l->written_seq = u->seq;
	while (!list_empty(&l->inflight) && !p->failed) {
		u = list_first(&l->inflight, struct unit_io, link);
		if (!u->done)
			break;
		l->written_seq = MAX(l->written_seq, u->seq);
		list_del(&u->link);
		list_push(&l->ios_free, &u->link);
	}
	req_wake_all(&p->log_waiters);
}

void log_write(struct hb_pool *p, struct seg_buf *b, uint32_t off, uint32_t nblk, uint64_t seq)
{
	struct log *l = &p->log;
	struct unit_io *u = list_entry(list_pop(&l->ios_free), struct unit_io, link);

	u->buf = b;
	u->seq = seq;
	u->done = false;
	u->tries = 0;
	u->iov = (struct iovec){b->mem + (uint64_t)off * BLK_BYTES, (size_t)nblk * BLK_BYTES};
	u->io = (struct dev_io){.op = DEV_WRITE,
				.iov = &u->iov,
				.niov = 1,
				.done = unit_written,
				.off_bytes = ((uint64_t)b->seg.n * p->sb.seg_blk + off) * BLK_BYTES,
				.len_bytes = (uint64_t)nblk * BLK_BYTES};
	b->writes++;
	if (seq)
		list_push(&l->inflight, &u->link);
	else
		u->link = (struct link){NULL, NULL};
	p->due = true;
	dev_queue(p->wt, &u->io);
}

static void wake_flushed(struct hb_pool *p)
{
	while (!list_empty(&p->flush_waiters)) {
		struct hb_req *r = list_first(&p->flush_waiters, struct hb_req, link);

		if (r->seq > p->log.durable_seq)
			break;
		req_wake(r);
	}
}

static void flushed(struct dev_io *io)
{
	struct log *l = container_of(io, struct log, flush_io);
	struct hb_pool *p = container_of(l, struct hb_pool, log);

	l->flushing = false;
	if (io->error) {
		pool_fail(p, "the write tier does not flush");
		return;
	}
	l->durable_seq = l->flushing_seq;
	p->st.flushes++;
	wake_flushed(p);
}

void log_want(struct hb_pool *p, uint64_t seq)
{
	if (seq > p->log.want_seq)
		p->log.want_seq = seq;
}

/* The smallest number somebody waits for that is not durable yet; 0: nobody waits. */
static uint64_t wanted(const struct hb_pool *p)
{
	const struct log *l = &p->log;
	uint64_t w = l->want_seq > l->durable_seq ? l->want_seq : 0;

	if (!list_empty(&p->flush_waiters)) {
		uint64_t first = list_first(&p->flush_waiters, struct hb_req, link)->seq;

		w = w && w < first ? w : first;
	}
	return w;
}

static bool newest_wanted(const struct hb_pool *p)
{
	const struct log *l = &p->log;

	if (l->want_seq >= l->unit_seq)
		return true;
	return !list_empty(&p->flush_waiters) &&
	       container_of(p->flush_waiters.prev, struct hb_req, link)->seq >= l->unit_seq;
}

bool log_pump(struct hb_pool *p)
{
	struct log *l = &p->log;
	uint64_t w;
	bool did = false;

	if (p->failed || p->read_only)
		return false;
	if (l->unit && l->nrec && (newest_wanted(p) || pool_now(p) - l->unit_ns >= UNIT_AGE_NS))
		did = log_close_unit(p);
	w = wanted(p);
	if (BUG(SKIP_FLUSH) && w && w <= l->written_seq) {
		l->durable_seq = l->written_seq;
		wake_flushed(p);
		return true;
	}
	if (w && w <= l->written_seq && !l->flushing) {
		l->flushing = true;
		l->flushing_seq = BUG(FLUSH_COVERS_ALL) ? l->unit_seq - 1 : l->written_seq;
		l->flush_io = (struct dev_io){.op = DEV_FLUSH, .done = flushed};
		dev_queue(p->wt, &l->flush_io);
		did = true;
	}
	return did;
}

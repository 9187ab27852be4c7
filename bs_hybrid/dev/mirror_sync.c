/* SPDX-License-Identifier: GPL-2.0-only */
/* mirror_sync.c - copies the half that is in to the one that is to become so, while writes go on (stories: mirror.h).
 *
 * A window is claimed (from then on writes to it wait), begins when no write to it is under way, is read, written, and
 * free again. One that cannot be read is read again, then piece by piece, so that only the bytes that are really bad
 * are left out.
 */
#include <assert.h>
#include <errno.h>

#include "base/mem.h"
#include "base/units.h"
#include "dev/mirror_priv.h"

#define READ_TRIES 3
#define PIECE_BYTES BLK_BYTES

static bool ranges_overlap(uint64_t a, uint64_t alen, uint64_t b, uint64_t blen)
{
	return a < b + blen && b < a + alen;
}

static bool io_overlaps(const struct dev_io *io, uint64_t off, uint64_t len)
{
	return ranges_overlap(io->off_bytes, io->len_bytes, off, len);
}

static bool any_parked(const struct mirror_dev *m, uint64_t off, uint64_t len)
{
	list_each(l, &m->parked) {
		if (io_overlaps(list_entry(l, struct dev_io, link), off, len))
			return true;
	}
	return false;
}

bool sync_blocks(const struct mirror_dev *m, uint64_t off_bytes, uint64_t len_bytes)
{
	const struct sync *s = &m->sync;

	/* Into a half that is out again the copy may land whenever it likes. */
	for (int i = 0; s->running && i < SYNC_WINDOWS && m->half[s->target].state == MIRROR_SYNCING; i++) {
		const struct window *w = &s->windows[i];

		if (w->state != WINDOW_FREE && ranges_overlap(w->off, w->len, off_bytes, len_bytes))
			return true;
	}
	return any_parked(m, off_bytes, len_bytes);
}

void sync_abort(struct mirror_dev *m, int error)
{
	if (m->sync.running && !m->sync.error)
		m->sync.error = error;
}

/* ------------------------------------------------------------------ one window */

/* Not copied: a later sync begins here at the latest. */
static void window_drop(struct window *w)
{
	struct sync *s = &w->m->sync;

	s->next = MIN(s->next, w->off);
	w->state = WINDOW_FREE;
}

static void window_send(struct window *w, int half, enum dev_op op, void (*done)(struct dev_io *io))
{
	struct mirror_dev *m = w->m;

	w->iov = (struct iovec){w->mem + w->at, w->n};
	w->io = (struct dev_io){
		.op = op,
		.off_bytes = w->off + w->at,
		.len_bytes = w->n,
		.iov = &w->iov,
		.niov = 1,
		.done = done,
		.owner = w,
	};
	w->state = WINDOW_BUSY;
	m->dev.inflight++;
	m->kick = true;
	dev_queue(m->half[half].dev, &w->io);
}

static void window_read_done(struct dev_io *io);

static void window_read(struct window *w)
{
	window_send(w, !w->m->sync.target, DEV_READ, window_read_done);
}

/* On to the next piece, if there is one. */
static void window_advance(struct window *w)
{
	w->at += w->n;
	w->n = MIN(PIECE_BYTES, w->len - w->at);
	w->tries = 0;
	if (w->at == w->len)
		w->state = WINDOW_FREE;
	else
		window_read(w);
}

static void window_write_done(struct dev_io *io)
{
	struct window *w = io->owner;
	struct mirror_dev *m = w->m;

	m->dev.inflight--;
	if (io->error)
		mirror_half_failed(m, m->sync.target, DEV_WRITE, io->error);
	/* A sync that was stopped lets whole windows end: what it says is copied is. */
	if (io->error || (m->sync.error && (w->pieces || m->sync.error != -ECANCELED)))
		window_drop(w);
	else
		window_advance(w);
}

static void window_unread(struct window *w)
{
	if (++w->tries < READ_TRIES) {
		window_read(w);
	} else if (!w->pieces && w->len > PIECE_BYTES) {
		w->pieces = true;
		w->n = PIECE_BYTES;
		w->tries = 0;
		window_read(w);
	} else {
		w->m->sync.unreadable += w->n;
		window_advance(w);
	}
}

static void window_read_done(struct dev_io *io)
{
	struct window *w = io->owner;
	struct mirror_dev *m = w->m;

	m->dev.inflight--;
	if (io->error)
		mirror_half_failed(m, !m->sync.target, DEV_READ, io->error);
	if (m->sync.error && (m->sync.error != -ECANCELED || io->error || w->pieces))
		window_drop(w);
	else if (io->error)
		window_unread(w);
	else
		window_send(w, m->sync.target, DEV_WRITE, window_write_done);
}

/* ------------------------------------------------------------------ all of them */

static bool any_write_in_flight(const struct mirror_dev *m, uint64_t off, uint64_t len)
{
	list_each(l, &m->writes) {
		if (io_overlaps(list_entry(l, struct pair, link)->io, off, len))
			return true;
	}
	return false;
}

/* Writes sent before the target came: they do not reach it, and perhaps no window was copied after they ended. */
static bool any_older_write(const struct mirror_dev *m)
{
	int target = m->sync.target;

	list_each(l, &m->writes) {
		const struct pair *p = list_entry(l, struct pair, link);
		bool reaches = (p->sent & 1u << target) && p->part[target].dev == m->half[target].dev;

		if (!p->io->side && !reaches)
			return true;
	}
	return false;
}

static uint64_t window_time_ns(const struct sync *s, uint64_t len)
{
	return s->rate ? len * SEC_NS / s->rate : 0;
}

/* Windows that the drain came too late for are made up, as far as they can be in flight together. */
static void paced(struct mirror_dev *m, uint64_t len)
{
	struct sync *s = &m->sync;
	uint64_t behind = window_time_ns(s, SYNC_WINDOWS * SYNC_WINDOW_BYTES);

	if (s->next_ns + behind < m->now_ns)
		s->next_ns = m->now_ns - behind;
	s->next_ns += window_time_ns(s, len);
}

static void claim(struct mirror_dev *m)
{
	struct sync *s = &m->sync;

	if (!s->next_ns)
		s->next_ns = m->now_ns;
	for (int i = 0; i < SYNC_WINDOWS && s->next < s->to && s->next_ns <= m->now_ns; i++) {
		struct window *w = &s->windows[i];
		uint64_t len = MIN(SYNC_WINDOW_BYTES, s->to - s->next);

		if (w->state != WINDOW_FREE)
			continue;
		if (any_parked(m, s->next, len))
			break;
		*w = (struct window){
			.m = m, .mem = w->mem, .state = WINDOW_CLAIMED, .off = s->next, .len = len, .n = len,
		};
		s->next += len;
		paced(m, len);
	}
}

/* True if none is left. */
static bool begin_windows(struct mirror_dev *m)
{
	bool none = true;

	for (int i = 0; i < SYNC_WINDOWS; i++) {
		struct window *w = &m->sync.windows[i];

		if (w->state == WINDOW_CLAIMED && m->sync.error)
			window_drop(w);
		else if (w->state == WINDOW_CLAIMED && !any_write_in_flight(m, w->off, w->len))
			window_read(w);
		none &= w->state == WINDOW_FREE;
	}
	return none;
}

static void sync_flushed(struct dev_io *io)
{
	struct mirror_dev *m = io->owner;

	m->dev.inflight--;
	m->sync.flushing = false;
	m->sync.flushed = true;
	if (io->error)
		mirror_half_failed(m, m->sync.target, DEV_FLUSH, io->error);
}

static void sync_flush(struct mirror_dev *m)
{
	struct sync *s = &m->sync;

	s->flush = (struct dev_io){.op = DEV_FLUSH, .done = sync_flushed, .owner = m};
	s->flushing = true;
	m->dev.inflight++;
	m->kick = true;
	dev_queue(m->half[s->target].dev, &s->flush);
}

static int sync_end(struct mirror_dev *m)
{
	struct sync *s = &m->sync;
	int error = s->error ? s->error : s->unreadable ? -EIO : 0;

	s->running = false;
	if (!s->error)
		s->copied[s->target] = true;
	if (!m->watch.synced)
		return 0;
	m->watch.synced(m->watch.ctx, s->target, error);
	return 1;
}

int sync_pump(struct mirror_dev *m)
{
	struct sync *s = &m->sync;

	if (!s->running)
		return 0;
	if (!s->error)
		claim(m);
	if (!begin_windows(m) || s->flushing)
		return 0;
	if (s->error || s->flushed)
		return sync_end(m);
	if (s->next == s->to && !any_older_write(m))
		sync_flush(m);
	return 0;
}

/* ------------------------------------------------------------------ what the owner asks */

static int find_target(const struct mirror_dev *m)
{
	if (m->half[0].state == MIRROR_SYNCING && m->half[1].state == MIRROR_IN)
		return 0;
	if (m->half[1].state == MIRROR_SYNCING && m->half[0].state == MIRROR_IN)
		return 1;
	return -1;
}

static bool window_memory(struct sync *s)
{
	if (!s->mem)
		s->mem = mem_map(SYNC_WINDOWS * SYNC_WINDOW_BYTES);
	for (int i = 0; s->mem && i < SYNC_WINDOWS; i++)
		s->windows[i] = (struct window){.mem = s->mem + (uint64_t)i * SYNC_WINDOW_BYTES};
	return s->mem != NULL;
}

int dev_mirror_sync(struct dev *dev, uint64_t from_bytes, uint64_t to_bytes, uint64_t rate_bytes_s)
{
	struct mirror_dev *m = mirror_of(dev);
	struct sync *s = &m->sync;
	int target = find_target(m);

	if (s->running)
		return -EBUSY;
	if (target < 0 || dev->failed || from_bytes > to_bytes || to_bytes > dev->geom.size_bytes ||
	    (from_bytes | to_bytes) % dev->geom.logical_bytes)
		return -EINVAL;
	if (!window_memory(s))
		return -ENOMEM;
	s->target = target;
	s->from = s->next = from_bytes;
	s->to = to_bytes;
	s->rate = rate_bytes_s;
	s->next_ns = s->unreadable = 0;
	s->error = 0;
	s->flushing = s->flushed = false;
	s->running = true;
	mirror_signal(m);
	return 0;
}

void dev_mirror_stop(struct dev *dev)
{
	struct mirror_dev *m = mirror_of(dev);

	sync_abort(m, -ECANCELED);
	mirror_signal(m);
}

void dev_mirror_synced(const struct dev *dev, uint64_t *done_bytes, uint64_t *total_bytes)
{
	const struct sync *s = &mirror_of(dev)->sync;
	uint64_t first = s->next;

	for (int i = 0; i < SYNC_WINDOWS; i++) {
		if (s->windows[i].state != WINDOW_FREE)
			first = MIN(first, s->windows[i].off);
	}
	*done_bytes = first - s->from;
	*total_bytes = s->to - s->from;
}

uint64_t dev_mirror_unreadable(const struct dev *dev)
{
	return mirror_of(dev)->sync.unreadable;
}

/* What no I/O in flight will bring about. */
static uint64_t sync_next_ns(const struct mirror_dev *m)
{
	const struct sync *s = &m->sync;
	bool spare = false, any = false;

	for (int i = 0; i < SYNC_WINDOWS; i++) {
		spare |= s->windows[i].state == WINDOW_FREE;
		any |= s->windows[i].state == WINDOW_BUSY || (s->windows[i].state == WINDOW_CLAIMED && !s->error);
	}
	if (s->error || s->next == s->to)
		return any || s->flushing || (!s->error && any_older_write(m)) ? UINT64_MAX : 0;
	return spare && !any_parked(m, s->next, SYNC_WINDOW_BYTES) ? s->next_ns : UINT64_MAX;
}

uint64_t dev_mirror_next_ns(const struct dev *dev)
{
	const struct mirror_dev *m = mirror_of(dev);

	if (!list_empty(&m->todo) || !list_empty(&m->finished))
		return 0;
	return m->sync.running ? sync_next_ns(m) : UINT64_MAX;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* file.c - a file or block device by libaio, past the page cache: queue, kick, drain, close. Opening: file_open.c.
 *
 * A read or write goes fresh -> (kick) waiting -> a slot: ready -> kernel -> finished -> done(). Slots are the bound
 * of the depth. A transfer that comes short goes back to ready for its rest. A slot that outlives the time limit is
 * lost: its dev_io is answered, and the slot waits for the kernel alone. Flushes and discards run one at a time.
 *
 * Invariants
 * (1) done() runs in drain only, and what fails before it reaches the kernel makes event_fd readable too.
 * (2) The kernel tells an error of a flush once. So a failed or timed-out flush makes the device failed, one flush runs
 *     at a time, and none that ends after the device failed is answered with success.
 * (3) A slot in the kernel is not reused, and no dev_io is touched through it once that was answered.
 */
#include "dev/file.h"

#include <assert.h>
#include <errno.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/units.h"
#include "dev/aio_ring.h"

static struct file_dev *file_of(struct dev *dev)
{
	return container_of(dev, struct file_dev, dev);
}

/* Makes event_fd readable for something the kernel will not signal; once until the next drain. */
static void file_signal_self(struct file_dev *f)
{
	uint64_t one = 1;

	if (f->self_signalled)
		return;
	if (write(f->event_fd, &one, sizeof(one)) == (ssize_t)sizeof(one)) {
		f->self_signalled = true;
		f->owed++;
	}
}

static void file_answer(struct file_dev *f, struct dev_io *io, int error)
{
	io->error = error;
	list_push(&f->finished, &io->link);
}

static void file_answer_all(struct file_dev *f, struct link *ios, int error)
{
	struct link *l;

	while ((l = list_pop(ios)) != NULL)
		file_answer(f, list_entry(l, struct dev_io, link), error);
}

/* ------------------------------------------------------------------ slots */

static void slot_release(struct file_dev *f, struct slot *s)
{
	s->io = NULL;
	s->state = SLOT_FREE;
	if (s != &f->flush_slot)
		list_push_front(&f->free, &s->link);
}

static void slot_answer(struct file_dev *f, struct slot *s, int error)
{
	list_del(&s->order);
	file_answer(f, s->io, error);
	slot_release(f, s);
}

/* Fills in the iocb for what is left of the I/O: the borrowed iovec cannot be cut, so a rest that begins inside an
 * element goes first, alone. */
static void slot_fill(struct file_dev *f, struct slot *s)
{
	struct dev_io *io = s->io;
	uint64_t skip = s->done_bytes;
	long long off = (long long)(io->off_bytes + s->done_bytes);
	int k = 0;

	while (skip >= io->iov[k].iov_len)
		skip -= io->iov[k++].iov_len;
	assert(k < io->niov);
	if (skip || k + 1 == io->niov) {
		char *at = (char *)io->iov[k].iov_base + skip;
		size_t len = io->iov[k].iov_len - skip;

		if (io->op == DEV_READ)
			io_prep_pread(&s->iocb, f->fd, at, len, off);
		else
			io_prep_pwrite(&s->iocb, f->fd, at, len, off);
	} else if (io->op == DEV_READ) {
		io_prep_preadv(&s->iocb, f->fd, io->iov + k, io->niov - k, off);
	} else {
		io_prep_pwritev(&s->iocb, f->fd, io->iov + k, io->niov - k, off);
	}
	io_set_eventfd(&s->iocb, f->event_fd);
	s->iocb.data = s;
	s->state = SLOT_READY;
	list_push(&f->ready, &s->link);
}

static void file_take_slots(struct file_dev *f)
{
	while (!list_empty(&f->waiting) && !list_empty(&f->free)) {
		struct slot *s = list_entry(list_pop(&f->free), struct slot, link);

		s->io = list_entry(list_pop(&f->waiting), struct dev_io, link);
		s->done_bytes = 0;
		list_push(&f->unseen, &s->order);
		slot_fill(f, s);
	}
}

/* ------------------------------------------------------------------ flush and discard */

static void flush_done(struct file_dev *f, int error)
{
	f->flush.running = false;
	if (error)
		f->dev.failed = true;		/* invariant (2) */
	else if (f->dev.failed)
		error = -EIO;
	file_answer_all(f, &f->flush.busy, error);
}

static void flush_start(struct file_dev *f)
{
	struct slot *s = &f->flush_slot;

	if (f->flush.running || list_empty(&f->flush.wait))
		return;
	list_splice(&f->flush.busy, &f->flush.wait);
	f->flush.running = true;
	f->flush.since_ns = 0;
	if (!f->fdsync) {
		helper_start(f->flush.helper, HELPER_SYNC, 0, 0);
		return;
	}
	io_prep_fdsync(&s->iocb, f->fd);
	io_set_eventfd(&s->iocb, f->event_fd);
	s->iocb.data = s;
	s->state = SLOT_READY;
	list_push(&f->ready, &s->link);
}

static struct dev_io *discard_io(struct file_dev *f)
{
	return list_first(&f->discard.busy, struct dev_io, link);
}

static void discard_end(struct file_dev *f, int error)
{
	struct dev_io *io = discard_io(f);

	f->discard.running = false;
	list_del(&io->link);
	file_answer(f, io, error);
}

static void discard_next_part(struct file_dev *f)
{
	struct dev_io *io = discard_io(f);
	uint64_t done = f->discard.done_bytes;

	f->discard.since_ns = 0;
	helper_start(f->discard.helper, f->is_block ? HELPER_DISCARD_BLOCK : HELPER_DISCARD_FILE,
		     io->off_bytes + done, MIN(io->len_bytes - done, FILE_DISCARD_BYTES));
}

static void discard_start(struct file_dev *f)
{
	int r = 0;

	if (f->discard.running || list_empty(&f->discard.wait))
		return;
	if (!f->discard.helper)
		r = helper_new(f->fd, f->event_fd, &f->discard.helper);
	if (r < 0) {
		file_answer_all(f, &f->discard.wait, r);
		return;
	}
	list_push(&f->discard.busy, list_pop(&f->discard.wait));
	f->discard.running = true;
	f->discard.done_bytes = 0;
	discard_next_part(f);
}

static void discard_part_done(struct file_dev *f, int error)
{
	struct dev_io *io = discard_io(f);

	if (error) {
		discard_end(f, error);
		return;
	}
	f->discard.done_bytes += MIN(io->len_bytes - f->discard.done_bytes, FILE_DISCARD_BYTES);
	if (f->discard.done_bytes == io->len_bytes)
		discard_end(f, 0);
	else if (f->dev.failed)
		discard_end(f, -EIO);
	else
		discard_next_part(f);
}

static void slow_poll(struct file_dev *f, struct slow *slow, void (*done)(struct file_dev *f, int error))
{
	int result;

	if (slow->running && slow->helper && helper_poll(slow->helper, &result)) {
		f->owed++;
		done(f, result);
	}
}

/* ------------------------------------------------------------------ queue and kick */

static int file_refusal(const struct file_dev *f, const struct dev_io *io)
{
	uint64_t size = f->dev.geom.size_bytes;

	if (f->dev.failed)
		return -EIO;
	if (io->op == DEV_FLUSH)
		return 0;
	if (io->off_bytes > size || io->len_bytes > size - io->off_bytes || io->len_bytes == 0)
		return -EINVAL;
	if (io->op != DEV_READ && f->read_only)
		return -EROFS;
	if (io->op == DEV_DISCARD && !f->dev.geom.discard_bytes)
		return -EOPNOTSUPP;
	return 0;
}

static void file_assert_io(const struct file_dev *f, const struct dev_io *io)
{
	uint64_t sum = 0, bits = io->off_bytes | io->len_bytes;

	assert(io->done);
	if (io->op == DEV_READ || io->op == DEV_WRITE) {
		assert(io->niov > 0 && io->niov <= DEV_IOV_MAX);
		for (int i = 0; i < io->niov; i++) {
			sum += io->iov[i].iov_len;
			bits |= io->iov[i].iov_len;
			assert(((uintptr_t)io->iov[i].iov_base & (f->dev.geom.mem_align - 1)) == 0);
		}
		assert(sum == io->len_bytes);
	}
	assert(io->op == DEV_FLUSH || (bits & (f->dev.geom.logical_bytes - 1)) == 0);
}

static void file_queue(struct dev *dev, struct dev_io *io)
{
	struct file_dev *f = file_of(dev);
	int r = file_refusal(f, io);

	file_assert_io(f, io);
	io->start_ns = f->now_ns;
	if (r < 0)
		file_answer(f, io, r);
	else
		list_push(&f->fresh, &io->link);
}

static void file_sort_fresh(struct file_dev *f)
{
	struct link *l;

	while ((l = list_pop(&f->fresh)) != NULL) {
		struct dev_io *io = list_entry(l, struct dev_io, link);

		if (io->op == DEV_FLUSH && f->read_only)
			file_answer(f, io, 0);		/* nothing was written */
		else if (io->op == DEV_FLUSH)
			list_push(&f->flush.wait, l);
		else if (io->op == DEV_DISCARD)
			list_push(&f->discard.wait, l);
		else
			list_push(&f->waiting, l);
	}
}

/* A failed device lets go of all that the kernel has not got. */
static void file_fail_waiting(struct file_dev *f)
{
	struct link *l;

	file_sort_fresh(f);
	file_answer_all(f, &f->waiting, -EIO);
	file_answer_all(f, &f->flush.wait, -EIO);
	file_answer_all(f, &f->discard.wait, -EIO);
	while ((l = list_pop(&f->ready)) != NULL) {
		struct slot *s = list_entry(l, struct slot, link);

		if (s == &f->flush_slot) {
			slot_release(f, s);
			flush_done(f, -EIO);
		} else {
			slot_answer(f, s, -EIO);
		}
	}
}

static void file_submitted(struct file_dev *f, int n)
{
	while (n-- > 0) {
		struct slot *s = list_entry(list_pop(&f->ready), struct slot, link);

		s->state = SLOT_KERNEL;
		f->in_kernel++;
	}
}

static void file_submit_refused(struct file_dev *f, int error)
{
	struct slot *s = list_entry(list_pop(&f->ready), struct slot, link);

	if (s == &f->flush_slot) {
		slot_release(f, s);
		flush_done(f, error);
	} else {
		slot_answer(f, s, error);
	}
}

/* One io_submit(), and one more for each iocb that it stops at. What the kernel has no room for stays ready. */
static void file_submit(struct file_dev *f)
{
	struct iocb *batch[FILE_DEPTH + 1];
	int n = 0, at = 0;

	list_each(l, &f->ready)
		batch[n++] = &list_entry(l, struct slot, link)->iocb;
	while (at < n) {
		int r = io_submit(f->ctx, n - at, batch + at);

		if (r == -EAGAIN || r == 0)
			break;
		if (r < 0)
			file_submit_refused(f, r);
		else
			file_submitted(f, r);
		at += r < 0 ? 1 : r;
	}
	/* Nothing in the kernel would bring the next turn. */
	if (!list_empty(&f->ready) && f->in_kernel == 0)
		file_signal_self(f);
}

static void file_kick(struct dev *dev)
{
	struct file_dev *f = file_of(dev);

	if (dev->failed) {
		file_fail_waiting(f);
	} else {
		file_sort_fresh(f);
		file_take_slots(f);
		flush_start(f);
		discard_start(f);
		file_submit(f);
	}
	if (!list_empty(&f->finished))
		file_signal_self(f);
}

/* ------------------------------------------------------------------ drain */

static void slot_transferred(struct file_dev *f, struct slot *s, long long res)
{
	uint64_t before = s->done_bytes;

	if (res < 0) {
		slot_answer(f, s, (int)res);
		return;
	}
	s->done_bytes += (uint64_t)res;
	if (s->done_bytes >= s->io->len_bytes) {
		slot_answer(f, s, 0);
		return;
	}
	s->done_bytes = ROUND_DOWN(s->done_bytes, f->dev.geom.logical_bytes);
	if (s->done_bytes == before)		/* the file was cut, or no progress: it would go on for ever */
		slot_answer(f, s, -EIO);
	else
		slot_fill(f, s);
}

static void file_event(struct file_dev *f, const struct io_event *ev)
{
	struct slot *s = ev->data;
	long long res = (long long)(long)ev->res;

	assert(s->state == SLOT_KERNEL || s->state == SLOT_LOST);
	f->in_kernel--;
	f->owed++;
	if (s->state == SLOT_LOST) {
		if (s != &f->flush_slot)
			f->dev.orphans--;
		slot_release(f, s);
	} else if (s == &f->flush_slot) {
		slot_release(f, s);
		flush_done(f, res < 0 ? (int)res : 0);
	} else {
		slot_transferred(f, s, res);
	}
}

static void file_reap(struct file_dev *f)
{
	struct io_event ev[64];
	uint64_t count;
	int n;

	if (!aio_ring_any(f->ctx) && !f->owed && !f->flush.helper && !f->discard.running && !f->dev.failed)
		return;
	if (!f->dev.edge_events && read(f->event_fd, &count, sizeof(count)) == (ssize_t)sizeof(count))
		f->owed -= (int64_t)count;
	f->self_signalled = false;
	while (f->in_kernel && (n = aio_ring_take(f->ctx, ev, (int)ARRAY_LEN(ev))) > 0) {
		for (int i = 0; i < n; i++)
			file_event(f, &ev[i]);
	}
	slow_poll(f, &f->flush, flush_done);
	slow_poll(f, &f->discard, discard_part_done);
}

static bool overdue(const struct file_dev *f, uint64_t since_ns)
{
	return f->now_ns - since_ns >= f->dev.timeout_ns;
}

static void slots_time_out(struct file_dev *f)
{
	struct link *l;

	while (!list_empty(&f->seen)) {
		struct slot *s = list_first(&f->seen, struct slot, order);

		if (!overdue(f, s->seen_ns))
			break;
		f->dev.failed = true;
		if (s->state == SLOT_READY) {
			list_del(&s->link);
			slot_answer(f, s, -ETIMEDOUT);
			continue;
		}
		list_del(&s->order);
		file_answer(f, s->io, -ETIMEDOUT);
		s->io = NULL;
		s->state = SLOT_LOST;
		f->dev.orphans++;
	}
	while ((l = list_pop(&f->unseen)) != NULL) {
		list_entry(l, struct slot, order)->seen_ns = f->now_ns;
		list_push(&f->seen, l);
	}
}

/* True when what runs has been running for too long: it is given up. */
static bool slow_times_out(struct file_dev *f, struct slow *slow)
{
	if (!slow->running)
		return false;
	if (slow->since_ns == 0)
		slow->since_ns = MAX(f->now_ns, 1u);
	if (!overdue(f, slow->since_ns))
		return false;
	f->dev.failed = true;
	slow->running = false;
	helper_drop(slow->helper, 0);
	slow->helper = NULL;
	file_answer_all(f, &slow->busy, -ETIMEDOUT);
	return true;
}

static void file_time_out(struct file_dev *f)
{
	struct slot *s = &f->flush_slot;

	slots_time_out(f);
	slow_times_out(f, &f->discard);
	if (!slow_times_out(f, &f->flush) || !f->fdsync)
		return;
	if (s->state == SLOT_READY) {
		list_del(&s->link);
		slot_release(f, s);
	} else {
		s->state = SLOT_LOST;
	}
}

static int file_drain(struct dev *dev, uint64_t now_ns)
{
	struct file_dev *f = file_of(dev);
	struct link todo;
	struct link *l;
	int n = 0;

	if (dev->inflight == 0 && f->in_kernel == 0 && f->owed == 0) {
		f->now_ns = now_ns;
		return 0;
	}
	f->now_ns = now_ns;
	list_each(k, &f->fresh)			/* queued since the last drain: not before now, as far as we know */
		list_entry(k, struct dev_io, link)->start_ns = now_ns;
	file_reap(f);
	file_time_out(f);
	if (dev->failed)
		file_fail_waiting(f);
	list_init(&todo);
	list_splice(&todo, &f->finished);
	while ((l = list_pop(&todo)) != NULL) {
		struct dev_io *io = list_entry(l, struct dev_io, link);

		dev_finish(dev, io, io->error, now_ns);
		n++;
	}
	return n;
}

static int file_event_fd(struct dev *dev)
{
	return file_of(dev)->event_fd;
}

/* ------------------------------------------------------------------ close */

static void file_free(struct file_dev *f)
{
	close(f->event_fd);
	close(f->fd);
	mem_free(f);
}

/* io_destroy() waits for the kernel to give every iocb back, which a stuck device may never do. */
static void *file_bury(void *arg)
{
	struct file_dev *f = arg;

	io_destroy(f->ctx);
	file_free(f);
	return NULL;
}

/* Waits for what is in the kernel (lost I/Os excepted), for as long as the time limit; nobody is told. */
static void file_wait_out(struct file_dev *f)
{
	struct timespec limit = {
		.tv_sec = (time_t)(f->dev.timeout_ns / SEC_NS), .tv_nsec = (long)(f->dev.timeout_ns % SEC_NS),
	};
	struct io_event ev;
	int n;

	while (f->in_kernel > f->dev.orphans + (f->flush_slot.state == SLOT_LOST)) {
		struct slot *s;

		n = io_getevents(f->ctx, 1, 1, &ev, &limit);
		if (n == -EINTR)
			continue;
		if (n <= 0)
			break;
		s = ev.data;
		f->in_kernel--;
		if (s->state == SLOT_LOST && s != &f->flush_slot)
			f->dev.orphans--;
		s->state = SLOT_FREE;
	}
}

/* Nothing may be in flight, says dev.h; yet a caller that forgets (its memory is about to go, the next owner of the
 * medium about to come) is helped as far as the device moves at all. */
static void file_close(struct dev *dev)
{
	struct file_dev *f = file_of(dev);
	pthread_t thread;

	helper_drop(f->flush.helper, dev->timeout_ns);
	helper_drop(f->discard.helper, dev->timeout_ns);
	f->flush.helper = f->discard.helper = NULL;
	file_wait_out(f);
	if (f->in_kernel == 0)
		file_bury(f);
	else if (pthread_create(&thread, NULL, file_bury, f) == 0)
		pthread_detach(thread);
	/* Without a thread it is left as it is: the kernel still uses it. */
}

static int file_rescan(struct dev *dev)
{
	struct file_dev *f = file_of(dev);
	uint64_t size = 0;
	struct stat st;

	if (f->is_block ? ioctl(f->fd, BLKGETSIZE64, &size) < 0 : fstat(f->fd, &st) < 0)
		return -errno;
	if (!f->is_block)
		size = (uint64_t)st.st_size;
	dev->geom.size_bytes = MAX(dev->geom.size_bytes, ROUND_DOWN(size, (uint64_t)dev->geom.logical_bytes));
	return 0;
}

const struct dev_ops file_ops = {
	.kind = "file",
	.queue = file_queue,
	.kick = file_kick,
	.drain = file_drain,
	.event_fd = file_event_fd,
	.rescan = file_rescan,
	.close = file_close,
};

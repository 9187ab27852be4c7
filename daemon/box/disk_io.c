/* SPDX-License-Identifier: GPL-2.0-only */
/* disk_io.c - the thread that moves the bytes of all open disks, and what is asked of it.
 *
 * A device (dev/dev.h) knows no threads: all of them are this one's. tgtd has one thread, too, so a second one here
 * would only wait with the first. I/O comes in by disk.fresh, under the lock; nothing else is shared.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"
#include "box/disk_priv.h"

#define EVENTS 32
#define ZEROS_BYTES MIB(1)

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SEC_NS + (uint64_t)t.tv_nsec;
}

static void wake(struct disks *ds)
{
	uint64_t one = 1;

	/* It can only fail because it is awake. */
	if (write(ds->wake_fd, &one, sizeof(one)) < 0)
		return;
}

/* ------------------------------------------------------------------ the end of an I/O */

static void finish(struct disk_io *io, int error)
{
	struct disk *d = io->disk;

	io->error = error;
	if (io->done) {
		io->done(io);
		return;
	}
	pthread_mutex_lock(&d->over_lock);
	io->over = true;
	pthread_cond_broadcast(&d->over);
	pthread_mutex_unlock(&d->over_lock);
}

static void on_done(struct dev_io *dev_io)
{
	struct disk_io *io = container_of(dev_io, struct disk_io, dev);
	const struct dev *dev = io->disk->dev;
	bool away = dev->failed || dev_iscsi_trouble(dev)[0];

	/* Of a medium's error the target tells; all else is that it was not there for too long. */
	finish(io, dev_io->error == -EIO && away ? -ECONNREFUSED : dev_io->error);
}

/* ------------------------------------------------------------------ the pump */

static bool fits(const struct disk *d, const struct disk_io *io)
{
	const struct dev_geom *g = &d->dev->geom;

	if (io->op == DEV_FLUSH)
		return true;
	return !((io->off_bytes | io->len_bytes) % g->logical_bytes) && io->len_bytes &&
	       io->off_bytes <= g->size_bytes && io->len_bytes <= g->size_bytes - io->off_bytes &&
	       (io->op == DEV_READ || d->write);
}

static void queue(struct disk *d, struct disk_io *io)
{
	io->iov = (struct iovec){io->buf, io->len_bytes};
	io->dev = (struct dev_io){.op = io->op, .off_bytes = io->off_bytes, .done = on_done};
	if (io->op != DEV_FLUSH)
		io->dev.len_bytes = io->len_bytes;
	if (io->op == DEV_READ || io->op == DEV_WRITE) {
		io->dev.iov = &io->iov;
		io->dev.niov = 1;
	}
	if (fits(d, io))
		dev_queue(d->dev, &io->dev);
	else
		finish(io, -EINVAL);
}

static void serve(struct disk *d)
{
	dev_kick(d->dev);
	dev_drain(d->dev, now_ns());
	atomic_store(&d->failed, d->dev->failed);
	atomic_store(&d->trouble, !d->dev->failed && dev_iscsi_trouble(d->dev)[0]);
}

/* What callers have handed in since the last time. */
static void take_fresh(struct disks *ds)
{
	struct link *l, fresh;

	pthread_mutex_lock(&ds->lock);
	while ((l = list_pop(&ds->fresh))) {
		struct disk *d = list_entry(l, struct disk, fresh_link);

		list_init(&fresh);
		list_splice(&fresh, &d->fresh);
		pthread_mutex_unlock(&ds->lock);
		while ((l = list_pop(&fresh)))
			queue(d, container_of(list_entry(l, struct dev_io, link), struct disk_io, dev));
		serve(d);
		pthread_mutex_lock(&ds->lock);
	}
	pthread_mutex_unlock(&ds->lock);
}

/* After the events: none of these disks' is still to be looked at. */
static bool let_leave(struct disks *ds)
{
	struct link *l;
	bool stop;

	pthread_mutex_lock(&ds->lock);
	while ((l = list_pop(&ds->leaving))) {
		struct disk *d = list_entry(l, struct disk, leave_link);

		epoll_ctl(ds->epoll_fd, EPOLL_CTL_DEL, dev_event_fd(d->dev), NULL);
		dev_close(d->dev);
		d->dev = NULL;
		pthread_cond_broadcast(&ds->changed);
	}
	stop = ds->pump_ends;
	pthread_mutex_unlock(&ds->lock);
	return stop;
}

static void *pump(void *arg)
{
	struct disks *ds = arg;
	bool stop = false;

	while (!stop) {
		struct epoll_event ev[EVENTS];
		int n = epoll_wait(ds->epoll_fd, ev, EVENTS, -1);
		uint64_t count;

		for (int i = 0; i < n; i++) {
			if (ev[i].data.ptr)
				serve(ev[i].data.ptr);
			else if (read(ds->wake_fd, &count, sizeof(count)) < 0)
				continue;
		}
		take_fresh(ds);
		stop = let_leave(ds);
	}
	return NULL;
}

int pump_start(struct disks *ds)
{
	struct epoll_event wakes = {.events = EPOLLIN, .data.ptr = NULL};
	int rc;

	ds->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	ds->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ds->epoll_fd < 0 || ds->wake_fd < 0 || epoll_ctl(ds->epoll_fd, EPOLL_CTL_ADD, ds->wake_fd, &wakes))
		return -errno;
	rc = pthread_create(&ds->pump, NULL, pump, ds);
	ds->pump_on = !rc;
	return -rc;
}

void pump_stop(struct disks *ds)
{
	if (ds->pump_on) {
		pthread_mutex_lock(&ds->lock);
		ds->pump_ends = true;
		pthread_mutex_unlock(&ds->lock);
		wake(ds);
		pthread_join(ds->pump, NULL);
	}
	if (ds->epoll_fd >= 0)
		close(ds->epoll_fd);
	if (ds->wake_fd >= 0)
		close(ds->wake_fd);
}

int pump_join(struct disk *d)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = d};

	return epoll_ctl(d->ds->epoll_fd, EPOLL_CTL_ADD, dev_event_fd(d->dev), &ev) ? -errno : 0;
}

void pump_leave(struct disk *d)
{
	list_push(&d->ds->leaving, &d->leave_link);
	wake(d->ds);
	while (d->dev)
		pthread_cond_wait(&d->ds->changed, &d->ds->lock);
}

/* ------------------------------------------------------------------ asking */

void disk_submit(struct disk *d, struct disk_io *io)
{
	io->disk = d;
	io->over = false;
	io->error = 0;
	pthread_mutex_lock(&d->ds->lock);
	list_push(&d->fresh, &io->dev.link);
	if (!link_on_list(&d->fresh_link))
		list_push(&d->ds->fresh, &d->fresh_link);
	pthread_mutex_unlock(&d->ds->lock);
	wake(d->ds);
}

int disk_wait(struct disk_io *io, struct err *err)
{
	static const char *const words[] = {
		[DEV_READ] = "reading", [DEV_WRITE] = "writing", [DEV_FLUSH] = "flushing", [DEV_DISCARD] = "unmapping"};
	struct disk *d = io->disk;

	pthread_mutex_lock(&d->over_lock);
	while (!io->over)
		pthread_cond_wait(&d->over, &d->over_lock);
	pthread_mutex_unlock(&d->over_lock);
	if (!io->error)
		return 0;
	return err_set(err, io->error, "%s %s at %llu: %s", words[io->op], d->store, (unsigned long long)io->off_bytes,
		       io->error == -ECONNREFUSED ? "tgtd does not answer" : strerror(-io->error));
}

static int ask(struct disk *d, enum dev_op op, uint64_t off_bytes, void *buf, uint64_t len_bytes, struct err *err)
{
	struct disk_io io = {.op = op, .off_bytes = off_bytes, .len_bytes = len_bytes, .buf = buf};

	disk_submit(d, &io);
	return disk_wait(&io, err);
}

int disk_read(struct disk *d, uint64_t off_bytes, void *buf, uint64_t len_bytes, struct err *err)
{
	return ask(d, DEV_READ, off_bytes, buf, len_bytes, err);
}

int disk_write(struct disk *d, uint64_t off_bytes, const void *buf, uint64_t len_bytes, struct err *err)
{
	return ask(d, DEV_WRITE, off_bytes, (void *)(uintptr_t)buf, len_bytes, err);
}

int disk_flush(struct disk *d, struct err *err)
{
	return ask(d, DEV_FLUSH, 0, NULL, 0, err);
}

static int write_zeros(struct disk *d, uint64_t off, uint64_t end, struct err *err)
{
	void *zeros = off < end ? calloc(1, MIN(end - off, ZEROS_BYTES)) : NULL;
	int rc = off < end && !zeros ? err_set(err, -ENOMEM, "out of memory") : 0;

	for (uint64_t n; !rc && off < end; off += n) {
		n = MIN(end - off, ZEROS_BYTES);
		rc = disk_write(d, off, zeros, n, err);
	}
	free(zeros);
	return rc;
}

int disk_zero(struct disk *d, uint64_t off_bytes, uint64_t len_bytes, struct err *err)
{
	uint64_t unit = MAX(d->dev->geom.discard_bytes, BLK_BYTES), end = off_bytes + len_bytes;
	uint64_t first = ROUND_UP(off_bytes, unit), last = ROUND_DOWN(end, unit);
	int rc;

	if (end < off_bytes)
		return err_set(err, -EINVAL, "zeroing %s at %llu: beyond its end", d->store,
			       (unsigned long long)off_bytes);
	if (!d->dev->geom.discard_bytes || first >= last)
		return write_zeros(d, off_bytes, end, err);
	rc = write_zeros(d, off_bytes, first, err);
	rc = rc ? rc : ask(d, DEV_DISCARD, first, NULL, last - first, err);
	return rc ? rc : write_zeros(d, last, end, err);
}

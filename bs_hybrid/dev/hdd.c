/* SPDX-License-Identifier: GPL-2.0-only */
/* hdd.c - the HDD device: holds back what the medium does until the modelled drive would have done it. See hdd.h.
 *
 * An I/O goes fresh -> (kick) kicked -> (drain: it has arrived) waiting -> a slot -> finished -> done(). Slots are the
 * drive's queue. An I/O in a slot is with the medium and with the model at the same time, and finished when both are.
 * The medium may thus do a write before the model comes to it, as a drive may do with any write in flight; a flush is
 * given to neither before all that came before it has finished, so it covers what it must.
 *
 * Invariants
 * (1) The model is asked for what happened until now before anything arrives now.
 * (2) When drain returns, the timer is set to the model's next event, or to at once if something was kicked meanwhile;
 *     if it had fired it is set again, be it to never. Setting it makes the descriptor unreadable, so nobody needs to
 *     read it, whether levels are watched or edges.
 * (3) A failed device waits for the medium alone.
 */
#include "dev/hdd.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/units.h"
#include "dev/hdd_model.h"

#define TIMER_OFF UINT64_MAX
#define TIMER_SPENT (UINT64_MAX - 1) /* it has fired, or is about to: whatever is wanted, it must be set */

/* An I/O in the drive. */
struct hdd_slot {
	struct hdd_dev *hdd;
	struct link link; /* hdd_dev.free or .used */
	struct dev_io *io; /* the caller's */
	struct dev_io inner; /* the medium's */
	struct hdd_req req; /* the model's */
	bool in_medium, in_model; /* not done there yet */
};

struct hdd_dev {
	struct dev dev;
	struct dev *medium; /* owner */
	struct hdd_drive drive;
	uint64_t now_ns; /* of the last drain */
	struct link fresh, kicked, waiting, finished; /* struct dev_io.link */
	struct link free, used;
	bool flushing; /* a flush is in the drive, alone */
	bool sent; /* the medium has been given something since it was last kicked */
	int epoll_fd, timer_fd; /* -1 in virtual time. The first watches the second, and the medium's */
	uint64_t timer_ns; /* what the timer is set to; 0: at once */
	struct hdd_slot slots[HDD_DEPTH_MAX];
};

static struct hdd_dev *hdd_of(const struct dev *dev)
{
	return container_of(dev, struct hdd_dev, dev);
}

/* ------------------------------------------------------------------ the timer */

/* When to drain: 0: as soon as possible. */
static uint64_t wanted_ns(const struct hdd_dev *h)
{
	if (!list_empty(&h->kicked))
		return 0;
	list_each(l, &h->used) {
		if (list_entry(l, struct hdd_slot, link)->in_model)
			return hdd_drive_next_ns(&h->drive);
	}
	return TIMER_OFF;
}

/* Set as a distance from the last drain: the clock that comes in by argument need not be the timer's. */
static void timer_arm(struct hdd_dev *h)
{
	uint64_t at = wanted_ns(h), left = at > h->now_ns ? at - h->now_ns : 1;
	struct itimerspec spec = {0};

	if (h->timer_fd < 0 || at == h->timer_ns)
		return;
	if (at != TIMER_OFF) {
		spec.it_value.tv_sec = (time_t)(left / SEC_NS);
		spec.it_value.tv_nsec = (long)(left % SEC_NS);
	}
	timerfd_settime(h->timer_fd, 0, &spec, NULL);
	h->timer_ns = at;
}

static int timer_open(struct hdd_dev *h, struct err *err)
{
	struct epoll_event ev = {.events = EPOLLIN};
	int fd = dev_event_fd(h->medium);

	h->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	h->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (h->timer_fd < 0 || h->epoll_fd < 0 || epoll_ctl(h->epoll_fd, EPOLL_CTL_ADD, h->timer_fd, &ev) < 0 ||
	    (fd >= 0 && epoll_ctl(h->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0))
		return err_set(err, -errno, "HDD model: no timer: %s", strerror(errno));
	return 0;
}

static void timer_close(struct hdd_dev *h)
{
	if (h->epoll_fd >= 0)
		close(h->epoll_fd);
	if (h->timer_fd >= 0)
		close(h->timer_fd);
}

/* ------------------------------------------------------------------ slots */

static void finish(struct hdd_dev *h, struct dev_io *io, int error)
{
	io->error = error;
	list_push(&h->finished, &io->link);
}

static void slot_settle(struct hdd_slot *s)
{
	struct hdd_dev *h = s->hdd;

	if (s->in_medium || (s->in_model && !h->dev.failed))
		return;
	list_del(&s->link);
	list_push_front(&h->free, &s->link);
	if (s->io->op == DEV_FLUSH)
		h->flushing = false;
	finish(h, s->io, s->inner.error);
}

static void medium_done(struct dev_io *inner)
{
	struct hdd_slot *s = inner->owner;

	s->in_medium = false;
	slot_settle(s);
}

static void slot_take(struct hdd_dev *h, struct dev_io *io)
{
	struct hdd_slot *s = list_entry(list_pop(&h->free), struct hdd_slot, link);

	list_push(&h->used, &s->link);
	s->hdd = h;
	s->io = io;
	s->inner = (struct dev_io){
		.op = io->op, .off_bytes = io->off_bytes, .len_bytes = io->len_bytes, .iov = io->iov, .niov = io->niov,
		.done = medium_done, .owner = s,
	};
	s->req = (struct hdd_req){.op = io->op, .off = io->off_bytes, .len = io->len_bytes};
	s->in_medium = s->in_model = true;
	h->flushing = io->op == DEV_FLUSH;
	hdd_drive_enter(&h->drive, &s->req);
	dev_queue(h->medium, &s->inner);
	h->sent = true;
}

/* Lets in who waits, at the time the drive has come to. */
static void let_in(struct hdd_dev *h)
{
	while (!h->dev.failed && !h->flushing && !list_empty(&h->waiting) && !list_empty(&h->free)) {
		struct dev_io *io = list_first(&h->waiting, struct dev_io, link);

		if (io->op == DEV_FLUSH && !list_empty(&h->used))
			return;
		list_del(&io->link);
		slot_take(h, io);
	}
}

/* ------------------------------------------------------------------ queue, kick, drain */

static void hdd_queue(struct dev *dev, struct dev_io *io)
{
	struct hdd_dev *h = hdd_of(dev);

	io->start_ns = h->now_ns;
	list_push(&h->fresh, &io->link);
}

static void hdd_kick(struct dev *dev)
{
	struct hdd_dev *h = hdd_of(dev);

	list_splice(&h->kicked, &h->fresh);
	timer_arm(h);
}

static bool in_range(const struct hdd_dev *h, const struct dev_io *io)
{
	uint64_t size = h->dev.geom.size_bytes;

	return io->op == DEV_FLUSH ||
	       (io->len_bytes && io->off_bytes <= size && io->len_bytes <= size - io->off_bytes);
}

/* What was kicked arrives now. */
static void arrive(struct hdd_dev *h)
{
	struct link *l;

	while ((l = list_pop(&h->kicked)) != NULL) {
		struct dev_io *io = list_entry(l, struct dev_io, link);

		io->start_ns = h->now_ns;
		if (in_range(h, io))
			list_push(&h->waiting, l);
		else
			finish(h, io, -EINVAL);
	}
	let_in(h);
}

/* Kicked twice: what we gave it may be done by the drain already; and what the drain found (the rest of a short
 * transfer, room for the next discard) would otherwise lie there, for our owner need not kick without anything new. */
static void run_medium(struct hdd_dev *h)
{
	h->sent = false;
	h->medium->timeout_ns = h->dev.timeout_ns;
	dev_kick(h->medium);
	dev_drain(h->medium, h->now_ns);
	dev_kick(h->medium);
	h->dev.orphans = h->medium->orphans;
	h->dev.failed |= h->medium->failed;
}

/* Each request that is finished lets in the next one at that time, however late this is called; so the medium must have
 * its chance to be done with that one, or it would keep others out. */
static void run_model(struct hdd_dev *h)
{
	struct hdd_req *r;

	while ((r = hdd_drive_step(&h->drive, h->now_ns)) != NULL) {
		struct hdd_slot *s = container_of(r, struct hdd_slot, req);

		s->in_model = false;
		slot_settle(s);
		let_in(h);
		if (h->sent)
			run_medium(h);
	}
}

static void fail_all(struct hdd_dev *h)
{
	struct link *l;

	hdd_drive_reset(&h->drive);
	list_splice(&h->waiting, &h->kicked);
	while ((l = list_pop(&h->waiting)) != NULL)
		finish(h, list_entry(l, struct dev_io, link), -EIO);
	list_each_safe(k, tmp, &h->used) {
		struct hdd_slot *s = list_entry(k, struct hdd_slot, link);

		s->in_model = false;
		slot_settle(s);
	}
}

/* Goes on until neither has anything more for now: who finishes lets in somebody whom the medium has not seen. */
static void run_both(struct hdd_dev *h)
{
	if (h->dev.failed)
		fail_all(h);
	run_model(h);
	arrive(h);
	do {
		run_model(h);
		run_medium(h);
		if (h->dev.failed)
			fail_all(h);
		let_in(h);
	} while (h->sent);
}

static int hdd_drain(struct dev *dev, uint64_t now_ns)
{
	struct hdd_dev *h = hdd_of(dev);
	struct link todo;
	struct link *l;
	int n = 0;

	h->now_ns = MAX(h->now_ns, now_ns);
	if (h->timer_ns <= h->now_ns)
		h->timer_ns = TIMER_SPENT;
	run_both(h);
	list_init(&todo);
	list_splice(&todo, &h->finished);
	while ((l = list_pop(&todo)) != NULL) {
		struct dev_io *io = list_entry(l, struct dev_io, link);

		dev_finish(dev, io, io->error, h->now_ns);
		n++;
	}
	timer_arm(h);
	return n;
}

static int hdd_event_fd(struct dev *dev)
{
	return hdd_of(dev)->epoll_fd;
}

/* ------------------------------------------------------------------ life */

static int hdd_rescan(struct dev *dev)
{
	struct hdd_dev *h = hdd_of(dev);
	int r = dev_rescan(h->medium);

	if (r < 0 || h->medium->geom.size_bytes == dev->geom.size_bytes)
		return r;
	dev->geom.size_bytes = h->medium->geom.size_bytes;
	hdd_drive_resize(&h->drive, dev->geom.size_bytes);
	return 0;
}

static void hdd_close(struct dev *dev)
{
	struct hdd_dev *h = hdd_of(dev);

	dev_close(h->medium);
	timer_close(h);
	hdd_drive_free(&h->drive);
	mem_free(h);
}

static const struct dev_ops hdd_ops = {
	.kind = "hdd",
	.queue = hdd_queue,
	.kick = hdd_kick,
	.drain = hdd_drain,
	.event_fd = hdd_event_fd,
	.rescan = hdd_rescan,
	.close = hdd_close,
};

static void lists_init(struct hdd_dev *h, uint32_t depth)
{
	struct link *const lists[] = {&h->fresh, &h->kicked, &h->waiting, &h->finished, &h->free, &h->used};

	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		list_init(lists[i]);
	for (uint32_t i = 0; i < depth; i++)
		list_push(&h->free, &h->slots[i].link);
}

int dev_hdd_new(struct dev *medium, const struct hdd_model *model, struct dev **ret, struct err *err)
{
	const struct hdd_model *m = model ? model : &hdd_model_default;
	struct hdd_dev *h;
	int r = hdd_model_check(m, err);

	if (r < 0)
		return r;
	h = mem_zalloc(sizeof(*h));
	if (!h)
		return err_set(err, -ENOMEM, "HDD model: out of memory");
	lists_init(h, m->depth);
	h->medium = medium;
	h->timer_fd = h->epoll_fd = -1;
	h->timer_ns = TIMER_OFF;
	h->dev.ops = &hdd_ops;
	h->dev.geom = medium->geom;
	h->dev.geom.rotational = true;
	h->dev.timeout_ns = medium->timeout_ns;
	h->dev.failed = medium->failed;
	memcpy(h->dev.name, medium->name, sizeof(h->dev.name));
	r = hdd_drive_init(&h->drive, m, medium->geom.size_bytes);
	if (r < 0)
		err_set(err, r, "HDD model: out of memory");
	else if (!m->virtual_time)
		r = timer_open(h, err);
	if (r < 0) {
		timer_close(h);
		hdd_drive_free(&h->drive);
		mem_free(h);
		return r;
	}
	*ret = &h->dev;
	return 0;
}

uint64_t dev_hdd_next_ns(const struct dev *dev)
{
	const struct hdd_dev *h = hdd_of(dev);

	return MAX(wanted_ns(h), h->now_ns);
}

const struct hdd_stats *dev_hdd_stats(const struct dev *dev)
{
	return &hdd_of(dev)->drive.stats;
}

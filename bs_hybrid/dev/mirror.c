/* SPDX-License-Identifier: GPL-2.0-only */
/* mirror.c - the mirror at work: queue, kick, drain, a half that goes out. The rules and the crash stories: mirror.h.
 *
 * An I/O waits for a pair, or (a write into a window being copied) is parked, or is with the halves as a pair. Then it
 * is finished, and its done() runs in the next drain; unless it is held, for the owner to record a loss.
 */
#include "dev/mirror.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>

#include "base/units.h"
#include "dev/mirror_priv.h"

#define RUN_SLACK 8 /* a run of reads leaves its half when that has so many more I/Os in flight than the other */

static bool changes(const struct dev_io *io)
{
	return io->op == DEV_WRITE || io->op == DEV_DISCARD;
}

/* What a good answer to promises something that the other half has to have, too. A discard promises nothing. */
static bool promises(const struct dev_io *io)
{
	return io->op == DEV_WRITE || io->op == DEV_FLUSH;
}

static void answer(struct mirror_dev *m, struct dev_io *io, int error)
{
	io->error = error;
	list_push(&m->finished, &io->link);
}

void mirror_signal(struct mirror_dev *m)
{
	uint64_t one = 1;

	if (m->self_fd < 0 || m->self_signalled)
		return;
	if (write(m->self_fd, &one, sizeof(one)) == (ssize_t)sizeof(one))
		m->self_signalled = m->self_readable = true;
}

/* ------------------------------------------------------------------ a half goes out */

static bool holding(const struct mirror_dev *m)
{
	return !m->dev.failed && (m->half[0].unaccepted || m->half[1].unaccepted);
}

static void answer_held(struct mirror_dev *m, int error)
{
	struct link *l;

	while ((l = list_pop(&m->held)) != NULL)
		answer(m, list_entry(l, struct dev_io, link), error);
}

static void half_out(struct mirror_dev *m, int half, int error)
{
	struct half *h = &m->half[half];

	if (h->state == MIRROR_OUT)
		return;
	h->state = MIRROR_OUT;
	h->error = error;
	h->untold = h->unaccepted = true;
	/* It hangs: what it still has is given up at its next drain, instead of each at the end of its own time. */
	if (error == -ETIMEDOUT)
		h->dev->timeout_ns = 0;
	sync_abort(m, error);
	if (mirror_halves(m, MIRROR_IN))
		return;
	m->dev.failed = true;
	answer_held(m, error);
}

void mirror_half_failed(struct mirror_dev *m, int half, enum dev_op op, int error)
{
	unsigned others = mirror_halves(m, MIRROR_IN) & ~(1u << half);

	if (error == -ETIMEDOUT || m->half[half].dev->failed || op == DEV_FLUSH || (op == DEV_WRITE && others))
		half_out(m, half, error);
}

void dev_mirror_drop(struct dev *dev, int half, int error)
{
	half_out(mirror_of(dev), half, error);
}

void dev_mirror_accept(struct dev *dev, int half)
{
	struct mirror_dev *m = mirror_of(dev);

	m->half[half].unaccepted = false;
	if (holding(m) || list_empty(&m->held))
		return;
	list_splice(&m->held, &m->todo); /* before all that is to be answered */
	list_splice(&m->todo, &m->held);
	mirror_signal(m);
}

void dev_mirror_refuse(struct dev *dev, int half, int error)
{
	struct mirror_dev *m = mirror_of(dev);

	assert(error < 0);
	m->half[half].unaccepted = false;
	m->refused = error;
	answer_held(m, error);
	mirror_signal(m);
}

/* ------------------------------------------------------------------ to the halves */

/* SSDs answer anywhere alike, so the load decides; but a run that stays on one half is read ahead there. */
static int choose_half(const struct mirror_dev *m, uint64_t off)
{
	uint64_t far[2];

	for (int h = 0; h < 2; h++) {
		if (m->half[h].read_end == off && m->half[h].dev->inflight <= m->half[!h].dev->inflight + RUN_SLACK)
			return h;
		far[h] = off > m->half[h].read_end ? off - m->half[h].read_end : m->half[h].read_end - off;
	}
	if (m->half[0].dev->inflight != m->half[1].dev->inflight)
		return m->half[1].dev->inflight < m->half[0].dev->inflight;
	return far[1] < far[0];
}

/* Bits of the halves it goes to; 0: nowhere. */
static unsigned targets(const struct mirror_dev *m, const struct dev_io *io)
{
	unsigned in = mirror_halves(m, MIRROR_IN), all = in | mirror_halves(m, MIRROR_SYNCING);

	if (m->dev.failed)
		return 0;
	if (io->op != DEV_READ)
		return m->refused ? 0 : io->side ? all & io->side : all;
	if (io->side)
		return in & io->side;
	return in == 3 ? 1u << choose_half(m, io->off_bytes) : in;
}

static int no_target_error(const struct mirror_dev *m, const struct dev_io *io)
{
	if (m->dev.failed)
		return -EIO;
	return io->op != DEV_READ && m->refused ? m->refused : -ENODEV;
}

static void part_done(struct dev_io *part);

static void send_part(struct pair *p, int half)
{
	const struct dev_io *io = p->io;

	p->part[half] = (struct dev_io){
		.op = io->op,
		.off_bytes = io->off_bytes,
		.len_bytes = io->len_bytes,
		.iov = io->iov,
		.niov = io->niov,
		.done = part_done,
		.owner = p,
	};
	p->pending++;
	p->sent |= (uint8_t)(1u << half);
	if (io->op == DEV_READ)
		p->m->half[half].read_end = io->off_bytes + io->len_bytes;
	dev_queue(p->m->half[half].dev, &p->part[half]);
}

/* There is a free pair. */
static void dispatch(struct mirror_dev *m, struct dev_io *io)
{
	unsigned to = targets(m, io);
	struct pair *p;

	if (!to) {
		answer(m, io, no_target_error(m, io));
		return;
	}
	if (changes(io) && sync_blocks(m, io->off_bytes, io->len_bytes)) {
		list_push(&m->parked, &io->link);
		return;
	}
	p = list_entry(list_pop(&m->free), struct pair, link);
	p->io = io;
	p->error = 0;
	p->pending = p->sent = p->good = 0;
	if (changes(io))
		list_push(&m->writes, &p->link);
	for (int h = 0; h < 2; h++) {
		if (to & 1u << h)
			send_part(p, h);
	}
}

/* ------------------------------------------------------------------ from the halves */

static void pair_end(struct pair *p, int error)
{
	struct mirror_dev *m = p->m;

	if (changes(p->io))
		list_del(&p->link);
	answer(m, p->io, error);
	list_push(&m->free, &p->link);
}

/* Success is what a half has that is still IN; for an I/O to one side, what that half has unless it is OUT. */
static int write_result(const struct pair *p)
{
	const struct mirror_dev *m = p->m;
	unsigned count = mirror_halves(m, MIRROR_IN);

	if (p->io->side)
		count |= mirror_halves(m, MIRROR_SYNCING);
	if (p->good & count)
		return 0;
	return p->error ? p->error : -EIO;
}

static void read_part_done(struct pair *p, int half, int error)
{
	struct mirror_dev *m = p->m;
	struct dev_io *io = p->io;
	unsigned left = mirror_halves(m, MIRROR_IN) & ~p->sent;

	if (!error) {
		int other = !half;

		io->served = (uint8_t)(half + 1);
		if (p->sent == 3 && m->half[other].state == MIRROR_IN && m->watch.bad_read)
			m->watch.bad_read(m->watch.ctx, other, io->off_bytes, io->len_bytes);
		pair_end(p, 0);
	} else if (error != -ETIMEDOUT && !io->side && left) {
		m->kick = true;
		send_part(p, left >> 1);
	} else {
		pair_end(p, error);
	}
}

static void part_done(struct dev_io *part)
{
	struct pair *p = part->owner;
	struct mirror_dev *m = p->m;
	int half = part == &p->part[1];
	bool replaced = part->dev != m->half[half].dev;

	p->pending--;
	p->io->start_ns = MAX(p->io->start_ns, part->start_ns); /* the half knows better when that was */
	if (part->error) {
		if (p->error != -ETIMEDOUT)
			p->error = part->error;
		if (!replaced)
			mirror_half_failed(m, half, part->op, part->error);
	} else if (!replaced) {
		p->good |= (uint8_t)(1u << half);
	}
	if (part->op == DEV_READ)
		read_part_done(p, half, part->error);
	else if (!p->pending)
		pair_end(p, write_result(p));
}

/* ------------------------------------------------------------------ queue and kick */

static int refusal(const struct mirror_dev *m, const struct dev_io *io)
{
	uint64_t size = m->dev.geom.size_bytes;

	assert(io->done && io->side <= 2);
	if (m->dev.failed)
		return -EIO;
	if (io->op == DEV_FLUSH)
		return 0;
	if (io->off_bytes > size || io->len_bytes > size - io->off_bytes || io->len_bytes == 0)
		return -EINVAL;
	if (io->op == DEV_DISCARD && !m->dev.geom.discard_bytes)
		return -EOPNOTSUPP;
	return 0;
}

/* What is set in the mirror's struct dev holds for the halves. One that is out keeps the time limit it has. */
static void pass_settings(struct mirror_dev *m)
{
	for (int h = 0; h < 2; h++) {
		struct dev *dev = m->half[h].dev;

		if (!dev)
			continue;
		dev->edge_events = m->dev.edge_events;
		if (m->timeout_ns != m->dev.timeout_ns && m->half[h].state != MIRROR_OUT)
			dev->timeout_ns = m->dev.timeout_ns;
	}
	m->timeout_ns = m->dev.timeout_ns;
}

static void mirror_queue(struct dev *dev, struct dev_io *io)
{
	struct mirror_dev *m = mirror_of(dev);
	int r = refusal(m, io);

	if (m->timeout_ns != dev->timeout_ns)
		pass_settings(m);
	io->start_ns = m->now_ns;
	io->served = 0;
	if (r < 0)
		answer(m, io, r);
	else if (list_empty(&m->free) || !list_empty(&m->waiting))
		list_push(&m->waiting, &io->link);
	else
		dispatch(m, io);
}

static void kick_all(struct mirror_dev *m)
{
	m->kick = false;
	for (int h = 0; h < 2; h++) {
		if (m->half[h].dev)
			dev_kick(m->half[h].dev);
	}
	for (int i = 0; i < MIRROR_GRAVES; i++) {
		if (m->graves[i])
			dev_kick(m->graves[i]);
	}
}

static void mirror_kick(struct dev *dev)
{
	struct mirror_dev *m = mirror_of(dev);

	kick_all(m);
	if (!list_empty(&m->finished))
		mirror_signal(m);
}

/* ------------------------------------------------------------------ drain */

static void drain_halves(struct mirror_dev *m)
{
	uint64_t count;

	if (m->self_readable && !m->dev.edge_events)
		m->self_readable = read(m->self_fd, &count, sizeof(count)) < 0;
	m->self_signalled = false;
	for (int h = 0; h < 2; h++) {
		if (m->half[h].dev)
			dev_drain(m->half[h].dev, m->now_ns);
	}
	for (int i = 0; i < MIRROR_GRAVES; i++) {
		if (m->graves[i])
			dev_drain(m->graves[i], m->now_ns);
	}
}

static int tell_losses(struct mirror_dev *m)
{
	int n = 0;

	for (int h = 0; h < 2; h++) {
		if (!m->half[h].untold || !m->watch.lost)
			continue;
		m->half[h].untold = false;
		m->watch.lost(m->watch.ctx, h, m->half[h].error);
		n++;
	}
	return n;
}

/* What waited for a window or for a pair goes on, in the order in which it came. */
static void go_on(struct mirror_dev *m)
{
	struct link again, *l;

	if (list_empty(&m->parked) && list_empty(&m->waiting))
		return;
	list_init(&again);
	list_splice(&again, &m->parked);
	while (!list_empty(&m->free) && (l = list_pop(&again)) != NULL)
		dispatch(m, list_entry(l, struct dev_io, link));
	list_splice(&m->parked, &again);
	while (!list_empty(&m->free) && (l = list_pop(&m->waiting)) != NULL)
		dispatch(m, list_entry(l, struct dev_io, link));
	m->kick = true;
}

static int deliver(struct mirror_dev *m)
{
	struct link *l;
	int n = 0;

	list_splice(&m->todo, &m->finished); /* what done() queues and is refused waits for the next drain */
	while ((l = list_pop(&m->todo)) != NULL) {
		struct dev_io *io = list_entry(l, struct dev_io, link);

		if (holding(m) && !io->error && !io->side && promises(io)) {
			list_push(&m->held, l);
			continue;
		}
		/* It ended well, but before it could be told there was nothing left to vouch for it. */
		if (!io->error && promises(io) && (m->dev.failed || m->refused))
			io->error = m->refused ? m->refused : -EIO;
		dev_finish(&m->dev, io, io->error, m->now_ns);
		n++;
	}
	return n;
}

/* Closes replaced devices that came to rest, and counts what others may still do to the caller's memory. */
static void look_at_graves(struct mirror_dev *m)
{
	m->dev.orphans = 0;
	for (int h = 0; h < 2; h++) {
		if (m->half[h].dev)
			m->dev.orphans += m->half[h].dev->orphans;
	}
	for (int i = 0; i < MIRROR_GRAVES; i++) {
		struct dev *dev = m->graves[i];

		if (!dev)
			continue;
		m->dev.orphans += dev->orphans;
		if (dev->inflight || dev->orphans)
			continue;
		mirror_unlisten(m, dev);
		dev_close(dev);
		m->graves[i] = NULL;
	}
}

static int mirror_drain(struct dev *dev, uint64_t now_ns)
{
	struct mirror_dev *m = mirror_of(dev);
	int n;

	m->now_ns = now_ns;
	pass_settings(m);
	drain_halves(m);
	n = tell_losses(m);
	n += sync_pump(m);
	go_on(m);
	if (m->kick)
		kick_all(m);
	n += deliver(m);
	look_at_graves(m);
	return n;
}

static int mirror_event_fd(struct dev *dev)
{
	return mirror_of(dev)->epoll_fd;
}

const struct dev_ops mirror_ops = {
	.kind = "mirror",
	.queue = mirror_queue,
	.kick = mirror_kick,
	.drain = mirror_drain,
	.event_fd = mirror_event_fd,
	.rescan = mirror_rescan,
	.close = mirror_close,
};

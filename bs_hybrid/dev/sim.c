/* SPDX-License-Identifier: GPL-2.0-only */
/* sim.c - the simulated device: latency, order, faults, time-outs. The bytes are sim_medium.c's; the rules are in
 * sim.h.
 *
 * An I/O is waiting (queued, or kicked beyond the depth), or in flight (sent: it has a time at which it is due), or an
 * orphan (given up by time-out; its memory is still used by the disk until it is late_ns late).
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "base/text.h"
#include "dev/sim.h"
#include "dev/sim_medium.h"

struct sim_io {
	struct link link;
	struct dev_io *io; /* the caller's; of an orphan: no longer ours, only its memory is */
	enum dev_op op;
	uint64_t off, len;
	uint64_t due_ns; /* UINT64_MAX: stuck */
	uint64_t give_up_ns;
	uint64_t order; /* of being sent */
	uint64_t flush_seq;
	uint8_t *bytes; /* of a write: as they were when it was sent */
	struct iovec *iov; /* a copy: an orphan outlives the caller's */
	int niov;
	int fault; /* the -errno it will answer with; 0: none */
	bool kicked;
};

struct sim_dev {
	struct dev dev; /* first */
	struct sim_disk *disk;
	struct link waiting, flight, orphans;
	uint32_t nflight, depth;
};

struct sim_disk {
	struct sim_clock *clock;
	struct medium *medium;
	struct rng rng;
	struct sim_faults faults;
	struct sim_counts counts;
	uint64_t size_bytes, order, room_left;
	uint32_t logical_bytes;
	bool rotational;
	char name[32];
	struct sim_dev *open;
};

static void *need(void *p)
{
	if (!p)
		abort();
	return p;
}

static void trace(struct sim_clock *clock, uint64_t what)
{
	clock->trace = hash64(clock->trace ^ what) + 0x9e3779b97f4a7c15ull;
}

/* ------------------------------------------------------------------ memory of an I/O */

static void iov_gather(const struct iovec *iov, int niov, uint8_t *to)
{
	for (int i = 0; i < niov; i++) {
		memcpy(to, iov[i].iov_base, iov[i].iov_len);
		to += iov[i].iov_len;
	}
}

static void iov_scatter(const struct iovec *iov, int niov, const uint8_t *from)
{
	for (int i = 0; i < niov; i++) {
		memcpy(iov[i].iov_base, from, iov[i].iov_len);
		from += iov[i].iov_len;
	}
}

static void iov_scribble(const struct iovec *iov, int niov, struct rng *rng)
{
	for (int i = 0; i < niov; i++)
		memset(iov[i].iov_base, (int)rng_below(rng, 256), iov[i].iov_len);
}

static void sim_io_free(struct sim_io *s)
{
	free(s->bytes);
	free(s->iov);
	free(s);
}

/* ------------------------------------------------------------------ sending */

static uint64_t latency_draw(struct sim_disk *d, enum dev_op op, uint64_t len)
{
	static const uint64_t flash_us[4] = {60, 20, 300, 40}, spinning_us[4] = {4000, 2000, 9000, 100};
	uint64_t us = (d->rotational ? spinning_us : flash_us)[op] + len / (d->rotational ? 150 : 1000);

	us = us / 2 + rng_below(&d->rng, us + 1);
	if (!rng_below(&d->rng, 24))
		us *= 1 + rng_below(&d->rng, 30); /* now and then one lags far behind */
	return us * 1000 + rng_below(&d->rng, 1000);
}

static bool overlaps(const struct sim_io *a, const struct sim_io *b)
{
	return a->off < b->off + b->len && b->off < a->off + a->len;
}

static void note_overlap(struct sim_dev *sd, const struct sim_io *s)
{
	list_each(l, &sd->flight) {
		const struct sim_io *o = list_entry(l, struct sim_io, link);

		if (o->op == DEV_WRITE && overlaps(o, s)) {
			sd->disk->counts.overlaps++;
			return;
		}
	}
}

static int fault_room(struct sim_disk *d, const struct sim_io *s)
{
	uint64_t want;

	if (!d->faults.room_bytes || s->op != DEV_WRITE)
		return 0;
	want = medium_untouched(d->medium, s->off, s->len) * BLK_BYTES;
	if (want > d->room_left)
		return -ENOSPC;
	d->room_left -= want;
	return 0;
}

static void fault_draw(struct sim_disk *d, struct sim_io *s)
{
	const struct sim_faults *f = &d->faults;
	uint64_t n;

	s->fault = fault_room(d, s);
	if (f->ops && !(f->ops & 1u << s->op))
		return;
	n = ++d->counts.sent;
	if (f->eio_at && n >= f->eio_at && n - f->eio_at < f->eio_count)
		s->fault = f->eio_error ? f->eio_error : -EIO;
	if (f->stuck_at == n) {
		s->due_ns = UINT64_MAX;
		d->counts.fault_hits++;
	}
	if (s->fault)
		d->counts.fault_hits++;
}

static void send_one(struct sim_dev *sd, struct sim_io *s)
{
	struct sim_disk *d = sd->disk;

	s->order = ++d->order;
	s->due_ns = d->clock->now_ns + latency_draw(d, s->op, s->len);
	s->flush_seq = s->op == DEV_FLUSH ? s->flush_seq : 0;
	fault_draw(d, s);
	if (s->op == DEV_WRITE) {
		note_overlap(sd, s);
		s->bytes = need(malloc(s->len));
		iov_gather(s->iov, s->niov, s->bytes);
	} else if (s->op == DEV_READ) {
		iov_scribble(s->iov, s->niov, &d->rng);
	}
	list_push(&sd->flight, &s->link);
	sd->nflight++;
}

static void send_waiting(struct sim_dev *sd)
{
	bool sent = false;

	while (sd->nflight < sd->depth && !list_empty(&sd->waiting)) {
		struct sim_io *s = list_first(&sd->waiting, struct sim_io, link);

		if (!s->kicked)
			break;
		list_del(&s->link);
		send_one(sd, s);
		sent |= s->op != DEV_READ;
	}
	if (sent && sd->disk->clock->event)
		sd->disk->clock->event(sd->disk->clock->ctx, sd->disk, SIM_SENT);
}

static void sim_queue(struct dev *dev, struct dev_io *io)
{
	struct sim_dev *sd = container_of(dev, struct sim_dev, dev);
	struct sim_io *s = need(calloc(1, sizeof(*s)));
	uint64_t sum = 0;

	assert(io->off_bytes % dev->geom.logical_bytes == 0 && io->len_bytes % dev->geom.logical_bytes == 0);
	assert(io->off_bytes + io->len_bytes <= dev->geom.size_bytes && io->done);
	for (int i = 0; i < io->niov; i++) {
		assert((uintptr_t)io->iov[i].iov_base % dev->geom.mem_align == 0);
		sum += io->iov[i].iov_len;
	}
	if (io->op == DEV_READ || io->op == DEV_WRITE)
		assert(io->niov > 0 && io->niov <= DEV_IOV_MAX && sum == io->len_bytes && sum > 0);
	s->io = io;
	s->op = io->op;
	s->off = io->off_bytes;
	s->len = io->len_bytes;
	s->flush_seq = medium_seq(sd->disk->medium);
	s->niov = io->niov;
	s->iov = need(malloc(sizeof(*s->iov) * (size_t)(io->niov + 1)));
	if (io->niov)
		memcpy(s->iov, io->iov, sizeof(*s->iov) * (size_t)io->niov);
	io->start_ns = sd->disk->clock->now_ns;
	s->give_up_ns = io->start_ns + dev->timeout_ns;
	list_push(&sd->waiting, &s->link);
}

static void sim_kick(struct dev *dev)
{
	struct sim_dev *sd = container_of(dev, struct sim_dev, dev);

	list_each(l, &sd->waiting)
		list_entry(l, struct sim_io, link)->kicked = true;
	if (!dev->failed)
		send_waiting(sd);
}

/* ------------------------------------------------------------------ completing */

/* Lands a write: the bytes are those at sending, or those now (the disk may take them at any time between). */
static void land_write(struct sim_disk *d, struct sim_io *s, bool memory_is_ours)
{
	if (memory_is_ours) {
		uint8_t *now = need(malloc(s->len));

		iov_gather(s->iov, s->niov, now);
		if (memcmp(now, s->bytes, s->len) != 0) {
			d->counts.changed++;
			if (rng_below(&d->rng, 2))
				memcpy(s->bytes, now, s->len);
		}
		free(now);
	}
	if (s->fault)
		medium_write_some(d->medium, s->off, s->bytes, s->len, &d->rng, 128);
	else
		medium_write(d->medium, s->off, s->bytes, s->len);
}

static void fill_read(struct sim_dev *sd, struct sim_io *s)
{
	struct sim_disk *d = sd->disk;
	uint8_t *bytes = need(malloc(s->len));

	medium_read(d->medium, s->off, bytes, s->len);
	list_each(l, &sd->flight) {
		const struct sim_io *w = list_entry(l, struct sim_io, link);

		if (w->op != DEV_WRITE || !overlaps(w, s))
			continue;
		for (uint64_t at = MAX(w->off, s->off); at < MIN(w->off + w->len, s->off + s->len); at += SECTOR_BYTES)
			if (rng_below(&d->rng, 2))
				memcpy(bytes + (at - s->off), w->bytes + (at - w->off), SECTOR_BYTES);
	}
	iov_scatter(s->iov, s->niov, bytes);
	free(bytes);
}

/* Contents after a discard are nobody's: zeros, what was there, or junk. */
static void land_discard(struct sim_disk *d, const struct sim_io *s)
{
	uint8_t page[BLK_BYTES];
	uint64_t what = rng_below(&d->rng, 3);

	memset(page, what == 1 ? (int)rng_below(&d->rng, 256) : 0, sizeof(page));
	for (uint64_t at = 0; what && at < s->len; at += MIN(s->len - at, BLK_BYTES))
		medium_write(d->medium, s->off + at, page, MIN(s->len - at, BLK_BYTES));
}

static void take_effect(struct sim_dev *sd, struct sim_io *s)
{
	struct sim_disk *d = sd->disk;

	switch (s->op) {
	case DEV_READ:
		if (!s->fault)
			fill_read(sd, s);
		break;
	case DEV_WRITE:
		land_write(d, s, true);
		break;
	case DEV_FLUSH:
		if (s->fault)
			medium_forsake(d->medium, s->flush_seq);
		else if (!d->faults.lying_flush)
			medium_flush(d->medium, s->flush_seq);
		break;
	case DEV_DISCARD:
		if (!s->fault)
			land_discard(d, s);
		break;
	}
}

static void answer(struct sim_dev *sd, struct sim_io *s, int error, uint64_t now_ns)
{
	struct sim_clock *clock = sd->disk->clock;
	struct sim_disk *d = sd->disk;
	bool read = s->op == DEV_READ;

	trace(clock, s->off << 3 ^ s->len << 24 ^ (uint64_t)s->op);
	trace(clock, (uint64_t)-error ^ clock->now_ns << 8);
	clock->completions++;
	dev_finish(&sd->dev, s->io, error, now_ns);
	sim_io_free(s);
	if (clock->event && !read)
		clock->event(clock->ctx, d, SIM_DONE);
}

static void complete(struct sim_dev *sd, struct sim_io *s, uint64_t now_ns)
{
	bool failed = sd->dev.failed;

	list_del(&s->link);
	sd->nflight--;
	take_effect(sd, s);
	answer(sd, s, failed ? -EIO : s->fault, now_ns);
}

static void give_up(struct sim_dev *sd, struct sim_io *s, uint64_t now_ns)
{
	struct sim_io *orphan = need(calloc(1, sizeof(*orphan)));

	list_del(&s->link);
	sd->nflight--;
	sd->dev.failed = true;
	sd->dev.orphans++;
	*orphan = *s;
	s->bytes = NULL;
	s->iov = NULL;
	orphan->io = NULL;
	orphan->due_ns = sd->disk->faults.late_ns ? now_ns + sd->disk->faults.late_ns : UINT64_MAX;
	list_push(&sd->orphans, &orphan->link);
	answer(sd, s, -ETIMEDOUT, now_ns);
}

/* A disk that comes back late uses the memory it was once given: it reads it, or writes over it. */
static void settle_orphans(struct sim_dev *sd, uint64_t now_ns)
{
	list_each_safe(l, tmp, &sd->orphans) {
		struct sim_io *s = list_entry(l, struct sim_io, link);

		if (s->due_ns > now_ns)
			continue;
		list_del(&s->link);
		sd->dev.orphans--;
		if (s->op == DEV_READ)
			iov_scribble(s->iov, s->niov, &sd->disk->rng);
		else if (s->op == DEV_WRITE)
			land_write(sd->disk, s, true);
		sim_io_free(s);
	}
}

static struct sim_io *next_due(struct sim_dev *sd, uint64_t now_ns)
{
	struct sim_io *best = NULL;

	list_each(l, &sd->flight) {
		struct sim_io *s = list_entry(l, struct sim_io, link);

		if (s->due_ns <= now_ns && (!best || s->due_ns < best->due_ns))
			best = s;
	}
	return best;
}

static struct sim_io *next_hopeless(struct sim_dev *sd, uint64_t now_ns)
{
	list_each(l, &sd->flight) {
		struct sim_io *s = list_entry(l, struct sim_io, link);

		if (s->give_up_ns <= now_ns)
			return s;
	}
	return NULL;
}

static int fail_waiting(struct sim_dev *sd, uint64_t now_ns)
{
	struct link now;
	int n = 0;

	list_init(&now);
	list_splice(&now, &sd->waiting); /* done() may queue more: those wait for the next drain */
	while (!list_empty(&now)) {
		answer(sd, list_entry(list_pop(&now), struct sim_io, link), -EIO, now_ns);
		n++;
	}
	return n;
}

static int sim_drain(struct dev *dev, uint64_t now_ns)
{
	struct sim_dev *sd = container_of(dev, struct sim_dev, dev);
	struct sim_io *s;
	int n = 0;

	settle_orphans(sd, now_ns);
	for (; (s = next_due(sd, now_ns)); n++)
		complete(sd, s, now_ns);
	for (; (s = next_hopeless(sd, now_ns)); n++)
		give_up(sd, s, now_ns);
	if (dev->failed)
		n += fail_waiting(sd, now_ns);
	else
		send_waiting(sd);
	return n;
}

static void sim_close(struct dev *dev)
{
	struct sim_dev *sd = container_of(dev, struct sim_dev, dev);
	struct sim_disk *d = sd->disk;

	while (!list_empty(&sd->flight)) {
		struct sim_io *s = list_entry(list_pop(&sd->flight), struct sim_io, link);

		if (s->op == DEV_WRITE && rng_below(&d->rng, 2)) {
			unsigned keep = rng_below(&d->rng, 4) ? 256 : 128;

			medium_write_some(d->medium, s->off, s->bytes, s->len, &d->rng, keep);
		}
		sim_io_free(s);
	}
	while (!list_empty(&sd->waiting))
		sim_io_free(list_entry(list_pop(&sd->waiting), struct sim_io, link));
	while (!list_empty(&sd->orphans))
		sim_io_free(list_entry(list_pop(&sd->orphans), struct sim_io, link));
	d->open = NULL;
	free(sd);
}

static int sim_rescan(struct dev *dev)
{
	dev->geom.size_bytes = container_of(dev, struct sim_dev, dev)->disk->size_bytes;
	return 0;
}

static const struct dev_ops sim_ops = {
	.kind = "sim",
	.queue = sim_queue,
	.kick = sim_kick,
	.drain = sim_drain,
	.rescan = sim_rescan,
	.close = sim_close,
};

/* ------------------------------------------------------------------ disks */

struct sim_disk *sim_disk_new(struct sim_clock *clock, const char *name, uint64_t size_bytes, uint32_t logical_bytes,
			      uint64_t seed)
{
	struct sim_disk *d = need(calloc(1, sizeof(*d)));

	assert(logical_bytes == 512 || logical_bytes == 4096);
	d->clock = clock;
	d->medium = medium_new(size_bytes);
	d->rng.s = seed;
	d->size_bytes = size_bytes;
	d->logical_bytes = logical_bytes;
	text_fmt(d->name, sizeof(d->name), "%s", name);
	return d;
}

void sim_disk_grow(struct sim_disk *d, uint64_t size_bytes)
{
	medium_grow(d->medium, size_bytes);
	d->size_bytes = size_bytes;
}

/* The writes in flight at the moment of the crash, in the order in which they were sent. */
static void land_flight(struct sim_disk *d, const struct sim_dev *sd, enum sim_crash how)
{
	list_each(l, &sd->flight) {
		const struct sim_io *s = list_entry(l, struct sim_io, link);

		if (s->op != DEV_WRITE)
			continue;
		if (how != SIM_PROCESS_DEATH)
			medium_write(d->medium, s->off, s->bytes, s->len);
		else if (rng_below(&d->rng, 2))
			medium_write_some(d->medium, s->off, s->bytes, s->len, &d->rng,
					  rng_below(&d->rng, 4) ? 256 : 128);
	}
}

struct sim_disk *sim_disk_crashed(const struct sim_disk *src, enum sim_crash how, struct sim_clock *clock,
				  uint64_t seed)
{
	struct sim_disk *d = need(malloc(sizeof(*d)));

	*d = *src;
	d->clock = clock;
	d->medium = medium_clone(src->medium);
	d->rng.s = seed;
	d->open = NULL;
	sim_disk_arm(d, &(struct sim_faults){0});
	if (src->open)
		land_flight(d, src->open, how);
	if (how != SIM_PROCESS_DEATH)
		medium_settle(d->medium, &d->rng, how == SIM_POWER_CUT);
	return d;
}

void sim_disk_crash(struct sim_disk *d, enum sim_crash how)
{
	assert(!d->open);
	if (how != SIM_PROCESS_DEATH)
		medium_settle(d->medium, &d->rng, how == SIM_POWER_CUT);
	sim_disk_arm(d, &(struct sim_faults){0});
}

void sim_disk_free(struct sim_disk *d)
{
	if (!d)
		return;
	assert(!d->open);
	medium_free(d->medium);
	free(d);
}

struct dev *sim_open(struct sim_disk *d)
{
	static const uint32_t depths[] = {1, 2, 8, 32, 32, 128};
	struct sim_dev *sd = need(calloc(1, sizeof(*sd)));

	assert(!d->open);
	medium_relent(d->medium);
	sd->disk = d;
	sd->depth = depths[rng_below(&d->rng, ARRAY_LEN(depths))];
	list_init(&sd->waiting);
	list_init(&sd->flight);
	list_init(&sd->orphans);
	sd->dev.ops = &sim_ops;
	sd->dev.geom = (struct dev_geom){.size_bytes = d->size_bytes,
					 .logical_bytes = d->logical_bytes,
					 .mem_align = d->logical_bytes,
					 .discard_bytes = BLK_BYTES,
					 .rotational = d->rotational};
	memcpy(sd->dev.name, d->name, sizeof(d->name));
	sd->dev.timeout_ns = DEV_TIMEOUT_NS;
	d->open = sd;
	return &sd->dev;
}

void sim_disk_arm(struct sim_disk *d, const struct sim_faults *f)
{
	d->faults = *f;
	d->counts.sent = 0;
	d->counts.fault_hits = 0;
	d->room_left = f->room_bytes;
}

void sim_disk_set_rotational(struct sim_disk *d, bool rotational)
{
	d->rotational = rotational;
}

struct sim_counts sim_disk_counts(const struct sim_disk *d)
{
	struct sim_counts c = d->counts;

	c.undurable_pages = medium_undurable(d->medium);
	return c;
}

uint64_t sim_disk_next_ns(const struct sim_disk *d)
{
	uint64_t next = UINT64_MAX;

	if (!d->open)
		return next;
	if (d->open->dev.failed && !list_empty(&d->open->waiting))
		return d->clock->now_ns;
	list_each(l, &d->open->flight) {
		const struct sim_io *s = list_entry(l, struct sim_io, link);

		next = MIN(next, MIN(s->due_ns, s->give_up_ns));
	}
	list_each(l, &d->open->orphans)
		next = MIN(next, list_entry(l, struct sim_io, link)->due_ns);
	return next;
}

uint64_t sim_disk_size(const struct sim_disk *d)
{
	return d->size_bytes;
}

void sim_disk_peek(const struct sim_disk *d, uint64_t off_bytes, void *buf, uint64_t len_bytes)
{
	uint8_t page[BLK_BYTES];
	uint8_t *to = buf;

	assert(off_bytes + len_bytes <= d->size_bytes);
	while (len_bytes) {
		uint64_t in = off_bytes % BLK_BYTES, n = MIN(len_bytes, BLK_BYTES - in);

		medium_read(d->medium, off_bytes - in, page, BLK_BYTES);
		memcpy(to, page + in, n);
		off_bytes += n;
		to += n;
		len_bytes -= n;
	}
}

void sim_disk_poke(struct sim_disk *d, uint64_t off_bytes, const void *buf, uint64_t len_bytes)
{
	assert(off_bytes + len_bytes <= d->size_bytes);
	medium_poke(d->medium, off_bytes, buf, len_bytes);
}

void sim_disk_flip(struct sim_disk *d, uint64_t bit)
{
	uint8_t byte;

	sim_disk_peek(d, bit / 8, &byte, 1);
	byte ^= (uint8_t)(1u << bit % 8);
	sim_disk_poke(d, bit / 8, &byte, 1);
}

uint64_t sim_disk_next_page(const struct sim_disk *d, uint64_t from)
{
	return medium_next_page(d->medium, from);
}

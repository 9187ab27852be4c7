/* SPDX-License-Identifier: GPL-2.0-only */
/* hdd_model.c - the drive: where bytes are, what reaching them takes, and which request is next. See hdd_model.h. */
#include "dev/hdd_model.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/units.h"

#define EXTENTS_MAX 16384u
#define RATE_MAX 100000000000ull /* bytes a second */
#define SEEK_MAX_NS SEC_NS
#define AGE_MAX_NS (3600 * SEC_NS)
#define CACHE_MAX GIB(1)

const struct hdd_model hdd_model_default = {
	.rpm = 7200,
	.seek_min_ns = 800000,
	.seek_max_ns = 8700000,
	.outer_bytes_s = 180000000,
	.inner_bytes_s = 90000000,
	.bus_bytes_s = 600000000,	/* SATA 6 Gbit/s */
	.ahead_bytes = MIB(1),
	.write_cache_bytes = 0,
	.depth = 32,
	.age_ns = 500 * MSEC_NS,
	.scale = 1,
};

static uint64_t mul_div(uint64_t a, uint64_t b, uint64_t c)
{
	return (uint64_t)((unsigned __int128)a * b / c);
}

/* ------------------------------------------------------------------ figures */

int hdd_model_check(const struct hdd_model *m, struct err *err)
{
	if (m->rpm < 100 || m->rpm > 100000)
		return err_set(err, -EINVAL, "HDD model: %u rpm, expected 100 to 100000", m->rpm);
	if (m->seek_min_ns > m->seek_max_ns || m->seek_max_ns > SEEK_MAX_NS)
		return err_set(err, -EINVAL, "HDD model: seeks from %llu to %llu ns, expected the shortest first and a "
			       "second at most", (unsigned long long)m->seek_min_ns,
			       (unsigned long long)m->seek_max_ns);
	if (!m->inner_bytes_s || m->inner_bytes_s > m->outer_bytes_s || m->outer_bytes_s > RATE_MAX)
		return err_set(err, -EINVAL, "HDD model: %llu bytes/s outermost and %llu innermost, expected no more "
			       "inside than outside and 100 GB/s at most", (unsigned long long)m->outer_bytes_s,
			       (unsigned long long)m->inner_bytes_s);
	if (!m->bus_bytes_s || m->bus_bytes_s > RATE_MAX)
		return err_set(err, -EINVAL, "HDD model: a bus of %llu bytes/s, expected 1 to 100 GB/s",
			       (unsigned long long)m->bus_bytes_s);
	if (m->ahead_bytes > CACHE_MAX || m->write_cache_bytes > CACHE_MAX)
		return err_set(err, -EINVAL, "HDD model: %llu bytes of read-ahead and %llu of write cache, expected 1 "
			       "GiB at most", (unsigned long long)m->ahead_bytes,
			       (unsigned long long)m->write_cache_bytes);
	if (!m->depth || m->depth > HDD_DEPTH_MAX)
		return err_set(err, -EINVAL, "HDD model: a depth of %u, expected 1 to %d", m->depth, HDD_DEPTH_MAX);
	if (m->age_ns > AGE_MAX_NS)
		return err_set(err, -EINVAL, "HDD model: an age of %llu ns, expected an hour at most",
			       (unsigned long long)m->age_ns);
	if (!(m->scale >= 0.0001 && m->scale <= 100))
		return err_set(err, -EINVAL, "HDD model: a scale of %g, expected 0.0001 to 100", m->scale);
	return 0;
}

static uint64_t scaled(double value, double by)
{
	return (uint64_t)(value * by + 0.5);
}

/* From here on a millisecond of the owner's clock is a millisecond. */
static struct hdd_model model_scaled(const struct hdd_model *m)
{
	struct hdd_model s = *m;

	s.seek_min_ns = scaled((double)m->seek_min_ns, m->scale);
	s.seek_max_ns = scaled((double)m->seek_max_ns, m->scale);
	s.age_ns = scaled((double)m->age_ns, m->scale);
	s.outer_bytes_s = MAX(scaled((double)m->outer_bytes_s, 1 / m->scale), 1u);
	s.inner_bytes_s = MAX(scaled((double)m->inner_bytes_s, 1 / m->scale), 1u);
	s.bus_bytes_s = MAX(scaled((double)m->bus_bytes_s, 1 / m->scale), 1u);
	return s;
}

/* ------------------------------------------------------------------ places */

/* Zones have equally many tracks, so their sizes are as their rates, which fall linearly. */
static void make_zones(struct hdd_drive *d)
{
	uint64_t fall = d->model.outer_bytes_s - d->model.inner_bytes_s, sum = 0, before = 0, place = 0, off = 0;

	for (uint64_t i = 0; i < HDD_ZONES; i++) {
		d->zones[i].bytes_s = d->model.outer_bytes_s - fall * i / (HDD_ZONES - 1);
		sum += d->zones[i].bytes_s;
	}
	for (int i = 0; i < HDD_ZONES; i++) {
		struct hdd_zone *z = &d->zones[i];
		uint64_t next;

		z->off = off;
		z->place = place;
		before += z->bytes_s;
		next = mul_div(d->size_bytes, before, sum);
		place += mul_div(next - off, SEC_NS, z->bytes_s);
		off = next;
	}
	d->tracks = place / d->turn_ns + 1;
}

uint64_t hdd_drive_place(const struct hdd_drive *d, uint64_t off)
{
	int low = 0, high = HDD_ZONES - 1;

	while (low < high) {
		int mid = (low + high + 1) / 2;

		if (d->zones[mid].off <= off)
			low = mid;
		else
			high = mid - 1;
	}
	return d->zones[low].place + mul_div(off - d->zones[low].off, SEC_NS, d->zones[low].bytes_s);
}

/* The square root of n / d (at most 1) as a fraction of 65536. */
static uint64_t root(uint64_t n, uint64_t d)
{
	uint64_t square = mul_div(n, 1ull << 32, d), r = 0;

	for (uint64_t bit = 1u << 16; bit; bit >>= 1) {
		if ((r | bit) * (r | bit) <= square)
			r |= bit;
	}
	return r;
}

/* None on the same track, and none up to a turn ahead: tracks are skewed so that a sequential stream does not wait. */
static uint64_t seek_ns(const struct hdd_drive *d, uint64_t from, uint64_t to)
{
	uint64_t a = from / d->turn_ns, b = to / d->turn_ns, tracks = a < b ? b - a : a - b;

	if (tracks == 0 || (to > from && to - from < d->turn_ns))
		return 0;
	if (tracks == 1)
		return d->model.seek_min_ns;
	return d->model.seek_min_ns +
	       ((d->model.seek_max_ns - d->model.seek_min_ns) * root(tracks - 1, MAX(d->tracks - 2, tracks - 1)) >> 16);
}

/* How long after t the platter brings that place under the head. */
static uint64_t turn_to(const struct hdd_drive *d, uint64_t t, uint64_t place)
{
	uint64_t have = t % d->turn_ns, want = place % d->turn_ns;

	return want >= have ? want - have : want + d->turn_ns - have;
}

/* ------------------------------------------------------------------ the arm */

/* What serving a range would be like if it began now. */
struct service {
	uint64_t seek_ns, wait_ns; /* positioning */
	uint64_t end_ns;
	bool ahead; /* in the stream of the read-ahead: the head was over head at head_ns, and that stream goes on */
	uint64_t head, head_ns;
};

static uint64_t bus_ns(const struct hdd_drive *d, uint64_t len)
{
	return mul_div(len, SEC_NS, d->model.bus_bytes_s);
}

static bool head_stopped(const struct hdd_drive *d)
{
	return d->clock_ns >= d->head_ns && d->clock_ns - d->head_ns >= d->stop - d->head;
}

static uint64_t head_now(const struct hdd_drive *d)
{
	if (d->clock_ns < d->head_ns)
		return d->head;
	return head_stopped(d) ? d->stop : d->head + (d->clock_ns - d->head_ns);
}

static bool in_stream(const struct hdd_drive *d, const struct hdd_req *r)
{
	return r->op == DEV_READ && d->stop_off > d->seq_off && r->off >= d->seq_off && r->off <= d->stop_off;
}

/* The buffer is full and the head has gone past: it takes up the stream when the platter comes round. */
static struct service serve_ahead(const struct hdd_drive *d, const struct hdd_req *r)
{
	struct service s = {.ahead = true, .head = d->head, .head_ns = d->head_ns};
	uint64_t t = d->clock_ns, start;

	if (head_stopped(d)) {
		s.head = d->stop;
		s.head_ns = t + turn_to(d, t, d->stop);
	}
	start = r->from <= s.head ? t : MAX(t, s.head_ns + (r->from - s.head));
	s.wait_ns = start - t;
	s.end_ns = t + bus_ns(d, r->len);
	if (r->to > s.head)
		s.end_ns = MAX(s.end_ns, s.head_ns + (r->to - s.head));
	return s;
}

static struct service serve_platter(const struct hdd_drive *d, uint64_t from, uint64_t to)
{
	struct service s = {.seek_ns = seek_ns(d, head_now(d), from)};

	s.wait_ns = turn_to(d, d->clock_ns + s.seek_ns, from);
	s.end_ns = d->clock_ns + s.seek_ns + s.wait_ns + (to - from);
	return s;
}

static struct service serve(const struct hdd_drive *d, const struct hdd_req *r)
{
	return in_stream(d, r) ? serve_ahead(d, r) : serve_platter(d, r->from, r->to);
}

static void move_head(struct hdd_drive *d, const struct service *s, enum dev_op op, uint64_t end_off, uint64_t to)
{
	d->head = s->ahead ? s->head : to;
	d->head_ns = s->ahead ? s->head_ns : s->end_ns;
	d->seq_off = end_off;
	d->stop_off = op == DEV_READ ? MIN(end_off + d->model.ahead_bytes, d->size_bytes) : end_off;
	d->stop = op == DEV_READ ? hdd_drive_place(d, d->stop_off) : to;
	d->stop = MAX(d->stop, d->head);
}

static void arm_start(struct hdd_drive *d, const struct service *s, enum dev_op op, uint64_t off, uint64_t len,
		      uint64_t to)
{
	d->stats.requests[op]++;
	d->stats.bytes[op] += len;
	d->stats.sequential[op] += s->ahead || s->seek_ns + s->wait_ns == 0;
	d->stats.seeks[op] += s->seek_ns != 0;
	d->stats.seek_ns[op] += s->seek_ns;
	d->stats.wait_ns[op] += s->wait_ns;
	d->stats.busy_ns[op] += s->end_ns - d->clock_ns;
	d->busy = true;
	d->busy_ns = s->end_ns;
	move_head(d, s, op, off + len, to);
}

static bool is_for_cache(const struct hdd_drive *d, const struct hdd_req *r)
{
	return r->op == DEV_WRITE && r->len <= d->model.write_cache_bytes;
}

/* The request that can begin soonest, or the oldest one when it is too old. *waits: a write wants room in the cache. */
static struct hdd_req *choose(struct hdd_drive *d, struct service *ret, bool *waits)
{
	struct hdd_req *best = NULL;

	*waits = d->flush != NULL;
	list_each(l, &d->queue) {
		struct hdd_req *r = list_entry(l, struct hdd_req, link);
		struct service s;

		if (is_for_cache(d, r)) {
			*waits = true;
			continue;
		}
		s = serve(d, r);
		if (!best || s.seek_ns + s.wait_ns < ret->seek_ns + ret->wait_ns) {
			*ret = s;
			if (!best && d->clock_ns - r->arrived_ns >= d->model.age_ns) {
				d->stats.aged++;
				return r;
			}
			best = r;
		}
	}
	return best;
}

static bool destage(struct hdd_drive *d)
{
	struct hdd_extent e;
	struct service s;
	uint64_t from, to;

	if (!hdd_cache_take(d, &e))
		return false;
	from = hdd_drive_place(d, e.off);
	to = hdd_drive_place(d, e.off + e.len);
	s = serve_platter(d, from, to);
	arm_start(d, &s, DEV_WRITE, e.off, e.len, to);
	d->served = NULL;
	d->cache.turn = true;
	return true;
}

/* Gives the idle arm something to do. Who reads goes before the cache, unless that is full: then they take turns. */
static void arm_next(struct hdd_drive *d)
{
	struct service s = {0};
	bool waits = false;
	struct hdd_req *r = choose(d, &s, &waits);

	if ((!r || (waits && !d->cache.turn)) && destage(d))
		return;
	if (!r)
		return;
	list_del(&r->link);
	arm_start(d, &s, r->op, r->off, r->len, r->to);
	r->due_ns = s.end_ns;
	d->served = r;
	d->cache.turn = false;
}

/* ------------------------------------------------------------------ requests */

static void to_bus(struct hdd_drive *d, struct hdd_req *r, uint64_t after_ns)
{
	r->due_ns = d->clock_ns + after_ns;
	list_push(&d->bus, &r->link);
}

/* Writes to the write cache, in their order, as far as it has room. */
static void cache_admit(struct hdd_drive *d)
{
	list_each_safe(l, tmp, &d->queue) {
		struct hdd_req *r = list_entry(l, struct hdd_req, link);

		if (!is_for_cache(d, r))
			continue;
		if (!hdd_cache_add(d, r->off, r->len))
			return;
		list_del(l);
		d->stats.cached++;
		to_bus(d, r, bus_ns(d, r->len));
	}
}

static void flush_enter(struct hdd_drive *d, struct hdd_req *r)
{
	assert(!d->flush && list_empty(&d->queue) && !d->served);
	d->stats.flushes++;
	if (d->cache.bytes + d->cache.destaging == 0)
		to_bus(d, r, 0);
	else
		d->flush = r;
}

void hdd_drive_enter(struct hdd_drive *d, struct hdd_req *r)
{
	r->arrived_ns = d->clock_ns;
	if (r->op == DEV_FLUSH) {
		flush_enter(d, r);
		return;
	}
	if (r->op == DEV_DISCARD) {
		to_bus(d, r, 0);
		return;
	}
	r->from = hdd_drive_place(d, r->off);
	r->to = hdd_drive_place(d, r->off + r->len);
	list_push(&d->queue, &r->link);
	if (is_for_cache(d, r))
		cache_admit(d);
}

static struct hdd_req *first_on_bus(const struct hdd_drive *d)
{
	struct hdd_req *first = NULL;

	list_each(l, &d->bus) {
		struct hdd_req *r = list_entry(l, struct hdd_req, link);

		if (!first || r->due_ns < first->due_ns)
			first = r;
	}
	return first;
}

/* The arm has done what it did; the request that is finished by that, if any. */
static struct hdd_req *arm_end(struct hdd_drive *d)
{
	struct hdd_req *r = d->served;

	d->busy = false;
	d->served = NULL;
	if (r)
		return r;
	d->cache.destaging = 0;
	cache_admit(d);
	if (!d->flush || d->cache.bytes)
		return NULL;
	r = d->flush;
	d->flush = NULL;
	r->due_ns = d->clock_ns;
	return r;
}

uint64_t hdd_drive_next_ns(const struct hdd_drive *d)
{
	const struct hdd_req *r = first_on_bus(d);
	uint64_t bus = r ? r->due_ns : UINT64_MAX;

	return d->busy ? MIN(bus, d->busy_ns) : bus;
}

struct hdd_req *hdd_drive_step(struct hdd_drive *d, uint64_t now_ns)
{
	for (;;) {
		struct hdd_req *r;
		uint64_t next;

		if (!d->busy)
			arm_next(d);
		next = hdd_drive_next_ns(d);
		if (next > now_ns) {
			d->clock_ns = MAX(d->clock_ns, now_ns);
			return NULL;
		}
		d->clock_ns = next;
		r = first_on_bus(d);
		if (r && r->due_ns == next) {
			list_del(&r->link);
			return r;
		}
		r = arm_end(d);
		if (r)
			return r;
	}
}

/* ------------------------------------------------------------------ life */

void hdd_drive_reset(struct hdd_drive *d)
{
	list_init(&d->queue);
	list_init(&d->bus);
	d->busy = false;
	d->served = d->flush = NULL;
	d->cache.n = 0;
	d->cache.bytes = d->cache.destaging = 0;
}

void hdd_drive_resize(struct hdd_drive *d, uint64_t size_bytes)
{
	d->size_bytes = size_bytes;
	make_zones(d);
	/* Places have moved: the head stays over its byte, and has forgotten what it read ahead. */
	d->stop_off = d->seq_off = MIN(d->seq_off, size_bytes);
	d->head = d->stop = hdd_drive_place(d, d->seq_off);
	list_each(l, &d->queue) {
		struct hdd_req *r = list_entry(l, struct hdd_req, link);

		r->from = hdd_drive_place(d, r->off);
		r->to = hdd_drive_place(d, r->off + r->len);
	}
}

int hdd_drive_init(struct hdd_drive *d, const struct hdd_model *model, uint64_t size_bytes)
{
	memset(d, 0, sizeof(*d));
	d->model = model_scaled(model);
	d->turn_ns = MAX(scaled(60.0 * (double)SEC_NS / model->rpm, model->scale), 1u);
	hdd_drive_reset(d);
	hdd_drive_resize(d, size_bytes);
	if (!model->write_cache_bytes)
		return 0;
	d->cache.max = (uint32_t)MIN(DIV_UP(model->write_cache_bytes, BLK_BYTES), EXTENTS_MAX);
	d->cache.extents = mem_calloc(d->cache.max, sizeof(*d->cache.extents));
	return d->cache.extents ? 0 : -ENOMEM;
}

void hdd_drive_free(struct hdd_drive *d)
{
	mem_free(d->cache.extents);
	d->cache.extents = NULL;
}

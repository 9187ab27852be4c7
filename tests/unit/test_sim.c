/* SPDX-License-Identifier: GPL-2.0-only */
/* test_sim.c - the simulated disk keeps its own rules (dev/sim.h): what a flush protects, what a power cut may take,
 * and that it does take, tear and reorder; faults and time-outs. */
#include "suites.h"

#include <errno.h>
#include <string.h>

#include "base/units.h"
#include "dev/sim.h"

#define DISK_BYTES KIB(128)
#define SECTORS (DISK_BYTES / SECTOR_BYTES)
#define ROUNDS 400

struct rig {
	struct sim_clock clock;
	struct sim_disk *disk;
	struct dev *dev;
	unsigned done;
};

struct one {
	struct dev_io io;
	struct iovec iov;
	struct rig *rig;
	unsigned order;			/* of completion, from 1; 0: not yet */
	uint8_t buf[8 * SECTOR_BYTES] __attribute__((aligned(512)));
};

static void rig_begin(struct rig *g, uint64_t seed)
{
	memset(g, 0, sizeof(*g));
	g->clock.now_ns = 1;
	g->disk = sim_disk_new(&g->clock, "unit", DISK_BYTES, 512, seed);
	g->dev = sim_open(g->disk);
}

static void rig_end(struct rig *g)
{
	dev_close(g->dev);
	sim_disk_free(g->disk);
}

static void one_done(struct dev_io *io)
{
	struct one *o = container_of(io, struct one, io);

	CHECK(o->order == 0);
	o->order = ++o->rig->done;
}

static void queue(struct rig *g, struct one *o, enum dev_op op, uint64_t sector, unsigned n, int fill)
{
	memset(&o->io, 0, sizeof(o->io));
	o->rig = g;
	o->order = 0;
	if (op == DEV_WRITE)
		memset(o->buf, fill, sizeof(o->buf));
	o->iov = (struct iovec){ o->buf, n * SECTOR_BYTES };
	o->io.op = op;
	o->io.off_bytes = sector * SECTOR_BYTES;
	o->io.len_bytes = n * SECTOR_BYTES;
	o->io.iov = n ? &o->iov : NULL;
	o->io.niov = n ? 1 : 0;
	o->io.done = one_done;
	dev_queue(g->dev, &o->io);
}

/* On to the next moment at which something completes. */
static int step(struct rig *g)
{
	CHECK(sim_disk_next_ns(g->disk) != UINT64_MAX);
	g->clock.now_ns = MAX(g->clock.now_ns, sim_disk_next_ns(g->disk));
	return dev_drain(g->dev, g->clock.now_ns);
}

static void finish(struct rig *g)
{
	dev_kick(g->dev);
	while (g->dev->inflight)
		step(g);
}

static int do_one(struct rig *g, enum dev_op op, uint64_t sector, unsigned n, int fill)
{
	static struct one o;

	queue(g, &o, op, sector, n, fill);
	finish(g);
	return o.io.error;
}

static struct sim_disk *cut(struct rig *g, struct sim_clock *clock, uint64_t seed)
{
	memset(clock, 0, sizeof(*clock));
	return sim_disk_crashed(g->disk, SIM_POWER_CUT, clock, seed);
}

/* What a sector holds: 0 all zeros, 1 or 2 all of that byte, -1 a mixture. */
static int holds(const struct sim_disk *d, uint64_t sector)
{
	uint8_t b[SECTOR_BYTES];

	sim_disk_peek(d, sector * SECTOR_BYTES, b, sizeof(b));
	for (unsigned i = 1; i < sizeof(b); i++)
		if (b[i] != b[0])
			return -1;
	return b[0];
}

/* ------------------------------------------------------------------ what stays */
static void flushed_stays(void)
{
	struct rng r = unit_rng();
	struct sim_clock clock;
	struct rig g;

	rig_begin(&g, rng_next(&r));
	for (uint64_t s = 0; s < 64; s += 8)
		CHECK(do_one(&g, DEV_WRITE, s, 8, 1) == 0);
	CHECK(do_one(&g, DEV_FLUSH, 0, 0, 0) == 0);
	CHECK(sim_disk_counts(g.disk).undurable_pages == 0);
	for (unit_step = 0; unit_step < 50; unit_step++) {
		struct sim_disk *d = cut(&g, &clock, rng_next(&r));

		for (uint64_t s = 0; s < SECTORS; s++)
			CHECK(holds(d, s) == (s < 64));
		sim_disk_free(d);
	}
	rig_end(&g);
}

/* Unflushed sectors must be seen kept, lost and torn, and a later write without an earlier one. */
static void unflushed_is_lost_kept_torn_reordered(void)
{
	struct rng r = unit_rng();
	struct sim_clock clock;
	unsigned kept = 0, lost = 0, torn = 0, split = 0, reordered = 0;
	struct rig g;

	rig_begin(&g, rng_next(&r));
	CHECK(do_one(&g, DEV_WRITE, 0, 8, 1) == 0);
	CHECK(do_one(&g, DEV_WRITE, 8, 8, 1) == 0);
	CHECK(do_one(&g, DEV_WRITE, 1, 2, 2) == 0);
	for (unit_step = 0; unit_step < ROUNDS; unit_step++) {
		struct sim_disk *d = cut(&g, &clock, rng_next(&r));
		bool some = false, none = false, second = false, first = true;

		for (uint64_t s = 0; s < 16; s++) {
			int h = holds(d, s);

			CHECK(h >= -1 && h <= (s == 1 || s == 2 ? 2 : 1));
			kept += h > 0;
			lost += h == 0;
			torn += h < 0;
			some |= s < 8 && h == 1;
			none |= s < 8 && h == 0;
			second |= s >= 8 && h == 1;
			first &= s >= 8 || h == 1 || s == 1 || s == 2;
		}
		split += some && none;
		reordered += second && !first;
		sim_disk_free(d);
	}
	CU_ASSERT(kept > 0 && lost > 0 && torn > 0 && split > 0 && reordered > 0);
	/* The disk itself felt nothing. */
	CU_ASSERT(holds(g.disk, 0) == 1 && holds(g.disk, 1) == 2 && holds(g.disk, 15) == 1);
	rig_end(&g);
}

/* A flush protects what had completed when it was queued, not what was in flight then. */
static void flush_covers_only_the_completed(void)
{
	struct rng r = unit_rng();
	struct sim_clock clock;
	unsigned lost = 0;

	for (unit_step = 0; unit_step < ROUNDS; unit_step++) {
		static struct one w, f;
		struct sim_disk *d;
		struct rig g;

		rig_begin(&g, rng_next(&r));
		CHECK(do_one(&g, DEV_WRITE, 0, 8, 1) == 0);
		queue(&g, &w, DEV_WRITE, 8, 8, 1);
		queue(&g, &f, DEV_FLUSH, 0, 0, 0);
		finish(&g);
		d = cut(&g, &clock, rng_next(&r));
		for (uint64_t s = 0; s < 8; s++)
			CHECK(holds(d, s) == 1);
		lost += holds(d, 8) == 0;
		sim_disk_free(d);
		rig_end(&g);
	}
	CU_ASSERT(lost > 0);
}

/* Of a page written before and after the flush was queued, at least the former must stay. */
static void flush_keeps_the_version_it_covered(void)
{
	struct rng r = unit_rng();
	struct sim_clock clock;
	bool old = false, new = false;

	for (unit_step = 0; unit_step < ROUNDS; unit_step++) {
		static struct one f, w;
		struct sim_disk *d;
		struct rig g;

		rig_begin(&g, rng_next(&r));
		CHECK(do_one(&g, DEV_WRITE, 0, 8, 1) == 0);
		queue(&g, &f, DEV_FLUSH, 0, 0, 0);
		queue(&g, &w, DEV_WRITE, 0, 8, 2);
		finish(&g);
		d = cut(&g, &clock, rng_next(&r));
		for (uint64_t s = 0; s < 8; s++) {
			int h = holds(d, s);

			CHECK(h == 1 || h == 2 || h == -1);
			old |= h == 1;
			new |= h == 2;
		}
		sim_disk_free(d);
		rig_end(&g);
	}
	CU_ASSERT(old && new);
}

/* In flight at the cut: each sector may land. At process death: what had completed stays in the cache. */
static void in_flight_may_land(void)
{
	struct rng r = unit_rng();
	struct sim_clock clock = { 0 };
	unsigned landed[2] = { 0 }, missing[2] = { 0 };

	for (unit_step = 0; unit_step < ROUNDS; unit_step++) {
		enum sim_crash how = unit_step % 2 ? SIM_POWER_CUT : SIM_PROCESS_DEATH;
		static struct one w;
		struct sim_disk *d;
		struct rig g;

		rig_begin(&g, rng_next(&r));
		CHECK(do_one(&g, DEV_WRITE, 8, 8, 2) == 0);
		queue(&g, &w, DEV_WRITE, 0, 8, 1);
		dev_kick(g.dev);
		d = sim_disk_crashed(g.disk, how, &clock, rng_next(&r));
		landed[how] += holds(d, 0) == 1;
		missing[how] += holds(d, 0) == 0;
		CHECK(how == SIM_POWER_CUT || holds(d, 8) == 2);
		sim_disk_free(d);
		CHECK(holds(g.disk, 0) == 0 && w.order == 0);
		rig_end(&g);
	}
	CU_ASSERT(landed[0] && landed[1] && missing[0] && missing[1]);
}

static void completes_in_any_order(void)
{
	struct rng r = unit_rng();
	unsigned overtaken = 0;

	for (unit_step = 0; unit_step < 50; unit_step++) {
		static struct one o[8];
		struct rig g;

		rig_begin(&g, rng_next(&r));
		for (unsigned i = 0; i < 8; i++)
			queue(&g, &o[i], DEV_WRITE, i * 8, 8, 1);
		finish(&g);
		for (unsigned i = 1; i < 8; i++)
			overtaken += o[i].order < o[i - 1].order;
		rig_end(&g);
	}
	CU_ASSERT(overtaken > 0);
}

/* ------------------------------------------------------------------ faults */
static void failed_io(void)
{
	struct rng r = unit_rng();
	struct rig g;

	rig_begin(&g, rng_next(&r));
	sim_disk_arm(g.disk, &(struct sim_faults){ .ops = 1u << DEV_WRITE, .eio_at = 2, .eio_count = 2 });
	CHECK(do_one(&g, DEV_WRITE, 0, 1, 1) == 0);
	CHECK(do_one(&g, DEV_READ, 0, 1, 0) == 0);
	CHECK(do_one(&g, DEV_WRITE, 1, 1, 1) == -EIO);
	CHECK(do_one(&g, DEV_WRITE, 2, 1, 1) == -EIO);
	CHECK(do_one(&g, DEV_WRITE, 3, 1, 1) == 0);
	CHECK(sim_disk_counts(g.disk).fault_hits == 2 && !g.dev->failed);
	rig_end(&g);
}

/* What a failed flush should have covered is not saved by the next good one. */
static void failed_flush_forsakes(void)
{
	struct rng r = unit_rng();
	struct sim_clock clock;
	unsigned lost = 0;
	struct rig g;

	rig_begin(&g, rng_next(&r));
	sim_disk_arm(g.disk, &(struct sim_faults){ .ops = 1u << DEV_FLUSH, .eio_at = 1, .eio_count = 1 });
	CHECK(do_one(&g, DEV_WRITE, 0, 1, 1) == 0);
	CHECK(do_one(&g, DEV_FLUSH, 0, 0, 0) == -EIO);
	CHECK(do_one(&g, DEV_WRITE, 8, 1, 1) == 0);
	CHECK(do_one(&g, DEV_FLUSH, 0, 0, 0) == 0);
	for (unit_step = 0; unit_step < ROUNDS; unit_step++) {
		struct sim_disk *d = cut(&g, &clock, rng_next(&r));

		lost += holds(d, 0) == 0;
		CHECK(holds(d, 8) == 1);
		sim_disk_free(d);
	}
	CU_ASSERT(lost > 0);
	CHECK(do_one(&g, DEV_WRITE, 0, 1, 2) == 0);
	CHECK(do_one(&g, DEV_FLUSH, 0, 0, 0) == 0);
	CU_ASSERT(sim_disk_counts(g.disk).undurable_pages == 0);
	rig_end(&g);
}

static void lying_flush_loses(void)
{
	struct rng r = unit_rng();
	struct sim_clock clock;
	unsigned lost = 0;
	struct rig g;

	rig_begin(&g, rng_next(&r));
	sim_disk_arm(g.disk, &(struct sim_faults){ .lying_flush = true });
	CHECK(do_one(&g, DEV_WRITE, 0, 8, 1) == 0);
	CHECK(do_one(&g, DEV_FLUSH, 0, 0, 0) == 0);
	for (unit_step = 0; unit_step < ROUNDS; unit_step++) {
		struct sim_disk *d = cut(&g, &clock, rng_next(&r));

		lost += holds(d, 0) == 0;
		sim_disk_free(d);
	}
	CU_ASSERT(lost > 0);
	rig_end(&g);
}

/* A stuck read is answered by the time-out, the device is failed, and the memory is scribbled on later. */
static void stuck_is_given_up(void)
{
	struct rng r = unit_rng();
	static struct one stuck, other;
	struct rig g;

	rig_begin(&g, rng_next(&r));
	CHECK(do_one(&g, DEV_WRITE, 0, 8, 1) == 0);
	sim_disk_arm(g.disk, &(struct sim_faults){ .stuck_at = 1, .late_ns = 5 });
	queue(&g, &stuck, DEV_READ, 0, 8, 0);
	dev_kick(g.dev);
	while (!stuck.order)
		step(&g);
	CU_ASSERT(stuck.io.error == -ETIMEDOUT && g.dev->failed && g.dev->orphans == 1);
	CU_ASSERT(g.clock.now_ns >= DEV_TIMEOUT_NS && g.dev->stats.timeouts == 1);
	memset(stuck.buf, 0, sizeof(stuck.buf));
	queue(&g, &other, DEV_WRITE, 8, 8, 1);
	dev_kick(g.dev);
	CU_ASSERT(other.order == 0);
	step(&g);
	CU_ASSERT(other.io.error == -EIO && holds(g.disk, 8) == 0);
	g.clock.now_ns += 10;
	for (unsigned i = 0; i < 100 && g.dev->orphans; i++)
		dev_drain(g.dev, g.clock.now_ns);
	CU_ASSERT(g.dev->orphans == 0 && g.dev->inflight == 0);
	rig_end(&g);
}

static void room_runs_out(void)
{
	struct rng r = unit_rng();
	struct rig g;

	rig_begin(&g, rng_next(&r));
	sim_disk_arm(g.disk, &(struct sim_faults){ .room_bytes = 2 * BLK_BYTES });
	CHECK(do_one(&g, DEV_WRITE, 0, 8, 1) == 0);
	CHECK(do_one(&g, DEV_WRITE, 16, 1, 1) == 0);
	CHECK(do_one(&g, DEV_WRITE, 32, 1, 1) == -ENOSPC);
	CHECK(do_one(&g, DEV_WRITE, 0, 8, 2) == 0);
	rig_end(&g);
}

static void changed_buffer_is_seen(void)
{
	struct rng r = unit_rng();
	static struct one w;
	struct rig g;

	rig_begin(&g, rng_next(&r));
	queue(&g, &w, DEV_WRITE, 0, 8, 1);
	dev_kick(g.dev);
	w.buf[100] = 2;
	finish(&g);
	CU_ASSERT(sim_disk_counts(g.disk).changed == 1);
	rig_end(&g);
}

static uint64_t random_run(uint64_t seed)
{
	struct rng r = { seed };
	struct sim_clock clock;
	struct sim_disk *d;
	uint64_t hash = 0;
	struct rig g;

	rig_begin(&g, seed);
	for (unsigned i = 0; i < 300; i++)
		do_one(&g, (enum dev_op)rng_below(&r, 4), rng_below(&r, SECTORS / 8) * 8, rng_below(&r, 8) ? 8 : 1,
		       1 + (int)rng_below(&r, 2));
	d = cut(&g, &clock, seed);
	for (uint64_t s = 0; s < SECTORS; s++)
		hash = hash64(hash ^ (uint64_t)holds(d, s));
	hash ^= g.clock.trace;
	sim_disk_free(d);
	rig_end(&g);
	return hash;
}

static void same_seed_same_run(void)
{
	struct rng r = unit_rng();
	uint64_t seed = rng_next(&r);

	CU_ASSERT(random_run(seed) == random_run(seed));
	CU_ASSERT(random_run(seed) != random_run(seed + 1));
}

static CU_TestInfo tests[] = {
	{ "flushed_stays", flushed_stays },
	{ "unflushed_is_lost_kept_torn_reordered", unflushed_is_lost_kept_torn_reordered },
	{ "flush_covers_only_the_completed", flush_covers_only_the_completed },
	{ "flush_keeps_the_version_it_covered", flush_keeps_the_version_it_covered },
	{ "in_flight_may_land", in_flight_may_land },
	{ "completes_in_any_order", completes_in_any_order },
	{ "failed_io", failed_io },
	{ "failed_flush_forsakes", failed_flush_forsakes },
	{ "lying_flush_loses", lying_flush_loses },
	{ "stuck_is_given_up", stuck_is_given_up },
	{ "room_runs_out", room_runs_out },
	{ "changed_buffer_is_seen", changed_buffer_is_seen },
	{ "same_seed_same_run", same_seed_same_run },
	CU_TEST_INFO_NULL,
};

const struct hb_suite suite_sim = { "sim", tests };

/* SPDX-License-Identifier: GPL-2.0-only */
/* test_mirror_faults.c - each way in which a half of a mirror can fail, one at a time: what is held, what is told, what
 * is answered; and how another device takes its place. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/mem.h"
#include "dev_rig.h"
#include "mirror_rig.h"
#include "suites.h"

#define OP(op) (1u << (op))

/* ------------------------------------------------------------------ reads */

static void read_error(int half)
{
	uint64_t id = 3;
	struct mrig g;

	mrig_begin(&g, unit_rng().s);
	CU_ASSERT_EQUAL(mrig_do(&g, DEV_WRITE, 9, &id, 0), 0);
	mrig_arm(&g, half, &(struct sim_faults){ .ops = OP(DEV_READ), .eio_at = 1, .eio_count = UINT64_MAX });
	for (int i = 0; i < 8; i++) {	/* far apart, so that both are asked */
		uint64_t got = 0, there = i % 2 ? 9 : 1500;

		CU_ASSERT_EQUAL(mrig_do(&g, DEV_READ, there, &got, 0), 0);
		CU_ASSERT_EQUAL(got, there == 9 ? 3 : 0);
	}
	CU_ASSERT(g.bad_reads > 0 && (g.bad_off == 9 * BLK_BYTES || g.bad_off == 1500 * BLK_BYTES));
	CU_ASSERT_EQUAL(mrig_do(&g, DEV_READ, 9, &id, (uint8_t)(half + 1)), -EIO);
	CU_ASSERT(g.lost == 0 && dev_mirror_state(g.dev, half) == MIRROR_IN);
	/* Only if both fail. */
	mrig_arm(&g, !half, &(struct sim_faults){ .ops = OP(DEV_READ), .eio_at = 1, .eio_count = 1 });
	CU_ASSERT_EQUAL(mrig_do(&g, DEV_READ, 9, &id, 0), -EIO);
	CU_ASSERT(g.lost == 0 && !g.dev->failed && g.dev->inflight == 0);
	CU_ASSERT(mrig_do(&g, DEV_READ, 9, &id, 0) == 0 && id == 3);
	mrig_end(&g);
}

static void test_read_error(void)
{
	read_error(0);
	read_error(1);
}

/* The late device may still write into the memory: the other half is asked with other memory, by the owner. */
static void read_hangs(int half, bool late)
{
	struct mio hung, again;
	uint64_t id = 3;
	struct mrig g;

	mrig_begin(&g, unit_rng().s);
	mio_init(&g, &hung);
	mio_init(&g, &again);
	CU_ASSERT_EQUAL(mrig_do(&g, DEV_WRITE, 9, &id, 0), 0);
	mrig_arm(&g, half, &(struct sim_faults){ .ops = OP(DEV_READ), .stuck_at = 1, .late_ns = late ? SEC_NS : 0 });
	for (int i = 0; i < 2 && sim_disk_counts(g.disk[half]).sent == 0; i++) {
		mrig_queue(&g, &hung, DEV_READ, i ? 0 : 9, 1, 0);
		mrig_wait(&g, &hung);
	}
	CU_ASSERT(hung.io.error == -ETIMEDOUT && hung.io.served == 0);
	CU_ASSERT(g.lost == 1 && g.lost_half == half && g.lost_error == -ETIMEDOUT && !g.dev->failed);
	CU_ASSERT_EQUAL(g.dev->orphans, 1);
	mrig_queue(&g, &again, DEV_READ, 9, 1, 0);
	mrig_wait(&g, &again);		/* held are writes and flushes only */
	CU_ASSERT(again.io.error == 0 && again.buf[0] == 3 && again.io.served == 2 - half);
	dev_mirror_accept(g.dev, half);
	CU_ASSERT_EQUAL(mrig_do(&g, DEV_WRITE, 9, &id, 0), 0);
	mrig_settle(&g);
	CU_ASSERT_EQUAL(g.dev->orphans, !late);
	mrig_end(&g);
	mio_free(&hung);
	mio_free(&again);
}

static void test_read_hangs(void)
{
	read_hangs(0, false);
	read_hangs(1, true);
}

/* ------------------------------------------------------------------ writes and flushes: held */

enum { W_BEFORE, FAILS, W_AFTER, FLUSH_AFTER, READ_AFTER, SIDE, SIDE_FLUSH, N };

/* A write or flush fails at a half: nothing that only the other has is answered before the owner accepts. */
static void held(int half, enum dev_op op, bool hangs)
{
	struct sim_faults f = { .ops = OP(op), .eio_at = 1, .eio_count = 1 };
	struct mio t[N];
	struct mrig g;
	uint64_t id = 9;

	if (hangs)
		f = (struct sim_faults){ .ops = OP(op), .stuck_at = 1, .late_ns = SEC_NS };
	mrig_begin(&g, unit_rng().s);
	for (int i = 0; i < N; i++)
		mio_init(&g, &t[i]);
	mrig_queue(&g, &t[W_BEFORE], DEV_WRITE, 1, 4, 1);
	mrig_wait(&g, &t[W_BEFORE]);
	mrig_arm(&g, half, &f);
	mrig_queue(&g, &t[FAILS], op, 10, op == DEV_FLUSH ? 0 : 4, 2);
	while (!g.lost)
		CU_ASSERT_FATAL(mrig_step(&g));
	CU_ASSERT(g.lost_half == half && g.lost_error == (hangs ? -ETIMEDOUT : -EIO));
	CU_ASSERT_EQUAL(dev_mirror_unaccepted(g.dev), half);
	mrig_settle(&g);
	mrig_queue(&g, &t[W_AFTER], DEV_WRITE, 20, 4, 3);
	mrig_settle(&g);
	mrig_queue(&g, &t[FLUSH_AFTER], DEV_FLUSH, 0, 0, 0);
	mrig_queue(&g, &t[READ_AFTER], DEV_READ, 20, 4, 0);
	mrig_settle(&g);
	t[SIDE].io.side = t[SIDE_FLUSH].io.side = (uint8_t)(2 - half);
	mrig_queue(&g, &t[SIDE], DEV_WRITE, 0, 1, 4);		/* the owner's record */
	mrig_settle(&g);
	mrig_queue(&g, &t[SIDE_FLUSH], DEV_FLUSH, 0, 0, 0);
	mrig_settle(&g);
	CU_ASSERT(t[FAILS].order == 0 && t[W_AFTER].order == 0 && t[FLUSH_AFTER].order == 0);
	CU_ASSERT(t[READ_AFTER].order && t[READ_AFTER].io.error == 0 && t[READ_AFTER].buf[0] == 3);
	CU_ASSERT(t[SIDE].order && t[SIDE].io.error == 0 && t[SIDE_FLUSH].order && t[SIDE_FLUSH].io.error == 0);
	CU_ASSERT_EQUAL(g.dev->inflight, 3);
	dev_mirror_accept(g.dev, half);
	CU_ASSERT_EQUAL(t[FAILS].order, 0);		/* from drain only */
	mrig_settle(&g);
	CU_ASSERT(t[FAILS].io.error == 0 && t[W_AFTER].io.error == 0 && t[FLUSH_AFTER].io.error == 0);
	CU_ASSERT(t[FAILS].order < t[W_AFTER].order && t[W_AFTER].order < t[FLUSH_AFTER].order);
	CU_ASSERT(g.dev->inflight == 0 && g.lost == 1 && dev_mirror_unaccepted(g.dev) == -1);
	CU_ASSERT_EQUAL(mrig_do(&g, DEV_WRITE, 30, &id, 0), 0);	/* not held any more */
	CU_ASSERT_EQUAL(mrig_do(&g, DEV_FLUSH, 0, NULL, 0), 0);
	CU_ASSERT_EQUAL(mrig_do(&g, DEV_READ, 1, &id, (uint8_t)(half + 1)), -ENODEV);
	CU_ASSERT_EQUAL(mrig_do(&g, DEV_WRITE, 1, &id, (uint8_t)(half + 1)), -ENODEV);
	CU_ASSERT(mrig_peek(g.disk[half], 20) == 0 && mrig_peek(g.disk[!half], 20) == 3);
	mrig_end(&g);
	for (int i = 0; i < N; i++)
		mio_free(&t[i]);
}

static void test_held(void)
{
	for (int half = 0; half < 2; half++) {
		for (int hangs = 0; hangs < 2; hangs++) {
			held(half, DEV_WRITE, hangs);
			held(half, DEV_FLUSH, hangs);
		}
	}
}

/* The owner cannot record the loss: writes fail, reads go on. */
static void test_refuse(void)
{
	uint64_t id = 5;
	struct mio w, f;
	struct mrig g;

	mrig_begin(&g, unit_rng().s);
	mio_init(&g, &w);
	mio_init(&g, &f);
	CU_ASSERT_EQUAL(mrig_do(&g, DEV_WRITE, 3, &id, 0), 0);
	mrig_arm(&g, 1, &(struct sim_faults){ .ops = OP(DEV_WRITE), .eio_at = 1, .eio_count = 1 });
	mrig_queue(&g, &w, DEV_WRITE, 4, 1, 6);
	mrig_settle(&g);
	mrig_queue(&g, &f, DEV_FLUSH, 0, 0, 0);
	dev_mirror_refuse(g.dev, 1, -EROFS);
	mrig_settle(&g);
	CU_ASSERT(w.order && w.io.error == -EROFS && f.order && f.io.error == -EROFS);
	CU_ASSERT_EQUAL(mrig_do(&g, DEV_WRITE, 4, &id, 0), -EROFS);
	CU_ASSERT(mrig_do(&g, DEV_READ, 3, &id, 0) == 0 && id == 5 && !g.dev->failed && g.dev->inflight == 0);
	mrig_end(&g);
	mio_free(&w);
	mio_free(&f);
}

/* The second half fails before the loss of the first was recorded. */
static void both_die(enum dev_op op, bool accepted)
{
	struct mio w, f, r;
	uint64_t id = 1;
	struct mrig g;

	mrig_begin(&g, unit_rng().s);
	mio_init(&g, &w);
	mio_init(&g, &f);
	mio_init(&g, &r);
	mrig_arm(&g, 0, &(struct sim_faults){ .ops = OP(DEV_WRITE), .eio_at = 1, .eio_count = 1 });
	mrig_queue(&g, &w, DEV_WRITE, 4, 2, 6);
	mrig_settle(&g);
	CU_ASSERT(w.order == 0 && g.lost == 1);
	if (accepted)
		dev_mirror_accept(g.dev, 0);
	mrig_settle(&g);
	mrig_arm(&g, 1, &(struct sim_faults){ .ops = OP(op), .stuck_at = 1 });
	mrig_queue(&g, &f, op, 8, op == DEV_FLUSH ? 0 : 1, 7);
	mrig_settle(&g);
	CU_ASSERT(g.lost == 2 && g.lost_half == 1 && g.dev->failed && dev_mirror_unaccepted(g.dev) == -1);
	CU_ASSERT(w.order && (accepted ? w.io.error == 0 : w.io.error < 0));
	CU_ASSERT(f.order && f.io.error == -ETIMEDOUT);
	mrig_queue(&g, &r, DEV_READ, 4, 1, 0);
	mrig_settle(&g);
	CU_ASSERT(r.order && r.io.error == -EIO && g.dev->inflight == 0);
	CU_ASSERT_EQUAL(mrig_do(&g, DEV_WRITE, 4, &id, 0), -EIO);
	mrig_end(&g);
	mio_free(&w);
	mio_free(&f);
	mio_free(&r);
}

static void test_both_die(void)
{
	both_die(DEV_WRITE, false);
	both_die(DEV_WRITE, true);
	both_die(DEV_FLUSH, false);
	both_die(DEV_FLUSH, true);
}

/* The last half is as a plain device: a failed write is answered, and may be tried again; a failed flush is the end. */
static void test_last_half(void)
{
	uint64_t id = 5;
	struct mrig g;

	mrig_begin(&g, unit_rng().s);
	g.accepts = true;
	mrig_arm(&g, 0, &(struct sim_faults){ .ops = OP(DEV_FLUSH), .eio_at = 1, .eio_count = 1 });
	CU_ASSERT_EQUAL(mrig_do(&g, DEV_FLUSH, 0, NULL, 0), 0);
	CU_ASSERT_EQUAL(g.lost, 1);
	mrig_arm(&g, 1, &(struct sim_faults){ .ops = OP(DEV_WRITE), .eio_at = 1, .eio_count = 1 });
	CU_ASSERT_EQUAL(mrig_do(&g, DEV_WRITE, 3, &id, 0), -EIO);
	CU_ASSERT(!g.dev->failed && g.lost == 1);
	CU_ASSERT_EQUAL(mrig_do(&g, DEV_WRITE, 3, &id, 0), 0);
	mrig_arm(&g, 1, &(struct sim_faults){ .ops = OP(DEV_FLUSH), .eio_at = 1, .eio_count = 1 });
	CU_ASSERT_EQUAL(mrig_do(&g, DEV_FLUSH, 0, NULL, 0), -EIO);
	CU_ASSERT(g.dev->failed && g.lost == 2);
	mrig_end(&g);
}

/* A device that hangs is given up as a whole: what else it has is not waited for, each for its own time. */
static void test_hang_is_one(void)
{
	struct rig r, second;
	struct err err = ERR_INIT;
	const enum mirror_state in[2] = { MIRROR_IN, MIRROR_IN };
	struct dev *half[2];

	rig_file(&r, "/tmp");
	rig_open(&r, 0);
	rig_file(&second, "/tmp");
	rig_open(&second, 0);
	half[0] = r.dev;
	half[1] = second.dev;
	CU_ASSERT_EQUAL_FATAL(dev_mirror_new(half, in, &r.dev, &err), 0);
	second.dev = NULL;
	dbl.hold = 1;			/* the first part of the first write: half 0 */
	rig_start(&r, &r.ios[0], DEV_WRITE, 0, BLK_BYTES, 1);
	dev_kick(half[0]);
	CU_ASSERT_EQUAL(dbl.nheld, 1);
	while (!half[0]->inflight || half[1]->inflight)
		rig_turn(&r);
	r.skip_ns = DEV_TIMEOUT_NS;
	for (int i = 0; i < 3; i++)
		dev_drain(r.dev, rig_clock(&r));
	CU_ASSERT(r.ios[0].busy && dev_mirror_state(r.dev, 0) == MIRROR_OUT && r.dev->orphans == 1);
	CU_ASSERT_EQUAL(half[0]->timeout_ns, 0);
	dev_mirror_accept(r.dev, 0);
	rig_settle(&r);			/* the descriptor says that there is something to do */
	CU_ASSERT(r.ios[0].dones == 1 && r.ios[0].io.error == 0);
	rig_assert_silent(&r);
	double_release();
	for (int i = 0; i < 5000 && r.dev->orphans; i++) {
		dev_drain(r.dev, rig_clock(&r));
		poll(NULL, 0, 1);
	}
	CU_ASSERT_EQUAL(r.dev->orphans, 0);
	rig_assert_silent(&r);
	rig_free(&r);
	rig_free(&second);
}

/* ------------------------------------------------------------------ replace, sync, trust */

static void lose(struct mrig *g, int half)
{
	g->accepts = true;
	mrig_arm(g, half, &(struct sim_faults){ .ops = OP(DEV_FLUSH), .eio_at = 1, .eio_count = 1 });
	CU_ASSERT_EQUAL(mrig_do(g, DEV_FLUSH, 0, NULL, 0), 0);
	CU_ASSERT_FATAL(dev_mirror_state(g->dev, half) == MIRROR_OUT);
}

static void fill(struct mrig *g)
{
	struct mio t;

	mio_init(g, &t);
	for (uint64_t b = 0; b < MRIG_BLKS; b += MIO_BLK) {
		mrig_queue(g, &t, DEV_WRITE, b, MIO_BLK, b + 1);
		mrig_wait(g, &t);
	}
	mio_free(&t);
}

static void replace(int half)
{
	uint64_t done, total, id = 77;
	struct sim_clock clock = { 0 };
	struct sim_disk *cut;
	struct mrig g;

	mrig_begin(&g, unit_rng().s);
	fill(&g);
	lose(&g, half);
	mrig_replace(&g, half, 0);
	CU_ASSERT_EQUAL(mrig_do(&g, DEV_READ, 0, &id, (uint8_t)(half + 1)), -ENODEV);	/* not yet to be read */
	while (!g.synced)
		CU_ASSERT_FATAL(mrig_step(&g));
	CU_ASSERT(g.synced_error == 0 && dev_mirror_state(g.dev, half) == MIRROR_SYNCING);
	dev_mirror_synced(g.dev, &done, &total);
	CU_ASSERT(done == MRIG_BYTES && total == MRIG_BYTES && dev_mirror_next_ns(g.dev) == UINT64_MAX);
	cut = sim_disk_crashed(g.disk[2], SIM_POWER_CUT, &clock, 1);	/* durable before it is told */
	for (uint64_t b = 0; b < MRIG_BLKS; b++)
		CU_ASSERT_EQUAL_FATAL(mrig_peek(cut, b), b / MIO_BLK * MIO_BLK + 1);
	sim_disk_free(cut);
	CU_ASSERT_EQUAL(dev_mirror_trust(g.dev, half), 0);
	/* The other one dies; the copy is all there is. */
	mrig_arm(&g, !half, &(struct sim_faults){ .ops = OP(DEV_WRITE), .eio_at = 1, .eio_count = 1 });
	id = 99;
	CU_ASSERT_EQUAL(mrig_do(&g, DEV_WRITE, 1000, &id, 0), 0);
	CU_ASSERT(g.lost == 2 && g.lost_half == !half);
	for (uint64_t b = 0; b < MRIG_BLKS; b += 7) {
		CU_ASSERT_EQUAL(mrig_do(&g, DEV_READ, b, &id, 0), 0);
		CU_ASSERT_EQUAL_FATAL(id, b == 1000 ? 99 : b / MIO_BLK * MIO_BLK + 1);
	}
	mrig_end(&g);
}

static void test_replace(void)
{
	replace(0);
	replace(1);
}

/* Bytes that the only good half cannot read are counted, and all others copied. */
static void test_unreadable(void)
{
	uint64_t same = 0;
	struct mrig g;

	mrig_begin(&g, unit_rng().s);
	fill(&g);
	lose(&g, 0);
	mrig_arm(&g, 1, &(struct sim_faults){ .ops = OP(DEV_READ), .eio_at = 1, .eio_count = 100 });
	mrig_replace(&g, 0, 0);
	mrig_settle(&g);
	CU_ASSERT(g.synced == 1 && g.synced_error == -EIO);
	CU_ASSERT(dev_mirror_unreadable(g.dev) > 0 && dev_mirror_unreadable(g.dev) <= 34 * BLK_BYTES);
	for (uint64_t b = 0; b < MRIG_BLKS; b++)
		same += mrig_peek(g.disk[2], b) == mrig_peek(g.disk[1], b);
	CU_ASSERT_EQUAL(same, MRIG_BLKS - dev_mirror_unreadable(g.dev) / BLK_BYTES);
	CU_ASSERT(g.lost == 1 && dev_mirror_trust(g.dev, 0) == 0);
	mrig_end(&g);
}

/* Copying ends when a half does: the new one, or the only good one. */
static void dies_in_sync(int victim, enum dev_op op, bool hangs)
{
	struct sim_faults f = { .ops = OP(op), .eio_at = 3, .eio_count = 1 };
	int error = hangs ? -ETIMEDOUT : -EIO;
	uint64_t done, total;
	struct mrig g;

	if (hangs)
		f = (struct sim_faults){ .ops = OP(op), .stuck_at = 3 };
	mrig_begin(&g, unit_rng().s);
	fill(&g);
	lose(&g, 1);
	mrig_replace(&g, 1, 0);
	mrig_arm(&g, victim, &f);
	mrig_settle(&g);
	CU_ASSERT(g.synced == 1 && g.synced_error == error && g.lost == 2 && g.lost_half == victim);
	CU_ASSERT(g.lost_error == error && g.dev->inflight == 0 && g.dev->failed == (victim == 0));
	dev_mirror_synced(g.dev, &done, &total);
	CU_ASSERT(done < total);
	CU_ASSERT_EQUAL(dev_mirror_trust(g.dev, 1), -EINVAL);
	mrig_end(&g);
}

static void test_dies_in_sync(void)
{
	dies_in_sync(1, DEV_WRITE, false);
	dies_in_sync(1, DEV_WRITE, true);
	dies_in_sync(0, DEV_READ, true);
}

static void test_stop_and_go_on(void)
{
	uint64_t done, total, id = 1;
	struct mrig g;

	mrig_begin(&g, unit_rng().s);
	fill(&g);
	lose(&g, 1);
	mrig_replace(&g, 1, MIB(1));
	mrig_step(&g);
	CU_ASSERT_EQUAL(mrig_do(&g, DEV_WRITE, MRIG_BLKS - 1, &id, 0), 0);	/* far away: does not wait */
	while (dev_mirror_synced(g.dev, &done, &total), done < MIB(2))
		mrig_step(&g);
	CU_ASSERT(g.clock.now_ns > SEC_NS && g.clock.now_ns < 4 * SEC_NS);	/* simulated: one window a second */
	dev_mirror_stop(g.dev);
	mrig_settle(&g);
	CU_ASSERT(g.synced == 1 && g.synced_error == -ECANCELED && g.dev->inflight == 0);
	CU_ASSERT(dev_mirror_state(g.dev, 1) == MIRROR_SYNCING && dev_mirror_trust(g.dev, 1) == -EINVAL);
	dev_mirror_synced(g.dev, &done, &total);
	CU_ASSERT(done >= MIB(2) && done < MIB(4));
	CU_ASSERT_EQUAL(dev_mirror_sync(g.dev, done, MRIG_BYTES, 0), 0);
	mrig_settle(&g);
	CU_ASSERT(g.synced == 2 && g.synced_error == 0 && dev_mirror_trust(g.dev, 1) == 0);
	for (uint64_t b = 0; b < MRIG_BLKS; b++)
		CU_ASSERT_EQUAL_FATAL(mrig_peek(g.disk[2], b), mrig_peek(g.disk[0], b));
	mrig_end(&g);
}

/* A device that hung and was replaced is closed when it gives its orphans back. */
static void test_replaced_comes_back(void)
{
	struct mio w;
	struct mrig g;

	mrig_begin(&g, unit_rng().s);
	mio_init(&g, &w);
	g.accepts = true;
	mrig_arm(&g, 1, &(struct sim_faults){ .ops = OP(DEV_WRITE), .stuck_at = 1, .late_ns = 100 * SEC_NS });
	mrig_queue(&g, &w, DEV_WRITE, 1, 1, 5);
	mrig_wait(&g, &w);
	CU_ASSERT(w.io.error == 0 && g.dev->orphans == 1);
	mrig_replace(&g, 1, 0);
	while (!g.synced)
		CU_ASSERT_FATAL(mrig_step(&g));
	CU_ASSERT(g.synced_error == 0 && g.dev->orphans == 1 && dev_mirror_trust(g.dev, 1) == 0);
	mrig_settle(&g);
	CU_ASSERT(g.dev->orphans == 0 && g.lost == 1 && dev_mirror_state(g.dev, 1) == MIRROR_IN);
	dev_close(sim_open(g.disk[1]));	/* dies if it is still open */
	mrig_end(&g);
	mio_free(&w);
}

/* What the replaced device still had fails: that is nothing to the new one. */
static void test_replaced_still_had_one(void)
{
	struct mio w[2];
	struct mrig g;

	mrig_begin(&g, unit_rng().s);
	g.accepts = true;
	mrig_arm(&g, 1, &(struct sim_faults){ .ops = OP(DEV_WRITE), .eio_at = 2, .eio_count = 1, .stuck_at = 1 });
	for (int i = 0; i < 2; i++) {
		mio_init(&g, &w[i]);
		mrig_queue(&g, &w[i], DEV_WRITE, (uint64_t)i * 20, 1, 5);
	}
	while (!g.lost)
		CU_ASSERT_FATAL(mrig_step(&g));
	if (w[0].order == 0) {		/* unless the disk takes one at a time: then the stuck one failed it */
		mrig_replace(&g, 1, 0);
		mrig_settle(&g);
		CU_ASSERT(g.synced == 1 && g.synced_error == 0);
	}
	CU_ASSERT(w[0].order && w[0].io.error == 0 && w[1].order && w[1].io.error == 0 && g.lost == 1);
	mrig_end(&g);
	mio_free(&w[0]);
	mio_free(&w[1]);
}

/* The half that is being copied does not vouch for a write that the good one refused. */
static void test_syncing_is_not_enough(void)
{
	uint64_t id = 5;
	struct mrig g;

	mrig_begin(&g, unit_rng().s);
	lose(&g, 1);
	mrig_replace(&g, 1, 0);
	mrig_arm(&g, 0, &(struct sim_faults){ .ops = OP(DEV_WRITE), .eio_at = 1, .eio_count = 1 });
	CU_ASSERT_EQUAL(mrig_do(&g, DEV_WRITE, 3, &id, 0), -EIO);
	CU_ASSERT_EQUAL(mrig_do(&g, DEV_WRITE, 3, &id, 0), 0);
	mrig_settle(&g);
	CU_ASSERT(g.lost == 1 && g.synced == 1 && mrig_peek(g.disk[2], 3) == 5);
	mrig_end(&g);
}

/* The owner may have recorded already that the copy is good: its loss is held as any. */
static void test_lost_before_trusted(void)
{
	struct mio w;
	struct mrig g;

	mrig_begin(&g, unit_rng().s);
	mio_init(&g, &w);
	lose(&g, 1);
	mrig_replace(&g, 1, 0);
	mrig_settle(&g);
	CU_ASSERT(g.synced == 1 && g.synced_error == 0);
	g.accepts = false;
	mrig_arm(&g, 1, &(struct sim_faults){ .ops = OP(DEV_WRITE), .eio_at = 1, .eio_count = 1 });
	mrig_queue(&g, &w, DEV_WRITE, 3, 1, 6);
	mrig_settle(&g);
	CU_ASSERT(g.lost == 2 && w.order == 0 && dev_mirror_trust(g.dev, 1) == -EINVAL);
	dev_mirror_accept(g.dev, 1);
	mrig_settle(&g);
	CU_ASSERT(w.order && w.io.error == 0);
	mrig_end(&g);
	mio_free(&w);
}

/* A write that was sent before the new half came is not on it: the end of the copying waits for it, wherever it is. */
static void test_older_write(void)
{
	struct mio w;
	struct mrig g;

	mrig_begin(&g, unit_rng().s);
	mio_init(&g, &w);
	lose(&g, 1);
	mrig_arm(&g, 0, &(struct sim_faults){ .ops = OP(DEV_WRITE), .stuck_at = 1 });
	mrig_queue(&g, &w, DEV_WRITE, 1700, 1, 6);
	dev_kick(g.dev);
	mrig_replace(&g, 1, 0);
	dev_mirror_stop(g.dev);
	CU_ASSERT_EQUAL(dev_mirror_next_ns(g.dev), 0);
	while (!g.synced)
		CU_ASSERT_FATAL(mrig_step(&g));
	CU_ASSERT(g.synced_error == -ECANCELED && w.order == 0);
	CU_ASSERT_EQUAL(dev_mirror_sync(g.dev, 0, 0, 0), 0);	/* nothing to copy but what is under way */
	dev_drain(g.dev, g.clock.now_ns);
	mrig_settle(&g);
	CU_ASSERT(g.synced == 2 && g.synced_error == -ETIMEDOUT && w.io.error == -ETIMEDOUT);
	mrig_end(&g);
	mio_free(&w);
}

/* A discard of everything waits for the windows under way, not for the last. */
static void test_wide_discard(void)
{
	struct mio t;
	struct mrig g;

	mrig_begin(&g, unit_rng().s);
	mio_init(&g, &t);
	lose(&g, 0);
	mrig_replace(&g, 0, 0);
	mrig_step(&g);
	mrig_step(&g);
	mrig_queue(&g, &t, DEV_DISCARD, 0, MRIG_BLKS, 0);
	mrig_wait(&g, &t);
	CU_ASSERT(t.io.error == 0 && g.synced == 0);
	mrig_settle(&g);
	CU_ASSERT(g.synced == 1 && g.synced_error == 0);
	mrig_end(&g);
	mio_free(&t);
}

static CU_TestInfo mirror_faults_tests[] = {
	{ "read_error", test_read_error },
	{ "read_hangs", test_read_hangs },
	{ "held", test_held },
	{ "refuse", test_refuse },
	{ "both_die", test_both_die },
	{ "last_half", test_last_half },
	{ "hang_is_one", test_hang_is_one },
	{ "replace", test_replace },
	{ "unreadable", test_unreadable },
	{ "dies_in_sync", test_dies_in_sync },
	{ "stop_and_go_on", test_stop_and_go_on },
	{ "replaced_comes_back", test_replaced_comes_back },
	{ "replaced_still_had_one", test_replaced_still_had_one },
	{ "syncing_is_not_enough", test_syncing_is_not_enough },
	{ "lost_before_trusted", test_lost_before_trusted },
	{ "older_write", test_older_write },
	{ "wide_discard", test_wide_discard },
	CU_TEST_INFO_NULL,
};

const struct hb_suite suite_mirror_faults = { "mirror_faults", mirror_faults_tests };

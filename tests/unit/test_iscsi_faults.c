/* SPDX-License-Identifier: GPL-2.0-only */
/* test_iscsi_faults.c - the remote LUN when its target dies, hangs, comes back, or another one does; flushes then. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dev/iscsi.h"
#include "dev_rig.h"
#include "suites.h"
#include "target_rig.h"

#define SPOTS 64
#define SPOT_BYTES KIB(64)
#define STEP_NS (500 * MSEC_NS)
#define ID_A "scsi_id=a1,scsi_sn=100"
#define ID_B "scsi_id=b2,scsi_sn=100"

static char said[2048];

static void on_log(void *ctx, const char *text)
{
	size_t n = strlen(said);

	(void)ctx;
	snprintf(said + n, sizeof(said) - n, "%s\n", text);
}

static bool begin(struct target *t, struct rig *r, unsigned connections)
{
	struct dev_iscsi_how how;
	struct err err = ERR_INIT;

	if (!target_there())
		return false;
	said[0] = '\0';
	target_begin(t, SIZE_BYTES, "", ID_A);
	how = target_how(t);
	how.connections = connections;
	how.log = on_log;
	rig_init(r);
	if (dev_iscsi_open(&how, &r->dev, &err) < 0)
		printf("\n%s\n", err.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r->dev);
	dev_drain(r->dev, rig_clock(r));
	return true;
}

static void end(struct target *t, struct rig *r)
{
	CU_ASSERT_EQUAL(r->dev->orphans, 0);
	rig_free(r);
	target_end(t);
}

/* Turns for a moment of real time, whether there is something to do or not. */
static void linger(struct rig *r, int ms)
{
	for (int i = 0; i < ms / 10; i++) {
		poll(&(struct pollfd){ dev_event_fd(r->dev), POLLIN, 0 }, 1, 10);
		dev_kick(r->dev);
		dev_drain(r->dev, rig_clock(r));
	}
}

/* That much time passes, in steps, while nothing is to be heard of a target. */
static void pass(struct rig *r, uint64_t ns)
{
	for (uint64_t t = 0; t < ns; t += STEP_NS) {
		r->skip_ns += STEP_NS;
		dev_kick(r->dev);
		dev_drain(r->dev, rig_clock(r));
		poll(NULL, 0, 1);
	}
}

static int one(struct rig *r, int i, enum dev_op op, int fill)
{
	struct tio *t = &r->ios[i];

	if (op == DEV_WRITE)
		memset(t->buf, fill, BLK_BYTES);
	rig_start(r, t, op, 0, op == DEV_FLUSH ? 0 : BLK_BYTES, 1);
	rig_settle(r);
	return t->io.error;
}

/* Until it serves again. */
static void must_come_back(struct rig *r)
{
	for (int i = 0; i < 200 && one(r, 90, DEV_READ, 0) != 0; i++)
		poll(NULL, 0, 20);
	CU_ASSERT_EQUAL(r->ios[90].io.error, 0);
}

/* ------------------------------------------------------------------ killed under load */

struct spot {
	unsigned char now;		/* acknowledged */
	bool writing;
};

static void load_turn(struct rig *r, struct spot *spots, struct rng *rng, bool more)
{
	for (int i = 0; i < SPOTS; i++) {
		struct tio *t = &r->ios[i];
		struct spot *s = &spots[i];

		if (t->busy)
			continue;
		if (t->dones) {
			CU_ASSERT_EQUAL(t->io.error, 0);
			if (s->writing)
				s->now = t->buf[0];
			for (uint64_t k = 0; k < SPOT_BYTES; k += 511)
				CHECK(t->buf[k] == s->now);
			t->dones = 0;
		}
		if (!more)
			continue;
		s->writing = rng_below(rng, 2);
		memset(t->buf, s->writing ? (int)rng_below(rng, 256) : 0xee, SPOT_BYTES);
		rig_start(r, t, s->writing ? DEV_WRITE : DEV_READ, (uint64_t)i * SPOT_BYTES, SPOT_BYTES, 3);
	}
	if (r->dev->inflight)
		rig_turn(r);
}

static void test_killed_under_load(void)
{
	struct spot spots[SPOTS] = { 0 };
	struct rng rng = unit_rng();
	struct target t;
	struct rig r;

	if (!begin(&t, &r, 3))
		return;
	for (int kills = 0; kills < 4; kills++) {
		uint64_t turns = 5 + rng_below(&rng, 60);

		unit_step = (uint64_t)kills;
		for (uint64_t i = 0; i < turns; i++)
			load_turn(&r, spots, &rng, true);
		CU_ASSERT_NOT_EQUAL(r.dev->inflight, 0);
		target_kill(&t);
		for (int i = 0; i < 3; i++)
			load_turn(&r, spots, &rng, true);
		target_run(&t);
		load_turn(&r, spots, &rng, true);	/* a target without the LUN: no reason to give up */
		target_lun(&t, "", ID_A);
	}
	while (r.dev->inflight)
		load_turn(&r, spots, &rng, false);
	load_turn(&r, spots, &rng, false);
	for (int i = 0; i < SPOTS; i++) {
		rig_start(&r, &r.ios[i], DEV_READ, (uint64_t)i * SPOT_BYTES, SPOT_BYTES, 1);
		spots[i].writing = false;
	}
	rig_settle(&r);
	load_turn(&r, spots, &rng, false);
	CU_ASSERT_EQUAL(r.dev->stats.errors, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "connection lost"));
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "connected again"));
	CU_ASSERT_STRING_EQUAL(dev_iscsi_trouble(r.dev), "");
	end(&t, &r);
}

static void test_another_lun(void)
{
	struct target t;
	struct rig r;

	if (!begin(&t, &r, 2))
		return;
	CU_ASSERT_EQUAL(one(&r, 0, DEV_WRITE, 'a'), 0);
	target_kill(&t);
	target_run(&t);
	target_lun(&t, "", ID_B);
	memset(r.ios[1].buf, 'x', BLK_BYTES);
	rig_start(&r, &r.ios[1], DEV_READ, 0, BLK_BYTES, 1);
	rig_start(&r, &r.ios[2], DEV_WRITE, 0, BLK_BYTES, 1);
	rig_settle(&r);
	CU_ASSERT_TRUE(r.dev->failed);
	CU_ASSERT(r.ios[1].io.error == -EIO && r.ios[2].io.error == -EIO && r.ios[1].buf[0] == 'x');
	CU_ASSERT_PTR_NOT_NULL(strstr(dev_iscsi_trouble(r.dev), "another LUN (naa.6"));
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "another LUN (naa.6"));
	CU_ASSERT_EQUAL(one(&r, 1, DEV_READ, 0), -EIO);
	CU_ASSERT_EQUAL(one(&r, 1, DEV_FLUSH, 0), -EIO);
	rig_assert_silent(&r);
	end(&t, &r);
}

static void test_never_returns(void)
{
	struct target t;
	struct rig r;

	if (!begin(&t, &r, 2))
		return;
	target_kill(&t);
	rig_start(&r, &r.ios[0], DEV_WRITE, 0, IO_BYTES_MAX, 4);
	rig_start(&r, &r.ios[1], DEV_READ, 0, BLK_BYTES, 1);
	rig_start(&r, &r.ios[2], DEV_FLUSH, 0, 0, 1);
	pass(&r, DEV_ISCSI_PATIENCE_NS - SEC_NS);
	CU_ASSERT_EQUAL(r.done, 0);
	pass(&r, 2 * SEC_NS);
	CU_ASSERT_EQUAL(r.done, 3);
	for (int i = 0; i < 3; i++)
		CU_ASSERT(r.ios[i].dones == 1 && r.ios[i].io.error == -EIO);
	CU_ASSERT_EQUAL(one(&r, 3, DEV_READ, 0), -EIO);	/* at once: nobody waits for what is long gone */
	CU_ASSERT_FALSE(r.dev->failed);
	CU_ASSERT_PTR_NOT_NULL(strstr(dev_iscsi_trouble(r.dev), "connection lost"));
	target_run(&t);
	target_lun(&t, "", ID_A);
	must_come_back(&r);
	CU_ASSERT_EQUAL(one(&r, 3, DEV_WRITE, 'n'), 0);
	CU_ASSERT_STRING_EQUAL(dev_iscsi_trouble(r.dev), "");
	end(&t, &r);
}

/* ------------------------------------------------------------------ stalled */

static void test_stalled_for_a_while(void)
{
	struct target t;
	struct rig r;

	if (!begin(&t, &r, 2))
		return;
	target_signal(&t, SIGSTOP);
	for (int i = 0; i < 40; i++) {
		memset(r.ios[i].buf, i + 1, BLK_BYTES);
		rig_start(&r, &r.ios[i], DEV_WRITE, (uint64_t)i * BLK_BYTES, BLK_BYTES, 1);
	}
	rig_start(&r, &r.ios[40], DEV_FLUSH, 0, 0, 1);
	pass(&r, 12 * SEC_NS);
	CU_ASSERT_EQUAL(r.done, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "does not answer"));
	target_signal(&t, SIGCONT);
	rig_settle(&r);
	for (int i = 0; i < 40; i++)
		CU_ASSERT(r.ios[i].dones == 1 && r.ios[i].io.error == 0);
	for (int i = 0; i < 40; i++)
		rig_start(&r, &r.ios[i], DEV_READ, (uint64_t)i * BLK_BYTES, BLK_BYTES, 1);
	rig_settle(&r);
	for (int i = 0; i < 40; i++)
		CU_ASSERT(r.ios[i].io.error == 0 && r.ios[i].buf[7] == i + 1);
	end(&t, &r);
}

/* Story B: what was given up while the target hung must not land on what was written after. */
static void test_stale_writes(void)
{
	struct target t;
	struct rig r;

	if (!begin(&t, &r, 4))
		return;
	for (int round = 0; round < 3; round++) {
		target_signal(&t, SIGSTOP);
		for (int i = 0; i < SPOTS; i++) {
			memset(r.ios[i].buf, 0x50 + round, IO_BYTES_MAX);
			rig_start(&r, &r.ios[i], DEV_WRITE, (uint64_t)i * IO_BYTES_MAX, IO_BYTES_MAX, 1);
		}
		pass(&r, DEV_ISCSI_PATIENCE_NS + SEC_NS);
		CU_ASSERT_EQUAL(r.dev->inflight, 0);
		for (int i = 0; i < SPOTS; i++)
			CU_ASSERT_EQUAL(r.ios[i].io.error, -EIO);
		target_signal(&t, SIGCONT);
		must_come_back(&r);
		for (int i = 0; i < SPOTS; i++) {
			memset(r.ios[i].buf, 0xa0 + round, IO_BYTES_MAX);
			rig_start(&r, &r.ios[i], DEV_WRITE, (uint64_t)i * IO_BYTES_MAX, IO_BYTES_MAX, 1);
		}
		rig_settle(&r);
		poll(NULL, 0, 100);
		for (int i = 0; i < SPOTS; i++) {
			CU_ASSERT_EQUAL(r.ios[i].io.error, 0);
			rig_start(&r, &r.ios[i], DEV_READ, (uint64_t)i * IO_BYTES_MAX, IO_BYTES_MAX, 1);
		}
		rig_settle(&r);
		for (int i = 0; i < SPOTS; i++)
			for (uint64_t k = 0; k < IO_BYTES_MAX; k += 512)
				CHECK(r.ios[i].buf[k] == 0xa0 + round);
	}
	end(&t, &r);
}

/* A target that lives but never answers one command: the time limit of dev.h. */
static void test_time_out(void)
{
	struct target t;
	struct rig r;

	if (!begin(&t, &r, 1))
		return;
	r.dev->timeout_ns = 4 * SEC_NS;
	target_signal(&t, SIGSTOP);
	rig_start(&r, &r.ios[0], DEV_READ, 0, BLK_BYTES, 1);
	pass(&r, 3 * SEC_NS);
	CU_ASSERT_EQUAL(r.done, 0);
	pass(&r, 2 * SEC_NS);
	CU_ASSERT(r.ios[0].dones == 1 && r.ios[0].io.error == -ETIMEDOUT);
	CU_ASSERT_TRUE(r.dev->failed);
	CU_ASSERT_EQUAL(r.dev->stats.timeouts, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(dev_iscsi_trouble(r.dev), "not answered"));
	memset(r.ios[0].buf, 'x', BLK_BYTES);
	target_signal(&t, SIGCONT);
	CU_ASSERT_EQUAL(one(&r, 1, DEV_READ, 0), -EIO);
	poll(NULL, 0, 50);
	CU_ASSERT_EQUAL(r.ios[0].buf[0], 'x');	/* nothing comes late */
	end(&t, &r);
}

/* ------------------------------------------------------------------ flushes (story C) */

static void test_flush_after_restart(void)
{
	struct target t;
	struct rig r;

	if (!begin(&t, &r, 2))
		return;
	CU_ASSERT_EQUAL(one(&r, 0, DEV_WRITE, 'a'), 0);
	CU_ASSERT_EQUAL(one(&r, 0, DEV_FLUSH, 0), 0);
	target_kill(&t);
	target_run(&t);
	target_lun(&t, "", ID_A);
	must_come_back(&r);
	CU_ASSERT_EQUAL(one(&r, 0, DEV_FLUSH, 0), 0);	/* nothing was unflushed */
	CU_ASSERT_EQUAL(one(&r, 0, DEV_WRITE, 'b'), 0);
	target_kill(&t);
	target_run(&t);
	target_lun(&t, "", ID_A);
	must_come_back(&r);
	CU_ASSERT_EQUAL(one(&r, 0, DEV_FLUSH, 0), -EIO);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "may have restarted"));
	CU_ASSERT_EQUAL(one(&r, 0, DEV_FLUSH, 0), 0);	/* told once */
	CU_ASSERT_EQUAL(one(&r, 0, DEV_WRITE, 'c'), 0);
	CU_ASSERT_EQUAL(one(&r, 0, DEV_FLUSH, 0), 0);
	end(&t, &r);
}

/* A flush that was under way when the target died is no exception. */
static void test_flush_interrupted(void)
{
	struct target t;
	struct rig r;

	if (!begin(&t, &r, 2))
		return;
	CU_ASSERT_EQUAL(one(&r, 0, DEV_WRITE, 'a'), 0);
	target_signal(&t, SIGSTOP);
	rig_start(&r, &r.ios[0], DEV_FLUSH, 0, 0, 1);
	dev_kick(r.dev);
	target_kill(&t);
	target_run(&t);
	target_lun(&t, "", ID_A);
	rig_settle(&r);
	CU_ASSERT(r.ios[0].dones == 2 && r.ios[0].io.error == -EIO);
	end(&t, &r);
}

/* Sessions that are cut one after the other, by a target that lives: the others prove it. */
static void test_flush_after_drop(void)
{
	struct target t;
	struct rig r;

	if (!begin(&t, &r, 2))
		return;
	for (int i = 0; i < 6; i++) {
		for (int k = 0; k < 8; k++)
			rig_start(&r, &r.ios[k], DEV_WRITE, (uint64_t)k * BLK_BYTES, BLK_BYTES, 1);
		rig_settle(&r);
		target_drop(&t, i & 1 ? TARGET_DROP_LAST : TARGET_DROP_FIRST);
		linger(&r, 300);
		CU_ASSERT_EQUAL(one(&r, 0, DEV_FLUSH, 0), 0);
	}
	CU_ASSERT_STRING_EQUAL(said, "");
	CU_ASSERT_EQUAL(r.dev->stats.errors, 0);
	end(&t, &r);
}

/* All at once: tgt greets each session with "power on", so nobody can know. Without a volatile cache, nobody cares. */
static void test_flush_all_dropped(void)
{
	struct target t;
	struct rig r;

	if (!begin(&t, &r, 2))
		return;
	CU_ASSERT_EQUAL(one(&r, 0, DEV_WRITE, 'a'), 0);
	target_drop(&t, TARGET_DROP_ALL);
	linger(&r, 300);
	must_come_back(&r);
	CU_ASSERT_EQUAL(one(&r, 0, DEV_FLUSH, 0), -EIO);
	CU_ASSERT_EQUAL(one(&r, 0, DEV_FLUSH, 0), 0);
	end(&t, &r);
}

static CU_TestInfo iscsi_faults_tests[] = {
	{ "killed_under_load", test_killed_under_load },
	{ "another_lun", test_another_lun },
	{ "never_returns", test_never_returns },
	{ "stalled_for_a_while", test_stalled_for_a_while },
	{ "stale_writes", test_stale_writes },
	{ "time_out", test_time_out },
	{ "flush_after_restart", test_flush_after_restart },
	{ "flush_interrupted", test_flush_interrupted },
	{ "flush_after_drop", test_flush_after_drop },
	{ "flush_all_dropped", test_flush_all_dropped },
	CU_TEST_INFO_NULL,
};

const struct hb_suite suite_iscsi_faults = { "iscsi_faults", iscsi_faults_tests };

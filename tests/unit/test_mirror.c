/* SPDX-License-Identifier: GPL-2.0-only */
/* test_mirror.c - the mirror as a device: the suite of all devices, its descriptor, geometry, balance, refusals. What
 * happens when a half fails is in test_mirror_faults.c and test_mirror_random.c. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/mem.h"
#include "dev/mirror.h"
#include "dev_rig.h"
#include "mirror_rig.h"
#include "suites.h"

static const enum mirror_state both_in[2] = { MIRROR_IN, MIRROR_IN };

static struct dev *new_ram(uint64_t size)
{
	struct err err = ERR_INIT;
	struct dev *dev = NULL;

	CU_ASSERT_EQUAL_FATAL(dev_ram_new(size, &dev, &err), 0);
	return dev;
}

static struct dev *new_mirror(struct dev *a, struct dev *b, const enum mirror_state state[2])
{
	struct dev *half[2] = { a, b }, *dev = NULL;
	struct err err = ERR_INIT;

	CU_ASSERT_EQUAL_FATAL(dev_mirror_new(half, state, &dev, &err), 0);
	return dev;
}

/* Two files under one directory; the rig's own is the first. */
static void rig_two_files(struct rig *r, struct rig *second)
{
	struct dev *a;

	rig_file(r, "/tmp");
	rig_open(r, 0);
	a = r->dev;
	rig_file(second, "/tmp");
	rig_open(second, 0);
	r->dev = new_mirror(a, second->dev, both_in);
	second->dev = NULL;		/* the mirror's */
}

/* ------------------------------------------------------------------ the suite of all devices */

static void test_random_ram(void)
{
	struct rig r;

	rig_init(&r);
	r.dev = new_mirror(new_ram(SIZE_BYTES), new_ram(SIZE_BYTES), both_in);
	CU_ASSERT(dev_event_fd(r.dev) == -1 && dev_is_mirror(r.dev));
	rig_random_io(&r, 150);
	CU_ASSERT(dev_mirror_half(r.dev, 0)->stats.ios[DEV_READ] > 0);
	CU_ASSERT(dev_mirror_half(r.dev, 1)->stats.ios[DEV_READ] > 0);
	rig_free(&r);
}

static void test_random_one_half(void)
{
	static const enum mirror_state state[2] = { MIRROR_OUT, MIRROR_IN };
	struct rig r;

	rig_init(&r);
	r.dev = new_mirror(NULL, new_ram(SIZE_BYTES), state);
	CU_ASSERT_STRING_EQUAL(r.dev->name, "mirror of ram:8388608 alone");
	rig_random_io(&r, 100);
	CU_ASSERT(dev_mirror_half(r.dev, 0) == NULL && dev_mirror_unaccepted(r.dev) == -1);
	rig_free(&r);
}

static void test_random_file(void)
{
	struct rig r, second;

	rig_two_files(&r, &second);
	rig_random_io(&r, 150);
	rig_free(&r);
	rig_free(&second);
}

/* As tgtd's loop watches it: edges of the mirror's descriptor, which nobody reads. */
static void test_edges(void)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	int loop = epoll_create1(EPOLL_CLOEXEC);
	struct rig r, second;

	rig_two_files(&r, &second);
	r.dev->edge_events = true;
	CU_ASSERT_EQUAL_FATAL(epoll_ctl(loop, EPOLL_CTL_ADD, dev_event_fd(r.dev), &ev), 0);
	for (int i = 0; i < 300; i++) {
		/* Every third is refused at once: what the mirror signals itself is an edge, too. */
		uint64_t off = i % 3 == 2 ? SIZE_BYTES : (uint64_t)(i % 64) * BLK_BYTES;

		rig_start(&r, &r.ios[0], i % 2 ? DEV_READ : DEV_WRITE, off, BLK_BYTES, 1);
		dev_kick(r.dev);
		while (r.ios[0].busy) {
			CU_ASSERT_EQUAL_FATAL(epoll_wait(loop, &ev, 1, 5000), 1);
			dev_drain(r.dev, rig_clock(&r));
		}
	}
	r.dev->edge_events = false;	/* back to levels: silent as soon as all is read */
	rig_assert_silent(&r);
	close(loop);
	rig_free(&r);
	rig_free(&second);
}

static void test_more_than_pairs(void)
{
	enum { N = 700 };
	struct tio *many = calloc(N, sizeof(*many));
	unsigned char *buf = mem_alloc_aligned(BLK_BYTES);
	struct rig r, second;

	rig_two_files(&r, &second);
	memset(buf, 7, BLK_BYTES);
	for (int i = 0; i < N; i++) {
		many[i].rig = &r;
		many[i].buf = buf;
		rig_start(&r, &many[i], DEV_WRITE, (uint64_t)i * BLK_BYTES, BLK_BYTES, 1);
	}
	CU_ASSERT_EQUAL(r.dev->inflight, N);
	dev_kick(r.dev);
	CU_ASSERT_EQUAL(r.done, 0);	/* never from kick */
	rig_settle(&r);
	for (int i = 0; i < N; i++)
		CU_ASSERT(many[i].dones == 1 && many[i].io.error == 0);
	for (int h = 0; h < 2; h++)
		CU_ASSERT_EQUAL(dev_mirror_half(r.dev, h)->stats.ios[DEV_WRITE], N);
	CU_ASSERT_EQUAL(r.dev->stats.bytes[DEV_WRITE], (uint64_t)N * BLK_BYTES);
	rig_assert_silent(&r);
	rig_free(&r);
	rig_free(&second);
	mem_free(buf);
	free(many);
}

/* ------------------------------------------------------------------ what it is made of */

static void test_refused_new(void)
{
	static const enum mirror_state none[2] = { MIRROR_OUT, MIRROR_SYNCING };
	struct dev *half[2] = { new_ram(SIZE_BYTES), new_ram(SIZE_BYTES) }, *dev;
	struct dev *absent[2] = { NULL, NULL };
	struct err err = ERR_INIT;

	CU_ASSERT_EQUAL(dev_mirror_new(half, none, &dev, &err), -EINVAL);
	CU_ASSERT_STRING_EQUAL(err.text, "mirror: neither half is in");
	CU_ASSERT_EQUAL(dev_mirror_new(absent, both_in, &dev, &err), -EINVAL);
	mem_fail_at(1);
	CU_ASSERT_EQUAL(dev_mirror_new(half, both_in, &dev, &err), -ENOMEM);
	mem_fail_at(0);
	dev_close(half[0]);		/* still ours */
	dev_close(half[1]);
}

static void test_geometry(void)
{
	static const enum mirror_state one_out[2] = { MIRROR_IN, MIRROR_OUT };
	struct sim_clock clock = { .now_ns = 1 };
	struct sim_disk *d = sim_disk_new(&clock, "sim", MIB(4), 4096, 1);
	struct dev *dev = new_mirror(new_ram(MIB(6)), sim_open(d), both_in);

	CU_ASSERT(dev->geom.size_bytes == MIB(4) && dev->geom.logical_bytes == 4096 && dev->geom.mem_align == 4096);
	CU_ASSERT(dev->geom.discard_bytes == BLK_BYTES && !dev->geom.rotational);
	CU_ASSERT_STRING_EQUAL(dev->name, "mirror of ram:6291456 and sim");
	sim_disk_grow(d, MIB(5));
	CU_ASSERT(dev_rescan(dev) == 0 && dev->geom.size_bytes == MIB(5));
	sim_disk_grow(d, MIB(9));
	CU_ASSERT(dev_rescan(dev) == 0 && dev->geom.size_bytes == MIB(6));
	dev_close(dev);
	dev = new_mirror(new_ram(MIB(6)), sim_open(d), one_out);
	CU_ASSERT(dev->geom.size_bytes == MIB(6) && dev->geom.logical_bytes == 512);
	dev_close(dev);
	sim_disk_free(d);
}

static void test_refusals(void)
{
	struct rig r, second;

	rig_two_files(&r, &second);
	r.dev->geom.discard_bytes = 0;
	rig_start(&r, &r.ios[0], DEV_READ, SIZE_BYTES, BLK_BYTES, 1);
	rig_start(&r, &r.ios[1], DEV_WRITE, SIZE_BYTES - BLK_BYTES, 2 * BLK_BYTES, 1);
	rig_start(&r, &r.ios[2], DEV_READ, UINT64_MAX - BLK_BYTES + 1, BLK_BYTES, 1);
	rig_start(&r, &r.ios[3], DEV_DISCARD, 0, BLK_BYTES, 1);
	CU_ASSERT_EQUAL(r.done, 0);	/* never from queue */
	rig_settle(&r);
	for (int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(r.ios[i].io.error, -EINVAL);
	CU_ASSERT_EQUAL(r.ios[3].io.error, -EOPNOTSUPP);
	CU_ASSERT(dev_mirror_state(r.dev, 0) == MIRROR_IN && dev_mirror_state(r.dev, 1) == MIRROR_IN);
	rig_assert_silent(&r);
	rig_free(&r);
	rig_free(&second);
}

static void test_refused_calls(void)
{
	static const enum mirror_state one_out[2] = { MIRROR_IN, MIRROR_OUT };
	struct dev *dev = new_mirror(new_ram(MIB(4)), NULL, one_out);
	struct dev *small = new_ram(MIB(2)), *large = new_ram(MIB(8));
	struct err err = ERR_INIT;

	CU_ASSERT_EQUAL(dev_mirror_replace(dev, 0, large, &err), -EBUSY);
	CU_ASSERT_STRING_EQUAL(err.text, "mirror of ram:4194304 alone: the half to be replaced is still in use");
	CU_ASSERT_EQUAL(dev_mirror_replace(dev, 1, small, &err), -EINVAL);
	CU_ASSERT_STRING_EQUAL(err.text, "ram:2097152: has 2097152 bytes, the mirror 4194304");
	CU_ASSERT_EQUAL(dev_mirror_sync(dev, 0, MIB(4), 0), -EINVAL);
	CU_ASSERT_EQUAL(dev_mirror_trust(dev, 1), -EINVAL);
	CU_ASSERT_EQUAL(dev_mirror_replace(dev, 1, large, &err), 0);
	CU_ASSERT_EQUAL(dev_mirror_trust(dev, 1), -EINVAL);	/* nothing was copied to it */
	CU_ASSERT_EQUAL(dev_mirror_sync(dev, 0, MIB(5), 0), -EINVAL);
	CU_ASSERT_EQUAL(dev_mirror_sync(dev, 100, MIB(4), 0), -EINVAL);
	mem_fail_at(1);
	CU_ASSERT_EQUAL(dev_mirror_sync(dev, 0, MIB(4), 0), -ENOMEM);
	mem_fail_at(0);
	CU_ASSERT_EQUAL(dev_mirror_sync(dev, 0, MIB(4), 0), 0);
	CU_ASSERT_EQUAL(dev_mirror_sync(dev, 0, MIB(4), 0), -EBUSY);
	CU_ASSERT_EQUAL(dev_mirror_replace(dev, 1, small, &err), -EBUSY);
	CU_ASSERT_EQUAL(dev_mirror_trust(dev, 1), -EINVAL);
	for (uint64_t now = 1; now < 100; now++)
		dev_drain(dev, now);
	CU_ASSERT(dev->inflight == 0 && dev_mirror_trust(dev, 1) == 0 && dev_mirror_trust(dev, 1) == -EINVAL);
	dev_close(small);
	dev_close(dev);
}

/* ------------------------------------------------------------------ balance */

static void test_balance(void)
{
	struct mio t[32];
	struct mrig g;
	unsigned by[3] = { 0 };

	mrig_begin(&g, unit_rng().s);
	for (int i = 0; i < 32; i++)
		mio_init(&g, &t[i]);
	/* Many at once: both halves work. */
	for (int i = 0; i < 32; i++)
		mrig_queue(&g, &t[i], DEV_READ, (uint64_t)(i * 37 % 32) * 32, 1, 0);
	CU_ASSERT(dev_mirror_half(g.dev, 0)->inflight == 16 && dev_mirror_half(g.dev, 1)->inflight == 16);
	mrig_settle(&g);
	for (int i = 0; i < 32; i++)
		by[t[i].io.served]++;
	CU_ASSERT(by[0] == 0 && by[1] == 16 && by[2] == 16);
	/* A run, one after the other: one half. */
	mrig_queue(&g, &t[0], DEV_READ, 100, 4, 0);
	mrig_settle(&g);
	for (unsigned i = 1; i < 20; i++) {
		mrig_queue(&g, &t[1], DEV_READ, 100 + i * 4, 4, 0);
		mrig_settle(&g);
		CU_ASSERT_EQUAL(t[1].io.served, t[0].io.served);
	}
	for (int i = 0; i < 32; i++)
		mio_free(&t[i]);
	mrig_end(&g);
}

/* One half has wrong bytes: the owner reads each for itself, and writes the good ones over the bad. */
static void test_sides(void)
{
	struct mrig g;
	uint64_t id = 7, bad[BLK_BYTES / 8] = { 1, 2, 3 };

	mrig_begin(&g, unit_rng().s);
	CU_ASSERT_EQUAL(mrig_do(&g, DEV_WRITE, 5, &id, 0), 0);
	sim_disk_poke(g.disk[1], 5 * BLK_BYTES, bad, sizeof(bad));
	CU_ASSERT(mrig_do(&g, DEV_READ, 5, &id, 1) == 0 && id == 7);
	CU_ASSERT(mrig_do(&g, DEV_READ, 5, &id, 2) == 0 && id == 1);
	id = 7;
	CU_ASSERT_EQUAL(mrig_do(&g, DEV_WRITE, 5, &id, 2), 0);
	CU_ASSERT_EQUAL(mrig_do(&g, DEV_FLUSH, 0, NULL, 2), 0);
	CU_ASSERT(mrig_do(&g, DEV_READ, 5, &id, 2) == 0 && id == 7);
	id = 8;
	CU_ASSERT_EQUAL(mrig_do(&g, DEV_WRITE, 5, &id, 1), 0);
	CU_ASSERT(mrig_peek(g.disk[0], 5) == 8 && mrig_peek(g.disk[1], 5) == 7);
	CU_ASSERT_EQUAL(dev_mirror_half(g.dev, 0)->stats.ios[DEV_FLUSH], 0);
	CU_ASSERT_EQUAL(dev_mirror_half(g.dev, 1)->stats.ios[DEV_FLUSH], 1);
	mrig_end(&g);
}

static CU_TestInfo mirror_tests[] = {
	{ "random_ram", test_random_ram },
	{ "random_one_half", test_random_one_half },
	{ "random_file", test_random_file },
	{ "edges", test_edges },
	{ "more_than_pairs", test_more_than_pairs },
	{ "refused_new", test_refused_new },
	{ "geometry", test_geometry },
	{ "refusals", test_refusals },
	{ "refused_calls", test_refused_calls },
	{ "balance", test_balance },
	{ "sides", test_sides },
	CU_TEST_INFO_NULL,
};

const struct hb_suite suite_mirror = { "mirror", mirror_tests };

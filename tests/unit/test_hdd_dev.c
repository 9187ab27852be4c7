/* SPDX-License-Identifier: GPL-2.0-only */
/* test_hdd_dev.c - the modelled HDD as a device: repeatable in virtual time, errors, time-outs; the suite of all
 * devices in real time, where order and counts are looked at, and never a time.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/mem.h"
#include "dev/sim.h"
#include "dev_rig.h"
#include "hdd_rig.h"
#include "suites.h"

/* ------------------------------------------------------------------ time */

static void mixed(struct load *l, struct dev_io *io)
{
	uint64_t what = rng_below(&l->rng, 20);

	random_read(l, io);
	io->op = what < 9 ? DEV_READ : what < 18 ? DEV_WRITE : what < 19 ? DEV_DISCARD : DEV_FLUSH;
	if (what % 3 == 0)
		io->off_bytes %= MIB(64);
	if (io->op == DEV_FLUSH)
		io->off_bytes = io->len_bytes = 0;
}

static void test_repeatable(void)
{
	uint64_t first = 0;

	for (int cache = 0; cache < 2; cache++) {
		for (int i = 0; i < 3; i++) {
			struct hdd_model m = hdd_model_default;
			struct load *l;

			m.write_cache_bytes = cache ? MIB(1) : 0;
			l = load_new(&m, DRIVE_BYTES);
			load_run(l, 48, 3000, mixed);
			CU_ASSERT_EQUAL(l->done, 3000);
			if (i == 0)
				first = l->trace;
			else
				CU_ASSERT_EQUAL(l->trace, first);
			load_free(l);
		}
	}
}

/* All is sent at once, more than the drive takes: when it is looked at changes nothing but when that is noticed. */
static void test_late_drain(void)
{
	uint64_t order[FLIGHT], busy = 0;

	for (int late = 0; late < 2; late++) {
		struct load *l = load_new(NULL, DRIVE_BYTES);
		const struct hdd_stats *s = dev_hdd_stats(l->dev);

		l->next = random_read;
		for (int i = 0; i < FLIGHT; i++)
			load_start(l, &l->ios[i], DEV_READ, rng_below(&l->rng, 1u << 28) * BLK_BYTES, BLK_BYTES);
		dev_kick(l->dev);
		CU_ASSERT_EQUAL(dev_hdd_next_ns(l->dev), l->now_ns);	/* it must be told that it is now */
		dev_drain(l->dev, l->now_ns);
		CU_ASSERT(dev_hdd_next_ns(l->dev) > l->now_ns);
		CU_ASSERT_EQUAL(l->done, 0);
		if (late) {
			l->now_ns += 10 * SEC_NS;
			CU_ASSERT_EQUAL(dev_drain(l->dev, l->now_ns), FLIGHT);
			CU_ASSERT_EQUAL(memcmp(l->order, order, sizeof(order)), 0);
			CU_ASSERT_EQUAL(s->busy_ns[DEV_READ], busy);
		} else {
			load_settle(l);
		}
		memcpy(order, l->order, sizeof(order));
		busy = s->busy_ns[DEV_READ];
		load_free(l);
	}
}

/* A medium that is slower than the model: the I/O waits for it, and nobody is asked to drain meanwhile. */
static void test_slow_medium(void)
{
	struct load *l = load_new(NULL, DRIVE_BYTES);

	l->next = random_read;
	l->medium->holds = true;
	load_start(l, &l->ios[0], DEV_READ, 0, BLK_BYTES);
	dev_kick(l->dev);
	dev_drain(l->dev, l->now_ns);
	l->now_ns = dev_hdd_next_ns(l->dev);
	CU_ASSERT_EQUAL(dev_drain(l->dev, l->now_ns), 0);
	CU_ASSERT_EQUAL(dev_hdd_next_ns(l->dev), UINT64_MAX);
	l->medium->holds = false;
	l->now_ns += SEC_NS;
	CU_ASSERT_EQUAL(dev_drain(l->dev, l->now_ns), 1);
	CU_ASSERT_EQUAL(l->longest_ns > SEC_NS, true);
	load_free(l);
}

/* ------------------------------------------------------------------ what goes wrong */

static void test_errors(void)
{
	struct load *l = load_new(NULL, DRIVE_BYTES);
	struct vio *v = l->ios;

	l->next = random_read;
	load_start(l, &v[0], DEV_READ, DRIVE_BYTES, BLK_BYTES);
	load_start(l, &v[1], DEV_WRITE, UINT64_MAX - BLK_BYTES + 1, BLK_BYTES);
	load_start(l, &v[2], DEV_READ, DRIVE_BYTES - BLK_BYTES, BLK_BYTES);
	load_settle(l);
	CU_ASSERT_EQUAL(v[0].io.error, -EINVAL);
	CU_ASSERT_EQUAL(v[1].io.error, -EINVAL);
	CU_ASSERT_EQUAL(v[2].io.error, 0);
	CU_ASSERT_EQUAL(dev_rescan(l->dev), 0);
	load_start(l, &v[0], DEV_READ, DRIVE_BYTES, BLK_BYTES);
	load_settle(l);
	CU_ASSERT_EQUAL(v[0].io.error, 0);
	l->medium->error = -EIO;
	load_start(l, &v[0], DEV_READ, 0, BLK_BYTES);
	load_settle(l);
	CU_ASSERT_EQUAL(v[0].io.error, -EIO);
	CU_ASSERT(!l->dev->failed);
	/* Failed: nothing is waited for, nothing reaches the medium. */
	l->medium->nlog = 0;
	l->dev->failed = true;
	for (int i = 0; i < FLIGHT; i++)
		load_start(l, &v[i], DEV_WRITE, 0, BLK_BYTES);
	dev_kick(l->dev);
	CU_ASSERT_EQUAL(dev_hdd_next_ns(l->dev), l->now_ns);
	CU_ASSERT_EQUAL(dev_drain(l->dev, l->now_ns), FLIGHT);
	CU_ASSERT_EQUAL(v[FLIGHT - 1].io.error, -EIO);
	CU_ASSERT_EQUAL(l->medium->nlog, 0);
	load_free(l);
}

static void sim_settle(struct load *l, struct sim_disk *disk, struct sim_clock *clock)
{
	while (l->dev->inflight) {
		dev_kick(l->dev);
		clock->now_ns = MAX(clock->now_ns, MIN(dev_hdd_next_ns(l->dev), sim_disk_next_ns(disk)));
		l->now_ns = clock->now_ns;
		dev_drain(l->dev, l->now_ns);
	}
}

/* A simulated disk as the medium: one of its I/Os gets stuck, and its time-out becomes ours. */
static void test_on_sim(void)
{
	struct sim_clock clock = { .now_ns = SEC_NS };
	struct sim_disk *disk = sim_disk_new(&clock, "medium", MIB(8), 512, 5);
	struct hdd_model m = hdd_model_default;
	struct sim_faults stuck = { .stuck_at = 100 };
	struct load *l = calloc(1, sizeof(*l));
	struct err err = ERR_INIT;
	int timeouts = 0;

	m.virtual_time = true;
	for (int i = 0; i < FLIGHT; i++)
		l->ios[i].io.done = vio_done;
	CU_ASSERT_EQUAL_FATAL(dev_hdd_new(sim_open(disk), &m, &l->dev, &err), 0);
	l->next = mixed;
	l->left = 500;
	for (int i = 0; i < 40; i++)
		load_next(l, &l->ios[i]);
	sim_settle(l, disk, &clock);
	CU_ASSERT_EQUAL(l->done, 500);
	CU_ASSERT_EQUAL(l->errors, 0);
	sim_disk_arm(disk, &stuck);
	l->left = 500;
	for (int i = 0; i < 40; i++)
		load_next(l, &l->ios[i]);
	sim_settle(l, disk, &clock);
	for (int i = 0; i < FLIGHT; i++)
		timeouts += l->ios[i].io.error == -ETIMEDOUT;
	CU_ASSERT_EQUAL(l->done, 1000);
	CU_ASSERT(l->dev->failed);
	CU_ASSERT_EQUAL(l->dev->orphans, 1);
	CU_ASSERT_EQUAL(l->dev->stats.timeouts, 1);
	dev_close(l->dev);
	sim_disk_free(disk);
	free(l);
}

static void test_refused(void)
{
	struct { size_t at; uint64_t v; size_t size; const char *text; } bad[] = {
		{ offsetof(struct hdd_model, rpm), 0, 4, "HDD model: 0 rpm, expected 100 to 100000" },
		{ offsetof(struct hdd_model, seek_min_ns), SEC_NS, 8, "HDD model: seeks from" },
		{ offsetof(struct hdd_model, inner_bytes_s), 0, 8, "HDD model: 180000000 bytes/s outermost and 0" },
		{ offsetof(struct hdd_model, bus_bytes_s), 0, 8, "HDD model: a bus of 0" },
		{ offsetof(struct hdd_model, ahead_bytes), GIB(2), 8, "HDD model: 2147483648 bytes of read-ahead" },
		{ offsetof(struct hdd_model, depth), 257, 4, "HDD model: a depth of 257, expected 1 to 256" },
		{ offsetof(struct hdd_model, age_ns), UINT64_MAX, 8, "HDD model: an age of" },
		{ offsetof(struct hdd_model, scale), 0, 8, "HDD model: a scale of 0, expected 0.0001 to 100" },
	};
	struct void_dev *v = void_new(MIB(8));
	struct err err = ERR_INIT;
	struct hdd_model m = hdd_model_default;
	struct dev *dev;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		m = hdd_model_default;
		memcpy((char *)&m + bad[i].at, &bad[i].v, bad[i].size);
		CU_ASSERT_EQUAL(dev_hdd_new(&v->dev, &m, &dev, &err), -EINVAL);
		CU_ASSERT_EQUAL(strncmp(err.text, bad[i].text, strlen(bad[i].text)), 0);
	}
	m = hdd_model_default;
	m.write_cache_bytes = MIB(64);
	for (unsigned long n = 1; n <= 2; n++) {
		mem_fail_at(n);
		CU_ASSERT_EQUAL(dev_hdd_new(&v->dev, &m, &dev, &err), -ENOMEM);
	}
	mem_fail_at(0);
	dev_close(&v->dev);
}

/* ------------------------------------------------------------------ real time: order and counts only */

static void rig_hdd(struct rig *r, const struct hdd_model *model)
{
	struct hdd_model m = *model;
	struct dev *medium = r->dev;
	struct err err = ERR_INIT;

	m.scale = 0.001;
	CU_ASSERT_EQUAL_FATAL(dev_hdd_new(medium, &m, &r->dev, &err), 0);
	CU_ASSERT(r->dev->geom.rotational);
	CU_ASSERT_EQUAL(r->dev->geom.size_bytes, SIZE_BYTES);
	CU_ASSERT_STRING_EQUAL(r->dev->ops->kind, "hdd");
}

static void test_real_random(void)
{
	for (int variant = 0; variant < 4; variant++) {
		struct hdd_model m = hdd_model_default;
		struct err err = ERR_INIT;
		struct rig r;

		m.write_cache_bytes = variant & 1 ? KIB(256) : 0;
		m.depth = variant & 1 ? 3 : 32;
		if (variant & 2) {
			rig_file(&r, "/tmp");
			rig_open(&r, 0);
		} else {
			rig_init(&r);
			CU_ASSERT_EQUAL_FATAL(dev_ram_new(SIZE_BYTES, &r.dev, &err), 0);
		}
		rig_hdd(&r, &m);
		rig_random_io(&r, 100);
		CU_ASSERT(dev_hdd_stats(r.dev)->flushes > 0);
		rig_free(&r);
	}
}

/* A medium that does one discard at a time wants to be kicked for the next, when nothing else is going on. */
static void test_real_discards(void)
{
	struct rig r;

	rig_file(&r, "/tmp");
	rig_open(&r, 0);
	rig_hdd(&r, &hdd_model_default);
	for (uint64_t i = 0; i < 4; i++)
		rig_start(&r, &r.ios[i], DEV_DISCARD, i * MIB(1), KIB(64), 1);
	rig_settle(&r);
	CU_ASSERT_EQUAL(r.dev->stats.ios[DEV_DISCARD], 4);
	CU_ASSERT_EQUAL(r.dev->stats.errors, 0);
	rig_assert_silent(&r);
	rig_free(&r);
}

/* A watcher of edges is woken by each kick and each completion, also when kicked from within done(). */
static void chain_done(struct dev_io *io)
{
	struct tio *t = container_of(io, struct tio, io);

	CU_ASSERT_EQUAL(io->error, 0);
	if (++t->dones % 300 == 0)
		return;
	io->off_bytes = (io->off_bytes + 77 * BLK_BYTES) % SIZE_BYTES;
	dev_queue(t->rig->dev, io);
	if (t->dones % 2)
		dev_kick(t->rig->dev);
}

static void test_real_edges(void)
{
	struct epoll_event ev = { .events = EPOLLIN | (unsigned)EPOLLET };
	int ep = epoll_create1(EPOLL_CLOEXEC);
	struct err err = ERR_INIT;
	struct rig r;

	rig_init(&r);
	CU_ASSERT_EQUAL_FATAL(dev_ram_new(SIZE_BYTES, &r.dev, &err), 0);
	rig_hdd(&r, &hdd_model_default);
	r.dev->edge_events = true;
	CU_ASSERT_EQUAL(epoll_ctl(ep, EPOLL_CTL_ADD, dev_event_fd(r.dev), &ev), 0);
	for (int i = 0; i < 3; i++) {
		rig_start(&r, &r.ios[i], DEV_READ, (uint64_t)i * MIB(1), BLK_BYTES, 1);
		r.ios[i].io.done = chain_done;
	}
	while (r.dev->inflight) {
		dev_kick(r.dev);
		CU_ASSERT_EQUAL_FATAL(epoll_wait(ep, &ev, 1, 5000), 1);
		dev_drain(r.dev, rig_clock(&r));
	}
	CU_ASSERT_EQUAL(dev_hdd_stats(r.dev)->requests[DEV_READ], 900);
	rig_assert_silent(&r);
	close(ep);
	rig_free(&r);
}

static CU_TestInfo hdd_dev_tests[] = {
	{ "repeatable", test_repeatable },
	{ "late_drain", test_late_drain },
	{ "slow_medium", test_slow_medium },
	{ "errors", test_errors },
	{ "on_sim", test_on_sim },
	{ "refused", test_refused },
	{ "real_random", test_real_random },
	{ "real_discards", test_real_discards },
	{ "real_edges", test_real_edges },
	CU_TEST_INFO_NULL,
};

const struct hb_suite suite_hdd_dev = { "hdd_dev", hdd_dev_tests };

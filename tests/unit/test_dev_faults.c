/* SPDX-License-Identifier: GPL-2.0-only */
/* test_dev_faults.c - the file device when the kernel or the medium misbehaves, by the double of dev_rig.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "dev_rig.h"
#include "suites.h"

/* ------------------------------------------------------------------ with the double */

static void test_eagain(void)
{
	struct rig r;

	rig_file(&r, "/tmp");
	rig_open(&r, 0);
	dbl.eagain = 5;
	for (int i = 0; i < 10; i++)
		rig_start(&r, &r.ios[i], DEV_WRITE, (uint64_t)i * BLK_BYTES, BLK_BYTES, 1);
	rig_start(&r, &r.ios[10], DEV_FLUSH, 0, 0, 1);
	rig_settle(&r);
	CU_ASSERT_EQUAL(dbl.eagain, 0);
	for (int i = 0; i < 11; i++)
		CU_ASSERT(r.ios[i].dones == 1 && r.ios[i].io.error == 0);
	rig_assert_silent(&r);
	/* For ever: in the end it is a time-out like any other, without an orphan. */
	dbl.eagain = 1000000;
	rig_start(&r, &r.ios[0], DEV_READ, 0, BLK_BYTES, 1);
	rig_turn(&r);
	CU_ASSERT_EQUAL(r.dev->inflight, 1);
	r.skip_ns = DEV_TIMEOUT_NS;
	rig_turn(&r);
	CU_ASSERT_EQUAL(r.ios[0].io.error, -ETIMEDOUT);
	CU_ASSERT(r.dev->failed && r.dev->orphans == 0 && r.dev->inflight == 0);
	dbl.eagain = 0;
	rig_assert_silent(&r);
	rig_free(&r);
}

static void test_one_refused(void)
{
	struct rig r;

	rig_file(&r, "/tmp");
	rig_open(&r, 0);
	dbl.refuse_at = 4;
	for (int i = 0; i < 10; i++)
		rig_start(&r, &r.ios[i], DEV_WRITE, (uint64_t)i * BLK_BYTES, BLK_BYTES, 1);
	rig_settle(&r);
	for (int i = 0; i < 10; i++)
		CU_ASSERT(r.ios[i].dones == 1 && r.ios[i].io.error == (i == 3 ? -EBADF : 0));
	CU_ASSERT_EQUAL(r.dev->stats.errors, 1);
	CU_ASSERT(!r.dev->failed);
	rig_assert_silent(&r);
	rig_free(&r);
}

static void test_short_transfers(void)
{
	struct rig r;

	rig_file(&r, "/tmp");
	rig_open(&r, 0);
	r.model = calloc(1, SIZE_BYTES);
	for (int niov = 1; niov <= 8; niov++) {
		struct tio *t = &r.ios[niov];

		for (size_t i = 0; i < IO_BYTES_MAX; i++)
			t->buf[i] = (unsigned char)(i * 31 + i / 4096 + (size_t)niov);
		memcpy(r.model + KIB(64), t->buf, IO_BYTES_MAX);
		dbl.shorten = 5;
		rig_start(&r, t, DEV_WRITE, KIB(64), IO_BYTES_MAX, niov);
		rig_settle(&r);
		CU_ASSERT(t->io.error == 0 && dbl.shorten < 5);
		memset(t->buf, 0, IO_BYTES_MAX);
		dbl.shorten = 5;
		rig_start(&r, t, DEV_READ, KIB(64), IO_BYTES_MAX, niov);	/* tio_done() compares */
		rig_settle(&r);
		CU_ASSERT(t->io.error == 0 && dbl.shorten < 5 && t->dones == 2);
		dbl.shorten = 0;
	}
	CU_ASSERT_EQUAL(r.dev->stats.ios[DEV_READ], 8);
	rig_assert_silent(&r);
	rig_free(&r);
}

static void assert_failed_for_good(struct rig *r)
{
	static const enum dev_op ops[] = { DEV_READ, DEV_WRITE, DEV_FLUSH, DEV_DISCARD };
	int calls = dbl.calls;

	CU_ASSERT(r->dev->failed);
	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		rig_start(r, &r->ios[i], ops[i], 0, ops[i] == DEV_FLUSH ? 0 : BLK_BYTES, 1);
		rig_settle(r);
		CU_ASSERT_EQUAL(r->ios[i].io.error, -EIO);
	}
	CU_ASSERT_EQUAL(dbl.calls, calls);
	rig_assert_silent(r);
}

static void test_flush_fails(void)
{
	struct rig r;

	rig_file(&r, "/tmp");
	rig_open(&r, 0);
	dbl.break_flush = 1;
	rig_start(&r, &r.ios[0], DEV_FLUSH, 0, 0, 1);
	rig_start(&r, &r.ios[1], DEV_FLUSH, 0, 0, 1);
	dev_kick(r.dev);
	rig_start(&r, &r.ios[2], DEV_FLUSH, 0, 0, 1);	/* while the first runs: waits for the next */
	rig_start(&r, &r.ios[3], DEV_WRITE, 0, BLK_BYTES, 1);
	rig_settle(&r);
	for (int i = 0; i < 3; i++)
		CU_ASSERT(r.ios[i].io.error < 0 && r.ios[i].dones == 1);
	CU_ASSERT_EQUAL(dbl.break_flush, 0);
	assert_failed_for_good(&r);
	rig_free(&r);
}

static void test_time_out(void)
{
	struct tio *late;
	unsigned char *buf;
	struct rig r;

	rig_file(&r, "/tmp");
	rig_open(&r, 0);
	dbl.hold = 2;
	late = calloc(1, sizeof(*late));
	late->rig = &r;
	late->buf = buf = mem_alloc_aligned(IO_BYTES_MAX);
	memset(buf, 0xab, IO_BYTES_MAX);
	rig_start(&r, late, DEV_READ, 0, BLK_BYTES, 1);
	rig_start(&r, &r.ios[1], DEV_WRITE, BLK_BYTES, BLK_BYTES, 1);
	for (int i = 2; i < 6; i++)
		rig_start(&r, &r.ios[i], DEV_READ, (uint64_t)i * BLK_BYTES, BLK_BYTES, 1);
	while (r.done < 4)
		rig_turn(&r);
	r.skip_ns = DEV_TIMEOUT_NS / 2;
	dev_drain(r.dev, rig_clock(&r));
	CU_ASSERT_EQUAL(r.dev->inflight, 2);
	r.skip_ns = DEV_TIMEOUT_NS;
	dev_drain(r.dev, rig_clock(&r));
	CU_ASSERT_EQUAL(r.dev->inflight, 0);
	CU_ASSERT(late->dones == 1 && late->io.error == -ETIMEDOUT);
	CU_ASSERT(r.ios[1].dones == 1 && r.ios[1].io.error == -ETIMEDOUT);
	CU_ASSERT_EQUAL(r.dev->orphans, 2);
	CU_ASSERT_EQUAL(r.dev->stats.timeouts, 2);
	free(late);			/* the device may not look at it any more; the buffer is another matter */
	assert_failed_for_good(&r);
	CU_ASSERT_EQUAL(buf[0], 0xab);
	double_release();
	for (int i = 0; i < 5000 && r.dev->orphans; i++) {
		dev_drain(r.dev, rig_clock(&r));
		poll(NULL, 0, 1);
	}
	CU_ASSERT_EQUAL(r.dev->orphans, 0);
	CU_ASSERT_EQUAL(buf[0], 0);	/* it did come */
	assert_failed_for_good(&r);
	mem_free(buf);
	rig_free(&r);
}

/* An I/O that only seems old, because nobody drained for a while, is not timed out. */
static void test_idle_is_no_time_out(void)
{
	struct rig r;

	rig_file(&r, "/tmp");
	rig_open(&r, 0);
	dev_drain(r.dev, rig_clock(&r));
	r.skip_ns = 10 * DEV_TIMEOUT_NS;
	dbl.hold = 1;
	rig_start(&r, &r.ios[0], DEV_READ, 0, BLK_BYTES, 1);
	dev_kick(r.dev);
	dev_drain(r.dev, rig_clock(&r));
	CU_ASSERT_EQUAL(r.dev->inflight, 1);
	/* And one that ended while nobody looked has ended well. */
	double_release();
	r.skip_ns = 20 * DEV_TIMEOUT_NS;
	for (int i = 0; i < 5000 && poll(&(struct pollfd){ dev_event_fd(r.dev), POLLIN, 0 }, 1, 1) == 0; i++)
		;
	dev_drain(r.dev, rig_clock(&r));
	CU_ASSERT(r.ios[0].dones == 1 && r.ios[0].io.error == 0);
	CU_ASSERT(!r.dev->failed);
	rig_free(&r);
}

static void test_flush_times_out(void)
{
	struct rig r;

	rig_file(&r, "/tmp");
	rig_open(&r, 0);
	dbl.hold = 1;
	rig_start(&r, &r.ios[0], DEV_FLUSH, 0, 0, 1);
	dev_kick(r.dev);
	dev_drain(r.dev, rig_clock(&r));
	CU_ASSERT_EQUAL(dbl.nheld, 1);
	r.skip_ns = DEV_TIMEOUT_NS;
	dev_drain(r.dev, rig_clock(&r));
	CU_ASSERT(r.ios[0].dones == 1 && r.ios[0].io.error == -ETIMEDOUT);
	CU_ASSERT_EQUAL(r.dev->orphans, 0);	/* a flush has no memory */
	assert_failed_for_good(&r);
	double_release();
	rig_free(&r);
}

/* A flush that ends well after the device failed (its error may have been told to another) is not answered so. */
static void test_flush_outlives_failure(void)
{
	struct rig r;

	rig_file(&r, "/tmp");
	rig_open(&r, 0);
	dbl.hold = 2;
	rig_start(&r, &r.ios[0], DEV_READ, 0, BLK_BYTES, 1);
	dev_kick(r.dev);
	dev_drain(r.dev, rig_clock(&r));
	r.skip_ns = DEV_TIMEOUT_NS / 2;
	rig_start(&r, &r.ios[1], DEV_FLUSH, 0, 0, 1);
	dev_kick(r.dev);
	dev_drain(r.dev, rig_clock(&r));
	r.skip_ns = DEV_TIMEOUT_NS;
	dev_drain(r.dev, rig_clock(&r));
	CU_ASSERT_EQUAL(r.ios[0].io.error, -ETIMEDOUT);
	CU_ASSERT_EQUAL(r.dev->inflight, 1);
	double_release();
	rig_settle(&r);
	CU_ASSERT(r.ios[1].dones == 1 && r.ios[1].io.error == -EIO);
	rig_free(&r);
}

/* Closing does not wait for a lost I/O. What the close left behind ends by itself when the I/O does. */
static void test_close_with_lost(void)
{
	struct rig r;

	rig_file(&r, "/tmp");
	rig_open(&r, 0);
	r.dev->timeout_ns = 50 * MSEC_NS;
	dbl.hold = 1;
	rig_start(&r, &r.ios[0], DEV_READ, 0, BLK_BYTES, 1);
	dev_kick(r.dev);
	dev_drain(r.dev, rig_clock(&r));
	r.skip_ns = DEV_TIMEOUT_NS;
	dev_drain(r.dev, rig_clock(&r));
	CU_ASSERT_EQUAL(r.dev->orphans, 1);
	double_release();
	dev_close(r.dev);
	r.dev = NULL;
	poll(NULL, 0, 50);
	rig_free(&r);
}

static void test_close_in_flight(void)
{
	char got[BLK_BYTES];
	struct rig r;
	int fd;

	rig_file(&r, "/tmp");
	rig_open(&r, 0);
	for (int i = 1; i < IOS; i++) {
		memset(r.ios[i].buf, i + 1, IO_BYTES_MAX);
		rig_start(&r, &r.ios[i], DEV_WRITE, (uint64_t)i * IO_BYTES_MAX, IO_BYTES_MAX, 1);
	}
	rig_start(&r, &r.ios[0], DEV_DISCARD, 0, BLK_BYTES, 1);
	dev_kick(r.dev);
	dev_close(r.dev);
	r.dev = NULL;
	CU_ASSERT_EQUAL(r.done, 0);
	/* Whatever had been kicked is over: the memory may go, the file may be used. */
	fd = open(r.path, O_RDONLY | O_CLOEXEC);
	for (int i = 1; i < IOS; i++) {
		CU_ASSERT_EQUAL(pread(fd, got, sizeof(got), (off_t)((uint64_t)i * IO_BYTES_MAX)), (ssize_t)sizeof(got));
		CU_ASSERT_EQUAL(got[0], i + 1);
	}
	close(fd);
	rig_free(&r);
}

static void *release_soon(void *arg)
{
	poll(NULL, 0, 100);
	double_release();
	return arg;
}

/* A write that takes its time is waited for: its memory is about to go. */
static void test_close_waits(void)
{
	char got[BLK_BYTES];
	pthread_t thread;
	struct rig r;
	int fd;

	rig_file(&r, "/tmp");
	rig_open(&r, 0);
	dbl.hold = 1;
	memset(r.ios[0].buf, 'x', BLK_BYTES);
	rig_start(&r, &r.ios[0], DEV_WRITE, 0, BLK_BYTES, 1);
	dev_kick(r.dev);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, release_soon, NULL), 0);
	dev_close(r.dev);
	r.dev = NULL;
	fd = open(r.path, O_RDONLY | O_CLOEXEC);
	CU_ASSERT_EQUAL(pread(fd, got, sizeof(got), 0), (ssize_t)sizeof(got));
	CU_ASSERT_EQUAL(got[0], 'x');
	close(fd);
	pthread_join(thread, NULL);
	rig_free(&r);
}

/* ------------------------------------------------------------------ flush by thread */

static void rig_open_threaded(struct rig *r)
{
	rig_file(r, "/tmp");
	dbl.no_fdsync = true;
	rig_open(r, 0);
	dbl.syncs = 0;
}

static void test_thread_flush(void)
{
	struct rig r;

	rig_open_threaded(&r);
	rig_random_io(&r, 60);
	CU_ASSERT(dbl.syncs > 0);
	dbl.sync_error = ENOSPC;
	rig_start(&r, &r.ios[0], DEV_FLUSH, 0, 0, 1);
	rig_settle(&r);
	CU_ASSERT_EQUAL(r.ios[0].io.error, -ENOSPC);
	assert_failed_for_good(&r);
	rig_free(&r);
	dbl.no_fdsync = false;
}

static void test_thread_flush_hangs(void)
{
	struct rig r;

	rig_open_threaded(&r);
	r.dev->timeout_ns = SEC_NS;
	dbl.sync_hangs = true;
	rig_start(&r, &r.ios[0], DEV_FLUSH, 0, 0, 1);
	dev_kick(r.dev);
	dev_drain(r.dev, rig_clock(&r));
	rig_start(&r, &r.ios[1], DEV_READ, 0, BLK_BYTES, 1);	/* goes on meanwhile */
	rig_turn(&r);
	CU_ASSERT(r.ios[1].dones == 1 && r.ios[1].io.error == 0);
	r.skip_ns = SEC_NS;
	dev_drain(r.dev, rig_clock(&r));
	CU_ASSERT(r.ios[0].dones == 1 && r.ios[0].io.error == -ETIMEDOUT);
	assert_failed_for_good(&r);
	dev_close(r.dev);
	r.dev = NULL;
	double_sync_goes_on();
	poll(NULL, 0, 50);		/* the thread frees what it has */
	rig_free(&r);
	dbl.no_fdsync = false;
}

static CU_TestInfo dev_faults_tests[] = {
	{ "eagain", test_eagain },
	{ "one_refused", test_one_refused },
	{ "short_transfers", test_short_transfers },
	{ "flush_fails", test_flush_fails },
	{ "time_out", test_time_out },
	{ "idle_is_no_time_out", test_idle_is_no_time_out },
	{ "flush_times_out", test_flush_times_out },
	{ "flush_outlives_failure", test_flush_outlives_failure },
	{ "close_with_lost", test_close_with_lost },
	{ "close_in_flight", test_close_in_flight },
	{ "close_waits", test_close_waits },
	{ "thread_flush", test_thread_flush },
	{ "thread_flush_hangs", test_thread_flush_hangs },
	CU_TEST_INFO_NULL,
};

const struct hb_suite suite_dev_faults = { "dev_faults", dev_faults_tests };

/* SPDX-License-Identifier: GPL-2.0-only */
/* test_dev.c - devices against a model in memory: file (also on loop devices of 512 and 4096 bytes a sector), RAM. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "dev_rig.h"
#include "suites.h"

static void test_random_file(void)
{
	static const char *const where[] = { "/tmp", "/dev/shm" };

	for (size_t i = 0; i < ARRAY_LEN(where); i++) {
		struct rig r;

		rig_file(&r, where[i]);
		rig_open(&r, 0);
		rig_random_io(&r, 150);
		rig_free(&r);
	}
}

static void test_random_page_cache(void)
{
	struct rig r;

	rig_file(&r, "/tmp");
	rig_open(&r, DEV_FILE_NO_DIRECT);
	rig_random_io(&r, 150);
	rig_free(&r);
}

static void random_loop(uint32_t sector)
{
	struct rig r;

	rig_file(&r, "/tmp");
	if (rig_loop(&r, sector)) {
		rig_open(&r, 0);
		CU_ASSERT_EQUAL(r.dev->geom.logical_bytes, sector);
		CU_ASSERT_EQUAL(r.dev->geom.size_bytes, SIZE_BYTES);
		rig_random_io(&r, 100);
	}
	rig_free(&r);
}

static void test_random_loop_512(void)
{
	random_loop(512);
}

static void test_random_loop_4096(void)
{
	random_loop(4096);
}

static void test_random_ram(void)
{
	struct err err = ERR_INIT;
	struct rig r;

	rig_init(&r);
	CU_ASSERT_EQUAL_FATAL(dev_ram_new(SIZE_BYTES, &r.dev, &err), 0);
	rig_random_io(&r, 150);
	r.dev->failed = true;
	rig_start(&r, &r.ios[0], DEV_READ, 0, BLK_BYTES, 1);
	rig_settle(&r);
	CU_ASSERT_EQUAL(r.ios[0].io.error, -EIO);
	rig_free(&r);
	CU_ASSERT_EQUAL(dev_ram_new(1000, &r.dev, &err), -EINVAL);
	CU_ASSERT_STRING_EQUAL(err.text, "RAM device: size 1000 is no multiple of 4096");
}

/* ------------------------------------------------------------------ depth, order of calls, refusals */

static void test_queue_full(void)
{
	enum { N = 500 };
	struct tio *many = calloc(N, sizeof(*many));
	unsigned char *buf = mem_alloc_aligned(BLK_BYTES);
	struct rig r;

	rig_file(&r, "/tmp");
	rig_open(&r, 0);
	dbl.largest = 0;
	dbl.calls = 0;
	memset(buf, 7, BLK_BYTES);
	for (int i = 0; i < N; i++) {
		many[i].rig = &r;
		many[i].buf = buf;
		rig_start(&r, &many[i], DEV_WRITE, (uint64_t)i * BLK_BYTES, BLK_BYTES, 1);
	}
	CU_ASSERT_EQUAL(r.dev->inflight, N);
	CU_ASSERT_EQUAL(dbl.calls, 0);
	dev_kick(r.dev);
	CU_ASSERT_EQUAL(dbl.calls, 1);
	CU_ASSERT_EQUAL(dbl.largest, 128);
	CU_ASSERT_EQUAL(r.done, 0);		/* never from kick */
	rig_settle(&r);
	for (int i = 0; i < N; i++)
		CU_ASSERT(many[i].dones == 1 && many[i].io.error == 0);
	CU_ASSERT(dbl.largest <= 128);
	CU_ASSERT_EQUAL(r.dev->stats.bytes[DEV_WRITE], (uint64_t)N * BLK_BYTES);
	rig_assert_silent(&r);
	rig_free(&r);
	mem_free(buf);
	free(many);
}

static void test_refusals(void)
{
	struct rig r;

	rig_file(&r, "/tmp");
	rig_open(&r, DEV_FILE_RDONLY);
	rig_start(&r, &r.ios[0], DEV_READ, SIZE_BYTES, BLK_BYTES, 1);
	rig_start(&r, &r.ios[1], DEV_READ, SIZE_BYTES - BLK_BYTES, 2 * BLK_BYTES, 1);
	rig_start(&r, &r.ios[2], DEV_READ, UINT64_MAX - BLK_BYTES + 1, BLK_BYTES, 1);
	rig_start(&r, &r.ios[3], DEV_WRITE, 0, BLK_BYTES, 1);
	rig_start(&r, &r.ios[4], DEV_DISCARD, 0, BLK_BYTES, 1);
	rig_start(&r, &r.ios[5], DEV_FLUSH, 0, 0, 1);
	rig_start(&r, &r.ios[6], DEV_READ, SIZE_BYTES - BLK_BYTES, BLK_BYTES, 1);
	CU_ASSERT_EQUAL(r.done, 0);		/* never from queue */
	rig_settle(&r);
	for (int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(r.ios[i].io.error, -EINVAL);
	CU_ASSERT_EQUAL(r.ios[3].io.error, -EROFS);
	CU_ASSERT_EQUAL(r.ios[4].io.error, -EROFS);
	CU_ASSERT_EQUAL(r.ios[5].io.error, 0);
	CU_ASSERT_EQUAL(r.ios[6].io.error, 0);
	CU_ASSERT(!r.dev->failed);
	rig_assert_silent(&r);
	rig_free(&r);
}

static void assert_open_fails(const char *path, int code, const char *text)
{
	struct err err = ERR_INIT;
	struct dev *dev;

	CU_ASSERT_EQUAL(dev_file_open(path, 0, &dev, &err), code);
	CU_ASSERT_STRING_EQUAL(err.text, text);
}

static void test_bad_paths(void)
{
	struct rig r;
	char fifo[64], text[256];

	assert_open_fails("/nonexistent/x", -ENOENT, "/nonexistent/x: No such file or directory");
	assert_open_fails("/tmp", -EINVAL, "/tmp: is neither a block device nor a regular file");
	assert_open_fails("/dev/null", -EINVAL, "/dev/null: is neither a block device nor a regular file");
	rig_file(&r, "/tmp");
	snprintf(fifo, sizeof(fifo), "%s/fifo", r.dir);
	snprintf(text, sizeof(text), "%s: is neither a block device nor a regular file", fifo);
	CU_ASSERT_EQUAL(mkfifo(fifo, 0600), 0);
	assert_open_fails(fifo, -EINVAL, text);
	unlink(fifo);
	rig_free(&r);
}

static void test_truncated_file(void)
{
	struct rig r;

	rig_file(&r, "/tmp");
	rig_open(&r, 0);
	CU_ASSERT_EQUAL(truncate(r.path, 6 * BLK_BYTES), 0);
	rig_start(&r, &r.ios[0], DEV_READ, 4 * BLK_BYTES, 4 * BLK_BYTES, 2);
	rig_start(&r, &r.ios[1], DEV_READ, 8 * BLK_BYTES, BLK_BYTES, 1);
	rig_start(&r, &r.ios[2], DEV_READ, 0, 6 * BLK_BYTES, 2);
	rig_settle(&r);
	CU_ASSERT_EQUAL(r.ios[0].io.error, -EIO);
	CU_ASSERT_EQUAL(r.ios[1].io.error, -EIO);
	CU_ASSERT_EQUAL(r.ios[2].io.error, 0);
	rig_free(&r);
}

static CU_TestInfo dev_tests[] = {
	{ "random_file", test_random_file },
	{ "random_page_cache", test_random_page_cache },
	{ "random_loop_512", test_random_loop_512 },
	{ "random_loop_4096", test_random_loop_4096 },
	{ "random_ram", test_random_ram },
	{ "queue_full", test_queue_full },
	{ "refusals", test_refusals },
	{ "bad_paths", test_bad_paths },
	{ "truncated_file", test_truncated_file },
	CU_TEST_INFO_NULL,
};

const struct hb_suite suite_dev = { "dev", dev_tests };

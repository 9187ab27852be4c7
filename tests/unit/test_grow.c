/* SPDX-License-Identifier: GPL-2.0-only */
/* test_grow.c - a capacity device that grows under an open pool, with the pool dying at each step of taking it over;
 * and a metadata area that runs full. */
#include "suites.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "host_rig.h"

#define LARGER (2 * HDD_BYTES)

static uint64_t capacity(struct host_pool *h)
{
	struct hb_stats *s = malloc(sizeof(*s));
	uint64_t bytes;

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	hb_pool_stats(host_pool_engine(h), s);
	bytes = s->capacity_bytes;
	free(s);
	return bytes;
}

static void done(struct hb_req *req)
{
	*(bool *)req->owner = true;
}

/* A volume as large as the pool is filled, as far as it goes. Returns how much went. */
static uint64_t fill(struct host_pool *h, const char *name)
{
	struct hb_pool *pool = host_pool_engine(h);
	void *buf = calloc(1, MIB(1));
	struct hb_volume *v;
	struct err err = ERR_INIT;
	uint64_t at = 0;
	int rc = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(buf);
	memset(buf, 7, MIB(1));
	CU_ASSERT_EQUAL_FATAL(hb_volume_create(pool, name, GIB(1), &err), 0);
	CU_ASSERT_EQUAL_FATAL(hb_volume_open(pool, name, &v, &err), 0);
	for (; !rc; at += rc ? 0 : MIB(1)) {
		bool ready = false;
		struct hb_req req = {.op = HB_WRITE, .vol = v, .off_bytes = at, .len_bytes = MIB(1), .buf = buf,
				     .done = done, .owner = &ready};

		if (!hb_submit(&req))
			while (!ready)
				hb_pool_run(pool);
		rc = req.error;
	}
	CU_ASSERT_EQUAL(rc, -ENOSPC);
	hb_volume_close(v);
	free(buf);
	return at;
}

static void no_findings(struct host_pool *h)
{
	CU_ASSERT_EQUAL(hb_pool_check(host_pool_engine(h), true, NULL, NULL, NULL), 0);
}

static void grow_whole(struct host_pool *h)
{
	struct hb_pool *pool = host_pool_engine(h);
	struct err err = ERR_INIT;

	CU_ASSERT_EQUAL(hb_pool_grow(pool, &err), 0);
	while (hb_pool_growing(pool))
		hb_pool_run(pool);
}

static void test_full_then_grown(void)
{
	struct err err = ERR_INIT;
	struct host_pool *h;
	uint64_t first, before;

	two_files();
	h = open_pool(TWO_FILES, 0);
	write_pattern(h, "vol", 3);
	before = capacity(h);
	CU_ASSERT_EQUAL(hb_pool_grow(host_pool_engine(h), &err), 1);
	first = fill(h, "one");
	CU_ASSERT(first > HDD_BYTES / 2 && first < HDD_BYTES);
	file_of("hdd", LARGER);
	grow_whole(h);
	CU_ASSERT_EQUAL(capacity(h), before + LARGER - HDD_BYTES);
	CU_ASSERT_EQUAL(hb_pool_grow(host_pool_engine(h), &err), 1);
	CU_ASSERT(fill(h, "two") > (LARGER - HDD_BYTES) / 2);
	no_findings(h);
	host_pool_abandon(h);
	h = open_pool(TWO_FILES, 0);
	CU_ASSERT_EQUAL(capacity(h), before + LARGER - HDD_BYTES);
	read_pattern(h, "vol", 3);
	no_findings(h);
	close_pool(h);
	end();
}

/* In a process of its own, which ends after so many turns without a word. */
static void die_growing(unsigned turns, bool wait)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct host_pool *h = open_pool(TWO_FILES, 0);
		struct hb_pool *pool = host_pool_engine(h);
		struct err err = ERR_INIT;

		write_pattern(h, "vol", turns);
		file_of("hdd", LARGER);
		if (hb_pool_grow(pool, &err))
			_exit(1);
		for (unsigned i = 0; i < turns || (wait && hb_pool_growing(pool)); i++)
			hb_pool_run(pool);
		_exit(0);
	}
	CU_ASSERT_FATAL(child > 0 && waitpid(child, &status, 0) == child);
	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* The process dies after so many turns: the pool is small or large, and sound. */
static void test_dies_growing(void)
{
	const unsigned last = 12;

	for (unsigned n = 0; n <= last; n++) {
		struct host_pool *h;
		uint64_t before;

		two_files();
		h = open_pool(TWO_FILES, 0);
		before = capacity(h);
		close_pool(h);
		die_growing(n * n * 4, n == last);
		h = open_pool(TWO_FILES, 0);
		CU_ASSERT(n || capacity(h) == before);
		CU_ASSERT(n < last || capacity(h) != before);
		CU_ASSERT(capacity(h) == before || capacity(h) == before + LARGER - HDD_BYTES);
		read_pattern(h, "vol", n * n * 4);
		no_findings(h);
		close_pool(h);
		end();
	}
}

static void test_no_memory(void)
{
	struct err err = ERR_INIT;
	struct host_pool *h;

	two_files();
	h = open_pool(TWO_FILES, 0);
	file_of("hdd", LARGER);
	mem_fail_at(1);
	CU_ASSERT_EQUAL(hb_pool_grow(host_pool_engine(h), &err), -ENOMEM);
	mem_fail_at(0);
	CU_ASSERT(!hb_pool_growing(host_pool_engine(h)));
	grow_whole(h);
	no_findings(h);
	close_pool(h);
	end();
}

/* Clones are made, written to and deleted without a turn in between, until the metadata area has no room: when their
 * space has come back, the pool takes all again, and closes cleanly. */
static void test_metadata_full(void)
{
	struct hb_snap clone = {.source = "s", .name = "c", .writable = true};
	struct hb_snap snap = {.source = "vol", .name = "s"};
	struct err err = ERR_INIT;
	struct host_pool *h;
	struct hb_stats *s = malloc(sizeof(*s));
	struct hb_pool *pool;
	unsigned made = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	two_files();
	h = open_pool(TWO_FILES, 0);
	pool = host_pool_engine(h);
	write_pattern(h, "vol", 3);
	CU_ASSERT_EQUAL(hb_volume_snapshot(pool, &snap, 1, &err), 0);
	while (made < 200000 && !hb_volume_snapshot(pool, &clone, 1, &err)) {
		struct hb_volume *v;
		static char block[4096];
		struct hb_req req = {.op = HB_WRITE, .len_bytes = sizeof(block), .buf = block, .done = done};
		bool ready = false;

		req.owner = &ready;
		CU_ASSERT_EQUAL_FATAL(hb_volume_open(pool, "c", &v, &err), 0);
		req.vol = v;
		if (!hb_submit(&req))
			while (!ready)
				hb_pool_run(pool);
		hb_volume_close(v);
		CU_ASSERT_EQUAL(hb_volume_delete(pool, "c", &err), 0);
		made++;
	}
	CU_ASSERT(made > 100 && made < 200000);
	for (s->deleting = 1; s->deleting;) {
		hb_pool_run(pool);
		hb_pool_stats(pool, s);
	}
	for (int i = 0; i < 10000 && hb_volume_snapshot(pool, &clone, 1, &err); i++)
		hb_pool_run(pool);
	hb_pool_stats(pool, s);
	CU_ASSERT_EQUAL(s->volumes, 3);
	no_findings(h);
	close_pool(h);
	h = open_pool(TWO_FILES, 0);
	read_pattern(h, "vol", 3);
	read_pattern(h, "s", 3);
	no_findings(h);
	close_pool(h);
	end();
	free(s);
}

const struct hb_suite suite_grow = { "grow", (CU_TestInfo[]){
	{ "full_then_grown", test_full_then_grown },
	{ "dies_growing", test_dies_growing },
	{ "no_memory", test_no_memory },
	{ "metadata_full", test_metadata_full },
	CU_TEST_INFO_NULL
} };

/* SPDX-License-Identifier: GPL-2.0-only */
/* test_host_level.c - cache levels of real pools: made, missing, foreign, swapped, added and removed while open. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host_rig.h"
#include "suites.h"

#define LEVEL(path) "{ \"type\": \"ssd\", \"path\": \"" path "\" },\n"
#define NEW_LEVEL(path) "{ \"type\": \"ssd\", \"path\": \"" path "\", \"size\": \"16MiB\" },\n"
/* The first level is on line 4, the capacity tier on the last. */
#define POOL(name, ssd, hdd, levels) \
	NAMES(name) LEVEL(ssd) levels "{ \"type\": \"capacity\", \"path\": \"" hdd "\" } ] } ] }"
#define ONE_LEVEL POOL("main", "ssd", "hdd", LEVEL("l1"))
#define TWO_LEVELS POOL("main", "ssd", "hdd", LEVEL("l1") LEVEL("l2"))

/* ------------------------------------------------------------------ what the log says */

static char logged[ERR_TEXT_MAX * 2];
static int warnings;

static void keep_line(void *ctx, enum hb_log_level level, const char *text)
{
	(void)ctx;
	if (level < HB_LOG_WARN)
		return;
	warnings++;
	snprintf(logged, sizeof(logged), "%s", text);
}

static void listen_to_log(void)
{
	warnings = 0;
	logged[0] = '\0';
	host_log_to(keep_line, NULL);
}

/* Opens; the log must say just that, in which "@" stands for the directory with its slash; NULL: nothing. */
static struct host_pool *open_warns(const char *text, const char *want)
{
	char full[ERR_TEXT_MAX] = "";
	struct host_pool *h;
	size_t n = 0;

	listen_to_log();
	h = open_pool(text, 0);
	host_log_to(NULL, NULL);
	for (; want && *want; want++)
		n += (size_t)snprintf(full + n, sizeof(full) - n, *want == '@' ? "%s" : "%.1s",
				      *want == '@' ? in_dir("") : want);
	CU_ASSERT_EQUAL(warnings, want ? 1 : 0);
	if (strcmp(logged, full) != 0)
		printf("\nexpected: %s\ngot:      %s\n", full, logged);
	CU_ASSERT_STRING_EQUAL(logged, full);
	return h;
}

/* ------------------------------------------------------------------ looking */

static struct hb_tier_stats level_of(struct host_pool *h, unsigned level)
{
	struct hb_stats *s = malloc(sizeof(*s));
	struct hb_tier_stats l;

	hb_pool_stats(host_pool_engine(h), s);
	l = s->levels[level - 1];
	if (level > s->nlevels)
		l.state = HB_TIER_NONE;
	free(s);
	return l;
}

/* How many levels the pool has. */
static unsigned levels(struct host_pool *h)
{
	unsigned n = 0;

	for (unsigned i = 1; i <= HB_LEVELS_MAX; i++)
		n += level_of(h, i).state == HB_TIER_ON;
	return n;
}

/* Turns until a level that leaves is gone. */
static void let_leave(struct host_pool *h, unsigned level)
{
	for (int i = 0; i < 1000 && level_of(h, level).state != HB_TIER_NONE; i++) {
		hb_pool_run(host_pool_engine(h));
		poll(NULL, 0, 1);
	}
	CU_ASSERT_EQUAL(level_of(h, level).state, HB_TIER_NONE);
	host_pool_settle(h);
}

static bool exists(const char *name)
{
	struct stat st;

	return stat(in_dir(name), &st) == 0;
}

static void begin_with_files(void)
{
	begin();
	file_of("ssd", SSD_BYTES);
	file_of("hdd", HDD_BYTES);
}

static void level_pool(void)
{
	begin_with_files();
	file_of("l1", MIB(16));
	file_of("l2", MIB(16));
	create_says(TWO_LEVELS, false, 0, "");
}

/* ------------------------------------------------------------------ making */

static void test_create(void)
{
	struct host_pool *h;
	struct stat st;

	begin_with_files();
	create_says(POOL("main", "ssd", "hdd", NEW_LEVEL("l1") NEW_LEVEL("l2")), false, 0, "");
	CU_ASSERT_EQUAL(stat(in_dir("l1"), &st), 0);
	CU_ASSERT_EQUAL((uint64_t)st.st_size, MIB(16));
	CU_ASSERT((uint64_t)st.st_blocks * 512 >= MIB(16));
	h = open_warns(TWO_LEVELS, NULL);
	CU_ASSERT_EQUAL(levels(h), 2);
	CU_ASSERT_STRING_EQUAL(host_level_name(h, 1), level_of(h, 1).name);
	CU_ASSERT_STRING_EQUAL(host_level_name(h, 3), "");
	CU_ASSERT_STRING_EQUAL(host_level_name(h, 0), "");
	open_says(TWO_LEVELS, 0, -EBUSY, "pool main is in use by this process");
	write_pattern(h, "vol", 1);
	close_pool(h);
	h = open_warns(TWO_LEVELS, NULL);
	read_pattern(h, "vol", 1);
	close_pool(h);
	end();
}

static void test_create_refused(void)
{
	begin_with_files();
	create_says(ONE_LEVEL, false, -ENOENT,
		    "@/c:4: @/l1 does not exist, expected a device, or \"size\" to make a file");
	file_of("l1", MIB(1));
	create_says(ONE_LEVEL, false, -EINVAL,
		    "@/c:4: @/l1: 1048576 bytes are too small for a cache level, 4194304 is the least");
	/* Nothing was formatted: the others are still empty. */
	unlink(in_dir("l1"));
	create_says(POOL("main", "ssd", "hdd", NEW_LEVEL("l1") LEVEL("l2")), false, -ENOENT,
		    "@/c:5: @/l2 does not exist, expected a device, or \"size\" to make a file");
	CU_ASSERT(!exists("l1"));
	create_says(POOL("main", "ssd", "hdd", NEW_LEVEL("l1") NEW_LEVEL("no/l2")), false, -ENOENT,
		    "@/c:5: @/no/l2: cannot be made: No such file or directory");
	CU_ASSERT(!exists("l1"));
	create_says(POOL("main", "ssd", "hdd", NEW_LEVEL("l1")), false, 0, "");
	file_of("ssd2", SSD_BYTES);
	file_of("hdd2", HDD_BYTES);
	create_says(POOL("other", "ssd2", "hdd2", LEVEL("l1")), false, -EEXIST,
		    "@/c:4: @/l1 belongs to pool \"main\", expected an empty device");
	create_says(POOL("other", "ssd2", "hdd2", LEVEL("l1")), true, 0, "");
	end();
}

static void test_mirror(void)
{
	static const char text[] = NAMES("main") "{ \"type\": \"ssd\", \"paths\": [ \"ssd\", \"ssd2\" ], \"size\": "
						 "\"64MiB\" },\n{ \"type\": \"capacity\", \"path\": \"hdd\", \"size\": "
						 "\"128MiB\" } ] } ] }";
	struct host_pool *h;
	static const char none[] = "@/c:3: no device of the write tier of pool main is up to date: is one missing?";

	begin();
	create_says(text, false, 0, "");
	h = open_pool(text, 0);
	write_pattern(h, "v", 1);
	close_pool(h);
	/* One half is away: the pool opens, and that is remembered, so that this half alone is refused from then on. */
	CU_ASSERT(rename(in_dir("ssd2"), in_dir("away2")) == 0);
	h = open_pool(text, 0);
	read_pattern(h, "v", 1);
	write_pattern(h, "v", 2);
	close_pool(h);
	CU_ASSERT(rename(in_dir("away2"), in_dir("ssd2")) == 0);
	CU_ASSERT(rename(in_dir("ssd"), in_dir("away")) == 0);
	open_says(text, 0, -EXDEV, none);
	CU_ASSERT(rename(in_dir("away"), in_dir("ssd")) == 0);
	h = open_pool(text, 0);
	read_pattern(h, "v", 2);
	close_pool(h);
	end();
}

/* ------------------------------------------------------------------ opening without one */

static void test_missing(void)
{
	struct host_pool *h;
	bool unused;

	level_pool();
	h = open_warns(TWO_LEVELS, NULL);
	write_pattern(h, "vol", 2);
	close_pool(h);
	unlink(in_dir("l1"));
	h = open_warns(TWO_LEVELS, "pool main: cache level 1 is left out: @c:4: @l1 does not exist, expected the ssd "
				   "device of pool \"main\"");
	CU_ASSERT_EQUAL(levels(h), 1);
	CU_ASSERT_STRING_EQUAL(host_level_absent(h, 0, &unused), in_dir("l1"));
	CU_ASSERT(!unused && !host_level_absent(h, 1, &unused));
	read_pattern(h, "vol", 2);
	close_pool(h);
	end();
}

static void test_foreign(void)
{
	struct host_pool *h;

	level_pool();
	file_of("l3", MIB(16));
	h = open_warns(POOL("main", "ssd", "hdd", LEVEL("l3")),
		       "pool main: cache level 1 is left out: @c:4: @l3 is no device of a pool, expected a cache "
		       "level of pool \"main\"");
	CU_ASSERT_EQUAL(levels(h), 0);
	close_pool(h);
	file_of("ssd2", SSD_BYTES);
	file_of("hdd2", HDD_BYTES);
	create_says(POOL("other", "ssd2", "hdd2", LEVEL("l3")), false, 0, "");
	h = open_warns(POOL("main", "ssd", "hdd", LEVEL("l3") LEVEL("l2")),
		       "pool main: cache level 1 is left out: @c:4: @l3 is a cache level of another pool "
		       "(\"other\"), expected one of pool \"main\"");
	CU_ASSERT_EQUAL(levels(h), 1);
	CU_ASSERT_STRING_EQUAL(host_level_name(h, 1), in_dir("l2"));
	close_pool(open_pool(POOL("other", "ssd2", "hdd2", LEVEL("l3")), 0));	/* nor is it held */
	close_pool(h);
	h = open_warns(POOL("main", "ssd", "hdd", LEVEL("ssd2")),
		       "pool main: cache level 1 is left out: @c:4: @ssd2 is the write tier of pool \"other\", "
		       "expected a cache level of pool \"main\"");
	close_pool(h);
	/* A level is no write tier. */
	open_says(POOL("main", "l1", "hdd", LEVEL("ssd")), 0, -EXDEV,
		  "@/c:3: @/l1 is the cache level of pool \"main\", expected its write tier: are the paths swapped?");
	end();
}

static void test_swapped(void)
{
	struct host_pool *h;

	level_pool();
	h = open_warns(TWO_LEVELS, NULL);
	write_pattern(h, "vol", 3);
	close_pool(h);
	h = open_warns(POOL("main", "ssd", "hdd", LEVEL("l2") LEVEL("l1")), NULL);
	CU_ASSERT_EQUAL(levels(h), 2);
	read_pattern(h, "vol", 3);
	close_pool(h);
	h = open_warns(TWO_FILES, NULL);	/* none at all */
	read_pattern(h, "vol", 3);
	close_pool(h);
	end();
}

static void test_in_use(void)
{
	struct host_pool *h, *h2;

	level_pool();
	file_of("ssd2", SSD_BYTES);
	file_of("hdd2", HDD_BYTES);
	create_says(POOL("other", "ssd2", "hdd2", ""), false, 0, "");
	h2 = open_pool(TWO_LEVELS, 0);
	h = open_warns(POOL("other", "ssd2", "hdd2", LEVEL("l1")),
		       "pool other: cache level 1 is left out: @l1 is in use by this process");
	close_pool(h);
	close_pool(h2);
	end();
}

static void test_read_only(void)
{
	struct host_pool *h;
	bool unused = false;

	level_pool();
	h = open_pool(TWO_LEVELS, HOST_READ_ONLY);
	CU_ASSERT_EQUAL(levels(h), 0);
	CU_ASSERT_STRING_EQUAL(host_level_absent(h, 1, &unused), in_dir("l2"));
	CU_ASSERT(unused);
	close_pool(h);
	end();
}

/* ------------------------------------------------------------------ while it is open */

static void add_says(struct host_pool *h, const char *name, uint64_t size, bool force, int code, const char *want)
{
	struct err err = ERR_INIT;
	unsigned level = 0;
	bool known;

	CU_ASSERT_EQUAL(host_level_add(h, in_dir(name), size, force, &level, &known, &err), code);
	if (code == 0)
		return;
	if (strcmp(err.text, want) != 0)
		printf("\nexpected: %s\ngot:      %s\n", want, err.text);
	CU_ASSERT_STRING_EQUAL(err.text, want);
}

static char *with_dir(const char *fmt, const char *name)
{
	static char text[512];

	snprintf(text, sizeof(text), fmt, in_dir(name), in_dir(name));
	return text;
}

static void test_add_and_remove(void)
{
	struct host_pool *h;
	struct err err = ERR_INIT;
	unsigned level = 0;
	bool known = true;

	two_files();
	h = open_pool(TWO_FILES, 0);
	write_pattern(h, "vol", 4);
	CU_ASSERT_EQUAL(host_level_add(h, in_dir("l1"), MIB(16), false, &level, &known, &err), 0);
	CU_ASSERT(level == 1 && !known && exists("l1") && levels(h) == 1);
	CU_ASSERT_STRING_EQUAL(level_of(h, 1).name, in_dir("l1"));
	add_says(h, "l1", 0, false, -EBUSY, with_dir("%s is in use by this process", "l1"));
	add_says(h, "ssd", 0, true, -EBUSY, with_dir("%s is in use by this process", "ssd"));
	read_pattern(h, "vol", 4);
	CU_ASSERT_EQUAL(host_level_remove(h, 1, &known, &err), 0);
	CU_ASSERT(!known);
	CU_ASSERT_STRING_EQUAL(host_level_name(h, 1), in_dir("l1"));
	let_leave(h, 1);
	CU_ASSERT_STRING_EQUAL(host_level_name(h, 1), "");
	CU_ASSERT_EQUAL(host_level_remove(h, 1, &known, &err), -ENOENT);
	CU_ASSERT_STRING_EQUAL(err.text, "pool main has no cache level 1");
	read_pattern(h, "vol", 4);
	/* It may be had again, by anybody. */
	CU_ASSERT_EQUAL(host_level_add(h, in_dir("l1"), 0, false, &level, &known, &err), 0);
	CU_ASSERT_EQUAL(level, 1);
	write_pattern(h, "vol", 5);
	close_pool(h);
	h = open_warns(ONE_LEVEL, NULL);
	CU_ASSERT_EQUAL(levels(h), 1);
	CU_ASSERT_EQUAL(host_level_remove(h, 1, &known, &err), 0);
	CU_ASSERT(known);
	close_pool(h);	/* while it leaves */
	h = open_warns(ONE_LEVEL, "pool main: cache level 1 is left out: @c:4: @l1 is no device of a pool, expected a "
				  "cache level of pool \"main\"");
	CU_ASSERT_EQUAL(host_level_add(h, in_dir("l1"), 0, false, &level, &known, &err), 0);
	CU_ASSERT(known && level == 1);
	read_pattern(h, "vol", 5);
	close_pool(h);
	close_pool(open_warns(ONE_LEVEL, NULL));
	end();
}

static void test_add_refused(void)
{
	static const char *const names[] = { "a", "b", "c", "d" };
	struct host_pool *h;

	two_files();
	h = open_pool(TWO_FILES, 0);
	add_says(h, "no", 0, false, -ENOENT,
		 with_dir("%s does not exist, expected a device, or \"size\" to make a file", "no"));
	add_says(h, "no", MIB(1), false, -EINVAL,
		 with_dir("%s: 1048576 bytes are too small for a cache level, 4194304 is the least", "no"));
	CU_ASSERT(!exists("no"));
	file_of("swap", MIB(16));
	{
		int fd = open(in_dir("swap"), O_WRONLY | O_CLOEXEC);
		uint32_t head[2] = { 1, 1000 };

		CU_ASSERT_EQUAL(pwrite(fd, head, 8, 1024), 8);
		CU_ASSERT_EQUAL(pwrite(fd, "SWAPSPACE2", 10, 4086), 10);
		close(fd);
	}
	add_says(h, "swap", 0, false, -EEXIST,
		 with_dir("%s holds something (swap signature), expected an empty device", "swap"));
	add_says(h, "swap", 0, true, 0, "");
	for (size_t i = 1; i < ARRAY_LEN(names); i++)
		add_says(h, names[i], MIB(8), false, 0, "");
	CU_ASSERT_EQUAL(levels(h), HB_LEVELS_MAX);
	add_says(h, "e", MIB(8), false, -ENOSPC,
		 "pool main has 4 cache levels already, expected one to be removed first");
	CU_ASSERT(!exists("e"));
	close_pool(h);
	h = open_pool(TWO_FILES, HOST_READ_ONLY);
	add_says(h, "e", MIB(8), false, -EROFS, "pool main takes no changes");
	CU_ASSERT(!exists("e"));
	close_pool(h);
	end();
}

/* ------------------------------------------------------------------ secrets of remote LUNs */

#define REMOTE NAMES("main") "{ \"type\": \"ssd\", \"path\": \"ssd\" },\n{ \"type\": \"capacity\", \"iscsi\": { " \
			     "\"portal\": \"127.0.0.1:1\", \"target\": \"iqn.x:y\", \"lun\": 1, " \
			     "\"initiator\": \"iqn.x:z\", " \
			     "\"user\": \"u\", \"secret_file\": \"secret\" } } ] } ] }"

static void test_secret(void)
{
	begin();
	file_of("ssd", SSD_BYTES);
	if (geteuid() != 0) {
		printf("skipped secret: the lock of a remote LUN lies in /run (run as root)\n");
		end();
		return;
	}
	open_says(REMOTE, 0, -ENOENT, "@/c:4: secret @/secret: No such file or directory");
	file_of("secret", 10);
	CU_ASSERT_EQUAL(chmod(in_dir("secret"), 0640), 0);
	open_says(REMOTE, 0, -EACCES,
		  "@/c:4: secret @/secret: expected a regular file that only its owner may read (0600)");
	CU_ASSERT_EQUAL(chmod(in_dir("secret"), 0600), 0);
	open_says(REMOTE, 0, -EINVAL, "@/c:4: secret @/secret: expected one line of 1 to 255 bytes");
	file_of("secret", 0);
	open_says(REMOTE, 0, -EINVAL, "@/c:4: secret @/secret: expected one line of 1 to 255 bytes");
	end();
}

static CU_TestInfo host_level_tests[] = {
	{ "create", test_create },
	{ "create_refused", test_create_refused },
	{ "mirror", test_mirror },
	{ "missing", test_missing },
	{ "foreign", test_foreign },
	{ "swapped", test_swapped },
	{ "in_use", test_in_use },
	{ "read_only", test_read_only },
	{ "add_and_remove", test_add_and_remove },
	{ "add_refused", test_add_refused },
	{ "secret", test_secret },
	CU_TEST_INFO_NULL,
};

const struct hb_suite suite_host_level = { "host_level", host_level_tests };

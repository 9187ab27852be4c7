/* SPDX-License-Identifier: GPL-2.0-only */
/* test_host.c - real pools on files and loop devices: made, opened by one owner at a time, closed, recovered. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "dev_rig.h"
#include "host_rig.h"
#include "suites.h"

/* ------------------------------------------------------------------ life of a pool */

static void test_create_makes_files(void)
{
	struct stat st;

	begin();
	create_says(NEW_FILES, false, 0, "");
	CU_ASSERT_EQUAL(stat(in_dir("ssd"), &st), 0);
	CU_ASSERT_EQUAL((uint64_t)st.st_size, SSD_BYTES);
	CU_ASSERT((uint64_t)st.st_blocks * 512 >= SSD_BYTES);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
	CU_ASSERT_EQUAL(stat(in_dir("hdd"), &st), 0);
	CU_ASSERT_EQUAL((uint64_t)st.st_size, HDD_BYTES);
	CU_ASSERT((uint64_t)st.st_blocks * 512 < HDD_BYTES / 4);
	close_pool(open_pool(NEW_FILES, 0));
	end();
}

static void test_close_and_reopen(void)
{
	struct host_pool *h;
	char path[128];
	struct stat st;

	two_files();
	h = open_pool(TWO_FILES, 0);
	CU_ASSERT_STRING_EQUAL(hb_pool_name(host_pool_engine(h)), "main");
	CU_ASSERT_EQUAL(staging_files(path), 1);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT((uint64_t)st.st_size == hb_staging_bytes() && (st.st_mode & 07777) == 0600);
	CU_ASSERT((uint64_t)st.st_blocks * 512 >= hb_staging_bytes());
	write_pattern(h, "vol", 1);
	close_pool(h);
	CU_ASSERT_EQUAL(staging_files(path), 0);
	h = open_pool(TWO_FILES, 0);
	read_pattern(h, "vol", 1);
	close_pool(h);
	end();
}

static void test_abandon_and_recover(void)
{
	struct host_pool *h;
	struct hb_stats *s = malloc(sizeof(*s));
	char path[128];

	two_files();
	h = open_pool(TWO_FILES, 0);
	write_pattern(h, "vol", 5);
	host_pool_abandon(h);
	CU_ASSERT_EQUAL(staging_files(path), 1);
	h = open_pool(TWO_FILES, 0);
	hb_pool_stats(host_pool_engine(h), s);
	CU_ASSERT(!s->was_clean);
	read_pattern(h, "vol", 5);
	close_pool(h);
	end();
	free(s);
}

/* Killed without warning, right after the last answer: all of it is there. */
static void test_kill(void)
{
	struct host_pool *h;
	int ready[2], status;
	char c;
	pid_t pid;

	two_files();
	CU_ASSERT_EQUAL_FATAL(pipe2(ready, O_CLOEXEC), 0);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		h = open_pool(TWO_FILES, 0);
		write_pattern(h, "vol", 9);
		if (write(ready[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	CU_ASSERT_EQUAL(read(ready[0], &c, 1), 1);
	close(ready[0]);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	h = open_pool(TWO_FILES, 0);
	read_pattern(h, "vol", 9);
	close_pool(h);
	end();
}

/* The pool's first volume has that name and is fully there. */
static void assert_volume(struct host_pool *h, const char *name)
{
	char cursor[HB_NAME_MAX + 1] = "";
	struct hb_volume_info info;

	CU_ASSERT_TRUE_FATAL(hb_volume_next(host_pool_engine(h), cursor, &info));
	CU_ASSERT_STRING_EQUAL(info.name, name);
	CU_ASSERT(info.size_bytes == MIB(16) && info.mapped_bytes == 8 * KIB(256));
}

static uint64_t file_hash(const char *path)
{
	unsigned char *buf = malloc(MIB(1));
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t h = 0;
	ssize_t n;

	CU_ASSERT_FATAL(fd >= 0);
	while ((n = read(fd, buf, MIB(1))) > 0) {
		for (ssize_t i = 0; i + 8 <= n; i += 8) {
			uint64_t v;

			memcpy(&v, buf + i, 8);
			h = hash64(h ^ v) + 1;
		}
	}
	close(fd);
	free(buf);
	return h;
}

/* After a crash with answered writes in staging: read-only sees them, and leaves every byte as it was. */
static void test_read_only(void)
{
	uint64_t ssd, hdd, stage;
	struct host_pool *h, *h2;
	char path[128];

	two_files();
	h = open_pool(TWO_FILES, 0);
	write_pattern(h, "vol", 3);
	host_pool_abandon(h);
	CU_ASSERT_EQUAL_FATAL(staging_files(path), 1);
	ssd = file_hash(in_dir("ssd"));
	hdd = file_hash(in_dir("hdd"));
	stage = file_hash(path);
	h = open_pool(TWO_FILES, HOST_READ_ONLY);
	h2 = open_pool(TWO_FILES, HOST_READ_ONLY);	/* several may look */
	open_says(TWO_FILES, 0, -EBUSY, "pool main is in use by this process");
	assert_volume(h, "vol");
	assert_volume(h2, "vol");
	close_pool(h);
	host_pool_abandon(h2);
	CU_ASSERT_EQUAL(ssd, file_hash(in_dir("ssd")));
	CU_ASSERT_EQUAL(hdd, file_hash(in_dir("hdd")));
	CU_ASSERT_EQUAL(staging_files(path), 1);
	CU_ASSERT_EQUAL(stage, file_hash(path));
	h = open_pool(TWO_FILES, 0);
	read_pattern(h, "vol", 3);
	close_pool(h);
	h = open_pool(TWO_FILES, HOST_READ_ONLY);
	read_pattern(h, "vol", 3);
	CU_ASSERT_EQUAL(staging_files(path), 0);	/* nor is one made */
	close_pool(h);
	end();
}

/* ------------------------------------------------------------------ one owner */

static void test_two_opens(void)
{
	struct host_pool *h;

	two_files();
	h = open_pool(TWO_FILES, 0);
	open_says(TWO_FILES, 0, -EBUSY, "pool main is in use by this process");
	open_says(TWO_FILES, HOST_READ_ONLY, -EBUSY, "pool main is in use by this process");
	create_says(TWO_FILES, true, -EBUSY, "@/hdd is in use by this process");
	/* Another pool may not take one of its devices either. */
	file_of("hdd2", HDD_BYTES);
	create_says(FILES("x", "ssd", "hdd2"),
		    true, -EBUSY, "@/ssd is in use by this process");
	write_pattern(h, "vol", 1);
	close_pool(h);
	close_pool(open_pool(TWO_FILES, 0));
	end();
}

static void test_two_processes(void)
{
	char want[64], c;
	int ready[2];
	pid_t pid;

	two_files();
	CU_ASSERT_EQUAL_FATAL(pipe2(ready, O_CLOEXEC), 0);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		open_pool(TWO_FILES, 0);
		if (write(ready[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	CU_ASSERT_EQUAL(read(ready[0], &c, 1), 1);
	close(ready[0]);
	snprintf(want, sizeof(want), "pool main is in use by process %d", pid);
	open_says(TWO_FILES, 0, -EBUSY, want);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close_pool(open_pool(TWO_FILES, 0));
	end();
}

static void test_loop_devices(void)
{
	struct rig ssd, hdd;
	char text[512], want[128];
	struct host_pool *h;

	begin();
	rig_file(&ssd, "/tmp");
	rig_file(&hdd, "/tmp");
	CU_ASSERT(truncate(ssd.path, (off_t)SSD_BYTES) == 0 && truncate(hdd.path, (off_t)HDD_BYTES) == 0);
	if (rig_loop(&ssd, 4096) && rig_loop(&hdd, 512)) {
		snprintf(text, sizeof(text), NAMES("main") "{ \"type\": \"ssd\", \"path\": \"%s\" },\n"
			 "{ \"type\": \"capacity\", \"path\": \"%s\" } ] } ] }", ssd.path, hdd.path);
		create_says(text, false, 0, "");
		h = open_pool(text, 0);
		write_pattern(h, "vol", 4);
		open_says(text, 0, -EBUSY, "pool main is in use by this process");
		snprintf(want, sizeof(want), "%s is in use by this process", hdd.path);
		create_says(text, true, -EBUSY, want);
		host_pool_abandon(h);
		h = open_pool(text, 0);
		read_pattern(h, "vol", 4);
		close_pool(h);
	}
	rig_free(&ssd);
	rig_free(&hdd);
	end();
}

/* ------------------------------------------------------------------ memory and log */

static void test_no_memory(void)
{
	unsigned long made = ULONG_MAX;
	struct conf *c;

	two_files();
	c = conf_of(TWO_FILES);
	for (unsigned long n = 1; made >= n; n++) {
		struct err err = ERR_INIT;
		struct host_pool *h;
		int r;

		unit_step = n;
		CU_ASSERT_FATAL(n < 1000);
		mem_fail_at(n);
		r = host_pool_open(&c->pools[0], 0, &h, &err);
		made = mem_fail_at(0);
		if (r == 0)			/* one may fail: of a superblock there are two */
			close_pool(h);
		else
			CU_ASSERT(r == -ENOMEM && strstr(err.text, "memory"));
	}
	close_pool(open_pool(TWO_FILES, 0));
	conf_free(c);
	end();
}

static int log_lines;

static void count_line(void *ctx, enum hb_log_level level, const char *text)
{
	CU_ASSERT(ctx == &log_lines && level <= HB_LOG_ERROR);
	CU_ASSERT_EQUAL(strncmp(text, "pool main: ", 11), 0);
	log_lines++;
}

static void test_log(void)
{
	two_files();
	host_log_to(count_line, &log_lines);
	close_pool(open_pool(TWO_FILES, 0));
	host_log_to(NULL, NULL);
	CU_ASSERT(log_lines > 0);
	end();
}

static CU_TestInfo host_tests[] = {
	{ "create_makes_files", test_create_makes_files },
	{ "close_and_reopen", test_close_and_reopen },
	{ "abandon_and_recover", test_abandon_and_recover },
	{ "kill", test_kill },
	{ "read_only", test_read_only },
	{ "two_opens", test_two_opens },
	{ "two_processes", test_two_processes },
	{ "loop_devices", test_loop_devices },
	{ "no_memory", test_no_memory },
	{ "log", test_log },
	CU_TEST_INFO_NULL,
};

const struct hb_suite suite_host = { "host", host_tests };

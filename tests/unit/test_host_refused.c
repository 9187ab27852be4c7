/* SPDX-License-Identifier: GPL-2.0-only */
/* test_host_refused.c - real pools refused: wrong, small or foreign devices; staging memory not ours, or not there. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host_rig.h"
#include "suites.h"

/* ------------------------------------------------------------------ the wrong devices */

static void test_missing(void)
{
	begin();
	open_says(TWO_FILES, 0, -ENOENT,
		  "@/c:4: @/hdd does not exist, expected the capacity device of pool \"main\"");
	create_says(TWO_FILES, false, -ENOENT,
		    "@/c:3: @/ssd does not exist, expected a device, or \"size\" to make a file");
	end();
}

static void test_not_formatted(void)
{
	begin();
	file_of("ssd", SSD_BYTES);
	file_of("hdd", HDD_BYTES);
	open_says(TWO_FILES, 0, -ENODATA,
		  "@/c:4: @/hdd is no device of a pool, expected the capacity device of pool \"main\"");
	end();
}

static void test_swapped_roles(void)
{
	begin();
	file_of("ssd", HDD_BYTES);
	file_of("hdd", HDD_BYTES);
	create_says(TWO_FILES, false, 0, "");
	open_says(FILES("main", "hdd", "ssd"), 0, -EXDEV, "@/c:4: @/ssd is the write tier of pool \"main\", "
		  "expected its capacity device: are the paths swapped?");
	end();
}

static void test_other_pool(void)
{
	begin();
	file_of("ssd", SSD_BYTES);
	file_of("hdd", HDD_BYTES);
	file_of("ssd2", SSD_BYTES);
	file_of("hdd2", HDD_BYTES);
	create_says(TWO_FILES, false, 0, "");
	create_says(FILES("other", "ssd2", "hdd2"),
		    false, 0, "");
	open_says(FILES("main", "ssd2", "hdd"), 0,
		  -EXDEV,
		  "@/c:3: @/ssd2 is the write tier of pool \"other\", expected the write tier of pool \"main\"");
	create_says(FILES("main", "ssd2", "hdd2"),
		    true, 0, "");
	open_says(FILES("main", "ssd2", "hdd"), 0,
		  -EXDEV, "@/c:3: @/ssd2 and @/hdd belong to different pools, both named \"main\"");
	end();
}

static void test_shrunk(void)
{
	two_files();
	CU_ASSERT_EQUAL(truncate(in_dir("hdd"), (off_t)HDD_BYTES / 2), 0);
	open_says(TWO_FILES, 0, -EBADMSG,
		  "@/c:4: @/hdd: the device has 67108864 bytes, the pool was made on 134217728");
	create_says(TWO_FILES, false, -EEXIST, "@/c:4: @/hdd: the device has 67108864 bytes, the pool was made on "
		    "134217728 (so it is a pool's), expected an empty device");
	end();
}

static void test_too_small(void)
{
	struct stat st;

	begin();
	create_says(NAMES("main") "{ \"type\": \"ssd\", \"path\": \"ssd\", \"size\": \"1MiB\" },\n"
		    "{ \"type\": \"capacity\", \"path\": \"hdd\", \"size\": \"128MiB\" } ] } ] }", false, -EINVAL,
		    "@/c:1: @/ssd: 1048576 bytes are too small for a write tier, 67108864 is the least");
	create_says(NAMES("main") "{ \"type\": \"ssd\", \"path\": \"ssd\", \"size\": \"64MiB\" },\n"
		    "{ \"type\": \"capacity\", \"path\": \"hdd\", \"size\": \"1MiB\" } ] } ] }", false, -EINVAL,
		    "@/c:1: @/hdd: 1048576 bytes are too small for a capacity device, 134217728 is the least");
	/* What was made for it is gone again. */
	CU_ASSERT(stat(in_dir("ssd"), &st) < 0 && stat(in_dir("hdd"), &st) < 0);
	create_says(NAMES("main") "{ \"type\": \"ssd\", \"path\": \"ssd\", \"size\": \"64MiB\" },\n"
		    "{ \"type\": \"capacity\", \"path\": \"no/hdd\", \"size\": \"1GiB\" } ] } ] }", false, -ENOENT,
		    "@/c:4: @/no/hdd: cannot be made: No such file or directory");
	CU_ASSERT(stat(in_dir("ssd"), &st) < 0);
	file_of("ssd", SSD_BYTES - 1);
	create_says(NEW_FILES, false, -ENOSPC,
		    "@/c:3: @/ssd has 67108863 bytes, expected \"size\" to be no more than that");
	CU_ASSERT_EQUAL(stat(in_dir("ssd"), &st), 0);	/* not ours: it stays */
	end();
}

/* ------------------------------------------------------------------ foreign signatures */

static void put_bytes(const char *name, off_t off, const void *bytes, size_t len)
{
	int fd = open(in_dir(name), O_WRONLY | O_CLOEXEC);

	CU_ASSERT_EQUAL(pwrite(fd, bytes, len, off), (ssize_t)len);
	close(fd);
}

/* A swap area of version 1 with a label. */
static void put_swap(const char *name)
{
	unsigned char head[4096] = { 0 };
	uint32_t version = 1, last = 1000;

	memcpy(head + 1024, &version, 4);
	memcpy(head + 1028, &last, 4);
	memcpy(head + 1036, "0123456789abcdef", 16);
	memcpy(head + 1052, "swappy", 6);
	memcpy(head + 4086, "SWAPSPACE2", 10);
	put_bytes(name, 0, head, sizeof(head));
}

static void put_partitions(const char *name)
{
	static const unsigned char entry[16] = { 0, 0, 2, 0, 0x83, 0, 3, 0, 0, 8, 0, 0, 0, 16, 0, 0 };

	put_bytes(name, 446, entry, sizeof(entry));
	put_bytes(name, 510, "\x55\xaa", 2);
}

static void test_foreign(void)
{
	begin();
	file_of("ssd", SSD_BYTES);
	file_of("hdd", HDD_BYTES);
	put_swap("ssd");
	create_says(TWO_FILES, false, -EEXIST,
		    "@/c:3: @/ssd holds something (swap signature, label \"swappy\"), expected an empty device");
	put_partitions("hdd");
	create_says(TWO_FILES, false, -EEXIST,
		    "@/c:4: @/hdd holds something (dos partition table), expected an empty device");
	create_says(TWO_FILES, true, 0, "");
	close_pool(open_pool(TWO_FILES, 0));
	create_says(TWO_FILES, false, -EEXIST, "@/c:4: @/hdd belongs to pool \"main\", expected an empty device");
	end();
}

/* One half of a RAID lies at the end of the device, where formatting does not come: wiped all the same. */
static void test_force_wipes_the_end(void)
{
	static const unsigned char magic[4] = { 0xfc, 0x4e, 0x2b, 0xa9 };	/* md, version 1.0 */
	unsigned char super[256] = { 0 }, got[4];
	off_t at = (off_t)(HDD_BYTES - KIB(8));
	uint64_t sector = (uint64_t)at / 512;
	int fd;

	begin();
	file_of("ssd", SSD_BYTES);
	file_of("hdd", HDD_BYTES);
	memcpy(super, magic, 4);
	super[4] = 1;
	memcpy(super + 144, &sector, 8);
	put_bytes("hdd", at, super, sizeof(super));
	create_says(TWO_FILES, false, -EEXIST,
		    "@/c:4: @/hdd holds something (linux_raid_member member), expected an empty device");
	create_says(TWO_FILES, true, 0, "");
	fd = open(in_dir("hdd"), O_RDONLY | O_CLOEXEC);
	CU_ASSERT_EQUAL(pread(fd, got, 4, at), 4);
	close(fd);
	CU_ASSERT(memcmp(got, magic, 4) != 0);
	end();
}

/* A new pool over an old one: the old one's answered writes are nobody's now. */
static void test_force_over_pool(void)
{
	char cursor[HB_NAME_MAX + 1] = "";
	struct hb_volume_info info;
	struct host_pool *h;
	char path[128];

	two_files();
	h = open_pool(TWO_FILES, 0);
	write_pattern(h, "vol", 1);
	host_pool_abandon(h);
	CU_ASSERT_EQUAL(staging_files(path), 1);
	create_says(TWO_FILES, true, 0, "");
	CU_ASSERT_EQUAL(staging_files(path), 0);
	h = open_pool(TWO_FILES, 0);
	CU_ASSERT_FALSE(hb_volume_next(host_pool_engine(h), cursor, &info));
	close_pool(h);
	end();
}

/* ------------------------------------------------------------------ staging */

static void test_staging_refusals(void)
{
	char path[128], want[256];
	struct host_pool *h;

	two_files();
	h = open_pool(TWO_FILES, 0);
	host_pool_abandon(h);
	CU_ASSERT_EQUAL_FATAL(staging_files(path), 1);
	CU_ASSERT_EQUAL(chmod(path, 0644), 0);
	snprintf(want, sizeof(want), "%s: has mode 0644, expected 0600", path);
	open_says(TWO_FILES, 0, -EPERM, want);
	chmod(path, 0600);
	CU_ASSERT_EQUAL(link(path, in_dir("second")), 0);
	snprintf(want, sizeof(want), "%s: is no regular file with one name", path);
	open_says(TWO_FILES, 0, -EPERM, want);
	unlink(path);
	CU_ASSERT_EQUAL(symlink(in_dir("second"), path), 0);
	snprintf(want, sizeof(want), "staging file %s: Too many levels of symbolic links", path);
	open_says(TWO_FILES, 0, -ELOOP, want);
	unlink(path);
	if (geteuid() == 0) {
		CU_ASSERT_EQUAL(rename(in_dir("second"), path), 0);
		CU_ASSERT_EQUAL(chown(path, 12345, 0), 0);
		snprintf(want, sizeof(want), "%s: belongs to user 12345, expected 0", path);
		open_says(TWO_FILES, 0, -EPERM, want);
		unlink(path);
	}
	close_pool(open_pool(TWO_FILES, 0));
	end();
}

/* In a mount namespace of a child: 0 passed, 1 failed, 2 no tmpfs to be had. */
static int in_small_tmpfs(void)
{
	struct host_pool *h;
	struct err err = ERR_INIT;
	struct conf *c;
	char path[128];

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", in_dir("stage"), "tmpfs", 0, "size=2m") < 0)
		return 2;
	c = conf_of(TWO_FILES);
	if (host_pool_open(&c->pools[0], 0, &h, &err) != -ENOSPC || staging_files(path) != 0)
		return 1;
	return strstr(err.text, "MiB of staging memory: No space left on device") ? 0 : 1;
}

static void test_staging_full(void)
{
	int status = -1;
	pid_t pid;

	two_files();
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(in_small_tmpfs());
	waitpid(pid, &status, 0);
	CU_ASSERT(WIFEXITED(status));
	if (WEXITSTATUS(status) == 2)
		printf("skipped staging_full: no mount namespace here\n");
	else
		CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
	close_pool(open_pool(TWO_FILES, 0));
	end();
}

static CU_TestInfo host_refused_tests[] = {
	{ "missing", test_missing },
	{ "not_formatted", test_not_formatted },
	{ "swapped_roles", test_swapped_roles },
	{ "other_pool", test_other_pool },
	{ "shrunk", test_shrunk },
	{ "too_small", test_too_small },
	{ "foreign", test_foreign },
	{ "force_wipes_the_end", test_force_wipes_the_end },
	{ "force_over_pool", test_force_over_pool },
	{ "staging_refusals", test_staging_refusals },
	{ "staging_full", test_staging_full },
	CU_TEST_INFO_NULL,
};

const struct hb_suite suite_host_refused = { "host_refused", host_refused_tests };

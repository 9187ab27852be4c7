/* SPDX-License-Identifier: GPL-2.0-only */
/* test_rawfile.c - disk images: what is taken for one, data and holes, and that a change is seen. */
#include "suites.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/units.h"
#include "box/rawfile.h"
#include "tests/unit/scratch.h"

static char dir[SCRATCH_PATH_MAX], path[SCRATCH_PATH_MAX + 32];

static void begin(void)
{
	scratch_new("/var/tmp", dir); /* a disk's file system: it knows holes */
	snprintf(path, sizeof(path), "%s/image", dir);
}

/* A file of so many bytes with these ones at `at`. */
static void put(uint64_t size, uint64_t at, const void *bytes, size_t n)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(ftruncate(fd, (off_t)size), 0);
	CU_ASSERT_EQUAL(pwrite(fd, bytes, n, (off_t)at), (ssize_t)n);
	close(fd);
}

static int try(const char *name, const char *says)
{
	struct err err = ERR_INIT;
	struct rawfile image;
	int rc = rawfile_open(name, &image, &err);

	if (!rc)
		rawfile_close(&image);
	else if (says && !strstr(err.text, says))
		printf("%s\n", err.text);
	CU_ASSERT(!rc || !says || strstr(err.text, says));
	return rc;
}

static void test_kinds(void)
{
	char other[sizeof(path)];

	begin();
	CU_ASSERT_EQUAL(try(path, "No such file"), -ENOENT);
	CU_ASSERT_EQUAL(try("image", "from / on"), -EINVAL);
	CU_ASSERT_EQUAL(try(dir, "neither"), -EINVAL);
	CU_ASSERT_EQUAL(try("/dev/null", "neither"), -EINVAL);
	CU_ASSERT_EQUAL(mkfifo(path, 0600), 0);
	CU_ASSERT_EQUAL(try(path, "neither"), -EINVAL); /* and does not wait for its other end */
	unlink(path);
	put(0, 0, "", 0);
	CU_ASSERT_EQUAL(try(path, "empty"), -EINVAL);
	put(1, 0, "x", 1);
	CU_ASSERT_EQUAL(try(path, NULL), 0);
	snprintf(other, sizeof(other), "%s/link", dir);
	CU_ASSERT_EQUAL(symlink(path, other), 0);
	CU_ASSERT_EQUAL(try(other, "symbolic link"), -ELOOP);
	scratch_remove(dir);
}

static void test_formats(void)
{
	static const struct {
		uint64_t at;
		const char *bytes;
		size_t n;
		const char *says;
	} cases[] = {
		{0, "QFI\xfb", 4, "qemu-img convert -f qcow2 -O raw '"},
		{0, "QED\0", 4, "-f qed "},
		{0, "KDMV", 4, "-f vmdk "},
		{0, "# Disk DescriptorFile", 21, "-f vmdk "},
		{0, "vhdxfile", 8, "-f vhdx "},
		{0, "conectix", 8, "-f vpc "},
		{MIB(1) - 512, "conectix", 8, "-f vpc "},
		{64, "\x7f\x10\xda\xbe", 4, "-f vdi "},
		{MIB(1) - 512, "koly", 4, "-f dmg "},
		{0, "\x1f\x8b\x08", 3, "gzip -dc '"},
		{0, "\xfd\x37zXZ\0", 6, "xz -dc '"},
		{0, "\x28\xb5\x2f\xfd", 4, "zstd -dc '"},
		{257, "ustar", 5, "tar -xOf '"},
	};

	begin();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		unlink(path);
		put(MIB(1), cases[i].at, cases[i].bytes, cases[i].n);
		CU_ASSERT_EQUAL(try(path, cases[i].says), -EMEDIUMTYPE);
		/* What is no such thing at another place. */
		unlink(path);
		put(MIB(1), cases[i].at + 1, cases[i].bytes, cases[i].n);
		CU_ASSERT_EQUAL(try(path, NULL), 0);
	}
	unlink(path);
	snprintf(path, sizeof(path), "%s/it's", dir);
	put(512, 0, "QFI\xfb", 4);
	CU_ASSERT_EQUAL(try(path, "it'\\''s' '"), -EMEDIUMTYPE);
	CU_ASSERT_EQUAL(try(path, "it'\\''s.raw'"), -EMEDIUMTYPE);
	scratch_remove(dir);
}

static void test_bytes(void)
{
	struct rawfile image = {.fd = -1};
	uint64_t off = 0, len = 0;
	struct err err = ERR_INIT;
	json_t *mark, *now;
	char buf[1024];

	begin();
	put(MIB(8) + 100, MIB(4), "in the middle", 13);
	put(MIB(8) + 100, MIB(8) + 97, "end", 3);
	CU_ASSERT_EQUAL_FATAL(rawfile_open(path, &image, &err), 0);
	CU_ASSERT_EQUAL(image.size_bytes, MIB(8) + 100);
	CU_ASSERT_EQUAL(rawfile_data(&image, 0, &off, &len, &err), 1);
	CU_ASSERT(off <= MIB(4) && off + len > MIB(4));
	CU_ASSERT_EQUAL(rawfile_data(&image, MIB(8), &off, &len, &err), 1);
	CU_ASSERT_EQUAL(off + len, MIB(8) + 100);
	CU_ASSERT_EQUAL(rawfile_data(&image, MIB(8) + 100, &off, &len, &err), 0);
	memset(buf, 1, sizeof(buf));
	CU_ASSERT_EQUAL(rawfile_read(&image, MIB(8), buf, sizeof(buf), &err), 0);
	CU_ASSERT(!memcmp(buf + 97, "end", 3) && !buf[0] && !buf[100] && !buf[sizeof(buf) - 1]);
	mark = rawfile_mark(&image);
	now = rawfile_mark(&image);
	CU_ASSERT(json_equal(mark, now));
	json_decref(now);
	put(MIB(8) + 99, 0, "x", 1);
	now = rawfile_mark(&image);
	CU_ASSERT_FALSE(json_equal(mark, now));
	json_decref(now);
	json_decref(mark);
	CU_ASSERT_EQUAL(rawfile_read(&image, MIB(8), buf, sizeof(buf), &err), -ESTALE);
	rawfile_close(&image);
	scratch_remove(dir);
}

static CU_TestInfo tests[] = {
	{"kinds", test_kinds},
	{"formats", test_formats},
	{"bytes", test_bytes},
	CU_TEST_INFO_NULL,
};

const struct hb_suite suite_rawfile = {"rawfile", tests};

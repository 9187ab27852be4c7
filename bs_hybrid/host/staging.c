/* SPDX-License-Identifier: GPL-2.0-only */
/* staging.c - the memory that outlives the process: a file in tmpfs, DIR/hybrid-<pool>.staging.
 *
 * All of it is reserved before it is mapped: a full tmpfs is an error at open, not a SIGBUS later. A file that is there
 * already may hold answered writes: it is never cut, only lengthened.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/units.h"
#include "host/priv.h"

static char *staging_path(const char *dir, const uint8_t uuid[16])
{
	size_t size = strlen(dir) + 64;
	char *path = mem_alloc(size);
	int n;

	if (!path)
		return NULL;
	n = snprintf(path, size, "%s/hybrid-", dir);
	for (int i = 0; i < 16; i++)
		n += snprintf(path + n, size - (size_t)n, "%02x", uuid[i]);
	snprintf(path + n, size - (size_t)n, ".staging");
	return path;
}

/* In a directory that everybody may write to, it must be ours. */
static int staging_check(int fd, const char *path, struct stat *st, struct err *err)
{
	if (fstat(fd, st) < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st->st_mode) || st->st_nlink != 1)
		return err_set(err, -EPERM, "%s: is no regular file with one name", path);
	if (st->st_uid != geteuid())
		return err_set(err, -EPERM, "%s: belongs to user %u, expected %u", path, st->st_uid, geteuid());
	if (st->st_mode & 077)
		return err_set(err, -EPERM, "%s: has mode %04o, expected 0600", path, st->st_mode & 07777);
	return 0;
}

static int staging_share(int fd, const char *path, void **ret, struct err *err)
{
	size_t bytes = hb_staging_bytes();
	void *mem;

	if (fallocate(fd, 0, 0, (off_t)bytes) < 0)
		return err_set(err, -errno, "%s: cannot reserve %zu MiB of staging memory: %s", path, bytes >> 20,
			       strerror(errno));
	mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mem == MAP_FAILED)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	*ret = mem;
	return 0;
}

static int staging_copy(int fd, const char *path, void **ret, struct err *err)
{
	size_t bytes = hb_staging_bytes(), at = 0;
	char *mem = mem_map(bytes);
	ssize_t n = 1;

	if (!mem)
		return err_set(err, -ENOMEM, "%s: no memory for a copy of %zu MiB", path, bytes >> 20);
	while (fd >= 0 && at < bytes && (n = pread(fd, mem + at, bytes - at, (off_t)at)) > 0)
		at += (size_t)n;
	if (n < 0) {
		int e = err_set(err, -errno, "%s: %s", path, strerror(errno));

		mem_unmap(mem, bytes);
		return e;
	}
	*ret = mem;
	return 0;
}

int staging_map(const char *dir, const uint8_t uuid[16], bool read_only, struct staging *ret, struct err *err)
{
	struct staging s = { NULL, staging_path(dir, uuid) };
	bool made = false;
	struct stat st;
	int fd, e = 0;

	if (!s.path)
		return err_set(err, -ENOMEM, "%s: out of memory", dir);
	fd = open(s.path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT && !read_only) {
		fd = open(s.path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		made = fd >= 0;
	}
	if (fd < 0 && !(errno == ENOENT && read_only))
		e = err_set(err, -errno, "staging file %s: %s", s.path, strerror(errno));
	if (e == 0 && fd >= 0)
		e = staging_check(fd, s.path, &st, err);
	if (e == 0)
		e = read_only ? staging_copy(fd, s.path, &s.mem, err) : staging_share(fd, s.path, &s.mem, err);
	if (fd >= 0)
		close(fd);
	if (e < 0 && made)
		unlink(s.path);
	if (e < 0 || read_only) {
		mem_free(s.path);
		s.path = NULL;
	}
	if (e == 0)
		*ret = s;
	return e;
}

void staging_unmap(struct staging *s, bool remove)
{
	if (!s->mem)
		return;
	if (!s->path) {
		mem_unmap(s->mem, hb_staging_bytes());
	} else {
		munmap(s->mem, hb_staging_bytes());
		if (remove)
			unlink(s->path);
		mem_free(s->path);
	}
	*s = (struct staging){ NULL, NULL };
}

void staging_forget(const char *dir, const uint8_t uuid[16])
{
	char *path = staging_path(dir, uuid);

	if (path)
		unlink(path);
	mem_free(path);
}

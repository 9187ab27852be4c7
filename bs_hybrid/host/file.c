/* SPDX-License-Identifier: GPL-2.0-only */
/* file.c - making the regular files that stand for devices. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/units.h"
#include "host/priv.h"

#define FILL_BYTES MIB(1)

/* Zeros are written, not only promised: later writes then find their blocks allocated and initialised, and need no
 * transaction of the file system. */
static int fill(int fd, uint64_t bytes)
{
	void *zeros = mem_zalloc(FILL_BYTES);
	uint64_t at = 0;
	ssize_t n = 0;

	if (!zeros)
		return -ENOMEM;
	while (at < bytes && (n = pwrite(fd, zeros, MIN(FILL_BYTES, bytes - at), (off_t)at)) > 0)
		at += (uint64_t)n;
	mem_free(zeros);
	return at == bytes ? 0 : n < 0 ? -errno : -EIO;
}

static int make(const struct conf_tier *tier, bool filled, struct err *err)
{
	off_t bytes = (off_t)tier->size_bytes;
	int fd = open(tier->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int r;

	if (fd < 0)
		return err_set(err, -errno, "%s: cannot be made: %s", tier->path, strerror(errno));
	r = ftruncate(fd, bytes) < 0 ? -errno : 0;
	if (r == 0 && filled)
		r = -posix_fallocate(fd, 0, bytes);
	if (r == 0 && filled)
		r = fill(fd, tier->size_bytes);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	close(fd);
	if (r == 0)
		return 0;
	unlink(tier->path);
	return err_set(err, r, "%s: cannot be made %llu MiB large: %s", tier->path,
		       (unsigned long long)(tier->size_bytes >> 20), strerror(-r));
}

int file_make_missing(const struct conf_tier *tier, bool filled, bool *ret_made, struct err *err)
{
	struct stat st;
	int r;

	if (tier->iscsi)
		return 0;
	if (stat(tier->path, &st) < 0) {
		if (errno != ENOENT)
			return err_set(err, -errno, "%s: %s", tier->path, strerror(errno));
		if (!tier->size_bytes)
			return err_set(err, -ENOENT, "%s does not exist, expected a device, or \"size\" to make a file",
				       tier->path);
		r = make(tier, filled, err);
		*ret_made = r == 0;
		return r;
	}
	if (tier->size_bytes && S_ISBLK(st.st_mode))
		return err_set(err, -EINVAL, "%s is a block device, expected no \"size\" for it", tier->path);
	if (S_ISREG(st.st_mode) && (uint64_t)st.st_size < tier->size_bytes)
		return err_set(err, -ENOSPC, "%s has %llu bytes, expected \"size\" to be no more than that", tier->path,
			       (unsigned long long)st.st_size);
	return 0;
}

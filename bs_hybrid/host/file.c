/* SPDX-License-Identifier: GPL-2.0-only */
/* file.c - making the regular files that stand for devices. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
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

int file_make(const struct conf_tier *tier, bool filled, struct err *err)
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

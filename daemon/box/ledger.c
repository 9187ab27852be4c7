/* SPDX-License-Identifier: GPL-2.0-only */
/* ledger.c - entries lie at 32 times their block's index: written in any order, twice or never, and read in order. */
#include "box/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENTRIES 2048 /* read at once */

static int failed(const char *path, struct err *err)
{
	return err_set(err, -errno, "%s: %s", path, strerror(errno));
}

/* -1 with errno. */
static int open_new(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	char *folder, *slash;

	if (fd >= 0 || errno != ENOENT)
		return fd;
	folder = strdup(path);
	slash = folder ? strrchr(folder, '/') : NULL;
	if (slash) {
		*slash = '\0';
		mkdir(folder, 0700); /* that it failed is told by open() */
	}
	free(folder);
	return open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
}

int ledger_put(const char *path, uint64_t index, const uint8_t digest[LEDGER_DIGEST], struct err *err)
{
	int fd = open_new(path), rc = 0;
	ssize_t n;

	if (fd < 0)
		return failed(path, err);
	n = pwrite(fd, digest, LEDGER_DIGEST, (off_t)(index * LEDGER_DIGEST));
	if (n < 0)
		rc = failed(path, err);
	else if (n != LEDGER_DIGEST)
		rc = err_set(err, -ENOSPC, "%s: no space for an entry", path);
	close(fd);
	return rc;
}

int ledger_each(const char *path, ledger_fn *fn, void *ctx, struct err *err)
{
	static const uint8_t none[LEDGER_DIGEST];
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
	uint8_t *some;
	uint64_t at = 0;
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? 0 : failed(path, err);
	some = malloc((size_t)ENTRIES * LEDGER_DIGEST);
	if (!some)
		rc = err_set(err, -ENOMEM, "out of memory");
	while (!rc && (n = pread(fd, some, (size_t)ENTRIES * LEDGER_DIGEST, (off_t)(at * LEDGER_DIGEST)))) {
		if (n < 0)
			rc = failed(path, err);
		/* Less than an entry can only be what a full disk left: it was not answered. */
		n /= LEDGER_DIGEST;
		for (ssize_t i = 0; !rc && i < n; i++)
			if (memcmp(some + i * LEDGER_DIGEST, none, LEDGER_DIGEST) != 0)
				rc = fn(ctx, at + (uint64_t)i, some + i * LEDGER_DIGEST, err);
		if (n <= 0)
			break;
		at += (uint64_t)n;
	}
	free(some);
	close(fd);
	return rc;
}

int ledger_remove(const char *path, struct err *err)
{
	return unlink(path) && errno != ENOENT ? failed(path, err) : 0;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* lock.c - one owner per device. A regular file is locked itself. A block device has a lock file in /run instead: udev
 * locks the devices themselves for a moment now and then, and stands back from those that others lock. A remote LUN has
 * one, too, which keeps other machines from nothing.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/rng.h"
#include "host/priv.h"

#define LOCK_DIR "/run/hybrid"

/* The process that holds a lock on this file; 0: the system does not tell. */
static long lock_holder(const struct stat *st)
{
	FILE *f = fopen("/proc/locks", "re");
	char line[256];
	long found = 0;

	while (f && !found && fgets(line, sizeof(line), f)) {
		unsigned int maj, min;
		unsigned long ino;
		long pid;

		/* "1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF"; one that waits has "->" before FLOCK */
		if (sscanf(line, "%*d: FLOCK %*s %*s %ld %x:%x:%lu", &pid, &maj, &min, &ino) == 4 &&
		    ino == st->st_ino && maj == major(st->st_dev) && min == minor(st->st_dev))
			found = pid;
	}
	if (f)
		fclose(f);
	return found > 0 ? found : 0;
}

static int lock_refused(const struct stat *st, const char *what, struct err *err)
{
	long pid = lock_holder(st);

	if (pid == (long)getpid())
		return err_set(err, -EBUSY, "%s is in use by this process", what);
	if (pid)
		return err_set(err, -EBUSY, "%s is in use by process %ld", what, pid);
	return err_set(err, -EBUSY, "%s is in use by another process", what);
}

static int lock_file(const char *name, struct err *err)
{
	int fd;

	mkdir(LOCK_DIR, 0755);		/* if that fails, so does the open */
	fd = open(name, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd >= 0 ? fd : err_set(err, -errno, "%s: %s", name, strerror(errno));
}

static int lock_open(const char *path, const struct stat *st, struct err *err)
{
	char name[64];
	int fd;

	if (!S_ISBLK(st->st_mode)) {
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		return fd >= 0 ? fd : err_set(err, -errno, "%s: %s", path, strerror(errno));
	}
	snprintf(name, sizeof(name), LOCK_DIR "/device-%u:%u.lock", major(st->st_rdev), minor(st->st_rdev));
	return lock_file(name, err);
}

/* Takes `fd`, also when it fails. */
static int lock_fd(int fd, const char *name, const char *what, bool shared, int *ret_fd, struct err *err)
{
	struct stat st;
	int r;

	if (flock(fd, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0) {
		*ret_fd = fd;
		return 0;
	}
	if (errno == EWOULDBLOCK && fstat(fd, &st) == 0)
		r = lock_refused(&st, what, err);
	else
		r = err_set(err, -errno, "%s: cannot be locked: %s", name, strerror(errno));
	close(fd);
	return r;
}

int lock_take(const char *path, const char *what, bool shared, int *ret_fd, struct err *err)
{
	struct stat st;
	int fd;

	if (stat(path, &st) < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	fd = lock_open(path, &st, err);
	return fd < 0 ? fd : lock_fd(fd, path, what, shared, ret_fd, err);
}

int lock_take_remote(const char *name, const char *what, bool shared, int *ret_fd, struct err *err)
{
	char file[64];
	uint64_t h = 0;
	int fd;

	for (const char *c = name; *c; c++)
		h = hash64(h ^ (uint64_t)(unsigned char)tolower((unsigned char)*c)) + 1;
	snprintf(file, sizeof(file), LOCK_DIR "/iscsi-%016llx.lock", (unsigned long long)h);
	fd = lock_file(file, err);
	return fd < 0 ? fd : lock_fd(fd, file, what, shared, ret_fd, err);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* file_open.c - opening the file device: what is behind the path, how it wants its I/O, what it can do. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/units.h"
#include "dev/file.h"

#define FILE_PROBE_NS DEV_TIMEOUT_NS	/* longest wait for the flush that open tries */

/* ------------------------------------------------------------------ geometry */

/* A number from /sys about the disk under `dev`, or under the disk of which `dev` is a partition. */
static uint64_t disk_attr(dev_t dev, const char *attr, uint64_t otherwise)
{
	static const char *const where[] = { "", "../" };

	for (size_t i = 0; i < ARRAY_LEN(where); i++) {
		unsigned long long v;
		char path[128];
		FILE *file;
		int n;

		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%squeue/%s", major(dev), minor(dev), where[i], attr);
		file = fopen(path, "re");
		if (!file)
			continue;
		n = fscanf(file, "%20llu", &v);
		fclose(file);
		if (n == 1)
			return v;
	}
	return otherwise;
}

/* The unit of direct I/O found by trying: for kernels and file systems that do not tell. 0: none works. */
static uint32_t try_direct(int fd)
{
	static const uint32_t units[] = { 512, 4096 };
	void *buf = mem_alloc_aligned(BLK_BYTES);
	uint32_t found = 0;

	if (!buf)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(units) && !found; i++) {
		if (pread(fd, buf, units[i], units[i]) >= 0)
			found = units[i];
	}
	mem_free(buf);
	return found;
}

static int direct_units(struct file_dev *f, const char *path, struct err *err)
{
	struct dev_geom *g = &f->dev.geom;
	uint32_t unit = 0, mem = 0;
	struct statx sx;

	if (statx(f->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &sx) == 0 && (sx.stx_mask & STATX_DIOALIGN)) {
		if (!sx.stx_dio_offset_align)
			return err_set(err, -EOPNOTSUPP, "%s: its file system has no direct I/O", path);
		unit = sx.stx_dio_offset_align;
		mem = sx.stx_dio_mem_align;
	} else if (!f->is_block) {
		unit = try_direct(f->fd);
	}
	if (unit < g->logical_bytes)
		unit = g->logical_bytes;
	if (unit > 512 && unit < 4096)
		unit = 4096;
	if (unit != 512 && unit != 4096)
		return err_set(err, -EOPNOTSUPP, "%s: its unit of direct I/O is %u bytes, expected 512 or 4096", path,
			       unit);
	g->logical_bytes = unit;
	g->mem_align = mem ? mem : unit;
	if (g->mem_align > BLK_BYTES)
		return err_set(err, -EOPNOTSUPP, "%s: wants memory aligned to %u bytes, expected at most 4096", path,
			       g->mem_align);
	return 0;
}

static int block_geometry(struct file_dev *f, const struct stat *st, const char *path, struct err *err)
{
	struct dev_geom *g = &f->dev.geom;
	int sector = 0;

	if (ioctl(f->fd, BLKGETSIZE64, &g->size_bytes) < 0 || ioctl(f->fd, BLKSSZGET, &sector) < 0)
		return err_set(err, -errno, "%s: cannot ask the device for its size: %s", path, strerror(errno));
	g->logical_bytes = (uint32_t)sector;
	g->rotational = disk_attr(st->st_rdev, "rotational", 0) != 0;
	if (!f->read_only && disk_attr(st->st_rdev, "discard_max_bytes", 0))
		g->discard_bytes = (uint32_t)disk_attr(st->st_rdev, "discard_granularity", 0);
	return 0;
}

/* Whether the file system gives space back is tried past the end of the file, where there is nothing to lose. */
static void file_discard(struct file_dev *f, const struct stat *st)
{
	uint32_t unit = st->st_blksize > 0 && st->st_blksize <= 1 << 20 ? (uint32_t)st->st_blksize : BLK_BYTES;
	off_t past = (off_t)ROUND_UP((uint64_t)st->st_size, (uint64_t)unit);

	if (!f->read_only && fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, past, unit) == 0)
		f->dev.geom.discard_bytes = unit;
}

static int file_geometry(struct file_dev *f, const char *path, bool direct, struct err *err)
{
	struct dev_geom *g = &f->dev.geom;
	struct stat st;
	int r = 0;

	if (fstat(f->fd, &st) < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	f->is_block = S_ISBLK(st.st_mode);
	if (!f->is_block && !S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "%s: is neither a block device nor a regular file", path);
	if (f->is_block) {
		r = block_geometry(f, &st, path, err);
	} else {
		g->size_bytes = (uint64_t)st.st_size;
		g->logical_bytes = 512;
		g->rotational = disk_attr(st.st_dev, "rotational", 0) != 0;
		file_discard(f, &st);
	}
	g->mem_align = g->logical_bytes;
	if (r == 0 && direct)
		r = direct_units(f, path, err);
	if (r == 0)
		g->size_bytes = ROUND_DOWN(g->size_bytes, g->logical_bytes);
	return r;
}

/* ------------------------------------------------------------------ open */

static int file_open_fd(struct file_dev *f, const char *path, bool direct, struct err *err)
{
	int how = O_CLOEXEC | (f->read_only ? O_RDONLY : O_RDWR) | (direct ? O_DIRECT : 0);
	struct stat st;

	/* Looked at before it is opened: to open a FIFO waits, to open a tape drive rewinds. */
	if (stat(path, &st) < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISBLK(st.st_mode) && !S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "%s: is neither a block device nor a regular file", path);
	if (S_ISBLK(st.st_mode) && !f->read_only)
		how |= O_EXCL;		/* refused if it is mounted, or part of a RAID or of a volume group */
	f->fd = open(path, how);
	if (f->fd >= 0)
		return 0;
	if (errno == EBUSY)
		return err_set(err, -EBUSY, "%s: is in use (mounted, or part of another device)", path);
	if (errno == EINVAL && direct)
		return err_set(err, -EOPNOTSUPP, "%s: its file system has no direct I/O", path);
	return err_set(err, -errno, "%s: %s", path, strerror(errno));
}

static int file_setup_aio(struct file_dev *f, const char *path, struct err *err)
{
	int r;

	f->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (f->event_fd < 0)
		return err_set(err, -errno, "%s: eventfd: %s", path, strerror(errno));
	r = io_setup(FILE_DEPTH + 1, &f->ctx);
	if (r == -EAGAIN)
		return err_set(err, r, "%s: the system allows no more asynchronous I/O, raise fs.aio-max-nr", path);
	if (r < 0)
		return err_set(err, r, "%s: io_setup: %s", path, strerror(-r));
	return 0;
}

/* Has the kernel an asynchronous fdatasync? Tried once; -EINVAL and -EOPNOTSUPP say no. */
static int file_try_fdsync(struct file_dev *f, const char *path, struct err *err)
{
	struct timespec limit = { .tv_sec = FILE_PROBE_NS / SEC_NS };
	struct iocb cb, *cbs = &cb;
	struct io_event ev;
	int r;

	io_prep_fdsync(&cb, f->fd);
	r = io_submit(f->ctx, 1, &cbs);
	if (r == 1) {
		do
			r = io_getevents(f->ctx, 1, 1, &ev, &limit);
		while (r == -EINTR);
		if (r == 0)	/* io_destroy() would wait for it: the context is left to the process */
			return err_set(err, -ETIMEDOUT, "%s: does not answer a flush", path);
		r = r == 1 ? (int)(long)ev.res : r;
	}
	f->fdsync = r == 0;
	if (r == 0 || r == -EINVAL || r == -EOPNOTSUPP)
		return 0;
	return err_set(err, r, "%s: flush: %s", path, strerror(-r));
}

static int file_setup_flush(struct file_dev *f, const char *path, struct err *err)
{
	int r;

	if (f->read_only)
		return 0;
	r = file_try_fdsync(f, path, err);
	if (r < 0 || f->fdsync)
		return r;
	r = helper_new(f->fd, f->event_fd, &f->flush.helper);
	return r < 0 ? err_set(err, r, "%s: cannot start the flush thread: %s", path, strerror(-r)) : 0;
}

static void file_init(struct file_dev *f, const char *path, unsigned flags)
{
	struct link *const heads[] = {
		&f->fresh, &f->waiting, &f->finished, &f->free, &f->ready, &f->unseen, &f->seen,
		&f->flush.wait, &f->flush.busy, &f->discard.wait, &f->discard.busy,
	};

	for (size_t i = 0; i < ARRAY_LEN(heads); i++)
		list_init(heads[i]);
	for (size_t i = 0; i < FILE_DEPTH; i++)
		list_push(&f->free, &f->slots[i].link);
	f->dev.ops = &file_ops;
	f->dev.timeout_ns = DEV_TIMEOUT_NS;
	f->read_only = (flags & DEV_FILE_RDONLY) != 0;
	f->fd = f->event_fd = -1;
	snprintf(f->dev.name, sizeof(f->dev.name), "%s", path);
}

int dev_file_open(const char *path, unsigned flags, struct dev **ret, struct err *err)
{
	bool direct = !(flags & DEV_FILE_NO_DIRECT);
	struct file_dev *f = mem_zalloc(sizeof(*f));
	int r;

	if (!f)
		return err_set(err, -ENOMEM, "%s: out of memory", path);
	file_init(f, path, flags);
	r = file_open_fd(f, path, direct, err);
	if (r == 0)
		r = file_geometry(f, path, direct, err);
	if (r == 0)
		r = file_setup_aio(f, path, err);
	if (r == 0)
		r = file_setup_flush(f, path, err);
	if (r == 0) {
		*ret = &f->dev;
		return 0;
	}
	if (f->ctx && r != -ETIMEDOUT)
		io_destroy(f->ctx);
	if (f->event_fd >= 0)
		close(f->event_fd);
	if (f->fd >= 0)
		close(f->fd);
	mem_free(f);
	return r;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* dev_rig.c - the double of the kernel and the rig of the tests of devices; see dev_rig.h. */
#include "dev_rig.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "scratch.h"
#include "suites.h"

/* ------------------------------------------------------------------ the double */

struct dev_double dbl = { .lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER };

typedef int (*submit_fn)(io_context_t ctx, long nr, struct iocb *ios[]);

static int real_submit(io_context_t ctx, long nr, struct iocb **ios)
{
	static submit_fn real;

	if (!real)
		real = (submit_fn)dlsym(RTLD_NEXT, "io_submit");
	return real(ctx, nr, ios);
}

static bool is_flush(const struct iocb *cb)
{
	return cb->aio_lio_opcode == IO_CMD_FDSYNC;
}

/* Half of the bytes, in whole sectors of 4 KiB, at least one. True if that is less than all. */
static bool shorten(struct iocb *cb)
{
	bool vec = cb->aio_lio_opcode == IO_CMD_PREADV || cb->aio_lio_opcode == IO_CMD_PWRITEV;
	unsigned long before = cb->u.c.nbytes;

	if (vec)
		cb->u.c.nbytes = MAX(before / 2, 1ul);
	else
		cb->u.c.nbytes = MAX(before / 2 / BLK_BYTES * BLK_BYTES, (unsigned long)BLK_BYTES);
	if (cb->u.c.nbytes > before)
		cb->u.c.nbytes = before;
	return cb->u.c.nbytes < before;
}

/* What becomes of one iocb: 1 taken, otherwise -errno. */
static int double_one(io_context_t ctx, struct iocb *cb)
{
	static char nothing[BLK_BYTES] __attribute__((aligned(4096)));

	if (dbl.refuse_at && --dbl.refuse_at == 0)
		return -EBADF;
	if (is_flush(cb) && dbl.no_fdsync)
		return -EINVAL;
	if (is_flush(cb) && dbl.break_flush) {
		dbl.break_flush--;
		cb->aio_lio_opcode = IO_CMD_PREAD;	/* at a negative offset: fails, in a moment or at once */
		cb->u.c.buf = nothing;
		cb->u.c.nbytes = sizeof(nothing);
		cb->u.c.offset = -4096;
	} else if (dbl.hold) {
		dbl.hold--;
		dbl.held_ctx = ctx;
		dbl.held[dbl.nheld++] = cb;
		return 1;
	} else if (dbl.shorten && !is_flush(cb)) {
		dbl.shorten -= shorten(cb);
	}
	return real_submit(ctx, 1, &cb);
}

int io_submit(io_context_t ctx, long nr, struct iocb *ios[])
{
	int r = 1;
	long n;

	dbl.calls++;
	dbl.largest = MAX(dbl.largest, nr);
	if (dbl.eagain > 0) {
		dbl.eagain--;
		return -EAGAIN;
	}
	if (!dbl.hold && !dbl.refuse_at && !dbl.shorten && !dbl.break_flush && !dbl.no_fdsync)
		return real_submit(ctx, nr, ios);
	for (n = 0; n < nr && (r = double_one(ctx, ios[n])) == 1; n++)
		;
	if (n && r == -EBADF)
		dbl.refuse_at = 1;	/* the kernel names the error of the first only */
	return n ? (int)n : r;
}

void double_release(void)
{
	for (int i = 0; i < dbl.nheld; i++)
		CU_ASSERT_EQUAL(real_submit(dbl.held_ctx, 1, &dbl.held[i]), 1);
	dbl.nheld = 0;
}

int fdatasync(int fd)
{
	int r;

	pthread_mutex_lock(&dbl.lock);
	dbl.syncs++;
	while (dbl.sync_hangs)
		pthread_cond_wait(&dbl.cond, &dbl.lock);
	r = dbl.sync_error;
	dbl.sync_error = 0;
	pthread_mutex_unlock(&dbl.lock);
	if (!r)
		return fsync(fd);
	errno = r;
	return -1;
}

void double_sync_goes_on(void)
{
	pthread_mutex_lock(&dbl.lock);
	dbl.sync_hangs = false;
	pthread_cond_broadcast(&dbl.cond);
	pthread_mutex_unlock(&dbl.lock);
}

/* ------------------------------------------------------------------ the rig: a device and I/Os on it */

uint64_t rig_clock(const struct rig *r)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SEC_NS + (uint64_t)ts.tv_nsec + r->skip_ns;
}

static void tio_done(struct dev_io *io)
{
	struct tio *t = container_of(io, struct tio, io);

	t->busy = false;
	t->dones++;
	t->rig->done++;
	if (io->op == DEV_READ && io->error == 0 && t->rig->model)
		CU_ASSERT_EQUAL(memcmp(t->buf, t->rig->model + io->off_bytes, io->len_bytes), 0);
}

void rig_turn(struct rig *r)
{
	int fd = dev_event_fd(r->dev);
	struct pollfd p = { .fd = fd, .events = POLLIN };

	dev_kick(r->dev);
	if (fd >= 0)
		CU_ASSERT_EQUAL_FATAL(poll(&p, 1, 5000), 1);
	dev_drain(r->dev, rig_clock(r));
}

void rig_settle(struct rig *r)
{
	while (r->dev->inflight)
		rig_turn(r);
}

void rig_assert_silent(struct rig *r)
{
	struct pollfd p = { .fd = dev_event_fd(r->dev), .events = POLLIN };

	for (int i = 0; i < 3; i++) {
		dev_drain(r->dev, rig_clock(r));
		if (p.fd < 0 || poll(&p, 1, 0) == 0)
			return;
		poll(NULL, 0, 1);	/* a completion is seen in the ring a moment before its signal */
	}
	CU_FAIL("the descriptor stays readable");
}

struct tio *rig_start(struct rig *r, struct tio *t, enum dev_op op, uint64_t off, uint64_t len, int niov)
{
	uint64_t each = ROUND_UP(len / (uint64_t)niov, (uint64_t)BLK_BYTES), at = 0;

	t->io = (struct dev_io){ .op = op, .off_bytes = off, .len_bytes = len, .iov = t->iov, .done = tio_done };
	for (t->io.niov = 0; at < len; t->io.niov++) {
		t->iov[t->io.niov] = (struct iovec){ t->buf + at, MIN(each, len - at) };
		at += t->iov[t->io.niov].iov_len;
	}
	t->busy = true;
	dev_queue(r->dev, &t->io);
	return t;
}

void rig_init(struct rig *r)
{
	*r = (struct rig){ .loop_fd = -1 };
	r->ios = calloc(IOS, sizeof(*r->ios));
	for (int i = 0; i < IOS; i++) {
		r->ios[i].rig = r;
		r->ios[i].buf = mem_alloc_aligned(IO_BYTES_MAX);
		memset(r->ios[i].buf, 0xee, IO_BYTES_MAX);
	}
}

void rig_file(struct rig *r, const char *where)
{
	int fd;

	rig_init(r);
	scratch_new(where, r->dir);
	snprintf(r->path, sizeof(r->path), "%s/file", r->dir);
	fd = open(r->path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	CU_ASSERT_FATAL(fd >= 0 && ftruncate(fd, (off_t)SIZE_BYTES) == 0);
	close(fd);
}

void rig_open(struct rig *r, unsigned flags)
{
	struct err err = ERR_INIT;
	int e = dev_file_open(r->path, flags, &r->dev, &err);

	/* File systems without direct I/O (tmpfs before Linux 6.6): the rest of the device is tested all the same. */
	if (e == -EOPNOTSUPP)
		e = dev_file_open(r->path, flags | DEV_FILE_NO_DIRECT, &r->dev, &err);
	if (e < 0)
		printf("\n%s\n", err.text);
	CU_ASSERT_EQUAL_FATAL(e, 0);
}

void rig_free(struct rig *r)
{
	if (r->dev)
		dev_close(r->dev);
	if (r->loop_fd >= 0) {
		ioctl(r->loop_fd, LOOP_CLR_FD, 0);
		close(r->loop_fd);
	}
	if (r->dir[0])
		scratch_remove(r->dir);
	for (int i = 0; i < IOS; i++)
		mem_free(r->ios[i].buf);
	free(r->ios);
	free(r->model);
	r->model = NULL;
}

bool rig_loop(struct rig *r, uint32_t sector)
{
	int ctl = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int n = ctl < 0 ? -1 : ioctl(ctl, LOOP_CTL_GET_FREE);
	struct loop_config conf = { .block_size = sector };
	int fd = open(r->path, O_RDWR | O_CLOEXEC);

	if (ctl >= 0)
		close(ctl);
	conf.fd = (uint32_t)fd;
	snprintf(r->path, sizeof(r->path), "/dev/loop%d", n);
	r->loop_fd = n < 0 ? -1 : open(r->path, O_RDWR | O_CLOEXEC);
	if (r->loop_fd >= 0 && ioctl(r->loop_fd, LOOP_CONFIGURE, &conf) < 0) {
		close(r->loop_fd);
		r->loop_fd = -1;
	}
	if (r->loop_fd < 0)
		printf(" (not on a loop device of %u bytes a sector: %s) ", sector, strerror(errno));
	close(fd);
	return r->loop_fd >= 0;
}

/* ------------------------------------------------------------------ random I/O against the model */

static bool overlaps(const struct rig *r, uint64_t off, uint64_t len)
{
	for (int i = 0; i < IOS; i++) {
		const struct tio *t = &r->ios[i];

		if (t->busy && t->io.op != DEV_FLUSH && off < t->io.off_bytes + t->io.len_bytes &&
		    t->io.off_bytes < off + len)
			return true;
	}
	return false;
}

static enum dev_op random_op(struct rng *rng)
{
	uint64_t k = rng_below(rng, 100);

	return k < 45 ? DEV_READ : k < 90 ? DEV_WRITE : k < 95 ? DEV_FLUSH : DEV_DISCARD;
}

static void random_one(struct rig *r, struct tio *t, struct rng *rng)
{
	uint32_t unit = r->dev->geom.logical_bytes;
	enum dev_op op = random_op(rng);
	uint64_t len = (1 + rng_below(rng, IO_BYTES_MAX / unit)) * unit;
	uint64_t off = rng_below(rng, (SIZE_BYTES - len) / unit) * unit;

	if (op == DEV_FLUSH) {
		rig_start(r, t, op, 0, 0, 1);
		return;
	}
	if (overlaps(r, off, len) || (op == DEV_DISCARD && !r->dev->geom.discard_bytes))
		return;
	if (op == DEV_DISCARD) {
		memset(r->model + off, 0, len);
	} else if (op == DEV_WRITE) {
		for (uint64_t i = 0; i < len; i += 8)
			memcpy(t->buf + i, &(uint64_t){rng_next(rng)}, 8);
		memcpy(r->model + off, t->buf, len);
	} else {
		memset(t->buf, 0xdd, len);
	}
	rig_start(r, t, op, off, len, 1 + (int)rng_below(rng, 8));
}

void rig_random_io(struct rig *r, int rounds)
{
	struct rng rng = unit_rng();

	r->model = calloc(1, SIZE_BYTES);
	for (int n = 0; n < rounds; n++) {
		unit_step = (uint64_t)n;
		for (int i = 0; i < IOS; i++) {
			if (!r->ios[i].busy && rng_below(&rng, 2))
				random_one(r, &r->ios[i], &rng);
		}
		if (r->dev->inflight)
			rig_turn(r);
	}
	rig_settle(r);
	for (uint64_t off = 0; off < SIZE_BYTES; off += IO_BYTES_MAX) {
		rig_start(r, &r->ios[0], DEV_READ, off, IO_BYTES_MAX, 3);
		rig_settle(r);
		CU_ASSERT_EQUAL(r->ios[0].io.error, 0);
	}
	CU_ASSERT_EQUAL(r->dev->stats.errors, 0);
	CU_ASSERT(r->dev->stats.ios[DEV_READ] && r->dev->stats.ios[DEV_WRITE] && r->dev->stats.ios[DEV_FLUSH]);
	CU_ASSERT(!r->dev->geom.discard_bytes || r->dev->stats.ios[DEV_DISCARD]);
	CU_ASSERT_EQUAL(r->dev->inflight, 0);
	rig_assert_silent(r);
}

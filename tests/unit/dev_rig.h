/* SPDX-License-Identifier: GPL-2.0-only */
/* dev_rig.h - what the tests of devices share: a device on a temporary file, I/Os on it, and a double of the kernel.
 *
 * What no healthy kernel does on demand (losing an I/O, refusing it, cutting it short, failing a flush) is done by a
 * double that stands between the device and libaio: this program's io_submit() and fdatasync() are found first.
 */
#ifndef HB_TESTS_UNIT_DEV_RIG_H
#define HB_TESTS_UNIT_DEV_RIG_H

#include <CUnit/CUnit.h>
#include <libaio.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"
#include "base/units.h"
#include "dev/dev.h"
#include "scratch.h"

#define SIZE_BYTES MIB(8)
#define IOS 96
#define IO_BYTES_MAX KIB(64)

struct dev_double {
	int calls;			/* of io_submit */
	long largest;			/* iocbs in one call */
	int hold;			/* so many of the next reads and writes are lost until double_release() */
	struct iocb *held[8];
	int nheld;
	io_context_t held_ctx;
	int eagain;			/* so many of the next calls answer EAGAIN */
	int refuse_at;			/* the n-th next iocb is refused with EBADF; 0: none */
	int shorten;			/* so many of the next transfers are cut in half */
	int break_flush;		/* so many of the next flushes fail */
	bool no_fdsync;
	int sync_error;			/* errno of the next fdatasync() */
	bool sync_hangs;
	int syncs;			/* calls of fdatasync */
	pthread_mutex_t lock;
	pthread_cond_t cond;
};

/* Lets everything through unless told otherwise. */
extern struct dev_double dbl;

struct rig {
	struct dev *dev;
	char path[64], dir[SCRATCH_PATH_MAX];
	int loop_fd;
	uint64_t skip_ns;		/* added to the clock */
	struct tio *ios;
	unsigned char *model;		/* NULL: contents are not checked */
	int done;
};

struct tio {
	struct dev_io io;
	struct rig *rig;
	struct iovec iov[8];
	unsigned char *buf;		/* IO_BYTES_MAX */
	bool busy;
	int dones;
};

/* The lost ones reach the kernel after all. */
void double_release(void);
/* The fdatasync() that hangs ends. */
void double_sync_goes_on(void);
/* The monotonic clock, plus skip_ns. */
uint64_t rig_clock(const struct rig *r);
/* One turn: kick, wait for the descriptor (5 s: then it never came), drain. */
void rig_turn(struct rig *r);
/* Turns until nothing is in flight. */
void rig_settle(struct rig *r);
/* With nothing in flight the descriptor must fall silent, or the loop would spin. */
void rig_assert_silent(struct rig *r);
/* Queues an I/O on t's buffer, in `niov` parts at most. */
struct tio *rig_start(struct rig *r, struct tio *t, enum dev_op op, uint64_t off, uint64_t len, int niov);
/* A rig without a device. */
void rig_init(struct rig *r);
/* A rig with a file of SIZE_BYTES in a new directory under `where`. */
void rig_file(struct rig *r, const char *where);
/* Opens it. */
void rig_open(struct rig *r, unsigned flags);
void rig_free(struct rig *r);
/* Puts a loop device over the rig's file. False (and says why) where there is none to have. */
bool rig_loop(struct rig *r, uint32_t sector);
/* Random I/O of all kinds, many at a time, against the model; then reads all of it back. */
void rig_random_io(struct rig *r, int rounds);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/* mirror_rig.h - a mirror of simulated disks for the tests of its faults: I/Os on it, and an owner that watches it. */
#ifndef HB_TESTS_UNIT_MIRROR_RIG_H
#define HB_TESTS_UNIT_MIRROR_RIG_H

#include "base/rng.h"
#include "base/units.h"
#include "dev/mirror.h"
#include "dev/sim.h"

#define MRIG_BYTES MIB(7)		/* more windows than are copied at a time, and the last one cut */
#define MRIG_BLKS (MRIG_BYTES / BLK_BYTES)
#define MIO_BLK 16			/* most blocks of one I/O */

struct mrig;

struct mio {
	struct dev_io io;
	struct iovec iov[2];
	struct mrig *rig;
	uint64_t *buf;			/* MIO_BLK blocks */
	uint64_t id;			/* of a write: what its blocks are filled with */
	unsigned order;			/* of its done(), from 1; 0: in flight */
};

struct mrig {
	struct sim_clock clock;
	struct sim_disk *disk[3];	/* halves 0 and 1, and what replaces one */
	int place[2];			/* disk of each half */
	struct dev *dev;
	unsigned dones;
	void (*done)(struct mio *t);	/* optional; after each */
	/* What the owner was told. */
	unsigned lost, synced, bad_reads;
	int lost_half, lost_error, synced_error;
	uint64_t bad_off;
	bool accepts;			/* at once, in lost() */
};

/* Both halves in, disks 0 and 1; disk 2 is not open. */
void mrig_begin(struct mrig *g, uint64_t seed);
void mrig_end(struct mrig *g);
void mio_init(struct mrig *g, struct mio *t);
void mio_free(struct mio *t);
/* Queues; blocks. A write fills its blocks with `id`. */
void mrig_queue(struct mrig *g, struct mio *t, enum dev_op op, uint64_t blk, uint64_t n, uint64_t id);
/* Kick, on to the next moment at which something is due, drain. False: nothing ever will be. */
bool mrig_step(struct mrig *g);
/* Until the I/O is done. */
void mrig_wait(struct mrig *g, struct mio *t);
/* Until nothing is in flight but what is held. */
void mrig_settle(struct mrig *g);
/* One I/O of one block, waited for; its error (no time-out: its memory is freed). `side` as in struct dev_io; the value
 * read or to be written: *id. */
int mrig_do(struct mrig *g, enum dev_op op, uint64_t blk, uint64_t *id, uint8_t side);
void mrig_arm(struct mrig *g, int half, const struct sim_faults *f);
/* Disk 2 in the place of `half`, which is out and accepted, and a copy of everything to it. */
void mrig_replace(struct mrig *g, int half, uint64_t rate);
/* The id of a block as a half's disk has it; UINT64_MAX: a mixture. */
uint64_t mrig_peek(const struct sim_disk *d, uint64_t blk);

#endif

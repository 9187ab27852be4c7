/* SPDX-License-Identifier: GPL-2.0-only */
/* hdd_rig.h - what the tests of the modelled HDD share: a medium of any size that holds nothing, and a closed loop of
 * I/Os on a drive over it, in virtual time.
 */
#ifndef HB_TESTS_UNIT_HDD_RIG_H
#define HB_TESTS_UNIT_HDD_RIG_H

#include <CUnit/CUnit.h>

#include "base/rng.h"
#include "base/units.h"
#include "dev/hdd.h"

#define DRIVE_BYTES 4000000000000ull
#define FLIGHT 64

struct void_dev {
	struct dev dev;
	struct link queued;
	uint64_t log[64]; /* offsets (a flush: 1) in the order they came */
	int nlog;
	bool holds; /* finishes nothing */
	int error;
};

struct load;

struct vio {
	struct dev_io io;
	struct iovec iov;
	struct load *load;
	bool busy;
};

struct load {
	struct dev *dev;
	struct void_dev *medium;
	struct rng rng;
	uint64_t now_ns;
	/* The next I/O's offset, length and op: what one run asks for. */
	void (*next)(struct load *l, struct dev_io *io);
	uint64_t at, step; /* for next() */
	uint64_t left, done, errors;
	uint64_t longest_ns, last_ns; /* latency; of the last completion */
	uint64_t trace;
	uint64_t order[FLIGHT]; /* offsets of the first to finish; a flush: 1 */
	struct vio ios[FLIGHT];
};

/* A medium that finishes everything in the next drain. */
struct void_dev *void_new(uint64_t size);
/* A drive over such a medium, in virtual time; `model` NULL: the default. */
struct load *load_new(const struct hdd_model *model, uint64_t size);
void load_free(struct load *l);
/* Queues one I/O. */
void load_start(struct load *l, struct vio *v, enum dev_op op, uint64_t off, uint64_t len);
/* Queues l->next()'s I/O, if any are left. */
void load_next(struct load *l, struct vio *v);
/* Goes from event to event until nothing is in flight. */
void load_settle(struct load *l);
/* `n` I/Os, `depth` at a time; how many a second. */
double load_run(struct load *l, unsigned depth, uint64_t n, void (*next)(struct load *l, struct dev_io *io));
void vio_done(struct dev_io *io);
/* 4 KiB anywhere on the drive; l->step bytes after the last. */
void random_read(struct load *l, struct dev_io *io);
void random_write(struct load *l, struct dev_io *io);
void ascending_read(struct load *l, struct dev_io *io);
void ascending_write(struct load *l, struct dev_io *io);
/* The rate of a run on a drive of its own. */
double iops(const struct hdd_model *model, unsigned depth, uint64_t n,
	    void (*next)(struct load *l, struct dev_io *io));
/* Says what it is, if it is not. */
bool between(double x, double low, double high);

#endif

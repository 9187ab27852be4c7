/* SPDX-License-Identifier: GPL-2.0-only */
/* disk.h - the bytes of a pool's volumes and snapshots, through tgtd on this machine. Thread-safe.
 *
 * tgtd owns the pools, so their bytes are reached as an initiator would: each open disk has a private target in tgtd
 * (PREFIX:internal:ID, LUN 1), bound to an initiator name of ours, CHAP both ways with secrets that are drawn for this
 * opening and are nowhere but in memory. Both ways, since any local user may listen on the portal while tgtd is dead.
 * Sessions, lost connections, time limits: dev/iscsi.h. One thread moves the bytes of all open disks; a second one sets
 * up targets anew when tgtd has come back, and closes disks that nobody has used for a while: opening costs some tens
 * of milliseconds, so who reads block by block gets the same disk again at no cost.
 *
 * Limits: a dead tgtd is waited for, 25 s; then what waits, and what is asked anew, ends with -ECONNREFUSED, until it
 * is back. Writes that were answered outlive tgtd: a disk_flush() after its return makes them durable.
 *
 * The caller sees to it that writes and unmaps in flight overlap with nothing else in flight.
 */
#ifndef HB_BOX_DISK_H
#define HB_BOX_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "box/tgt.h"
#include "dev/dev.h"

#define DISK_INTERNAL "internal:" /* of targets' names, after the box's prefix and ':' */
#define DISK_IDLE_MS 30000u

struct disks; /* all that are open */
struct disk; /* one */

struct disks_conf {
	struct tgt *tgt; /* borrowed until disks_free() */
	const char *prefix; /* of targets' names */
	const char *const *portals; /* "ADDRESS:PORT" of tgtd on this machine; the first 8 are tried */
	unsigned nportals;
	const char *pools_conf; /* as struct tgt_target.conf; NULL: the module's default */
	uint32_t idle_ms; /* 0: DISK_IDLE_MS */
	uint32_t patience_ms; /* 0: 25 s; for tests */
};

/* Copies all but tgt. */
int disks_new(const struct disks_conf *conf, struct disks **ret, struct err *err);
/* Closes what is open; nobody may use it any more. NULL is fine. */
void disks_free(struct disks *ds);

/* Opens, or finds it open. id: of volume or snapshot in the catalogue; of an iSCSI name's letters. store: "POOL/NAME".
 * Of a snapshot, and of what is only to be read, write is false. *ret: disk_put() takes it back.
 * -ECONNREFUSED: tgtd cannot be reached, or has just gone: try again. -ENOENT: tgtd cannot open it (not there, or its
 * pool is not open). -EBUSY: it is open, but not for writing. -EROFS: a snapshot is not written to. */
int disk_get(struct disks *ds, const char *id, const char *store, bool write, struct disk **ret, struct err *err);
/* keep: it stays open for a while, should it be wanted again; else it is closed, and its target gone, if nobody else
 * has it (if tgtd can be asked; else disks_sync() takes it down). All I/O must have ended. */
void disk_put(struct disk *d, bool keep);
/* Closes it, and takes down its target, also one that an earlier life left: then the pool may delete what it was of.
 * -EBUSY: somebody has it; or as tgt_remove(). */
int disks_forget(struct disks *ds, const char *id, struct err *err);
/* Makes tgtd's internal targets what they should be: those of open disks are there, those of earlier lives go. */
int disks_sync(struct disks *ds, struct err *err);

uint64_t disk_size(const struct disk *d); /* bytes, when it was opened */

/* One request. Offsets and lengths are multiples of 512; of unmaps see disk_zero(). */
struct disk_io {
	enum dev_op op; /* DEV_READ, DEV_WRITE, DEV_DISCARD, DEV_FLUSH */
	uint64_t off_bytes, len_bytes;
	void *buf; /* borrowed until it is over; of reads and writes */
	/* Optional: runs on the thread of all disks, must not block; it may disk_submit(). Without it: disk_wait(). */
	void (*done)(struct disk_io *io);
	void *owner; /* the caller's */
	int error; /* 0 or a -errno, when it is over */
	/* Inside. */
	struct disk *disk;
	struct dev_io dev;
	struct iovec iov;
	bool over;
};

/* Takes it until it is over; any number at a time. What is out of range ends with -EINVAL. */
void disk_submit(struct disk *d, struct disk_io *io);
/* Returns io->error, with a sentence. */
int disk_wait(struct disk_io *io, struct err *err);

/* The same, waited for. */
int disk_read(struct disk *d, uint64_t off_bytes, void *buf, uint64_t len_bytes, struct err *err);
int disk_write(struct disk *d, uint64_t off_bytes, const void *buf, uint64_t len_bytes, struct err *err);
int disk_flush(struct disk *d, struct err *err);
/* Reads as zeros then, and takes no space where that can be: unmapped, the ends written if they must be. */
int disk_zero(struct disk *d, uint64_t off_bytes, uint64_t len_bytes, struct err *err);

/* Tells runs of what may hold something else than zeros, in order, each after the last; false: it has seen enough. */
typedef bool disk_run_fn(void *ctx, uint64_t off_bytes, uint64_t len_bytes);
/* In a session of its own, on this thread. 0, -ECONNREFUSED, -ETIMEDOUT, -EIO. */
int disk_mapped(struct disk *d, uint64_t off_bytes, uint64_t len_bytes, disk_run_fn *run, void *ctx, struct err *err);

#endif

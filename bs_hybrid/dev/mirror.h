/* SPDX-License-Identifier: GPL-2.0-only */
/* mirror.h - a device over two devices, for the write tier: what is dirty lies on both, and one of them may die.
 *
 * The halves are numbered 0 and 1 here; in struct dev_io.side and .served, where 0 is "any" and "none", 1 and 2. Reads
 * go to one half that is IN, writes, flushes and discards to all that are IN or SYNCING. A write is answered when all
 * of them have ended it, with success if one that is IN has it.
 *
 * A half goes OUT by the first failed write or flush, by an I/O that timed out, or by saying of itself that it failed.
 * A read error alone costs nothing: the other half is asked (dev_io.served and bad_read() tell, and the owner may write
 * the good bytes back with dev_io.side). The last half that is IN is treated as a plain device is: a failed write is
 * answered with its error, and only a failed flush, a time-out or its own word make it OUT; then the mirror is failed.
 *
 * Invariants
 * (1) Those of dev.h, for the mirror as a whole. A read that timed out at one half is not tried at the other: the late
 *     device may still write into that memory. It is answered with -ETIMEDOUT; asked again with other memory it
 *     succeeds at the other half.
 * (2) What is OUT is never read and never written again; only another device in its place (dev_mirror_replace) can be
 *     IN again, after all of it was written. A write that timed out at one half and is on the other is answered with
 *     success, so the late device may take bytes from memory that means something else by then: it is stale anyhow.
 *     That is why a medium may come back as a new half only after its old device is closed (a block device sees to
 *     that itself: it is opened exclusively).
 * (3) The owner keeps to one write of a byte at a time (sim.h counts those that do not): two in flight may land in
 *     another order on each half, and the halves would differ for good.
 *
 * Crash stories
 * - Half 1 goes OUT, and a write that only half 0 has is answered. Power fails. Half 1 comes back, its superblock says
 *   that all is well, and it has older bytes: read from there, what was answered as durable is gone. So from the moment
 *   a half goes OUT, good answers to writes and flushes are HELD, until the owner has recorded - durably, on the
 *   other half and wherever else it looks when it opens - that the half is stale, and says so (dev_mirror_accept). The
 *   owner's record itself is written with dev_io.side and passes. Reads go on: what they show of held writes was not
 *   promised to anybody, as with any write under way. Errors are not held: they promise nothing.
 * - A window is copied from half 0 to half 1 while a write to it is under way: the copy is read before the write lands
 *   on half 0, and lands on half 1 after it. Half 1 keeps the old bytes and is trusted. So a window begins when no
 *   write that overlaps it is under way, and those that come wait until it is over (they are not answered meanwhile, so
 *   no order that was promised is changed). A window that would overlap one that waits does not begin: else a discard
 *   of everything would wait for ever.
 * - The new half is trusted while a write that was sent before it came is still under way: only the old half gets it.
 *   So the end of the copying waits for those too.
 * - The new half is trusted, power fails, and its cache had the copied bytes. So it is flushed before synced() is told.
 *   What was written meanwhile is flushed by the owner's own flushes: they go to both.
 * - Power fails with both halves IN: they may differ wherever a write was under way, for nothing is resynced at open. A
 *   read may see one half's bytes, the next read the other's. The owner's checksums tell, and `side` heals; what it has
 *   no checksum for it must write again before it relies on it.
 */
#ifndef HB_DEV_MIRROR_H
#define HB_DEV_MIRROR_H

#include "dev/dev.h"

enum mirror_state {
	MIRROR_IN,
	MIRROR_OUT, /* absent, failed or stale: never read, never written */
	MIRROR_SYNCING /* written, not read; unless with dev_io.side, not even then read */
};

/* What the owner is told; always from dev_drain(). May call anything below and queue I/O, but neither drain nor close
 * the device. What happens before there is a watch is told when there is one. */
struct mirror_watch {
	/* The half went OUT; error: why, a -errno. Once for each time it does. Answers are held from now on, until
	 * dev_mirror_accept() or dev_mirror_refuse(). Of the second half too: nothing is held then, all that is not
	 * answered yet gets an error. */
	void (*lost)(void *ctx, int half, int error);
	/* The end of a dev_mirror_sync(), once for each. 0: all was copied and is durable. -EIO: the same, except for
	 * dev_mirror_unreadable() bytes that the only good half could not read (what the copy has there is anything).
	 * -ECANCELED: dev_mirror_stop(). Others: what took a half OUT meanwhile, lost() told which. */
	void (*synced)(void *ctx, int half, int error);
	/* Optional. This half could not read the range, the other could and is IN too. */
	void (*bad_read)(void *ctx, int half, uint64_t off_bytes, uint64_t len_bytes);
	void *ctx;
};

/* A mirror of half[0] and half[1]. A half that is NULL is OUT whatever is said; at least one must be IN, else -EINVAL.
 * Size: the smaller of those not OUT; geometry: the stricter of them. On success the mirror owns the halves, on failure
 * they stay the caller's. That a half is not IN must have been recorded by the owner: nothing is held for it. Memory:
 * about 100 KiB. 0 or a -errno with the reason in err. */
int dev_mirror_new(struct dev *half[2], const enum mirror_state state[2], struct dev **ret, struct err *err);
void dev_mirror_watch(struct dev *dev, const struct mirror_watch *watch); /* copied; NULL: nobody watches */

bool dev_is_mirror(const struct dev *dev);
enum mirror_state dev_mirror_state(const struct dev *dev, int half);
/* The device, for its name and stats. Borrowed; NULL: absent. */
struct dev *dev_mirror_half(struct dev *dev, int half);
/* The half that lost() told of and that waits to be accepted; -1: none. For an owner that asks between two drains. */
int dev_mirror_unaccepted(const struct dev *dev);

/* The owner cannot use the half, for what it read there: it goes OUT, as by a failed write, unless it is. */
void dev_mirror_drop(struct dev *dev, int half, int error);
/* The owner has recorded durably that the half is stale: what was held is answered in the order in which it ended, from
 * the drain under way or from the next. */
void dev_mirror_accept(struct dev *dev, int half);
/* The owner cannot record it: what was held, and every write and flush from now on, is answered with `error` (a
 * -errno). Reads go on. */
void dev_mirror_refuse(struct dev *dev, int half, int error);

/* Puts a device in the place of one that is OUT and accepted; it is SYNCING from now on. On success the mirror owns it,
 * and closes the old one as soon as nothing of it is in flight or orphaned. -EBUSY: not OUT, not accepted, a
 * copy still ending, or too many old devices that hang; -EINVAL: smaller than the mirror, or wants larger units.
 * The owner asks for dev_event_fd() again if it was -1. */
int dev_mirror_replace(struct dev *dev, int half, struct dev *new_half, struct err *err);
/* Copies [from, to) from the half that is IN to the one that is SYNCING, in windows of 1 MiB, at most at rate_bytes_s
 * (0: as fast as it goes). Multiples of geom.logical_bytes. The copy's I/O counts in dev->inflight: who wants to see
 * that at 0 calls dev_mirror_stop(). -EINVAL: no such halves, or no such range; -EBUSY: one is under way; -ENOMEM. */
int dev_mirror_sync(struct dev *dev, uint64_t from_bytes, uint64_t to_bytes, uint64_t rate_bytes_s);
/* No further window begins; synced(-ECANCELED) follows. Nothing to stop: nothing happens. */
void dev_mirror_stop(struct dev *dev);
/* Of the sync under way, else of the last one: of *total bytes the first *done are copied. One that was stopped may go
 * on from there, as long as the half stays SYNCING; not after a restart: nothing of it is durable before the end. */
void dev_mirror_synced(const struct dev *dev, uint64_t *done_bytes, uint64_t *total_bytes);
uint64_t dev_mirror_unreadable(const struct dev *dev); /* bytes of it that the source could not read */
/* When it wants the next dev_drain(), at the latest, by the clock given to that (0: now): the copy's pace, what was
 * accepted or stopped between two drains. UINT64_MAX: the end of some I/O will do, or there is nothing to do. */
uint64_t dev_mirror_next_ns(const struct dev *dev);
/* The half is as good as the other, and the owner has recorded that durably: SYNCING -> IN. -EINVAL: it is not SYNCING
 * (any more), or no sync of it ended with 0 or -EIO; -EBUSY: a sync is under way. */
int dev_mirror_trust(struct dev *dev, int half);

#endif

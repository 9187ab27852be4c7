/* SPDX-License-Identifier: GPL-2.0-only */
/* sim.h - a simulated disk: what survives the process (struct sim_disk) and the device that is opened on it.
 *
 * Time is simulated: a struct sim_clock is shared by all disks of a world and moved by whoever drives them. An I/O
 * that was kicked is finished at kick time + a latency drawn from the disk's own generator, so I/Os overtake each
 * other; the same seed gives the same run. Nothing here is fast-path code: it is made to be cruel and repeatable.
 *
 * What happens to bytes
 * (1) A write lands in the disk's volatile cache when it completes. Reads see the cache. The device may take a write's
 *     bytes at any moment between kick and completion; a buffer that changes meanwhile is counted in `changed`.
 * (2) A flush makes durable, when it completes, the writes that had completed before it was queued; no others. A flush
 *     that fails forsakes those writes: no later flush makes them durable (they must be written again), unless the
 *     device is closed and opened before it.
 * (3) A power cut decides for every 512-byte sector that has undurable versions which one it holds from now on: the
 *     durable one, any later one, or (seldom) a mixture of two. Writes in flight take part as versions. Nothing
 *     is ordered: a later write may survive an earlier one.
 * (4) The death of the process (closing the device with I/O in flight) keeps the cache; each write in flight lands
 *     wholly, partly or not at all.
 * (5) A write that fails may have landed in part.
 *
 * Memory is plain libc memory (running out aborts): a test that makes the engine's n-th allocation fail means the
 * engine's, not the simulator's.
 */
#ifndef HB_DEV_SIM_H
#define HB_DEV_SIM_H

#include "base/rng.h"
#include "dev/dev.h"

struct sim_disk;

enum sim_event { SIM_SENT, SIM_DONE };

struct sim_clock {
	uint64_t now_ns;
	uint64_t trace; /* hash over all that happened on all disks, in order */
	uint64_t completions;
	/* Optional. After I/O went down (SIM_SENT) and after each done() (SIM_DONE); not for reads, which change
	 * nothing. May clone disks, may not touch them. */
	void (*event)(void *ctx, struct sim_disk *disk, enum sim_event what);
	void *ctx;
};

/* Faults; all zero: none. I/Os are numbered from 1, in the order they are sent down, since the last sim_disk_arm(). */
struct sim_faults {
	unsigned ops; /* 1 << enum dev_op: which ops are numbered; 0: all */
	uint64_t eio_at, eio_count; /* I/Os eio_at .. eio_at + eio_count - 1 fail with eio_error */
	int eio_error; /* a -errno; 0: -EIO */
	uint64_t stuck_at; /* this one never completes: the device's time-out must answer it */
	uint64_t late_ns; /* a stuck one finishes so long after it was given up, using its old memory; 0: never */
	uint64_t room_bytes; /* writes that touch more new pages than this answer -ENOSPC; 0: no limit */
	bool lying_flush; /* flushes answer 0 and make nothing durable */
};

enum sim_crash { SIM_PROCESS_DEATH, SIM_POWER_CUT, SIM_POWER_CUT_UNTORN /* sectors are lost or kept, not torn */ };

struct sim_counts {
	uint64_t changed; /* writes whose buffer changed between kick and completion */
	uint64_t overlaps; /* writes sent while another write to the same bytes was in flight */
	uint64_t sent; /* I/Os since sim_disk_arm(), of the numbered ops */
	uint64_t fault_hits; /* faults that really happened */
	uint64_t undurable_pages;
};

/* The disk becomes larger; who has it open sees that with dev_rescan. */
void sim_disk_grow(struct sim_disk *d, uint64_t size_bytes);
/* A blank disk. size_bytes: a multiple of 4096; logical_bytes: 512 or 4096. */
struct sim_disk *sim_disk_new(struct sim_clock *clock, const char *name, uint64_t size_bytes, uint32_t logical_bytes,
			      uint64_t seed);
/* The disk as it would be found after a crash at this very moment; src goes on unharmed (it may be open and have I/O
 * in flight). Shares all pages, so it costs little. The clone is closed and without faults. */
struct sim_disk *sim_disk_crashed(const struct sim_disk *src, enum sim_crash how, struct sim_clock *clock,
				  uint64_t seed);
/* The same for the disk itself, which must be closed. Faults are disarmed. */
void sim_disk_crash(struct sim_disk *d, enum sim_crash how);
void sim_disk_free(struct sim_disk *d); /* must be closed */

/* A device on the disk; one at a time. Closing it leaves the disk. */
struct dev *sim_open(struct sim_disk *d);

/* Sets the faults and begins to number I/Os from 1. */
void sim_disk_arm(struct sim_disk *d, const struct sim_faults *f);
void sim_disk_set_rotational(struct sim_disk *d, bool rotational); /* slower; before sim_open() */
struct sim_counts sim_disk_counts(const struct sim_disk *d);
/* When something is due at the latest: a completion or a time-out. UINT64_MAX: nothing in flight. */
uint64_t sim_disk_next_ns(const struct sim_disk *d);
uint64_t sim_disk_size(const struct sim_disk *d);

/* The bytes as a read would find them now. */
void sim_disk_peek(const struct sim_disk *d, uint64_t off_bytes, void *buf, uint64_t len_bytes);
/* Puts bytes on the medium, durably, in all versions. */
void sim_disk_poke(struct sim_disk *d, uint64_t off_bytes, const void *buf, uint64_t len_bytes);
/* Flips one bit, durably. */
void sim_disk_flip(struct sim_disk *d, uint64_t bit);
/* A page that holds something: page number of 4 KiB from `from` on, or UINT64_MAX. */
uint64_t sim_disk_next_page(const struct sim_disk *d, uint64_t from);

#endif

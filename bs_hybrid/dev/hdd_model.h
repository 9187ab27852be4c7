/* SPDX-License-Identifier: GPL-2.0-only */
/* hdd_model.h - inside of the HDD device: the drive as pure arithmetic, without bytes and without a clock. Nobody
 * else's (and the tests').
 *
 * Places are measured in passing time: how long the platter takes to pass from the first byte of the drive to that one
 * when it is read in one go. So a track is one turn of passing time, the distance of two places is what reading from
 * one to the other takes, and the head is over place p at time t if and only if p and t are congruent modulo the turn.
 * All is integer: a sequential stream never misses its turn by a rounding error, and every machine gives the same run.
 */
#ifndef HB_DEV_HDD_MODEL_H
#define HB_DEV_HDD_MODEL_H

#include "dev/hdd.h"

#define HDD_ZONES 24

/* A request as the drive knows it; memory is the caller's until it is stepped out. */
struct hdd_req {
	struct link link; /* hdd_drive.queue or .bus */
	enum dev_op op;
	uint64_t off, len; /* bytes */
	uint64_t from, to; /* places of both ends */
	uint64_t arrived_ns;
	uint64_t due_ns; /* finished; valid when served or on the bus */
};

struct hdd_zone {
	uint64_t off, place; /* where it begins */
	uint64_t bytes_s;
};

/* A range in the write cache; they are sorted, and do not touch each other. */
struct hdd_extent {
	uint64_t off, len;
};

struct hdd_drive {
	struct hdd_model model; /* scaled */
	uint64_t turn_ns, size_bytes, tracks;
	struct hdd_zone zones[HDD_ZONES];
	uint64_t clock_ns; /* all that happens until then has happened */
	struct link queue; /* for the arm, in order of arrival */
	struct link bus; /* need no platter */
	bool busy; /* the arm, until busy_ns */
	uint64_t busy_ns;
	struct hdd_req *served; /* NULL while busy: destaging */
	struct hdd_req *flush; /* waits for the cache to be empty */
	/* The head is over `head` at head_ns (which may be to come), and goes on until it stops over `stop`. */
	uint64_t head, head_ns, stop;
	/* What was read last ended at seq_off; the buffer gets what follows until stop_off; equal: no read-ahead. */
	uint64_t seq_off, stop_off;
	struct {
		struct hdd_extent *extents; /* owner */
		uint32_t n, max;
		uint64_t bytes, destaging; /* in extents; on the way to the platter */
		uint64_t sweep_off; /* the last one ended there */
		bool turn; /* the arm served it last: a request is next */
	} cache;
	struct hdd_stats stats;
};

/* A checked model. 0 or -ENOMEM. */
int hdd_drive_init(struct hdd_drive *d, const struct hdd_model *model, uint64_t size_bytes);
void hdd_drive_resize(struct hdd_drive *d, uint64_t size_bytes);
void hdd_drive_free(struct hdd_drive *d);
/* A request arrives now (clock_ns); op, off and len are set, the range is within the drive. A flush comes alone. */
void hdd_drive_enter(struct hdd_drive *d, struct hdd_req *r);
/* Goes on to the next request that is finished at now_ns or earlier, and returns it (due_ns says when that was; the
 * clock stands there, so that a successor can enter); NULL: none, the clock is at now_ns. */
struct hdd_req *hdd_drive_step(struct hdd_drive *d, uint64_t now_ns);
/* When something happens next, after a step that returned NULL; UINT64_MAX: nothing. */
uint64_t hdd_drive_next_ns(const struct hdd_drive *d);
/* Forgets all requests and what is cached. */
void hdd_drive_reset(struct hdd_drive *d);
/* The place of a byte, in nanoseconds. */
uint64_t hdd_drive_place(const struct hdd_drive *d, uint64_t off);

/* hdd_cache.c: the write cache's extents, sorted and merged. False: no room (or larger than all of it). */
bool hdd_cache_add(struct hdd_drive *d, uint64_t off, uint64_t len);
/* The next piece in ascending order (then from the start again), of HDD_DESTAGE_BYTES at most. False: empty. */
bool hdd_cache_take(struct hdd_drive *d, struct hdd_extent *ret);

#define HDD_DESTAGE_BYTES (1ull << 20)

#endif

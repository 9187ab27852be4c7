/* SPDX-License-Identifier: GPL-2.0-only */
/* scrub.h - reading everything in the background, to find what has rotted before somebody needs it; see engine.h for
 * how it is asked for.
 *
 * Tier after tier, in order of place, stretch by stretch: at most SCRUB_BLK blocks with one read (engine/image.h). What
 * moves meanwhile is not missed: who moves a block checks it, and what is new was in memory a moment ago. So segments
 * that are still in staging or in a level's buffer are passed over. A tier that is being loaded is waited for.
 *
 * Invariants
 * (S1) While a stretch of a segment is read, judged and mended, the segment's readers are raised: a slot's bytes never
 *      change within that life of the segment, so any slot that is live when its bytes are compared is judged by its
 *      own bytes, and a mend of a mirror's half never hits a newer block.
 * (S2) A slot is judged by its state and checksum at the moment of comparing.
 */
#ifndef HB_ENGINE_SCRUB_H
#define HB_ENGINE_SCRUB_H

#include "engine/engine.h"
#include "engine/image.h"
#include "space/segs.h"

#define SCRUB_BLK 64u /* of a stretch: one bit each in the masks below */
#define SCRUB_CAPACITY (HB_LEVELS_MAX + 1u) /* the tier's number */

struct hb_pool;
struct level;

struct scrub {
	struct hb_pool *pool;
	struct hb_scrub_status st; /* done and total are brought up to date by hb_scrub_status */
	uint64_t start_ns;
	uint64_t pace_ns, wait_ns; /* when the next stretch may begin; when to look again at what had to wait */
	uint64_t busy_ns; /* since when the device has something better to do; 0: it has not */
	uint32_t no, at; /* the next place: segment and block in it; or chunk, counted from 0 */
	/* the stretch at hand */
	slot_t slot; /* its first one */
	pblk_t home; /* the same of the capacity device */
	uint32_t n, live; /* blocks; of them those that count */
	struct seg *held; /* (S1) */
	struct image image[2]; /* of a mirror: as each half has it */
	bool both; /* a mirror, and both halves are good */
	bool io; /* something is in flight */
	bool writing; /* that is a write */
	uint64_t mend; /* bad on one half */
	uint64_t again; /* dirty and bad: to be read once more, alone */
	uint64_t unread; /* of the capacity device: cannot be read */
	uint8_t tries;
	slot_t copy; /* being read for a block of `unread` */
	struct level *copy_of; /* where; NULL: the write tier */
	uint64_t was_live, was_dirty; /* before the read: for a deliberate bug only */
	struct dev_io write;
	struct iovec iov;
};

/* ---------------------------------------------------------------- scrub.c */
bool scrub_pump(struct hb_pool *p);
uint64_t scrub_deadline(const struct hb_pool *p);
void scrub_fini(struct hb_pool *p);
/* For scrub_bad.c: the stretch was dealt with; nothing of it can be had (a device that failed or is late); somebody
 * wants the scrub to end (it has, then). */
void scrub_stretch_over(struct scrub *s);
void scrub_stretch_skipped(struct scrub *s);
bool scrub_cut_off(struct scrub *s);
void scrub_let_go(struct scrub *s); /* what is held */

/* ---------------------------------------------------------------- scrub_bad.c */
/* The stretch was read. */
void scrub_judge(struct scrub *s);
/* Goes on with what judging left to be done. True: did something. */
bool scrub_work(struct scrub *s);
static inline bool scrub_has_work(const struct scrub *s)
{
	return s->mend || s->again || s->unread;
}

#endif

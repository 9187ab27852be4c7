/* SPDX-License-Identifier: GPL-2.0-only */
/* segs.h - the segments of the write tier: their lives, and how much in them still counts. Pure memory.
 *
 * States: FREE -> OPEN (the log writes to it) -> SEALED -> FREEING (its SEG_FREE record is in the log, not yet durable)
 * -> FREE. Sealed segments stand in the order in which they were opened; cleaning takes the oldest.
 *
 * Invariants
 * (1) live is the number of slots that the index has in a live state, dirty the part of them that is dirty.
 * (2) A FREEING or FREE segment has live == 0.
 * (3) A segment with readers > 0 does not become FREE.
 */
#ifndef HB_SPACE_SEGS_H
#define HB_SPACE_SEGS_H

#include "base/list.h"
#include "base/units.h"

enum seg_state { SEG_FREE, SEG_NEXT, SEG_OPEN, SEG_SEALED, SEG_FREEING };

struct seg {
	struct link fifo; /* SEALED and FREEING: in order of seq */
	uint64_t seq; /* of its present life; 0 while FREE */
	uint64_t last_unit; /* the newest unit in it */
	uint64_t free_unit; /* FREEING: the unit with its SEG_FREE record */
	uint64_t free_ckpt; /* FREEING without a record: the checkpoint that says so; else 0 */
	uint32_t used; /* blocks filled, headers included */
	uint32_t live, dirty;
	uint32_t readers; /* device reads in flight */
	uint32_t missing; /* open: dirty slots whose blocks could not be told */
	int16_t buf; /* staging buffer that holds its bytes, or -1 */
	uint8_t state;
	bool changed; /* since the last checkpoint */
	bool unloaded; /* open: what it holds (clean blocks only) is not known yet; live is 0 */
};

struct segs {
	struct seg *v; /* by number; 0 unused */
	uint32_t nsegs, seg_blk;
	uint32_t nfree;
	uint32_t hint; /* where to look for a free one */
	struct link sealed; /* oldest first */
};

int segs_init(struct segs *s, uint32_t nsegs, uint32_t seg_blk); /* 0 or -ENOMEM */
void segs_fini(struct segs *s);

static inline struct seg *segs_at(struct segs *s, segno_t n)
{
	return &s->v[n.n];
}
static inline struct seg *segs_of_slot(struct segs *s, slot_t slot)
{
	return &s->v[slot.n / s->seg_blk];
}
static inline segno_t segs_no(const struct segs *s, const struct seg *g)
{
	return (segno_t){(uint32_t)(g - s->v)};
}

/* FREE -> NEXT: chosen as the segment after the open one. SEG_NONE when none is free. */
segno_t segs_choose(struct segs *s);
/* -> OPEN, with a life number larger than all others. */
void segs_open(struct segs *s, segno_t n, uint64_t seq);
void segs_seal(struct segs *s, segno_t n);
/* SEALED -> FREEING; free_unit is the unit that holds the record. */
void segs_freeing(struct segs *s, segno_t n, uint64_t free_unit);
/* Any but OPEN -> FREE. */
void segs_release(struct segs *s, segno_t n);
/* How many are FREEING: they become FREE in this order, before any other. */
uint32_t segs_coming(const struct segs *s);
/* The oldest SEALED one, or NULL. */
struct seg *segs_oldest(struct segs *s);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/* segment.h - two things about a segment: its footer on the write tier, and its record in the checkpoint.
 *
 * The footer (the segment's last one or two blocks, written when it is full) lists what every slot holds, so that
 * opening need not read units. The record says which slots counted when the checkpoint was taken.
 */
#ifndef HB_FORMAT_SEGMENT_H
#define HB_FORMAT_SEGMENT_H

#include "base/units.h"

#define SEG_BLK_MAX 512u

/* Blocks that the footer of a segment takes. */
static inline uint32_t footer_blk(uint32_t seg_blk)
{
	return seg_blk > 256 ? 2 : 1;
}

struct footer_slot {
	uint64_t pblk; /* 0: the slot holds no data block */
	uint32_t crc;
};

struct footer {
	uint8_t pool_uuid[16];
	uint32_t seg;
	uint64_t seg_seq;
	uint32_t nslots; /* seg_blk */
};

void footer_encode(const struct footer *f, const struct footer_slot *slots, void *blocks);
/* 0, or -EBADMSG. slots: room for seg_blk. */
int footer_decode(struct footer *ret, struct footer_slot *slots, uint32_t seg_blk, const void *blocks);

#define SEGREC_BYTES 256u
#define SEGREC_PER_PAGE (BLK_BYTES / SEGREC_BYTES)

struct segrec {
	uint64_t seg_seq; /* 0: the segment is free */
	uint32_t used_blk; /* how far it was filled */
	uint8_t state[SEG_BLK_MAX / 4]; /* two bits a slot: enum slot_state */
};
_Static_assert(16 + SEG_BLK_MAX / 4 <= SEGREC_BYTES, "a record holds the bits of the largest segment");

void segrec_encode(const struct segrec *r, void *to);
void segrec_decode(struct segrec *ret, const void *from);
static inline unsigned segrec_get(const struct segrec *r, uint32_t slot)
{
	return r->state[slot / 4] >> (slot % 4 * 2) & 3;
}
static inline void segrec_set(struct segrec *r, uint32_t slot, unsigned st)
{
	r->state[slot / 4] = (uint8_t)((r->state[slot / 4] & ~(3u << (slot % 4 * 2))) | st << (slot % 4 * 2));
}

#endif

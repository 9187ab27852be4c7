/* SPDX-License-Identifier: GPL-2.0-only */
/* unit.h - a unit of the log: one header block with a stream of records, then the data blocks the records speak of.
 *
 * Records lie in the order in which things happened; that is the order in which replay applies them. A REC_DATA
 * record owns the next data block of the unit. While a unit is open it grows in the staging memory: `fill` (the
 * three counts in one aligned word) is stored last, so that a process killed at any instruction leaves a valid prefix.
 */
#ifndef HB_FORMAT_UNIT_H
#define HB_FORMAT_UNIT_H

#include "base/units.h"

#define UNIT_HEAD_BYTES 96u
#define UNIT_STREAM_BYTES (BLK_BYTES - UNIT_HEAD_BYTES)
#define UNIT_DATA_MAX 120u /* data blocks of one unit */

struct unit_head {
	uint8_t pool_uuid[16];
	uint64_t generation;
	uint64_t seg_seq; /* of the segment's present life */
	uint64_t unit_seq;
	uint64_t durable_seq; /* units up to this one were known durable when this one was closed */
	uint32_t seg, next_seg;
	uint32_t off; /* of this header within the segment, blocks */
	uint16_t nrec, nblk, stream_bytes;
};

enum rec_type {
	REC_DATA = 1, /* a block's new bytes, and (unless moved) that vol's vblk is now at pblk */
	REC_UNMAP, /* vol's vblk .. vblk+count-1 are holes */
	REC_SEG_FREE, /* segment seg of life seg_seq holds nothing that counts */
	REC_VOL_CREATE,
	REC_VOL_DELETE, /* begins; the blocks go by REC_VOL_TRIM */
	REC_VOL_TRIM, /* of a deleted volume's map, 256^count leaves from number vblk on are dropped */
	REC_VOL_GONE, /* ends */
	REC_VOL_RENAME,
	REC_VOL_SIZE,
	REC_SHARE, /* vol's chunks from vblk on share src_vol's from src_vblk on, count blocks */
	REC_VOL_SNAP, /* vol is a snapshot, or clone, of src_vol */
	REC_VOL_REVERT, /* vol (new) is a snapshot of dst_vol, whose map and size are now those of src_vol */
	REC_VOL_ATTR, /* vol's attributes from now on: all of them */
	REC_CHUNKS, /* vol's chunks from vblk on, count blocks, are the pool's from pblk on, which have the bytes */
	REC_TYPES
};

enum {
	REC_MOVED = 1, /* REC_DATA: a copy of what was in the log already; the map does not change */
	REC_CLEAN = 2, /* REC_DATA: the capacity device has the same bytes */
	REC_LOST =
		4, /* REC_DATA: the block's bytes are lost; reads fail until it is rewritten. The data block is zeros */
	REC_CLONE = 1, /* REC_VOL_SNAP: writable */
	/* REC_VOL_SNAP, REC_VOL_REVERT: a group is the records from one with FIRST to the next without MORE; without
	 * its end, or with another record in between, it never was. */
	REC_FIRST = 2,
	REC_MORE = 4,
};

struct rec {
	enum rec_type type;
	uint8_t flags;
	uint32_t crc, vol, src_vol, dst_vol, seg;
	uint64_t pblk, vblk, src_vblk, count, seg_seq;
	uint64_t size_blk, created_s;
	uint8_t uuid[16], content[16];
	char name[64];
	const void *attr; /* REC_VOL_ATTR: VOLATTR_BYTES encoded; borrowed, decoded: from where the record is */
};

/* Bytes the record takes in the stream. */
uint32_t rec_bytes(enum rec_type t);
#define REC_DATA_BYTES 32u
#define REC_BYTES_MAX 176u

/* Writes a record at `to`; returns its length. */
uint32_t rec_encode(const struct rec *r, void *to);
/* Reads the record at `from`, at most `left` bytes; its length, or 0: no valid record. */
uint32_t rec_decode(struct rec *ret, const void *from, uint32_t left);

/* Writes the head of a new, empty unit into its header block (zeroed) - without checksum: the unit is open. */
void unit_open(const struct unit_head *h, void *block);
/* Publishes the counts, after everything they count is in place. */
void unit_fill(void *block, uint16_t nrec, uint16_t nblk, uint16_t stream_bytes);
void unit_get_fill(const void *block, uint16_t *nrec, uint16_t *nblk, uint16_t *stream_bytes);
/* Closes: durable_seq and the checksum. */
void unit_close(void *block, uint64_t durable_seq);
static inline uint8_t *unit_stream(void *block)
{
	return (uint8_t *)block + UNIT_HEAD_BYTES;
}

/* 0, or -EBADMSG: no valid closed unit. `open`: the unit was still open (in staging): no checksum is asked for. */
int unit_decode(struct unit_head *ret, const void *block, bool open);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/* segment.c - segment footers and segment records: bytes <-> structs. */
#include "format/segment.h"

#include <errno.h>

#include "base/bytes.h"
#include "base/crc32c.h"

#define FOOTER_MAGIC 0x46535948u /* "HYSF" */

enum { O_MAGIC = 0, O_CRC = 4, O_POOL = 8, O_SEG = 24, O_NSLOTS = 28, O_SEQ = 32, O_SLOTS = 64, SLOT_BYTES = 12 };
_Static_assert(O_SLOTS + SEG_BLK_MAX * SLOT_BYTES <= 2 * BLK_BYTES, "the largest footer fits two blocks");
_Static_assert(O_SLOTS + 256 * SLOT_BYTES <= BLK_BYTES, "footers of small segments fit one block");

void footer_encode(const struct footer *f, const struct footer_slot *slots, void *blocks)
{
	uint8_t *b = blocks;
	uint32_t len = footer_blk(f->nslots) * BLK_BYTES;

	memset(b, 0, len);
	put_le32(b + O_MAGIC, FOOTER_MAGIC);
	memcpy(b + O_POOL, f->pool_uuid, 16);
	put_le32(b + O_SEG, f->seg);
	put_le32(b + O_NSLOTS, f->nslots);
	put_le64(b + O_SEQ, f->seg_seq);
	for (uint32_t i = 0; i < f->nslots; i++) {
		put_le64(b + O_SLOTS + i * SLOT_BYTES, slots[i].pblk);
		put_le32(b + O_SLOTS + i * SLOT_BYTES + 8, slots[i].crc);
	}
	put_le32(b + O_CRC, crc32c(0, b, len));
}

int footer_decode(struct footer *ret, struct footer_slot *slots, uint32_t seg_blk, const void *blocks)
{
	static const uint8_t zero[4];
	const uint8_t *b = blocks;
	uint32_t len = footer_blk(seg_blk) * BLK_BYTES, crc;

	if (get_le32(b + O_MAGIC) != FOOTER_MAGIC || get_le32(b + O_NSLOTS) != seg_blk)
		return -EBADMSG;
	crc = crc32c(crc32c(crc32c(0, b, O_CRC), zero, 4), b + O_POOL, len - O_POOL);
	if (crc != get_le32(b + O_CRC))
		return -EBADMSG;
	memcpy(ret->pool_uuid, b + O_POOL, 16);
	ret->seg = get_le32(b + O_SEG);
	ret->nslots = seg_blk;
	ret->seg_seq = get_le64(b + O_SEQ);
	for (uint32_t i = 0; i < seg_blk; i++) {
		slots[i].pblk = get_le64(b + O_SLOTS + i * SLOT_BYTES);
		slots[i].crc = get_le32(b + O_SLOTS + i * SLOT_BYTES + 8);
	}
	return 0;
}

void segrec_encode(const struct segrec *r, void *to)
{
	uint8_t *b = to;

	memset(b, 0, SEGREC_BYTES);
	put_le64(b, r->seg_seq);
	put_le32(b + 8, r->used_blk);
	memcpy(b + 16, r->state, sizeof(r->state));
}

void segrec_decode(struct segrec *ret, const void *from)
{
	const uint8_t *b = from;

	ret->seg_seq = get_le64(b);
	ret->used_blk = get_le32(b + 8);
	memcpy(ret->state, b + 16, sizeof(ret->state));
}

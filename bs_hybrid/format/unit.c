/* SPDX-License-Identifier: GPL-2.0-only */
/* unit.c - log units and their records: bytes <-> structs. */
#include "format/unit.h"

#include <errno.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "format/volattr.h"

#define UNIT_MAGIC 0x554c5948u /* "HYLU" */

enum {
	O_MAGIC = 0,
	O_CRC = 4,
	O_POOL = 8,
	O_GEN = 24,
	O_SEGSEQ = 32,
	O_SEQ = 40,
	O_DURABLE = 48,
	O_SEG = 56,
	O_NEXT = 60,
	O_FILL = 64,
	O_OFF = 72,
};

_Static_assert(8 + VOLATTR_BYTES <= REC_BYTES_MAX, "the longest record");

uint32_t rec_bytes(enum rec_type t)
{
	static const uint8_t bytes[REC_TYPES] = {
		[REC_DATA] = REC_DATA_BYTES, [REC_UNMAP] = 32,    [REC_SEG_FREE] = 16, [REC_VOL_CREATE] = 112,
		[REC_VOL_DELETE] = 8,        [REC_VOL_TRIM] = 24, [REC_VOL_GONE] = 8,  [REC_VOL_RENAME] = 72,
		[REC_VOL_SIZE] = 16,         [REC_SHARE] = 40,     [REC_VOL_SNAP] = 120,   [REC_VOL_REVERT] = 120,
		[REC_VOL_ATTR] = 8 + VOLATTR_BYTES, [REC_CHUNKS] = 32,
	};

	return t < REC_TYPES ? bytes[t] : 0;
}

uint32_t rec_encode(const struct rec *r, void *to)
{
	uint8_t *b = to;
	uint32_t len = rec_bytes(r->type);

	memset(b, 0, len);
	b[0] = (uint8_t)r->type;
	b[1] = r->flags;
	put_le16(b + 2, (uint16_t)len);
	put_le32(b + 4, r->type == REC_DATA ? r->crc : r->type == REC_SEG_FREE ? r->seg : r->vol);
	switch (r->type) {
	case REC_DATA:
		put_le64(b + 8, r->pblk);
		put_le64(b + 16, r->vblk);
		put_le32(b + 24, r->vol);
		break;
	case REC_UNMAP:
		put_le64(b + 8, r->vblk);
		put_le64(b + 16, r->count);
		break;
	case REC_SEG_FREE:
		put_le64(b + 8, r->seg_seq);
		break;
	case REC_VOL_CREATE:
		put_le64(b + 8, r->size_blk);
		put_le64(b + 16, r->created_s);
		memcpy(b + 24, r->uuid, 16);
		memcpy(b + 40, r->name, 64);
		break;
	case REC_VOL_TRIM:
		put_le64(b + 8, r->vblk);
		put_le64(b + 16, r->count);
		break;
	case REC_VOL_RENAME:
		memcpy(b + 8, r->name, 64);
		break;
	case REC_VOL_SIZE:
		put_le64(b + 8, r->size_blk);
		break;
	case REC_SHARE:
		put_le64(b + 8, r->vblk);
		put_le64(b + 16, r->src_vblk);
		put_le64(b + 24, r->count);
		put_le32(b + 32, r->src_vol);
		break;
	case REC_VOL_SNAP:
	case REC_VOL_REVERT:
		put_le32(b + 8, r->src_vol);
		put_le32(b + 12, r->dst_vol);
		put_le64(b + 16, r->created_s);
		memcpy(b + 24, r->uuid, 16);
		memcpy(b + 40, r->content, 16);
		memcpy(b + 56, r->name, 64);
		break;
	case REC_VOL_ATTR:
		memcpy(b + 8, r->attr, VOLATTR_BYTES);
		break;
	case REC_CHUNKS:
		put_le64(b + 8, r->vblk);
		put_le64(b + 16, r->pblk);
		put_le64(b + 24, r->count);
		break;
	default:
		break;
	}
	return len;
}

uint32_t rec_decode(struct rec *ret, const void *from, uint32_t left)
{
	const uint8_t *b = from;
	uint32_t len;

	memset(ret, 0, sizeof(*ret));
	if (left < 8)
		return 0;
	ret->type = b[0];
	ret->flags = b[1];
	len = rec_bytes(ret->type);
	if (!len || len > left || get_le16(b + 2) != len)
		return 0;
	switch (ret->type) {
	case REC_DATA:
		ret->crc = get_le32(b + 4);
		ret->pblk = get_le64(b + 8);
		ret->vblk = get_le64(b + 16);
		ret->vol = get_le32(b + 24);
		return len;
	case REC_SEG_FREE:
		ret->seg = get_le32(b + 4);
		ret->seg_seq = get_le64(b + 8);
		return len;
	default:
		ret->vol = get_le32(b + 4);
		break;
	}
	switch (ret->type) {
	case REC_UNMAP:
		ret->vblk = get_le64(b + 8);
		ret->count = get_le64(b + 16);
		break;
	case REC_VOL_CREATE:
		ret->size_blk = get_le64(b + 8);
		ret->created_s = get_le64(b + 16);
		memcpy(ret->uuid, b + 24, 16);
		memcpy(ret->name, b + 40, 64);
		ret->name[63] = 0;
		break;
	case REC_VOL_TRIM:
		ret->vblk = get_le64(b + 8);
		ret->count = get_le64(b + 16);
		break;
	case REC_VOL_RENAME:
		memcpy(ret->name, b + 8, 64);
		ret->name[63] = 0;
		break;
	case REC_VOL_SIZE:
		ret->size_blk = get_le64(b + 8);
		break;
	case REC_SHARE:
		ret->vblk = get_le64(b + 8);
		ret->src_vblk = get_le64(b + 16);
		ret->count = get_le64(b + 24);
		ret->src_vol = get_le32(b + 32);
		break;
	case REC_VOL_SNAP:
	case REC_VOL_REVERT:
		ret->src_vol = get_le32(b + 8);
		ret->dst_vol = get_le32(b + 12);
		ret->created_s = get_le64(b + 16);
		memcpy(ret->uuid, b + 24, 16);
		memcpy(ret->content, b + 40, 16);
		memcpy(ret->name, b + 56, 64);
		ret->name[63] = 0;
		break;
	case REC_VOL_ATTR:
		ret->attr = b + 8;
		break;
	case REC_CHUNKS:
		ret->vblk = get_le64(b + 8);
		ret->pblk = get_le64(b + 16);
		ret->count = get_le64(b + 24);
		break;
	default:
		break;
	}
	return len;
}

void unit_open(const struct unit_head *h, void *block)
{
	uint8_t *b = block;

	memset(b, 0, BLK_BYTES);
	memcpy(b + O_POOL, h->pool_uuid, 16);
	put_le64(b + O_GEN, h->generation);
	put_le64(b + O_SEGSEQ, h->seg_seq);
	put_le64(b + O_SEQ, h->unit_seq);
	put_le32(b + O_SEG, h->seg);
	put_le32(b + O_NEXT, h->next_seg);
	put_le32(b + O_OFF, h->off);
	put_le32(b + O_MAGIC, UNIT_MAGIC);
}

void unit_fill(void *block, uint16_t nrec, uint16_t nblk, uint16_t stream_bytes)
{
	uint64_t *fill = (uint64_t *)((uint8_t *)block + O_FILL);

	__atomic_store_n(fill, htole64(nrec | (uint64_t)nblk << 16 | (uint64_t)stream_bytes << 32), __ATOMIC_RELEASE);
}

void unit_get_fill(const void *block, uint16_t *nrec, uint16_t *nblk, uint16_t *stream_bytes)
{
	uint64_t v = get_le64((const uint8_t *)block + O_FILL);

	*nrec = v & 0xffff;
	*nblk = v >> 16 & 0xffff;
	*stream_bytes = v >> 32 & 0xffff;
}

static uint32_t unit_crc(const uint8_t *b)
{
	static const uint8_t zero[4];
	uint32_t crc = crc32c(0, b, O_CRC);

	crc = crc32c(crc, zero, 4);
	return crc32c(crc, b + O_POOL, BLK_BYTES - O_POOL);
}

void unit_close(void *block, uint64_t durable_seq)
{
	uint8_t *b = block;

	put_le64(b + O_DURABLE, durable_seq);
	put_le32(b + O_CRC, unit_crc(b));
}

int unit_decode(struct unit_head *ret, const void *block, bool open)
{
	const uint8_t *b = block;

	if (get_le32(b + O_MAGIC) != UNIT_MAGIC || (!open && get_le32(b + O_CRC) != unit_crc(b)))
		return -EBADMSG;
	memcpy(ret->pool_uuid, b + O_POOL, 16);
	ret->generation = get_le64(b + O_GEN);
	ret->seg_seq = get_le64(b + O_SEGSEQ);
	ret->unit_seq = get_le64(b + O_SEQ);
	ret->durable_seq = get_le64(b + O_DURABLE);
	ret->seg = get_le32(b + O_SEG);
	ret->next_seg = get_le32(b + O_NEXT);
	ret->off = get_le32(b + O_OFF);
	unit_get_fill(b, &ret->nrec, &ret->nblk, &ret->stream_bytes);
	if (ret->nblk > UNIT_DATA_MAX || ret->stream_bytes > UNIT_STREAM_BYTES || ret->nrec > UNIT_STREAM_BYTES / 8)
		return -EBADMSG;
	return 0;
}

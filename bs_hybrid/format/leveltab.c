/* SPDX-License-Identifier: GPL-2.0-only */
/* leveltab.c - table of a cache level: bytes <-> structs. */
#include "format/leveltab.h"

#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"

#define HEAD_MAGIC 0x48544c48u /* "HLTH" */
#define PAGE_MAGIC 0x50544c48u /* "HLTP" */
#define ENTRY_BYTES 128u

enum { O_MAGIC = 0, O_CRC = 4, O_POOL = 8, O_DEV = 24, O_CKPT = 40, O_NONCE = 48, O_NEXT = 56, O_PAGES = 64 };
enum { O_VOUCH = 68 };
enum { O_NO = 8 }; /* in a page's head */
enum { O_SEQ = 0, O_USED = 8, O_LIVE = 16 }; /* in an entry */
_Static_assert((LEVELTAB_PER_PAGE + 1) * ENTRY_BYTES == BLK_BYTES, "entries fill a page");
_Static_assert(O_LIVE + SEG_BLK_MAX / 8 <= ENTRY_BYTES, "an entry holds the bits of the largest segment");

static uint32_t block_crc(const uint8_t *b)
{
	static const uint8_t zero[4];

	return crc32c(crc32c(crc32c(0, b, O_CRC), zero, 4), b + O_CRC + 4, BLK_BYTES - O_CRC - 4);
}

void leveltab_head_encode(const struct leveltab_head *h, void *block)
{
	uint8_t *b = block;

	memset(b, 0, BLK_BYTES);
	put_le32(b + O_MAGIC, HEAD_MAGIC);
	memcpy(b + O_POOL, h->pool_uuid, 16);
	memcpy(b + O_DEV, h->dev_uuid, 16);
	put_le64(b + O_CKPT, h->ckpt_seq);
	put_le64(b + O_NONCE, h->nonce);
	put_le64(b + O_NEXT, h->next_seq);
	put_le32(b + O_PAGES, h->pages);
	put_le32(b + O_VOUCH, h->pages_crc);
	put_le32(b + O_CRC, block_crc(b));
}

int leveltab_head_decode(struct leveltab_head *ret, const void *block)
{
	const uint8_t *b = block;

	if (get_le32(b + O_MAGIC) != HEAD_MAGIC || get_le32(b + O_CRC) != block_crc(b))
		return -EBADMSG;
	memcpy(ret->pool_uuid, b + O_POOL, 16);
	memcpy(ret->dev_uuid, b + O_DEV, 16);
	ret->ckpt_seq = get_le64(b + O_CKPT);
	ret->nonce = get_le64(b + O_NONCE);
	ret->next_seq = get_le64(b + O_NEXT);
	ret->pages = get_le32(b + O_PAGES);
	ret->pages_crc = get_le32(b + O_VOUCH);
	return 0;
}

void leveltab_put(void *page, uint32_t i, const struct leveltab_entry *e)
{
	uint8_t *b = (uint8_t *)page + (i + 1) * ENTRY_BYTES;

	memset(b, 0, ENTRY_BYTES);
	put_le64(b + O_SEQ, e->seq);
	put_le32(b + O_USED, e->used_blk);
	memcpy(b + O_LIVE, e->live, sizeof(e->live));
}

void leveltab_get(const void *page, uint32_t i, struct leveltab_entry *ret)
{
	const uint8_t *b = (const uint8_t *)page + (i + 1) * ENTRY_BYTES;

	ret->seq = get_le64(b + O_SEQ);
	ret->used_blk = get_le32(b + O_USED);
	memcpy(ret->live, b + O_LIVE, sizeof(ret->live));
}

void leveltab_seal(void *page, uint32_t no)
{
	uint8_t *b = page;

	memset(b, 0, ENTRY_BYTES);
	put_le32(b + O_MAGIC, PAGE_MAGIC);
	put_le32(b + O_NO, no);
	put_le32(b + O_CRC, block_crc(b));
}

uint32_t leveltab_crc(const void *page)
{
	return get_le32((const uint8_t *)page + O_CRC);
}

uint32_t leveltab_vouch(const uint32_t *crcs, uint32_t n)
{
	uint32_t crc = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint8_t b[4];

		put_le32(b, crcs[i]);
		crc = crc32c(crc, b, sizeof(b));
	}
	return crc;
}

int leveltab_check(const void *page, uint32_t no)
{
	const uint8_t *b = page;

	return get_le32(b + O_MAGIC) == PAGE_MAGIC && get_le32(b + O_NO) == no && get_le32(b + O_CRC) == block_crc(b)
		       ? 0
		       : -EBADMSG;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* leveltab.h - the table of a cache level: which slots of which segments counted when a checkpoint was taken.
 *
 * It lies on the level's own device, twice (for odd and even checkpoints): pages of entries, and a head that says which
 * checkpoint the pages belong to. A table counts only if its head has the number and the nonce of the pool's root: a
 * device that was away for one checkpoint, or an old copy of it, is thus empty. So is one whose pages are not those
 * that the head was written for: a device may have answered a flush and lost a page that did not change since.
 */
#ifndef HB_FORMAT_LEVELTAB_H
#define HB_FORMAT_LEVELTAB_H

#include "base/units.h"
#include "format/segment.h"

#define LEVELTAB_PER_PAGE 31u /* entries; the first place of a page is its head */

struct leveltab_head {
	uint8_t pool_uuid[16], dev_uuid[16];
	uint64_t ckpt_seq, nonce;
	uint64_t next_seq; /* a life number above all that were given */
	uint32_t pages;
	uint32_t pages_crc; /* of their crcs: what vouches for pages that an earlier checkpoint wrote */
};

struct leveltab_entry {
	uint64_t seq; /* life of the segment; 0: nothing in it counts */
	uint32_t used_blk;
	uint8_t live[SEG_BLK_MAX / 8]; /* a bit a slot */
};

void leveltab_head_encode(const struct leveltab_head *h, void *block);
int leveltab_head_decode(struct leveltab_head *ret, const void *block); /* 0 or -EBADMSG */
/* A page of entries: put them in, then seal it; check before getting them out. */
void leveltab_put(void *page, uint32_t i, const struct leveltab_entry *e);
void leveltab_get(const void *page, uint32_t i, struct leveltab_entry *ret);
void leveltab_seal(void *page, uint32_t no);
uint32_t leveltab_crc(const void *page); /* of a sealed one */
/* For leveltab_head.pages_crc: of n pages' crcs. */
uint32_t leveltab_vouch(const uint32_t *crcs, uint32_t n);
int leveltab_check(const void *page, uint32_t no); /* 0 or -EBADMSG */

#endif

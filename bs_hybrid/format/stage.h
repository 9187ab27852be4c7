/* SPDX-License-Identifier: GPL-2.0-only */
/* stage.h - the staging memory: one header block, then buffers of one segment each.
 *
 * It outlives the process, not the machine. It counts only if its pool, generation and boot token are the pool's.
 * Each buffer's descriptor is changed in an order that leaves it sane if the process dies between any two stores:
 * it is first marked free, then filled, then marked used.
 */
#ifndef HB_FORMAT_STAGE_H
#define HB_FORMAT_STAGE_H

#include "base/units.h"

#define STAGE_BUFS_MAX 48u
#define STAGE_NO_OPEN UINT32_MAX

struct stage_desc {
	uint32_t used; /* 0 or 1 */
	uint32_t seg;
	uint64_t seg_seq;
	uint32_t open_off; /* block of the open unit's header, or STAGE_NO_OPEN */
};

struct stage_id {
	uint8_t pool_uuid[16];
	uint64_t generation, boot_token;
	uint32_t seg_blk, nbuf;
};

/* Makes the memory this pool's, with all buffers free. */
void stage_init(void *stage, const struct stage_id *id);
/* 0; -ENODATA: not initialised by a pool, or not wholly; -E2BIG: it is (*ret is set), but was larger then. */
int stage_read(const void *stage, uint64_t stage_bytes, struct stage_id *ret);
/* Makes it nobody's (clean close). */
void stage_wipe(void *stage);
void stage_get(const void *stage, uint32_t buf, struct stage_desc *ret);
void stage_claim(void *stage, uint32_t buf, uint32_t seg, uint64_t seg_seq);
void stage_release(void *stage, uint32_t buf);
void stage_set_open(void *stage, uint32_t buf, uint32_t open_off);
/* Where buffer `buf` begins. */
static inline uint8_t *stage_buf(void *stage, uint32_t seg_blk, uint32_t buf)
{
	return (uint8_t *)stage + BLK_BYTES + (uint64_t)buf * seg_blk * BLK_BYTES;
}
/* How many buffers fit. */
static inline uint32_t stage_fit(uint64_t stage_bytes, uint32_t seg_blk)
{
	uint64_t n = stage_bytes < BLK_BYTES ? 0 : (stage_bytes - BLK_BYTES) / ((uint64_t)seg_blk * BLK_BYTES);

	return n > STAGE_BUFS_MAX ? STAGE_BUFS_MAX : (uint32_t)n;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/* lbastatus.c - GET LBA STATUS: which blocks are mapped. Answered from the map in memory, a bounded part at a time. */
#include "base/units.h"
#include "tgt/handlers.h"

#include <string.h>

#define HEADER 8
#define DESCRIPTOR 16
#define DESCRIPTORS_MAX 256	/* in one answer; the initiator asks again from where it ended */
#define LOOKS_MAX 4096		/* calls of hb_volume_mapped() for one answer */

enum { MAPPED = 0, DEALLOCATED = 1 };

/* The run of blocks of one state that begins at `lba`: its length in blocks. Costs looks. */
static uint32_t run(struct lun *lun, uint64_t lba, bool *ret_mapped, unsigned *looks)
{
	uint64_t off = lba << lun->lu->blk_shift, end = lun->lu->size, from = off;

	end = MIN(end, off + ((uint64_t)UINT32_MAX << lun->lu->blk_shift));
	*ret_mapped = false;
	for (; off < end && *looks; *looks -= 1) {
		uint64_t len = end - off;
		bool mapped = hb_volume_mapped(lun->vol, off, &len);

		if (off == from)
			*ret_mapped = mapped;
		else if (mapped != *ret_mapped)
			break;
		off += len;
	}
	return (uint32_t)((off - from) >> lun->lu->blk_shift);
}

int lba_get_status(struct lun *lun, struct tgt_cmd *cmd)
{
	static uint8_t data[HEADER + DESCRIPTORS_MAX * DESCRIPTOR];	/* tgtd has one thread */
	uint64_t lba = get_be64(cmd->cdb + 2);
	uint32_t alloc_len = get_be32(cmd->cdb + 10), len = HEADER;
	unsigned looks = LOOKS_MAX;

	if (lba >= lun_blocks(lun))
		return cmd_sense(cmd, KEY_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
	memset(data, 0, sizeof(data));
	while (lba < lun_blocks(lun) && looks > 0 && len + DESCRIPTOR <= sizeof(data) &&
	       (len == HEADER || len + DESCRIPTOR <= alloc_len)) {
		bool mapped;
		uint32_t blocks = run(lun, lba, &mapped, &looks);

		if (!blocks)
			break;
		put_be64(data + len, lba);
		put_be32(data + len + 8, blocks);
		data[len + 12] = mapped ? MAPPED : DEALLOCATED;
		len += DESCRIPTOR;
		lba += blocks;
	}
	put_be32(data, len - 4);
	return cmd_reply(cmd, data, len, alloc_len);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* capacity.c - READ CAPACITY (10, 16) and READ DEFECT DATA (10, 12). */
#include "base/units.h"
#include "tgt/handlers.h"

int capacity_read_10(struct lun *lun, struct tgt_cmd *cmd)
{
	uint8_t data[8];

	/* Without PMI there is no address. */
	if (!(cmd->cdb[8] & 0x01) && get_be32(cmd->cdb + 2))
		return cmd_bad_cdb(cmd);
	put_be32(data, (uint32_t)MIN(lun_blocks(lun) - 1, (uint64_t)UINT32_MAX));
	put_be32(data + 4, 1u << lun->lu->blk_shift);
	return cmd_reply(cmd, data, sizeof(data), sizeof(data));
}

int capacity_read_16(struct lun *lun, struct tgt_cmd *cmd)
{
	const struct tgt_attrs *a = &lun->lu->attrs;
	uint8_t data[32] = { 0 };

	put_be64(data, lun_blocks(lun) - 1);
	put_be32(data + 8, 1u << lun->lu->blk_shift);
	data[13] = a->lbppbe & 0x0f;
	put_be16(data + 14, a->la_lba & 0x3fff);
	if (a->thin)
		data[14] |= 0xc0;	/* LBPME, LBPRZ */
	return cmd_reply(cmd, data, sizeof(data), get_be32(cmd->cdb + 10));
}

/* There are no defects the initiator could know of: an empty list, of the format and kinds it asked for. */
int capacity_defects_10(struct lun *lun, struct tgt_cmd *cmd)
{
	uint8_t data[4] = { 0, cmd->cdb[2] & 0x1f, 0, 0 };

	(void)lun;
	return cmd_reply(cmd, data, sizeof(data), get_be16(cmd->cdb + 7));
}

int capacity_defects_12(struct lun *lun, struct tgt_cmd *cmd)
{
	uint8_t data[8] = { 0, cmd->cdb[1] & 0x1f };

	(void)lun;
	return cmd_reply(cmd, data, sizeof(data), get_be32(cmd->cdb + 6));
}

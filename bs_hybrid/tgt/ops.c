/* SPDX-License-Identifier: GPL-2.0-only */
/* ops.c - the dispatcher behind the table of commands, and REPORT SUPPORTED OPERATION CODES that reads it. */
#include "tgt/ops.h"

#include <assert.h>
#include <string.h>

#include "base/units.h"

static uint8_t first_of[256];	/* by opcode: index in ops_table plus one */

__attribute__((constructor)) static void index_table(void)
{
	assert(ops_count <= OPS_MAX);
	for (unsigned i = ops_count; i-- > 0;)
		first_of[ops_table[i].opcode] = (uint8_t)(i + 1);
}

/* *ret_known: there is such an opcode, though perhaps not with this service action. */
static const struct op *find(const struct lun *lun, uint8_t opcode, int sa, bool *ret_known)
{
	unsigned i = first_of[opcode];

	*ret_known = i != 0;
	if (!i)
		return NULL;
	for (i--; i < ops_count && ops_table[i].opcode == opcode; i++) {
		const struct op *op = &ops_table[i];

		if (op->sa != NO_SA && op->sa != sa)
			continue;
		if (!(op->flags & OP_THIN) || lun->lu->attrs.thin)
			return op;
		*ret_known = false;
	}
	return NULL;
}

static int sanitizing(struct lun *lun, struct tgt_cmd *cmd)
{
	if (lun->sanitize)
		return cmd_sense(cmd, KEY_NOT_READY, ASC_SANITIZE_IN_PROGRESS);
	return cmd_sense(cmd, KEY_MEDIUM_ERROR, ASC_SANITIZE_FAILED);
}

int ops_dispatch(int host, struct tgt_cmd *cmd)
{
	struct lun *lun = lun_of(cmd->lu);
	struct tgt_lu *lu = cmd->lu;
	const struct op *op;
	bool known;

	(void)host;
	cmd_set_in(cmd, 0);	/* until a handler has filled the buffer */
	op = find(lun, cmd->cdb[0], cmd->cdb[1] & 0x1f, &known);
	if (!op)
		return known ? cmd_bad_cdb(cmd) : cmd_sense(cmd, KEY_ILLEGAL_REQUEST, ASC_INVALID_OPCODE);
	if (lu->reserve_id && lu->reserve_id != cmd->nexus_id && !(op->flags & OP_RESERVED_OK))
		return cmd_status(cmd, SCSI_RESERVATION_CONFLICT);
	if (lu->pr_holder && pr_conflict(lu, cmd->nexus, op->access))
		return cmd_status(cmd, SCSI_RESERVATION_CONFLICT);
	if ((lun->sanitize || lun->sanitize_failed) && !(op->flags & OP_SANITIZE_OK))
		return sanitizing(lun, cmd);
	if (op->flags & OP_MEDIUM) {
		if (!lun->vol || !lu->attrs.online)
			return cmd_sense(cmd, KEY_NOT_READY, lu->attrs.removable ? ASC_NO_MEDIUM : ASC_NOT_READY);
		if ((op->flags & OP_WRITES) && lun_protected(lun))
			return cmd_sense(cmd, KEY_DATA_PROTECT, ASC_WRITE_PROTECTED);
		lun_check_size(lun);
	}
	return op->handler(lun, cmd);
}

/* ------------------------------------------------------------------ what is supported */
#define TIMEOUTS_LEN 12

static size_t put_timeouts(uint8_t *p)
{
	memset(p, 0, TIMEOUTS_LEN);	/* no times are told */
	put_be16(p, TIMEOUTS_LEN - 2);
	return TIMEOUTS_LEN;
}

static int report_all(struct lun *lun, struct tgt_cmd *cmd, bool timeouts, uint32_t alloc_len)
{
	uint8_t data[4 + OPS_MAX * (8 + TIMEOUTS_LEN)], *p = data + 4;

	memset(data, 0, sizeof(data));
	for (const struct op *op = ops_table; op < ops_table + ops_count; op++) {
		if ((op->flags & OP_THIN) && !lun->lu->attrs.thin)
			continue;
		p[0] = op->opcode;
		if (op->sa != NO_SA)
			put_be16(p + 2, (uint16_t)op->sa);
		p[5] = (uint8_t)((timeouts ? 0x02 : 0) | (op->sa != NO_SA ? 0x01 : 0));
		put_be16(p + 6, op->shape->len);
		p += 8;
		if (timeouts)
			p += put_timeouts(p);
	}
	put_be32(data, (uint32_t)(p - data - 4));
	return cmd_reply(cmd, data, (size_t)(p - data), alloc_len);
}

static int report_one(struct lun *lun, struct tgt_cmd *cmd, bool timeouts, uint32_t alloc_len)
{
	uint8_t data[4 + OPS_CDB_MAX + TIMEOUTS_LEN] = { 0 };
	unsigned how = cmd->cdb[2] & 0x07;
	uint16_t sa = get_be16(cmd->cdb + 4);
	const struct op *op;
	size_t len = 4;
	bool known;

	op = find(lun, cmd->cdb[3], sa, &known);
	if (op && op->sa == NO_SA && how == 2)
		return cmd_bad_cdb(cmd);	/* asked by a service action, but has none */
	if (known && how == 1 && (!op || op->sa != NO_SA))
		return cmd_bad_cdb(cmd);	/* has service actions, but none was asked for */
	if (how == 3 && op && op->sa == NO_SA && sa)
		op = NULL;
	data[1] = op ? 0x03 : 0x01;
	if (op) {
		put_be16(data + 2, op->shape->len);
		memcpy(data + 4, op->shape->usage, op->shape->len);
		data[4] = op->opcode;
		data[5] = op->sa != NO_SA ? (uint8_t)((op->byte1 & 0xe0) | op->sa) : op->byte1;
		len += op->shape->len;
		if (timeouts) {
			data[1] |= 0x80;
			len += put_timeouts(data + len);
		}
	}
	return cmd_reply(cmd, data, len, alloc_len);
}

int ops_report_opcodes(struct lun *lun, struct tgt_cmd *cmd)
{
	bool timeouts = cmd->cdb[2] & 0x80;
	uint32_t alloc_len = get_be32(cmd->cdb + 6);

	switch (cmd->cdb[2] & 0x07) {
	case 0:
		return report_all(lun, cmd, timeouts, alloc_len);
	case 1:
	case 2:
	case 3:
		return report_one(lun, cmd, timeouts, alloc_len);
	default:
		return cmd_bad_cdb(cmd);
	}
}

/* tgtd does ABORT TASK, ABORT TASK SET and LOGICAL UNIT RESET. */
int ops_report_tmfs(struct lun *lun, struct tgt_cmd *cmd)
{
	static const uint8_t data[4] = { 0x80 | 0x40 | 0x08, 0, 0, 0 };

	(void)lun;
	return cmd_reply(cmd, data, sizeof(data), get_be32(cmd->cdb + 6));
}

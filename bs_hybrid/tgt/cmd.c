/* SPDX-License-Identifier: GPL-2.0-only */
/* cmd.c - residual counts, sense data, and the address fields of CDBs. */
#include "tgt/cmd.h"

#include <string.h>

#include "base/units.h"

static void data_set(struct tgt_data *data, uint64_t bytes)
{
	int64_t resid = (int64_t)data->length - (int64_t)MIN(bytes, (uint64_t)INT32_MAX);

	data->transfer_len = (uint32_t)MIN(bytes, data->length);
	data->resid = (int32_t)MAX(resid, (int64_t)-INT32_MAX);
}

void cmd_set_in(struct tgt_cmd *cmd, uint64_t bytes)
{
	data_set(&cmd->in, bytes);
}

void cmd_set_out(struct tgt_cmd *cmd, uint64_t bytes)
{
	data_set(&cmd->out, bytes);
}

int cmd_status(struct tgt_cmd *cmd, enum scsi_status status)
{
	cmd_set_in(cmd, 0);
	return status;
}

int cmd_sense(struct tgt_cmd *cmd, enum scsi_key key, enum scsi_asc asc)
{
	uint8_t *s = cmd->sense;

	cmd_set_out(cmd, 0);
	memset(s, 0, 32);
	if (cmd->lu->attrs.sense_format) {
		s[0] = 0x72;
		s[1] = (uint8_t)key;
		put_be16(s + 2, (uint16_t)asc);
		cmd->sense_len = 8;
	} else {
		s[0] = 0x70;
		s[2] = (uint8_t)key;
		s[7] = 10;		/* bytes that follow */
		put_be16(s + 12, (uint16_t)asc);
		cmd->sense_len = 18;
	}
	return cmd_status(cmd, SCSI_CHECK_CONDITION);
}

int cmd_sense_info(struct tgt_cmd *cmd, enum scsi_key key, enum scsi_asc asc, uint64_t info)
{
	uint8_t *s = cmd->sense;

	cmd_sense(cmd, key, asc);
	if (cmd->lu->attrs.sense_format) {
		s[7] = 12;
		s[8] = 0x00;		/* descriptor: information */
		s[9] = 0x0a;
		s[10] = 0x80;		/* valid */
		put_be64(s + 12, info);
		cmd->sense_len = 20;
	} else if (info <= UINT32_MAX) {
		s[0] |= 0x80;
		put_be32(s + 3, (uint32_t)info);
	}
	return SCSI_CHECK_CONDITION;
}

int cmd_bad_cdb(struct tgt_cmd *cmd)
{
	return cmd_sense(cmd, KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
}

int cmd_bad_parameter(struct tgt_cmd *cmd)
{
	return cmd_sense(cmd, KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_PARAMETERS);
}

int cmd_reply(struct tgt_cmd *cmd, const void *data, size_t len, uint32_t alloc_len)
{
	cmd_set_in(cmd, MIN(len, alloc_len));
	if (cmd->in.transfer_len)
		memcpy(cmd_in_buf(cmd), data, cmd->in.transfer_len);
	return SCSI_GOOD;
}

uint64_t cmd_lba(const uint8_t *cdb)
{
	switch (cdb[0] >> 5) {
	case 0:
		return (get_be32(cdb) & 0x1fffff);
	case 4:
		return get_be64(cdb + 2);
	default:
		return get_be32(cdb + 2);
	}
}

uint32_t cmd_blocks(const uint8_t *cdb)
{
	switch (cdb[0] >> 5) {
	case 0:
		return cdb[4] ? cdb[4] : 256;
	case 4:
		if (cdb[0] == OP_COMPARE_AND_WRITE)
			return cdb[13];
		if (cdb[0] == OP_WRITE_ATOMIC_16)
			return get_be16(cdb + 12);
		return get_be32(cdb + 10);
	case 5:
		return get_be32(cdb + 6);
	default:
		return get_be16(cdb + 7);
	}
}

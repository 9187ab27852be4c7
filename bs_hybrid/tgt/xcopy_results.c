/* SPDX-License-Identifier: GPL-2.0-only */
/* xcopy_results.c - RECEIVE COPY RESULTS, RECEIVE COPY STATUS (LID4), VPD page 8F: what copies there are and can be.
 *
 * Only the latest copies of a LUN are remembered, and only for the nexus that asked for them. No data is ever held.
 */
#include <assert.h>
#include <string.h>

#include "base/units.h"
#include "tgt/handlers.h"
#include "tgt/ops.h"
#include "tgt/xcopy.h"

#define SEGMENT_BYTES_MAX(lun) ((uint32_t)UINT16_MAX << (lun)->lu->blk_shift)

static const uint8_t descriptor_types[] = { 0x02, 0xe4 };	/* ordered, as the standard wants it */

static struct xcopy_record *record_of(struct lun *lun, const struct tgt_cmd *cmd)
{
	return xcopy_find(lun, cmd->nexus_id, cmd->cdb[2], false);
}

static uint32_t alloc_len(const struct tgt_cmd *cmd)
{
	return get_be32(cmd->cdb + 10);
}

/* A count of bytes in 32 bits: in the smallest unit (byte, KiB, MiB, ...) that holds it. */
static uint32_t count_of(uint64_t bytes, uint8_t *ret_unit)
{
	for (*ret_unit = 0; bytes > UINT32_MAX; bytes >>= 10)
		(*ret_unit)++;
	return (uint32_t)bytes;
}

int xcopy_status(struct lun *lun, struct tgt_cmd *cmd)
{
	const struct xcopy_record *r = record_of(lun, cmd);
	uint8_t data[12] = { 0 };

	if (!r)
		return cmd_bad_cdb(cmd);
	put_be32(data, sizeof(data) - 4);
	data[4] = r->state == XCOPY_RUNNING ? 0 : r->state == XCOPY_DONE ? 1 : 2;
	put_be16(data + 5, r->segments);
	put_be32(data + 8, count_of(r->bytes, &data[7]));
	return cmd_reply(cmd, data, sizeof(data), alloc_len(cmd));
}

int xcopy_receive_data(struct lun *lun, struct tgt_cmd *cmd)
{
	static const uint8_t none[4];

	if (!record_of(lun, cmd))
		return cmd_bad_cdb(cmd);
	return cmd_reply(cmd, none, sizeof(none), alloc_len(cmd));
}

int xcopy_failed_segment(struct lun *lun, struct tgt_cmd *cmd)
{
	const struct xcopy_record *r = record_of(lun, cmd);
	uint8_t data[60 + sizeof(r->sense)] = { 0 };

	if (!r)
		return cmd_bad_cdb(cmd);
	if (r->state != XCOPY_FAILED)
		return cmd_reply(cmd, data, 4, alloc_len(cmd));
	put_be32(data, 56u + r->sense_len);
	data[56] = r->status;
	put_be16(data + 58, r->sense_len);
	memcpy(data + 60, r->sense, r->sense_len);
	return cmd_reply(cmd, data, 60u + r->sense_len, alloc_len(cmd));
}

int xcopy_status_lid4(struct lun *lun, struct tgt_cmd *cmd)
{
	const struct xcopy_record *r = xcopy_find(lun, cmd->nexus_id, get_be32(cmd->cdb + 2), true);
	uint8_t data[32 + sizeof(r->sense)] = { 0 };

	if (!r)
		return cmd_bad_cdb(cmd);
	put_be32(data, 28u + r->sense_len);
	data[4] = SA_XCOPY_LID4;
	data[5] = r->state == XCOPY_RUNNING ? 0x10 : r->state == XCOPY_DONE ? 0x01 : 0x02;
	data[12] = r->status;
	data[13] = data[14] = r->sense_len;
	put_be64(data + 16, r->bytes);
	put_be16(data + 24, r->segments);
	memcpy(data + 32, r->sense, r->sense_len);
	return cmd_reply(cmd, data, 32u + r->sense_len, alloc_len(cmd));
}

int xcopy_parameters(struct lun *lun, struct tgt_cmd *cmd)
{
	uint8_t data[44 + sizeof(descriptor_types)] = { 0 };

	put_be32(data, sizeof(data) - 4);
	data[4] = 0x01;			/* lists without an identifier are taken */
	put_be16(data + 8, XCOPY_CSCDS_MAX);
	put_be16(data + 10, XCOPY_SEGMENTS_MAX);
	put_be32(data + 12, XCOPY_LIST_MAX);
	put_be32(data + 16, SEGMENT_BYTES_MAX(lun));
	put_be16(data + 34, XCOPY_HISTORY);
	data[36] = XCOPY_HISTORY;
	data[37] = (uint8_t)lun->lu->blk_shift;	/* granularity of data, as a power of two */
	data[43] = sizeof(descriptor_types);
	memcpy(data + 44, descriptor_types, sizeof(descriptor_types));
	return cmd_reply(cmd, data, sizeof(data), alloc_len(cmd));
}

/* ------------------------------------------------------------------ VPD page 8F */
/* A descriptor's header; its length is a multiple of 4. Returns the descriptor's end. */
static uint8_t *descriptor(uint8_t *p, uint16_t type, size_t len)
{
	put_be16(p, type);
	put_be16(p + 2, (uint16_t)ROUND_UP(len, 4u));
	return p + 4 + ROUND_UP(len, 4u);
}

/* One command: its opcode, and the service actions the table has. */
static uint8_t *command(uint8_t *p, uint8_t opcode)
{
	uint8_t *q = p + 2;

	for (unsigned i = 0; i < ops_count; i++)
		if (ops_table[i].opcode == opcode)
			*q++ = (uint8_t)ops_table[i].sa;
	p[0] = opcode;
	p[1] = (uint8_t)(q - p - 2);
	return q;
}

static uint8_t *supported_commands(uint8_t *p)
{
	uint8_t *q = command(command(p + 5, OP_EXTENDED_COPY), OP_RECEIVE_COPY);

	p[4] = (uint8_t)(q - p - 5);
	return descriptor(p, 0x0001, (size_t)(q - p - 4));
}

static uint8_t *parameter_data(uint8_t *p)
{
	put_be16(p + 8, XCOPY_CSCDS_MAX);
	put_be16(p + 10, XCOPY_SEGMENTS_MAX);
	put_be32(p + 12, XCOPY_LIST_MAX);
	return descriptor(p, 0x0004, 28);
}

static uint8_t *supported_descriptors(uint8_t *p)
{
	p[4] = sizeof(descriptor_types);
	memcpy(p + 5, descriptor_types, sizeof(descriptor_types));
	return descriptor(p, 0x0008, 1 + sizeof(descriptor_types));
}

/* The LUN that gets the command may be named by FFFFh. */
static uint8_t *supported_cscd_ids(uint8_t *p)
{
	put_be16(p + 4, 2);
	put_be16(p + 6, 0xffff);
	return descriptor(p, 0x000c, 4);
}

static uint8_t *general_operations(uint8_t *p, const struct lun *lun)
{
	put_be32(p + 4, XCOPY_HISTORY);
	put_be32(p + 8, XCOPY_HISTORY);
	put_be32(p + 12, SEGMENT_BYTES_MAX(lun));
	p[16] = (uint8_t)lun->lu->blk_shift;
	return descriptor(p, 0x8001, 32);
}

size_t xcopy_vpd(const struct lun *lun, uint8_t *p, size_t room)
{
	uint8_t *end;

	assert(room >= XCOPY_VPD_MAX);
	memset(p, 0, room);
	end = supported_commands(p);
	end = parameter_data(end);
	end = supported_descriptors(end);
	end = supported_cscd_ids(end);
	end = general_operations(end, lun);
	assert((size_t)(end - p) <= XCOPY_VPD_MAX);
	return (size_t)(end - p);
}

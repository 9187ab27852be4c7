/* SPDX-License-Identifier: GPL-2.0-only */
/* cmd.h - one SCSI command: its bytes, its buffers, and how it is answered.
 *
 * A handler returns a SCSI status. tgtd sends `in.transfer_len` bytes of the in buffer whatever the status, so every
 * way out sets it: the functions below do. The buffers are as long as `length` says (perform.c sees to that), or NULL
 * with length 0; they are not zeroed.
 */
#ifndef HB_TGT_CMD_H
#define HB_TGT_CMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "tgt/scsi.h"
#include "tgt/tgt_abi.h"

static inline uint8_t *cmd_in_buf(const struct tgt_cmd *cmd)
{
	return (uint8_t *)(uintptr_t)cmd->in.buffer;
}

static inline uint8_t *cmd_out_buf(const struct tgt_cmd *cmd)
{
	return (uint8_t *)(uintptr_t)cmd->out.buffer;
}

/* What would be moved if the initiator had room for it: sets what is moved, and the residual count. */
void cmd_set_in(struct tgt_cmd *cmd, uint64_t bytes);
void cmd_set_out(struct tgt_cmd *cmd, uint64_t bytes);

/* CHECK CONDITION with this sense, no data. Returns the status. */
int cmd_sense(struct tgt_cmd *cmd, enum scsi_key key, enum scsi_asc asc);
/* The same with an INFORMATION field (fixed format: only where it fits 32 bits). */
int cmd_sense_info(struct tgt_cmd *cmd, enum scsi_key key, enum scsi_asc asc, uint64_t info);
/* ILLEGAL REQUEST: INVALID FIELD IN CDB, and IN PARAMETER LIST. */
int cmd_bad_cdb(struct tgt_cmd *cmd);
int cmd_bad_parameter(struct tgt_cmd *cmd);
/* A status without sense and without data: RESERVATION CONFLICT, BUSY, TASK SET FULL. */
int cmd_status(struct tgt_cmd *cmd, enum scsi_status status);

/* GOOD with `len` bytes of data, cut to the allocation length of the CDB and to what the initiator has room for. */
int cmd_reply(struct tgt_cmd *cmd, const void *data, size_t len, uint32_t alloc_len);

/* Parameter list of `want` bytes (of the CDB): what of it is really there. */
static inline uint32_t cmd_out_len(const struct tgt_cmd *cmd, uint32_t want)
{
	return want < cmd->out.length ? want : cmd->out.length;
}

/* Logical block address and number of blocks of the CDBs of reads, writes and their kin. */
uint64_t cmd_lba(const uint8_t *cdb);
uint32_t cmd_blocks(const uint8_t *cdb);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/* watomic.c - WRITE ATOMIC (16): after a crash either all of it is there, or nothing. */
#include "tgt/handlers.h"
#include "tgt/rw.h"
#include "tgt/work.h"

int watomic_write(struct lun *lun, struct tgt_cmd *cmd)
{
	uint64_t off, len;
	int status;

	status = rw_check(lun, cmd, &off, &len);
	if (status != SCSI_GOOD)
		return status;
	/* No atomic boundaries; and a part of it must not be written. */
	if (get_be16(cmd->cdb + 10) || len > HB_ATOMIC_MAX || cmd->out.length < len)
		return cmd_bad_cdb(cmd);
	cmd_set_out(cmd, len);
	if (!len)
		return SCSI_GOOD;
	return work_one(lun, cmd, HB_WRITE, HB_ATOMIC | rw_write_flags(lun, cmd->cdb), off, len, cmd_out_buf(cmd));
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* caw.c - COMPARE AND WRITE: the first half of the data is compared, the second written, as one atomic step. */
#include "tgt/handlers.h"
#include "tgt/limits.h"
#include "tgt/rw.h"
#include "tgt/work.h"

int caw_compare_and_write(struct lun *lun, struct tgt_cmd *cmd)
{
	uint64_t off, len;
	struct work *w;
	int status;

	status = rw_check(lun, cmd, &off, &len);
	if (status != SCSI_GOOD)
		return status;
	if (cmd_blocks(cmd->cdb) > limit_compare_write(lun->lu))
		return cmd_bad_cdb(cmd);
	if (cmd->out.length != 2 * len)
		return cmd_bad_cdb(cmd);
	if (!len)
		return SCSI_GOOD;
	w = work_new(lun, cmd, work_end);
	if (!w)
		return work_refuse(cmd);
	w->info_base = off;
	work_ask(w, HB_COMPARE_WRITE, rw_write_flags(lun, cmd->cdb), off, len, cmd_out_buf(cmd));
	return work_start(w);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* stock.c - what tgtd does well enough: its own handlers, behind our table. */
#include "tgt/handlers.h"
#include "tgt/pr.h"

int stock_test_unit(struct lun *lun, struct tgt_cmd *cmd)
{
	if (lun->lu->attrs.online && !lun->vol)
		return cmd_sense(cmd, KEY_NOT_READY, ASC_NO_MEDIUM);
	return spc_test_unit(0, cmd);
}

int stock_request_sense(struct lun *lun, struct tgt_cmd *cmd)
{
	int status;

	if (sanitize_request_sense(lun, cmd, &status))
		return status;
	return spc_request_sense(0, cmd);
}

int stock_report_luns(struct lun *lun, struct tgt_cmd *cmd)
{
	(void)lun;
	return spc_report_luns(0, cmd);
}

int stock_start_stop(struct lun *lun, struct tgt_cmd *cmd)
{
	bool just_start = (cmd->cdb[4] & 0xf1) == 0x01, load = (cmd->cdb[4] & 0xf3) == 0x03;
	const struct tgt_attrs *a = &lun->lu->attrs;

	if (!just_start && pr_conflict(lun->lu, cmd->nexus, PR_WRITES))
		return cmd_status(cmd, SCSI_RESERVATION_CONFLICT);
	if (load && a->removable && !a->online && lu_prevent_removal(lun->lu))
		return cmd_sense(cmd, KEY_ILLEGAL_REQUEST, ASC_REMOVAL_PREVENTED);
	return spc_start_stop(0, cmd);
}

int stock_prevent_allow(struct lun *lun, struct tgt_cmd *cmd)
{
	if ((cmd->cdb[4] & 0x03) && pr_conflict(lun->lu, cmd->nexus, PR_WRITES))
		return cmd_status(cmd, SCSI_RESERVATION_CONFLICT);
	return spc_prevent_allow_media_removal(0, cmd);
}

int stock_send_diagnostic(struct lun *lun, struct tgt_cmd *cmd)
{
	(void)lun;
	return spc_send_diagnostics(0, cmd);
}

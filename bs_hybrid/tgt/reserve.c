/* SPDX-License-Identifier: GPL-2.0-only */
/* reserve.c - RESERVE(6) and RELEASE(6). The dispatcher enforces them; tgtd drops them with the nexus or on reset. */
#include "tgt/handlers.h"

int reserve_6(struct lun *lun, struct tgt_cmd *cmd)
{
	/* The two kinds of reservation exclude each other. */
	if (!list_empty(&lun->lu->registrations))
		return cmd_status(cmd, SCSI_RESERVATION_CONFLICT);
	if (cmd->cdb[1] & 0x1f)		/* third parties, extents */
		return cmd_bad_cdb(cmd);
	lun->lu->reserve_id = cmd->nexus_id;
	return SCSI_GOOD;
}

int release_6(struct lun *lun, struct tgt_cmd *cmd)
{
	if (!list_empty(&lun->lu->registrations))
		return cmd_status(cmd, SCSI_RESERVATION_CONFLICT);
	if (lun->lu->reserve_id == cmd->nexus_id)
		lun->lu->reserve_id = 0;
	return SCSI_GOOD;
}

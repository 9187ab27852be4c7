/* SPDX-License-Identifier: GPL-2.0-only */
/* sense.c - what an initiator is told when the engine could not do it.
 *
 * ENOSPC     DATA PROTECT, SPACE ALLOCATION FAILED WRITE PROTECT: the pool is full; space may come back
 * EROFS      DATA PROTECT, WRITE PROTECTED: a snapshot, or the pool is open for reading only
 * EIO        MEDIUM ERROR, READ ERROR or WRITE ERROR, with the LBA; EBADMSG (a checksum) is the same
 * EILSEQ     MISCOMPARE, with the offset of the first difference in the data that was sent
 * ETIMEDOUT  ABORTED COMMAND: the initiator tries again, and meets the device's failed state
 * ENOMEM     BUSY: the initiator tries again
 * EINVAL     ILLEGAL REQUEST, LOGICAL BLOCK ADDRESS OUT OF RANGE, if the volume ends before the request: it was
 *            reverted to a smaller size while the command was under way
 * else       HARDWARE ERROR, INTERNAL TARGET FAILURE, and a line in the log: a defect of ours
 */
#include <errno.h>
#include <inttypes.h>

#include "base/units.h"
#include "tgt/work.h"

static bool op_writes(enum hb_op op)
{
	switch (op) {
	case HB_WRITE:
	case HB_WRITE_SAME:
	case HB_COMPARE_WRITE:
	case HB_OR_WRITE:
	case HB_UNMAP:
	case HB_COPY:
	case HB_FLUSH:
		return true;
	case HB_READ:
	case HB_COMPARE:
	case HB_PREFETCH:
	case HB_OPS:
		break;
	}
	return false;
}

static int medium_error(struct tgt_cmd *cmd, const struct hb_req *req)
{
	bool write = op_writes(req->op) && req->error != -EBADMSG;
	enum scsi_asc asc = write ? ASC_WRITE_ERROR : ASC_READ_ERROR;

	if (req->op == HB_FLUSH)
		return cmd_sense(cmd, KEY_MEDIUM_ERROR, asc);
	return cmd_sense_info(cmd, KEY_MEDIUM_ERROR, asc, req->error_off >> cmd->lu->blk_shift);
}

static bool ends_before(const struct hb_req *req)
{
	const struct hb_volume *other = req->op == HB_COPY ? req->src_vol : NULL;

	return req->off_bytes + req->len_bytes > hb_volume_size(req->vol) ||
	       (other && req->src_off_bytes + req->len_bytes > hb_volume_size(other));
}

int sense_of_result(struct tgt_cmd *cmd, const struct hb_req *req, uint64_t info_base)
{
	if (req->error == -EINVAL && req->vol && ends_before(req))
		return cmd_sense(cmd, KEY_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
	switch (req->error) {
	case 0:
		return SCSI_GOOD;
	case -ENOSPC:
		return cmd_sense(cmd, KEY_DATA_PROTECT, ASC_SPACE_ALLOCATION_FAILED);
	case -EROFS:
		return cmd_sense(cmd, KEY_DATA_PROTECT, ASC_WRITE_PROTECTED);
	case -EIO:
	case -EBADMSG:
		return medium_error(cmd, req);
	case -EILSEQ:
		return cmd_sense_info(cmd, KEY_MISCOMPARE, ASC_MISCOMPARE, req->error_off - info_base);
	case -ETIMEDOUT:
		return cmd_sense(cmd, KEY_ABORTED_COMMAND, ASC_COMMUNICATION_TIMEOUT);
	case -ENOMEM:
		return cmd_status(cmd, SCSI_BUSY);
	default:
		log_error("hybrid: lun %" PRIu64 ": operation %d at %" PRIu64 "+%" PRIu64 ": unexpected error %d\n",
			  cmd->lu->lun, (int)req->op, req->off_bytes, req->len_bytes, req->error);
		return cmd_sense(cmd, KEY_HARDWARE_ERROR, ASC_INTERNAL_FAILURE);
	}
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* unmap.c - UNMAP: all descriptors are looked at before the first is done. */
#include "base/units.h"
#include "tgt/handlers.h"
#include "tgt/limits.h"
#include "tgt/work.h"

#define LIST_HEADER 8
#define DESCRIPTOR 16

enum { UNMAP_RANGES, UNMAP_FLUSHING };

static const uint8_t *descriptor(const struct tgt_cmd *cmd, uint64_t i)
{
	return cmd_out_buf(cmd) + LIST_HEADER + i * DESCRIPTOR;
}

/* Fills in the request for the next range that is not empty. False: there is none left. */
static bool ask_next(struct work *w)
{
	unsigned shift = w->lun->lu->blk_shift;

	for (; w->next < w->end; w->next++) {
		const uint8_t *d = descriptor(w->cmd, w->next);

		if (!get_be32(d + 8))
			continue;
		work_ask(w, HB_UNMAP, 0, get_be64(d) << shift, (uint64_t)get_be32(d + 8) << shift, NULL);
		w->next++;
		return true;
	}
	return false;
}

static bool unmap_step(struct work *w)
{
	if (w->req.error || w->stage == UNMAP_FLUSHING)
		return work_end(w);
	if (ask_next(w))
		return true;
	if (lun_write_cache(w->lun))
		return work_end(w);
	w->stage = UNMAP_FLUSHING;
	work_ask(w, HB_FLUSH, 0, 0, 0, NULL);
	return true;
}

static int check(struct lun *lun, struct tgt_cmd *cmd, uint32_t count)
{
	if (count > LUN_UNMAP_DESCRIPTORS_MAX)
		return cmd_bad_parameter(cmd);
	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *d = descriptor(cmd, i);

		if (get_be32(d + 8) > limit_unmap(lun->lu))
			return cmd_bad_parameter(cmd);
		if (!lun_has(lun, get_be64(d), get_be32(d + 8)))
			return cmd_sense(cmd, KEY_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
	}
	return SCSI_GOOD;
}

int unmap_unmap(struct lun *lun, struct tgt_cmd *cmd)
{
	uint32_t len = cmd_out_len(cmd, get_be16(cmd->cdb + 7)), count;
	struct work *w;
	int status;

	if (cmd->cdb[1] & 0x01)		/* anchors */
		return cmd_bad_cdb(cmd);
	if (!len)
		return SCSI_GOOD;
	if (len < LIST_HEADER)
		return cmd_sense(cmd, KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH);
	count = MIN(get_be16(cmd_out_buf(cmd) + 2), len - LIST_HEADER) / DESCRIPTOR;
	status = check(lun, cmd, count);
	if (status != SCSI_GOOD)
		return status;
	w = work_new(lun, cmd, unmap_step);
	if (!w)
		return work_refuse(cmd);
	w->end = count;
	if (ask_next(w))
		return work_start(w);
	work_drop(w);
	return SCSI_GOOD;
}

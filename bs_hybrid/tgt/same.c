/* SPDX-License-Identifier: GPL-2.0-only */
/* same.c - WRITE SAME (10, 16): one block over a range; zeros give the space back.
 *
 * With UNMAP set, with a block of zeros, or with none at all (NDOB), the range is unmapped in one request: it reads as
 * zeros then. (With UNMAP set the block is not looked at, as other targets do; initiators send zeros.) Another block is
 * written in pieces. What has to be durable is flushed once, at the end.
 */
#include <string.h>

#include "base/units.h"
#include "tgt/handlers.h"
#include "tgt/limits.h"
#include "tgt/rw.h"
#include "tgt/work.h"

#define PIECE_BYTES MIB(1)

enum { WS_WRITING, WS_FLUSHING };

static bool is_zero(const uint8_t *p, size_t len)
{
	return !p[0] && !memcmp(p, p + 1, len - 1);
}

static void ask_piece(struct work *w)
{
	work_ask(w, HB_WRITE_SAME, 0, w->next, MIN(w->end - w->next, PIECE_BYTES), cmd_out_buf(w->cmd));
	w->req.pattern_bytes = 1u << w->lun->lu->blk_shift;
}

static bool same_step(struct work *w)
{
	if (w->req.error || w->stage == WS_FLUSHING)
		return work_end(w);
	w->next += w->req.len_bytes;
	if (w->next < w->end) {
		ask_piece(w);
		return true;
	}
	if (lun_write_cache(w->lun))
		return work_end(w);
	w->stage = WS_FLUSHING;
	work_ask(w, HB_FLUSH, 0, 0, 0, NULL);
	return true;
}

static int write_same(struct lun *lun, struct tgt_cmd *cmd, bool no_data)
{
	uint64_t lba = cmd_lba(cmd->cdb), blocks = cmd_blocks(cmd->cdb);
	unsigned shift = lun->lu->blk_shift;
	bool to_end = !blocks, zeros;
	struct work *w;
	int status;

	/* No protection information, no anchors, no obsolete data patterns. */
	if ((cmd->cdb[1] & 0xf6) || ((cmd->cdb[1] & 0x08) && !lun->lu->attrs.thin))
		return cmd_bad_cdb(cmd);
	if (cmd->out.length != (no_data ? 0 : 1u << shift))
		return no_data ? cmd_bad_cdb(cmd) : cmd_sense(cmd, KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH);
	status = rw_check_range(lun, cmd, lba, blocks);
	if (status != SCSI_GOOD)
		return status;
	if (to_end)
		blocks = lun_blocks(lun) - lba;
	zeros = no_data || (cmd->cdb[1] & 0x08) || is_zero(cmd_out_buf(cmd), 1u << shift);
	if (blocks > limit_write_same(lun->lu) && !(to_end && zeros))
		return cmd_bad_cdb(cmd);
	w = work_new(lun, cmd, same_step);
	if (!w)
		return work_refuse(cmd);
	w->next = lba << shift;
	w->end = (lba + blocks) << shift;
	if (zeros)
		work_ask(w, HB_UNMAP, 0, w->next, w->end - w->next, NULL);
	else
		ask_piece(w);
	return work_start(w);
}

int same_write_10(struct lun *lun, struct tgt_cmd *cmd)
{
	return cmd->cdb[1] & 0x01 ? cmd_bad_cdb(cmd) : write_same(lun, cmd, false);
}

int same_write_16(struct lun *lun, struct tgt_cmd *cmd)
{
	return write_same(lun, cmd, cmd->cdb[1] & 0x01);
}

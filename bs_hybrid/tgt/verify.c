/* SPDX-License-Identifier: GPL-2.0-only */
/* verify.c - VERIFY and WRITE AND VERIFY (10, 12, 16).
 *
 * BYTCHK 0: the blocks are read, checksums and all, and thrown away. 1: they are compared with the data sent. 3 (VERIFY
 * only): each is compared with the one block sent. WRITE AND VERIFY writes through to the devices and compares.
 */
#include <string.h>

#include "base/mem.h"
#include "base/units.h"
#include "tgt/handlers.h"
#include "tgt/rw.h"
#include "tgt/work.h"

#define PIECE_BYTES KIB(256)	/* read or compared at once where the data does not come from the initiator */

enum bytchk { BYTCHK_NONE = 0, BYTCHK_DATA = 1, BYTCHK_RESERVED = 2, BYTCHK_ONE_BLOCK = 3 };

static enum bytchk bytchk(const uint8_t *cdb)
{
	return (enum bytchk)((cdb[1] >> 1) & 0x03);
}

/* ------------------------------------------------------------------ VERIFY */
static void ask_piece(struct work *w)
{
	bool compare = bytchk(w->cmd->cdb) == BYTCHK_ONE_BLOCK;

	work_ask(w, compare ? HB_COMPARE : HB_READ, 0, w->next, MIN(w->end - w->next, PIECE_BYTES), w->scratch);
}

static bool verify_step(struct work *w)
{
	if (w->req.error) {
		/* The offset of the difference is told in the one block that was sent. */
		w->info_base = ROUND_DOWN(w->req.error_off, 1ull << w->lun->lu->blk_shift);
		return work_end(w);
	}
	w->next += w->req.len_bytes;
	if (w->next == w->end)
		return work_end(w);
	ask_piece(w);
	return true;
}

static int verify_pieces(struct lun *lun, struct tgt_cmd *cmd, uint64_t off, uint64_t len)
{
	size_t block = (size_t)1 << lun->lu->blk_shift;
	struct work *w = work_new(lun, cmd, verify_step);

	if (!w)
		return work_refuse(cmd);
	w->scratch = mem_alloc_aligned(PIECE_BYTES);
	if (!w->scratch) {
		work_drop(w);
		return cmd_status(cmd, SCSI_BUSY);
	}
	if (bytchk(cmd->cdb) == BYTCHK_ONE_BLOCK)
		for (size_t at = 0; at < PIECE_BYTES; at += block)
			memcpy((uint8_t *)w->scratch + at, cmd_out_buf(cmd), block);
	w->next = off;
	w->end = off + len;
	ask_piece(w);
	return work_start(w);
}

static int verify_data(struct lun *lun, struct tgt_cmd *cmd, uint64_t off, uint64_t len)
{
	struct work *w;

	if (len >> lun->lu->blk_shift > LUN_TRANSFER_BLOCKS_MAX || cmd->out.length < len)
		return cmd_bad_cdb(cmd);
	cmd_set_out(cmd, len);
	w = work_new(lun, cmd, rw_step);
	if (!w)
		return work_refuse(cmd);
	w->info_base = off;
	w->end = off + len;
	rw_ask(w, HB_COMPARE, 0, cmd_out_buf(cmd));
	return work_start(w);
}

int rw_verify(struct lun *lun, struct tgt_cmd *cmd)
{
	uint64_t lba = cmd_lba(cmd->cdb), blocks = cmd_blocks(cmd->cdb);
	unsigned shift = lun->lu->blk_shift;
	int status;

	if ((cmd->cdb[1] & 0xe0) || bytchk(cmd->cdb) == BYTCHK_RESERVED)
		return cmd_bad_cdb(cmd);
	status = rw_check_range(lun, cmd, lba, blocks);
	if (status != SCSI_GOOD || !blocks)
		return status;
	if (bytchk(cmd->cdb) == BYTCHK_DATA)
		return verify_data(lun, cmd, lba << shift, blocks << shift);
	if (bytchk(cmd->cdb) == BYTCHK_ONE_BLOCK && cmd->out.length != 1u << shift)
		return cmd_bad_cdb(cmd);
	return verify_pieces(lun, cmd, lba << shift, blocks << shift);
}

/* ------------------------------------------------------------------ WRITE AND VERIFY */
enum { WV_WRITING, WV_COMPARING };

static bool write_verify_step(struct work *w)
{
	if (w->req.error)
		return work_end(w);
	if (rw_ask_more(w))
		return true;
	if (w->stage == WV_COMPARING)
		return work_end(w);
	w->stage = WV_COMPARING;
	rw_ask(w, HB_COMPARE, 0, cmd_out_buf(w->cmd));
	return true;
}

int rw_write_verify(struct lun *lun, struct tgt_cmd *cmd)
{
	uint64_t off, len, n;
	struct work *w;
	int status;

	if (bytchk(cmd->cdb) > BYTCHK_DATA)
		return cmd_bad_cdb(cmd);
	status = rw_check(lun, cmd, &off, &len);
	if (status != SCSI_GOOD)
		return status;
	cmd_set_out(cmd, len);
	n = rw_whole_blocks(lun, cmd, len);
	if (!n)
		return SCSI_GOOD;
	w = work_new(lun, cmd, write_verify_step);
	if (!w)
		return work_refuse(cmd);
	w->info_base = off;
	w->end = off + n;
	rw_ask(w, HB_WRITE, HB_FUA, cmd_out_buf(cmd));
	return work_start(w);
}

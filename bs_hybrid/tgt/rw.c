/* SPDX-License-Identifier: GPL-2.0-only */
/* rw.c - READ, WRITE (6, 10, 12, 16), ORWRITE, PRE-FETCH, SYNCHRONIZE CACHE.
 *
 * Lengths: what is moved is the smaller of what the CDB asks for and what the initiator has announced. A write of which
 * only a part came writes the whole blocks of that part.
 *
 * FUA on a read means "not from a volatile cache": what was written before is made durable first. A write is made
 * durable before it is answered when FUA is set or the initiator has cleared WCE.
 */
#include <string.h>

#include "base/mem.h"
#include "base/units.h"
#include "tgt/handlers.h"
#include "tgt/rw.h"
#include "tgt/work.h"

bool rw_fua(const uint8_t *cdb)
{
	return cdb[0] >> 5 != 0 && (cdb[1] & 0x08);
}

uint32_t rw_write_flags(const struct lun *lun, const uint8_t *cdb)
{
	return rw_fua(cdb) || !lun_write_cache(lun) ? HB_FUA : 0;
}

int rw_check_range(struct lun *lun, struct tgt_cmd *cmd, uint64_t lba, uint64_t blocks)
{
	if (lun_has(lun, lba, blocks) && (blocks || lba < lun_blocks(lun)))
		return SCSI_GOOD;
	return cmd_sense(cmd, KEY_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
}

int rw_check(struct lun *lun, struct tgt_cmd *cmd, uint64_t *ret_off, uint64_t *ret_len)
{
	uint64_t lba = cmd_lba(cmd->cdb), blocks = cmd_blocks(cmd->cdb);
	unsigned shift = lun->lu->blk_shift;
	int status;

	/* Protection information is not supported (the field of 6-byte CDBs is part of the address). */
	if (cmd->cdb[0] >> 5 && (cmd->cdb[1] & 0xe0))
		return cmd_bad_cdb(cmd);
	status = rw_check_range(lun, cmd, lba, blocks);
	if (status != SCSI_GOOD)
		return status;
	if (blocks > LUN_TRANSFER_BLOCKS_MAX)
		return cmd_bad_cdb(cmd);
	*ret_off = lba << shift;
	*ret_len = blocks << shift;
	return SCSI_GOOD;
}

uint64_t rw_whole_blocks(const struct lun *lun, const struct tgt_cmd *cmd, uint64_t len)
{
	uint64_t n = MIN(len, cmd->out.length);

	return n >> lun->lu->blk_shift << lun->lu->blk_shift;
}

/* ------------------------------------------------------------------ in pieces */
void rw_ask(struct work *w, enum hb_op op, uint32_t flags, void *buf)
{
	w->next = w->info_base;
	work_ask(w, op, flags, w->next, MIN(w->end - w->next, HB_REQ_MAX), buf);
}

bool rw_ask_more(struct work *w)
{
	struct hb_req *req = &w->req;

	w->next += req->len_bytes;
	if (w->next == w->end)
		return false;
	work_ask(w, req->op, req->flags, w->next, MIN(w->end - w->next, HB_REQ_MAX),
		 (uint8_t *)req->buf + req->len_bytes);
	return true;
}

bool rw_step(struct work *w)
{
	return !w->req.error && rw_ask_more(w) ? true : work_end(w);
}

/* ------------------------------------------------------------------ READ */
enum { READ_AFTER_FLUSH, READ_DATA };

static bool read_step(struct work *w)
{
	struct tgt_cmd *cmd = w->cmd;

	if (w->req.error)
		return work_end(w);
	if (w->stage == READ_AFTER_FLUSH) {
		w->stage = READ_DATA;
		rw_ask(w, HB_READ, 0, w->scratch ? w->scratch : cmd_in_buf(cmd));
		return true;
	}
	if (rw_ask_more(w))
		return true;
	if (w->scratch)
		memcpy(cmd_in_buf(cmd), w->scratch, MIN(w->end - w->info_base, cmd->in.length));
	cmd_set_in(cmd, (uint64_t)cmd_blocks(cmd->cdb) << w->lun->lu->blk_shift);
	return work_end(w);
}

int rw_read(struct lun *lun, struct tgt_cmd *cmd)
{
	uint64_t off, len, whole;
	struct work *w;
	int status;

	status = rw_check(lun, cmd, &off, &len);
	if (status != SCSI_GOOD)
		return status;
	cmd_set_in(cmd, len);
	if (!cmd->in.transfer_len)
		return SCSI_GOOD;
	whole = ROUND_UP((uint64_t)cmd->in.transfer_len, (uint64_t)SECTOR_BYTES);
	cmd_set_in(cmd, 0);
	w = work_new(lun, cmd, read_step);
	if (!w)
		return work_refuse(cmd);
	w->info_base = off;
	w->end = off + whole;
	w->stage = READ_DATA;
	/* The initiator has room for a part of a sector: the engine does not read that. */
	if (whole > cmd->in.length) {
		w->scratch = mem_alloc_aligned(whole);
		if (!w->scratch) {
			work_drop(w);
			return cmd_status(cmd, SCSI_BUSY);
		}
	}
	if (rw_fua(cmd->cdb)) {
		w->stage = READ_AFTER_FLUSH;
		work_ask(w, HB_FLUSH, 0, 0, 0, NULL);
	} else {
		rw_ask(w, HB_READ, 0, w->scratch ? w->scratch : cmd_in_buf(cmd));
	}
	return work_start(w);
}

/* ------------------------------------------------------------------ WRITE and ORWRITE */
static int write_data(struct lun *lun, struct tgt_cmd *cmd, enum hb_op op)
{
	uint64_t off, len, n;
	struct work *w;
	int status;

	status = rw_check(lun, cmd, &off, &len);
	if (status != SCSI_GOOD)
		return status;
	cmd_set_out(cmd, len);
	n = rw_whole_blocks(lun, cmd, len);
	if (!n)
		return SCSI_GOOD;
	w = work_new(lun, cmd, rw_step);
	if (!w)
		return work_refuse(cmd);
	w->info_base = off;
	w->end = off + n;
	rw_ask(w, op, rw_write_flags(lun, cmd->cdb), cmd_out_buf(cmd));
	return work_start(w);
}

int rw_write(struct lun *lun, struct tgt_cmd *cmd)
{
	return write_data(lun, cmd, HB_WRITE);
}

int rw_orwrite(struct lun *lun, struct tgt_cmd *cmd)
{
	return write_data(lun, cmd, HB_OR_WRITE);
}

/* ------------------------------------------------------------------ PRE-FETCH and SYNCHRONIZE CACHE */
#define IMMED 0x02

/* One request without data; with IMMED nobody waits for it. */
static int send(struct lun *lun, struct tgt_cmd *cmd, enum hb_op op, uint64_t off, uint64_t len)
{
	struct work *w;

	if (!(cmd->cdb[1] & IMMED))
		return work_one(lun, cmd, op, 0, off, len, NULL);
	w = work_new(lun, NULL, work_end);
	if (!w)
		return work_refuse(cmd);
	work_ask(w, op, 0, off, len, NULL);
	work_start(w);
	return SCSI_GOOD;
}

/* 0 blocks: to the end. */
static int range_to_end(struct lun *lun, struct tgt_cmd *cmd, uint64_t *ret_off, uint64_t *ret_len)
{
	uint64_t lba = cmd_lba(cmd->cdb), blocks = cmd_blocks(cmd->cdb);
	int status = rw_check_range(lun, cmd, lba, blocks);

	if (status != SCSI_GOOD)
		return status;
	if (!blocks)
		blocks = lun_blocks(lun) - lba;
	*ret_off = lba << lun->lu->blk_shift;
	*ret_len = blocks << lun->lu->blk_shift;
	return SCSI_GOOD;
}

int rw_prefetch(struct lun *lun, struct tgt_cmd *cmd)
{
	uint64_t off, len;
	int status = range_to_end(lun, cmd, &off, &len);

	return status != SCSI_GOOD ? status : send(lun, cmd, HB_PREFETCH, off, len);
}

/* The engine's flush is of everything; the range only has to be a valid one. */
int rw_sync_cache(struct lun *lun, struct tgt_cmd *cmd)
{
	uint64_t off, len;
	int status = range_to_end(lun, cmd, &off, &len);

	return status != SCSI_GOOD ? status : send(lun, cmd, HB_FLUSH, 0, 0);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* sanitize.c - SANITIZE (overwrite, block erase, exit failure mode) and FORMAT UNIT.
 *
 * What is promised is the volume, not the devices below: after a block erase every block reads as zeros, through any
 * LUN, now and after a crash; after an overwrite every block reads as the pattern. The pool is log-structured and thin:
 * old copies on its devices live until their places are used again, and snapshots keep what they have. Cryptographic
 * erase is not offered: nothing is encrypted.
 *
 * While it runs, also in the background (IMMED), other commands are answered NOT READY, SANITIZE IN PROGRESS. If it
 * fails, reads and writes are refused until another SANITIZE succeeds, or, if AUSE was set, EXIT FAILURE MODE.
 */
#include <string.h>

#include "base/mem.h"
#include "base/units.h"
#include "tgt/handlers.h"
#include "tgt/work.h"

#define PIECE_BYTES MIB(1)
#define IMMED 0x80
#define AUSE 0x20

enum { SANITIZE_PIECES, SANITIZE_FLUSH };

struct sanitize {
	bool sanitizes;			/* false: FORMAT UNIT */
	bool may_exit;			/* AUSE */
	bool invert;
	unsigned pass, passes;
	uint64_t at, size;
	uint8_t block[BLK_BYTES];	/* the pattern, one logical block of it; zeros: unmap */
	bool zeros;
};

static void ask_piece(struct work *w)
{
	struct sanitize *s = w->job;

	w->stage = SANITIZE_PIECES;
	if (s->zeros) {
		work_ask(w, HB_UNMAP, 0, s->at, MIN(s->size - s->at, GIB(1)), NULL);
		return;
	}
	work_ask(w, HB_WRITE_SAME, 0, s->at, MIN(s->size - s->at, PIECE_BYTES), s->block);
	w->req.pattern_bytes = 1u << w->lun->lu->blk_shift;
}

static void over(struct work *w)
{
	struct sanitize *s = w->job;
	struct lun *lun = w->lun;

	lun->sanitize_failed = s->sanitizes && w->req.error;
	lun->sanitize_may_exit = s->may_exit;
	lun->sanitize = NULL;
	work_end(w);
	mem_free(s);
	w->job = NULL;
}

/* Every pass ends with a flush. */
static bool sanitize_step(struct work *w)
{
	struct sanitize *s = w->job;

	if (w->req.error) {
		over(w);
		return false;
	}
	s->size = w->lun->lu->size;	/* a volume may grow, or be reverted, meanwhile */
	if (w->stage == SANITIZE_PIECES) {
		s->at += w->req.len_bytes;
		if (s->at < s->size) {
			ask_piece(w);
			return true;
		}
		w->stage = SANITIZE_FLUSH;
		work_ask(w, HB_FLUSH, 0, 0, 0, NULL);
		return true;
	}
	if (++s->pass == s->passes) {
		over(w);
		return false;
	}
	for (unsigned i = 0; s->invert && i < sizeof(s->block); i++)
		s->block[i] = (uint8_t)~s->block[i];
	s->zeros = false;
	s->at = 0;
	ask_piece(w);
	return true;
}

/* Takes `s`. */
static int start(struct lun *lun, struct tgt_cmd *cmd, struct sanitize *s, bool immediate)
{
	struct work *w = work_new(lun, immediate ? NULL : cmd, sanitize_step);

	if (!w) {
		mem_free(s);
		return work_refuse(cmd);
	}
	s->size = lun->lu->size;
	s->zeros = !s->block[0] && !memcmp(s->block, s->block + 1, sizeof(s->block) - 1);
	w->job = s;
	w->unabortable = true;
	lun->sanitize = s;
	ask_piece(w);
	return work_start(w);
}

/* NULL, with *ret_status: not now. */
static struct sanitize *prepare(struct lun *lun, struct tgt_cmd *cmd, int *ret_status)
{
	struct sanitize *s;

	if (lun->sanitize) {
		*ret_status = cmd_sense(cmd, KEY_NOT_READY, ASC_SANITIZE_IN_PROGRESS);
		return NULL;
	}
	s = mem_zalloc(sizeof(*s));
	if (!s) {
		*ret_status = cmd_status(cmd, SCSI_BUSY);
		return NULL;
	}
	s->passes = 1;
	return s;
}

static bool reserved_bits(const uint8_t *cdb)
{
	return (cdb[1] & 0x40) || get_be32(cdb + 2) || cdb[6];
}

int sanitize_block_erase(struct lun *lun, struct tgt_cmd *cmd)
{
	struct sanitize *s;
	int status;

	if (get_be16(cmd->cdb + 7) || reserved_bits(cmd->cdb))	/* no parameters */
		return cmd_bad_cdb(cmd);
	s = prepare(lun, cmd, &status);
	if (!s)
		return status;
	s->sanitizes = true;
	s->may_exit = cmd->cdb[1] & AUSE;
	return start(lun, cmd, s, cmd->cdb[1] & IMMED);
}

int sanitize_overwrite(struct lun *lun, struct tgt_cmd *cmd)
{
	uint32_t len = get_be16(cmd->cdb + 7), pattern;
	const uint8_t *p = cmd_out_buf(cmd);
	size_t block = (size_t)1 << lun->lu->blk_shift;
	struct sanitize *s;
	int status;

	if (reserved_bits(cmd->cdb))
		return cmd_bad_cdb(cmd);
	if (len < 5 || len > block + 4)
		return cmd_bad_cdb(cmd);
	if (cmd->out.length < len)
		return cmd_sense(cmd, KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH);
	pattern = get_be16(p + 2);
	/* At least one pass, no test modes, a pattern of one byte to one block. */
	if (!(p[0] & 0x1f) || (p[0] & 0x60) || !pattern || pattern > block || pattern > len - 4)
		return cmd_bad_parameter(cmd);
	s = prepare(lun, cmd, &status);
	if (!s)
		return status;
	s->sanitizes = true;
	s->may_exit = cmd->cdb[1] & AUSE;
	s->invert = p[0] & 0x80;
	s->passes = p[0] & 0x1f;
	/* The pattern is repeated from the start of each block. */
	for (size_t i = 0; i < sizeof(s->block); i++)
		s->block[i] = p[4 + (i % block) % pattern];
	return start(lun, cmd, s, cmd->cdb[1] & IMMED);
}

int sanitize_exit_failure(struct lun *lun, struct tgt_cmd *cmd)
{
	if (lun->sanitize)
		return cmd_sense(cmd, KEY_NOT_READY, ASC_SANITIZE_IN_PROGRESS);
	if (get_be16(cmd->cdb + 7) || (lun->sanitize_failed && !lun->sanitize_may_exit))
		return cmd_bad_cdb(cmd);
	lun->sanitize_failed = false;
	return SCSI_GOOD;
}

/* The medium is given back to the pool and reads as zeros. */
int sanitize_format(struct lun *lun, struct tgt_cmd *cmd)
{
	struct sanitize *s;
	int status;

	/* No protection information, no data (so no IMMED either), no defect lists. */
	if (cmd->cdb[1] & 0xff)
		return cmd_bad_cdb(cmd);
	s = prepare(lun, cmd, &status);
	return s ? start(lun, cmd, s, false) : status;
}

bool sanitize_request_sense(struct lun *lun, struct tgt_cmd *cmd, int *status)
{
	const struct sanitize *s = lun->sanitize;
	uint8_t data[18];
	uint64_t done;

	if (!s)
		return false;
	done = s->size >> 16 ? s->at / (s->size >> 16) : 0;
	done = (done + ((uint64_t)s->pass << 16)) / s->passes;
	memset(data, 0, sizeof(data));
	data[0] = 0x70;
	data[2] = KEY_NOT_READY;
	data[7] = sizeof(data) - 8;
	put_be16(data + 12, ASC_SANITIZE_IN_PROGRESS);
	data[15] = 0x80;		/* progress, in 65536ths */
	put_be16(data + 16, (uint16_t)MIN(done, 0xffffu));
	*status = cmd_reply(cmd, data, sizeof(data), cmd->cdb[4]);
	return true;
}

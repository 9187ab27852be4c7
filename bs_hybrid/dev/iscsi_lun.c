/* SPDX-License-Identifier: GPL-2.0-only */
/* iscsi_lun.c - what a new session asks the LUN before it may do I/O: is it there, which one, how large, what it can.
 *
 * Every login asks everything, not only the first: a target that was configured anew may have put another LUN under the
 * same number, and no I/O may reach that. What is missing (no such LUN yet, not ready) is tried again, for a target
 * that starts is configured step by step; what proves to be another LUN is refused.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/text.h"
#include "dev/iscsi_priv.h"

#define UNMAP_MAX_BLOCKS 0x400000u		/* of one UNMAP, where the LUN has no limit of its own */

/* ------------------------------------------------------------------ identity */

/* Printable, without blanks at the ends and without runs of them. */
static size_t put_text(char *to, size_t room, size_t at, const uint8_t *from, size_t len)
{
	bool gap = false;

	for (size_t i = 0; i < len && from[i]; i++) {
		if (!isgraph(from[i])) {
			gap = true;
			continue;
		}
		if (gap && at > 0 && at + 1 < room && to[at - 1] != ' ' && to[at - 1] != '.')
			to[at++] = ' ';
		gap = false;
		if (at + 1 < room)
			to[at++] = (char)from[i];
	}
	to[at] = '\0';
	return at;
}

static void put_hex(char *to, size_t room, size_t at, const uint8_t *from, size_t len)
{
	for (size_t i = 0; i < len && at + 3 < room; i++)
		at += text_fmt(to + at, room - at, "%02x", from[i]);
}

enum rank { RANK_NONE, RANK_NAA_LOCAL, RANK_T10, RANK_EUI, RANK_NAA };

/* How good a name is (SPC-4, 7.8.6). A NAA of type 3 is "locally assigned": tgt makes it of target and LUN number
 * alone, the same in each tgtd, while its T10 name can be configured. */
static enum rank designator_rank(const uint8_t *p)
{
	if ((p[1] >> 4 & 3) != 0 || p[3] == 0)	/* of a port or target; empty */
		return RANK_NONE;
	switch (p[1] & 0xf) {
	case 1:
		return RANK_T10;
	case 2:
		return RANK_EUI;
	case 3:
		return p[4] >> 4 == 3 ? RANK_NAA_LOCAL : RANK_NAA;
	default:
		return RANK_NONE;
	}
}

static void parse_id(struct facts *f, const uint8_t *p, size_t len)
{
	static const char *const prefix[] = { "", "naa.", "t10.", "eui.", "naa." };
	size_t end = len < 4 ? 0 : MIN(len, 4 + (size_t)get_be16(p + 2));
	enum rank best = RANK_NONE;

	for (size_t at = 4; at + 4 <= end && at + 4 + p[at + 3] <= end; at += 4 + (size_t)p[at + 3]) {
		enum rank rank = designator_rank(p + at);
		size_t n;

		if (rank <= best)
			continue;
		best = rank;
		n = text_fmt(f->identity, sizeof(f->identity), "%s", prefix[rank]);
		if (rank == RANK_T10)
			put_text(f->identity, sizeof(f->identity), n, p + at + 4, p[at + 3]);
		else
			put_hex(f->identity, sizeof(f->identity), n, p + at + 4, p[at + 3]);
	}
}

static void parse_serial(struct facts *f, const uint8_t *p, size_t len)
{
	char serial[64];
	size_t n = strlen(f->identity);

	if (len < 4 || p[1] != 0x80)
		return;
	if (put_text(serial, sizeof(serial), 0, p + 4, MIN(len - 4, (size_t)get_be16(p + 2))))
		text_fmt(f->identity + n, sizeof(f->identity) - n, "%sserial %s", n ? " " : "", serial);
}

/* ------------------------------------------------------------------ answers */

/* Each returns 0, or -errno with the reason in *why: then this session cannot be. */

static int parse_inquiry(const uint8_t *p, size_t len, const char **why)
{
	if (len < 5 || p[0] >> 5 != 0 || (p[0] & 0x1f) == 0x1f) {
		*why = "the target has no such LUN";
		return -ENXIO;
	}
	if ((p[0] & 0x1f) != 0) {
		*why = "the LUN is no disk";
		return -EOPNOTSUPP;
	}
	return 0;
}

static int parse_capacity(struct facts *f, const uint8_t *p, size_t len, const char **why)
{
	*why = "READ CAPACITY(16): the answer makes no sense";
	if (len < 12)
		return -EPROTO;
	f->blocks = get_be64(p) + 1;
	f->block_bytes = get_be32(p + 8);
	if (f->block_bytes != 512 && f->block_bytes != 4096) {
		*why = "its blocks are neither of 512 nor of 4096 bytes";
		return -EOPNOTSUPP;
	}
	return f->blocks == 0 || f->blocks > INT64_MAX / f->block_bytes ? -EPROTO : 0;
}

/* MODE SENSE(6), caching page (SBC-3, 6.5.5). */
static void parse_mode(struct facts *f, const uint8_t *p, size_t len)
{
	size_t at = len < 4 ? len : 4 + (size_t)p[3];

	f->write_protected = len >= 4 && p[2] & 0x80;
	f->cache = !(at + 2 < len && (p[at] & 0x3f) == 8 && !(p[at + 2] & 4));
}

static void parse_limits(struct facts *f, const uint8_t *p, size_t len)
{
	if (len < 32 || p[1] != 0xb0)
		return;
	f->max_blocks = get_be32(p + 8);
	f->unmap_blocks = get_be32(p + 24) ? MIN(get_be32(p + 20), UNMAP_MAX_BLOCKS) : 0;
	f->unmap_granularity = get_be32(p + 28);
}

static int parse(struct conn *c, enum step step, const uint8_t *p, size_t len, const char **why)
{
	struct facts *f = &c->facts;

	switch (step) {
	case STEP_INQUIRY:
		return parse_inquiry(p, len, why);
	case STEP_ID:
		parse_id(f, p, len);
		return 0;
	case STEP_SERIAL:
		parse_serial(f, p, len);
		return 0;
	case STEP_CAPACITY:
	case STEP_RESCAN:
		return parse_capacity(f, p, len, why);
	case STEP_MODE:
		parse_mode(f, p, len);
		return 0;
	case STEP_LIMITS:
		parse_limits(f, p, len);
		return 0;
	case STEP_PROVISION:			/* logical block provisioning: UNMAP or not (SBC-3, 6.6.4) */
		if (len < 6 || p[1] != 0xb2 || !(p[5] & 0x80))
			f->unmap_blocks = 0;
		return 0;
	case STEP_ROTATION:			/* 0 not told, 1 no medium that turns */
		f->rotational = len >= 6 && p[1] == 0xb1 && get_be16(p + 4) > 1;
		return 0;
	default:
		return 0;
	}
}

/* ------------------------------------------------------------------ the verdict */

static void broken(struct conn *c, int code, const char *why)
{
	if (!c->broken)
		text_fmt(c->why, sizeof(c->why), "%s", why);
	c->why_code = code;
	c->broken = true;
}

/* Another LUN than the one that we know; why in c->why. */
static bool is_another(struct conn *c)
{
	const struct facts *was = &c->d->facts, *is = &c->facts;

	if (strcmp(was->identity, is->identity) != 0)
		text_fmt(c->why, sizeof(c->why), "another LUN (%.60s) is in place of the one that was opened (%.60s)",
			 is->identity, was->identity);
	else if (was->block_bytes != is->block_bytes || was->blocks > is->blocks)
		text_fmt(c->why, sizeof(c->why), "the LUN has %llu blocks of %u bytes now, it had %llu of %u",
			 (unsigned long long)is->blocks, is->block_bytes, (unsigned long long)was->blocks,
			 was->block_bytes);
	else
		return false;
	return true;
}

static void verified(struct conn *c)
{
	struct remote *d = c->d;

	if (!c->facts.identity[0]) {
		broken(c, -EOPNOTSUPP, "the LUN has no identity (VPD pages 83h, 80h)");
	} else if (d->known && is_another(c)) {
		c->why_code = -EXDEV;
		c->broken = true;
		if (d->refused_ns == NEVER)
			d->refused_ns = d->now_ns;
	} else if (c->facts.write_protected && !d->read_only) {
		broken(c, -EROFS, "the LUN is write-protected");
	} else {
		uint64_t blocks = MAX(d->facts.blocks, c->facts.blocks);

		/* What may change, changes; the rest was told to others when it was opened. */
		if (!d->known)
			d->facts = c->facts;
		d->facts.cache = c->facts.cache;
		d->facts.blocks = blocks;
		d->known = true;
		d->refused_ns = NEVER;
		conn_up(c);
	}
}

/* ------------------------------------------------------------------ asking */

static const char *const step_names[] = {
	[STEP_READY] = "TEST UNIT READY", [STEP_INQUIRY] = "INQUIRY", [STEP_CAPACITY] = "READ CAPACITY(16)",
	[STEP_PING] = "TEST UNIT READY", [STEP_RESCAN] = "READ CAPACITY(16)",
};

static bool step_is_required(enum step step)
{
	return step_names[step] != NULL;
}

/* The LUN refused: nothing to stop for where it may lack that. */
static void refused(struct conn *c, enum step step, int status, const struct scsi_task *task)
{
	if (step == STEP_PING || step == STEP_RESCAN)
		return;				/* it lives, that was the question; a rescan sees no new size */
	if (!step_is_required(step)) {
		if (step == STEP_MODE)
			c->facts.cache = true;
		lun_ask(c, step + 1);
	} else if (status == SCSI_STATUS_CHECK_CONDITION && task && task->sense.ascq == 0x2500) {
		broken(c, -ENXIO, "the target has no such LUN");
	} else {
		text_fmt(c->why, sizeof(c->why), "%s: status %02xh, %s, %s", step_names[step], (unsigned)status & 0xff,
			 task ? scsi_sense_key_str((int)task->sense.key) : "?",
			 task ? scsi_sense_ascq_str(task->sense.ascq) : "?");
		c->why_code = -EIO;
		c->broken = true;
	}
}

static void answered(struct conn *c, enum step step, int status, const struct scsi_task *task)
{
	const char *why = "";
	int r;

	if (status == SCSI_STATUS_CHECK_CONDITION && task && task->sense.key == SCSI_SENSE_UNIT_ATTENTION &&
	    c->step_tries++ < STEP_TRIES) {
		conn_attention(c, task->sense.ascq);
		if (step != STEP_PING)
			lun_ask(c, step);
		return;
	}
	if (status != SCSI_STATUS_GOOD || !task) {
		refused(c, step, status, task);
		return;
	}
	c->step_tries = 0;
	r = parse(c, step, task->datain.data, task->datain.data ? (size_t)task->datain.size : 0, &why);
	if (step == STEP_RESCAN) {
		if (r == 0 && c->facts.block_bytes == c->d->facts.block_bytes)
			c->d->facts.blocks = MAX(c->d->facts.blocks, c->facts.blocks);
		return;
	}
	if (r < 0)
		broken(c, r, why);
	else if (step != STEP_PING)
		lun_ask(c, step + 1);
}

static void on_answer(struct iscsi_context *ctx, int status, void *data, void *priv)
{
	struct conn *c = priv;
	struct scsi_task *task = c->ctl;

	(void)ctx, (void)data;
	if (c->closing)
		return;
	if (conn_lost_status(status)) {
		broken(c, -ECONNRESET, "connection lost");
		return;
	}
	c->ctl = NULL;
	remote_proof(c->d, c, c->ctl_seq);
	answered(c, c->step, status, task);
	scsi_free_scsi_task(task);
}

static struct scsi_task *inquiry(struct conn *c, int page)
{
	return iscsi_inquiry_task(c->ctx, (int)c->d->lun, page >= 0, page >= 0 ? page : 0, 255, on_answer, c);
}

void lun_ask(struct conn *c, enum step step)
{
	int lun = (int)c->d->lun;

	c->step = step;
	c->ctl_seq = c->d->logins;
	switch (step) {
	case STEP_READY:
		c->facts = (struct facts){ 0 };
		/* fall through */
	case STEP_PING:
		c->ctl = iscsi_testunitready_task(c->ctx, lun, on_answer, c);
		break;
	case STEP_INQUIRY:
		c->ctl = inquiry(c, -1);
		break;
	case STEP_ID:
		c->ctl = inquiry(c, 0x83);
		break;
	case STEP_SERIAL:
		c->ctl = inquiry(c, 0x80);
		break;
	case STEP_CAPACITY:
	case STEP_RESCAN:
		c->ctl = iscsi_readcapacity16_task(c->ctx, lun, on_answer, c);
		break;
	case STEP_MODE:
		c->ctl = iscsi_modesense6_task(c->ctx, lun, 1, SCSI_MODESENSE_PC_CURRENT,
					       SCSI_MODEPAGE_CACHING, 0, 255, on_answer, c);
		break;
	case STEP_LIMITS:
		c->ctl = inquiry(c, 0xb0);
		break;
	case STEP_PROVISION:
		c->ctl = inquiry(c, 0xb2);
		break;
	case STEP_ROTATION:
		c->ctl = inquiry(c, 0xb1);
		break;
	case STEP_VERIFIED:
		verified(c);
		return;
	}
	if (!c->ctl)
		broken(c, -ENOMEM, iscsi_get_error(c->ctx));
}

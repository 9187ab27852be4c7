/* SPDX-License-Identifier: GPL-2.0-only */
/* xcopy.c - EXTENDED COPY (LID1, LID4): from blocks to blocks, between LUNs of ours in one target.
 *
 * The whole parameter list is checked before the first block is copied, except whether a segment's range and LUN are
 * there and permitted: that is seen when its turn comes, and ends the copy with COPY ABORTED. (Only a snapshot as a
 * destination is seen at once.) Inside one pool the
 * engine copies (it shares chunks where it can); between two pools data goes through memory. The command is answered
 * when all is done.
 *
 * A LUN that is read or written on behalf of another's command is pinned: it is not closed before the copy has
 * noticed.
 */
#include "tgt/xcopy.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/units.h"
#include "tgt/handlers.h"
#include "tgt/loop.h"
#include "tgt/pr.h"
#include "tgt/vpd.h"
#include "tgt/work.h"

#define HEADER_LID1 16
#define HEADER_LID4 48
#define CSCD_LEN 32
#define CSCD_IDENTIFICATION 0xe4
#define CSCD_SELF 0xffff
#define SEGMENT_BLOCKS 0x02	/* block device to block device */
#define SEGMENT_BLOCKS_LEN 28
#define PIECE_BYTES MIB(1)	/* between pools */

struct list {			/* a parameter list, taken apart */
	uint32_t id;
	uint8_t usage;
	bool immediate, lid4;
	size_t header;
	uint32_t cscds_len, segments_len, inline_len;
};

struct copy {
	struct xcopy_record *record;	/* NULL: nobody will ask */
	struct lun *cscds[XCOPY_CSCDS_MAX];	/* NULL: not to be had */
	unsigned ncscds, nsegments, segment;
	const uint8_t *segments;	/* in the command's out buffer */
	/* of the current segment */
	struct lun *from, *to;
	uint64_t from_off, to_off, left;
	bool reading;
};

struct xcopy_record *xcopy_find(struct lun *lun, uint64_t nexus_id, uint32_t list_id, bool lid4)
{
	for (unsigned i = 0; i < XCOPY_HISTORY; i++) {
		/* From the latest backwards. */
		unsigned at = (lun->copies.next + XCOPY_HISTORY - 1 - i) % XCOPY_HISTORY;
		struct xcopy_record *r = &lun->copies.records[at];

		if (r->state != XCOPY_NONE && r->nexus_id == nexus_id && r->list_id == list_id && r->lid4 == lid4)
			return r;
	}
	return NULL;
}

static struct xcopy_record *record_new(struct lun *lun, uint64_t nexus_id, uint32_t list_id, bool lid4)
{
	struct xcopy_history *h = &lun->copies;
	struct xcopy_record *r;

	for (unsigned i = 0; i < XCOPY_HISTORY; i++) {
		r = &h->records[h->next];
		h->next = (h->next + 1) % XCOPY_HISTORY;
		if (r->state == XCOPY_RUNNING)
			continue;
		*r = (struct xcopy_record){ .state = XCOPY_RUNNING, .nexus_id = nexus_id, .lid4 = lid4 };
		r->list_id = list_id;
		return r;
	}
	return NULL;
}

/* ------------------------------------------------------------------ the list */
static int bad_length(struct tgt_cmd *cmd)
{
	return cmd_sense(cmd, KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH);
}

static int parse_header(struct tgt_cmd *cmd, uint32_t len, bool lid4, struct list *list)
{
	const uint8_t *p = cmd_out_buf(cmd);

	memset(list, 0, sizeof(*list));
	list->lid4 = lid4;
	list->header = lid4 ? HEADER_LID4 : HEADER_LID1;
	if (len < list->header)
		return bad_length(cmd);
	list->usage = (p[1] >> 3) & 0x03;
	if (lid4) {
		if (p[0] != 0x01 || get_be16(p + 2) != 0x20 || p[16] != 0xff)
			return cmd_bad_parameter(cmd);
		list->immediate = p[15] & 0x02;
		list->id = get_be32(p + 20);
		list->cscds_len = get_be16(p + 42);
		list->segments_len = get_be16(p + 44);
		list->inline_len = get_be16(p + 46);
	} else {
		list->id = p[0];
		list->cscds_len = get_be16(p + 2);
		list->segments_len = get_be32(p + 8);
		list->inline_len = get_be32(p + 12);
	}
	/* Usage 1 is reserved; 3 means that the list has no identifier. */
	if (list->usage == 1 || (list->usage == 3 && list->id) || list->immediate)
		return cmd_bad_parameter(cmd);
	if (list->inline_len)
		return cmd_sense(cmd, KEY_ILLEGAL_REQUEST, ASC_COPY_INLINE_TOO_LONG);
	if (list->cscds_len % CSCD_LEN || (uint64_t)list->cscds_len + list->segments_len > len - list->header)
		return bad_length(cmd);
	if (list->cscds_len + list->segments_len > XCOPY_LIST_MAX)
		return bad_length(cmd);
	return SCSI_GOOD;
}

static struct lun *lun_named(const struct tgt_cmd *cmd, const uint8_t *designator, size_t len)
{
	list_each(l, &cmd->target->devices) {
		struct tgt_lu *lu = list_entry(l, struct tgt_lu, siblings);

		if (lun_is_ours(lu) && lun_of(lu)->vol && vpd_is_named(lun_of(lu), designator, len))
			return lun_of(lu);
	}
	return NULL;
}

static int parse_cscds(struct tgt_cmd *cmd, const struct list *list, struct copy *copy)
{
	const uint8_t *p = cmd_out_buf(cmd) + list->header;

	if (list->cscds_len / CSCD_LEN > XCOPY_CSCDS_MAX)
		return cmd_sense(cmd, KEY_ILLEGAL_REQUEST, ASC_TOO_MANY_TARGETS);
	for (uint32_t at = 0; at < list->cscds_len; at += CSCD_LEN, p += CSCD_LEN) {
		struct lun *lun;

		if (p[0] != CSCD_IDENTIFICATION)
			return cmd_sense(cmd, KEY_ILLEGAL_REQUEST, ASC_UNSUPPORTED_TARGET_TYPE);
		if (p[1] & 0xc0)	/* only LUNs, by their ids */
			return cmd_bad_cdb(cmd);
		lun = lun_named(cmd, p + 4, 24);
		if (p[1] & 0x20)	/* a null device: known, but nothing can be copied with it */
			lun = NULL;
		if (lun && (get_be32(p + 28) & 0xffffff) && (get_be32(p + 28) & 0xffffff) != 1u << lun->lu->blk_shift)
			return cmd_bad_parameter(cmd);
		copy->cscds[copy->ncscds++] = lun;
	}
	return SCSI_GOOD;
}

static int parse_segments(struct tgt_cmd *cmd, const struct list *list, struct copy *copy)
{
	const uint8_t *p = cmd_out_buf(cmd) + list->header + list->cscds_len, *end = p + list->segments_len;

	copy->segments = p;
	while (p < end) {
		if (end - p < 4)
			return bad_length(cmd);
		if (p[0] != SEGMENT_BLOCKS)
			return cmd_sense(cmd, KEY_ILLEGAL_REQUEST, ASC_UNSUPPORTED_SEGMENT_TYPE);
		if (get_be16(p + 2) + 4 != SEGMENT_BLOCKS_LEN)
			return cmd_bad_parameter(cmd);
		if (end - p < SEGMENT_BLOCKS_LEN)
			return bad_length(cmd);
		if (++copy->nsegments > XCOPY_SEGMENTS_MAX)
			return cmd_sense(cmd, KEY_ILLEGAL_REQUEST, ASC_TOO_MANY_SEGMENTS);
		p += SEGMENT_BLOCKS_LEN;
	}
	return SCSI_GOOD;
}

/* The LUN that a segment's descriptor names by its index. */
static struct lun *cscd(struct lun *self, const struct copy *copy, const uint8_t *index)
{
	unsigned i = get_be16(index);

	return i == CSCD_SELF ? self : i < copy->ncscds ? copy->cscds[i] : NULL;
}

/* A snapshot stays one: a list that would write to any is refused as a whole. (That a volume is write-protected is seen
 * when its segment's turn comes.) */
static int refuse_frozen(struct lun *self, struct tgt_cmd *cmd, const struct copy *copy)
{
	for (unsigned i = 0; i < copy->nsegments; i++) {
		const struct lun *to = cscd(self, copy, copy->segments + (size_t)i * SEGMENT_BLOCKS_LEN + 6);

		if (to && to->frozen)
			return cmd_sense(cmd, KEY_DATA_PROTECT, ASC_WRITE_PROTECTED);
	}
	return SCSI_GOOD;
}

/* ------------------------------------------------------------------ copying */
static void unpin(struct copy *copy)
{
	if (copy->from)
		copy->from->pins--;
	if (copy->to)
		copy->to->pins--;
	copy->from = copy->to = NULL;
}

/* May this nexus do that to this LUN, as if it had sent a command there? */
static bool permitted(const struct lun *lun, const struct tgt_cmd *cmd, enum pr_access access)
{
	const struct tgt_lu *lu = lun->lu;

	if (lun->closing || !lun->vol || !lu->attrs.online || lun->sanitize || lun->sanitize_failed)
		return false;
	if ((lu->reserve_id && lu->reserve_id != cmd->nexus_id) || pr_conflict(lu, cmd->nexus, access))
		return false;
	return access != PR_WRITES || !lun_protected(lun);
}

/* Looks at the next segment. GOOD, or the sense it ends the copy with. */
static int begin_segment(struct work *w)
{
	struct copy *copy = w->job;
	const uint8_t *p = copy->segments + (size_t)copy->segment * SEGMENT_BLOCKS_LEN;
	struct lun *from = cscd(w->lun, copy, p + 4), *to = cscd(w->lun, copy, p + 6);
	uint64_t from_lba = get_be64(p + 12), to_lba = get_be64(p + 20);
	unsigned from_shift, to_shift;

	if (!from || !to)
		return cmd_sense(w->cmd, KEY_COPY_ABORTED, ASC_UNREACHABLE_COPY_TARGET);
	if (!permitted(from, w->cmd, PR_READS) || !permitted(to, w->cmd, PR_WRITES))
		return cmd_sense(w->cmd, KEY_COPY_ABORTED, ASC_THIRD_PARTY_DEVICE_FAILURE);
	from_shift = from->lu->blk_shift;
	to_shift = to->lu->blk_shift;
	copy->left = (uint64_t)get_be16(p + 10) << (p[1] & 0x02 ? to_shift : from_shift);
	if (!lun_has(from, from_lba, DIV_UP(copy->left, 1ull << from_shift)) ||
	    !lun_has(to, to_lba, DIV_UP(copy->left, 1ull << to_shift)) || copy->left % (1ull << to_shift) ||
	    copy->left % (1ull << from_shift))
		return cmd_sense(w->cmd, KEY_COPY_ABORTED, ASC_COPY_TARGET_UNREACHABLE);
	copy->from_off = from_lba << from_shift;
	copy->to_off = to_lba << to_shift;
	copy->from = from;
	copy->to = to;
	from->pins++;
	to->pins++;
	return SCSI_GOOD;
}

static void ask_piece(struct work *w)
{
	struct copy *copy = w->job;
	uint32_t flags = lun_write_cache(copy->to) ? 0 : HB_FUA;

	if (copy->from->pool == copy->to->pool) {
		work_ask(w, HB_COPY, flags, copy->to_off, MIN(copy->left, HB_REQ_MAX), NULL);
		w->req.vol = copy->to->vol;
		w->req.src_vol = copy->from->vol;
		w->req.src_off_bytes = copy->from_off;
		loop_touch(copy->to->pool);
	} else if (copy->reading) {
		work_ask(w, HB_READ, 0, copy->from_off, MIN(copy->left, PIECE_BYTES), w->scratch);
		w->req.vol = copy->from->vol;
		loop_touch(copy->from->pool);
	} else {
		work_ask(w, HB_WRITE, flags, copy->to_off, MIN(copy->left, PIECE_BYTES), w->scratch);
		w->req.vol = copy->to->vol;
		loop_touch(copy->to->pool);
	}
}

/* Goes to the next segment that has something to copy. False: the copy is over, with *ret_status. */
static bool next_segment(struct work *w, int *ret_status)
{
	struct copy *copy = w->job;

	*ret_status = SCSI_GOOD;
	for (; copy->segment < copy->nsegments; copy->segment++) {
		*ret_status = begin_segment(w);
		if (*ret_status != SCSI_GOOD)
			return false;
		if (copy->left)
			break;
		unpin(copy);
	}
	if (copy->segment == copy->nsegments)
		return false;
	copy->reading = true;
	if (copy->from->pool != copy->to->pool && !w->scratch) {
		w->scratch = mem_alloc_aligned(PIECE_BYTES);
		if (!w->scratch) {
			*ret_status = cmd_status(w->cmd, SCSI_BUSY);
			return false;
		}
	}
	ask_piece(w);
	return true;
}

static void over(struct work *w, int status)
{
	struct copy *copy = w->job;
	struct xcopy_record *r = copy->record;

	unpin(copy);
	if (r) {
		r->state = status == SCSI_GOOD ? XCOPY_DONE : XCOPY_FAILED;
		r->segments = (uint16_t)copy->segment;
		r->status = (uint8_t)status;
		if (status == SCSI_CHECK_CONDITION)
			r->sense_len = (uint8_t)MIN(w->cmd->sense_len, (int)sizeof(r->sense));
		memcpy(r->sense, w->cmd->sense, r->sense_len);
	}
	mem_free(copy);
	w->job = NULL;
	w->status = status;
}

static int engine_failed(struct work *w)
{
	if (w->req.error == -ENOMEM || w->req.error == -ENOSPC || w->req.error == -EROFS)
		return sense_of_result(w->cmd, &w->req, 0);
	return cmd_sense(w->cmd, KEY_COPY_ABORTED, ASC_THIRD_PARTY_DEVICE_FAILURE);
}

static bool xcopy_step(struct work *w)
{
	struct copy *copy = w->job;
	int status;

	if (w->req.error || copy->from->closing || copy->to->closing) {
		over(w, engine_failed(w));
		return false;
	}
	if (w->req.op == HB_READ) {
		copy->reading = false;
		ask_piece(w);
		return true;
	}
	copy->reading = true;
	copy->from_off += w->req.len_bytes;
	copy->to_off += w->req.len_bytes;
	copy->left -= w->req.len_bytes;
	if (copy->record)
		copy->record->bytes += w->req.len_bytes;
	if (copy->left) {
		ask_piece(w);
		return true;
	}
	unpin(copy);
	copy->segment++;
	if (copy->record)
		copy->record->segments = (uint16_t)copy->segment;
	if (next_segment(w, &status))
		return true;
	over(w, status);
	return false;
}

/* ------------------------------------------------------------------ the command */
static int begin(struct lun *lun, struct tgt_cmd *cmd, const struct list *list, struct copy *copy)
{
	struct work *w;
	int status;

	if (list->usage != 3) {
		const struct xcopy_record *same = xcopy_find(lun, cmd->nexus_id, list->id, list->lid4);

		if (same && same->state == XCOPY_RUNNING) {
			mem_free(copy);
			return cmd_sense(cmd, KEY_ILLEGAL_REQUEST, ASC_OPERATION_IN_PROGRESS);
		}
	}
	w = work_new(lun, cmd, xcopy_step);
	if (!w) {
		mem_free(copy);
		return work_refuse(cmd);
	}
	w->job = copy;
	if (list->usage != 3) {
		copy->record = record_new(lun, cmd->nexus_id, list->id, list->lid4);
		if (!copy->record) {
			mem_free(copy);
			work_drop(w);
			return cmd_sense(cmd, KEY_ABORTED_COMMAND, ASC_INSUFFICIENT_RESOURCES);
		}
	}
	if (next_segment(w, &status))
		return work_start(w);
	over(w, status);
	work_drop(w);
	return status;
}

static int xcopy(struct lun *lun, struct tgt_cmd *cmd, bool lid4)
{
	uint32_t len = get_be32(cmd->cdb + 10);
	struct copy *copy;
	struct list list;
	int status;

	if (!len)
		return SCSI_GOOD;
	if (cmd->out.length < len)
		return bad_length(cmd);
	status = parse_header(cmd, len, lid4, &list);
	if (status != SCSI_GOOD)
		return status;
	copy = mem_zalloc(sizeof(*copy));
	if (!copy)
		return cmd_status(cmd, SCSI_BUSY);
	status = parse_cscds(cmd, &list, copy);
	if (status == SCSI_GOOD)
		status = parse_segments(cmd, &list, copy);
	if (status == SCSI_GOOD)
		status = refuse_frozen(lun, cmd, copy);
	if (status != SCSI_GOOD) {
		mem_free(copy);
		return status;
	}
	return begin(lun, cmd, &list, copy);
}

int xcopy_lid1(struct lun *lun, struct tgt_cmd *cmd)
{
	return xcopy(lun, cmd, false);
}

int xcopy_lid4(struct lun *lun, struct tgt_cmd *cmd)
{
	return xcopy(lun, cmd, true);
}

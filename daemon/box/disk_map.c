/* SPDX-License-Identifier: GPL-2.0-only */
/* disk_map.c - which parts of a disk are mapped: GET LBA STATUS, asked in a short session of its own. */
#include <errno.h>
#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

#include "base/units.h"
#include "box/disk_priv.h"

#define PATIENCE_S 10
#define ANSWER_BYTES 4096
#define ATTENTIONS 8 /* in a row that are passed over */

static struct iscsi_context *log_in(const struct disk *d, struct err *err)
{
	struct iscsi_context *c = iscsi_create_context(d->ds->initiator);

	if (!c) {
		err_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	iscsi_set_targetname(c, d->iqn);
	iscsi_set_session_type(c, ISCSI_SESSION_NORMAL);
	iscsi_set_noautoreconnect(c, 1);
	iscsi_set_timeout(c, PATIENCE_S);
	iscsi_set_initiator_username_pwd(c, d->iqn, d->secret);
	iscsi_set_target_username_pwd(c, d->back_user, d->back_secret);
	if (!iscsi_connect_sync(c, d->ds->portals[0]) && !iscsi_login_sync(c))
		return c;
	err_set(err, -ECONNREFUSED, "%s: tgtd does not answer", d->store);
	iscsi_destroy_context(c);
	return NULL;
}

/* The answer that begins at this block; NULL with err. */
static struct scsi_task *ask(const struct disk *d, struct iscsi_context *c, uint64_t lba, struct err *err)
{
	for (int i = 0; i < ATTENTIONS; i++) {
		struct scsi_task *task = iscsi_get_lba_status_sync(c, DISK_LUN, lba, ANSWER_BYTES);
		bool again;

		if (!task || task->status == SCSI_STATUS_TIMEOUT || task->status == SCSI_STATUS_CANCELLED ||
		    task->status == SCSI_STATUS_ERROR) {
			if (task)
				scsi_free_scsi_task(task);
			err_set(err, -ECONNREFUSED, "%s: tgtd does not answer", d->store);
			return NULL;
		}
		if (task->status == SCSI_STATUS_GOOD)
			return task;
		again = task->status == SCSI_STATUS_CHECK_CONDITION &&
			task->sense.key == SCSI_SENSE_UNIT_ATTENTION;
		scsi_free_scsi_task(task);
		if (!again)
			break;
	}
	err_set(err, -EIO, "%s: which parts of it are mapped is not told", d->store);
	return NULL;
}

struct runs {
	disk_run_fn *run;
	void *ctx;
	uint64_t from, to; /* what was found last, and not told yet */
	bool enough;
};

/* Neighbours are one run. */
static void found(struct runs *r, uint64_t from, uint64_t to)
{
	if (from == r->to && r->to > r->from) {
		r->to = to;
		return;
	}
	if (r->to > r->from && !r->enough)
		r->enough = !r->run(r->ctx, r->from, r->to - r->from);
	r->from = from;
	r->to = to;
}

int disk_mapped(struct disk *d, uint64_t off_bytes, uint64_t len_bytes, disk_run_fn *run, void *ctx, struct err *err)
{
	uint32_t block = d->dev->geom.logical_bytes;
	uint64_t end = MIN(off_bytes + len_bytes, d->size_bytes), at = ROUND_DOWN(off_bytes, block);
	struct iscsi_context *c = log_in(d, err);
	struct runs r = {run, ctx, 0, 0, false};
	int rc = c ? 0 : err->code;

	while (!rc && at < end && !r.enough) {
		struct scsi_task *task = ask(d, c, at / block, err);
		struct scsi_get_lba_status *s = task ? scsi_datain_unmarshall(task) : NULL;
		uint64_t was = at;

		rc = task ? 0 : err->code;
		for (uint32_t i = 0; s && i < s->num_descriptors && at < end; i++) {
			uint64_t to = MIN(at + (uint64_t)s->descriptors[i].num_blocks * block, end);

			if (s->descriptors[i].lba != at / block)
				break;
			if (s->descriptors[i].provisioning == SCSI_PROVISIONING_TYPE_MAPPED)
				found(&r, MAX(at, off_bytes), to);
			at = to;
		}
		if (task)
			scsi_free_scsi_task(task);
		if (!rc && at == was)
			rc = err_set(err, -EIO, "%s: which parts of it are mapped is told in part only", d->store);
	}
	if (!rc)
		found(&r, 0, 0);
	if (c) {
		iscsi_logout_sync(c);
		iscsi_destroy_context(c);
	}
	return rc;
}

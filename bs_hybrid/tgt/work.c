/* SPDX-License-Identifier: GPL-2.0-only */
/* work.c - a command's way through the engine: slabs of works, steps, answers. */
#include "tgt/work.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/units.h"
#include "tgt/loop.h"
#include "tgt/pools.h"

#define SLAB_WORKS 64

struct slab {
	struct link link;
	struct work works[SLAB_WORKS];
};

static struct link finished = { &finished, &finished };	/* the engine is done with the request */
static struct link waiting = { &waiting, &waiting };	/* has had its share of this turn */

static bool slab_add(struct lun *lun)
{
	struct slab *slab;

	if (lun->nworks >= WORKS_MAX)
		return false;
	slab = mem_zalloc(sizeof(*slab));
	if (!slab)
		return false;
	list_push(&lun->slabs, &slab->link);
	for (unsigned i = 0; i < SLAB_WORKS; i++)
		list_push(&lun->idle, &slab->works[i].link);
	lun->nworks += SLAB_WORKS;
	return true;
}

void work_free_all(struct lun *lun)
{
	struct link *l;

	assert(lun->busy == 0);
	list_init(&lun->idle);
	lun->nworks = 0;
	while ((l = list_pop(&lun->slabs)))
		mem_free(list_entry(l, struct slab, link));
}

/* The engine is done: not the place to submit more or to call tgtd, who may submit more. */
static void request_done(struct hb_req *req)
{
	struct work *work = req->owner;

	list_push(&finished, &work->link);
	loop_wake();
}

struct work *work_new(struct lun *lun, struct tgt_cmd *cmd, bool (*step)(struct work *work))
{
	struct work *work;

	if (lun->closing || (list_empty(&lun->idle) && !slab_add(lun)))
		return NULL;
	work = list_entry(list_pop(&lun->idle), struct work, link);
	memset(work, 0, sizeof(*work));
	work->lun = lun;
	work->cmd = cmd;
	work->step = step;
	lun->busy++;
	return work;
}

void work_drop(struct work *work)
{
	struct lun *lun = work->lun;

	assert(lun->busy > 0);
	mem_free(work->scratch);
	work->scratch = NULL;
	lun->busy--;
	list_push_front(&lun->idle, &work->link);
}

int work_refuse(struct tgt_cmd *cmd)
{
	return cmd_status(cmd, SCSI_TASK_SET_FULL);
}

void work_ask(struct work *work, enum hb_op op, uint32_t flags, uint64_t off_bytes, uint64_t len_bytes, void *buf)
{
	struct hb_req *req = &work->req;

	memset(req, 0, sizeof(*req));
	req->op = op;
	req->flags = flags;
	req->vol = work->lun->vol;
	req->off_bytes = off_bytes;
	req->len_bytes = len_bytes;
	req->buf = buf;
	req->done = request_done;
	req->owner = work;
}

bool work_end(struct work *work)
{
	work->status = SCSI_GOOD;
	if (work->cmd)
		work->status = sense_of_result(work->cmd, &work->req, work->info_base);
	return false;
}

/* What is left of a command that was aborted, or whose LUN is being closed, is not done any more. */
static bool step(struct work *work)
{
	bool aborted = work->cmd && work->cmd->tmf && !work->unabortable;

	if (!work->step(work))
		return false;
	if (!work->lun->closing && !aborted)
		return true;
	work->req.error = -ETIMEDOUT;
	if (work->step(work))
		work_end(work);
	return false;
}

/* Submits until something has to wait. Returns true when the command can be answered. */
static bool go_on(struct work *work)
{
	struct pool *pool = work->lun->pool;

	for (unsigned n = 0; n < WORK_STEPS_MAX; n++) {
		if (!hb_submit(&work->req)) {
			loop_command(pool, true);
			return false;
		}
		if (hb_pool_due(pool->hb))
			loop_command(pool, false);
		if (!step(work))
			return true;
	}
	list_push(&waiting, &work->link);
	loop_wake();
	return false;
}

int work_start(struct work *work)
{
	struct tgt_cmd *cmd = work->cmd;
	int status;

	if (go_on(work)) {
		status = work->status;
		work_drop(work);
		return status;
	}
	if (cmd)
		cmd->state |= 1ul << TGT_STATE_ASYNC;
	return SCSI_GOOD;
}

int work_one(struct lun *lun, struct tgt_cmd *cmd, enum hb_op op, uint32_t flags, uint64_t off_bytes,
	     uint64_t len_bytes, void *buf)
{
	struct work *work = work_new(lun, cmd, work_end);

	if (!work)
		return work_refuse(cmd);
	work_ask(work, op, flags, off_bytes, len_bytes, buf);
	return work_start(work);
}

static void answer(struct work *work)
{
	struct tgt_cmd *cmd = work->cmd;
	int status = work->status;

	work_drop(work);
	if (cmd)
		target_cmd_io_done(cmd, status);
}

bool work_drain(void)
{
	struct link now, *l;

	list_init(&now);
	list_splice(&now, &waiting);
	while ((l = list_pop(&now))) {
		struct work *work = list_entry(l, struct work, link);

		if (go_on(work))
			answer(work);
	}
	/* An answer may let tgtd start commands it held back; what they finish later is for the next turn. */
	list_splice(&now, &finished);
	while ((l = list_pop(&now))) {
		struct work *work = list_entry(l, struct work, link);

		if (!step(work) || go_on(work))
			answer(work);
	}
	return !list_empty(&finished) || !list_empty(&waiting);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* work.h - a command's way through the engine: one request after another until the command can be answered.
 *
 * The handler takes a work, fills in work->req, and returns work_start(). Whenever a request is finished, step() looks
 * at req.error and either fills in the next request and returns true, or sets status and returns false (always, when
 * there is an error: what was aborted is ended by one). Then the command is answered: at once, by work_start()'s return
 * value, if nothing had to wait; else from work_drain().
 *
 * Invariants
 * (1) step() runs from work_start() or work_drain(), never from inside the engine: it may submit.
 * (2) After set_async, a command is answered exactly once, by target_cmd_io_done() from work_drain().
 * (3) A work lives on its LUN's lists; a LUN is closed only when none is busy.
 */
#ifndef HB_TGT_WORK_H
#define HB_TGT_WORK_H

#include "engine/engine.h"
#include "tgt/cmd.h"
#include "tgt/lun.h"

#define WORKS_MAX 4096		/* commands in the engine per LUN; more are answered TASK SET FULL */
#define WORK_STEPS_MAX 64	/* requests that one command may have answered at once, before others get their turn */

struct work {
	struct hb_req req;
	struct link link;		/* idle, finished or waiting for its turn */
	struct lun *lun;
	struct tgt_cmd *cmd;		/* NULL: nobody waits for it (PRE-FETCH with IMMED and the like) */
	bool (*step)(struct work *work);
	int status;
	bool unabortable;		/* goes on to its end when its command is aborted */
	/* For the steps. */
	unsigned stage;
	uint64_t next, end;
	uint64_t info_base;		/* what req.error_off of a miscompare is relative to */
	void *scratch;			/* mem_alloc'ed; freed with the work */
	void *job;			/* the handler's; freed by it */
};

/* Zeroed but for lun, cmd, step and what req needs. NULL: out of memory, or too many. */
struct work *work_new(struct lun *lun, struct tgt_cmd *cmd, bool (*step)(struct work *work));
/* Gives an unstarted work back. */
void work_drop(struct work *work);
/* Sets the request's fields that all operations have. */
void work_ask(struct work *work, enum hb_op op, uint32_t flags, uint64_t off_bytes, uint64_t len_bytes, void *buf);
/* Submits. Returns the handler's status (GOOD, with the command marked asynchronous, when it has to wait). */
int work_start(struct work *work);
/* For handlers without steps of their own: one request, whose result is the command's. */
int work_one(struct lun *lun, struct tgt_cmd *cmd, enum hb_op op, uint32_t flags, uint64_t off_bytes,
	     uint64_t len_bytes, void *buf);
/* A step that ends here: the status and sense of req.error. Returns false. */
bool work_end(struct work *work);

/* Answers all that is finished and goes on with what waits for its turn. Returns true if there is more to do. */
bool work_drain(void);
/* No work could be had. */
int work_refuse(struct tgt_cmd *cmd);
/* Frees the slabs; none is busy. */
void work_free_all(struct lun *lun);

/* Status and sense for a result of the engine (0 or -errno). sense.c */
int sense_of_result(struct tgt_cmd *cmd, const struct hb_req *req, uint64_t info_base);

#endif

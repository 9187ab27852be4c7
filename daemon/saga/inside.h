/* SPDX-License-Identifier: GPL-2.0-only */
/* inside.h - what the files of this room share: the engine, and one saga while it is under way. */
#ifndef HB_SAGA_INSIDE_H
#define HB_SAGA_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "saga/crew.h"
#include "saga/saga.h"

struct sagas {
	struct store *store;
	const struct saga_kind *kinds;
	void *ctx;
	uint64_t (*now_ms)(void *ctx);
	struct crew drivers; /* of sagas */
	struct crew helpers; /* sagas_run() */
	int64_t journal_end; /* the last task of the earlier lives */
	pthread_mutex_t mutex; /* for what follows, and where struct run says so */
	struct link runs;
	bool resumed;
	saga_end_fn *at_end; /* or NULL */
	atomic_bool stopping;
#ifdef HB_BUGS
	char die_at[128]; /* "VERB:STEP:WHERE" */
#endif
};

/* One saga under way. Only the thread that drives it changes it; what others look at, under the mutex. */
struct run {
	struct saga saga;
	struct crew_job job;
	struct link link; /* sagas->runs */
	struct sagas *ss;
	const struct saga_kind *kind;
	unsigned step; /* the last that began (mutex) */
	bool undoing; /* (mutex) */
	bool giving_up; /* `why` is known, but not yet in the journal (mutex) */
	bool step_ended; /* undoing: that step had ended */
	bool acted; /* apply or undo of the step has been done, the journal does not know it yet */
	struct err why;
	bool late; /* counted by sagas_reap() (mutex) */
	atomic_uint pct; /* 100 and one: nothing was said */
	bool ended; /* (mutex) */
	unsigned waiters; /* (mutex) */
	pthread_cond_t end;
};

#define PCT_NONE 101u

/* A job of the drivers: goes on with it until it has ended, must wait, or all stops. */
void run_drive(struct crew_job *job);
void run_free(struct run *r);

/* Lets go what the task has locked. */
int saga_unlock(struct store_tx *tx, int64_t task, struct err *err);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/* crew.h - threads that do jobs, at once or later. */
#ifndef HB_SAGA_CREW_H
#define HB_SAGA_CREW_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

/* Embedded in what the job is about; zeroed at first. Its function may add it again, or free it. */
struct crew_job {
	struct link link;
	void (*fn)(struct crew_job *job);
	uint64_t due_ns; /* monotonic; only while it is on the list `later` */
	bool on_later;
};

struct crew {
	pthread_mutex_t mutex;
	pthread_cond_t work;
	struct link now, later; /* `later` by due_ns */
	pthread_t *threads;
	unsigned nthreads;
	bool stop, drain;
};

/* 0 or a -errno; then there is nothing to stop. */
int crew_start(struct crew *c, unsigned threads);
/* Ends the threads when their present jobs are done; drain: when all jobs that are not for later are. What is left is
 * forgotten: it belongs to whoever added it. */
void crew_stop(struct crew *c, bool drain);
/* false: the crew has stopped, the job is not taken. */
bool crew_add(struct crew *c, struct crew_job *job, uint32_t delay_ms);
/* A job for later becomes one for now; else nothing happens. */
void crew_hurry(struct crew *c, struct crew_job *job);

#endif

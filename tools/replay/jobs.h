/* SPDX-License-Identifier: GPL-2.0-only */
/* jobs.h - many replays at once, a process for each CPU; and how far they are. */
#ifndef HB_REPLAY_JOBS_H
#define HB_REPLAY_JOBS_H

#include "input.h"
#include "replay.h"

struct job {
	const struct contender *contender;
	uint32_t capacity;		/* blocks */
	bool alone;			/* without read-ahead, whatever the options say */
	struct result result;		/* out */
};

/* Runs all jobs on one trace, up to `processes` at once. */
int jobs_run(struct trace *t, struct job *jobs, unsigned njobs, unsigned processes,
	     const struct replay_options *options, struct err *err);

/* ------------------------------------------------------------------ progress.c: on standard error, if a terminal */
struct progress {
	bool shown;			/* standard error is a terminal */
	const char *what;		/* borrowed: the trace's name */
	uint64_t began_ns, told_ns;
};
/* unit: "blocks" for the rate; total 0: not known. Prints at most ten times a second. */
void progress_begin(struct progress *p, const char *what);
void progress_tell(struct progress *p, const char *doing, uint64_t done, uint64_t total, const char *unit);
void progress_end(struct progress *p);

#endif

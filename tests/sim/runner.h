/* SPDX-License-Identifier: GPL-2.0-only */
/* runner.h - runs cases in worker processes until enough worlds have crashed. */
#ifndef TESTS_SIM_RUNNER_H
#define TESTS_SIM_RUNNER_H

#include <stdbool.h>
#include <stdint.h>

struct runner_opts {
	uint64_t seed;
	unsigned long worlds; /* crash worlds to reach */
	unsigned long runs; /* exactly so many runs of each case instead; 0: not */
	unsigned long seconds; /* at most so long (soak); 0: no limit */
	unsigned jobs;
	const char *only; /* one case; NULL: all */
	bool verbose, trace, quiet;
	bool stop_at_failure; /* at the first, of any case */
};

struct runner_result {
	unsigned passed, failed; /* cases */
	unsigned long crash_worlds, runs;
	char first_failure[512]; /* "case, seed: why", or "" */
};

struct runner_result runner_run(const struct runner_opts *o);

/* bugs.c (test builds with deliberate bugs): each must be caught. Returns how many were not. */
int bugs_run(const struct runner_opts *o, const char *only);

#endif

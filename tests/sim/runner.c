/* SPDX-License-Identifier: GPL-2.0-only */
/* runner.c - workers take runs (a case with a seed) from a shared counter. A worker that dies takes only its run with
 * it: the parent knows from shared memory which one that was. What a run does depends on its case and seed alone.
 */
#include "tests/sim/runner.h"

#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/cases.h"

#define JOBS_MAX 64
#define CASES_MAX 64
#define SCHEDULE_MAX 512
#define ROUNDS 16 /* weights are at most so large */
#define RUN_SECONDS_MAX 120 /* of real time: beyond that a run hangs */
#define TWICE_EVERY 100 /* runs: one is repeated and must do the same */

struct shared {
	atomic_ulong next, crash_worlds, runs;
	atomic_uint stop;
	struct {
		atomic_ulong runs, crash_worlds, failures;
	} by_case[CASES_MAX];
	struct {
		unsigned which;
		uint64_t seed;
		atomic_uint busy;
	} worker[JOBS_MAX];
	char first_failure[512];
};

struct runner {
	const struct runner_opts *o;
	struct shared *sh;
	struct {
		unsigned which, round;
	} schedule[SCHEDULE_MAX]; /* cases, by weight, interleaved */
	unsigned nschedule;
	struct timespec began;
};

static double seconds_since(const struct timespec *t)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - t->tv_sec) + (double)(now.tv_nsec - t->tv_nsec) / 1e9;
}

static void make_schedule(struct runner *r)
{
	for (unsigned round = 0; round < ROUNDS; round++)
		for (unsigned c = 0; c < sim_ncases; c++) {
			if (r->o->only && strcmp(r->o->only, sim_cases[c].name))
				continue;
			if (round >= (r->o->runs ? 1 : sim_cases[c].weight))
				continue;
			assert(r->nschedule < SCHEDULE_MAX);
			r->schedule[r->nschedule].which = c;
			r->schedule[r->nschedule++].round = round;
		}
}

static void say_failure(struct runner *r, unsigned which, uint64_t seed, const char *why)
{
	struct shared *sh = r->sh;
	const char *name = sim_cases[which].name;

	if (atomic_fetch_add(&sh->by_case[which].failures, 1) == 0 && !r->o->quiet) {
		printf("FAIL %s, seed %" PRIu64 ": %s\n     repeat: sim --case %s --seed %" PRIu64
		       " --runs 1 --verbose\n",
		       name, seed, why, name, seed);
		fflush(stdout);
	}
	if (!sh->first_failure[0])
		snprintf(sh->first_failure, sizeof(sh->first_failure), "%s, seed %" PRIu64 ": %s", name, seed, why);
	if (r->o->stop_at_failure)
		atomic_store(&sh->stop, 1);
}

static struct run run_once(const struct runner *r, unsigned which, uint64_t seed)
{
	struct run run = {.seed = seed, .verbose = r->o->verbose};

	alarm(RUN_SECONDS_MAX);
	sim_cases[which].run(&run);
	alarm(0);
	return run;
}

static void run_one(struct runner *r, unsigned worker, unsigned long n)
{
	struct shared *sh = r->sh;
	unsigned which = r->schedule[n % r->nschedule].which;
	uint64_t seed = r->o->seed + n / r->nschedule * ROUNDS + r->schedule[n % r->nschedule].round;
	struct run run, again;

	if (r->o->runs)
		seed = r->o->seed + n / r->nschedule;
	sh->worker[worker].which = which;
	sh->worker[worker].seed = seed;
	atomic_store(&sh->worker[worker].busy, 1);
	run = run_once(r, which, seed);
	if (n % TWICE_EVERY == TWICE_EVERY - 1) {
		again = run_once(r, which, seed);
		if (again.trace != run.trace || again.crash_worlds != run.crash_worlds)
			why_set(&run.why, "the same seed did two different things");
	}
	atomic_store(&sh->worker[worker].busy, 0);
	if (r->o->trace)
		printf("%s seed %" PRIu64 " trace %016" PRIx64 " crash worlds %lu\n", sim_cases[which].name, seed,
		       run.trace, run.crash_worlds);
	atomic_fetch_add(&sh->by_case[which].runs, 1);
	atomic_fetch_add(&sh->by_case[which].crash_worlds, run.crash_worlds);
	atomic_fetch_add(&sh->crash_worlds, run.crash_worlds);
	atomic_fetch_add(&sh->runs, 1);
	if (run.why.text[0])
		say_failure(r, which, seed, run.why.text);
}

static bool enough(const struct runner *r, unsigned long n)
{
	const struct runner_opts *o = r->o;

	if (atomic_load(&r->sh->stop))
		return true;
	if (o->runs)
		return n >= o->runs * r->nschedule;
	if (o->seconds && seconds_since(&r->began) >= (double)o->seconds)
		return true;
	return n >= r->nschedule && atomic_load(&r->sh->crash_worlds) >= o->worlds;
}

static void work(struct runner *r, unsigned worker)
{
	for (;;) {
		unsigned long n = atomic_fetch_add(&r->sh->next, 1);
		unsigned which = r->schedule[n % r->nschedule].which;

		if (enough(r, n))
			break;
		if (atomic_load(&r->sh->by_case[which].failures) >= 3 && !r->o->runs)
			continue; /* known to fail: the others go on */
		run_one(r, worker, n);
	}
	fflush(NULL);
	_exit(0);
}

static pid_t spawn(struct runner *r, unsigned worker)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		abort();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		work(r, worker);
	}
	return pid;
}

/* A worker ended. If it died in a run, that run failed, and another worker takes its place. */
static bool bury(struct runner *r, unsigned worker, int status)
{
	struct shared *sh = r->sh;
	char why[64];

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return false;
	if (WIFSIGNALED(status))
		snprintf(why, sizeof(why), "%s", WTERMSIG(status) == SIGALRM ? "hangs" : strsignal(WTERMSIG(status)));
	else
		snprintf(why, sizeof(why), "exit status %d", WEXITSTATUS(status));
	if (atomic_exchange(&sh->worker[worker].busy, 0)) {
		atomic_fetch_add(&sh->by_case[sh->worker[worker].which].runs, 1);
		say_failure(r, sh->worker[worker].which, sh->worker[worker].seed, why);
	}
	return true;
}

static void watch_over(struct runner *r)
{
	pid_t pid[JOBS_MAX];
	unsigned jobs = r->o->jobs ? r->o->jobs : 1, alive = jobs;

	assert(jobs <= JOBS_MAX);
	for (unsigned i = 0; i < jobs; i++)
		pid[i] = spawn(r, i);
	while (alive) {
		int status;
		pid_t dead = waitpid(-1, &status, 0);

		for (unsigned i = 0; i < jobs; i++) {
			if (pid[i] != dead)
				continue;
			if (bury(r, i, status))
				pid[i] = spawn(r, i);
			else
				alive--;
		}
	}
}

static struct runner_result sum_up(const struct runner *r)
{
	const struct shared *sh = r->sh;
	struct runner_result res = {.crash_worlds = atomic_load(&sh->crash_worlds), .runs = atomic_load(&sh->runs)};

	for (unsigned c = 0; c < sim_ncases; c++) {
		unsigned long runs = atomic_load(&sh->by_case[c].runs), bad = atomic_load(&sh->by_case[c].failures);

		if (!runs)
			continue;
		if (bad)
			res.failed++;
		else
			res.passed++;
		if (!r->o->quiet)
			printf("%-4s %-15s %6lu runs %8lu crash worlds  %s\n", bad ? "FAIL" : "ok", sim_cases[c].name,
			       runs, atomic_load(&sh->by_case[c].crash_worlds), sim_cases[c].what);
	}
	memcpy(res.first_failure, sh->first_failure, sizeof(res.first_failure));
	return res;
}

struct runner_result runner_run(const struct runner_opts *o)
{
	struct runner r = {.o = o};
	struct runner_result res;

	r.sh = mmap(NULL, sizeof(*r.sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (r.sh == MAP_FAILED)
		abort();
	clock_gettime(CLOCK_MONOTONIC, &r.began);
	make_schedule(&r);
	if (r.nschedule)
		watch_over(&r);
	res = sum_up(&r);
	if (!o->quiet)
		printf("%lu crash worlds in %lu runs, %.0f s, first seed %" PRIu64 "\n", res.crash_worlds, res.runs,
		       seconds_since(&r.began), o->seed);
	munmap(r.sh, sizeof(*r.sh));
	return res;
}

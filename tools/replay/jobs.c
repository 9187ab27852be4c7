/* SPDX-License-Identifier: GPL-2.0-only */
/* jobs.c - worker processes: each takes the next job until there is none. Processes and not threads, because a policy
 * may be any code; the trace is theirs without a copy, as it was when they were made. */
#include "jobs.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/units.h"

#define LOOK_EVERY_US 20000

/* What the workers share with us. */
struct board {
	atomic_uint next;		/* the job to be taken next */
	atomic_ullong done;		/* accesses */
	struct result results[];
};

struct crew {
	pid_t *pids;			/* 0: has ended */
	unsigned started;
};

static int work_one(const struct trace *t, const struct job *job, const struct replay_options *options,
		    atomic_ullong *done, struct result *ret)
{
	struct replay_options own = *options;

	if (job->alone)
		own.read_ahead = read_aheads[0];
	return replay(t, job->contender, job->capacity, &own, done, ret);
}

static _Noreturn void work(const struct trace *t, const struct job *jobs, unsigned njobs,
			   const struct replay_options *options, struct board *board)
{
	unsigned n;

	prctl(PR_SET_PDEATHSIG, SIGKILL);	/* nobody would read the results */
	while ((n = atomic_fetch_add(&board->next, 1)) < njobs)
		if (work_one(t, &jobs[n], options, &board->done, &board->results[n]))
			_exit(ENOMEM);
	_exit(0);
}

/* Takes the end of one worker, if one has ended (or waits for it). 1: one ended well; 0: none. */
static int reap_one(struct crew *crew, bool wait, struct err *err)
{
	int status;
	pid_t pid = waitpid(-1, &status, wait ? 0 : WNOHANG);

	if (pid <= 0)
		return pid == 0 || errno == EINTR ? 0 : err_set(err, -errno, "waitpid: %s", strerror(errno));
	for (unsigned i = 0; i < crew->started; i++)
		if (crew->pids[i] == pid)
			crew->pids[i] = 0;		/* the number may belong to somebody else now */
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 1;
	if (WIFEXITED(status))
		return err_set(err, -ENOMEM, "out of memory: fewer --jobs, or smaller --sizes, may help");
	return err_set(err, -EIO, "a replay was ended by signal %d (%s)", WTERMSIG(status),
		       strsignal(WTERMSIG(status)));
}

static int start(struct crew *crew, unsigned processes, const struct trace *t, const struct job *jobs, unsigned njobs,
		 const struct replay_options *options, struct board *board, struct err *err)
{
	fflush(NULL);				/* or a worker might print it again */
	for (; crew->started < processes; crew->started++) {
		pid_t pid = fork();

		if (pid == 0)
			work(t, jobs, njobs, options, board);
		if (pid < 0)
			return crew->started ? 0 : err_set(err, -errno, "fork: %s", strerror(errno));
		crew->pids[crew->started] = pid;
	}
	return 0;
}

static void dismiss(struct crew *crew)
{
	for (unsigned i = 0; i < crew->started; i++) {
		if (!crew->pids[i])
			continue;
		kill(crew->pids[i], SIGKILL);
		waitpid(crew->pids[i], NULL, 0);
	}
}

/* Until all have ended well, or one has not. */
static int watch(struct crew *crew, struct board *board, uint64_t total, const char *name, struct err *err)
{
	struct progress progress;
	unsigned ended = 0;
	int rc = 0;

	progress_begin(&progress, name);
	while (ended < crew->started && rc >= 0) {
		rc = reap_one(crew, !progress.shown, err);
		ended += rc == 1;
		if (rc == 0)
			usleep(LOOK_EVERY_US);
		progress_tell(&progress, "replaying", atomic_load(&board->done), total, "blocks");
	}
	progress_end(&progress);
	return MIN(rc, 0);
}

int jobs_run(struct trace *t, struct job *jobs, unsigned njobs, unsigned processes,
	     const struct replay_options *options, struct err *err)
{
	size_t size = sizeof(struct board) + njobs * sizeof(struct result);
	struct crew crew = {.pids = calloc(processes, sizeof(*crew.pids))};
	struct board *board;
	int rc = 0;

	for (unsigned i = 0; i < njobs && rc == 0; i++)
		rc = jobs[i].contender->wants_future ? trace_look_ahead(t, err) : 0;
	board = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!crew.pids || board == MAP_FAILED)
		rc = err_set(err, -ENOMEM, "out of memory");
	if (rc == 0)
		rc = start(&crew, MIN(processes, njobs), t, jobs, njobs, options, board, err);
	if (rc == 0)
		rc = watch(&crew, board, t->naccesses * njobs, t->name, err);
	dismiss(&crew);
	for (unsigned i = 0; i < njobs && rc == 0; i++)
		jobs[i].result = board->results[i];
	if (board != MAP_FAILED)
		munmap(board, size);
	free(crew.pids);
	return rc;
}

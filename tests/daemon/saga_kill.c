/* SPDX-License-Identifier: GPL-2.0-only */
/* saga_kill.c - sagas whose manager is killed at every step, and killed again when the next life takes them up.
 * Built with -DHB_BUGS.
 *
 * The outside world is a folder. The saga has five steps, with the pivot in the middle: each makes a file "STEP" there,
 * whose content was drawn at the beginning, and a row in the catalogue. A child process runs it and dies by SIGKILL
 * where it is told to; a second one resumes it and may die, too; a third one must bring it to its end. Then all is
 * there, or nothing, and no lock. Which of both is said here by where the first death was. All pairs of deaths, for a
 * saga that succeeds, and for those that fail at a step.
 *
 * usage: saga_kill [FAIL-STEP]    (only sagas that fail there; 5: that do not)
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "saga/saga.h"

#define STEPS 5
#define PIVOT 2
#define POINTS (3 * STEPS) /* places to die at */

static char world[64], path[80];
static unsigned dead[2]; /* lives that died where they were told to: the first, the second */

static void fail(const char *why, const char *what)
{
	fprintf(stderr, "saga_kill: %s: %s\n", why, what);
	exit(2);
}

/* ------------------------------------------------------------------ the outside world */
static void file_of(char to[100], int step)
{
	snprintf(to, 100, "%s/%d", world, step);
}

/* Makes its file, or finds its own work. Another's content there is a failure of the engine: -EUCLEAN. */
static int apply(struct saga *s, int step, struct err *err)
{
	const char *mine = json_string_value(json_object_get(s->doc, "drawn"));
	char name[100], there[32] = "";
	FILE *f;

	file_of(name, step);
	if (step == (int)json_integer_value(json_object_get(s->doc, "fail")))
		return err_set(err, -EDOM, "step %d fails, as told", step);
	f = fopen(name, "r");
	if (f) {
		if (!fgets(there, sizeof(there), f))
			*there = 0;
		fclose(f);
		return strcmp(there, mine) ? err_set(err, -EUCLEAN, "somebody else's file") : 0;
	}
	f = fopen(name, "w");
	if (!f || fputs(mine, f) < 0 || fclose(f))
		return err_set(err, -EIO, "cannot write %s", name);
	return 0;
}

static int undo(struct saga *s, int step, struct err *err)
{
	char name[100];

	(void)s;
	file_of(name, step);
	return unlink(name) && errno != ENOENT ? err_set(err, -EIO, "cannot remove %s", name) : 0;
}

static int settle(struct store_tx *tx, int step, struct err *err)
{
	char id[8];
	json_t *row;
	int rc;

	snprintf(id, sizeof(id), "%d", step);
	row = json_pack("{s:s}", "id", id);
	rc = store_insert(tx, T_SETTING, row, err);
	json_decref(row);
	return rc;
}

static int unsettle(struct store_tx *tx, struct saga *s, int step, struct err *err)
{
	char id[8];

	snprintf(id, sizeof(id), "%d", step);
	return s->ended ? store_delete(tx, T_SETTING, id, err) : 0;
}

#define STEP(n) \
	static int apply##n(struct saga *s, struct err *e) { return apply(s, n, e); } \
	static int settle##n(struct store_tx *tx, struct saga *s, struct err *e) { (void)s; return settle(tx, n, e); } \
	static int undo##n(struct saga *s, struct err *e) { return undo(s, n, e); } \
	static int unsettle##n(struct store_tx *tx, struct saga *s, struct err *e) { return unsettle(tx, s, n, e); }
STEP(0)
STEP(1)
STEP(2)
STEP(3)
STEP(4)
#define ROW(n) { "step" #n, apply##n, settle##n, undo##n, unsettle##n }

static const struct saga_step steps[STEPS] = { ROW(0), ROW(1), ROW(2), ROW(3), ROW(4) };
static const struct saga_kind kinds[] = { { "toy", steps, STEPS, PIVOT, 60000 }, { 0 } };

static uint64_t now_ms(void *ctx)
{
	struct timespec t;

	(void)ctx;
	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ------------------------------------------------------------------ lives */
static const char *const wheres[] = { "before", "after", "undone" };

static void live(int point, int fail_step, bool first)
{
	const char *locks[] = { "vol-1", "host-1" };
	struct saga_begin b = { .verb = "toy", .locks = locks, .nlocks = 2 };
	struct err err = ERR_INIT;
	struct store *store;
	struct sagas *ss;
	int64_t task = 1;
	int rc;

	if (store_open(path, &store, &err) || sagas_new(store, kinds, NULL, now_ms, 1, &ss, &err))
		fail("a life cannot begin", err.text);
#ifdef HB_BUGS
	if (point < POINTS)
		sagas_die_at(ss, "toy", steps[point / 3].name, wheres[point % 3]);
#else
	(void)point;
#endif
	if (sagas_resume(ss, &err))
		fail("resume", err.text);
	b.doc = json_pack("{s:s, s:i}", "drawn", "17", "fail", fail_step);
	if (first)
		rc = saga_begin(ss, &b, &task, &err);
	else
		rc = (json_decref(b.doc), 0);
	if (rc)
		fail("begin", err.text);
	rc = saga_wait(ss, task, 30000, NULL, &err);
	if (rc == 1 || (rc && rc != -EDOM && rc != -ECANCELED))
		fail("the saga's end", rc == 1 ? "did not come" : err.text);
	sagas_free(ss);
	store_close(store);
	_exit(0);
}

/* true: it died where it was told to. */
static bool a_life(int point, int fail_step, bool first)
{
	int status = 0;
	pid_t pid = fork();

	if (pid < 0)
		fail("fork", strerror(errno));
	if (pid == 0)
		live(point, fail_step, first);
	if (waitpid(pid, &status, 0) != pid)
		fail("waitpid", strerror(errno));
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return true;
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		fail("a life", "ended in another way");
	return false;
}

/* ------------------------------------------------------------------ judging */
struct sight {
	unsigned rows, files;
	int64_t locks;
	char state[16];
};

static int look_fn(struct store_tx *tx, void *arg, struct err *err)
{
	struct store_query locks = { .table = T_LOCK }, all = { .table = T_SETTING };
	struct sight *see = arg;
	json_t *rows = store_find(tx, &all, NULL, err), *task = store_get(tx, T_TASK, "1", err), *row;
	size_t i;

	json_array_foreach(rows, i, row)
		see->rows |= 1u << (json_string_value(json_object_get(row, "id"))[0] - '0');
	see->locks = store_count(tx, &locks, err);
	snprintf(see->state, sizeof(see->state), "%s",
		 task ? json_string_value(json_object_get(task, "state")) : "none");
	json_decref(rows);
	json_decref(task);
	return rows ? 0 : err->code;
}

static void look(struct sight *see)
{
	struct err err = ERR_INIT;
	struct store *store;
	char name[100];

	*see = (struct sight){ 0 };
	for (int i = 0; i < STEPS; i++) {
		file_of(name, i);
		see->files |= access(name, F_OK) == 0 ? 1u << i : 0;
	}
	if (store_open(path, &store, &err) || store_read(store, look_fn, see, &err))
		fail("look", err.text);
	store_close(store);
}

/* Must it be done? By the first death alone: the second cannot change the way. */
static bool must_be_done(int first, int fail_step, bool died)
{
	if (fail_step <= PIVOT)
		return false;
	if (!died || first % 3 == 2)
		return true;
	return first / 3 > PIVOT;
}

static void clean(void)
{
	static const char *const names[] = { "0", "1", "2", "3", "4", "db", "db-wal", "db-shm", "db.lock" };
	char name[100];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(name, sizeof(name), "%s/%s", world, names[i]);
		unlink(name);
	}
}

static bool story(int fail_step, int first, int second)
{
	bool died = a_life(first, fail_step, true), again = a_life(second, fail_step, false), done;
	struct sight see;
	unsigned all = (1u << STEPS) - 1, want;

	if (a_life(POINTS, fail_step, false))
		fail("the last life", "was killed");
	dead[0] += died;
	dead[1] += again;
	look(&see);
	done = must_be_done(first, fail_step, died);
	want = done ? all : 0;
	clean();
	if (see.files == want && see.rows == want && !see.locks && !strcmp(see.state, done ? "done" : "failed"))
		return true;
	printf("fails at %d, dies at %s %s%s and at %s %s%s: want %s; files %#x, rows %#x, %lld locks, %s\n", fail_step,
	       steps[first / 3].name, wheres[first % 3], died ? "" : " (does not)",
	       second < POINTS ? steps[second / 3].name : "", second < POINTS ? wheres[second % 3] : "never",
	       again ? "" : " (does not)", done ? "all" : "nothing", see.files, see.rows, (long long)see.locks,
	       see.state);
	return false;
}

int main(int argc, char **argv)
{
	unsigned passed = 0, failed = 0;
	int only = argc == 2 ? argv[1][0] - '0' : -1;

	if (argc > 2 || (argc == 2 && (only < 0 || only > STEPS || argv[1][1])))
		fail("usage", "saga_kill [FAIL-STEP]");
#ifndef HB_BUGS
	fail("this build", "cannot die on purpose (make B=bugs)");
#endif
	/* SIGKILL loses nothing that was written: memory will do for a disk. */
	snprintf(world, sizeof(world), "%s/saga-kill-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	if (!mkdtemp(world))
		fail("mkdtemp", strerror(errno));
	snprintf(path, sizeof(path), "%s/db", world);
	/* Behind the pivot a step is tried until it succeeds: none is told to fail there. */
	for (int step = 0; step <= STEPS; step++) {
		if ((step > PIVOT && step < STEPS) || (only >= 0 && only != step))
			continue;
		for (int first = 0; first < POINTS; first++)
			for (int second = 0; second <= POINTS; second++)
				story(step, first, second) ? passed++ : failed++;
	}
	rmdir(world);
	printf("%u first lives were killed, %u second ones\n%u passed, %u failed\n", dead[0], dead[1], passed, failed);
	return failed || !passed || !dead[0] || !dead[1];
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* test_saga.c - sagas in one life and the next, orderly ended; saga_kill.c has the deaths. */
#include "suites.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "faulty_vfs.h"
#include "saga/saga.h"
#include "tests/unit/scratch.h"

#define LONG_MS 20000

/* What steps do is told by the document: "apply": {"STEP": -errno}, the same for undo, settle and unsettle; it is told
 * by `log` what they did. With "times" in the document, only so often. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static char log_text[4000];
static bool gate_shut;
static int in_gate;
static atomic_uint_fast64_t clock_ms;
static atomic_int times;

static char dir[SCRATCH_PATH_MAX], path[64];
static struct store *store;
static struct sagas *ss;

static uint64_t now_ms(void *ctx)
{
	(void)ctx;
	return atomic_load(&clock_ms);
}

static void note(const char *what, int step)
{
	pthread_mutex_lock(&mutex);
	snprintf(log_text + strlen(log_text), sizeof(log_text) - strlen(log_text), "%s%d ", what, step);
	pthread_mutex_unlock(&mutex);
}

static int told(struct saga *s, const char *what, const char *mark, int step, struct err *err)
{
	char name[8];
	const json_t *code;

	snprintf(name, sizeof(name), "%d", step);
	note(mark, step);
	code = json_object_get(json_object_get(s->doc, what), name);
	if (!code || (json_object_get(s->doc, "times") && atomic_fetch_sub(&times, 1) <= 0))
		return 0;
	/* Cut in the middle of a character, as a long sentence may be. */
	return err_set(err, (int)json_integer_value(code), "%s of %d, as told\xc3", what, step);
}

static int apply(struct saga *s, int step, struct err *err)
{
	char name[8];

	snprintf(name, sizeof(name), "kept%d", step);
	json_object_set_new(s->doc, name, json_integer(step));
	saga_progress(s, 42);
	while (json_object_get(s->doc, "endless")) {
		usleep(1000);
		if (saga_stopping(s))
			return err_set(err, -EAGAIN, "it is to end");
	}
	if (json_object_get(s->doc, "gate") && json_integer_value(json_object_get(s->doc, "gate")) == step) {
		pthread_mutex_lock(&mutex);
		in_gate++;
		pthread_cond_broadcast(&changed);
		while (gate_shut)
			pthread_cond_wait(&changed, &mutex);
		in_gate--;
		pthread_mutex_unlock(&mutex);
	}
	if (json_object_get(s->doc, "again"))
		saga_progress(s, 43);
	return told(s, "apply", "a", step, err);
}

/* The catalogue's part: one setting each. */
static int settle(struct store_tx *tx, struct saga *s, int step, struct err *err)
{
	char id[40];
	json_t *row;
	int rc;

	snprintf(id, sizeof(id), "%lld-%d", (long long)s->task, step);
	row = json_pack("{s:s}", "id", id);
	rc = store_insert(tx, T_SETTING, row, err);
	json_decref(row);
	json_object_set_new(s->doc, "settled", json_integer(step));
	return rc ? rc : told(s, "settle", "s", step, err);
}

static int unsettle(struct store_tx *tx, struct saga *s, int step, struct err *err)
{
	char id[40];
	int rc = 0;

	snprintf(id, sizeof(id), "%lld-%d", (long long)s->task, step);
	if (s->ended)
		rc = store_delete(tx, T_SETTING, id, err);
	return rc ? rc : told(s, "unsettle", "z", step, err);
}

#define STEP(n) \
	static int apply##n(struct saga *s, struct err *e) { return apply(s, n, e); } \
	static int settle##n(struct store_tx *tx, struct saga *s, struct err *e) { return settle(tx, s, n, e); } \
	static int undo##n(struct saga *s, struct err *e) { return told(s, "undo", "u", n, e); } \
	static int unsettle##n(struct store_tx *tx, struct saga *s, struct err *e) { return unsettle(tx, s, n, e); }
STEP(0)
STEP(1)
STEP(2)
STEP(3)
#define ROW(n) { #n, apply##n, settle##n, undo##n, unsettle##n }

static const struct saga_step steps[] = { ROW(0), ROW(1), ROW(2), ROW(3) };
static const struct saga_step bare[] = { { .name = "only" } };
static const struct saga_kind kinds[] = { { "four", steps, 4, 2, 1000 }, { "bare", bare, 1, 0, 0 }, { 0 } };

static void open_all(bool resume)
{
	struct err err = ERR_INIT;

	CU_ASSERT_EQUAL_FATAL(store_open(path, &store, &err), 0);
	CU_ASSERT_EQUAL_FATAL(sagas_new(store, kinds, NULL, now_ms, 2, &ss, &err), 0);
	if (resume)
		CU_ASSERT_EQUAL(sagas_resume(ss, &err), 0);
}

static void begin(void)
{
	scratch_new("/tmp", dir);
	snprintf(path, sizeof(path), "%s/catalogue", dir);
	faulty_install();
	*log_text = 0;
	gate_shut = false;
	atomic_store(&clock_ms, 1000000);
	open_all(true);
}

static void close_all(void)
{
	sagas_free(ss);
	store_close(store);
}

static void end(void)
{
	close_all();
	scratch_remove(dir);
}

static int64_t start(const char *verb, const char *lock, json_t *doc)
{
	struct err err = ERR_INIT;
	const char *locks[] = { lock, "everyones", lock };
	struct saga_begin b = { .verb = verb, .who = "me", .resource = lock, .locks = locks, .nlocks = 3, .doc = doc };
	int64_t task = 0;
	int rc = saga_begin(ss, &b, &task, &err);

	return rc ? rc : task;
}

static int wait_end(int64_t task)
{
	struct err err = ERR_INIT;

	return saga_wait(ss, task, LONG_MS, NULL, &err);
}

static void wait_gate(void)
{
	pthread_mutex_lock(&mutex);
	while (!in_gate)
		pthread_cond_wait(&changed, &mutex);
	pthread_mutex_unlock(&mutex);
}

static void open_gate(void)
{
	pthread_mutex_lock(&mutex);
	gate_shut = false;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&mutex);
}

static int count_fn(struct store_tx *tx, void *arg, struct err *err)
{
	struct store_query locks = { .table = T_LOCK }, settings = { .table = T_SETTING };

	*(int *)arg = (int)(store_count(tx, &locks, err) * 100 + store_count(tx, &settings, err));
	return 0;
}

/* Locks * 100 + settings. */
static int left(void)
{
	int n = -1;

	store_read(store, count_fn, &n, NULL);
	return n;
}

static bool logged(const char *what)
{
	bool is;

	pthread_mutex_lock(&mutex);
	is = strstr(log_text, what) != NULL;
	pthread_mutex_unlock(&mutex);
	return is;
}

static const char *take_log(void)
{
	static char text[sizeof(log_text)];

	pthread_mutex_lock(&mutex);
	memcpy(text, log_text, sizeof(text));
	*log_text = 0;
	pthread_mutex_unlock(&mutex);
	return text;
}

#define LOG(want) CU_ASSERT_STRING_EQUAL(take_log(), want)

/* ------------------------------------------------------------------ one life */
static void test_done(void)
{
	struct err err = ERR_INIT;
	json_t *doc, *shown;
	int64_t task;

	begin();
	task = start("four", "vol-1", json_pack("{s:s}", "name", "x"));
	CU_ASSERT_EQUAL(task, 1);
	CU_ASSERT_EQUAL(saga_wait(ss, task, LONG_MS, &doc, &err), 0);
	LOG("a0 s0 a1 s1 a2 s2 a3 s3 ");
	CU_ASSERT_EQUAL(left(), 4);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(doc, "name")), "x");
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(doc, "kept3")), 3);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(doc, "settled")), 3);
	json_decref(doc);
	shown = saga_show(ss, task, &err);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(shown, "state")), "done");
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(shown, "step")), 4);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(shown, "steps")), 4);
	json_decref(shown);
	CU_ASSERT_EQUAL(wait_end(start("bare", "vol-1", NULL)), 0);
	CU_ASSERT_EQUAL(left(), 4);
	CU_ASSERT_EQUAL(wait_end(77), -ENOENT);
	CU_ASSERT_EQUAL(start("none", "vol-1", NULL), -EINVAL);
	CU_ASSERT_PTR_NULL(saga_show(ss, 77, &err));
	CU_ASSERT_EQUAL(err.code, 0);
	/* An end is remembered beyond a life. */
	close_all();
	open_all(true);
	CU_ASSERT_EQUAL(wait_end(task), 0);
	LOG("");
	end();
}

static void test_undone(void)
{
	struct err err = ERR_INIT;
	static const char *const logs[] = { "a0 u0 z0 ", "a0 s0 a1 u1 z1 u0 z0 ", "a0 s0 a1 s1 a2 u2 z2 u1 z1 u0 z0 " };
	static const char *const settled[] = { "a0 s0 u0 z0 ", "a0 s0 a1 s1 u1 z1 u0 z0 ",
					       "a0 s0 a1 s1 a2 s2 u2 z2 u1 z1 u0 z0 " };

	begin();
	for (int i = 0; i < 3; i++) {
		char step[2] = { (char)('0' + i), 0 };
		int64_t task = start("four", "vol-1", json_pack("{s:{s:i}}", "apply", step, -EDOM));
		json_t *doc;

		CU_ASSERT_EQUAL(saga_wait(ss, task, LONG_MS, &doc, &err), -EDOM);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "as told"));
		CU_ASSERT_EQUAL(json_integer_value(json_object_get(doc, "settled")), i ? i - 1 : 0);
		json_decref(doc);
		LOG(logs[i]);
		CU_ASSERT_EQUAL(left(), 0);
		task = start("four", "vol-1", json_pack("{s:{s:i}}", "settle", step, -EBUSY));
		CU_ASSERT_EQUAL(saga_wait(ss, task, LONG_MS, &doc, &err), -EBUSY);
		/* What a settle() that failed did to the document is not there, either. */
		CU_ASSERT_EQUAL(json_integer_value(json_object_get(doc, "settled")), i ? i - 1 : 0);
		CU_ASSERT_EQUAL(!json_object_get(doc, "settled"), i == 0);
		json_decref(doc);
		LOG(settled[i]);
		CU_ASSERT_EQUAL(left(), 0);
	}
	end();
}

static void test_tried_again(void)
{
	int64_t task;

	begin();
	/* Passing errors before the pivot, any error after it, any of an undo: tried again. */
	atomic_store(&times, 2);
	task = start("four", "a", json_pack("{s:{s:i}, s:b}", "apply", "1", -EHOSTDOWN, "times", 1));
	CU_ASSERT_EQUAL(wait_end(task), 0);
	LOG("a0 s0 a1 a1 a1 s1 a2 s2 a3 s3 ");
	atomic_store(&times, 2);
	CU_ASSERT_EQUAL(wait_end(start("four", "a", json_pack("{s:{s:i}, s:b}", "apply", "3", -EDOM, "times", 1))), 0);
	LOG("a0 s0 a1 s1 a2 s2 a3 a3 a3 s3 ");
	atomic_store(&times, 1);
	CU_ASSERT_EQUAL(wait_end(start("four", "a", json_pack("{s:{s:i}, s:b}", "settle", "3", -EDOM, "times", 1))), 0);
	LOG("a0 s0 a1 s1 a2 s2 a3 s3 a3 s3 ");
	atomic_store(&times, 1);
	task = start("four", "a", json_pack("{s:{s:i}, s:b}", "settle", "1", -ENOSPC, "times", 1));
	CU_ASSERT_EQUAL(wait_end(task), 0);
	LOG("a0 s0 a1 s1 s1 a2 s2 a3 s3 ");
	atomic_store(&times, 3);
	CU_ASSERT_EQUAL(wait_end(start("four", "a", json_pack("{s:{s:i}, s:{s:i}, s:b}", "apply", "1", -EDOM, "undo",
							      "0", -EDOM, "times", 1))), -EDOM);
	LOG("a0 s0 a1 u1 z1 u0 u0 u0 z0 ");
	atomic_store(&times, 2);
	CU_ASSERT_EQUAL(wait_end(start("four", "a", json_pack("{s:{s:i}, s:{s:i}, s:b}", "apply", "1", -EDOM,
							      "unsettle", "1", -EDOM, "times", 1))), -EDOM);
	LOG("a0 s0 a1 u1 z1 u1 z1 u0 z0 ");
	CU_ASSERT_EQUAL(left(), 16);
	end();
}

static int refuse_fn(struct store_tx *tx, json_t *doc, void *arg, struct err *err)
{
	json_t *row = json_pack("{s:s}", "id", "begun");
	int rc = store_insert(tx, T_SETTING, row, err);

	(void)doc;
	json_decref(row);
	return rc ? rc : *(int *)arg;
}

static void test_begin(void)
{
	int answer = -ESTALE;
	struct saga_begin b = { .verb = "bare", .who = "me", .begin = refuse_fn, .arg = &answer };
	struct err err = ERR_INIT;
	int64_t task = 0;

	begin();
	CU_ASSERT_EQUAL(saga_begin(ss, &b, &task, &err), -ESTALE);
	CU_ASSERT_EQUAL(left(), 0);
	answer = 0;
	CU_ASSERT_EQUAL(saga_begin(ss, &b, &task, &err), 0);
	CU_ASSERT_EQUAL(wait_end(task), 0);
	CU_ASSERT_EQUAL(left(), 1);
	faulty_set(0, -1);
	CU_ASSERT_EQUAL(start("bare", "vol-1", NULL), -ENOSPC);
	faulty_set(-1, -1);
	CU_ASSERT_EQUAL(left(), 1);
	end();
}

static void test_locks(void)
{
	struct err err = ERR_INIT;
	const char *locks[] = { "other", "vol-1" };
	struct saga_begin b = { .verb = "bare", .locks = locks, .nlocks = 2 };
	json_t *shown;
	int64_t task, other;

	begin();
	gate_shut = true;
	task = start("four", "vol-1", json_pack("{s:i}", "gate", 1));
	wait_gate();
	CU_ASSERT_EQUAL(left(), 201);
	CU_ASSERT_EQUAL(start("bare", "vol-2", NULL), -EBUSY); /* "everyones" */
	CU_ASSERT_EQUAL(saga_begin(ss, &b, &other, &err), -EBUSY);
	CU_ASSERT_STRING_EQUAL(err.text, "vol-1 is locked by four since 1970-01-01T00:16:40Z (task 1)");
	CU_ASSERT_EQUAL(saga_wait(ss, task, 10, NULL, &err), 1);
	shown = saga_show(ss, task, &err);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(shown, "step_name")), "1");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(shown, "state")), "running");
	json_decref(shown);
	CU_ASSERT_EQUAL(left(), 201);
	open_gate();
	CU_ASSERT_EQUAL(wait_end(task), 0);
	CU_ASSERT_EQUAL(saga_begin(ss, &b, &other, &err), 0);
	CU_ASSERT_EQUAL(wait_end(other), 0);
	end();
}

static void test_deadline(void)
{
	int64_t task;

	begin();
	/* Waiting for its next try by a clock that stands still; the reaper sees that it is late. */
	task = start("four", "vol-1", json_pack("{s:{s:i}}", "apply", "2", -EAGAIN));
	CU_ASSERT_EQUAL(sagas_reap(ss), 0);
	while (!logged("a2"))
		usleep(1000);
	atomic_fetch_add(&clock_ms, 1000);
	CU_ASSERT(sagas_reap(ss) <= 1);
	CU_ASSERT_EQUAL(sagas_reap(ss), 0);
	CU_ASSERT(wait_end(task) == -EAGAIN || wait_end(task) == -ETIMEDOUT);
	CU_ASSERT_EQUAL(left(), 0);
	take_log();
	/* Late within apply(): what it did is settled, then it is undone. */
	gate_shut = true;
	task = start("four", "vol-1", json_pack("{s:i}", "gate", 1));
	wait_gate();
	atomic_fetch_add(&clock_ms, 1000);
	CU_ASSERT_EQUAL(sagas_reap(ss), 1);
	open_gate();
	CU_ASSERT_EQUAL(wait_end(task), -ETIMEDOUT);
	LOG("a0 s0 a1 s1 u2 z2 u1 z1 u0 z0 ");
	/* Late in the pivot, which succeeds: done. */
	gate_shut = true;
	task = start("four", "vol-1", json_pack("{s:i}", "gate", 2));
	wait_gate();
	atomic_fetch_add(&clock_ms, 1000);
	open_gate();
	CU_ASSERT_EQUAL(wait_end(task), 0);
	take_log();
	/* Behind the pivot there is no deadline. */
	gate_shut = true;
	atomic_store(&times, 1);
	task = start("four", "vol-1", json_pack("{s:{s:i}, s:b, s:i}", "apply", "3", -EDOM, "times", 1, "gate", 3));
	wait_gate();
	atomic_fetch_add(&clock_ms, 100000);
	CU_ASSERT_EQUAL(sagas_reap(ss), 0);
	open_gate();
	CU_ASSERT_EQUAL(wait_end(task), 0);
	LOG("a0 s0 a1 s1 a2 s2 a3 a3 s3 ");
	end();
}

/* ------------------------------------------------------------------ disks that are full */
/* That step was applied once, and settled once or more. */
static void times_of(int step)
{
	const char *text = take_log(), *first;
	char a[16], s[16];

	snprintf(a, sizeof(a), "a%d", step);
	snprintf(s, sizeof(s), "s%d", step);
	first = strstr(text, a);
	CU_ASSERT(first && !strstr(first + 1, a) && strstr(first, s));
}

static void test_full(void)
{
	int64_t task;

	begin();
	for (int gate = 0; gate < 4; gate++) {
		gate_shut = true;
		task = start("four", "vol-1", json_pack("{s:i}", "gate", gate));
		wait_gate();
		faulty_set(gate % 2 ? -1 : 0, gate % 2 ? 0 : -1);
		open_gate();
		usleep(250000);
		faulty_set(-1, -1);
		CU_ASSERT_EQUAL(wait_end(task), 0);
		/* apply() was done once, however often it was tried to write that down. */
		times_of(gate);
		CU_ASSERT_EQUAL(left(), 4 * (gate + 1));
	}
	/* Full until beyond the deadline: undone, as soon as that can be written down. */
	gate_shut = true;
	task = start("four", "vol-1", json_pack("{s:i}", "gate", 1));
	wait_gate();
	faulty_set(0, -1);
	atomic_fetch_add(&clock_ms, 1000);
	open_gate();
	usleep(150000);
	CU_ASSERT(!logged("u")); /* nothing is undone of which the journal says that it goes on */
	faulty_set(-1, -1);
	CU_ASSERT_EQUAL(wait_end(task), -ENOSPC);
	CU_ASSERT_PTR_NOT_NULL(strstr(take_log(), " u1 z1 u0 z0 "));
	CU_ASSERT_EQUAL(left(), 16);
	end();
}

/* ------------------------------------------------------------------ the next life */
/* Stops in apply() of that step. */
static int64_t interrupted(int gate, json_t *doc)
{
	int64_t task;

	gate_shut = true;
	json_object_set_new(doc, "gate", json_integer(gate));
	task = start("four", "vol-1", doc);
	wait_gate();
	return task;
}

static void *stop(void *arg)
{
	(void)arg;
	sagas_free(ss);
	return NULL;
}

/* The present step ends, no other begins. */
static void stop_in_gate(void)
{
	struct saga_begin b = { .verb = "bare" };
	struct err err = ERR_INIT;
	pthread_t stopper;
	int64_t task;

	CU_ASSERT_EQUAL_FATAL(pthread_create(&stopper, NULL, stop, NULL), 0);
	while (saga_begin(ss, &b, &task, &err) != -ESHUTDOWN)
		usleep(1000);
	open_gate();
	pthread_join(stopper, NULL);
	store_close(store);
}

static void test_next_life(void)
{
	int64_t task;

	begin();
	task = interrupted(1, json_object());
	stop_in_gate();
	LOG("a0 s0 a1 s1 ");
	open_all(false);
	CU_ASSERT_EQUAL(left(), 202);
	CU_ASSERT_EQUAL(saga_wait(ss, task, 0, NULL, NULL), 1);
	/* One of this life does not disturb those of the last one. */
	CU_ASSERT_EQUAL(start("four", "vol-1", NULL), -EBUSY);
	CU_ASSERT_EQUAL(sagas_resume(ss, NULL), 0);
	CU_ASSERT_EQUAL(sagas_resume(ss, NULL), 0);
	CU_ASSERT_EQUAL(wait_end(task), -ECANCELED);
	LOG("u2 z2 u1 z1 u0 z0 ");
	CU_ASSERT_EQUAL(left(), 0);
	task = interrupted(2, json_object());
	stop_in_gate();
	open_all(true);
	CU_ASSERT_EQUAL(wait_end(task), 0);
	LOG("a0 s0 a1 s1 a2 s2 a3 s3 ");
	CU_ASSERT_EQUAL(left(), 4);
	end();
}

static int rename_fn(struct store_tx *tx, void *arg, struct err *err)
{
	json_t *changes = json_pack("{s:s}", "step_name", arg);
	int rc = store_update(tx, T_TASK, "1", changes, err);

	json_decref(changes);
	return rc;
}

static void test_other_program(void)
{
	struct err err = ERR_INIT;
	int64_t task;

	begin();
	task = interrupted(2, json_object());
	stop_in_gate();
	take_log();
	open_all(false);
	store_write(store, rename_fn, (void *)"gone", NULL);
	CU_ASSERT_EQUAL(sagas_resume(ss, &err), -ENOTSUP);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "gone"));
	CU_ASSERT_EQUAL(left(), 203);
	/* Steps are known by their names: this one stands elsewhere in the table than the number says. */
	store_write(store, rename_fn, (void *)"1", NULL);
	close_all();
	open_all(true);
	CU_ASSERT_EQUAL(wait_end(task), -ECANCELED);
	CU_ASSERT_PTR_NOT_NULL(strstr(take_log(), "u1 z1"));
	end();
}

/* ------------------------------------------------------------------ threads */
static atomic_int helped;

static void help(void *arg)
{
	struct err err = ERR_INIT;
	char lock[20];
	struct saga_begin b = { .verb = "four", .locks = (const char *const[]){ lock }, .nlocks = 1 };
	int64_t task;

	snprintf(lock, sizeof(lock), "vol-%d", (int)(intptr_t)arg);
	b.doc = (intptr_t)arg % 3 ? json_object() : json_pack("{s:{s:i}}", "apply", "2", -EDOM);
	if (saga_begin(ss, &b, &task, &err) == 0 &&
	    saga_wait(ss, task, LONG_MS, NULL, &err) == ((intptr_t)arg % 3 ? 0 : -EDOM))
		atomic_fetch_add(&helped, 1);
	json_decref(saga_show(ss, task, &err));
	sagas_reap(ss);
}

/* More requests than workers, and each waits for a saga. */
static void test_threads(void)
{
	begin();
	atomic_store(&helped, 0);
	for (int i = 0; i < 60; i++)
		sagas_run(ss, help, (void *)(intptr_t)i);
	for (int i = 0; i < LONG_MS && atomic_load(&helped) < 60; i++)
		usleep(1000);
	CU_ASSERT_EQUAL(atomic_load(&helped), 60);
	CU_ASSERT_EQUAL(left(), 160);
	end();
}

/* Who says that it goes on is not late; who takes long ends when all does. */
static void test_long_step(void)
{
	int64_t task;

	begin();
	gate_shut = true;
	atomic_store(&times, 1);
	task = start("four", "r", json_pack("{s:i, s:b, s:i, s:{s:i}}", "gate", 2, "again", 1, "times", 1, "apply", "2",
					    -EAGAIN));
	wait_gate();
	atomic_fetch_add(&clock_ms, 5000);
	CU_ASSERT_EQUAL(sagas_reap(ss), 1);
	CU_ASSERT_EQUAL(saga_pct(ss, task), 42);
	open_gate();
	CU_ASSERT_EQUAL(wait_end(task), 0);
	CU_ASSERT_EQUAL(saga_pct(ss, task), -1);
	task = start("four", "r", json_pack("{s:b}", "endless", 1));
	close_all();
	open_all(true);
	CU_ASSERT_EQUAL(wait_end(task), -ECANCELED);
	end();
}

static CU_TestInfo tests[] = {
	{ "done", test_done },
	{ "undone", test_undone },
	{ "tried_again", test_tried_again },
	{ "begin", test_begin },
	{ "locks", test_locks },
	{ "deadline", test_deadline },
	{ "long_step", test_long_step },
	{ "full", test_full },
	{ "next_life", test_next_life },
	{ "other_program", test_other_program },
	{ "threads", test_threads },
	CU_TEST_INFO_NULL,
};

const struct hb_suite suite_saga = { "saga", tests };

/* SPDX-License-Identifier: GPL-2.0-only */
/* saga.c - sagas begin, are waited for, are taken up again; drive.c has their way. */
#include "saga/inside.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WORKERS 4

static uint64_t now_ms(const struct sagas *ss)
{
	return ss->now_ms(ss->ctx);
}

static const struct saga_kind *kind_of(const struct sagas *ss, const char *verb)
{
	for (const struct saga_kind *k = ss->kinds; k->verb; k++)
		if (verb && !strcmp(k->verb, verb))
			return k;
	return NULL;
}

/* -1: there is none of that name. */
static int step_of(const struct saga_kind *k, const char *name)
{
	for (unsigned i = 0; name && i < k->nsteps; i++)
		if (!strcmp(k->steps[i].name, name))
			return (int)i;
	return -1;
}

static const char *text_of(const json_t *row, const char *column)
{
	return json_string_value(json_object_get(row, column));
}

static int64_t number_of(const json_t *row, const char *column)
{
	return json_integer_value(json_object_get(row, column));
}

static json_t *task_row(struct store_tx *tx, int64_t task, struct err *err)
{
	char id[24];

	snprintf(id, sizeof(id), "%lld", (long long)task);
	return store_get(tx, T_TASK, id, err);
}

/* ------------------------------------------------------------------ locks */
int saga_locked(struct store_tx *tx, const char *resource, struct err *err)
{
	struct err own = ERR_INIT;
	json_t *lock = store_get(tx, T_LOCK, resource, &own), *task;
	int64_t id;
	time_t since;
	struct tm tm;
	char when[32] = "?";

	if (!lock) {
		if (own.code && err)
			*err = own;
		return own.code;
	}
	id = number_of(lock, "task_id");
	task = task_row(tx, id, &own);
	since = (time_t)(number_of(task, "created_ms") / 1000);
	if (task && gmtime_r(&since, &tm))
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	err_set(err, -EBUSY, "%s is locked by %s since %s (task %lld)", resource,
		task ? text_of(task, "verb") : "a task that is not there", when, (long long)id);
	json_decref(lock);
	json_decref(task);
	return -EBUSY;
}

static int take_locks(struct store_tx *tx, const struct saga_begin *b, int64_t task, struct err *err)
{
	for (unsigned i = 0; i < b->nlocks; i++) {
		json_t *row;
		bool twice = false;
		int rc;

		for (unsigned k = 0; k < i; k++)
			twice = twice || !strcmp(b->locks[k], b->locks[i]);
		if (twice)
			continue;
		rc = saga_locked(tx, b->locks[i], err);
		if (rc)
			return rc;
		row = json_pack("{s:s, s:I}", "resource_id", b->locks[i], "task_id", (json_int_t)task);
		rc = row ? store_insert(tx, T_LOCK, row, err) : err_set(err, -EINVAL, "a lock's name is no text");
		json_decref(row);
		if (rc)
			return rc;
	}
	return 0;
}

int saga_unlock(struct store_tx *tx, int64_t task, struct err *err)
{
	char id[24];
	const char *value = id;
	struct store_filter mine = { .column = "task_id", .values = &value, .nvalues = 1 };
	struct store_query query = { .table = T_LOCK, .filters = &mine, .nfilters = 1 };
	json_t *locks, *lock;
	size_t i;
	int rc = 0;

	snprintf(id, sizeof(id), "%lld", (long long)task);
	locks = store_find(tx, &query, NULL, err);
	if (!locks)
		return err->code;
	json_array_foreach(locks, i, lock) {
		if (!rc)
			rc = store_delete(tx, T_LOCK, text_of(lock, "resource_id"), err);
	}
	json_decref(locks);
	return rc;
}

/* ------------------------------------------------------------------ beginning */
static struct run *new_run(struct sagas *ss, const struct saga_kind *kind, json_t *doc)
{
	struct run *r = calloc(1, sizeof(*r));
	pthread_condattr_t monotonic;

	if (!r) {
		json_decref(doc);
		return NULL;
	}
	r->ss = ss;
	r->kind = kind;
	r->saga.doc = doc;
	r->saga.ctx = ss->ctx;
	r->job.fn = run_drive;
	atomic_init(&r->pct, PCT_NONE);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&r->end, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return r;
}

/* From here on it is the drivers'. */
static void launch(struct run *r)
{
	pthread_mutex_lock(&r->ss->mutex);
	list_push(&r->ss->runs, &r->link);
	pthread_mutex_unlock(&r->ss->mutex);
	crew_add(&r->ss->drivers, &r->job, 0);
}

struct beginning {
	const struct saga_begin *b;
	struct run *r;
	uint64_t now_ms;
};

static int begin_fn(struct store_tx *tx, void *arg, struct err *err)
{
	struct beginning *g = arg;
	struct run *r = g->r;
	json_t *row;
	int rc = g->b->begin ? g->b->begin(tx, r->saga.doc, g->b->arg, err) : 0;

	assert(rc <= 0);
	if (rc)
		return rc;
	row = json_pack("{s:s, s:s?, s:s?, s:O, s:i, s:s, s:b, s:s, s:i, s:I, s:I}", "verb", g->b->verb, "resource_id",
			g->b->resource, "who", g->b->who, "doc", r->saga.doc, "step", 0, "step_name",
			r->kind->steps[0].name, "step_ended", 0, "state", "running", "tries", 0, "created_ms",
			(json_int_t)g->now_ms, "deadline_ms", (json_int_t)r->saga.deadline_ms);
	rc = row ? store_insert(tx, T_TASK, row, err) : err_set(err, -EINVAL, "%s: texts must be UTF-8", g->b->verb);
	json_decref(row);
	if (rc)
		return rc;
	r->saga.task = store_new_id(tx);
	return take_locks(tx, g->b, r->saga.task, err);
}

int saga_begin(struct sagas *ss, const struct saga_begin *b, int64_t *ret_task, struct err *err)
{
	const struct saga_kind *kind = kind_of(ss, b->verb);
	struct beginning g = { .b = b, .now_ms = now_ms(ss) };
	json_t *doc = b->doc ? b->doc : json_object();
	int rc;

	if (!kind || atomic_load(&ss->stopping)) {
		json_decref(doc);
		return kind ? err_set(err, -ESHUTDOWN, "the manager is about to end") :
			      err_set(err, -EINVAL, "there is no saga %s", b->verb);
	}
	g.r = new_run(ss, kind, doc);
	if (!g.r)
		return err_set(err, -ENOMEM, "out of memory");
	g.r->saga.deadline_ms = kind->timeout_ms ? g.now_ms + kind->timeout_ms : 0;
	rc = store_write(ss->store, begin_fn, &g, err);
	if (rc) {
		run_free(g.r);
		return rc;
	}
	/* Killed here: it is in the journal, its first step with it, and the next life takes it up. */
	*ret_task = g.r->saga.task;
	launch(g.r);
	return 0;
}

/* ------------------------------------------------------------------ earlier lives */
struct reading {
	struct sagas *ss;
	int64_t task;
	json_t *rows;
};

static int unended_fn(struct store_tx *tx, void *arg, struct err *err)
{
	static const char *const states[] = { "running", "undoing" };
	static const struct store_filter unended = { .column = "state", .values = states, .nvalues = 2 };
	struct store_query query = { .table = T_TASK, .filters = &unended, .nfilters = 1 };
	struct reading *g = arg;

	g->rows = store_find(tx, &query, NULL, err);
	return g->rows ? 0 : err->code;
}

static int resume_one(struct sagas *ss, const json_t *row, struct err *err)
{
	const char *verb = text_of(row, "verb");
	const struct saga_kind *kind = kind_of(ss, verb);
	int step = kind ? step_of(kind, text_of(row, "step_name")) : -1;
	json_t *doc = json_object_get(row, "doc");
	struct run *r;

	if (step < 0)
		return err_set(err, -ENOTSUP,
			       "task %lld (%s, at its step %s) is of a program with other sagas: it stays where it is",
			       (long long)number_of(row, "id"), verb ? verb : "?",
			       text_of(row, "step_name") ? text_of(row, "step_name") : "?");
	r = new_run(ss, kind, doc ? json_deep_copy(doc) : json_object());
	if (!r)
		return err_set(err, -ENOMEM, "out of memory");
	r->step = (unsigned)step;
	r->saga.task = number_of(row, "id");
	r->saga.deadline_ms = (uint64_t)number_of(row, "deadline_ms");
	r->undoing = !strcmp(text_of(row, "state"), "undoing");
	r->step_ended = r->undoing && json_is_true(json_object_get(row, "step_ended"));
	r->giving_up = !r->undoing && r->step <= kind->pivot;
	if (r->giving_up)
		err_set(&r->why, -ECANCELED, "the manager ended while %s was at its step %s", verb,
			kind->steps[r->step].name);
	launch(r);
	return 0;
}

void sagas_at_end(struct sagas *ss, saga_end_fn *at_end)
{
	ss->at_end = at_end;
}

int sagas_resume(struct sagas *ss, struct err *err)
{
	struct reading g = { .ss = ss };
	json_t *row;
	size_t i;
	bool again;
	int rc = store_read(ss->store, unended_fn, &g, err), first = 0;

	if (rc)
		return rc;
	pthread_mutex_lock(&ss->mutex);
	again = ss->resumed;
	ss->resumed = true;
	pthread_mutex_unlock(&ss->mutex);
	json_array_foreach(g.rows, i, row) {
		struct err one = ERR_INIT;

		/* Those of this life are under way already. */
		if (again || number_of(row, "id") > ss->journal_end)
			continue;
		rc = resume_one(ss, row, &one);
		if (rc && !first) {
			first = rc;
			if (err)
				*err = one;
		}
	}
	json_decref(g.rows);
	return first;
}

/* ------------------------------------------------------------------ waiting, looking */
/* Called with the mutex held. */
static struct run *find_run(struct sagas *ss, int64_t task)
{
	list_each(l, &ss->runs) {
		struct run *r = list_entry(l, struct run, link);

		if (r->saga.task == task)
			return r;
	}
	return NULL;
}

/* true: it is not under way (any more). */
static bool wait_for(struct sagas *ss, int64_t task, uint32_t for_ms)
{
	struct timespec until;
	struct run *r;
	bool ended;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += for_ms / 1000;
	until.tv_nsec += (long)(for_ms % 1000) * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&ss->mutex);
	r = find_run(ss, task);
	if (!r) {
		pthread_mutex_unlock(&ss->mutex);
		return true;
	}
	r->waiters++;
	while (!r->ended && !atomic_load(&ss->stopping) && !pthread_cond_timedwait(&r->end, &ss->mutex, &until))
		;
	r->waiters--;
	ended = r->ended;
	/* Who is off the list belongs to the last of those who waited for it. */
	if (ended && !r->waiters)
		run_free(r);
	pthread_mutex_unlock(&ss->mutex);
	return ended;
}

static int row_fn(struct store_tx *tx, void *arg, struct err *err)
{
	struct reading *g = arg;

	g->rows = task_row(tx, g->task, err);
	if (g->rows)
		return 0;
	return err->code ? err->code : err_set(err, -ENOENT, "there is no task %lld", (long long)g->task);
}

int saga_wait(struct sagas *ss, int64_t task, uint32_t for_ms, json_t **ret_doc, struct err *err)
{
	struct reading g = { .ss = ss, .task = task };
	const char *state, *error;
	int rc;

	if (ret_doc)
		*ret_doc = NULL;
	if (!wait_for(ss, task, for_ms))
		return 1;
	rc = store_read(ss->store, row_fn, &g, err);
	if (rc)
		return rc;
	state = text_of(g.rows, "state");
	error = text_of(g.rows, "error");
	if (state && !strcmp(state, "failed")) {
		rc = (int)number_of(g.rows, "error_code");
		rc = err_set(err, rc < 0 ? rc : -EIO, "%s", error ? error : "it was undone");
	} else {
		rc = !state || strcmp(state, "done");
	}
	if (ret_doc && rc <= 0)
		*ret_doc = json_incref(json_object_get(g.rows, "doc"));
	json_decref(g.rows);
	return rc;
}

json_t *saga_show(struct sagas *ss, int64_t task, struct err *err)
{
	static const char *const columns[] = { "verb", "state", "step", "step_name", "resource_id", "who", "tries",
					       "trouble", "error", "error_code", "deadline_ms", "created_ms",
					       "ended_ms" };
	struct reading g = { .ss = ss, .task = task };
	struct err own = ERR_INIT;
	const struct saga_kind *kind;
	json_t *made;
	int pct;

	if (store_read(ss->store, row_fn, &g, &own)) {
		if (err && own.code != -ENOENT)
			*err = own;
		return NULL;
	}
	made = json_pack("{s:I}", "task", (json_int_t)task);
	for (size_t i = 0; i < sizeof(columns) / sizeof(*columns); i++)
		if (json_object_get(g.rows, columns[i]))
			json_object_set(made, columns[i], json_object_get(g.rows, columns[i]));
	kind = kind_of(ss, text_of(g.rows, "verb"));
	if (kind)
		json_object_set_new(made, "steps", json_integer(kind->nsteps));
	if (kind && text_of(g.rows, "state") && !strcmp(text_of(g.rows, "state"), "done"))
		json_object_set_new(made, "step", json_integer(kind->nsteps));
	pct = saga_pct(ss, task);
	if (pct >= 0)
		json_object_set_new(made, "progress_pct", json_integer(pct));
	json_decref(g.rows);
	return made;
}

void saga_progress(struct saga *s, unsigned pct)
{
	struct run *r = container_of(s, struct run, saga);

	atomic_store(&r->pct, pct < 100 ? pct : 100);
	if (!r->kind->timeout_ms)
		return;
	/* The reaper looks at it meanwhile. */
	pthread_mutex_lock(&r->ss->mutex);
	s->deadline_ms = now_ms(r->ss) + r->kind->timeout_ms;
	r->late = false;
	pthread_mutex_unlock(&r->ss->mutex);
}

int saga_pct(struct sagas *ss, int64_t task)
{
	unsigned pct = PCT_NONE;
	struct run *r;

	pthread_mutex_lock(&ss->mutex);
	r = find_run(ss, task);
	if (r)
		pct = atomic_load(&r->pct);
	pthread_mutex_unlock(&ss->mutex);
	return pct == PCT_NONE ? -1 : (int)pct;
}

bool saga_stopping(const struct saga *s)
{
	return atomic_load(&container_of(s, const struct run, saga)->ss->stopping);
}

unsigned sagas_reap(struct sagas *ss)
{
	uint64_t now = now_ms(ss);
	unsigned n = 0;

	pthread_mutex_lock(&ss->mutex);
	list_each(l, &ss->runs) {
		struct run *r = list_entry(l, struct run, link);

		if (r->undoing || r->giving_up || r->step > r->kind->pivot || !r->saga.deadline_ms ||
		    now < r->saga.deadline_ms)
			continue;
		n += !r->late;
		r->late = true;
		/* It may sleep until its next try, by another clock than ours; its driver sees that it is late. One
		 * that is in apply() sees it when that ends. */
		crew_hurry(&ss->drivers, &r->job);
	}
	pthread_mutex_unlock(&ss->mutex);
	return n;
}

/* ------------------------------------------------------------------ work without a journal */
struct errand {
	struct crew_job job;
	void (*fn)(void *arg);
	void *arg;
};

static void run_errand(struct crew_job *job)
{
	struct errand *e = container_of(job, struct errand, job);

	e->fn(e->arg);
	free(e);
}

void sagas_run(struct sagas *ss, void (*fn)(void *arg), void *arg)
{
	struct errand *e = calloc(1, sizeof(*e));

	if (e)
		*e = (struct errand){ .job.fn = run_errand, .fn = fn, .arg = arg };
	if (e && crew_add(&ss->helpers, &e->job, 0))
		return;
	/* No memory, or the end has come: on this thread, for it must be done. */
	free(e);
	fn(arg);
}

/* ------------------------------------------------------------------ the engine */
static int last_fn(struct store_tx *tx, void *arg, struct err *err)
{
	struct store_query query = { .table = T_TASK, .descending = true, .limit = 1 };
	struct sagas *ss = arg;
	json_t *rows = store_find(tx, &query, NULL, err);

	ss->journal_end = number_of(json_array_get(rows, 0), "id");
	json_decref(rows);
	return rows ? 0 : err->code;
}

static void check_kinds(const struct saga_kind *k)
{
	for (; k->verb; k++) {
		assert(k->nsteps && k->pivot < k->nsteps);
		for (unsigned i = 0; i < k->nsteps; i++)
			assert(step_of(k, k->steps[i].name) == (int)i); /* the journal knows steps by their names */
	}
}

int sagas_new(struct store *store, const struct saga_kind *kinds, void *ctx, uint64_t (*clock)(void *ctx),
	      unsigned workers, struct sagas **ret, struct err *err)
{
	struct sagas *ss = calloc(1, sizeof(*ss));
	int rc;

	*ret = NULL;
	if (!ss)
		return err_set(err, -ENOMEM, "out of memory");
	check_kinds(kinds);
	ss->store = store;
	ss->kinds = kinds;
	ss->ctx = ctx;
	ss->now_ms = clock;
	list_init(&ss->runs);
	pthread_mutex_init(&ss->mutex, NULL);
	atomic_init(&ss->stopping, false);
#ifdef HB_BUGS
	if (getenv("HYBRID_DIE"))
		snprintf(ss->die_at, sizeof(ss->die_at), "%s", getenv("HYBRID_DIE"));
#endif
	rc = store_read(store, last_fn, ss, err);
	if (!rc && ((rc = crew_start(&ss->drivers, workers ? workers : WORKERS)) ||
		    (rc = crew_start(&ss->helpers, workers ? workers : WORKERS))))
		err_set(err, rc, "cannot start workers: %s", strerror(-rc));
	if (rc)
		sagas_free(ss);
	else
		*ret = ss;
	return rc;
}

void sagas_free(struct sagas *ss)
{
	struct link *l;

	if (!ss)
		return;
	atomic_store(&ss->stopping, true);
	pthread_mutex_lock(&ss->mutex);
	list_each(each, &ss->runs)
		pthread_cond_broadcast(&list_entry(each, struct run, link)->end);
	pthread_mutex_unlock(&ss->mutex);
	/* Requests first: they may wait for sagas (and are told that these are still under way). */
	crew_stop(&ss->helpers, true);
	crew_stop(&ss->drivers, false);
	while ((l = list_pop(&ss->runs)))
		run_free(list_entry(l, struct run, link));
	pthread_mutex_destroy(&ss->mutex);
	free(ss);
}

#ifdef HB_BUGS
void sagas_die_at(struct sagas *ss, const char *verb, const char *step, const char *where)
{
	pthread_mutex_lock(&ss->mutex);
	snprintf(ss->die_at, sizeof(ss->die_at), "%s:%s:%s", verb, step, where);
	pthread_mutex_unlock(&ss->mutex);
}
#endif

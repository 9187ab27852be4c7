/* SPDX-License-Identifier: GPL-2.0-only */
/* drive.c - a saga's way, step by step, and each step's place in the journal.
 *
 * One transaction ends a step (settle) and begins the next, or the saga's end (locks are let go). So the journal holds
 * one number, the last step that began; all before it have ended. Crash stories, by what died last:
 * - before a transition's commit: the journal still says that the step is under way. It is applied again or undone;
 *   both find their own work.
 * - behind it: the next step is on record, though nothing of it may have happened; its undo() accepts that.
 * - The commit itself failed (disk full): nothing is different from "before"; apply() has been done, so only the
 *   transition is tried again. Past the deadline, and before the pivot's end, the saga is undone instead.
 * - The commit failed, yet is found after a power cut (the disk could not flush): we may have tried again or turned
 *   back meanwhile. Turning back is a commit of its own, before the first undo(), and it overwrites the doubtful one:
 *   so nothing is ever undone of which a later life believes that it goes on.
 */
#include "saga/inside.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_FIRST_MS 100u
#define RETRY_MOST_MS 60000u

enum next { GO_ON, LATER, ENDED };

/* ------------------------------------------------------------------ dying on purpose */
#ifdef HB_BUGS
static void die(struct run *r, const char *where)
{
	char here[sizeof(r->ss->die_at)];

	snprintf(here, sizeof(here), "%s:%s:%s", r->kind->verb, r->kind->steps[r->step].name, where);
	pthread_mutex_lock(&r->ss->mutex);
	if (!strcmp(here, r->ss->die_at))
		raise(SIGKILL);
	pthread_mutex_unlock(&r->ss->mutex);
}
#else
#define die(r, where) ((void)0)
#endif

/* ------------------------------------------------------------------ transitions */
enum move_to { FORWARD, TURN_BACK, BACK };

struct move {
	struct run *r;
	enum move_to to;
	uint64_t now_ms;
	bool ends;
	bool steps_own; /* the error is settle()'s or unsettle()'s */
};

/* An error's sentence may be somebody else's, and cut in the middle of a character: it must not keep the journal from
 * being written. */
static json_t *sentence(const char *text)
{
	char plain[ERR_TEXT_MAX];
	json_t *made = json_string(text);

	if (made)
		return made;
	snprintf(plain, sizeof(plain), "%s", text);
	for (char *p = plain; *p; p++)
		*p = *p & 0x80 ? '?' : *p;
	return json_string(plain);
}

static int begin_step(json_t *changes, const struct run *r, unsigned step)
{
	return json_object_set_new(changes, "step", json_integer(step)) |
	       json_object_set_new(changes, "step_name", json_string(r->kind->steps[step].name));
}

static int end_all(json_t *changes, const char *state, uint64_t now_ms)
{
	return json_object_set_new(changes, "state", json_string(state)) |
	       json_object_set_new(changes, "ended_ms", json_integer((json_int_t)now_ms));
}

/* What the journal shall say then. NULL: no memory. */
static json_t *journal_of(const struct move *m)
{
	const struct run *r = m->r;
	json_t *c = json_pack("{s:n, s:i, s:O, s:b}", "trouble", "tries", 0, "doc", r->saga.doc, "step_ended",
			      m->to == BACK);
	int bad = !c;

	if (c && m->to == TURN_BACK)
		bad = json_object_set_new(c, "state", json_string("undoing")) |
		      json_object_set_new(c, "error", sentence(r->why.text)) |
		      json_object_set_new(c, "error_code", json_integer(r->why.code));
	else if (c && m->ends)
		bad = end_all(c, m->to == FORWARD ? "done" : "failed", m->now_ms);
	else if (c)
		bad = begin_step(c, r, m->to == FORWARD ? r->step + 1 : r->step - 1);
	if (!bad)
		return c;
	json_decref(c);
	return NULL;
}

static int move_fn(struct store_tx *tx, void *arg, struct err *err)
{
	struct move *m = arg;
	struct run *r = m->r;
	const struct saga_step *step = &r->kind->steps[r->step];
	char id[24];
	json_t *changes;
	int rc = 0;

	if (m->to == FORWARD && step->settle)
		rc = step->settle(tx, &r->saga, err);
	else if (m->to == BACK && step->unsettle)
		rc = step->unsettle(tx, &r->saga, err);
	assert(rc <= 0);
	m->steps_own = rc != 0;
	if (rc)
		return rc;
	changes = journal_of(m);
	if (!changes)
		return err_set(err, -ENOMEM, "out of memory");
	snprintf(id, sizeof(id), "%lld", (long long)r->saga.task);
	rc = store_update(tx, T_TASK, id, changes, err);
	json_decref(changes);
	if (!rc && m->ends)
		rc = saga_unlock(tx, r->saga.task, err);
	if (!rc && m->ends && r->ss->at_end)
		rc = r->ss->at_end(tx, &r->saga, m->to == FORWARD, err);
	return rc;
}

/* Commits it, and only then believes it: what settle() did to the document goes with its transaction. */
static int move(struct run *r, struct move *m, struct err *err)
{
	json_t *before = r->saga.doc;
	int rc;

	m->r = r;
	m->now_ms = r->ss->now_ms(r->ss->ctx);
	m->ends = m->to == FORWARD ? r->step + 1 == r->kind->nsteps : m->to == BACK && r->step == 0;
	r->saga.doc = json_deep_copy(before);
	if (!r->saga.doc) {
		r->saga.doc = before;
		return err_set(err, -ENOMEM, "out of memory");
	}
	r->saga.ended = r->step_ended;
	rc = store_write(r->ss->store, move_fn, m, err);
	if (rc) {
		json_decref(r->saga.doc);
		r->saga.doc = before;
		return rc;
	}
	json_decref(before);
	pthread_mutex_lock(&r->ss->mutex);
	r->acted = false;
	r->saga.tries = 0;
	r->step_ended = m->to == BACK;
	if (m->to == TURN_BACK) {
		r->undoing = true;
		r->giving_up = false;
	} else if (!m->ends) {
		r->step += m->to == FORWARD ? 1 : -1u;
	}
	pthread_mutex_unlock(&r->ss->mutex);
	atomic_store(&r->pct, PCT_NONE);
	return 0;
}

/* ------------------------------------------------------------------ failure */
static bool before_pivot(const struct run *r)
{
	return r->step <= r->kind->pivot;
}

static bool is_late(const struct run *r)
{
	return r->saga.deadline_ms && r->ss->now_ms(r->ss->ctx) >= r->saga.deadline_ms;
}

static bool may_pass(int rc)
{
	/* -EPIPE: it went while it was at it, done or not; steps find their own work. */
	return rc == -EAGAIN || rc == -ECONNREFUSED || rc == -ETIMEDOUT || rc == -EHOSTDOWN || rc == -EPIPE;
}

/* Of a transition: the catalogue could not take it, whatever it was. */
static bool is_store_trouble(const struct move *m, int rc)
{
	return !m->steps_own || rc == -ENOSPC || rc == -EIO || rc == -ENOMEM;
}

struct note {
	int64_t task;
	json_t *changes;
};

static int note_fn(struct store_tx *tx, void *arg, struct err *err)
{
	struct note *n = arg;
	char id[24];

	snprintf(id, sizeof(id), "%lld", (long long)n->task);
	return store_update(tx, T_TASK, id, n->changes, err);
}

/* To be tried again, at growing intervals, until the deadline at most where that still means something. */
static enum next later(struct run *r, const struct err *trouble)
{
	struct note n = { .task = r->saga.task };
	uint32_t delay = RETRY_FIRST_MS;
	uint64_t now = r->ss->now_ms(r->ss->ctx), deadline = r->saga.deadline_ms;

	for (int i = 0; i < r->saga.tries && delay < RETRY_MOST_MS; i++)
		delay *= 2;
	delay = delay < RETRY_MOST_MS ? delay : RETRY_MOST_MS;
	if (!r->undoing && !r->giving_up && before_pivot(r) && deadline)
		delay = deadline <= now ? 0 : deadline - now < delay ? (uint32_t)(deadline - now) : delay;
	r->saga.tries++;
	/* For people to see; if the catalogue cannot take it now, nothing depends on it. */
	n.changes = json_pack("{s:i, s:o}", "tries", r->saga.tries, "trouble", sentence(trouble->text));
	if (n.changes)
		store_write(r->ss->store, note_fn, &n, NULL);
	json_decref(n.changes);
	/* Behind this line another thread may drive it. */
	crew_add(&r->ss->drivers, &r->job, delay);
	return LATER;
}

/* Turns back. Until that is in the journal nothing is undone. */
static enum next give_up(struct run *r, const struct err *why)
{
	struct move m = { .to = TURN_BACK };
	struct err err = ERR_INIT;

	pthread_mutex_lock(&r->ss->mutex);
	r->why = *why;
	r->giving_up = true;
	pthread_mutex_unlock(&r->ss->mutex);
	return move(r, &m, &err) ? later(r, &err) : GO_ON;
}

/* ------------------------------------------------------------------ steps */
/* Runs apply() or undo(); sees to it that an error has a sentence. */
static int act(struct run *r, int (*fn)(struct saga *, struct err *), struct err *err)
{
	int rc;

	if (!fn)
		return 0;
	r->saga.ended = r->step_ended;
	rc = fn(&r->saga, err);
	assert(rc <= 0);
	if (rc && !*err->text)
		err_set(err, rc, "%s: %s", r->kind->steps[r->step].name, strerror(-rc));
	return rc;
}

static enum next do_step(struct run *r)
{
	struct move m = { .to = FORWARD };
	struct err err = ERR_INIT, late;
	bool again;
	int rc;

	if (r->giving_up) {
		err = r->why;
		return give_up(r, &err);
	}
	/* An apply() that has succeeded is settled first, late or not: the pivot's may be the end of the saga. */
	if (before_pivot(r) && !r->acted && is_late(r)) {
		err_set(&late, -ETIMEDOUT, "%s was not done in time, at step %s", r->kind->verb,
			r->kind->steps[r->step].name);
		return give_up(r, &late);
	}
	if (!r->acted) {
		die(r, "before");
		rc = act(r, r->kind->steps[r->step].apply, &err);
		if (rc && before_pivot(r) && (!may_pass(rc) || is_late(r)))
			return give_up(r, &err);
		if (rc)
			return later(r, &err);
		die(r, "after");
		r->acted = true;
	}
	rc = move(r, &m, &err);
	if (!rc)
		return m.ends ? ENDED : GO_ON;
	if (!*err.text)
		err_set(&err, rc, "%s: %s", r->kind->steps[r->step].name, strerror(-rc));
	again = is_store_trouble(&m, rc);
	r->acted = again;
	if (before_pivot(r) && ((!again && !may_pass(rc)) || is_late(r)))
		return give_up(r, &err);
	return later(r, &err);
}

static enum next undo_step(struct run *r)
{
	struct move m = { .to = BACK };
	struct err err = ERR_INIT;
	int rc;

	if (!r->acted) {
		rc = act(r, r->kind->steps[r->step].undo, &err);
		if (rc)
			return later(r, &err);
		die(r, "undone");
		r->acted = true;
	}
	rc = move(r, &m, &err);
	if (!rc)
		return m.ends ? ENDED : GO_ON;
	r->acted = is_store_trouble(&m, rc);
	return later(r, &err);
}

void run_free(struct run *r)
{
	json_decref(r->saga.doc);
	pthread_cond_destroy(&r->end);
	free(r);
}

void run_drive(struct crew_job *job)
{
	struct run *r = container_of(job, struct run, job);
	struct sagas *ss = r->ss;
	enum next next = GO_ON;
	bool last;

	while (next == GO_ON && !atomic_load(&ss->stopping))
		next = r->undoing ? undo_step(r) : do_step(r);
	if (next != ENDED)
		return;
	pthread_mutex_lock(&ss->mutex);
	list_del(&r->link);
	r->ended = true;
	last = !r->waiters;
	pthread_cond_broadcast(&r->end);
	pthread_mutex_unlock(&ss->mutex);
	if (last)
		run_free(r);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* saga.h - journalled changes that end or are undone, whoever dies meanwhile (docs/decisions/0017-the-manager.md).
 *
 * Invariants
 * (1) Before apply() of a step runs, the journal says durably that it begins. settle() of the step runs in the
 *     transaction that says that it has ended; what it changes in the catalogue is there if and only if that is.
 * (2) apply() and undo() may run again after they had an effect, in this life or the next: they must find their own
 *     work. undo() may run though apply() had not begun to act.
 * (3) Until the pivot has ended, failure and death mean: undo() of each step, from the last that began to the first.
 *     After it, apply() of what is left, until it succeeds.
 * (4) The resources named at the beginning are locked from then to the end; both in the saga's own transactions.
 */
#ifndef HB_SAGA_H
#define HB_SAGA_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "store/store.h"

struct sagas; /* the engine: workers, journal */

struct saga {
	int64_t task; /* its number in the journal */
	json_t *doc; /* arguments, and what steps keep: saved with each transition; small, no secrets unless sealed */
	void *ctx; /* of sagas_new() */
	uint64_t deadline_ms; /* wall clock; apply() should give up then; 0: never */
	int tries; /* of this step, in this life */
	bool ended; /* for undo() and unsettle(): the step had ended, what its settle() did is there */
};

struct saga_step {
	/* Known to the journal by this: never changed, unique in its saga. */
	const char *name;
	/* All may be NULL. -EAGAIN, -ECONNREFUSED, -ETIMEDOUT, -EHOSTDOWN and -EPIPE mean: try again until the
	 * deadline; all else is final. After the pivot everything is tried again. */
	/* Outside; may block, must end in bounded time; or, if it takes long, says that it goes on
	 * (saga_progress()), and gives up with -EAGAIN when saga_stopping() says so. */
	int (*apply)(struct saga *s, struct err *err);
	/* Catalogue; must not block. May run again, with the document as apply() left it, if the catalogue could not
	 * take it (-EIO, -ENOSPC, -ENOMEM: then without apply(); other errors as with apply(), which is run again,
	 * too). */
	int (*settle)(struct store_tx *tx, struct saga *s, struct err *err);
	int (*undo)(struct saga *s, struct err *err); /* outside; tried again, for ever, whatever the error */
	/* Runs with the record that the step is undone: also that of the step that failed, whose settle() never was
	 * (see `ended`): step 0's is where what saga_begin's `begin` did is taken back. Errors as undo()'s. */
	int (*unsettle)(struct store_tx *tx, struct saga *s, struct err *err);
};

struct saga_kind {
	const char *verb;
	const struct saga_step *steps;
	unsigned nsteps;
	/* Index of the step with whose end the saga can no longer be undone; nsteps - 1 at most. Until it has ended
	 * it can be undone as well, though its apply() may have acted: if that cannot be taken back, let the pivot
	 * be a step before it that only settles. */
	unsigned pivot;
	uint32_t timeout_ms; /* until the pivot has ended; 0: no deadline */
};

/* kinds: a table that ends with a NULL verb. now_ms: wall clock. workers: threads for sagas, and as many again for
 * sagas_run(), so that requests that wait for sagas never keep these from being run; 0: 4. Neither begins nor resumes
 * anything. Kinds without steps, with a pivot beyond them or with two steps of one name are asserted against. */
int sagas_new(struct store *store, const struct saga_kind *kinds, void *ctx, uint64_t (*now_ms)(void *ctx),
	      unsigned workers, struct sagas **ret, struct err *err);
/* Once, before sagas_resume(): what runs in the transaction that ends each saga. `done`: it was done, else undone. An
 * error of it is tried again as a settle()'s. */
typedef int saga_end_fn(struct store_tx *tx, const struct saga *s, bool done, struct err *err);
void sagas_at_end(struct sagas *ss, saga_end_fn *at_end);
/* Takes up what an earlier life left, in the order of the journal; once. -ENOTSUP: one or more of them have verbs or
 * steps that this program does not know; they stay as they are, with their locks, and the others are taken up. */
int sagas_resume(struct sagas *ss, struct err *err);
/* No new ones (-ESHUTDOWN); those under way stop after their present step, as at a crash; who waits is told that
 * they are still under way. What sagas_run() has taken is done to its end. NULL is fine. */
void sagas_free(struct sagas *ss);

struct saga_begin {
	const char *verb;
	const char *who;
	const char *resource; /* what it is about, for the journal */
	const char *const *locks; /* resources; taken in the transaction that begins it */
	unsigned nlocks;
	json_t *doc; /* reference is taken, also if it fails; NULL: {} */
	/* Optional: runs in that transaction, too, before the locks are taken: checks, inserts rows. */
	int (*begin)(struct store_tx *tx, json_t *doc, void *arg, struct err *err);
	void *arg;
};

/* Begins. *ret_task: its number. -EBUSY: a resource is locked (the text says by which verb since when). */
int saga_begin(struct sagas *ss, const struct saga_begin *b, int64_t *ret_task, struct err *err);
/* For changes that are no sagas, in their transaction: 0, or -EBUSY with that text. */
int saga_locked(struct store_tx *tx, const char *resource, struct err *err);
/* Waits until it has ended, at most for so long. 0: done; 1: still under way; else the error for which it was undone
 * (-ECANCELED: the manager ended meanwhile; -ETIMEDOUT: its deadline passed), or -ENOENT. *ret_doc: new reference to
 * the document at its end (NULL if that has not come), or ret_doc is NULL. From an apply() it would wait for its own
 * worker: not there. */
int saga_wait(struct sagas *ss, int64_t task, uint32_t for_ms, json_t **ret_doc, struct err *err);
/* Ends what is beyond its deadline and still before its pivot; called by a timer. Returns how many are newly found
 * to be so; one that is within apply() ends when that returns. */
unsigned sagas_reap(struct sagas *ss);
/* How far: {"task", "verb", "state", "step" (how many have ended; while undoing: are still to be undone, but one),
 * "steps", "step_name", "resource_id", "who", "tries", "trouble"?, "progress_pct"?, "error"?, "error_code"?,
 * "deadline_ms", "created_ms", "ended_ms"?}; NULL: not there (err untouched), or an error. progress_pct is what
 * saga_progress() said last in this step. */
json_t *saga_show(struct sagas *ss, int64_t task, struct err *err);
/* From apply(), when something has been achieved since the last time: the deadline is as far away as at the beginning.
 * Not journalled: a later life would undo what is before its pivot, late or not. */
void saga_progress(struct saga *s, unsigned pct);
/* What it said last in its present step; -1: nothing, or it is not under way. */
int saga_pct(struct sagas *ss, int64_t task);
/* From apply(): the engine is about to end. */
bool saga_stopping(const struct saga *s);

/* Work without a journal (requests), on workers of its own. When the engine ends: on this thread. */
void sagas_run(struct sagas *ss, void (*fn)(void *arg), void *arg);

/* For tests, in a program built with -DHB_BUGS: raises SIGKILL in this process when that step of that verb gets there.
 * where: "before" (journalled, not applied), "after" (applied, not settled), "undone". From the environment variable
 * HYBRID_DIE=VERB:STEP:WHERE as well. */
#ifdef HB_BUGS
void sagas_die_at(struct sagas *ss, const char *verb, const char *step, const char *where);
#endif

#endif

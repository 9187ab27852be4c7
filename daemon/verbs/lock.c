/* SPDX-License-Identifier: GPL-2.0-only */
/* lock.c - locks of snapshots: who is locked cannot be deleted by anybody, by no verb and no rule, until its time is
 * over.
 *
 * "governance": an administrator may take the lock away, or make it shorter. "compliance": for the cool-off, if it has
 * one, as governance; then nobody can do more than extend it. A lock whose time is over is "expired", and means
 * nothing. Nothing runs when it ends: what a lock is, is computed from its row and the clock whenever it is asked.
 *
 * All of it is in the catalogue: hybrid-pool knows nothing of locks.
 */
#include <errno.h>
#include <string.h>

#include "verbs/priv.h"

#define HOUR_MS 3600000ull
#define DAY_MS 86400000ull

const char *lock_state(const json_t *snapshot, uint64_t now_ms)
{
	const char *mode = text_of(snapshot, "lock_mode");
	const json_t *until = json_object_get(snapshot, "lock_until_ms");

	if (!mode)
		return NULL;
	if (json_is_integer(until) && (uint64_t)json_integer_value(until) <= now_ms)
		return "expired";
	if (!strcmp(mode, "governance"))
		return "governance";
	return (uint64_t)number_of(snapshot, "lock_cooloff_ms") > now_ms ? "compliance-cooloff" : "compliance";
}

bool snapshot_locked(const json_t *snapshot, uint64_t now_ms)
{
	const char *state = lock_state(snapshot, now_ms);

	return state && strcmp(state, "expired");
}

static bool is(const char *state, const char *word)
{
	return state && !strcmp(state, word);
}

/* Until when it is to be locked. */
static int until_of(struct ebs_call *c, uint64_t now, uint64_t *ret)
{
	struct err err = ERR_INIT;

	if (arg_given(c, "until") == arg_given(c, "duration_days"))
		return ebs_fail(c, EBS_MISSING_PARAMETER, -EINVAL,
				"The request must contain one of the parameters duration_days and until.");
	*ret = now + arg_number(c, "duration_days", 0) * DAY_MS;
	if (arg_given(c, "until") && when_time(arg_text(c, "until"), ret, &err))
		return ebs_fail(c, EBS_INVALID_PARAMETER, -EINVAL, "\"until\": %s", err.text);
	if (*ret < now + DAY_MS)
		return ebs_fail(c, EBS_INVALID_PARAMETER, -EINVAL, "\"until\": expected a day from now at least");
	return 0;
}

/* May what is there become that? */
static int may_change(struct ebs_call *c, const json_t *row, const char *state, const char *mode, uint64_t until)
{
	bool shorter = until < (uint64_t)number_of(row, "lock_until_ms");
	bool weaker = is(mode, "governance") && is(state, "compliance-cooloff");

	if (is(state, "compliance") && (strcmp(mode, "compliance") || shorter || arg_given(c, "cool_off_hours")))
		return ebs_fail(c, EBS_INCORRECT_STATE, -EPERM,
				"The snapshot %s is locked in compliance mode: its lock can only be extended.",
				text_of(row, "id"));
	if (state && strcmp(state, "expired") && (shorter || weaker) && c->rights != EBS_MAY_ALL)
		return ebs_fail(c, EBS_UNAUTHORIZED, -EACCES, "You are not authorized to weaken this lock.");
	return 0;
}

static int put(struct store_tx *tx, struct ebs_call *c, const char *id, json_t *change)
{
	struct err err = ERR_INIT;
	int rc = change ? store_update(tx, T_SNAPSHOT, id, change, &err) : err_set(&err, -ENOMEM, "out of memory");

	json_decref(change);
	return rc ? ebs_fail_err(c, &err) : 0;
}

static int lock_begin(struct store_tx *tx, struct ebs_call *c, json_t *doc)
{
	json_t *row = find_row(tx, c, &kind_snapshot, text_of(doc, "id"));
	const char *mode = arg_text(c, "mode"), *state;
	uint64_t now = ebs_now_ms(c->ebs), until = 0, cool_off;
	bool fresh;
	int rc = row ? until_of(c, now, &until) : -ENOENT;

	state = lock_state(row, now);
	fresh = !state || is(state, "expired");
	if (!rc && strcmp(text_of(row, "state"), "completed"))
		rc = ebs_fail(c, EBS_INCORRECT_STATE, -EBUSY, "Snapshot '%s' is in the '%s' state.", text_of(row, "id"),
			      text_of(row, "state"));
	if (!rc && is(mode, "governance") && arg_given(c, "cool_off_hours"))
		rc = ebs_fail(c, EBS_INVALID_COMBINATION, -EINVAL, "A cool-off is for compliance mode.");
	if (!rc)
		rc = may_change(c, row, state, mode, until);
	/* What runs already goes on unless said. */
	cool_off = fresh || is(mode, "governance") ? 0 : (uint64_t)number_of(row, "lock_cooloff_ms");
	if (arg_given(c, "cool_off_hours"))
		cool_off = now + arg_number(c, "cool_off_hours", 0) * HOUR_MS;
	if (!rc)
		rc = put(tx, c, text_of(doc, "id"),
			 json_pack("{s:s, s:I, s:I, s:o}", "lock_mode", mode, "lock_until_ms", (json_int_t)until,
				   "lock_created_ms", fresh ? (json_int_t)now : number_of(row, "lock_created_ms"),
				   "lock_cooloff_ms", cool_off ? json_integer((json_int_t)cool_off) : json_null()));
	json_decref(row);
	return rc;
}

static int unlock_begin(struct store_tx *tx, struct ebs_call *c, json_t *doc)
{
	json_t *row = find_row(tx, c, &kind_snapshot, text_of(doc, "id"));
	const char *state = lock_state(row, ebs_now_ms(c->ebs));
	int rc = row ? 0 : -ENOENT;

	if (!rc && !state)
		rc = ebs_fail(c, EBS_INCORRECT_STATE, -EINVAL, "The snapshot %s is not locked.", text_of(row, "id"));
	if (!rc && is(state, "compliance"))
		rc = ebs_fail(c, EBS_INCORRECT_STATE, -EPERM,
			      "The snapshot %s is locked in compliance mode: nobody can unlock it.",
			      text_of(row, "id"));
	if (!rc)
		rc = put(tx, c, text_of(doc, "id"),
			 json_pack("{s:n, s:n, s:n, s:n}", "lock_mode", "lock_until_ms", "lock_created_ms",
				   "lock_cooloff_ms"));
	json_decref(row);
	return rc;
}

static void run(struct ebs_call *c, int (*begin)(struct store_tx *tx, struct ebs_call *c, json_t *doc))
{
	char *id = find_id(c, &kind_snapshot, arg_text(c, "snapshot"));
	const char *locks[] = {id};
	struct change ch = {.resource = id,
			    .locks = locks,
			    .nlocks = 1,
			    .begin = begin,
			    .kind = &kind_snapshot,
			    .show = snapshot_shown};

	if (!id)
		return;
	ch.doc = json_pack("{s:s}", "id", id);
	change_run(c, &ch);
	free(id);
}

void run_snapshot_lock(struct ebs_call *c)
{
	run(c, lock_begin);
}

void run_snapshot_unlock(struct ebs_call *c)
{
	run(c, unlock_begin);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* begin.c - the frame around each change: repeated requests, dry run, the audit log; then the saga, and the answer.
 *
 * All of the frame is in the transaction that begins the change. Crash story: a request whose token is in the catalogue
 * has begun, and nothing else has; who repeats it after we died gets the same resource, whatever became of it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "verbs/priv.h"

/* Ends a transaction without leaving anything of it: not an error of anybody's. */
#define NOTHING_DONE (-ECANCELED)
#define AUDIT_REFUSED_MAX 4096u

struct frame {
	struct ebs_call *c;
	const struct change *ch;
};

static json_t *token_row(struct store_tx *tx, const struct frame *f, char *digest, struct err *err)
{
	char *key = NULL;
	json_t *row;

	args_digest(f->c, digest);
	if (asprintf(&key, "%s\n%s\n%s", f->c->who, f->c->verb->name, arg_text(f->c, "token")) < 0)
		return NULL;
	row = store_get(tx, T_TOKEN, key, err);
	free(key);
	return row;
}

/* Has this request been made before? */
static int look_for_token(struct store_tx *tx, struct frame *f, struct err *err)
{
	char digest[65];
	json_t *row;
	int rc = 0;

	if (!arg_given(f->c, "token"))
		return 0;
	row = token_row(tx, f, digest, err);
	if (!row)
		return err->code;
	if (strcmp(digest, json_string_value(json_object_get(row, "digest")))) {
		rc = ebs_fail(f->c, EBS_TOKEN_MISMATCH, -EINVAL,
			      "Parameters on this idempotent request are inconsistent with parameters used in previous "
			      "request(s).");
	} else {
		f->c->repeated = strdup(json_string_value(json_object_get(row, "resource_id")));
		rc = NOTHING_DONE;
	}
	json_decref(row);
	return rc;
}

static int read_token(struct store_tx *tx, void *arg, struct err *err)
{
	return look_for_token(tx, arg, err);
}

bool change_repeated(struct ebs_call *c)
{
	const char *code = c->code;
	struct err why = c->err, err = ERR_INIT;
	struct frame f = {c, NULL};

	if (!(c->verb->flags & EBS_CHANGES) || !arg_given(c, "token"))
		return false;
	c->code = NULL;
	c->err = ERR_INIT;
	store_read(c->ebs->store, read_token, &f, &err);
	if (c->repeated) {
		c->result = json_pack("{s:s}", "id", c->repeated);
		return true;
	}
	if (!c->code) {
		c->code = code;
		c->err = why;
	}
	return false;
}

static int keep_token(struct store_tx *tx, const struct frame *f, struct err *err)
{
	char digest[65];
	json_t *row;
	int rc;

	if (!arg_given(f->c, "token"))
		return 0;
	args_digest(f->c, digest);
	row = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I}", "who", f->c->who, "verb", f->c->verb->name, "token",
			arg_text(f->c, "token"), "digest", digest, "resource_id", f->ch->resource, "created_ms",
			(json_int_t)ebs_now_ms(f->c->ebs));
	rc = store_insert(tx, T_TOKEN, row, err);
	json_decref(row);
	return rc;
}

json_t *audit_refused_args(const struct ebs_call *c)
{
	char digest[65];

	if (json_dumpb(c->args, NULL, 0, 0) <= AUDIT_REFUSED_MAX)
		return json_incref((json_t *)(uintptr_t)c->args);
	args_digest(c, digest);
	return json_pack("{s:s}", "sha256", digest);
}

static int keep_audit(struct store_tx *tx, const struct frame *f, const char *outcome, struct err *err)
{
	json_t *args = f->c->code ? audit_refused_args(f->c) : json_incref((json_t *)(uintptr_t)f->c->args);
	json_t *row = json_pack("{s:I, s:s, s:s, s:s?, s:s, s:o?}", "at_ms", (json_int_t)ebs_now_ms(f->c->ebs), "who",
				f->c->who, "verb", f->c->verb->name, "resource_id", f->ch->resource, "outcome", outcome,
				"args", args);
	int rc = store_insert(tx, T_AUDIT, row, err);

	json_decref(row);
	return rc;
}

static json_t *begun_on(struct store_tx *tx, const char *resource, struct err *err)
{
	const char *begun = "begun";
	struct store_filter f[] = {{.column = "resource_id", .values = &resource, .nvalues = 1},
				   {.column = "outcome", .values = &begun, .nvalues = 1}};
	struct store_query q = {.table = T_AUDIT, .filters = f, .nfilters = 2};

	return store_find(tx, &q, NULL, err);
}

/* By the resource: as long as a saga changes it, it is locked, so nothing else is begun on it. */
int change_ended(struct store_tx *tx, const struct saga *s, bool done, struct err *err)
{
	json_t *id = json_sprintf("%lld", (long long)s->task);
	json_t *task = store_get(tx, T_TASK, json_string_value(id), err), *row;
	json_t *rows = task ? begun_on(tx, text_of(task, "resource_id"), err) : NULL;
	json_t *change = json_pack("{s:s}", "outcome", done ? "done" : "undone");
	int rc = rows && change ? 0 : err->code ? err->code : -ENOMEM;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		json_t *n = json_sprintf("%lld", (long long)number_of(row, "id"));

		rc = rc ? rc : n ? store_update(tx, T_AUDIT, json_string_value(n), change, err) : -ENOMEM;
		json_decref(n);
	}
	json_decref(change);
	json_decref(rows);
	json_decref(task);
	json_decref(id);
	return rc;
}

int change_wait(struct ebs_call *c, int64_t task, uint32_t for_ms, struct err *err)
{
	struct ebs *e = c->ebs;
	unsigned most = MAX(e->conf.workers / 2, 1u);
	bool full = atomic_fetch_add(&e->waiting, 1) >= most && c->rights != EBS_MAY_ALL;
	int rc = saga_wait(e->sagas, task, full ? 0 : for_ms, NULL, err);

	atomic_fetch_sub(&e->waiting, 1);
	return rc;
}

struct earlier {
	const struct ebs_call *c;
	const struct change *ch;
	int64_t task; /* 0: none */
};

/* The task of the request that was made with this token. */
static int find_earlier(struct store_tx *tx, void *arg, struct err *err)
{
	struct earlier *e = arg;
	const char *resource = e->c->repeated;
	struct store_filter f[] = {{.column = "resource_id", .values = &resource, .nvalues = 1},
				   {.column = "verb", .values = &e->ch->saga, .nvalues = 1},
				   {.column = "who", .values = &e->c->who, .nvalues = 1}};
	struct store_query q = {.table = T_TASK, .filters = f, .nfilters = 3};
	json_t *rows = store_find(tx, &q, NULL, err), *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		const json_t *token = json_object_get(json_object_get(row, "doc"), "token");

		if (json_equal(token, arg_json(e->c, "token")))
			e->task = json_integer_value(json_object_get(row, "id"));
	}
	json_decref(rows);
	return rows ? 0 : err->code;
}

static void answer(struct ebs_call *c, const struct change *ch, const char *id, int64_t task);

/* The same request gets the same answer: also that it failed, lest an id of what was undone be taken for a volume. */
static void answer_repeated(struct ebs_call *c, const struct change *ch)
{
	struct earlier e = {c, ch, 0};
	struct err err = ERR_INIT;
	int rc = ch->saga ? store_read(c->ebs->store, find_earlier, &e, &err) : 0;

	if (!rc && e.task)
		rc = change_wait(c, e.task, (uint32_t)arg_number(c, "wait_ms", EBS_WAIT_MS), &err);
	if (rc < 0)
		ebs_fail_err(c, &err);
	else
		answer(c, ch, c->repeated, rc ? e.task : 0);
}

static int begin(struct store_tx *tx, json_t *doc, void *arg, struct err *err)
{
	struct frame *f = arg;
	int rc = look_for_token(tx, f, err);

	/* By this the task is found again. */
	if (f->ch->saga && arg_given(f->c, "token"))
		json_object_set(doc, "token", arg_json(f->c, "token"));
	/* A saga takes its locks itself; who has none must not change what one is at. */
	for (unsigned i = 0; !rc && (f->c->dry || !f->ch->saga) && i < f->ch->nlocks; i++)
		rc = saga_locked(tx, f->ch->locks[i], err);
	if (!rc && f->ch->begin)
		rc = f->ch->begin(tx, f->c, doc);
	if (!rc && f->c->dry) {
		f->c->dry_ok = true;
		rc = NOTHING_DONE;
	}
	if (!rc)
		rc = keep_token(tx, f, err);
	if (!rc)
		rc = keep_audit(tx, f, f->ch->saga ? "begun" : "done", err);
	return rc;
}

static int begin_in_write(struct store_tx *tx, void *arg, struct err *err)
{
	struct frame *f = arg;

	return begin(tx, f->ch->doc, f, err);
}

/* What was refused is in the audit log, too, if it was more than a question. */
static int audit_refused(struct store_tx *tx, void *arg, struct err *err)
{
	struct frame *f = arg;

	return keep_audit(tx, f, f->c->code, err);
}

static void answer(struct ebs_call *c, const struct change *ch, const char *id, int64_t task)
{
	struct err err = ERR_INIT;
	json_t *shown = ch->show ? find_shown(c->ebs, ch->kind, id, ch->show, &err) : NULL;

	c->result = shown ? shown : json_pack("{s:s}", "id", id);
	if (task > 0)
		json_object_set_new(c->result, "task", json_integer(task));
}

static void run_saga(struct ebs_call *c, const struct change *ch, struct frame *f)
{
	struct saga_begin b = {.verb = ch->saga,
			       .who = c->who,
			       .resource = ch->resource,
			       .locks = ch->locks,
			       .nlocks = ch->nlocks,
			       .doc = ch->doc,
			       .begin = begin,
			       .arg = f};
	struct err err = ERR_INIT;
	int64_t task = 0;
	int rc = saga_begin(c->ebs->sagas, &b, &task, &err);

	if (!rc)
		rc = change_wait(c, task, (uint32_t)arg_number(c, "wait_ms", EBS_WAIT_MS), &err);
	if (rc < 0 && !c->code && !c->dry_ok && !c->repeated)
		ebs_fail_err(c, &err);
	if (rc >= 0)
		answer(c, ch, ch->resource, rc ? task : 0);
}

static void run_write(struct ebs_call *c, const struct change *ch, struct frame *f)
{
	struct err err = ERR_INIT;
	int rc = store_write(c->ebs->store, begin_in_write, f, &err);

	json_decref(ch->doc);
	if (rc < 0 && !c->code && !c->dry_ok && !c->repeated)
		ebs_fail_err(c, &err);
	if (!rc)
		answer(c, ch, ch->resource, 0);
}

void change_run(struct ebs_call *c, const struct change *ch)
{
	struct frame f = {c, ch};
	struct err err = ERR_INIT;

	if (ch->saga)
		run_saga(c, ch, &f);
	else
		run_write(c, ch, &f);
	if (c->dry_ok)
		c->result = json_pack("{s:b}", "dry_run", 1);
	else if (c->repeated)
		answer_repeated(c, ch);
	else if (c->code && !c->dry && !rights_is_refusal(c))
		store_write(c->ebs->store, audit_refused, &f, &err);
}

/* ---------------------------------------------------------------- the recycle bin */

void bin_instead(const struct ebs_call *c, struct change *ch)
{
	uint64_t days = c->ebs->conf.bin_days, now = ebs_now_ms(c->ebs);

	if (!days || arg_bool(c, "permanently"))
		return;
	ch->saga = NULL;
	json_object_set_new(ch->doc, "bin_ms", json_integer((json_int_t)now));
	json_object_set_new(ch->doc, "bin_until_ms", json_integer((json_int_t)(now + days * 86400000)));
}

int bin_over(struct ebs_call *c, const json_t *row)
{
	const json_t *until = json_object_get(row, "bin_until_ms");

	if (!c->from_bin || (!strcmp(text_of(row, "state"), "recoverable") && json_is_integer(until) &&
			     (uint64_t)json_integer_value(until) <= ebs_now_ms(c->ebs)))
		return 0;
	return ebs_fail(c, EBS_INCORRECT_STATE, -EBUSY, "'%s' was taken out of the recycle bin", text_of(row, "id"));
}

json_t *bin_change(const json_t *doc)
{
	return json_pack("{s:s, s:O, s:O}", "state", "recoverable", "bin_ms", json_object_get(doc, "bin_ms"),
			 "bin_until_ms", json_object_get(doc, "bin_until_ms"));
}

/* ---------------------------------------------------------------- tags, quotas */

json_t *tags_with_name(const json_t *tags, const char *name)
{
	json_t *all = tags ? json_copy((json_t *)(uintptr_t)tags) : json_object();

	if (name && !json_object_get(all, "Name"))
		json_object_set_new(all, "Name", json_string(name));
	return all;
}

static int count_tags(struct store_tx *tx, const char *id, struct err *err)
{
	const char *values[] = {id};
	struct store_filter f = {.column = "resource_id", .values = values, .nvalues = 1};
	struct store_query q = {.table = T_TAG, .filters = &f, .nfilters = 1};

	return (int)store_count(tx, &q, err);
}

int tags_put(struct store_tx *tx, struct ebs_call *c, const char *id, const json_t *tags)
{
	struct err err = ERR_INIT;
	const char *key;
	json_t *value;
	int rc = 0;

	json_object_foreach((json_t *)(uintptr_t)tags, key, value)
	{
		json_t *row = json_pack("{s:s, s:s, s:O}", "resource_id", id, "key", key, "value", value);
		char *at = NULL;

		if (asprintf(&at, "%s\n%s", id, key) < 0)
			at = NULL;
		rc = rc ? rc : rights_may_set(c, key, value);
		rc = rc ? rc : at ? store_insert(tx, T_TAG, row, &err) : -ENOMEM;
		if (rc == -EEXIST) {
			json_t *change = json_pack("{s:O}", "value", value);

			err = ERR_INIT;
			rc = store_update(tx, T_TAG, at, change, &err);
			json_decref(change);
		}
		json_decref(row);
		free(at);
	}
	if (rc)
		return ebs_fail_err(c, &err);
	return count_tags(tx, id, &err) > EBS_TAGS_MAX
		       ? ebs_fail(c, EBS_TAG_LIMIT, -E2BIG, "'%s' would have more than %d tags", id, EBS_TAGS_MAX)
		       : 0;
}

int tags_drop(struct store_tx *tx, const char *id, struct err *err)
{
	const char *values[] = {id};
	struct store_filter f = {.column = "resource_id", .values = values, .nvalues = 1};
	struct store_query q = {.table = T_TAG, .filters = &f, .nfilters = 1};
	json_t *rows = store_find(tx, &q, NULL, err), *row;
	int rc = rows ? 0 : err->code;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		char *at = NULL;

		if (asprintf(&at, "%s\n%s", id, json_string_value(json_object_get(row, "key"))) < 0)
			at = NULL;
		rc = rc ? rc : at ? store_delete(tx, T_TAG, at, err) : -ENOMEM;
		free(at);
	}
	json_decref(rows);
	return rc;
}

/* How much of it there is now. */
static int used(struct store_tx *tx, const char *what, int64_t *ret, struct err *err)
{
	bool snapshots = !strcmp(what, "snapshots");
	struct store_query q = {.table = snapshots ? T_SNAPSHOT : T_VOLUME};

	if (!strcmp(what, "bytes"))
		return store_sum(tx, &q, "size_bytes", ret, err);
	*ret = store_count(tx, &q, err);
	return *ret < 0 ? (int)*ret : 0;
}

int quota_check(struct store_tx *tx, struct ebs_call *c, const char *what, uint64_t more)
{
	struct err err = ERR_INIT;
	json_t *row = store_get(tx, T_QUOTA, what, &err);
	uint64_t most = (uint64_t)json_integer_value(json_object_get(row, "most"));
	bool there = row != NULL;
	int64_t now;

	json_decref(row);
	if (!there)
		return err.code ? ebs_fail_err(c, &err) : 0;
	if (used(tx, what, &now, &err))
		return ebs_fail_err(c, &err);
	if ((uint64_t)now + more <= most)
		return 0;
	if (c->only_tags) /* how much others have is theirs to know */
		return ebs_fail(c, !strcmp(what, "snapshots") ? EBS_SNAPSHOT_LIMIT : EBS_VOLUME_LIMIT, -EDQUOT,
				"the quota of %s is %llu: it would be exceeded", what, (unsigned long long)most);
	return ebs_fail(c, !strcmp(what, "snapshots") ? EBS_SNAPSHOT_LIMIT : EBS_VOLUME_LIMIT, -EDQUOT,
			"the quota of %s is %llu, %lld are in use", what, (unsigned long long)most, (long long)now);
}

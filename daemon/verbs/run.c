/* SPDX-License-Identifier: GPL-2.0-only */
/* run.c - schedules whose time has come: their snapshots are begun, their old ones deleted.
 *
 * Both are done by the verbs that a user would use, by "schedule ID", and without waiting: a snapshot ends or is undone
 * as any saga is. What is old is not remembered, but found anew each minute from what there is; so it does not matter
 * what died when.
 *
 * Invariants
 * (1) Only snapshots that the schedule made are deleted, "completed" ones, never a locked one, and of each volume never
 *     the newest: however long creations fail, the last good one stays.
 * (2) A run makes one snapshot of a volume, whoever dies in the middle of it. Its tokens are made of the time for which
 *     it was due; that time is replaced by the next one when all have begun. Killed before that: it runs again, with
 *     the same tokens, and what was begun is found.
 * (3) However many times were missed, it runs once: the next time is counted from now.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verbs/priv.h"

#define VALUES 200u /* in all filters together */

/* ---------------------------------------------------------------- which volumes */

static int add_found(json_t *ids, const json_t *rows, const char *column)
{
	json_t *row;
	size_t i;

	/* A set: none twice. */
	json_array_foreach((json_t *)(uintptr_t)rows, i, row)
		json_object_set_new(ids, text_of(row, column), json_true());
	return 0;
}

static int find_filtered(struct store_tx *tx, const json_t *filters, json_t *ids, struct err *err)
{
	static const char *const states[] = {"available", "in-use"};
	const char *values[VALUES];
	struct store_filter f[51] = {{.column = "state", .values = states, .nvalues = 2}};
	struct store_query q = {.table = T_VOLUME, .filters = f, .nfilters = 1};
	unsigned used = 0;
	const char *key;
	json_t *v, *rows;

	json_object_foreach((json_t *)(uintptr_t)filters, key, v)
	{
		size_t n = json_is_string(v) ? 1 : json_array_size(v);

		if (n > VALUES - used || q.nfilters == 51)
			return err_set(err, -EINVAL, "too many filters");
		f[q.nfilters++] = (struct store_filter){
			.column = key, .values = values + used, .nvalues = (unsigned)n, .how = FILTER_GLOB};
		for (size_t i = 0; i < n; i++)
			values[used++] = json_string_value(json_is_string(v) ? v : json_array_get(v, i));
	}
	rows = store_find(tx, &q, NULL, err);
	add_found(ids, rows, "id");
	json_decref(rows);
	return rows ? 0 : err->code;
}

int schedule_selects(struct store_tx *tx, const json_t *spec, json_t *ids, struct err *err)
{
	json_t *found = ids ? json_incref(ids) : json_object(), *v;
	const char *vm = text_of(spec, "vm");
	int rc = 0;
	size_t i;

	json_array_foreach(json_object_get(spec, "volumes"), i, v)
		json_object_set_new(found, json_string_value(v), json_true());
	if (vm) {
		struct store_filter f = {.column = "vm_id", .values = &vm, .nvalues = 1};
		struct store_query q = {.table = T_ATTACHMENT, .filters = &f, .nfilters = 1};
		json_t *rows = store_find(tx, &q, NULL, err);

		rc = rows ? add_found(found, rows, "volume_id") : err->code;
		json_decref(rows);
	}
	if (!rc && json_object_size(json_object_get(spec, "filters")))
		rc = find_filtered(tx, json_object_get(spec, "filters"), found, err);
	json_decref(found);
	return rc;
}

static bool together(const json_t *spec)
{
	const char *how = text_of(spec, "how");

	return how && !strcmp(how, "group");
}

struct selecting {
	const json_t *spec;
	json_t *ids;
	char gone[EBS_ID_MAX]; /* one of them that is not there any more; "": none */
};

/* A group is all or none: what has been deleted must not keep the others from being kept. */
static void drop_gone(struct store_tx *tx, struct selecting *s, struct err *err)
{
	const char *id;
	json_t *v;
	void *next;

	json_object_foreach_safe(s->ids, next, id, v)
	{
		json_t *row = store_get(tx, T_VOLUME, id, err);
		const char *state = text_of(row, "state");

		if (!err->code && (!state || (strcmp(state, "available") && strcmp(state, "in-use")))) {
			snprintf(s->gone, sizeof(s->gone), "%s", id);
			json_object_del(s->ids, id);
		}
		json_decref(row);
	}
}

static int select_ids(struct store_tx *tx, void *arg, struct err *err)
{
	struct selecting *s = arg;
	int rc = schedule_selects(tx, s->spec, s->ids, err);

	if (!rc && together(s->spec))
		drop_gone(tx, s, err);
	return err->code;
}

/* ---------------------------------------------------------------- a run */

json_t *schedule_columns(const struct ebs_call *c)
{
	json_int_t days = number_of(json_object_get(c->schedule, "spec"), "keep_days");
	json_t *o = json_pack("{s:O}", "schedule_id", json_object_get(c->schedule, "id"));

	if (days)
		json_object_set_new(o, "expires_ms",
				    json_integer((json_int_t)ebs_now_ms(c->ebs) + days * 86400000));
	return o;
}

struct run {
	struct ebs *e;
	const json_t *row;
	const char *at;
	char who[EBS_ID_MAX + 16];
	uint32_t wait_ms;
	json_t *made;
	struct err *err; /* the first one's */
};

/* args: reference is taken. An earlier life has begun it with other volumes or tags: it has been done. */
static void begin_one(struct run *r, const char *verb, const char *what, json_t *args)
{
	const json_t *spec = json_object_get(r->row, "spec");
	struct ebs_call c = {.who = r->who, .rights = EBS_MAY_ALL, .args = args, .schedule = r->row};
	char token[EBS_ID_MAX];
	json_t *s;
	size_t i;

	ebs_computed_id(token, "run-", r->at, what);
	json_object_update_new(args, json_pack("{s:s, s:i, s:s, s:O*, s:O*}", "token", token, "wait_ms",
					       (int)r->wait_ms, "name", text_of(r->row, "name"), "tags",
					       json_object_get(spec, "tags"), "copy_tags",
					       json_object_get(spec, "copy_tags")));
	ebs_run(r->e, verb, &c);
	if (c.code && strcmp(c.code, ebs_code_text(EBS_TOKEN_MISMATCH)) && !r->err->code)
		err_set(r->err, c.err.code, "%s: %s", what, c.err.text);
	json_array_foreach(json_object_get(c.result, "snapshots"), i, s)
		json_array_append(r->made, json_object_get(s, "id"));
	if (c.result && !json_object_get(c.result, "snapshots"))
		json_array_append(r->made, json_object_get(c.result, "id"));
	ebs_call_free(&c);
	json_decref(args);
}

static int begin_all(struct ebs *e, const json_t *row, const char *at, uint32_t wait_ms, json_t *made, struct err *err)
{
	struct selecting s = {json_object_get(row, "spec"), json_object(), ""};
	struct run r = {.e = e, .row = row, .at = at, .wait_ms = wait_ms, .made = made, .err = err};
	json_t *all = json_array(), *v;
	const char *id;

	snprintf(r.who, sizeof(r.who), "schedule %s", text_of(row, "id"));
	if (!store_read(e->store, select_ids, &s, err) && !json_object_size(s.ids))
		err_set(err, -ENOENT, "there is no volume to make a snapshot of");
	json_object_foreach(s.ids, id, v)
	{
		json_array_append_new(all, json_string(id));
		if (!together(s.spec))
			begin_one(&r, "snapshot-create", id, json_pack("{s:s}", "volume", id));
	}
	if (json_array_size(all) && together(s.spec))
		begin_one(&r, "snapshot-group", "group", json_pack("{s:O}", "volumes", all));
	if (*s.gone && !err->code)
		err_set(err, -ENOENT, "%s is not there any more; of the others there is a snapshot", s.gone);
	json_decref(all);
	json_decref(s.ids);
	return err->code;
}

/* ---------------------------------------------------------------- what is due */

struct ran {
	const json_t *row;
	bool due; /* else somebody asked for it */
	uint64_t now_ms;
	const char *error;
};

/* Somebody may have changed or deleted it meanwhile: then there is another time, or none. */
static int note(struct store_tx *tx, void *arg, struct err *err)
{
	const struct ran *r = arg;
	json_t *now = store_get(tx, T_SCHEDULE, text_of(r->row, "id"), err), *change;
	struct err unparsed = ERR_INIT;
	struct when w;
	int rc = 0;

	if (!now)
		return err->code;
	change = json_pack("{s:I, s:s?}", "last_ms", (json_int_t)r->now_ms, "last_error", r->error);
	if (r->due && number_of(now, "next_ms") == number_of(r->row, "next_ms")) {
		if (when_parse(text_of(json_object_get(now, "spec"), "every"), &w, &unparsed))
			json_object_set_new(change, "enabled", json_false());
		else
			json_object_set_new(change, "next_ms",
					    json_integer((json_int_t)when_next(&w, r->now_ms)));
	}
	rc = store_update(tx, T_SCHEDULE, text_of(r->row, "id"), change, err);
	json_decref(change);
	json_decref(now);
	return rc;
}

/* Runs it, and keeps in its row how that went. */
static int run_one(struct ebs *e, const json_t *row, bool due, const char *at, uint32_t wait_ms, json_t *made,
		   struct err *err)
{
	struct ran r = {row, due, ebs_now_ms(e), NULL};
	struct err noting = ERR_INIT;

	if (begin_all(e, row, at, wait_ms, made, err))
		r.error = err->text;
	store_write(e->store, note, &r, &noting);
	return err->code;
}

int schedule_run(struct ebs *e, const json_t *row, const char *at, uint32_t wait_ms, json_t *made, struct err *err)
{
	return run_one(e, row, false, at, wait_ms, made, err);
}

struct finding {
	uint64_t below_ms; /* due before that, and enabled */
	const char *id; /* one */
	json_t *rows;
};

static int find_schedules(struct store_tx *tx, void *arg, struct err *err)
{
	static const char *const on = "true";
	struct finding *d = arg;
	char ms[24];
	const char *below = ms;
	struct store_filter f[] = {{.column = "enabled", .values = &on, .nvalues = 1},
				   {.column = "next_ms", .values = &below, .nvalues = 1, .how = FILTER_BELOW},
				   {.column = "id", .values = &d->id, .nvalues = 1}};
	struct store_query q = {.table = T_SCHEDULE, .filters = d->id ? &f[2] : f, .nfilters = d->id ? 1 : 2};

	snprintf(ms, sizeof(ms), "%llu", (unsigned long long)d->below_ms);
	d->rows = store_find(tx, &q, NULL, err);
	return d->rows ? 0 : err->code;
}

json_t *schedule_row(struct ebs *e, const char *id, struct err *err)
{
	struct finding d = {.id = id};
	json_t *row = NULL;

	if (!store_read(e->store, find_schedules, &d, err))
		row = json_incref(json_array_get(d.rows, 0));
	json_decref(d.rows);
	return row;
}

void schedules_due(struct ebs *e)
{
	struct finding d = {.below_ms = ebs_now_ms(e) + 1};
	struct err err = ERR_INIT;
	json_t *row;
	size_t i;

	store_read(e->store, find_schedules, &d, &err);
	json_array_foreach(d.rows, i, row)
	{
		struct err why = ERR_INIT;
		json_t *made = json_array();
		char at[24];

		snprintf(at, sizeof(at), "%lld", (long long)number_of(row, "next_ms"));
		run_one(e, row, true, at, 0, made, &why);
		json_decref(made);
	}
	json_decref(d.rows);
}

/* ---------------------------------------------------------------- what is old */

static int find_made(struct store_tx *tx, void *arg, struct err *err)
{
	static const char *const state = "completed";
	struct finding *d = arg;
	struct store_filter f[] = {{.column = "schedule_id", .values = &d->id, .nvalues = 1},
				   {.column = "state", .values = &state, .nvalues = 1}};
	struct store_query q = {
		.table = T_SNAPSHOT, .filters = f, .nfilters = 2, .order = "created_ms", .descending = true};

	struct err locked = ERR_INIT;

	d->rows = store_find(tx, &q, NULL, err);
	/* What a task is at, its deletion perhaps, neither counts nor is asked for again. */
	for (size_t i = json_array_size(d->rows); i-- > 0;)
		if (saga_locked(tx, text_of(json_array_get(d->rows, i), "id"), &locked))
			json_array_remove(d->rows, i);
	return d->rows ? 0 : err->code;
}

void schedule_prune(struct ebs *e, const json_t *row)
{
	json_int_t most = number_of(json_object_get(row, "spec"), "keep_count");
	struct finding d = {.id = text_of(row, "id")};
	json_t *seen = json_object(), *s; /* {"VOLUME": how many newer ones} */
	uint64_t now = ebs_now_ms(e);
	struct err err = ERR_INIT;
	char who[EBS_ID_MAX + 16];
	size_t i;

	snprintf(who, sizeof(who), "schedule %s", d.id);
	store_read(e->store, find_made, &d, &err);
	json_array_foreach(d.rows, i, s)
	{
		const char *volume = text_of(s, "volume_id") ? text_of(s, "volume_id") : "";
		json_int_t newer = number_of(seen, volume), expires = number_of(s, "expires_ms");
		bool old = (most && newer >= most) || (expires && (uint64_t)expires <= now);
		struct ebs_call c = {.who = who, .rights = EBS_MAY_ALL, .schedule = row};

		json_object_set_new(seen, volume, json_integer(newer + 1));
		if (!newer || !old || snapshot_locked(s, now))
			continue;
		c.args = json_pack("{s:O, s:i}", "snapshot", json_object_get(s, "id"), "wait_ms", 0);
		ebs_run(e, "snapshot-delete", &c);
		ebs_call_free(&c);
		json_decref((json_t *)(uintptr_t)c.args);
	}
	json_decref(seen);
	json_decref(d.rows);
}

void schedules_prune(struct ebs *e)
{
	struct finding d = {.below_ms = INT64_MAX};
	struct err err = ERR_INIT;
	json_t *row;
	size_t i;

	store_read(e->store, find_schedules, &d, &err);
	json_array_foreach(d.rows, i, row) schedule_prune(e, row);
	json_decref(d.rows);
}

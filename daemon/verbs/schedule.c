/* SPDX-License-Identifier: GPL-2.0-only */
/* schedule.c - schedules: create, describe, modify, delete, run now. What they do when their time comes: run.c.
 *
 * A row's spec is what was asked for: {"every", "volumes"?, "filters"?, "vm"?, "how"?, "keep_count"?, "keep_days"?,
 * "tags"?, "copy_tags"?}. Volumes are ids there; what filters and a VM mean is asked each time it runs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "verbs/priv.h"

static const char *const spec_args[] = {"every", "volumes", "filters", "vm", "how",
					"keep_count", "keep_days", "tags", "copy_tags"};
#define SPEC_ARGS (sizeof(spec_args) / sizeof(*spec_args))

/* ---------------------------------------------------------------- describe */

/* Why the last of its snapshots that failed did so, if that was in its last run; who runs it is who began the task. */
static json_t *failed_task(struct store_tx *tx, const json_t *row, struct err *err)
{
	char *who = NULL;
	const char *state = "failed";
	json_t *rows, *last, *error = NULL;

	if (asprintf(&who, "schedule %s", text_of(row, "id")) < 0)
		return NULL;
	struct store_filter f[] = {{.column = "who", .values = (const char *const *)&who, .nvalues = 1},
				   {.column = "state", .values = &state, .nvalues = 1}};
	struct store_query q = {
		.table = T_TASK, .filters = f, .nfilters = 2, .order = "created_ms", .descending = true, .limit = 1};

	rows = store_find(tx, &q, NULL, err);
	last = json_array_get(rows, 0);
	if (last && number_of(last, "created_ms") >= number_of(row, "last_ms"))
		error = json_incref(json_object_get(last, "error"));
	json_decref(rows);
	free(who);
	return error;
}

static int64_t count_snapshots(struct store_tx *tx, const json_t *row, struct err *err)
{
	const char *id = text_of(row, "id");
	struct store_filter f = {.column = "schedule_id", .values = &id, .nvalues = 1};
	struct store_query q = {.table = T_SNAPSHOT, .filters = &f, .nfilters = 1};

	return store_count(tx, &q, err);
}

static json_t *schedule_shown(struct store_tx *tx, const json_t *row, const json_t *tags, struct err *err)
{
	static const char *const columns[] = {"id", "name", "enabled"};
	json_t *s = json_object(), *error = json_incref(json_object_get(row, "last_error"));
	const json_t *spec = json_object_get(row, "spec");

	for (size_t i = 0; i < sizeof(columns) / sizeof(*columns); i++)
		if (json_object_get(row, columns[i]))
			json_object_set(s, columns[i], json_object_get(row, columns[i]));
	for (size_t i = 0; i < SPEC_ARGS; i++)
		if (json_object_get(spec, spec_args[i]))
			json_object_set(s, strcmp(spec_args[i], "tags") ? spec_args[i] : "snapshot_tags",
					json_object_get(spec, spec_args[i]));
	json_object_set_new(s, "created", time_shown(json_object_get(row, "created_ms")));
	json_object_set_new(s, "next", json_is_true(json_object_get(row, "enabled"))
					       ? time_shown(json_object_get(row, "next_ms"))
					       : json_null());
	json_object_set_new(s, "last", time_shown(json_object_get(row, "last_ms")));
	json_object_set_new(s, "snapshots_kept", json_integer(count_snapshots(tx, row, err)));
	if (!json_is_string(error)) {
		json_decref(error);
		error = failed_task(tx, row, err);
	}
	if (error)
		json_object_set_new(s, "last_error", error);
	json_object_set_new(s, "tags", tags ? json_copy((json_t *)(uintptr_t)tags) : json_object());
	return s;
}

void run_schedule_describe(struct ebs_call *c)
{
	find_list(c, &kind_schedule, "schedules", schedule_shown);
}

/* ---------------------------------------------------------------- what is asked for */

/* Names become ids: what is called so later is not meant. */
static int ids_of(struct store_tx *tx, struct ebs_call *c, json_t *spec)
{
	const json_t *named = arg_json(c, "volumes");
	json_t *ids, *row;
	size_t n = json_is_string(named) ? 1 : json_array_size(named);

	if (arg_given(c, "vm")) {
		row = find_row(tx, c, &kind_vm, arg_text(c, "vm"));
		if (!row)
			return -ENOENT;
		json_object_set(spec, "vm", json_object_get(row, "id"));
		json_decref(row);
	}
	if (!named)
		return 0;
	ids = json_array();
	for (size_t i = 0; i < n; i++) {
		const json_t *text = json_is_string(named) ? named : json_array_get(named, i);

		row = find_row(tx, c, &kind_volume, json_string_value(text));
		if (!row) {
			json_decref(ids);
			return -ENOENT;
		}
		json_array_append(ids, json_object_get(row, "id"));
		json_decref(row);
	}
	json_object_set_new(spec, "volumes", ids);
	return 0;
}

/* The arguments into a spec that is new, or has been there. A selection replaces the one before, as a whole. */
static int put_spec(struct store_tx *tx, struct ebs_call *c, json_t *spec)
{
	struct err err = ERR_INIT;
	struct when w;

	if (arg_given(c, "volumes") || arg_given(c, "filters") || arg_given(c, "vm")) {
		json_object_del(spec, "volumes");
		json_object_del(spec, "filters");
		json_object_del(spec, "vm");
	}
	for (size_t i = 0; i < SPEC_ARGS; i++)
		if (arg_given(c, spec_args[i]))
			json_object_set(spec, spec_args[i], arg_json(c, spec_args[i]));
	if (ids_of(tx, c, spec))
		return -ENOENT;
	if (when_parse(text_of(spec, "every"), &w, &err))
		return ebs_fail(c, EBS_INVALID_PARAMETER, -EINVAL, "\"every\": %s", err.text);
	if (!json_array_size(json_object_get(spec, "volumes")) && !json_object_size(json_object_get(spec, "filters")) &&
	    !json_object_get(spec, "vm"))
		return ebs_fail(c, EBS_MISSING_PARAMETER, -EINVAL,
				"The request must contain volumes, filters or a VM.");
	if (!number_of(spec, "keep_count") && !number_of(spec, "keep_days"))
		return ebs_fail(c, EBS_MISSING_PARAMETER, -EINVAL,
				"The request must contain the parameter keep_count or keep_days.");
	return schedule_selects(tx, spec, NULL, &err) ? ebs_fail_err(c, &err) : 0;
}

/* A name means one of them. */
static int name_is_free(struct store_tx *tx, struct ebs_call *c, const char *id)
{
	const char *name = arg_text(c, "name");
	struct store_filter f = {.column = "name", .values = &name, .nvalues = 1};
	struct store_query q = {.table = T_SCHEDULE, .filters = &f, .nfilters = 1};
	struct err err = ERR_INIT;
	json_t *rows = name ? store_find(tx, &q, NULL, &err) : NULL;
	bool taken = json_array_size(rows) && strcmp(text_of(json_array_get(rows, 0), "id"), id);

	json_decref(rows);
	return taken ? ebs_fail(c, EBS_DUPLICATE, -EEXIST, "The schedule '%s' exists already.", name) : 0;
}

static bool enabled(const struct ebs_call *c)
{
	return !arg_given(c, "state") || !strcmp(arg_text(c, "state"), "enabled");
}

static json_int_t next_of(const struct ebs_call *c, const json_t *spec)
{
	struct err err = ERR_INIT;
	struct when w;

	return when_parse(text_of(spec, "every"), &w, &err) ? 0 : (json_int_t)when_next(&w, ebs_now_ms(c->ebs));
}

/* ---------------------------------------------------------------- create, modify */

static int create_begin(struct store_tx *tx, struct ebs_call *c, json_t *doc)
{
	json_t *spec = json_object(), *row = NULL;
	struct err err = ERR_INIT;
	int rc = name_is_free(tx, c, text_of(doc, "id"));

	rc = rc ? rc : put_spec(tx, c, spec);
	if (!rc)
		row = json_pack("{s:O, s:s, s:O, s:b, s:I, s:I}", "id", json_object_get(doc, "id"), "name",
				arg_text(c, "name"), "spec", spec, "enabled", enabled(c), "next_ms", next_of(c, spec),
				"created_ms", (json_int_t)ebs_now_ms(c->ebs));
	if (!rc && store_insert(tx, T_SCHEDULE, row, &err))
		rc = ebs_fail_err(c, &err);
	json_decref(row);
	json_decref(spec);
	return rc;
}

void run_schedule_create(struct ebs_call *c)
{
	char id[EBS_ID_MAX];
	struct change ch = {.resource = id, .begin = create_begin, .kind = &kind_schedule, .show = schedule_shown};

	ebs_new_id(id, kind_schedule.prefix);
	ch.doc = json_pack("{s:s}", "id", id);
	change_run(c, &ch);
}

/* Each of its snapshots, by a change of its row; days: until when they are kept follows from that, 0: it goes. */
static int each_snapshot(struct store_tx *tx, struct ebs_call *c, const char *id, json_int_t days, bool forget)
{
	struct store_filter f = {.column = "schedule_id", .values = &id, .nvalues = 1};
	struct store_query q = {.table = T_SNAPSHOT, .filters = &f, .nfilters = 1};
	struct err err = ERR_INIT;
	json_t *rows = store_find(tx, &q, NULL, &err), *row;
	int rc = rows ? 0 : err.code;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		json_int_t expires = number_of(row, "created_ms") + days * 86400000;
		json_t *change = json_pack("{s:o}", "expires_ms", days ? json_integer(expires) : json_null());

		if (forget)
			json_object_set_new(change, "schedule_id", json_null());
		rc = rc ? rc : store_update(tx, T_SNAPSHOT, text_of(row, "id"), change, &err);
		json_decref(change);
	}
	json_decref(rows);
	return rc ? ebs_fail_err(c, &err) : 0;
}

static int modify_begin(struct store_tx *tx, struct ebs_call *c, json_t *doc)
{
	const char *id = text_of(doc, "id");
	json_t *row = find_row(tx, c, &kind_schedule, id), *change = NULL;
	json_t *spec = json_deep_copy(json_object_get(row, "spec"));
	struct err err = ERR_INIT;
	int rc = row ? name_is_free(tx, c, id) : -ENOENT;

	rc = rc ? rc : put_spec(tx, c, spec);
	if (!rc)
		change = json_pack("{s:O, s:s*}", "spec", spec, "name", arg_text(c, "name"));
	if (!rc && arg_given(c, "state"))
		json_object_set_new(change, "enabled", json_boolean(enabled(c)));
	/* What it missed while it was disabled does not count. */
	if (!rc && (arg_given(c, "every") || (arg_given(c, "state") && enabled(c) &&
					      !json_is_true(json_object_get(row, "enabled")))))
		json_object_set_new(change, "next_ms", json_integer(next_of(c, spec)));
	if (!rc && store_update(tx, T_SCHEDULE, id, change, &err))
		rc = ebs_fail_err(c, &err);
	if (!rc && arg_given(c, "keep_days"))
		rc = each_snapshot(tx, c, id, number_of(spec, "keep_days"), false);
	json_decref(change);
	json_decref(spec);
	json_decref(row);
	return rc;
}

void run_schedule_modify(struct ebs_call *c)
{
	char *id = find_id(c, &kind_schedule, arg_text(c, "schedule"));
	struct change ch = {.resource = id, .begin = modify_begin, .kind = &kind_schedule, .show = schedule_shown};

	if (!id)
		return;
	ch.doc = json_pack("{s:s}", "id", id);
	change_run(c, &ch);
	free(id);
}

/* ---------------------------------------------------------------- delete, run */

static int delete_begin(struct store_tx *tx, struct ebs_call *c, json_t *doc)
{
	json_t *row = find_row(tx, c, &kind_schedule, text_of(doc, "id"));
	struct err err = ERR_INIT;
	int rc = row ? each_snapshot(tx, c, text_of(doc, "id"), 0, true) : -ENOENT;

	json_decref(row);
	if (!rc && (tags_drop(tx, text_of(doc, "id"), &err) || store_delete(tx, T_SCHEDULE, text_of(doc, "id"), &err)))
		rc = ebs_fail_err(c, &err);
	return rc;
}

void run_schedule_delete(struct ebs_call *c)
{
	char *id = find_id(c, &kind_schedule, arg_text(c, "schedule"));
	struct change ch = {.resource = id, .begin = delete_begin};

	if (!id)
		return;
	ch.doc = json_pack("{s:s}", "id", id);
	change_run(c, &ch);
	free(id);
}

static int run_begin(struct store_tx *tx, struct ebs_call *c, json_t *doc)
{
	json_t *row = find_row(tx, c, &kind_schedule, text_of(doc, "id"));
	struct err err = ERR_INIT;
	int rc = row ? schedule_selects(tx, json_object_get(row, "spec"), NULL, &err) : -ENOENT;

	if (row)
		json_object_set_new(doc, "row", row);
	return rc && row ? ebs_fail_err(c, &err) : rc;
}

/* Asked again with the same token, what was begun is found by tokens of its own, and what was not is begun. */
void run_schedule_run(struct ebs_call *c)
{
	char *id = find_id(c, &kind_schedule, arg_text(c, "schedule")), at[EBS_ID_MAX];
	struct change ch = {.resource = id, .begin = run_begin, .kind = &kind_schedule, .show = schedule_shown};
	json_t *doc = json_pack("{s:s?}", "id", id), *made = json_array(), *row;
	struct err err = ERR_INIT;

	if (id) {
		ebs_new_id(at, "run-");
		if (arg_given(c, "token"))
			ebs_computed_id(at, "run-", c->who, arg_text(c, "token"));
		ch.doc = json_incref(doc);
		change_run(c, &ch);
	}
	row = c->repeated ? schedule_row(c->ebs, c->repeated, &err) : json_incref(json_object_get(doc, "row"));
	if (id && !c->code && !c->dry_ok && row) {
		int rc = schedule_run(c->ebs, row, at, (uint32_t)arg_number(c, "wait_ms", EBS_WAIT_MS), made, &err);

		schedule_prune(c->ebs, row);
		if (rc)
			ebs_fail_err(c, &err);
		else
			json_object_set(c->result, "made", made);
	}
	json_decref(row);
	json_decref(made);
	json_decref(doc);
	free(id);
}

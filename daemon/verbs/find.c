/* SPDX-License-Identifier: GPL-2.0-only */
/* find.c - resources by id or name, and lists of them with filters and pages. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "verbs/priv.h"

const struct kind kind_volume = {T_VOLUME, "vol-", "volume", EBS_NO_VOLUME, volume_gather};
const struct kind kind_snapshot = {T_SNAPSHOT, "snap-", "snapshot", EBS_NO_SNAPSHOT, NULL};
const struct kind kind_host = {T_HOST, "h-", "host", EBS_NO_HOST, NULL};
const struct kind kind_vm = {T_VM, "i-", "vm", EBS_NO_INSTANCE, NULL};
const struct kind kind_schedule = {T_SCHEDULE, "sched-", "schedule", EBS_NO_RESOURCE, NULL};
const struct kind kind_attachment = {T_ATTACHMENT, "vol-att-", "attachment", EBS_NO_ATTACHMENT, NULL};

/* Names of these are a column. */
static bool has_name_column(const struct kind *k)
{
	return k->table == T_HOST || k->table == T_SCHEDULE || k->table == T_VM || k->table == T_KEY;
}

static void ambiguous(struct ebs_call *c, const struct kind *k, const char *text, const json_t *rows)
{
	char ids[200] = "";
	size_t at = 0;

	for (size_t i = 0; i < json_array_size(rows) && i < 5; i++)
		at += text_fmt(ids + at, sizeof(ids) - at, "%s%s", i ? ", " : "",
			       json_string_value(json_object_get(json_array_get(rows, i), "id")));
	ebs_fail(c, EBS_AMBIGUOUS, -ENOTUNIQ, "the name '%.100s' means more than one %s: %s", text, k->word, ids);
}

/* binned: also what is in the recycle bin. own: more filters, or NULL. */
static json_t *named(struct store_tx *tx, const struct kind *k, const char *text, bool binned,
		     const struct rights_filters *own, struct err *err)
{
	const char *values[] = {text}, *states[] = {"recoverable"};
	struct store_filter f[2 + EBS_KEY_TAGS_MAX] = {
		{.column = has_name_column(k) ? "name" : "tag:Name", .values = values, .nvalues = 1}};
	struct store_query q = {.table = k->table, .filters = f, .nfilters = 1, .limit = 6};

	if (!binned)
		f[q.nfilters++] = (struct store_filter){
			.column = "state", .values = states, .nvalues = 1, .negate = true};
	for (unsigned i = 0; own && i < own->n; i++)
		f[q.nfilters++] = own->filters[i];
	return store_find(tx, &q, NULL, err);
}

/* What is in the recycle bin has a name only as long as nothing else has it. */
static json_t *named_now(struct store_tx *tx, const struct kind *k, const char *text,
			 const struct rights_filters *own, struct err *err)
{
	bool has_bin = k->table == T_VOLUME || k->table == T_SNAPSHOT;
	json_t *rows = named(tx, k, text, !has_bin, own, err);

	if (!rows || json_array_size(rows) || !has_bin)
		return rows;
	json_decref(rows);
	return named(tx, k, text, true, own, err);
}

/* Others' of that name do not make it ambiguous, nor are they told of. */
static json_t *by_name(struct store_tx *tx, struct ebs_call *c, const struct kind *k, const char *text, bool any)
{
	struct rights_filters own;
	int rc = any ? 0 : rights_filters(tx, c, k->table, &own, &c->err);
	json_t *rows = rc ? NULL : named_now(tx, k, text, any ? NULL : &own, &c->err), *row = NULL, *others;

	if (rows && json_array_size(rows) == 1)
		row = json_incref(json_array_get(rows, 0));
	else if (rows && json_array_size(rows))
		ambiguous(c, k, text, rows);
	if (rows && !json_array_size(rows) && !any && own.n) {
		others = named(tx, k, text, true, NULL, &c->err);
		if (json_array_size(others))
			rights_refused(c, text_of(json_array_get(others, 0), "id"));
		json_decref(others);
	}
	json_decref(rows);
	if (!any)
		rights_filters_free(&own);
	return row;
}

static json_t *find_in(struct store_tx *tx, struct ebs_call *c, const struct kind *k, const char *text, bool any)
{
	bool id = k->table == T_KEY ? key_is_id(text) : ebs_is_id(text, k->prefix);
	json_t *row = id ? store_get(tx, k->table, text, &c->err) : by_name(tx, c, k, text, any);

	if (id && row && !any && !rights_own(tx, c, row)) {
		json_decref(row);
		row = NULL;
		rights_refused(c, text);
	}
	if (!row && c->err.code && !c->code)
		ebs_fail_err(c, &c->err);
	else if (!row && !c->code)
		ebs_fail(c, k->missing, -ENOENT, "The %s '%.100s' does not exist.", k->word, text);
	return row;
}

json_t *find_row(struct store_tx *tx, struct ebs_call *c, const struct kind *k, const char *text)
{
	return find_in(tx, c, k, text, false);
}

json_t *find_any(struct store_tx *tx, struct ebs_call *c, const struct kind *k, const char *text)
{
	return find_in(tx, c, k, text, true);
}

struct lookup {
	struct ebs_call *c;
	const struct kind *k;
	const char *text;
	char *id;
};

static int lookup(struct store_tx *tx, void *arg, struct err *err)
{
	struct lookup *l = arg;
	json_t *row = find_row(tx, l->c, l->k, l->text);

	(void)err;
	if (!row)
		return -ENOENT;
	l->id = strdup(json_string_value(json_object_get(row, "id")));
	json_decref(row);
	return 0;
}

char *find_id(struct ebs_call *c, const struct kind *k, const char *text)
{
	struct lookup l = {c, k, text, NULL};
	struct err err = ERR_INIT;

	if (store_read(c->ebs->store, lookup, &l, &err) && !c->code)
		ebs_fail_err(c, &err);
	/* A deletion that is asked again: what it names has gone by the first time. */
	if (c->code && !strcmp(c->code, ebs_code_text(k->missing)))
		change_repeated(c);
	return l.id;
}

/* ---------------------------------------------------------------- lists */

/* The rows' tags, by id (new reference), after all else that is shown was put into them; NULL: it failed. */
static json_t *gather(struct store_tx *tx, const struct kind *k, json_t *rows, struct err *err)
{
	if (k->gather && k->gather(tx, rows, err))
		return NULL;
	return store_tags(tx, rows, err);
}

struct listing {
	struct ebs_call *c;
	const struct kind *k;
	const char *arg_ids;
	find_show_fn *show;
	json_t *rows, *tags;
	char *cursor;
};

static json_t *show_all(struct store_tx *tx, const struct listing *l, struct err *err)
{
	json_t *shown = json_array(), *row;
	size_t i;

	json_array_foreach(l->rows, i, row)
	{
		const char *id = json_string_value(json_object_get(row, "id"));
		json_t *one = l->show(tx, row, json_object_get(l->tags, id), err);

		if (!one) {
			json_decref(shown);
			return NULL;
		}
		json_array_append_new(shown, one);
	}
	return shown;
}

/* Named one by one: each must be there. */
static int list_named(struct store_tx *tx, struct listing *l, const json_t *ids)
{
	json_t *one = json_is_string(ids) ? json_pack("[O]", ids) : json_incref((json_t *)(uintptr_t)ids), *v;
	size_t i;
	int rc = 0;

	json_array_foreach(one, i, v)
	{
		json_t *row = rc ? NULL : find_row(tx, l->c, l->k, json_string_value(v));

		if (row)
			json_array_append_new(l->rows, row);
		else
			rc = -ENOENT;
	}
	json_decref(one);
	return rc;
}

static unsigned filter_values(const json_t *v, const char **values, unsigned room)
{
	unsigned n = 0;

	if (json_is_string(v))
		values[n++] = json_string_value(v);
	for (size_t i = 0; i < json_array_size(v) && n < room; i++)
		values[n++] = json_string_value(json_array_get(v, i));
	return n;
}

static int list_filtered(struct store_tx *tx, struct listing *l, struct err *err)
{
	enum { FILTERS = 50, VALUES = 200 };
	const char **values = calloc((size_t)FILTERS * VALUES, sizeof(*values));
	struct store_filter f[FILTERS + EBS_KEY_TAGS_MAX];
	struct store_query q = {.table = l->k->table, .filters = f, .after = arg_text(l->c, "cursor")};
	struct rights_filters rights;
	const char *key;
	json_t *v;
	int rc;

	if (!values)
		return err_set(err, -ENOMEM, "out of memory");
	q.limit = (unsigned)arg_number(l->c, "limit", EBS_PAGE_MAX);
	json_object_foreach(arg_json(l->c, "filters"), key, v)
	{
		const char **own = values + (size_t)q.nfilters * VALUES;

		f[q.nfilters++] = (struct store_filter){
			.column = key, .values = own, .nvalues = filter_values(v, own, VALUES), .how = FILTER_GLOB};
	}
	rc = rights_filters(tx, l->c, l->k->table, &rights, err);
	for (unsigned i = 0; i < rights.n; i++)
		f[q.nfilters++] = rights.filters[i];
	json_decref(l->rows);
	l->rows = rc ? NULL : store_find(tx, &q, &l->cursor, err);
	rights_filters_free(&rights);
	free(values);
	if (l->rows)
		return 0;
	if (err->code == -EINVAL)
		return ebs_fail(l->c, EBS_INVALID_PARAMETER, -EINVAL, "%s", err->text);
	return err->code;
}

static int list(struct store_tx *tx, void *arg, struct err *err)
{
	struct listing *l = arg;
	const json_t *ids = l->arg_ids ? arg_json(l->c, l->arg_ids) : NULL;
	json_t *shown = NULL;
	char name[32];
	int rc;

	l->rows = json_array();
	rc = ids ? list_named(tx, l, ids) : list_filtered(tx, l, err);
	if (!rc) {
		l->tags = gather(tx, l->k, l->rows, err);
		shown = l->tags ? show_all(tx, l, err) : NULL;
		rc = shown ? 0 : err->code ? err->code : -ENOMEM;
	}
	if (!rc) {
		snprintf(name, sizeof(name), "%ss", l->k->word);
		l->c->result = json_pack("{s:o}", name, shown);
		if (l->cursor)
			json_object_set_new(l->c->result, "cursor", json_string(l->cursor));
	}
	json_decref(l->rows);
	json_decref(l->tags);
	free(l->cursor);
	return rc;
}

void find_list(struct ebs_call *c, const struct kind *k, const char *arg_ids, find_show_fn *show)
{
	struct listing l = {.c = c, .k = k, .arg_ids = arg_ids, .show = show};
	struct err err = ERR_INIT;

	if (arg_ids && arg_given(c, arg_ids) && (arg_given(c, "cursor") || arg_given(c, "limit"))) {
		ebs_fail(c, EBS_INVALID_COMBINATION, -EINVAL, "\"%s\" and pages do not go together", arg_ids);
		return;
	}
	if (store_read(c->ebs->store, list, &l, &err) && !c->code)
		ebs_fail_err(c, &err);
}

struct shown {
	const struct kind *k;
	const char *id;
	find_show_fn *show;
	json_t *result;
};

static int one_shown(struct store_tx *tx, void *arg, struct err *err)
{
	struct shown *s = arg;
	json_t *row = store_get(tx, s->k->table, s->id, err), *rows, *tags;

	if (!row)
		return err->code ? err->code : -ENOENT;
	rows = json_pack("[o]", row);
	tags = gather(tx, s->k, rows, err);
	if (tags)
		s->result = s->show(tx, row, json_object_get(tags, s->id), err);
	json_decref(tags);
	json_decref(rows);
	return s->result ? 0 : err->code ? err->code : -ENOMEM;
}

json_t *find_shown(struct ebs *e, const struct kind *k, const char *id, find_show_fn *show, struct err *err)
{
	struct shown s = {k, id, show, NULL};

	store_read(e->store, one_shown, &s, err);
	return s.result;
}

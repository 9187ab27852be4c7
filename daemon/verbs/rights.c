/* SPDX-License-Identifier: GPL-2.0-only */
/* rights.c - what a caller may do, all in one place.
 *
 *	EBS_MAY_ALL      every verb
 *	EBS_MAY_OPERATE  not what is EBS_ADMIN; with only_tags, besides, only its own
 *	EBS_MAY_READ     what is neither EBS_ADMIN nor EBS_CHANGES
 *
 * Its own of a caller with only_tags: volumes, snapshots, hosts, VMs, schedules and attachments that have all of these
 * tags; a tag if its resource has them; a task that it began. Nothing else is there for it: what is another's is "not
 * found", in lists, by id and by name alike, since that it exists is not this caller's to know. What it makes gets the
 * tags, and it can neither alter nor take them.
 *
 * What was kept from a caller is in the audit log, by its true name.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "verbs/priv.h"

static const char sentence[] = "You are not authorized to perform this operation.";

bool rights_verb(struct ebs_call *c)
{
	bool may = c->rights == EBS_MAY_ALL;

	if (!(c->verb->flags & EBS_ADMIN))
		may |= c->rights == EBS_MAY_OPERATE || !(c->verb->flags & EBS_CHANGES);
	if (!may)
		ebs_fail(c, EBS_UNAUTHORIZED, -EACCES, "%s", sentence);
	return may;
}

/* ---------------------------------------------------------------- its own */

static bool has_tags(struct store_tx *tx, const struct ebs_call *c, const char *id)
{
	json_t *rows = json_pack("[{s:s}]", "id", id), *tags, *of;
	struct err err = ERR_INIT;
	const char *key;
	json_t *value;
	bool has;

	tags = rows ? store_tags(tx, rows, &err) : NULL;
	of = json_object_get(tags, id);
	has = of != NULL;
	json_object_foreach((json_t *)(uintptr_t)c->only_tags, key, value)
		has &= json_equal(value, json_object_get(of, key)) == 1;
	json_decref(tags);
	json_decref(rows);
	return has;
}

bool rights_own(struct store_tx *tx, const struct ebs_call *c, const json_t *row)
{
	return !c->only_tags || has_tags(tx, c, text_of(row, "id"));
}

void rights_refused(struct ebs_call *c, const char *id)
{
	if (!c->refused)
		c->refused = strdup(id);
}

static int read_task(struct store_tx *tx, void *arg, struct err *err)
{
	struct ebs_call *c = arg;
	json_t *id = json_sprintf("%lld", (long long)arg_number(c, "task", 0));
	json_t *row = id ? store_get(tx, T_TASK, json_string_value(id), err) : NULL;
	const char *who = text_of(row, "who");

	if (row && (!who || strcmp(who, c->who)))
		rights_refused(c, json_string_value(id));
	json_decref(row);
	json_decref(id);
	return err->code;
}

bool rights_task(struct ebs_call *c)
{
	struct err err = ERR_INIT;

	return !c->only_tags || (!store_read(c->ebs->store, read_task, c, &err) && !c->refused);
}

/* ---------------------------------------------------------------- lists */

void rights_filters_free(struct rights_filters *r)
{
	for (unsigned i = 0; i < EBS_KEY_TAGS_MAX; i++)
		free(r->columns[i]);
	free(r->ids);
	json_decref(r->memory);
}

static int by_tags(const struct ebs_call *c, struct rights_filters *r, struct err *err)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)c->only_tags, key, value)
	{
		if (r->n == EBS_KEY_TAGS_MAX || asprintf(&r->columns[r->n], "tag:%s", key) < 0)
			return err_set(err, -ENOMEM, "out of memory");
		r->values[r->n] = json_string_value(value);
		r->filters[r->n] = (struct store_filter){
			.column = r->columns[r->n], .values = &r->values[r->n], .nvalues = 1, .how = FILTER_EQUAL};
		r->n++;
	}
	return 0;
}

/* One more of the tags found at each of these. */
static int count_at(struct store_tx *tx, json_t *counts, const char *key, const char *value, struct err *err)
{
	struct store_filter f[] = {{.column = "key", .values = &key, .nvalues = 1},
				   {.column = "value", .values = &value, .nvalues = 1}};
	struct store_query q = {.table = T_TAG, .filters = f, .nfilters = 2};
	json_t *rows = store_find(tx, &q, NULL, err), *row;
	size_t i;

	json_array_foreach(rows, i, row)
		json_object_set_new(counts, text_of(row, "resource_id"),
				    json_integer(number_of(counts, text_of(row, "resource_id")) + 1));
	json_decref(rows);
	return rows ? 0 : err->code;
}

/* Tags have none themselves: those of resources that have all. */
static int by_resources(struct store_tx *tx, const struct ebs_call *c, struct rights_filters *r, struct err *err)
{
	const char *key;
	json_t *value;
	unsigned n = 0;
	int rc = 0;

	r->memory = json_object();
	json_object_foreach((json_t *)(uintptr_t)c->only_tags, key, value)
		rc = rc ? rc : count_at(tx, r->memory, key, json_string_value(value), err);
	r->ids = calloc(json_object_size(r->memory) + 1, sizeof(*r->ids));
	if (!rc && !r->ids)
		rc = err_set(err, -ENOMEM, "out of memory");
	if (rc)
		return rc;
	json_object_foreach(r->memory, key, value)
	{
		if (json_integer_value(value) == (json_int_t)json_object_size(c->only_tags))
			r->ids[n++] = key;
	}
	r->filters[r->n++] = (struct store_filter){
		.column = "resource_id", .values = r->ids, .nvalues = n, .how = FILTER_EQUAL};
	return 0;
}

int rights_filters(struct store_tx *tx, const struct ebs_call *c, enum store_table t, struct rights_filters *r,
		   struct err *err)
{
	memset(r, 0, sizeof(*r));
	if (!c->only_tags || t == T_QUOTA) /* quotas are everybody's */
		return 0;
	if (t == T_TAG)
		return by_resources(tx, c, r, err);
	if (t != T_TASK)
		return by_tags(c, r, err);
	r->values[0] = c->who;
	r->filters[r->n++] = (struct store_filter){
		.column = "who", .values = &r->values[0], .nvalues = 1, .how = FILTER_EQUAL};
	return 0;
}

/* ---------------------------------------------------------------- tags of its own */

void rights_add(const struct ebs_call *c, json_t *tags)
{
	if (c->only_tags)
		json_object_update_missing(tags, (json_t *)(uintptr_t)c->only_tags);
}

int rights_may_set(struct ebs_call *c, const char *key, const json_t *value)
{
	const json_t *own = json_object_get(c->only_tags, key);

	if (!own || (value && json_equal(own, value) == 1))
		return 0;
	return ebs_fail(c, EBS_UNAUTHORIZED, -EACCES, "%s The tag '%.100s' is what this key is bound to.", sentence,
			key);
}

int rights_may_drop_all(struct ebs_call *c)
{
	void *first = json_object_iter((json_t *)(uintptr_t)c->only_tags);

	return first ? rights_may_set(c, json_object_iter_key(first), NULL) : 0;
}

/* ---------------------------------------------------------------- the audit log */

bool rights_is_refusal(const struct ebs_call *c)
{
	return c->code && c->verb && (c->refused || !strcmp(c->code, ebs_code_text(EBS_UNAUTHORIZED)));
}

static int audit(struct store_tx *tx, void *arg, struct err *err)
{
	const struct ebs_call *c = arg;
	/* Arguments only if they have been checked: else they are of any size. */
	json_t *row = json_pack("{s:I, s:s, s:s, s:s*, s:s, s:o*}", "at_ms", (json_int_t)ebs_now_ms(c->ebs), "who",
				c->who, "verb", c->verb->name, "resource_id", c->refused, "outcome",
				ebs_code_text(EBS_UNAUTHORIZED), "args", c->checked ? audit_refused_args(c) : NULL);
	int rc = store_insert(tx, T_AUDIT, row, err);

	json_decref(row);
	return rc;
}

void rights_audit(struct ebs_call *c)
{
	struct err err = ERR_INIT;

	if (rights_is_refusal(c))
		store_write(c->ebs->store, audit, c, &err);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* volume.c - volumes: create, delete, describe, modify.
 *
 * Crash stories
 * - create: the row ("creating") is there before the pool is asked; the pool's volume has the id as its name. Killed
 *   after the pool made it: the step is done again, finds its volume, and goes on; or, if it is undone, deletes it.
 * - create from an image: import.c has the story of its copying.
 * - delete: the row says "deleting" before anything goes; the pivot is passed before the pool is asked, for what it has
 *   deleted does not come back (that nobody has it open was seen before). Killed after it: the step is done again,
 *   and "not there" is its success.
 * - modify: attributes can go back, a size cannot (initiators were told): so the attributes are the pivot, and growing,
 *   which does not fail for good, comes after it.
 */
#include <errno.h>
#include <string.h>

#include "base/units.h"
#include "verbs/priv.h"

/* ---------------------------------------------------------------- what is shown */

/* What belongs to the rows, as a member of that name. */
static int put_belonging(struct store_tx *tx, enum store_table t, json_t *rows, const char *name, struct err *err)
{
	json_t *by_id = store_belonging(tx, t, rows, err), *row;
	size_t i;

	if (!by_id)
		return err->code;
	json_array_foreach(rows, i, row)
	{
		json_t *theirs = json_object_get(by_id, text_of(row, "id"));

		if (theirs)
			json_object_set(row, name, theirs);
	}
	json_decref(by_id);
	return 0;
}

/* Members that no column is called as. */
int volume_gather(struct store_tx *tx, json_t *rows, struct err *err)
{
	int rc = put_belonging(tx, T_ATTACHMENT, rows, "attachments", err);

	return rc ? rc : put_belonging(tx, T_LOCK, rows, "locks", err);
}

static json_t *attachments_shown(const json_t *row)
{
	static const char *const columns[] = {"id", "host_id", "vm_id", "device", "path", "state", "mode"};
	json_t *shown = json_array(), *a;
	size_t i;

	json_array_foreach(json_object_get(row, "attachments"), i, a)
	{
		json_t *one = json_object();

		for (size_t k = 0; k < sizeof(columns) / sizeof(*columns); k++)
			if (json_object_get(a, columns[k]))
				json_object_set(one, columns[k], json_object_get(a, columns[k]));
		json_object_set_new(one, "attached", time_shown(json_object_get(a, "created_ms")));
		json_array_append_new(shown, one);
	}
	return shown;
}

json_t *volume_shown(struct store_tx *tx, const json_t *row, const json_t *tags, struct err *err)
{
	json_t *v = json_object(), *lock = json_array_get(json_object_get(row, "locks"), 0);
	static const char *const columns[] = {
		"id", "size_bytes", "type", "state", "zone", "pool", "pool_name",
		"iops", "bandwidth_bytes_s", "mode", "snapshot_id", "origin", "modification"};

	(void)tx;
	(void)err;
	for (size_t i = 0; i < sizeof(columns) / sizeof(*columns); i++)
		if (json_object_get(row, columns[i]))
			json_object_set(v, columns[i], json_object_get(row, columns[i]));
	json_object_set_new(v, "multi_attach", json_boolean(json_is_true(json_object_get(row, "multi_attach"))));
	json_object_set_new(v, "created", time_shown(json_object_get(row, "created_ms")));
	if (json_is_integer(json_object_get(row, "bin_ms")))
		json_object_set_new(v, "deleted", time_shown(json_object_get(row, "bin_ms")));
	if (json_is_integer(json_object_get(row, "bin_until_ms")))
		json_object_set_new(v, "kept_until", time_shown(json_object_get(row, "bin_until_ms")));
	if (json_object_get(tags, "Name"))
		json_object_set(v, "name", json_object_get(tags, "Name"));
	json_object_set_new(v, "tags", tags ? json_copy((json_t *)(uintptr_t)tags) : json_object());
	json_object_set_new(v, "attachments", attachments_shown(row));
	if (lock)
		json_object_set(v, "task", json_object_get(lock, "task_id"));
	return v;
}

void run_volume_describe(struct ebs_call *c)
{
	find_list(c, &kind_volume, "volumes", volume_shown);
}

/* ---------------------------------------------------------------- create */

static int set_state(struct store_tx *tx, const struct saga *s, const char *state, struct err *err)
{
	json_t *change = json_pack("{s:s}", "state", state);
	int rc = store_update(tx, T_VOLUME, text_of(s->doc, "id"), change, err);

	json_decref(change);
	return rc;
}

/* The snapshot that it begins as: "completed", and not larger than what is asked for. */
static int from_snapshot(struct store_tx *tx, struct ebs_call *c, json_t *doc)
{
	json_t *row = find_row(tx, c, &kind_snapshot, arg_text(c, "snapshot"));
	json_int_t size = number_of(row, "size_bytes"), asked = number_of(doc, "size_bytes");
	int rc = row ? 0 : -ENOENT;

	if (!rc && strcmp(text_of(row, "state"), "completed"))
		rc = ebs_fail(c, EBS_INCORRECT_STATE, -EBUSY, "Snapshot '%s' is in the '%s' state.", text_of(row, "id"),
			      text_of(row, "state"));
	if (!rc && asked && asked < size)
		rc = ebs_fail(c, EBS_INVALID_PARAMETER, -EINVAL,
			      "The volume size is less than the snapshot's, %lld bytes.", (long long)size);
	if (!rc) {
		json_object_set(doc, "source", json_object_get(row, "pool_name"));
		json_object_set_new(doc, "source_bytes", json_integer(size));
		json_object_set(doc, "snapshot_id", json_object_get(row, "id"));
		json_object_set(doc, "pool", json_object_get(row, "pool"));
		json_object_set_new(doc, "size_bytes", json_integer(asked ? asked : size));
	}
	json_decref(row);
	return rc;
}

int volume_enter(struct store_tx *tx, struct ebs_call *c, json_t *doc)
{
	struct err err = ERR_INIT;
	const char *type = arg_text(c, "type") ? arg_text(c, "type") : text_of(doc, "type");
	json_t *row, *tags;
	int rc = quota_check(tx, c, "volumes", 1);

	if (!rc)
		rc = quota_check(tx, c, "bytes", (uint64_t)number_of(doc, "size_bytes"));
	if (rc)
		return rc;
	row = json_pack("{s:O, s:O, s:O, s:O, s:s, s:s, s:s?, s:O*, s:O*, s:O*, s:b, s:O*, s:O*, s:I}", "id",
			json_object_get(doc, "id"), "pool", json_object_get(doc, "pool"), "pool_name",
			json_object_get(doc, "id"), "size_bytes", json_object_get(doc, "size_bytes"), "type",
			type ? type : "gp3", "state", "creating", "zone",
			c->ebs->conf.zone, "iops", json_object_get(doc, "iops"), "bandwidth_bytes_s",
			json_object_get(doc, "bandwidth_bytes_s"), "mode", json_object_get(doc, "mode"), "multi_attach",
			arg_bool(c, "multi_attach"), "snapshot_id", json_object_get(doc, "snapshot_id"), "origin",
			json_object_get(doc, "origin"), "created_ms", (json_int_t)ebs_now_ms(c->ebs));
	rc = row ? store_insert(tx, T_VOLUME, row, &err) : err_set(&err, -ENOMEM, "out of memory");
	json_decref(row);
	if (rc)
		return ebs_fail_err(c, &err);
	tags = tags_with_name(arg_json(c, "tags"), arg_text(c, "name"));
	rights_add(c, tags);
	rc = tags_put(tx, c, text_of(doc, "id"), tags);
	json_decref(tags);
	return rc;
}

static int create_begin(struct store_tx *tx, struct ebs_call *c, json_t *doc)
{
	int rc = arg_given(c, "snapshot") ? from_snapshot(tx, c, doc) : 0;

	return rc ? rc : volume_enter(tx, c, doc);
}

static const char *const pool_attributes[][2] = {
	{"iops", "iops"}, {"bandwidth_bytes_s", "bandwidth_bytes"}, {"mode", "mode"}};

/* The pool that was asked for, or ours, or the only one that is open; new reference. A row without its pool could not
 * be served by tgtd, nor be compared by the doctor. NULL: the call failed. What is asked for must be open if that can
 * be known now: of a pool that nobody has, no saga should wait. */
json_t *pool_of(struct ebs_call *c)
{
	const char *asked = arg_text(c, "pool") ? arg_text(c, "pool") : c->ebs->conf.pool;
	struct err err = ERR_INIT;
	json_t *all, *open, *found = NULL;

	if (arg_given(c, "snapshot")) /* a clone is where its snapshot is */
		return json_string(asked ? asked : "");
	all = pool_call(c->ebs->pools, NULL, "pools", NULL, POOL_CALL_MS, &err);
	open = json_object_get(all, "pools");
	if (!all && asked)
		return json_string(asked);
	for (size_t i = 0; i < json_array_size(open) && !found; i++) {
		json_t *name = json_object_get(json_array_get(open, i), "name");

		if (asked ? !strcmp(json_string_value(name), asked) : json_array_size(open) == 1)
			found = json_incref(name);
	}
	if (!all)
		ebs_fail_err(c, &err);
	else if (!found && arg_given(c, "pool"))
		ebs_fail(c, EBS_INVALID_PARAMETER, -ENOENT, "\"pool\": no open pool is named '%.80s'", asked);
	else if (!found && asked)
		ebs_fail(c, EBS_UNAVAILABLE, -EAGAIN, "the pool '%.80s' is not open", asked);
	else if (!found && json_array_size(open))
		ebs_fail(c, EBS_MISSING_PARAMETER, -EINVAL, "%zu pools are open: the request must name one",
			 json_array_size(open));
	else if (!found)
		ebs_fail(c, EBS_UNAVAILABLE, -EAGAIN, "no pool is open");
	json_decref(all);
	return found;
}

void run_volume_create(struct ebs_call *c)
{
	char id[EBS_ID_MAX];
	const char *locks[] = {id};
	struct change ch = {.saga = "volume-create",
			    .resource = id,
			    .locks = locks,
			    .nlocks = 1,
			    .begin = create_begin,
			    .kind = &kind_volume,
			    .show = volume_shown};
	json_int_t size = (json_int_t)arg_number(c, "size_bytes", 0);
	json_t *pool, *mark = NULL;

	if (!size && !arg_given(c, "snapshot") && !arg_given(c, "image")) {
		ebs_fail(c, EBS_MISSING_PARAMETER, -EINVAL,
			 "The request must contain the parameter size, snapshot or image.");
		return;
	}
	if (size % BLK_BYTES) {
		ebs_fail(c, EBS_INVALID_PARAMETER, -EINVAL, "\"size_bytes\": expected a multiple of 4096");
		return;
	}
	if (arg_given(c, "zone") && c->ebs->conf.zone && strcmp(arg_text(c, "zone"), c->ebs->conf.zone)) {
		ebs_fail(c, EBS_NO_ZONE, -ENOENT, "The zone '%.80s' does not exist.", arg_text(c, "zone"));
		return;
	}
	pool = pool_of(c);
	if (!pool)
		return;
	if (arg_given(c, "image")) {
		ch.saga = "volume-import";
		if (import_check(c, &size, &mark)) {
			json_decref(pool);
			change_repeated(c);
			return;
		}
	}
	ebs_new_id(id, "vol-");
	ch.doc = json_pack("{s:s, s:I, s:o, s:O*, s:o*}", "id", id, "size_bytes", size, "pool", pool, "origin",
			   arg_json(c, "image"), "mark", mark);
	for (size_t i = 0; i < sizeof(pool_attributes) / sizeof(*pool_attributes); i++)
		if (arg_given(c, pool_attributes[i][0]))
			json_object_set(ch.doc, pool_attributes[i][0], arg_json(c, pool_attributes[i][0]));
	change_run(c, &ch);
}

int ask_pool(const struct saga *s, const char *verb, json_t *args, struct err *err)
{
	struct ebs *e = s->ctx;
	json_t *result = pool_call(e->pools, text_of(s->doc, "pool"), verb, args, POOL_CALL_MS, err);

	json_decref(args);
	json_decref(result);
	return result ? 0 : err->code;
}

/* Success if the pool says that it was so before. */
static int unless(int rc, int already, struct err *err)
{
	if (rc != already)
		return rc;
	*err = ERR_INIT;
	return 0;
}

int volume_make(struct saga *s, struct err *err)
{
	const char *id = text_of(s->doc, "id"), *source = text_of(s->doc, "source");
	json_int_t size = number_of(s->doc, "size_bytes");
	int rc;

	if (!source)
		return unless(
			ask_pool(s, "volume-create", json_pack("{s:s, s:I}", "name", id, "size_bytes", size), err),
			-EEXIST, err);
	rc = unless(ask_pool(s, "volume-clone", json_pack("{s:s, s:s}", "name", source, "clone", id), err), -EEXIST,
		    err);
	if (!rc && size > number_of(s->doc, "source_bytes"))
		rc = ask_pool(s, "volume-grow", json_pack("{s:s, s:I}", "name", id, "size_bytes", size), err);
	return rc;
}

static int create_undo(struct saga *s, struct err *err)
{
	return pool_drop(s->ctx, text_of(s->doc, "pool"), text_of(s->doc, "id"), err);
}

static int drop_row(struct store_tx *tx, struct saga *s, struct err *err)
{
	int rc = tags_drop(tx, text_of(s->doc, "id"), err);

	return rc ? rc : unless(store_delete(tx, T_VOLUME, text_of(s->doc, "id"), err), -ENOENT, err);
}

/* Those of `from`'s members that are attributes. */
static int set_attributes(const struct saga *s, const char *pool_name, const json_t *from, struct err *err)
{
	json_t *args = json_pack("{s:s}", "name", pool_name);

	for (size_t i = 0; i < sizeof(pool_attributes) / sizeof(*pool_attributes); i++) {
		json_t *v = json_object_get(from, pool_attributes[i][0]);

		if (v)
			json_object_set(args, pool_attributes[i][1], v);
	}
	if (json_object_size(args) > 1)
		return ask_pool(s, "volume-set", args, err);
	json_decref(args);
	return 0;
}

static int attributes_apply(struct saga *s, struct err *err)
{
	return set_attributes(s, text_of(s->doc, "id"), s->doc, err);
}

static int create_settle(struct store_tx *tx, struct saga *s, struct err *err)
{
	return set_state(tx, s, "available", err);
}

const struct saga_step volume_create_steps[] = {
	{"pool", volume_make, NULL, create_undo, drop_row},
	{"attributes", attributes_apply, create_settle, NULL, NULL},
};

/* Attributes come last: a ceiling is not for the import, and what is not cached is written by a stream all the same. */
const struct saga_step volume_import_steps[] = {
	{"pool", volume_make, NULL, create_undo, drop_row},
	{"copy", import_copy, NULL, import_undo, NULL},
	{"attributes", attributes_apply, create_settle, NULL, NULL},
};

/* ---------------------------------------------------------------- delete */

int must_be(struct ebs_call *c, const json_t *row, const char *state)
{
	const char *id = text_of(row, "id"), *now = text_of(row, "state");

	if (!strcmp(now, state))
		return 0;
	if (!strcmp(now, "in-use"))
		return ebs_fail(c, EBS_VOLUME_IN_USE, -EBUSY, "Volume %s is currently attached", id);
	return ebs_fail(c, EBS_INCORRECT_STATE, -EBUSY, "Volume '%s' is in the '%s' state.", id, now);
}

/* The row's state follows its attachments, but it is they that say who writes there. */
static int has_attachments(struct store_tx *tx, struct ebs_call *c, const json_t *row)
{
	const char *id = text_of(row, "id");
	struct store_filter f = {.column = "volume_id", .values = &id, .nvalues = 1};
	struct store_query q = {.table = T_ATTACHMENT, .filters = &f, .nfilters = 1};
	struct err err = ERR_INIT;
	int64_t n = store_count(tx, &q, &err);

	if (n < 0)
		return ebs_fail_err(c, &err);
	return n ? ebs_fail(c, EBS_VOLUME_IN_USE, -EBUSY, "Volume %s is currently attached", id) : 0;
}

int nobody_has(struct store_tx *tx, struct ebs_call *c, const json_t *row)
{
	int rc = has_attachments(tx, c, row);

	if (!rc && json_array_size(json_object_get(row, "exported")))
		rc = ebs_fail(c, EBS_VOLUME_IN_USE, -EBUSY, "Volume %s is exported", text_of(row, "id"));
	return rc;
}

static int delete_begin(struct store_tx *tx, struct ebs_call *c, json_t *doc)
{
	json_t *row = find_row(tx, c, &kind_volume, text_of(doc, "id")), *change = NULL;
	bool binned = row && !strcmp(text_of(row, "state"), "recoverable");
	struct err err = ERR_INIT;
	int rc = row ? bin_over(c, row) : -ENOENT;

	/* What the doctor found to be broken must be possible to get rid of. */
	if (!rc && !(binned && arg_bool(c, "permanently")) && strcmp(text_of(row, "state"), "error"))
		rc = must_be(c, row, "available");
	if (!rc)
		rc = nobody_has(tx, c, row);
	if (!rc && json_object_get(doc, "bin_until_ms"))
		change = bin_change(doc);
	else if (!rc)
		change = json_pack("{s:s}", "state", "deleting");
	if (!rc) {
		json_object_set(doc, "pool", json_object_get(row, "pool"));
		json_object_set(doc, "pool_name", json_object_get(row, "pool_name"));
		json_object_set(doc, "was", json_object_get(row, "state"));
		rc = store_update(tx, T_VOLUME, text_of(doc, "id"), change, &err);
		if (rc)
			ebs_fail_err(c, &err);
	}
	json_decref(change);
	json_decref(row);
	return rc;
}

void run_volume_delete(struct ebs_call *c)
{
	char *id = find_id(c, &kind_volume, arg_text(c, "volume"));
	const char *locks[] = {id};
	struct change ch = {
		.saga = "volume-delete", .resource = id, .locks = locks, .nlocks = 1, .begin = delete_begin};

	if (!id)
		return;
	ch.doc = json_pack("{s:s}", "id", id);
	bin_instead(c, &ch);
	change_run(c, &ch);
	free(id);
}

static int nothing(struct saga *s, struct err *err)
{
	(void)s;
	(void)err;
	return 0;
}

static int delete_undone(struct store_tx *tx, struct saga *s, struct err *err)
{
	return set_state(tx, s, text_of(s->doc, "was"), err);
}

/* The last chance to say no: a LUN that was made by hand may have it open. */
static int delete_target(struct saga *s, struct err *err)
{
	struct ebs *e = s->ctx;
	int rc = target_sync(e, text_of(s->doc, "id"), true, err);

	/* What the manager itself keeps open, in case it is wanted again. */
	if (!rc && e->disks)
		rc = disks_forget(e->disks, text_of(s->doc, "id"), err);
	return rc ? rc : pool_idle(e, text_of(s->doc, "pool"), text_of(s->doc, "pool_name"), err);
}

static int delete_apply(struct saga *s, struct err *err)
{
	return pool_drop(s->ctx, text_of(s->doc, "pool"), text_of(s->doc, "pool_name"), err);
}

const struct saga_step volume_delete_steps[] = {
	{"target", delete_target, NULL, nothing, delete_undone},
	{"pool", delete_apply, drop_row, NULL, NULL},
};

/* ---------------------------------------------------------------- modify */

/* What the attributes that are to change are now, for the way back: none is a 0 or the pool's default. */
static void keep_attributes(json_t *doc, const json_t *row)
{
	json_t *before = json_object();

	for (size_t i = 0; i < sizeof(pool_attributes) / sizeof(*pool_attributes); i++) {
		const char *name = pool_attributes[i][0];
		json_t *was = json_object_get(row, name);

		if (!json_object_get(doc, name))
			continue;
		if (!was || json_is_null(was))
			json_object_set_new(before, name,
					    !strcmp(name, "mode") ? json_string("write-back") : json_integer(0));
		else
			json_object_set(before, name, was);
	}
	json_object_set_new(doc, "before", before);
}

/* The columns that a modification may change, as they are. */
static json_t *modified_columns(const json_t *row)
{
	static const char *const columns[] = {"size_bytes", "type", "iops", "bandwidth_bytes_s"};
	json_t *some = json_object();

	for (size_t i = 0; i < sizeof(columns) / sizeof(*columns); i++)
		if (json_object_get(row, columns[i]))
			json_object_set(some, columns[i], json_object_get(row, columns[i]));
	return some;
}

/* What is told of a modification; `state`: "modifying", "completed". */
static json_t *modification(struct ebs *e, const json_t *doc, const char *state)
{
	bool ended = strcmp(state, "modifying");
	json_t *m = json_pack("{s:s, s:O, s:O*, s:O, s:O*, s:O*, s:o}", "state", state, "began_ms",
			      json_object_get(doc, "began_ms"), "to_bytes", json_object_get(doc, "size_bytes"),
			      "from_bytes", json_object_get(doc, "from_bytes"), "from", json_object_get(doc, "from"),
			      "to", json_object_get(doc, "to"), "began", time_shown(json_object_get(doc, "began_ms")));
	json_t *now = ended && m ? json_integer((json_int_t)ebs_now_ms(e)) : NULL;

	if (now)
		json_object_set_new(m, "ended", time_shown(now));
	json_decref(now);
	return m;
}

/* reference is taken */
static int put_modification(struct store_tx *tx, const json_t *doc, json_t *m, struct err *err)
{
	json_t *change = json_pack("{s:o}", "modification", m);
	int rc = change ? store_update(tx, T_VOLUME, text_of(doc, "id"), change, err)
			: err_set(err, -ENOMEM, "out of memory");

	json_decref(change);
	return rc;
}

static int modify_begin(struct store_tx *tx, struct ebs_call *c, json_t *doc)
{
	json_t *row = find_row(tx, c, &kind_volume, text_of(doc, "id"));
	json_int_t now = number_of(row, "size_bytes"), size = number_of(doc, "size_bytes");
	const char *state = text_of(row, "state");
	int rc = row ? 0 : -ENOENT;
	struct err err = ERR_INIT;
	json_t *to;

	if (!rc && strcmp(state, "available") && strcmp(state, "in-use"))
		rc = must_be(c, row, "available");
	if (!rc && size && size < now)
		rc = ebs_fail(c, EBS_INVALID_PARAMETER, -EINVAL, "New size cannot be smaller than existing size");
	if (!rc && size > now)
		rc = quota_check(tx, c, "bytes", (uint64_t)(size - now));
	if (!rc) {
		json_object_set(doc, "pool", json_object_get(row, "pool"));
		json_object_set(doc, "pool_name", json_object_get(row, "pool_name"));
		json_object_set_new(doc, "from_bytes", json_integer(now));
		keep_attributes(doc, row);
		json_object_set_new(doc, "from", modified_columns(row));
		json_object_set_new(doc, "began_ms", json_integer((json_int_t)ebs_now_ms(c->ebs)));
		to = modified_columns(row);
		json_object_update_new(to, modified_columns(doc));
		json_object_set_new(doc, "to", to);
		json_object_set(doc, "modified_before", json_object_get(row, "modification"));
		rc = put_modification(tx, doc, modification(c->ebs, doc, "modifying"), &err);
		if (rc)
			ebs_fail_err(c, &err);
	}
	json_decref(row);
	return rc;
}

void run_volume_modify(struct ebs_call *c)
{
	char *id = find_id(c, &kind_volume, arg_text(c, "volume"));
	const char *locks[] = {id};
	struct change ch = {.saga = "volume-modify",
			    .resource = id,
			    .locks = locks,
			    .nlocks = 1,
			    .begin = modify_begin,
			    .kind = &kind_volume,
			    .show = volume_shown};
	static const char *const changes[] = {"size_bytes", "iops", "bandwidth_bytes_s", "mode", "type"};
	json_int_t size = (json_int_t)arg_number(c, "size_bytes", 0);

	if (!id)
		return;
	ch.doc = json_pack("{s:s}", "id", id);
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++)
		if (arg_given(c, changes[i]))
			json_object_set(ch.doc, changes[i], arg_json(c, changes[i]));
	if (size % BLK_BYTES)
		ebs_fail(c, EBS_INVALID_PARAMETER, -EINVAL, "\"size_bytes\": expected a multiple of 4096");
	else if (json_object_size(ch.doc) == 1)
		ebs_fail(c, EBS_MISSING_PARAMETER, -EINVAL, "nothing to change is named");
	else {
		change_run(c, &ch);
		ch.doc = NULL;
	}
	json_decref(ch.doc);
	free(id);
}

static int grow_apply(struct saga *s, struct err *err)
{
	json_int_t size = number_of(s->doc, "size_bytes");

	if (size <= number_of(s->doc, "from_bytes"))
		return 0;
	return ask_pool(s, "volume-grow",
			json_pack("{s:O, s:I}", "name", json_object_get(s->doc, "pool_name"), "size_bytes", size), err);
}

/* Before the pivot: growing must not fail for good behind it, as it would if somebody had made the volume larger in the
 * pool by hand. */
static int may_grow(const struct saga *s, struct err *err)
{
	struct ebs *e = s->ctx;
	json_int_t size = number_of(s->doc, "size_bytes"), now;
	json_t *args, *shown;

	if (size <= number_of(s->doc, "from_bytes"))
		return 0;
	args = json_pack("{s:O}", "name", json_object_get(s->doc, "pool_name"));
	shown = pool_call(e->pools, text_of(s->doc, "pool"), "volume-show", args, POOL_CALL_MS, err);
	now = number_of(shown, "size_bytes");
	json_decref(args);
	json_decref(shown);
	if (!shown)
		return err->code;
	return now <= size ? 0 : err_set(err, -EINVAL, "in its pool the volume has %lld bytes already", (long long)now);
}

static int modify_attributes(struct saga *s, struct err *err)
{
	int rc = may_grow(s, err);

	return rc ? rc : set_attributes(s, text_of(s->doc, "pool_name"), s->doc, err);
}

static int modify_undo(struct saga *s, struct err *err)
{
	return set_attributes(s, text_of(s->doc, "pool_name"), json_object_get(s->doc, "before"), err);
}

static int modify_undone(struct store_tx *tx, struct saga *s, struct err *err)
{
	json_t *before = json_object_get(s->doc, "modified_before");

	return put_modification(tx, s->doc, before ? json_incref(before) : json_null(), err);
}

static int modify_settle(struct store_tx *tx, struct saga *s, struct err *err)
{
	static const char *const columns[] = {"size_bytes", "iops", "bandwidth_bytes_s", "mode", "type"};
	json_t *change = json_object();
	int rc;

	for (size_t i = 0; i < sizeof(columns) / sizeof(*columns); i++)
		if (json_object_get(s->doc, columns[i]))
			json_object_set(change, columns[i], json_object_get(s->doc, columns[i]));
	json_object_set_new(change, "modification", modification(s->ctx, s->doc, "completed"));
	rc = store_update(tx, T_VOLUME, text_of(s->doc, "id"), change, err);
	json_decref(change);
	return rc;
}

static int grown_rescan(struct saga *s, struct err *err)
{
	if (number_of(s->doc, "size_bytes") <= number_of(s->doc, "from_bytes"))
		return 0;
	return rescan_hosts(s->ctx, text_of(s->doc, "id"), err);
}

const struct saga_step volume_modify_steps[] = {
	{"attributes", modify_attributes, NULL, modify_undo, modify_undone},
	{"grow", grow_apply, modify_settle, NULL, NULL},
	{"rescan", grown_rescan, NULL, NULL, NULL},
};

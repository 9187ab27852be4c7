/* SPDX-License-Identifier: GPL-2.0-only */
/* snapshot.c - snapshots of volumes and of groups: create, delete, describe.
 *
 * A snapshot is "pending" until the pool says that it is durable. Nothing is locked but the snapshot: a volume may be
 * snapshotted while it is attached, grown or snapshotted by somebody else.
 *
 * Crash stories
 * - The pool's snapshot has the row's id as its name. Killed after the pool made it: made again means "it exists",
 *   which is success; undone means deleted. A group is all or none in the pool, so one that exists says that all do.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "verbs/priv.h"

json_t *snapshot_shown(struct store_tx *tx, const json_t *row, const json_t *tags, struct err *err)
{
	static const char *const columns[] = {"id", "pool", "pool_name", "volume_id",
					      "size_bytes", "state", "progress_pct", "description",
					      "group_id", "lock_mode", "schedule_id"};
	static const char *const times[][2] = {{"created", "created_ms"},
					       {"deleted", "bin_ms"},
					       {"kept_until", "bin_until_ms"},
					       {"locked", "lock_created_ms"},
					       {"locked_until", "lock_until_ms"},
					       {"cool_off_until", "lock_cooloff_ms"},
					       {"expires", "expires_ms"},
					       {"fill_until", "fill_until_ms"}};
	const char *lock = lock_state(row, ebs_now_ms(NULL));
	json_t *s = json_object();

	(void)tx;
	(void)err;
	for (size_t i = 0; i < sizeof(columns) / sizeof(*columns); i++)
		if (json_object_get(row, columns[i]))
			json_object_set(s, columns[i], json_object_get(row, columns[i]));
	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++)
		if (json_is_integer(json_object_get(row, times[i][1])))
			json_object_set_new(s, times[i][0], time_shown(json_object_get(row, times[i][1])));
	if (lock)
		json_object_set_new(s, "lock_state", json_string(lock));
	if (json_object_get(tags, "Name"))
		json_object_set(s, "name", json_object_get(tags, "Name"));
	json_object_set_new(s, "tags", tags ? json_copy((json_t *)(uintptr_t)tags) : json_object());
	return s;
}

void run_snapshot_describe(struct ebs_call *c)
{
	find_list(c, &kind_snapshot, "snapshots", snapshot_shown);
}

/* ---------------------------------------------------------------- create, one or a group */

int tags_copy(struct store_tx *tx, struct ebs_call *c, const json_t *from, const char *to)
{
	json_t *rows = json_pack("[O]", from), *all;
	struct err err = ERR_INIT;
	int rc;

	all = store_tags(tx, rows, &err);
	rc = all ? tags_put(tx, c, to, json_object_get(all, text_of(from, "id"))) : ebs_fail_err(c, &err);
	json_decref(all);
	json_decref(rows);
	return rc;
}

int snapshot_enter(struct store_tx *tx, struct ebs_call *c, const json_t *doc, const char *id, const json_t *source,
		   const char *volume)
{
	const char *text = text_of(doc, "description") ? text_of(doc, "description") : arg_text(c, "description");
	json_t *row, *tags, *own = c->schedule ? schedule_columns(c) : NULL;
	struct err err = ERR_INIT;
	int rc;

	row = json_pack("{s:s, s:O, s:s, s:s?, s:O, s:s, s:i, s:s?, s:O*, s:I}", "id", id, "pool",
			json_object_get(source, "pool"), "pool_name", id, "volume_id", volume, "size_bytes",
			json_object_get(source, "size_bytes"), "state", "pending", "progress_pct", 0, "description",
			text, "group_id", json_object_get(doc, "group"), "created_ms", (json_int_t)ebs_now_ms(c->ebs));
	if (own)
		json_object_update(row, own);
	rc = row ? store_insert(tx, T_SNAPSHOT, row, &err) : err_set(&err, -ENOMEM, "out of memory");
	json_decref(own);
	json_decref(row);
	if (rc)
		ebs_fail_err(c, &err);
	if (!rc && arg_bool(c, "copy_tags"))
		rc = tags_copy(tx, c, source, id);
	tags = tags_with_name(arg_json(c, "tags"), arg_text(c, "name"));
	rights_add(c, tags);
	rc = rc ? rc : tags_put(tx, c, id, tags);
	json_decref(tags);
	return rc;
}

static int insert_one(struct store_tx *tx, struct ebs_call *c, json_t *doc, json_t *member)
{
	json_t *volume = find_row(tx, c, &kind_volume, text_of(member, "volume_id"));
	const char *state = text_of(volume, "state");
	int rc = volume ? 0 : -ENOENT;

	if (!rc && strcmp(state, "available") && strcmp(state, "in-use"))
		rc = ebs_fail(c, EBS_INCORRECT_STATE, -EBUSY, "Volume '%s' is in the '%s' state.",
			      text_of(member, "volume_id"), state);
	if (!rc && text_of(doc, "pool") && strcmp(text_of(doc, "pool"), text_of(volume, "pool")))
		rc = ebs_fail(c, EBS_INVALID_COMBINATION, -EXDEV, "the volumes are in different pools");
	if (!rc) {
		json_object_set(doc, "pool", json_object_get(volume, "pool"));
		json_object_set(member, "pool_name", json_object_get(volume, "pool_name"));
		rc = snapshot_enter(tx, c, doc, text_of(member, "id"), volume, text_of(volume, "id"));
	}
	json_decref(volume);
	return rc;
}

static int create_begin(struct store_tx *tx, struct ebs_call *c, json_t *doc)
{
	json_t *members = json_object_get(doc, "members"), *m;
	int rc = quota_check(tx, c, "snapshots", json_array_size(members));
	size_t i;

	json_array_foreach(members, i, m) rc = rc ? rc : insert_one(tx, c, doc, m);
	return rc;
}

void run_snapshot_create(struct ebs_call *c)
{
	char id[EBS_ID_MAX], *volume = find_id(c, &kind_volume, arg_text(c, "volume"));
	const char *locks[] = {id};
	struct change ch = {.saga = "snapshot-create",
			    .resource = id,
			    .locks = locks,
			    .nlocks = 1,
			    .begin = create_begin,
			    .kind = &kind_snapshot,
			    .show = snapshot_shown};

	if (!volume)
		return;
	ebs_new_id(id, "snap-");
	ch.doc = json_pack("{s:[{s:s, s:s}]}", "members", "id", id, "volume_id", volume);
	change_run(c, &ch);
	free(volume);
}

/* Those that are named, or all that are attached to a VM. */
static int read_group(struct store_tx *tx, void *arg, struct err *err)
{
	struct {
		struct ebs_call *c;
		json_t *members;
	} *g = arg;
	json_t *ids = json_array(), *vm = NULL, *rows, *v;
	const json_t *named = arg_json(g->c, "volumes");
	size_t i;

	if (json_is_string(named))
		json_array_append(ids, (json_t *)(uintptr_t)named);
	else if (named)
		json_array_extend(ids, (json_t *)(uintptr_t)named);
	if (arg_given(g->c, "vm"))
		vm = find_row(tx, g->c, &kind_vm, arg_text(g->c, "vm"));
	if (vm) {
		const char *id = text_of(vm, "id");
		struct store_filter f = {.column = "vm_id", .values = &id, .nvalues = 1};
		struct store_query q = {.table = T_ATTACHMENT, .filters = &f, .nfilters = 1};

		rows = store_find(tx, &q, NULL, err);
		json_array_foreach(rows, i, v) json_array_append(ids, json_object_get(v, "volume_id"));
		json_decref(rows);
	}
	json_array_foreach(ids, i, v)
	{
		json_t *row = g->c->code ? NULL : find_row(tx, g->c, &kind_volume, json_string_value(v));
		char id[EBS_ID_MAX];

		if (!row)
			break;
		ebs_new_id(id, "snap-");
		json_array_append_new(g->members,
				      json_pack("{s:s, s:O}", "id", id, "volume_id", json_object_get(row, "id")));
		json_decref(row);
	}
	json_decref(vm);
	json_decref(ids);
	return g->c->code ? -ENOENT : 0;
}

struct group_listing {
	const char *id;
	json_t *shown;
};

static int read_made(struct store_tx *tx, void *arg, struct err *err)
{
	struct group_listing *l = arg;
	struct store_filter f = {.column = "group_id", .values = &l->id, .nvalues = 1};
	struct store_query q = {.table = T_SNAPSHOT, .filters = &f, .nfilters = 1};
	json_t *rows = store_find(tx, &q, NULL, err), *tags = rows ? store_tags(tx, rows, err) : NULL, *row;
	size_t i;

	json_array_foreach(rows, i, row) json_array_append_new(
		l->shown, snapshot_shown(tx, row, json_object_get(tags, text_of(row, "id")), err));
	json_decref(tags);
	json_decref(rows);
	return 0;
}

void run_snapshot_group(struct ebs_call *c)
{
	struct {
		struct ebs_call *c;
		json_t *members;
	} g = {c, json_array()};
	struct err err = ERR_INIT;
	char group[EBS_ID_MAX];
	const char **locks;
	struct change ch = {.saga = "snapshot-create", .resource = group, .begin = create_begin};

	ebs_new_id(group, "grp-");
	store_read(c->ebs->store, read_group, &g, &err);
	if (!c->code && !json_array_size(g.members))
		ebs_fail(c, EBS_MISSING_PARAMETER, -EINVAL, "The request names no volumes");
	locks = calloc(json_array_size(g.members) + 1, sizeof(*locks));
	for (size_t i = 0; locks && i < json_array_size(g.members); i++)
		locks[ch.nlocks++] = text_of(json_array_get(g.members, i), "id");
	ch.locks = locks;
	if (!c->code && locks) {
		struct group_listing l = {group, json_array()};

		ch.doc = json_pack("{s:s, s:O}", "group", group, "members", g.members);
		change_run(c, &ch);
		if (c->result && !c->dry_ok) {
			l.id = c->repeated ? c->repeated : group;
			store_read(c->ebs->store, read_made, &l, &err);
			json_object_set_new(c->result, "id", json_string(l.id));
			json_object_set(c->result, "snapshots", l.shown);
		}
		json_decref(l.shown);
	}
	free(locks);
	json_decref(g.members);
}

static json_t *pool_members(const json_t *doc)
{
	json_t *members = json_array(), *m;
	size_t i;

	json_array_foreach(json_object_get(doc, "members"), i, m)
		json_array_append_new(members, json_pack("{s:O, s:O}", "volume", json_object_get(m, "pool_name"),
							 "snapshot", json_object_get(m, "id")));
	return members;
}

static int create_apply(struct saga *s, struct err *err)
{
	struct ebs *e = s->ctx;
	json_t *args = json_pack("{s:o}", "members", pool_members(s->doc));
	json_t *result = pool_call(e->pools, text_of(s->doc, "pool"), "snapshot-group", args, POOL_CALL_MS, err);

	json_decref(args);
	json_decref(result);
	if (!result && err->code != -EEXIST)
		return err->code;
	*err = ERR_INIT;
	return 0;
}

static int each_row(struct store_tx *tx, const struct saga *s, const json_t *change, struct err *err)
{
	json_t *m;
	size_t i;
	int rc = 0;

	json_array_foreach(json_object_get(s->doc, "members"), i, m)
	{
		const char *id = text_of(m, "id");

		if (change) {
			rc = rc ? rc : store_update(tx, T_SNAPSHOT, id, change, err);
			continue;
		}
		rc = rc ? rc : tags_drop(tx, id, err);
		rc = rc ? rc : store_delete(tx, T_SNAPSHOT, id, err);
	}
	return rc;
}

static int create_settle(struct store_tx *tx, struct saga *s, struct err *err)
{
	json_t *change = json_pack("{s:s, s:i}", "state", "completed", "progress_pct", 100);
	int rc = each_row(tx, s, change, err);

	json_decref(change);
	return rc;
}

static int drop_in_pool(const struct saga *s, const char *name, struct err *err)
{
	struct ebs *e = s->ctx;
	json_t *args = json_pack("{s:s}", "name", name);
	json_t *result = pool_call(e->pools, text_of(s->doc, "pool"), "volume-delete", args, POOL_CALL_MS, err);

	json_decref(args);
	json_decref(result);
	if (!result && err->code != -ENOENT)
		return err->code;
	*err = ERR_INIT;
	return 0;
}

static int create_undo(struct saga *s, struct err *err)
{
	json_t *m;
	size_t i;
	int rc = 0;

	json_array_foreach(json_object_get(s->doc, "members"), i, m) rc = rc ? rc
									     : drop_in_pool(s, text_of(m, "id"), err);
	return rc;
}

static int create_undone(struct store_tx *tx, struct saga *s, struct err *err)
{
	return each_row(tx, s, NULL, err);
}

const struct saga_step snapshot_create_steps[] = {
	{"pool", create_apply, create_settle, create_undo, create_undone},
};

/* ---------------------------------------------------------------- delete */

static int delete_begin(struct store_tx *tx, struct ebs_call *c, json_t *doc)
{
	json_t *row = find_row(tx, c, &kind_snapshot, text_of(doc, "id")), *change = NULL;
	const char *state = text_of(row, "state");
	struct err err = ERR_INIT;
	int rc = row ? bin_over(c, row) : -ENOENT;

	/* A schedule's rules are for what is its own now: it may have been deleted since they were looked at. */
	if (!rc && c->schedule && !json_equal(json_object_get(row, "schedule_id"), json_object_get(c->schedule, "id")))
		rc = ebs_fail(c, EBS_INCORRECT_STATE, -EBUSY, "Snapshot '%s' is no schedule's any more.",
			      text_of(doc, "id"));
	if (!rc && snapshot_locked(row, ebs_now_ms(c->ebs)))
		rc = ebs_fail(c, EBS_SNAPSHOT_IN_USE, -EPERM, "The snapshot %s is locked", text_of(doc, "id"));
	if (!rc && strcmp(state, "completed") && strcmp(state, "error") &&
	    !(arg_bool(c, "permanently") && !strcmp(state, "recoverable")))
		rc = ebs_fail(c, EBS_INCORRECT_STATE, -EBUSY, "Snapshot '%s' is in the '%s' state.", text_of(doc, "id"),
			      state);
	if (!rc && json_object_get(doc, "bin_until_ms"))
		change = bin_change(doc);
	if (!rc) {
		json_object_set(doc, "pool", json_object_get(row, "pool"));
		json_object_set(doc, "pool_name", json_object_get(row, "pool_name"));
	}
	if (change && store_update(tx, T_SNAPSHOT, text_of(doc, "id"), change, &err))
		rc = ebs_fail_err(c, &err);
	json_decref(change);
	json_decref(row);
	return rc;
}

void run_snapshot_delete(struct ebs_call *c)
{
	char *id = find_id(c, &kind_snapshot, arg_text(c, "snapshot"));
	const char *locks[] = {id};
	struct change ch = {
		.saga = "snapshot-delete", .resource = id, .locks = locks, .nlocks = 1, .begin = delete_begin};

	if (!id)
		return;
	if (fill_cancel(c, id)) {
		free(id);
		return;
	}
	ch.doc = json_pack("{s:s, s:[{s:s}]}", "id", id, "members", "id", id);
	bin_instead(c, &ch);
	change_run(c, &ch);
	free(id);
}

/* The last chance to say no: afterwards it is tried for ever. */
static int delete_decide(struct saga *s, struct err *err)
{
	struct ebs *e = s->ctx;
	int rc = e->disks ? disks_forget(e->disks, text_of(s->doc, "id"), err) : 0;

	return rc ? rc : pool_idle(e, text_of(s->doc, "pool"), text_of(s->doc, "pool_name"), err);
}

static int delete_apply(struct saga *s, struct err *err)
{
	return pool_drop(s->ctx, text_of(s->doc, "pool"), text_of(s->doc, "pool_name"), err);
}

/* Nothing but the row knows of it before the pool is asked, so the first step is the record that it goes. */
const struct saga_step snapshot_delete_steps[] = {
	{"decide", delete_decide, NULL, NULL, NULL},
	{"pool", delete_apply, create_undone, NULL, NULL},
};

/* SPDX-License-Identifier: GPL-2.0-only */
/* host.c - VM hosts that run hybrid-agent, and their VMs (EC2's instances).
 *
 * A VM's id is computed from its host's and its uuid (or name, where it has none), so it is the same after a restart of
 * anything. A VM that its host no longer lists is "stopped" while something is attached to it, else forgotten.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "verbs/priv.h"

#define PING_MS 5000u

static json_t *some_columns(const json_t *row, const char *const *columns, size_t n)
{
	json_t *shown = json_object();

	for (size_t i = 0; i < n; i++)
		if (json_object_get(row, columns[i]))
			json_object_set(shown, columns[i], json_object_get(row, columns[i]));
	return shown;
}

json_t *host_shown(struct store_tx *tx, const json_t *row, const json_t *tags, struct err *err)
{
	static const char *const columns[] = {"id", "name", "url", "pin", "initiator", "delegate", "state"};
	json_t *h = some_columns(row, columns, sizeof(columns) / sizeof(*columns));

	(void)tx;
	(void)err;
	json_object_set_new(h, "seen", time_shown(json_object_get(row, "seen_ms")));
	json_object_set_new(h, "tags", tags ? json_copy((json_t *)(uintptr_t)tags) : json_object());
	return h;
}

json_t *vm_shown(struct store_tx *tx, const json_t *row, const json_t *tags, struct err *err)
{
	static const char *const columns[] = {"id", "host_id", "name", "uuid", "state", "info"};
	json_t *v = some_columns(row, columns, sizeof(columns) / sizeof(*columns));
	const char *id = text_of(row, "id");
	struct store_filter f = {.column = "vm_id", .values = &id, .nvalues = 1};
	struct store_query q = {.table = T_ATTACHMENT, .filters = &f, .nfilters = 1};
	json_t *rows = store_find(tx, &q, NULL, err), *a, *list = json_array();
	static const char *const attached[] = {"id", "volume_id", "device", "state"};
	size_t i;

	json_array_foreach(rows, i, a)
	{
		json_t *one = some_columns(a, attached, sizeof(attached) / sizeof(*attached));

		json_object_set_new(one, "attached", time_shown(json_object_get(a, "created_ms")));
		json_array_append_new(list, one);
	}
	json_decref(rows);
	json_object_set_new(v, "attachments", list);
	json_object_set_new(v, "seen", time_shown(json_object_get(row, "seen_ms")));
	json_object_set_new(v, "tags", tags ? json_copy((json_t *)(uintptr_t)tags) : json_object());
	return v;
}

void run_host_describe(struct ebs_call *c)
{
	find_list(c, &kind_host, "hosts", host_shown);
}

void run_vm_describe(struct ebs_call *c)
{
	find_list(c, &kind_vm, "vms", vm_shown);
}

/* ---------------------------------------------------------------- add, remove */

static int add_begin(struct store_tx *tx, struct ebs_call *c, json_t *doc)
{
	struct err err = ERR_INIT;
	int rc = store_insert(tx, T_HOST, doc, &err);

	if (rc == -EEXIST)
		return ebs_fail(c, EBS_DUPLICATE, -EEXIST, "a host '%s' is there already", text_of(doc, "name"));
	return rc ? ebs_fail_err(c, &err) : tags_put(tx, c, text_of(doc, "id"), arg_json(c, "tags"));
}

void run_host_add(struct ebs_call *c)
{
	char id[EBS_ID_MAX];
	struct change ch = {.resource = id, .begin = add_begin, .kind = &kind_host, .show = host_shown};
	struct err err = ERR_INIT;
	const char *initiator;
	json_t *said;

	ebs_new_id(id, "h-");
	said = agent_call(c->ebs->agents, arg_text(c, "url"), arg_text(c, "pin"), "ping", NULL, PING_MS, &err);
	if (!said) {
		ebs_fail(c, EBS_UNAVAILABLE, err.code, "the agent does not answer as it should: %s", err.text);
		return;
	}
	initiator = text_of(said, "initiator");
	if (initiator && !initiator_ok(initiator)) {
		json_decref(said);
		ebs_fail(c, EBS_INVALID_PARAMETER, -EINVAL, "the agent names an initiator that is no iSCSI name");
		return;
	}
	ch.doc = json_pack("{s:s, s:s, s:s, s:s, s:O*, s:s, s:I, s:I}", "id", id, "name", arg_text(c, "name"), "url",
			   arg_text(c, "url"), "pin", arg_text(c, "pin"), "initiator",
			   json_object_get(said, "initiator"), "state", "up", "seen_ms", (json_int_t)ebs_now_ms(c->ebs),
			   "created_ms", (json_int_t)ebs_now_ms(c->ebs));
	json_decref(said);
	change_run(c, &ch);
	if (c->result && !c->dry)
		host_refresh(c->ebs, id, NULL);
}

static json_t *rows_of_host(struct store_tx *tx, enum store_table t, const char *host_id, struct err *err)
{
	struct store_filter f = {.column = "host_id", .values = &host_id, .nvalues = 1};
	struct store_query q = {.table = t, .filters = &f, .nfilters = 1};

	return store_find(tx, &q, NULL, err);
}

static int remove_begin(struct store_tx *tx, struct ebs_call *c, json_t *doc)
{
	const char *id = text_of(doc, "id");
	struct err err = ERR_INIT;
	json_t *rows = rows_of_host(tx, T_ATTACHMENT, id, &err), *row;
	size_t i;
	int rc = rows ? 0 : err.code;

	if (!rc && json_array_size(rows)) {
		json_decref(rows);
		return ebs_fail(c, EBS_HOST_IN_USE, -EBUSY, "volumes are attached on host '%s'", id);
	}
	json_decref(rows);
	rows = rc ? NULL : rows_of_host(tx, T_VM, id, &err);
	json_array_foreach(rows, i, row)
	{
		rc = rc ? rc : tags_drop(tx, text_of(row, "id"), &err);
		rc = rc ? rc : store_delete(tx, T_VM, text_of(row, "id"), &err);
	}
	json_decref(rows);
	rc = rc ? rc : tags_drop(tx, id, &err);
	rc = rc ? rc : store_delete(tx, T_HOST, id, &err);
	return rc ? ebs_fail_err(c, &err) : 0;
}

void run_host_remove(struct ebs_call *c)
{
	char *id = find_id(c, &kind_host, arg_text(c, "host"));
	struct change ch = {.resource = id, .begin = remove_begin};

	if (!id)
		return;
	ch.doc = json_pack("{s:s}", "id", id);
	change_run(c, &ch);
	free(id);
}

/* ---------------------------------------------------------------- what a host has now */

struct refresh {
	struct ebs *e;
	const char *who; /* id or name */
	json_t *host; /* row */
	json_t *gone; /* settings that say what was attached there once, from before it was asked */
	json_t *said; /* by the agent; NULL: it does not answer */
	json_t *orphans; /* attachments that were here once, and are no more */
	json_t *unknown; /* that never were here; NULL: nobody asks */
};

static int read_host(struct store_tx *tx, void *arg, struct err *err)
{
	struct refresh *r = arg;
	struct store_filter f = {.column = ebs_is_id(r->who, "h-") ? "id" : "name", .values = &r->who, .nvalues = 1};
	struct store_query q = {.table = T_HOST, .filters = &f, .nfilters = 1};
	const char *host = NULL;
	struct store_filter there = {.column = "value", .values = &host, .nvalues = 1};
	struct store_query gone = {.table = T_SETTING, .filters = &there, .nfilters = 1};
	json_t *rows = store_find(tx, &q, NULL, err);

	r->host = json_incref(json_array_get(rows, 0));
	json_decref(rows);
	if (!r->host)
		return -ENOENT;
	host = text_of(r->host, "id");
	r->gone = store_find(tx, &gone, NULL, err);
	return r->gone ? 0 : err->code;
}

/* One that was made anew under its old name has another uuid, and so another id here; names are unique on a host. The
 * old one gives its name up, or goes if nothing is attached to it. */
static int free_name(struct store_tx *tx, const char *host_id, const char *name, const char *but, struct err *err)
{
	struct store_filter f[] = {{.column = "host_id", .values = &host_id, .nvalues = 1},
				   {.column = "name", .values = &name, .nvalues = 1}};
	struct store_query q = {.table = T_VM, .filters = f, .nfilters = 2};
	json_t *rows = store_find(tx, &q, NULL, err), *row;
	int rc = rows ? 0 : err->code;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		const char *id = text_of(row, "id");
		json_t *change;

		if (rc || !strcmp(id, but))
			continue;
		change = json_pack("{s:s, s:s}", "name", id, "state", "stopped"); /* look_for_gone() does the rest */
		rc = store_update(tx, T_VM, id, change, err);
		json_decref(change);
	}
	json_decref(rows);
	return rc;
}

static int put_vm(struct store_tx *tx, const struct refresh *r, const json_t *vm, json_t *seen, struct err *err)
{
	const char *host_id = text_of(r->host, "id"), *name = text_of(vm, "name");
	const char *uuid = text_of(vm, "uuid");
	char id[EBS_ID_MAX];
	json_t *row;
	int rc;

	if (!name || !*name || strlen(name) > 255)
		return 0;
	ebs_computed_id(id, "i-", host_id, uuid ? uuid : name);
	json_object_set_new(seen, id, json_true());
	row = json_pack("{s:s, s:s, s:s, s:s?, s:s, s:I, s:O}", "id", id, "host_id", host_id, "name", name, "uuid",
			uuid, "state", text_of(vm, "state") ? text_of(vm, "state") : "running", "seen_ms",
			(json_int_t)ebs_now_ms(r->e), "info", vm);
	rc = free_name(tx, host_id, name, id, err);
	rc = rc ? rc : store_insert(tx, T_VM, row, err);
	if (rc == -EEXIST) {
		*err = ERR_INIT;
		json_object_del(row, "id");
		rc = store_update(tx, T_VM, id, row, err);
	}
	json_decref(row);
	return rc;
}

/* Those that are no longer listed. */
static int look_for_gone(struct store_tx *tx, const struct refresh *r, const json_t *seen, struct err *err)
{
	json_t *rows = rows_of_host(tx, T_VM, text_of(r->host, "id"), err), *row;
	int rc = rows ? 0 : err->code;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		const char *id = text_of(row, "id");
		struct store_filter f = {.column = "vm_id", .values = &id, .nvalues = 1};
		struct store_query q = {.table = T_ATTACHMENT, .filters = &f, .nfilters = 1};

		if (rc || json_object_get(seen, id))
			continue;
		if (store_count(tx, &q, err) > 0) {
			json_t *change = json_pack("{s:s}", "state", "stopped");

			rc = store_update(tx, T_VM, id, change, err);
			json_decref(change);
		} else {
			rc = tags_drop(tx, id, err);
			rc = rc ? rc : store_delete(tx, T_VM, id, err);
		}
	}
	json_decref(rows);
	return rc;
}

static bool was_here(struct store_tx *tx, const char *attachment)
{
	struct err err = ERR_INIT;
	json_t *key = json_sprintf(GONE "%s", attachment);
	json_t *row = key ? store_get(tx, T_SETTING, json_string_value(key), &err) : NULL;

	json_decref(row);
	json_decref(key);
	return row != NULL;
}

static bool lists(const json_t *said, const char *attachment)
{
	json_t *a;
	size_t i;

	json_array_foreach(json_object_get(said, "attachments"), i, a)
	{
		if (text_of(a, "attachment") && !strcmp(text_of(a, "attachment"), attachment))
			return true;
	}
	return false;
}

/* The host has been seen without them. */
static int forget_gone(struct store_tx *tx, const struct refresh *r, struct err *err)
{
	json_t *row;
	int rc = 0;
	size_t i;

	json_array_foreach(r->gone, i, row)
	{
		const char *id = text_of(row, "id");

		if (rc || strncmp(id, GONE, strlen(GONE)) != 0 || lists(r->said, id + strlen(GONE)))
			continue;
		rc = store_delete(tx, T_SETTING, id, err);
		if (rc == -ENOENT) {
			*err = ERR_INIT;
			rc = 0;
		}
	}
	return rc;
}

static int write_seen(struct store_tx *tx, void *arg, struct err *err)
{
	struct refresh *r = arg;
	json_t *change, *seen = json_object(), *vm, *a;
	size_t i;
	int rc;

	if (r->said)
		change = json_pack("{s:s, s:I}", "state", "up", "seen_ms", (json_int_t)ebs_now_ms(r->e));
	else
		change = json_pack("{s:s}", "state", "down");
	rc = store_update(tx, T_HOST, text_of(r->host, "id"), change, err);
	json_decref(change);
	json_array_foreach(json_object_get(r->said, "vms"), i, vm) rc = rc ? rc : put_vm(tx, r, vm, seen, err);
	if (!rc && r->said)
		rc = look_for_gone(tx, r, seen, err);
	json_array_foreach(json_object_get(r->said, "attachments"), i, a)
	{
		const char *id = text_of(a, "attachment");
		json_t *row = !rc && id ? store_get(tx, T_ATTACHMENT, id, err) : NULL;

		/* A catalogue that could not be read is no reason to take a disk from a VM. */
		rc = rc ? rc : !row && id ? err->code : 0;
		if (!rc && !row && id && was_here(tx, id))
			json_array_append(r->orphans, json_object_get(a, "attachment"));
		else if (!rc && !row && id && r->unknown)
			json_array_append(r->unknown, json_object_get(a, "attachment"));
		json_decref(row);
	}
	json_decref(seen);
	return rc || !r->said ? rc : forget_gone(tx, r, err);
}

/* Left by a detach that did not wait for this host. What never was in this catalogue is left alone: it may be another
 * one's, or this one was lost, and disks that are in use must not go with it; `doctor` tells. */
static int take_down(const struct refresh *r, json_t *id, bool force)
{
	static const char *const verbs[] = {"detach", "logout"};
	json_t *args = json_pack("{s:O, s:b}", "attachment", id, "force", force);
	int rc = 0;

	for (size_t k = 0; k < 2 && !rc; k++) {
		struct err err = ERR_INIT;
		json_t *said;

		if (k)
			json_object_del(args, "force");
		said = agent_call(r->e->agents, text_of(r->host, "url"), text_of(r->host, "pin"), verbs[k], args,
				  AGENT_CALL_MS, &err);
		rc = said ? 0 : err.code;
		json_decref(said);
	}
	json_decref(args);
	return rc;
}

int host_forget(struct ebs *e, const char *host, json_t *attachment)
{
	struct refresh r = {.e = e, .who = host};
	struct err err = ERR_INIT;
	int rc = store_read(e->store, read_host, &r, &err);

	if (!rc)
		rc = take_down(&r, attachment, false);
	json_decref(r.gone);
	json_decref(r.host);
	return rc;
}

int host_refresh(struct ebs *e, const char *host, json_t *unknown)
{
	struct refresh r = {.e = e, .who = host, .unknown = unknown};
	json_t *id;
	size_t i;
	struct err err = ERR_INIT;
	int rc = store_read(e->store, read_host, &r, &err);

	if (rc)
		return rc;
	r.orphans = json_array();
	r.said = agent_call(e->agents, text_of(r.host, "url"), text_of(r.host, "pin"), "list", NULL, PING_MS, &err);
	rc = store_write(e->store, write_seen, &r, &err);
	json_array_foreach(r.orphans, i, id)
	{
		if (!rc)
			take_down(&r, id, true);
	}
	if (!r.said)
		rc = -EHOSTDOWN;
	json_decref(r.orphans);
	json_decref(r.gone);
	json_decref(r.said);
	json_decref(r.host);
	return rc;
}

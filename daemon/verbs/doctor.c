/* SPDX-License-Identifier: GPL-2.0-only */
/* doctor.c - compares the catalogue with the pools, tgtd and the hosts; says what differs, and mends it when asked.
 *
 * Whatever a task has locked is left out: it is about to change. What is mended:
 * - a volume or snapshot of a pool that the catalogue does not know is taken in (so a lost catalogue comes back);
 * - one that the pool does not have is marked "error"; a size that differs becomes the pool's;
 * - targets are made, completed or taken down; attachments a host has and we do not know are taken down there;
 * - locks and transitional states of tasks that are no more are let go.
 * Nothing that holds bytes is ever deleted here.
 *
 * The lists are not of one instant. So what differs is asked for again, one by one, before it counts: a volume's name
 * in a pool is never used twice, its row goes after it, so what is still so then is so.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "verbs/priv.h"

#define PAGE 1000

struct doctor {
	struct ebs_call *c;
	struct ebs *e;
	bool repair;
	json_t *findings;
	json_t *there; /* "POOL/NAME" -> volume of a pool, as it shows it */
	json_t *pools; /* names of the pools that answered */
	/* {"table", "id", "pool", "name", "row"}: not in the pool, or (with a row) not in the catalogue */
	json_t *doubts;
};

static void finding(struct doctor *d, const char *what, const char *resource, bool mended, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

static void finding(struct doctor *d, const char *what, const char *resource, bool mended, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	text_vfmt(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_array_append_new(d->findings, json_pack("{s:s, s:s, s:s, s:b}", "what", what, "resource", resource, "text",
						     text, "mended", mended));
}

/* ---------------------------------------------------------------- the pools */

static int read_pool(struct doctor *d, const char *pool, struct err *err)
{
	const char *after = NULL;
	json_t *page = NULL;

	do {
		json_t *args = json_pack("{s:i, s:s*}", "limit", PAGE, "after", after), *next, *v;
		size_t i;

		next = pool_call(d->e->pools, pool, "volume-list", args, POOL_CALL_MS, err);
		json_decref(args);
		json_decref(page);
		page = next;
		if (!page)
			return err->code;
		json_array_foreach(json_object_get(page, "volumes"), i, v)
		{
			json_t *key = json_sprintf("%s/%s", pool, text_of(v, "name"));

			if (!json_is_true(json_object_get(v, "deleting")))
				json_object_set(d->there, json_string_value(key), v);
			json_decref(key);
		}
		after = text_of(page, "next");
	} while (after);
	json_decref(page);
	json_object_set_new(d->pools, pool, json_true());
	return 0;
}

static int read_pools(struct doctor *d, struct err *err)
{
	json_t *all = pool_call(d->e->pools, NULL, "pools", NULL, POOL_CALL_MS, err), *one;
	size_t i;
	int rc = all ? 0 : err->code;

	json_array_foreach(json_object_get(all, "pools"), i, one) rc = rc ? rc
									  : read_pool(d, text_of(one, "name"), err);
	json_decref(all);
	return rc;
}

/* ---------------------------------------------------------------- the catalogue beside them */

static bool locked(struct store_tx *tx, const char *id)
{
	struct err err = ERR_INIT;
	json_t *row = store_get(tx, T_LOCK, id, &err);

	json_decref(row);
	return row != NULL;
}

static int change(struct store_tx *tx, enum store_table t, const char *id, json_t *changes, struct err *err)
{
	int rc = store_update(tx, t, id, changes, err);

	json_decref(changes);
	return rc;
}

/* A row whose volume the pool has: sizes. One it does not have: "error". */
static int compare_row(struct store_tx *tx, struct doctor *d, enum store_table t, const json_t *row, struct err *err)
{
	const char *id = text_of(row, "id"), *pool = text_of(row, "pool");
	json_t *key, *v, *size;
	int rc = 0;

	if (!json_object_get(d->pools, pool))
		return 0;
	key = json_sprintf("%s/%s", pool, text_of(row, "pool_name"));
	if (locked(tx, id)) { /* about to change; but known it is, else it would be taken in when its deletion ends */
		json_object_del(d->there, json_string_value(key));
		json_decref(key);
		return 0;
	}
	v = json_object_get(d->there, json_string_value(key));
	size = json_object_get(v, "size_bytes");
	if (v && !json_equal(size, json_object_get(row, "size_bytes"))) {
		finding(d, "size", id, d->repair, "%s has %lld bytes in the pool, %lld in the catalogue", id,
			(long long)json_integer_value(size),
			(long long)json_integer_value(json_object_get(row, "size_bytes")));
		rc = d->repair ? change(tx, t, id, json_pack("{s:O}", "size_bytes", size), err) : 0;
	} else if (!v && strcmp(text_of(row, "state"), "error")) {
		json_array_append_new(d->doubts, json_pack("{s:i, s:s, s:s, s:O}", "table", (int)t, "id", id, "pool",
							   pool, "name", json_object_get(row, "pool_name")));
	}
	json_object_del(d->there, json_string_value(key)); /* what is left is unknown to the catalogue */
	json_decref(key);
	return rc;
}

static int compare_rows(struct store_tx *tx, struct doctor *d, enum store_table t, struct err *err)
{
	struct store_query q = {.table = t};
	json_t *rows = store_find(tx, &q, NULL, err), *row;
	int rc = rows ? 0 : err->code;
	size_t i;

	json_array_foreach(rows, i, row) rc = rc ? rc : compare_row(tx, d, t, row, err);
	json_decref(rows);
	return rc;
}

static json_t *taken_in(struct doctor *d, const json_t *v, const char *pool, char id[EBS_ID_MAX], bool snapshot)
{
	const char *name = text_of(v, "name"), *prefix = snapshot ? "snap-" : "vol-";
	json_int_t ms = json_integer_value(json_object_get(v, "created_s")) * 1000;
	json_t *row;

	if (ebs_is_id(name, prefix))
		text_fmt(id, EBS_ID_MAX, "%s", name);
	else
		ebs_computed_id(id, prefix, pool, text_of(v, "uuid"));
	row = json_pack("{s:s, s:s, s:s, s:O, s:I}", "id", id, "pool", pool, "pool_name", name, "size_bytes",
			json_object_get(v, "size_bytes"), "created_ms", ms);
	if (snapshot)
		json_object_update_new(row, json_pack("{s:s, s:i}", "state", "completed", "progress_pct", 100));
	else
		json_object_update_new(row, json_pack("{s:s, s:s, s:s?}", "state", "available", "type", "gp3", "zone",
						      d->e->conf.zone));
	return row;
}

static void doubt_unknown(struct doctor *d, const char *key, const json_t *v)
{
	bool snapshot = json_is_true(json_object_get(v, "snapshot"));
	const char *slash = strchr(key, '/');
	char id[EBS_ID_MAX], pool[64];
	json_t *row;

	text_fmt(pool, sizeof(pool), "%.*s", (int)(slash - key), key);
	row = taken_in(d, v, pool, id, snapshot);
	json_array_append_new(d->doubts,
			      json_pack("{s:i, s:s, s:s, s:O, s:o}", "table", snapshot ? T_SNAPSHOT : T_VOLUME, "id",
					id, "pool", pool, "name", json_object_get(v, "name"), "row", row));
}

/* Locks of tasks that have ended; what says that it is in transition, and nothing is locked. */
static int look_at_locks(struct store_tx *tx, struct doctor *d, struct err *err)
{
	struct store_query q = {.table = T_LOCK};
	json_t *rows = store_find(tx, &q, NULL, err), *row;
	int rc = rows ? 0 : err->code;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		const json_t *number = json_object_get(row, "task_id");
		char task[24];
		json_t *t;
		const char *state;

		text_fmt(task, sizeof(task), "%lld", (long long)json_integer_value(number));
		t = store_get(tx, T_TASK, task, err);
		state = text_of(t, "state");
		if (!t || !strcmp(state, "done") || !strcmp(state, "failed")) {
			finding(d, "lock", text_of(row, "resource_id"), d->repair, "locked by task %s, which has ended",
				task);
			rc = rc || !d->repair ? rc : store_delete(tx, T_LOCK, text_of(row, "resource_id"), err);
		} else if (!strcmp(state, "undoing") && json_integer_value(json_object_get(t, "tries")) > 3) {
			finding(d, "task", text_of(row, "resource_id"), false, "task %s cannot be undone yet: %s", task,
				text_of(t, "trouble") ? text_of(t, "trouble") : "");
		}
		json_decref(t);
	}
	json_decref(rows);
	return rc;
}

static int look_at_states(struct store_tx *tx, struct doctor *d, struct err *err)
{
	static const struct {
		const char *state, *becomes;
	} transitions[] = {{"creating", "error"}, {"deleting", "error"}};
	int rc = 0;

	for (size_t k = 0; !rc && k < sizeof(transitions) / sizeof(*transitions); k++) {
		const char *values[] = {transitions[k].state};
		struct store_filter f = {.column = "state", .values = values, .nvalues = 1};
		struct store_query q = {.table = T_VOLUME, .filters = &f, .nfilters = 1};
		json_t *rows = store_find(tx, &q, NULL, err), *row;
		size_t i;

		json_array_foreach(rows, i, row)
		{
			if (rc || locked(tx, text_of(row, "id")))
				continue;
			finding(d, "state", text_of(row, "id"), d->repair, "it is '%s', and no task has it",
				transitions[k].state);
			if (d->repair)
				rc = change(tx, T_VOLUME, text_of(row, "id"),
					    json_pack("{s:s}", "state", transitions[k].becomes), err);
		}
		json_decref(rows);
	}
	return rc;
}

static int compare(struct store_tx *tx, void *arg, struct err *err)
{
	struct doctor *d = arg;
	int rc = compare_rows(tx, d, T_VOLUME, err);
	const char *key;
	json_t *v;

	rc = rc ? rc : compare_rows(tx, d, T_SNAPSHOT, err);
	json_object_foreach(d->there, key, v) doubt_unknown(d, key, v);
	rc = rc ? rc : look_at_locks(tx, d, err);
	return rc ? rc : look_at_states(tx, d, err);
}

/* ---------------------------------------------------------------- what was in doubt */

struct settling {
	struct doctor *d;
	const json_t *doubt;
};

static int mark_missing(struct store_tx *tx, struct doctor *d, enum store_table t, const json_t *doubt, struct err *err)
{
	const char *id = text_of(doubt, "id");
	json_t *row = store_get(tx, t, id, err);
	int rc = 0;

	if (row && !locked(tx, id)) {
		finding(d, "missing", id, d->repair, "%s is in the catalogue, pool %s does not have it", id,
			text_of(doubt, "pool"));
		rc = d->repair ? change(tx, t, id, json_pack("{s:s}", "state", "error"), err) : 0;
	}
	json_decref(row);
	return rc;
}

static int take_in(struct store_tx *tx, struct doctor *d, enum store_table t, const json_t *doubt, struct err *err)
{
	const char *id = text_of(doubt, "id"), *name = text_of(doubt, "name");
	char snapshot[EBS_ID_MAX];
	json_t *tags;
	int rc;

	/* What a snapshot was made of goes after it, by the same task. */
	if (locked(tx, id) || (fill_is_volume(name, snapshot) && locked(tx, snapshot)))
		return 0;
	finding(d, "unknown", id, d->repair, "%s %s of pool %s is not in the catalogue",
		t == T_SNAPSHOT ? "snapshot" : "volume", name, text_of(doubt, "pool"));
	if (!d->repair)
		return 0;
	rc = store_insert(tx, t, json_object_get(doubt, "row"), err);
	if (rc || !strcmp(name, id))
		return rc;
	tags = tags_with_name(NULL, name);
	rc = tags_put(tx, d->c, id, tags);
	json_decref(tags);
	return rc;
}

static int settle_doubt(struct store_tx *tx, void *arg, struct err *err)
{
	struct settling *s = arg;
	enum store_table t = (enum store_table)json_integer_value(json_object_get(s->doubt, "table"));

	if (json_object_get(s->doubt, "row"))
		return take_in(tx, s->d, t, s->doubt, err);
	return mark_missing(tx, s->d, t, s->doubt, err);
}

static int settle_doubts(struct doctor *d, struct err *err)
{
	json_t *doubt;
	size_t i;
	int rc = 0;

	json_array_foreach(d->doubts, i, doubt)
	{
		struct settling s = {d, doubt};
		json_t *args = json_pack("{s:O}", "name", json_object_get(doubt, "name"));
		struct err why = ERR_INIT;
		json_t *v = pool_call(d->e->pools, text_of(doubt, "pool"), "volume-show", args, POOL_CALL_MS, &why);
		bool unknown = json_object_get(doubt, "row") != NULL;
		bool there = v && !json_is_true(json_object_get(v, "deleting"));

		json_decref(args);
		json_decref(v);
		if (rc || (!v && why.code != -ENOENT) || there != unknown)
			continue;
		/* A pool that was closed meanwhile has not lost its volumes. */
		why = ERR_INIT;
		if (!there && pool_is_open(d->e, text_of(doubt, "pool"), &why))
			continue;
		rc = d->repair ? store_write(d->e->store, settle_doubt, &s, err)
			       : store_read(d->e->store, settle_doubt, &s, err);
	}
	return rc;
}

/* ---------------------------------------------------------------- tgtd, hosts */

static int list_attachments(struct store_tx *tx, void *arg, struct err *err)
{
	struct store_query q = {.table = T_ATTACHMENT};

	*(json_t **)arg = store_find(tx, &q, NULL, err);
	return *(json_t **)arg ? 0 : err->code;
}

static void look_at_targets(struct doctor *d)
{
	json_t *there, *rows = NULL, *row;
	struct err err = ERR_INIT;
	unsigned failed = 0;
	size_t i;

	if (!d->e->tgt)
		return;
	there = tgt_show(d->e->tgt, d->e->conf.prefix, &err);
	if (!there) {
		finding(d, "tgtd", "", false, "%s", err.text);
		return;
	}
	store_read(d->e->store, list_attachments, &rows, &err);
	json_array_foreach(rows, i, row)
	{
		char *name = target_name(d->e, text_of(row, "volume_id"));

		if (name && !json_object_get(there, name) && !strcmp(text_of(row, "state"), "attached"))
			finding(d, "target", text_of(row, "volume_id"), d->repair, "tgtd has no target for it");
		free(name);
	}
	json_decref(rows);
	json_decref(there);
	if (d->repair && (target_sync_all(d->e, &failed, &err) || failed))
		finding(d, "target", "", false, "%u targets could not be made%s%s", failed, err.code ? ": " : "",
			err.text);
}

static int list_hosts(struct store_tx *tx, void *arg, struct err *err)
{
	struct store_query q = {.table = T_HOST};

	*(json_t **)arg = store_find(tx, &q, NULL, err);
	return *(json_t **)arg ? 0 : err->code;
}

/* What a host has and we never knew: of a catalogue that was lost. Taken down if its guest does not use it. */
static void look_at_host(struct doctor *d, const json_t *host)
{
	json_t *unknown = json_array(), *id;
	size_t i;

	if (host_refresh(d->e, text_of(host, "id"), unknown))
		finding(d, "host", text_of(host, "id"), false, "the agent of host %s does not answer",
			text_of(host, "name"));
	json_array_foreach(unknown, i, id)
	{
		int rc = d->repair ? host_forget(d->e, text_of(host, "id"), id) : 0;

		finding(d, "attachment", json_string_value(id), d->repair && !rc,
			"host %s has it attached, the catalogue does not know it%s", text_of(host, "name"),
			rc == -EBUSY ? "; its guest uses it" : "");
	}
	json_decref(unknown);
}

static void look_at_hosts(struct doctor *d)
{
	json_t *rows = NULL, *row;
	struct err err = ERR_INIT;
	size_t i;

	store_read(d->e->store, list_hosts, &rows, &err);
	json_array_foreach(rows, i, row)
	{
		look_at_host(d, row);
	}
	json_decref(rows);
}

void run_doctor(struct ebs_call *c)
{
	struct doctor d = {.c = c,
			   .e = c->ebs,
			   .repair = arg_bool(c, "repair"),
			   .findings = json_array(),
			   .there = json_object(),
			   .pools = json_object(),
			   .doubts = json_array()};
	struct err err = ERR_INIT;
	int rc = read_pools(&d, &err);

	if (rc)
		finding(&d, "pools", "", false, "%s", err.text);
	err = ERR_INIT;
	rc = d.repair ? store_write(d.e->store, compare, &d, &err) : store_read(d.e->store, compare, &d, &err);
	rc = rc ? rc : settle_doubts(&d, &err);
	if (rc)
		ebs_fail_err(c, &err);
	look_at_targets(&d);
	look_at_hosts(&d);
	c->result = json_pack("{s:O, s:b}", "findings", d.findings, "repaired", d.repair);
	json_decref(d.findings);
	json_decref(d.there);
	json_decref(d.pools);
	json_decref(d.doubts);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* show.c - answers as tables, facts, JSON, and the lineage as a tree. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/volume/cli.h"

#define CELL_MAX 160

/* What a list is shown as: heading, and where the value is; sizes are in bytes. */
struct column {
	const char *heading, *path;
	bool size;
};

static const struct list {
	const char *member;
	struct column columns[9];
} lists[] = {
	{"volumes",
	 {{"ID", "id", false},
	  {"NAME", "name", false},
	  {">SIZE", "size_bytes", true},
	  {"STATE", "state", false},
	  {"TYPE", "type", false},
	  {"ATTACHED", "attachments", false},
	  {"FROM", "snapshot_id", false},
	  {"CREATED", "created", false},
	  {NULL, NULL, false}}},
	{"snapshots",
	 {{"ID", "id", false},
	  {"NAME", "name", false},
	  {">SIZE", "size_bytes", true},
	  {"STATE", "state", false},
	  {"OF", "volume_id", false},
	  {"GROUP", "group_id", false},
	  {"CREATED", "created", false},
	  {NULL, NULL, false}}},
	{"bin",
	 {{"ID", "id", false},
	  {"NAME", "name", false},
	  {"KIND", "kind", false},
	  {">SIZE", "size_bytes", true},
	  {"OF", "volume_id", false},
	  {"DELETED", "deleted", false},
	  {"KEPT UNTIL", "kept_until", false},
	  {NULL, NULL, false}}},
	{"schedules",
	 {{"ID", "id", false},
	  {"NAME", "name", false},
	  {"EVERY", "every", false},
	  {"ENABLED", "enabled", false},
	  {">SNAPSHOTS", "snapshots_kept", false},
	  {"LAST", "last", false},
	  {"NEXT", "next", false},
	  {"ERROR", "last_error", false},
	  {NULL, NULL, false}}},
	{"statuses",
	 {{"ID", "id", false},
	  {"NAME", "name", false},
	  {"STATUS", "status", false},
	  {"I/O", "io_enabled", false},
	  {"PERFORMANCE", "io_performance", false},
	  {"POOL", "pool", false},
	  {NULL, NULL, false}}},
	{"stats",
	 {{"ID", "id", false},
	  {"NAME", "name", false},
	  {">READS", "requests.read.count", false},
	  {">WRITES", "requests.write.count", false},
	  {">READ", "requests.read.bytes", true},
	  {">WRITTEN", "requests.write.bytes", true},
	  {">MAPPED", "mapped_bytes", true},
	  {">LIMITED", "waits.limited", false},
	  {NULL, NULL, false}}},
	{"hosts",
	 {{"ID", "id", false},
	  {"NAME", "name", false},
	  {"STATE", "state", false},
	  {"URL", "url", false},
	  {"INITIATOR", "initiator", false},
	  {"SEEN", "seen", false},
	  {NULL, NULL, false}}},
	{"vms",
	 {{"ID", "id", false},
	  {"NAME", "name", false},
	  {"STATE", "state", false},
	  {"HOST", "host_id", false},
	  {"VOLUMES", "attachments", false},
	  {NULL, NULL, false}}},
	{"tags",
	 {{"RESOURCE", "resource", false}, {"KEY", "key", false}, {"VALUE", "value", false}, {NULL, NULL, false}}},
	{"tasks",
	 {{">TASK", "id", false},
	  {"VERB", "verb", false},
	  {"RESOURCE", "resource_id", false},
	  {"STATE", "state", false},
	  {">STEP", "step", false},
	  {"BY", "who", false},
	  {"CREATED", "created", false},
	  {"ERROR", "error", false},
	  {NULL, NULL, false}}},
	{"events",
	 {{"AT", "at", false},
	  {"WHO", "who", false},
	  {"VERB", "verb", false},
	  {"RESOURCE", "resource_id", false},
	  {"OUTCOME", "outcome", false},
	  {NULL, NULL, false}}},
	{"keys",
	 {{"ID", "id", false},
	  {"NAME", "name", false},
	  {"RIGHTS", "rights", false},
	  {"TAGS", "tags", false},
	  {"STATE", "state", false},
	  {"CREATED", "created", false},
	  {"USED", "used", false},
	  {NULL, NULL, false}}},
	{"quotas", {{"OF", "what", false}, {">MOST", "most", false}, {NULL, NULL, false}}},
	{"findings",
	 {{"WHAT", "what", false},
	  {"RESOURCE", "resource", false},
	  {"MENDED", "mended", false},
	  {"FINDING", "text", false},
	  {NULL, NULL, false}}},
};

/* "xvdf in i-0123": an attachment in one word or three. */
static void attachments_cell(const json_t *list, char to[CELL_MAX])
{
	size_t at = 0;

	to[0] = '\0';
	for (size_t i = 0; i < json_array_size(list) && at < CELL_MAX; i++) {
		const json_t *a = json_array_get(list, i);
		const char *device = json_string_value(json_object_get(a, "device"));
		const char *where = json_string_value(json_object_get(a, "vm_id"));

		if (!where)
			where = json_string_value(json_object_get(a, "host_id"));
		if (!where)
			where = json_string_value(json_object_get(a, "volume_id"));
		at += (size_t)snprintf(to + at, CELL_MAX - at, "%s%s%s%s", i ? ", " : "", where ? where : "",
				       device ? " as " : "", device ? device : "");
	}
}

static void tags_cell(const json_t *tags, char to[CELL_MAX])
{
	const char *key;
	size_t at = 0;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)tags, key, v)
	{
		if (at < CELL_MAX)
			at += (size_t)snprintf(to + at, CELL_MAX - at, "%s%s=%s", at ? ", " : "", key,
					       json_string_value(v));
	}
}

static void cell(const struct cli *c, const json_t *row, const struct column *column, char to[CELL_MAX])
{
	const json_t *v = get_any(row, column->path);
	struct tool t = {.bytes = c->bytes};
	char size[48];

	to[0] = '\0';
	if (json_is_array(v)) {
		attachments_cell(v, to);
	} else if (json_is_object(v)) {
		tags_cell(v, to);
	} else if (column->size && json_is_integer(v)) {
		out_cell(&t, (uint64_t)json_integer_value(v), size);
		snprintf(to, CELL_MAX, "%s", size);
	} else if (json_is_string(v)) {
		snprintf(to, CELL_MAX, "%s", json_string_value(v));
	} else if (json_is_integer(v)) {
		snprintf(to, CELL_MAX, "%lld", (long long)json_integer_value(v));
	} else if (json_is_boolean(v)) {
		snprintf(to, CELL_MAX, "%s", json_is_true(v) ? "yes" : "no");
	}
}

static int show_list(const struct cli *c, const struct list *l, const json_t *rows)
{
	const char *headings[10] = {NULL}, *cells[10];
	char texts[10][CELL_MAX];
	struct out_table *table;
	size_t n = 0;

	for (; l->columns[n].heading; n++)
		headings[n] = l->columns[n].heading;
	table = out_table_new(headings);
	for (size_t i = 0; i < json_array_size(rows); i++) {
		for (size_t k = 0; k < n; k++) {
			cell(c, json_array_get(rows, i), &l->columns[k], texts[k]);
			cells[k] = texts[k];
		}
		out_table_row(table, cells);
	}
	return out_table_end(table);
}

static void fact(const struct cli *c, struct out_table *facts, const char *key, const json_t *v)
{
	struct tool t = {.bytes = c->bytes};
	size_t len = strlen(key);
	char size[48], *text;

	if (json_is_null(v))
		return;
	if (json_is_integer(v) && len > 6 && !strcmp(key + len - 6, "_bytes")) {
		out_size(&t, (uint64_t)json_integer_value(v), size);
		out_fact(facts, key, "%s", size);
	} else if (json_is_string(v)) {
		out_fact(facts, key, "%s", json_string_value(v));
	} else {
		text = json_dumps(v, JSON_ENCODE_ANY);
		if (strcmp(text, "{}") && strcmp(text, "[]"))
			out_fact(facts, key, "%s", text);
		free(text);
	}
}

int cli_show(const struct cli *c, const json_t *result)
{
	struct out_table *facts;
	const char *key;
	json_t *v;

	if (c->verb && !strcmp(c->verb->name, "volume-heat"))
		return cli_show_heat(c, result);
	if (c->output == OUTPUT_JSON)
		return out_json(result);
	if (c->verb && !strcmp(c->verb->name, "volume-explain"))
		return cli_show_explain(c, result);
	if (cli_is_login(result))
		return cli_show_login(result);
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		const json_t *rows = json_object_get(result, lists[i].member);

		if (!json_is_array(rows) || json_object_get(result, "id"))
			continue;
		show_list(c, &lists[i], rows);
		if (json_object_get(result, "cursor"))
			fprintf(stderr, "more: --cursor %s\n", json_string_value(json_object_get(result, "cursor")));
		return 0;
	}
	facts = out_facts_new();
	json_object_foreach((json_t *)(uintptr_t)result, key, v) fact(c, facts, key, v);
	return out_table_end(facts);
}

/* ---------------------------------------------------------------- tree */

static json_t *all_of(const struct cli *c, const char *verb, const char *member, struct err *err)
{
	json_t *all = json_array(), *args = json_object(), *page = NULL;
	char code[64];

	for (;;) {
		json_decref(page);
		page = NULL;
		if (cli_ask(c, verb, args, &page, code, err)) {
			json_decref(all);
			json_decref(args);
			return NULL;
		}
		json_array_extend(all, json_object_get(page, member));
		if (!json_object_get(page, "cursor"))
			break;
		json_object_set(args, "cursor", json_object_get(page, "cursor"));
	}
	json_decref(page);
	json_decref(args);
	return all;
}

struct tree {
	const struct cli *c;
	const json_t *volumes, *snapshots;
	struct out_table *table;
};

static struct out_row *tree_row(struct tree *t, const json_t *row, const char *kind, struct out_row *parent)
{
	static const struct column shown[] = {{NULL, "id", false},
					      {NULL, "name", false},
					      {NULL, "size_bytes", true},
					      {NULL, "state", false},
					      {NULL, "attachments", false}};
	char texts[5][CELL_MAX];
	const char *cells[6];

	for (size_t i = 0; i < 5; i++)
		cell(t->c, row, &shown[i], texts[i]);
	cells[0] = texts[0];
	cells[1] = texts[1];
	cells[2] = kind;
	cells[3] = texts[2];
	cells[4] = texts[3];
	cells[5] = texts[4];
	return out_table_row_below(t->table, cells, parent);
}

static bool is(const json_t *row, const char *column, const json_t *id)
{
	return json_is_string(json_object_get(row, column)) && json_equal(json_object_get(row, column), id);
}

static void below_volume(struct tree *t, const json_t *volume, struct out_row *parent, unsigned depth);

static void below_snapshot(struct tree *t, const json_t *snapshot, struct out_row *parent, unsigned depth)
{
	for (size_t i = 0; i < json_array_size(t->volumes); i++) {
		const json_t *v = json_array_get(t->volumes, i);

		if (is(v, "snapshot_id", json_object_get(snapshot, "id")))
			below_volume(t, v, tree_row(t, v, "clone", parent), depth + 1);
	}
}

/* Lineages are as deep as users make them; beyond this, more rows would not help anybody. */
static void below_volume(struct tree *t, const json_t *volume, struct out_row *parent, unsigned depth)
{
	for (size_t i = 0; depth < 64 && i < json_array_size(t->snapshots); i++) {
		const json_t *s = json_array_get(t->snapshots, i);

		if (is(s, "volume_id", json_object_get(volume, "id")))
			below_snapshot(t, s, tree_row(t, s, "snapshot", parent), depth + 1);
	}
}

static bool is_among(const json_t *rows, const json_t *id)
{
	for (size_t i = 0; i < json_array_size(rows); i++)
		if (json_equal(json_object_get(json_array_get(rows, i), "id"), id))
			return true;
	return false;
}

int cli_tree(const struct cli *c, struct err *err)
{
	static const char *const columns[] = {"*ID", "NAME", "KIND", ">SIZE", "STATE", "ATTACHED", NULL};
	struct tree t = {.c = c};
	int rc = 0;

	t.volumes = all_of(c, "volume-describe", "volumes", err);
	t.snapshots = t.volumes ? all_of(c, "snapshot-describe", "snapshots", err) : NULL;
	if (t.snapshots) {
		t.table = out_table_new(columns);
		for (size_t i = 0; i < json_array_size(t.volumes); i++) {
			const json_t *v = json_array_get(t.volumes, i), *from = json_object_get(v, "snapshot_id");

			if (!json_is_string(from) || !is_among(t.snapshots, from))
				below_volume(&t, v, tree_row(&t, v, "volume", NULL), 0);
		}
		for (size_t i = 0; i < json_array_size(t.snapshots); i++) {
			const json_t *s = json_array_get(t.snapshots, i);

			if (!is_among(t.volumes, json_object_get(s, "volume_id")))
				below_snapshot(&t, s, tree_row(&t, s, "snapshot", NULL), 0);
		}
		rc = out_table_end(t.table);
	} else {
		rc = err->code;
	}
	json_decref((json_t *)(uintptr_t)t.volumes);
	json_decref((json_t *)(uintptr_t)t.snapshots);
	return rc;
}

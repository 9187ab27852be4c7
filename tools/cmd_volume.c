/* SPDX-License-Identifier: GPL-2.0-only */
/* cmd_volume.c - hybrid-pool volume create | delete | rename | grow | list | show. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tool.h"

/* An LRU cache of so many bytes for this volume alone would have served so much of what was asked of it. */
static void out_curve(const struct tool *t, struct out_table *table, const json_t *curve)
{
	double last = 2;

	for (size_t i = 0; i < json_array_size(curve); i++) {
		const json_t *at = json_array_get(curve, i);
		double miss = json_real_value(json_object_get(at, "miss_ratio"));
		char size[48];

		if (last - miss < 0.01) /* no gain worth a line */
			continue;
		last = miss;
		out_size(t, get_uint(at, "cache_bytes"), size);
		out_fact(table, i ? "" : "a cache would serve", "%.0f %% with %s", 100 * (1 - miss), size);
	}
}

static int show_volume(const struct tool *t, const json_t *v)
{
	struct out_table *table;
	char text[48];

	if (t->json)
		return out_json(v);
	table = out_facts_new();
	out_fact(table, "name", "%s", get_text(v, "name"));
	out_fact(table, "uuid", "%s", get_text(v, "uuid"));
	out_fact(table, "id", "%" PRIu64, get_uint(v, "id"));
	out_fact(table, "kind", "%s", get_bool(v, "snapshot") ? "snapshot" : "volume");
	if (get_uint(v, "parent_id"))
		out_fact(table, "made from", "%s", get_text(v, "parent")[0] ? get_text(v, "parent") : "(deleted)");
	if (get_bool(v, "snapshot"))
		out_fact(table, "content", "%s", get_text(v, "content"));
	out_size(t, get_uint(v, "size_bytes"), text);
	out_fact(table, "size", "%s", text);
	out_size(t, get_uint(v, "mapped_bytes"), text);
	out_fact(table, "mapped", "%s", text);
	out_time(get_uint(v, "created_s"), text);
	out_fact(table, "created", "%s UTC", text);
	out_fact(table, "open", "%s", get_uint(v, "opens") ? "yes" : "no");
	if (get_bool(v, "deleting"))
		out_fact(table, "deleting", "yes");
	out_attributes(t, table, v);
	out_curve(t, table, json_object_get(v, "miss_ratios"));
	return out_table_end(table);
}

/* Runs a verb that answers with a volume, and says what was done. Takes args; NULL: they could not be made. */
static int change(struct tool *t, const char *verb, json_t *args, const char *done)
{
	struct err err = ERR_INIT;
	json_t *result;
	int rc = EXIT_OK;
	char size[48];

	if (!args)
		return tool_usage("%s: a name is no valid text", verb);
	if (session_once(t, SESSION_WRITE, verb, args, &result, &err))
		return tool_fail(&err);
	if (t->json) {
		rc = out_json(result);
	} else {
		out_size(t, get_uint(result, "size_bytes"), size);
		printf("%s volume %s, %s\n", done, get_text(result, "name"), size);
	}
	json_decref(result);
	return rc;
}

static json_t *size_args(const char *name, const char *size, struct err *err)
{
	uint64_t bytes;

	if (tool_size(size, &bytes, err))
		return NULL;
	return json_pack("{s:s, s:I}", "name", name, "size_bytes", (json_int_t)bytes);
}

static int volume_create(struct tool *t, int argc, char **argv)
{
	struct err err = ERR_INIT;
	json_t *args = size_args(argv[0], argv[1], &err);

	(void)argc;
	return err.code ? tool_fail(&err) : change(t, "volume-create", args, "made");
}

static int volume_grow(struct tool *t, int argc, char **argv)
{
	struct err err = ERR_INIT;
	json_t *args = size_args(argv[0], argv[1], &err);

	(void)argc;
	return err.code ? tool_fail(&err) : change(t, "volume-grow", args, "grew");
}

static int volume_rename(struct tool *t, int argc, char **argv)
{
	(void)argc;
	return change(t, "volume-rename", json_pack("{s:s, s:s}", "name", argv[0], "new_name", argv[1]), "renamed to");
}

static int volume_delete(struct tool *t, int argc, char **argv)
{
	json_t *args = json_pack("{s:s}", "name", argv[0]), *result;
	struct err err = ERR_INIT;
	int rc = EXIT_OK;

	(void)argc;
	if (!args)
		return tool_usage("volume delete: the name is no valid text");
	if (!tool_confirm(t, "All data of volume %s will be lost.", argv[0])) {
		json_decref(args);
		return EXIT_USAGE;
	}
	if (session_once(t, SESSION_WRITE, "volume-delete", args, &result, &err))
		return tool_fail(&err);
	if (t->json)
		rc = out_json(result);
	else
		printf("deleted volume %s\n", argv[0]);
	json_decref(result);
	return rc;
}

static int volume_show(struct tool *t, int argc, char **argv)
{
	json_t *args = json_pack("{s:s}", "name", argv[0]), *result;
	struct err err = ERR_INIT;
	int rc;

	(void)argc;
	if (!args)
		return tool_usage("volume show: the name is no valid text");
	if (session_once(t, SESSION_READ, "volume-show", args, &result, &err))
		return tool_fail(&err);
	rc = show_volume(t, result);
	json_decref(result);
	return rc;
}

/* ------------------------------------------------------------------ list */
static int list_table(const struct tool *t, const json_t *volumes)
{
	static const char *const columns[] = {"NAME", "KIND", ">SIZE", ">MAPPED", "CREATED", ">OPEN", "UUID", NULL};
	struct out_table *table = out_table_new(columns);
	char size[48], mapped[48], created[32], opens[24];
	json_t *v;
	size_t i;

	json_array_foreach((json_t *)volumes, i, v) {
		const char *cells[] = {get_text(v, "name"), get_bool(v, "snapshot") ? "snapshot" : "volume", size,
				       mapped, created, opens, get_text(v, "uuid")};

		out_cell(t, get_uint(v, "size_bytes"), size);
		out_cell(t, get_uint(v, "mapped_bytes"), mapped);
		out_time(get_uint(v, "created_s"), created);
		snprintf(opens, sizeof(opens), "%s", get_uint(v, "opens") ? "yes" : "no");
		out_table_row(table, cells);
	}
	return out_table_end(table);
}

static int volume_list(struct tool *t, int argc, char **argv)
{
	struct err err = ERR_INIT;
	struct session *s;
	json_t *volumes, *root;
	int rc;

	(void)argc;
	(void)argv;
	if (session_open(t, SESSION_READ, &s, &err))
		return tool_fail(&err);
	volumes = session_volumes(s, &err);
	if (session_close(s, &err) || !volumes) {
		json_decref(volumes);
		return tool_fail(&err);
	}
	if (!t->json) {
		rc = list_table(t, volumes);
		json_decref(volumes);
		return rc;
	}
	root = json_pack("{s:o}", "volumes", volumes);
	rc = out_json(root);
	json_decref(root);
	return rc;
}

#define SIZE_HELP \
	"SIZE is a number with a unit: B, K, M, G, T or KiB to TiB (powers of 1024), KB to TB (of 1000).\n" \
	"It must be a multiple of 4 KiB.\n"
const struct command volume_commands[] = {
	{"volume create", volume_create, 2, 2, "NAME SIZE", TAKES_BYTES, "make a volume; it takes space when written",
	 SIZE_HELP},
	{"volume delete", volume_delete, 1, 1, "NAME", TAKES_YES, "delete a volume that is not open", NULL},
	{"volume rename", volume_rename, 2, 2, "NAME NEW-NAME", TAKES_BYTES, "give a volume another name", NULL},
	{"volume grow", volume_grow, 2, 2, "NAME SIZE", TAKES_BYTES, "make a volume larger, also while it is open",
	 SIZE_HELP},
	{"volume list", volume_list, 0, 0, "", TAKES_BYTES, "list the volumes", NULL},
	{"volume show", volume_show, 1, 1, "NAME", TAKES_BYTES, "show one volume", NULL},
	{0},
};

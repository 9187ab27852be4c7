/* SPDX-License-Identifier: GPL-2.0-only */
/* cmd_pool.c - hybrid-pool create | list | show | grow | flush | writeback: the pool as a whole. */
#include <poll.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tool.h"

/* ------------------------------------------------------------------ create */
static int create(struct tool *t, int argc, char **argv)
{
	struct err err = ERR_INIT;
	char name[64];

	(void)argc;
	(void)argv;
	if (t->force && !tool_confirm(t, "Whatever is on the devices of this pool will be lost."))
		return EXIT_USAGE;
	if (session_create_pool(t, name, &err))
		return tool_fail(&err);
	if (!t->json) {
		printf("made pool %s\n", name);
		return EXIT_OK;
	}
	printf("{\"created\": \"%s\"}\n", name);	/* a pool's name needs no quoting */
	return EXIT_OK;
}

/* ------------------------------------------------------------------ show */
static void show_devices(const json_t *devices)
{
	static const char *const columns[] = {"TIER", ">SIZE", "STATE", ">READ", ">WRITTEN", ">ERRORS", "PATH", NULL};
	struct out_table *table = out_table_new(columns);
	char size[16], read[16], written[16], errors[24];
	json_t *d;
	size_t i;

	json_array_foreach((json_t *)devices, i, d) {
		const char *cells[] = {get_text(d, "tier"), size, get_bool(d, "failed") ? "failed" : "ok", read,
				       written, errors, get_text(d, "path")};

		out_human(get_uint(d, "size_bytes"), size);
		out_human(get_uint(d, "read.bytes"), read);
		out_human(get_uint(d, "write.bytes"), written);
		snprintf(errors, sizeof(errors), "%" PRIu64, get_uint(d, "errors") + get_uint(d, "timeouts"));
		out_table_row(table, cells);
	}
	out_table_end(table);
}

static void show_levels(const json_t *levels)
{
	static const char *const columns[] = {"LEVEL", ">SIZE", ">USED", "STATE", ">HITS", ">WRITTEN", ">ERRORS",
					      "PATH", NULL};
	struct out_table *table;
	char no[24], size[16], used[16], hits[24], written[16], errors[24];
	json_t *l;
	size_t i;

	if (!json_array_size(levels))
		return;
	putchar('\n');
	table = out_table_new(columns);
	json_array_foreach((json_t *)levels, i, l) {
		const char *cells[] = {no, size, used, get_text(l, "state"), hits, written, errors,
				       get_text(l, "path")};

		snprintf(no, sizeof(no), "%" PRIu64, get_uint(l, "level"));
		out_human(get_uint(l, "size_bytes"), size);
		out_human(get_uint(l, "used_bytes"), used);
		snprintf(hits, sizeof(hits), "%" PRIu64, get_uint(l, "hit_blocks"));
		out_human(get_uint(l, "written_bytes"), written);
		snprintf(errors, sizeof(errors), "%" PRIu64, get_uint(l, "errors"));
		out_table_row(table, cells);
	}
	out_table_end(table);
}

static void fact_size(const struct tool *t, struct out_table *table, const char *name, const json_t *o,
		      const char *path)
{
	char text[48];

	out_size(t, get_uint(o, path), text);
	out_fact(table, name, "%s", text);
}

static void show_table(const struct tool *t, const json_t *p)
{
	struct out_table *table = out_facts_new();

	out_fact(table, "name", "%s", get_text(p, "name"));
	out_fact(table, "uuid", "%s", get_text(p, "uuid"));
	out_fact(table, "health", "%s%s%s", get_text(p, "health.state"), get_text(p, "health.trouble")[0] ? ": " : "",
		 get_text(p, "health.trouble"));
	out_fact(table, "volumes", "%" PRIu64, get_uint(p, "volumes"));
	fact_size(t, table, "capacity", p, "space.capacity_bytes");
	fact_size(t, table, "free", p, "space.free_bytes");
	fact_size(t, table, "log", p, "space.log_bytes");
	fact_size(t, table, "log free", p, "space.log_free_bytes");
	fact_size(t, table, "dirty", p, "space.dirty_bytes");
	fact_size(t, table, "clean on ssd", p, "space.clean_bytes");
	fact_size(t, table, "ram", p, "space.ram_bytes");
	fact_size(t, table, "ram used", p, "space.ram_used_bytes");
	out_fact(table, "last open", "%s, %" PRIu64 " units replayed",
		 get_bool(p, "recovery.was_clean") ? "after a clean close" : "after a crash",
		 get_uint(p, "recovery.replayed_units"));
	out_table_end(table);
	putchar('\n');
	show_devices(get_any(p, "devices"));
	show_levels(get_any(p, "levels"));
}

static int show(struct tool *t, int argc, char **argv)
{
	struct err err = ERR_INIT;
	int rc = EXIT_OK;
	json_t *result;

	(void)argc;
	(void)argv;
	if (session_once(t, SESSION_READ, "pool-show", NULL, &result, &err))
		return tool_fail(&err);
	if (t->json)
		rc = out_json(result);
	else
		show_table(t, result);
	json_decref(result);
	return rc;
}

/* ------------------------------------------------------------------ list */
struct listing {
	const struct tool *tool;
	json_t *pools;
};

/* One pool of the configuration; one that cannot be opened is listed with its trouble. */
static int list_pool(void *ctx, const char *name)
{
	struct listing *l = ctx;
	struct tool t = *l->tool;
	struct err err = ERR_INIT;
	struct session *s = NULL;
	json_t *p = NULL;

	t.pool = name;
	if (session_open(&t, SESSION_READ, &s, &err) == 0 && session_call(s, "pool-show", NULL, &p, &err) == 0)
		json_object_set_new(p, "open", json_boolean(!session_pool(s)));
	else
		p = json_pack("{s:s, s:{s:s, s:s}}", "name", name, "health", "state", "unavailable", "trouble",
			      err.text);
	session_close(s, &err);
	return json_array_append_new(l->pools, p) ? -ENOMEM : 0;
}

static int list_table(const struct tool *t, const json_t *pools)
{
	static const char *const columns[] = {"NAME", "OPEN", "HEALTH", ">CAPACITY", ">FREE", ">DIRTY", ">VOLUMES",
					      "TROUBLE", NULL};
	static const char *const sizes[] = {"space.capacity_bytes", "space.free_bytes", "space.dirty_bytes"};
	struct out_table *table = out_table_new(columns);
	char size[3][48], volumes[24];
	json_t *p;
	size_t i;

	json_array_foreach((json_t *)pools, i, p) {
		bool known = get_any(p, "space") != NULL;
		const char *cells[] = {get_text(p, "name"), get_bool(p, "open") ? "yes" : "no",
				       get_text(p, "health.state"), size[0], size[1], size[2], volumes,
				       get_text(p, "health.trouble")};

		for (int k = 0; k < 3; k++) {
			if (!known)
				snprintf(size[k], sizeof(size[k]), "-");
			else if (t->bytes)
				out_size(t, get_uint(p, sizes[k]), size[k]);
			else
				out_human(get_uint(p, sizes[k]), size[k]);
		}
		snprintf(volumes, sizeof(volumes), "%" PRIu64, get_uint(p, "volumes"));
		out_table_row(table, cells);
	}
	return out_table_end(table);
}

static int list(struct tool *t, int argc, char **argv)
{
	struct listing l = {.tool = t, .pools = json_array()};
	struct err err = ERR_INIT;
	json_t *root;
	int rc;

	(void)argc;
	(void)argv;
	rc = session_each_pool(t, list_pool, &l, &err) ? tool_fail(&err) : EXIT_OK;
	root = json_pack("{s:o}", "pools", l.pools);
	if (rc == EXIT_OK)
		rc = t->json ? out_json(root) : list_table(t, get_any(root, "pools"));
	json_decref(root);
	return rc;
}

/* ------------------------------------------------------------------ flush, writeback */
static int simple_verb(struct tool *t, const char *verb, const char *done)
{
	struct err err = ERR_INIT;
	int rc = EXIT_OK;
	json_t *result;

	if (session_once(t, SESSION_WRITE, verb, NULL, &result, &err))
		return tool_fail(&err);
	if (t->json)
		rc = out_json(result);
	else
		printf("%s\n", done);
	json_decref(result);
	return rc;
}

static int flush(struct tool *t, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return simple_verb(t, "flush", "all writes are durable");
}

static int writeback(struct tool *t, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return simple_verb(t, "writeback", "all dirty blocks are on the capacity device");
}

#define GROW_PAUSE_MS 20

/* A pool in use goes on with it in its own turns: asked until it is done. */
static int grow(struct tool *t, int argc, char **argv)
{
	struct err err = ERR_INIT, close_err = ERR_INIT;
	bool begun = false, growing = true;
	json_t *result = NULL;
	struct session *s;
	int rc = EXIT_OK;

	(void)argc;
	(void)argv;
	if (session_open(t, SESSION_WRITE, &s, &err))
		return tool_fail(&err);
	while (growing && !err.code) {
		json_decref(result);
		result = NULL;
		if (session_call(s, "pool-grow", NULL, &result, &err))
			break;
		begun |= json_is_true(get_any(result, "begun"));
		growing = json_is_true(get_any(result, "growing"));
		if (growing)
			poll(NULL, 0, GROW_PAUSE_MS);
	}
	session_close(s, &close_err);
	if (err.code || close_err.code)
		rc = tool_fail(err.code ? &err : &close_err);
	else if (t->json)
		rc = out_json(result);
	else
		printf("%s: %" PRIu64 " bytes for data\n", begun ? "grown" : "the device is no larger than before",
		       get_uint(result, "capacity_bytes"));
	json_decref(result);
	return rc;
}

const struct command pool_commands[] = {
	{"create", create, 0, 0, "", TAKES_FORCE | TAKES_YES, "make a pool on the devices of its configuration",
	 "A device that holds anything known (a file system, a partition table, another pool) is refused; with\n"
	 "--force it is overwritten, after asking, or at once with --yes.\n"},
	{"list", list, 0, 0, "", TAKES_BYTES, "list the pools of the configuration", NULL},
	{"show", show, 0, 0, "", TAKES_BYTES, "show a pool: space, tiers, devices, health", NULL},
	{"grow", grow, 0, 0, "", 0, "take into use what the capacity device has grown by", NULL},
	{"flush", flush, 0, 0, "", 0, "make everything written so far durable", NULL},
	{"writeback", writeback, 0, 0, "", 0, "write all dirty blocks to the capacity device", NULL},
	{0},
};

/* SPDX-License-Identifier: GPL-2.0-only */
/* cmd_lineage.c - hybrid-pool volume snapshot | clone | revert | shrink | usage | diff. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/engine.h"
#include "tool.h"

/* Runs a verb that changes something. Takes args; NULL: they could not be made. On success *ret_result is the caller's;
 * returns an exit code. */
static int change(const struct tool *t, const char *verb, json_t *args, json_t **ret_result)
{
	struct err err = ERR_INIT;

	if (!args)
		return tool_usage("%s: a name is no valid text", verb);
	return session_once(t, SESSION_WRITE, verb, args, ret_result, &err) ? tool_fail(&err) : EXIT_OK;
}

/* ------------------------------------------------------------------ groups */
/* "VOLUME=NAME" as {"volume": VOLUME, "snapshot": NAME}; NULL if it is none. */
static json_t *member_json(const char *text)
{
	const char *equals = strchr(text, '=');

	if (!equals)
		return NULL;
	return json_pack("{s:s%, s:s}", "volume", text, (size_t)(equals - text), "snapshot", equals + 1);
}

/* Runs the verb of a group; the exit code is EXIT_OK with *ret_result set, or that of an error. */
static int change_group(const struct tool *t, const char *verb, int argc, char **argv, json_t **ret_result)
{
	json_t *members, *member, *args;

	if (!argc || argc > HB_GROUP_MAX)
		return tool_usage("%s: a group has 1 to %d members, not %d", verb, HB_GROUP_MAX, argc);
	members = json_array();
	for (int i = 0; i < argc; i++) {
		member = member_json(argv[i]);
		if (!member) {
			json_decref(members);
			return tool_usage("%s: expected VOLUME=SNAPSHOT, got '%s'", verb, argv[i]);
		}
		json_array_append_new(members, member);
	}
	args = json_pack("{s:o}", "members", members);
	if (t->in_use)
		json_object_set_new(args, "in_use", json_true());
	return change(t, verb, args, ret_result);
}

/* Prints the answer to a group: all of it, or a line for each member. Takes it. */
static int print_group(const struct tool *t, json_t *result, const char *key,
		       void (*print)(const struct tool *t, const json_t *member))
{
	int rc = t->json ? out_json(result) : EXIT_OK;
	json_t *member;
	size_t i;

	if (!t->json)
		json_array_foreach((json_t *)get_any(result, key), i, member)
			print(t, member);
	json_decref(result);
	return rc;
}

/* ------------------------------------------------------------------ snapshot, clone */
static void print_made(const struct tool *t, const json_t *v)
{
	char size[48];

	out_size(t, get_uint(v, "size_bytes"), size);
	printf("made %s %s of %s, %s\n", get_bool(v, "snapshot") ? "snapshot" : "clone", get_text(v, "name"),
	       get_text(v, "parent"), size);
}

/* Prints the answer and takes it. */
static int print_one(const struct tool *t, json_t *result, void (*print)(const struct tool *t, const json_t *v))
{
	int rc = EXIT_OK;

	if (t->json)
		rc = out_json(result);
	else
		print(t, result);
	json_decref(result);
	return rc;
}

static int volume_snapshot(struct tool *t, int argc, char **argv)
{
	json_t *result;
	int rc;

	if (t->group) {
		rc = change_group(t, "snapshot-group", argc, argv, &result);
		return rc ? rc : print_group(t, result, "snapshots", print_made);
	}
	rc = change(t, "volume-snapshot", json_pack("{s:s, s:s}", "name", argv[0], "snapshot", argv[1]), &result);
	return rc ? rc : print_one(t, result, print_made);
}

static int volume_clone(struct tool *t, int argc, char **argv)
{
	json_t *result;
	int rc = change(t, "volume-clone", json_pack("{s:s, s:s}", "name", argv[0], "clone", argv[1]), &result);

	(void)argc;
	return rc ? rc : print_one(t, result, print_made);
}

/* ------------------------------------------------------------------ revert, shrink */
static void print_reverted(const struct tool *t, const json_t *v)
{
	char size[48];

	out_size(t, get_uint(v, "size_bytes"), size);
	printf("reverted volume %s, %s; the state before is snapshot %s\n", get_text(v, "name"), size,
	       get_text(v, "kept"));
}

static int volume_revert(struct tool *t, int argc, char **argv)
{
	json_t *args, *result;
	int rc;

	if (t->group && t->keep)
		return tool_usage("volume revert: --keep names one snapshot, so it does not go with --group");
	if (t->group) {
		rc = change_group(t, "revert-group", argc, argv, &result);
		return rc ? rc : print_group(t, result, "reverted", print_reverted);
	}
	args = json_pack("{s:s, s:s, s:b}", "name", argv[0], "snapshot", argv[1], "in_use", t->in_use);
	if (args && t->keep && json_object_set_new(args, "keep", json_string(t->keep))) {
		json_decref(args);
		args = NULL;
	}
	rc = change(t, "volume-revert", args, &result);
	return rc ? rc : print_one(t, result, print_reverted);
}

static void print_shrunk(const struct tool *t, const json_t *v)
{
	char size[48];

	out_size(t, get_uint(v, "size_bytes"), size);
	printf("shrank volume %s, %s\n", get_text(v, "name"), size);
}

static int volume_shrink(struct tool *t, int argc, char **argv)
{
	struct err err = ERR_INIT;
	json_t *result;
	uint64_t bytes;
	int rc;

	(void)argc;
	if (tool_size(argv[1], &bytes, &err))
		return tool_fail(&err);
	rc = change(t, "volume-shrink", json_pack("{s:s, s:I, s:b}", "name", argv[0], "size_bytes", (json_int_t)bytes,
						  "force", t->force), &result);
	return rc ? rc : print_one(t, result, print_shrunk);
}

/* ------------------------------------------------------------------ usage */
static void print_usage(const struct tool *t, const json_t *u)
{
	static const char *const facts[][2] = {{"size", "size_bytes"}, {"mapped", "mapped_bytes"},
					       {"exclusive", "exclusive_bytes"}, {"shared", "shared_bytes"}};
	struct out_table *table = out_facts_new();
	char text[48];

	out_fact(table, "name", "%s", get_text(u, "name"));
	for (size_t i = 0; i < ARRAY_LEN(facts); i++) {
		out_size(t, get_uint(u, facts[i][1]), text);
		out_fact(table, facts[i][0], "%s", text);
	}
	out_table_end(table);
}

static int volume_usage(struct tool *t, int argc, char **argv)
{
	struct err err = ERR_INIT, close_err = ERR_INIT;
	json_t *result = NULL;
	struct session *s;

	(void)argc;
	if (session_open(t, SESSION_READ, &s, &err))
		return tool_fail(&err);
	session_usage(s, argv[0], &result, &err);
	session_close(s, &close_err);
	return err.code ? tool_fail(&err) : print_one(t, result, print_usage);
}

/* ------------------------------------------------------------------ diff */
/* Runs come in parts, and are printed as they come; the last one is kept back: the next part may go on with it. */
struct diff {
	const struct tool *tool;
	uint64_t offset_bytes, length_bytes;	/* of the run kept back; length 0: none */
	bool mapped;
	bool begun;		/* the table has its heading */
};

static void print_run(struct diff *d)
{
	char size[48];

	if (!d->length_bytes)
		return;
	out_size(d->tool, d->length_bytes, size);
	if (d->tool->json)
		printf("{\"offset_bytes\":%" PRIu64 ",\"length_bytes\":%" PRIu64 ",\"mapped\":%s}\n", d->offset_bytes,
		       d->length_bytes, d->mapped ? "true" : "false");
	else
		printf("%16" PRIu64 " %28s %s\n", d->offset_bytes, size, d->mapped ? "mapped" : "hole");
	d->length_bytes = 0;
}

static void take_runs(struct diff *d, const json_t *runs)
{
	const json_t *run;
	size_t i;

	if (!d->begun && !d->tool->json)
		printf("%16s %28s %s\n", "OFFSET", "LENGTH", "STATE");
	d->begun = true;
	json_array_foreach((json_t *)runs, i, run) {
		uint64_t off = get_uint(run, "offset_bytes"), len = get_uint(run, "length_bytes");
		bool mapped = get_bool(run, "mapped");

		if (d->length_bytes && d->mapped == mapped && d->offset_bytes + d->length_bytes == off) {
			d->length_bytes += len;
			continue;
		}
		print_run(d);
		d->offset_bytes = off;
		d->length_bytes = len;
		d->mapped = mapped;
	}
}

/* A snapshot that was deleted and made anew between two parts must not give a mixture. */
static int same_sides(const json_t *part, uint64_t ids[2], struct err *err)
{
	uint64_t from = get_uint(part, "from_id"), to = get_uint(part, "to_id");

	if (ids[1] && (ids[0] != from || ids[1] != to))
		return err_set(err, -EIO, "volume diff: a snapshot of that name was deleted and made anew meanwhile");
	ids[0] = from;
	ids[1] = to;
	return 0;
}

static int all_runs(struct session *s, const json_t *names, struct diff *d, struct err *err)
{
	uint64_t ids[2] = {0, 0}, next = 0;
	json_t *part, *args;
	bool more = true;

	while (more && !ferror(stdout)) {
		args = json_copy((json_t *)names);
		json_object_set_new(args, "offset_bytes", json_integer((json_int_t)next));
		if (session_call(s, "volume-diff", args, &part, err))
			return err->code;
		if (same_sides(part, ids, err) == 0)
			take_runs(d, get_any(part, "runs"));
		more = json_is_integer(get_any(part, "next"));
		next = get_uint(part, "next");
		json_decref(part);
		if (err->code)
			return err->code;
	}
	print_run(d);
	return 0;
}

static int volume_diff(struct tool *t, int argc, char **argv)
{
	json_t *names = argc == 1 ? json_pack("{s:s}", "to", argv[0]) :
				    json_pack("{s:s, s:s}", "from", argv[0], "to", argv[1]);
	struct err err = ERR_INIT, close_err = ERR_INIT;
	struct diff d = {.tool = t};
	struct session *s;

	if (!names)
		return tool_usage("volume diff: a name is no valid text");
	if (session_open(t, SESSION_READ, &s, &err) == 0) {
		all_runs(s, names, &d, &err);
		session_close(s, &close_err);
	}
	json_decref(names);
	return err.code ? tool_fail(&err) : EXIT_OK;
}

const struct command lineage_commands[] = {
	{"volume snapshot", volume_snapshot, 2, 2, "VOLUME NAME", TAKES_GROUP | TAKES_BYTES,
	 "freeze what a volume holds now",
	 "Takes no time and no space, also while the volume is in use. With --group the arguments are\n"
	 "VOLUME=NAME..., up to 256: all snapshots are of one instant, and all are made or none.\n"},
	{"volume clone", volume_clone, 2, 2, "SOURCE NAME", TAKES_BYTES, "make a volume that begins as a snapshot",
	 "Takes no time and no space: all blocks are shared until one side writes. SOURCE may be a volume, too.\n"},
	{"volume revert", volume_revert, 2, 2, "VOLUME SNAPSHOT", TAKES_GROUP | TAKES_KEEP | TAKES_IN_USE | TAKES_BYTES,
	 "take a volume back to a snapshot",
	 "The state before becomes a snapshot, so reverting to that is undoing. A volume that is open is refused\n"
	 "unless --in-use is given; its initiators are told. With --group the arguments are VOLUME=SNAPSHOT...,\n"
	 "up to 256: all are reverted or none.\n"},
	{"volume shrink", volume_shrink, 2, 2, "VOLUME SIZE", TAKES_FORCE | TAKES_BYTES, "cut off the end of a volume",
	 "Only with --force, and only if the volume is not open and nothing is mapped behind the new end.\n"},
	{"volume usage", volume_usage, 1, 1, "NAME", TAKES_BYTES, "show what a volume has alone, and what it shares",
	 "Exclusive is what deleting it would give back, in whole chunks.\n"},
	{"volume diff", volume_diff, 1, 2, "[FROM] TO", TAKES_BYTES, "list where a snapshot differs from another",
	 "Without FROM: from nothing. No data is read. With --output json each run is a document in a line.\n"},
	{0},
};

/* SPDX-License-Identifier: GPL-2.0-only */
/* cmd_tier.c - hybrid-pool tier list | add | remove: the tiers of a pool, and its cache levels. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

/* ------------------------------------------------------------------ list */
static void tier_name(const json_t *tier, char to[32])
{
	if (get_uint(tier, "level"))
		snprintf(to, 32, "level %" PRIu64, get_uint(tier, "level"));
	else
		snprintf(to, 32, "%s", get_text(tier, "tier"));
}

static void tier_state(const json_t *tier, char to[32])
{
	uint64_t pct = get_uint(tier, "loading_percent");

	if (get_any(tier, "loading_percent") && pct < 100 && !strcmp(get_text(tier, "state"), "on"))
		snprintf(to, 32, "loading %" PRIu64 "%%", pct);
	else
		snprintf(to, 32, "%s", get_text(tier, "state"));
}

static int tier_table(const struct tool *t, const json_t *tiers)
{
	static const char *const columns[] = {"TIER", ">SIZE", ">USED", "STATE", ">HITS", ">ERRORS", "PATH", NULL};
	struct out_table *table = out_table_new(columns);
	char name[32], size[48], used[48], state[32], hits[24], errors[24];
	json_t *tier;
	size_t i;

	json_array_foreach((json_t *)tiers, i, tier) {
		const char *cells[] = {name, size, used, state, hits, errors, get_text(tier, "path")};

		tier_name(tier, name);
		tier_state(tier, state);
		out_cell(t, get_uint(tier, "size_bytes"), size);
		out_cell(t, get_uint(tier, "used_bytes"), used);
		snprintf(hits, sizeof(hits), "%" PRIu64, get_uint(tier, "hit_blocks"));
		snprintf(errors, sizeof(errors), "%" PRIu64, get_uint(tier, "errors"));
		out_table_row(table, cells);
	}
	return out_table_end(table);
}

static int list(struct tool *t, int argc, char **argv)
{
	struct err err = ERR_INIT;
	json_t *result;
	int rc;

	(void)argc;
	(void)argv;
	if (session_once(t, SESSION_READ, "tier-list", NULL, &result, &err))
		return tool_fail(&err);
	rc = t->json ? out_json(result) : tier_table(t, get_any(result, "tiers"));
	json_decref(result);
	return rc;
}

/* ------------------------------------------------------------------ add, remove */
/* As the process that serves the pool sees it: its working folder is another. */
static int absolute(const char *path, char to[PATH_MAX], struct err *err)
{
	char cwd[PATH_MAX] = "";
	int n;

	if (!*path)
		return err_set(err, -EINVAL, "tier add: the path is empty");
	if (*path != '/' && !getcwd(cwd, sizeof(cwd)))
		return err_set(err, -errno, "the working folder: %s", strerror(errno));
	n = snprintf(to, PATH_MAX, "%s%s%s", cwd, *path == '/' ? "" : "/", path);
	return n < PATH_MAX ? 0 : err_set(err, -EINVAL, "tier add: the path is too long");
}

static json_t *add_args(const struct tool *t, int argc, char **argv, struct err *err)
{
	char path[PATH_MAX];
	uint64_t size = 0;
	json_t *args;

	if (absolute(argv[0], path, err) || (argc > 1 && tool_size(argv[1], &size, err)))
		return NULL;
	args = json_pack("{s:s, s:b}", "path", path, "force", t->force);
	if (!args)
		err_set(err, -EINVAL, "tier add: the path is no valid text");
	else if (argc > 1)
		json_object_set_new(args, "size_bytes", json_integer((json_int_t)size));
	return args;
}

static int add(struct tool *t, int argc, char **argv)
{
	struct err err = ERR_INIT;
	json_t *args, *result;
	char size[48];
	int rc = EXIT_OK;

	if (t->force && !tool_confirm(t, "Whatever is on %s will be lost.", argv[0]))
		return EXIT_USAGE;
	args = add_args(t, argc, argv, &err);
	if (!args || session_once(t, SESSION_WRITE, "tier-add", args, &result, &err))
		return tool_fail(&err);
	if (t->json) {
		rc = out_json(result);
	} else {
		out_size(t, get_uint(result, "size_bytes"), size);
		printf("added cache level %" PRIu64 ", %s\n", get_uint(result, "level"), size);
		if (!get_bool(result, "configured"))
			printf("For the next start, the configuration needs this line below the last ssd of the pool:\n"
			       "    %s,\n", get_text(result, "line"));
	}
	json_decref(result);
	return rc;
}

static int remove_level(struct tool *t, int argc, char **argv)
{
	struct err err = ERR_INIT;
	char *end;
	unsigned long level = strtoul(argv[0], &end, 10);
	int rc = EXIT_OK;
	json_t *result;

	(void)argc;
	if (!level || *end || argv[0][0] == '-' || level > INT_MAX)
		return tool_usage("tier remove %s: expected the number of a cache level, from 1 (see tier list)",
				  argv[0]);
	if (session_once(t, SESSION_WRITE, "tier-remove", json_pack("{s:I}", "level", (json_int_t)level), &result,
			 &err))
		return tool_fail(&err);
	if (t->json) {
		rc = out_json(result);
	} else {
		printf("removed cache level %lu, %s\n", level, get_text(result, "path"));
		if (get_bool(result, "configured"))
			printf("The configuration still names it: take out the line with that path.\n");
	}
	json_decref(result);
	return rc;
}

/* Only in a pool that is in use: making it good takes longer than one command. */
static int replace(struct tool *t, int argc, char **argv)
{
	struct err err = ERR_INIT;
	json_t *args, *result;
	int rc = EXIT_OK;

	if (t->force && !tool_confirm(t, "Whatever is on %s will be lost.", argv[0]))
		return EXIT_USAGE;
	args = add_args(t, argc, argv, &err);
	if (!args || session_once(t, SESSION_SERVED, "tier-replace", args, &result, &err))
		return tool_fail(&err);
	if (t->json)
		rc = out_json(result);
	else
		printf("%s is being made good; \"paths\" in the configuration has to name it before the next start\n",
		       get_text(result, "path"));
	json_decref(result);
	return rc;
}

const struct command tier_commands[] = {
	{"tier list", list, 0, 0, "", TAKES_BYTES, "list the tiers: size, use, state, hits, errors",
	 "Hits are blocks that reads found there since the pool was opened. A cache level that the configuration\n"
	 "names is \"missing\" when the pool had to be opened without it, \"out\" after it failed, \"unused\" while\n"
	 "the pool is closed.\n"},
	{"tier add", add, 1, 2, "PATH [SIZE]", TAKES_FORCE | TAKES_YES, "take a device into use as a cache level",
	 "It comes below all other levels, also while the pool is in use. A file that does not exist is made when\n"
	 "SIZE is given. What holds anything known is refused; with --force it is overwritten, after asking.\n"},
	{"tier replace", replace, 1, 1, "PATH", TAKES_FORCE | TAKES_YES,
	 "put a device in the place of the half of the write tier that is out",
	 "For a write tier on two devices (\"paths\"). It is made good in the background; tier list shows how far it\n"
	 "is. The configuration needs the new path before the next start.\n"},
	{"tier remove", remove_level, 1, 1, "LEVEL", 0, "empty a cache level and let its device go",
	 "Nothing is lost: all that is in it is on the capacity device, too.\n"},
	{0},
};

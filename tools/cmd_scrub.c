/* SPDX-License-Identifier: GPL-2.0-only */
/* cmd_scrub.c - hybrid-pool scrub: begins, ends, shows or waits for the reading of everything in the background. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

#define LOOK_MS 200

static const char *percent(const json_t *st, char to[8])
{
	uint64_t done = get_uint(st, "done_bytes"), total = get_uint(st, "total_bytes");

	snprintf(to, 8, "%u%%", total ? (unsigned)(100.0 * (double)done / (double)total) : 100u);
	return to;
}

/* A line that is written over, on a terminal only. */
static void show_progress(const json_t *st)
{
	char how_far[8], done[16], eta[16] = "?";

	out_human(get_uint(st, "done_bytes"), done);
	if (json_is_integer(get_any(st, "eta_s")))
		out_duration(get_uint(st, "eta_s") * 1000000000u, eta);
	fprintf(stderr, "\rscrubbing %s: %s (%s), %s to go, %" PRIu64 " bad, %" PRIu64 " healed, %" PRIu64
		" lost\033[K", get_text(st, "tier"), percent(st, how_far), done, eta, get_uint(st, "found_blocks"),
		get_uint(st, "healed_blocks"), get_uint(st, "lost_blocks") + get_uint(st, "unreadable_blocks"));
	fflush(stderr);
}

static void show_unreadable(const json_t *st)
{
	uint64_t n = get_uint(st, "unreadable_blocks");
	const json_t *list = get_any(st, "unreadable");
	json_t *u;
	size_t i;

	json_array_foreach((json_t *)list, i, u)
		printf("unreadable: 4096 bytes at %" PRIu64 " of the capacity device\n", get_uint(u, "offset_bytes"));
	if (n > json_array_size(list))
		printf("... and %" PRIu64 " more\n", n - json_array_size(list));
}

static void show_status(const struct tool *t, const json_t *st)
{
	struct out_table *table = out_facts_new();
	char text[48], how_far[8];

	out_fact(table, "state", "%s", get_text(st, "state"));
	if (strcmp(get_text(st, "state"), "never")) {
		out_fact(table, "what", "%s", get_text(st, "what"));
		if (get_bool(st, "running"))
			out_fact(table, "at", "%s, %s", get_text(st, "tier"), percent(st, how_far));
		out_size(t, get_uint(st, "done_bytes"), text);
		out_fact(table, "read", "%s", text);
		if (get_uint(st, "skipped_bytes")) {
			out_size(t, get_uint(st, "skipped_bytes"), text);
			out_fact(table, "not answered", "%s", text);
		}
		out_fact(table, "bad blocks", "%" PRIu64, get_uint(st, "found_blocks"));
		out_fact(table, "healed", "%" PRIu64, get_uint(st, "healed_blocks"));
		out_fact(table, "lost", "%" PRIu64, get_uint(st, "lost_blocks"));
		out_fact(table, "unreadable", "%" PRIu64, get_uint(st, "unreadable_blocks"));
		out_time(get_uint(st, "started_s"), text);
		out_fact(table, "started", "%s", text);
		if (!get_bool(st, "running")) {
			out_time(get_uint(st, "finished_s"), text);
			out_fact(table, "finished", "%s", text);
		}
	}
	out_table_end(table);
	show_unreadable(st);
}

/* Asks until it is over; *status is replaced by the last answer. */
static int wait_for_end(struct session *s, json_t **status, struct err *err)
{
	bool terminal = isatty(STDERR_FILENO);

	while (get_bool(*status, "running")) {
		if (terminal)
			show_progress(*status);
		session_turn(s, LOOK_MS);
		json_decref(*status);
		*status = NULL;
		if (session_call(s, "scrub-status", NULL, status, err))
			break;
	}
	if (terminal)
		fprintf(stderr, "\r\033[K");
	return err->code;
}

static int start_args(const struct tool *t, json_t **ret, struct err *err)
{
	uint64_t rate;

	*ret = json_object();
	if (t->what)
		json_object_set_new(*ret, "what", json_string(t->what));
	if (t->rate && !strcmp(t->rate, "0"))
		json_object_set_new(*ret, "rate_bytes_s", json_integer(0));
	else if (t->rate && tool_size(t->rate, &rate, err) == 0)
		json_object_set_new(*ret, "rate_bytes_s", json_integer((json_int_t)rate));
	if (err->code)
		json_decref(*ret);
	return err->code;
}

static int run(const struct tool *t, struct session *s, json_t *args, json_t **ret, struct err *err)
{
	const char *verb = t->start ? "scrub-start" : t->stop ? "scrub-stop" : "scrub-status";

	if (session_call(s, verb, args, ret, err) == 0 && t->wait)
		wait_for_end(s, ret, err);
	return err->code;
}

static int scrub(struct tool *t, int argc, char **argv)
{
	struct err err = ERR_INIT, close_err = ERR_INIT;
	json_t *args = NULL, *status = NULL;
	struct session *s;
	int rc = EXIT_OK;

	if (argc)
		t->pool = argv[0];
	if (t->start && t->stop)
		return tool_usage("scrub: --start and --stop at once make no sense");
	if (!t->start && (t->rate || t->what))
		return tool_usage("scrub: --%s goes with --start", t->rate ? "rate" : "what");
	if (t->start && start_args(t, &args, &err))
		return tool_fail(&err);
	if (session_open(t, t->start ? SESSION_WRITE : SESSION_READ, &s, &err)) {
		json_decref(args);
		return tool_fail(&err);
	}
	if (t->start && !t->wait && session_pool(s)) {
		json_decref(args);
		err_set(&err, -EINVAL, "scrub: nobody uses the pool, so it would end at once: say --wait, too");
	} else {
		run(t, s, args, &status, &err);
	}
	session_close(s, &close_err);
	if (!err.code && close_err.code)
		err = close_err;
	if (err.code) {
		json_decref(status);
		return tool_fail(&err);
	}
	if (t->json)
		rc = out_json(status);
	else
		show_status(t, status);
	if (rc == EXIT_OK && get_uint(status, "lost_blocks") + get_uint(status, "unreadable_blocks")) {
		fprintf(stderr, "hybrid-pool: the scrub found blocks that nothing can heal\n");
		rc = EXIT_FAILED;
	}
	json_decref(status);
	return rc;
}

const struct command scrub_commands[] = {
	{"scrub", scrub, 0, 1, "[POOL]", TAKES_START | TAKES_STOP | TAKES_WAIT | TAKES_RATE | TAKES_WHAT | TAKES_BYTES,
	 "read everything in the background and heal what is bad",
	 "Without --start or --stop: show how far it is. A scrub ends when the pool is closed and begins anew with\n"
	 "the next --start; a closed pool is opened for as long as --wait lasts. Exit status 1: something is lost.\n"},
	{0},
};

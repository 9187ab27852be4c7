/* SPDX-License-Identifier: GPL-2.0-only */
/* cmd_check.c - hybrid-pool check: is everything that is derived from something else right? Exits by class. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "tool.h"

/* A line that is written over, on a terminal only. */
static void progress(void *ctx, uint64_t done, uint64_t total)
{
	int *last = ctx;
	int percent = total ? (int)(done * 100 / total) : 0;

	if (percent == *last)
		return;
	*last = percent;
	fprintf(stderr, "\rchecking: %3d%%", percent);
	fflush(stderr);
}

static int report(const struct tool *t, const json_t *result)
{
	uint64_t n = get_uint(result, "findings");
	const json_t *list = get_any(result, "list");
	json_t *f;
	size_t i;

	if (t->json)
		return out_json(result);
	json_array_foreach((json_t *)list, i, f)
		printf("%s: %s\n", get_text(f, "class"), get_text(f, "text"));
	if (n > json_array_size(list))
		printf("... and %" PRIu64 " more\n", n - json_array_size(list));
	printf("%s: %" PRIu64 " finding%s\n", n ? "damaged" : "clean", n, n == 1 ? "" : "s");
	return EXIT_OK;
}

static int check(struct tool *t, int argc, char **argv)
{
	struct err err = ERR_INIT, close_err = ERR_INIT;
	int last = -1, rc;
	struct session *s;
	json_t *result;

	(void)argc;
	(void)argv;
	if (session_open(t, SESSION_READ, &s, &err))
		return tool_fail(&err);
	if (isatty(STDERR_FILENO))
		session_progress(s, progress, &last);
	rc = session_call(s, "check", t->deep ? json_pack("{s:b}", "deep", 1) : NULL, &result, &err);
	if (last >= 0)
		fprintf(stderr, "\r\033[K");
	session_close(s, &close_err);
	if (rc)
		return tool_fail(&err);
	rc = report(t, result);
	if (rc == EXIT_OK && get_uint(result, "findings"))
		rc = EXIT_FINDINGS + (int)(get_uint(result, "class_bits") & 31);
	json_decref(result);
	return rc;
}

const struct command check_commands[] = {
	{"check", check, 0, 0, "", TAKES_DEEP, "prove that all of the pool's state agrees",
	 "A pool in use is checked in memory only; --deep wants a closed one. Nothing is changed. Exit status:\n"
	 "0 clean; 5 the pool cannot be opened; 32 + the sum of 1 (space), 2 (map), 4 (index), 8 (log), 16 (data).\n"},
	{0},
};

/* SPDX-License-Identifier: GPL-2.0-only */
/* main.c - hybrid-volume: the command line of hybridd. */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/heat.h"
#include "tools/volume/cli.h"

#define LOOK_MS 1000
#define BAR 30 /* columns */

static int failed(const struct err *err, const char *code)
{
	fprintf(stderr, "hybrid-volume: %s\n", err->text);
	if (*code)
		return ebs_code_exit(code);
	return err->code == -EINVAL                          ? EXIT_USAGE
	       : err->code == -ECONNREFUSED                  ? 7
	       : err->code == -EACCES || err->code == -EPERM ? 5
							     : EXIT_FAILED;
}

static void say_progress(const json_t *task)
{
	const json_t *pct = json_object_get(task, "progress_pct");

	if (!isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r%s: step %lld of %lld", json_string_value(json_object_get(task, "verb")),
		(long long)json_integer_value(json_object_get(task, "step")) + 1,
		(long long)json_integer_value(json_object_get(task, "steps")));
	if (json_is_integer(pct)) {
		int done = (int)(json_integer_value(pct) * BAR / 100);

		fprintf(stderr, " [%.*s%*s] %lld%%", done, "##############################", BAR - done, "",
			(long long)json_integer_value(pct));
	}
	fputs("\033[K", stderr);
}

/* What was answered at the beginning is no longer so. */
static int look_again(const struct cli *c, json_t **result, char code[64], struct err *err)
{
	const char *id = json_string_value(json_object_get(*result, "id"));
	bool volume = id && !strncmp(id, "vol-", 4), snapshot = id && !strncmp(id, "snap-", 5);
	json_t *all = NULL, *args, *now;
	int rc;

	if (!json_object_get(*result, "state") || (!volume && !snapshot))
		return 0;
	args = json_pack("{s:[s]}", volume ? "volumes" : "snapshots", id);
	rc = cli_ask(c, volume ? "volume-describe" : "snapshot-describe", args, &all, code, err);
	json_decref(args);
	now = json_array_get(json_object_get(all, volume ? "volumes" : "snapshots"), 0);
	if (now) {
		json_decref(*result);
		*result = json_incref(now);
	}
	json_decref(all);
	return rc;
}

/* A change that is still under way is waited for, as long as it takes. */
static int wait_for(const struct cli *c, json_t **result, char code[64], struct err *err)
{
	json_t *task = json_object_get(*result, "task"), *shown = NULL;
	int rc = 0;

	while (!rc && json_is_integer(task)) {
		json_t *args = json_pack("{s:O, s:i}", "task", task, "for_ms", LOOK_MS);
		const char *state;

		json_decref(shown);
		shown = NULL;
		rc = cli_ask(c, "task-wait", args, &shown, code, err);
		json_decref(args);
		if (rc)
			break;
		say_progress(shown);
		state = json_string_value(json_object_get(shown, "state"));
		if (!strcmp(state, "done"))
			break;
		if (!strcmp(state, "failed")) {
			const char *why = json_string_value(json_object_get(shown, "error"));

			rc = err_set(err, -EIO, "%s", why ? why : "it was undone");
		}
	}
	if (shown && isatty(STDERR_FILENO))
		fputc('\n', stderr);
	if (shown && !rc)
		rc = look_again(c, result, code, err);
	json_decref(shown);
	return rc;
}

static int run(const struct cli *c)
{
	struct err err = ERR_INIT;
	json_t *result = NULL;
	char code[64];
	int rc;

	/* Progress is not shown while the first answer is waited for. */
	if (c->wait && c->verb->flags & EBS_CHANGES && !json_object_get(c->args, "wait_ms"))
		json_object_set_new(c->args, "wait_ms", json_integer(LOOK_MS));
	if (!strcmp(c->verb->name, "volume-heat") && !json_object_get(c->args, "buckets"))
		json_object_set_new(c->args, "buckets", json_integer(heat_buckets(c->output == OUTPUT_JSON)));
	rc = cli_ask(c, c->verb->name, c->args, &result, code, &err);

	if (!rc && c->wait)
		rc = wait_for(c, &result, code, &err);
	if (!rc)
		rc = cli_show(c, result) ? EXIT_FAILED : EXIT_OK;
	else
		rc = failed(&err, code);
	json_decref(result);
	return rc;
}

static int watch(const struct cli *c)
{
	struct err err = ERR_INIT;
	char code[64];

	return cli_top(c, code, &err) ? failed(&err, code) : EXIT_OK;
}

static const char *from_environment(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

int main(int argc, char **argv)
{
	const char *socket = from_environment("HYBRIDD_SOCKET");
	struct cli c = {.socket = socket ? socket : CLI_SOCKET,
			.url = from_environment("HYBRID_URL"),
			.key_file = from_environment("HYBRID_KEY_FILE"),
			.ca = from_environment("HYBRID_CA"),
			.pin = from_environment("HYBRID_PIN")};
	struct err err = ERR_INIT;
	bool tree;
	int rc;

	setlocale(LC_CTYPE, "");
	if (argc > 1 && !strcmp(argv[1], "--version")) {
		puts("hybrid-volume " HB_VERSION);
		return EXIT_OK;
	}
	if (argc > 1 && !strcmp(argv[1], "--complete")) {
		cli_complete(argc - 2, argv + 2);
		return EXIT_OK;
	}
	tree = argc > 1 && !strcmp(argv[1], "tree");
	rc = cli_parse(&c, tree ? argc - 1 : argc, tree ? argv + 1 : argv, &err);
	if (!rc && c.output == OUTPUT_TREE && c.verb && strcmp(c.verb->name, "volume-describe"))
		rc = err_set(&err, -EINVAL, "--output tree: what %s answers is no tree", c.verb->name);
	if (!rc && c.help)
		cli_help(c.verb);
	else if (!rc && (tree || (c.output == OUTPUT_TREE && c.verb)))
		rc = cli_tree(&c, &err) ? failed(&err, "") : EXIT_OK;
	else if (!rc && !c.verb)
		rc = (cli_help(NULL), EXIT_USAGE);
	else if (!rc && c.verb == &cli_top_verb)
		rc = watch(&c);
	else if (!rc)
		rc = run(&c);
	else {
		fprintf(stderr, "hybrid-volume: %s\nTry 'hybrid-volume --help'.\n", err.text);
		rc = EXIT_USAGE;
	}
	json_decref(c.args);
	return rc;
}

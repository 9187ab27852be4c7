/* SPDX-License-Identifier: GPL-2.0-only */
/* parse.c - the command line, by the table of verbs: commands, options, help, completion. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/volume/cli.h"

static const char volume_prefix[] = "volume-";

void cli_command_name(const struct ebs_verb *v, char *to, size_t room)
{
	const char *name = v->name;

	if (!strncmp(name, volume_prefix, strlen(volume_prefix)))
		name += strlen(volume_prefix);
	snprintf(to, room, "%s", name);
	for (char *c = to; *c; c++)
		if (*c == '-')
			*c = ' ';
}

static bool ends(const char *text, const char *end)
{
	return strlen(text) > strlen(end) && !strcmp(text + strlen(text) - strlen(end), end);
}

bool cli_alias_name(const struct ebs_verb *v, char *to, size_t room)
{
	static const char word[] = "describe";

	cli_command_name(v, to, room);
	if (strlen(to) < strlen(word) || strcmp(to + strlen(to) - strlen(word), word))
		return false;
	memcpy(to + strlen(to) - strlen(word), "list", sizeof("list"));
	return true;
}

/* Those of the manager's table, and the one that is not in it. */
static const struct ebs_verb *next_verb(const struct ebs_verb *v)
{
	if (!v)
		return ebs_verbs();
	if (v == &cli_top_verb)
		return NULL;
	return v[1].name ? v + 1 : &cli_top_verb;
}

void cli_option_name(const struct ebs_arg *a, char *to, size_t room)
{
	static const char *const units[] = {"_bytes_s", "_bytes"};

	snprintf(to, room, "%s", a->type == EBS_TAGS ? "tag" : a->type == EBS_FILTERS ? "filter" : a->name);
	for (size_t i = 0; i < 2; i++)
		if (ends(to, units[i]))
			to[strlen(to) - strlen(units[i])] = '\0';
	for (char *c = to; *c; c++)
		if (*c == '_')
			*c = '-';
}

static bool is_size(const struct ebs_arg *a)
{
	return a->type == EBS_NUMBER && (ends(a->name, "_bytes") || ends(a->name, "_bytes_s"));
}

/* The first list takes all that is left; what is required has an order. */
bool cli_positional(const struct ebs_verb *v, const struct ebs_arg *a)
{
	if (a->required && a->type != EBS_TAGS)
		return true;
	return a == v->args && a->type == EBS_TEXTS;
}

static const struct ebs_arg common[] = {
	{"token", EBS_TEXT, false, 1, EBS_TOKEN_MAX, NULL, "the same request again has its effect once"},
	{"dry_run", EBS_BOOL, false, 0, 0, NULL, "check only"},
	{"wait_ms", EBS_NUMBER, false, 0, 0, NULL, "milliseconds to wait for the end (30000)"},
	{NULL, EBS_TEXT, false, 0, 0, NULL, NULL},
};

static const struct ebs_arg *option_in(const struct ebs_arg *args, const char *name, size_t len)
{
	char option[64];

	for (; args->name; args++) {
		cli_option_name(args, option, sizeof(option));
		if (strlen(option) == len && !strncmp(option, name, len))
			return args;
	}
	return NULL;
}

static const struct ebs_arg *find_option(const struct ebs_verb *v, const char *name, size_t len)
{
	const struct ebs_arg *a = option_in(v->args, name, len);

	return a || !(v->flags & EBS_CHANGES) ? a : option_in(common, name, len);
}

/* ---------------------------------------------------------------- values */

static int put_pair(json_t *args, const struct ebs_arg *a, const char *text, struct err *err)
{
	const char *equals = strchr(text, '=');
	json_t *all = json_object_get(args, a->name), *value;
	char *key;

	if (!equals || equals == text)
		return err_set(err, -EINVAL, "'%.80s': expected KEY=VALUE", text);
	if (!all) {
		all = json_object();
		json_object_set_new(args, a->name, all);
	}
	key = strndup(text, (size_t)(equals - text));
	if (a->type == EBS_TAGS) {
		json_object_set_new(all, key, json_string(equals + 1));
	} else {
		value = json_object_get(all, key) ? json_object_get(all, key) : json_array();
		if (!json_object_get(all, key))
			json_object_set_new(all, key, value);
		for (const char *at = equals + 1;; at++) {
			size_t n = strcspn(at, ",");

			json_array_append_new(value, json_stringn(at, n));
			at += n;
			if (!*at)
				break;
		}
	}
	free(key);
	return 0;
}

static int put_number(json_t *args, const struct ebs_arg *a, const char *text, struct err *err)
{
	uint64_t bytes;
	char *end;
	long long n;

	if (is_size(a) && text[strspn(text, "0123456789")]) {
		if (tool_size(text, &bytes, err))
			return err->code;
		json_object_set_new(args, a->name, json_integer((json_int_t)bytes));
		return 0;
	}
	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno || *end || !*text)
		return err_set(err, -EINVAL, "'%.80s': expected a %s", text, is_size(a) ? "size, as 20G" : "number");
	json_object_set_new(args, a->name, json_integer(n));
	return 0;
}

static int put(json_t *args, const struct ebs_arg *a, const char *text, struct err *err)
{
	json_t *list;

	switch (a->type) {
	case EBS_NUMBER:
		return put_number(args, a, text, err);
	case EBS_TAGS:
	case EBS_FILTERS:
		return put_pair(args, a, text, err);
	case EBS_TEXTS:
		list = json_object_get(args, a->name);
		if (!list) {
			list = json_array();
			json_object_set_new(args, a->name, list);
		}
		return json_array_append_new(list, json_string(text))
			       ? err_set(err, -EINVAL, "'%.80s' is not UTF-8", text)
			       : 0;
	default:
		return json_object_set_new(args, a->name, json_string(text))
			       ? err_set(err, -EINVAL, "'%.80s' is not UTF-8", text)
			       : 0;
	}
}

/* ---------------------------------------------------------------- the line */

/* How many words the command's name takes; 0: there is no such command. */
static int find_verb(struct cli *c, int n, char **words)
{
	char name[64], alias[64], asked[130];
	int most = 0;

	for (const struct ebs_verb *v = next_verb(NULL); v; v = next_verb(v)) {
		int length;

		cli_command_name(v, name, sizeof(name));
		length = strchr(name, ' ') ? 2 : 1;
		if (n < length || length <= most)
			continue;
		snprintf(asked, sizeof(asked), length == 2 ? "%s %s" : "%s", words[0], length == 2 ? words[1] : "");
		if (strcmp(asked, name) && (!cli_alias_name(v, alias, sizeof(alias)) || strcmp(asked, alias)))
			continue;
		c->verb = v;
		most = length;
	}
	return most;
}

static int own_option(struct cli *c, const char *name, const char *value, struct err *err)
{
	if (!strcmp(name, "help"))
		c->help = true;
	else if (!strcmp(name, "bytes"))
		c->bytes = true;
	else if (!strcmp(name, "wait"))
		c->wait = true;
	else if (!strcmp(name, "socket") && value) {
		c->socket = value;
		c->url = NULL;
	} else if (!strcmp(name, "url") && value)
		c->url = value;
	else if (!strcmp(name, "key-file") && value)
		c->key_file = value;
	else if (!strcmp(name, "ca") && value)
		c->ca = value;
	else if (!strcmp(name, "pin") && value)
		c->pin = value;
	else if (!strcmp(name, "output") && value && !strcmp(value, "table"))
		c->output = OUTPUT_TABLE;
	else if (!strcmp(name, "output") && value && !strcmp(value, "json"))
		c->output = OUTPUT_JSON;
	else if (!strcmp(name, "output") && value && !strcmp(value, "tree"))
		c->output = OUTPUT_TREE;
	else if (!strcmp(name, "output"))
		return err_set(err, -EINVAL, "--output: expected table, json or tree");
	else
		return err_set(err, -EINVAL, "unknown option '--%.60s'", name);
	return 0;
}

static bool takes_value(const char *name)
{
	static const char *const names[] = {"socket", "output", "url", "key-file", "ca", "pin"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(names[i], name))
			return true;
	return false;
}

static const char *long_of(const char *word)
{
	static const char *const shorts[][2] = {{"-o", "output"}, {"-h", "help"}, {"-b", "bytes"}, {"-w", "wait"}};

	if (!strncmp(word, "--", 2))
		return word + 2;
	for (size_t i = 0; i < sizeof(shorts) / sizeof(*shorts); i++)
		if (!strcmp(shorts[i][0], word))
			return shorts[i][1];
	return NULL;
}

/* One option; returns how many words it took, or a -errno. */
static int option(struct cli *c, int n, char **words, struct err *err)
{
	const char *name = long_of(words[0]), *equals = name ? strchr(name, '=') : NULL, *value = NULL;
	size_t len = equals ? (size_t)(equals - name) : name ? strlen(name) : 0;
	const struct ebs_arg *a;
	char own[64];
	int took = 1, rc;

	if (!name || !len || len >= sizeof(own))
		return err_set(err, -EINVAL, "unknown option '%.60s'", words[0]);
	snprintf(own, sizeof(own), "%.*s", (int)len, name);
	a = c->verb ? find_option(c->verb, name, len) : NULL;
	if (a ? a->type != EBS_BOOL : takes_value(own)) {
		value = equals ? equals + 1 : n > 1 ? words[1] : NULL;
		took = equals ? 1 : 2;
		if (!value)
			return err_set(err, -EINVAL, "--%s wants a value", own);
	}
	if (!a)
		rc = own_option(c, own, value, err);
	else if (a->type == EBS_BOOL)
		rc = json_object_set_new(c->args, a->name, json_true());
	else
		rc = put(c->args, a, value, err);
	return rc ? rc : took;
}

/* The next argument that has no value yet. */
static const struct ebs_arg *next_positional(const struct cli *c)
{
	for (const struct ebs_arg *a = c->verb->args; a->name; a++)
		if (cli_positional(c->verb, a) && (a->type == EBS_TEXTS || !json_object_get(c->args, a->name)))
			return a;
	return NULL;
}

int cli_parse(struct cli *c, int argc, char **argv, struct err *err)
{
	bool only_words = false;
	int i = 1;

	c->args = json_object();
	while (i < argc) { /* options of ours may come before the command */
		const struct ebs_arg *a;
		int took;

		if (!only_words && !strcmp(argv[i], "--")) {
			only_words = true;
			i++;
			continue;
		}
		if (!only_words && argv[i][0] == '-' && argv[i][1]) {
			took = option(c, argc - i, argv + i, err);
			if (took < 0)
				return took;
			i += took;
			continue;
		}
		if (!c->verb) {
			took = find_verb(c, argc - i, argv + i);
			if (!took)
				return err_set(err, -EINVAL, "unknown command '%.60s'", argv[i]);
			i += took;
			continue;
		}
		a = next_positional(c);
		if (!a)
			return err_set(err, -EINVAL, "unexpected argument '%.60s'", argv[i]);
		if (put(c->args, a, argv[i++], err))
			return err->code;
	}
	return 0;
}

/* ---------------------------------------------------------------- help */

static void print_usage(const struct ebs_verb *v)
{
	char name[64];

	cli_command_name(v, name, sizeof(name));
	printf("Usage: hybrid-volume %s [OPTION...]", name);
	for (const struct ebs_arg *a = v->args; a->name; a++) {
		char upper[64];

		if (!cli_positional(v, a))
			continue;
		cli_option_name(a, upper, sizeof(upper));
		for (char *c = upper; *c; c++)
			*c = *c >= 'a' && *c <= 'z' ? (char)(*c - 32) : *c;
		printf(a->type == EBS_TEXTS ? a->required ? " %s..." : " [%s...]" : " %s", upper);
	}
	if (cli_alias_name(v, name, sizeof(name)))
		printf("\n   or: hybrid-volume %s ...", name);
	printf("\n\n%s\n\nOptions:\n", v->help);
}

static void print_option(const struct ebs_arg *a)
{
	static const char *const what[] = {
		[EBS_TEXT] = "TEXT",      [EBS_NUMBER] = "N",   [EBS_WORD] = "WORD",
		[EBS_TAGS] = "KEY=VALUE", [EBS_TEXTS] = "TEXT", [EBS_FILTERS] = "COLUMN=VALUE",
		[EBS_ID] = "NAME-OR-ID"};
	char name[64], left[100];

	cli_option_name(a, name, sizeof(name));
	snprintf(left, sizeof(left), "--%s%s%s", name, a->type == EBS_BOOL ? "" : " ",
		 a->type == EBS_BOOL ? ""
		 : is_size(a)        ? "SIZE"
				     : what[a->type]);
	printf("  %-28s %s%s%s%s\n", left, a->help, a->type == EBS_WORD ? " (" : "",
	       a->type == EBS_WORD ? a->words : "", a->type == EBS_WORD ? ")" : "");
}

static void print_common(void)
{
	puts("  -o, --output FORMAT          table (default), json or tree\n"
	     "  -b, --bytes                  sizes as exact numbers of bytes\n"
	     "  -w, --wait                   until it has ended, showing how far it is\n"
	     "      --socket PATH            of hybridd (" CLI_SOCKET ")\n"
	     "      --url URL                of hybridd elsewhere: https://HOST:PORT; with an API key\n"
	     "      --key-file FILE          with the API key to ask by\n"
	     "      --ca FILE                who may have signed its certificate\n"
	     "      --pin PIN                its key, as 'hybridd --pin' prints it\n"
	     "  -h, --help                   this text\n"
	     "      --version                version of the program");
}

void cli_help(const struct ebs_verb *v)
{
	if (v) {
		print_usage(v);
		for (const struct ebs_arg *a = v->args; a->name; a++)
			print_option(a);
		for (const struct ebs_arg *a = common; v->flags & EBS_CHANGES && a->name; a++)
			print_option(a);
		print_common();
		return;
	}
	puts("Usage: hybrid-volume [OPTION...] COMMAND [OPTION...] [ARGUMENT...]\n"
	     "\n"
	     "Volumes, snapshots and their attachments to VMs, by way of hybridd. Names or ids\n"
	     "may stand anywhere.\n"
	     "\n"
	     "Commands:");
	for (v = next_verb(NULL); v; v = next_verb(v)) {
		char name[64];

		cli_command_name(v, name, sizeof(name));
		printf("  %-18s %s\n", name, v->help);
	}
	puts("  tree               Shows volumes, their snapshots, and what began as them.\n"
	     "\n'list' is another word for 'describe': hybrid-volume list, hybrid-volume host list.\n"
	     "\nOptions of every command:");
	print_common();
	puts("\n'hybrid-volume COMMAND --help' says more. Exit status: 0 done, 1 failed, 2 wrong usage,\n"
	     "3 not there, 4 exists or in use, 5 not allowed, 6 over a limit, 7 cannot be reached now.");
}

/* ---------------------------------------------------------------- completion */

/* One command's word at that place. */
static void complete_name(char *name, const char *first, const char *begun)
{
	char *space = strchr(name, ' ');

	if (first && space && !strncmp(name, first, (size_t)(space - name)) &&
	    strlen(first) == (size_t)(space - name)) {
		if (!strncmp(space + 1, begun, strlen(begun)))
			puts(space + 1);
	} else if (!first) {
		if (space)
			*space = '\0';
		if (!strncmp(name, begun, strlen(begun)))
			puts(name);
	}
}

static void complete_command(const char *first, const char *begun)
{
	char name[64];

	for (const struct ebs_verb *v = next_verb(NULL); v; v = next_verb(v)) {
		cli_command_name(v, name, sizeof(name));
		complete_name(name, first, begun);
		if (cli_alias_name(v, name, sizeof(name)))
			complete_name(name, first, begun);
	}
	if (!first && !strncmp("tree", begun, strlen(begun)))
		puts("tree");
}

static void complete_option_in(const struct ebs_arg *args, const char *begun)
{
	char name[64], option_text[70];

	for (const struct ebs_arg *a = args; a->name; a++) {
		cli_option_name(a, name, sizeof(name));
		snprintf(option_text, sizeof(option_text), "--%s", name);
		if (!strncmp(option_text, begun, strlen(begun)))
			puts(option_text);
	}
}

static void complete_option(const struct ebs_verb *v, const char *begun)
{
	static const char *const ours[] = {"--output", "--bytes", "--wait", "--socket",
					   "--url",    "--key-file", "--ca", "--pin", "--help"};

	complete_option_in(v->args, begun);
	if (v->flags & EBS_CHANGES)
		complete_option_in(common, begun);
	for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++)
		if (!strncmp(ours[i], begun, strlen(begun)))
			puts(ours[i]);
}

static void complete_words(const struct ebs_arg *a, const char *begun)
{
	for (const char *at = a->words; at && *at;) {
		size_t n = strcspn(at, "|");

		if (!strncmp(at, begun, strlen(begun)))
			printf("%.*s\n", (int)n, at);
		at += n + (at[n] != '\0');
	}
}

void cli_complete(int argc, char **argv)
{
	struct cli c = {0};
	const char *begun = argc ? argv[argc - 1] : "";
	int took = argc > 1 ? find_verb(&c, argc - 1, argv) : 0;
	const struct ebs_arg *a = NULL;

	if (!took) {
		complete_command(argc == 2 ? argv[0] : NULL, begun);
		return;
	}
	if (argc > 2 && !strncmp(argv[argc - 2], "--", 2))
		a = find_option(c.verb, argv[argc - 2] + 2, strlen(argv[argc - 2]) - 2);
	if (a && a->type == EBS_WORD)
		complete_words(a, begun);
	else if (!a || a->type == EBS_BOOL)
		complete_option(c.verb, begun);
}

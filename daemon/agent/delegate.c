/* SPDX-License-Identifier: GPL-2.0-only */
/* delegate.c - the files of delegates, strictly read; see delegate.h. */
#include "agent/delegate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/file.h"
#include "agent/need.h"
#include "base/units.h"

#define COMMANDS_MAX 8
#define ARGV_MAX 32
#define TEXT_BYTES_MAX 8192
#define TIMEOUT_MS 60000
#define TIMEOUT_MS_MAX 600000
#define SETTLE_MS 15000

static const char *const op_names[OPS] = {
	"login", "logout", "rescan", "attach", "detach", "detach_force", "busy", "list", "show", "devices", "source_of",
};

const char *operation_name(enum operation_kind op)
{
	return op_names[op];
}

/* ------------------------------------------------------------------ texts of a command */

/* "FILE:LINE: "KEY": why" of what a parser said without a place. */
static int bad_text(struct reader *r, const char *key, const struct at *at, const struct err *why)
{
	return bad(r, at, "\"%s\": %s", key, why->text);
}

static int read_template(struct reader *r, const char *key, json_t *v, const struct at *at, enum template_use use,
			 struct template *ret)
{
	struct err why = ERR_INIT;
	const char *s = NULL;
	int e = read_string(r, key, v, at, &s);

	if (e == 0 && strlen(s) > TEXT_BYTES_MAX)
		e = bad(r, at, "\"%s\" is longer than %d bytes", key, TEXT_BYTES_MAX);
	if (e == 0 && template_parse(s, use, ret, &why) < 0)
		e = bad_text(r, key, at, &why);
	return e;
}

/* A string, or an array of strings: its lines. */
static int read_lines(struct reader *r, const char *key, json_t *v, const struct at *at, enum template_use use,
		      struct template *ret)
{
	struct at line = { .up = at };
	json_t *one, *whole;
	size_t len = 0;
	char *text;
	int e = 0;

	if (!json_is_array(v))
		return read_template(r, key, v, at, use, ret);
	text = need_zalloc(TEXT_BYTES_MAX + 1);
	json_array_foreach(v, line.nth, one) {
		const char *s = NULL;

		e = read_string(r, key, one, &line, &s);
		if (e == 0 && len + strlen(s) + 1 > TEXT_BYTES_MAX)
			e = bad(r, &line, "\"%s\" is longer than %d bytes", key, TEXT_BYTES_MAX);
		if (e < 0)
			break;
		len += (size_t)snprintf(text + len, TEXT_BYTES_MAX + 1 - len, "%s\n", s);
	}
	if (e == 0) {
		whole = need(json_string(text));
		e = read_template(r, key, whole, at, use, ret);
		json_decref(whole);
	}
	free(text);
	return e;
}

static int read_pattern(struct reader *r, const char *key, json_t *v, const struct at *at, struct pattern *ret)
{
	struct err why = ERR_INIT;
	const char *s = NULL;
	int e = read_string(r, key, v, at, &s);

	if (e == 0 && pattern_parse(s, ret, &why) < 0)
		e = bad_text(r, key, at, &why);
	return e;
}

static int read_ms(struct reader *r, const char *key, json_t *v, const struct at *at, uint32_t *ret)
{
	uint64_t ns;
	int e = read_duration(r, key, v, at, &ns);

	if (e == 0 && ns / MSEC_NS > TIMEOUT_MS_MAX)
		e = bad(r, at, "\"%s\" is more than 10 minutes", key);
	if (e == 0)
		*ret = (uint32_t)(ns / MSEC_NS);
	return e;
}

/* ------------------------------------------------------------------ a command */

static int command_run(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	struct command *c = out;
	struct at element = { .up = at };
	json_t *one;
	int e = 0;

	if (!json_is_array(v) || !json_array_size(v) || json_array_size(v) > ARGV_MAX)
		return bad(r, at, "\"%s\" has to be an array of 1 to %d strings", key, ARGV_MAX);
	c->argv = need_zalloc(json_array_size(v) * sizeof(*c->argv));
	json_array_foreach(v, element.nth, one) {
		e = read_template(r, key, one, &element, TEMPLATE_ARGV, &c->argv[element.nth]);
		if (e < 0)
			return e;
		c->argc++;
	}
	if (c->argv[0].n != 1 || !c->argv[0].pieces[0].text)
		return bad(r, at, "\"%s\" begins with something else than a program", key);
	return 0;
}

static int command_stdin(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	return read_lines(r, key, v, at, TEMPLATE_STDIN, &((struct command *)out)->input);
}

static int command_file(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	struct command *c = out;

	if (c->file.n)
		return bad_key(r, at, "\"file\" and \"xml\" are given, expected one of them");
	c->file_xml = !strcmp(key, "xml");
	return read_lines(r, key, v, at, c->file_xml ? TEMPLATE_XML : TEMPLATE_FILE, &c->file);
}

static int command_timeout(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	return read_ms(r, key, v, at, &((struct command *)out)->timeout_ms);
}

static int expect_status(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	struct command *c = out;
	struct at element = { .up = at };
	json_t *one;

	if (!json_is_array(v) || !json_array_size(v))
		return bad(r, at, "\"%s\" has to be an array of numbers", key);
	memset(c->status, 0, sizeof(c->status));
	json_array_foreach(v, element.nth, one) {
		uint32_t n;
		int e = read_count(r, key, one, &element, 0, 255, &n);

		if (e < 0)
			return e;
		c->status[n / 64] |= 1ull << n % 64;
	}
	return 0;
}

static int expect_output(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	return read_pattern(r, key, v, at, &((struct command *)out)->output);
}

static int command_expect(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	static const struct field fields[] = {
		{ "status", false, expect_status }, { "output", false, expect_output }, { NULL, false, NULL },
	};

	(void)key;
	return read_object(r, v, at, "\"expect\"", fields, out);
}

static int command_already(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	return read_pattern(r, key, v, at, &((struct command *)out)->already);
}

static int command_busy(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	return read_pattern(r, key, v, at, &((struct command *)out)->busy);
}

static int command_about(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	const char *s;

	(void)out;
	return read_string(r, key, v, at, &s);
}

static const struct field command_fields[] = {
	{ "run", true, command_run }, { "stdin", false, command_stdin }, { "file", false, command_file },
	{ "xml", false, command_file }, { "timeout", false, command_timeout }, { "expect", false, command_expect },
	{ "already", false, command_already }, { "busy", false, command_busy }, { "about", false, command_about },
	{ NULL, false, NULL },
};

static int read_command(struct reader *r, json_t *v, const struct at *at, struct command *c)
{
	bool names_file = false;
	int e;

	c->timeout_ms = TIMEOUT_MS;
	c->status[0] = 1;
	e = read_object(r, v, at, "a command", command_fields, c);
	for (unsigned i = 0; i < c->argc; i++)
		names_file |= template_has(&c->argv[i], V_FILE);
	if (e == 0 && names_file != (c->file.n > 0))
		e = bad(r, at, "a command has %s, expected both or none",
			names_file ? "\"{file}\" but no \"file\" or \"xml\"" : "\"file\" or \"xml\" but no \"{file}\"");
	return e;
}

/* ------------------------------------------------------------------ operations */

static int read_builtin(struct reader *r, const char *key, const char *word, const struct at *at, struct operation *op,
			enum operation_kind kind)
{
	if (kind <= OP_RESCAN && !strcmp(word, "open-iscsi"))
		op->builtin = BUILTIN_OPEN_ISCSI;
	else if (kind == OP_BUSY && !strcmp(word, "host"))
		op->builtin = BUILTIN_HOST;
	else
		return bad(r, at, "\"%s\" is \"%s\", expected an array of commands%s", key, shown(word),
			   kind <= OP_RESCAN ? " or \"open-iscsi\"" : kind == OP_BUSY ? " or \"host\"" : "");
	return 0;
}

static int read_operation(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	struct at element = { .up = at };
	enum operation_kind kind = 0;
	struct operation *op;
	json_t *one;
	int e;

	while (strcmp(op_names[kind], key) != 0)
		kind++;
	op = &((struct delegate *)out)->ops[kind];
	op->given = true;
	if (json_is_string(v))
		return read_builtin(r, key, json_string_value(v), at, op, kind);
	if (!json_is_array(v) || json_array_size(v) > COMMANDS_MAX)
		return bad(r, at, "\"%s\" has to be an array of at most %d commands", key, COMMANDS_MAX);
	op->commands = need_zalloc(json_array_size(v) * sizeof(*op->commands));
	json_array_foreach(v, element.nth, one) {
		e = read_command(r, one, &element, &op->commands[op->n++]);
		if (e < 0)
			return e;
	}
	return 0;
}

/* ------------------------------------------------------------------ a delegate */

static int delegate_name(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	return read_name(r, key, v, at, ((struct delegate *)out)->name);
}

static int mode_word(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	const char *s = NULL;
	char **to = &((struct delegate *)out)->mode[!strcmp(key, "ro")];
	int e = read_string(r, key, v, at, &s);

	if (e == 0 && strlen(s) > VALUE_MAX)
		e = bad(r, at, "\"%s\" is too long", key);
	if (e < 0)
		return e;
	free(*to);
	*to = need_str(s);
	return 0;
}

static int delegate_mode(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	static const struct field fields[] = {
		{ "rw", true, mode_word }, { "ro", true, mode_word }, { NULL, false, NULL },
	};

	(void)key;
	return read_object(r, v, at, "\"mode\"", fields, out);
}

static int delegate_source(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	struct template *t = &((struct delegate *)out)->source;

	template_free(t);
	return read_template(r, key, v, at, TEMPLATE_FILE, t);
}

static int delegate_settle(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	return read_ms(r, key, v, at, &((struct delegate *)out)->settle_ms);
}

static const struct field delegate_fields[] = {
	{ "name", true, delegate_name }, { "about", false, command_about }, { "mode", false, delegate_mode },
	{ "source", false, delegate_source }, { "settle", false, delegate_settle }, { "login", false, read_operation },
	{ "logout", false, read_operation }, { "rescan", false, read_operation }, { "attach", true, read_operation },
	{ "detach", true, read_operation }, { "detach_force", false, read_operation },
	{ "busy", false, read_operation }, { "list", false, read_operation }, { "show", false, read_operation },
	{ "devices", false, read_operation }, { "source_of", false, read_operation }, { NULL, false, NULL },
};

int delegate_parse(const char *text, size_t len, const char *file, struct delegate **ret, struct err *err)
{
	struct delegate *d = need_zalloc(sizeof(*d));
	int e;

	d->mode[0] = need_str("rw");
	d->mode[1] = need_str("ro");
	d->settle_ms = SETTLE_MS;
	template_parse("{path}", TEMPLATE_FILE, &d->source, NULL);
	e = file_object(text, len, file, "a delegate", delegate_fields, d, err);
	if (e == 0 && d->ops[OP_LOGIN].given != d->ops[OP_LOGOUT].given)
		e = err_set(err, -EINVAL, "%s:1: \"login\" and \"logout\" belong together", file);
	if (e < 0)
		delegate_free(d);
	else
		*ret = d;
	return e;
}

int delegate_load(const char *path, struct delegate **ret, struct err *err)
{
	char *text;
	size_t len;
	int e = file_text(path, &text, &len, err);

	if (e < 0)
		return e;
	e = delegate_parse(text, len, path, ret, err);
	free(text);
	return e;
}

static void free_command(struct command *c)
{
	for (unsigned i = 0; i < c->argc; i++)
		template_free(&c->argv[i]);
	free(c->argv);
	template_free(&c->input);
	template_free(&c->file);
	pattern_free(&c->output);
	pattern_free(&c->already);
	pattern_free(&c->busy);
}

void delegate_free(struct delegate *d)
{
	if (!d)
		return;
	for (int i = 0; i < OPS; i++) {
		for (unsigned k = 0; k < d->ops[i].n; k++)
			free_command(&d->ops[i].commands[k]);
		free(d->ops[i].commands);
	}
	free(d->mode[0]);
	free(d->mode[1]);
	template_free(&d->source);
	free(d);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* perform.c - an operation of a delegate, carried out; see perform.h. */
#include "agent/perform.h"

#include <errno.h>
#include <string.h>

#include "agent/need.h"
#include "agent/run.h"

#define SAID_MAX 200

void perform_argv_free(char **argv)
{
	for (char **a = argv; argv && *a; a++)
		free(*a);
	free(argv);
}

int perform_argv(const struct delegate *d, const struct command *c, const struct values *v, char ***ret,
		 struct err *err)
{
	const char *const mode[2] = { d->mode[0], d->mode[1] };
	struct values with = { { NULL } };
	char **argv = need_zalloc((c->argc + 1) * sizeof(*argv));
	int e = 0;

	values_copy(&with, v);
	values_set(&with, V_FILE, RUN_FILE, NULL);
	for (unsigned i = 0; i < c->argc && e == 0; i++)
		e = template_expand(&c->argv[i], TEMPLATE_ARGV, &with, mode, &argv[i], err);
	values_free(&with);
	if (e < 0)
		perform_argv_free(argv);
	else
		*ret = argv;
	return e;
}

/* The last line that is not empty, fit for a sentence; "" if a secret is in it. */
static void last_line(const char *text, const struct values *v, char ret[SAID_MAX + 1])
{
	const char *line = text, *end;
	size_t n;

	for (const char *s = text; *s; s += strcspn(s, "\n"), s += *s == '\n')
		line = *s != '\n' && *s != ' ' ? s : line;
	end = strchr(line, '\n');
	n = end ? (size_t)(end - line) : strlen(line);
	n = n < SAID_MAX ? n : SAID_MAX;
	for (size_t i = 0; i < n; i++)
		ret[i] = line[i] < ' ' || line[i] > '~' ? '?' : line[i];
	ret[n] = '\0';
	/* In the whole text: half of a secret, where the line was cut, would not be found in it. */
	for (int i = 0; i < V_KINDS; i++)
		if (value_secret((enum value_kind)i) && v->v[i] && strstr(text, v->v[i]))
			ret[0] = '\0';
}

static bool status_ok(const struct command *c, int status)
{
	return status >= 0 && status < 256 && (c->status[status / 64] >> status % 64 & 1);
}

static int judge(const struct command *c, const struct run *r, int ran, const struct values *v,
		 struct captures *into, struct err *why, struct err *err)
{
	char said[SAID_MAX + 1];
	const char *output = r->output ? r->output : "";

	last_line(output, v, said);
	if (ran < 0 && ran != -ETIMEDOUT)
		return err_set(err, ran, "%s", why->text);
	if (pattern_find(&c->already, output, into))
		return 0;
	if (pattern_find(&c->busy, output, NULL))
		return err_set(err, -EBUSY, "%s: %s", r->argv[0], said);
	if (ran < 0)
		return err_set(err, ran, "%s%s%s", why->text, *said ? ": " : "", said);
	if (!status_ok(c, r->status))
		return err_set(err, -EIO, "%s: ended with status %d%s%s", r->argv[0], r->status, *said ? ": " : "",
			       said);
	if (c->output.set && into && !pattern_find(&c->output, output, into))
		return err_set(err, -EPROTO, "%s: its output is not what was expected%s%s", r->argv[0],
			       *said ? ": " : "", said);
	return 0;
}

struct each {
	void (*fn)(void *arg, const struct captures *c);
	void *arg;
};

static void wipe(char *s)
{
	if (s)
		explicit_bzero(s, strlen(s));
	free(s);
}

static int perform_one(const struct delegate *d, const struct command *c, const struct values *v, const char *path,
		       struct captures *into, const struct each *each, struct err *err)
{
	const char *const mode[2] = { d->mode[0], d->mode[1] };
	enum template_use use = c->file_xml ? TEMPLATE_XML : TEMPLATE_FILE;
	char *input = NULL, *file = NULL, **argv = NULL;
	struct run r = { .path = path, .timeout_ms = c->timeout_ms };
	struct err why = ERR_INIT;
	int e = perform_argv(d, c, v, &argv, err), ran;

	if (e == 0 && c->input.n)
		e = template_expand(&c->input, TEMPLATE_STDIN, v, mode, &input, err);
	if (e == 0 && c->file.n)
		e = template_expand(&c->file, use, v, mode, &file, err);
	if (e == 0) {
		r.argv = argv;
		r.input = input;
		r.file = file;
		ran = run_program(&r, &why);
		e = judge(c, &r, ran, v, into, &why, err);
		if (e == 0 && each && status_ok(c, r.status))
			pattern_each(&c->output, r.output, each->fn, each->arg);
	}
	wipe(input);
	free(file);
	wipe(r.output);
	if (argv)
		perform_argv_free(argv);
	return e;
}

static int perform_all(const struct delegate *d, enum operation_kind op, const struct values *v, const char *path,
		       struct captures *into, const struct each *each, struct err *err)
{
	const struct operation *o = &d->ops[op];
	int e = 0;

	for (unsigned i = 0; i < o->n && e == 0; i++)
		e = perform_one(d, &o->commands[i], v, path, into, each, err);
	return e;
}

int perform(const struct delegate *d, enum operation_kind op, const struct values *v, const char *path,
	    struct captures *into, struct err *err)
{
	struct captures none;

	if (!into) {
		memset(&none, 0, sizeof(none));
		into = &none;
	}
	return perform_all(d, op, v, path, into, NULL, err);
}

int perform_each(const struct delegate *d, enum operation_kind op, const struct values *v, const char *path,
		 void (*each)(void *arg, const struct captures *c), void *arg, struct err *err)
{
	const struct each e = { each, arg };

	return perform_all(d, op, v, path, NULL, &e, err);
}

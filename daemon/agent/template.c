/* SPDX-License-Identifier: GPL-2.0-only */
/* template.c - texts with places for values; see template.h. */
#include "agent/template.h"

#include <errno.h>
#include <string.h>

#include "agent/need.h"

static void add(struct template *t, const char *text, size_t len, int kind)
{
	t->pieces = need_array(t->pieces, t->n + 1, sizeof(*t->pieces));
	t->pieces[t->n].text = text ? need(strndup(text, len)) : NULL;
	t->pieces[t->n++].kind = kind < 0 ? V_KINDS : (enum value_kind)kind;
}

static int parse_place(const char *name, size_t len, enum template_use use, struct template *t, struct err *err)
{
	int kind = value_find(name, len);

	if (kind < 0)
		return err_set(err, -EINVAL, "there is no \"{%.*s}\"", len > 32 ? 32 : (int)len, name);
	if (value_secret((enum value_kind)kind) && use != TEMPLATE_STDIN)
		return err_set(err, -EINVAL, "\"{%s}\" is a secret, which may be in \"stdin\" only",
			       value_name((enum value_kind)kind));
	if (kind == V_FILE && use != TEMPLATE_ARGV)
		return err_set(err, -EINVAL, "\"{file}\" may be in \"run\" only");
	add(t, NULL, 0, kind);
	return 0;
}

int template_parse(const char *text, enum template_use use, struct template *ret, struct err *err)
{
	struct template t = { NULL, 0 };
	const char *from = text;
	int e = 0;

	while (*text && e == 0) {
		size_t n = strcspn(text, "{}"), end;

		text += n;
		if (text > from)
			add(&t, from, (size_t)(text - from), -1);
		from = text;
		if (!*text)
			break;
		if (text[1] == *text) {		/* doubled: itself; goes with what follows */
			from = text + 1;
			add(&t, from, 1, -1);
			from = text += 2;
			continue;
		}
		end = strcspn(text, "}");
		if (*text == '}' || !text[end])
			e = err_set(err, -EINVAL, "a lone \"%c\", expected \"{value}\", or \"%c%c\" for itself", *text,
				    *text, *text);
		else
			e = parse_place(text + 1, end - 1, use, &t, err);
		if (e == 0)
			from = text += end + 1;
	}
	if (e < 0)
		template_free(&t);
	else
		*ret = t;
	return e;
}

void template_free(struct template *t)
{
	for (unsigned i = 0; i < t->n; i++)
		free(t->pieces[i].text);
	free(t->pieces);
	*t = (struct template){ NULL, 0 };
}

bool template_has(const struct template *t, enum value_kind kind)
{
	for (unsigned i = 0; i < t->n; i++)
		if (!t->pieces[i].text && t->pieces[i].kind == kind)
			return true;
	return false;
}

/* ------------------------------------------------------------------ expanding */

static size_t put_char(char *to, char c, bool xml)
{
	const char *as = !xml ? NULL : c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" :
			 c == '"' ? "&quot;" : c == '\'' ? "&apos;" : NULL;
	size_t n = as ? strlen(as) : 1;

	if (to)
		memcpy(to, as ? as : &c, n);
	return n;
}

/* to NULL: only how long it is. */
static size_t put_text(char *to, const char *s, bool xml)
{
	size_t n = 0;

	for (; *s; s++)
		n += put_char(to ? to + n : NULL, *s, xml);
	return n;
}

static size_t put_piece(char *to, const struct piece *p, enum template_use use, const struct values *v,
			const char *const mode[2])
{
	if (p->text)
		return put_text(to, p->text, false);
	if (p->kind == V_MODE)		/* the delegate's own words */
		return put_text(to, mode[!strcmp(v->v[V_MODE], "ro")], false);
	return put_text(to, v->v[p->kind], use == TEMPLATE_XML);
}

/* Is the first byte of what comes out a value's? Literals, and the delegate's words for the mode, are not. */
static bool begins_with_value(const struct template *t, const char *const mode[2])
{
	for (unsigned i = 0; i < t->n; i++) {
		const struct piece *p = &t->pieces[i];

		if (p->text)
			return false;
		if (p->kind != V_MODE)
			return true;	/* no value is empty */
		if (mode[0][0] == '-' || mode[1][0] == '-')
			return false;
	}
	return false;
}

int template_expand(const struct template *t, enum template_use use, const struct values *v, const char *const mode[2],
		    char **ret, struct err *err)
{
	size_t len = 0, at = 0;

	for (unsigned i = 0; i < t->n; i++) {
		const struct piece *p = &t->pieces[i];

		if (!p->text && !v->v[p->kind])
			return err_set(err, -EINVAL, "\"%s\" is not given", value_name(p->kind));
		if (!p->text && !value_ok(p->kind, v->v[p->kind]))
			return err_set(err, -EINVAL, "\"%s\" is not what it can be", value_name(p->kind));
		len += put_piece(NULL, p, use, v, mode);
	}
	*ret = need_zalloc(len + 1);
	for (unsigned i = 0; i < t->n; i++)
		at += put_piece(*ret + at, &t->pieces[i], use, v, mode);
	if (use == TEMPLATE_ARGV && **ret == '-' && begins_with_value(t, mode)) {
		free(*ret);
		*ret = NULL;
		return err_set(err, -EINVAL, "a value begins with \"-\", which a program would take for an option");
	}
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* where.c - on which line of a JSON text a value stands. The parser tells it for syntax errors only, so the text, known
 * to be valid by then, is walked once more, along the numbers of members and elements.
 */
#include <assert.h>
#include <string.h>

#include "conf/read.h"

struct scan {
	const char *at, *end;
	unsigned int line;
};

static void skip_blank(struct scan *s)
{
	while (s->at < s->end && strchr(" \t\r\n", *s->at) && *s->at) {
		if (*s->at++ == '\n')
			s->line++;
	}
}

static void skip_string(struct scan *s)
{
	s->at++;
	while (s->at < s->end && *s->at != '"')
		s->at += *s->at == '\\' ? 2 : 1;
	s->at++;
}

/* Numbers and words end where structure begins. */
static void skip_atom(struct scan *s)
{
	while (s->at < s->end && (!*s->at || !strchr(" \t\r\n,:]}", *s->at)))
		s->at++;
}

static void skip_value(struct scan *s)
{
	unsigned int depth = 0;

	do {
		skip_blank(s);
		if (s->at >= s->end)
			return;
		switch (*s->at) {
		case '{':
		case '[':
			depth++;
			s->at++;
			break;
		case '}':
		case ']':
			depth--;
			s->at++;
			break;
		case ',':
		case ':':
			s->at++;
			break;
		case '"':
			skip_string(s);
			break;
		default:
			skip_atom(s);
		}
	} while (depth);
}

/* From the beginning of an object or array to its n-th value; with `key` to the name of that. */
static void enter(struct scan *s, size_t nth, bool key)
{
	bool object = *s->at == '{';

	s->at++;
	for (size_t i = 0;; i++) {
		skip_blank(s);
		if (object && (i < nth || !key)) {
			skip_string(s);
			skip_blank(s);
			s->at++;		/* the colon */
			skip_blank(s);
		}
		if (i == nth || s->at >= s->end)
			return;
		skip_value(s);
		skip_blank(s);
		s->at++;			/* the comma */
	}
}

static void walk(struct scan *s, const struct at *at, bool key)
{
	if (!at->up) {
		skip_blank(s);
		return;
	}
	walk(s, at->up, false);
	if (s->at < s->end)
		enter(s, at->nth, key);
}

unsigned int conf_line(const char *text, size_t len, const struct at *at, bool key)
{
	struct scan s = { text, text + len, 1 };

	walk(&s, at, key);
	return s.line;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* pattern.c - regular expressions with named groups over lines; see pattern.h. */
#include "agent/pattern.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const names[CAPTURES] = {
	"device", "vdev", "path", "source", "backend", "name", "id", "uuid", "state", "vcpus", "memory_mib",
	"memory_kib", "memory_bytes",
};

static int find_name(const char *name, size_t len)
{
	for (int i = 0; i < CAPTURES; i++)
		if (strlen(names[i]) == len && !memcmp(names[i], name, len))
			return i;
	return -1;
}

/* Past a bracket expression that begins at s; ']' comes first in it as itself. */
static const char *past_bracket(const char *s)
{
	s++;
	s += *s == '^';
	s += *s == ']';
	while (*s && *s != ']') {
		if (*s == '[' && (s[1] == ':' || s[1] == '.' || s[1] == '=')) {
			char end = s[1];

			for (s += 2; *s && !(*s == end && s[1] == ']'); s++)
				;
			s += *s ? 2 : 0;
		} else {
			s++;
		}
	}
	return s + (*s == ']');
}

/* One "(" at s: notes which group it is, and returns what follows. */
static const char *open_group(const char *s, struct pattern *p, unsigned *groups, struct err *err)
{
	size_t len;
	int kind = -1;

	s++;
	if (*s == '?') {
		len = s[1] == '<' ? strcspn(s + 2, ">") : 0;
		kind = len && s[2 + len] ? find_name(s + 2, len) : -1;
		if (kind < 0) {
			err_set(err, -EINVAL, "\"(%.24s\" is no group with a name that is known", s);
			return NULL;
		}
		s += len + 3;
	}
	if (++*groups >= PATTERN_GROUPS) {
		err_set(err, -EINVAL, "more than %d groups", PATTERN_GROUPS - 1);
		return NULL;
	}
	p->group[*groups] = (signed char)kind;
	return s;
}

/* "*", "+", "?" in a row mean no more than one does, but each doubles what the C library makes of the expression
 * before them (and so does "+" after a group, hence PATTERN_DEPTH). */
static bool repeats_twice(const char *s)
{
	return strspn(s, "*+?") > 1;
}

/* Takes the names out: what is left is what POSIX knows. */
static int translate(const char *s, struct pattern *p, char to[PATTERN_MAX + 1], struct err *err)
{
	unsigned groups = 0, depth = 0;

	while (*s) {
		const char *from = s;

		if (*s == '\\' && s[1] >= '0' && s[1] <= '9')
			return err_set(err, -EINVAL, "\"%.2s\": no back references", s);
		if (*s == '{')
			return err_set(err, -EINVAL,
				       "\"{\": no counted repetitions, expected \"*\", \"+\", \"?\" or \"[{]\"");
		if (repeats_twice(s))
			return err_set(err, -EINVAL, "\"%.2s\": one repetition after another", s);
		depth -= *s == ')' && depth;
		if (*s == '(') {
			if (++depth > PATTERN_DEPTH)
				return err_set(err, -EINVAL, "groups in groups, more than %d deep", PATTERN_DEPTH);
			s = open_group(s, p, &groups, err);
			if (!s)
				return -EINVAL;
			*to++ = '(';
			continue;
		}
		s = *s == '[' ? past_bracket(s) : *s == '\\' && s[1] ? s + 2 : s + 1;
		memcpy(to, from, (size_t)(s - from));
		to += s - from;
	}
	*to = '\0';
	return 0;
}

int pattern_parse(const char *text, struct pattern *ret, struct err *err)
{
	char posix[PATTERN_MAX + 1], why[160];
	struct pattern p = { .set = true };
	int e;

	if (strlen(text) > PATTERN_MAX)
		return err_set(err, -EINVAL, "a pattern is longer than %d bytes", PATTERN_MAX);
	e = translate(text, &p, posix, err);
	if (e < 0)
		return e;
	e = regcomp(&p.re, posix, REG_EXTENDED);
	if (e) {
		regerror(e, &p.re, why, sizeof(why));
		return err_set(err, -EINVAL, "not a regular expression: %s", why);
	}
	*ret = p;
	return 0;
}

void pattern_free(struct pattern *p)
{
	if (p->set)
		regfree(&p->re);
	p->set = false;
}

static void take(const struct pattern *p, const char *line, const regmatch_t *m, struct captures *into)
{
	for (unsigned i = 1; i < PATTERN_GROUPS && i <= p->re.re_nsub; i++) {
		size_t len = m[i].rm_so < 0 ? 0 : (size_t)(m[i].rm_eo - m[i].rm_so);

		/* One that is too long is none: half of it would be something else. */
		if (m[i].rm_so >= 0 && p->group[i] >= 0 && len < CAPTURE_MAX) {
			memcpy(into->c[p->group[i]], line + m[i].rm_so, len);
			into->c[p->group[i]][len] = '\0';
		}
	}
}

/* The next line of *text that matches. */
static bool next(const struct pattern *p, const char **text, struct captures *into)
{
	char line[PATTERN_LINE_MAX + 1];
	regmatch_t m[PATTERN_GROUPS];

	while (**text) {
		size_t len = strcspn(*text, "\n"), n = len < PATTERN_LINE_MAX ? len : PATTERN_LINE_MAX;

		memcpy(line, *text, n);
		line[n] = '\0';
		*text += len + ((*text)[len] == '\n');
		if (regexec(&p->re, line, PATTERN_GROUPS, m, 0) == 0) {
			if (into)
				take(p, line, m, into);
			return true;
		}
	}
	return false;
}

bool pattern_find(const struct pattern *p, const char *text, struct captures *into)
{
	return p->set && next(p, &text, into);
}

void pattern_each(const struct pattern *p, const char *text, void (*each)(void *arg, const struct captures *c),
		  void *arg)
{
	struct captures c;

	while (p->set) {
		memset(&c, 0, sizeof(c));
		if (!next(p, &text, &c))
			return;
		each(arg, &c);
	}
}

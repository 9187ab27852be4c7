/* SPDX-License-Identifier: GPL-2.0-only */
/* fields.c - lines of text as fields and numbers. */
#include <ctype.h>
#include <string.h>

#include "formats.h"

/* Without the blanks and double quotes around it. */
static char *bare(char *s)
{
	size_t n;

	s += strspn(s, " \t\"");
	n = strlen(s);
	while (n && strchr(" \t\"", s[n - 1]))
		s[--n] = '\0';
	return s;
}

unsigned fields_cut(char *line, char separator, char *ret[FIELDS_MAX])
{
	const char between[] = {separator, separator == ' ' ? '\t' : '\0', '\0'};
	unsigned n = 0;
	char *s = line;

	while (s && n < FIELDS_MAX) {
		char *end;

		if (separator == ' ')
			s += strspn(s, between);
		if (separator == ' ' && !*s)
			break;
		end = s + strcspn(s, between);
		ret[n] = s;
		s = *end ? end + 1 : NULL;
		*end = '\0';
		ret[n] = bare(ret[n]);
		n++;
	}
	return n;
}

bool field_number(const char *field, uint64_t *ret)
{
	uint64_t v = 0;

	if (!*field)
		return false;
	for (; *field; field++) {
		if (!isdigit((unsigned char)*field) || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*field - '0'), &v))
			return false;
	}
	*ret = v;
	return true;
}

bool line_is_empty(const char *line)
{
	line += strspn(line, " \t");
	return !*line || *line == '#';
}

bool head_line(const uint8_t *head, size_t size, unsigned n, char *to, size_t room)
{
	const uint8_t *at = head, *end;

	for (;;) {
		size_t left = size - (size_t)(at - head);

		end = memchr(at, '\n', left);
		if (n == 0)
			break;
		if (!end)
			return false;
		at = end + 1;
		n--;
	}
	size = end ? (size_t)(end - at) : size - (size_t)(at - head);
	if (!size || size >= room || memchr(at, '\0', size))
		return false;
	memcpy(to, at, size);
	to[size - (to[size - 1] == '\r')] = '\0';
	to[size] = '\0';
	return true;
}

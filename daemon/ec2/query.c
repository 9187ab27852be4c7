/* SPDX-License-Identifier: GPL-2.0-only */
/* query.c - the form encoding of a request, as a tree. */
#include "ec2/query.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Bytes written to `to` (of `room`), or -1: a '%' without two digits, a zero byte, too long. */
static long decode(const char *from, size_t len, bool url, char *to, size_t room)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		int c = (unsigned char)from[i];

		if (c == '%') {
			int high = len - i > 2 ? hex(from[i + 1]) : -1, low = high >= 0 ? hex(from[i + 2]) : -1;

			if (low < 0)
				return -1;
			c = high << 4 | low;
			i += 2;
		} else if (c == '+' && !url) {
			c = ' ';
		}
		if (!c || n == room)
			return -1;
		to[n++] = (char)c;
	}
	return (long)n;
}

static bool part_ok(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!(s[i] >= 'A' && s[i] <= 'Z') && !(s[i] >= 'a' && s[i] <= 'z') && !(s[i] >= '0' && s[i] <= '9') &&
		    s[i] != '-' && s[i] != '_')
			return false;
	return len > 0;
}

/* The value goes in at the name's place; reference is taken. */
static int put(json_t *tree, char *name, json_t *value, struct err *err)
{
	json_t *at = tree;
	char *part = name;

	for (int depth = 1;; depth++) {
		size_t len = strcspn(part, ".");
		bool last = !part[len];
		json_t *there;

		if (!part_ok(part, len) || depth > QUERY_DEPTH_MAX) {
			json_decref(value);
			return err_set(err, -EINVAL, "The name of a parameter is malformed.");
		}
		part[len] = '\0';
		there = json_object_get(at, part);
		if (there && (last || !json_is_object(there))) {
			json_decref(value);
			return err_set(err, -EINVAL, "The parameter %s may only be specified once.", name);
		}
		if (last)
			return json_object_set_new(at, part, value) ? err_set(err, -ENOMEM, "out of memory") : 0;
		if (!there)
			json_object_set_new(at, part, json_object());
		at = json_object_get(at, part);
		part += len + 1;
	}
}

/* One "name=value"; value: room for the longest. */
static int read_pair(json_t *tree, const char *pair, size_t len, bool url, char *value, struct err *err)
{
	const char *equals = memchr(pair, '=', len);
	size_t name_len = equals ? (size_t)(equals - pair) : len;
	char name[QUERY_NAME_MAX + 1];
	long n = decode(pair, name_len, url, name, QUERY_NAME_MAX), m = 0;
	json_t *text;

	if (n <= 0)
		return err_set(err, -EINVAL, "The name of a parameter is malformed.");
	name[n] = '\0';
	if (equals)
		m = decode(equals + 1, len - name_len - 1, url, value, QUERY_VALUE_MAX);
	text = m < 0 ? NULL : json_stringn(value, (size_t)m); /* NULL as well: no UTF-8 */
	if (!text)
		return err_set(err, -EINVAL, "The value of a parameter is malformed, or too long.");
	return put(tree, name, text, err);
}

int query_parse(json_t *tree, const char *form, size_t len, bool url, struct err *err)
{
	const char *end = form + len;
	char *value = mem_alloc(QUERY_VALUE_MAX);
	unsigned pairs = 0;
	int rc = value ? 0 : err_set(err, -ENOMEM, "out of memory");

	while (!rc && form < end) {
		const char *amp = memchr(form, '&', (size_t)(end - form));
		size_t n = (size_t)((amp ? amp : end) - form);

		if (++pairs > QUERY_PAIRS_MAX)
			rc = err_set(err, -EINVAL, "The request has more than %d parameters.", QUERY_PAIRS_MAX);
		else
			rc = read_pair(tree, form, n, url, value, err);
		form += n + 1;
	}
	mem_free(value);
	return rc;
}

json_t *query_list(const json_t *node, const char *name, struct err *err)
{
	json_t *list = json_array();
	size_t n = json_object_size(node);

	/* An empty list is sent as the bare name. */
	if (json_is_string(node) && !*json_string_value(node))
		return list;
	for (size_t i = 1; i <= n; i++) {
		char number[24];
		json_t *v;

		snprintf(number, sizeof(number), "%zu", i);
		v = json_object_get(node, number);
		if (v)
			json_array_append(list, v);
	}
	if (n && json_array_size(list) == n)
		return list;
	json_decref(list);
	err_set(err, -EINVAL, "The parameter %s is a list: %s.1, %s.2, and so on, without gaps.", name, name, name);
	return NULL;
}

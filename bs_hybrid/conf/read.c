/* SPDX-License-Identifier: GPL-2.0-only */
/* read.c - one JSON value, read strictly: strings, names, paths, sizes, percentages, durations, objects by table. */
#include "conf/read.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/units.h"

#define SHOWN_MAX 60
#define TEXT_MAX 255

const char *shown(const char *s)
{
	static _Thread_local char ring[4][SHOWN_MAX + 4];
	static _Thread_local unsigned int turn;
	char *out = ring[turn++ % ARRAY_LEN(ring)];
	size_t n = 0;

	for (; s[n] && n < SHOWN_MAX; n++)
		out[n] = iscntrl((unsigned char)s[n]) ? '?' : s[n];
	snprintf(out + n, SHOWN_MAX + 4 - n, "%s", s[n] ? "..." : "");
	return out;
}

static int bad_at(struct reader *r, const struct at *at, bool key, const char *fmt, va_list ap)
{
	char text[ERR_TEXT_MAX];

	vsnprintf(text, sizeof(text), fmt, ap);
	return err_set(r->err, -EINVAL, "%s:%u: %s", r->file, conf_line(r->text, r->len, at, key), text);
}

int bad(struct reader *r, const struct at *at, const char *fmt, ...)
{
	va_list ap;
	int e;

	va_start(ap, fmt);
	e = bad_at(r, at, false, fmt, ap);
	va_end(ap);
	return e;
}

int bad_key(struct reader *r, const struct at *at, const char *fmt, ...)
{
	va_list ap;
	int e;

	va_start(ap, fmt);
	e = bad_at(r, at, true, fmt, ap);
	va_end(ap);
	return e;
}

/* ------------------------------------------------------------------ objects */

static const char *type_name(const json_t *v)
{
	static const char *const names[] = {
		[JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array", [JSON_STRING] = "a string",
		[JSON_INTEGER] = "a number", [JSON_REAL] = "a number", [JSON_TRUE] = "true", [JSON_FALSE] = "false",
		[JSON_NULL] = "null",
	};

	return names[json_typeof(v)];
}

static const struct field *find_field(const struct field *fields, const char *key)
{
	for (; fields->key; fields++) {
		if (strcmp(fields->key, key) == 0)
			return fields;
	}
	return NULL;
}

/* "a, b or c" */
static void list_keys(const struct field *fields, char *ret, size_t size)
{
	size_t n = 0;

	for (const struct field *f = fields; f->key && n < size; f++) {
		const char *join = f == fields ? "" : f[1].key ? ", " : " or ";

		n += (size_t)snprintf(ret + n, size - n, "%s\"%s\"", join, f->key);
	}
}

int read_object(struct reader *r, json_t *v, const struct at *at, const char *what, const struct field *fields,
		void *out)
{
	struct at member = { .up = at };
	char known[300];
	const char *key;
	json_t *value;
	int e;

	if (!json_is_object(v))
		return bad(r, at, "%s is %s, expected an object", what, type_name(v));
	json_object_foreach(v, key, value) {	/* in the order of the text: jansson keeps it */
		const struct field *f = find_field(fields, key);

		if (!f) {
			list_keys(fields, known, sizeof(known));
			return bad_key(r, &member, "unknown key \"%s\" in %s, expected %s", shown(key), what, known);
		}
		e = f->read(r, key, value, &member, out);
		if (e < 0)
			return e;
		member.nth++;
	}
	for (const struct field *f = fields; f->key; f++) {
		if (f->required && !json_object_get(v, f->key))
			return bad(r, at, "%s lacks \"%s\"", what, f->key);
	}
	return 0;
}

/* ------------------------------------------------------------------ strings */

int read_string(struct reader *r, const char *key, json_t *v, const struct at *at, const char **ret)
{
	if (!json_is_string(v))
		return bad(r, at, "\"%s\" is %s, expected a string", key, type_name(v));
	*ret = json_string_value(v);
	return 0;
}

int read_text(struct reader *r, const char *key, json_t *v, const struct at *at, char **ret)
{
	const char *s = NULL;
	int e = read_string(r, key, v, at, &s);

	if (e < 0)
		return e;
	if (!*s || strlen(s) > TEXT_MAX)
		return bad(r, at, "\"%s\" is %s, expected 1 to %d bytes", key, *s ? "too long" : "empty", TEXT_MAX);
	*ret = mem_strdup(s);
	return *ret ? 0 : err_set(r->err, -ENOMEM, "%s: out of memory", r->file);
}

int read_name(struct reader *r, const char *key, json_t *v, const struct at *at, char ret[HB_NAME_MAX + 1])
{
	const char *s = NULL;
	int e = read_string(r, key, v, at, &s);

	if (e < 0)
		return e;
	if (!hb_name_ok(s))
		return bad(r, at, "\"%s\" is no name, expected a letter or digit, then up to %d of letters, digits, "
			   "\".\", \"_\" and \"-\"", shown(s), HB_NAME_MAX - 1);
	snprintf(ret, HB_NAME_MAX + 1, "%s", s);
	return 0;
}

int read_path(struct reader *r, const char *key, json_t *v, const struct at *at, char **ret)
{
	const char *s = NULL;
	bool absolute;
	int e = read_string(r, key, v, at, &s);
	size_t size;
	char *path;

	if (e < 0)
		return e;
	if (!*s)
		return bad(r, at, "\"%s\" is empty, expected a path", key);
	absolute = *s == '/';
	size = (absolute ? 0 : strlen(r->dir) + 1) + strlen(s) + 1;
	if (size > PATH_MAX)
		return bad(r, at, "\"%s\" is too long, expected a path of at most %d bytes", key, PATH_MAX - 1);
	path = mem_alloc(size);
	if (!path)
		return err_set(r->err, -ENOMEM, "%s: out of memory", r->file);
	snprintf(path, size, "%s%s%s", absolute ? "" : r->dir, absolute ? "" : "/", s);
	*ret = path;
	return 0;
}

/* ------------------------------------------------------------------ numbers with a unit */

struct unit {
	const char *name;
	uint64_t factor;
};

enum number_fault { NUMBER_OK, NUMBER_NONE, NUMBER_NO_UNIT, NUMBER_BAD_UNIT, NUMBER_TOO_LARGE };

/* Digits, then one of the units, then nothing. */
static enum number_fault number_with_unit(const char *s, const struct unit *units, uint64_t *ret)
{
	uint64_t n = 0;
	size_t i;

	if (!isdigit((unsigned char)*s))
		return NUMBER_NONE;
	for (; isdigit((unsigned char)*s); s++) {
		if (n > (INT64_MAX - 9) / 10)
			return NUMBER_TOO_LARGE;
		n = n * 10 + (uint64_t)(*s - '0');
	}
	if (!*s)
		return NUMBER_NO_UNIT;
	for (i = 0; units[i].name && strcmp(units[i].name, s) != 0; i++)
		;
	if (!units[i].name)
		return NUMBER_BAD_UNIT;
	if (n > INT64_MAX / units[i].factor)
		return NUMBER_TOO_LARGE;
	*ret = n * units[i].factor;
	return NUMBER_OK;
}

/* `expected` completes the sentence: "a size like "256MiB" (...)". */
static int read_number(struct reader *r, const char *key, json_t *v, const struct at *at, const struct unit *units,
		       const char *expected, uint64_t *ret)
{
	const char *s;

	if (json_is_number(v))
		return bad(r, at, "\"%s\" is a bare number, expected %s", key, expected);
	if (!json_is_string(v))
		return bad(r, at, "\"%s\" is %s, expected %s", key, type_name(v), expected);
	s = json_string_value(v);
	switch (number_with_unit(s, units, ret)) {
	case NUMBER_OK:
		return 0;
	case NUMBER_NONE:
		return bad(r, at, "\"%s\" is \"%s\", expected %s", key, shown(s), expected);
	case NUMBER_NO_UNIT:
		return bad(r, at, "\"%s\" is \"%s\" without a unit, expected %s", key, shown(s), expected);
	case NUMBER_BAD_UNIT:
		return bad(r, at, "\"%s\" is \"%s\" with an unknown unit, expected %s", key, shown(s), expected);
	case NUMBER_TOO_LARGE:
		break;
	}
	return bad(r, at, "\"%s\" is \"%s\", which is too large", key, shown(s));
}

int read_size(struct reader *r, const char *key, json_t *v, const struct at *at, uint64_t *ret)
{
	static const struct unit units[] = {
		{ "KiB", 1ull << 10 }, { "MiB", 1ull << 20 }, { "GiB", 1ull << 30 }, { "TiB", 1ull << 40 },
		{ "KB", 1000 }, { "MB", 1000000 }, { "GB", 1000000000 }, { "TB", 1000000000000 }, { NULL, 0 },
	};
	uint64_t n;
	int e = read_number(r, key, v, at, units,
			    "a size like \"256MiB\" (in KiB, MiB, GiB, TiB, KB, MB, GB or TB)", &n);

	if (e < 0)
		return e;
	if (n < BLK_BYTES)
		return bad(r, at, "\"%s\" is \"%s\", expected at least \"4KiB\"", key, shown(json_string_value(v)));
	*ret = ROUND_DOWN(n, BLK_BYTES);
	return 0;
}

int read_percent(struct reader *r, const char *key, json_t *v, const struct at *at, uint32_t *ret)
{
	static const struct unit units[] = { { "%", 1 }, { NULL, 0 } };
	static const char expected[] = "a percentage from \"1%\" to \"99%\"";
	uint64_t n;
	int e = read_number(r, key, v, at, units, expected, &n);

	if (e < 0)
		return e;
	if (n < 1 || n > 99)
		return bad(r, at, "\"%s\" is \"%s\", expected %s", key, shown(json_string_value(v)), expected);
	*ret = (uint32_t)n;
	return 0;
}

int read_duration(struct reader *r, const char *key, json_t *v, const struct at *at, uint64_t *ret_ns)
{
	static const struct unit units[] = {
		{ "ms", MSEC_NS }, { "s", SEC_NS }, { "min", 60 * SEC_NS }, { "h", 3600 * SEC_NS }, { NULL, 0 },
	};
	static const char expected[] = "a duration like \"30s\" (in ms, s, min or h)";
	uint64_t n;
	int e = read_number(r, key, v, at, units, expected, &n);

	if (e < 0)
		return e;
	if (n == 0)
		return bad(r, at, "\"%s\" is \"%s\", expected more than nothing", key, shown(json_string_value(v)));
	*ret_ns = n;
	return 0;
}

int read_count(struct reader *r, const char *key, json_t *v, const struct at *at, uint32_t least, uint32_t most,
	       uint32_t *ret)
{
	json_int_t n;

	if (!json_is_integer(v))
		return bad(r, at, "\"%s\" is %s, expected a whole number from %u to %u", key,
			   json_is_real(v) ? "a fraction" : type_name(v), least, most);
	n = json_integer_value(v);
	if (n < (json_int_t)least || n > (json_int_t)most)
		return bad(r, at, "\"%s\" is %" JSON_INTEGER_FORMAT ", expected a whole number from %u to %u", key, n,
			   least, most);
	*ret = (uint32_t)n;
	return 0;
}

int read_mode(struct reader *r, const char *key, json_t *v, const struct at *at, mode_t *ret)
{
	static const char expected[] = "an octal mode like \"0600\" or \"0660\"";
	const char *s = json_string_value(v);
	mode_t mode = 0;

	if (!s)
		return bad(r, at, "\"%s\" is %s, expected %s", key, type_name(v), expected);
	if (strlen(s) != 4 || *s != '0' || strspn(s, "01234567") != 4)
		return bad(r, at, "\"%s\" is \"%s\", expected %s", key, shown(s), expected);
	for (; *s; s++)
		mode = mode << 3 | (mode_t)(*s - '0');
	if ((mode & 0600) != 0600 || (mode & 0111))
		return bad(r, at, "\"%s\" is \"%s\", expected %s", key, shown(json_string_value(v)), expected);
	*ret = mode;
	return 0;
}

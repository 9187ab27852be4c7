/* SPDX-License-Identifier: GPL-2.0-only */
/* xml.c - a tree of JSON as XML. */
#include "ec2/xml.h"

#include <stdint.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd"

/* What stands for the character at s, and how long that is there; NULL: itself. */
static const char *instead(const char *s, size_t *len)
{
	unsigned char c = (unsigned char)*s;

	*len = 1;
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\r': /* parsers make a line feed of it */
		return "&#13;";
	case '\t':
	case '\n':
		return NULL;
	}
	if (c < 0x20)
		return REPLACEMENT;
	if (c != 0xef || (strncmp(s, "\xef\xbf\xbe", 3) && strncmp(s, "\xef\xbf\xbf", 3)))
		return NULL;
	*len = 3;
	return REPLACEMENT;
}

/* A stream belongs to the thread that writes the answer: no locks. */
static void put(FILE *f, const char *s)
{
	fputs_unlocked(s, f);
}

void xml_text(FILE *f, const char *s)
{
	const char *from = s, *other;
	size_t len;

	for (; *s; s += len) {
		other = instead(s, &len);
		if (!other)
			continue;
		fwrite_unlocked(from, 1, (size_t)(s - from), f);
		put(f, other);
		from = s + len;
	}
	fwrite_unlocked(from, 1, (size_t)(s - from), f);
}

static void content(FILE *f, const json_t *value)
{
	const json_t *v;
	size_t i;

	switch (json_typeof(value)) {
	case JSON_OBJECT:
		xml_members(f, value);
		break;
	case JSON_ARRAY:
		json_array_foreach(value, i, v) xml_element(f, "item", v);
		break;
	case JSON_STRING:
		xml_text(f, json_string_value(value));
		break;
	case JSON_INTEGER:
		fprintf(f, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		break;
	case JSON_REAL:
		fprintf(f, "%g", json_real_value(value));
		break;
	case JSON_TRUE:
		put(f, "true");
		break;
	case JSON_FALSE:
		put(f, "false");
		break;
	case JSON_NULL:
		break;
	}
}

static int is_empty(const json_t *v)
{
	if (json_is_string(v))
		return !json_string_length(v);
	return json_is_object(v) ? !json_object_size(v) : json_is_array(v) && !json_array_size(v);
}

void xml_element(FILE *f, const char *name, const json_t *value)
{
	if (!value || json_is_null(value))
		return;
	if (is_empty(value)) {
		put(f, "<");
		put(f, name);
		put(f, "/>");
		return;
	}
	put(f, "<");
	put(f, name);
	put(f, ">");
	content(f, value);
	put(f, "</");
	put(f, name);
	put(f, ">");
}

void xml_members(FILE *f, const json_t *object)
{
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)object, name, v) xml_element(f, name, v);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* xml.c - a tree of JSON as XML. */
#include "ec2/xml.h"

#include <stdint.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd"

void xml_text(FILE *f, const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '&')
			fputs("&amp;", f);
		else if (c == '<')
			fputs("&lt;", f);
		else if (c == '>')
			fputs("&gt;", f);
		else if (c == '"')
			fputs("&quot;", f);
		else if (c == '\r') /* parsers make a line feed of it */
			fputs("&#13;", f);
		else if (c < 0x20 && c != '\t' && c != '\n')
			fputs(REPLACEMENT, f);
		else if (!strncmp(s, "\xef\xbf\xbe", 3) || !strncmp(s, "\xef\xbf\xbf", 3)) {
			fputs(REPLACEMENT, f);
			s += 2;
		} else
			fputc(c, f);
	}
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
		fputs("true", f);
		break;
	case JSON_FALSE:
		fputs("false", f);
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
		fprintf(f, "<%s/>", name);
		return;
	}
	fprintf(f, "<%s>", name);
	content(f, value);
	fprintf(f, "</%s>", name);
}

void xml_members(FILE *f, const json_t *object)
{
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)object, name, v) xml_element(f, name, v);
}

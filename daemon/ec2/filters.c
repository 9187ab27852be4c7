/* SPDX-License-Identifier: GPL-2.0-only */
/* filters.c - EC2's filters: values of one are ORed, filters ANDed, with * and ?.
 *
 * They are looked for in what is about to be answered, so a filter finds exactly what the client would see. What the
 * verb can see to by itself is passed on to it besides, so that few of many rows are read.
 */
#include <stdio.h>
#include <string.h>

#include "ec2/priv.h"

bool ec2_glob(const char *pattern, const char *text)
{
	const char *star = NULL, *from = NULL;

	for (;;) {
		if (*pattern == '*') {
			star = ++pattern;
			from = text;
			continue;
		}
		if (!*text && !*pattern)
			return true;
		if (*text && *pattern == '?') {
			/* one character, not one byte of it */
			for (text++; (*text & 0xc0) == 0x80; text++)
				;
			pattern++;
			continue;
		}
		if (*pattern == '\\' && pattern[1] && pattern[1] == *text) {
			pattern += 2;
			text++;
			continue;
		}
		if (*text && *pattern == *text && (*pattern != '\\' || !pattern[1])) {
			pattern++;
			text++;
			continue;
		}
		if (!star || !*from)
			return false;
		pattern = star; /* the last star takes one more */
		text = ++from;
	}
}

static const struct ec2_filter *find(const struct ec2_filter *table, const char *name)
{
	for (; table && table->name; table++)
		if (ec2_glob(table->name, name))
			return table;
	return NULL;
}

static bool is_tags(const char *name)
{
	return (!strncmp(name, "tag:", 4) && name[4]) || !strcmp(name, "tag-key") || !strcmp(name, "tag-value");
}

bool ec2_filters_check(struct ec2_call *x, const struct ec2_filter *table, const char *tags_path)
{
	json_t *f;
	size_t i;

	json_array_foreach(x->filters, i, f)
	{
		const char *name = ec2_text(f, "name");

		if (!find(table, name) && !(tags_path && is_tags(name)))
			return ec2_fail(x, ebs_code_text(EBS_INVALID_PARAMETER), "The filter '%.100s' is invalid",
					name);
	}
	return true;
}

static bool matches(const json_t *values, const char *text)
{
	const json_t *v;
	size_t i;

	json_array_foreach(values, i, v)
	{
		if (ec2_glob(json_string_value(v), text))
			return true;
	}
	return false;
}

static bool leaf_matches(const json_t *leaf, const json_t *values)
{
	char number[24];

	if (json_is_string(leaf))
		return matches(values, json_string_value(leaf));
	if (json_is_boolean(leaf))
		return matches(values, json_is_true(leaf) ? "true" : "false");
	if (!json_is_integer(leaf))
		return false;
	snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(leaf));
	return matches(values, number);
}

/* Any of what lies at the path: of a set, any item. key: of tags with that one only. */
static bool path_matches(const json_t *at, const char *path, const char *key, const json_t *values)
{
	size_t len = strcspn(path, "."), i;
	const json_t *v;

	if (json_is_array(at)) {
		json_array_foreach(at, i, v)
		{
			if (path_matches(v, path, key, values))
				return true;
		}
		return false;
	}
	if (path[len])
		return path_matches(json_object_getn(at, path, len), path + len + 1, key, values);
	if (key && (!ec2_text(at, "key") || strcmp(ec2_text(at, "key"), key)))
		return false;
	return leaf_matches(json_object_getn(at, path, len), values);
}

static bool tags_match(const json_t *item, const char *tags_path, const char *name, const json_t *values)
{
	bool of_key = !strncmp(name, "tag:", 4);
	char path[64];

	snprintf(path, sizeof(path), "%s.%s", tags_path, !strcmp(name, "tag-key") ? "key" : "value");
	return path_matches(item, path, of_key ? name + 4 : NULL, values);
}

bool ec2_filters_match(const struct ec2_call *x, const struct ec2_filter *table, const char *tags_path,
		       const json_t *item)
{
	json_t *f;
	size_t i;

	json_array_foreach(x->filters, i, f)
	{
		const char *name = ec2_text(f, "name");
		const struct ec2_filter *known = find(table, name);
		const json_t *values = json_object_get(f, "values");

		if (known ? !known->path || !path_matches(item, known->path, NULL, values)
			  : !tags_match(item, tags_path, name, values))
			return false;
	}
	return true;
}

json_t *ec2_filters_column(const struct ec2_call *x, const struct ec2_filter *table, bool tags)
{
	json_t *columns = json_object(), *f;
	size_t i;

	json_array_foreach(x->filters, i, f)
	{
		const char *name = ec2_text(f, "name");
		const struct ec2_filter *known = find(table, name);
		const char *column = known ? known->column : tags && strcmp(name, "tag-value") ? name : NULL;

		if (column && !json_object_get(columns, column) && json_array_size(json_object_get(f, "values")))
			json_object_set(columns, column, json_object_get(f, "values"));
	}
	return columns;
}

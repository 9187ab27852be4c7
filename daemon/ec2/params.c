/* SPDX-License-Identifier: GPL-2.0-only */
/* params.c - a request's parameters against its action's table: all is checked and named anew before anything is done.
 *
 * Each parameter is taken out of the tree as it is read; what is left at the end is what the action does not know.
 */
#include <errno.h>
#include <string.h>

#include "ec2/priv.h"
#include "ec2/query.h"

/* The node at "A.B", taken out of the tree; new reference, NULL: it is not there. */
static json_t *take(json_t *tree, const char *path)
{
	size_t len = strcspn(path, ".");
	json_t *node = json_object_getn(tree, path, len), *found;

	if (!path[len]) {
		json_incref(node);
		json_object_deln(tree, path, len);
		return node;
	}
	found = node ? take(node, path + len + 1) : NULL;
	if (found && !json_object_size(node))
		json_object_deln(tree, path, len);
	return found;
}

static json_t *wrong(struct ec2_call *x, const struct ec2_param *p, const json_t *v, const char *expected)
{
	const char *text = json_string_value(v);

	ec2_fail(x, ebs_code_text(EBS_INVALID_PARAMETER), "Value (%.100s) for parameter %s is invalid. Expected %s.",
		 text ? text : "", p->name, expected);
	return NULL;
}

/* ---------------------------------------------------------------- one value */

static const struct {
	const char *prefix, *word;
	enum ebs_code missing;
} ids[] = {
	[P_VOLUME] = {"vol-", "volume", EBS_NO_VOLUME},
	[P_SNAPSHOT] = {"snap-", "snapshot", EBS_NO_SNAPSHOT},
	[P_INSTANCE] = {"i-", "instance", EBS_NO_INSTANCE},
};

/* Older ids had 8 digits: they are well-formed, but none of ours. (To a verb such a text would be a name.) */
static json_t *read_id(struct ec2_call *x, unsigned type, const json_t *v)
{
	const char *text = json_string_value(v), *digits = NULL;
	size_t prefix = strlen(ids[type].prefix), n = 0;

	if (!strncmp(text, ids[type].prefix, prefix)) {
		digits = text + prefix;
		n = strspn(digits, "0123456789abcdef");
	}
	if ((n != 8 && n != 17) || digits[n]) {
		if (type == P_INSTANCE)
			ec2_fail(x, EC2_MALFORMED_INSTANCE, "Invalid id: \"%.100s\"", text);
		else
			ec2_fail(x, ebs_code_text(EBS_INVALID_PARAMETER), "The %s ID '%.100s' is malformed",
				 ids[type].word, text);
	} else if (n == 8) {
		ec2_fail(x, ebs_code_text(ids[type].missing), "The %s%s '%s' does not exist%s", ids[type].word,
			 type == P_INSTANCE ? " ID" : "", text, type == P_INSTANCE ? "" : ".");
	}
	return x->code ? NULL : json_string(text);
}

static json_t *read_number(struct ec2_call *x, const struct ec2_param *p, const json_t *v)
{
	uint64_t factor = p->type == P_GIB ? GIB : p->type == P_MIB ? MIB : 1, n = 0;
	const char *text = json_string_value(v);
	size_t len = strspn(text, "0123456789");

	if (!len || text[len] || len > 9)
		return wrong(x, p, v, text[0] == '-' ? "a number that is not negative" : "an integer");
	for (size_t i = 0; i < len; i++)
		n = n * 10 + (uint64_t)(text[i] - '0');
	if (n < p->min || (p->max && n > p->max)) {
		ec2_fail(x, ebs_code_text(EBS_INVALID_PARAMETER),
			 "Value (%s) for parameter %s is invalid. Expected a number from %llu to %llu.", text, p->name,
			 (unsigned long long)p->min, (unsigned long long)(p->max ? p->max : 999999999));
		return NULL;
	}
	return json_integer((json_int_t)(n * factor));
}

static json_t *read_word(struct ec2_call *x, const struct ec2_param *p, const json_t *v)
{
	size_t len = json_string_length(v);

	for (const char *at = p->words; at && len;) {
		size_t n = strcspn(at, "|");

		if (n == len && !strncmp(at, json_string_value(v), n))
			return json_incref((json_t *)(uintptr_t)v);
		at = at[n] ? at + n + 1 : NULL;
	}
	return wrong(x, p, v, p->words);
}

static json_t *read_bool(struct ec2_call *x, const struct ec2_param *p, const json_t *v)
{
	if (!strcasecmp(json_string_value(v), "true"))
		return json_true();
	if (!strcasecmp(json_string_value(v), "false"))
		return json_false();
	return wrong(x, p, v, "true or false");
}

static json_t *read_one(struct ec2_call *x, const struct ec2_param *p, unsigned type, const json_t *v)
{
	if (!json_is_string(v))
		return wrong(x, p, v, "one value");
	switch (type) {
	case P_TEXT:
		if (p->min && json_string_length(v) < p->min)
			return wrong(x, p, v, "a text that is not empty");
		return json_incref((json_t *)(uintptr_t)v);
	case P_WORD:
		return read_word(x, p, v);
	case P_VOLUME:
	case P_SNAPSHOT:
	case P_INSTANCE:
		return read_id(x, type, v);
	case P_BOOL:
		return read_bool(x, p, v);
	default:
		return read_number(x, p, v);
	}
}

/* ---------------------------------------------------------------- lists */

/* The members of NAME.N; new reference. */
static json_t *members(struct ec2_call *x, const char *name, const json_t *v)
{
	struct err err = ERR_INIT;
	json_t *list = query_list(v, name, &err);

	if (!list)
		ec2_fail(x, ebs_code_text(EBS_INVALID_PARAMETER), "%s", err.text);
	return list;
}

static json_t *read_list(struct ec2_call *x, const struct ec2_param *p, const json_t *v)
{
	json_t *list = members(x, p->name, v), *made = json_array(), *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		json_t *value = x->code ? NULL : read_one(x, p, p->type & ~(unsigned)P_LIST, one);

		if (value)
			json_array_append_new(made, value);
	}
	json_decref(list);
	return made;
}

/* A member with nothing but these two, both texts if they are there. */
static bool is_pair(const json_t *o, const char *a, const char *b)
{
	size_t n = (json_object_get(o, a) != NULL) + (json_object_get(o, b) != NULL);

	return json_is_object(o) && json_object_size(o) == n;
}

static json_t *read_tags(struct ec2_call *x, const struct ec2_param *p, const json_t *v)
{
	json_t *list = members(x, p->name, v), *tags = json_object(), *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		json_t *key = json_object_get(one, "Key"), *value = json_object_get(one, "Value");

		if (!is_pair(one, "Key", "Value") || !json_is_string(key) || (value && !json_is_string(value)))
			wrong(x, p, NULL, "tags with a Key and a Value");
		else if (json_object_get(tags, json_string_value(key)))
			ec2_fail(x, ebs_code_text(EBS_INVALID_PARAMETER),
				 "Duplicate tag key '%.100s' specified.", json_string_value(key));
		else if (value)
			json_object_set(tags, json_string_value(key), value);
		else
			json_object_set_new(tags, json_string_value(key),
					    p->type == P_TAG_KEYS ? json_null() : json_string(""));
	}
	json_decref(list);
	return tags;
}

static json_t *read_tag_specs(struct ec2_call *x, const struct ec2_param *p, const json_t *v)
{
	struct ec2_param each = {"TagSpecification.N.Tag", P_TAGS, NULL, false, 0, 0, NULL};
	json_t *list = members(x, p->name, v), *all = json_object(), *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		const char *kind = ec2_text(one, "ResourceType");
		json_t *tags;

		if (!is_pair(one, "ResourceType", "Tag") || !kind)
			wrong(x, p, NULL, "a ResourceType and tags");
		else if (strcmp(kind, p->words))
			ec2_fail(x, ebs_code_text(EBS_INVALID_PARAMETER),
				 "'%.60s' is not a valid taggable resource type for this operation.", kind);
		if (x->code)
			break;
		tags = read_tags(x, &each, json_object_get(one, "Tag"));
		json_object_update(all, tags);
		json_decref(tags);
	}
	json_decref(list);
	return all;
}

static void read_filters(struct ec2_call *x, const struct ec2_param *p, const json_t *v)
{
	enum { FILTERS = 50, VALUES = 200 };
	struct ec2_param each = {"Filter.N.Value", P_TEXT | P_LIST, NULL, false, 0, 0, NULL};
	json_t *list = members(x, p->name, v), *one;
	size_t i, n = 0;

	x->filters = json_array();
	json_array_foreach(list, i, one)
	{
		json_t *name = json_object_get(one, "Name"), *values = NULL;

		if (!is_pair(one, "Name", "Value") || !json_is_string(name))
			wrong(x, p, NULL, "a Name and values");
		else if (!json_object_get(one, "Value"))
			ec2_fail(x, ebs_code_text(EBS_INVALID_PARAMETER), "The filter '%.100s' has no values",
				 json_string_value(name));
		if (x->code)
			break;
		values = read_list(x, &each, json_object_get(one, "Value"));
		n += json_array_size(values);
		json_array_append_new(x->filters, json_pack("{s:O, s:o}", "name", name, "values", values));
	}
	if (i > FILTERS || n > VALUES)
		ec2_fail(x, EC2_FILTER_LIMIT, "At most %d filters with together %d values are allowed", FILTERS,
			 VALUES);
	json_decref(list);
}

/* ---------------------------------------------------------------- all of them */

static json_t *read_param(struct ec2_call *x, const struct ec2_param *p, const json_t *v)
{
	switch (p->type) {
	case P_TAG_SPECS:
		return read_tag_specs(x, p, v);
	case P_TAGS:
	case P_TAG_KEYS:
		return read_tags(x, p, v);
	case P_FILTERS:
		read_filters(x, p, v);
		return NULL;
	case P_ANYTHING:
		return NULL;
	case P_NOT_HERE:
		if (!json_is_string(v) || strcasecmp(json_string_value(v), "false"))
			ec2_fail(x, EC2_UNSUPPORTED, "The parameter %s is not supported: %s.", p->name, p->words);
		return NULL;
	default:
		return p->type & P_LIST ? read_list(x, p, v) : read_one(x, p, p->type, v);
	}
}

static void read_table(struct ec2_call *x, json_t *tree, const struct ec2_param *p)
{
	for (; p->name && !x->code; p++) {
		json_t *v = take(tree, p->name), *made;

		if (!v && p->required)
			ec2_fail(x, ebs_code_text(EBS_MISSING_PARAMETER),
				 "The request must contain the parameter %s",
				 p->type == P_TEXT && p->words ? p->words : p->name);
		made = v ? read_param(x, p, v) : NULL;
		if (made && x->code)
			json_decref(made);
		else if (made)
			json_object_set_new(x->args, p->arg, made);
		json_decref(v);
	}
}

bool ec2_params(struct ec2_call *x, json_t *tree)
{
	static const struct ec2_param common[] = {
		{"DryRun", P_BOOL, "dry_run", false, 0, 0, NULL},
		{"Action", P_ANYTHING, NULL, false, 0, 0, NULL},
		{"Version", P_ANYTHING, NULL, false, 0, 0, NULL},
		PARAMS_END,
	};

	x->args = json_object();
	read_table(x, tree, common);
	read_table(x, tree, x->action->params);
	if (!x->code && json_object_size(tree))
		ec2_fail(x, ebs_code_text(EBS_UNKNOWN_PARAMETER), "The parameter %.100s is not recognized",
			 json_object_iter_key(json_object_iter(tree)));
	if (!json_is_true(ec2_given(x, "dry_run")))
		json_object_del(x->args, "dry_run");
	return !x->code;
}

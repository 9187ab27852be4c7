/* SPDX-License-Identifier: GPL-2.0-only */
/* args.c - a call's arguments against its verb's table: everything is checked before a verb sees any of it. */
#include <errno.h>
#include <gnutls/crypto.h>
#include <string.h>

#include "verbs/priv.h"

static const struct ebs_arg common[] = {
	{"token", EBS_TEXT, false, 1, EBS_TOKEN_MAX, NULL, "the same request again has its effect once"},
	{"dry_run", EBS_BOOL, false, 0, 0, NULL, "check only"},
	{"wait_ms", EBS_NUMBER, false, 0, 3600000, NULL, "how long to wait for the end"},
	{NULL, EBS_TEXT, false, 0, 0, NULL, NULL},
};

static const struct ebs_arg *find(const struct ebs_arg *args, const char *name)
{
	for (; args->name; args++)
		if (!strcmp(args->name, name))
			return args;
	return NULL;
}

static int wrong(struct ebs_call *c, const struct ebs_arg *a, const char *expected)
{
	return ebs_fail(c, EBS_INVALID_PARAMETER, -EINVAL, "\"%s\": expected %s", a->name, expected);
}

/* jansson has seen to it that it is UTF-8. */
static bool plain(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return false;
	return true;
}

static int check_text(struct ebs_call *c, const struct ebs_arg *a, const json_t *v)
{
	size_t len = json_string_length(v), max = a->max ? a->max : 255;

	if (!json_is_string(v))
		return wrong(c, a, "a string");
	if (len < a->min || len > max)
		return ebs_fail(c, EBS_INVALID_PARAMETER, -EINVAL, "\"%s\" has %zu bytes, expected %llu to %zu",
				a->name, len, (unsigned long long)a->min, max);
	return plain(json_string_value(v), len) ? 0 : wrong(c, a, "no control characters");
}

static int check_word(struct ebs_call *c, const struct ebs_arg *a, const json_t *v)
{
	const char *word = json_string_value(v), *at = a->words;
	size_t len = word ? strlen(word) : 0;

	while (len && at) {
		size_t n = strcspn(at, "|");

		if (n == len && !strncmp(at, word, n))
			return 0;
		at = at[n] ? at + n + 1 : NULL;
	}
	return wrong(c, a, a->words);
}

static int check_tags(struct ebs_call *c, const struct ebs_arg *a, json_t *v)
{
	const char *key;
	json_t *value;

	if (!json_is_object(v))
		return wrong(c, a, "an object of tags");
	json_object_foreach(v, key, value)
	{
		if (!json_is_string(value))
			return wrong(c, a, "tags with strings as values");
		if (!*key || strlen(key) > 4 * EBS_TAG_KEY_MAX || json_string_length(value) > 4 * EBS_TAG_VALUE_MAX ||
		    !plain(key, strlen(key)) || !plain(json_string_value(value), json_string_length(value)))
			return wrong(
				c, a,
				"tags with keys of 1 to 128 and values of at most 256 characters, none of control");
		if (!strncasecmp(key, "aws:", 4))
			return wrong(c, a, "no tag that begins with \"aws:\"");
	}
	return json_object_size(v) > EBS_TAGS_MAX
		       ? ebs_fail(c, EBS_TAG_LIMIT, -E2BIG, "\"%s\": at most %d tags", a->name, EBS_TAGS_MAX)
		       : 0;
}

static int check_texts(struct ebs_call *c, const struct ebs_arg *a, const json_t *v)
{
	static const size_t most_bytes = 1024;

	if (json_is_string(v))
		return json_string_length(v) <= most_bytes ? 0 : wrong(c, a, "shorter strings");
	if (!json_is_array(v) || json_array_size(v) > (a->max ? a->max : EBS_PAGE_MAX))
		return wrong(c, a, "an array of strings, not too many");
	for (size_t i = 0; i < json_array_size(v); i++) {
		const json_t *s = json_array_get(v, i);

		if (!json_is_string(s) || json_string_length(s) > most_bytes)
			return wrong(c, a, "an array of strings");
	}
	return 0;
}

static int check_filters(struct ebs_call *c, const struct ebs_arg *a, json_t *v)
{
	struct ebs_arg each = {a->name, EBS_TEXTS, false, 0, 200, NULL, NULL};
	const char *key;
	json_t *value;
	int rc = 0;

	if (!json_is_object(v) || json_object_size(v) > 50)
		return wrong(c, a, "an object of at most 50 filters");
	json_object_foreach(v, key, value) rc = rc ? rc : check_texts(c, &each, value);
	return rc;
}

static int check_number(struct ebs_call *c, const struct ebs_arg *a, const json_t *v)
{
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v))
		return wrong(c, a, "a whole number");
	if (n < 0 || (uint64_t)n < a->min || (a->max && (uint64_t)n > a->max))
		return ebs_fail(c, EBS_INVALID_PARAMETER, -ERANGE, "\"%s\" is %lld, expected %llu to %llu", a->name,
				(long long)n, (unsigned long long)a->min, (unsigned long long)a->max);
	return 0;
}

static int check_one(struct ebs_call *c, const struct ebs_arg *a, json_t *v)
{
	switch (a->type) {
	case EBS_TEXT:
	case EBS_ID:
		return check_text(c, a, v);
	case EBS_NUMBER:
		return check_number(c, a, v);
	case EBS_BOOL:
		return json_is_boolean(v) ? 0 : wrong(c, a, "true or false");
	case EBS_WORD:
		return check_word(c, a, v);
	case EBS_TAGS:
		return check_tags(c, a, v);
	case EBS_TEXTS:
		return check_texts(c, a, v);
	case EBS_FILTERS:
		return check_filters(c, a, v);
	}
	return -EINVAL;
}

bool args_check(struct ebs_call *c)
{
	const char *key;
	json_t *v;

	if (c->args && !json_is_object(c->args))
		return ebs_fail(c, EBS_INVALID_PARAMETER, -EINVAL, "expected an object of arguments"), false;
	json_object_foreach((json_t *)(uintptr_t)c->args, key, v)
	{
		const struct ebs_arg *a = find(c->verb->args, key);

		if (!a && c->verb->flags & EBS_CHANGES)
			a = find(common, key);
		if (!a) {
			ebs_fail(c, EBS_UNKNOWN_PARAMETER, -EINVAL, "%s has no argument \"%.60s\"", c->verb->name, key);
			return false;
		}
		if (check_one(c, a, v))
			return false;
	}
	for (const struct ebs_arg *a = c->verb->args; a->name; a++)
		if (a->required && !arg_given(c, a->name)) {
			ebs_fail(c, EBS_MISSING_PARAMETER, -EINVAL, "%s wants \"%s\": %s", c->verb->name, a->name,
				 a->help);
			return false;
		}
	c->dry = arg_bool(c, "dry_run");
	c->checked = true;
	return true;
}

json_t *arg_json(const struct ebs_call *c, const char *name)
{
	return json_object_get(c->args, name);
}

const char *arg_text(const struct ebs_call *c, const char *name)
{
	return json_string_value(arg_json(c, name));
}

bool arg_given(const struct ebs_call *c, const char *name)
{
	return arg_json(c, name) != NULL;
}

uint64_t arg_number(const struct ebs_call *c, const char *name, uint64_t otherwise)
{
	const json_t *v = arg_json(c, name);

	return v ? (uint64_t)json_integer_value(v) : otherwise;
}

bool arg_bool(const struct ebs_call *c, const char *name)
{
	return json_is_true(arg_json(c, name));
}

void args_digest(const struct ebs_call *c, char to[65])
{
	json_t *args = c->args ? json_copy((json_t *)(uintptr_t)c->args) : json_object();
	uint8_t digest[32] = {0};
	char *text;

	for (const struct ebs_arg *a = common; a->name; a++)
		json_object_del(args, a->name);
	text = json_dumps(args, JSON_SORT_KEYS | JSON_COMPACT);
	if (text)
		gnutls_hash_fast(GNUTLS_DIG_SHA256, text, strlen(text), digest);
	for (unsigned i = 0; i < 64; i++)
		to[i] = "0123456789abcdef"[i % 2 ? digest[i / 2] & 15 : digest[i / 2] >> 4];
	to[64] = '\0';
	free(text);
	json_decref(args);
}

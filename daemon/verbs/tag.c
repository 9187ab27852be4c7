/* SPDX-License-Identifier: GPL-2.0-only */
/* tag.c - tags of any resource: set, remove, list. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "verbs/priv.h"

static const struct kind *const kinds[] = {&kind_attachment, &kind_volume, &kind_snapshot,
					   &kind_host,       &kind_vm,     &kind_schedule};

/* By the form of its id; a text that is no id means a volume's name. */
static const struct kind *kind_of(const char *text)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (ebs_is_id(text, kinds[i]->prefix))
			return kinds[i];
	return &kind_volume;
}

static size_t nresources(const struct ebs_call *c)
{
	const json_t *v = arg_json(c, "resources");

	return json_is_string(v) ? 1 : json_array_size(v);
}

static const char *resource(const struct ebs_call *c, size_t i)
{
	const json_t *v = arg_json(c, "resources");

	return json_string_value(json_is_string(v) ? v : json_array_get(v, i));
}

static int set_begin(struct store_tx *tx, struct ebs_call *c, json_t *doc)
{
	int rc = 0;

	(void)doc;
	for (size_t i = 0; !rc && i < nresources(c); i++) {
		json_t *row = find_row(tx, c, kind_of(resource(c, i)), resource(c, i));

		rc = row ? tags_put(tx, c, text_of(row, "id"), arg_json(c, "tags")) : -ENOENT;
		json_decref(row);
	}
	return rc;
}

void run_tag_set(struct ebs_call *c)
{
	struct change ch = {.resource = nresources(c) ? resource(c, 0) : "", .begin = set_begin, .doc = json_object()};

	change_run(c, &ch);
}

/* A key with a value that it has not is left alone, as EC2 does. */
static int remove_one(struct store_tx *tx, struct ebs_call *c, const char *id, const char *key)
{
	struct err err = ERR_INIT;
	char *at = NULL;
	int rc = rights_may_set(c, key, NULL);

	if (!rc)
		rc = asprintf(&at, "%s\n%s", id, key) < 0 ? -ENOMEM : store_delete(tx, T_TAG, at, &err);
	free(at);
	return rc && rc != -ENOENT ? ebs_fail_err(c, &err) : 0;
}

static int remove_begin(struct store_tx *tx, struct ebs_call *c, json_t *doc)
{
	const json_t *keys = arg_json(c, "keys");
	int rc = keys ? 0 : rights_may_drop_all(c);

	(void)doc;
	for (size_t i = 0; !rc && i < nresources(c); i++) {
		json_t *row = find_row(tx, c, kind_of(resource(c, i)), resource(c, i));
		struct err err = ERR_INIT;

		if (!row)
			return -ENOENT;
		if (!keys)
			rc = tags_drop(tx, text_of(row, "id"), &err);
		else if (json_is_string(keys))
			rc = remove_one(tx, c, text_of(row, "id"), json_string_value(keys));
		for (size_t k = 0; !rc && k < json_array_size(keys); k++)
			rc = remove_one(tx, c, text_of(row, "id"), json_string_value(json_array_get(keys, k)));
		json_decref(row);
		if (err.code)
			ebs_fail_err(c, &err);
	}
	return rc;
}

void run_tag_remove(struct ebs_call *c)
{
	struct change ch = {
		.resource = nresources(c) ? resource(c, 0) : "", .begin = remove_begin, .doc = json_object()};

	change_run(c, &ch);
}

static json_t *tag_shown(struct store_tx *tx, const json_t *row, const json_t *tags, struct err *err)
{
	const char *id = text_of(row, "resource_id");

	(void)tx;
	(void)tags;
	(void)err;
	return json_pack("{s:s, s:s, s:O, s:O}", "resource", id, "kind", kind_of(id)->word, "key",
			 json_object_get(row, "key"), "value", json_object_get(row, "value"));
}

void run_tag_describe(struct ebs_call *c)
{
	static const struct kind kind_tag = {T_TAG, "tag-", "tag", EBS_NO_RESOURCE, NULL};

	find_list(c, &kind_tag, NULL, tag_shown);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* write.c - StartSnapshot, PutSnapshotBlock, CompleteSnapshot. */
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "direct/priv.h"

#define COMPLETE_WAIT_MS 5000 /* then it is "pending", and the client asks EC2 for its state */
#define VALUE "INVALID_PARAMETER_VALUE"

/* ---------------------------------------------------------------- start */

static const struct member {
	const char *name;
	int kind; /* 's' text, 'i' number, 'a' array, 'b' */
} members[] = {{"VolumeSize", 'i'}, {"ParentSnapshotId", 's'}, {"Tags", 'a'},      {"Description", 's'},
	       {"ClientToken", 's'}, {"Encrypted", 'b'},       {"KmsKeyArn", 's'}, {"Timeout", 'i'}};

static bool fits(const json_t *v, int kind)
{
	return kind == 's'   ? json_is_string(v)
	       : kind == 'i' ? json_is_integer(v)
	       : kind == 'a' ? json_is_array(v)
			     : json_is_boolean(v);
}

static bool check_members(struct direct_call *x, const json_t *body)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)body, key, v)
	{
		const struct member *m = NULL;

		for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++)
			m = !strcmp(members[i].name, key) ? &members[i] : m;
		if (!m)
			return direct_invalid(x, VALUE, "%.60s is no parameter of StartSnapshot.", key);
		if (!fits(v, m->kind))
			return direct_invalid(x, VALUE, "%s is of another type.", key);
	}
	if (json_is_true(json_object_get(body, "Encrypted")) || json_object_get(body, "KmsKeyArn"))
		return direct_invalid(x, VALUE, "Snapshots of this box are not encrypted.");
	return true;
}

/* New reference, or the call failed. */
static json_t *read_tags(struct direct_call *x, const json_t *list)
{
	json_t *tags = json_object(), *one;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)list, i, one)
	{
		const char *key = json_string_value(json_object_get(one, "Key"));
		json_t *value = json_object_get(one, "Value");

		if (key && json_is_string(value) && json_object_size(one) == 2 && !json_object_get(tags, key)) {
			json_object_set(tags, key, value);
			continue;
		}
		direct_invalid(x, "INVALID_TAG", "Tags: expected keys, each once, and values.");
		json_decref(tags);
		return NULL;
	}
	return tags;
}

/* A token may be longer here than it is for verbs. */
static json_t *read_token(const json_t *text)
{
	const char *s = json_string_value(text);
	uint8_t digest[32];
	char hex[65];

	if (!s || !*s)
		return NULL;
	if (strlen(s) <= EBS_TOKEN_MAX)
		return json_string(s);
	if (gnutls_hash_fast(GNUTLS_DIG_SHA256, s, strlen(s), digest))
		return NULL;
	for (unsigned i = 0; i < sizeof(digest); i++)
		text_fmt(hex + 2 * i, 3, "%02x", digest[i]);
	return json_string(hex);
}

/* The verb's arguments; new reference, or the call failed. */
static json_t *start_args(struct direct_call *x, const json_t *body)
{
	json_int_t gib = json_integer_value(json_object_get(body, "VolumeSize"));
	const json_t *timeout = json_object_get(body, "Timeout");
	const char *parent = json_string_value(json_object_get(body, "ParentSnapshotId"));
	json_t *tags;

	if (!check_members(x, body))
		return NULL;
	if (gib < 1 || gib > 65536) {
		direct_invalid(x, "INVALID_VOLUME_SIZE", "VolumeSize: expected 1 to 65536 GiB.");
		return NULL;
	}
	if (timeout && (json_integer_value(timeout) < 10 || json_integer_value(timeout) > 4320)) {
		direct_invalid(x, VALUE, "Timeout: expected 10 to 4320 minutes.");
		return NULL;
	}
	if (parent && !direct_id(x, parent))
		return NULL;
	tags = read_tags(x, json_object_get(body, "Tags"));
	if (!tags)
		return NULL;
	return json_pack("{s:I, s:O*, s:O*, s:O*, s:o, s:o*}", "size_bytes", gib * (json_int_t)GIB(1), "parent",
			 json_object_get(body, "ParentSnapshotId"), "description", json_object_get(body, "Description"),
			 "timeout_minutes", timeout, "tags", tags, "token",
			 read_token(json_object_get(body, "ClientToken")));
}

/* "2026-01-02T03:04:05.678Z" */
static double seconds_of(const char *text)
{
	struct tm tm = {0};
	const char *rest = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;

	return rest ? (double)timegm(&tm) + strtod(rest, NULL) : 0;
}

static void put_started(struct direct_call *x, const json_t *row, const json_t *body)
{
	json_t *tags = json_array(), *value;
	const char *key;

	json_object_foreach(json_object_get(row, "tags"), key, value)
		json_array_append_new(tags, json_pack("{s:s, s:O}", "Key", key, "Value", value));
	direct_put_json(
		x->a, 201,
		json_pack("{s:O, s:s, s:O, s:f, s:I, s:i, s:o, s:O*, s:O*}", "SnapshotId", json_object_get(row, "id"),
			  "OwnerId", "000000000000", "Status", json_object_get(row, "state"), "StartTime",
			  seconds_of(json_string_value(json_object_get(row, "created"))), "VolumeSize",
			  json_integer_value(json_object_get(row, "size_bytes")) / (json_int_t)GIB(1), "BlockSize",
			  (int)BLOCK_BYTES, "Tags", tags, "ParentSnapshotId", json_object_get(body, "ParentSnapshotId"),
			  "Description", json_object_get(body, "Description")));
}

bool direct_start(struct direct_call *x)
{
	json_t *body = json_loadb(x->q->body, x->q->len, JSON_REJECT_DUPLICATES, NULL), *args = NULL;
	struct ebs_call c;

	if (!json_is_object(body))
		direct_invalid(x, VALUE, "The body is no JSON object, or says a key twice.");
	else
		args = start_args(x, body);
	if (args) {
		c = direct_caller(x, args);
		ebs_run(x->e, "snapshot-start", &c);
		if (c.code)
			direct_fail_verb(x, c.code, c.err.text);
		else
			put_started(x, c.result, body);
		ebs_call_free(&c);
	} else if (!x->type) {
		direct_fail_verb(x, ebs_code_text(EBS_INTERNAL), "out of memory");
	}
	json_decref(args);
	json_decref(body);
	return !x->type;
}

/* ---------------------------------------------------------------- put */

static bool is_word(struct direct_call *x, const char *header, const char *word, bool required)
{
	const char *said = direct_header(x, header);

	if (said ? !strcmp(said, word) : !required)
		return true;
	return direct_invalid(x, VALUE, "%s: expected %s.", header, word);
}

static bool read_digest(struct direct_call *x, uint8_t to[BLOCK_DIGEST])
{
	if (direct_digest(direct_header(x, "x-amz-Checksum"), to))
		return true;
	return direct_invalid(x, VALUE, "x-amz-Checksum: expected a SHA-256 in base64.");
}

bool direct_put(struct direct_call *x)
{
	uint8_t said[BLOCK_DIGEST], is[BLOCK_DIGEST];
	uint64_t progress = 0;
	struct ebs_call c;

	if (!is_word(x, "x-amz-Data-Length", "524288", true) ||
	    !is_word(x, "x-amz-Checksum-Algorithm", "SHA256", true) || !read_digest(x, said) ||
	    !direct_number(x, "x-amz-Progress", direct_header(x, "x-amz-Progress"), 0, 100, &progress))
		return false;
	if (x->q->len != BLOCK_BYTES)
		return direct_invalid(x, "INVALID_BLOCK", "A block has 524288 bytes.");
	if (gnutls_hash_fast(GNUTLS_DIG_SHA256, x->q->body, BLOCK_BYTES, is))
		return direct_fail_verb(x, ebs_code_text(EBS_INTERNAL), "out of memory");
	if (memcmp(said, is, sizeof(is)) != 0)
		return direct_invalid(x, "INVALID_BLOCK", "The block's SHA-256 is not x-amz-Checksum.");
	c = direct_caller(x, NULL);
	if (block_write(x->e, &c, x->id, x->index, x->q->body, is))
		direct_fail_verb(x, c.code ? c.code : ebs_code_text(EBS_INTERNAL), c.err.text);
	ebs_call_free(&c);
	if (x->type)
		return false;
	direct_digest_text(is, x->a->digest);
	direct_put_header(x->a, "x-amz-Checksum", x->a->digest);
	direct_put_header(x->a, "x-amz-Checksum-Algorithm", "SHA256");
	direct_put_json(x->a, 201, json_object());
	return true;
}

/* ---------------------------------------------------------------- complete */

bool direct_complete(struct direct_call *x)
{
	const char *count = direct_header(x, "x-amz-ChangedBlocksCount");
	uint8_t digest[BLOCK_DIGEST];
	uint64_t n = 0;
	char hex[65] = "";
	struct ebs_call c;
	json_t *args;

	if (!count)
		return direct_invalid(x, VALUE, "x-amz-ChangedBlocksCount is missing.");
	if (!direct_number(x, "x-amz-ChangedBlocksCount", count, 0, BLOCK_INDEX_MAX, &n) ||
	    !is_word(x, "x-amz-Checksum-Algorithm", "SHA256", false) ||
	    !is_word(x, "x-amz-Checksum-Aggregation-Method", "LINEAR", false))
		return false;
	if (direct_header(x, "x-amz-Checksum")) {
		if (!read_digest(x, digest))
			return false;
		for (unsigned i = 0; i < sizeof(digest); i++)
			text_fmt(hex + 2 * i, 3, "%02x", digest[i]);
	}
	args = json_pack("{s:s, s:I, s:i, s:s*}", "snapshot", x->id, "changed_blocks", (json_int_t)n, "wait_ms",
			 COMPLETE_WAIT_MS, "checksum", *hex ? hex : NULL);
	c = direct_caller(x, args);
	ebs_run(x->e, "snapshot-complete", &c);
	if (c.code)
		direct_fail_verb(x, c.code, c.err.text);
	else
		direct_put_json(x->a, 202, json_pack("{s:O}", "Status", json_object_get(c.result, "state")));
	ebs_call_free(&c);
	json_decref(args);
	return !x->type;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* read.c - ListSnapshotBlocks, ListChangedBlocks, GetSnapshotBlock. */
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"
#include "direct/priv.h"

#define PAGE_MIN 100
#define PAGE_MAX 10000
#define ONES_PAGE 4096 /* blocks of the first snapshot that are asked for at once */

/* ---------------------------------------------------------------- lists */

struct list {
	struct direct_call *x;
	struct block_snapshot second, first;
	bool compared; /* with the first one */
	uint64_t from, room, until_s;
	char about[64]; /* of page tokens: which lists they belong to */
	uint32_t *indexes;
	bool *in_first;
	unsigned n;
	uint64_t next;
};

static bool find(struct direct_call *x, const char *id, struct block_snapshot *to)
{
	struct ebs_call c = direct_caller(x, NULL);
	bool ok = !block_find(x->e, &c, id, false, to);

	if (!ok)
		direct_fail_verb(x, c.code, c.err.text);
	ebs_call_free(&c);
	return ok;
}

/* What the query asks for. */
static bool read_query(struct list *l, const char *max, const char *start, const char *page)
{
	struct direct_call *x = l->x;

	l->room = PAGE_MAX;
	l->until_s = ebs_now_ms(x->e) / 1000;
	if (!direct_number(x, "maxResults", max, PAGE_MIN, PAGE_MAX, &l->room) ||
	    !direct_number(x, "startingBlockIndex", start, 0, BLOCK_INDEX_MAX - 1, &l->from))
		return false;
	if (page && token_look(x->e, TOKEN_PAGE, l->about, page, l->until_s, &l->from) != TOKEN_OK)
		return direct_invalid(x, "INVALID_PAGE_TOKEN", "The page token is not of this list, or has expired.");
	l->until_s += block_tokens_s(x->e);
	return true;
}

/* Which of them the first snapshot has: both lists ascend. */
static int mark_first(struct list *l, struct ebs_call *c)
{
	uint32_t *ones = malloc(ONES_PAGE * sizeof(*ones));
	uint64_t next = l->n ? l->indexes[0] : UINT64_MAX;
	unsigned at = 0, n;
	int rc = ones ? 0 : -ENOMEM;

	while (!rc && next != UINT64_MAX && next <= l->indexes[l->n - 1]) {
		rc = block_list(c, NULL, &l->first, next, ones, ONES_PAGE, &n, &next);
		for (unsigned i = 0; !rc && i < n; i++) {
			while (at < l->n && l->indexes[at] < ones[i])
				at++;
			if (at < l->n && l->indexes[at] == ones[i])
				l->in_first[at] = true;
		}
	}
	free(ones);
	return rc;
}

static bool collect(struct list *l)
{
	struct ebs_call c = direct_caller(l->x, NULL);
	struct block_snapshot again;
	int rc;

	l->indexes = calloc(l->room, sizeof(*l->indexes));
	l->in_first = calloc(l->room, sizeof(*l->in_first));
	rc = l->indexes && l->in_first ? block_find(l->x->e, &c, l->second.id, false, &again) : -ENOMEM;
	rc = rc ? rc
		: block_list(&c, l->compared ? &l->first : NULL, &l->second, l->from, l->indexes, (unsigned)l->room,
			     &l->n, &l->next);
	if (rc == -EINVAL)
		direct_invalid(l->x, "UNRELATED_SNAPSHOTS", "The snapshots are not of one volume and its clones.");
	if (!rc && l->compared)
		rc = mark_first(l, &c);
	if (rc)
		direct_fail_verb(l->x, c.code ? c.code : ebs_code_text(EBS_INTERNAL),
				 c.code ? c.err.text : "out of memory");
	ebs_call_free(&c);
	return !rc;
}

static json_t *token_of(struct list *l, const char *snapshot, uint64_t index)
{
	char token[TOKEN_CHARS + 1];

	return token_make(l->x->e, TOKEN_BLOCK, snapshot, index, l->until_s, token) ? json_string(token) : NULL;
}

static void put_list(struct list *l, const char *name, const char *second_name)
{
	uint64_t gib = ROUND_UP(l->second.size_bytes, GIB(1)) / GIB(1);
	json_t *blocks = json_array(), *next = NULL;
	char token[TOKEN_CHARS + 1];

	for (unsigned i = 0; i < l->n; i++) {
		json_t *b = json_pack("{s:I, s:o}", "BlockIndex", (json_int_t)l->indexes[i], second_name,
				      token_of(l, l->second.id, l->indexes[i]));

		if (b && l->in_first[i])
			json_object_set_new(b, "FirstBlockToken", token_of(l, l->first.id, l->indexes[i]));
		json_array_append_new(blocks, b);
	}
	if (l->next != UINT64_MAX && token_make(l->x->e, TOKEN_PAGE, l->about, l->next, l->until_s, token))
		next = json_string(token);
	direct_put_json(l->x->a, 200,
			json_pack("{s:o, s:f, s:I, s:i, s:o*}", name, blocks, "ExpiryTime", (double)l->until_s,
				  "VolumeSize", (json_int_t)gib, "BlockSize", (int)BLOCK_BYTES, "NextToken", next));
}

static bool list(struct list *l, const char *name, const char *second_name)
{
	struct direct_call *x = l->x;
	char *max = direct_param(x, "maxResults"), *start = direct_param(x, "startingBlockIndex");
	char *page = direct_param(x, "pageToken");
	bool ok;

	text_fmt(l->about, sizeof(l->about), "%s %s", l->second.id, l->compared ? l->first.id : "");
	ok = read_query(l, max, start, page) && collect(l);
	if (ok)
		put_list(l, name, second_name);
	free(l->indexes);
	free(l->in_first);
	free(max);
	free(start);
	free(page);
	return ok;
}

bool direct_list(struct direct_call *x)
{
	struct list l = {.x = x};

	return find(x, x->id, &l.second) && list(&l, "Blocks", "BlockToken");
}

bool direct_changed(struct direct_call *x)
{
	struct list l = {.x = x};
	char *first = direct_param(x, "firstSnapshotId");
	bool ok = find(x, x->id, &l.second);

	l.compared = first != NULL;
	if (ok && first)
		ok = direct_id(x, first) && find(x, first, &l.first);
	free(first);
	return ok && list(&l, "ChangedBlocks", "SecondBlockToken");
}

/* ---------------------------------------------------------------- one block */

static bool check_token(struct direct_call *x)
{
	char *token = direct_param(x, "blockToken");
	uint64_t index = UINT64_MAX;
	enum token_fault fault = TOKEN_FALSE;

	if (token)
		fault = token_look(x->e, TOKEN_BLOCK, x->id, token, ebs_now_ms(x->e) / 1000, &index);
	free(token);
	if (fault == TOKEN_EXPIRED)
		return direct_invalid(x, "INVALID_BLOCK_TOKEN", "The block token has expired.");
	if (fault || index != x->index)
		return direct_invalid(x, "INVALID_BLOCK_TOKEN", "The block token is not of this block.");
	return true;
}

/* The bytes go from the disk to the socket through this one buffer. */
static bool put_block(struct direct_call *x, char *buf)
{
	uint8_t digest[BLOCK_DIGEST];

	if (gnutls_hash_fast(GNUTLS_DIG_SHA256, buf, BLOCK_BYTES, digest))
		return direct_fail_verb(x, ebs_code_text(EBS_INTERNAL), "out of memory");
	direct_digest_text(digest, x->a->digest);
	direct_put_header(x->a, "x-amz-Data-Length", "524288");
	direct_put_header(x->a, "x-amz-Checksum", x->a->digest);
	direct_put_header(x->a, "x-amz-Checksum-Algorithm", "SHA256");
	x->a->status = 200;
	x->a->type = "application/octet-stream";
	x->a->body = buf;
	x->a->len = BLOCK_BYTES;
	return true;
}

bool direct_get(struct direct_call *x)
{
	struct ebs_call c = direct_caller(x, NULL);
	struct block_snapshot s;
	char *buf = NULL;
	bool ok = false;

	if (!check_token(x))
		return false;
	if (!block_find(x->e, &c, x->id, false, &s)) {
		buf = malloc(BLOCK_BYTES);
		if (!buf)
			direct_fail_verb(x, ebs_code_text(EBS_INTERNAL), "out of memory");
		else if (!block_read(&c, &s, x->index, buf))
			ok = put_block(x, buf);
	}
	if (!ok)
		free(buf);
	if (c.code)
		direct_fail_verb(x, c.code, c.err.text);
	ebs_call_free(&c);
	return ok;
}

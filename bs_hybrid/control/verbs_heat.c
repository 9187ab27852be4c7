/* SPDX-License-Identifier: GPL-2.0-only */
/* verbs_heat.c - volume-heat: where a volume is hot, and where its blocks are.
 *
 * A large volume has many blocks, and the loop that looks at them serves initiators. So one call looks at a bounded
 * number of them, and the client adds up what the calls of one cursor answer, bucket by bucket.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "control/verbs.h"

#define BUCKETS_DEFAULT 64u
#define PART_STEPS 1u	/* of hb_volume_places() in one call, where others wait */

struct walk {
	struct hb_volume_info info;
	struct hb_places_plan plan;
	uint64_t off_bytes;
	uint32_t buckets;
};

/* ------------------------------------------------------------------ cursor: the volume's id, the plan, how far */
static void cursor_write(char to[VERB_CURSOR_MAX], const struct walk *w)
{
	snprintf(to, VERB_CURSOR_MAX, "%" PRIx32 ".%" PRIx32 ".%" PRIx64 ".%" PRIx32 ".%" PRIx64, w->info.id,
		 w->buckets, w->plan.bucket_bytes, w->plan.every, w->off_bytes);
}

/* True: a cursor of this volume. One that was made up is no more dangerous: the engine checks the plan. */
static bool cursor_read(const char *cursor, struct walk *w)
{
	char again[VERB_CURSOR_MAX];
	uint32_t id = w->info.id;
	bool same;

	if (sscanf(cursor, "%" SCNx32 ".%" SCNx32 ".%" SCNx64 ".%" SCNx32 ".%" SCNx64, &w->info.id, &w->buckets,
		   &w->plan.bucket_bytes, &w->plan.every, &w->off_bytes) != 5)
		return false;
	cursor_write(again, w);
	same = w->info.id == id;
	w->info.id = id;
	return same && !strcmp(again, cursor) && w->buckets >= 1 && w->buckets <= HB_PLACES_BUCKETS_MAX;
}

static bool begin(struct verb_call *call, struct walk *w)
{
	const char *name = verb_arg_name(call, "name"), *cursor = verb_arg_name(call, "cursor");
	uint64_t buckets = verb_arg_uint(call, "buckets", BUCKETS_DEFAULT);

	if (!hb_volume_find(call->pool, name, &w->info))
		return !verb_fail(call, -ENOENT, "no volume '%s' in pool %s", name, hb_pool_name(call->pool));
	if (cursor)
		return cursor_read(cursor, w) ? true :
			!verb_fail(call, -EINVAL, "volume-heat: args.cursor is none of an earlier answer for this "
				   "volume");
	if (buckets > HB_PLACES_BUCKETS_MAX)
		return !verb_fail(call, -EINVAL, "volume-heat: args.buckets: expected 1 to %u", HB_PLACES_BUCKETS_MAX);
	w->buckets = (uint32_t)buckets;
	return hb_volume_places_plan(call->pool, w->info.id, w->buckets, &w->plan) == 0;
}

/* ------------------------------------------------------------------ the answer */
static json_t *bucket_json(unsigned i, const struct hb_places *b)
{
	json_t *o = json_pack("{s:I, s:I}", "bucket", (json_int_t)i, "dirty", (json_int_t)b->dirty);
	char name[VERB_TIER_MAX];

	for (unsigned k = 0; k < HB_PLACES; k++) {
		verb_place_name((enum hb_place)k, name);
		if (b->blocks[k])
			verb_put(&o, name, json_integer((json_int_t)b->blocks[k]));
	}
	return o;
}

/* Those in which anything was looked at. */
static json_t *buckets_json(const struct hb_places *b, uint32_t n)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < n; i++) {
		uint64_t looked = 0;

		for (unsigned k = 0; k < HB_PLACES; k++)
			looked += b[i].blocks[k];
		if (looked)
			verb_append(&list, bucket_json(i, &b[i]));
	}
	return list;
}

static json_t *heat_json(struct verb_call *call, uint32_t id)
{
	struct hb_heat *heat = mem_calloc(HB_PLACES_BUCKETS_MAX, sizeof(*heat));
	json_t *reads = json_array(), *writes = json_array();
	uint64_t bucket_bytes = 0;
	int n = heat ? hb_volume_heat(call->pool, id, heat, HB_PLACES_BUCKETS_MAX, &bucket_bytes) : 0;

	for (int i = 0; i < n; i++) {
		verb_append(&reads, json_real((double)heat[i].reads));
		verb_append(&writes, json_real((double)heat[i].writes));
	}
	mem_free(heat);
	if (n > 0)
		return json_pack("{s:I, s:o, s:o}", "bucket_bytes", (json_int_t)bucket_bytes, "reads", reads, "writes",
				 writes);
	json_decref(reads);
	json_decref(writes);
	return json_null();
}

static json_t *answer_json(struct verb_call *call, const struct walk *w, const struct hb_places *b, bool complete)
{
	bool first = !verb_arg_name(call, "cursor");	/* it has the heat; the rest would repeat it */
	char cursor[VERB_CURSOR_MAX];

	cursor_write(cursor, w);
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:b, s:o}", "name", w->info.name, "id",
			 (json_int_t)w->info.id, "size_bytes", (json_int_t)w->info.size_bytes, "bucket_bytes",
			 (json_int_t)w->plan.bucket_bytes, "sampled_one_in", (json_int_t)w->plan.every, "buckets",
			 buckets_json(b, w->buckets), "heat", first ? heat_json(call, w->info.id) : json_null(),
			 "complete", complete, "cursor", complete ? json_null() : json_string(cursor));
}

bool verb_volume_heat(struct verb_call *call)
{
	struct hb_places *b;
	struct walk w = {0};
	int rc = 0;

	if (!begin(call, &w))
		return true;
	b = mem_calloc(w.buckets, sizeof(*b));
	if (!b)
		return verb_fail(call, -ENOMEM, "out of memory");
	for (unsigned i = 0; rc == 0 && (call->host->may_wait || i < PART_STEPS); i++)
		rc = hb_volume_places(call->pool, w.info.id, &w.plan, &w.off_bytes, b, w.buckets);
	if (rc < 0)
		verb_fail(call, rc, "volume-heat: '%s': %s", w.info.name,
			  rc == -EINVAL ? "args.cursor is none of an earlier answer" : strerror(-rc));
	else
		verb_done(call, answer_json(call, &w, b, rc == 1));
	mem_free(b);
	return true;
}

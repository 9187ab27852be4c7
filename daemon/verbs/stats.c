/* SPDX-License-Identifier: GPL-2.0-only */
/* stats.c - what the pools count of volumes, by the catalogue's ids: volume-stats, volume-heat; and the questions to a
 * pool whose answers come in parts, added up.
 *
 * Counters begin at zero when a pool is opened. A volume that nobody had open or asked for anything since then has
 * none.
 */
#include <stdlib.h>
#include <string.h>

#include "verbs/priv.h"

#define BUCKETS_MAX 256u /* as the table says */
#define PARTS_MAX 4096u /* of one answer: a pool that never comes to an end is not asked for ever */

/* args: reference is taken. */
static json_t *ask(struct ebs *e, const char *pool, const char *verb, json_t *args, struct err *err)
{
	json_t *answer = pool_call(e->pools, pool, verb, args, POOL_CALL_MS, err);

	json_decref(args);
	return answer;
}

json_t *pool_stats(struct ebs *e, const char *pool, struct err *err)
{
	json_t *all = NULL, *volumes = json_object(), *next = NULL, *page, *v;
	size_t i;

	do {
		page = ask(e, pool, "stats", json_pack("{s:O*}", "after", next), err);
		json_decref(next);
		next = json_incref(json_object_get(page, "next"));
		json_array_foreach(json_object_get(page, "volumes"), i, v)
			json_object_set(volumes, text_of(v, "name") ? text_of(v, "name") : "", v);
		if (!page || !all) {
			json_decref(all);
			all = page;
		} else {
			json_decref(page);
		}
	} while (all && json_is_string(next));
	json_decref(next);
	if (all) {
		json_object_set(all, "volumes", volumes);
		json_object_del(all, "next");
	}
	json_decref(volumes);
	return all;
}

/* ---------------------------------------------------------------- heat */

/* Buckets of two answers are the same ones: their counts are added. sums: as many as there can be, or NULL. */
static void add_buckets(json_t *sums[BUCKETS_MAX], const json_t *list)
{
	const char *key;
	json_t *b, *n;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)list, i, b)
	{
		json_int_t at = number_of(b, "bucket");

		if (at < 0 || at >= (json_int_t)BUCKETS_MAX)
			continue;
		if (!sums[at])
			sums[at] = json_pack("{s:I}", "bucket", at);
		json_object_foreach(b, key, n)
		{
			if (strcmp(key, "bucket"))
				json_object_set_new(sums[at], key,
						    json_integer(number_of(sums[at], key) + json_integer_value(n)));
		}
	}
}

json_t *pool_heat(struct ebs *e, const char *pool, const char *name, unsigned buckets, struct err *err)
{
	json_t *sums[BUCKETS_MAX] = {NULL}, *all = NULL, *list = json_array(), *cursor = NULL, *part;
	unsigned parts = 0;

	do {
		part = ask(e, pool, "volume-heat",
			   cursor ? json_pack("{s:s, s:O}", "name", name, "cursor", cursor)
				  : json_pack("{s:s, s:i}", "name", name, "buckets", (int)buckets),
			   err);
		json_decref(cursor);
		cursor = json_incref(json_object_get(part, "cursor"));
		add_buckets(sums, json_object_get(part, "buckets"));
		if (!part || !all) {
			json_decref(all);
			all = part;
		} else {
			json_decref(part);
		}
	} while (all && json_is_string(cursor) && ++parts < PARTS_MAX);
	for (unsigned i = 0; i < BUCKETS_MAX; i++)
		if (sums[i])
			json_array_append_new(list, sums[i]);
	if (all) {
		json_object_set(all, "buckets", list);
		json_object_set_new(all, "complete", json_boolean(!json_is_string(cursor)));
		json_object_del(all, "cursor");
	}
	json_decref(cursor);
	json_decref(list);
	return all;
}

json_t *pool_usage(struct ebs *e, const char *pool, const char *name, struct err *err)
{
	json_t *all = NULL, *cursor = NULL;
	unsigned parts = 0;

	do { /* each has the sums so far */
		json_decref(all);
		all = ask(e, pool, "volume-usage", json_pack("{s:s, s:O*}", "name", name, "cursor", cursor), err);
		json_decref(cursor);
		cursor = json_incref(json_object_get(all, "cursor"));
	} while (all && json_is_string(cursor) && ++parts < PARTS_MAX);
	json_decref(cursor);
	return all;
}

void run_volume_heat(struct ebs_call *c)
{
	char *id = find_id(c, &kind_volume, arg_text(c, "volume"));
	unsigned buckets = (unsigned)arg_number(c, "buckets", 64);
	struct err err = ERR_INIT;
	json_t *v = id ? find_shown(c->ebs, &kind_volume, id, volume_brief, &err) : NULL, *heat = NULL;

	if (v)
		heat = pool_heat(c->ebs, text_of(v, "pool"), text_of(v, "pool_name"), buckets, &err);
	if (heat) {
		json_object_del(heat, "name");
		json_object_set(heat, "id", json_object_get(v, "id"));
		if (json_object_get(v, "name"))
			json_object_set(heat, "name", json_object_get(v, "name"));
		c->result = heat;
	} else if (id) {
		ebs_fail_err(c, &err);
	}
	json_decref(v);
	free(id);
}

/* ---------------------------------------------------------------- stats */

/* The pool's counters of that volume, if it has any; id and name are the catalogue's. */
static void put_counters(json_t *v, const json_t *stats)
{
	const char *name = text_of(v, "pool_name"), *key;
	json_t *n;

	json_object_foreach(name ? json_object_get(json_object_get(stats, "volumes"), name) : NULL, key, n)
	{
		if (strcmp(key, "id") && strcmp(key, "name"))
			json_object_set(v, key, n);
	}
	json_object_del(v, "pool_name");
}

/* What all of a pool's volumes do together is not for who may know of some of them only. */
static json_t *pool_shown(const struct ebs_call *c, const char *name, const json_t *stats, const struct err *err)
{
	json_t *p;

	if (!stats)
		return json_pack("{s:s, s:s}", "name", name, "error", err->text);
	if (c->only_tags)
		return json_pack("{s:s, s:O*}", "name", name, "health", json_object_get(stats, "health"));
	p = json_copy((json_t *)(uintptr_t)stats);
	json_object_del(p, "volumes");
	return p;
}

/* The pools are asked when the catalogue has been read: no transaction waits for them. */
void run_volume_stats(struct ebs_call *c)
{
	json_t *asked = json_object(), *pools = json_array(), *v;
	size_t i;

	find_list(c, &kind_volume, "volumes", volume_brief);
	json_array_foreach(json_object_get(c->result, "volumes"), i, v)
	{
		const char *pool = text_of(v, "pool");
		struct err err = ERR_INIT;

		if (!json_object_get(asked, pool)) {
			json_t *stats = pool_stats(c->ebs, pool, &err);

			json_array_append_new(pools, pool_shown(c, pool, stats, &err));
			json_object_set_new(asked, pool, stats ? stats : json_null());
		}
		put_counters(v, json_object_get(asked, pool));
	}
	if (c->result) { /* its rows are not those of volume-describe */
		json_object_set(c->result, "stats", json_object_get(c->result, "volumes"));
		json_object_set(c->result, "pools", pools);
		json_object_del(c->result, "volumes");
	}
	json_decref(pools);
	json_decref(asked);
}

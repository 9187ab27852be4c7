/* SPDX-License-Identifier: GPL-2.0-only */
/* verbs_volume.c - the verbs on one volume: create, delete, rename, grow, shrink, list, show. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "control/verbs.h"

/* What a volume was made from, by name; null if that was nothing, or is deleted. */
static json_t *parent_json(struct hb_pool *pool, const struct hb_volume_info *info)
{
	struct hb_volume_info parent;

	if (!info->parent_id || !hb_volume_find_id(pool, info->parent_id, &parent) || parent.deleting)
		return json_null();
	return json_string(parent.name);
}

static json_t *volume_json(struct hb_pool *pool, const struct hb_volume_info *info)
{
	json_t *o = json_pack("{s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:b, s:b}", "name", info->name, "uuid",
			      verb_uuid_json(info->uuid), "id", (json_int_t)info->id, "size_bytes",
			      (json_int_t)info->size_bytes, "mapped_bytes", (json_int_t)info->mapped_bytes, "created_s",
			      (json_int_t)info->created_s, "opens", (json_int_t)info->opens, "deleting",
			      info->deleting, "snapshot", info->snapshot);

	verb_put(&o, "parent", parent_json(pool, info));
	verb_put(&o, "parent_id", json_integer(info->parent_id));
	verb_put(&o, "family_id", json_integer(info->family_id));
	verb_put(&o, "content", info->snapshot ? verb_uuid_json(info->content) : json_null());
	verb_put(&o, "attributes", verb_attr_json(&info->attr));
	verb_put(&o, "waits", verb_waits_json(info));
	verb_put(&o, "settling", json_boolean(info->settling));
	verb_put(&o, "pinned_bytes", json_integer((json_int_t)info->pinned_bytes));
	verb_put(&o, "pinned_cached_bytes", json_integer((json_int_t)info->pinned_cached_bytes));
	verb_put(&o, "floor", verb_floor_json(info));
	return o;
}

json_t *verb_volume_json(struct verb_call *call, const char *name)
{
	struct hb_volume_info info;
	json_t *v;

	if (!hb_volume_find(call->pool, name, &info)) {
		err_set(&call->err, -ENOENT, "no volume '%s' in pool %s", name, hb_pool_name(call->pool));
		return NULL;
	}
	v = volume_json(call->pool, &info);
	if (!v)
		err_set(&call->err, -ENOMEM, "out of memory");
	return v;
}

bool verb_volume_changed(struct verb_call *call, const char *name)
{
	json_t *v = verb_volume_json(call, name);

	return v ? verb_done_durable(call, v) : true;
}

bool verb_volume_create(struct verb_call *call)
{
	const char *name = verb_arg_name(call, "name");

	if (hb_volume_create(call->pool, name, verb_arg_uint(call, "size_bytes", 0), &call->err))
		return true;
	return verb_volume_changed(call, name);
}

bool verb_volume_delete(struct verb_call *call)
{
	const char *name = verb_arg_name(call, "name");

	if (hb_volume_delete(call->pool, name, &call->err))
		return true;
	return verb_done_durable(call, json_pack("{s:s}", "deleted", name));
}

bool verb_volume_rename(struct verb_call *call)
{
	const char *new_name = verb_arg_name(call, "new_name");

	if (hb_volume_rename(call->pool, verb_arg_name(call, "name"), new_name, &call->err))
		return true;
	return verb_volume_changed(call, new_name);
}

bool verb_volume_grow(struct verb_call *call)
{
	const char *name = verb_arg_name(call, "name");

	if (hb_volume_grow(call->pool, name, verb_arg_uint(call, "size_bytes", 0), &call->err))
		return true;
	if (call->host->volume_grown)
		call->host->volume_grown(call->host->ctx, call->pool, name);
	return verb_volume_changed(call, name);
}

bool verb_volume_shrink(struct verb_call *call)
{
	const char *name = verb_arg_name(call, "name");

	if (!verb_arg_bool(call, "force"))
		return verb_fail(call, -EINVAL, "volume-shrink: initiators lose what lies behind the new end of '%s', "
				 "so it is only done with force", name);
	if (hb_volume_shrink(call->pool, name, verb_arg_uint(call, "size_bytes", 0), &call->err))
		return true;
	return verb_volume_changed(call, name);
}

bool verb_volume_list(struct verb_call *call)
{
	uint64_t limit = MIN(verb_arg_uint(call, "limit", VERB_LIST_MAX), VERB_LIST_MAX);
	const char *after = verb_arg_name(call, "after");
	char cursor[HB_NAME_MAX + 1] = "", last[HB_NAME_MAX + 1] = "";
	struct hb_volume_info info;
	json_t *list = json_array();
	bool more;

	if (after)
		snprintf(cursor, sizeof(cursor), "%s", after);
	while ((more = hb_volume_next(call->pool, cursor, &info)) && list && json_array_size(list) < limit) {
		verb_append(&list, volume_json(call->pool, &info));
		memcpy(last, info.name, sizeof(last));
	}
	return verb_done(call, json_pack("{s:o, s:o}", "volumes", list, "next",
					 more ? json_string(last) : json_null()));
}

#define CURVE_FIRST_BYTES MIB(16)
#define CURVE_SIZES 16u

/* What caches of some sizes, up to that of the volume, would have missed. Empty until something was asked of it. */
static void put_curve(const struct verb_call *call, uint32_t id, uint64_t size_bytes, json_t **o)
{
	uint64_t bytes[CURVE_SIZES];
	double miss[CURVE_SIZES];
	json_t *list = json_array();
	uint32_t n = 0;

	for (uint64_t at = CURVE_FIRST_BYTES; n < CURVE_SIZES && (!n || at < 2 * size_bytes); at *= 2)
		bytes[n++] = at;
	if (hb_volume_curve(call->pool, id, bytes, miss, n))
		n = 0;
	for (uint32_t i = 0; i < n; i++)
		verb_append(&list, json_pack("{s:I, s:f}", "cache_bytes", (json_int_t)bytes[i], "miss_ratio", miss[i]));
	verb_put(o, "miss_ratios", list);
}

bool verb_volume_show(struct verb_call *call)
{
	json_t *v = verb_volume_json(call, verb_arg_name(call, "name"));

	if (!v)
		return true;
	put_curve(call, (uint32_t)json_integer_value(json_object_get(v, "id")),
		  (uint64_t)json_integer_value(json_object_get(v, "size_bytes")), &v);
	return verb_done(call, v);
}

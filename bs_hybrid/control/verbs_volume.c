/* SPDX-License-Identifier: GPL-2.0-only */
/* verbs_volume.c - the verbs on volumes: create, delete, rename, grow, list, show. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "control/verbs.h"

static json_t *volume_json(const struct hb_volume_info *info)
{
	return json_pack("{s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:b}", "name", info->name, "uuid",
			 verb_uuid_json(info->uuid), "id", (json_int_t)info->id, "size_bytes",
			 (json_int_t)info->size_bytes, "mapped_bytes", (json_int_t)info->mapped_bytes, "created_s",
			 (json_int_t)info->created_s, "opens", (json_int_t)info->opens, "deleting", info->deleting);
}

/* Finds without opening, since closing waits for the requests of others. The cursor is a string below `name` with no
 * possible name between: the last byte less one, then a byte above all those of names (after a name of full length it
 * is cut off, and nothing longer exists).
 */
static bool find_info(struct hb_pool *pool, const char *name, struct hb_volume_info *ret)
{
	char cursor[HB_NAME_MAX + 1];
	size_t n = strlen(name);

	snprintf(cursor, sizeof(cursor), "%s\xff", name);
	cursor[n - 1]--;
	return hb_volume_next(pool, cursor, ret) && !strcmp(ret->name, name);
}

/* The state of the volume as it is now; NULL with call->err set. */
static json_t *volume_now(struct verb_call *call, const char *name)
{
	struct hb_volume_info info;
	json_t *v;

	if (!find_info(call->pool, name, &info)) {
		err_set(&call->err, -ENOENT, "no volume '%s' in pool %s", name, hb_pool_name(call->pool));
		return NULL;
	}
	v = volume_json(&info);
	if (!v)
		err_set(&call->err, -ENOMEM, "out of memory");
	return v;
}

/* After a change that succeeded: answers with the volume once durable. */
static bool changed(struct verb_call *call, const char *name)
{
	json_t *v = volume_now(call, name);

	return v ? verb_done_durable(call, v) : true;
}

bool verb_volume_create(struct verb_call *call)
{
	const char *name = verb_arg_name(call, "name");

	if (hb_volume_create(call->pool, name, verb_arg_uint(call, "size_bytes", 0), &call->err))
		return true;
	return changed(call, name);
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
	return changed(call, new_name);
}

bool verb_volume_grow(struct verb_call *call)
{
	const char *name = verb_arg_name(call, "name");

	if (hb_volume_grow(call->pool, name, verb_arg_uint(call, "size_bytes", 0), &call->err))
		return true;
	if (call->host->volume_grown)
		call->host->volume_grown(call->host->ctx, call->pool, name);
	return changed(call, name);
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
		verb_append(&list, volume_json(&info));
		memcpy(last, info.name, sizeof(last));
	}
	return verb_done(call, json_pack("{s:o, s:o}", "volumes", list, "next",
					 more ? json_string(last) : json_null()));
}

bool verb_volume_show(struct verb_call *call)
{
	json_t *v = volume_now(call, verb_arg_name(call, "name"));

	return v ? verb_done(call, v) : true;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* drop.c - what is to be gone from a pool: seen to be idle, deleted, and known to be gone.
 *
 * Crash story: a pool whose disk is late at a start of tgtd is not open; what is deleted then would be forgotten by the
 * catalogue, with all its bytes still there. So only an open pool's -ENOENT means gone; a closed one is -EAGAIN.
 */
#include <errno.h>
#include <string.h>

#include "verbs/priv.h"

int pool_is_open(struct ebs *e, const char *pool, struct err *err)
{
	json_t *all = pool_call(e->pools, NULL, "pools", NULL, POOL_CALL_MS, err), *one;
	bool open = false;
	size_t i;

	if (!all)
		return err->code;
	json_array_foreach(json_object_get(all, "pools"), i, one)
	{
		const char *name = json_string_value(json_object_get(one, "name"));

		open |= !pool || (name && !strcmp(name, pool));
	}
	json_decref(all);
	return open ? 0 : err_set(err, -ECONNREFUSED, "pool %s is not open", pool ? pool : "?");
}

static json_t *ask(struct ebs *e, const char *pool, const char *verb, const char *name, struct err *err)
{
	json_t *args = json_pack("{s:s}", "name", name), *result;

	result = args ? pool_call(e->pools, pool, verb, args, POOL_CALL_MS, err) : NULL;
	if (!args)
		err_set(err, -EINVAL, "no name in a pool");
	json_decref(args);
	return result;
}

int pool_drop(struct ebs *e, const char *pool, const char *name, struct err *err)
{
	json_t *result = ask(e, pool, "volume-delete", name, err);

	json_decref(result);
	if (!result && err->code != -ENOENT)
		return err->code;
	*err = ERR_INIT;
	return 0;
}

int pool_has(struct ebs *e, const char *pool, const char *name, struct err *err)
{
	json_t *shown = ask(e, pool, "volume-show", name, err);
	bool there = shown != NULL;

	json_decref(shown);
	if (!there && err->code != -ENOENT)
		return err->code;
	*err = ERR_INIT;
	return there;
}

int pool_idle(struct ebs *e, const char *pool, const char *name, struct err *err)
{
	json_t *shown = ask(e, pool, "volume-show", name, err);
	int rc = 0;

	if (shown && json_integer_value(json_object_get(shown, "opens")))
		rc = err_set(err, -EBUSY, "%s is open in tgtd by a target that is not ours", name);
	else if (!shown && err->code == -ENOENT)
		*err = ERR_INIT;
	else if (!shown)
		rc = err->code;
	json_decref(shown);
	return rc;
}

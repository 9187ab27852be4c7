/* SPDX-License-Identifier: GPL-2.0-only */
/* verbs.c - the table of verbs, the check of their arguments, and how a verb ends.
 *
 * Order that matters: a change (volume-create and the like) is in the log's memory when the engine's function returns.
 * Its answer is held back until hb_sync() says it is durable. If power fails before, nobody was told of the change, and
 * it may be there or not after the restart; both are right.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "control/proto.h"
#include "control/verbs.h"

static bool verb_version(struct verb_call *call);

const struct verb verbs[] = {
	{"version", false, {{0}}, verb_version, "The version of the program and of the protocol, and all verbs."},
	{"pools", false, {{0}}, verb_pools, "All open pools: name, uuid, space, health."},
	{"pool-show", true, {{0}}, verb_pool_show, "One pool: space, tiers, devices, health."},
	{"stats", true, {{0}}, verb_stats, "All counters and latency histograms of a pool."},
	{"volume-create", true,
	 {{"name", VERB_ARG_NAME, true}, {"size_bytes", VERB_ARG_BYTES, true}, {0}},
	 verb_volume_create, "Makes a volume; it reads as zeros and takes no space until written."},
	{"volume-delete", true, {{"name", VERB_ARG_NAME, true}, {0}},
	 verb_volume_delete, "Deletes a volume that is not open; its space comes back in the background."},
	{"volume-rename", true,
	 {{"name", VERB_ARG_NAME, true}, {"new_name", VERB_ARG_NAME, true}, {0}},
	 verb_volume_rename, "Gives a volume another name; its uuid stays."},
	{"volume-grow", true,
	 {{"name", VERB_ARG_NAME, true}, {"size_bytes", VERB_ARG_BYTES, true}, {0}},
	 verb_volume_grow, "Makes a volume larger, also while it is open."},
	{"volume-list", true,
	 {{"after", VERB_ARG_NAME, false}, {"limit", VERB_ARG_COUNT, false}, {0}},
	 verb_volume_list, "Volumes in order of name; \"next\" in the answer says where to go on."},
	{"volume-show", true, {{"name", VERB_ARG_NAME, true}, {0}},
	 verb_volume_show, "One volume."},
	{"flush", true, {{0}}, verb_flush, "Answers when every write answered so far is durable."},
	{"writeback", true, {{0}}, verb_writeback, "Writes all dirty blocks to the capacity device."},
	{"check", true, {{"deep", VERB_ARG_BOOL, false}, {0}},
	 verb_check, "Compares all that is derived with what it derives from; deep reads every checksum too."},
	{0},
};

bool verb_fail(struct verb_call *call, int code, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err_set(&call->err, code, "%s", text);
	return true;
}

bool verb_done(struct verb_call *call, json_t *result)
{
	if (!result)
		return verb_fail(call, -ENOMEM, "out of memory");
	call->result = result;
	return true;
}

/* The change is made; whether it will outlive a power cut is now known. */
static void synced(struct verb_call *call)
{
	if (call->sync.error == 0)
		return;
	json_decref(call->result);
	call->result = NULL;
	verb_fail(call, call->sync.error, "%s: done, but it could not be made durable: %s", call->verb->name,
		  strerror(-call->sync.error));
}

static void sync_done(struct hb_req *req)
{
	struct verb_call *call = req->owner;

	synced(call);
	call->answered(call);
}

bool verb_done_durable(struct verb_call *call, json_t *result)
{
	verb_done(call, result);
	if (call->err.code)
		return true;
	memset(&call->sync, 0, sizeof(call->sync));
	call->sync.op = HB_FLUSH;
	call->sync.done = sync_done;
	call->sync.owner = call;
	if (!hb_sync(call->pool, &call->sync))
		return false;
	synced(call);
	return true;
}

const char *verb_arg_name(const struct verb_call *call, const char *arg)
{
	return json_string_value(json_object_get(call->args, arg));
}

uint64_t verb_arg_uint(const struct verb_call *call, const char *arg, uint64_t otherwise)
{
	const json_t *v = json_object_get(call->args, arg);

	return v ? (uint64_t)json_integer_value(v) : otherwise;
}

bool verb_arg_bool(const struct verb_call *call, const char *arg)
{
	return json_is_true(json_object_get(call->args, arg));
}

static void poison(json_t **o)
{
	json_decref(*o);
	*o = NULL;
}

void verb_put(json_t **o, const char *key, json_t *v)
{
	if (json_object_set_new(*o, key, v))
		poison(o);
}

void verb_append(json_t **list, json_t *v)
{
	if (json_array_append_new(*list, v))
		poison(list);
}

json_t *verb_text_json(const char *text)
{
	char clean[ERR_TEXT_MAX];
	json_t *s = json_string(text);
	size_t n;

	if (s)
		return s;
	for (n = 0; text[n] && n < sizeof(clean) - 1; n++)
		clean[n] = text[n] >= ' ' && text[n] <= '~' ? text[n] : '?';
	clean[n] = '\0';
	return json_string(clean);
}

json_t *verb_uuid_json(const uint8_t uuid[16])
{
	char text[37], *p = text;

	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		p += snprintf(p, 3, "%02x", uuid[i]);
	}
	return json_string(text);
}

/* ------------------------------------------------------------------ arguments */
static const char *json_type_name(const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
		return "an integer";
	case JSON_REAL:
		return "a number with a fraction";
	case JSON_TRUE:
	case JSON_FALSE:
		return "a boolean";
	case JSON_NULL:
	default:
		return "null";
	}
}

/* NULL if `v` fits, else what was expected. */
static const char *arg_expected(const struct verb_arg *arg, const json_t *v)
{
	switch (arg->type) {
	case VERB_ARG_NAME:
		return json_is_string(v) ? NULL : "a name (a string)";
	case VERB_ARG_BYTES:
		return json_is_integer(v) && json_integer_value(v) >= 0 ? NULL : "a whole number of bytes";
	case VERB_ARG_COUNT:
		return json_is_integer(v) && json_integer_value(v) > 0 ? NULL : "a whole number above 0";
	case VERB_ARG_BOOL:
	default:
		return json_is_boolean(v) ? NULL : "true or false";
	}
}

static int check_arg(struct verb_call *call, const struct verb_arg *arg)
{
	const json_t *v = json_object_get(call->args, arg->name);
	const char *expected;

	if (!v && arg->required)
		return err_set(&call->err, -EINVAL, "%s: args.%s is missing", call->verb->name, arg->name);
	if (!v)
		return 0;
	expected = arg_expected(arg, v);
	if (expected)
		return err_set(&call->err, -EINVAL, "%s: args.%s: expected %s, got %s", call->verb->name, arg->name,
			       expected, json_is_integer(v) ? "one out of range" : json_type_name(v));
	if (arg->type == VERB_ARG_NAME && !hb_name_ok(json_string_value(v)))
		return err_set(&call->err, -EINVAL,
			       "%s: args.%s: \"%.80s\" is no name: expected up to %d letters, digits and . _ -, "
			       "beginning with a letter or digit",
			       call->verb->name, arg->name, json_string_value(v), HB_NAME_MAX);
	return 0;
}

static int check_args(struct verb_call *call)
{
	const struct verb_arg *arg;
	const char *key;
	json_t *v;

	if (call->args && !json_is_object(call->args))
		return err_set(&call->err, -EINVAL, "args: expected an object, got %s", json_type_name(call->args));
	json_object_foreach((json_t *)call->args, key, v) {
		for (arg = call->verb->args; arg->name; arg++)
			if (!strcmp(arg->name, key))
				break;
		if (!arg->name)
			return err_set(&call->err, -EINVAL, "%s: args.%.80s is not known", call->verb->name, key);
	}
	for (arg = call->verb->args; arg->name; arg++)
		if (check_arg(call, arg))
			return call->err.code;
	return 0;
}

/* ------------------------------------------------------------------ running */
static const struct verb *find_verb(const char *name)
{
	for (const struct verb *v = verbs; v->name; v++)
		if (!strcmp(v->name, name))
			return v;
	return NULL;
}

static int find_pool(struct verb_call *call, const char *name)
{
	const struct verb_host *host = call->host;
	struct hb_pool *first;

	if (!call->verb->wants_pool) {
		if (name)
			return err_set(&call->err, -EINVAL, "%s takes no pool", call->verb->name);
		return 0;
	}
	if (name) {
		call->pool = host->find(host->ctx, name);
		if (!call->pool)
			return err_set(&call->err, -ENOENT, "no open pool is named \"%.80s\"", name);
		return 0;
	}
	first = host->next(host->ctx, NULL);
	if (!first)
		return err_set(&call->err, -ENOENT, "no pool is open");
	if (host->next(host->ctx, first))
		return err_set(&call->err, -EINVAL, "several pools are open: expected \"pool\" to name one");
	call->pool = first;
	return 0;
}

bool verb_run(struct verb_call *call, const char *name, const char *pool, const json_t *args)
{
	bool done;

	call->verb = find_verb(name);
	if (!call->verb)
		return verb_fail(call, -EOPNOTSUPP, "no verb is named \"%.80s\"", name);
	call->args = args;
	done = check_args(call) || find_pool(call, pool) || call->verb->run(call);
	call->args = NULL;
	return done;
}

/* ------------------------------------------------------------------ version */
static json_t *arg_list_json(const struct verb *verb)
{
	static const char *const types[] = {"name", "bytes", "count", "boolean"};
	json_t *list = json_array();

	for (const struct verb_arg *a = verb->args; a->name; a++)
		verb_append(&list, json_pack("{s:s, s:s, s:b}", "name", a->name, "type", types[a->type], "required",
					     a->required));
	return list;
}

static bool verb_version(struct verb_call *call)
{
	json_t *list = json_array();

	for (const struct verb *v = verbs; v->name; v++)
		verb_append(&list, json_pack("{s:s, s:b, s:o, s:s}", "verb", v->name, "pool", v->wants_pool, "args",
					     arg_list_json(v), "help", v->help));
	return verb_done(call, json_pack("{s:s, s:i, s:o}", "version", HB_VERSION, "protocol", PROTO_VERSION,
					 "verbs", list));
}

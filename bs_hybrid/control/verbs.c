/* SPDX-License-Identifier: GPL-2.0-only */
/* verbs.c - the table of verbs, the check of their arguments, and how a verb ends.
 *
 * Order that matters: a change (volume-create and the like) is in the log's memory when the engine's function returns.
 * Its answer is held back until hb_sync() says it is durable. If power fails before, nobody was told of the change, and
 * it may be there or not after the restart; both are right.
 */
#include <errno.h>
#include <limits.h>
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
	{"stats", true, {{"after", VERB_ARG_NAME, false}, {"limit", VERB_ARG_COUNT, false}, {0}}, verb_stats,
	 "All counters and latency histograms of a pool, its tiers and volumes; \"next\" says where volumes go on."},
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
	{"volume-shrink", true,
	 {{"name", VERB_ARG_NAME, true}, {"size_bytes", VERB_ARG_BYTES, true}, {"force", VERB_ARG_BOOL, false}, {0}},
	 verb_volume_shrink, "Cuts off the end of a volume that is not open, if nothing is mapped there; wants force."},
	{"volume-set", true,
	 {{"name", VERB_ARG_NAME, true}, {"mode", VERB_ARG_WORD, false}, {"iops", VERB_ARG_NUMBER, false},
	  {"bandwidth_bytes", VERB_ARG_BYTES, false}, {"burst_s", VERB_ARG_NUMBER, false},
	  {"share", VERB_ARG_NUMBER, false}, {"bypass", VERB_ARG_AMOUNT, false}, {"read_ahead", VERB_ARG_AMOUNT, false},
	  {"cache_floor_bytes", VERB_ARG_BYTES, false}, {"cache_floor_percent", VERB_ARG_NUMBER, false},
	  {"pin", VERB_ARG_RANGES, false}, {"unpin", VERB_ARG_RANGES, false}, {0}},
	 verb_volume_set, "Sets attributes of a volume, also while it is open: mode, ceilings, share, floor, pins."},
	{"volume-snapshot", true,
	 {{"name", VERB_ARG_NAME, true}, {"snapshot", VERB_ARG_NAME, true}, {0}},
	 verb_volume_snapshot, "Freezes what a volume holds now, also while it is open."},
	{"snapshot-group", true, {{"members", VERB_ARG_SNAPSHOTS, true}, {0}},
	 verb_snapshot_group, "Snapshots of several volumes at one instant, all or none."},
	{"volume-clone", true,
	 {{"name", VERB_ARG_NAME, true}, {"clone", VERB_ARG_NAME, true}, {0}},
	 verb_volume_clone, "Makes a volume that begins as a snapshot or volume and shares all blocks with it."},
	{"volume-revert", true,
	 {{"name", VERB_ARG_NAME, true}, {"snapshot", VERB_ARG_NAME, true}, {"keep", VERB_ARG_NAME, false},
	  {"in_use", VERB_ARG_BOOL, false}, {0}},
	 verb_volume_revert, "Takes a volume back to a snapshot; the state before becomes the snapshot \"keep\"."},
	{"revert-group", true,
	 {{"members", VERB_ARG_REVERTS, true}, {"in_use", VERB_ARG_BOOL, false}, {0}},
	 verb_revert_group, "Takes several volumes back to snapshots at one instant, all or none."},
	{"volume-usage", true,
	 {{"name", VERB_ARG_NAME, true}, {"cursor", VERB_ARG_CURSOR, false}, {0}},
	 verb_volume_usage, "What a volume has alone and what it shares; asked again with \"cursor\" until complete."},
	{"volume-diff", true,
	 {{"from", VERB_ARG_NAME, false}, {"to", VERB_ARG_NAME, true}, {"offset_bytes", VERB_ARG_BYTES, false},
	  {"limit", VERB_ARG_COUNT, false}, {0}},
	 verb_volume_diff, "Runs in which a snapshot differs from another or nothing; \"next\" says where to go on."},
	{"volume-heat", true,
	 {{"name", VERB_ARG_NAME, true}, {"buckets", VERB_ARG_COUNT, false}, {"cursor", VERB_ARG_CURSOR, false}, {0}},
	 verb_volume_heat, "Where a volume is hot and where its blocks are; asked again with \"cursor\" and added up."},
	{"volume-list", true,
	 {{"after", VERB_ARG_NAME, false}, {"limit", VERB_ARG_COUNT, false}, {0}},
	 verb_volume_list, "Volumes in order of name; \"next\" in the answer says where to go on."},
	{"volume-show", true, {{"name", VERB_ARG_NAME, true}, {0}},
	 verb_volume_show, "One volume."},
	{"pool-grow", true, {{0}}, verb_pool_grow,
	 "Takes into use what the capacity device has grown by; asked again until \"growing\" is false."},
	{"tier-list", true, {{0}}, verb_tier_list,
	 "All tiers, fastest first: ram, write tier, cache levels, capacity; size, use, state, hits, errors."},
	{"tier-add", true,
	 {{"path", VERB_ARG_PATH, true}, {"size_bytes", VERB_ARG_BYTES, false}, {"force", VERB_ARG_BOOL, false}, {0}},
	 verb_tier_add, "An empty device becomes a cache level below the others; \"line\" is for the configuration."},
	{"tier-remove", true, {{"level", VERB_ARG_COUNT, true}, {0}},
	 verb_tier_remove, "Empties a cache level and lets its device go; nothing is lost but what was cached."},
	{"tier-replace", true, {{"path", VERB_ARG_PATH, true}, {"force", VERB_ARG_BOOL, false}, {0}},
	 verb_tier_replace, "An empty device in the place of the half of a mirrored write tier that is out."},
	{"flush", true, {{0}}, verb_flush, "Answers when every write answered so far is durable."},
	{"writeback", true, {{0}}, verb_writeback, "Writes all dirty blocks to the capacity device."},
	{"scrub-start", true, {{"what", VERB_ARG_NAME, false}, {"rate_bytes_s", VERB_ARG_BYTES, false}, {0}},
	 verb_scrub_start, "Begins to read all in the background and to heal what is bad: fast, capacity or all."},
	{"scrub-stop", true, {{0}}, verb_scrub_stop, "Ends a scrub before its end; answers as scrub-status."},
	{"scrub-status", true, {{0}}, verb_scrub_status,
	 "How far the scrub is, or the last one since open, and what it found."},
	{"check", true, {{"deep", VERB_ARG_BOOL, false}, {0}},
	 verb_check, "Compares all that is derived with what it derives from; deep reads every checksum too."},
	{0},
};

/* What the members of a group have. */
static const struct verb_arg snapshot_fields[] = {
	{"volume", VERB_ARG_NAME, true}, {"snapshot", VERB_ARG_NAME, true}, {0}};
static const struct verb_arg revert_fields[] = {
	{"volume", VERB_ARG_NAME, true}, {"snapshot", VERB_ARG_NAME, true}, {"keep", VERB_ARG_NAME, false}, {0}};

static const struct verb_arg range_fields[] = {
	{"offset_bytes", VERB_ARG_BYTES, true}, {"length_bytes", VERB_ARG_BYTES, false}, {0}};

/* NULL: no group. */
static const struct verb_arg *group_fields(enum verb_arg_type type)
{
	static const struct verb_arg *const fields[VERB_ARG_TYPES] = {
		[VERB_ARG_SNAPSHOTS] = snapshot_fields, [VERB_ARG_REVERTS] = revert_fields,
		[VERB_ARG_RANGES] = range_fields};

	return fields[type];
}

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

const json_t *verb_arg_group(const struct verb_call *call, const char *arg)
{
	return json_object_get(call->args, arg);
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
	case VERB_ARG_PATH:
		return json_string_length(v) && json_string_length(v) < PATH_MAX && *json_string_value(v) == '/' ?
			NULL : "an absolute path (a string)";
	case VERB_ARG_CURSOR:
		return json_string_length(v) && json_string_length(v) <= VERB_CURSOR_MAX ? NULL :
			"the cursor of an answer (a string)";
	case VERB_ARG_SNAPSHOTS:
	case VERB_ARG_REVERTS:
		return json_is_array(v) ? NULL : "an array of members";
	case VERB_ARG_RANGES:
		return json_is_array(v) ? NULL : "an array of ranges";
	case VERB_ARG_NUMBER:
		return json_is_integer(v) && json_integer_value(v) >= 0 && json_integer_value(v) <= UINT32_MAX ? NULL :
			"a whole number up to 4294967295";
	case VERB_ARG_AMOUNT:
		return json_is_string(v) || (json_is_integer(v) && json_integer_value(v) >= 0) ? NULL :
			"a whole number of bytes, \"default\" or \"never\"";
	case VERB_ARG_WORD:
		return json_is_string(v) ? NULL : "a word (a string)";
	case VERB_ARG_BOOL:
	case VERB_ARG_TYPES:
	default:
		return json_is_boolean(v) ? NULL : "true or false";
	}
}

static int check_group(struct verb_call *call, const char *where, const struct verb_arg *arg, const json_t *list);

/* `where` is what the object is called: "args", or "args.members[7]". */
static int check_arg(struct verb_call *call, const char *where, const json_t *o, const struct verb_arg *arg)
{
	const json_t *v = json_object_get(o, arg->name);
	const char *expected;

	if (!v && arg->required)
		return err_set(&call->err, -EINVAL, "%s: %s.%s is missing", call->verb->name, where, arg->name);
	if (!v)
		return 0;
	expected = arg_expected(arg, v);
	if (expected)
		return err_set(&call->err, -EINVAL, "%s: %s.%s: expected %s, got %s", call->verb->name, where,
			       arg->name, expected, json_is_integer(v) ? "one out of range" : json_type_name(v));
	if (arg->type == VERB_ARG_NAME && !hb_name_ok(json_string_value(v)))
		return err_set(&call->err, -EINVAL,
			       "%s: %s.%s: \"%.80s\" is no name: expected up to %d letters, digits and . _ -, "
			       "beginning with a letter or digit",
			       call->verb->name, where, arg->name, json_string_value(v), HB_NAME_MAX);
	return group_fields(arg->type) ? check_group(call, where, arg, v) : 0;
}

static int check_fields(struct verb_call *call, const char *where, const json_t *o, const struct verb_arg *fields)
{
	const struct verb_arg *arg;
	const char *key;
	json_t *v;

	if (o && !json_is_object(o))
		return err_set(&call->err, -EINVAL, "%s: expected an object, got %s", where, json_type_name(o));
	json_object_foreach((json_t *)o, key, v) {
		for (arg = fields; arg->name; arg++)
			if (!strcmp(arg->name, key))
				break;
		if (!arg->name)
			return err_set(&call->err, -EINVAL, "%s: %s.%.80s is not known", call->verb->name, where, key);
	}
	for (arg = fields; arg->name; arg++)
		if (check_arg(call, where, o, arg))
			return call->err.code;
	return 0;
}

static int check_group(struct verb_call *call, const char *where, const struct verb_arg *arg, const json_t *list)
{
	size_t n = json_array_size(list);
	char member[64];

	if (!n || n > HB_GROUP_MAX)
		return err_set(&call->err, -EINVAL, "%s: %s.%s: a group has 1 to %d members, not %zu", call->verb->name,
			       where, arg->name, HB_GROUP_MAX, n);
	for (size_t i = 0; i < n; i++) {
		snprintf(member, sizeof(member), "%s.%s[%zu]", where, arg->name, i);
		if (check_fields(call, member, json_array_get(list, i), group_fields(arg->type)))
			return call->err.code;
	}
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

/* A pool that is not open is -ENODEV, not -ENOENT as a volume that is not there: who deletes must not take the one for
 * the other. Just after tgtd's start a pool may still be closed, and its volumes are all there. */
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
			return err_set(&call->err, -ENODEV, "no open pool is named \"%.80s\"", name);
		return 0;
	}
	first = host->next(host->ctx, NULL);
	if (!first)
		return err_set(&call->err, -ENODEV, "no pool is open");
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
	done = check_fields(call, "args", args, call->verb->args) || find_pool(call, pool) || call->verb->run(call);
	call->args = NULL;
	return done;
}

/* ------------------------------------------------------------------ version */
static json_t *arg_list_json(const struct verb_arg *a)
{
	static const char *const types[VERB_ARG_TYPES] = {
		[VERB_ARG_NAME] = "name", [VERB_ARG_BYTES] = "bytes", [VERB_ARG_COUNT] = "count",
		[VERB_ARG_PATH] = "path",
		[VERB_ARG_BOOL] = "boolean", [VERB_ARG_CURSOR] = "cursor", [VERB_ARG_SNAPSHOTS] = "group",
		[VERB_ARG_REVERTS] = "group", [VERB_ARG_RANGES] = "ranges", [VERB_ARG_NUMBER] = "number",
		[VERB_ARG_AMOUNT] = "amount", [VERB_ARG_WORD] = "word"};
	json_t *list = json_array();

	for (; a->name; a++) {
		json_t *o = json_pack("{s:s, s:s, s:b}", "name", a->name, "type", types[a->type], "required",
				      a->required);

		if (group_fields(a->type))
			verb_put(&o, "members", arg_list_json(group_fields(a->type)));
		verb_append(&list, o);
	}
	return list;
}

static bool verb_version(struct verb_call *call)
{
	json_t *list = json_array();

	for (const struct verb *v = verbs; v->name; v++)
		verb_append(&list, json_pack("{s:s, s:b, s:o, s:s}", "verb", v->name, "pool", v->wants_pool, "args",
					     arg_list_json(v->args), "help", v->help));
	return verb_done(call, json_pack("{s:s, s:i, s:o}", "version", HB_VERSION, "protocol", PROTO_VERSION,
					 "verbs", list));
}

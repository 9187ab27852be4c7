/* SPDX-License-Identifier: GPL-2.0-only */
/* tables.c - the catalogue's tables as data: columns, what is unique, what is looked for, what belongs to what. */
#include "store/inside.h"

#include <errno.h>
#include <string.h>

#include "base/units.h"

#define TEXT(n) { n, COL_TEXT }
#define INT(n) { n, COL_INT }
#define BOOL(n) { n, COL_BOOL }
#define JSON(n) { n, COL_JSON }

static const struct column volume[] = {
	TEXT("id"), TEXT("pool"), TEXT("pool_name"), INT("size_bytes"), TEXT("type"), TEXT("state"), TEXT("zone"),
	INT("iops"), INT("bandwidth_bytes_s"), TEXT("mode"), BOOL("multi_attach"), TEXT("snapshot_id"),
	TEXT("origin"), INT("created_ms"), INT("bin_ms"), INT("bin_until_ms"), JSON("modification"), JSON("exported"),
};
static const struct column snapshot[] = {
	TEXT("id"), TEXT("pool"), TEXT("pool_name"), TEXT("volume_id"), INT("size_bytes"), TEXT("state"),
	INT("progress_pct"), TEXT("description"), TEXT("group_id"), INT("created_ms"), INT("bin_ms"),
	INT("bin_until_ms"), TEXT("lock_mode"), INT("lock_until_ms"), INT("lock_created_ms"), INT("lock_cooloff_ms"),
	TEXT("schedule_id"), INT("expires_ms"), INT("fill_until_ms"),
};
static const struct column attachment[] = {
	TEXT("id"), TEXT("volume_id"), TEXT("host_id"), TEXT("vm_id"), TEXT("device"), TEXT("path"), TEXT("state"),
	TEXT("initiator"), TEXT("user"), TEXT("secret"), TEXT("back_user"), TEXT("back_secret"), TEXT("mode"),
	INT("created_ms"), INT("deadline_ms"), BOOL("delete_on_termination"),
};
static const struct column host[] = {
	TEXT("id"), TEXT("name"), TEXT("url"), TEXT("pin"), TEXT("initiator"), TEXT("delegate"), TEXT("state"),
	INT("seen_ms"), INT("created_ms"),
};
static const struct column vm[] = {
	TEXT("id"), TEXT("host_id"), TEXT("name"), TEXT("uuid"), TEXT("state"), INT("seen_ms"), JSON("info"),
};
static const struct column tag[] = { TEXT("resource_id"), TEXT("key"), TEXT("value") };
static const struct column task[] = {
	INT("id"), TEXT("verb"), TEXT("resource_id"), TEXT("who"), JSON("doc"), INT("step"), TEXT("step_name"),
	BOOL("step_ended"), TEXT("state"), INT("tries"), TEXT("trouble"), TEXT("error"), INT("error_code"),
	INT("deadline_ms"), INT("created_ms"), INT("ended_ms"),
};
static const struct column lock[] = { TEXT("resource_id"), INT("task_id") };
static const struct column token[] = {
	TEXT("who"), TEXT("verb"), TEXT("token"), TEXT("digest"), JSON("result"), TEXT("resource_id"),
	INT("created_ms"),
};
static const struct column schedule[] = {
	TEXT("id"), TEXT("name"), JSON("spec"), BOOL("enabled"), INT("next_ms"), INT("last_ms"), TEXT("last_error"),
	INT("created_ms"),
};
static const struct column quota[] = { TEXT("id"), INT("most") };
static const struct column key[] = {
	TEXT("id"), TEXT("name"), TEXT("secret"), JSON("rights"), INT("created_ms"), INT("used_ms"),
	INT("revoked_ms"),
};
static const struct column audit[] = {
	INT("id"), INT("at_ms"), TEXT("who"), TEXT("verb"), TEXT("resource_id"), TEXT("outcome"), JSON("args"),
};
static const struct column setting[] = { TEXT("id"), TEXT("value") };

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define NONE ((const char *const[]){ NULL })
#define BELONGS(...) ((const struct relation[]){ __VA_ARGS__, { NULL, STORE_TABLES } })
#define ALONE ((const struct relation[]){ { NULL, STORE_TABLES } })
#define TABLE(t, keys) .name = #t, .columns = t, .ncolumns = ARRAY_LEN(t), .nkeys = keys

const struct table store_tables[STORE_TABLES] = {
	[T_VOLUME] = { TABLE(volume, 1), .unique = LIST("pool, pool_name"),
		       .indexes = LIST("state", "snapshot_id", "created_ms"), .relations = ALONE },
	[T_SNAPSHOT] = { TABLE(snapshot, 1), .unique = LIST("pool, pool_name"),
			 .indexes = LIST("volume_id", "state", "created_ms", "schedule_id"),
			 .relations = BELONGS({ "volume_id", T_VOLUME }, { "schedule_id", T_SCHEDULE }) },
	[T_ATTACHMENT] = { TABLE(attachment, 1), .unique = NONE,
			   .indexes = LIST("volume_id", "host_id", "vm_id", "deadline_ms"),
			   .relations = BELONGS({ "volume_id", T_VOLUME }, { "host_id", T_HOST }, { "vm_id", T_VM }) },
	[T_HOST] = { TABLE(host, 1), .unique = LIST("name"), .indexes = NONE, .relations = ALONE },
	[T_VM] = { TABLE(vm, 1), .unique = LIST("host_id, name"), .indexes = NONE,
		   .relations = BELONGS({ "host_id", T_HOST }) },
	[T_TAG] = { TABLE(tag, 2), .unique = NONE, .indexes = LIST("key, value"),
		   .relations = BELONGS({"resource_id", STORE_TABLES})},
	[T_TASK] = {TABLE(task, 1), .counted = true, .unique = NONE, .indexes = LIST("state", "resource_id"),
		    .relations = BELONGS({ "resource_id", STORE_TABLES }) },
	[T_LOCK] = { TABLE(lock, 1), .unique = NONE, .indexes = LIST("task_id"),
		     .relations = BELONGS({ "resource_id", STORE_TABLES }) },
	[T_TOKEN] = { TABLE(token, 3), .unique = NONE, .indexes = LIST("created_ms"), .relations = ALONE },
	[T_SCHEDULE] = { TABLE(schedule, 1), .unique = NONE, .indexes = LIST("next_ms"), .relations = ALONE },
	[T_QUOTA] = { TABLE(quota, 1), .unique = NONE, .indexes = NONE, .relations = ALONE },
	[T_KEY] = { TABLE(key, 1), .unique = LIST("name"), .indexes = NONE, .relations = ALONE },
	[T_AUDIT] = { TABLE(audit, 1), .counted = true, .unique = NONE, .indexes = LIST("resource_id", "at_ms"),
		      .relations = BELONGS({ "resource_id", STORE_TABLES }) },
	[T_SETTING] = { TABLE(setting, 1), .unique = NONE, .indexes = NONE, .relations = ALONE },
};

const char *store_table_name(enum store_table t)
{
	return store_tables[t].name;
}

const struct table *table_find(const char *name, size_t len)
{
	for (unsigned i = 0; i < STORE_TABLES; i++)
		if (strlen(store_tables[i].name) == len && !memcmp(store_tables[i].name, name, len))
			return &store_tables[i];
	return NULL;
}

const struct column *column_find(const struct table *t, const char *name)
{
	for (unsigned i = 0; i < t->ncolumns; i++)
		if (!strcmp(t->columns[i].name, name))
			return &t->columns[i];
	return NULL;
}

int column_check(const struct table *t, const struct column *c, const json_t *value, struct err *err)
{
	static const char *const wants[] = { "a text without zero bytes", "a whole number", "true or false", "JSON" };
	bool fits = true;

	if (!value || json_is_null(value))
		return 0;
	if (c->type == COL_TEXT)
		fits = json_is_string(value) && strlen(json_string_value(value)) == json_string_length(value);
	else if (c->type == COL_INT)
		fits = json_is_integer(value);
	else if (c->type == COL_BOOL)
		fits = json_is_boolean(value);
	return fits ? 0 : err_set(err, -EINVAL, "%s.%s: expected %s", t->name, c->name, wants[c->type]);
}

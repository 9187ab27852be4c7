/* SPDX-License-Identifier: GPL-2.0-only */
/* test_keys.c - API keys and rights over a catalogue that has everything twice: red's and blue's. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/store.h"
#include "tests/daemon/suites.h"
#include "tests/unit/scratch.h"
#include "verbs/ebs.h"

#define RED "{\"team\": \"red\", \"env\": \"x\"}"
#define V_RED "vol-00000000000000001"
#define V_BLUE "vol-00000000000000002"
#define V_BOTH "vol-00000000000000003" /* half of red's tags */
#define S_RED "snap-00000000000000001"
#define S_BLUE "snap-00000000000000002"
#define H_ONE "h-00000000000000001" /* nobody's */
#define VM_RED "i-00000000000000001"
#define VM_BLUE "i-00000000000000002"
#define A_BLUE "vol-att-00000000000000001" /* of blue's second volume in red's VM */
#define V_BLUE2 "vol-00000000000000004"

static char dir[SCRATCH_PATH_MAX], paths[4][SCRATCH_PATH_MAX + 16];
static struct ebs *ebs;

/* ---------------------------------------------------------------- the catalogue */

static const struct {
	enum store_table table;
	const char *row;
} rows[] = {
#define VOLUME(id) \
	"{\"id\": \"" id "\", \"pool\": \"main\", \"pool_name\": \"" id "\", \"size_bytes\": 4096, \"type\": \"gp3\"," \
	" \"state\": \"available\", \"created_ms\": 1}"
#define SNAPSHOT(id, of) \
	"{\"id\": \"" id "\", \"pool\": \"main\", \"pool_name\": \"" id "\", \"volume_id\": \"" of "\"," \
	" \"size_bytes\": 4096, \"state\": \"completed\", \"created_ms\": 1}"
#define TAG_OF(id, k, v) "{\"resource_id\": \"" id "\", \"key\": \"" k "\", \"value\": \"" v "\"}"
#define RED_TAGS(id) {T_TAG, TAG_OF(id, "team", "red")}, {T_TAG, TAG_OF(id, "env", "x")}
	{T_VOLUME, VOLUME(V_RED)},
	{T_VOLUME, VOLUME(V_BLUE)},
	{T_VOLUME, VOLUME(V_BOTH)},
	{T_VOLUME, VOLUME(V_BLUE2)},
	{T_SNAPSHOT, SNAPSHOT(S_RED, V_RED)},
	{T_SNAPSHOT, SNAPSHOT(S_BLUE, V_BLUE)},
	{T_HOST, "{\"id\": \"" H_ONE "\", \"name\": \"one\", \"url\": \"https://127.0.0.1:1\", \"pin\": \"p\"}"},
	{T_VM, "{\"id\": \"" VM_RED "\", \"host_id\": \"" H_ONE "\", \"name\": \"web\"}"},
	{T_VM, "{\"id\": \"" VM_BLUE "\", \"host_id\": \"" H_ONE "\", \"name\": \"db\"}"},
	{T_ATTACHMENT, "{\"id\": \"" A_BLUE "\", \"volume_id\": \"" V_BLUE2 "\", \"host_id\": \"" H_ONE "\","
		       " \"vm_id\": \"" VM_RED "\", \"state\": \"attached\"}"},
	RED_TAGS(V_RED),
	RED_TAGS(S_RED),
	RED_TAGS(VM_RED),
	{T_TAG, TAG_OF(V_RED, "Name", "disk")},
	{T_TAG, TAG_OF(V_BLUE, "Name", "disk")},
	{T_TAG, TAG_OF(V_BLUE2, "Name", "other")},
	{T_TAG, TAG_OF(V_BOTH, "team", "red")},
	{T_TAG, TAG_OF(V_BLUE, "team", "blue")},
	{T_TAG, TAG_OF(VM_BLUE, "team", "blue")},
	{T_TASK, "{\"verb\": \"x\", \"who\": \"key RED\", \"state\": \"done\", \"resource_id\": \"gone\"}"},
	{T_TASK, "{\"verb\": \"x\", \"who\": \"key BLUE\", \"state\": \"done\", \"resource_id\": \"" V_BLUE "\"}"},
	{T_QUOTA, "{\"id\": \"volumes\", \"most\": 5}"},
};

static int insert_all(struct store_tx *tx, void *arg, struct err *err)
{
	int rc = 0;

	(void)arg;
	for (size_t i = 0; !rc && i < sizeof(rows) / sizeof(*rows); i++) {
		json_t *row = json_loads(rows[i].row, 0, NULL);

		rc = store_insert(tx, rows[i].table, row, err);
		json_decref(row);
	}
	return rc;
}

static void start(void)
{
	struct ebs_conf conf = {.catalogue = paths[0], .seal_key = paths[1], .tls_key = paths[2], .tls_cert = paths[3],
				.prefix = "iqn.2026-01.test", .zone = "z", .pool = "main"};
	struct err err = ERR_INIT;
	char nobody[SCRATCH_PATH_MAX + 16];

	snprintf(nobody, sizeof(nobody), "%s/nobody", dir);
	conf.pool_socket = nobody;
	ebs = NULL;
	CU_ASSERT_EQUAL_FATAL(ebs_new(&conf, &ebs, &err), 0);
}

static void begin(void)
{
	static const char *const files[] = {"catalogue.db", "seal", "key", "crt"};
	struct err err = ERR_INIT;
	struct store *s;

	scratch_new("/tmp", dir);
	for (int i = 0; i < 4; i++)
		snprintf(paths[i], sizeof(paths[i]), "%s/%s", dir, files[i]);
	CU_ASSERT_EQUAL_FATAL(store_open(paths[0], &s, &err), 0);
	CU_ASSERT_EQUAL_FATAL(store_write(s, insert_all, NULL, &err), 0);
	store_close(s);
	start();
}

static void end(void)
{
	ebs_free(ebs);
	scratch_remove(dir);
}

/* ---------------------------------------------------------------- callers */

enum caller { ROOT, READER, OPERATOR, RED_KEY };

/* The code, "" for none; *ret_result, if it is wanted, is the caller's. */
static const char *as(enum caller who, const char *verb, const char *args, json_t **ret_result)
{
	static const char *const names[] = {"root", "key READ", "key OPER", "key RED"};
	static const enum ebs_rights rights[] = {EBS_MAY_ALL, EBS_MAY_READ, EBS_MAY_OPERATE, EBS_MAY_OPERATE};
	json_t *parsed = json_loads(args, 0, NULL), *red = json_loads(RED, 0, NULL);
	struct ebs_call c = {.who = names[who], .rights = rights[who], .args = parsed};
	const char *code;

	CU_ASSERT_PTR_NOT_NULL_FATAL(parsed);
	if (who == RED_KEY)
		c.only_tags = red;
	ebs_run(ebs, verb, &c);
	code = c.code ? c.code : "";
	if (ret_result)
		*ret_result = json_incref(c.result);
	ebs_call_free(&c);
	json_decref(parsed);
	json_decref(red);
	return code;
}

/* How many rows a listing has for that caller. */
static size_t count(enum caller who, const char *verb, const char *args, const char *member)
{
	json_t *all = NULL;
	size_t n;

	CU_ASSERT_STRING_EQUAL(as(who, verb, args, &all), "");
	n = json_array_size(json_object_get(all, member));
	json_decref(all);
	return n;
}

/* ---------------------------------------------------------------- rights */

/* By the flags of the table alone, for each verb there is. */
static void test_verbs(void)
{
	begin();
	for (const struct ebs_verb *v = ebs_verbs(); v->name; v++) {
		bool admin = v->flags & EBS_ADMIN, reads = !(v->flags & EBS_CHANGES);
		bool no = !strcmp(as(READER, v->name, "{}", NULL), "UnauthorizedOperation");

		CU_ASSERT_EQUAL(no, admin || !reads);
		no = !strcmp(as(OPERATOR, v->name, "{}", NULL), "UnauthorizedOperation");
		CU_ASSERT_EQUAL(no, admin);
		no = !strcmp(as(RED_KEY, v->name, "{}", NULL), "UnauthorizedOperation");
		CU_ASSERT_EQUAL(no, admin);
	}
	end();
}

#define NO_VOLUME "InvalidVolume.NotFound"
#define NO_SNAPSHOT "InvalidSnapshot.NotFound"
#define NO_VM "InvalidInstanceID.NotFound"
#define NO_HOST "InvalidHost.NotFound"
#define NO "UnauthorizedOperation"
#define DRY ", \"dry_run\": true}"
#define LOCKED "\"mode\": \"governance\", \"duration_days\": 1"

/* What red's key is told; every verb that is not an administrator's has a line. */
static const struct {
	const char *verb, *args, *code;
} told[] = {
	{"volume-create", "{\"size_bytes\": 4096" DRY, ""},
	{"volume-create", "{\"size_bytes\": 4096, \"tags\": {\"env\": \"y\"}" DRY, NO},
	{"volume-create", "{\"snapshot\": \"" S_RED "\"" DRY, ""},
	{"volume-create", "{\"snapshot\": \"" S_BLUE "\"" DRY, NO_SNAPSHOT},
	{"volume-delete", "{\"volume\": \"" V_RED "\"" DRY, ""},
	{"volume-delete", "{\"volume\": \"disk\"" DRY, ""}, /* blue's has that name, too */
	{"volume-delete", "{\"volume\": \"" V_BLUE "\"" DRY, NO_VOLUME},
	{"volume-delete", "{\"volume\": \"" V_BOTH "\"" DRY, NO_VOLUME},
	{"volume-delete", "{\"volume\": \"other\"" DRY, NO_VOLUME},
	{"volume-describe", "{\"volumes\": [\"" V_RED "\"]}", ""},
	{"volume-describe", "{\"volumes\": [\"" V_RED "\", \"" V_BLUE "\"]}", NO_VOLUME},
	{"volume-modify", "{\"volume\": \"" V_RED "\", \"iops\": 5" DRY, ""},
	{"volume-modify", "{\"volume\": \"" V_BLUE "\", \"iops\": 5" DRY, NO_VOLUME},
	{"volume-attach", "{\"volume\": \"" V_RED "\", \"vm\": \"" VM_RED "\"" DRY, ""},
	{"volume-attach", "{\"volume\": \"" V_RED "\", \"vm\": \"web\"" DRY, ""},
	{"volume-attach", "{\"volume\": \"" V_RED "\", \"vm\": \"web\", \"host\": \"one\"" DRY, ""},
	{"volume-attach", "{\"volume\": \"" V_RED "\", \"vm\": \"" VM_BLUE "\"" DRY, NO_VM},
	{"volume-attach", "{\"volume\": \"" V_RED "\", \"vm\": \"db\"" DRY, NO_VM},
	{"volume-attach", "{\"volume\": \"" V_RED "\", \"vm\": \"db\", \"host\": \"one\"" DRY, NO_VM},
	{"volume-attach", "{\"volume\": \"" V_RED "\", \"vm\": \"db\", \"host\": \"none\"" DRY, NO_VM},
	{"volume-attach", "{\"volume\": \"" V_RED "\", \"host\": \"one\"" DRY, NO_HOST},
	{"volume-attach", "{\"volume\": \"" V_BLUE "\", \"vm\": \"" VM_RED "\"" DRY, NO_VOLUME},
	{"volume-detach", "{\"volume\": \"" V_RED "\"" DRY, "IncorrectState"},
	{"volume-detach", "{\"volume\": \"" V_BLUE2 "\"" DRY, NO_VOLUME},
	{"snapshot-create", "{\"volume\": \"" V_RED "\"" DRY, ""},
	{"snapshot-create", "{\"volume\": \"" V_RED "\", \"tags\": {\"env\": \"y\"}" DRY, NO},
	{"snapshot-create", "{\"volume\": \"" V_BLUE "\"" DRY, NO_VOLUME},
	{"snapshot-group", "{\"volumes\": [\"" V_RED "\"]" DRY, ""},
	{"snapshot-group", "{\"volumes\": [\"" V_RED "\", \"" V_BLUE "\"]" DRY, NO_VOLUME},
	{"snapshot-group", "{\"vm\": \"" VM_RED "\"" DRY, NO_VOLUME}, /* it has one of blue's */
	{"snapshot-group", "{\"vm\": \"" VM_BLUE "\"" DRY, NO_VM},
	{"snapshot-delete", "{\"snapshot\": \"" S_RED "\"" DRY, ""},
	{"snapshot-delete", "{\"snapshot\": \"" S_BLUE "\"" DRY, NO_SNAPSHOT},
	{"snapshot-describe", "{\"snapshots\": \"" S_BLUE "\"}", NO_SNAPSHOT},
	{"snapshot-copy", "{\"snapshot\": \"" S_RED "\"" DRY, ""},
	{"snapshot-copy", "{\"snapshot\": \"" S_BLUE "\"" DRY, NO_SNAPSHOT},
	{"snapshot-start", "{\"size_bytes\": 1073741824, \"parent\": \"" S_RED "\"" DRY, ""},
	{"snapshot-start", "{\"size_bytes\": 1073741824, \"parent\": \"" S_BLUE "\"" DRY, NO_SNAPSHOT},
	{"snapshot-complete", "{\"changed_blocks\": 0, \"snapshot\": \"" S_RED "\"" DRY, "IncorrectState"},
	{"snapshot-complete", "{\"changed_blocks\": 0, \"snapshot\": \"" S_BLUE "\"" DRY, NO_SNAPSHOT},
	{"snapshot-lock", "{\"snapshot\": \"" S_RED "\", " LOCKED DRY, ""},
	{"snapshot-lock", "{\"snapshot\": \"" S_BLUE "\", " LOCKED DRY, NO_SNAPSHOT},
	{"volume-clone", "{\"volume\": \"" V_RED "\"" DRY, ""},
	{"volume-clone", "{\"volume\": \"" V_RED "\", \"copy_tags\": true, \"tags\": {\"team\": \"blue\"}" DRY, NO},
	{"volume-clone", "{\"volume\": \"" V_BLUE "\"" DRY, NO_VOLUME},
	{"volume-revert", "{\"volume\": \"" V_RED "\", \"snapshot\": \"" S_BLUE "\"" DRY, NO_SNAPSHOT},
	{"volume-revert", "{\"volume\": \"" V_BLUE "\", \"snapshot\": \"" S_RED "\"" DRY, NO_VOLUME},
	{"volume-status", "{\"volumes\": \"" V_BLUE "\"}", NO_VOLUME},
	{"volume-stats", "{\"volumes\": \"" V_BLUE "\"}", NO_VOLUME},
	{"volume-stats", "{\"volumes\": \"" V_RED "\"}", ""},
	{"volume-heat", "{\"volume\": \"" V_BLUE "\"}", NO_VOLUME},
	{"volume-heat", "{\"volume\": \"disk\"}", "Unavailable"}, /* its own; the pool is not there */
	{"volume-explain", "{\"volume\": \"" V_BOTH "\"}", NO_VOLUME},
	{"volume-explain", "{\"volume\": \"" V_RED "\"}", ""},
	{"bin-restore", "{\"resource\": \"" V_BLUE "\"" DRY, NO_VOLUME},
	{"bin-restore", "{\"resource\": \"" S_BLUE "\"" DRY, NO_SNAPSHOT},
	{"bin-describe", "{}", ""},
	{"schedule-describe", "{}", ""},
	{"schedule-run", "{\"schedule\": \"none\"" DRY, "InvalidID"},
	{"host-describe", "{\"hosts\": \"one\"}", NO_HOST},
	{"vm-describe", "{\"vms\": \"" VM_BLUE "\"}", NO_VM},
	{"vm-describe", "{\"vms\": \"" VM_RED "\"}", ""},
	{"tag-set", "{\"resources\": \"" V_RED "\", \"tags\": {\"a\": \"b\", \"team\": \"red\"}" DRY, ""},
	{"tag-set", "{\"resources\": \"" V_RED "\", \"tags\": {\"team\": \"blue\"}" DRY, NO},
	{"tag-set", "{\"resources\": \"" V_BLUE "\", \"tags\": " RED DRY, NO_VOLUME},
	{"tag-set", "{\"resources\": \"" H_ONE "\", \"tags\": " RED DRY, NO_HOST},
	{"tag-set", "{\"resources\": \"" VM_BLUE "\", \"tags\": " RED DRY, NO_VM},
	{"tag-set", "{\"resources\": \"" A_BLUE "\", \"tags\": " RED DRY, "InvalidAttachment.NotFound"},
	{"tag-remove", "{\"resources\": \"" V_RED "\", \"keys\": \"Name\"" DRY, ""},
	{"tag-remove", "{\"resources\": \"" V_RED "\", \"keys\": [\"Name\", \"env\"]" DRY, NO},
	{"tag-remove", "{\"resources\": \"" V_RED "\"" DRY, NO},
	{"tag-remove", "{\"resources\": \"" V_BLUE "\", \"keys\": \"Name\"" DRY, NO_VOLUME},
	{"tag-describe", "{}", ""},
	{"task-describe", "{}", ""},
	{"task-wait", "{\"task\": 1}", ""},
	{"task-wait", "{\"task\": 2}", "InvalidTask.NotFound"},
	{"task-wait", "{\"task\": 99}", "InvalidTask.NotFound"},
	{"quota-describe", "{}", ""},
};

static void test_told(void)
{
	begin();
	for (size_t i = 0; i < sizeof(told) / sizeof(*told); i++) {
		const char *code = as(RED_KEY, told[i].verb, told[i].args, NULL);

		if (strcmp(code, told[i].code))
			fprintf(stderr, "%s %s: expected '%s', got '%s'\n", told[i].verb, told[i].args, told[i].code,
				code);
		CU_ASSERT_STRING_EQUAL(code, told[i].code);
	}
	for (const struct ebs_verb *v = ebs_verbs(); v->name; v++) {
		bool has = v->flags & EBS_ADMIN;

		for (size_t i = 0; i < sizeof(told) / sizeof(*told); i++)
			has |= !strcmp(told[i].verb, v->name);
		if (!has)
			fprintf(stderr, "%s: no line says what a key with tags is told\n", v->name);
		CU_ASSERT_TRUE(has);
	}
	end();
}

/* What it makes is its own; the pool is not there, so it goes no further. */
static void test_makes(void)
{
	static const char *const asked[][2] = {
		{"volume-create", "{\"size_bytes\": 4096, \"name\": \"new\", \"wait_ms\": 0}"},
		{"snapshot-create", "{\"volume\": \"" V_RED "\", \"wait_ms\": 0}"},
	};
	json_t *made, *red = json_loads(RED, 0, NULL), *value;
	const char *key;

	begin();
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_STRING_EQUAL(as(RED_KEY, asked[i][0], asked[i][1], &made), "");
		json_object_foreach(red, key, value)
			CU_ASSERT_EQUAL(json_equal(json_object_get(json_object_get(made, "tags"), key), value), 1);
		json_decref(made);
	}
	CU_ASSERT_EQUAL(count(RED_KEY, "volume-describe", "{}", "volumes"), 2);
	CU_ASSERT_EQUAL(count(RED_KEY, "snapshot-describe", "{}", "snapshots"), 2);
	CU_ASSERT_EQUAL(count(RED_KEY, "task-describe", "{}", "tasks"), 3);
	CU_ASSERT_STRING_EQUAL(as(RED_KEY, "volume-create", "{\"size_bytes\": 4096}", NULL), "VolumeLimitExceeded");
	json_decref(red);
	end();
}

static void test_lists(void)
{
	begin();
	CU_ASSERT_EQUAL(count(READER, "volume-describe", "{}", "volumes"), 4);
	CU_ASSERT_EQUAL(count(OPERATOR, "volume-describe", "{}", "volumes"), 4);
	CU_ASSERT_EQUAL(count(RED_KEY, "volume-describe", "{}", "volumes"), 1);
	CU_ASSERT_EQUAL(count(RED_KEY, "volume-describe", "{\"filters\": {\"tag:team\": \"*\"}}", "volumes"), 1);
	CU_ASSERT_EQUAL(count(RED_KEY, "volume-describe", "{\"filters\": {\"tag:team\": \"blue\"}}", "volumes"), 0);
	CU_ASSERT_EQUAL(count(RED_KEY, "snapshot-describe", "{}", "snapshots"), 1);
	CU_ASSERT_EQUAL(count(RED_KEY, "vm-describe", "{}", "vms"), 1);
	CU_ASSERT_EQUAL(count(RED_KEY, "host-describe", "{}", "hosts"), 0);
	CU_ASSERT_EQUAL(count(RED_KEY, "task-describe", "{}", "tasks"), 1);
	CU_ASSERT_EQUAL(count(RED_KEY, "task-describe", "{\"filters\": {\"who\": \"key BLUE\"}}", "tasks"), 0);
	CU_ASSERT_EQUAL(count(READER, "task-describe", "{}", "tasks"), 2);
	CU_ASSERT_EQUAL(count(RED_KEY, "tag-describe", "{}", "tags"), 7);
	CU_ASSERT_EQUAL(count(RED_KEY, "tag-describe", "{\"filters\": {\"value\": \"blue\"}}", "tags"), 0);
	CU_ASSERT_EQUAL(count(READER, "tag-describe", "{}", "tags"), 12);
	end();
}

/* Also of what was told to be "not found", by its true name; not of what is really not there. */
static void test_audit(void)
{
	static const char none[] = "{\"volume\": \"vol-00000000000000009\"}";
	static const char refused[] = "{\"filters\": {\"outcome\": \"UnauthorizedOperation\"}}";
	json_t *all, *event;

	begin();
	CU_ASSERT_STRING_EQUAL(as(RED_KEY, "volume-delete", none, NULL), NO_VOLUME);
	CU_ASSERT_EQUAL(count(ROOT, "audit-describe", refused, "events"), 0);
	CU_ASSERT_STRING_EQUAL(as(RED_KEY, "volume-delete", "{\"volume\": \"other\"}", NULL), NO_VOLUME);
	CU_ASSERT_STRING_EQUAL(as(RED_KEY, "volume-describe", "{\"volumes\": \"" V_BLUE "\"}", NULL), NO_VOLUME);
	CU_ASSERT_STRING_EQUAL(as(READER, "volume-delete", "{\"volume\": \"other\"}", NULL), NO);
	CU_ASSERT_STRING_EQUAL(as(RED_KEY, "tag-remove", "{\"resources\": \"" V_RED "\"}", NULL), NO);
	CU_ASSERT_STRING_EQUAL(as(ROOT, "audit-describe", refused, &all), "");
	CU_ASSERT_EQUAL(json_array_size(json_object_get(all, "events")), 4);
	event = json_array_get(json_object_get(all, "events"), 0);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(event, "resource_id")), V_BLUE2);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(event, "who")), "key RED");
	json_decref(all);
	end();
}

/* ---------------------------------------------------------------- keys */

/* Is the text in one of the catalogue's files? */
static bool in_catalogue(const char *text)
{
	static const char *const ends[] = {"", "-wal"};
	bool is = false;

	for (int i = 0; i < 2; i++) {
		char path[SCRATCH_PATH_MAX + 32];
		struct stat st;
		FILE *f;
		char *all;

		snprintf(path, sizeof(path), "%s%s", paths[0], ends[i]);
		f = fopen(path, "re");
		if (!f)
			continue;
		CU_ASSERT_EQUAL_FATAL(fstat(fileno(f), &st), 0);
		all = malloc((size_t)st.st_size + 1);
		is |= memmem(all, fread(all, 1, (size_t)st.st_size, f), text, strlen(text)) != NULL;
		free(all);
		fclose(f);
	}
	return is;
}

static void test_create(void)
{
	static const char request[] =
		"{\"name\": \"ci\", \"rights\": \"operator\", \"tags\": " RED ", \"token\": \"t\"}";
	json_t *made, *again, *red = json_loads(RED, 0, NULL);
	struct err err = ERR_INIT;
	struct ebs_key k;
	const char *id, *secret;

	begin();
	CU_ASSERT_STRING_EQUAL(as(ROOT, "key-create", request, &made), "");
	id = json_string_value(json_object_get(made, "id"));
	secret = json_string_value(json_object_get(made, "secret"));
	CU_ASSERT_EQUAL_FATAL(strlen(id), 20);
	CU_ASSERT_EQUAL_FATAL(strlen(secret), 40);
	CU_ASSERT_EQUAL_FATAL(ebs_key_open(ebs, id, &k, &err), 0);
	CU_ASSERT_STRING_EQUAL(k.secret, secret);
	CU_ASSERT_EQUAL(k.rights, EBS_MAY_OPERATE);
	CU_ASSERT_EQUAL(json_equal(k.only_tags, red), 1);
	CU_ASSERT(!strncmp(k.who, "key AKIA", 8) && strstr(k.who, id) && strstr(k.who, " ci"));
	ebs_key_close(&k);
	/* Again: the same key, and not its secret. */
	CU_ASSERT_STRING_EQUAL(as(ROOT, "key-create", request, &again), "");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(again, "id")), id);
	CU_ASSERT_PTR_NULL(json_object_get(again, "secret"));
	json_decref(again);
	CU_ASSERT_STRING_EQUAL(as(ROOT, "key-describe", "{}", &again), "");
	CU_ASSERT_PTR_NULL(json_object_get(json_array_get(json_object_get(again, "keys"), 0), "secret"));
	json_decref(again);
	CU_ASSERT_STRING_EQUAL(as(ROOT, "key-create", "{\"name\": \"ci\", \"rights\": \"admin\"}", NULL),
			       "InvalidParameterValue.Duplicate");
	CU_ASSERT_TRUE(in_catalogue(id));
	CU_ASSERT_FALSE(in_catalogue(secret));
	ebs_free(ebs);
	CU_ASSERT_FALSE(in_catalogue(secret));
	start(); /* it is as good in another life */
	CU_ASSERT_EQUAL_FATAL(ebs_key_open(ebs, id, &k, &err), 0);
	CU_ASSERT_STRING_EQUAL(k.secret, secret);
	ebs_key_close(&k);
	json_decref(made);
	json_decref(red);
	end();
}

static void test_refused(void)
{
	static const char *const wrong[][2] = {
		{"{\"name\": \"a\", \"rights\": \"root\"}", "InvalidParameterValue"},
		{"{\"name\": \"a\"}", "MissingParameter"},
		{"{\"name\": \"a\", \"rights\": \"admin\", \"tags\": {\"a\": \"b\"}}", "InvalidParameterCombination"},
		{"{\"name\": \"a\", \"rights\": \"read-only\", \"tags\": {}}", "InvalidParameterCombination"},
		{"{\"name\": \"a\", \"rights\": \"operator\", \"tags\": {}}", "InvalidParameterValue"},
		{"{\"name\": \"AKIAAAAAAAAAAAAAAAAA\", \"rights\": \"admin\"}", "InvalidParameterValue"},
		{"{\"name\": \"a\\nb\", \"rights\": \"admin\"}", "InvalidParameterValue"},
	};

	begin();
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		CU_ASSERT_STRING_EQUAL(as(ROOT, "key-create", wrong[i][0], NULL), wrong[i][1]);
	CU_ASSERT_STRING_EQUAL(as(ROOT, "key-create", "{\"name\": \"a\", \"rights\": \"admin\"" DRY, NULL), "");
	CU_ASSERT_EQUAL(count(ROOT, "key-describe", "{}", "keys"), 0);
	end();
}

static void test_revoke(void)
{
	struct err err = ERR_INIT;
	json_t *made, *shown;
	struct ebs_key k;
	const char *id;

	begin();
	CU_ASSERT_STRING_EQUAL(as(ROOT, "key-create", "{\"name\": \"ci\", \"rights\": \"admin\"}", &made), "");
	id = json_string_value(json_object_get(made, "id"));
	CU_ASSERT_EQUAL(ebs_key_open(ebs, "AKIAAAAAAAAAAAAAAAAA", &k, &err), -ENOENT);
	CU_ASSERT_EQUAL(ebs_key_open(ebs, "AKIDEXAMPLE", &k, &err), -ENOENT);
	CU_ASSERT_STRING_EQUAL(as(ROOT, "key-revoke", "{\"key\": \"ci\"" DRY, NULL), "");
	CU_ASSERT_EQUAL_FATAL(ebs_key_open(ebs, id, &k, &err), 0);
	ebs_key_close(&k);
	CU_ASSERT_STRING_EQUAL(as(ROOT, "key-revoke", "{\"key\": \"ci\"}", &shown), "");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(shown, "state")), "revoked");
	json_decref(shown);
	CU_ASSERT_EQUAL(ebs_key_open(ebs, id, &k, &err), -ENOENT);
	CU_ASSERT_STRING_EQUAL(as(ROOT, "key-revoke", "{\"key\": \"ci\"}", NULL), "");
	CU_ASSERT_STRING_EQUAL(as(ROOT, "key-revoke", "{\"key\": \"nobody\"}", NULL), "InvalidKey.NotFound");
	CU_ASSERT_STRING_EQUAL(as(ROOT, "key-create", "{\"name\": \"ci\", \"rights\": \"admin\"}", NULL),
			       "InvalidParameterValue.Duplicate");
	json_decref(made);
	end();
}

static void test_used(void)
{
	struct err err = ERR_INIT;
	json_t *made, *shown;
	struct ebs_key k;
	const char *id;

	begin();
	CU_ASSERT_STRING_EQUAL(as(ROOT, "key-create", "{\"name\": \"ci\", \"rights\": \"admin\"}", &made), "");
	id = json_string_value(json_object_get(made, "id"));
	CU_ASSERT_EQUAL_FATAL(ebs_key_open(ebs, id, &k, &err), 0);
	CU_ASSERT_EQUAL(k.used_ms, 0);
	ebs_key_used(ebs, id, &k);
	ebs_key_close(&k);
	CU_ASSERT_EQUAL_FATAL(ebs_key_open(ebs, id, &k, &err), 0);
	CU_ASSERT(k.used_ms > 0);
	ebs_key_close(&k);
	CU_ASSERT_STRING_EQUAL(as(ROOT, "key-describe", "{\"keys\": \"ci\"}", &shown), "");
	CU_ASSERT_PTR_NOT_NULL(json_object_get(json_array_get(json_object_get(shown, "keys"), 0), "used"));
	json_decref(shown);
	json_decref(made);
	end();
}

static CU_TestInfo tests[] = {
	{"verbs", test_verbs},
	{"told", test_told},
	{"makes", test_makes},
	{"lists", test_lists},
	{"audit", test_audit},
	{"create", test_create},
	{"refused", test_refused},
	{"revoke", test_revoke},
	{"used", test_used},
	CU_TEST_INFO_NULL,
};

const struct hb_suite suite_keys = {"keys", tests};

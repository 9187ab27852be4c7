/* SPDX-License-Identifier: GPL-2.0-only */
/* test_lineage_verbs.c - the verbs on snapshots, clones and groups: what they answer and refuse, and in parts. */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "control/proto.h"
#include "ctl_fixture.h"
#include "suites.h"

#define LINE_MAX_BYTES (PROTO_LINE_MAX + 1024)

static struct ctl_fixture fix;
static json_t *answer;		/* the last one, owned */
static bool answered;
static bool waited;		/* the last one came only when the pool had run: what was done is durable */
static char reverted[1024];	/* whom host.volume_reverted was called for, each with a blank behind */

/* ------------------------------------------------------------------ asking */
static void volume_reverted(void *ctx, struct hb_pool *pool, const char *volume)
{
	size_t n = strlen(reverted);

	CU_ASSERT_PTR_EQUAL(ctx, &fix);
	CU_ASSERT_PTR_EQUAL(pool, fix.pool);
	snprintf(reverted + n, sizeof(reverted) - n, "%s ", volume);
}

static void setup(void)
{
	answer = NULL;
	ctl_fixture_open(&fix);
	fix.host.volume_reverted = volume_reverted;
	reverted[0] = '\0';
}

static void teardown(void)
{
	CU_ASSERT_EQUAL(hb_pool_check(fix.pool, true, NULL, NULL, NULL), 0);
	json_decref(answer);
	answer = NULL;
	ctl_fixture_close(&fix);
}

static void finish(struct verb_call *call)
{
	(void)call;
	answered = true;
}

static void keep_answer(void *owner, struct proto_call *call, const char *line, size_t len)
{
	(void)owner;
	(void)call;
	CHECK(!answered);
	json_decref(answer);
	answer = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	CHECK(answer);
	answered = true;
}

/* Asks with apostrophes for quotation marks; the answer is in `answer`. Returns whether it is a result. */
static bool ask(const char *line)
{
	static char buf[LINE_MAX_BYTES];
	struct proto_call *call;

	snprintf(buf, sizeof(buf), "%s", line);
	for (char *c = buf; (c = strchr(c, '\'')); c++)
		*c = '"';
	answered = false;
	waited = proto_handle_line(&fix.host, buf, strlen(buf), keep_answer, NULL, &call);
	if (waited)
		ram_pool_run(&fix.ram, &answered);
	CHECK(answered);
	return json_is_true(json_object_get(answer, "ok"));
}

/* The verb's arguments as printf makes them. The result, borrowed until the next call. */
static json_t *run(const char *verb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static json_t *run(const char *verb, const char *fmt, ...)
{
	static char line[LINE_MAX_BYTES];
	va_list ap;
	int n = snprintf(line, sizeof(line), "{'v':1,'verb':'%s','args':{", verb);

	va_start(ap, fmt);
	n += vsnprintf(line + n, sizeof(line) - (size_t)n, fmt, ap);
	va_end(ap);
	snprintf(line + n, sizeof(line) - (size_t)n, "}}");
	if (!ask(line)) {
		printf("\n    %.300s\n    got %s", line,
		       json_string_value(json_object_get(json_object_get(answer, "error"), "text")));
		CHECK(!"accepted");
	}
	return json_object_get(answer, "result");
}

static void refused(const char *verb, const char *args, const char *code, const char *part)
{
	static char line[LINE_MAX_BYTES];
	const char *got, *text;

	snprintf(line, sizeof(line), "{'v':1,'verb':'%s','args':{%s}}", verb, args);
	ask(line);
	got = json_string_value(json_object_get(json_object_get(answer, "error"), "code"));
	text = json_string_value(json_object_get(json_object_get(answer, "error"), "text"));
	if (got && text && !strcmp(got, code) && strstr(text, part))
		return;
	printf("\n    %.200s\n    expected %s with \"%s\"\n    got %s: %s", line, code, part, got, text);
	CU_FAIL("refused in another way");
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "(none)";
}

static json_int_t int_of(const json_t *o, const char *key)
{
	CHECK(json_is_integer(json_object_get(o, key)));
	return json_integer_value(json_object_get(o, key));
}

static bool exists(const char *name)
{
	struct hb_volume_info info;

	return hb_volume_find(fix.pool, name, &info);
}

static void create(const char *name, uint64_t size)
{
	run("volume-create", "'name':'%s','size_bytes':%llu", name, (unsigned long long)size);
}

/* ------------------------------------------------------------------ data */
static void done(struct hb_req *req)
{
	*(bool *)req->owner = true;
}

static void transfer(const char *name, enum hb_op op, uint64_t off, void *buf, uint64_t len)
{
	bool is_done = false;
	struct hb_req req = {.op = op, .off_bytes = off, .len_bytes = len, .buf = buf, .done = done, .owner = &is_done};
	struct err err = ERR_INIT;

	CHECK(hb_volume_open(fix.pool, name, &req.vol, &err) == 0);
	if (!hb_submit(&req))
		ram_pool_run(&fix.ram, &is_done);
	CHECK(req.error == 0);
	hb_volume_close(req.vol);
}

/* One block of this byte. */
static void put(const char *name, uint64_t off, int byte)
{
	char buf[4096];

	memset(buf, byte, sizeof(buf));
	transfer(name, HB_WRITE, off, buf, sizeof(buf));
}

static int get(const char *name, uint64_t off)
{
	char buf[4096];

	transfer(name, HB_READ, off, buf, sizeof(buf));
	return buf[0];
}

/* ------------------------------------------------------------------ what the answers are */
static void test_shapes(void)
{
	static const char *const keys[] = {"name", "uuid", "id", "size_bytes", "mapped_bytes", "created_s", "opens",
		"deleting", "snapshot", "parent", "parent_id", "family_id", "content", "attributes", "waits",
		"settling", "pinned_bytes", "pinned_cached_bytes", "floor"};
	struct err err = ERR_INIT;
	size_t i, fields = 0;
	json_t *v, *list;

	setup();
	create("a", MIB(1));
	put("a", 0, 'x');
	v = run("volume-snapshot", "'name':'a','snapshot':'a.s'");
	CU_ASSERT_EQUAL(json_object_size(v), ARRAY_LEN(keys));
	for (i = 0; i < ARRAY_LEN(keys); i++)
		CU_ASSERT_PTR_NOT_NULL(json_object_get(v, keys[i]));
	CU_ASSERT(json_is_true(json_object_get(v, "snapshot")));
	CU_ASSERT_STRING_EQUAL(text_of(v, "name"), "a.s");
	CU_ASSERT_STRING_EQUAL(text_of(v, "parent"), "a");
	CU_ASSERT_EQUAL(int_of(v, "parent_id"), 1);
	CU_ASSERT_EQUAL(int_of(v, "family_id"), 1);
	CU_ASSERT_EQUAL(int_of(v, "mapped_bytes"), 4096);
	CU_ASSERT_EQUAL(strlen(text_of(v, "content")), 36);
	v = run("volume-clone", "'name':'a.s','clone':'c'");
	CU_ASSERT(json_is_false(json_object_get(v, "snapshot")));
	CU_ASSERT(json_is_null(json_object_get(v, "content")));
	CU_ASSERT_STRING_EQUAL(text_of(v, "parent"), "a.s");
	CU_ASSERT_EQUAL(int_of(v, "family_id"), 1);
	put("c", 0, 'y');
	CU_ASSERT_EQUAL(get("a.s", 0), 'x');
	run("volume-clone", "'name':'a','clone':'d'");
	CU_ASSERT_EQUAL(get("d", 0), 'x');
	v = run("volume-show", "'name':'a'");
	CU_ASSERT(json_is_null(json_object_get(v, "parent")));
	CU_ASSERT_EQUAL(int_of(v, "parent_id"), 0);
	/* a parent that is deleted has no name any more, though its id stays; nor has one whose name came again */
	CU_ASSERT_EQUAL(hb_volume_delete(fix.pool, "a.s", &err), 0);
	CU_ASSERT(json_is_null(json_object_get(run("volume-show", "'name':'c'"), "parent")));
	create("a.s", 4096);
	list = json_object_get(run("volume-list", "'after':'a.s'"), "volumes");
	CU_ASSERT_EQUAL(json_array_size(list), 2);
	v = json_array_get(list, 0);
	CU_ASSERT_STRING_EQUAL(text_of(v, "name"), "c");
	CU_ASSERT(json_is_null(json_object_get(v, "parent")));
	CU_ASSERT_EQUAL(int_of(v, "parent_id"), 2);
	CU_ASSERT_EQUAL(json_object_size(v), ARRAY_LEN(keys));
	/* what a group's members have: two things of snapshot-group, three of revert-group */
	CHECK(ask("{'v':1,'verb':'version'}"));
	list = json_object_get(json_object_get(answer, "result"), "verbs");
	json_array_foreach(list, i, v)
		fields += json_array_size(json_object_get(json_array_get(json_object_get(v, "args"), 0), "members"));
	CU_ASSERT_EQUAL(fields, 5);
	teardown();
}

/* What changes something is answered when that is durable; what looks is answered at once. */
static void test_durable(void)
{
	static const struct { const char *verb, *args; bool waits; } calls[] = {
		{"volume-create", "'name':'a','size_bytes':8192", true},
		{"volume-snapshot", "'name':'a','snapshot':'s'", true},
		{"volume-clone", "'name':'s','clone':'c'", true},
		{"snapshot-group", "'members':[{'volume':'a','snapshot':'g'}]", true},
		{"volume-revert", "'name':'a','snapshot':'s'", true},
		{"revert-group", "'members':[{'volume':'a','snapshot':'g'}]", true},
		{"volume-shrink", "'name':'a','size_bytes':4096,'force':true", true},
		{"volume-usage", "'name':'a'", false},
		{"volume-diff", "'from':'s','to':'g'", false}};

	setup();
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		run(calls[i].verb, "%s", calls[i].args);
		CU_ASSERT_EQUAL(waited, calls[i].waits);
	}
	teardown();
}

/* ------------------------------------------------------------------ what is refused */
static const struct { const char *verb, *args, *code, *part; } refusals[] = {
	{"volume-snapshot", "'name':'a'", "EINVAL", "args.snapshot is missing"},
	{"volume-snapshot", "'name':'a','snapshot':'../x'", "EINVAL", "is no name"},
	{"volume-snapshot", "'name':'a','snapshot':'x','y':1", "EINVAL", "args.y is not known"},
	{"volume-snapshot", "'name':'nope','snapshot':'x'", "ENOENT", "no volume 'nope'"},
	{"volume-snapshot", "'name':'a','snapshot':'b'", "EEXIST", "'b' exists"},
	{"volume-clone", "'name':'a.s','clone':'a'", "EEXIST", "'a' exists"},
	{"volume-revert", "'name':'a','snapshot':'a.s','keep':'b'", "EEXIST", "'b' exists"},
	{"volume-revert", "'name':'a','snapshot':'b'", "EINVAL", "'b' is no snapshot"},
	{"volume-revert", "'name':'a','snapshot':'b.s'", "EINVAL", "not of the family"},
	{"volume-revert", "'name':'a.s','snapshot':'a.s'", "EINVAL", "never changes"},
	{"volume-shrink", "'name':'a','size_bytes':4096", "EINVAL", "only done with force"},
	{"volume-shrink", "'name':'a','size_bytes':4096,'force':'yes'", "EINVAL", "true or false"},
	{"volume-shrink", "'name':'a','size_bytes':1073741824,'force':true", "EINVAL", "does not shrink"},
	{"volume-shrink", "'name':'a.s','size_bytes':4096,'force':true", "EINVAL", "never changes"},
	{"volume-shrink", "'name':'a','size_bytes':4096,'force':true", "ENOTEMPTY", "has data behind 4096 bytes"},
	{"volume-grow", "'name':'a.s','size_bytes':8388608", "EINVAL", "never changes"},
	{"volume-usage", "'name':'nope'", "ENOENT", "no volume 'nope'"},
	{"volume-usage", "'name':'a','cursor':7", "EINVAL", "expected the cursor of an answer"},
	{"volume-usage", "'name':'a','cursor':' 1.0.0.0'", "EINVAL", "none of an earlier answer"},
	{"volume-usage", "'name':'a','cursor':'1.0x1.0.0'", "EINVAL", "none of an earlier answer"},
	{"volume-usage", "'name':'a','cursor':'1.fffffffffffffffff.0.0'", "EINVAL", "none of an earlier answer"},
	{"volume-usage", "'name':'a','cursor':'2.0.0.0'", "EINVAL", "for this volume"},
	{"volume-diff", "", "EINVAL", "args.to is missing"},
	{"volume-diff", "'to':'nope'", "ENOENT", "no volume 'nope'"},
	{"volume-diff", "'to':'a.s','from':'nope'", "ENOENT", "no volume 'nope'"},
	{"volume-diff", "'to':'a'", "EINVAL", "'a' is no snapshot"},
	{"volume-diff", "'from':'a','to':'a.s'", "EINVAL", "'a' is no snapshot"},
	{"volume-diff", "'from':'b.s','to':'a.s'", "EINVAL", "not of one family"},
	{"volume-diff", "'to':'a.s','offset_bytes':4097", "EINVAL", "multiple of 4096"},
	{"snapshot-group", "'members':{}", "EINVAL", "expected an array of members, got an object"},
	{"snapshot-group", "'members':[]", "EINVAL", "1 to 256 members, not 0"},
	{"snapshot-group", "'members':[7]", "EINVAL", "args.members[0]: expected an object, got an integer"},
	{"snapshot-group", "'members':[{'volume':'a','snapshot':'x'},{'volume':'b'}]", "EINVAL",
	 "args.members[1].snapshot is missing"},
	{"snapshot-group", "'members':[{'volume':'a','snapshot':'x','keep':'k'}]", "EINVAL",
	 "args.members[0].keep is not known"},
	{"snapshot-group", "'members':[{'volume':'a','snapshot':[]}]", "EINVAL",
	 "args.members[0].snapshot: expected a name (a string), got an array"},
	{"snapshot-group", "'members':[{'volume':'a','snapshot':'x'},{'volume':'nope','snapshot':'y'}]", "ENOENT",
	 "no volume 'nope'"},
	{"snapshot-group", "'members':[{'volume':'a','snapshot':'x'},{'volume':'b','snapshot':'a.s'}]", "EEXIST",
	 "'a.s' exists"},
	{"snapshot-group", "'members':[{'volume':'a','snapshot':'x'},{'volume':'b','snapshot':'x'}]", "EEXIST",
	 "stands twice"},
	{"revert-group", "'members':[{'volume':'a','snapshot':'a.s','keep':7}]", "EINVAL",
	 "args.members[0].keep: expected a name"},
	{"revert-group", "'members':[{'volume':'a','snapshot':'a.s','keep':'x'},{'volume':'b','snapshot':'a.s'}]",
	 "EINVAL", "not of the family"},
	{"revert-group", "'members':[{'volume':'a','snapshot':'a.s','keep':'x'},"
	 "{'volume':'a','snapshot':'a.s','keep':'y'}]", "EINVAL", "stands twice"},
	{"revert-group", "'members':[{'volume':'a','snapshot':'a.s','keep':'x'},"
	 "{'volume':'b','snapshot':'b.s','keep':'x'}]", "EEXIST", "stands twice"},
};

static void test_refusals(void)
{
	setup();
	create("a", MIB(4));
	create("b", MIB(4));
	put("a", MIB(1), 'x');
	run("volume-snapshot", "'name':'a','snapshot':'a.s'");
	run("volume-snapshot", "'name':'b','snapshot':'b.s'");
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
		refused(refusals[i].verb, refusals[i].args, refusals[i].code, refusals[i].part);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(run("volume-list", "'limit':10"), "volumes")), 4);
	CU_ASSERT_STRING_EQUAL(reverted, "");
	CU_ASSERT_EQUAL(get("a", MIB(1)), 'x');
	teardown();
}

/* ------------------------------------------------------------------ groups */
/* n members, each with names of full length that begin with these letters and its number. */
static const char *members_text(unsigned n, const char *volume, const char *snapshot)
{
	static char text[LINE_MAX_BYTES];
	size_t len = 0;

	for (unsigned i = 0; i < n; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s{'volume':'%s%062u','snapshot':'%s%062u'}",
					i ? "," : "", volume, i, snapshot, i);
	return text;
}

static void test_largest_group(void)
{
	static char args[LINE_MAX_BYTES + 32];
	json_t *list, *member;
	char name[80];
	size_t i;

	setup();
	for (unsigned k = 0; k < HB_GROUP_MAX; k++) {
		snprintf(name, sizeof(name), "v%062u", k);
		create(name, 4096);
	}
	snprintf(args, sizeof(args), "'members':[%s]", members_text(300, "v", "s"));
	refused("snapshot-group", args, "EINVAL", "1 to 256 members, not 300");
	refused("revert-group", args, "EINVAL", "1 to 256 members, not 300");
	list = json_object_get(run("snapshot-group", "'members':[%s]", members_text(HB_GROUP_MAX, "v", "s")),
			       "snapshots");
	CU_ASSERT_EQUAL(json_array_size(list), HB_GROUP_MAX);
	json_array_foreach(list, i, member) {
		snprintf(name, sizeof(name), "s%062zu", i);
		CHECK(!strcmp(text_of(member, "name"), name) && json_is_true(json_object_get(member, "snapshot")));
	}
	put("v00000000000000000000000000000000000000000000000000000000000000", 0, 'n');
	list = json_object_get(run("revert-group", "'members':[%s]", members_text(HB_GROUP_MAX, "v", "s")),
			       "reverted");
	CU_ASSERT_EQUAL(json_array_size(list), HB_GROUP_MAX);
	json_array_foreach(list, i, member)
		CHECK(exists(text_of(member, "kept")) && strlen(text_of(member, "kept")) <= HB_NAME_MAX);
	CU_ASSERT_EQUAL(get("v00000000000000000000000000000000000000000000000000000000000000", 0), 0);
	teardown();
}

static void test_groups(void)
{
	struct err err = ERR_INIT;
	struct hb_volume *open;
	json_t *list;

	setup();
	create("a", MIB(1));
	create("b", MIB(2));
	put("a", 0, '1');
	put("b", 0, '1');
	refused("snapshot-group", "'members':[{'volume':'a','snapshot':'g.a'},{'volume':'b','snapshot':'a'}]",
		"EEXIST", "'a' exists");
	CU_ASSERT(!exists("g.a"));
	run("snapshot-group", "'members':[{'volume':'a','snapshot':'g.a'},{'volume':'b','snapshot':'g.b'}]");
	put("a", 0, '2');
	put("b", 0, '2');
	CU_ASSERT_EQUAL_FATAL(hb_volume_open(fix.pool, "b", &open, &err), 0);
	refused("revert-group", "'members':[{'volume':'a','snapshot':'g.a'},{'volume':'b','snapshot':'g.b'}]", "EBUSY",
		"'b' is in use");
	CU_ASSERT_EQUAL(get("a", 0), '2');
	CU_ASSERT_STRING_EQUAL(reverted, "");
	list = json_object_get(run("revert-group", "'members':[{'volume':'a','snapshot':'g.a','keep':'k.a'},"
				   "{'volume':'b','snapshot':'g.b'}],'in_use':true"), "reverted");
	CU_ASSERT_STRING_EQUAL(text_of(json_array_get(list, 0), "kept"), "k.a");
	CU_ASSERT_STRING_EQUAL(text_of(json_array_get(list, 1), "name"), "b");
	CU_ASSERT_STRING_EQUAL(reverted, "a b ");
	hb_volume_close(open);
	CU_ASSERT_EQUAL(get("a", 0), '1');
	CU_ASSERT_EQUAL(get("b", 0), '1');
	CU_ASSERT_EQUAL(get("k.a", 0), '2');
	teardown();
}

/* ------------------------------------------------------------------ revert, shrink */
static void test_revert(void)
{
	char kept[3][HB_NAME_MAX + 1];
	struct err err = ERR_INIT;
	struct hb_volume *open;
	json_t *v;

	setup();
	create("a", MIB(1));
	put("a", 0, '1');
	run("volume-snapshot", "'name':'a','snapshot':'s'");
	run("volume-grow", "'name':'a','size_bytes':%llu", (unsigned long long)MIB(2));
	put("a", 0, '2');
	fix.grown = 0;
	v = run("volume-revert", "'name':'a','snapshot':'s','keep':'k','in_use':false");
	CU_ASSERT_STRING_EQUAL(text_of(v, "name"), "a");
	CU_ASSERT_STRING_EQUAL(text_of(v, "kept"), "k");
	CU_ASSERT_EQUAL(int_of(v, "size_bytes"), MIB(1));
	CU_ASSERT_STRING_EQUAL(reverted, "a ");
	CU_ASSERT_EQUAL(get("a", 0), '1');
	/* undone */
	v = run("volume-revert", "'name':'a','snapshot':'k'");
	CU_ASSERT_EQUAL(int_of(v, "size_bytes"), MIB(2));
	CU_ASSERT_EQUAL(get("a", 0), '2');
	CU_ASSERT_EQUAL(fix.grown, 0);
	/* in use */
	CU_ASSERT_EQUAL_FATAL(hb_volume_open(fix.pool, "a", &open, &err), 0);
	refused("volume-revert", "'name':'a','snapshot':'s'", "EBUSY", "'a' is in use");
	CU_ASSERT_STRING_EQUAL(reverted, "a a ");
	run("volume-revert", "'name':'a','snapshot':'s','in_use':true");
	hb_volume_close(open);
	CU_ASSERT_EQUAL(get("a", 0), '1');
	/* generated names: of the volume and the time, unique however often, and never too long */
	for (int i = 0; i < 3; i++) {
		v = run("volume-revert", "'name':'a','snapshot':'s'");
		snprintf(kept[i], sizeof(kept[i]), "%s", text_of(v, "kept"));
		CU_ASSERT(!strncmp(kept[i], "a.before-2", 10) && exists(kept[i]));
		CU_ASSERT(strlen(kept[i]) == strlen("a.before-20240131-120000") || kept[i][24] == '-');
	}
	CU_ASSERT(strcmp(kept[0], kept[1]) && strcmp(kept[1], kept[2]) && strcmp(kept[0], kept[2]));
	fix.host.volume_reverted = NULL;
	run("volume-revert", "'name':'a','snapshot':'s'");
	teardown();
}

static void test_shrink(void)
{
	struct err err = ERR_INIT;
	struct hb_volume *open;

	setup();
	create("a", MIB(2));
	put("a", MIB(1), 'x');
	refused("volume-shrink", "'name':'a','size_bytes':1048576,'force':true", "ENOTEMPTY", "has data behind 1048");
	transfer("a", HB_UNMAP, MIB(1), NULL, MIB(1));
	CU_ASSERT_EQUAL_FATAL(hb_volume_open(fix.pool, "a", &open, &err), 0);
	refused("volume-shrink", "'name':'a','size_bytes':1048576,'force':true", "EBUSY", "in use");
	hb_volume_close(open);
	refused("volume-shrink", "'name':'a','size_bytes':1048576", "EINVAL", "force");
	CU_ASSERT_EQUAL(int_of(run("volume-shrink", "'name':'a','size_bytes':1048576,'force':true"), "size_bytes"),
			MIB(1));
	CU_ASSERT_EQUAL(int_of(run("volume-show", "'name':'a'"), "size_bytes"), MIB(1));
	teardown();
}

/* ------------------------------------------------------------------ in parts */
/* A leaf of the map has 16 MiB: these are more than one call looks at. */
#define SPARSE_LEAVES 300u

static void test_usage(void)
{
	char cursor[VERB_CURSOR_MAX + 1] = "", args[VERB_CURSOR_MAX + 64];
	json_int_t shared = INT64_MAX;
	unsigned parts;
	json_t *u;

	setup();
	create("a", SPARSE_LEAVES * MIB(16));
	for (unsigned i = 0; i < SPARSE_LEAVES; i++)
		put("a", i * MIB(16), 'x');
	for (parts = 1;; parts++) {
		u = cursor[0] ? run("volume-usage", "'name':'a','cursor':'%s'", cursor) :
				run("volume-usage", "'name':'a'");
		CU_ASSERT_EQUAL(json_object_size(u), 8);
		CU_ASSERT_EQUAL(int_of(u, "mapped_bytes"), SPARSE_LEAVES * 4096);
		CU_ASSERT(int_of(u, "shared_bytes") < shared);
		shared = int_of(u, "shared_bytes");
		if (json_is_true(json_object_get(u, "complete")))
			break;
		snprintf(cursor, sizeof(cursor), "%s", text_of(u, "cursor"));
		CHECK(parts < 100);
	}
	CU_ASSERT_EQUAL(parts, 2);
	CU_ASSERT(json_is_null(json_object_get(u, "cursor")));
	CU_ASSERT_EQUAL(int_of(u, "exclusive_bytes"), SPARSE_LEAVES * KIB(64));
	CU_ASSERT_EQUAL(shared, 0);
	/* at once, where waiting is allowed; after a snapshot all is shared but what is written then */
	fix.host.may_wait = true;
	u = run("volume-usage", "'name':'a'");
	CU_ASSERT(json_is_true(json_object_get(u, "complete")));
	CU_ASSERT_EQUAL(int_of(u, "exclusive_bytes"), SPARSE_LEAVES * KIB(64));
	run("volume-snapshot", "'name':'a','snapshot':'s'");
	put("a", 0, 'y');
	u = run("volume-usage", "'name':'a'");
	CU_ASSERT_EQUAL(int_of(u, "exclusive_bytes"), KIB(64));
	CU_ASSERT_EQUAL(int_of(u, "shared_bytes"), (SPARSE_LEAVES - 1) * 4096);
	/* the cursor of a volume that is gone is none of the one that has its name now */
	run("volume-delete", "'name':'a'");
	create("a", MIB(1));
	snprintf(args, sizeof(args), "'name':'a','cursor':'%s'", cursor);
	refused("volume-usage", args, "EINVAL", "for this volume");
	teardown();
}

/* All runs from `from` (may be NULL) to `to`, this many an answer, glued together. Returns how many answers it took. */
static unsigned diff_all(const char *from, const char *to, unsigned limit, json_t **ret)
{
	json_t *all = json_array(), *part, *run_now, *last = NULL;
	json_int_t at = 0;
	unsigned parts;
	size_t i;

	for (parts = 1; parts < 5000; parts++) {
		part = run("volume-diff", "%s%s%s'to':'%s','offset_bytes':%lld,'limit':%u", from ? "'from':'" : "",
			   from ? from : "", from ? "'," : "", to, (long long)at, limit);
		CHECK(json_object_size(part) == 7 && json_array_size(json_object_get(part, "runs")) <= limit);
		json_array_foreach(json_object_get(part, "runs"), i, run_now) {
			json_int_t off = int_of(run_now, "offset_bytes"), len = int_of(run_now, "length_bytes");

			CHECK(off >= at && len > 0 && off % 4096 == 0 && len % 4096 == 0);
			at = off + len;
			if (last && int_of(last, "offset_bytes") + int_of(last, "length_bytes") == off &&
			    json_equal(json_object_get(last, "mapped"), json_object_get(run_now, "mapped"))) {
				json_object_set_new(last, "length_bytes",
						    json_integer(int_of(last, "length_bytes") + len));
				continue;
			}
			last = json_deep_copy(run_now);
			json_array_append_new(all, last);
		}
		if (json_is_null(json_object_get(part, "next")))
			break;
		CHECK(int_of(part, "next") >= at);
		at = int_of(part, "next");
	}
	*ret = all;
	return parts;
}

static void test_diff(void)
{
	json_t *some, *all;

	setup();
	create("a", MIB(64));
	for (unsigned i = 0; i < 1100; i++)
		put("a", i * KIB(8), 'x');
	run("volume-snapshot", "'name':'a','snapshot':'s1'");
	CU_ASSERT_EQUAL(diff_all(NULL, "s1", 1000, &all), 2);
	CU_ASSERT_EQUAL(json_array_size(all), 1100);
	CU_ASSERT(diff_all(NULL, "s1", 7, &some) >= 1100 / 7);
	CU_ASSERT(json_equal(all, some));
	json_decref(all);
	json_decref(some);
	/* one block anew, one gone, ten in a row */
	put("a", 0, 'y');
	for (unsigned i = 0; i < 10; i++)
		put("a", MIB(32) + i * 4096, 'y');
	transfer("a", HB_UNMAP, KIB(8), NULL, 4096);
	run("volume-snapshot", "'name':'a','snapshot':'s2'");
	CU_ASSERT_EQUAL(diff_all("s1", "s2", 1000, &all), 1);
	some = json_pack("[{s:i,s:i,s:b},{s:i,s:i,s:b},{s:i,s:i,s:b}]",
			 "offset_bytes", 0, "length_bytes", 4096, "mapped", 1,
			 "offset_bytes", 8192, "length_bytes", 4096, "mapped", 0,
			 "offset_bytes", 33554432, "length_bytes", 40960, "mapped", 1);
	CU_ASSERT(json_equal(all, some));
	json_decref(some);
	CU_ASSERT_EQUAL(diff_all("s1", "s2", 1, &some), 3);
	CU_ASSERT(json_equal(all, some));
	json_decref(all);
	json_decref(some);
	all = run("volume-diff", "'from':'s2','to':'s2'");
	CU_ASSERT_EQUAL(json_array_size(json_object_get(all, "runs")), 0);
	/* from any position, also behind the end */
	all = run("volume-diff", "'from':'s1','to':'s2','offset_bytes':%llu", (unsigned long long)MIB(32) + 4096);
	CU_ASSERT_EQUAL(int_of(json_array_get(json_object_get(all, "runs"), 0), "length_bytes"), 36864);
	CU_ASSERT_STRING_EQUAL(text_of(all, "from"), "s1");
	CU_ASSERT_EQUAL(int_of(all, "size_bytes"), MIB(64));
	all = run("volume-diff", "'to':'s2','offset_bytes':9223372036854771712");
	CU_ASSERT(json_is_null(json_object_get(all, "next")) && json_is_null(json_object_get(all, "from")));
	CU_ASSERT_EQUAL(int_of(all, "from_id"), 0);
	teardown();
}

#define SNAPSHOTS 1500u		/* more than one answer has; this small pool has room for some more */

static void test_many_snapshots(void)
{
	char name[16], after[HB_NAME_MAX + 1] = "";
	unsigned seen = 0, parts = 0;
	json_t *part, *v;
	size_t i;

	setup();
	create("a", MIB(1));
	for (unsigned k = 0; k < SNAPSHOTS; k++)
		run("volume-snapshot", "'name':'a','snapshot':'s%04u'", k);
	do {
		part = after[0] ? run("volume-list", "'after':'%s'", after) : run("volume-list", "'limit':2500");
		parts++;
		json_array_foreach(json_object_get(part, "volumes"), i, v) {
			snprintf(name, sizeof(name), "s%04u", seen - 1);
			CHECK(!strcmp(text_of(v, "name"), seen ? name : "a"));
			CHECK(!seen || !strcmp(text_of(v, "parent"), "a"));
			seen++;
		}
		snprintf(after, sizeof(after), "%s", json_is_null(json_object_get(part, "next")) ? "" :
			 text_of(part, "next"));
	} while (after[0]);
	CU_ASSERT_EQUAL(seen, SNAPSHOTS + 1);
	CU_ASSERT_EQUAL(parts, 2);
	teardown();
}

/* ------------------------------------------------------------------ memory */
/* With the n-th allocation failing, for every n: a result of this size or an error; of a group all or none. The verb is
 * run without its line, since jansson writes behind its buffer when that cannot grow for a long word. */
static void fail_each(const char *verb, const char *args_text, size_t size)
{
	struct verb_call call = {0};
	struct err err = ERR_INIT;
	unsigned long made = ULONG_MAX;
	char text[256];
	json_t *args;

	snprintf(text, sizeof(text), "%s", args_text);
	for (char *c = text; (c = strchr(c, '\'')); c++)
		*c = '"';
	args = json_loads(text, 0, NULL);
	CHECK(args);
	for (unit_step = 1; made >= unit_step - 1; unit_step++) {
		call = (struct verb_call){.host = &fix.host, .answered = finish};
		mem_fail_at(unit_step);
		answered = verb_run(&call, verb, NULL, args);
		made = mem_fail_at(0);
		ram_pool_run(&fix.ram, &answered);
		CHECK(call.err.code ? !call.result && call.err.text[0] : json_object_size(call.result) == size);
		CHECK(exists("x.a") == exists("x.b"));
		json_decref(call.result);
		if (exists("x.a") && made >= unit_step) {
			CHECK(hb_volume_delete(fix.pool, "x.a", &err) == 0);
			CHECK(hb_volume_delete(fix.pool, "x.b", &err) == 0);
		}
	}
	CHECK(!call.err.code);
	json_decref(args);
}

static void test_no_memory(void)
{
	json_malloc_t was_malloc;
	json_free_t was_free;

	json_get_alloc_funcs(&was_malloc, &was_free);
	json_set_alloc_funcs(mem_alloc, mem_free);
	setup();
	create("a", MIB(1)), create("b", MIB(1));
	put("a", 0, 'x');
	run("volume-snapshot", "'name':'a','snapshot':'s'");
	fail_each("volume-usage", "{'name':'a'}", 8);
	fail_each("volume-diff", "{'to':'s'}", 7);
	fail_each("volume-revert", "{'name':'a','snapshot':'s'}", 20);
	fail_each("revert-group", "{'members':[{'volume':'a','snapshot':'s'}]}", 1);
	fail_each("snapshot-group", "{'members':[{'volume':'a','snapshot':'x.a'},{'volume':'b','snapshot':'x.b'}]}", 1);
	teardown();
	json_set_alloc_funcs(was_malloc, was_free);
}

static CU_TestInfo tests[] = {
	{"shapes", test_shapes},
	{"durable", test_durable},
	{"refusals", test_refusals},
	{"largest_group", test_largest_group},
	{"groups", test_groups},
	{"revert", test_revert},
	{"shrink", test_shrink},
	{"usage", test_usage},
	{"diff", test_diff},
	{"many_snapshots", test_many_snapshots},
	{"no_memory", test_no_memory},
	CU_TEST_INFO_NULL};
const struct hb_suite suite_lineage_verbs = {"lineage_verbs", tests};

/* SPDX-License-Identifier: GPL-2.0-only */
/* test_proto.c - the control protocol: each line gets one answer, a hostile one a clear error. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "control/proto.h"
#include "ctl_fixture.h"
#include "suites.h"

static struct ctl_fixture fix;
static char *answer_line;		/* the last answer, owned */
static unsigned answers;

static void setup(void)
{
	ctl_fixture_open(&fix);
}

static void teardown(void)
{
	free(answer_line);
	answer_line = NULL;
	ctl_fixture_close(&fix);
}

static void keep_answer(void *owner, struct proto_call *call, const char *line, size_t len)
{
	CU_ASSERT_PTR_EQUAL(owner, &fix);
	if (call)
		list_del(&call->link);
	CU_ASSERT(len > 0 && line[len - 1] == '\n' && !memchr(line, '\n', len - 1));
	free(answer_line);
	answer_line = strndup(line, len);
	answers++;
}

/* Sends one line and runs the pool until it is answered. Returns the parsed answer; exactly one came. */
static json_t *ask_bytes(const char *line, size_t len)
{
	struct proto_call *call = NULL;
	const char *key;
	struct link calls;
	json_t *root;

	list_init(&calls);
	answers = 0;
	if (proto_handle_line(&fix.host, line, len, keep_answer, &fix, &call)) {
		CU_ASSERT_EQUAL(answers, 0);
		list_push(&calls, &call->link);
		for (int i = 0; i < 1000000 && !answers; i++)
			hb_pool_run(fix.pool);
		CU_ASSERT(list_empty(&calls));
	}
	CU_ASSERT_EQUAL_FATAL(answers, 1);
	root = json_loads(answer_line, JSON_REJECT_DUPLICATES, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(root);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(root, "v")), PROTO_VERSION);
	CU_ASSERT(json_object_get(root, "id") != NULL);
	key = json_is_true(json_object_get(root, "ok")) ? "result" : "error";
	CU_ASSERT(json_is_object(json_object_get(root, key)));
	CU_ASSERT_EQUAL(json_object_size(root), 4);
	return root;
}

/* So that JSON can be read in C: apostrophes become quotation marks. Good until the next call. */
static const char *quoted(const char *line)
{
	static char buf[1024];

	snprintf(buf, sizeof(buf), "%s", line);
	for (char *c = buf; (c = strchr(c, '\'')); c++)
		*c = '"';
	return buf;
}

static json_t *ask(const char *line)
{
	line = quoted(line);
	return ask_bytes(line, strlen(line));
}

/* The line must be refused with this code, and its text must hold this part. */
static void refused_bytes(const char *line, size_t len, const char *code, const char *part)
{
	json_t *root = ask_bytes(line, len), *error = json_object_get(root, "error");
	const char *got = json_string_value(json_object_get(error, "code"));
	const char *text = json_string_value(json_object_get(error, "text"));

	if (!got || strcmp(got, code) || !text || !strstr(text, part)) {
		printf("\n    %.200s\n    expected %s with \"%s\"\n    got      %s", line, code, part, answer_line);
		CU_FAIL("refused in another way");
	}
	json_decref(root);
}

static void refused(const char *line, const char *code, const char *part)
{
	line = quoted(line);
	refused_bytes(line, strlen(line), code, part);
}

static void accepted(const char *line)
{
	json_t *root = ask(line);

	if (!json_is_true(json_object_get(root, "ok"))) {
		printf("\n    %s\n    got %s", line, answer_line);
		CU_FAIL("should have been accepted");
	}
	json_decref(root);
}

static const struct { const char *line, *code, *part; } hostile[] = {
	/* no line of JSON */
	{"", "EPROTO", "not a line of JSON"},
	{" ", "EPROTO", "not a line of JSON"},
	{"hello", "EPROTO", "not a line of JSON"},
	{"{", "EPROTO", "not a line of JSON"},
	{"{}}", "EPROTO", "not a line of JSON"},
	{"{} {}", "EPROTO", "not a line of JSON"},
	{"{'v':1,}", "EPROTO", "not a line of JSON"},
	{"{'v':1,'v':1}", "EPROTO", "duplicate"},
	{"{'v':1,'verb':'a\\u0000b'}", "EPROTO", "not a line of JSON"},
	{"{'v':1,'verb':'\xff\xfe'}", "EPROTO", "not a line of JSON"},
	{"{'v':1,'verb':'\\ud800'}", "EPROTO", "not a line of JSON"},
	{"{'v':1,'id':99999999999999999999}", "EPROTO", "not a line of JSON"},
	{"{'v':1,'id':1e999}", "EPROTO", "not a line of JSON"},
	{"[[[[[[[[[]]]]]]]]]", "EPROTO", "nested deeper than 8"},
	{"{'v':{'v':{'v':{'v':{'v':{'v':{'v':{'v':{'v':1}}}}}}}}}", "EPROTO", "nested deeper"},
	/* no request */
	{"[]", "EPROTO", "expected an object"},
	{"[1,2]", "EPROTO", "expected an object"},
	{"{}", "EPROTO", "v: expected"},
	{"{'v':'1'}", "EPROTO", "v: expected"},
	{"{'v':1.0}", "EPROTO", "v: expected"},
	{"{'v':null}", "EPROTO", "v: expected"},
	{"{'v':2,'verb':'version'}", "EPROTONOSUPPORT", "version 2 is not known"},
	{"{'v':-1,'verb':'version'}", "EPROTONOSUPPORT", "version -1"},
	{"{'v':1}", "EPROTO", "verb: expected a string"},
	{"{'v':1,'verb':7}", "EPROTO", "verb: expected a string"},
	{"{'v':1,'verb':'version','id':1.5}", "EPROTO", "id: expected"},
	{"{'v':1,'verb':'version','id':{}}", "EPROTO", "id: expected"},
	{"{'v':1,'verb':'version','id':true}", "EPROTO", "id: expected"},
	{"{'v':1,'verb':'version','id':'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'}",
	 "EPROTO", "id: expected"},
	{"{'v':1,'verb':'version','extra':1}", "EPROTO", "\"extra\" is not known"},
	{"{'v':1,'verb':'version','':1}", "EPROTO", "\"\" is not known"},
	{"{'v':1,'verb':'stats','pool':7}", "EPROTO", "pool: expected a string"},
	/* no verb, no pool */
	{"{'v':1,'verb':''}", "EOPNOTSUPP", "no verb is named \"\""},
	{"{'v':1,'verb':'format-disk'}", "EOPNOTSUPP", "no verb is named \"format-disk\""},
	{"{'v':1,'verb':'STATS'}", "EOPNOTSUPP", "no verb"},
	{"{'v':1,'verb':'version','pool':'main'}", "EINVAL", "takes no pool"},
	{"{'v':1,'verb':'stats','pool':'other'}", "ENODEV", "\"other\""},
	{"{'v':1,'verb':'stats','pool':''}", "ENODEV", "no open pool"},
	/* wrong arguments */
	{"{'v':1,'verb':'stats','args':[]}", "EINVAL", "args: expected an object"},
	{"{'v':1,'verb':'stats','args':null}", "EINVAL", "args: expected an object"},
	{"{'v':1,'verb':'stats','args':{'x':1}}", "EINVAL", "args.x is not known"},
	{"{'v':1,'verb':'volume-create'}", "EINVAL", "args.name is missing"},
	{"{'v':1,'verb':'volume-create','args':{}}", "EINVAL", "args.name is missing"},
	{"{'v':1,'verb':'volume-create','args':{'name':'x'}}", "EINVAL", "args.size_bytes is missing"},
	{"{'v':1,'verb':'volume-create','args':{'name':7,'size_bytes':4096}}", "EINVAL", "expected a name"},
	{"{'v':1,'verb':'volume-create','args':{'name':'x','size_bytes':'4G'}}", "EINVAL",
	 "expected a whole number of bytes, got a string"},
	{"{'v':1,'verb':'volume-create','args':{'name':'x','size_bytes':4096.0}}", "EINVAL", "fraction"},
	{"{'v':1,'verb':'volume-create','args':{'name':'x','size_bytes':-4096}}", "EINVAL", "out of range"},
	{"{'v':1,'verb':'volume-create','args':{'name':'x','size_bytes':true}}", "EINVAL", "a boolean"},
	{"{'v':1,'verb':'volume-create','args':{'name':'','size_bytes':4096}}", "EINVAL", "is no name"},
	{"{'v':1,'verb':'volume-create','args':{'name':'../x','size_bytes':4096}}", "EINVAL", "is no name"},
	{"{'v':1,'verb':'volume-create','args':{'name':'a/b','size_bytes':4096}}", "EINVAL", "is no name"},
	{"{'v':1,'verb':'volume-create','args':{'name':'-x','size_bytes':4096}}", "EINVAL", "is no name"},
	{"{'v':1,'verb':'volume-create','args':{'name':'a\\nb','size_bytes':4096}}", "EINVAL", "is no name"},
	{"{'v':1,'verb':'volume-create','args':{'name':'\xc3\xa9','size_bytes':4096}}", "EINVAL", "is no name"},
	{"{'v':1,'verb':'volume-create','args':{'name':'%s%n','size_bytes':4096}}", "EINVAL", "\"%s%n\""},
	{"{'v':1,'verb':'volume-create','args':{'name':"
	 "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','size_bytes':4096}}", "EINVAL", "no name"},
	{"{'v':1,'verb':'volume-create','args':{'name':'x','size_bytes':1000}}", "EINVAL", ""},
	{"{'v':1,'verb':'volume-create','args':{'name':'x','size_bytes':0}}", "EINVAL", ""},
	{"{'v':1,'verb':'volume-create','args':{'name':'x','size_bytes':9223372036854775807}}", "EINVAL", ""},
	{"{'v':1,'verb':'volume-create','args':{'name':'x','size_bytes':9223372036854771712}}", "EINVAL", ""},
	{"{'v':1,'verb':'volume-delete','args':{'name':'nope'}}", "ENOENT", "nope"},
	{"{'v':1,'verb':'volume-show','args':{'name':'nope'}}", "ENOENT", "nope"},
	{"{'v':1,'verb':'volume-grow','args':{'name':'nope','size_bytes':8192}}", "ENOENT", "nope"},
	{"{'v':1,'verb':'volume-rename','args':{'name':'nope','new_name':'n2'}}", "ENOENT", "nope"},
	{"{'v':1,'verb':'volume-list','args':{'limit':0}}", "EINVAL", "args.limit"},
	{"{'v':1,'verb':'volume-list','args':{'limit':'1'}}", "EINVAL", "args.limit"},
	{"{'v':1,'verb':'volume-set','args':{'name':'nope','iops':100}}", "ENOENT", "nope"},
	{"{'v':1,'verb':'volume-set','args':{'iops':100}}", "EINVAL", "args.name is missing"},
	{"{'v':1,'verb':'volume-set','args':{'name':'x','iops':'100'}}", "EINVAL", "args.iops: expected a whole"},
	{"{'v':1,'verb':'volume-set','args':{'name':'x','iops':-1}}", "EINVAL", "out of range"},
	{"{'v':1,'verb':'volume-set','args':{'name':'x','iops':4294967296}}", "EINVAL", "out of range"},
	{"{'v':1,'verb':'volume-set','args':{'name':'x','bandwidth_bytes':'1M'}}", "EINVAL", "args.bandwidth_bytes"},
	{"{'v':1,'verb':'volume-set','args':{'name':'x','mode':1}}", "EINVAL", "args.mode: expected a word"},
	{"{'v':1,'verb':'volume-set','args':{'name':'x','bypass':true}}", "EINVAL", "\"default\" or \"never\""},
	{"{'v':1,'verb':'volume-set','args':{'name':'x','pin':{}}}", "EINVAL", "an array of ranges"},
	{"{'v':1,'verb':'volume-set','args':{'name':'x','pin':[]}}", "EINVAL", "members"},
	{"{'v':1,'verb':'volume-set','args':{'name':'x','pin':[7]}}", "EINVAL", "args.pin[0]: expected an object"},
	{"{'v':1,'verb':'volume-set','args':{'name':'x','pin':[{}]}}", "EINVAL", "args.pin[0].offset_bytes is missing"},
	{"{'v':1,'verb':'volume-set','args':{'name':'x','pin':[{'offset_bytes':0,'to':1}]}}", "EINVAL", "[0].to"},
	{"{'v':1,'verb':'volume-set','args':{'name':'x','pins':[]}}", "EINVAL", "args.pins is not known"},
	{"{'v':1,'verb':'check','args':{'deep':1}}", "EINVAL", "true or false"},
	{"{'v':1,'verb':'check','args':{'deep':true}}", "EOPNOTSUPP", "closed pool"},
};

static void test_hostile_lines(void)
{
	setup();
	for (size_t i = 0; i < ARRAY_LEN(hostile); i++)
		refused(hostile[i].line, hostile[i].code, hostile[i].part);
	refused_bytes("{'v':1}", 7, "EPROTO", "not a line of JSON");
	refused_bytes("{\"v\":1,\"verb\":\"version\"}\0", 25, "EPROTO", "not a line of JSON");
	teardown();
}

static void test_long_and_deep(void)
{
	size_t len = PROTO_LINE_MAX + 1;
	char *line = malloc(len);

	setup();
	CU_ASSERT_PTR_NOT_NULL_FATAL(line);
	memset(line, '[', len);
	refused_bytes(line, len, "EMSGSIZE", "longer than 65536");
	refused_bytes(line, len - 1, "EPROTO", "nested deeper");
	memset(line, ' ', len);
	memcpy(line, "{\"v\":1,\"verb\":\"version\"}", 24);
	refused_bytes(line, len, "EMSGSIZE", "longer than 65536");
	json_decref(ask_bytes(line, len - 1));
	CU_ASSERT_PTR_NOT_NULL(strstr(answer_line, "\"ok\":true"));
	memset(line, 'x', len);
	memcpy(line, "{\"v\":1,\"verb\":\"", 15);
	line[len - 2] = '}';
	line[len - 3] = '"';
	refused_bytes(line, len - 1, "EOPNOTSUPP", "no verb is named \"xxx");
	/* brackets inside strings, and escaped quotes, are no nesting */
	refused("{'v':1,'verb':'[[[[[[[[[[[\\'[[[[{{{{'}", "EOPNOTSUPP", "no verb");
	free(line);
	teardown();
}

static void test_ids(void)
{
	static const char *const ids[] = {
		"7", "-9223372036854775808", "null", "\"\"", "\"a b\"",
		"\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"",
	};
	char line[256];

	setup();
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		json_t *want = json_loads(ids[i], JSON_DECODE_ANY, NULL), *root;

		snprintf(line, sizeof(line), "{'v':1,'id':%s,'verb':'pools'}", ids[i]);
		root = ask(line);
		CU_ASSERT(json_equal(want, json_object_get(root, "id")));
		json_decref(root);
		/* an error brings the id back too */
		snprintf(line, sizeof(line), "{'v':1,'id':%s,'verb':'nope'}", ids[i]);
		root = ask(line);
		CU_ASSERT(json_equal(want, json_object_get(root, "id")));
		CU_ASSERT(json_is_false(json_object_get(root, "ok")));
		json_decref(root);
		json_decref(want);
	}
	teardown();
}

static json_int_t result_int(const char *line, const char *key)
{
	json_t *root = ask(line);
	json_t *v = json_object_get(json_object_get(root, "result"), key);
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v)) {
		printf("\n    %s\n    no integer %s in %s", line, key, answer_line);
		CU_FAIL("result");
	}
	json_decref(root);
	return n;
}

static void test_volume_verbs(void)
{
	setup();
	accepted("{'v':1,'verb':'volume-create','pool':'main','args':{'name':'a','size_bytes':1048576}}");
	CU_ASSERT_PTR_NOT_NULL(strstr(answer_line, "\"opens\":0"));
	refused("{'v':1,'verb':'volume-create','args':{'name':'a','size_bytes':4096}}", "EEXIST", "a");
	CU_ASSERT_EQUAL(result_int("{'v':1,'verb':'volume-show','args':{'name':'a'}}", "size_bytes"), 1048576);
	accepted("{'v':1,'verb':'volume-grow','args':{'name':'a','size_bytes':2097152}}");
	CU_ASSERT_EQUAL(fix.grown, 1);
	CU_ASSERT_EQUAL(result_int("{'v':1,'verb':'volume-show','args':{'name':'a'}}", "size_bytes"), 2097152);
	refused("{'v':1,'verb':'volume-grow','args':{'name':'a','size_bytes':4096}}", "EINVAL", "");
	CU_ASSERT_EQUAL(fix.grown, 1);
	accepted("{'v':1,'verb':'volume-create','args':{'name':'b','size_bytes':4096}}");
	refused("{'v':1,'verb':'volume-rename','args':{'name':'a','new_name':'b'}}", "EEXIST", "b");
	accepted("{'v':1,'verb':'volume-rename','args':{'name':'a','new_name':'c'}}");
	refused("{'v':1,'verb':'volume-show','args':{'name':'a'}}", "ENOENT", "a");
	CU_ASSERT_EQUAL(result_int("{'v':1,'verb':'pool-show'}", "volumes"), 2);
	accepted("{'v':1,'verb':'volume-delete','args':{'name':'b'}}");
	accepted("{'v':1,'verb':'volume-delete','args':{'name':'c'}}");
	refused("{'v':1,'verb':'volume-delete','args':{'name':'c'}}", "ENOENT", "c");
	teardown();
}

/* The attributes of volume "a", as compact JSON, must be these. */
static void attributes(const char *want)
{
	json_t *root = ask("{'v':1,'verb':'volume-show','args':{'name':'a'}}");
	const json_t *is = json_object_get(json_object_get(root, "result"), "attributes");
	json_t *must = json_loads(quoted(want), 0, NULL);

	CU_ASSERT_PTR_NOT_NULL(must);
	if (!json_equal(is, must)) {
		printf("\n    expected %s\n    got      %s", want, answer_line);
		CU_FAIL("other attributes");
	}
	json_decref(must);
	json_decref(root);
}

#define SET(args) "{'v':1,'verb':'volume-set','args':{'name':'a'," args "}}"

static void test_volume_set(void)
{
	setup();
	accepted("{'v':1,'verb':'volume-create','args':{'name':'a','size_bytes':1048576}}");
	attributes("{'mode':'write-back','iops':0,'bandwidth_bytes':0,'burst_s':0,'share':100,'bypass':'default',"
		   "'read_ahead':'default','cache_floor_bytes':0,'pins':[]}");
	refused("{'v':1,'verb':'volume-set','args':{'name':'a'}}", "EINVAL", "nothing is to be set");
	refused(SET("'mode':'fast'"), "EINVAL", "got \"fast\"");
	refused(SET("'iops':9"), "EINVAL", "expected 10 or more");
	refused(SET("'bandwidth_bytes':1000"), "EINVAL", "expected 1 MiB or more");
	refused(SET("'burst_s':3601"), "EINVAL", "at most 3600");
	refused(SET("'share':0"), "EINVAL", "expected 1 to 1000");
	refused(SET("'share':1001"), "EINVAL", "expected 1 to 1000");
	refused(SET("'bypass':0"), "EINVAL", "args.bypass");
	refused(SET("'bypass':'sometimes'"), "EINVAL", "args.bypass");
	refused(SET("'read_ahead':4097"), "EINVAL", "args.read_ahead");
	refused(SET("'bypass':70368744177664"), "EINVAL", "below 16 TiB");
	refused(SET("'cache_floor_bytes':4096"), "EINVAL", "expected whole MiB");
	refused(SET("'cache_floor_bytes':-1"), "EINVAL", "args.cache_floor_bytes");
	refused(SET("'cache_floor_bytes':4611686018427387904"), "EINVAL", "args.cache_floor_bytes");
	refused(SET("'cache_floor_bytes':1125899906842624"), "ENOSPC", "at most half of the write tier");
	refused(SET("'cache_floor_percent':51"), "EINVAL", "50 at most");
	refused(SET("'cache_floor_percent':5,'cache_floor_bytes':0"), "EINVAL", "not together");
	refused(SET("'pin':[{'offset_bytes':1}]"), "EINVAL", "args.pin[0]");
	refused(SET("'pin':[{'offset_bytes':0,'length_bytes':0}]"), "EINVAL", "args.pin[0]");
	refused(SET("'pin':[{'offset_bytes':0,'length_bytes':4096},{'offset_bytes':1048576}]"), "EINVAL", "pin[1]");
	refused(SET("'pin':[{'offset_bytes':4096,'length_bytes':1048576}]"), "EINVAL", "the volume's 1048576 bytes");
	refused(SET("'iops':100,'share':0"), "EINVAL", "share");
	accepted(SET("'mode':'none','iops':100,'bandwidth_bytes':1048576,'burst_s':5,'share':1000,'bypass':'never',"
		     "'read_ahead':65536,'pin':[{'offset_bytes':8192,'length_bytes':4096},"
		     "{'offset_bytes':0,'length_bytes':8192}]"));
	attributes("{'mode':'none','iops':100,'bandwidth_bytes':1048576,'burst_s':5,'share':1000,'bypass':'never',"
		   "'read_ahead':65536,'cache_floor_bytes':0,'pins':[{'offset_bytes':0,'length_bytes':12288}]}");
	accepted(SET("'iops':0,'mode':'write-through','unpin':[{'offset_bytes':4096,'length_bytes':4096}],"
		     "'pin':[{'offset_bytes':1044480}]"));
	attributes("{'mode':'write-through','iops':0,'bandwidth_bytes':1048576,'burst_s':5,'share':1000,"
		   "'bypass':'never',"
		   "'read_ahead':65536,'cache_floor_bytes':0,'pins':[{'offset_bytes':0,'length_bytes':4096},"
		   "{'offset_bytes':8192,"
		   "'length_bytes':4096},{'offset_bytes':1044480}]}");
	for (int i = 0; i < 5; i++) {
		char line[200];

		snprintf(line, sizeof(line), SET("'pin':[{'offset_bytes':%d,'length_bytes':4096}]"), 16384 + 8192 * i);
		accepted(line);
	}
	refused(SET("'pin':[{'offset_bytes':524288,'length_bytes':4096}]"), "EINVAL", "at most 8 ranges");
	accepted(SET("'unpin':[{'offset_bytes':0}],'pin':[{'offset_bytes':524288,'length_bytes':524288}]"));
	accepted("{'v':1,'verb':'volume-shrink','args':{'name':'a','size_bytes':528384,'force':true}}");
	attributes("{'mode':'write-through','iops':0,'bandwidth_bytes':1048576,'burst_s':5,'share':1000,"
		   "'bypass':'never',"
		   "'read_ahead':65536,'cache_floor_bytes':0,'pins':[{'offset_bytes':524288,'length_bytes':4096}]}");
	teardown();
}

/* A floor takes room of the write tier: half of it for all volumes together, and a clone has none. */
static void test_floor(void)
{
	setup();
	accepted("{'v':1,'verb':'volume-create','args':{'name':'a','size_bytes':1048576}}");
	accepted("{'v':1,'verb':'volume-create','args':{'name':'b','size_bytes':1048576}}");
	accepted(SET("'cache_floor_percent':25"));
	accepted(SET("'cache_floor_bytes':6291456"));
	attributes("{'mode':'write-back','iops':0,'bandwidth_bytes':0,'burst_s':0,'share':100,'bypass':'default',"
		   "'read_ahead':'default','cache_floor_bytes':6291456,'pins':[]}");
	refused("{'v':1,'verb':'volume-set','args':{'name':'b','cache_floor_bytes':12582912}}", "ENOSPC", "18 MiB");
	refused("{'v':1,'verb':'volume-set','args':{'name':'b','cache_floor_percent':50}}", "ENOSPC", "can be, 1");
	accepted("{'v':1,'verb':'volume-set','args':{'name':'b','cache_floor_percent':25}}");
	accepted("{'v':1,'verb':'volume-snapshot','args':{'name':'a','snapshot':'s'}}");
	accepted("{'v':1,'verb':'volume-set','args':{'name':'s','cache_floor_percent':1}}");
	accepted("{'v':1,'verb':'volume-delete','args':{'name':'b'}}");
	accepted("{'v':1,'verb':'volume-rename','args':{'name':'a','new_name':'was'}}");
	accepted("{'v':1,'verb':'volume-clone','args':{'name':'was','clone':'a'}}");
	attributes("{'mode':'write-back','iops':0,'bandwidth_bytes':0,'burst_s':0,'share':100,'bypass':'default',"
		   "'read_ahead':'default','cache_floor_bytes':0,'pins':[]}");
	accepted("{'v':1,'verb':'volume-set','args':{'name':'was','cache_floor_bytes':0}}");
	accepted(SET("'cache_floor_bytes':14680064"));
	teardown();
}

static void test_snapshot_set(void)
{
	setup();
	accepted("{'v':1,'verb':'volume-create','args':{'name':'v','size_bytes':1048576}}");
	accepted("{'v':1,'verb':'volume-set','args':{'name':'v','iops':50,'mode':'read-only',"
		 "'pin':[{'offset_bytes':0}]}}");
	accepted("{'v':1,'verb':'volume-snapshot','args':{'name':'v','snapshot':'a'}}");
	attributes("{'mode':'read-only','iops':0,'bandwidth_bytes':0,'burst_s':0,'share':100,'bypass':'default',"
		   "'read_ahead':'default','cache_floor_bytes':0,'pins':[]}");
	refused(SET("'mode':'none'"), "EINVAL", "'a' is a snapshot");
	refused(SET("'iops':50,'bypass':'never'"), "EINVAL", "'a' is a snapshot");
	accepted(SET("'iops':50,'share':7,'pin':[{'offset_bytes':0}]"));
	accepted("{'v':1,'verb':'volume-delete','args':{'name':'a'}}");
	accepted("{'v':1,'verb':'volume-clone','args':{'name':'v','clone':'a'}}");
	attributes("{'mode':'read-only','iops':50,'bandwidth_bytes':0,'burst_s':0,'share':100,'bypass':'default',"
		   "'read_ahead':'default','cache_floor_bytes':0,'pins':[{'offset_bytes':0}]}");
	teardown();
}

static void test_list_in_parts(void)
{
	char line[256], after[64] = "";
	unsigned seen = 0;
	json_t *root, *result, *next;

	setup();
	for (unsigned i = 0; i < 7; i++) {
		snprintf(line, sizeof(line),
			 "{'v':1,'verb':'volume-create','args':{'name':'v%u','size_bytes':4096}}", i);
		accepted(line);
	}
	for (int parts = 1;; parts++) {
		snprintf(line, sizeof(line), "{'v':1,'verb':'volume-list','args':{'limit':3%s%s%s}}",
			 after[0] ? ",\"after\":\"" : "", after, after[0] ? "\"" : "");
		root = ask(line);
		result = json_object_get(root, "result");
		for (size_t i = 0; i < json_array_size(json_object_get(result, "volumes")); i++) {
			const json_t *v = json_array_get(json_object_get(result, "volumes"), i);

			snprintf(line, sizeof(line), "v%u", seen++);
			CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(v, "name")), line);
		}
		next = json_object_get(result, "next");
		snprintf(after, sizeof(after), "%s", json_is_string(next) ? json_string_value(next) : "");
		json_decref(root);
		if (!after[0]) {
			CU_ASSERT_EQUAL(parts, 3);
			break;
		}
	}
	CU_ASSERT_EQUAL(seen, 7);
	for (unsigned i = 0; i < 7; i++) {
		snprintf(line, sizeof(line), "{'v':1,'verb':'volume-delete','args':{'name':'v%u'}}", i);
		accepted(line);
	}
	teardown();
}

static void test_pool_verbs(void)
{
	static const char *const keys[] = {"name", "uuid", "health", "space", "reads_blocks", "requests", "latency",
					   "work", "recovery", "memory", "devices"};
	json_t *root;

	setup();
	root = ask("{'v':1,'verb':'stats'}");
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		CU_ASSERT(json_object_get(json_object_get(root, "result"), keys[i]) != NULL);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(json_object_get(root, "result"), "devices")), 2);
	json_decref(root);
	accepted("{'v':1,'verb':'flush'}");
	accepted("{'v':1,'verb':'check'}");
	CU_ASSERT_PTR_NOT_NULL(strstr(answer_line, "\"clean\":true"));
	accepted("{'v':1,'verb':'pools'}");
	accepted("{'v':1,'verb':'version','args':{}}");
	fix.host.may_wait = true;
	accepted("{'v':1,'verb':'check','args':{'deep':true}}");
	accepted("{'v':1,'verb':'writeback'}");
	fix.host.may_wait = false;
	accepted("{'v':1,'verb':'scrub-status'}");
	accepted("{'v':1,'verb':'scrub-stop'}");
	accepted("{'v':1,'verb':'scrub-start','args':{'what':'all','rate_bytes_s':4096}}");
	accepted("{'v':1,'verb':'scrub-stop'}");
	accepted("{'v':1,'verb':'scrub-status'}");
	teardown();
}

/* Nothing but the answer must come of random damage to good lines. */
static void test_mutations(void)
{
	static const char *const good[] = {
		"{'v':1,'id':7,'verb':'volume-create','pool':'main','args':{'name':'m','size_bytes':8192}}",
		"{'v':1,'id':'x','verb':'volume-delete','args':{'name':'m'}}",
		"{'v':1,'id':null,'verb':'volume-list','args':{'after':'a','limit':2}}",
		"{'v':1,'verb':'volume-set','args':{'name':'m','iops':10,'bypass':4096,"
		"'pin':[{'offset_bytes':4096}]}}"};
	struct rng rng = unit_rng();
	char line[1024];

	setup();
	for (unit_step = 0; unit_step < 20000; unit_step++) {
		size_t len;

		snprintf(line, sizeof(line), "%s", quoted(good[rng_below(&rng, ARRAY_LEN(good))]));
		len = strlen(line);
		for (uint64_t n = rng_below(&rng, 4); n > 0; n--)
			line[rng_below(&rng, len)] = (char)rng_next(&rng);
		json_decref(ask_bytes(line, rng_below(&rng, 8) ? len : rng_below(&rng, len)));
	}
	teardown();
}

/* With the n-th allocation failing, for every n: one answer, and it is complete or an error. */
static void fail_each_allocation(const char *request)
{
	const char *line = quoted(request);
	struct proto_call *call = NULL;
	json_t *want = ask(request), *root;
	unsigned long made;

	for (unit_step = 1;; unit_step++) {
		line = quoted(request);
		answers = 0;
		mem_fail_at(unit_step);
		if (proto_handle_line(&fix.host, line, strlen(line), keep_answer, &fix, &call)) {
			made = mem_fail_at(0);
			call->link.next = call->link.prev = &call->link;
			for (int i = 0; i < 1000000 && !answers; i++)
				hb_pool_run(fix.pool);
		} else {
			made = mem_fail_at(0);
		}
		CHECK(answers == 1);
		root = json_loads(answer_line, 0, NULL);
		CHECK(root);
		if (json_is_true(json_object_get(root, "ok")))
			CHECK(json_object_size(json_object_get(root, "result")) ==
			      json_object_size(json_object_get(want, "result")));
		else
			CHECK(json_object_get(root, "error"));
		json_decref(root);
		if (made < unit_step)
			break;
	}
	CHECK(unit_step > 10);
	json_decref(want);
}

static void test_no_memory(void)
{
	json_malloc_t was_malloc;
	json_free_t was_free;

	setup();
	json_get_alloc_funcs(&was_malloc, &was_free);
	json_set_alloc_funcs(mem_alloc, mem_free);
	fail_each_allocation("{'v':1,'id':'x','verb':'version'}");
	fail_each_allocation("{'v':1,'id':1,'verb':'pools'}");
	fail_each_allocation("{'v':1,'id':1,'verb':'pool-show','pool':'main','args':{}}");
	fail_each_allocation("{'v':1,'id':1,'verb':'stats'}");
	fail_each_allocation("{'v':1,'id':1,'verb':'check'}");
	fail_each_allocation("{'v':1,'id':1,'verb':'volume-list'}");
	fail_each_allocation("{'v':1,'id':1,'verb':'flush'}");
	fail_each_allocation("{'v':1,'id':1,'verb':'volume-create','args':{'name':'a','size_bytes':4096}}");
	fail_each_allocation("{'v':1,'id':1,'verb':'volume-show','args':{'name':'a'}}");
	fail_each_allocation("{'v':1,'id':1,'verb':'volume-set','args':{'name':'a','pin':[{'offset_bytes':0}]}}");
	fail_each_allocation("{'v':1,'id':1,'verb':'nonsense'}");
	accepted("{'v':1,'verb':'check'}");
	teardown();
	json_set_alloc_funcs(was_malloc, was_free);
}

static struct hb_pool *next_of_two(void *ctx, struct hb_pool *after)
{
	struct ctl_fixture *f = ctx;

	return after == f->pool ? (struct hb_pool *)f : after ? NULL : f->pool;
}

static struct hb_pool *next_of_none(void *ctx, struct hb_pool *after)
{
	(void)ctx;
	(void)after;
	return NULL;
}

static void test_which_pool(void)
{
	setup();
	fix.host.next = next_of_two;
	refused("{'v':1,'verb':'flush'}", "EINVAL", "several pools are open");
	accepted("{'v':1,'verb':'flush','pool':'main'}");
	fix.host.next = next_of_none;
	refused("{'v':1,'verb':'flush'}", "ENODEV", "no pool is open");
	accepted("{'v':1,'verb':'pools'}");
	teardown();
}

static void test_codes(void)
{
	static const int known[] = {EPERM, ENOENT, EIO, EEXIST, EBUSY, EBADMSG, EPROTONOSUPPORT, ENOSPC, EMSGSIZE};

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		CU_ASSERT_EQUAL(proto_code_value(proto_code_name(-known[i])), -known[i]);
		CU_ASSERT_EQUAL(proto_code_value(proto_code_name(known[i])), -known[i]);
	}
	CU_ASSERT_STRING_EQUAL(proto_code_name(-EEXIST), "EEXIST");
	CU_ASSERT_STRING_EQUAL(proto_code_name(-12345), "EIO");
	CU_ASSERT_EQUAL(proto_code_value("NONSENSE"), -EIO);
}

/* On a pool without real devices nothing can be added; what there is is listed all the same. */
static void test_tiers(void)
{
	json_t *root, *list;

	setup();
	root = ask("{'v':1,'verb':'tier-list'}");
	list = json_object_get(json_object_get(root, "result"), "tiers");
	CU_ASSERT_EQUAL(json_array_size(list), 3);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(json_array_get(list, 2), "tier")), "capacity");
	json_decref(root);
	refused("{'v':1,'verb':'tier-add'}", "EINVAL", "args.path is missing");
	refused("{'v':1,'verb':'tier-add','args':{'path':'x'}}", "EINVAL", "expected an absolute path");
	refused("{'v':1,'verb':'tier-add','args':{'path':''}}", "EINVAL", "expected an absolute path");
	refused("{'v':1,'verb':'tier-add','args':{'path':7}}", "EINVAL", "expected an absolute path");
	refused("{'v':1,'verb':'tier-add','args':{'path':'/x'}}", "EOPNOTSUPP", "no real devices");
	refused("{'v':1,'verb':'tier-remove','args':{'level':0}}", "EINVAL", "expected a whole number above 0");
	refused("{'v':1,'verb':'tier-remove','args':{'level':1}}", "EOPNOTSUPP", "no real devices");
	teardown();
}

static CU_TestInfo tests[] = {
	{"hostile_lines", test_hostile_lines},
	{"long_and_deep", test_long_and_deep},
	{"ids", test_ids},
	{"volume_verbs", test_volume_verbs},
	{"volume_set", test_volume_set},
	{"snapshot_set", test_snapshot_set},
	{"floor", test_floor},
	{"list_in_parts", test_list_in_parts},
	{"pool_verbs", test_pool_verbs},
	{"mutations", test_mutations},
	{"no_memory", test_no_memory},
	{"which_pool", test_which_pool},
	{"codes", test_codes},
	{ "tiers", test_tiers },
	CU_TEST_INFO_NULL};
const struct hb_suite suite_proto = {"proto", tests};

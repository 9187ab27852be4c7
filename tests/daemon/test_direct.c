/* SPDX-License-Identifier: GPL-2.0-only */
/* test_direct.c - the EBS direct APIs without bytes (which tests/e2e/ec2-direct moves): what is refused with which
 * exception, tokens, ledgers, and snapshots that are begun, completed, given up or too late. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "box/ledger.h"
#include "direct/priv.h"
#include "tests/daemon/snapshot_rig.h"
#include "tests/daemon/suites.h"
#include "tests/unit/scratch.h"

#define NOBODY "snap-00000000000000000"
#define SUM "x-amz-Checksum"

static enum ebs_rights rights;
static const char *fields[8]; /* headers: name, value, … */
static json_t *said; /* the last answer's body, if it is JSON */
static char type[64]; /* its exception */

static void begin(void)
{
	srig_begin(0);
	rights = EBS_MAY_ALL;
	memset(fields, 0, sizeof(fields));
}

static void end(void)
{
	json_decref(said);
	said = NULL;
	srig_end();
}

static const char *header(void *ctx, const char *name)
{
	(void)ctx;
	for (unsigned i = 0; i < 8 && fields[i]; i += 2)
		if (!strcmp(fields[i], name))
			return fields[i + 1];
	return NULL;
}

/* The status. */
static unsigned ask(const char *method, const char *path, const char *query, const char *body)
{
	struct ebs_call who = {.who = "key test", .rights = rights};
	struct direct_request q = {.method = method,
				   .path = path,
				   .query = query,
				   .header = header,
				   .body = body,
				   .len = strlen(body),
				   .who = &who};
	struct direct_answer a;

	direct_answer(srig_ebs(), &q, &a);
	json_decref(said);
	said = a.body ? json_loadb(a.body, a.len, 0, NULL) : NULL;
	*type = '\0';
	for (unsigned i = 0; a.headers[i]; i += 2)
		if (!strcmp(a.headers[i], "x-amzn-ErrorType"))
			snprintf(type, sizeof(type), "%s", a.headers[i + 1]);
	free(a.body);
	return a.status;
}

static bool is(const char *exception, const char *reason)
{
	const char *got = json_string_value(json_object_get(said, "Reason"));

	return !strcmp(type, exception) && (reason ? got && !strcmp(got, reason) : !got) &&
	       json_is_string(json_object_get(said, "Message"));
}

#define INVALID(reason) is("ValidationException", reason)

static void test_paths(void)
{
	begin();
	CU_ASSERT(direct_is("/snapshots") && direct_is("/snapshots/x") && !direct_is("/snapshotsx") && !direct_is("/"));
	CU_ASSERT(direct_unsigned("PUT", "/snapshots/x/blocks/1") && !direct_unsigned("POST", "/snapshots"));
	CU_ASSERT_EQUAL(ask("DELETE", "/snapshots/" NOBODY, "", ""), 404);
	CU_ASSERT_EQUAL(ask("GET", "/snapshots/" NOBODY "/blocks/1/2", "", ""), 404);
	CU_ASSERT_EQUAL(ask("GET", "/snapshots/" NOBODY "/blocks/", "", ""), 400);
	CU_ASSERT(INVALID("INVALID_PARAMETER_VALUE"));
	CU_ASSERT_EQUAL(ask("GET", "/snapshots/" NOBODY "/blocks/-1", "", ""), 400);
	CU_ASSERT_EQUAL(ask("GET", "/snapshots/" NOBODY "/blocks/99999999999999999999", "", ""), 400);
	CU_ASSERT_EQUAL(ask("GET", "/snapshots/name/blocks", "", ""), 400);
	CU_ASSERT(INVALID("INVALID_SNAPSHOT_ID"));
	CU_ASSERT_EQUAL(ask("GET", "/snapshots/snap-12345678/blocks", "", ""), 404);
	CU_ASSERT(is("ResourceNotFoundException", "SNAPSHOT_NOT_FOUND"));
	CU_ASSERT_EQUAL(ask("GET", "/snapshots/" NOBODY "/blocks", "", ""), 404);
	CU_ASSERT_EQUAL(ask("GET", "/snapshots/" NOBODY "/changedblocks", "firstSnapshotId=" NOBODY, ""), 404);
	CU_ASSERT_EQUAL(ask("GET", "/snapshots/" NOBODY "/blocks/0", "", ""), 400);
	CU_ASSERT(INVALID("INVALID_BLOCK_TOKEN"));
	end();
}

static void test_start(void)
{
	static const char *const refused[][2] = {
		{"", "INVALID_PARAMETER_VALUE"},
		{"[1]", "INVALID_PARAMETER_VALUE"},
		{"{\"VolumeSize\":1,\"VolumeSize\":2}", "INVALID_PARAMETER_VALUE"},
		{"{\"VolumeSize\":\"1\"}", "INVALID_PARAMETER_VALUE"},
		{"{\"VolumeSize\":1,\"Colour\":1}", "INVALID_PARAMETER_VALUE"},
		{"{\"VolumeSize\":1,\"Timeout\":9}", "INVALID_PARAMETER_VALUE"},
		{"{\"VolumeSize\":1,\"Encrypted\":true}", "INVALID_PARAMETER_VALUE"},
		{"{}", "INVALID_VOLUME_SIZE"},
		{"{\"VolumeSize\":65537}", "INVALID_VOLUME_SIZE"},
		{"{\"VolumeSize\":1,\"ParentSnapshotId\":\"x\"}", "INVALID_SNAPSHOT_ID"},
		{"{\"VolumeSize\":1,\"Tags\":[{\"Key\":\"a\"}]}", "INVALID_TAG"},
		{"{\"VolumeSize\":1,\"Tags\":[{\"Key\":\"a\",\"Value\":\"1\"},{\"Key\":\"a\",\"Value\":\"1\"}]}",
		 "INVALID_TAG"},
	};
	char id[EBS_ID_MAX];

	begin();
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		CU_ASSERT_EQUAL(ask("POST", "/snapshots", "", refused[i][0]), 400);
		CU_ASSERT(INVALID(refused[i][1]));
	}
	CU_ASSERT_EQUAL(srig_in_pool(), 0);
	rights = EBS_MAY_READ;
	CU_ASSERT_EQUAL(ask("POST", "/snapshots", "", "{\"VolumeSize\":1}"), 403);
	CU_ASSERT(is("AccessDeniedException", "UNAUTHORIZED_ACCOUNT"));
	rights = EBS_MAY_OPERATE;
	CU_ASSERT_EQUAL(ask("POST", "/snapshots", "", "{\"VolumeSize\":1,\"ClientToken\":\"t\"}"), 201);
	snprintf(id, sizeof(id), "%s", json_string_value(json_object_get(said, "SnapshotId")));
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(said, "Status")), "pending");
	CU_ASSERT(json_real_value(json_object_get(said, "StartTime")) > 1.6e9);
	CU_ASSERT_EQUAL(ask("POST", "/snapshots", "", "{\"VolumeSize\":1,\"ClientToken\":\"t\"}"), 201);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(said, "SnapshotId")), id);
	CU_ASSERT_EQUAL(ask("POST", "/snapshots", "", "{\"VolumeSize\":2,\"ClientToken\":\"t\"}"), 409);
	CU_ASSERT(is("ConflictException", NULL));
	CU_ASSERT_EQUAL(srig_in_pool(), 1);
	CU_ASSERT_EQUAL(srig_count("volume-describe", "volumes", NULL), 0);
	end();
}

static void test_limits(void)
{
	begin();
	CU_ASSERT_STRING_EQUAL(srig_run("quota-set", NULL, "{s:s, s:i}", "what", "snapshots", "most", 2), "");
	CU_ASSERT_EQUAL(ask("POST", "/snapshots", "", "{\"VolumeSize\":1}"), 201);
	CU_ASSERT_EQUAL(ask("POST", "/snapshots", "", "{\"VolumeSize\":1}"), 201);
	CU_ASSERT_EQUAL(ask("POST", "/snapshots", "", "{\"VolumeSize\":1}"), 402);
	CU_ASSERT(is("ServiceQuotaExceededException", "DEPENDENCY_SERVICE_QUOTA_EXCEEDED"));
	CU_ASSERT_STRING_EQUAL(srig_run("quota-set", NULL, "{s:s, s:i}", "what", "snapshots", "most", 1000), "");
	for (int i = 2; i < 100; i++)
		CU_ASSERT_EQUAL_FATAL(ask("POST", "/snapshots", "", "{\"VolumeSize\":1}"), 201);
	CU_ASSERT_EQUAL(ask("POST", "/snapshots", "", "{\"VolumeSize\":1}"), 400);
	CU_ASSERT(is("ConcurrentLimitExceededException", NULL));
	end();
}

/* Puts nothing: a digest that stands for a block is in the ledger. */
static void test_complete(void)
{
	char id[EBS_ID_MAX], path[80];

	begin();
	srig_make("snapshot-start", id, "{s:I}", "size_bytes", (json_int_t)1 << 30);
	snprintf(path, sizeof(path), "/snapshots/completion/%s", id);
	CU_ASSERT_EQUAL(ask("POST", path, "", ""), 400);
	fields[0] = "x-amz-ChangedBlocksCount";
	fields[1] = "1";
	CU_ASSERT_EQUAL(ask("POST", path, "", ""), 400);
	CU_ASSERT(INVALID("INVALID_PARAMETER_VALUE"));
	fields[1] = "0";
	fields[2] = SUM;
	fields[3] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
	CU_ASSERT_EQUAL(ask("POST", path, "", ""), 400); /* of nothing it is another */
	CU_ASSERT(srig_fact_is("snapshot-describe", "snapshots", "state", "pending"));
	fields[3] = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
	fields[4] = "x-amz-Checksum-Aggregation-Method";
	fields[5] = "ROUND";
	CU_ASSERT_EQUAL(ask("POST", path, "", ""), 400);
	fields[5] = "LINEAR";
	CU_ASSERT_EQUAL(ask("POST", path, "", ""), 202);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(said, "Status")), "completed");
	CU_ASSERT_EQUAL(srig_in_pool(), 1); /* the snapshot; what it was made of has gone */
	CU_ASSERT_EQUAL(ask("POST", path, "", ""), 400);
	CU_ASSERT(INVALID("INVALID_SNAPSHOT_ID"));
	CU_ASSERT_STRING_EQUAL(srig_run("snapshot-start", NULL, "{s:I, s:s}", "size_bytes", (json_int_t)1 << 20,
					"parent", id), "InvalidParameterValue");
	end();
}

static bool none_left(const void *arg)
{
	(void)arg;
	return !srig_snapshots(NULL) && !srig_in_pool();
}

static void test_given_up(void)
{
	char id[EBS_ID_MAX];
	json_t *findings;

	begin();
	srig_make("snapshot-start", id, "{s:I}", "size_bytes", (json_int_t)1 << 30);
	CU_ASSERT_STRING_EQUAL(srig_run("volume-create", NULL, "{s:s}", "snapshot", id), "IncorrectState");
	CU_ASSERT_STRING_EQUAL(srig_run("doctor", &findings, "{}"), "");
	CU_ASSERT_EQUAL(srig_count("volume-describe", "volumes", NULL), 0);
	json_decref(findings);
	CU_ASSERT_STRING_EQUAL(srig_delete(id, false), "");
	CU_ASSERT(none_left(NULL));
	srig_make("snapshot-start", id, "{s:I}", "size_bytes", (json_int_t)1 << 30);
	CU_ASSERT_EQUAL(srig_in_pool(), 1);
	srig_meanwhile(T_SNAPSHOT, id, json_pack("{s:i}", "fill_until_ms", 1));
	CU_ASSERT(srig_comes(none_left, NULL));
	/* What the pool refused is not begun. */
	srig_spoil("volume-create", false);
	CU_ASSERT_STRING_NOT_EQUAL(srig_run("snapshot-start", NULL, "{s:I}", "size_bytes", (json_int_t)1 << 30), "");
	CU_ASSERT(none_left(NULL));
	end();
}

static void test_put(void)
{
	char id[EBS_ID_MAX], path[80];
	char *block = calloc(1, BLOCK_BYTES + 1);

	begin();
	srig_make("snapshot-start", id, "{s:I}", "size_bytes", (json_int_t)1 << 30);
	snprintf(path, sizeof(path), "/snapshots/%s/blocks/0", id);
	memset(block, 'x', BLOCK_BYTES);
	CU_ASSERT_EQUAL(ask("PUT", path, "", block), 400);
	fields[0] = "x-amz-Data-Length";
	fields[1] = "524288";
	fields[2] = "x-amz-Checksum-Algorithm";
	fields[3] = "SHA256";
	fields[4] = SUM;
	fields[5] = "no base64";
	CU_ASSERT_EQUAL(ask("PUT", path, "", block), 400);
	CU_ASSERT(INVALID("INVALID_PARAMETER_VALUE"));
	fields[5] = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
	CU_ASSERT_EQUAL(ask("PUT", path, "", block), 400);
	CU_ASSERT(INVALID("INVALID_BLOCK"));
	CU_ASSERT_EQUAL(ask("PUT", path, "", ""), 400);
	CU_ASSERT(INVALID("INVALID_BLOCK"));
	end();
	free(block);
}

static void test_tokens(void)
{
	char token[TOKEN_CHARS + 1], first;
	uint64_t index = 0;

	begin();
	CU_ASSERT(token_make(srig_ebs(), TOKEN_BLOCK, "snap-a", 77, 1000, token));
	CU_ASSERT_EQUAL(strlen(token), TOKEN_CHARS);
	CU_ASSERT_EQUAL(token_look(srig_ebs(), TOKEN_BLOCK, "snap-a", token, 999, &index), TOKEN_OK);
	CU_ASSERT_EQUAL(index, 77);
	CU_ASSERT_EQUAL(token_look(srig_ebs(), TOKEN_BLOCK, "snap-a", token, 1000, &index), TOKEN_EXPIRED);
	CU_ASSERT_EQUAL(token_look(srig_ebs(), TOKEN_BLOCK, "snap-b", token, 999, &index), TOKEN_FALSE);
	CU_ASSERT_EQUAL(token_look(srig_ebs(), TOKEN_PAGE, "snap-a", token, 999, &index), TOKEN_FALSE);
	for (unsigned i = 0; i < TOKEN_CHARS; i++) {
		first = token[i];
		token[i] = first == 'A' ? 'B' : 'A';
		CU_ASSERT_EQUAL(token_look(srig_ebs(), TOKEN_BLOCK, "snap-a", token, 999, &index), TOKEN_FALSE);
		token[i] = first;
	}
	CU_ASSERT_EQUAL(token_look(srig_ebs(), TOKEN_BLOCK, "snap-a", "", 999, &index), TOKEN_FALSE);
	end();
}

static int add(void *ctx, uint64_t index, const uint8_t *digest, struct err *err)
{
	uint64_t *sum = ctx;

	(void)err;
	*sum = *sum * 100000 + index * 10 + digest[0];
	return index == 4000 ? -EXDEV : 0;
}

static void test_ledger(void)
{
	uint8_t digest[LEDGER_DIGEST] = {1};
	char dir[SCRATCH_PATH_MAX], path[SCRATCH_PATH_MAX + 32];
	struct err err = ERR_INIT;
	uint64_t sum = 0;

	scratch_new("/tmp", dir);
	snprintf(path, sizeof(path), "%s/new/ledger", dir);
	CU_ASSERT_EQUAL(ledger_each(path, add, &sum, &err), 0);
	CU_ASSERT_EQUAL(ledger_put(path, 3000, digest, &err), 0);
	CU_ASSERT_EQUAL(ledger_put(path, 7, digest, &err), 0);
	digest[0] = 2;
	CU_ASSERT_EQUAL(ledger_put(path, 7, digest, &err), 0);
	CU_ASSERT_EQUAL(ledger_each(path, add, &sum, &err), 0);
	CU_ASSERT_EQUAL(sum, 7230001);
	CU_ASSERT_EQUAL(ledger_put(path, 4000, digest, &err), 0);
	CU_ASSERT_EQUAL(ledger_each(path, add, &sum, &err), -EXDEV);
	CU_ASSERT_EQUAL(ledger_remove(path, &err), 0);
	CU_ASSERT_EQUAL(ledger_remove(path, &err), 0);
	snprintf(path, sizeof(path), "%s/no/folder/at all", dir);
	CU_ASSERT_EQUAL(ledger_put(path, 1, digest, &err), -ENOENT);
	scratch_remove(dir);
}

static CU_TestInfo tests[] = {
	{"paths", test_paths},
	{"start", test_start},
	{"limits", test_limits},
	{"complete", test_complete},
	{"given_up", test_given_up},
	{"put", test_put},
	{"tokens", test_tokens},
	{"ledger", test_ledger},
	CU_TEST_INFO_NULL,
};

const struct hb_suite suite_direct = {"direct", tests};

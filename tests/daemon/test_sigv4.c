/* SPDX-License-Identifier: GPL-2.0-only */
/* test_sigv4.c - signatures of requests: AWS' own examples, then each thing that may be wrong with one. */
#include <stdio.h>
#include <string.h>

#include "sigv4/sigv4.h"
#include "tests/daemon/suites.h"

#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" /* of AWS' documentation */
#define AT 1440938160 /* 2015-08-30 12:36:00 */
#define STAMP "20150830T123600Z"
#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

/* A request that is put together, then bent. */
struct rig {
	struct sigv4_field fields[16];
	struct sigv4_request q;
	struct sigv4 s;
	char authorization[8192];
	struct err err;
};

static void add(struct rig *g, const char *name, const char *value)
{
	g->fields[g->q.nfields++] = (struct sigv4_field){name, value};
}

static void new_request(struct rig *g, const char *method, const char *path, const char *query, const char *body)
{
	memset(g, 0, sizeof(*g));
	g->q = (struct sigv4_request){
		.method = method, .path = path, .query = query, .fields = g->fields, .body = body, .len = strlen(body)};
}

static void authorize(struct rig *g, const char *scope, const char *names, const char *signature)
{
	snprintf(g->authorization, sizeof(g->authorization),
		 "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/%s/aws4_request, SignedHeaders=%s, Signature=%s", scope,
		 names, signature);
	add(g, "Authorization", g->authorization);
}

static enum sigv4_fault judge(struct rig *g, int64_t now_s)
{
	enum sigv4_fault f = sigv4_parse(&g->q, now_s, &g->s, &g->err);

	f = f ? f : sigv4_verify(&g->q, &g->s, SECRET, &g->err);
	CU_ASSERT_EQUAL(f == SIGV4_OK, g->err.text[0] == '\0');
	return f;
}

/* ---------------------------------------------------------------- AWS' examples */

static void test_list_users(void)
{
	struct rig g;

	new_request(&g, "GET", "/", "Action=ListUsers&Version=2010-05-08", "");
	add(&g, "Host", "iam.amazonaws.com");
	add(&g, "Content-Type", "application/x-www-form-urlencoded; charset=utf-8");
	add(&g, "X-Amz-Date", STAMP);
	authorize(&g, "20150830/us-east-1/iam", "content-type;host;x-amz-date",
		  "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
	CU_ASSERT_EQUAL(judge(&g, AT), SIGV4_OK);
	CU_ASSERT_STRING_EQUAL(g.s.key, "AKIDEXAMPLE");
	CU_ASSERT_STRING_EQUAL(g.s.region, "us-east-1");
	CU_ASSERT_STRING_EQUAL(g.s.service, "iam");
}

/* Of the suite of tests that AWS gave out with the standard. */
static void test_suite(void)
{
	static const char form[] = "application/x-www-form-urlencoded";
	static const struct {
		const char *method, *path, *query, *body, *names, *signature;
		const char *more[4];
	} cases[] = {
		{"GET", "/", "", "", "host;x-amz-date",
		 "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31", {NULL}},
		{"POST", "/", "", "", "host;x-amz-date",
		 "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b", {NULL}},
		{"GET", "/", "Param2=value2&Param1=value1", "", "host;x-amz-date",
		 "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500", {NULL}},
		{"GET", "/", "%E1%88%B4=bar", "", "host;x-amz-date",
		 "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04", {NULL}},
		{"GET", "/", "", "", "host;my-header1;my-header2;x-amz-date",
		 "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
		 {"My-Header1", " value1", "My-Header2", " \"a   b   c\""}},
		{"POST", "/", "", "Param1=value1", "content-type;host;x-amz-date",
		 "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a", {"Content-Type", form}},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct rig g;

		new_request(&g, cases[i].method, cases[i].path, cases[i].query, cases[i].body);
		add(&g, "Host", "example.amazonaws.com");
		add(&g, "X-Amz-Date", STAMP);
		for (int k = 0; k < 4 && cases[i].more[k]; k += 2)
			add(&g, cases[i].more[k], cases[i].more[k + 1]);
		authorize(&g, "20150830/us-east-1/service", cases[i].names, cases[i].signature);
		CU_ASSERT_EQUAL(judge(&g, AT), SIGV4_OK);
	}
}

/* ---------------------------------------------------------------- one of ours, bent */

#define SCOPE "20150830/box/hybrid"

/* Signed as it stands now, for these headers. */
static void sign(struct rig *g, const char *names, const char *stamp)
{
	struct sigv4 s = {.key = "AKIDEXAMPLE", .region = "box", .service = "hybrid"};

	snprintf(s.stamp, sizeof(s.stamp), "%s", stamp);
	snprintf(s.signed_names, sizeof(s.signed_names), "%s", names);
	CU_ASSERT_EQUAL_FATAL(sigv4_signature(&g->q, &s, SECRET, s.signature), SIGV4_OK);
	authorize(g, SCOPE, names, s.signature);
}

static void ours(struct rig *g, const char *date)
{
	new_request(g, "POST", "/v1/volume-create", "b=1&a=2", "{\"size_bytes\": 4096}");
	add(g, "Host", "box:8443");
	add(g, "Content-Type", "application/json");
	add(g, "X-Amz-Date", date);
}

static void test_bent(void)
{
	static const char names[] = "content-type;host;x-amz-date";
	struct rig g;

	ours(&g, STAMP);
	sign(&g, names, STAMP);
	CU_ASSERT_EQUAL(judge(&g, AT), SIGV4_OK);
	g.q.method = "PUT";
	CU_ASSERT_EQUAL(judge(&g, AT), SIGV4_MISMATCH);
	g.err = ERR_INIT;
	g.q.method = "POST";
	g.q.path = "/v1/volume-delete";
	CU_ASSERT_EQUAL(judge(&g, AT), SIGV4_MISMATCH);
	g.err = ERR_INIT;
	g.q.path = "/v1/volume-create";
	g.q.query = "a=2&b=1"; /* the order is not signed */
	CU_ASSERT_EQUAL(judge(&g, AT), SIGV4_OK);
	g.q.query = "b=%31&a=2"; /* nor how it is encoded */
	CU_ASSERT_EQUAL(judge(&g, AT), SIGV4_OK);
	g.q.query = "b=1&a=3";
	CU_ASSERT_EQUAL(judge(&g, AT), SIGV4_MISMATCH);
	g.err = ERR_INIT;
	g.q.query = "b=1&a=2&a=2";
	CU_ASSERT_EQUAL(judge(&g, AT), SIGV4_MISMATCH);
	g.err = ERR_INIT;
	g.q.query = "b=1&a=2";
	g.q.body = "{\"size_bytes\": 8192}";
	CU_ASSERT_EQUAL(judge(&g, AT), SIGV4_MISMATCH);
	g.err = ERR_INIT;
	g.q.body = "{\"size_bytes\": 4096}";
	g.fields[0].value = "box:8444";
	CU_ASSERT_EQUAL(judge(&g, AT), SIGV4_MISMATCH);
	g.err = ERR_INIT;
	g.fields[0].value = "  box:8443 ";
	CU_ASSERT_EQUAL(judge(&g, AT), SIGV4_OK);
	add(&g, "Host", "box:8443");
	CU_ASSERT_EQUAL(judge(&g, AT), SIGV4_INCOMPLETE);
}

static void test_not_covered(void)
{
	struct rig g;

	ours(&g, STAMP);
	sign(&g, "content-type;x-amz-date", STAMP);
	CU_ASSERT_EQUAL(judge(&g, AT), SIGV4_INCOMPLETE);
	ours(&g, STAMP);
	sign(&g, "content-type;host", STAMP);
	CU_ASSERT_EQUAL(judge(&g, AT), SIGV4_INCOMPLETE);
	ours(&g, STAMP);
	add(&g, "x-aMz-Target", "anything");
	sign(&g, "content-type;host;x-amz-date", STAMP);
	CU_ASSERT_EQUAL(judge(&g, AT), SIGV4_INCOMPLETE);
	ours(&g, STAMP);
	sign(&g, "host;x-amz-date;x-nobody", STAMP); /* it is not there */
	CU_ASSERT_EQUAL(judge(&g, AT), SIGV4_INCOMPLETE);
	ours(&g, STAMP);
	sign(&g, "host;content-type;x-amz-date", STAMP);
	CU_ASSERT_EQUAL(judge(&g, AT), SIGV4_INCOMPLETE);
	ours(&g, STAMP);
	sign(&g, "host;host;x-amz-date", STAMP);
	CU_ASSERT_EQUAL(judge(&g, AT), SIGV4_INCOMPLETE);
}

static void test_body_hash(void)
{
	static const char names[] = "host;x-amz-content-sha256;x-amz-date";
	struct rig g;

	ours(&g, STAMP);
	add(&g, "X-Amz-Content-SHA256", "3a1ad99ea10b3f1d33a2d0b2f7a3bc0f0a7d2bf3b4e6d9d1d2a0d6fdd21f0a00");
	sign(&g, names, STAMP);
	CU_ASSERT_EQUAL(judge(&g, AT), SIGV4_MISMATCH);
	ours(&g, STAMP);
	add(&g, "X-Amz-Content-SHA256", "UNSIGNED-PAYLOAD");
	sign(&g, names, STAMP);
	CU_ASSERT_EQUAL(judge(&g, AT), SIGV4_INCOMPLETE);
	g.err = ERR_INIT;
	g.q.unsigned_ok = true;
	CU_ASSERT_EQUAL(judge(&g, AT), SIGV4_OK);
	g.q.body = "{\"size_bytes\": 8192}";
	CU_ASSERT_EQUAL(judge(&g, AT), SIGV4_OK);
	/* What goes for the empty body. */
	new_request(&g, "POST", "/", "", "");
	add(&g, "host", "h");
	add(&g, "x-amz-date", STAMP);
	add(&g, "x-amz-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	sign(&g, names, STAMP);
	CU_ASSERT_EQUAL(judge(&g, AT), SIGV4_OK);
}

static void test_dates(void)
{
	static const char names[] = "content-type;host;x-amz-date";
	static const char *const wrong[] = {"",
					    "20150830T123600",
					    "20150830123600Z",
					    "20151330T123600Z",
					    "20150800T123600Z",
					    "20150830T243600Z",
					    "2015083OT123600Z",
					    "20150830T123600Z ",
					    "Sun, 30 Aug 2015 12:36:00 GMT"};
	struct rig g;

	ours(&g, STAMP);
	sign(&g, names, STAMP);
	CU_ASSERT_EQUAL(judge(&g, AT - SIGV4_WINDOW_S), SIGV4_OK);
	CU_ASSERT_EQUAL(judge(&g, AT + SIGV4_WINDOW_S), SIGV4_OK);
	CU_ASSERT_EQUAL(judge(&g, AT - SIGV4_WINDOW_S - 1), SIGV4_EXPIRED);
	g.err = ERR_INIT;
	CU_ASSERT_EQUAL(judge(&g, AT + SIGV4_WINDOW_S + 1), SIGV4_EXPIRED);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		ours(&g, wrong[i]);
		sign(&g, names, STAMP);
		CU_ASSERT_EQUAL(judge(&g, AT), SIGV4_INCOMPLETE);
	}
	/* Of another day than the key's scope. */
	ours(&g, "20150831T000000Z");
	sign(&g, names, "20150831T000000Z");
	CU_ASSERT_EQUAL(judge(&g, AT), SIGV4_MISMATCH);
	/* By Date: only if it is signed, and nothing else says when. */
	ours(&g, STAMP);
	g.fields[2] = (struct sigv4_field){"Date", "Sun, 30 Aug 2015 12:36:00 GMT"};
	sign(&g, "content-type;date;host", STAMP);
	CU_ASSERT_EQUAL(judge(&g, AT), SIGV4_OK);
	ours(&g, STAMP);
	g.fields[2] = (struct sigv4_field){"Date", "Sun, 30 Aux 2015 12:36:00 GMT"};
	sign(&g, "content-type;date;host", STAMP);
	CU_ASSERT_EQUAL(judge(&g, AT), SIGV4_INCOMPLETE);
	ours(&g, STAMP);
	g.fields[2] = (struct sigv4_field){"Date", "Sun, 30 Aug 2015 12:36:00 GMT"};
	sign(&g, "content-type;host", STAMP);
	CU_ASSERT_EQUAL(judge(&g, AT), SIGV4_INCOMPLETE);
	/* 29 February is the minute before March. */
	ours(&g, "20160229T235900Z");
	authorize(&g, "20160229/box/hybrid", names, ZEROS);
	CU_ASSERT_EQUAL(sigv4_parse(&g.q, 1456790400, &g.s, &g.err), SIGV4_OK);
	CU_ASSERT_EQUAL(sigv4_parse(&g.q, 1456790400 + SIGV4_WINDOW_S, &g.s, &g.err), SIGV4_EXPIRED);
}

static void test_headers(void)
{
#define GOOD "Credential=AKIDEXAMPLE/20150830/r/s/aws4_request, SignedHeaders=host;x-amz-date, Signature=" ZEROS
	static const struct {
		const char *value;
		enum sigv4_fault fault;
	} cases[] = {
		{"AWS4-HMAC-SHA256 " GOOD, SIGV4_MISMATCH}, /* well formed */
		{"AWS4-HMAC-SHA256 Credential=A/20150830/r/s/aws4_request,SignedHeaders=host;x-amz-date,"
		 "Signature=" ZEROS,
		 SIGV4_MISMATCH},
		{"", SIGV4_MISSING},
		{"Bearer x", SIGV4_INCOMPLETE},
		{"AWS4-HMAC-SHA256", SIGV4_INCOMPLETE},
		{"AWS4-HMAC-SHA256 ", SIGV4_INCOMPLETE},
		{"AWS4-HMAC-SHA512 " GOOD, SIGV4_INCOMPLETE},
		{"aws4-hmac-sha256 " GOOD, SIGV4_INCOMPLETE},
		{"AWS4-HMAC-SHA256 " GOOD ",", SIGV4_INCOMPLETE},
		{"AWS4-HMAC-SHA256 " GOOD ", Signature=" ZEROS, SIGV4_INCOMPLETE},
		{"AWS4-HMAC-SHA256 " GOOD ", More=1", SIGV4_INCOMPLETE},
		{"AWS4-HMAC-SHA256 " GOOD "0", SIGV4_INCOMPLETE},
		{"AWS4-HMAC-SHA256 Credential=A/20150830/r/s/aws4_request, SignedHeaders=host;x-amz-date",
		 SIGV4_INCOMPLETE},
		{"AWS4-HMAC-SHA256 Credential=A/2015083/r/s/aws4_request, SignedHeaders=host, Signature=" ZEROS,
		 SIGV4_INCOMPLETE},
		{"AWS4-HMAC-SHA256 Credential=A/20150830/r/s/aws3_request, SignedHeaders=host, Signature=" ZEROS,
		 SIGV4_INCOMPLETE},
		{"AWS4-HMAC-SHA256 Credential=A/20150830/r//aws4_request, SignedHeaders=host, Signature=" ZEROS,
		 SIGV4_INCOMPLETE},
		{"AWS4-HMAC-SHA256 Credential=A\n/20150830/r/s/aws4_request, SignedHeaders=host, Signature=" ZEROS,
		 SIGV4_INCOMPLETE},
		{"AWS4-HMAC-SHA256 Credential=A/20150830/r/s/aws4_request, SignedHeaders=;host, Signature=" ZEROS,
		 SIGV4_INCOMPLETE},
		{"AWS4-HMAC-SHA256 Credential=A/20150830/r/s/aws4_request, SignedHeaders=host;, Signature=" ZEROS,
		 SIGV4_INCOMPLETE},
		{"AWS4-HMAC-SHA256 Credential=A/20150830/r/s/aws4_request, SignedHeaders=Host;x-amz-date, "
		 "Signature=" ZEROS,
		 SIGV4_INCOMPLETE},
	};
	struct rig g;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		new_request(&g, "POST", "/", "", "");
		add(&g, "host", "h");
		add(&g, "x-amz-date", STAMP);
		add(&g, "authorization", cases[i].value);
		CU_ASSERT_EQUAL(judge(&g, AT), cases[i].fault);
	}
	new_request(&g, "POST", "/", "", "");
	CU_ASSERT_EQUAL(judge(&g, AT), SIGV4_MISSING);
	add(&g, "host", "h");
	add(&g, "x-amz-date", STAMP);
	sign(&g, "host;x-amz-date", STAMP);
	g.err = ERR_INIT;
	CU_ASSERT_EQUAL(judge(&g, AT), SIGV4_OK);
	add(&g, "authorization", g.authorization);
	CU_ASSERT_EQUAL(judge(&g, AT), SIGV4_INCOMPLETE);
}

static CU_TestInfo tests[] = {
	{"list_users", test_list_users},
	{"suite", test_suite},
	{"bent", test_bent},
	{"not_covered", test_not_covered},
	{"body_hash", test_body_hash},
	{"dates", test_dates},
	{"headers", test_headers},
	CU_TEST_INFO_NULL,
};

const struct hb_suite suite_sigv4 = {"sigv4", tests};

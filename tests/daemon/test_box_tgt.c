/* SPDX-License-Identifier: GPL-2.0-only */
/* test_box_tgt.c - tgtd's texts, true, mutated and forged; a tgtd that misbehaves; what may be passed to one.
 * (tgt_live.c is against a real one.) */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "box/tgt_priv.h"
#include "box/tgt_text.h"
#include "tests/daemon/fake_server.h"
#include "tests/daemon/suites.h"

#define TARGETS 6
#define PREFIX "iqn.2026-01.x:"

/* ------------------------------------------------------------------ texts as tgtd 1.0.85 writes them */
static char text[65536], lld[4096], alias[TARGETS][1024];

static void add(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void add(const char *fmt, ...)
{
	size_t n = strlen(text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text + n, sizeof(text) - n, fmt, ap);
	va_end(ap);
}

static void add_lun(int n, const char *type, const char *store_type, const char *path)
{
	add("        LUN: %d\n            Type: %s\n            SCSI ID: IET     00010001\n            SCSI SN: sn%d\n"
	    "            Size: 268 MB, Block size: 512\n            Online: Yes\n            Removable media: No\n"
	    "            Prevent removal: No\n            Readonly: No\n            SWP: No\n"
	    "            Thin-provisioning: Yes\n            Backing store type: %s\n"
	    "            Backing store path: %s\n            Backing store flags: \n", n, type, n, store_type, path);
}

/* What an initiator says is cut at 1023 bytes with its surroundings, wherever that is. */
static void add_session(int sid, const char *name, const char *its_alias)
{
	char info[1024];

	add("        I_T nexus: %d\n", sid);
	snprintf(info, sizeof(info), "            Initiator: %s alias: %s\n            Connection: 0\n"
		 "                IP Address: 192.0.2.%d\n", name, its_alias, sid);
	add("%s", info);
}

static void write_texts(void)
{
	text[0] = '\0';
	snprintf(lld, sizeof(lld), "LLDs:\n    iscsi: ready\n");
	for (int i = 0; i < TARGETS; i++) {
		size_t n = strlen(lld);

		/* In the order they were made, not of their numbers. */
		snprintf(lld + n, sizeof(lld) - n, "        Target %d: " PREFIX "t%d\n", TARGETS - i, TARGETS - 1 - i);
		add("Target %d: " PREFIX "t%d\n    System information:\n        Driver: iscsi\n        State: ready\n"
		    "    I_T nexus information:\n", i + 1, i);
		add_session(10 * i + 1, "iqn.host:a", alias[i]);
		if (i % 2)
			add_session(10 * i + 2, "iqn.host:b", "none");
		add("    LUN information:\n");
		add_lun(0, "controller", "null", "None");
		if (i != 4)
			add_lun(1, "disk", i == 3 ? "rdwr" : "hybrid", i == 3 ? "/srv/file" : "main/v");
		add("    Account information:\n        att-%d\n%s    ACL information:\n        192.0.2.0/24\n"
		    "        iqn.host:a\n", i, i % 2 ? "        back (outgoing)\n" : "");
	}
}

static json_t *parse(unsigned *ret_damaged)
{
	struct err err = ERR_INIT;
	json_t *targets = tgt_text_targets(lld, &err), *show;
	unsigned sessions;

	CHECK(targets != NULL);
	show = tgt_text_show(text, targets, PREFIX, ret_damaged, &sessions, &err);
	CHECK(show != NULL);
	json_decref(targets);
	return show;
}

static json_t *true_show(void)
{
	unsigned damaged;
	json_t *show;

	for (int i = 0; i < TARGETS; i++)
		snprintf(alias[i], sizeof(alias[i]), "none");
	write_texts();
	show = parse(&damaged);
	CHECK(damaged == 0);
	return show;
}

static const json_t *member(const json_t *show, int i, const char *key)
{
	char name[64];

	snprintf(name, sizeof(name), PREFIX "t%d", i);
	return key ? json_object_get(json_object_get(show, name), key) : json_object_get(show, name);
}

static bool damaged_at(const json_t *show, int i)
{
	return json_is_true(member(show, i, "damaged"));
}

static void test_show(void)
{
	json_t *show = true_show(), *want;

	CHECK(json_object_size(show) == TARGETS);
	want = json_pack("{s:i, s:s, s:s, s:b, s:b, s:[ss], s:[s], s:s, s:[{s:i,s:s,s:[s]},{s:i,s:s,s:[s]}]}", "tid", 2,
			 "store", "main/v", "serial", "sn1", "online", 1, "read_only", 0, "initiators",
			 "address:192.0.2.0/24", "iqn.host:a", "accounts", "att-1", "outgoing", "back", "sessions",
			 "sid", 11, "initiator", "iqn.host:a", "addresses", "192.0.2.11", "sid", 12, "initiator",
			 "iqn.host:b", "addresses", "192.0.2.12");
	CHECK(want && json_equal(member(show, 1, NULL), want));
	CHECK(json_is_null(member(show, 0, "outgoing")));
	CHECK(json_is_null(member(show, 3, "store")) && json_is_true(member(show, 3, "online"))); /* not ours */
	CHECK(json_is_null(member(show, 4, "store")) && json_is_null(member(show, 4, "online"))); /* no LUN 1 */
	json_decref(want);
	json_decref(show);
}

static void test_lists(void)
{
	struct err err = ERR_INIT;
	unsigned damaged, sessions;
	json_t *a = tgt_text_targets("LLDs:\n    iscsi: ready\n    iser: error\n", &err), *show, *known;

	CHECK(json_object_size(a) == 0);
	show = tgt_text_show("", a, NULL, &damaged, &sessions, &err);
	CHECK(show && json_object_size(show) == 0 && !damaged);
	json_decref(show);
	json_decref(a);
	CHECK(!tgt_text_targets("", &err) && err.code == -EBADMSG);
	CHECK(!tgt_text_targets("LLDs:\nnonsense\n", &err));
	CHECK(!tgt_text_targets("LLDs:\n        Target x: y\n", &err));
	CHECK(!tgt_text_targets("LLDs:\n        Target 1: y\n        Target 2: y\n", &err));
	CHECK(!tgt_text_targets("LLDs:\n        Target 99999999999: y\n", &err));
	a = tgt_text_accounts("", &err);
	CHECK(a && json_array_size(a) == 0);
	json_decref(a);
	a = tgt_text_accounts("Account list:\n    one\n    two\n", &err);
	CHECK(a && json_array_size(a) == 2 && !strcmp(json_string_value(json_array_get(a, 1)), "two"));
	json_decref(a);
	CHECK(!tgt_text_accounts("Something\n", &err));
	CHECK(tgt_text_has_store("System:\nBacking stores:\n    rdwr (bsoflags sync)\n    hybrid\nDevice types:\n",
				 "hybrid"));
	CHECK(tgt_text_has_store("Backing stores:\n    hybrid (bsoflags x)\n", "hybrid"));
	CHECK(!tgt_text_has_store("Backing stores:\n    hybrids\nDevice types:\n    hybrid\n", "hybrid"));
	/* A session that nobody but its initiator knows of is taken away. */
	show = true_show();
	known = tgt_text_sessions("tgt lun sid rd_subm(bytes,cmds)\n  2   0  11   0 0\n  2   1  11   0 0\n"
				  "1048577 0 1 0\n", &err);
	CHECK(known && json_object_size(known) == 2);
	tgt_text_confirm(show, known);
	CHECK(json_array_size(member(show, 1, "sessions")) == 1 && json_array_size(member(show, 0, "sessions")) == 0);
	json_decref(known);
	json_decref(show);
	CHECK(!tgt_text_sessions("", &err));
	CHECK(!tgt_text_sessions("tgt lun sid \n  1 0 x 0\n", &err));
}

/* ------------------------------------------------------------------ forged */
/* Target `i` is damaged by this alias; of the others only those in `also` may be, and all else is true. */
static void forge(int i, const char *its_alias, unsigned also)
{
	json_t *truth = true_show(), *show;
	unsigned damaged;

	snprintf(alias[i], sizeof(alias[i]), "%s", its_alias);
	write_texts();
	show = parse(&damaged);
	CHECK(damaged_at(show, i));
	for (int k = 0; k < TARGETS; k++)
		CHECK(k == i || json_equal(member(show, k, NULL), member(truth, k, NULL)) ||
		      (also & 1u << k && damaged_at(show, k)));
	json_decref(show);
	json_decref(truth);
}

#define REST "\n            Connection: 0\n                IP Address: 192.0.2.1\n"
#define LUN0 "    LUN information:\n        LUN: 0\n            Backing store path: None\n"                    \
	     "            Backing store type: null\n            Online: Yes\n            Readonly: No\n"
#define BOUND "    ACL information:\n        iqn.evil:x\n"

static void test_forged(void)
{
	char long_one[1200];

	forge(2, "x\ny", 0);
	forge(2, "x" REST LUN0 BOUND, 0);
	forge(2, "x" REST LUN0 BOUND "Target 6: " PREFIX "t5\n    System information:\n    I_T nexus information:\n"
	      "        I_T nexus: 51\n            Initiator: iqn.evil:x alias: ", 0);
	/* The neighbours' own lines, twice: nobody can know which is true. */
	forge(2, "x" REST LUN0 BOUND "Target 4: " PREFIX "t3\n    System information:\n    I_T nexus information:\n"
	      "        I_T nexus: 31\n            Initiator: iqn.evil:x alias: ", 1u << 3);
	forge(2, "x" REST LUN0 BOUND "Target 3: " PREFIX "t2\n    System information:\n    I_T nexus information:\n"
	      "        I_T nexus: 21\n            Initiator: iqn.host:a alias: ", 1u << 1);
	/* A target that is not there. */
	forge(TARGETS - 1, "x" REST LUN0 BOUND "Target 99: " PREFIX "new\n    System information:\n"
	      "    I_T nexus information:\n        I_T nexus: 21\n            Initiator: iqn.host:a alias: ", 0);
	/* So long that tgtd cuts its own lines off. */
	memset(long_one, 'x', sizeof(long_one));
	long_one[sizeof(long_one) - 1] = '\0';
	forge(1, long_one, 0);
	for (size_t n = 880; n < 1020; n++) {
		char cut[1024];

		snprintf(cut, sizeof(cut), "%s%.*s\n        iqn.evil:x", "x" REST LUN0 BOUND,
			 (int)(n - strlen("x" REST LUN0 BOUND)), long_one);
		forge(3, cut, 0);
	}
}

/* A session can be invented, but "stats" will not know it; all else is as it was. */
static void test_invented_session(void)
{
	json_t *truth = true_show(), *show;
	unsigned damaged;

	snprintf(alias[2], sizeof(alias[2]), "x" REST "        I_T nexus: 77\n            Initiator: iqn.evil:y alias: "
		 "z");
	write_texts();
	show = parse(&damaged);
	CHECK(!damaged && json_array_size(member(show, 2, "sessions")) == 2);
	CHECK(json_equal(member(show, 2, "initiators"), member(truth, 2, "initiators")));
	json_decref(show);
	json_decref(truth);
}

/* Random aliases out of pieces of tgtd's own text: what is said of others is the truth, or that it is not known. */
static void test_forged_random(void)
{
	static const char *const pieces[] = {
		"\n", "    ", "        ", REST, LUN0, BOUND, "Target 3: " PREFIX "t2", "Target 4: " PREFIX "t3\n", "x",
		"    System information:\n", "    I_T nexus information:\n", "        I_T nexus: 21\n",
		"            Initiator: iqn.host:a alias: ", "    Account information:\n", "        att-9\n",
		"        LUN: 1\n", "Target 2: " PREFIX "t1\n", "Target 6: " PREFIX "t5\n", "        y (outgoing)\n",
		"            Connection: 0\n", "                IP Address: 192.0.2.1\n", "    LUN information:\n",
	};
	json_t *truth = true_show();
	struct rng rng = unit_rng();

	for (unit_step = 0; unit_step < 4000; unit_step++) {
		int i = (int)rng_below(&rng, TARGETS), n = (int)rng_below(&rng, 24);
		unsigned damaged;
		json_t *show;

		alias[i][0] = '\0';
		for (int k = 0; k < n; k++) {
			size_t len = strlen(alias[i]);

			snprintf(alias[i] + len, sizeof(alias[i]) - len, "%s",
				 pieces[rng_below(&rng, ARRAY_LEN(pieces))]);
		}
		write_texts();
		show = parse(&damaged);
		for (int k = 0; k < TARGETS; k++) {
			if (k != i)
				CHECK(json_equal(member(show, k, NULL), member(truth, k, NULL)) || damaged_at(show, k));
			else if (!damaged_at(show, k)) {
				CHECK(json_equal(member(show, k, "initiators"), member(truth, k, "initiators")));
				CHECK(json_equal(member(show, k, "accounts"), member(truth, k, "accounts")));
				CHECK(json_equal(member(show, k, "store"), member(truth, k, "store")));
			}
		}
		snprintf(alias[i], sizeof(alias[i]), "none");
		json_decref(show);
	}
	json_decref(truth);
}

/* Any bytes at any place: no crash, and always the same names. */
static void test_mutated(void)
{
	struct rng rng = unit_rng();
	struct err err = ERR_INIT;

	json_decref(true_show());
	for (unit_step = 0; unit_step < 4000; unit_step++) {
		unsigned changes = 1 + (unsigned)rng_below(&rng, 5), damaged, sessions;
		json_t *targets, *show;
		size_t len;

		write_texts();
		len = strlen(text);
		for (unsigned k = 0; k < changes; k++) {
			size_t at = rng_below(&rng, len), n = rng_below(&rng, 40);

			if (rng_below(&rng, 2))
				text[at] = (char)rng_next(&rng);
			else if (at + n < len)
				memmove(text + at, text + at + n, len - at - n + 1);
			len = strlen(text);
			if (!len)
				break;
		}
		targets = tgt_text_targets(lld, &err);
		show = tgt_text_show(text, targets, NULL, &damaged, &sessions, &err);
		CHECK(show && json_object_size(show) <= TARGETS);
		json_decref(show);
		json_decref(targets);
		json_decref(tgt_text_targets(text, &err));
		json_decref(tgt_text_accounts(text, &err));
		json_decref(tgt_text_sessions(text, &err));
	}
}

/* ------------------------------------------------------------------ a tgtd that misbehaves */
enum manner { HANGS, DIES, DIES_IN_HEADER, DIES_IN_TEXT, LIES_SHORT, LIES_LONG, FAILS, ANSWERS };

struct fake_tgtd {
	enum manner manner;
	struct tgt_req last;
	char params[TGT_PARAMS_MAX + 1];
};

static void serve(void *arg, int fd)
{
	struct fake_tgtd *f = arg;
	struct tgt_rsp rsp = {.error = f->manner == FAILS ? TGT_NO_DRIVER : 0, .len = sizeof(rsp) + 6};

	if (!fake_read(fd, &f->last, sizeof(f->last)) || f->last.len < sizeof(f->last) ||
	    !fake_read(fd, f->params, f->last.len - sizeof(f->last)))
		return;
	switch (f->manner) {
	case HANGS:
		fake_read(fd, &rsp, 1);
		return;
	case DIES:
		return;
	case DIES_IN_HEADER:
		fake_write(fd, &rsp, 5);
		return;
	case LIES_SHORT:
		rsp.len = 3;
		break;
	case LIES_LONG:
		rsp.len = UINT32_MAX;
		break;
	default:
		break;
	}
	fake_write(fd, &rsp, sizeof(rsp));
	if (f->manner == DIES_IN_TEXT)
		fake_write(fd, "LL", 2);
	if (f->manner == ANSWERS)
		fake_write(fd, "LLDs:\n", 6);
}

static void test_misbehaves(void)
{
	static const struct {
		enum manner manner;
		int code;
	} cases[] = {
		{HANGS, -ETIMEDOUT}, {DIES, -ECONNREFUSED}, {DIES_IN_HEADER, -ECONNREFUSED},
		{DIES_IN_TEXT, -ECONNREFUSED}, {LIES_SHORT, -EPROTO}, {LIES_LONG, -EPROTO},
		{FAILS, -ENODEV},
	};
	struct fake_tgtd own = {.manner = ANSWERS};
	struct fake *f = fake_start(serve, &own);
	struct tgt_req req = {.mode = TGT_OF_ACCOUNT, .op = TGT_NEW, .tid = 7};
	struct err err = ERR_INIT;
	char *answer = NULL;
	struct tgt *t;

	CHECK(tgt_new(fake_path(f), &t, &err) == 0);
	CHECK(tgt_ask(t, &req, 10000, &answer, &err, "user=%s", "u") == 0 && !strcmp(answer, "LLDs:\n"));
	free(answer);
	CHECK(own.last.len == 120 + 7 && own.last.tid == 7 && !strcmp(own.last.driver, "iscsi"));
	CHECK(!memcmp(own.params, "user=u", 7));
	CHECK(tgt_ask(t, &req, 10000, NULL, &err, NULL) == 0 && own.last.len == 120);
	CHECK(tgt_ask(t, &req, 10000, NULL, &err, "%9000d", 1) == -E2BIG);
	t->patience_ms = 200;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		own.manner = cases[i].manner;
		err = ERR_INIT;
		CHECK(tgt_show(t, NULL, &err) == NULL && err.code == cases[i].code && err.text[0]);
		err = ERR_INIT;
		CHECK(tgt_remove(t, PREFIX "x", true, &err) == cases[i].code);
	}
	fake_die(f);
	err = ERR_INIT;
	CHECK(!tgt_show(t, NULL, &err) && err.code == -ECONNREFUSED);
	fake_stop(f);
	CHECK(!tgt_show(t, NULL, &err) && err.code == -ECONNREFUSED);
	tgt_free(t);
}

/* ------------------------------------------------------------------ what may be passed */
static int try_target(const char *iqn, const char *store, const char *initiator, const char *user, const char *secret)
{
	struct tgt_account account = {user, secret, false};
	struct tgt_target want = {.iqn = iqn, .store = store, .initiators = &initiator, .ninitiators = 1,
				  .accounts = &account, .naccounts = 1};
	struct err err = ERR_INIT;

	return tgt_check(&want, &err);
}

static void test_check(void)
{
	char secret[300];
	struct tgt_account pair[2] = {{"a", "secret-secret", false}, {"b", "other--secret", true}};
	struct tgt_target want = {.iqn = "iqn.a:b", .store = "p/v", .accounts = pair, .naccounts = 2};
	struct err err = ERR_INIT;

#define OK "iqn.2026-01.x:a", "p/v", "iqn.x:y", "user", "secret,secret=1"
	CHECK(try_target(OK) == 0);
#undef OK
	CHECK(try_target("iqn.x:a,b", "p/v", "iqn.x:y", "user", "secretsecret") == -EINVAL);
	CHECK(try_target("iqn.x:a_b", "p/v", "iqn.x:y", "user", "secretsecret") == -EINVAL);
	CHECK(try_target("", "p/v", "iqn.x:y", "user", "secretsecret") == -EINVAL);
	CHECK(try_target("iqn.x:a", "p/v,bstype=rdwr", "iqn.x:y", "user", "secretsecret") == -EINVAL);
	CHECK(try_target("iqn.x:a", "p/v w", "iqn.x:y", "user", "secretsecret") == -EINVAL);
	CHECK(try_target("iqn.x:a", "p/v", "iqn.x:initiator-address=ALL", "user", "secretsecret") == -EINVAL);
	CHECK(try_target("iqn.x:a", "p/v", "ALL", "user", "secretsecret") == -EINVAL);
	CHECK(try_target("iqn.x:a", "p/v", "iqn.x:\n", "user", "secretsecret") == -EINVAL);
	CHECK(try_target("iqn.x:a", "p/v", TGT_BY_ADDRESS, "user", "secretsecret") == -EINVAL);
	CHECK(try_target("iqn.x:a", "p/v", TGT_BY_ADDRESS "ALL", "user", "secretsecret") == 0);
	CHECK(try_target("iqn.x:a", "p/v", "iqn.x:y", "us,er", "secretsecret") == -EINVAL);
	CHECK(try_target("iqn.x:a", "p/v", "iqn.x:y", "", "secretsecret") == -EINVAL);
	CHECK(try_target("iqn.x:a", "p/v", "iqn.x:y", "user", "secretsecre") == -EINVAL);
	CHECK(try_target("iqn.x:a", "p/v", "iqn.x:y", "user", "secret\nsecret") == -EINVAL);
	memset(secret, 's', sizeof(secret));
	secret[256] = '\0';
	CHECK(try_target("iqn.x:a", "p/v", "iqn.x:y", "user", secret) == -EINVAL);
	secret[255] = '\0';
	CHECK(try_target("iqn.x:a", "p/v", "iqn.x:y", "user", secret) == 0);
	CHECK(tgt_check(&want, &err) == 0);
	pair[1].secret = pair[0].secret;
	CHECK(tgt_check(&want, &err) == -EINVAL && !strstr(err.text, "secret-secret"));
	pair[1].secret = "other--secret";
	pair[0].outgoing = true;
	CHECK(tgt_check(&want, &err) == -EINVAL);
	pair[0].outgoing = false;
	pair[1].user = "a";
	CHECK(tgt_check(&want, &err) == -EINVAL);
}

static CU_TestInfo tests[] = {
	{"show", test_show},
	{"lists", test_lists},
	{"forged", test_forged},
	{"invented_session", test_invented_session},
	{"forged_random", test_forged_random},
	{"mutated", test_mutated},
	{"misbehaves", test_misbehaves},
	{"check", test_check},
	CU_TEST_INFO_NULL,
};

const struct hb_suite suite_box_tgt = {"box_tgt", tests};

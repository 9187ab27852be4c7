/* SPDX-License-Identifier: GPL-2.0-only */
/* test_conf.c - configuration files: what a good one says, and the exact sentence for each way to be bad. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/units.h"
#include "conf/conf.h"
#include "conf/read.h"
#include "scratch.h"
#include "suites.h"

#define RAM "{ \"type\": \"ram\", \"size\": \"8MiB\" }"
#define SSD "{ \"type\": \"ssd\", \"path\": \"/x/ssd\" }"
#define CAP "{ \"type\": \"capacity\", \"path\": \"/x/hdd\" }"
#define TIERS "\"tiers\": [" RAM ", " SSD ", " CAP "]"
/* One pool with more members, from line 2 on. */
#define POOL(more) "{ \"pools\": [ {\n\"name\": \"main\", " TIERS more "\n} ] }"
#define TIERED(tiers) "{ \"pools\": [ {\n\"name\": \"main\", \"tiers\": [\n" tiers "\n] } ] }"
#define LEVEL(n) "{ \"type\": \"ssd\", \"path\": \"/x/l" n "\" }"
#define REMOTE(iscsi) TIERED("{ \"type\": \"capacity\", \"iscsi\": " iscsi " }")
#define LUN1 "\"portal\": \"h\", \"target\": \"iqn.x:y\", \"lun\": 1, \"initiator\": \"iqn.x:z\""
#define MODEL(model) TIERED("{ \"type\": \"ssd\", \"path\": \"/x\", \"model\": " model " }")
#define ONE_EACH "expected one ram, one or more ssd, one capacity"
#define SIZES "a size like \"256MiB\" (in KiB, MiB, GiB, TiB, KB, MB, GB or TB)"

static int parse(const char *text, struct conf **ret, struct err *err)
{
	return conf_parse(text, strlen(text), "t.json", ret, err);
}

/* ------------------------------------------------------------------ good ones */

static void test_all_keys(void)
{
	static const char text[] =
		"{ \"control\": { \"socket\": \"/run/x.sock\", \"mode\": \"0660\" },\n"
		"  \"pools\": [ { \"name\": \"main\", \"open\": \"start\", \"staging\": \"/dev/shm\",\n"
		"    \"tiers\": [ { \"type\": \"ram\", \"size\": \"1GiB\" },\n"
		"      { \"type\": \"ssd\", \"path\": \"/x/ssd\", \"size\": \"2GB\" },\n"
		"      { \"size\": \"3TiB\", \"path\": \"/x/hdd\", \"type\": \"capacity\" } ],\n"
		"    \"chunk\": \"128KiB\", \"segment\": \"1MiB\",\n"
		"    \"write_back\": { \"dirty_low\": \"20%\", \"dirty_high\": \"60%\", \"idle\": \"2min\",\n"
		"      \"depth\": 16 }\n"
		"  } ] }\n";
	struct err err = ERR_INIT;
	const struct conf_pool *p;
	struct conf *c;

	CU_ASSERT_EQUAL_FATAL(parse(text, &c, &err), 0);
	CU_ASSERT_STRING_EQUAL(c->socket, "/run/x.sock");
	CU_ASSERT_EQUAL(c->socket_mode, 0660);
	CU_ASSERT_EQUAL(c->npools, 1);
	p = conf_find_pool(c, "main");
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_PTR_NULL(conf_find_pool(c, "mai"));
	CU_ASSERT_STRING_EQUAL(p->file, "t.json");
	CU_ASSERT_EQUAL(p->line, 2);
	CU_ASSERT_STRING_EQUAL(p->staging, "/dev/shm");
	CU_ASSERT(p->open_at_start);
	CU_ASSERT_EQUAL(p->tiers[CONF_RAM].size_bytes, GIB(1));
	CU_ASSERT_PTR_NULL(p->tiers[CONF_RAM].path);
	CU_ASSERT_EQUAL(p->tiers[CONF_SSD].size_bytes, 2000000000 / 4096 * 4096);
	CU_ASSERT_STRING_EQUAL(p->tiers[CONF_SSD].path, "/x/ssd");
	CU_ASSERT_EQUAL(p->tiers[CONF_CAPACITY].size_bytes, 3ull << 40);
	CU_ASSERT_EQUAL(p->tiers[CONF_CAPACITY].line, 5);
	CU_ASSERT(p->chunk_bytes == KIB(128) && p->segment_bytes == MIB(1));
	CU_ASSERT(p->dirty_low_pct == 20 && p->dirty_high_pct == 60);
	CU_ASSERT(p->idle_ns == 120 * SEC_NS && p->depth == 16);
	conf_free(c);
}

static void test_defaults(void)
{
	struct err err = ERR_INIT;
	const struct conf_pool *p;
	struct conf *c;

	CU_ASSERT_EQUAL_FATAL(parse(POOL(""), &c, &err), 0);
	CU_ASSERT_STRING_EQUAL(c->socket, CONF_DEFAULT_SOCKET);
	CU_ASSERT_EQUAL(c->socket_mode, 0600);
	p = &c->pools[0];
	CU_ASSERT(!p->open_at_start);
	CU_ASSERT_STRING_EQUAL(p->staging, "/dev/shm");
	CU_ASSERT(!p->chunk_bytes && !p->segment_bytes && !p->dirty_low_pct && !p->dirty_high_pct);
	CU_ASSERT(!p->idle_ns && !p->depth);
	CU_ASSERT_EQUAL(p->tiers[CONF_SSD].size_bytes, 0);
	conf_free(c);
}

static void test_levels(void)
{
	static const char text[] = TIERED(RAM ", " SSD ",\n" LEVEL("1") ",\n" LEVEL("2") ",\n" LEVEL("3") ",\n"
					  LEVEL("4") ",\n" CAP);
	struct err err = ERR_INIT;
	const struct conf_tier *t;
	struct conf *c;

	CU_ASSERT_EQUAL_FATAL(parse(text, &c, &err), 0);
	t = c->pools[0].tiers;
	CU_ASSERT_STRING_EQUAL(t[CONF_LEVEL1].path, "/x/l1");
	CU_ASSERT_STRING_EQUAL(t[CONF_LEVEL4].path, "/x/l4");
	CU_ASSERT_STRING_EQUAL(t[CONF_LEVEL4].name, "/x/l4");
	CU_ASSERT(t[CONF_LEVEL1].line == 4 && t[CONF_LEVEL4].line == 7 && !t[CONF_MIRROR].line);
	CU_ASSERT_STRING_EQUAL(conf_tier_name(CONF_LEVEL2), "ssd");
	conf_free(c);
	CU_ASSERT_EQUAL_FATAL(parse(POOL(""), &c, &err), 0);
	t = c->pools[0].tiers;
	CU_ASSERT(!t[CONF_LEVEL1].line && !t[CONF_LEVEL1].path && !t[CONF_SSD].iscsi && !t[CONF_SSD].hdd.on);
	conf_free(c);
}

static void test_mirror(void)
{
	static const char text[] = TIERED(RAM ",\n{ \"type\": \"ssd\", \"size\": \"1GiB\", \"paths\": [ \"/x/a\",\n"
					  "\"/x/b\" ], \"model\": \"hdd\" },\n" CAP);
	struct err err = ERR_INIT;
	const struct conf_tier *t;
	struct conf *c;

	CU_ASSERT_EQUAL_FATAL(parse(text, &c, &err), 0);
	t = c->pools[0].tiers;
	CU_ASSERT_STRING_EQUAL(t[CONF_SSD].path, "/x/a");
	CU_ASSERT_STRING_EQUAL(t[CONF_MIRROR].path, "/x/b");
	CU_ASSERT(t[CONF_SSD].line == 4 && t[CONF_MIRROR].line == 4);
	CU_ASSERT(t[CONF_SSD].size_bytes == GIB(1) && t[CONF_MIRROR].size_bytes == GIB(1));
	CU_ASSERT(t[CONF_SSD].hdd.on && t[CONF_MIRROR].hdd.on);
	conf_free(c);
}

static void assert_portal(const char *given, const char *want)
{
	struct err err = ERR_INIT;
	struct conf *c;
	char text[512];

	snprintf(text, sizeof(text), TIERED(RAM ", " SSD ", { \"type\": \"capacity\", \"iscsi\": { \"portal\": \"%s\", "
					    "\"target\": \"iqn.x:y\", \"lun\": 0, \"initiator\": \"iqn.x:z\" } "
					    "}"), given);
	CU_ASSERT_EQUAL_FATAL(parse(text, &c, &err), 0);
	CU_ASSERT_STRING_EQUAL(c->pools[0].tiers[CONF_CAPACITY].iscsi->portal, want);
	conf_free(c);
}

static void test_remote(void)
{
	static const char text[] = TIERED(
		RAM ",\n" SSD ",\n{ \"type\": \"ssd\", \"iscsi\": { \"portal\": \"h:1\", \"target\": \"iqn.x:y\", "
		"\"lun\": 0, \"initiator\": \"iqn.x:z\", \"connections\": 8, \"user\": \"u\", \"secret_file\": \"/s\", "
		"\"mutual_user\": \"m\", \"mutual_secret_file\": \"/m\", \"patience\": \"9s\" } },\n"
		"{ \"type\": \"capacity\", \"iscsi\": { \"portal\": \"h:1\", \"target\": \"iqn.x:y\", \"lun\": 1, "
		"\"initiator\": \"iqn.x:z\" } }");
	struct err err = ERR_INIT;
	const struct conf_tier *t;
	const struct conf_iscsi *i;
	struct conf *c;

	CU_ASSERT_EQUAL_FATAL(parse(text, &c, &err), 0);
	t = c->pools[0].tiers;
	i = t[CONF_LEVEL1].iscsi;
	CU_ASSERT_PTR_NOT_NULL_FATAL(i);
	CU_ASSERT_PTR_NULL(t[CONF_LEVEL1].path);
	CU_ASSERT_STRING_EQUAL(t[CONF_LEVEL1].name, "iscsi://h:1/iqn.x:y/0");
	CU_ASSERT_STRING_EQUAL(t[CONF_CAPACITY].name, "iscsi://h:1/iqn.x:y/1");
	CU_ASSERT_STRING_EQUAL(i->target, "iqn.x:y");
	CU_ASSERT_STRING_EQUAL(i->initiator, "iqn.x:z");
	CU_ASSERT(!strcmp(i->user, "u") && !strcmp(i->secret_file, "/s"));
	CU_ASSERT(!strcmp(i->mutual_user, "m") && !strcmp(i->mutual_secret_file, "/m"));
	CU_ASSERT(i->lun == 0 && i->connections == 8 && i->patience_ns == 9 * SEC_NS);
	i = t[CONF_CAPACITY].iscsi;
	CU_ASSERT(i->lun == 1 && !i->connections && !i->user && !i->patience_ns);
	conf_free(c);
	assert_portal("host", "host:3260");
	assert_portal("host:99", "host:99");
	assert_portal("[fe80::1]", "[fe80::1]:3260");
	assert_portal("[fe80::1]:7", "[fe80::1]:7");
	assert_portal("fe80::1", "[fe80::1]:3260");
}

static void test_model(void)
{
	static const char text[] = TIERED(
		RAM ",\n{ \"type\": \"ssd\", \"path\": \"/x/ssd\", \"model\": \"hdd\" },\n"
		"{ \"type\": \"capacity\", \"path\": \"/x/hdd\", \"model\": { \"type\": \"hdd\", \"rpm\": 5400, "
		"\"rate\": \"200MB\", \"ahead\": \"0\", \"write_cache\": \"64MiB\", \"depth\": 4, \"age\": \"1s\", "
		"\"scale\": 0.1 } }");
	struct err err = ERR_INIT;
	const struct conf_hdd *h;
	struct conf *c;

	CU_ASSERT_EQUAL_FATAL(parse(text, &c, &err), 0);
	h = &c->pools[0].tiers[CONF_SSD].hdd;
	CU_ASSERT(h->on && !memcmp(&h->model, &hdd_model_default, sizeof(h->model)));
	h = &c->pools[0].tiers[CONF_CAPACITY].hdd;
	CU_ASSERT(h->on && h->model.rpm == 5400 && h->model.depth == 4 && h->model.age_ns == SEC_NS);
	CU_ASSERT(h->model.ahead_bytes == 0 && h->model.write_cache_bytes == MIB(64));
	CU_ASSERT(h->model.outer_bytes_s == 199999488 && h->model.inner_bytes_s == 199999488 / 2);
	CU_ASSERT(h->model.scale > 0.09 && h->model.scale < 0.11);
	conf_free(c);
}

/* ------------------------------------------------------------------ bad ones */

static const struct {
	const char *text, *sentence;
} bad_files[] = {
	/* no JSON */
	{ "", "t.json:1: not valid JSON: '[' or '{' expected near end of file" },
	{ "{\n\n\"pools\": [,] }", "t.json:3: not valid JSON: unexpected token near ','" },
	{ "{ \"pools\": [] }\n\nx", "t.json:3: not valid JSON: end of file expected near 'x'" },
	{ "[[[[", "t.json:1: not valid JSON: ']' expected near end of file" },
	{ "{ \"a\\u0000b\": 1 }",
	  "t.json:1: not valid JSON: NUL byte in object key not supported near '\"a\\u0000b\"'" },
	/* structure */
	{ "[]", "t.json:1: the configuration is an array, expected an object" },
	{ "{}", "t.json:1: the configuration lacks \"pools\"" },
	{ "\n\n{}", "t.json:3: the configuration lacks \"pools\"" },
	{ "{ \"pools\": {} }", "t.json:1: \"pools\" is no array, expected an array of at least one pool" },
	{ "{\n \"pools\":\n []\n}", "t.json:3: \"pools\" is empty, expected an array of at least one pool" },
	{ "{\n \"pools\": [\n7\n] }", "t.json:3: a pool is a number, expected an object" },
	{ "{\n \"pool\"\n: [] }",
	  "t.json:2: unknown key \"pool\" in the configuration, expected \"control\" or \"pools\"" },
	{ "{ \"po\\nls\": [] }",
	  "t.json:1: unknown key \"po?ls\" in the configuration, expected \"control\" or \"pools\"" },
	{ "{ \"pools\": [],\n\"control\": {},\n \"pools\": [] }",
	  "t.json:3: key \"pools\" is given twice in one object, expected once" },
	{ POOL(",\n\"chunk\": \"64KiB\",\n\"chunk\": \"64KiB\""),
	  "t.json:4: key \"chunk\" is given twice in one object, expected once" },
	{ POOL(",\n\"chunks\": \"64KiB\""),
	  "t.json:3: unknown key \"chunks\" in a pool, expected \"name\", \"open\", \"staging\", "
	  "\"tiers\", \"chunk\", \"segment\" or \"write_back\"" },
	/* control */
	{ "{\n\"control\": [] }", "t.json:2: \"control\" is an array, expected an object" },
	{ "{\n\"control\": { \"sock\": 1 } }",
	  "t.json:2: unknown key \"sock\" in \"control\", expected \"socket\" or \"mode\"" },
	{ "{\n\"control\": { \"socket\": false } }", "t.json:2: \"socket\" is false, expected a string" },
	{ "{\n\"control\": { \"socket\": \"\" } }", "t.json:2: \"socket\" is empty, expected a path" },
	{ "{\n\"control\": { \"socket\": \"/0123456789012345678901234567890123456789012345678901234567890123456789"
	  "01234567890123456789012345678901234567\" } }",
	  "t.json:2: \"socket\" has 109 bytes, expected a path of at most 107" },
	{ "{\n\"control\": { \"mode\": 600 } }",
	  "t.json:2: \"mode\" is a number, expected an octal mode like \"0600\" or \"0660\"" },
	{ "{\n\"control\": { \"mode\": \"0999\" } }",
	  "t.json:2: \"mode\" is \"0999\", expected an octal mode like \"0600\" or \"0660\"" },
	{ "{\n\"control\": { \"mode\": \"0777\" } }",
	  "t.json:2: \"mode\" is \"0777\", expected an octal mode like \"0600\" or \"0660\"" },
	/* names */
	{ "{ \"pools\": [ { " TIERS " } ] }", "t.json:1: a pool lacks \"name\"" },
	{ "{ \"pools\": [\n{ \"name\": \"-a\", " TIERS " } ] }",
	  "t.json:2: \"-a\" is no name, expected a letter or digit, "
	  "then up to 62 of letters, digits, \".\", \"_\" and \"-\"" },
	{ "{ \"pools\": [\n{ \"name\": \"a/b\", " TIERS " } ] }",
	  "t.json:2: \"a/b\" is no name, expected a letter or digit, "
	  "then up to 62 of letters, digits, \".\", \"_\" and \"-\"" },
	{ "{ \"pools\": [\n{ \"name\": null, " TIERS " } ] }", "t.json:2: \"name\" is null, expected a string" },
	{ "{ \"pools\": [\n{ \"name\": \"a\", " TIERS " },\n{ \"name\": \"a\" } ] }",
	  "t.json:3: a second pool \"a\" (the first is on line 2), expected another name" },
	/* tiers */
	{ "{ \"pools\": [ { \"name\": \"a\" } ] }", "t.json:1: a pool lacks \"tiers\"" },
	{ "{ \"pools\": [ { \"name\": \"a\", \"tiers\": 1 } ] }",
	  "t.json:1: \"tiers\" is no array, expected an array of tiers" },
	{ TIERED("\"x\""), "t.json:3: a tier is a string, expected an object" },
	{ TIERED(RAM ",\n{}"), "t.json:4: a tier lacks \"type\", expected \"ram\", \"ssd\" or \"capacity\"" },
	{ TIERED(RAM ",\n{ \"path\": \"/x\",\n\"type\": \"nvme\" }"),
	  "t.json:5: unknown tier type \"nvme\", expected \"ram\", \"ssd\" or \"capacity\"" },
	{ TIERED("{ \"type\": 1 }"), "t.json:3: \"type\" is a number, expected a string" },
	{ TIERED("{ \"type\": \"ram\" }"), "t.json:3: the ram tier lacks \"size\"" },
	{ TIERED("{ \"type\": \"ram\", \"size\": \"1MiB\" }"),
	  "t.json:3: \"size\" is \"1MiB\", expected at least \"4MiB\" of RAM" },
	{ TIERED("{ \"type\": \"ram\", \"path\": \"/x\" }"),
	  "t.json:3: unknown key \"path\" in the ram tier, expected \"type\" or \"size\"" },
	{ TIERED("{ \"type\": \"ssd\" }"), "t.json:3: the ssd tier lacks \"path\" or \"paths\"" },
	{ TIERED(RAM ",\n" SSD ",\n{ \"type\": \"ssd\" }"), "t.json:5: cache level 1 lacks \"path\" or \"iscsi\"" },
	{ TIERED("{ \"type\": \"capacity\" }"), "t.json:3: the capacity tier lacks \"path\" or \"iscsi\"" },
	{ TIERED("{ \"type\": \"ssd\", \"dev\": \"/x\" }"),
	  "t.json:3: unknown key \"dev\" in the ssd tier, expected \"type\", \"path\", \"paths\", \"size\" or "
	  "\"model\"" },
	{ TIERED("{ \"type\": \"ssd\", \"iscsi\": {} }"),
	  "t.json:3: unknown key \"iscsi\" in the ssd tier, expected \"type\", \"path\", \"paths\", \"size\" or "
	  "\"model\"" },
	{ TIERED(RAM ",\n" SSD ",\n{ \"type\": \"ssd\", \"paths\": [] }"),
	  "t.json:5: unknown key \"paths\" in cache level 1, expected \"type\", \"path\", \"iscsi\", \"size\" or "
	  "\"model\"" },
	{ TIERED(RAM ",\n" SSD), "t.json:2: the capacity tier is missing, " ONE_EACH },
	{ TIERED(RAM ",\n" SSD ",\n" LEVEL("1")), "t.json:2: the capacity tier is missing, " ONE_EACH },
	{ TIERED(SSD ",\n" CAP), "t.json:2: the ram tier is missing, " ONE_EACH },
	{ TIERED(RAM ",\n" CAP), "t.json:2: the ssd tier is missing, " ONE_EACH },
	{ TIERED(RAM ",\n" SSD ",\n" CAP ",\n" CAP), "t.json:6: a second capacity tier, expected one" },
	{ TIERED(RAM ",\n" RAM), "t.json:4: a second ram tier, expected one" },
	{ TIERED(RAM ",\n" SSD ",\n" LEVEL("1") ",\n" LEVEL("2") ",\n" LEVEL("3") ",\n" LEVEL("4") ",\n" LEVEL("5")),
	  "t.json:9: too many ssd tiers, expected the write tier and at most 4 cache levels" },
	{ TIERED(RAM ",\n" SSD ",\n" CAP ",\n" LEVEL("1")),
	  "t.json:6: the ssd tier comes after the capacity tier, expected the fastest first: ram, ssd, capacity" },
	{ TIERED(RAM ",\n" SSD ",\n{ \"type\": \"ssd\", \"path\": 1 }"),
	  "t.json:5: \"path\" is a number, expected a string" },
	/* mirrors */
	{ TIERED("{ \"type\": \"ssd\",\n\"paths\": \"/a\" }"),
	  "t.json:4: \"paths\" is no pair, expected an array of the two paths of a mirror" },
	{ TIERED("{ \"type\": \"ssd\", \"paths\": [ \"/a\" ] }"),
	  "t.json:3: \"paths\" is no pair, expected an array of the two paths of a mirror" },
	{ TIERED("{ \"type\": \"ssd\", \"paths\": [ \"/a\",\n7 ] }"),
	  "t.json:4: \"paths\" is a number, expected a string" },
	{ TIERED("{ \"type\": \"ssd\", \"path\": \"/c\", \"paths\": [ \"/a\", \"/b\" ] }"),
	  "t.json:3: the ssd tier has \"path\" and \"paths\", expected one of them" },
	{ TIERED(RAM ",\n{ \"type\": \"ssd\", \"paths\": [ \"/a\", \"/a\" ] },\n" CAP),
	  "t.json:4: /a is already the ssd tier of pool \"main\" (line 4), expected another device" },
	/* remote LUNs */
	{ REMOTE("7"), "t.json:3: \"iscsi\" is a number, expected an object" },
	{ REMOTE("{}"), "t.json:3: \"iscsi\" lacks \"portal\"" },
	{ REMOTE("{ \"portal\": \"h\", \"target\": \"iqn.x:y\", \"initiator\": \"iqn.x:z\" }"),
	  "t.json:3: \"iscsi\" lacks \"lun\"" },
	{ REMOTE("{ \"host\": 1 }"),
	  "t.json:3: unknown key \"host\" in \"iscsi\", expected \"portal\", \"target\", \"lun\", "
	  "\"initiator\", \"connections\", \"user\", \"secret_file\", \"mutual_user\", \"mutual_secret_file\" or "
	  "\"patience\"" },
	{ REMOTE("{ \"portal\": \"\" }"), "t.json:3: \"portal\" is empty, expected 1 to 255 bytes" },
	{ REMOTE("{ \"portal\": \"a,b\" }"), "t.json:3: \"portal\" is \"a,b\", expected \"host:port\"" },
	{ REMOTE("{ \"portal\": \"a:\" }"), "t.json:3: \"portal\" is \"a:\", expected \"host:port\"" },
	{ REMOTE("{ \"target\": \"disk\" }"), "t.json:3: \"target\" is \"disk\", expected an iSCSI name like "
	  "\"iqn.2024-01.example:disk1\"" },
	{ REMOTE("{ \"lun\": -1 }"), "t.json:3: \"lun\" is -1, expected a whole number from 0 to 16383" },
	{ REMOTE("{ \"connections\": 9 }"), "t.json:3: \"connections\" is 9, expected a whole number from 1 to 8" },
	{ REMOTE("{ \"patience\": 9 }"),
	  "t.json:3: \"patience\" is a bare number, expected a duration like \"30s\" (in ms, s, min or h)" },
	{ REMOTE("{ " LUN1 ",\n\"user\": \"u\" }"),
	  "t.json:3: \"user\" is given alone, expected \"user\" and \"secret_file\" together" },
	{ REMOTE("{ " LUN1 ", \"mutual_secret_file\": \"/s\" }"),
	  "t.json:3: \"mutual_secret_file\" is given alone, expected "
	  "\"mutual_user\" and \"mutual_secret_file\" together" },
	{ REMOTE("{ " LUN1 ", \"mutual_user\": \"u\", \"mutual_secret_file\": \"/s\" }"),
	  "t.json:3: \"mutual_user\" is given without \"user\", expected both" },
	{ REMOTE("{ " LUN1 " }, \"path\": \"/x\""),
	  "t.json:3: the capacity tier has \"path\" and \"iscsi\", expected one of them" },
	{ REMOTE("{ " LUN1 " }, \"size\": \"1GiB\""),
	  "t.json:3: the capacity tier has \"size\", expected none: a remote LUN is as large as it is" },
	{ TIERED(RAM ",\n" SSD ",\n{ \"type\": \"ssd\", \"iscsi\": { " LUN1 " } },\n"
		 "{ \"type\": \"capacity\", \"iscsi\": { \"portal\": \"H:3260\", \"target\": \"IQN.x:y\", \"lun\": 1, "
		 "\"initiator\": \"iqn.x:w\" } }"), "t.json:6: \"target\" is \"IQN.x:y\", expected an iSCSI name like "
	  "\"iqn.2024-01.example:disk1\"" },
	{ TIERED(RAM ",\n" SSD ",\n{ \"type\": \"ssd\", \"iscsi\": { " LUN1 " } },\n"
		 "{ \"type\": \"capacity\", \"iscsi\": { \"portal\": \"H:3260\", \"target\": \"iqn.X:y\", \"lun\": 1, "
		 "\"initiator\": \"iqn.x:w\" } }"),
	  "t.json:6: iscsi://H:3260/iqn.X:y/1 is already cache level 1 of pool "
	  "\"main\" (line 5), expected another device" },
	/* models */
	{ MODEL("7"), "t.json:3: \"model\" is a number, expected an object" },
	{ MODEL("\"ssd\""), "t.json:3: unknown model \"ssd\", expected \"hdd\"" },
	{ MODEL("{}"), "t.json:3: \"model\" lacks \"type\"" },
	{ MODEL("{ \"type\": \"hdd\",\n\"rpm\": 99 }"),
	  "t.json:4: \"rpm\" is 99, expected a whole number from 100 to 100000" },
	{ MODEL("{ \"type\": \"hdd\", \"scale\": 0 }"),
	  "t.json:3: \"scale\" is no scale, expected a number from 0.0001 to 100" },
	{ MODEL("{ \"type\": \"hdd\", \"write_cache\": \"none\" }"),
	  "t.json:3: \"write_cache\" is \"none\", expected " SIZES },
	{ MODEL("{ \"type\": \"hdd\", \"seek\": 1 }"),
	  "t.json:3: unknown key \"seek\" in \"model\", expected \"type\", "
	  "\"rpm\", \"rate\", \"ahead\", \"write_cache\", \"depth\", \"age\" or \"scale\"" },
	{ TIERED(RAM ",\n" CAP ",\n" SSD),
	  "t.json:5: the ssd tier comes after the capacity tier, expected the fastest first: ram, ssd, capacity" },
	/* the same device */
	{ TIERED(RAM ",\n" SSD ",\n{ \"type\": \"ssd\", \"path\": \"/x/ssd\" },\n" CAP),
	  "t.json:5: /x/ssd is already the ssd tier of pool \"main\" (line 4), expected another device" },
	{ TIERED(RAM ",\n" SSD ",\n" LEVEL("1") ",\n" LEVEL("1") ",\n" CAP),
	  "t.json:6: /x/l1 is already cache level 1 of pool \"main\" (line 5), expected another device" },
	{ TIERED(RAM ",\n" SSD ",\n" LEVEL("1") ",\n{ \"type\": \"capacity\", \"path\": \"/x/l1\" }"),
	  "t.json:6: /x/l1 is already cache level 1 of pool \"main\" (line 5), expected another device" },
	{ TIERED(RAM ",\n" SSD ",\n{ \"type\": \"capacity\", \"path\": \"/x/ssd\" }"),
	  "t.json:5: /x/ssd is already the ssd tier of pool \"main\" (line 4), expected another device" },
	{ "{ \"pools\": [\n{ \"name\": \"a\", " TIERS " },\n{ \"name\": \"b\", " TIERS " } ] }",
	  "t.json:3: /x/ssd is already the ssd tier of pool \"a\" (line 2), expected another device" },
	/* sizes */
	{ TIERED("{ \"type\": \"ram\",\n\"size\": 1024 }"), "t.json:4: \"size\" is a bare number, expected " SIZES },
	{ TIERED("{ \"type\": \"ram\", \"size\": [] }"), "t.json:3: \"size\" is an array, expected " SIZES },
	{ TIERED("{ \"type\": \"ram\", \"size\": \"1024\" }"),
	  "t.json:3: \"size\" is \"1024\" without a unit, expected " SIZES },
	{ TIERED("{ \"type\": \"ram\", \"size\": \"1 GiB\" }"),
	  "t.json:3: \"size\" is \"1 GiB\" with an unknown unit, expected " SIZES },
	{ TIERED("{ \"type\": \"ram\", \"size\": \"1gib\" }"),
	  "t.json:3: \"size\" is \"1gib\" with an unknown unit, expected " SIZES },
	{ TIERED("{ \"type\": \"ram\", \"size\": \"1.5GiB\" }"),
	  "t.json:3: \"size\" is \"1.5GiB\" with an unknown unit, expected " SIZES },
	{ TIERED("{ \"type\": \"ram\", \"size\": \"-1GiB\" }"), "t.json:3: \"size\" is \"-1GiB\", expected " SIZES },
	{ TIERED("{ \"type\": \"ram\", \"size\": \"\" }"), "t.json:3: \"size\" is \"\", expected " SIZES },
	{ TIERED("{ \"type\": \"ram\", \"size\": \"0GiB\" }"),
	  "t.json:3: \"size\" is \"0GiB\", expected at least \"4KiB\"" },
	{ TIERED("{ \"type\": \"ram\", \"size\": \"9999999TiB\" }"),
	  "t.json:3: \"size\" is \"9999999TiB\", which is too large" },
	{ TIERED("{ \"type\": \"ram\", \"size\": \"99999999999999999999KB\" }"),
	  "t.json:3: \"size\" is \"99999999999999999999KB\", which is too large" },
	{ POOL(",\n\"chunk\": \"32KiB\""), "t.json:3: \"chunk\" is \"32KiB\", expected \"64KiB\" or \"128KiB\"" },
	{ POOL(",\n\"segment\": \"3MiB\""),
	  "t.json:3: \"segment\" is \"3MiB\", expected \"256KiB\", \"512KiB\", \"1MiB\" or \"2MiB\"" },
	{ POOL(",\n\"segment\": \"300KiB\""),
	  "t.json:3: \"segment\" is \"300KiB\", expected \"256KiB\", \"512KiB\", \"1MiB\" or \"2MiB\"" },
	{ POOL(",\n\"open\": \"boot\""), "t.json:3: \"open\" is \"boot\", expected \"start\" or \"first-lun\"" },
	{ POOL(",\n\"staging\": 1"), "t.json:3: \"staging\" is a number, expected a string" },
	/* write-back */
	{ POOL(",\n\"write_back\": 1"), "t.json:3: \"write_back\" is a number, expected an object" },
	{ POOL(",\n\"write_back\": { \"low\": 1 }"), "t.json:3: unknown key \"low\" in \"write_back\", expected "
	  "\"dirty_low\", \"dirty_high\", \"idle\" or \"depth\"" },
	{ POOL(",\n\"write_back\": { \"dirty_low\": 20 }"),
	  "t.json:3: \"dirty_low\" is a bare number, expected a percentage from \"1%\" to \"99%\"" },
	{ POOL(",\n\"write_back\": { \"dirty_low\": \"100%\" }"),
	  "t.json:3: \"dirty_low\" is \"100%\", expected a percentage from \"1%\" to \"99%\"" },
	{ POOL(",\n\"write_back\": { \"dirty_low\": \"20%\" }"),
	  "t.json:3: \"dirty_low\" is given alone, expected \"dirty_low\" and \"dirty_high\" together" },
	{ POOL(",\n\"write_back\": {\n\"dirty_low\": \"70%\",\n\"dirty_high\": \"60%\" }"),
	  "t.json:3: \"dirty_low\" is 70% and \"dirty_high\" is 60%, expected the lower one lower" },
	{ POOL(",\n\"write_back\": {\n\"idle\": \"30\" }"),
	  "t.json:4: \"idle\" is \"30\" without a unit, expected a duration like \"30s\" (in ms, s, min or h)" },
	{ POOL(",\n\"write_back\": {\n\"idle\": \"0s\" }"),
	  "t.json:4: \"idle\" is \"0s\", expected more than nothing" },
	{ POOL(",\n\"write_back\": {\n\"depth\": 0 }"),
	  "t.json:4: \"depth\" is 0, expected a whole number from 1 to 128" },
	{ POOL(",\n\"write_back\": {\n\"depth\": 1.5 }"),
	  "t.json:4: \"depth\" is a fraction, expected a whole number from 1 to 128" },
	{ POOL(",\n\"write_back\": {\n\"depth\": \"1\" }"),
	  "t.json:4: \"depth\" is a string, expected a whole number from 1 to 128" },
};

static void test_bad_files(void)
{
	for (size_t i = 0; i < ARRAY_LEN(bad_files); i++) {
		struct err err = ERR_INIT;
		struct conf *c = NULL;
		int e = parse(bad_files[i].text, &c, &err);

		unit_step = i;
		if (e != -EINVAL || strcmp(err.text, bad_files[i].sentence) != 0) {
			printf("\nexpected: %s\ngot:      %s\n", bad_files[i].sentence, err.text);
			CU_FAIL("wrong sentence");
		}
		CU_ASSERT(err.code == e && c == NULL);
	}
}

/* Every value of a text with all sorts of strings and nesting, against the line that is written in it. */
static void test_lines(void)
{
	static const char text[] =
		"\n{ \"a\\\"]\\\\\":\n[ 3,\n 4, \"}\\\"\", [], {}, [[{}]],\n { \"x\": { \"]\": 1 },\n"
		"\"y\"\n:\n 8 } ]\n,\n"
		"\"z\": true }\n";
	struct at top = { NULL, 0 }, list = { &top, 0 }, el[7], y, z = { &top, 1 };

	for (size_t i = 0; i < ARRAY_LEN(el); i++)
		el[i] = (struct at){ &list, i };
	y = (struct at){ &el[6], 1 };
	CU_ASSERT_EQUAL(conf_line(text, strlen(text), &top, false), 2);
	CU_ASSERT_EQUAL(conf_line(text, strlen(text), &list, false), 3);
	CU_ASSERT_EQUAL(conf_line(text, strlen(text), &list, true), 2);
	CU_ASSERT_EQUAL(conf_line(text, strlen(text), &el[0], false), 3);
	for (size_t i = 1; i < 6; i++)
		CU_ASSERT_EQUAL(conf_line(text, strlen(text), &el[i], false), 4);
	CU_ASSERT_EQUAL(conf_line(text, strlen(text), &el[6], false), 5);
	CU_ASSERT_EQUAL(conf_line(text, strlen(text), &y, true), 6);
	CU_ASSERT_EQUAL(conf_line(text, strlen(text), &y, false), 8);
	CU_ASSERT_EQUAL(conf_line(text, strlen(text), &z, false), 10);
}

/* ------------------------------------------------------------------ files */

static char dir[SCRATCH_PATH_MAX];

static void path_in(const char *name, char ret[128])
{
	snprintf(ret, 128, "%s/%s", dir, name);
}

static void write_file(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	path_in(name, path);
	f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
}

static void assert_load(const char *name, int code, const char *sentence)
{
	struct err err = ERR_INIT;
	struct conf *c = NULL;
	char path[128], whole[256];
	int e;

	path_in(name, path);
	e = conf_load(path, &c, &err);
	snprintf(whole, sizeof(whole), "%s%s", sentence ? path : "", sentence ? sentence : "");
	CU_ASSERT_EQUAL(e, code);
	CU_ASSERT_STRING_EQUAL(err.text, whole);
	if (e == 0)
		conf_free(c);
}

static void test_load(void)
{
	char path[128], other[128];

	scratch_new("/tmp", dir);
	write_file("good", POOL(""));
	assert_load("good", 0, NULL);
	path_in("good", path);
	path_in("link", other);
	CU_ASSERT_EQUAL(symlink(path, other), 0);
	assert_load("link", 0, NULL);
	assert_load("none", -ENOENT, ": No such file or directory");
	path_in("fifo", other);
	CU_ASSERT_EQUAL(mkfifo(other, 0600), 0);
	assert_load("fifo", -EINVAL, ": is no regular file");
	assert_load("", -EINVAL, ": is no regular file");
	write_file("large", POOL(""));
	path_in("large", other);
	CU_ASSERT_EQUAL(truncate(other, CONF_FILE_BYTES_MAX + 1), 0);
	assert_load("large", -EFBIG, ": is larger than 1 MiB, expected a configuration file");
	CU_ASSERT_EQUAL(truncate(other, CONF_FILE_BYTES_MAX), 0);
	assert_load("large", -EINVAL, ":3: not valid JSON: a zero byte, expected text");
	scratch_remove(dir);
}

static void test_environment(void)
{
	struct err err = ERR_INIT;
	struct conf *c;
	char path[128];

	scratch_new("/tmp", dir);
	write_file("good", POOL(""));
	path_in("good", path);
	setenv("HYBRID_CONF", path, 1);
	CU_ASSERT_EQUAL_FATAL(conf_load(NULL, &c, &err), 0);
	CU_ASSERT_STRING_EQUAL(c->file, path);
	conf_free(c);
	setenv("HYBRID_CONF", "/nonexistent", 1);
	CU_ASSERT_EQUAL(conf_load(NULL, &c, &err), -ENOENT);
	unsetenv("HYBRID_CONF");
	scratch_remove(dir);
}

static void test_relative_paths(void)
{
	struct err err = ERR_INIT;
	char path[128], want[128];
	struct conf *c;

	scratch_new("/tmp", dir);
	write_file("c", "{ \"control\": { \"socket\": \"s\" },\n"
		   "\"pools\": [ { \"name\": \"a\", \"staging\": \".\", \"tiers\": [" RAM ",\n"
		   "{ \"type\": \"ssd\", \"path\": \"w\" }, { \"type\": \"capacity\", \"path\": \"../c\" } ] } ] }");
	path_in("c", path);
	CU_ASSERT_EQUAL_FATAL(conf_load(path, &c, &err), 0);
	path_in("w", want);
	CU_ASSERT_STRING_EQUAL(c->pools[0].tiers[CONF_SSD].path, want);
	path_in("../c", want);
	CU_ASSERT_STRING_EQUAL(c->pools[0].tiers[CONF_CAPACITY].path, want);
	path_in(".", want);
	CU_ASSERT_STRING_EQUAL(c->pools[0].staging, want);
	path_in("s", want);
	CU_ASSERT_STRING_EQUAL(c->socket, want);
	conf_free(c);
	scratch_remove(dir);
}

/* One file under two names. */
static void assert_same(const char *ssd, const char *capacity)
{
	struct err err = ERR_INIT;
	struct conf *c;
	char text[512], path[128], want[512];

	snprintf(text, sizeof(text), "{ \"pools\": [ { \"name\": \"a\", \"tiers\": [ " RAM ",\n"
		 "{ \"type\": \"ssd\", \"path\": \"%s\" },\n"
		 "{ \"type\": \"capacity\", \"path\": \"%s\" } ] } ] }", ssd, capacity);
	write_file("c", text);
	path_in("c", path);
	snprintf(want, sizeof(want),
		 "%s:3: %s/%s is already the ssd tier of pool \"a\" (line 2), expected another device", path, dir,
		 capacity);
	CU_ASSERT_EQUAL(conf_load(path, &c, &err), -EINVAL);
	CU_ASSERT_STRING_EQUAL(err.text, want);
}

static void test_same_file_twice(void)
{
	char a[128], b[128];

	scratch_new("/tmp", dir);
	write_file("dev", "x");
	path_in("dev", a);
	path_in("soft", b);
	CU_ASSERT_EQUAL(symlink(a, b), 0);
	path_in("hard", b);
	CU_ASSERT_EQUAL(link(a, b), 0);
	path_in("sub", b);
	CU_ASSERT_EQUAL(mkdir(b, 0700), 0);
	assert_same("dev", "dev");
	assert_same("dev", "./dev");
	assert_same("dev", "soft");
	assert_same("hard", "soft");
	assert_same("sub/../dev", "hard");
	assert_same("new", "sub/../new");	/* does not exist yet */
	scratch_remove(dir);
}

/* Cut, and with each byte changed, a good file is still read to an end: good or bad, never worse. */
static void test_damaged(void)
{
	static const char good[] = TIERED(RAM ", " SSD ", { \"type\": \"ssd\", \"iscsi\": { " LUN1 " } }, "
					  "{ \"type\": \"capacity\", \"path\": \"/c\", \"model\": { \"type\": \"hdd\" "
					  "} }");
	struct rng rng = unit_rng();
	size_t good_ones = 0;

	for (int i = 0; i < 20000; i++) {
		struct err err = ERR_INIT;
		struct conf *c;
		size_t len = rng_below(&rng, 4) ? sizeof(good) - 1 : rng_below(&rng, sizeof(good));
		char *text = malloc(len + 1);
		int e;

		unit_step = (uint64_t)i;
		memcpy(text, good, len);
		for (uint64_t k = rng_below(&rng, 3); k && len; k--)
			text[rng_below(&rng, len)] = "{}[]\",:\\ \n0aZ\xff"[rng_below(&rng, 14)];
		e = conf_parse(text, len, "t.json", &c, &err);
		CHECK(e == 0 || (e == err.code && strncmp(err.text, "t.json:", 7) == 0));
		if (e == 0) {
			conf_free(c);
			good_ones++;
		}
		free(text);
	}
	CU_ASSERT(good_ones > 0 && good_ones < 20000);
}

static void test_no_memory(void)
{
	int e = -ENOMEM;

	for (unsigned long n = 1; e == -ENOMEM; n++) {
		struct err err = ERR_INIT;
		struct conf *c;

		CU_ASSERT_FATAL(n < 100);
		mem_fail_at(n);
		e = parse(TIERED(RAM ", { \"type\": \"ssd\", \"paths\": [ \"/a\", \"/b\" ] }, { \"type\": \"ssd\", "
				 "\"iscsi\": { " LUN1 " } }, " CAP), &c, &err);
		mem_fail_at(0);
		if (e == 0) {
			CU_ASSERT(n > 5);
			conf_free(c);
		} else {
			CU_ASSERT_STRING_EQUAL(err.text, "t.json: out of memory");
		}
	}
	CU_ASSERT_EQUAL(e, 0);
}

static CU_TestInfo conf_tests[] = {
	{ "all_keys", test_all_keys },
	{ "defaults", test_defaults },
	{ "levels", test_levels },
	{ "mirror", test_mirror },
	{ "remote", test_remote },
	{ "model", test_model },
	{ "bad_files", test_bad_files },
	{ "lines", test_lines },
	{ "load", test_load },
	{ "environment", test_environment },
	{ "relative_paths", test_relative_paths },
	{ "same_file_twice", test_same_file_twice },
	{ "damaged", test_damaged },
	{ "no_memory", test_no_memory },
	CU_TEST_INFO_NULL,
};

const struct hb_suite suite_conf = { "conf", conf_tests };

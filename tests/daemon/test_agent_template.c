/* SPDX-License-Identifier: GPL-2.0-only */
/* test_agent_template.c - values, templates, patterns, delegates: nothing gets into a command that its type forbids. */
#include "suites.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/conf.h"
#include "agent/perform.h"
#include "agent/run.h"
#include "agent_rig.h"

static const char *const mode[2] = { "w", "r" };

static char *expand(const char *text, enum template_use use, const struct values *v, int *ret_e)
{
	struct template t = { NULL, 0 };
	struct err err = ERR_INIT;
	char *out = NULL;

	CU_ASSERT_EQUAL_FATAL(template_parse(text, use, &t, &err), 0);
	*ret_e = template_expand(&t, use, v, mode, &out, &err);
	CU_ASSERT((*ret_e == 0) == (out != NULL) && (*ret_e == 0) == (err.code == 0));
	template_free(&t);
	return out;
}

static void expands_to(const char *text, enum template_use use, const struct values *v, const char *want)
{
	int e;
	char *out = expand(text, use, v, &e);

	CU_ASSERT_EQUAL(e, 0);
	CU_ASSERT_STRING_EQUAL(out ? out : "(refused)", want);
	free(out);
}

static void refuses(const char *text, enum template_use use, const struct values *v)
{
	int e;

	free(expand(text, use, v, &e));
	CU_ASSERT_EQUAL(e, -EINVAL);
}

/* ------------------------------------------------------------------ values */

static void test_types(void)
{
	static const struct { enum value_kind kind; const char *good[6], *bad[14];
	} cases[] = {
		{V_VM, {"a", "web-1.example_x", "-x", "0"}, {"", "a b", "a;b", "a/b", "$(x)", "a\n", "\xc3\xa4"}},
		{V_DEVICE,
		 {"xvda", "xvdzz", "sdf1", "vdb", "hdc", "sdaaa12"},
		 {"", "xvd", "xvdA", "sdaaaa", "sda123", "../sda", "/dev/sda", "vdb ", "nvme0", "sda1a"}},
		{V_PATH,
		 {"/dev/sdb", "/dev/disk/by-path/ip-1.2.3.4:3260-iscsi-iqn.x:y-lun-1", "/dev/...", "/dev/a..b"},
		 {"", "/dev/", "/dev", "/etc/passwd", "/dev/../etc", "/dev/a/..", "/dev//a", "/dev/a,w", "/dev/./a",
		  "/dev/a b", "/dev/a/", "dev/a", "/dev/a;b", "/dev/.."}},
		{V_MODE, {"rw", "ro"}, {"", "w", "RW", "rw "}},
		{V_TARGET,
		 {"iqn.2026-01.com.example:vol-1", "eui.02004567A425678D", "naa.52004567BA64678D", "iqn.2026-01.x"},
		 {"", "iqn.", "iqn.2026-01.", "iqn.2026-1.com", "iqn.2026-01.com.EXAMPLE", "iqn.2026-01.a b",
		  "iqn.2026-01.a,b", "eui.123", "iqn.2026-01.a/../b", "iqn.2026-01.:x", "naa.1"}},
		{V_PORTAL,
		 {"192.0.2.1:3260", "[fd00::1]:3260", "0.0.0.0:1", "[::]:65535"},
		 {"", "192.0.2.1", "192.0.2.1:0", "192.0.2.1:65536", "host:3260", "fd00::1:3260", "[192.0.2.1]:1",
		  "[fd00::1]", "192.0.2.1:03", "192.0.2.1:3260,1", "[fd00::1%eth0]:1", ":1"}},
		{V_LUN, {"0", "1", "255"}, {"", "-1", "256", "01", "1 ", "0x1"}},
		{V_SERIAL, {"vol0123456789abcdef0"}, {"", "123456789012345678901", "a'b"}},
		{V_SECRET,
		 {"abcdefghijkl"},
		 {"", "short", "has a space in it", "quote\"quote\"quote", "line\nline\nline"}},
		{V_BACKEND, {"/local/domain/0/backend/vbd/1/51712"}, {"", "x", "/a//b", "/a/../b"}},
		{V_ATTACHMENT, {"vol-att-0123456789abcdef0"}, {"", ".", "..", "-a", "a/b"}},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		for (int k = 0; k < 6 && cases[i].good[k]; k++)
			CHECK(value_ok(cases[i].kind, cases[i].good[k]));
		for (int k = 0; k < 14 && cases[i].bad[k]; k++)
			CHECK(!value_ok(cases[i].kind, cases[i].bad[k]));
	}
}

static void test_portal_parts(void)
{
	struct values v = { { NULL } };

	CU_ASSERT_EQUAL(values_set(&v, V_PORTAL, "[fd00::1]:3261", NULL), 0);
	CU_ASSERT_STRING_EQUAL(v.v[V_ADDRESS], "fd00::1");
	CU_ASSERT_STRING_EQUAL(v.v[V_PORT], "3261");
	CU_ASSERT_EQUAL(values_set(&v, V_ATTACHMENT, "vol-att-1", NULL), 0);
	CU_ASSERT(value_ok(V_UUID, v.v[V_UUID]));
	CU_ASSERT(v.v[V_UUID][14] == '8' && strchr("89ab", v.v[V_UUID][19]));
	values_free(&v);
}

static void test_vdev(void)
{
	static const struct { uint32_t n; const char *name;
	} cases[] = {
		{51712, "xvda"},
		{51713, "xvda1"},
		{51792, "xvdf"},
		{51952, "xvdp"},
		{(1u << 28) | (16 << 8), "xvdq"},
		{(1u << 28) | (26 << 8) | 3, "xvdaa3"},
		{2048, "sda"},
		{2065, "sdb1"},
		{768, "hda"},
		{832, "hdb"},
		{5632, "hdc"},
		{5696, "hdd"},
	};
	char name[16];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		CU_ASSERT(value_device_of_vdev(cases[i].n, name));
		CU_ASSERT_STRING_EQUAL(name, cases[i].name);
	}
	CU_ASSERT(!value_device_of_vdev(0, name) && !value_device_of_vdev(~0u, name));
}

/* ------------------------------------------------------------------ templates */

static void test_expand(void)
{
	struct values v = { { NULL } };

	values_set(&v, V_VM, "vm1", NULL);
	values_set(&v, V_PATH, "/dev/sdb", NULL);
	values_set(&v, V_MODE, "ro", NULL);
	expands_to("phy:{path}", TEMPLATE_ARGV, &v, "phy:/dev/sdb");
	expands_to("{vm}", TEMPLATE_ARGV, &v, "vm1");
	expands_to("", TEMPLATE_ARGV, &v, "");
	expands_to("{{{vm}}}", TEMPLATE_ARGV, &v, "{vm1}");
	expands_to("{{vm}}", TEMPLATE_ARGV, &v, "{vm}");
	expands_to("{mode}", TEMPLATE_ARGV, &v, "r");
	refuses("{device}", TEMPLATE_ARGV, &v);
	values_set(&v, V_VM, "-rf", NULL);
	refuses("{vm}", TEMPLATE_ARGV, &v);
	refuses("{vm}:x", TEMPLATE_ARGV, &v);
	expands_to("x{vm}", TEMPLATE_ARGV, &v, "x-rf");
	expands_to("--vm={vm}", TEMPLATE_ARGV, &v, "--vm=-rf");
	expands_to("{vm}", TEMPLATE_XML, &v, "-rf");
	/* Past the check, as nobody should be able to: refused all the same. */
	free(v.v[V_VM]);
	v.v[V_VM] = strdup("a b");
	refuses("{vm}", TEMPLATE_ARGV, &v);
	values_free(&v);
}

/* Only CHAP values may have what XML knows, and none of that is of their set: the escape is behind the check. */
static void test_xml(void)
{
	struct values v = { { NULL } };

	values_set(&v, V_PATH, "/dev/a", NULL);
	expands_to("<source dev='{path}'/>{mode}", TEMPLATE_XML, (values_set(&v, V_MODE, "rw", NULL), &v),
		   "<source dev='/dev/a'/>w");
	values_free(&v);
}

static void test_parse_errors(void)
{
	static const char *const bad[] = {"{", "}", "a{b", "a}b", "{}", "{vm",
					  "{VM}", "{vm }", "{nothing}", "{{}", "{secret}", "x{back_secret}"};
	struct template t = { NULL, 0 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct err err = ERR_INIT;

		CHECK(template_parse(bad[i], TEMPLATE_ARGV, &t, &err) == -EINVAL && err.text[0] && !t.n);
	}
	CU_ASSERT_EQUAL(template_parse("{secret}", TEMPLATE_FILE, &t, NULL), -EINVAL);
	CU_ASSERT_EQUAL(template_parse("{secret}", TEMPLATE_XML, &t, NULL), -EINVAL);
	CU_ASSERT_EQUAL(template_parse("{file}", TEMPLATE_STDIN, &t, NULL), -EINVAL);
	CU_ASSERT_EQUAL(template_parse("{secret}", TEMPLATE_STDIN, &t, NULL), 0);
	template_free(&t);
}

static void load(const char *name, struct delegate **ret)
{
	struct err err = ERR_INIT;
	char path[512];

	agent_rig_delegate(name, path);
	if (delegate_load(path, ret, &err) < 0)
		fprintf(stderr, "%s\n", err.text);
	CU_ASSERT_EQUAL_FATAL(err.code, 0);
}

/* Random bytes as values: refused, or made of the type's characters only; the shape of the command never changes. */
static void test_hostile(void)
{
	static const char set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:@+=/[]-";
	static const char likely[] = "abc019./-:[]{}'\"`$();|&<>\n\t ,=%~*?#!\\";
	struct rng r = unit_rng();
	struct delegate *d[3];
	const char *const names[] = { "xen", "kvm", "qemu" };
	unsigned passed = 0;

	for (int i = 0; i < 3; i++)
		load(names[i], &d[i]);
	for (unit_step = 0; unit_step < 30000; unit_step++) {
		const struct delegate *one = d[unit_step % 3];
		const struct command *c = &one->ops[OP_ATTACH].commands[0];
		struct values v = { { NULL } };
		char **argv = NULL;

		for (int k = 0; k < V_KINDS; k++) {
			char s[40];
			size_t n = rng_below(&r, k == V_VM ? 5 : sizeof(s) - 1);

			for (size_t i = 0; i < n; i++)
				s[i] = rng_below(&r, 4) ? likely[rng_below(&r, sizeof(likely) - 1)] :
				       (char)(1 + rng_below(&r, 255));
			s[n] = '\0';
			if (k == V_PATH && rng_below(&r, 2))
				memcpy(s, "/dev/", n < 5 ? n : 5);
			if (values_set(&v, (enum value_kind)k, s, NULL) < 0 && rng_below(&r, 2)) {
				free(v.v[k]);
				v.v[k] = strdup(s);	/* past the first check */
			}
		}
		if (perform_argv(one, c, &v, &argv, NULL) == 0) {
			unsigned n = 0;

			for (passed++; argv[n]; n++) {
				const char *want = c->argv[n].n == 1 ? c->argv[n].pieces[0].text : NULL;

				CHECK(want ? !strcmp(argv[n], want) : strspn(argv[n], set) == strlen(argv[n]));
				CHECK(want || argv[n][0] != '-');
			}
			CHECK(n == c->argc);
			perform_argv_free(argv);
		}
		values_free(&v);
	}
	CU_ASSERT(passed > 10);
	for (int i = 0; i < 3; i++)
		delegate_free(d[i]);
}

/* ------------------------------------------------------------------ patterns */

static void test_patterns(void)
{
	static const char *const bad[] = { "(", "(?<name>", "(?<nobody>x)", "(?:x)", "[a", "a{2}", "(a)\\1",
					   "((((((((((((a))))))))))))", "(?<>x)", "*a(", "a++", "a*?",
					   "(((((a)+)+)+)+)+", "(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)(k)(l)" };
	struct captures c;
	struct pattern p;

	memset(&c, 0, sizeof(c));
	CU_ASSERT_EQUAL_FATAL(pattern_parse("^x([[:digit:](]+) (?<name>[a-z]+)\\((?<id>[0-9]+)\\)$", &p, NULL), 0);
	CU_ASSERT(pattern_find(&p, "nothing\nx1( abc(7)\nx2 def(8)\n", &c));
	CU_ASSERT_STRING_EQUAL(c.c[C_NAME], "abc");
	CU_ASSERT_STRING_EQUAL(c.c[C_ID], "7");
	CU_ASSERT_STRING_EQUAL(c.c[C_UUID], "");
	CU_ASSERT(!pattern_find(&p, "x1 abc(7) ", NULL) && !pattern_find(&p, "", NULL));
	pattern_free(&p);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct err err = ERR_INIT;

		CHECK(pattern_parse(bad[i], &p, &err) == -EINVAL && err.text[0]);
	}
}

/* ------------------------------------------------------------------ delegates */

static void argv_is(const struct delegate *d, enum operation_kind op, const struct values *v, const char *want)
{
	char line[512] = "", **argv = NULL;
	size_t n = 0;

	CU_ASSERT_EQUAL_FATAL(perform_argv(d, &d->ops[op].commands[0], v, &argv, NULL), 0);
	for (char **a = argv; *a; a++)
		n += (size_t)snprintf(line + n, sizeof(line) - n, "%s%s", n ? " " : "", *a);
	CU_ASSERT_STRING_EQUAL(line, want);
	perform_argv_free(argv);
}

static void test_shipped(void)
{
	static const char *const names[] = { "xen", "kvm", "qemu", "linux", "dry" };
	struct values v = { { NULL } };
	struct delegate *d = NULL;
	struct err err = ERR_INIT;
	char path[512];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		load(names[i], &d);
		CU_ASSERT_STRING_EQUAL(d->name, names[i]);
		delegate_free(d);
	}
	values_set(&v, V_VM, "7", NULL);
	values_set(&v, V_PATH, "/dev/sdb", NULL);
	values_set(&v, V_DEVICE, "xvdb", NULL);
	values_set(&v, V_MODE, "rw", NULL);
	agent_rig_delegate("xm", path);
	snprintf(path + strlen(path), sizeof(path) - strlen(path), ".example");
	CU_ASSERT_EQUAL_FATAL(delegate_load(path, &d, &err), 0);
	argv_is(d, OP_ATTACH, &v, "xm block-attach 7 phy:/dev/sdb xvdb w");
	delegate_free(d);
	load("xen", &d);
	argv_is(d, OP_ATTACH, &v, "xl block-attach 7 phy:/dev/sdb xvdb w");
	argv_is(d, OP_DETACH_FORCE, &v, "xl block-detach --force 7 xvdb");
	delegate_free(d);
	load("kvm", &d);
	argv_is(d, OP_ATTACH, &v, "virsh -q attach-device 7 /proc/self/fd/3 --live");
	delegate_free(d);
	values_free(&v);
}

static void delegate_says(const char *text, const char *want)
{
	struct err err = ERR_INIT;
	struct delegate *d = NULL;

	CU_ASSERT_EQUAL(delegate_parse(text, strlen(text), "d.json", &d, &err), want ? -EINVAL : 0);
	if (want && !strstr(err.text, want))
		fprintf(stderr, "got: %s\n", err.text);
	CU_ASSERT(want ? strstr(err.text, want) != NULL : d != NULL);
	delegate_free(d);
}

#define WITH(attach) "{\"name\": \"x\", \"detach\": [],\n\"attach\": " attach " }"

static void test_delegate_errors(void)
{
	delegate_says(WITH("[]"), NULL);
	delegate_says("{\"name\": \"x\"}", "d.json:1: a delegate lacks \"attach\"");
	delegate_says("[]", "expected an object");
	delegate_says("{\"name\": \"x\", \"name\": \"y\"}", "d.json:1: not valid JSON");
	delegate_says(WITH("[], \"more\": 1"), "d.json:2: unknown key \"more\"");
	delegate_says(WITH("[ { \"run\": [] } ]"), "d.json:2: \"run\" has to be an array of 1 to");
	delegate_says(WITH("[ {\n\"run\": [\"{vm}\"] } ]"),
		      "d.json:3: \"run\" begins with something else than a program");
	delegate_says(WITH("[ { \"run\": [\"a\",\n\"{secret}\"] } ]"), "d.json:3: \"run\": \"{secret}\" is a secret");
	delegate_says(WITH("[ { \"run\": [\"a\", \"{file}\"] } ]"), "\"{file}\" but no");
	delegate_says(WITH("[ { \"run\": [\"a\"], \"xml\": \"x\" } ]"), "but no \"{file}\"");
	delegate_says(WITH("[ { \"run\": [\"a\"], \"busy\": \"(\" } ]"), "\"busy\": not a regular expression");
	delegate_says(WITH("[ { \"run\": [\"a\"], \"timeout\": \"1h\" } ]"), "more than 10 minutes");
	delegate_says(WITH("[ { \"run\": [\"a\"], \"expect\": { \"status\": [256] } } ]"), "from 0 to 255");
	delegate_says(WITH("\"open-iscsi\""), "\"attach\" is \"open-iscsi\", expected an array");
	delegate_says(WITH("[], \"login\": \"open-iscsi\""), "belong together");
	delegate_says(WITH("[], \"busy\": \"hots\""), "or \"host\"");
}

/* ------------------------------------------------------------------ the configuration */

#define PIN "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static void conf_says(const char *text, const char *want)
{
	struct err err = ERR_INIT;
	struct agent_conf c;
	int e = agent_conf_parse(text, strlen(text), "/etc/x/agent.json", &c, &err);

	CU_ASSERT_EQUAL(e, want ? -EINVAL : 0);
	if (want && !strstr(err.text, want))
		fprintf(stderr, "got: %s\n", err.text);
	CU_ASSERT(!want || strstr(err.text, want));
	if (e == 0)
		agent_conf_free(&c);
}

static void test_conf(void)
{
	static const char text[] = "{ \"listen\": \"[fd00::7]:4000\", \"manager_pin\": \"" PIN "\", \"key\": \"k\",\n"
				   "\"delegate\": \"kvm\", \"iscsi\": { \"nodes\": \"/n\", \"wait\": \"5s\" } }";
	struct err err = ERR_INIT;
	struct agent_conf c;

	CU_ASSERT_EQUAL_FATAL(agent_conf_parse(text, strlen(text), "/etc/x/agent.json", &c, &err), 0);
	CU_ASSERT_STRING_EQUAL(c.address, "fd00::7");
	CU_ASSERT(c.port == 4000 && c.wait_ms == 5000);
	CU_ASSERT_STRING_EQUAL(c.key, "/etc/x/k");
	CU_ASSERT_STRING_EQUAL(c.nodes, "/n");
	CU_ASSERT_STRING_EQUAL(c.delegate, DELEGATE_DIR "/kvm.json");
	CU_ASSERT_STRING_EQUAL(c.manager_pin, PIN);
	agent_conf_free(&c);
	conf_says("{ \"listen\": \"127.0.0.1\", \"delegate\": \"./x.json\" }", NULL);
	conf_says("{ \"listen\": \"host:1\",\n\"delegate\": \"x\" }", "agent.json:1: \"listen\" is \"host:1\"");
	conf_says("{ \"listen\": \"127.0.0.1:1\" }", "lacks \"delegate\"");
	conf_says("{ \"listen\": \"127.0.0.1:1\",\n\"deleggate\": \"x\" }", "agent.json:2: unknown key \"deleggate\"");
	conf_says("{ \"listen\": \"127.0.0.1:1\", \"delegate\": \"a b\" }", "is no name");
	conf_says("{ \"listen\": \"127.0.0.1:1\", \"delegate\": \"x\", \"manager_pin\": \"sha256//x\" }",
		  "44 characters");
	conf_says("{ \"listen\": \"127.0.0.1:1\", \"delegate\": \"x\", \"initiator\": \"me\" }", "an iSCSI name");
}

static CU_TestInfo tests[] = {
	{"types", test_types},     {"portal_parts", test_portal_parts},
	{"vdev", test_vdev},       {"expand", test_expand},
	{"xml", test_xml},         {"parse_errors", test_parse_errors},
	{"hostile", test_hostile}, {"patterns", test_patterns},
	{"shipped", test_shipped}, {"delegate_errors", test_delegate_errors},
	{"conf", test_conf},       CU_TEST_INFO_NULL,
};

const struct hb_suite suite_agent_template = { "agent_template", tests };

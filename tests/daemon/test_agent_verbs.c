/* SPDX-License-Identifier: GPL-2.0-only */
/* test_agent_verbs.c - the agent's verbs over each delegate: idempotent, told to be busy, nothing of others touched. */
#include "suites.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent_fakes.h"
#include "agent_rig.h"

#define LOGIN \
	"{\"attachment\": \"vol-att-1\", \"portals\": [\"192.0.2.1:3260\"], \"target\": \"" RIG_TARGET "\", " \
	"\"lun\": 1, \"volume\": \"vol-1\", \"user\": \"in\", \"secret\": \"" RIG_SECRET \
	"\", \"back_user\": \"back\", " \
	"\"back_secret\": \"" RIG_BACK_SECRET "\"}"
#define ATTACH_TO(vm, device) "{\"attachment\": \"vol-att-1\", \"vm\": \"" vm "\", \"device\": \"" device "\", " \
			      "\"mode\": \"rw\", \"volume\": \"vol-1\"}"
#define ID "{\"attachment\": \"vol-att-1\"}"
#define FORCE "{\"attachment\": \"vol-att-1\", \"force\": true}"

static void ok(struct agent_rig *rig, const char *verb, const char *args)
{
	json_decref(agent_rig_ok(rig, verb, args));
}

static void state_is(struct agent_rig *rig, const char *want)
{
	char state[32];

	agent_rig_state(rig, "vol-att-1", state);
	CU_ASSERT_STRING_EQUAL(state, want);
}

static void member_is(json_t *result, const char *key, const char *want)
{
	const char *s = json_string_value(json_object_get(result, key));

	CU_ASSERT_STRING_EQUAL(s ? s : "(none)", want);
	json_decref(result);
}

/* How often the text is in the file; no secret is, in any case. */
static unsigned count(struct agent_rig *rig, const char *file, const char *text)
{
	char *whole = agent_rig_text(rig, file);
	unsigned n = 0;

	for (const char *s = whole; (s = strstr(s, text)); s++)
		n++;
	CU_ASSERT(!strstr(whole, "s3cret"));
	free(whole);
	return n;
}

static void open_host(struct agent_rig *rig, const char *delegate)
{
	char path[128];

	agent_rig_open(rig, delegate);
	agent_rig_program(rig, "xl", FAKE_XL);
	agent_rig_program(rig, "xenstore-read", FAKE_XENSTORE_READ);
	agent_rig_program(rig, "virsh", FAKE_VIRSH);
	agent_rig_program(rig, "iscsiadm", FAKE_ISCSIADM);
	agent_rig_path(rig, "dom", path);
	mkdir(path, 0700);
	agent_rig_path(rig, "dom/web-1", path);
	mkdir(path, 0700);
	agent_rig_path(rig, "session", path);
	mkdir(path, 0700);
}

static void close_host(struct agent_rig *rig)
{
	CU_ASSERT_EQUAL(count(rig, "state.json", "s3cret") + count(rig, "log", "s3cret"), 0);
	agent_rig_close(rig);
}

/* As shipped, but a guest has no many seconds to let go. */
static void open_quick(struct agent_rig *rig, const char *delegate)
{
	char path[512], *text, *at;
	FILE *f;
	long n;

	open_host(rig, "dry");
	agent_rig_delegate(delegate, path);
	f = fopen(path, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	text = calloc(1, 65536);
	n = (long)fread(text, 1, 65535, f);
	fclose(f);
	CU_ASSERT(n > 0);
	at = strstr(text, "\"settle\": \"");
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	memcpy(at, "\"settle\":\"3ms\" ", 15);
	agent_rig_touch(rig, "quick.json", text);
	free(text);
	agent_rig_path(rig, "quick.json", path);
	free(rig->conf.delegate);
	rig->conf.delegate = strdup(path);
	agent_rig_again(rig);
}

static bool exists(struct agent_rig *rig, const char *name)
{
	char path[128];

	agent_rig_path(rig, name, path);
	return access(path, F_OK) == 0;
}

static void drop(struct agent_rig *rig, const char *name)
{
	char path[128];

	agent_rig_path(rig, name, path);
	unlink(path);
}

/* ------------------------------------------------------------------ dry, arguments */

static void test_dry(void)
{
	struct agent_rig rig;
	json_t *ping;

	agent_rig_open(&rig, "dry");
	ping = agent_rig_ok(&rig, "ping", "{}");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_array_get(json_object_get(ping, "delegates"), 0)), "dry");
	member_is(ping, "initiator", "iqn.2026-01.com.example:host");
	member_is(agent_rig_ok(&rig, "login", LOGIN), "path",
		  "/dev/disk/by-path/ip-192.0.2.1:3260-iscsi-" RIG_TARGET "-lun-1");
	state_is(&rig, "logged-in");
	for (int i = 0; i < 2; i++)
		member_is(agent_rig_ok(&rig, "attach", ATTACH_TO("dry-vm", "/dev/xvdf")), "device", "xvdf");
	state_is(&rig, "attached");
	agent_rig_again(&rig);
	state_is(&rig, "attached");
	agent_rig_error(&rig, "logout", ID, "EBUSY");
	agent_rig_error(&rig, "attach", ATTACH_TO("dry-vm", "xvdg"), "EEXIST");
	agent_rig_error(&rig, "attach",
		  "{\"attachment\": \"vol-att-2\", \"vm\": \"dry-vm\", \"device\": \"xvdf\", \"path\": \"/dev/sdx\"}",
		  "EEXIST");
	for (int i = 0; i < 2; i++)
		ok(&rig, "detach", ID);
	state_is(&rig, "logged-in");
	for (int i = 0; i < 2; i++)
		ok(&rig, "logout", ID);
	state_is(&rig, "");
	ok(&rig, "detach", ID);
	close_host(&rig);
}

static void test_arguments(void)
{
	static const char *const bad[][2] = {
		{"attach", "{}"},
		{"attach", "{\"attachment\": \"../x\"}"},
		{"attach", "{\"attachment\": 1}"},
		{"attach", "{\"attachment\": \"a\", \"vm\": \"x y\", \"device\": \"xvdf\"}"},
		{"attach", "{\"attachment\": \"a\", \"vm\": \"-x\", \"device\": \"xvdf\", \"path\": \"/dev/sdb\"}"},
		{"attach", "{\"attachment\": \"a\", \"vm\": \"x\", \"device\": \"xvdf;\"}"},
		{"attach", "{\"attachment\": \"a\", \"vm\": \"x\"}"},
		{"attach", "{\"attachment\": \"a\", \"vm\": \"x\", \"device\": \"xvdf\", \"path\": \"/etc/shadow\"}"},
		{"attach", "{\"attachment\": \"a\", \"vm\": \"x\", \"device\": \"xvdf\", \"mode\": \"w\"}"},
		{"attach", "{\"attachment\": \"a\", \"vm\": [\"x\"], \"device\": \"xvdf\"}"},
		{"login", "{\"attachment\": \"a\", \"portals\": [], \"target\": \"" RIG_TARGET "\"}"},
		{"login", "{\"attachment\": \"a\", \"portals\": [\"h:1\"], \"target\": \"" RIG_TARGET "\"}"},
		{"login", "{\"attachment\": \"a\", \"portals\": [\"192.0.2.1:1\"], \"target\": \"x\"}"},
		{"login", "{\"attachment\": \"a\", \"portals\": [\"192.0.2.1:1\"], \"target\": \"" RIG_TARGET
			  "\", \"lun\": 256}"},
		{"login", "{\"attachment\": \"a\", \"portals\": [\"192.0.2.1:1\"], \"target\": \"" RIG_TARGET "\", "
			  "\"secret\": \"" RIG_SECRET "\"}"},
		{"login", "{\"attachment\": \"a\", \"portals\": [\"192.0.2.1:1\"], \"target\": \"" RIG_TARGET "\", "
			  "\"user\": \"x\", \"secret\": \"" RIG_SECRET " and more\"}"},
	};
	struct agent_rig rig;

	open_host(&rig, "xen");
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		agent_rig_error(&rig, bad[i][0], bad[i][1], "EINVAL");
	agent_rig_error(&rig, "attack", ID, "ENOSYS");
	agent_rig_error(&rig, "attach", "[]", "EINVAL");
	agent_rig_error(&rig, "rescan", ID, "ENOENT");
	CU_ASSERT(!strstr(rig.dir, " ") && count(&rig, "log", "block-attach") == 0);
	state_is(&rig, "");
	close_host(&rig);
}

/* ------------------------------------------------------------------ Xen */

static void test_xen(void)
{
	struct agent_rig rig;
	json_t *list, *vm;
	char want[160];

	open_quick(&rig, "xen");
	snprintf(want, sizeof(want), "%s/by-path/ip-192.0.2.1:3260-iscsi-" RIG_TARGET "-lun-1", rig.dir);
	for (int i = 0; i < 2; i++)
		member_is(agent_rig_ok(&rig, "login", LOGIN), "path", want);
	CU_ASSERT_EQUAL(count(&rig, "log", "--login"), 1);
	for (int i = 0; i < 2; i++)
		member_is(agent_rig_ok(&rig, "attach", ATTACH_TO("web-1", "xvdf")), "device", "xvdf");
	CU_ASSERT_EQUAL(count(&rig, "log", "block-attach"), 1);
	snprintf(want, sizeof(want), "xl block-attach web-1 phy:%s/by-path/ip-192.0.2.1:3260-iscsi-" RIG_TARGET
		 "-lun-1 xvdf w\n", rig.dir);
	CU_ASSERT_EQUAL(count(&rig, "log", want), 1);
	ok(&rig, "rescan", ID);
	CU_ASSERT_EQUAL(count(&rig, "log", " -R\n"), 1);
	list = agent_rig_ok(&rig, "list", "{}");
	CU_ASSERT_EQUAL(json_array_size(json_object_get(list, "vms")), 2);
	vm = json_incref(json_array_get(json_object_get(list, "vms"), 1));
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(vm, "memory_bytes")), 2048ll << 20);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(vm, "vcpus")), 2);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(vm, "state")), "running");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(vm, "uuid")), "6695eb01-f6a4-8304-79aa-97f2502e193f");
	member_is(vm, "name", "web-1");
	json_decref(list);
	agent_rig_touch(&rig, "busy", "");
	agent_rig_error(&rig, "detach", ID, "EBUSY");
	state_is(&rig, "busy");
	agent_rig_error(&rig, "detach", ID, "EBUSY");
	ok(&rig, "detach", FORCE);
	CU_ASSERT_EQUAL(count(&rig, "log", "block-detach --force web-1 xvdf\n"), 1);
	state_is(&rig, "logged-in");
	ok(&rig, "logout", ID);
	CU_ASSERT(!exists(&rig, "iscsi/nodes/" RIG_TARGET "/192.0.2.1,3260,1") &&
		  !exists(&rig, "session/192.0.2.1:3260"));
	close_host(&rig);
}

/* The place is somebody else's: neither attached over, nor taken away. */
static void test_others(void)
{
	struct agent_rig rig;

	open_host(&rig, "xen");
	ok(&rig, "login", LOGIN);
	agent_rig_touch(&rig, "dom/web-1/xvdf", "/dev/vg/other\n");
	agent_rig_error(&rig, "attach", ATTACH_TO("web-1", "xvdf"), "EEXIST");
	state_is(&rig, "logged-in");
	ok(&rig, "detach", FORCE);
	CU_ASSERT(exists(&rig, "dom/web-1/xvdf"));
	/* Ours goes away behind our back, another comes into its place. */
	ok(&rig, "attach", ATTACH_TO("web-1", "xvdg"));
	agent_rig_touch(&rig, "dom/web-1/xvdg", "/dev/vg/other\n");
	state_is(&rig, "gone");
	ok(&rig, "detach", FORCE);
	CU_ASSERT(exists(&rig, "dom/web-1/xvdg"));
	CU_ASSERT_EQUAL(count(&rig, "log", "block-detach"), 0);
	state_is(&rig, "logged-in");
	close_host(&rig);
}

static void test_failures(void)
{
	struct agent_rig rig;

	open_host(&rig, "xen");
	ok(&rig, "login", LOGIN);
	agent_rig_error(&rig, "attach", ATTACH_TO("nobody", "xvdf"), "EIO");
	state_is(&rig, "logged-in");
	agent_rig_touch(&rig, "broken", "");
	agent_rig_error(&rig, "attach", ATTACH_TO("web-1", "xvdf"), "EIO");
	state_is(&rig, "logged-in");
	drop(&rig, "broken");
	ok(&rig, "attach", ATTACH_TO("web-1", "xvdf"));
	/* The VM ends: its disk is gone, and detaching it is done. */
	drop(&rig, "dom/web-1/xvdf");
	state_is(&rig, "gone");
	ok(&rig, "attach", ATTACH_TO("web-1", "xvdf"));
	state_is(&rig, "attached");
	drop(&rig, "dom/web-1/xvdf");
	ok(&rig, "detach", ID);
	/* No xl at all: nothing is claimed. */
	drop(&rig, "bin/xl");
	agent_rig_error(&rig, "attach", ATTACH_TO("web-1", "xvdf"), "ENOENT");
	agent_rig_error(&rig, "list", "{}", "ENOENT");
	agent_rig_program(&rig, "xl", FAKE_XL);
	state_is(&rig, "logged-in");
	close_host(&rig);
}

/* ------------------------------------------------------------------ libvirt */

static void test_kvm(void)
{
	struct agent_rig rig;
	json_t *list;

	open_quick(&rig, "kvm");
	ok(&rig, "login", LOGIN);
	for (int i = 0; i < 2; i++)
		ok(&rig, "attach", ATTACH_TO("web-1", "vdb"));
	CU_ASSERT_EQUAL(count(&rig, "log", "attach-device web-1 /proc/self/fd/3 --live"), 1);
	CU_ASSERT_EQUAL(count(&rig, "xml", "<serial>vol1</serial>"), 1);
	CU_ASSERT_EQUAL(count(&rig, "xml", "<target dev='vdb' bus='virtio'/>\n  \n"), 1);
	CU_ASSERT_EQUAL(count(&rig, "xml", "by-path/ip-192.0.2.1:3260-iscsi-" RIG_TARGET "-lun-1'/>"), 1);
	list = agent_rig_ok(&rig, "list", "{}");
	CU_ASSERT_EQUAL(
		json_integer_value(json_object_get(json_array_get(json_object_get(list, "vms"), 0), "memory_bytes")),
		2ll << 30);
	member_is(json_incref(json_array_get(json_object_get(list, "vms"), 0)), "state", "shut-off");
	json_decref(list);
	/* virsh says that it went well; the guest still has it. */
	agent_rig_touch(&rig, "busy", "");
	agent_rig_error(&rig, "detach", ID, "EBUSY");
	state_is(&rig, "busy");
	drop(&rig, "busy");
	ok(&rig, "detach", ID);
	ok(&rig, "attach", "{\"attachment\": \"vol-att-1\", \"vm\": \"web-1\", \"device\": \"vdb\", \"mode\": \"ro\"}");
	CU_ASSERT_EQUAL(count(&rig, "xml", "<readonly/>"), 1);
	ok(&rig, "detach", FORCE);
	ok(&rig, "logout", ID);
	close_host(&rig);
}

static void test_qemu(void)
{
	struct agent_rig rig;
	char *value;

	open_quick(&rig, "qemu");
	for (int i = 0; i < 2; i++) {
		json_t *result = agent_rig_ok(&rig, "login", LOGIN);

		CU_ASSERT(json_is_null(json_object_get(result, "path")));
		json_decref(result);
	}
	value = agent_rig_text(&rig, "secret.value");
	CU_ASSERT_STRING_EQUAL(value, RIG_SECRET);
	free(value);
	ok(&rig, "attach", ATTACH_TO("web-1", "vdb"));
	CU_ASSERT_EQUAL(count(&rig, "xml", "<source protocol='iscsi' name='" RIG_TARGET "/1'>"), 1);
	CU_ASSERT_EQUAL(count(&rig, "xml", "<host name='192.0.2.1' port='3260'/>"), 1);
	CU_ASSERT_EQUAL(count(&rig, "xml", "<iqn name='iqn.2026-01.com.example:host'/>"), 1);
	CU_ASSERT_EQUAL(count(&rig, "xml", "<auth username='in'>"), 1);
	ok(&rig, "attach", ATTACH_TO("web-1", "vdb"));
	CU_ASSERT_EQUAL(count(&rig, "log", "attach-device"), 1);
	state_is(&rig, "attached");
	ok(&rig, "detach", ID);
	/* Without a VM the host itself would get it, but QEMU's initiator gives it none. */
	agent_rig_error(&rig, "attach", ID, "EINVAL");
	for (int i = 0; i < 2; i++)
		ok(&rig, "logout", ID);
	CU_ASSERT(!exists(&rig, "secret.value"));
	close_host(&rig);
}

/* ------------------------------------------------------------------ the host itself, portals, threads */

static void test_host(void)
{
	struct agent_rig rig;

	open_host(&rig, "linux");
	ok(&rig, "login", LOGIN);
	ok(&rig, "attach", ID);
	state_is(&rig, "attached");
	agent_rig_error(&rig, "logout", ID, "EBUSY");
	ok(&rig, "detach", ID);
	state_is(&rig, "logged-in");
	ok(&rig, "logout", ID);
	close_host(&rig);
}

struct asker {
	struct agent_rig *rig;
	int n;
};

static void *ask_often(void *arg)
{
	struct asker *a = arg;
	char args[160];

	for (int i = 0; i < 6; i++) {
		snprintf(args, sizeof(args),
			 "{\"attachment\": \"a-%d\", \"vm\": \"v\", \"device\": \"xvd%c\", \"path\": \"/dev/x\"}",
			 a->n % 3, 'a' + a->n % 3);
		ok(a->rig, "attach", args);
		snprintf(args, sizeof(args), "{\"attachment\": \"a-%d\"}", a->n % 3);
		ok(a->rig, "detach", args);
		ok(a->rig, "ping", "{}");
	}
	return NULL;
}

/* Three attachments, two threads each. */
static void test_threads(void)
{
	pthread_t threads[6];
	struct asker askers[6];
	struct agent_rig rig;
	json_t *list;

	agent_rig_open(&rig, "dry");
	for (int i = 0; i < 6; i++) {
		askers[i] = (struct asker){ &rig, i };
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, ask_often, &askers[i]), 0);
	}
	for (int i = 0; i < 6; i++)
		pthread_join(threads[i], NULL);
	list = agent_rig_ok(&rig, "list", "{}");
	CU_ASSERT_EQUAL(json_array_size(json_object_get(list, "attachments")), 0);
	json_decref(list);
	close_host(&rig);
}

static void test_one_agent(void)
{
	struct err err = ERR_INIT;
	struct agent *second = NULL;
	struct agent_rig rig;

	agent_rig_open(&rig, "dry");
	CU_ASSERT_EQUAL(agent_new(&rig.conf, &second, &err), -EBUSY);
	CU_ASSERT_PTR_NULL(second);
	agent_free(rig.agent);
	agent_rig_touch(&rig, "state.json", "{\"v\": 1,\n\"attachments\": { \"../x\": {} } }");
	err = ERR_INIT;
	CU_ASSERT_EQUAL(agent_new(&rig.conf, &second, &err), -EINVAL);
	CU_ASSERT(strstr(err.text, "state.json:2: ") != NULL);
	drop(&rig, "state.json");
	rig.agent = NULL;
	agent_rig_close(&rig);
}

static CU_TestInfo tests[] = {
	{ "dry", test_dry }, { "arguments", test_arguments }, { "xen", test_xen }, { "others", test_others },
	{ "failures", test_failures }, { "kvm", test_kvm }, { "qemu", test_qemu }, { "host", test_host },
	{ "threads", test_threads }, { "one_agent", test_one_agent }, CU_TEST_INFO_NULL,
};

const struct hb_suite suite_agent_verbs = { "agent_verbs", tests };

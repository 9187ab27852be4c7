/* SPDX-License-Identifier: GPL-2.0-only */
/* test_agent_iscsi.c - node records, and logging in with a program that answers like iscsiadm. */
#include "suites.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/iscsi.h"
#include "agent/record.h"
#include "agent_fakes.h"
#include "agent_rig.h"

/* As iscsiadm 2.1.8 writes it, shortened. */
#define RECORD "# BEGIN RECORD 2.1.8\nnode.name = " RIG_TARGET "\nnode.tpgt = 1\n" \
	       "node.session.auth.authmethod = None\nnode.session.auth.chap_algs = MD5\n" \
	       "node.session.timeo.replacement_timeout = 120\n"
#define RECORD_REST "node.session.timeo.replacement_timeout = 120\n"

static void secrets(struct values *v, bool both)
{
	*v = (struct values){ { NULL } };
	values_set(v, V_ATTACHMENT, "vol-att-1", NULL);
	values_set(v, V_TARGET, RIG_TARGET, NULL);
	values_set(v, V_LUN, "1", NULL);
	values_set(v, V_USER, "in", NULL);
	values_set(v, V_SECRET, RIG_SECRET, NULL);
	if (both) {
		values_set(v, V_BACK_USER, "back", NULL);
		values_set(v, V_BACK_SECRET, RIG_BACK_SECRET, NULL);
	}
}

static void edits_to(const char *text, const struct values *v, const char *want)
{
	struct err err = ERR_INIT;
	char *out = NULL;

	CU_ASSERT_EQUAL(record_edit(text, v, &out, &err), 0);
	CU_ASSERT_STRING_EQUAL(out ? out : "", want);
	free(out);
}

static void test_edit(void)
{
	static const char both[] =
		"# BEGIN RECORD 2.1.8\nnode.name = " RIG_TARGET "\nnode.tpgt = 1\n"
		"node.session.auth.chap_algs = MD5\n" RECORD_REST "node.session.auth.authmethod = CHAP\n"
		"node.session.auth.username = in\nnode.session.auth.password = " RIG_SECRET "\n"
		"node.session.auth.username_in = back\nnode.session.auth.password_in = " RIG_BACK_SECRET
		"\n# END RECORD\n";
	static const char one[] = "# BEGIN RECORD 2.1.8\nnode.name = " RIG_TARGET "\nnode.tpgt = 1\n"
		"node.session.auth.chap_algs = MD5\n" RECORD_REST "node.session.auth.authmethod = CHAP\n"
		"node.session.auth.username = in\nnode.session.auth.password = " RIG_SECRET "\n# END RECORD\n";
	struct err err = ERR_INIT;
	struct values v, none = { { NULL } };
	char *out = NULL;

	secrets(&v, true);
	edits_to(RECORD "# END RECORD\n", &v, both);
	edits_to(RECORD "# END RECORD", &v, both);
	edits_to(both, &v, both);
	values_free(&v);
	secrets(&v, false);
	edits_to(both, &v, one);	/* what is no longer said goes */
	edits_to("x\n# END RECORD\n", &none, "x\nnode.session.auth.authmethod = None\n# END RECORD\n");
	CU_ASSERT_EQUAL(record_edit(RECORD, &v, &out, &err), -EBADMSG);
	CU_ASSERT_PTR_NULL(out);
	values_free(&v);
}

static struct iscsi_conf conf_of(const struct agent_rig *rig)
{
	return (struct iscsi_conf){ NULL, rig->conf.nodes, rig->conf.by_path, rig->conf.programs, 200 };
}

static void test_login(void)
{
	static const char *const portals[] = { "192.0.2.1:3260", "[fd00::1]:3260", NULL };
	char record[128], *text;
	struct agent_rig rig;
	struct iscsi_conf c;
	struct err err = ERR_INIT;
	struct values v;
	struct stat st;

	agent_rig_open(&rig, "linux");
	agent_rig_program(&rig, "iscsiadm", FAKE_ISCSIADM);
	c = conf_of(&rig);
	secrets(&v, true);
	agent_rig_touch(&rig, "unreachable", "192.0.2.1:3260\n");
	CU_ASSERT_EQUAL(iscsi_login(&c, portals, &v, &err), 0);	/* the second lets us */
	CU_ASSERT_STRING_EQUAL(v.v[V_PORTAL], portals[1]);
	CU_ASSERT(strstr(v.v[V_PATH], "/ip-fd00::1:3260-iscsi-" RIG_TARGET "-lun-1") != NULL);
	agent_rig_path(&rig, "iscsi/nodes/" RIG_TARGET "/fd00::1,3260,1/default", record);
	CU_ASSERT(stat(record, &st) == 0 && (st.st_mode & 07777) == 0600);
	text = agent_rig_text(&rig, "iscsi/nodes/" RIG_TARGET "/fd00::1,3260,1/default");
	CU_ASSERT(strstr(text, "password = " RIG_SECRET "\n") && strstr(text, "password_in = " RIG_BACK_SECRET "\n"));
	free(text);
	agent_rig_path(&rig, "iscsi/.hybrid-vol-att-1", record);
	CU_ASSERT_EQUAL(access(record, F_OK), -1);
	text = agent_rig_text(&rig, "log");
	CU_ASSERT(!strstr(text, "s3cret"));
	free(text);
	CU_ASSERT_EQUAL(iscsi_rescan(&c, &v, &err), 0);
	CU_ASSERT_EQUAL(iscsi_logout(&c, portals, &v, &err), 0);
	CU_ASSERT_EQUAL(iscsi_logout(&c, portals, &v, &err), 0);
	values_free(&v);
	agent_rig_close(&rig);
}

static void test_refused(void)
{
	static const char *const portals[] = { "192.0.2.1:3260", NULL };
	struct agent_rig rig;
	struct iscsi_conf c;
	struct err err = ERR_INIT;
	struct values v;

	agent_rig_open(&rig, "linux");
	agent_rig_program(&rig, "iscsiadm", FAKE_ISCSIADM);
	c = conf_of(&rig);
	secrets(&v, true);
	agent_rig_touch(&rig, "deny", "");
	CU_ASSERT_EQUAL(iscsi_login(&c, portals, &v, &err), -EACCES);
	CU_ASSERT(strstr(err.text, "does not take the secrets") != NULL);
	agent_rig_touch(&rig, "deny", "");
	agent_rig_program(&rig, "iscsiadm", "exit 20\n");
	CU_ASSERT_EQUAL(iscsi_login(&c, portals, &v, &err), -EIO);
	agent_rig_program(&rig, "iscsiadm", "rm -f $DIR/deny\n" FAKE_ISCSIADM);
	agent_rig_touch(&rig, "nodisk", "");
	CU_ASSERT_EQUAL(iscsi_login(&c, portals, &v, &err), -ETIMEDOUT);
	CU_ASSERT(strstr(err.text, "does not appear") != NULL);
	/* An iscsiadm that keeps its records elsewhere. */
	c.nodes = "/nowhere";
	agent_rig_program(&rig, "iscsiadm", "rm -rf $DIR/session\n" FAKE_ISCSIADM);
	CU_ASSERT_EQUAL(iscsi_login(&c, portals, &v, &err), -ENOENT);
	values_free(&v);
	agent_rig_close(&rig);
}

static CU_TestInfo tests[] = {
	{ "edit", test_edit }, { "login", test_login }, { "refused", test_refused }, CU_TEST_INFO_NULL,
};

const struct hb_suite suite_agent_iscsi = { "agent_iscsi", tests };

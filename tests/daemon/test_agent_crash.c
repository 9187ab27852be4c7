/* SPDX-License-Identifier: GPL-2.0-only */
/* test_agent_crash.c - the agent is killed at each step on a disk and in each command; the verb, asked again or turned
 * round, comes to the same end.
 */
#include "suites.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/file.h"
#include "agent_fakes.h"
#include "agent_rig.h"

#define STEPS_MAX 400

static const struct { const char *verb, *args; } script[] = {
	{ "login", "{\"attachment\": \"vol-att-1\", \"portals\": [\"192.0.2.1:3260\"], \"target\": \"" RIG_TARGET "\", "
		   "\"user\": \"in\", \"secret\": \"" RIG_SECRET "\", \"back_user\": \"back\", \"back_secret\": \""
		   RIG_BACK_SECRET "\", \"volume\": \"vol-1\"}" },
	{ "attach", "{\"attachment\": \"vol-att-1\", \"vm\": \"web-1\", \"device\": \"xvdf\"}" },
	{ "detach", "{\"attachment\": \"vol-att-1\"}" },
	{ "logout", "{\"attachment\": \"vol-att-1\"}" },
};

static int steps_left;

static void die_at(const char *what)
{
	(void)what;
	if (--steps_left == 0)
		raise(SIGKILL);
}

/* Each command kills the agent: before it does anything if the file "die" says so, or when it has. */
#define DIES(body) \
	"n=$(cat $DIR/left); n=$((n - 1)); echo $n >$DIR/left\n" \
	"[ $n -eq 0 ] && [ $(cat $DIR/die) = before ] && { kill -9 $PPID; exit 9; }\n" \
	"(" body ")\nrc=$?\n" \
	"[ $n -eq 0 ] && kill -9 $PPID\nexit $rc\n"

static void open_dying(struct agent_rig *rig)
{
	char path[128];

	agent_rig_open(rig, "xen");
	agent_rig_program(rig, "xl", DIES(FAKE_XL));
	agent_rig_program(rig, "xenstore-read", FAKE_XENSTORE_READ);
	agent_rig_program(rig, "iscsiadm", DIES(FAKE_ISCSIADM));
	agent_rig_touch(rig, "left", "-1\n");
	agent_rig_touch(rig, "die", "after\n");
	agent_rig_path(rig, "dom", path);
	mkdir(path, 0700);
	agent_rig_path(rig, "dom/web-1", path);
	mkdir(path, 0700);
	agent_rig_path(rig, "session", path);
	mkdir(path, 0700);
}

/* In a child, which is killed or ends; true: it came to its end. */
static bool child_asks(struct agent_rig *rig, int verb, int die_step)
{
	int status = 0;
	pid_t pid;

	agent_free(rig->agent);
	rig->agent = NULL;
	pid = fork();
	if (pid == 0) {
		struct err err = ERR_INIT;
		json_t *args = json_loads(script[verb].args, 0, NULL), *answer;

		if (agent_new(&rig->conf, &rig->agent, &err) < 0)
			_exit(3);
		steps_left = die_step;
		file_step = die_at;
		answer = agent_verb(rig->agent, script[verb].verb, args);
		_exit(json_is_true(json_object_get(answer, "ok")) ? 0 : 4);
	}
	CU_ASSERT_EQUAL_FATAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) ||
		  (WIFEXITED(status) && WEXITSTATUS(status) == 0));
	agent_rig_again(rig);
	return WIFEXITED(status);
}

static bool there(struct agent_rig *rig, const char *name)
{
	char path[128];

	agent_rig_path(rig, name, path);
	return access(path, F_OK) == 0;
}

/* What list says is what the host has. */
static void must_agree(struct agent_rig *rig)
{
	char state[32];

	agent_rig_state(rig, "vol-att-1", state);
	if (there(rig, "dom/web-1/xvdf"))
		CHECK(!strcmp(state, "attached") || !strcmp(state, "attaching") || !strcmp(state, "detaching"));
	if (there(rig, "session/192.0.2.1:3260"))
		CHECK(*state != '\0');
}

static void done(struct agent_rig *rig, int verb)
{
	static const char *const after[] = { "logged-in", "attached", "logged-in", "" };
	char state[32];

	agent_rig_state(rig, "vol-att-1", state);
	if (strcmp(state, after[verb]) != 0)
		fprintf(stderr, "after %s: %s\n", script[verb].verb, state);
	CHECK(!strcmp(state, after[verb]));
	CHECK(there(rig, "dom/web-1/xvdf") == (verb == 1));
	CHECK(there(rig, "session/192.0.2.1:3260") == (verb < 3));
	CHECK(!there(rig, "iscsi/.hybrid-vol-att-1") && !there(rig, "state.json.new"));
}

static void ask(struct agent_rig *rig, int verb)
{
	json_decref(agent_rig_ok(rig, script[verb].verb, script[verb].args));
}

/* Killed in `verb` before its n-th step: asked again, or turned round and begun anew. False: it has fewer steps. */
static bool killed_once(int verb, int step, bool turn_round, bool in_command, const char *when)
{
	struct agent_rig rig;
	char left[16];
	bool ended;

	open_dying(&rig);
	for (int i = 0; i < verb; i++)
		ask(&rig, i);
	if (in_command) {
		snprintf(left, sizeof(left), "%d\n", step);
		agent_rig_touch(&rig, "die", when);
		agent_rig_touch(&rig, "left", left);
	}
	ended = child_asks(&rig, verb, in_command ? 0 : step);
	agent_rig_touch(&rig, "left", "-1\n");
	must_agree(&rig);
	if (turn_round && verb < 2) {
		ask(&rig, 2);
		ask(&rig, 3);
		done(&rig, 3);
		for (int i = 0; i <= verb; i++)
			ask(&rig, i);
	} else {
		ask(&rig, verb);
	}
	done(&rig, verb);
	agent_rig_close(&rig);
	return !ended;
}

static void test_disk(void)
{
	for (int verb = 0; verb < 4; verb++) {
		int step = 1;

		while (killed_once(verb, step, step % 2, false, "") && step < STEPS_MAX)
			step++;
		CU_ASSERT(step > 5 && step < STEPS_MAX);
	}
}

static void test_commands(void)
{
	static const char *const when[] = { "before", "after" };

	for (int verb = 0; verb < 4; verb++) {
		for (int k = 0; k < 2; k++) {
			int step = 1;

			while (killed_once(verb, step, step % 2, true, when[k]) && step < STEPS_MAX)
				step++;
			CU_ASSERT(step > 1 && step < STEPS_MAX);
		}
	}
}

static CU_TestInfo tests[] = {
	{ "disk", test_disk }, { "commands", test_commands }, CU_TEST_INFO_NULL,
};

const struct hb_suite suite_agent_crash = { "agent_crash", tests };

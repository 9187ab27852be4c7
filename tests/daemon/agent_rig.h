/* SPDX-License-Identifier: GPL-2.0-only */
/* agent_rig.h - an agent in a scratch folder, with programs of the test's own before it. */
#ifndef HB_TESTS_DAEMON_AGENT_RIG_H
#define HB_TESTS_DAEMON_AGENT_RIG_H

#include <jansson.h>

#include "agent/agent.h"
#include "tests/unit/scratch.h"

#define RIG_TARGET "iqn.2026-01.com.example:vol-1"
#define RIG_SECRET "s3cret-of-the-way-in"
#define RIG_BACK_SECRET "s3cret-of-the-way-back"

struct agent_rig {
	char dir[SCRATCH_PATH_MAX];
	char bin[64]; /* folder of the test's programs */
	struct agent_conf conf;
	struct agent *agent;
};

/* delegate: a shipped one's name, or a path. */
void agent_rig_open(struct agent_rig *rig, const char *delegate);
void agent_rig_close(struct agent_rig *rig);
/* The same state again, as after the program's death. */
void agent_rig_again(struct agent_rig *rig);
/* A shell script as a program of that name; DIR in it is the scratch folder. */
void agent_rig_program(struct agent_rig *rig, const char *name, const char *script);
void agent_rig_path(const struct agent_rig *rig, const char *name, char ret[128]);
/* Of a file in the scratch folder; "" if there is none. free(). */
char *agent_rig_text(const struct agent_rig *rig, const char *name);
void agent_rig_touch(const struct agent_rig *rig, const char *name, const char *text);

/* The result, new reference, where the verb is expected to go well. */
json_t *agent_rig_ok(struct agent_rig *rig, const char *verb, const char *args);
/* Expects that error. */
void agent_rig_error(struct agent_rig *rig, const char *verb, const char *args, const char *code);
/* The state that list gives of the attachment; "" if it is not there. */
void agent_rig_state(struct agent_rig *rig, const char *attachment, char ret[32]);
/* The shipped delegate's path. */
void agent_rig_delegate(const char *name, char ret[512]);

#endif

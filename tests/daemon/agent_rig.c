/* SPDX-License-Identifier: GPL-2.0-only */
/* agent_rig.c - an agent in a scratch folder; see agent_rig.h. */
#include "agent_rig.h"

#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Tests run from the project's top, or HYBRID_TOP says where that is. */
void agent_rig_delegate(const char *name, char ret[512])
{
	const char *top = getenv("HYBRID_TOP");

	snprintf(ret, 512, "%s/etc/delegates/%s.json", top ? top : ".", name);
}

void agent_rig_path(const struct agent_rig *rig, const char *name, char ret[128])
{
	snprintf(ret, 128, "%s/%s", rig->dir, name);
}

void agent_rig_touch(const struct agent_rig *rig, const char *name, const char *text)
{
	char path[128];
	FILE *f;

	agent_rig_path(rig, name, path);
	f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
}

char *agent_rig_text(const struct agent_rig *rig, const char *name)
{
	char path[128], *text = calloc(1, 65537);
	size_t n = 0;
	FILE *f;

	agent_rig_path(rig, name, path);
	f = fopen(path, "r");
	if (f) {
		n = fread(text, 1, 65536, f);
		fclose(f);
	}
	text[n] = '\0';
	return text;
}

static void start(struct agent_rig *rig)
{
	struct err err = ERR_INIT;

	rig->agent = NULL;
	if (agent_new(&rig->conf, &rig->agent, &err) < 0)
		fprintf(stderr, "agent: %s\n", err.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(rig->agent);
}

void agent_rig_open(struct agent_rig *rig, const char *delegate)
{
	char path[512], programs[256];

	memset(rig, 0, sizeof(*rig));
	scratch_new("/dev/shm", rig->dir);	/* in /dev: what is there can be a disk's path */
	snprintf(rig->bin, sizeof(rig->bin), "%s/bin", rig->dir);
	CU_ASSERT_EQUAL_FATAL(mkdir(rig->bin, 0700), 0);
	agent_conf_defaults(&rig->conf);
	if (strchr(delegate, '/'))
		snprintf(path, sizeof(path), "%s", delegate);
	else
		agent_rig_delegate(delegate, path);
	rig->conf.delegate = strdup(path);
	free(rig->conf.state);
	agent_rig_path(rig, "state.json", path);
	rig->conf.state = strdup(path);
	agent_rig_path(rig, "iscsi", path);
	CU_ASSERT_EQUAL_FATAL(mkdir(path, 0700), 0);
	agent_rig_path(rig, "iscsi/nodes", path);
	CU_ASSERT_EQUAL_FATAL(mkdir(path, 0700), 0);
	rig->conf.nodes = strdup(path);
	agent_rig_path(rig, "by-path", path);
	CU_ASSERT_EQUAL_FATAL(mkdir(path, 0700), 0);
	rig->conf.by_path = strdup(path);
	rig->conf.initiator = strdup("iqn.2026-01.com.example:host");
	rig->conf.wait_ms = 200;
	snprintf(programs, sizeof(programs), "%s:/usr/local/bin:/usr/bin:/bin", rig->bin);
	rig->conf.programs = strdup(programs);
	start(rig);
}

void agent_rig_close(struct agent_rig *rig)
{
	agent_free(rig->agent);
	agent_conf_free(&rig->conf);
	scratch_remove(rig->dir);
}

void agent_rig_again(struct agent_rig *rig)
{
	agent_free(rig->agent);
	start(rig);
}

void agent_rig_program(struct agent_rig *rig, const char *name, const char *script)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", rig->bin, name);
	f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fprintf(f, "#!/bin/sh\nDIR=%s\n%s", rig->dir, script);
	fclose(f);
	CU_ASSERT_EQUAL_FATAL(chmod(path, 0700), 0);
}

static json_t *ask(struct agent_rig *rig, const char *verb, const char *args)
{
	json_t *doc = json_loads(args, 0, NULL), *answer;

	CU_ASSERT_PTR_NOT_NULL_FATAL(doc);
	answer = agent_verb(rig->agent, verb, doc);
	json_decref(doc);
	return answer;
}

json_t *agent_rig_ok(struct agent_rig *rig, const char *verb, const char *args)
{
	json_t *answer = ask(rig, verb, args), *result = json_incref(json_object_get(answer, "result"));

	if (!json_is_true(json_object_get(answer, "ok")))
		fprintf(stderr, "%s: %s\n", verb,
			json_string_value(json_object_get(json_object_get(answer, "error"), "text")));
	CU_ASSERT_TRUE_FATAL(json_is_true(json_object_get(answer, "ok")));
	CU_ASSERT_TRUE(json_is_object(result));
	json_decref(answer);
	return result;
}

void agent_rig_error(struct agent_rig *rig, const char *verb, const char *args, const char *code)
{
	json_t *answer = ask(rig, verb, args), *error = json_object_get(answer, "error");
	const char *said = json_string_value(json_object_get(error, "code"));
	const char *text = json_string_value(json_object_get(error, "text"));

	CU_ASSERT_TRUE_FATAL(json_is_false(json_object_get(answer, "ok")));
	if (!said || strcmp(said, code) != 0)
		fprintf(stderr, "%s: %s, expected %s: %s\n", verb, said ? said : "nothing",
			code, text ? text : "");
	CU_ASSERT_STRING_EQUAL(said, code);
	CU_ASSERT(text && *text && !strstr(text, RIG_SECRET) && !strstr(text, RIG_BACK_SECRET));
	json_decref(answer);
}

void agent_rig_state(struct agent_rig *rig, const char *attachment, char ret[32])
{
	json_t *list = agent_rig_ok(rig, "list", "{}"), *row;
	size_t i;

	*ret = '\0';
	json_array_foreach(json_object_get(list, "attachments"), i, row) {
		if (!strcmp(json_string_value(json_object_get(row, "attachment")), attachment))
			snprintf(ret, 32, "%s", json_string_value(json_object_get(row, "state")));
	}
	json_decref(list);
}

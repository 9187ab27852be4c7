/* SPDX-License-Identifier: GPL-2.0-only */
/* task.c - what is under way, what has been done: tasks, the audit log, quotas. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "verbs/priv.h"

static const struct kind kind_task = {T_TASK, "task-", "task", EBS_NO_TASK, NULL};
static const struct kind kind_audit = {T_AUDIT, "audit-", "event", EBS_NO_RESOURCE, NULL};
static const struct kind kind_quota = {T_QUOTA, "quota-", "quota", EBS_NO_RESOURCE, NULL};

static json_t *task_shown(struct store_tx *tx, const json_t *row, const json_t *tags, struct err *err)
{
	static const char *const columns[] = {"id", "verb", "resource_id", "who", "state",
					      "step", "step_name", "tries", "error", "trouble"};
	json_t *t = json_object();

	(void)tx;
	(void)tags;
	(void)err;
	for (size_t i = 0; i < sizeof(columns) / sizeof(*columns); i++)
		if (json_object_get(row, columns[i]))
			json_object_set(t, columns[i], json_object_get(row, columns[i]));
	json_object_set_new(t, "created", time_shown(json_object_get(row, "created_ms")));
	json_object_set_new(t, "ended", time_shown(json_object_get(row, "ended_ms")));
	json_object_set_new(t, "deadline", time_shown(json_object_get(row, "deadline_ms")));
	return t;
}

/* How far what is under way is, is not in the catalogue. */
void run_task_describe(struct ebs_call *c)
{
	json_t *t;
	size_t i;

	find_list(c, &kind_task, NULL, task_shown);
	json_array_foreach(json_object_get(c->result, "tasks"), i, t)
	{
		int pct = saga_pct(c->ebs->sagas, json_integer_value(json_object_get(t, "id")));

		if (pct >= 0)
			json_object_set_new(t, "progress_pct", json_integer(pct));
	}
}

/* Waits as long as it may, and shows it. */
void run_task_wait(struct ebs_call *c)
{
	int64_t task = (int64_t)arg_number(c, "task", 0);
	struct err err = ERR_INIT;
	bool own = rights_task(c);

	if (own) {
		/* How it ended is what is shown. */
		change_wait(c, task, (uint32_t)arg_number(c, "for_ms", EBS_WAIT_MS), &err);
		err = ERR_INIT;
		c->result = saga_show(c->ebs->sagas, task, &err);
	}
	if (!c->result)
		ebs_fail(c, EBS_NO_TASK, -ENOENT, "there is no task %lld", (long long)task);
}

static json_t *audit_shown(struct store_tx *tx, const json_t *row, const json_t *tags, struct err *err)
{
	json_t *a = json_copy((json_t *)(uintptr_t)row);

	(void)tx;
	(void)tags;
	(void)err;
	json_object_set_new(a, "at", time_shown(json_object_get(row, "at_ms")));
	json_object_del(a, "at_ms");
	return a;
}

void run_audit_describe(struct ebs_call *c)
{
	find_list(c, &kind_audit, NULL, audit_shown);
}

/* ---------------------------------------------------------------- quotas */

static json_t *quota_shown(struct store_tx *tx, const json_t *row, const json_t *tags, struct err *err)
{
	(void)tx;
	(void)tags;
	(void)err;
	return json_pack("{s:O, s:O}", "what", json_object_get(row, "id"), "most", json_object_get(row, "most"));
}

void run_quota_describe(struct ebs_call *c)
{
	find_list(c, &kind_quota, NULL, quota_shown);
}

static int quota_begin(struct store_tx *tx, struct ebs_call *c, json_t *doc)
{
	const char *what = json_string_value(json_object_get(doc, "id"));
	struct err err = ERR_INIT;
	int rc;

	if (!arg_given(c, "most"))
		rc = store_delete(tx, T_QUOTA, what, &err);
	else
		rc = store_insert(tx, T_QUOTA, doc, &err);
	if (rc == -EEXIST) {
		json_t *change = json_pack("{s:O}", "most", arg_json(c, "most"));

		err = ERR_INIT;
		rc = store_update(tx, T_QUOTA, what, change, &err);
		json_decref(change);
	}
	return rc && rc != -ENOENT ? ebs_fail_err(c, &err) : 0;
}

void run_quota_set(struct ebs_call *c)
{
	struct change ch = {.resource = arg_text(c, "what"), .begin = quota_begin};

	ch.doc = json_pack("{s:s, s:O*}", "id", arg_text(c, "what"), "most", arg_json(c, "most"));
	change_run(c, &ch);
}

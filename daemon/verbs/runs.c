/* SPDX-License-Identifier: GPL-2.0-only */
/* runs.c - what carries out each verb of the table, and each saga's steps. */
#include <errno.h>
#include <string.h>

#include "verbs/priv.h"

static const struct {
	const char *verb;
	void (*run)(struct ebs_call *c);
} runs[] = {
	{"volume-create", run_volume_create},
	{"volume-delete", run_volume_delete},
	{"volume-describe", run_volume_describe},
	{"volume-modify", run_volume_modify},
	{"volume-attach", run_volume_attach},
	{"volume-detach", run_volume_detach},
	{"snapshot-create", run_snapshot_create},
	{"snapshot-group", run_snapshot_group},
	{"snapshot-delete", run_snapshot_delete},
	{"snapshot-describe", run_snapshot_describe},
	{"snapshot-copy", run_snapshot_copy},
	{"snapshot-start", run_snapshot_start},
	{"snapshot-complete", run_snapshot_complete},
	{"snapshot-lock", run_snapshot_lock},
	{"snapshot-unlock", run_snapshot_unlock},
	{"volume-clone", run_volume_clone},
	{"volume-revert", run_volume_revert},
	{"volume-status", run_volume_status},
	{"volume-stats", run_volume_stats},
	{"volume-heat", run_volume_heat},
	{"volume-explain", run_volume_explain},
	{"bin-describe", run_bin_describe},
	{"bin-restore", run_bin_restore},
	{"schedule-create", run_schedule_create},
	{"schedule-describe", run_schedule_describe},
	{"schedule-modify", run_schedule_modify},
	{"schedule-delete", run_schedule_delete},
	{"schedule-run", run_schedule_run},
	{"host-add", run_host_add},
	{"host-remove", run_host_remove},
	{"host-describe", run_host_describe},
	{"vm-describe", run_vm_describe},
	{"volume-export", run_volume_export},
	{"volume-unexport", run_volume_unexport},
	{"volume-login", run_volume_login},
	{"tag-set", run_tag_set},
	{"tag-remove", run_tag_remove},
	{"tag-describe", run_tag_describe},
	{"task-describe", run_task_describe},
	{"task-wait", run_task_wait},
	{"quota-set", run_quota_set},
	{"quota-describe", run_quota_describe},
	{"audit-describe", run_audit_describe},
	{"key-create", run_key_create},
	{"key-revoke", run_key_revoke},
	{"key-describe", run_key_describe},
	{"doctor", run_doctor},
};

void run_verb(struct ebs_call *c)
{
	for (size_t i = 0; i < sizeof(runs) / sizeof(*runs); i++) {
		if (strcmp(runs[i].verb, c->verb->name))
			continue;
		runs[i].run(c);
		return;
	}
	ebs_fail(c, EBS_INVALID_ACTION, -ENOSYS, "%s cannot be done yet", c->verb->name);
}

const struct saga_kind ebs_saga_kinds[] = {
	{"volume-create", volume_create_steps, 2, 1, 60000},
	{"volume-import", volume_import_steps, 3, 2, 120000},
	{"volume-delete", volume_delete_steps, 2, 0, 60000},
	{"volume-modify", volume_modify_steps, 3, 0, 60000},
	{"volume-attach", volume_attach_steps, 3, 2, 120000},
	{"volume-detach", volume_detach_steps, 3, 0, 120000},
	{"snapshot-create", snapshot_create_steps, 1, 0, 60000},
	{"snapshot-delete", snapshot_delete_steps, 2, 0, 60000},
	{"volume-clone", volume_create_steps, 2, 1, 60000},
	{"snapshot-copy", snapshot_create_steps, 1, 0, 60000},
	{"snapshot-start", snapshot_start_steps, 1, 0, 60000},
	{"snapshot-complete", snapshot_complete_steps, 3, 1, 120000},
	{"snapshot-cancel", snapshot_cancel_steps, 2, 0, 60000},
	{"volume-revert", volume_revert_steps, 2, 1, 60000},
	{"volume-export", volume_export_steps, 1, 0, 60000},
	{"volume-unexport", volume_unexport_steps, 2, 0, 60000},
	{NULL, NULL, 0, 0, 0},
};

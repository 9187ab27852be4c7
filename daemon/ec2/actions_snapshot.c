/* SPDX-License-Identifier: GPL-2.0-only */
/* actions_snapshot.c - EC2's actions on snapshots. */
#include <string.h>

#include "ec2/priv.h"

const struct ec2_field ec2_snapshot_shape[] = {
	{"snapshotId", F_SAME, "id", NULL, NULL},
	{"volumeId", F_TEXT, "volume_id", NULL, NULL},
	{"status", F_SAME, "state", NULL, NULL},
	{"startTime", F_SAME, "created", NULL, NULL},
	{"progress", F_MADE, NULL, NULL, ec2_make_progress},
	{"ownerId", F_OWNER, NULL, NULL, NULL},
	{"volumeSize", F_GIB, "size_bytes", NULL, NULL},
	{"description", F_TEXT, "description", NULL, NULL},
	{"encrypted", F_FALSE, NULL, NULL, NULL},
	{"storageTier", F_CONST, "standard", NULL, NULL},
	{"tagSet", F_TAGS, "tags", NULL, NULL},
	FIELDS_END,
};

/* CreateSnapshots calls one of them differently. */
static const struct ec2_field group_member[] = {
	{"snapshotId", F_SAME, "id", NULL, NULL},
	{"volumeId", F_TEXT, "volume_id", NULL, NULL},
	{"state", F_SAME, "state", NULL, NULL},
	{"startTime", F_SAME, "created", NULL, NULL},
	{"progress", F_MADE, NULL, NULL, ec2_make_progress},
	{"ownerId", F_OWNER, NULL, NULL, NULL},
	{"volumeSize", F_GIB, "size_bytes", NULL, NULL},
	{"description", F_TEXT, "description", NULL, NULL},
	{"encrypted", F_FALSE, NULL, NULL, NULL},
	{"tagSet", F_TAGS, "tags", NULL, NULL},
	FIELDS_END,
};

static const struct ec2_field group_shape[] = {{"snapshotSet", F_SET, "snapshots", group_member, NULL}, FIELDS_END};

#define PARAM_SNAPSHOT {"SnapshotId", P_SNAPSHOT, "snapshot", true, 0, 0, NULL}
#define PARAM_SNAPSHOTS {"SnapshotId", P_SNAPSHOT | P_LIST, "snapshots", false, 0, 0, NULL}
#define PARAM_DESCRIPTION {"Description", P_TEXT, "description", false, 0, 0, NULL}
#define PARAM_TAGS {"TagSpecification", P_TAG_SPECS, "tags", false, 0, 0, "snapshot"}
#define PARAM_OUTPOST {"OutpostArn", P_NOT_HERE, NULL, false, 0, 0, "there are no Outposts here"}
#define PARAM_LOCATION {"Location", P_ANYTHING, NULL, false, 0, 0, NULL}

/* ---------------------------------------------------------------- describe */

static const struct ec2_filter snapshot_filters[] = {
	{"description", "description", NULL},
	{"encrypted", "encrypted", NULL},
	{"owner-alias", NULL, NULL},
	{"owner-id", "ownerId", NULL},
	{"progress", "progress", NULL},
	{"snapshot-id", "snapshotId", "id"},
	{"start-time", "startTime", NULL},
	{"status", "status", "state"},
	{"storage-tier", "storageTier", NULL},
	{"transfer-type", NULL, NULL},
	{"volume-id", "volumeId", NULL},
	{"volume-size", "volumeSize", NULL},
	FILTERS_END,
};

static const struct ec2_param describe_params[] = {
	PARAM_SNAPSHOTS,
	PARAM_FILTERS,
	PARAM_PAGES,
	{"Owner", P_TEXT | P_LIST, "owners", false, 0, 0, NULL},
	{"RestorableBy", P_TEXT | P_LIST, "restorable", false, 0, 0, NULL},
	PARAMS_END,
};

static const struct ec2_list snapshots = {
	.verb = "snapshot-describe",
	.rows = "snapshots",
	.ids = "snapshots",
	.element = "snapshotSet",
	.shape = ec2_snapshot_shape,
	.filters = snapshot_filters,
	.tags = "tagSet",
	.keep = ec2_keep_living,
	.missing = EBS_NO_SNAPSHOT,
};

/* All there is is ours: "self", that is. */
static bool means_us(const json_t *owners, const char *also)
{
	const json_t *v;
	size_t i;

	json_array_foreach(owners, i, v)
	{
		const char *who = json_string_value(v);

		if (!strcmp(who, "self") || !strcmp(who, EC2_OWNER) || !strcmp(who, also))
			return true;
	}
	return !json_array_size(owners);
}

static void describe(struct ec2_call *x)
{
	if (means_us(ec2_given(x, "owners"), "self") && means_us(ec2_given(x, "restorable"), "all"))
		ec2_list(x);
	else
		ec2_list_rows(x, json_array());
}

/* ---------------------------------------------------------------- create, copy */

static const struct ec2_param create_params[] = {
	{"VolumeId", P_VOLUME, "volume", true, 0, 0, NULL},
	PARAM_DESCRIPTION,
	PARAM_TAGS,
	PARAM_OUTPOST,
	PARAM_LOCATION,
	PARAMS_END,
};

static const struct ec2_param group_params[] = {
	{"InstanceSpecification.InstanceId", P_INSTANCE, "vm", true, 0, 0, NULL},
	{"InstanceSpecification.ExcludeBootVolume", P_BOOL, "not_boot", false, 0, 0, NULL},
	{"InstanceSpecification.ExcludeDataVolumeId", P_VOLUME | P_LIST, "not_these", false, 0, 0, NULL},
	PARAM_DESCRIPTION,
	PARAM_TAGS,
	PARAM_OUTPOST,
	PARAM_LOCATION,
	{"CopyTagsFromSource", P_WORD, "copy", false, 0, 0, "volume"},
	PARAMS_END,
};

static bool has(const json_t *texts, const char *text)
{
	const json_t *v;
	size_t i;

	json_array_foreach(texts, i, v)
	{
		if (!strcmp(json_string_value(v), text))
			return true;
	}
	return false;
}

/* What a guest boots from, by what it calls it. */
static bool is_boot(const char *device)
{
	static const char *const names[] = {"xvda", "sda", "sda1", "vda", "hda"};

	for (size_t i = 0; device && i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(device, names[i]))
			return true;
	return false;
}

/* The volumes of the instance that are wanted; new reference. */
static json_t *wanted_volumes(const struct ec2_call *x, const json_t *vm)
{
	bool not_boot = json_is_true(ec2_given(x, "not_boot"));
	json_t *ids = json_array(), *a;
	size_t i;

	json_array_foreach(json_object_get(vm, "attachments"), i, a)
	{
		if (!has(ec2_given(x, "not_these"), ec2_text(a, "volume_id")) &&
		    !(not_boot && is_boot(ec2_text(a, "device"))))
			json_array_append(ids, json_object_get(a, "volume_id"));
	}
	return ids;
}

static void create_group(struct ec2_call *x)
{
	json_t *vm = ec2_row(x, "vm", ec2_arg(x, "vm")), *volumes = vm ? wanted_volumes(x, vm) : NULL, *made = NULL;

	if (vm && !json_array_size(volumes))
		ec2_fail(x, ebs_code_text(EBS_INVALID_PARAMETER), "Instance %s has no volumes to be snapshotted",
			 ec2_arg(x, "vm"));
	if (!x->code)
		made = ec2_verb(x, "snapshot-group",
				json_pack("{s:O, s:O*, s:O*, s:b, s:O*}", "volumes", volumes, "description",
					  ec2_given(x, "description"), "tags", ec2_given(x, "tags"), "copy_tags",
					  ec2_given(x, "copy") != NULL, "dry_run", ec2_given(x, "dry_run")));
	ec2_answer_row(x, group_shape, made);
	json_decref(made);
	json_decref(volumes);
	json_decref(vm);
}

/* All of it is this box: regions and presigned URLs say nothing. */
static const struct ec2_param copy_params[] = {
	{"SourceSnapshotId", P_SNAPSHOT, "snapshot", true, 0, 0, NULL},
	{"SourceRegion", P_ANYTHING, NULL, true, 0, 0, NULL},
	{"DestinationRegion", P_ANYTHING, NULL, false, 0, 0, NULL},
	{"PresignedUrl", P_ANYTHING, NULL, false, 0, 0, NULL},
	{"CompletionDurationMinutes", P_ANYTHING, NULL, false, 0, 0, NULL},
	{"Encrypted", P_NOT_HERE, NULL, false, 0, 0, "snapshots are not encrypted here"},
	{"KmsKeyId", P_NOT_HERE, NULL, false, 0, 0, "snapshots are not encrypted here"},
	{"DestinationOutpostArn", P_NOT_HERE, NULL, false, 0, 0, "there are no Outposts here"},
	{"DestinationAvailabilityZone", P_NOT_HERE, NULL, false, 0, 0, "there are no local zones here"},
	PARAM_DESCRIPTION,
	PARAM_TAGS,
	PARAMS_END,
};

static const struct ec2_field copy_shape[] = {
	{"snapshotId", F_SAME, "id", NULL, NULL}, {"tagSet", F_TAGS, "tags", NULL, NULL}, FIELDS_END};

static const struct ec2_param snapshot_params[] = {PARAM_SNAPSHOT, PARAMS_END};

static const struct ec2_param attribute_params[] = {
	PARAM_SNAPSHOT,
	{"Attribute", P_WORD, "attribute", true, 0, 0, "createVolumePermission|productCodes"},
	PARAMS_END,
};

/* Nobody else may have it. */
static void describe_attribute(struct ec2_call *x)
{
	json_t *row = ec2_row(x, "snapshot", ec2_arg(x, "snapshot"));

	json_decref(row);
	if (!x->code && ec2_given(x, "dry_run"))
		ec2_fail(x, ebs_code_text(EBS_DRY_RUN), "Request would have succeeded, but DryRun flag is set.");
	if (!x->code)
		x->answer = json_pack("{s:O, s:[]}", "snapshotId", ec2_given(x, "snapshot"), ec2_arg(x, "attribute"));
}

/* ---------------------------------------------------------------- fast restore: always on */

static const struct ec2_field fast_shape[] = {
	{"snapshotId", F_SAME, "id", NULL, NULL},
	{"availabilityZone", F_ZONE, NULL, NULL, NULL},
	{"state", F_CONST, "enabled", NULL, NULL},
	{"stateTransitionReason", F_CONST, "Lifecycle state transition", NULL, NULL},
	{"ownerId", F_OWNER, NULL, NULL, NULL},
	{"enablingTime", F_SAME, "created", NULL, NULL},
	{"optimizingTime", F_SAME, "created", NULL, NULL},
	{"enabledTime", F_SAME, "created", NULL, NULL},
	FIELDS_END,
};

static const struct ec2_filter fast_filters[] = {
	{"availability-zone", "availabilityZone", NULL},
	{"availability-zone-id", NULL, NULL},
	{"owner-id", "ownerId", NULL},
	{"snapshot-id", "snapshotId", "id"},
	{"state", "state", NULL},
	FILTERS_END,
};

static enum ec2_keep keep_completed(const struct ec2_call *x, const json_t *row)
{
	(void)x;
	return ec2_text(row, "state") && !strcmp(ec2_text(row, "state"), "completed") ? KEEP : KEEP_NOT;
}

static const struct ec2_list fast = {
	.verb = "snapshot-describe",
	.rows = "snapshots",
	.element = "fastSnapshotRestoreSet",
	.shape = fast_shape,
	.filters = fast_filters,
	.keep = keep_completed,
	.missing = EBS_NO_SNAPSHOT,
};

static const struct ec2_param fast_describe_params[] = {PARAM_FILTERS, PARAM_PAGES, PARAMS_END};
static const struct ec2_param fast_params[] = {
	{"SourceSnapshotId", P_SNAPSHOT | P_LIST, "snapshots", true, 0, 0, NULL},
	{"AvailabilityZone", P_TEXT | P_LIST, "zones", false, 0, 0, NULL},
	{"AvailabilityZoneId", P_NOT_HERE, NULL, false, 0, 0, "zones have names only"},
	PARAMS_END,
};

/* The rows that are named, all of which must be there; new reference. */
static json_t *fast_rows(struct ec2_call *x)
{
	json_t *rows = json_array(), *v;
	size_t i;

	json_array_foreach(ec2_given(x, "zones"), i, v)
	{
		if (strcmp(json_string_value(v), ebs_zone(x->ebs)))
			ec2_fail(x, ebs_code_text(EBS_NO_ZONE), "The zone '%.80s' does not exist.",
				 json_string_value(v));
	}
	json_array_foreach(ec2_given(x, "snapshots"), i, v)
	{
		json_t *row = x->code ? NULL : ec2_row(x, "snapshot", json_string_value(v));

		if (row)
			json_array_append_new(rows, row);
	}
	if (!x->code && ec2_given(x, "dry_run"))
		ec2_fail(x, ebs_code_text(EBS_DRY_RUN), "Request would have succeeded, but DryRun flag is set.");
	return rows;
}

static void fast_enable(struct ec2_call *x)
{
	json_t *rows = fast_rows(x), *done = json_array(), *row;
	size_t i;

	json_array_foreach(rows, i, row) json_array_append_new(done, ec2_shape(x, fast_shape, row));
	if (!x->code)
		x->answer = json_pack("{s:O, s:[]}", "successful", done, "unsuccessful");
	json_decref(done);
	json_decref(rows);
}

static void fast_disable(struct ec2_call *x)
{
	json_t *rows = fast_rows(x), *failed = json_array(), *row;
	size_t i;

	json_array_foreach(rows, i, row) json_array_append_new(
		failed, json_pack("{s:O, s:[{s:s, s:{s:s, s:s}}]}", "snapshotId", json_object_get(row, "id"),
				  "fastSnapshotRestoreStateErrorSet", "availabilityZone", ebs_zone(x->ebs), "error",
				  "code", EC2_UNSUPPORTED, "message",
				  "Every snapshot is restored fast here; that cannot be turned off."));
	if (!x->code)
		x->answer = json_pack("{s:[], s:O}", "successful", "unsuccessful", failed);
	json_decref(failed);
	json_decref(rows);
}

/* ---------------------------------------------------------------- the table */

const struct ec2_action ec2_snapshot_actions[] = {
	{"CreateSnapshot", create_params, NULL, "snapshot-create", NULL, ec2_snapshot_shape, NULL},
	{"CreateSnapshots", group_params, NULL, NULL, create_group, NULL, NULL},
	{"CopySnapshot", copy_params, NULL, "snapshot-copy", NULL, copy_shape, NULL},
	{"DeleteSnapshot", snapshot_params, NULL, "snapshot-delete", NULL, NULL, NULL},
	{"DescribeSnapshots", describe_params, &snapshots, NULL, describe, NULL, NULL},
	{"DescribeSnapshotAttribute", attribute_params, NULL, NULL, describe_attribute, NULL, NULL},
	{"DescribeFastSnapshotRestores", fast_describe_params, &fast, NULL, NULL, NULL, NULL},
	{"EnableFastSnapshotRestores", fast_params, NULL, NULL, fast_enable, NULL, NULL},
	{"DisableFastSnapshotRestores", fast_params, NULL, NULL, fast_disable, NULL, NULL},
	{NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

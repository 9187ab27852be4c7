/* SPDX-License-Identifier: GPL-2.0-only */
/* actions_kept.c - EC2's actions on what is kept: the recycle bin, and locks of snapshots. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ec2/priv.h"

/* ---------------------------------------------------------------- the recycle bin */

/* What is not in the bin is not there, for this. */
static enum ec2_keep keep_binned(const struct ec2_call *x, const json_t *row)
{
	(void)x;
	return ec2_in_bin(row) ? KEEP : KEEP_MISSING;
}

/* EC2 has no state of its own for it; it was available, else it would not be here. */
static const struct ec2_field bin_volume_shape[] = {
	{"volumeId", F_SAME, "id", NULL, NULL},
	{"volumeType", F_SAME, "type", NULL, NULL},
	{"state", F_CONST, "available", NULL, NULL},
	{"size", F_GIB, "size_bytes", NULL, NULL},
	{"availabilityZone", F_ZONE, NULL, NULL, NULL},
	{"snapshotId", F_TEXT, "snapshot_id", NULL, NULL},
	{"createTime", F_SAME, "created", NULL, NULL},
	{"recycleBinEnterTime", F_SAME, "deleted", NULL, NULL},
	{"recycleBinExitTime", F_SAME, "kept_until", NULL, NULL},
	FIELDS_END,
};

static const struct ec2_field bin_snapshot_shape[] = {
	{"snapshotId", F_SAME, "id", NULL, NULL},
	{"recycleBinEnterTime", F_SAME, "deleted", NULL, NULL},
	{"recycleBinExitTime", F_SAME, "kept_until", NULL, NULL},
	{"description", F_TEXT, "description", NULL, NULL},
	{"volumeId", F_TEXT, "volume_id", NULL, NULL},
	FIELDS_END,
};

static const struct ec2_filter no_filters[] = {FILTERS_END};

static const struct ec2_list bin_volumes = {
	.verb = "volume-describe",
	.rows = "volumes",
	.ids = "volumes",
	.element = "volumeSet",
	.shape = bin_volume_shape,
	.filters = no_filters,
	.only = {"state", "recoverable"},
	.keep = keep_binned,
	.missing = EBS_NO_VOLUME,
};

static const struct ec2_list bin_snapshots = {
	.verb = "snapshot-describe",
	.rows = "snapshots",
	.ids = "snapshots",
	.element = "snapshotSet",
	.shape = bin_snapshot_shape,
	.filters = no_filters,
	.only = {"state", "recoverable"},
	.keep = keep_binned,
	.missing = EBS_NO_SNAPSHOT,
};

static const struct ec2_param bin_volumes_params[] = {
	{"VolumeId", P_VOLUME | P_LIST, "volumes", false, 0, 0, NULL}, PARAM_PAGES, PARAMS_END};
static const struct ec2_param bin_snapshots_params[] = {
	{"SnapshotId", P_SNAPSHOT | P_LIST, "snapshots", false, 0, 0, NULL}, PARAM_PAGES, PARAMS_END};
static const struct ec2_param restore_volume_params[] = {
	{"VolumeId", P_VOLUME, "resource", true, 0, 0, NULL}, PARAMS_END};
static const struct ec2_param restore_snapshot_params[] = {
	{"SnapshotId", P_SNAPSHOT, "resource", true, 0, 0, NULL}, PARAMS_END};

static const struct ec2_field restored_shape[] = {
	{"snapshotId", F_SAME, "id", NULL, NULL},
	{"description", F_TEXT, "description", NULL, NULL},
	{"encrypted", F_FALSE, NULL, NULL, NULL},
	{"ownerId", F_OWNER, NULL, NULL, NULL},
	{"progress", F_MADE, NULL, NULL, ec2_make_progress},
	{"startTime", F_SAME, "created", NULL, NULL},
	{"status", F_SAME, "state", NULL, NULL},
	{"volumeId", F_TEXT, "volume_id", NULL, NULL},
	{"volumeSize", F_GIB, "size_bytes", NULL, NULL},
	FIELDS_END,
};

/* ---------------------------------------------------------------- locks */

static bool read_time(const json_t *row, const char *member, time_t *ret)
{
	const char *text = ec2_text(row, member);
	struct tm tm = {0};

	if (!text || !strptime(text, "%Y-%m-%dT%H:%M:%S", &tm))
		return false;
	*ret = timegm(&tm);
	return true;
}

/* From `begin` to `end` in units of so many seconds, rounded. */
static json_t *between(const json_t *row, const char *begin, const char *end, time_t unit)
{
	time_t from, to;

	if (!read_time(row, begin, &from) || !read_time(row, end, &to) || to < from)
		return NULL;
	return json_integer((json_int_t)((to - from + unit / 2) / unit));
}

static json_t *make_days(const struct ec2_call *x, const json_t *row)
{
	(void)x;
	return between(row, "locked", "locked_until", 86400);
}

static json_t *make_hours(const struct ec2_call *x, const json_t *row)
{
	(void)x;
	return between(row, "locked", "cool_off_until", 3600);
}

#define LOCK_FIELDS \
	{"lockState", F_SAME, "lock_state", NULL, NULL}, {"lockDuration", F_MADE, NULL, NULL, make_days}, \
	{"coolOffPeriod", F_MADE, NULL, NULL, make_hours}, \
	{"coolOffPeriodExpiresOn", F_SAME, "cool_off_until", NULL, NULL}, \
	{"lockCreatedOn", F_SAME, "locked", NULL, NULL}, {"lockDurationStartTime", F_SAME, "locked", NULL, NULL}, \
	{"lockExpiresOn", F_SAME, "locked_until", NULL, NULL}

static const struct ec2_field locked_shape[] = {
	{"ownerId", F_OWNER, NULL, NULL, NULL}, {"snapshotId", F_SAME, "id", NULL, NULL}, LOCK_FIELDS, FIELDS_END};
static const struct ec2_field lock_shape[] = {{"snapshotId", F_SAME, "id", NULL, NULL}, LOCK_FIELDS, FIELDS_END};
static const struct ec2_field unlock_shape[] = {{"snapshotId", F_SAME, "id", NULL, NULL}, FIELDS_END};

static const struct ec2_filter lock_filters[] = {{"lock-state", "lockState", NULL}, FILTERS_END};

static enum ec2_keep keep_locked(const struct ec2_call *x, const json_t *row)
{
	if (ec2_keep_living(x, row) != KEEP)
		return KEEP_MISSING;
	return ec2_text(row, "lock_state") ? KEEP : KEEP_NOT;
}

static const struct ec2_list locked = {
	.verb = "snapshot-describe",
	.rows = "snapshots",
	.ids = "snapshots",
	.element = "snapshotSet",
	.shape = locked_shape,
	.filters = lock_filters,
	.keep = keep_locked,
	.missing = EBS_NO_SNAPSHOT,
};

static const struct ec2_param locked_params[] = {
	{"SnapshotId", P_SNAPSHOT | P_LIST, "snapshots", false, 0, 0, NULL}, PARAM_FILTERS, PARAM_PAGES, PARAMS_END};
static const struct ec2_param lock_params[] = {
	{"SnapshotId", P_SNAPSHOT, "snapshot", true, 0, 0, NULL},
	{"LockMode", P_WORD, "mode", true, 0, 0, "compliance|governance"},
	{"CoolOffPeriod", P_NUMBER, "cool_off_hours", false, 1, 72, NULL},
	{"LockDuration", P_NUMBER, "duration_days", false, 1, 36500, NULL},
	{"ExpirationDate", P_TEXT, "until", false, 1, 0, NULL},
	PARAMS_END,
};
static const struct ec2_param unlock_params[] = {{"SnapshotId", P_SNAPSHOT, "snapshot", true, 0, 0, NULL}, PARAMS_END};

const struct ec2_action ec2_kept_actions[] = {
	{"ListVolumesInRecycleBin", bin_volumes_params, &bin_volumes, NULL, NULL, NULL, NULL},
	{"ListSnapshotsInRecycleBin", bin_snapshots_params, &bin_snapshots, NULL, NULL, NULL, NULL},
	{"RestoreVolumeFromRecycleBin", restore_volume_params, NULL, "bin-restore", NULL, NULL, NULL},
	{"RestoreSnapshotFromRecycleBin", restore_snapshot_params, NULL, "bin-restore", NULL, restored_shape, NULL},
	{"DescribeLockedSnapshots", locked_params, &locked, NULL, NULL, NULL, NULL},
	{"LockSnapshot", lock_params, NULL, "snapshot-lock", NULL, lock_shape, NULL},
	{"UnlockSnapshot", unlock_params, NULL, "snapshot-unlock", NULL, unlock_shape, NULL},
	{NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* SPDX-License-Identifier: GPL-2.0-only */
/* actions_volume.c - EC2's actions on volumes. */
#include <stdio.h>
#include <string.h>

#include "ec2/priv.h"
#include "ec2/types.h"

/* ---------------------------------------------------------------- shapes */

static json_t *make_iops(const struct ec2_call *x, const json_t *v)
{
	const char *type = ec2_text(v, "type");

	(void)x;
	return type && ec2_type_shows_iops(type) && ec2_number(v, "iops")
		       ? json_incref(json_object_get(v, "iops"))
		       : NULL;
}

static json_t *make_throughput(const struct ec2_call *x, const json_t *v)
{
	const char *type = ec2_text(v, "type");
	uint64_t mib = ec2_number(v, "bandwidth_bytes_s") / MIB;

	(void)x;
	return type && ec2_type_shows_throughput(type) && mib ? json_integer((json_int_t)mib) : NULL;
}

/* What a host has itself is in no VM: its id stands for one. */
static json_t *make_instance(const struct ec2_call *x, const json_t *a)
{
	json_t *vm = json_object_get(a, "vm_id");

	(void)x;
	return json_incref(json_is_string(vm) ? vm : json_object_get(a, "host_id"));
}

static json_t *make_volume_type(const struct ec2_call *x, const json_t *v)
{
	(void)x;
	return json_string(ec2_text(v, "type") ? ec2_text(v, "type") : "gp3");
}

static const struct ec2_field attachment[] = {
	{"volumeId", F_SAME, "volume_id", NULL, NULL},
	{"instanceId", F_MADE, NULL, NULL, make_instance},
	{"device", F_MADE, NULL, NULL, ec2_make_device},
	{"status", F_SAME, "state", NULL, NULL},
	{"attachTime", F_SAME, "attached", NULL, NULL},
	{"deleteOnTermination", F_FALSE, NULL, NULL, NULL},
	FIELDS_END,
};

/* They are shown without the volume that they are of. */
static json_t *make_attachments(const struct ec2_call *x, const json_t *v)
{
	json_t *set = json_array(), *a;
	size_t i;

	json_array_foreach(json_object_get(v, "attachments"), i, a)
	{
		json_t *whole = json_copy(a);

		json_object_set(whole, "volume_id", json_object_get(v, "id"));
		json_array_append_new(set, ec2_shape(x, attachment, whole));
		json_decref(whole);
	}
	return set;
}

const struct ec2_field ec2_volume_shape[] = {
	{"volumeId", F_SAME, "id", NULL, NULL},
	{"size", F_GIB, "size_bytes", NULL, NULL},
	{"snapshotId", F_TEXT, "snapshot_id", NULL, NULL},
	{"availabilityZone", F_ZONE, NULL, NULL, NULL},
	{"status", F_SAME, "state", NULL, NULL},
	{"createTime", F_SAME, "created", NULL, NULL},
	{"attachmentSet", F_MADE, NULL, NULL, make_attachments},
	{"tagSet", F_TAGS, "tags", NULL, NULL},
	{"volumeType", F_MADE, NULL, NULL, make_volume_type},
	{"iops", F_MADE, NULL, NULL, make_iops},
	{"throughput", F_MADE, NULL, NULL, make_throughput},
	{"encrypted", F_FALSE, NULL, NULL, NULL},
	{"multiAttachEnabled", F_BOOL, "multi_attach", NULL, NULL},
	FIELDS_END,
};

static const struct ec2_filter volume_filters[] = {
	{"attachment.attach-time", "attachmentSet.attachTime", NULL},
	{"attachment.delete-on-termination", "attachmentSet.deleteOnTermination", NULL},
	{"attachment.device", "attachmentSet.device", NULL},
	{"attachment.instance-id", "attachmentSet.instanceId", NULL},
	{"attachment.status", "attachmentSet.status", "attachment.state"},
	{"availability-zone", "availabilityZone", NULL},
	{"availability-zone-id", NULL, NULL},
	{"create-time", "createTime", NULL},
	{"encrypted", "encrypted", NULL},
	{"fast-restored", NULL, NULL},
	{"multi-attach-enabled", "multiAttachEnabled", NULL},
	{"operator.managed", NULL, NULL},
	{"operator.principal", NULL, NULL},
	{"size", "size", NULL},
	{"snapshot-id", "snapshotId", NULL},
	{"status", "status", "state"},
	{"volume-id", "volumeId", "id"},
	{"volume-type", "volumeType", NULL},
	FILTERS_END,
};

#define PARAM_VOLUME {"VolumeId", P_VOLUME, "volume", true, 0, 0, NULL}
#define PARAM_VOLUMES {"VolumeId", P_VOLUME | P_LIST, "volumes", false, 0, 0, NULL}
#define PARAM_MANAGED {"IncludeManagedResources", P_ANYTHING, NULL, false, 0, 0, NULL}
#define OUTPOST "there are no Outposts here"
#define ENCRYPTION "volumes are not encrypted here"

static const struct ec2_param describe_params[] = {
	PARAM_VOLUMES, PARAM_FILTERS, PARAM_PAGES, PARAM_MANAGED, PARAMS_END};

static const struct ec2_list volumes = {
	.verb = "volume-describe",
	.rows = "volumes",
	.ids = "volumes",
	.element = "volumeSet",
	.shape = ec2_volume_shape,
	.filters = volume_filters,
	.tags = "tagSet",
	.keep = ec2_keep_living,
	.missing = EBS_NO_VOLUME,
};

/* ---------------------------------------------------------------- create */

static const struct ec2_param create_params[] = {
	{"AvailabilityZone", P_TEXT, "zone", true, 1, 0, "zone"},
	{"AvailabilityZoneId", P_NOT_HERE, NULL, false, 0, 0, "zones have names only"},
	{"Size", P_GIB, "size_bytes", false, 1, 0, NULL},
	{"SnapshotId", P_SNAPSHOT, "snapshot", false, 0, 0, NULL},
	{"VolumeType", P_TEXT, "type", false, 1, 0, NULL},
	{"Iops", P_NUMBER, "iops", false, 1, 0, NULL},
	{"Throughput", P_MIB, "bandwidth_bytes_s", false, 1, 0, NULL},
	{"MultiAttachEnabled", P_BOOL, "multi_attach", false, 0, 0, NULL},
	{"TagSpecification", P_TAG_SPECS, "tags", false, 0, 0, "volume"},
	{"ClientToken", P_TEXT, "token", false, 1, 0, NULL},
	{"Encrypted", P_BOOL, "encrypted", false, 0, 0, NULL},
	{"KmsKeyId", P_TEXT, "kms", false, 0, 0, NULL},
	{"OutpostArn", P_NOT_HERE, NULL, false, 0, 0, OUTPOST},
	{"VolumeInitializationRate", P_ANYTHING, NULL, false, 0, 0, NULL}, /* all of it is there at once */
	{"Operator", P_NOT_HERE, NULL, false, 0, 0, "volumes are nobody's but yours here"},
	PARAMS_END,
};

static bool encryption_ok(struct ec2_call *x)
{
	bool encrypted = json_is_true(ec2_given(x, "encrypted"));

	if (ec2_given(x, "kms") && !encrypted)
		return ec2_fail(x, EC2_DEPENDENCY,
				"The parameter KmsKeyId requires the parameter Encrypted to be set.");
	if (encrypted)
		return ec2_fail(x, EC2_UNSUPPORTED, "The parameter Encrypted is not supported: " ENCRYPTION ".");
	json_object_del(x->args, "encrypted");
	json_object_del(x->args, "kms");
	return true;
}

/* What a volume from a snapshot is as large as, unless said. */
static uint64_t size_of_snapshot(struct ec2_call *x)
{
	json_t *row = ec2_row(x, "snapshot", ec2_arg(x, "snapshot"));
	uint64_t size = ec2_number(row, "size_bytes");

	json_decref(row);
	return size;
}

/* The same token again, and the volume that it made is no more: EC2 takes that for another request. */
static bool was_deleted(const json_t *made)
{
	return !ec2_text(made, "state") || ec2_in_bin(made);
}

static void create(struct ec2_call *x)
{
	struct type_wish w = {.iops = ec2_number(x->args, "iops"),
			      .bandwidth_bytes_s = ec2_number(x->args, "bandwidth_bytes_s"),
			      .multi_attach = json_is_true(ec2_given(x, "multi_attach"))};
	json_t *made;

	if (!ec2_given(x, "type"))
		json_object_set_new(x->args, "type", json_string("gp2"));
	if (!ec2_given(x, "size_bytes") && !ec2_given(x, "snapshot"))
		ec2_fail(x, ebs_code_text(EBS_MISSING_PARAMETER),
			 "The request must contain the parameter size/snapshot");
	w.type = ec2_arg(x, "type");
	w.size_bytes = ec2_number(x->args, "size_bytes");
	if (!x->code && !w.size_bytes)
		w.size_bytes = size_of_snapshot(x);
	if (x->code || !encryption_ok(x) || !ec2_type_limits(x, &w, x->args))
		return;
	made = ec2_verb(x, "volume-create", json_incref(x->args));
	if (made && was_deleted(made))
		ec2_fail(x, ebs_code_text(EBS_TOKEN_MISMATCH),
			 "The volume that an earlier request with this token has made is deleted.");
	ec2_answer_row(x, ec2_volume_shape, made);
	json_decref(made);
}

/* ---------------------------------------------------------------- modify */

static json_t *made_number(const json_t *side, const char *member, uint64_t unit)
{
	uint64_t n = ec2_number(side, member);

	return n ? json_integer((json_int_t)((n + unit - 1) / unit)) : NULL;
}

/* A side of a modification: "from" or "to". */
static void put_side(json_t *to, const char *prefix, const json_t *side, const json_t *v)
{
	static const struct {
		const char *name, *from;
		uint64_t unit;
	} numbers[] = {{"Size", "size_bytes", GIB}, {"Iops", "iops", 1}, {"Throughput", "bandwidth_bytes_s", MIB}};
	const char *type = ec2_text(side, "type");
	char name[64];

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		json_t *n = made_number(side, numbers[i].from, numbers[i].unit);
		bool shown = !i || (type && (i == 1 ? ec2_type_shows_iops : ec2_type_shows_throughput)(type));

		snprintf(name, sizeof(name), "%s%s", prefix, numbers[i].name);
		if (n && shown)
			json_object_set(to, name, n);
		json_decref(n);
	}
	snprintf(name, sizeof(name), "%sVolumeType", prefix);
	if (type)
		json_object_set(to, name, json_object_get(side, "type"));
	snprintf(name, sizeof(name), "%sMultiAttachEnabled", prefix);
	json_object_set_new(to, name, json_boolean(json_is_true(json_object_get(v, "multi_attach"))));
}

/* Over a volume's row. Of one that has just begun `wanted` says what it is to be. */
static json_t *make_modification(const struct ec2_call *x, const json_t *v)
{
	const json_t *m = json_object_get(v, "modification");
	bool begun = json_object_get(v, "wanted") != NULL;
	bool running = begun || (ec2_text(m, "state") && !strcmp(ec2_text(m, "state"), "modifying"));
	json_t *made = json_pack("{s:O, s:s, s:I}", "volumeId", json_object_get(v, "id"), "modificationState",
				 running ? "modifying" : "completed", "progress", (json_int_t)(running ? 0 : 100));

	(void)x;
	put_side(made, "target", begun ? json_object_get(v, "wanted") : json_object_get(m, "to"), v);
	put_side(made, "original", begun ? v : json_object_get(m, "from"), v);
	if (json_object_get(m, "began"))
		json_object_set(made, "startTime", json_object_get(m, "began"));
	if (json_object_get(m, "ended"))
		json_object_set(made, "endTime", json_object_get(m, "ended"));
	return made;
}

static const struct ec2_field modify_shape[] = {
	{"volumeModification", F_MADE, NULL, NULL, make_modification}, FIELDS_END};

static const struct ec2_param modify_params[] = {
	PARAM_VOLUME,
	{"Size", P_GIB, "size_bytes", false, 1, 0, NULL},
	{"VolumeType", P_TEXT, "type", false, 1, 0, NULL},
	{"Iops", P_NUMBER, "iops", false, 1, 0, NULL},
	{"Throughput", P_MIB, "bandwidth_bytes_s", false, 1, 0, NULL},
	{"MultiAttachEnabled", P_BOOL, "multi_attach", false, 0, 0, NULL},
	PARAMS_END,
};

static bool modify_limits(struct ec2_call *x, const json_t *v)
{
	struct type_wish w = {.type = ec2_arg(x, "type"),
			      .size_bytes = ec2_number(x->args, "size_bytes"),
			      .iops = ec2_number(x->args, "iops"),
			      .bandwidth_bytes_s = ec2_number(x->args, "bandwidth_bytes_s"),
			      .before = v};
	bool multi = json_is_true(json_object_get(v, "multi_attach"));

	w.multi_attach = multi;
	w.type = w.type ? w.type : ec2_text(v, "type");
	w.size_bytes = w.size_bytes ? w.size_bytes : ec2_number(v, "size_bytes");
	if (ec2_given(x, "multi_attach") && json_is_true(ec2_given(x, "multi_attach")) != multi)
		return ec2_fail(x, EC2_UNSUPPORTED,
				"Whether a volume may be attached several times is decided when it is made.");
	json_object_del(x->args, "multi_attach");
	if (w.size_bytes < ec2_number(v, "size_bytes"))
		return ec2_fail(x, ebs_code_text(EBS_INVALID_PARAMETER),
				"New size cannot be smaller than existing size");
	return w.type && ec2_type_limits(x, &w, x->args);
}

/* It did not end while we waited. */
static void still_modifying(json_t *result, const json_t *before, const json_t *args)
{
	json_t *wanted = json_copy((json_t *)(uintptr_t)before);

	json_object_update(wanted, (json_t *)(uintptr_t)args);
	json_object_update(result, (json_t *)(uintptr_t)before);
	json_object_set_new(result, "wanted", wanted);
	json_object_del(result, "modification");
}

static void modify(struct ec2_call *x)
{
	json_t *before = ec2_row(x, "volume", ec2_arg(x, "volume")), *result = NULL;

	if (before && modify_limits(x, before))
		result = ec2_verb(x, "volume-modify", json_incref(x->args));
	if (result && json_object_get(result, "task"))
		still_modifying(result, before, x->args);
	ec2_answer_row(x, modify_shape, result);
	json_decref(result);
	json_decref(before);
}

static enum ec2_keep keep_modified(const struct ec2_call *x, const json_t *v)
{
	if (ec2_keep_living(x, v) != KEEP)
		return KEEP_MISSING;
	return json_is_object(json_object_get(json_object_get(v, "modification"), "to")) ? KEEP : KEEP_NOT;
}

static const struct ec2_filter modification_filters[] = {
	{"modification-state", "modificationState", NULL},
	{"original-iops", "originalIops", NULL},
	{"original-size", "originalSize", NULL},
	{"original-volume-type", "originalVolumeType", NULL},
	{"originalMultiAttachEnabled", "originalMultiAttachEnabled", NULL},
	{"start-time", "startTime", NULL},
	{"target-iops", "targetIops", NULL},
	{"target-size", "targetSize", NULL},
	{"target-volume-type", "targetVolumeType", NULL},
	{"targetMultiAttachEnabled", "targetMultiAttachEnabled", NULL},
	{"volume-id", "volumeId", "id"},
	FILTERS_END,
};

static const struct ec2_list modifications = {
	.verb = "volume-describe",
	.rows = "volumes",
	.ids = "volumes",
	.element = "volumeModificationSet",
	.item = make_modification,
	.filters = modification_filters,
	.keep = keep_modified,
	.missing = EBS_NO_VOLUME,
};

/* A volume that never was modified, named alone, is an error. */
static void describe_modifications(struct ec2_call *x)
{
	const json_t *ids = ec2_given(x, "volumes");

	ec2_list(x);
	if (!x->code && json_array_size(ids) == 1 && !x->filters &&
	    !json_array_size(json_object_get(x->answer, modifications.element)))
		ec2_fail(x, EC2_NO_MODIFICATION, "Modification for volume '%s' does not exist.",
			 json_string_value(json_array_get(ids, 0)));
}

/* ---------------------------------------------------------------- attach, detach */

static bool device_ok(const char *s)
{
	static const char *const prefixes[] = {"xvd", "sd", "vd", "hd"};

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++) {
		const char *rest = s + strlen(prefixes[i]);
		size_t letters;

		if (strncmp(s, prefixes[i], strlen(prefixes[i])))
			continue;
		letters = strspn(rest, "abcdefghijklmnopqrstuvwxyz");
		return letters >= 1 && letters <= 3 && strspn(rest + letters, "0123456789") <= 2 &&
		       !rest[letters + strspn(rest + letters, "0123456789")];
	}
	return false;
}

/* "/dev/sdf" is what agents call "sdf". */
static bool read_device(struct ec2_call *x)
{
	const char *said = ec2_arg(x, "device");
	bool path = said && !strncmp(said, "/dev/", 5);

	if (said && !device_ok(path ? said + 5 : said))
		return ec2_fail(x, ebs_code_text(EBS_INVALID_PARAMETER),
				"Value (%.60s) for parameter device is invalid. It is not a valid EBS device name.",
				said);
	if (path)
		json_object_set_new(x->args, "device", json_string(said + 5));
	return true;
}

static const struct ec2_param attach_params[] = {
	PARAM_VOLUME,
	{"InstanceId", P_INSTANCE, "vm", true, 0, 0, NULL},
	{"Device", P_TEXT, "device", true, 1, 0, NULL},
	{"EbsCardIndex", P_ANYTHING, NULL, false, 0, 0, NULL},
	PARAMS_END,
};

static const struct ec2_param detach_params[] = {
	PARAM_VOLUME,
	{"InstanceId", P_INSTANCE, "vm", false, 0, 0, NULL},
	{"Device", P_TEXT, "device", false, 1, 0, NULL},
	{"Force", P_BOOL, "force", false, 0, 0, NULL},
	PARAMS_END,
};

/* The attachment that the arguments mean, with its volume's id; new reference. NULL: the volume has none like it. */
static json_t *attachment_of(const struct ec2_call *x, const json_t *volume)
{
	const char *vm = ec2_arg(x, "vm"), *device = ec2_arg(x, "device");
	json_t *a, *found = NULL;
	size_t i;

	json_array_foreach(json_object_get(volume, "attachments"), i, a)
	{
		const char *its_vm = ec2_text(a, "vm_id"), *its_device = ec2_text(a, "device");

		if ((vm && (!its_vm || strcmp(vm, its_vm))) ||
		    (device && (!its_device || strcmp(device, its_device))))
			continue;
		found = json_copy(a);
		json_object_set(found, "volume_id", json_object_get(volume, "id"));
		break;
	}
	return found;
}

static void attach(struct ec2_call *x)
{
	json_t *v = read_device(x) ? ec2_verb(x, "volume-attach", json_incref(x->args)) : NULL;
	json_t *a = v ? attachment_of(x, v) : NULL;

	if (v && !a)
		ec2_fail(x, ebs_code_text(EBS_UNAVAILABLE), "The attachment is being undone");
	ec2_answer_row(x, attachment, a);
	json_decref(a);
	json_decref(v);
}

/* It is told of as it was, for afterwards it is no more. */
static void detach(struct ec2_call *x)
{
	json_t *before = read_device(x) ? ec2_row(x, "volume", ec2_arg(x, "volume")) : NULL;
	json_t *a = before ? attachment_of(x, before) : NULL;
	json_t *v = before ? ec2_verb(x, "volume-detach", json_incref(x->args)) : NULL;

	if (v && a)
		json_object_set_new(a, "state", json_string(json_object_get(v, "task") ? "detaching" : "detached"));
	ec2_answer_row(x, attachment, a);
	json_decref(v);
	json_decref(a);
	json_decref(before);
}

/* ---------------------------------------------------------------- attributes, I/O */

static const struct ec2_param attribute_params[] = {
	PARAM_VOLUME, {"Attribute", P_WORD, "attribute", true, 0, 0, "autoEnableIO|productCodes"}, PARAMS_END};

/* Nothing disables a volume's I/O here, so all of this is true at any time. */
static void look_only(struct ec2_call *x)
{
	json_t *v = ec2_row(x, "volume", ec2_arg(x, "volume"));

	json_decref(v);
	if (!x->code && ec2_given(x, "dry_run"))
		ec2_fail(x, ebs_code_text(EBS_DRY_RUN), "Request would have succeeded, but DryRun flag is set.");
}

static void describe_attribute(struct ec2_call *x)
{
	look_only(x);
	if (x->code)
		return;
	if (!strcmp(ec2_arg(x, "attribute"), "productCodes"))
		x->answer = json_pack("{s:O, s:[]}", "volumeId", ec2_given(x, "volume"), "productCodes");
	else
		x->answer = json_pack("{s:O, s:{s:b}}", "volumeId", ec2_given(x, "volume"), "autoEnableIO", "value", 1);
}

static void accept(struct ec2_call *x)
{
	look_only(x);
	ec2_answer_true(x);
}

static const struct ec2_param modify_attribute_params[] = {
	PARAM_VOLUME, {"AutoEnableIO.Value", P_BOOL, "auto_enable", true, 0, 0, NULL}, PARAMS_END};
static const struct ec2_param volume_params[] = {PARAM_VOLUME, PARAMS_END};

/* ---------------------------------------------------------------- status */

static json_t *make_status(const struct ec2_call *x, const json_t *v)
{
	(void)x;
	return json_pack("{s:O*, s:[{s:s, s:O*}, {s:s, s:O*}]}", "status", json_object_get(v, "status"), "details",
			 "name", "io-enabled", "status", json_object_get(v, "io_enabled"), "name", "io-performance",
			 "status", json_object_get(v, "io_performance"));
}

static const struct ec2_field status_shape[] = {
	{"volumeId", F_SAME, "id", NULL, NULL},
	{"availabilityZone", F_ZONE, NULL, NULL, NULL},
	{"volumeStatus", F_MADE, NULL, NULL, make_status},
	{"eventsSet", F_EMPTY, NULL, NULL, NULL},
	{"actionsSet", F_EMPTY, NULL, NULL, NULL},
	FIELDS_END,
};

static const struct ec2_filter status_filters[] = {
	{"action.code", NULL, NULL},
	{"action.description", NULL, NULL},
	{"action.event-id", NULL, NULL},
	{"availability-zone", "availabilityZone", NULL},
	{"event.description", NULL, NULL},
	{"event.event-id", NULL, NULL},
	{"event.event-type", NULL, NULL},
	{"event.not-after", NULL, NULL},
	{"event.not-before", NULL, NULL},
	{"volume-status.details-name", "volumeStatus.details.name", NULL},
	{"volume-status.details-status", "volumeStatus.details.status", NULL},
	{"volume-status.status", "volumeStatus.status", NULL},
	FILTERS_END,
};

static const struct ec2_list statuses = {
	.verb = "volume-status",
	.rows = "statuses",
	.ids = "volumes",
	.element = "volumeStatusSet",
	.shape = status_shape,
	.filters = status_filters,
	.keep = ec2_keep_living,
	.missing = EBS_NO_VOLUME,
};

/* ---------------------------------------------------------------- the table */

static const struct ec2_param modifications_params[] = {PARAM_VOLUMES, PARAM_FILTERS, PARAM_PAGES, PARAMS_END};

const struct ec2_action ec2_volume_actions[] = {
	{"CreateVolume", create_params, NULL, NULL, create, NULL, NULL},
	{"DeleteVolume", volume_params, NULL, "volume-delete", NULL, NULL, "VolumeInUse"},
	{"DescribeVolumes", describe_params, &volumes, NULL, NULL, NULL, NULL},
	{"DescribeVolumeStatus", describe_params, &statuses, NULL, NULL, NULL, NULL},
	{"DescribeVolumeAttribute", attribute_params, NULL, NULL, describe_attribute, NULL, NULL},
	{"ModifyVolumeAttribute", modify_attribute_params, NULL, NULL, accept, NULL, NULL},
	{"EnableVolumeIO", volume_params, NULL, NULL, accept, NULL, NULL},
	{"ModifyVolume", modify_params, NULL, NULL, modify, NULL, "IncorrectModificationState"},
	{"DescribeVolumesModifications", modifications_params, &modifications, NULL, describe_modifications, NULL,
	 NULL},
	{"AttachVolume", attach_params, NULL, NULL, attach, NULL, NULL},
	{"DetachVolume", detach_params, NULL, NULL, detach, NULL, "VolumeInUse"},
	{NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

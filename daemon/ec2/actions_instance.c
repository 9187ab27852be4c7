/* SPDX-License-Identifier: GPL-2.0-only */
/* actions_instance.c - EC2's actions on instances: the VMs of registered hosts. They are looked at only. */
#include <string.h>

#include "ec2/priv.h"

/* Hypervisors' words for EC2's. A guest that is paused still has its memory, and its disks: it runs. */
static const struct state {
	const char *word;
	const char *name;
	int code;
} states[] = {
	{"shut-off", "stopped", 80},      {"crashed", "stopped", 80},       {"stopped", "stopped", 80},
	{"dying", "shutting-down", 32},   {"in-shutdown", "shutting-down", 32}, {NULL, "running", 16},
};

static const struct state *state_of(const json_t *vm)
{
	const struct state *s = states;
	const char *word = ec2_text(vm, "state");

	while (s->word && !(word && !strcmp(word, s->word)))
		s++;
	return s;
}

static json_t *make_state(const struct ec2_call *x, const json_t *vm)
{
	const struct state *s = state_of(vm);

	(void)x;
	return json_pack("{s:i, s:s}", "code", s->code, "name", s->name);
}

/* A name that the hypervisor has given is the tag Name unless there is one. */
static json_t *make_tags(const struct ec2_call *x, const json_t *vm)
{
	static const struct ec2_field only_tags[] = {{"tagSet", F_TAGS, "tags", NULL, NULL}, FIELDS_END};
	json_t *tags = json_copy(json_object_get(vm, "tags")), *row, *made, *set;

	if (!tags)
		tags = json_object();
	if (!json_object_get(tags, "Name") && ec2_text(vm, "name"))
		json_object_set(tags, "Name", json_object_get(vm, "name"));
	row = json_pack("{s:o}", "tags", tags);
	made = ec2_shape(x, only_tags, row);
	set = json_incref(json_object_get(made, "tagSet"));
	json_decref(made);
	json_decref(row);
	return set;
}

static json_t *make_reservation(const struct ec2_call *x, const json_t *vm)
{
	const char *id = ec2_text(vm, "id");

	(void)x;
	return json_sprintf("r-%s", id && !strncmp(id, "i-", 2) ? id + 2 : "");
}

static const struct ec2_field ebs_shape[] = {
	{"volumeId", F_SAME, "volume_id", NULL, NULL},
	{"status", F_SAME, "state", NULL, NULL},
	{"attachTime", F_SAME, "attached", NULL, NULL},
	{"deleteOnTermination", F_FALSE, NULL, NULL, NULL},
	FIELDS_END,
};

static const struct ec2_field mapping_shape[] = {
	{"deviceName", F_MADE, NULL, NULL, ec2_make_device}, {"ebs", F_INSIDE, NULL, ebs_shape, NULL}, FIELDS_END};

static const struct ec2_field placement_shape[] = {
	{"availabilityZone", F_ZONE, NULL, NULL, NULL},
	{"groupName", F_CONST, "", NULL, NULL},
	{"hostId", F_SAME, "host_id", NULL, NULL},
	{"tenancy", F_CONST, "default", NULL, NULL},
	FIELDS_END,
};

static const struct ec2_field monitoring_shape[] = {{"state", F_CONST, "disabled", NULL, NULL}, FIELDS_END};

static const struct ec2_field instance_shape[] = {
	{"instanceId", F_SAME, "id", NULL, NULL},
	{"imageId", F_CONST, "", NULL, NULL},
	{"instanceState", F_MADE, NULL, NULL, make_state},
	{"privateDnsName", F_TEXT, "name", NULL, NULL},
	{"dnsName", F_CONST, "", NULL, NULL},
	{"reason", F_CONST, "", NULL, NULL},
	{"productCodes", F_EMPTY, NULL, NULL, NULL},
	{"placement", F_INSIDE, NULL, placement_shape, NULL},
	{"monitoring", F_INSIDE, NULL, monitoring_shape, NULL},
	{"rootDeviceType", F_CONST, "ebs", NULL, NULL},
	{"blockDeviceMapping", F_SET, "attachments", mapping_shape, NULL},
	{"groupSet", F_EMPTY, NULL, NULL, NULL},
	{"networkInterfaceSet", F_EMPTY, NULL, NULL, NULL},
	{"tagSet", F_MADE, NULL, NULL, make_tags},
	FIELDS_END,
};

/* Each VM is a reservation of its own. */
static json_t *make_instances(const struct ec2_call *x, const json_t *vm)
{
	return json_pack("[o]", ec2_shape(x, instance_shape, vm));
}

static const struct ec2_field reservation_shape[] = {
	{"reservationId", F_MADE, NULL, NULL, make_reservation},
	{"ownerId", F_OWNER, NULL, NULL, NULL},
	{"groupSet", F_EMPTY, NULL, NULL, NULL},
	{"instancesSet", F_MADE, NULL, NULL, make_instances},
	FIELDS_END,
};

#define IN "instancesSet."
#define MAPPING IN "blockDeviceMapping."

/* Those of what a VM has here; then those of EC2 that nothing here has (networks, images, keys, markets). */
static const struct ec2_filter instance_filters[] = {
	{"availability-zone", IN "placement.availabilityZone", NULL},
	{"block-device-mapping.attach-time", MAPPING "ebs.attachTime", NULL},
	{"block-device-mapping.delete-on-termination", MAPPING "ebs.deleteOnTermination", NULL},
	{"block-device-mapping.device-name", MAPPING "deviceName", NULL},
	{"block-device-mapping.status", MAPPING "ebs.status", NULL},
	{"block-device-mapping.volume-id", MAPPING "ebs.volumeId", NULL},
	{"dns-name", IN "dnsName", NULL},
	{"host-id", IN "placement.hostId", "host_id"},
	{"image-id", IN "imageId", NULL},
	{"instance-id", IN "instanceId", "id"},
	{"instance-state-code", IN "instanceState.code", NULL},
	{"instance-state-name", IN "instanceState.name", NULL},
	{"monitoring-state", IN "monitoring.state", NULL},
	{"owner-id", "ownerId", NULL},
	{"private-dns-name", IN "privateDnsName", "name"},
	{"reason", IN "reason", NULL},
	{"reservation-id", "reservationId", NULL},
	{"root-device-type", IN "rootDeviceType", NULL},
	{"tenancy", IN "placement.tenancy", NULL},
	{"affinity", NULL, NULL},
	{"architecture", NULL, NULL},
	{"availability-zone-id", NULL, NULL},
	{"boot-mode", NULL, NULL},
	{"client-token", NULL, NULL},
	{"ebs-optimized", NULL, NULL},
	{"ena-support", NULL, NULL},
	{"group-id", NULL, NULL},
	{"group-name", NULL, NULL},
	{"hypervisor", NULL, NULL},
	{"instance-lifecycle", NULL, NULL},
	{"instance-type", NULL, NULL},
	{"ip-address", NULL, NULL},
	{"ipv6-address", NULL, NULL},
	{"kernel-id", NULL, NULL},
	{"key-name", NULL, NULL},
	{"launch-index", NULL, NULL},
	{"launch-time", NULL, NULL},
	{"outpost-arn", NULL, NULL},
	{"placement-group-name", NULL, NULL},
	{"placement-partition-number", NULL, NULL},
	{"platform", NULL, NULL},
	{"platform-details", NULL, NULL},
	{"private-ip-address", NULL, NULL},
	{"ramdisk-id", NULL, NULL},
	{"requester-id", NULL, NULL},
	{"root-device-name", NULL, NULL},
	{"source-dest-check", NULL, NULL},
	{"spot-instance-request-id", NULL, NULL},
	{"subnet-id", NULL, NULL},
	{"tpm-support", NULL, NULL},
	{"virtualization-type", NULL, NULL},
	{"vpc-id", NULL, NULL},
	{"capacity-reservation-*", NULL, NULL},
	{"current-instance-boot-mode", NULL, NULL},
	{"enclave-options.*", NULL, NULL},
	{"hibernation-options.*", NULL, NULL},
	{"iam-instance-profile.*", NULL, NULL},
	{"instance.group-*", NULL, NULL},
	{"maintenance-options.*", NULL, NULL},
	{"metadata-options.*", NULL, NULL},
	{"network-interface.*", NULL, NULL},
	{"network-performance-options.*", NULL, NULL},
	{"operator.*", NULL, NULL},
	{"private-dns-name-options.*", NULL, NULL},
	{"product-code*", NULL, NULL},
	{"state-reason-*", NULL, NULL},
	{"usage-operation*", NULL, NULL},
	FILTERS_END,
};

#define PARAM_INSTANCES {"InstanceId", P_INSTANCE | P_LIST, "vms", false, 0, 0, NULL}
#define PARAM_MANAGED {"IncludeManagedResources", P_ANYTHING, NULL, false, 0, 0, NULL}

static const struct ec2_param describe_params[] = {
	PARAM_INSTANCES, PARAM_FILTERS, PARAM_PAGES, PARAM_MANAGED, PARAMS_END};

static const struct ec2_list instances = {
	.verb = "vm-describe",
	.rows = "vms",
	.ids = "vms",
	.element = "reservationSet",
	.shape = reservation_shape,
	.filters = instance_filters,
	.tags = IN "tagSet",
	.tags_made = true,
	.missing = EBS_NO_INSTANCE,
};

/* ---------------------------------------------------------------- status */

static json_t *status_is(const char *status, const char *reachability)
{
	return json_pack("{s:s, s:[{s:s, s:s}]}", "status", status, "details", "name", "reachability", "status",
			 reachability);
}

static json_t *make_instance_status(const struct ec2_call *x, const json_t *vm)
{
	(void)x;
	return state_of(vm)->code == 16 ? status_is("ok", "passed") : status_is("not-applicable", "insufficient-data");
}

/* Of its host; describe_status() has put in which one answers. */
static json_t *make_system_status(const struct ec2_call *x, const json_t *vm)
{
	const char *host = ec2_text(vm, "host_id"), *state = host ? ec2_text(ec2_given(x, "hosts"), host) : NULL;

	if (!state)
		return status_is("insufficient-data", "insufficient-data");
	return !strcmp(state, "up") ? status_is("ok", "passed") : status_is("impaired", "failed");
}

static const struct ec2_field status_shape[] = {
	{"instanceId", F_SAME, "id", NULL, NULL},
	{"availabilityZone", F_ZONE, NULL, NULL, NULL},
	{"instanceState", F_MADE, NULL, NULL, make_state},
	{"systemStatus", F_MADE, NULL, NULL, make_system_status},
	{"instanceStatus", F_MADE, NULL, NULL, make_instance_status},
	{"eventsSet", F_EMPTY, NULL, NULL, NULL},
	FIELDS_END,
};

static const struct ec2_filter status_filters[] = {
	{"availability-zone", "availabilityZone", NULL},
	{"availability-zone-id", NULL, NULL},
	{"event.code", NULL, NULL},
	{"event.description", NULL, NULL},
	{"event.instance-event-id", NULL, NULL},
	{"event.not-after", NULL, NULL},
	{"event.not-before", NULL, NULL},
	{"event.not-before-deadline", NULL, NULL},
	{"instance-state-code", "instanceState.code", NULL},
	{"instance-state-name", "instanceState.name", NULL},
	{"instance-status.reachability", "instanceStatus.details.status", NULL},
	{"instance-status.status", "instanceStatus.status", NULL},
	{"operator.managed", NULL, NULL},
	{"operator.principal", NULL, NULL},
	{"system-status.reachability", "systemStatus.details.status", NULL},
	{"system-status.status", "systemStatus.status", NULL},
	{"attached-ebs-status.status", NULL, NULL},
	FILTERS_END,
};

static const struct ec2_param status_params[] = {
	PARAM_INSTANCES,
	PARAM_FILTERS,
	PARAM_PAGES,
	PARAM_MANAGED,
	{"IncludeAllInstances", P_BOOL, "all", false, 0, 0, NULL},
	PARAMS_END,
};

static enum ec2_keep keep_running(const struct ec2_call *x, const json_t *vm)
{
	return json_is_true(ec2_given(x, "all")) || state_of(vm)->code == 16 ? KEEP : KEEP_NOT;
}

static const struct ec2_list statuses = {
	.verb = "vm-describe",
	.rows = "vms",
	.ids = "vms",
	.element = "instanceStatusSet",
	.shape = status_shape,
	.filters = status_filters,
	.keep = keep_running,
	.missing = EBS_NO_INSTANCE,
};

/* A caller that may not see a host does not learn how it is. */
static void describe_status(struct ec2_call *x)
{
	json_t *said = ec2_verb(x, "host-describe", json_object()), *states_of = json_object(), *host;
	size_t i;

	json_array_foreach(json_object_get(said, "hosts"), i, host)
		json_object_set(states_of, ec2_text(host, "id"), json_object_get(host, "state"));
	json_object_set_new(x->args, "hosts", states_of);
	json_decref(said);
	ec2_list(x);
}

const struct ec2_action ec2_instance_actions[] = {
	{"DescribeInstances", describe_params, &instances, NULL, NULL, NULL, NULL},
	{"DescribeInstanceStatus", status_params, &statuses, NULL, describe_status, NULL, NULL},
	{NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* SPDX-License-Identifier: GPL-2.0-only */
/* actions_other.c - EC2's actions around volumes: tags, zones, regions, the account. */
#include <string.h>

#include "ec2/priv.h"

/* ---------------------------------------------------------------- tags */

static const struct {
	const char *ours, *ec2s;
} kinds[] = {{"volume", "volume"}, {"snapshot", "snapshot"}, {"vm", "instance"}, {"host", "dedicated-host"}};

static json_t *make_kind(const struct ec2_call *x, const json_t *row)
{
	const char *kind = ec2_text(row, "kind");

	(void)x;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strcmp(kinds[i].ours, kind))
			return json_string(kinds[i].ec2s);
	return NULL;
}

/* EC2 has no word for the others. */
static enum ec2_keep keep_kind(const struct ec2_call *x, const json_t *row)
{
	json_t *kind = make_kind(x, row);

	json_decref(kind);
	return kind ? KEEP : KEEP_NOT;
}

static const struct ec2_field tag_shape[] = {
	{"resourceId", F_SAME, "resource", NULL, NULL},
	{"resourceType", F_MADE, NULL, NULL, make_kind},
	{"key", F_SAME, "key", NULL, NULL},
	{"value", F_SAME, "value", NULL, NULL},
	FIELDS_END,
};

static const struct ec2_filter tag_filters[] = {
	{"key", "key", "key"},
	{"resource-id", "resourceId", "resource_id"},
	{"resource-type", "resourceType", NULL},
	{"value", "value", "value"},
	FILTERS_END,
};

static const struct ec2_list tags = {
	.verb = "tag-describe",
	.rows = "tags",
	.element = "tagSet",
	.shape = tag_shape,
	.filters = tag_filters,
	.keep = keep_kind,
	.missing = EBS_NO_RESOURCE,
};

/* "tag:K" is the key and its value at once: both must be of the same tag, as they are here. */
static void describe_tags(struct ec2_call *x)
{
	json_t *f;
	size_t i;

	json_array_foreach(x->filters, i, f)
	{
		const char *name = ec2_text(f, "name");

		if (strncmp(name, "tag:", 4) || !name[4])
			continue;
		json_array_append_new(x->filters, json_pack("{s:s, s:[s]}", "name", "key", "values", name + 4));
		json_object_set_new(f, "name", json_string("value"));
	}
	ec2_list(x);
}

static const struct ec2_param describe_tags_params[] = {PARAM_FILTERS, PARAM_PAGES, PARAMS_END};
static const struct ec2_param create_tags_params[] = {
	{"ResourceId", P_TEXT | P_LIST, "resources", true, 0, 0, NULL},
	{"Tag", P_TAGS, "tags", true, 0, 0, NULL},
	PARAMS_END,
};
static const struct ec2_param delete_tags_params[] = {
	{"ResourceId", P_TEXT | P_LIST, "resources", true, 0, 0, NULL},
	{"Tag", P_TAG_KEYS, "tags", false, 0, 0, NULL},
	PARAMS_END,
};

/* To the verbs a text that is no id is a volume's name; EC2 knows ids only. */
static bool resources_ok(struct ec2_call *x)
{
	static const char *const prefixes[] = {"vol-", "snap-", "i-", "h-"};
	const json_t *v;
	size_t i;

	if (!json_array_size(ec2_given(x, "resources")))
		return ec2_fail(x, ebs_code_text(EBS_MISSING_PARAMETER),
				"The request must contain the parameter resourceIdSet");
	json_array_foreach(ec2_given(x, "resources"), i, v)
	{
		const char *id = json_string_value(v);
		bool ok = false;

		for (size_t k = 0; k < sizeof(prefixes) / sizeof(*prefixes); k++) {
			size_t n = strlen(prefixes[k]);

			ok |= !strncmp(id, prefixes[k], n) && strspn(id + n, "0123456789abcdef") == 17 && !id[n + 17];
		}
		if (!ok)
			return ec2_fail(x, ebs_code_text(EBS_NO_RESOURCE), "The ID '%.100s' is not valid", id);
	}
	return true;
}

static void create_tags(struct ec2_call *x)
{
	if (resources_ok(x))
		json_decref(ec2_verb(x, "tag-set", json_incref(x->args)));
	ec2_answer_true(x);
}

/* Those of the tags to delete that the resource has; with a value: with that one. New reference. */
static json_t *keys_of(struct ec2_call *x, json_t *id)
{
	json_t *said = ec2_verb(x, "tag-describe", json_pack("{s:{s:O}}", "filters", "resource_id", id));
	json_t *keys = json_array(), *tag;
	size_t i;

	json_array_foreach(json_object_get(said, "tags"), i, tag)
	{
		const json_t *wanted = json_object_get(ec2_given(x, "tags"), ec2_text(tag, "key"));

		if (wanted && (json_is_null(wanted) || json_equal(wanted, json_object_get(tag, "value"))))
			json_array_append(keys, json_object_get(tag, "key"));
	}
	json_decref(said);
	return keys;
}

/* The verb knows keys only, so tags with values are looked for first, resource by resource. */
static void delete_tags(struct ec2_call *x)
{
	const json_t *dry = ec2_given(x, "dry_run");
	json_t *id;
	size_t i;

	if (!resources_ok(x))
		return;
	if (!json_object_size(ec2_given(x, "tags"))) {
		json_decref(ec2_verb(x, "tag-remove",
				     json_pack("{s:O, s:O*}", "resources", ec2_given(x, "resources"), "dry_run", dry)));
		ec2_answer_true(x);
		return;
	}
	json_array_foreach(ec2_given(x, "resources"), i, id)
	{
		json_t *keys = x->code ? NULL : keys_of(x, id);

		/* With no keys at all as well: is it there, and may this caller do so? */
		if (!x->code)
			json_decref(ec2_verb(x, "tag-remove",
					     json_pack("{s:O, s:O, s:O*}", "resources", id, "keys", keys, "dry_run",
						       dry)));
		json_decref(keys);
	}
	ec2_answer_true(x);
}

/* ---------------------------------------------------------------- zones, regions */

static const struct ec2_field zone_shape[] = {
	{"zoneName", F_ZONE, NULL, NULL, NULL},
	{"zoneState", F_CONST, "available", NULL, NULL},
	{"regionName", F_REGION, NULL, NULL, NULL},
	{"messageSet", F_EMPTY, NULL, NULL, NULL},
	{"optInStatus", F_CONST, "opt-in-not-required", NULL, NULL},
	{"groupName", F_REGION, NULL, NULL, NULL},
	{"networkBorderGroup", F_REGION, NULL, NULL, NULL},
	{"zoneType", F_CONST, "availability-zone", NULL, NULL},
	FIELDS_END,
};

static const struct ec2_filter zone_filters[] = {
	{"group-long-name", NULL, NULL},
	{"group-name", "groupName", NULL},
	{"message", NULL, NULL},
	{"opt-in-status", "optInStatus", NULL},
	{"parent-zone*", NULL, NULL}, /* its documentation has two spellings of them */
	{"region-name", "regionName", NULL},
	{"state", "zoneState", NULL},
	{"zone-id", NULL, NULL},
	{"zone-name", "zoneName", NULL},
	{"zone-type", "zoneType", NULL},
	FILTERS_END,
};

static const struct ec2_list zones = {
	.element = "availabilityZoneInfo", .shape = zone_shape, .filters = zone_filters, .missing = EBS_NO_ZONE};

static const struct ec2_param zones_params[] = {
	{"ZoneName", P_TEXT | P_LIST, "names", false, 0, 0, NULL},
	{"ZoneId", P_NOT_HERE, NULL, false, 0, 0, "zones have names only"},
	{"AllAvailabilityZones", P_ANYTHING, NULL, false, 0, 0, NULL},
	PARAM_FILTERS,
	PARAMS_END,
};

/* All names that are given must be this one. */
static void only_one(struct ec2_call *x, const char *is, const char *what)
{
	const json_t *v;
	size_t i;

	json_array_foreach(ec2_given(x, "names"), i, v)
	{
		if (strcmp(json_string_value(v), is))
			ec2_fail(x, ebs_code_text(EBS_INVALID_PARAMETER), "Invalid %s: [%.80s]", what,
				 json_string_value(v));
	}
	if (!x->code)
		ec2_list_rows(x, json_pack("[{}]"));
}

static void describe_zones(struct ec2_call *x)
{
	only_one(x, ebs_zone(x->ebs), "availability zone");
}

static json_t *make_endpoint(const struct ec2_call *x, const json_t *row)
{
	(void)row;
	return json_string(x->request->host ? x->request->host : "localhost");
}

static const struct ec2_field region_shape[] = {
	{"regionName", F_REGION, NULL, NULL, NULL},
	{"regionEndpoint", F_MADE, NULL, NULL, make_endpoint},
	{"optInStatus", F_CONST, "opt-in-not-required", NULL, NULL},
	FIELDS_END,
};

static const struct ec2_filter region_filters[] = {
	{"endpoint", "regionEndpoint", NULL},
	{"opt-in-status", "optInStatus", NULL},
	{"region-name", "regionName", NULL},
	FILTERS_END,
};

static const struct ec2_list regions = {
	.element = "regionInfo", .shape = region_shape, .filters = region_filters, .missing = EBS_NO_ZONE};

static const struct ec2_param regions_params[] = {
	{"RegionName", P_TEXT | P_LIST, "names", false, 0, 0, NULL},
	{"AllRegions", P_ANYTHING, NULL, false, 0, 0, NULL},
	PARAM_FILTERS,
	PARAMS_END,
};

static void describe_regions(struct ec2_call *x)
{
	char region[65];

	ec2_region(x, region);
	only_one(x, region, "region");
}

/* ---------------------------------------------------------------- the account */

static const struct ec2_param account_params[] = {
	{"AttributeName", P_TEXT | P_LIST, "names", false, 0, 0, NULL}, PARAMS_END};

/* What clients ask to learn whether there are networks of the old kind. */
static void describe_account(struct ec2_call *x)
{
	static const char *const attributes[][2] = {{"supported-platforms", "VPC"}, {"default-vpc", "none"}};
	json_t *set = json_array(), *v;
	size_t i;

	for (size_t k = 0; k < sizeof(attributes) / sizeof(*attributes); k++) {
		bool wanted = !json_array_size(ec2_given(x, "names"));

		json_array_foreach(ec2_given(x, "names"), i, v)
			wanted |= !strcmp(json_string_value(v), attributes[k][0]);
		if (wanted)
			json_array_append_new(set, json_pack("{s:s, s:[{s:s}]}", "attributeName", attributes[k][0],
							     "attributeValueSet", "attributeValue", attributes[k][1]));
	}
	if (ec2_given(x, "dry_run"))
		ec2_fail(x, ebs_code_text(EBS_DRY_RUN), "Request would have succeeded, but DryRun flag is set.");
	else
		x->answer = json_pack("{s:O}", "accountAttributeSet", set);
	json_decref(set);
}

const struct ec2_action ec2_other_actions[] = {
	{"CreateTags", create_tags_params, NULL, NULL, create_tags, NULL, NULL},
	{"DeleteTags", delete_tags_params, NULL, NULL, delete_tags, NULL, NULL},
	{"DescribeTags", describe_tags_params, &tags, NULL, describe_tags, NULL, NULL},
	{"DescribeAvailabilityZones", zones_params, &zones, NULL, describe_zones, NULL, NULL},
	{"DescribeRegions", regions_params, &regions, NULL, describe_regions, NULL, NULL},
	{"DescribeAccountAttributes", account_params, NULL, NULL, describe_account, NULL, NULL},
	{NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

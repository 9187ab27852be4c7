/* SPDX-License-Identifier: GPL-2.0-only */
/* test_ec2.c - EC2's actions over a real catalogue and a pool in memory: what each answers, and with which code it
 * refuses. That every element is as EC2 has it, tests/e2e/ec2 compares with a client's model.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ec2/priv.h"
#include "tests/daemon/snapshot_rig.h"
#include "tests/daemon/suites.h"

static char said[1 << 18]; /* the last answer's body */
static unsigned status;
static enum ebs_rights rights;
static char vol[EBS_ID_MAX], snap[EBS_ID_MAX], vm[EBS_ID_MAX];

/* Every element that is opened is closed, in order, up to a depth; nothing outside of the root. */
static bool well_formed(const char *xml)
{
	char open[16][64];
	int depth = 0;
	const char *p = strstr(xml, "?>");

	for (p = p ? p + 2 : xml; (p = strchr(p, '<'));) {
		const char *end = strchr(p, '>');
		size_t n;

		if (!end)
			return false;
		if (p[1] == '/') {
			n = (size_t)(end - p - 2);
			if (!depth || strlen(open[depth - 1]) != n || strncmp(open[depth - 1], p + 2, n))
				return false;
			depth--;
			if (!depth)
				return !end[1];
		} else if (end[-1] != '/') {
			n = strcspn(p + 1, " >");
			if (depth == 16 || n > 63)
				return false;
			snprintf(open[depth++], 64, "%.*s", (int)n, p + 1);
		}
		p = end;
	}
	return false;
}

static void ask(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void ask(const char *fmt, ...)
{
	struct ebs_call who = {.who = "key test", .rights = rights};
	struct ec2_request q = {.query = "", .host = "box:1", .who = &who};
	struct ec2_answer a;
	char form[8192];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(form, sizeof(form), fmt, ap);
	va_end(ap);
	q.body = form;
	q.len = strlen(form);
	ec2_answer(srig_ebs(), &q, &a);
	CU_ASSERT_PTR_NOT_NULL_FATAL(a.body);
	CU_ASSERT_EQUAL(strlen(a.body), a.len);
	CU_ASSERT_TRUE(well_formed(a.body));
	status = a.status;
	snprintf(said, sizeof(said), "%s", a.body);
	free(a.body);
}

/* The first element of that name, by its text. */
static const char *text_in(const char *name)
{
	static char text[512];
	char open[80];
	const char *p;

	snprintf(open, sizeof(open), "<%s>", name);
	p = strstr(said, open);
	if (!p)
		return "";
	p += strlen(open);
	snprintf(text, sizeof(text), "%.*s", (int)strcspn(p, "<"), p);
	return text;
}

static unsigned count(const char *what)
{
	unsigned n = 0;

	for (const char *p = said; (p = strstr(p, what)); p++)
		n++;
	return n;
}

#define GIVES(element, text, ...) \
	do { \
		ask(__VA_ARGS__); \
		CU_ASSERT_EQUAL(status, 200); \
		CU_ASSERT_STRING_EQUAL(text_in(element), text); \
	} while (0)
#define FINDS(n, element, ...) \
	do { \
		ask(__VA_ARGS__); \
		CU_ASSERT_EQUAL(status, 200); \
		CU_ASSERT_EQUAL(count("<" element ">"), n); \
	} while (0)
#define REFUSED(code, http, ...) \
	do { \
		ask(__VA_ARGS__); \
		CU_ASSERT_EQUAL(status, http); \
		CU_ASSERT_STRING_EQUAL(text_in("Code"), code); \
		CU_ASSERT_EQUAL(count("<RequestID>"), 1); \
	} while (0)

static int put_vm(struct store_tx *tx, void *arg, struct err *err)
{
	json_t *host = json_pack("{s:s, s:s, s:s, s:s, s:s}", "id", "h-0123456789abcdef0", "name", "one", "url",
				 "https://127.0.0.1:1", "pin", "sha256//x", "state", "down");
	json_t *row = json_pack("{s:s, s:s, s:s, s:s}", "id", vm, "host_id", "h-0123456789abcdef0", "name", "web<1>",
				"state", "running");
	int rc = store_insert(tx, T_HOST, host, err);

	(void)arg;
	rc = rc ? rc : store_insert(tx, T_VM, row, err);
	json_decref(row);
	json_decref(host);
	return rc;
}

static void begin(void)
{
	struct err err = ERR_INIT;

	rights = EBS_MAY_ALL;
	srig_begin(7);
	snprintf(vm, sizeof(vm), "i-0123456789abcdef0");
	CU_ASSERT_EQUAL_FATAL(store_write(srig_ebs()->store, put_vm, NULL, &err), 0);
	ask("Action=CreateVolume&AvailabilityZone=z&Size=8&VolumeType=gp3&TagSpecification.1.ResourceType=volume"
	    "&TagSpecification.1.Tag.1.Key=Name&TagSpecification.1.Tag.1.Value=a%%26b&Version=2016-11-15");
	CU_ASSERT_EQUAL_FATAL(status, 200);
	snprintf(vol, sizeof(vol), "%s", text_in("volumeId"));
	ask("Action=CreateSnapshot&VolumeId=%s&Description=d", vol);
	CU_ASSERT_EQUAL_FATAL(status, 200);
	snprintf(snap, sizeof(snap), "%s", text_in("snapshotId"));
}

/* ---------------------------------------------------------------- tests */

static void test_frame(void)
{
	begin();
	GIVES("regionName", "z", "Action=DescribeRegions&Version=2014-10-01");
	CU_ASSERT_EQUAL(count("doc/2014-10-01/"), 1);
	CU_ASSERT_STRING_EQUAL(text_in("regionEndpoint"), "box:1");
	CU_ASSERT_EQUAL(strlen(text_in("requestId")), 36);
	REFUSED("MissingAction", 400, "Version=2016-11-15");
	REFUSED("MissingAction", 400, "Action=");
	REFUSED("InvalidAction", 400, "Action=RunInstances");
	REFUSED("InvalidAction", 400, "Action=%%3Cscript%%3E");
	REFUSED("NoSuchVersion", 400, "Action=DescribeRegions&Version=%%22%%3E");
	REFUSED("MalformedQueryString", 400, "Action=DescribeRegions&x=%%");
	REFUSED("UnknownParameter", 400, "Action=DescribeRegions&Colour=red");
	REFUSED("UnknownParameter", 400, "Action=CreateSnapshots&InstanceSpecification.InstanceId=%s"
		"&InstanceSpecification.Colour=red", vm);
	REFUSED("InvalidParameterValue", 400, "Action=DescribeRegions&DryRun=x");
	REFUSED("InvalidParameterValue", 400, "Action=DescribeRegions&DryRun.1=true");
	REFUSED("DryRunOperation", 412, "Action=DescribeRegions&DryRun=true");
	REFUSED("DryRunOperation", 412, "Action=DescribeVolumes&DryRun=TRUE");
	srig_end();
}

static void test_create(void)
{
	begin();
	GIVES("iops", "300", "Action=CreateVolume&AvailabilityZone=z&Size=100");
	CU_ASSERT_STRING_EQUAL(text_in("volumeType"), "gp2");
	CU_ASSERT_STRING_EQUAL(text_in("status"), "available");
	GIVES("throughput", "125", "Action=CreateVolume&AvailabilityZone=z&Size=1&VolumeType=gp3");
	GIVES("iops", "60000", "Action=CreateVolume&AvailabilityZone=z&Size=200&VolumeType=io2&Iops=60000"
	      "&MultiAttachEnabled=true");
	CU_ASSERT_STRING_EQUAL(text_in("multiAttachEnabled"), "true");
	GIVES("snapshotId", snap, "Action=CreateVolume&AvailabilityZone=z&SnapshotId=%s", snap);
	CU_ASSERT_STRING_EQUAL(text_in("size"), "8");
	GIVES("size", "9", "Action=CreateVolume&AvailabilityZone=z&SnapshotId=%s&Size=9", snap);
	REFUSED("InvalidParameterValue", 400, "Action=CreateVolume&AvailabilityZone=z&SnapshotId=%s&Size=7", snap);
	REFUSED("MissingParameter", 400, "Action=CreateVolume&AvailabilityZone=z");
	REFUSED("MissingParameter", 400, "Action=CreateVolume&Size=1");
	REFUSED("InvalidZone.NotFound", 400, "Action=CreateVolume&AvailabilityZone=y&Size=1");
	REFUSED("UnknownVolumeType", 400, "Action=CreateVolume&AvailabilityZone=z&Size=1&VolumeType=x");
	REFUSED("InvalidParameterCombination", 400, "Action=CreateVolume&AvailabilityZone=z&Size=1&Iops=3000");
	REFUSED("InvalidParameterDependency", 400, "Action=CreateVolume&AvailabilityZone=z&Size=1&KmsKeyId=k");
	REFUSED("UnsupportedOperation", 400, "Action=CreateVolume&AvailabilityZone=z&Size=1&Encrypted=true");
	ask("Action=CreateVolume&AvailabilityZone=z&Size=1&Encrypted=false");
	CU_ASSERT_EQUAL(status, 200);
	REFUSED("InvalidParameterValue", 400, "Action=CreateVolume&AvailabilityZone=z&Size=18446744073709551617");
	REFUSED("DryRunOperation", 412, "Action=CreateVolume&AvailabilityZone=z&Size=1&DryRun=true");
	srig_close(true);
	REFUSED("Unavailable", 503, "Action=CreateVolume&AvailabilityZone=z&Size=1");
	srig_close(false);
	srig_end();
}

/* Each end of what a type may have, and one beyond it. */
static void test_types(void)
{
	static const struct {
		const char *type;
		unsigned gib, iops, mib_s; /* 0: not said */
		bool fine;
	} cases[] = {
		{"gp2", 1, 0, 0, true}, {"gp2", 16384, 0, 0, true}, {"gp2", 16385, 0, 0, false},
		{"gp2", 1, 0, 125, false}, {"gp3", 6, 3000, 0, true}, {"gp3", 6, 2999, 0, false},
		{"gp3", 160, 80000, 0, true}, {"gp3", 159, 80000, 0, false}, {"gp3", 200, 80001, 0, false},
		{"gp3", 1, 3000, 750, true}, {"gp3", 1, 3000, 751, false}, {"gp3", 16, 8000, 2000, true},
		{"gp3", 17, 8004, 2001, false}, {"gp3", 1, 0, 125, true}, {"gp3", 1, 0, 124, false},
		{"gp3", 65536, 0, 0, true}, {"gp3", 65537, 0, 0, false}, {"io1", 4, 100, 0, true},
		{"io1", 3, 100, 0, false}, {"io1", 4, 99, 0, false}, {"io1", 4, 200, 0, true},
		{"io1", 4, 201, 0, false},
		{"io1", 1280, 64000, 0, true}, {"io1", 1281, 64001, 0, false}, {"io1", 4, 0, 0, false},
		{"io2", 256, 256000, 0, true}, {"io2", 257, 256001, 0, false}, {"io2", 4, 4001, 0, false},
		{"st1", 125, 0, 0, true}, {"st1", 124, 0, 0, false}, {"st1", 125, 500, 0, false},
		{"sc1", 16384, 0, 0, true}, {"sc1", 16385, 0, 0, false}, {"standard", 1024, 0, 0, true},
		{"standard", 1025, 0, 0, false},
	};
	char more[64];

	begin();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int n = cases[i].iops ? snprintf(more, sizeof(more), "&Iops=%u", cases[i].iops) : 0;

		snprintf(more + n, sizeof(more) - (size_t)n, cases[i].mib_s ? "&Throughput=%u" : "", cases[i].mib_s);
		ask("Action=CreateVolume&AvailabilityZone=z&DryRun=true&VolumeType=%s&Size=%u%s", cases[i].type,
		    cases[i].gib, more);
		CU_ASSERT_EQUAL(status, cases[i].fine ? 412 : 400);
	}
	srig_end();
}

static void test_token(void)
{
	static const char request[] = "Action=CreateVolume&AvailabilityZone=z&Size=2&ClientToken=t";
	char first[EBS_ID_MAX];

	begin();
	ask("%s", request);
	snprintf(first, sizeof(first), "%s", text_in("volumeId"));
	GIVES("volumeId", first, "%s", request);
	GIVES("volumeId", first, "%s&VolumeType=gp2", request); /* what is meant by saying nothing */
	REFUSED("IdempotentParameterMismatch", 400, "%s&VolumeType=gp3", request);
	ask("Action=DeleteVolume&VolumeId=%s", first);
	REFUSED("IdempotentParameterMismatch", 400, "%s", request);
	srig_end();
}

static void test_describe(void)
{
	begin();
	FINDS(1, "volumeId", "Action=DescribeVolumes");
	CU_ASSERT_EQUAL(count("<value>a&amp;b</value>"), 1);
	CU_ASSERT_EQUAL(count("<attachmentSet/>"), 1);
	FINDS(1, "volumeId", "Action=DescribeVolumes&VolumeId.1=%s", vol);
	REFUSED("InvalidVolume.NotFound", 400, "Action=DescribeVolumes&VolumeId.1=%s&VolumeId.2=vol-00000000000000000",
		vol);
	REFUSED("InvalidVolume.NotFound", 400, "Action=DescribeVolumes&VolumeId.1=vol-12345678");
	REFUSED("InvalidParameterValue", 400, "Action=DescribeVolumes&VolumeId.1=a%%26b");
	REFUSED("InvalidParameterCombination", 400, "Action=DescribeVolumes&VolumeId.1=%s&MaxResults=5", vol);
	for (int i = 0; i < 4; i++)
		ask("Action=CreateVolume&AvailabilityZone=z&Size=%d", 20 + i);
	FINDS(2, "volumeId", "Action=DescribeVolumes&MaxResults=2");
	CU_ASSERT_STRING_NOT_EQUAL(text_in("nextToken"), "");
	FINDS(3, "volumeId", "Action=DescribeVolumes&NextToken=%s", text_in("nextToken"));
	CU_ASSERT_STRING_EQUAL(text_in("nextToken"), "");
	FINDS(2, "volumeId", "Action=DescribeVolumes&MaxResults=2&Filter.1.Name=size&Filter.1.Value.1=2?");
	FINDS(1, "volumeId", "Action=DescribeVolumes&Filter.1.Name=size&Filter.1.Value.1=20&Filter.2.Name=volume-type"
	      "&Filter.2.Value.1=gp2&Filter.2.Value.2=x");
	FINDS(0, "volumeId", "Action=DescribeVolumes&Filter.1.Name=size&Filter.1.Value.1=20&Filter.2.Name=volume-type"
	      "&Filter.2.Value.1=gp3");
	FINDS(1, "volumeId", "Action=DescribeVolumes&Filter.1.Name=tag%%3AName&Filter.1.Value.1=a*");
	FINDS(0, "volumeId", "Action=DescribeVolumes&Filter.1.Name=tag%%3Aname&Filter.1.Value.1=a*");
	FINDS(0, "volumeId", "Action=DescribeVolumes&Filter.1.Name=fast-restored&Filter.1.Value.1=*");
	REFUSED("InvalidParameterValue", 400, "Action=DescribeVolumes&Filter.1.Name=colour&Filter.1.Value.1=*");
	REFUSED("InvalidParameterValue", 400, "Action=DescribeVolumes&Filter.1.Name=size");
	REFUSED("InvalidParameterValue", 400, "Action=DescribeVolumes&Filter.1.Name=size&Filter.1.Value=1");
	REFUSED("InvalidParameterValue", 400, "Action=DescribeVolumes&Filter.1.Colour=1");
	FINDS(5, "volumeId", "Action=DescribeVolumeStatus");
	CU_ASSERT_STRING_EQUAL(text_in("status"), "ok");
	/* A page is as full as it can be, and no fuller, wherever among the others they are. */
	for (int i = 0; i < 8; i++)
		ask("Action=CreateVolume&AvailabilityZone=z&Size=%d", 30 + i);
	FINDS(3, "volumeId", "Action=DescribeVolumes&MaxResults=3&Filter.1.Name=size&Filter.1.Value.1=2?");
	FINDS(1, "volumeId", "Action=DescribeVolumes&Filter.1.Name=size&Filter.1.Value.1=2?&MaxResults=3&NextToken=%s",
	      text_in("nextToken"));
	srig_close(true);
	FINDS(0, "volumeId", "Action=DescribeVolumeStatus&Filter.1.Name=volume-status.status&Filter.1.Value.1=ok");
	srig_close(false);
	srig_end();
}

static void test_modify(void)
{
	begin();
	REFUSED("InvalidVolumeModification.NotFound", 400, "Action=DescribeVolumesModifications&VolumeId.1=%s", vol);
	GIVES("targetSize", "16", "Action=ModifyVolume&VolumeId=%s&Size=16&Iops=4000", vol);
	CU_ASSERT_STRING_EQUAL(text_in("originalSize"), "8");
	CU_ASSERT_STRING_EQUAL(text_in("originalIops"), "3000");
	CU_ASSERT_STRING_EQUAL(text_in("targetIops"), "4000");
	CU_ASSERT_STRING_EQUAL(text_in("targetThroughput"), "125");
	CU_ASSERT_STRING_EQUAL(text_in("modificationState"), "completed");
	GIVES("targetVolumeType", "gp2", "Action=ModifyVolume&VolumeId=%s&VolumeType=gp2", vol);
	CU_ASSERT_STRING_EQUAL(text_in("targetIops"), "100");
	CU_ASSERT_STRING_EQUAL(text_in("targetThroughput"), "");
	GIVES("targetIops", "150", "Action=ModifyVolume&VolumeId=%s&Size=50", vol);
	srig_end();
}

static void test_modify_more(void)
{
	begin();
	ask("Action=ModifyVolume&VolumeId=%s&VolumeType=gp2&Size=50", vol);
	GIVES("iops", "150", "Action=DescribeVolumes&VolumeId.1=%s", vol);
	GIVES("targetIops", "150", "Action=ModifyVolume&VolumeId=%s&VolumeType=io1", vol);
	GIVES("originalVolumeType", "gp2", "Action=DescribeVolumesModifications&Filter.1.Name=target-volume-type"
	      "&Filter.1.Value.1=io1");
	REFUSED("InvalidParameterValue", 400, "Action=ModifyVolume&VolumeId=%s&Size=1", vol);
	REFUSED("MissingParameter", 400, "Action=ModifyVolume&VolumeId=%s", vol);
	REFUSED("UnsupportedOperation", 400, "Action=ModifyVolume&VolumeId=%s&MultiAttachEnabled=true", vol);
	REFUSED("DryRunOperation", 412, "Action=ModifyVolume&VolumeId=%s&Size=60&DryRun=true", vol);
	GIVES("value", "true", "Action=DescribeVolumeAttribute&VolumeId=%s&Attribute=autoEnableIO", vol);
	GIVES("return", "true", "Action=ModifyVolumeAttribute&VolumeId=%s&AutoEnableIO.Value=false", vol);
	GIVES("return", "true", "Action=EnableVolumeIO&VolumeId=%s", vol);
	REFUSED("InvalidVolume.NotFound", 400, "Action=EnableVolumeIO&VolumeId=vol-00000000000000000");
	srig_end();
}

/* The host is down, so nothing comes of it; but all that is before it is seen. */
static void test_instances(void)
{
	begin();
	GIVES("instanceId", vm, "Action=DescribeInstances");
	CU_ASSERT_EQUAL(count("<value>web&lt;1&gt;</value>"), 1);
	CU_ASSERT_STRING_EQUAL(text_in("code"), "16");
	FINDS(1, "instanceId", "Action=DescribeInstances&Filter.1.Name=tag%%3AName&Filter.1.Value.1=web*");
	FINDS(0, "instanceId", "Action=DescribeInstances&Filter.1.Name=vpc-id&Filter.1.Value.1=*");
	GIVES("status", "impaired", "Action=DescribeInstanceStatus&InstanceId.1=%s", vm);
	REFUSED("InvalidInstanceID.NotFound", 400, "Action=DescribeInstances&InstanceId.1=i-00000000000000000");
	REFUSED("InvalidInstanceID.Malformed", 400, "Action=DescribeInstances&InstanceId.1=web");
	REFUSED("InvalidInstanceID.NotFound", 400,
		"Action=AttachVolume&VolumeId=%s&InstanceId=i-00000000000000000&Device=sdf", vol);
	CU_ASSERT_STRING_EQUAL(text_in("Message"), "The instance ID 'i-00000000000000000' does not exist");
	REFUSED("InvalidParameterValue", 400, "Action=AttachVolume&VolumeId=%s&InstanceId=%s&Device=/dev/x", vol, vm);
	REFUSED("DryRunOperation", 412, "Action=AttachVolume&VolumeId=%s&InstanceId=%s&Device=/dev/sdf&DryRun=true",
		vol, vm);
	REFUSED("IncorrectState", 400, "Action=DetachVolume&VolumeId=%s", vol);
	REFUSED("InvalidParameterValue", 400, "Action=CreateSnapshots&InstanceSpecification.InstanceId=%s", vm);
	srig_end();
}

static void test_snapshots(void)
{
	char copy[EBS_ID_MAX];

	begin();
	GIVES("progress", "100%", "Action=DescribeSnapshots&Owner.1=self");
	CU_ASSERT_EQUAL(count("<tagSet/>"), 1);
	FINDS(0, "snapshotId", "Action=DescribeSnapshots&Owner.1=amazon");
	FINDS(1, "snapshotId", "Action=DescribeSnapshots&Filter.1.Name=volume-size&Filter.1.Value.1=8");
	GIVES("snapshotId", snap, "Action=DescribeSnapshotAttribute&SnapshotId=%s&Attribute=productCodes", snap);
	ask("Action=CopySnapshot&SourceRegion=z&SourceSnapshotId=%s", snap);
	snprintf(copy, sizeof(copy), "%s", text_in("snapshotId"));
	GIVES("lockState", "governance", "Action=LockSnapshot&SnapshotId=%s&LockMode=governance&LockDuration=3", copy);
	CU_ASSERT_STRING_EQUAL(text_in("lockDuration"), "3");
	REFUSED("InvalidSnapshot.InUse", 400, "Action=DeleteSnapshot&SnapshotId=%s", copy);
	FINDS(1, "snapshotId", "Action=DescribeLockedSnapshots");
	FINDS(0, "snapshotId", "Action=DescribeLockedSnapshots&SnapshotId.1=%s", snap);
	GIVES("snapshotId", copy, "Action=UnlockSnapshot&SnapshotId=%s", copy);
	FINDS(2, "snapshotId", "Action=DescribeFastSnapshotRestores");
	GIVES("state", "enabled", "Action=EnableFastSnapshotRestores&AvailabilityZone.1=z&SourceSnapshotId.1=%s", snap);
	GIVES("code", "UnsupportedOperation",
	      "Action=DisableFastSnapshotRestores&AvailabilityZone.1=z&SourceSnapshotId.1=%s", snap);
	srig_refuse(true);
	REFUSED("InsufficientVolumeCapacity", 400, "Action=CreateSnapshot&VolumeId=%s", vol);
	srig_refuse(false);
	srig_end();
}

/* What is in the bin does not exist, but for the bin. */
static void test_bin(void)
{
	static const char *const actions[] = {
		"Action=DeleteVolume&VolumeId=%s", "Action=ModifyVolume&Size=99&VolumeId=%s",
		"Action=CreateSnapshot&VolumeId=%s", "Action=DetachVolume&VolumeId=%s",
		"Action=EnableVolumeIO&VolumeId=%s",
		"Action=AttachVolume&InstanceId=i-0123456789abcdef0&Device=sdf&VolumeId=%s",
		"Action=DescribeVolumes&VolumeId.1=%s", "Action=DescribeVolumeStatus&VolumeId.1=%s",
		"Action=DescribeVolumesModifications&VolumeId.1=%s"};
	char form[160];

	begin();
	GIVES("return", "true", "Action=DeleteVolume&VolumeId=%s", vol);
	for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++) {
		const char *at = strstr(actions[i], "%s");

		snprintf(form, sizeof(form), "%.*s%s", (int)(at - actions[i]), actions[i], vol);
		REFUSED("InvalidVolume.NotFound", 400, "%s", form);
	}
	FINDS(0, "volumeId", "Action=DescribeVolumes");
	GIVES("volumeId", vol, "Action=ListVolumesInRecycleBin");
	CU_ASSERT_STRING_NOT_EQUAL(text_in("recycleBinEnterTime"), "");
	CU_ASSERT_STRING_NOT_EQUAL(text_in("recycleBinExitTime"), "");
	GIVES("return", "true", "Action=RestoreVolumeFromRecycleBin&VolumeId=%s", vol);
	FINDS(1, "volumeId", "Action=DescribeVolumes&VolumeId.1=%s", vol);
	ask("Action=DeleteSnapshot&SnapshotId=%s", snap);
	REFUSED("InvalidSnapshot.NotFound", 400, "Action=DeleteSnapshot&SnapshotId=%s", snap);
	REFUSED("InvalidSnapshot.NotFound", 400, "Action=CreateVolume&AvailabilityZone=z&SnapshotId=%s", snap);
	FINDS(1, "snapshotId", "Action=ListSnapshotsInRecycleBin&SnapshotId.1=%s", snap);
	GIVES("status", "completed", "Action=RestoreSnapshotFromRecycleBin&SnapshotId=%s", snap);
	REFUSED("InvalidSnapshot.NotFound", 400, "Action=ListSnapshotsInRecycleBin&SnapshotId.1=%s", snap);
	srig_end();
}

static void test_tags(void)
{
	begin();
	GIVES("return", "true", "Action=CreateTags&ResourceId.1=%s&ResourceId.2=%s&Tag.1.Key=k&Tag.1.Value=%%3C", vol,
	      vm);
	FINDS(2, "key", "Action=DescribeTags&Filter.1.Name=key&Filter.1.Value.1=k");
	FINDS(1, "key", "Action=DescribeTags&Filter.1.Name=tag%%3Ak&Filter.1.Value.1=%%3C&Filter.2.Name=resource-type"
	      "&Filter.2.Value.1=instance");
	ask("Action=DeleteTags&ResourceId.1=%s&Tag.1.Key=k&Tag.1.Value=x", vol);
	FINDS(2, "key", "Action=DescribeTags&Filter.1.Name=key&Filter.1.Value.1=k");
	ask("Action=DeleteTags&ResourceId.1=%s&Tag.1.Key=k&Tag.1.Value=%%3C", vol);
	ask("Action=DeleteTags&ResourceId.1=%s&Tag.1.Key=k", vm);
	FINDS(0, "key", "Action=DescribeTags&Filter.1.Name=key&Filter.1.Value.1=k");
	REFUSED("MissingParameter", 400, "Action=CreateTags&ResourceId.1=%s", vol);
	REFUSED("InvalidID", 400, "Action=CreateTags&ResourceId.1=a%%26b&Tag.1.Key=k");
	REFUSED("InvalidParameterValue", 400, "Action=CreateTags&ResourceId.1=%s&Tag.1.Key=k&Tag.2.Key=k", vol);
	REFUSED("InvalidParameterValue", 400, "Action=CreateTags&ResourceId.1=%s&Tag.1.Key=aws:k", vol);
	srig_end();
}

/* What a caller may do is the verbs' to say, whichever protocol it speaks. */
static void test_rights(void)
{
	begin();
	rights = EBS_MAY_READ;
	FINDS(1, "volumeId", "Action=DescribeVolumes");
	REFUSED("UnauthorizedOperation", 403, "Action=DeleteVolume&VolumeId=%s", vol);
	REFUSED("UnauthorizedOperation", 403, "Action=CreateVolume&AvailabilityZone=z&Size=1&DryRun=true");
	REFUSED("UnauthorizedOperation", 403, "Action=DeleteTags&ResourceId.1=%s&Tag.1.Key=Name", vol);
	rights = EBS_MAY_OPERATE;
	ask("Action=LockSnapshot&SnapshotId=%s&LockMode=governance&LockDuration=3", snap);
	CU_ASSERT_EQUAL(status, 200);
	REFUSED("UnauthorizedOperation", 403, "Action=UnlockSnapshot&SnapshotId=%s", snap);
	srig_end();
}

/* ---------------------------------------------------------------- limits, and what is busy */

static int put_lock(struct store_tx *tx, void *arg, struct err *err)
{
	json_t *row = json_pack("{s:s, s:i}", "resource_id", arg, "task_id", 99);
	int rc = store_insert(tx, T_LOCK, row, err);

	json_decref(row);
	return rc;
}

static void test_quotas(void)
{
	begin();
	srig_run("quota-set", NULL, "{s:s, s:i}", "what", "volumes", "most", 1);
	srig_run("quota-set", NULL, "{s:s, s:i}", "what", "snapshots", "most", 1);
	REFUSED("VolumeLimitExceeded", 400, "Action=CreateVolume&AvailabilityZone=z&Size=1");
	REFUSED("SnapshotLimitExceeded", 400, "Action=CreateSnapshot&VolumeId=%s", vol);
	REFUSED("SnapshotLimitExceeded", 400, "Action=CopySnapshot&SourceRegion=z&SourceSnapshotId=%s", snap);
	srig_run("quota-set", NULL, "{s:s, s:I}", "what", "bytes", "most", (json_int_t)(9 * GIB));
	REFUSED("VolumeLimitExceeded", 400, "Action=ModifyVolume&VolumeId=%s&Size=10", vol);
	srig_end();
}

static int put_attachments(struct store_tx *tx, void *arg, struct err *err)
{
	json_t *change = json_pack("{s:s}", "state", "in-use");
	int rc = store_update(tx, T_VOLUME, arg, change, err);

	for (int i = 0; i < 16 && !rc; i++) {
		json_t *row = json_pack("{s:o, s:s, s:s, s:s, s:o, s:s, s:i}", "id",
					json_sprintf("vol-att-%017x", i), "volume_id", arg, "host_id",
					"h-0123456789abcdef0", "vm_id", vm, "device", json_sprintf("xvd%c", 'f' + i),
					"state", "attached", "created_ms", 1000);

		rc = store_insert(tx, T_ATTACHMENT, row, err);
		json_decref(row);
	}
	json_decref(change);
	return rc;
}

/* Drivers take IncorrectState of a detach for "is detached": never that. */
static void test_busy(void)
{
	struct err err = ERR_INIT;

	begin();
	CU_ASSERT_EQUAL(store_write(srig_ebs()->store, put_lock, vol, &err), 0);
	REFUSED("IncorrectModificationState", 400, "Action=ModifyVolume&VolumeId=%s&Size=9", vol);
	REFUSED("VolumeInUse", 400, "Action=DeleteVolume&VolumeId=%s", vol);
	REFUSED("IncorrectState", 400, "Action=AttachVolume&VolumeId=%s&InstanceId=%s&Device=sdf", vol, vm);
	CU_ASSERT_EQUAL(store_write(srig_ebs()->store, put_attachments, vol, &err), 0);
	REFUSED("VolumeInUse", 400, "Action=DetachVolume&VolumeId=%s&Device=xvdg", vol);
	srig_end();
}

static void test_attachments(void)
{
	struct err err = ERR_INIT;
	char shared[EBS_ID_MAX];

	begin();
	ask("Action=CreateVolume&AvailabilityZone=z&Size=8&VolumeType=io2&Iops=100&MultiAttachEnabled=true");
	snprintf(shared, sizeof(shared), "%s", text_in("volumeId"));
	CU_ASSERT_EQUAL(store_write(srig_ebs()->store, put_attachments, shared, &err), 0);
	REFUSED("AttachmentLimitExceeded", 400, "Action=AttachVolume&VolumeId=%s&InstanceId=%s&Device=xvdz", shared,
		vm);
	REFUSED("InvalidParameterValue", 400, "Action=AttachVolume&VolumeId=%s&InstanceId=%s&Device=/dev/xvdf", vol,
		vm);
	CU_ASSERT_PTR_NOT_NULL(strstr(text_in("Message"), "already in use"));
	REFUSED("VolumeInUse", 400, "Action=DeleteVolume&VolumeId=%s", shared);
	REFUSED("MissingParameter", 400, "Action=DetachVolume&VolumeId=%s", shared); /* which of them? */
	GIVES("attachTime", "1970-01-01T00:00:01.000Z", "Action=DescribeVolumes&Filter.1.Name=attachment.device"
	      "&Filter.1.Value.1=/dev/xvdg");
	CU_ASSERT_EQUAL(count("<deleteOnTermination>"), 16);
	FINDS(0, "volumeId", "Action=DescribeVolumes&Filter.1.Name=attachment.instance-id&Filter.1.Value.1=i-1*");
	FINDS(17, "volumeId", "Action=DescribeVolumes&Filter.1.Name=attachment.instance-id&Filter.1.Value.1=%s", vm);
	GIVES("deviceName", "/dev/xvdf", "Action=DescribeInstances&Filter.1.Name=block-device-mapping.device-name"
	      "&Filter.1.Value.1=/dev/xvdu");
	srig_end();
}

/* What belongs to volumes is asked for once for all of a page: each must get its own. */
static void test_belongings(void)
{
	json_t *all, *v, *one;
	char other[EBS_ID_MAX];
	struct err err = ERR_INIT;
	size_t i, seen = 0;

	begin();
	ask("Action=CreateVolume&AvailabilityZone=z&Size=1");
	snprintf(other, sizeof(other), "%s", text_in("volumeId"));
	ask("Action=CreateVolume&AvailabilityZone=z&Size=1"); /* has nothing */
	CU_ASSERT_EQUAL(store_write(srig_ebs()->store, put_attachments, vol, &err), 0);
	CU_ASSERT_EQUAL(store_write(srig_ebs()->store, put_lock, other, &err), 0);
	CU_ASSERT_STRING_EQUAL(srig_run("volume-describe", &all, "{}"), "");
	json_array_foreach(json_object_get(all, "volumes"), i, v)
	{
		bool attached = !strcmp(text_of(v, "id"), vol), locked = !strcmp(text_of(v, "id"), other);

		CU_ASSERT_EQUAL(json_array_size(json_object_get(v, "attachments")), attached ? 16 : 0);
		CU_ASSERT_EQUAL(number_of(v, "task"), locked ? 99 : 0);
		CU_ASSERT_EQUAL(json_object_size(json_object_get(v, "tags")), attached);
		CU_ASSERT_PTR_NULL(json_object_get(v, "locks"));
		seen++;
	}
	CU_ASSERT_EQUAL(seen, 3);
	json_decref(all);
	CU_ASSERT_STRING_EQUAL(srig_run("volume-describe", &all, "{s:s}", "volumes", other), "");
	one = json_array_get(json_object_get(all, "volumes"), 0);
	CU_ASSERT_EQUAL(number_of(one, "task"), 99);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(one, "attachments")), 0);
	json_decref(all);
	srig_end();
}

static CU_TestInfo tests[] = {
	{"frame", test_frame},         {"create", test_create},           {"types", test_types},
	{"token", test_token},         {"describe", test_describe},       {"modify", test_modify},
	{"modify_more", test_modify_more}, {"instances", test_instances}, {"snapshots", test_snapshots},
	{"bin", test_bin},             {"tags", test_tags},               {"rights", test_rights},
	{"busy", test_busy},           {"quotas", test_quotas},           {"attachments", test_attachments},
	{"belongings", test_belongings},
	CU_TEST_INFO_NULL,
};

const struct hb_suite suite_ec2 = {"ec2", tests};

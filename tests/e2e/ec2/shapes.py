#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""shapes.py URL KEY SECRET ACTIONS - every action, filter and error code of EC2's protocol, asked through Debian's
botocore; ACTIONS is a file that has their names. Each answer is compared with botocore's shapes. The box has one host
with the VM dry-vm, the zone "here", a recycle bin."""
import re
import sys

from botocore import xform_name
from botocore.exceptions import ClientError
from wire import Box, texts

box = Box(*sys.argv[1:4])
call, refused, same = box.call, box.refused, box.same
NOBODY = "vol-00000000000000000"
NO_SNAPSHOT = "snap-00000000000000000"
NO_VM = "i-00000000000000000"
SPEC = [{"ResourceType": "volume", "Tags": [{"Key": "Name", "Value": "db & <log>"}, {"Key": "env", "Value": "prod"}]}]


def tags(item):
    return {t["Key"]: t["Value"] for t in item["Tags"]}


def state(volume):
    return call("DescribeVolumes", VolumeIds=[volume])["Volumes"][0]["State"]


def found(*filters, **more):
    """Names of the volumes that a filter finds."""
    asked = [{"Name": name, "Values": values} for name, values in filters]
    answer = call("DescribeVolumes", Filters=asked, **more)
    return sorted(tags(v).get("Name", v["VolumeId"]) for v in answer["Volumes"]) if answer else None


def wait(waiter, **arguments):
    try:
        box.client.get_waiter(waiter).wait(WaiterConfig={"Delay": 1, "MaxAttempts": 20}, **arguments)
        box.ok(f"waiter {waiter}")
    except Exception as e:  # pylint: disable=broad-except
        box.bad(f"waiter {waiter}: {e}")


# ---------------------------------------------------------------- around
same("zone", ["here"], [z["ZoneName"] for z in call("DescribeAvailabilityZones")["AvailabilityZones"]])
same("zone by name", 1, len(call("DescribeAvailabilityZones", ZoneNames=["here"])["AvailabilityZones"]))
same("zone by filter", 0, len(call("DescribeAvailabilityZones", Filters=[{"Name": "zone-name", "Values": ["x*"]}])
                              ["AvailabilityZones"]))
same("region", "here", call("DescribeRegions")["Regions"][0]["RegionName"])
same("account", "VPC", call("DescribeAccountAttributes", AttributeNames=["supported-platforms"])
     ["AccountAttributes"][0]["AttributeValues"][0]["AttributeValue"])
refused("InvalidParameterValue", 400, "DescribeAvailabilityZones", ZoneNames=["there"])
refused("InvalidParameterValue", 400, "DescribeRegions", RegionNames=["there"])

instances = call("DescribeInstances")["Reservations"]
vm = instances[0]["Instances"][0]
VM = vm["InstanceId"]
same("a VM is an instance", ("running", 16, "dry-vm", "here"),
     (vm["State"]["Name"], vm["State"]["Code"], tags(vm)["Name"], vm["Placement"]["AvailabilityZone"]))
for name, value in (("instance-id", VM), ("instance-state-name", "run*"), ("instance-state-code", "16"),
                    ("tag:Name", "dry-*"), ("private-dns-name", "dry-vm"), ("availability-zone", "here"),
                    ("tag-key", "Name")):
    same(f"instances by {name}", 1,
         len(call("DescribeInstances", Filters=[{"Name": name, "Values": [value]}])["Reservations"]))
same("instances by what none has", 0,
     len(call("DescribeInstances", Filters=[{"Name": "vpc-id", "Values": ["*"]}])["Reservations"]))
refused("InvalidParameterValue", 400, "DescribeInstances", Filters=[{"Name": "colour", "Values": ["*"]}])
refused("InvalidInstanceID.NotFound", 400, "DescribeInstances", InstanceIds=[NO_VM])
refused("InvalidInstanceID.Malformed", 400, "DescribeInstances", InstanceIds=["dry-vm"])
status = call("DescribeInstanceStatus", InstanceIds=[VM])["InstanceStatuses"][0]
same("instance status", ("ok", "ok"), (status["SystemStatus"]["Status"], status["InstanceStatus"]["Status"]))
same("instance status by filter", 0, len(call("DescribeInstanceStatus", IncludeAllInstances=True, Filters=[
    {"Name": "instance-status.status", "Values": ["impaired"]}])["InstanceStatuses"]))

# ---------------------------------------------------------------- every filter that is documented is known
for action in sorted(n for n in box.model.operation_names if n.startswith("Describe")):
    filters = box.model.operation_model(action).input_shape.members.get("Filters")
    if filters is None or f'"{action}"' not in open(sys.argv[4], encoding="utf-8").read():
        continue
    unknown = []
    for name in re.findall(r"<li>\s*<p>\s*<code>([a-z][A-Za-z.-]*[A-Za-z])</code>", filters.documentation):
        if name == "tag":  # "tag:<key>"
            continue
        try:
            getattr(box.client, xform_name(action))(Filters=[{"Name": name, "Values": ["none"]}])
        except ClientError as e:
            unknown.append(f"{name}: {e}")
    same(f"all filters of {action} are known", [], unknown)

# ---------------------------------------------------------------- volumes: create
v1 = call("CreateVolume", AvailabilityZone="here", Size=8, VolumeType="gp3", Iops=4000, Throughput=250,
          TagSpecifications=SPEC, ClientToken="one")
V1 = v1["VolumeId"]
same("gp3", ("available", 8, 4000, 250, False), (v1["State"], v1["Size"], v1["Iops"], v1["Throughput"],
                                                  v1["Encrypted"]))
same("its tags", {"Name": "db & <log>", "env": "prod"}, tags(v1))
same("the same token", V1, call("CreateVolume", AvailabilityZone="here", Size=8, VolumeType="gp3", Iops=4000,
                                Throughput=250, TagSpecifications=SPEC, ClientToken="one")["VolumeId"])
refused("IdempotentParameterMismatch", 400, "CreateVolume", AvailabilityZone="here", Size=9, VolumeType="gp3",
        Iops=4000, Throughput=250, TagSpecifications=SPEC, ClientToken="one")
v = call("CreateVolume", AvailabilityZone="here", Size=10, VolumeType="gp3")
same("gp3 unless said", (3000, 125), (v["Iops"], v["Throughput"]))
GP3 = v["VolumeId"]
v = call("CreateVolume", AvailabilityZone="here", Size=100)
same("gp2 is the default, its iops by size", ("gp2", 300), (v["VolumeType"], v["Iops"]))
GP2 = v["VolumeId"]
v = call("CreateVolume", AvailabilityZone="here", Size=10, VolumeType="io2", Iops=500, MultiAttachEnabled=True)
same("io2, multi-attach", ("io2", 500, True), (v["VolumeType"], v["Iops"], v["MultiAttachEnabled"]))
IO2 = v["VolumeId"]
v = call("CreateVolume", AvailabilityZone="here", Size=125, VolumeType="st1")
same("st1", ("st1", None), (v["VolumeType"], v.get("Iops")))
ST1 = v["VolumeId"]
call("CreateVolume", AvailabilityZone="here", Size=1, VolumeType="standard")
refused("DryRunOperation", 412, "CreateVolume", AvailabilityZone="here", Size=8, DryRun=True)
for code, wish in (
        ("MissingParameter", {"AvailabilityZone": "here"}),
        ("MissingParameter", {"Size": 1}),
        ("MissingParameter", {"AvailabilityZone": "here", "Size": 10, "VolumeType": "io1"}),
        ("InvalidZone.NotFound", {"AvailabilityZone": "there", "Size": 1}),
        ("UnknownVolumeType", {"AvailabilityZone": "here", "Size": 1, "VolumeType": "gp9"}),
        ("InvalidParameterCombination", {"AvailabilityZone": "here", "Size": 1, "Iops": 300}),
        ("InvalidParameterCombination", {"AvailabilityZone": "here", "Size": 1, "VolumeType": "gp2",
                                         "Throughput": 200}),
        ("InvalidParameterCombination", {"AvailabilityZone": "here", "Size": 1, "VolumeType": "gp3",
                                         "MultiAttachEnabled": True}),
        ("InvalidParameterValue", {"AvailabilityZone": "here", "Size": 8, "VolumeType": "gp3", "Iops": 2999}),
        ("InvalidParameterValue", {"AvailabilityZone": "here", "Size": 1, "VolumeType": "gp3", "Iops": 80000}),
        ("InvalidParameterValue", {"AvailabilityZone": "here", "Size": 1, "VolumeType": "gp3", "Iops": 3000,
                                   "Throughput": 1000}),
        ("InvalidParameterValue", {"AvailabilityZone": "here", "Size": 8, "VolumeType": "gp3", "Throughput": 124}),
        ("InvalidParameterValue", {"AvailabilityZone": "here", "Size": 10, "VolumeType": "io1", "Iops": 501}),
        ("InvalidParameterValue", {"AvailabilityZone": "here", "Size": 124, "VolumeType": "st1"}),
        ("InvalidParameterValue", {"AvailabilityZone": "here", "Size": 20000, "VolumeType": "gp2"}),
        ("InvalidParameterValue", {"AvailabilityZone": "here", "Size": -1}),
        ("InvalidParameterValue", {"AvailabilityZone": "here", "Size": 1, "ClientToken": "x" * 65}),
        ("InvalidParameterValue", {"AvailabilityZone": "here", "SnapshotId": "snap-x"}),
        ("InvalidSnapshot.NotFound", {"AvailabilityZone": "here", "SnapshotId": NO_SNAPSHOT}),
        ("InvalidSnapshot.NotFound", {"AvailabilityZone": "here", "Size": 5, "SnapshotId": "snap-12345678"}),
        ("InvalidParameterDependency", {"AvailabilityZone": "here", "Size": 1, "KmsKeyId": "x"}),
        ("UnsupportedOperation", {"AvailabilityZone": "here", "Size": 1, "Encrypted": True}),
        ("UnsupportedOperation", {"AvailabilityZone": "here", "Size": 1, "OutpostArn": "arn:x"}),
        ("InvalidParameterValue", {"AvailabilityZone": "here", "Size": 1, "TagSpecifications": [
            {"ResourceType": "snapshot", "Tags": []}]}),
        ("InvalidParameterValue", {"AvailabilityZone": "here", "Size": 1, "TagSpecifications": [
            {"ResourceType": "volume", "Tags": [{"Key": "aws:x", "Value": "y"}]}]}),
        ("TagLimitExceeded", {"AvailabilityZone": "here", "Size": 1, "TagSpecifications": [
            {"ResourceType": "volume", "Tags": [{"Key": f"k{i}", "Value": "y"} for i in range(51)]}]})):
    refused(code, 400, "CreateVolume", **wish)

# ---------------------------------------------------------------- volumes: describe
same("all volumes", 6, len(call("DescribeVolumes")["Volumes"]))
same("by id", ["db & <log>"], found(VolumeIds=[V1]))
same("by ids and filters", [], found(("size", ["9"]), VolumeIds=[V1]))
for name, values, wanted in (
        ("volume-id", [V1], 1), ("status", ["available", "in-use"], 6), ("status", ["in-use"], 0), ("size", ["8"], 1),
        ("size", ["1*"], 5), ("size", ["10?"], 1), ("volume-type", ["gp3"], 2), ("volume-type", ["gp?"], 3),
        ("tag:Name", ["db*"], 1), ("tag:Name", ["db & <log>"], 1), ("tag:Name", ["db"], 0), ("tag-key", ["env"], 1),
        ("availability-zone", ["here"], 6), ("availability-zone", ["there"], 0), ("encrypted", ["false"], 6),
        ("encrypted", ["true"], 0), ("multi-attach-enabled", ["true"], 1), ("snapshot-id", ["snap-*"], 0),
        ("create-time", ["20*Z"], 6), ("attachment.status", ["attached"], 0), ("attachment.instance-id", ["*"], 0),
        ("operator.managed", ["true"], 0), ("fast-restored", ["true"], 0)):
    same(f"filter {name}={values}", wanted, len(found((name, values)) or []))
same("two filters", ["db & <log>"], found(("volume-type", ["gp3"]), ("size", ["8"])))
same("the same filter twice is both", ["db & <log>"], found(("size", ["8", "10"]), ("size", ["8"])))
refused("InvalidParameterValue", 400, "DescribeVolumes", Filters=[{"Name": "colour", "Values": ["red"]}])
refused("InvalidParameterValue", 400, "DescribeVolumes", Filters=[{"Name": "size"}])
refused("FilterLimitExceeded", 400, "DescribeVolumes", Filters=[{"Name": "size", "Values": ["1"] * 201}])
refused("InvalidVolume.NotFound", 400, "DescribeVolumes", VolumeIds=[V1, NOBODY])
refused("InvalidParameterValue", 400, "DescribeVolumes", VolumeIds=["db"])
refused("InvalidParameterCombination", 400, "DescribeVolumes", VolumeIds=[V1], MaxResults=5)
refused("InvalidParameterCombination", 400, "DescribeVolumes", VolumeIds=[V1], NextToken="x")
refused("InvalidParameterValue", 400, "DescribeVolumes", NextToken="x")
refused("InvalidParameterValue", 400, "DescribeVolumes", MaxResults=0)
refused("DryRunOperation", 412, "DescribeVolumes", DryRun=True)
page = call("DescribeVolumes", MaxResults=4)
rest = call("DescribeVolumes", MaxResults=4, NextToken=page["NextToken"])
same("pages", (4, 2, None, 6), (len(page["Volumes"]), len(rest["Volumes"]), rest.get("NextToken"),
                                len({v["VolumeId"] for v in page["Volumes"] + rest["Volumes"]})))
page = call("DescribeVolumes", MaxResults=2, Filters=[{"Name": "size", "Values": ["10", "100", "125"]}])
same("a page is full, whatever the filter leaves out", 2, len(page["Volumes"]))
pages = box.client.get_paginator("describe_volumes").paginate(PaginationConfig={"PageSize": 1})
same("botocore's paginator", 6, sum(len(p["Volumes"]) for p in pages))
wait("volume_available", VolumeIds=[V1, GP2])

# ---------------------------------------------------------------- modify
m = call("ModifyVolume", VolumeId=V1, Size=16, Iops=5000)["VolumeModification"]
same("modified", ("completed", 8, 16, 4000, 5000, 250, 250),
     (m["ModificationState"], m["OriginalSize"], m["TargetSize"], m["OriginalIops"], m["TargetIops"],
      m["OriginalThroughput"], m["TargetThroughput"]))
m = call("ModifyVolume", VolumeId=GP2, VolumeType="gp3")["VolumeModification"]
same("gp2 to gp3", ("gp2", "gp3", 3000, 125), (m["OriginalVolumeType"], m["TargetVolumeType"], m["TargetIops"],
                                               m["TargetThroughput"]))
m = call("ModifyVolume", VolumeId=ST1, VolumeType="gp2")["VolumeModification"]
same("st1 to gp2", 375, m["TargetIops"])
m = call("ModifyVolume", VolumeId=ST1, Size=200)["VolumeModification"]
same("gp2 grows, and its iops", (375, 600), (m["OriginalIops"], m["TargetIops"]))
for code, wish in (("InvalidParameterValue", {"VolumeId": V1, "Size": 8}),
                   ("MissingParameter", {"VolumeId": V1}),
                   ("InvalidParameterCombination", {"VolumeId": ST1, "Iops": 500}),
                   ("InvalidParameterValue", {"VolumeId": V1, "Iops": 100000}),
                   ("UnsupportedOperation", {"VolumeId": V1, "MultiAttachEnabled": True}),
                   ("UnknownVolumeType", {"VolumeId": V1, "VolumeType": "x"}),
                   ("MissingParameter", {"Size": 1}),
                   ("InvalidVolume.NotFound", {"VolumeId": NOBODY, "Size": 9})):
    refused(code, 400, "ModifyVolume", **wish)
refused("DryRunOperation", 412, "ModifyVolume", VolumeId=V1, Size=20, DryRun=True)
for name, value, wanted in (("volume-id", V1, 1), ("modification-state", "completed", 3), ("target-size", "16", 1),
                            ("original-volume-type", "gp2", 2), ("target-iops", "5000", 1), ("start-time", "20*", 3),
                            ("originalMultiAttachEnabled", "true", 0)):
    same(f"modifications by {name}", wanted, len(call("DescribeVolumesModifications", Filters=[
        {"Name": name, "Values": [value]}])["VolumesModifications"]))
same("modifications by id", 16, call("DescribeVolumesModifications", VolumeIds=[V1])["VolumesModifications"][0]
     ["TargetSize"])
refused("InvalidVolumeModification.NotFound", 400, "DescribeVolumesModifications", VolumeIds=[IO2])
refused("InvalidVolume.NotFound", 400, "DescribeVolumesModifications", VolumeIds=[NOBODY])

# ---------------------------------------------------------------- attributes
same("attribute", True, call("DescribeVolumeAttribute", VolumeId=V1, Attribute="autoEnableIO")["AutoEnableIO"]["Value"])
same("product codes", [], call("DescribeVolumeAttribute", VolumeId=V1, Attribute="productCodes")["ProductCodes"])
refused("InvalidParameterValue", 400, "DescribeVolumeAttribute", VolumeId=V1, Attribute="colour")
refused("InvalidVolume.NotFound", 400, "DescribeVolumeAttribute", VolumeId=NOBODY, Attribute="productCodes")
call("ModifyVolumeAttribute", VolumeId=V1, AutoEnableIO={"Value": True})
call("EnableVolumeIO", VolumeId=V1)
refused("InvalidVolume.NotFound", 400, "EnableVolumeIO", VolumeId=NOBODY)
refused("DryRunOperation", 412, "EnableVolumeIO", VolumeId=V1, DryRun=True)

# ---------------------------------------------------------------- attach, detach
a = call("AttachVolume", VolumeId=V1, InstanceId=VM, Device="/dev/sdf")
same("attached", (V1, VM, "/dev/sdf", "attached"), (a["VolumeId"], a["InstanceId"], a["Device"], a["State"]))
wait("volume_in_use", VolumeIds=[V1])
a = call("DescribeVolumes", VolumeIds=[V1])["Volumes"][0]["Attachments"]
same("shown", [("/dev/sdf", VM, "attached")], [(x["Device"], x["InstanceId"], x["State"]) for x in a])
for name, value in (("attachment.device", "/dev/sdf"), ("attachment.instance-id", VM),
                    ("attachment.status", "attached"),
                    ("attachment.attach-time", "20*"), ("attachment.delete-on-termination", "false"),
                    ("status", "in-use")):
    same(f"by {name}", ["db & <log>"], found((name, [value])))
vm = call("DescribeInstances", InstanceIds=[VM])["Reservations"][0]["Instances"][0]
same("the instance has it", [("/dev/sdf", V1, "attached")],
     [(b["DeviceName"], b["Ebs"]["VolumeId"], b["Ebs"]["Status"]) for b in vm["BlockDeviceMappings"]])
same("instances by their volume", 1, len(call("DescribeInstances", Filters=[
    {"Name": "block-device-mapping.volume-id", "Values": [V1]}])["Reservations"]))
refused("VolumeInUse", 400, "AttachVolume", VolumeId=V1, InstanceId=VM, Device="/dev/sdg")
refused("VolumeInUse", 400, "DeleteVolume", VolumeId=V1)
said = refused("InvalidParameterValue", 400, "AttachVolume", VolumeId=GP3, InstanceId=VM, Device="/dev/sdf")
same("CSI drivers look for this", True, "already in use" in said)
refused("InvalidParameterValue", 400, "AttachVolume", VolumeId=GP3, InstanceId=VM, Device="/dev/nonsense")
refused("InvalidInstanceID.NotFound", 400, "AttachVolume", VolumeId=GP3, InstanceId=NO_VM, Device="/dev/sdh")
refused("InvalidInstanceID.Malformed", 400, "AttachVolume", VolumeId=GP3, InstanceId="dry-vm", Device="/dev/sdh")
refused("InvalidVolume.NotFound", 400, "AttachVolume", VolumeId=NOBODY, InstanceId=VM, Device="/dev/sdh")
refused("MissingParameter", 400, "AttachVolume", VolumeId=GP3, InstanceId=VM)
refused("DryRunOperation", 412, "AttachVolume", VolumeId=GP3, InstanceId=VM, Device="/dev/sdh", DryRun=True)
call("AttachVolume", VolumeId=GP3, InstanceId=VM, Device="xvdh")
m = call("ModifyVolume", VolumeId=V1, Size=17)["VolumeModification"]
same("grown in use", 17, m["TargetSize"])
refused("InvalidAttachment.NotFound", 400, "DetachVolume", VolumeId=V1, InstanceId=NO_VM)
refused("InvalidAttachment.NotFound", 400, "DetachVolume", VolumeId=V1, Device="/dev/sdz")
said = refused("IncorrectState", 400, "DetachVolume", VolumeId=IO2)
same("Terraform looks for this", True, "'available'" in said)
refused("InvalidVolume.NotFound", 400, "DetachVolume", VolumeId=NOBODY)

# ---------------------------------------------------------------- snapshots
SNAP_SPEC = [{"ResourceType": "snapshot", "Tags": [{"Key": "Name", "Value": "nightly"}]}]
s1 = call("CreateSnapshot", VolumeId=V1, Description="of <the> night & day", TagSpecifications=SNAP_SPEC)
S1 = s1["SnapshotId"]
same("snapshot", ("completed", "100%", 17, V1, "of <the> night & day", "nightly"),
     (s1["State"], s1["Progress"], s1["VolumeSize"], s1["VolumeId"], s1["Description"], tags(s1)["Name"]))
wait("snapshot_completed", SnapshotIds=[S1])
group = call("CreateSnapshots", InstanceSpecification={"InstanceId": VM}, Description="grp",
             CopyTagsFromSource="volume", TagSpecifications=[{"ResourceType": "snapshot", "Tags": [
                 {"Key": "grp", "Value": "1"}]}])["Snapshots"]
same("a group", sorted([V1, GP3]), sorted(s["VolumeId"] for s in group))
same("its tags", ["1", "1"], [tags(s)["grp"] for s in group])
same("all but one", [V1], [s["VolumeId"] for s in call("CreateSnapshots", InstanceSpecification={
    "InstanceId": VM, "ExcludeBootVolume": True, "ExcludeDataVolumeIds": [GP3]})["Snapshots"]])
refused("InvalidParameterValue", 400, "CreateSnapshots", InstanceSpecification={
    "InstanceId": VM, "ExcludeDataVolumeIds": [GP3, V1]})
refused("InvalidInstanceID.NotFound", 400, "CreateSnapshots", InstanceSpecification={"InstanceId": NO_VM})
refused("DryRunOperation", 412, "CreateSnapshots", InstanceSpecification={"InstanceId": VM}, DryRun=True)
refused("InvalidVolume.NotFound", 400, "CreateSnapshot", VolumeId=NOBODY)
refused("DryRunOperation", 412, "CreateSnapshot", VolumeId=V1, DryRun=True)
same("all snapshots", 4, len(call("DescribeSnapshots", OwnerIds=["self"])["Snapshots"]))
same("others have none", 0, len(call("DescribeSnapshots", OwnerIds=["amazon"])["Snapshots"]))
for name, value, wanted in (
        ("snapshot-id", S1, 1), ("volume-id", V1, 3), ("volume-size", "17", 3), ("status", "completed", 4),
        ("status", "pending", 0), ("progress", "100%", 4), ("description", "grp", 2), ("tag:Name", "night*", 1),
        ("tag-key", "grp", 2), ("owner-id", "000000000000", 4), ("owner-alias", "amazon", 0), ("encrypted", "false", 4),
        ("start-time", "20*", 4), ("storage-tier", "standard", 4)):
    same(f"snapshots by {name}", wanted, len(call("DescribeSnapshots", Filters=[
        {"Name": name, "Values": [value]}])["Snapshots"]))
refused("InvalidSnapshot.NotFound", 400, "DescribeSnapshots", SnapshotIds=[NO_SNAPSHOT])
refused("InvalidParameterValue", 400, "DescribeSnapshots", SnapshotIds=["nightly"])
page = call("DescribeSnapshots", MaxResults=3)
same("pages of snapshots", 1, len(call("DescribeSnapshots", NextToken=page["NextToken"])["Snapshots"]))
same("permissions", [], call("DescribeSnapshotAttribute", SnapshotId=S1, Attribute="createVolumePermission")
     ["CreateVolumePermissions"])
same("product codes", [], call("DescribeSnapshotAttribute", SnapshotId=S1, Attribute="productCodes")["ProductCodes"])
v = call("CreateVolume", AvailabilityZone="here", SnapshotId=S1, VolumeType="gp3")
CLONE = v["VolumeId"]
same("from a snapshot", (17, S1), (v["Size"], v["SnapshotId"]))
same("by its snapshot", [CLONE], found(("snapshot-id", [S1])))
refused("InvalidParameterValue", 400, "CreateVolume", AvailabilityZone="here", SnapshotId=S1, Size=5)
same("larger than its snapshot", 20, call("CreateVolume", AvailabilityZone="here", SnapshotId=S1, Size=20)["Size"])

# ---------------------------------------------------------------- fast restore
fast = call("DescribeFastSnapshotRestores", Filters=[{"Name": "state", "Values": ["enabled"]}])["FastSnapshotRestores"]
same("every snapshot is restored fast", 4, len(fast))
done = call("EnableFastSnapshotRestores", AvailabilityZones=["here"], SourceSnapshotIds=[S1])
same("enabled", "enabled", done["Successful"][0]["State"])
done = call("DisableFastSnapshotRestores", AvailabilityZones=["here"], SourceSnapshotIds=[S1])
same("cannot be disabled", (0, "UnsupportedOperation"), (len(done["Successful"]), done["Unsuccessful"][0][
    "FastSnapshotRestoreStateErrors"][0]["Error"]["Code"]))
refused("InvalidZone.NotFound", 400, "EnableFastSnapshotRestores", AvailabilityZones=["there"], SourceSnapshotIds=[S1])
refused("InvalidSnapshot.NotFound", 400, "EnableFastSnapshotRestores", AvailabilityZones=["here"],
        SourceSnapshotIds=[NO_SNAPSHOT])

# ---------------------------------------------------------------- tags
call("CreateTags", Resources=[V1, S1, VM], Tags=[{"Key": "team", "Value": "<red>"}, {"Key": "e", "Value": ""}])
t = call("DescribeTags", Filters=[{"Name": "key", "Values": ["team"]}])["Tags"]
same("kinds", ["instance", "snapshot", "volume"], sorted(x["ResourceType"] for x in t))
for name, value, wanted in (("resource-id", V1, 4), ("resource-type", "snapshot", 7), ("value", "<red>", 3),
                            ("key", "t*", 3), ("tag:team", "<red>", 3), ("tag:e", "<red>", 0)):
    same(f"tags by {name}", wanted, len(call("DescribeTags", Filters=[{"Name": name, "Values": [value]}])["Tags"]))
call("DeleteTags", Resources=[V1, S1], Tags=[{"Key": "team", "Value": "other"}])
same("another value is left alone", 3, len(call("DescribeTags", Filters=[{"Name": "key", "Values": ["team"]}])["Tags"]))
call("DeleteTags", Resources=[V1, S1], Tags=[{"Key": "team"}, {"Key": "e", "Value": ""}])
same("the rest is gone", [VM], [x["ResourceId"] for x in call("DescribeTags", Filters=[
    {"Name": "key", "Values": ["team"]}])["Tags"]])
call("DeleteTags", Resources=[VM])
refused("InvalidVolume.NotFound", 400, "CreateTags", Resources=[NOBODY], Tags=[{"Key": "a", "Value": "b"}])
refused("InvalidVolume.NotFound", 400, "DeleteTags", Resources=[NOBODY], Tags=[{"Key": "a"}])
refused("InvalidID", 400, "CreateTags", Resources=["db"], Tags=[{"Key": "a", "Value": "b"}])
refused("MissingParameter", 400, "CreateTags", Resources=[V1])
refused("DryRunOperation", 412, "CreateTags", Resources=[V1], Tags=[{"Key": "a", "Value": "b"}], DryRun=True)
refused("DryRunOperation", 412, "DeleteTags", Resources=[V1], Tags=[{"Key": "a"}], DryRun=True)

# ---------------------------------------------------------------- detach, delete
d = call("DetachVolume", VolumeId=V1, InstanceId=VM, Device="/dev/sdf")
same("detached", ("/dev/sdf", VM, "detached"), (d["Device"], d["InstanceId"], d["State"]))
call("DetachVolume", VolumeId=GP3, Force=True)
wait("volume_available", VolumeIds=[V1, GP3])
for i, device in enumerate(("/dev/sdi", "/dev/sdj")):
    if not i:
        call("AttachVolume", VolumeId=IO2, InstanceId=VM, Device=device)
call("DetachVolume", VolumeId=IO2)
call("DeleteSnapshot", SnapshotId=group[0]["SnapshotId"])
refused("InvalidSnapshot.NotFound", 400, "DeleteSnapshot", SnapshotId=group[0]["SnapshotId"])
refused("InvalidSnapshot.NotFound", 400, "CreateVolume", AvailabilityZone="here", Size=20,
        SnapshotId=group[0]["SnapshotId"])
same("not listed", 3, len(call("DescribeSnapshots")["Snapshots"]))
refused("DryRunOperation", 412, "DeleteVolume", VolumeId=CLONE, DryRun=True)
call("DeleteVolume", VolumeId=CLONE)
wait("volume_deleted", VolumeIds=[CLONE])
for action, more in (("DeleteVolume", {}), ("ModifyVolume", {"Size": 99}), ("CreateSnapshot", {}), ("DetachVolume", {}),
                     ("AttachVolume", {"InstanceId": VM, "Device": "/dev/sdk"}), ("EnableVolumeIO", {})):
    refused("InvalidVolume.NotFound", 400, action, VolumeId=CLONE, **more)
call("DeleteVolume", VolumeId=V1)
refused("IdempotentParameterMismatch", 400, "CreateVolume", AvailabilityZone="here", Size=8, VolumeType="gp3",
        Iops=4000, Throughput=250, TagSpecifications=SPEC, ClientToken="one")

# ---------------------------------------------------------------- status
same("all is well", {"ok"}, {v["VolumeStatus"]["Status"] for v in call("DescribeVolumeStatus")["VolumeStatuses"]})
v = call("DescribeVolumeStatus", VolumeIds=[GP3])["VolumeStatuses"][0]
same("its I/O", {"io-enabled": "passed", "io-performance": "normal"},
     {d["Name"]: d["Status"] for d in v["VolumeStatus"]["Details"]})
for name, value, wanted in (("volume-status.status", "impaired", 0), ("volume-status.details-name", "io-enabled", 6),
                            ("volume-status.details-status", "failed", 0), ("availability-zone", "here", 6)):
    same(f"status by {name}", wanted, len(call("DescribeVolumeStatus", Filters=[{"Name": name, "Values": [value]}])
                                          ["VolumeStatuses"]))
refused("InvalidVolume.NotFound", 400, "DescribeVolumeStatus", VolumeIds=[V1])

# ---------------------------------------------------------------- copies
c = call("CopySnapshot", SourceRegion="here", SourceSnapshotId=S1, Description="again", TagSpecifications=SNAP_SPEC)
COPY = c["SnapshotId"]
same("a copy", ("nightly", "again"), (tags(c)["Name"], call("DescribeSnapshots", SnapshotIds=[COPY])["Snapshots"][0]
                                      ["Description"]))
refused("InvalidSnapshot.NotFound", 400, "CopySnapshot", SourceRegion="here", SourceSnapshotId=NO_SNAPSHOT)
refused("UnsupportedOperation", 400, "CopySnapshot", SourceRegion="here", SourceSnapshotId=S1, Encrypted=True)
refused("DryRunOperation", 412, "CopySnapshot", SourceRegion="here", SourceSnapshotId=S1, DryRun=True)

# ---------------------------------------------------------------- the bin, locks: younger than Debian's botocore
BIN_VOLUMES = {"volumeSet": [{
    "volumeId": "string", "volumeType": "standard|io1|io2|gp2|sc1|st1|gp3", "state": "string", "size": "integer",
    "iops": "integer", "throughput": "integer", "availabilityZone": "string", "snapshotId": "string",
    "createTime": "timestamp", "recycleBinEnterTime": "timestamp", "recycleBinExitTime": "timestamp"}],
    "nextToken": "string"}
LOCK = {"ownerId": "string", "snapshotId": "string",
        "lockState": "compliance|governance|compliance-cooloff|expired", "lockDuration": "integer",
        "coolOffPeriod": "integer", "coolOffPeriodExpiresOn": "timestamp", "lockCreatedOn": "timestamp",
        "lockDurationStartTime": "timestamp", "lockExpiresOn": "timestamp"}
raw, raw_refused = box.raw_call, box.raw_refused


def form(action, **more):
    return {"Action": action, "Version": "2016-11-15", **more}


same("the bin has what was deleted", sorted([CLONE, V1]),
     sorted(texts(raw("ListVolumesInRecycleBin", BIN_VOLUMES), "volumeSet/item/volumeId")))
same("one of them", [V1], texts(raw("ListVolumesInRecycleBin", BIN_VOLUMES, **{"VolumeId.1": V1}),
                                "volumeSet/item/volumeId"))
same("a page of it", 1, len(texts(raw("ListVolumesInRecycleBin", BIN_VOLUMES, MaxResults="1"),
                                  "volumeSet/item/volumeId")))
raw_refused("InvalidVolume.NotFound", 400, form("ListVolumesInRecycleBin", **{"VolumeId.1": GP3}))
raw_refused("DryRunOperation", 412, form("RestoreVolumeFromRecycleBin", VolumeId=V1, DryRun="true"))
same("restored", ["true"], texts(raw("RestoreVolumeFromRecycleBin", {"return": "boolean"}, VolumeId=V1), "return"))
same("is there again", "available", state(V1))
raw_refused("IncorrectState", 400, form("RestoreVolumeFromRecycleBin", VolumeId=V1))
raw_refused("InvalidVolume.NotFound", 400, form("RestoreVolumeFromRecycleBin", VolumeId=NOBODY))
answer = call("ListSnapshotsInRecycleBin")
BINNED = group[0]["SnapshotId"]
same("snapshots in the bin", [BINNED], [s["SnapshotId"] for s in answer["Snapshots"]])
refused("InvalidSnapshot.NotFound", 400, "ListSnapshotsInRecycleBin", SnapshotIds=[S1])
same("a snapshot restored", (BINNED, "completed"), (lambda s: (s["SnapshotId"], s.get("State", "completed")))(
    call("RestoreSnapshotFromRecycleBin", SnapshotId=BINNED)))
refused("InvalidSnapshot.NotFound", 400, "RestoreSnapshotFromRecycleBin", SnapshotId=NO_SNAPSHOT)

root = raw("LockSnapshot", LOCK, SnapshotId=S1, LockMode="governance", LockDuration="3")
same("locked", (["governance"], ["3"]), (texts(root, "lockState"), texts(root, "lockDuration")))
refused("InvalidSnapshot.InUse", 400, "DeleteSnapshot", SnapshotId=S1)
root = raw("LockSnapshot", LOCK, SnapshotId=COPY, LockMode="compliance", CoolOffPeriod="2",
           ExpirationDate="2099-01-02T03:04:05Z")
same("cooling off", (["compliance-cooloff"], ["2"]), (texts(root, "lockState"), texts(root, "coolOffPeriod")))
LOCKED = {"snapshotSet": [LOCK], "nextToken": "string"}
same("those that are locked", sorted([S1, COPY]), sorted(texts(raw("DescribeLockedSnapshots", LOCKED),
                                                               "snapshotSet/item/snapshotId")))
same("by their state", [S1], texts(raw("DescribeLockedSnapshots", LOCKED, **{
    "Filter.1.Name": "lock-state", "Filter.1.Value.1": "governance"}), "snapshotSet/item/snapshotId"))
same("by their ids", [COPY], texts(raw("DescribeLockedSnapshots", LOCKED, **{
    "SnapshotId.1": COPY, "SnapshotId.2": BINNED}), "snapshotSet/item/snapshotId"))
raw_refused("MissingParameter", 400, form("LockSnapshot", SnapshotId=S1, LockDuration="3"))
raw_refused("MissingParameter", 400, form("LockSnapshot", SnapshotId=S1, LockMode="governance"))
raw_refused("InvalidParameterValue", 400, form("LockSnapshot", SnapshotId=S1, LockMode="some", LockDuration="3"))
raw_refused("InvalidParameterValue", 400, form("LockSnapshot", SnapshotId=S1, LockMode="governance",
                                               LockDuration="36501"))
raw_refused("InvalidParameterValue", 400, form("LockSnapshot", SnapshotId=S1, LockMode="governance",
                                               ExpirationDate="tomorrow"))
raw_refused("InvalidSnapshot.NotFound", 400, form("UnlockSnapshot", SnapshotId=NO_SNAPSHOT))
raw_refused("DryRunOperation", 412, form("UnlockSnapshot", SnapshotId=S1, DryRun="true"))
same("unlocked", [S1], texts(raw("UnlockSnapshot", {"snapshotId": "string"}, SnapshotId=S1), "snapshotId"))
raw("UnlockSnapshot", {"snapshotId": "string"}, SnapshotId=COPY)
call("DeleteSnapshot", SnapshotId=S1)
call("DeleteVolume", VolumeId=V1)

# ---------------------------------------------------------------- what no client sends
ask = {"Action": "DescribeVolumes", "Version": "2016-11-15"}
status, body = box.raw(ask, method="GET")
same("GET", 200, status)
same("an older Version is echoed", True, b"/doc/2014-10-01/" in box.raw({**ask, "Version": "2014-10-01"})[1])
same("no Version", 200, box.raw({"Action": "DescribeVolumes"})[0])
for code, form in (("InvalidAction", {"Action": "RunInstances", "Version": "2016-11-15"}),
                   ("MissingAction", {"Version": "2016-11-15"}),
                   ("NoSuchVersion", {**ask, "Version": "x"}),
                   ("UnknownParameter", {**ask, "Colour": "red"}),
                   ("UnknownParameter", {**ask, "Colour.1": "red"}),
                   ("InvalidParameterValue", {**ask, "VolumeId.2": GP3}),
                   ("InvalidParameterValue", {**ask, "VolumeId.0": GP3}),
                   ("InvalidParameterValue", {**ask, "VolumeId.01": GP3}),
                   ("InvalidParameterValue", {**ask, "VolumeId": GP3}),
                   ("InvalidParameterValue", {**ask, "DryRun": "perhaps"}),
                   ("MalformedQueryString", "Action=DescribeVolumes&Action=DescribeVolumes"),
                   ("MalformedQueryString", "Action=DescribeVolumes&A=1&A.1=2"),
                   ("MalformedQueryString", "Action=Describe%00Volumes"),
                   ("MalformedQueryString", "Action=%zz"),
                   ("MalformedQueryString", "Action=%ff%fe"),
                   ("MalformedQueryString", "Action=X&" + "a.b.c.d.e.f.g.h.i.j=1"),
                   ("MalformedQueryString", "&".join(f"P.{i}=1" for i in range(9000)))):
    box.raw_refused(code, 400, form)
box.raw_refused("MissingAuthenticationToken", 403, ask, sign=False)
box.raw_refused("SignatureDoesNotMatch", 403, ask, service="s3")
box.raw_refused("RequestExpired", 400, ask, age_s=4000)
good = box.credentials.secret_key
box.credentials.secret_key = "x" * 40
box.raw_refused("SignatureDoesNotMatch", 403, ask)
box.credentials.secret_key = good

box.end()

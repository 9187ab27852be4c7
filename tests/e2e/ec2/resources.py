# SPDX-License-Identifier: GPL-2.0-only
"""resources.py URL VM - what programs do with boto3: volumes and snapshots as objects, waiters, paginators,
collections. The key is AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; the box has the VM and the zone "here"."""
import os
import sys

import boto3
from botocore.exceptions import ClientError
from wire import Box

URL, VM = sys.argv[1:3]
box = Box(URL, os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
session = boto3.Session(botocore_session=box.session, region_name="here")
ec2 = session.resource("ec2", endpoint_url=URL)
client = ec2.meta.client
same = box.same
MINE = [{"Name": "tag:by", "Values": ["boto3"]}]


def tagged(kind, name):
    return [{"ResourceType": kind, "Tags": [{"Key": "Name", "Value": name}, {"Key": "by", "Value": "boto3"}]}]


def dictionary(tags):
    return {t["Key"]: t["Value"] for t in tags or []}


def code_of(what):
    try:
        what()
    except ClientError as e:
        return e.response["Error"]["Code"]
    return "nothing"


# ---------------------------------------------------------------- a volume's life
volume = ec2.create_volume(AvailabilityZone="here", Size=4, VolumeType="gp3", TagSpecifications=tagged("volume", "one"))
client.get_waiter("volume_available").wait(VolumeIds=[volume.id])
volume.reload()
same("a volume's attributes", ("available", 4, "gp3", 3000, "here", False, []),
     (volume.state, volume.size, volume.volume_type, volume.iops, volume.availability_zone, volume.encrypted,
      volume.attachments))
same("its tags", {"Name": "one", "by": "boto3"}, dictionary(volume.tags))
same("when it was made has a zone of time", True, volume.create_time.tzinfo is not None)
volume.create_tags(Tags=[{"Key": "env", "Value": "<test> & ü"}])
volume.reload()
same("a tag more", "<test> & ü", dictionary(volume.tags)["env"])
same("attached", "attached", volume.attach_to_instance(Device="/dev/sdh", InstanceId=VM)["State"])
client.get_waiter("volume_in_use").wait(VolumeIds=[volume.id])
volume.reload()
same("its attachment", [(VM, "/dev/sdh", "attached")],
     [(a["InstanceId"], a["Device"], a["State"]) for a in volume.attachments])
instance = ec2.Instance(VM)
same("of the instance's volumes", [volume.id], [v.id for v in instance.volumes.all()])
same("of its block devices", [("/dev/sdh", volume.id)],
     [(d["DeviceName"], d["Ebs"]["VolumeId"]) for d in instance.block_device_mappings])
same("in use, it is not deleted", "VolumeInUse", code_of(volume.delete))
client.modify_volume(VolumeId=volume.id, Size=6)
volume.reload()
same("grown", 6, volume.size)

snapshot = volume.create_snapshot(Description="by boto3", TagSpecifications=tagged("snapshot", "one"))
snapshot.wait_until_completed()
snapshot.reload()
same("a snapshot's attributes", ("completed", "100%", volume.id, 6, "by boto3"),
     (snapshot.state, snapshot.progress, snapshot.volume_id, snapshot.volume_size, snapshot.description))
same("of the volume's snapshots", [snapshot.id], [s.id for s in volume.snapshots.all()])
same("whose volume is that", volume.id, snapshot.volume.id)
copy = ec2.create_volume(AvailabilityZone="here", SnapshotId=snapshot.id, TagSpecifications=tagged("volume", "copy"))
client.get_waiter("volume_available").wait(VolumeIds=[copy.id])
same("a volume of the snapshot", (snapshot.id, 6, "gp2"), (copy.snapshot_id, copy.size, copy.volume_type))
same("detached", VM, volume.detach_from_instance(InstanceId=VM, Device="/dev/sdh")["InstanceId"])
client.get_waiter("volume_available").wait(VolumeIds=[volume.id])
same("dry runs", "DryRunOperation", code_of(lambda: volume.delete(DryRun=True)))

# ---------------------------------------------------------------- collections, paginators
for i in range(23):
    ec2.create_volume(AvailabilityZone="here", Size=1, TagSpecifications=tagged("volume", f"many-{i:02}"))
same("a collection, filtered", 25, len(list(ec2.volumes.filter(Filters=MINE))))
same("its first ones", 3, len(list(ec2.volumes.filter(Filters=MINE).limit(3))))
same("page by page, of 5", 25, len({v.id for v in ec2.volumes.filter(Filters=MINE).page_size(5)}))
same("pages", [5, 5, 5, 5, 5], [len(page) for page in ec2.volumes.filter(Filters=MINE).page_size(5).pages()][:5])
same("two filters", ["many-07"], [dictionary(v.tags)["Name"] for v in ec2.volumes.filter(
    Filters=MINE + [{"Name": "tag:Name", "Values": ["many-?7"]}, {"Name": "size", "Values": ["1"]}])
    if dictionary(v.tags)["Name"] < "many-10"])
same("by ids", 2, len(list(ec2.volumes.filter(VolumeIds=[volume.id, copy.id]))))
same("own snapshots", [snapshot.id], [s.id for s in ec2.snapshots.filter(OwnerIds=["self"], Filters=MINE)])
pages = client.get_paginator("describe_volumes").paginate(Filters=MINE, PaginationConfig={"PageSize": 10})
same("a paginator's pages", [10, 10, 5], [len(page["Volumes"]) for page in pages])
whole = client.get_paginator("describe_volumes").paginate(
    Filters=MINE, PaginationConfig={"PageSize": 10, "MaxItems": 12}).build_full_result()
same("a paginator stops, and says where", (12, True), (len(whole["Volumes"]), bool(whole.get("NextToken"))))
pages = client.get_paginator("describe_volumes").paginate(Filters=MINE, PaginationConfig={"PageSize": 10})
same("what it looks for in pages", 23, len(list(pages.search("Volumes[?Size==`1`].VolumeId"))))
same("tags, page by page", 25, len(client.get_paginator("describe_tags").paginate(
    Filters=[{"Name": "key", "Values": ["by"]}, {"Name": "resource-type", "Values": ["volume"]}],
    PaginationConfig={"PageSize": 7}).build_full_result()["Tags"]))

# ---------------------------------------------------------------- the end of it
snapshot.delete()
gone = [v.id for v in ec2.volumes.filter(Filters=MINE)]
for old in ec2.volumes.filter(Filters=MINE):
    old.delete()
client.get_waiter("volume_deleted").wait(VolumeIds=gone)
same("all gone", [], list(ec2.volumes.filter(Filters=MINE)))
same("a snapshot that is gone", "InvalidSnapshot.NotFound", code_of(snapshot.reload))
same("a volume that is gone", "InvalidVolume.NotFound", code_of(volume.reload))
box.end()

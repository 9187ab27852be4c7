#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""direct.py URL PHASE ARGUMENT... - the EBS direct APIs through Debian's botocore, part by part of
tests/e2e/ec2-direct; the key is in the environment. Each answer is compared with the shapes of botocore's service
model. "=NAME VALUE" is for who calls."""
import base64
import hashlib
import http.client
import json
import os
import sys
import threading
import time

import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
import botocore.exceptions
import botocore.session

BLOCK = 524288
KINDS = {"string": str, "integer": int, "long": int, "timestamp": (int, float), "list": list, "structure": dict,
         "boolean": bool}
url, phase, *rest = sys.argv[1:]
credentials = botocore.credentials.Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
client = botocore.session.get_session().create_client("ebs", region_name="here", endpoint_url=url, config=(
    botocore.config.Config(retries={"max_attempts": 1}, parameter_validation=False)))
count = {"ok": 0, "FAILED": 0}
wrong = []


def same(what, wanted, got):
    end = "ok" if wanted == got else "FAILED"
    count[end] += 1
    print(end, what if wanted == got else f"{what}: expected {wanted!r}, got {got!r}"[:400])


# ---------------------------------------------------------------- shapes
def look(value, shape, path):
    if not isinstance(value, KINDS[shape.type_name]):
        wrong.append(f"{path} is no {shape.type_name}: {value!r}")
    elif shape.type_name == "structure":
        for name, inner in value.items():
            if name in shape.members and "location" not in shape.members[name].serialization:
                look(inner, shape.members[name], f"{path}.{name}")
            elif name != "__type":
                wrong.append(f"{path}.{name} is unknown")
    elif shape.type_name == "list":
        for inner in value:
            look(inner, shape.member, path + "[]")
    elif shape.metadata.get("enum") and value not in shape.metadata["enum"]:
        wrong.append(f"{path}: {value!r}")


def compare(model, http_response, body):
    """One answer with the operation's shape, or that of its error."""
    status, shape = http_response.status_code, model.output_shape
    headers = {k.lower(): v for k, v in http_response.headers.items()}
    if status >= 300:
        named = {s.name: s for s in model.error_shapes}
        shape = named.get(headers.get("x-amzn-errortype"))
        if shape is None:
            wrong.append(f"{model.name}: {headers.get('x-amzn-errortype')} is no error of it")
            return
        if status != shape.metadata["error"]["httpStatusCode"]:
            wrong.append(f"{shape.name}: status {status}")
    elif status != model.http.get("responseCode", 200):
        wrong.append(f"{model.name}: status {status}")
    wanted = {m.serialization["name"].lower(): m for m in shape.members.values()
              if m.serialization.get("location") == "header"}
    for name in headers:
        if name.startswith("x-amz-") and name not in wanted:
            wrong.append(f"{model.name}: header {name}")
    for name in wanted:
        if name not in headers:
            wrong.append(f"{model.name}: no header {name}")
    if shape.serialization.get("payload") is None:
        look(json.loads(body), shape, shape.name)


def after(http_response, model, **_):
    streams = model.has_streaming_output and http_response.status_code < 300
    compare(model, http_response, None if streams else http_response.content)


client.meta.events.register("after-call.ebs", after)


def call(operation, **arguments):
    return getattr(client, operation)(**arguments)


def refused(what, code, reason, operation, **arguments):
    try:
        call(operation, **arguments)
        same(f"{what}: refused", code, "done")
    except botocore.exceptions.ClientError as e:
        same(f"{what}: {code} {reason or ''}", (code, reason),
             (e.response["Error"]["Code"], e.response.get("Reason")))


# ---------------------------------------------------------------- what is asked again and again
def digest(data):
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def put(snapshot, index, data, **more):
    wish = {"DataLength": len(data), "Checksum": digest(data), "ChecksumAlgorithm": "SHA256", **more}
    return call("put_snapshot_block", SnapshotId=snapshot, BlockIndex=index, BlockData=data, **wish)


def linear(blocks):
    return base64.b64encode(hashlib.sha256(b"".join(
        hashlib.sha256(blocks[i]).digest() for i in sorted(blocks))).digest()).decode()


def complete(snapshot, n, **more):
    status = call("complete_snapshot", SnapshotId=snapshot, ChangedBlocksCount=n, **more)["Status"]
    return status


def image_blocks(path):
    blocks = {}
    with open(path, "rb") as f:
        for i in range(os.path.getsize(path) // BLOCK):
            data = f.read(BLOCK)
            if data.count(0) != BLOCK:
                blocks[i] = data
    return blocks


def pages(operation, name, **arguments):
    found, page = [], {"NextToken": None}
    while "NextToken" in page:
        more = {"NextToken": page["NextToken"]} if page["NextToken"] else {}
        page = call(operation, **arguments, **more)
        same(f"{operation}: sizes", (1, BLOCK, True), (page["VolumeSize"], page["BlockSize"],
                                                       page["ExpiryTime"].timestamp() > time.time()))
        found += page[name]
    return found


def get(snapshot, block, token="BlockToken"):
    answer = call("get_snapshot_block", SnapshotId=snapshot, BlockIndex=block["BlockIndex"], BlockToken=block[token])
    data = answer["BlockData"].read()
    if (answer["DataLength"], answer["Checksum"], answer["ChecksumAlgorithm"]) != (len(data), digest(data), "SHA256"):
        wrong.append(f"block {block['BlockIndex']}: its checksum is another")
    return data


# ---------------------------------------------------------------- the parts
def lists(first, second, image_1, image_2):
    blocks = pages("list_snapshot_blocks", "Blocks", SnapshotId=first)
    same("only what was written is listed", 6 + 2 + 8, len(blocks))
    same("page by page it is the same", [b["BlockIndex"] for b in blocks],
         [b["BlockIndex"] for b in pages("list_snapshot_blocks", "Blocks", SnapshotId=first, MaxResults=100)])
    same("from some block on", [2040 + i for i in range(8)],
         [b["BlockIndex"] for b in call("list_snapshot_blocks", SnapshotId=first, StartingBlockIndex=1000)["Blocks"]])
    one, two = image_blocks(image_1), image_blocks(image_2)
    same("each block", True, all(get(first, b) == one[b["BlockIndex"]] for b in blocks))
    changed = pages("list_changed_blocks", "ChangedBlocks", FirstSnapshotId=first, SecondSnapshotId=second)
    same("only what changed is listed", [2, 200, 201, 1000], [b["BlockIndex"] for b in changed])
    same("what is new has no first token", [True, True, True, False], ["FirstBlockToken" in b for b in changed])
    zero = bytes(BLOCK)
    same("as it was, and as it is", True, all(
        get(second, b, "SecondBlockToken") == two.get(b["BlockIndex"], zero) and
        ("FirstBlockToken" not in b or get(first, b, "FirstBlockToken") == one[b["BlockIndex"]]) for b in changed))


def begin(image):
    blocks = image_blocks(image)
    wish = {"VolumeSize": 1, "Description": "restored & <kept>", "Timeout": 60, "ClientToken": "t" * 200,
            "Tags": [{"Key": "Name", "Value": "restored"}]}
    started = call("start_snapshot", **wish)
    same("pending", ("pending", 1, "restored & <kept>", wish["Tags"]),
         tuple(started.get(k) for k in ("Status", "VolumeSize", "Description", "Tags")))
    snapshot = started["SnapshotId"]
    same("the same token", snapshot, call("start_snapshot", **wish)["SnapshotId"])
    refused("the token for another", "ConflictException", None, "start_snapshot", **{**wish, "VolumeSize": 2})
    for i in list(sorted(blocks, reverse=True))[::2]:
        put(snapshot, i, blocks[i])
    print(f"=R1 {snapshot}")


def goes_on(image, snapshot):
    blocks = image_blocks(image)
    order = sorted(blocks, reverse=True)
    data = bytes([7]) * BLOCK
    put(snapshot, order[1], data)  # to be written again, by what is right
    threads = [threading.Thread(target=put, args=(snapshot, i, blocks[i])) for i in order[1::2] + order[:3]]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    refused("wrong count", "ValidationException", "INVALID_PARAMETER_VALUE", "complete_snapshot", SnapshotId=snapshot,
            ChangedBlocksCount=len(blocks) + 1)
    refused("wrong checksum of all", "ValidationException", "INVALID_PARAMETER_VALUE", "complete_snapshot",
            SnapshotId=snapshot, ChangedBlocksCount=len(blocks), Checksum=digest(b""), ChecksumAlgorithm="SHA256",
            ChecksumAggregationMethod="LINEAR")
    same("completed", "completed", complete(snapshot, len(blocks), Checksum=linear(blocks), ChecksumAlgorithm="SHA256",
                                            ChecksumAggregationMethod="LINEAR"))
    refused("put too late", "ValidationException", "INVALID_SNAPSHOT_ID", "put_snapshot_block", SnapshotId=snapshot,
            BlockIndex=0, BlockData=data, DataLength=BLOCK, Checksum=digest(data), ChecksumAlgorithm="SHA256")


def incremental(first, second, parent):
    changed = call("list_changed_blocks", FirstSnapshotId=first, SecondSnapshotId=second)["ChangedBlocks"]
    started = call("start_snapshot", VolumeSize=1, ParentSnapshotId=parent)
    same("its parent", parent, started.get("ParentSnapshotId"))
    snapshot = started["SnapshotId"]
    blocks = {b["BlockIndex"]: get(second, b, "SecondBlockToken") for b in changed}
    for i, data in blocks.items():
        put(snapshot, i, data, Progress=50)
    same("completed", "completed", complete(snapshot, len(blocks), Checksum=linear(blocks), ChecksumAlgorithm="SHA256",
                                            ChecksumAggregationMethod="LINEAR"))
    differs = call("list_changed_blocks", FirstSnapshotId=parent, SecondSnapshotId=snapshot)["ChangedBlocks"]
    print("=CHANGED", *[b["BlockIndex"] for b in differs])
    print(f"=R2 {snapshot}")


def errors(snapshot, stranger):
    blocks = call("list_snapshot_blocks", SnapshotId=snapshot)["Blocks"]
    token, nobody = blocks[0]["BlockToken"], "snap-00000000000000000"
    bad = ("x" if token[0] != "x" else "y") + token[1:]
    invalid, missing = "ValidationException", "ResourceNotFoundException"
    asks = {"SnapshotId": snapshot, "BlockIndex": blocks[0]["BlockIndex"]}
    refused("a token of another block", invalid, "INVALID_BLOCK_TOKEN", "get_snapshot_block", SnapshotId=snapshot,
            BlockIndex=blocks[1]["BlockIndex"], BlockToken=token)
    refused("a token of another snapshot", invalid, "INVALID_BLOCK_TOKEN", "get_snapshot_block", SnapshotId=stranger,
            BlockIndex=blocks[0]["BlockIndex"], BlockToken=token)
    refused("a false token", invalid, "INVALID_BLOCK_TOKEN", "get_snapshot_block", **asks, BlockToken=bad)
    refused("a false page", invalid, "INVALID_PAGE_TOKEN", "list_snapshot_blocks", SnapshotId=snapshot, NextToken=token)
    refused("nobody", missing, "SNAPSHOT_NOT_FOUND", "list_snapshot_blocks", SnapshotId=nobody)
    refused("no id", invalid, "INVALID_SNAPSHOT_ID", "list_snapshot_blocks", SnapshotId="restored")
    refused("too many", invalid, "INVALID_PARAMETER_VALUE", "list_snapshot_blocks", SnapshotId=snapshot, MaxResults=99)
    refused("strangers", invalid, "UNRELATED_SNAPSHOTS", "list_changed_blocks", FirstSnapshotId=snapshot,
            SecondSnapshotId=stranger)
    refused("nobody's child", missing, "SNAPSHOT_NOT_FOUND", "start_snapshot", VolumeSize=1, ParentSnapshotId=nobody)
    refused("of no size", invalid, "INVALID_VOLUME_SIZE", "start_snapshot", VolumeSize=0)
    refused("for too long", invalid, "INVALID_PARAMETER_VALUE", "start_snapshot", VolumeSize=1, Timeout=4321)
    refused("encrypted", invalid, "INVALID_PARAMETER_VALUE", "start_snapshot", VolumeSize=1, Encrypted=True)
    mine = call("start_snapshot", VolumeSize=1)["SnapshotId"]
    data = bytes([1]) * BLOCK
    wish = {"SnapshotId": mine, "BlockIndex": 0, "BlockData": data, "DataLength": BLOCK, "Checksum": digest(data),
            "ChecksumAlgorithm": "SHA256"}
    refused("a tampered checksum", invalid, "INVALID_BLOCK", "put_snapshot_block", **{**wish, "Checksum": digest(b"")})
    refused("tampered bytes", invalid, "INVALID_BLOCK", "put_snapshot_block", **{**wish, "BlockData": data[:-1] + b"2"})
    refused("less than a block", invalid, "INVALID_BLOCK", "put_snapshot_block", **{**wish, "BlockData": data[:-512]})
    refused("no checksum", invalid, "INVALID_PARAMETER_VALUE", "put_snapshot_block", **{**wish, "Checksum": "x"})
    refused("beyond the end", invalid, "INVALID_PARAMETER_VALUE", "put_snapshot_block", **{**wish, "BlockIndex": 2048})
    refused("what is pending is not listed", invalid, "INVALID_SNAPSHOT_ID", "list_snapshot_blocks", SnapshotId=mine)
    refused("nothing was put", invalid, "INVALID_PARAMETER_VALUE", "complete_snapshot", SnapshotId=mine,
            ChangedBlocksCount=1)
    same("completed without a block", "completed", complete(mine, 0))


def reader(snapshot):
    blocks = call("list_snapshot_blocks", SnapshotId=snapshot)["Blocks"]
    same("may read", BLOCK, len(get(snapshot, blocks[0])))
    refused("may not begin", "AccessDeniedException", "UNAUTHORIZED_ACCOUNT", "start_snapshot", VolumeSize=1)


def tenant(snapshot):
    missing, data = "ResourceNotFoundException", bytes([1]) * BLOCK
    refused("others' is not there", missing, "SNAPSHOT_NOT_FOUND", "list_snapshot_blocks", SnapshotId=snapshot)
    refused("nor a parent", missing, "SNAPSHOT_NOT_FOUND", "start_snapshot", VolumeSize=1, ParentSnapshotId=snapshot)
    refused("nor to be written", missing, "SNAPSHOT_NOT_FOUND", "put_snapshot_block", SnapshotId=snapshot, BlockIndex=0,
            BlockData=data, DataLength=BLOCK, Checksum=digest(data), ChecksumAlgorithm="SHA256")
    started = call("start_snapshot", VolumeSize=1)
    same("its own has its tags", [{"Key": "team", "Value": "blue"}], started["Tags"])
    put(started["SnapshotId"], 3, data)
    same("completed", "completed", complete(started["SnapshotId"], 1))
    block = call("list_snapshot_blocks", SnapshotId=started["SnapshotId"])["Blocks"][0]
    same("reads its own", True, get(started["SnapshotId"], block) == data)


def late(image):
    blocks = image_blocks(image)
    snapshot = call("start_snapshot", VolumeSize=1)["SnapshotId"]
    put(snapshot, 0, blocks[0])
    print(f"=LATE {snapshot}")


def tokens(snapshot):
    block = call("list_snapshot_blocks", SnapshotId=snapshot)["Blocks"][0]
    time.sleep(2.1)
    refused("an expired token", "ValidationException", "INVALID_BLOCK_TOKEN", "get_snapshot_block", SnapshotId=snapshot,
            BlockIndex=block["BlockIndex"], BlockToken=block["BlockToken"])


# ---------------------------------------------------------------- how fast
def speed(snapshot):
    """16 connections; requests are signed before, and the client looks at no byte."""
    host = url.split("//")[1]
    signer = botocore.auth.SigV4Auth(credentials, "ebs", "here")
    asks = []
    for b in call("list_snapshot_blocks", SnapshotId=snapshot)["Blocks"]:
        r = botocore.awsrequest.AWSRequest("GET", f"{url}/snapshots/{snapshot}/blocks/{b['BlockIndex']}",
                                           params={"blockToken": b["BlockToken"]})
        signer.add_auth(r)
        p = r.prepare()
        asks.append((p.url[len(url):], dict(p.headers)))
    lock, left, got = threading.Lock(), iter(asks), []

    def fetch():
        c, buf, n = http.client.HTTPConnection(host), bytearray(BLOCK), 0
        while True:
            with lock:
                ask = next(left, None)
            if ask is None:
                break
            c.request("GET", ask[0], headers=ask[1])
            r = c.getresponse()
            at = 0
            while at < BLOCK and (k := r.readinto(memoryview(buf)[at:])):
                at += k
            r.read()
            n += r.status == 200 and at == BLOCK
        got.append(n)

    threads, began = [threading.Thread(target=fetch) for _ in range(16)], time.monotonic()
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    took = time.monotonic() - began
    print(f"GetSnapshotBlock  {sum(got) * BLOCK / took / 2**20:.0f} MiB/s, {sum(got)} of {len(asks)} blocks")
    sys.exit(sum(got) != len(asks))


globals()[phase](*rest)
same("shapes of all answers", [], sorted(set(wrong)))
print(f"{count['ok']} passed, {count['FAILED']} failed")
sys.exit(count["FAILED"] != 0)

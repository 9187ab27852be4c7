# SPDX-License-Identifier: GPL-2.0-only
"""manager_load.py SOCKET PID WORK - asks a hybridd many things, from several connections at once, and prints how fast.

WORK is one of: fill N (volumes and a snapshot of each), describe, targets N (volumes that are exported), churn N
(volumes created, snapshotted, deleted), pages (all volumes by EC2's protocol), request FILE (nothing is asked: one
signed DescribeVolumes goes into the file). PID is hybridd's: what memory it has before and after is printed, too. The
last two take hybridd's URL and key from EC2_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
"""
import concurrent.futures
import hashlib
import hmac
import http.client
import json
import os
import re
import socket
import sys
import time
import urllib.parse

CONNECTIONS = 16


class Unix(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path):
        super().__init__("hybridd")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self.path)


def ask(connection, verb, **args):
    connection.request("POST", "/v1/" + verb, json.dumps(args), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    body = json.loads(answer.read())
    if answer.status != 200 or not body["ok"]:
        raise ValueError(f"{verb}: {body}")
    return body["result"]


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(next(line for line in status if line.startswith("VmRSS")).split()[1])


def each(path, count, what):
    """what(connection, i) for i below count, from all connections; the rate a second."""
    def work(first):
        connection = Unix(path)
        for i in range(first, count, CONNECTIONS):
            what(connection, i)

    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as threads:
        for _ in threads.map(work, range(CONNECTIONS)):
            pass
    return count / (time.monotonic() - began)


def fill(path, count):
    ids = [None] * count

    def create(connection, i):
        ids[i] = ask(connection, "volume-create", size_bytes=1 << 20, name=f"load-{i}",
                     tags={"rack": str(i % 100)})["id"]

    print(f"volume-create     {each(path, count, create):8.0f} a second")
    rate = each(path, count, lambda connection, i: ask(connection, "snapshot-create", volume=ids[i]))
    print(f"snapshot-create   {rate:8.0f} a second")


def describe(path):
    connection = Unix(path)
    questions = {
        "by name": {"filters": {"tag:Name": ["load-77"]}},
        "by a tag of 1 in 100": {"filters": {"tag:rack": ["7"]}},
        "by state, a page of 1000": {"filters": {"state": ["available"]}, "limit": 1000},
    }
    for verb in "volume-describe", "snapshot-describe":
        for what, args in questions.items():
            if verb == "snapshot-describe" and "tag" in str(args):
                continue
            if verb == "snapshot-describe":
                args = {"filters": {"state": ["completed"]}, "limit": 1000}
            times = []
            for _ in range(9):
                began = time.monotonic()
                ask(connection, verb, **args)
                times.append(time.monotonic() - began)
            print(f"{verb:17s} {sorted(times)[4] * 1000:8.1f} ms, {what}")


def targets(path, count):
    def export(connection, i):
        volume = ask(connection, "volume-create", size_bytes=1 << 20, name=f"target-{i}")["id"]
        ask(connection, "volume-export", volume=volume, initiator="iqn.2024-01.org.hybrid:load")

    print(f"create and export {each(path, count, export):8.0f} a second")


def churn(path, count):
    def life(connection, i):
        volume = ask(connection, "volume-create", size_bytes=1 << 20, name=f"churn-{i}")["id"]
        snapshot = ask(connection, "snapshot-create", volume=volume)["id"]
        ask(connection, "volume-delete", volume=volume)
        ask(connection, "snapshot-delete", snapshot=snapshot)

    print(f"lives             {each(path, count, life):8.0f} a second (create, snapshot, delete both)")


def signed(host, body):
    """What head a form must have for EC2's protocol."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    scope = f"{stamp[:8]}/here/ec2/aws4_request"
    head = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8", "Host": host, "X-Amz-Date": stamp}
    names = ";".join(n.lower() for n in head)
    fields = "".join(f"{n.lower()}:{v}\n" for n, v in head.items())
    canonical = f"POST\n/\n\n{fields}\n{names}\n{hashlib.sha256(body.encode()).hexdigest()}"
    key = b"AWS4" + os.environ["AWS_SECRET_ACCESS_KEY"].encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    head["Authorization"] = (f"AWS4-HMAC-SHA256 Credential={os.environ['AWS_ACCESS_KEY_ID']}/{scope}, "
                             f"SignedHeaders={names}, Signature={hmac.digest(key, text.encode(), 'sha256').hex()}")
    return head


def request(file):
    host, body = urllib.parse.urlparse(os.environ["EC2_URL"]).netloc, "Action=DescribeVolumes&Version=2016-11-15"
    head = signed(host, body) | {"Content-Length": len(body)}
    with open(file, "w", encoding="ascii", newline="") as f:
        f.write("POST / HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in head.items()) + "\r\n" + body)


def pages(_):
    host = urllib.parse.urlparse(os.environ["EC2_URL"]).netloc
    connection, times, found = http.client.HTTPConnection(host), [], 0
    for _ in range(3):
        began, token, found = time.monotonic(), "", 0
        while token is not None:
            body = "Action=DescribeVolumes&Version=2016-11-15&MaxResults=1000" + token
            connection.request("POST", "/", body, signed(host, body))
            answer = connection.getresponse().read().decode()
            found += answer.count("<tagSet")
            more = re.search("<nextToken>(.*)</nextToken>", answer)
            token = "&NextToken=" + urllib.parse.quote(more[1]) if more else None
        times.append(time.monotonic() - began)
    print(f"DescribeVolumes   {sorted(times)[1] * 1000:8.1f} ms, {found} volumes in pages of 1000, signed")


def main():
    path, pid, work = sys.argv[1:4]
    if work == "request":
        request(sys.argv[4])
        return
    before = resident_kib(pid)
    counts = [int(n) for n in sys.argv[4:]]
    {"pages": pages, "fill": fill, "describe": describe, "targets": targets, "churn": churn}[work](path, *counts)
    print(f"hybridd's memory  {before / 1024:8.1f} MiB before, {resident_kib(pid) / 1024:.1f} MiB after")


main()

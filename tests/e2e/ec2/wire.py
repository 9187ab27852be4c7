# SPDX-License-Identifier: GPL-2.0-only
"""wire.py - asks EC2's protocol through botocore, and compares every answer, element by element, with the shapes of
botocore's service model: none unknown, none of another type. Counts and says what it finds."""
import datetime
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
import uuid
import xml.etree.ElementTree as ET

import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
import botocore.exceptions
import botocore.session

VERSION = "2016-11-15"
LEAVES = {
    "integer": re.compile(r"-?\d+"),
    "long": re.compile(r"-?\d+"),
    "boolean": re.compile(r"true|false"),
    "timestamp": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"),
}



def name_of(element):
    return element.tag.split("}")[-1]


class Box:
    def __init__(self, url, key, secret, region="here"):
        self.passed = self.failed = 0
        self.url, self.region = url, region
        self.session = botocore.session.get_session()
        self.session.set_credentials(key, secret)
        self.credentials = botocore.credentials.Credentials(key, secret)
        config = botocore.config.Config(retries={"max_attempts": 1}, parameter_validation=False)
        self.client = self.session.create_client("ec2", region_name=region, endpoint_url=url, config=config)
        self.model = self.client.meta.service_model
        self.body = None
        self.used = set()
        self.seen = set()  # shapes' members that were there at least once
        self.client.meta.events.register("response-received.ec2", self.keep)

    def keep(self, response_dict, **_):
        self.body = response_dict["body"] if response_dict else None

    # ---------------------------------------------------------------- results
    def ok(self, what):
        self.passed += 1
        print("ok     ", what)

    def bad(self, what):
        self.failed += 1
        print("FAILED ", what, flush=True)

    def same(self, what, wanted, got):
        if wanted == got:
            self.ok(what)
        else:
            self.bad(f"{what}: expected {wanted!r}, got {got!r}")

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed")
        sys.exit(self.failed != 0)

    # ---------------------------------------------------------------- shapes
    def look(self, element, shape, path, wrong):
        """Against a shape of botocore's."""
        kind = shape.type_name
        if kind == "structure":
            members = {}
            for name, member in shape.members.items():
                members[member.serialization.get("name", name)] = (name, member)
            for child in element:
                tag = name_of(child)
                if path == "" and tag == "requestId":
                    continue
                if tag not in members:
                    wrong.append(f"{path}.{tag} is unknown")
                    continue
                if len([c for c in element if name_of(c) == tag]) > 1:
                    wrong.append(f"{path}.{tag} is there twice")
                self.seen.add((shape.name, members[tag][0]))
                self.look(child, members[tag][1], f"{path}.{tag}", wrong)
        elif kind == "list":
            for child in element:
                if name_of(child) != "item":
                    wrong.append(f"{path}: <{name_of(child)}> in a list")
                self.look(child, shape.member, path + "[]", wrong)
        else:
            self.leaf(element, kind, shape.metadata.get("enum"), path, wrong)

    def leaf(self, element, kind, words, path, wrong):
        text = element.text or ""
        if len(element):
            wrong.append(f"{path} has elements, is a {kind}")
        elif kind in LEAVES and not LEAVES[kind].fullmatch(text):
            wrong.append(f"{path} is no {kind}: {text!r}")
        elif kind not in LEAVES and kind != "string":
            wrong.append(f"{path}: of type {kind}?")
        elif kind == "string" and words and text not in words:
            wrong.append(f"{path}: {text!r} is none of {words}")

    def look_own(self, element, shape, path, wrong):
        """Against a shape written down here."""
        if isinstance(shape, dict):
            for child in element:
                tag = name_of(child)
                if path == "" and tag == "requestId":
                    continue
                if tag in shape:
                    self.look_own(child, shape[tag], f"{path}.{tag}", wrong)
                else:
                    wrong.append(f"{path}.{tag} is unknown")
        elif isinstance(shape, list):
            for child in element:
                if name_of(child) != "item":
                    wrong.append(f"{path}: <{name_of(child)}> in a list")
                self.look_own(child, shape[0], path + "[]", wrong)
        elif "|" in shape:
            self.leaf(element, "string", shape.split("|"), path, wrong)
        else:
            self.leaf(element, shape, None, path, wrong)

    def check_root(self, operation, body, wrong):
        root = ET.fromstring(body)
        if root.tag != f"{{http://ec2.amazonaws.com/doc/{VERSION}/}}{operation}Response":
            wrong.append(f"the root is {root.tag}")
        if not name_of(root[0]) == "requestId" or not uuid.UUID(root[0].text):
            wrong.append("there is no requestId")
        return root

    def judge(self, operation, wrong):
        if wrong:
            self.bad(f"{operation}: {'; '.join(wrong[:5])}")
        else:
            self.ok(f"{operation}: every element as the model has it")

    # ---------------------------------------------------------------- asking
    def call(self, operation, **arguments):
        """The answer as botocore parses it, or None (and a failure)."""
        self.used.add(operation)
        method = getattr(self.client, botocore.xform_name(operation))
        try:
            answer = method(**arguments)
        except botocore.exceptions.ClientError as e:
            self.bad(f"{operation} {arguments}: {e}")
            return None
        wrong = []
        root = self.check_root(operation, self.body, wrong)
        output = self.model.operation_model(operation).output_shape
        if output:
            self.look(root, output, "", wrong)
        elif [name_of(c) for c in root] != ["requestId", "return"] or root[1].text != "true":
            wrong.append("a void action answers <return>true</return>")
        self.judge(operation, wrong)
        return answer

    def refused(self, code, status, operation, **arguments):
        """... with that code."""
        self.used.add(operation)
        what = f"{operation} {arguments}: {code}"[:150]
        try:
            getattr(self.client, botocore.xform_name(operation))(**arguments)
        except botocore.exceptions.ClientError as e:
            got = (e.response["Error"]["Code"], e.response["ResponseMetadata"]["HTTPStatusCode"])
            root = ET.fromstring(self.body)
            names = [name_of(e) for e in root.iter()]
            if got != (code, status):
                self.bad(f"{what}: got {got}, {e}")
            elif names != ["Response", "Errors", "Error", "Code", "Message", "RequestID"]:
                self.bad(f"{what}: the elements are {names}")
            else:
                self.ok(f"{what}: {e.response['Error']['Message'][:90]}")
            return e.response["Error"]["Message"]
        self.bad(f"{what}: nothing refused")
        return ""

    def raw(self, form, method="POST", sign=True, service="ec2", age_s=0):
        """A form as it is: status and body."""
        body = form if isinstance(form, (bytes, str)) else urllib.parse.urlencode(form)
        url = self.url + "/"
        if method == "GET":
            url, body = f"{url}?{body}", ""
        request = botocore.awsrequest.AWSRequest(
            method=method, url=url, data=body,
            headers={"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"})
        if sign:
            auth = botocore.auth.SigV4Auth(self.credentials, service, self.region)
            old = botocore.auth.datetime
            if age_s:
                class Then(datetime.datetime):
                    @classmethod
                    def utcnow(cls):
                        return datetime.datetime.utcnow() - datetime.timedelta(seconds=age_s)

                class Module:
                    datetime = Then
                botocore.auth.datetime = Module
            auth.add_auth(request)
            botocore.auth.datetime = old
        prepared = request.prepare()
        data = prepared.body.encode() if isinstance(prepared.body, str) else prepared.body
        asked = urllib.request.Request(prepared.url, data=data if method == "POST" else None,
                                       headers=dict(prepared.headers.items()), method=method)
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as e:
            return e.code, e.read()

    def raw_refused(self, code, status, form, **how):
        got, body = self.raw(form, **how)
        found = re.search(rb"<Code>([^<]*)</Code>", body)
        self.same(f"{str(form)[:70]!r} {how or ''}: {code}", (code, status),
                  (found[1].decode() if found else body[:100], got))

    def raw_call(self, operation, shape, **arguments):
        """An action that Debian's botocore does not know (of a newer one the model is asked, too). The root element, or
        None."""
        self.used.add(operation)
        status, body = self.raw({"Action": operation, "Version": VERSION, **arguments})
        if status != 200:
            self.bad(f"{operation} {arguments}: {status} {body[:300]}")
            return None
        wrong = []
        root = self.check_root(operation, body, wrong)
        self.look_own(root, shape, "", wrong)
        if operation in self.model.operation_names:
            self.look(root, self.model.operation_model(operation).output_shape, "", wrong)
        self.judge(operation, wrong)
        return root


def texts(root, path):
    """Of elements, without namespaces: "snapshotSet/item/snapshotId"."""
    found = [root]
    for part in path.split("/"):
        found = [c for e in found for c in e if name_of(c) == part]
    return [e.text or "" for e in found]

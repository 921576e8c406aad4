"""Takes a license, renews it and gives it back: what a program in Python does.

The messages are made by protoc from license.proto, which `quorate proto` writes:

    quorate proto --out protocol
    protoc --proto_path=protocol --python_out=. quorate/v1/license.proto
    python3 charts.py http://licenses.example.com:7400 6000010 14
"""

import base64
import json
import os
import socket
import sys
import time
import urllib.error
import urllib.request
import uuid

from quorate.v1 import license_pb2 as quorate


class Refused(Exception):
    """What the license server says, by its stable code."""

    def __init__(self, info):
        super().__init__(f"{info.message}: {info.fix}")
        self.code = info.code
        self.details = json.loads(info.details_json or "{}")


def call(server, procedure, request, answer):
    """One call is one POST. An answer that got lost is asked for again with the
    same request."""
    post = urllib.request.Request(
        f"{server}/quorate.v1.LicenseService/{procedure}",
        data=request.SerializeToString(),
        headers={"Content-Type": "application/proto"},
    )
    try:
        with urllib.request.urlopen(post, timeout=10) as response:
            answer.ParseFromString(response.read())
            return answer
    except urllib.error.HTTPError as e:
        for detail in json.load(e).get("details", []):
            if detail["type"] == "quorate.v1.ErrorInfo":
                value = detail["value"]
                info = quorate.ErrorInfo()
                info.ParseFromString(base64.b64decode(value + "=" * (-len(value) % 4)))
                raise Refused(info) from None
        raise


def access(server, firm, code):
    request = quorate.AccessRequest(
        request_id=str(uuid.uuid4()),
        product=quorate.Product(firm=firm, code=code),
        mode=quorate.ACCESS_MODE_USER_LIMIT,
        client=quorate.Client(
            address=socket.gethostname(),
            user=os.environ.get("USER", ""),
            process=os.getpid(),
            application="charts.py",
            station=socket.gethostname(),
        ),
    )
    asked = time.monotonic()
    handle = call(server, "Access", request, quorate.AccessResponse()).handle
    return handle, asked + handle.lease_ms / 1000


def renew(server, handle):
    # The lease counts from before the question was sent.
    asked = time.monotonic()
    answer = call(server, "Renew", quorate.RenewRequest(token=handle.token), quorate.RenewResponse())
    if answer.notice.id:
        print(f"{answer.notice.by} asks: {answer.notice.text}", file=sys.stderr)
    return answer.handle, asked + answer.handle.lease_ms / 1000


def release(server, handle):
    call(server, "Release", quorate.ReleaseRequest(token=handle.token), quorate.ReleaseResponse())


def main():
    server, firm, code = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    try:
        handle, until = access(server, firm, code)
    except Refused as refusal:
        print(json.dumps({"refused": refusal.code, "details": refusal.details}), flush=True)
        return 1
    print(json.dumps({"handle": handle.id, "seat": handle.seat, "features": handle.feature_map}), flush=True)
    # A program does its work here, and renews at a third of the lease.
    for line in sys.stdin:
        handle, until = renew(server, handle)
        print(json.dumps({"renewed": handle.id, "left": until > time.monotonic()}), flush=True)
    release(server, handle)
    print(json.dumps({"released": handle.id}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

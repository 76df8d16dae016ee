"""The action of a request, and refusals in the form of its service."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs

_CREDENTIAL = re.compile(rb"Credential=[^/]+/\d+/[^/]+/(?P<service>[^/]+)/")
_JSON = ("acm", "eks", "servicequotas", "logs", "events", "monitoring", "pricing", "sqs", "ssm")
_PATHS = {
    ("eks", "GET", 2): "ListClusters",
    ("eks", "GET", 3): "DescribeCluster",
    ("s3", "HEAD", 2): "HeadBucket",
}


def called(scope: Any, body: bytes) -> str:
    """Return the action, such as ``ec2:DescribeVpcs``; "" if the request does not reveal it."""
    headers = dict(scope["headers"])
    found = _CREDENTIAL.search(headers.get(b"authorization", b""))
    service = found["service"].decode() if found else ""
    if target := headers.get(b"x-amz-target"):
        return f"{service}:{target.decode().rpartition('.')[2]}"
    if b"Action=" in body[:8192] and headers.get(b"content-type", b"").startswith(b"application/x-www-form"):
        return f"{service}:{parse_qs(body.decode())['Action'][0]}"
    name = _PATHS.get((service, scope["method"], len(scope["path"].rstrip("/").split("/"))))
    return f"{service}:{name}" if name else ""


def refused(action: str, code: str, message: str) -> tuple[bytes, bytes]:
    """Return the body of a refusal and its type."""
    service = action.partition(":")[0]
    if service in _JSON:
        return json.dumps({"__type": code, "code": code, "message": message}).encode(), b"application/json"
    error = f"<Code>{code}</Code><Message>{message}</Message>"
    if service == "ec2":
        text = f"<Response><Errors><Error>{error}</Error></Errors><RequestID>0</RequestID></Response>"
    elif service == "s3":
        text = f"<Error>{error}</Error>"
    else:
        error = f"<Error><Type>Sender</Type>{error}</Error>"
        text = f"<ErrorResponse>{error}<RequestId>0</RequestId></ErrorResponse>"
    return text.encode(), b"text/xml"


def throttled(action: str) -> tuple[int, bytes, bytes]:
    """Return the status, the body and the type of an answer of a service that has too many calls."""
    if action.startswith("s3:") or not action:
        return 503, *refused("s3:", "SlowDown", "Reduce your request rate.")
    return 400, *refused(action, "ThrottlingException", "Rate exceeded")

from __future__ import annotations

import pytest

from gyrus.objects.errors import (
    NoSuchObject,
    ObjectChanged,
    ObjectError,
    ObjectExists,
    ObjectsRefused,
    ObjectsUnreachable,
)
from gyrus.objects.s3_failures import failure_of

URL = "s3://models/iris/a.bin"


def failure(text: str) -> ObjectError:
    return failure_of(text, URL, "models", "eu-west-1")


def answer(status: int, code: str = "") -> str:
    """obstore's text for an answer of S3."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>m</Message></Error>" if code else ""
    return (
        "Generic S3 error: Error performing GET https://s3.amazonaws.com/models/a in 2.1ms - Server returned "
        f"non-2xx status code: {status} X: {body}\n\nDebug source:\nGeneric {{ }}"
    )


RENEWED = "renew them, and start the platform again where they are (gyrus down, gyrus up)."


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        (
            answer(404, "NoSuchBucket"),
            ObjectsRefused,
            f"The bucket models of {URL} does not exist: correct the URL, or create it.",
        ),
        (
            answer(404, "NoSuchKey"),
            NoSuchObject,
            f"The object {URL} does not exist; check its name, or store it again.",
        ),
        (answer(404), NoSuchObject, f"The object {URL} does not exist; check its name, or store it again."),
        (
            answer(403, "AccessDenied"),
            ObjectsRefused,
            f"Access to {URL} is denied: the bucket models may belong to another account, or the credentials "
            "lack s3:ListBucket, s3:GetObject or s3:PutObject for it. Allow them in the role's policy or in "
            "the bucket's.",
        ),
        (
            answer(400, "ExpiredToken"),
            ObjectsRefused,
            f"The AWS credentials for {URL} have expired: {RENEWED}",
        ),
        (
            answer(403, "InvalidAccessKeyId"),
            ObjectsRefused,
            f"The AWS credentials for {URL} are not valid (InvalidAccessKeyId): {RENEWED}",
        ),
        (
            answer(301, "PermanentRedirect"),
            ObjectsRefused,
            f"The bucket models of {URL} is not in the region eu-west-1: set AWS_REGION to the bucket's "
            "region. `aws s3api get-bucket-location --bucket models` prints it.",
        ),
        (
            answer(403, "RequestTimeTooSkewed"),
            ObjectsRefused,
            f"The clock of this machine is wrong, so that {URL} is refused: set it.",
        ),
        (
            answer(400),
            ObjectsRefused,
            f"{URL} is refused with status 400: the AWS credentials may have expired, or AWS_REGION or "
            "AWS_ENDPOINT_URL may be wrong.",
        ),
        (
            answer(503, "SlowDown"),
            ObjectsUnreachable,
            f"{URL} is not available now (SlowDown): try again later.",
        ),
        (answer(500), ObjectsUnreachable, f"{URL} is not available now (500): try again later."),
        (
            "Generic S3 error: Error performing PUT http://169.254.169.254/latest/api/token in 3s - HTTP "
            "error: error sending request",
            ObjectsRefused,
            f"There are no AWS credentials for {URL}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or "
            "AWS_PROFILE, or give the operator's service account a role (EKS Pod Identity).",
        ),
        (
            "Generic S3 error: Error performing GET http://127.0.0.1:1/b in 101ms, after 1 retries  - HTTP "
            "error: error sending request\n\nDebug source:",
            ObjectsUnreachable,
            f"{URL} cannot be reached (error sending request): check the network, AWS_REGION and "
            "AWS_ENDPOINT_URL.",
        ),
        (
            "Object at location x already exists: status code: 412 <Code>PreconditionFailed</Code>",
            ObjectExists,
            f"The object {URL} exists already; choose another name, or delete it first.",
        ),
        (
            "Request precondition failure for path x: status code: 412 <Code>PreconditionFailed</Code>",
            ObjectChanged,
            f"The object {URL} has changed, and its store keeps no earlier versions; turn on the versioning "
            "of the bucket, and deploy again what uses the object.",
        ),
    ],
)
def test_a_failure_names_cause_and_remedy(text: str, kind: type[ObjectError], message: str) -> None:
    found = failure(text)
    assert (type(found), str(found)) == (kind, message)

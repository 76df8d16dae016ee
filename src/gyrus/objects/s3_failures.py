"""The error of a failed request to S3, in the words of the user. Pure.

obstore has one class for most failures, so the decision reads the answer of S3 in its text.
"""

from __future__ import annotations

import re

from gyrus.objects.errors import ObjectError, ObjectsRefused, ObjectsUnreachable
from gyrus.objects.store import no_such_object, object_changed, object_exists

_CODE = re.compile(r"<Code>(\w+)</Code>")
_STATUS = re.compile(r"status code: (\d{3})")
_CAUSE = re.compile(r"HTTP error: (.+)")
_CREDENTIAL_SERVICES = ("169.254.169.254", "169.254.170.", "fd00:ec2::")
"""Addresses of the services that give credentials to machines and pods."""
_RENEWED = "renew them, and start the platform again where they are (gyrus down, gyrus up)"
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})
_UNKNOWN = frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "InvalidClientTokenId"})
_ELSEWHERE = frozenset(
    {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
)
_BUSY = frozenset({"SlowDown", "RequestTimeout", "ThrottlingException", "Throttling"})


def failure_of(text: str, url: str, bucket: str, region: str) -> ObjectError:
    """Return the error of a request for this URL, from the text of obstore's."""
    code = found[1] if (found := _CODE.search(text)) else ""
    status = int(found[1]) if (found := _STATUS.search(text)) else 0
    if any(service in text for service in _CREDENTIAL_SERVICES):
        return ObjectsRefused(
            f"There are no AWS credentials for {url}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or "
            "AWS_PROFILE, or give the operator's service account a role (EKS Pod Identity)."
        )
    if code in _ELSEWHERE or "Received redirect without LOCATION" in text or status == 301:
        return ObjectsRefused(
            f"The bucket {bucket} of {url} is not in the region {region}: set AWS_REGION to the bucket's "
            f"region. `aws s3api get-bucket-location --bucket {bucket}` prints it."
        )
    if code == "NoSuchBucket":
        return ObjectsRefused(f"The bucket {bucket} of {url} does not exist: correct the URL, or create it.")
    if code in _EXPIRED:
        return ObjectsRefused(f"The AWS credentials for {url} have expired: {_RENEWED}.")
    if code in _UNKNOWN:
        return ObjectsRefused(f"The AWS credentials for {url} are not valid ({code}): {_RENEWED}.")
    if code == "RequestTimeTooSkewed":
        return ObjectsRefused(f"The clock of this machine is wrong, so that {url} is refused: set it.")
    if code in _BUSY or status >= 500:
        return ObjectsUnreachable(f"{url} is not available now ({code or status}): try again later.")
    if status == 404 or "not found" in text.partition(":")[0]:
        return no_such_object(url)
    if code == "PreconditionFailed" or status == 412:
        return object_exists(url) if "already exists" in text.partition(":")[0] else object_changed(url)
    if code == "AccessDenied" or status == 403:
        return ObjectsRefused(
            f"Access to {url} is denied: the bucket {bucket} may belong to another account, or the "
            "credentials lack s3:ListBucket, s3:GetObject or s3:PutObject for it. Allow them in the role's "
            "policy or in the bucket's."
        )
    if status:
        return ObjectsRefused(
            f"{url} is refused with status {status}{f' ({code})' if code else ''}: the AWS credentials may "
            "have expired, or AWS_REGION or AWS_ENDPOINT_URL may be wrong."
        )
    cause = found[1].strip() if (found := _CAUSE.search(text)) else text.partition("\n")[0].strip()
    return ObjectsUnreachable(
        f"{url} cannot be reached ({cause}): check the network, AWS_REGION and AWS_ENDPOINT_URL."
    )

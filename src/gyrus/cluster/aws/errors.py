"""The errors of AWS. Each class is one decision of the caller.

ClusterError
└── AwsError                    a call, or what it found, prevents the operation
    ├── NoAwsClient             boto3 is not installed
    ├── NoAwsCredentials        no credentials are configured
    ├── AwsCredentialsRefused   the credentials have expired, or AWS does not know them
    ├── AwsUnreachable          no answer: the call may have been carried out
    ├── AwsThrottled            AWS is busy after all tries, or fails
    ├── AwsDenied               the credentials lack a right: ``action``
    ├── AwsNotFound             the thing does not exist
    ├── AwsRejected             any other refusal: ``code`` is the service's own
    ├── StackFailed             a stack could not be brought to what is wanted
    ├── StackDeletionFailed     a stack could not be removed
    ├── NoCluster               there is no such EKS cluster
    ├── ChangeRefused           the change would replace the cluster or its data
    ├── ForeignCluster          an EKS cluster of this name is not gyrus's
    ├── BucketNotEmptied        S3 did not delete objects
    ├── GroupsRemain            Auto Scaling groups or instances did not end in time
    └── NodesRemain             nodes were not replaced, or not emptied, in time
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from gyrus.cluster.errors import ClusterError

_DENIED_ACTION = re.compile(r"not authorized to perform: (?P<action>[\w-]+:\w+)")


class AwsError(ClusterError):
    """Base of the errors of AWS."""


class NoAwsClient(AwsError):
    def __init__(self) -> None:
        super().__init__("boto3, which calls AWS, is not installed.", remedy="Run: pip install 'gyrus[aws]'")


class NoAwsCredentials(AwsError):
    def __init__(self, cause: str = "") -> None:
        super().__init__(
            f"There are no AWS credentials{f': {cause}' if cause else ''}.",
            remedy="Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run: aws configure",
        )


class AwsCredentialsRefused(AwsError):
    def __init__(self, message: str) -> None:
        super().__init__(
            f"AWS refuses the credentials: {message}",
            remedy="Sign in again (for example: aws sso login), or check the keys, and repeat the command",
        )


class AwsUnreachable(AwsError):
    """A service that does not answer."""

    def __init__(self, service: str, region: str, cause: str) -> None:
        super().__init__(
            f"{service} in {region} does not answer: {cause}",
            remedy="Check the network, a proxy, and that the region exists and is enabled in the account",
        )


class AwsThrottled(AwsError):
    """A service that is still busy, or still fails, after all tries."""

    def __init__(self, service: str, operation: str, tries: int, message: str) -> None:
        super().__init__(
            f"{service} did not carry out {operation} in {tries} tries: {message}",
            remedy="Repeat the command later: it continues",
        )


class AwsDenied(AwsError):
    """A call that the credentials do not allow."""

    def __init__(self, action: str, message: str) -> None:
        super().__init__(
            f"The credentials lack the right {action}: {message}",
            remedy="Add it to the role or user, or use others; gyrus cluster template --policies prints all",
        )
        self.action = action


class AwsNotFound(AwsError):
    """A thing that does not exist."""

    def __init__(self, service: str, operation: str, code: str, message: str) -> None:
        super().__init__(f"{service} {operation}: {message} ({code})")
        self.code = code


class AwsRejected(AwsError):
    """A call that a service refuses for another reason."""

    def __init__(self, service: str, operation: str, code: str, message: str) -> None:
        super().__init__(f"{service} refuses {operation}: {message} ({code})")
        self.code = code
        self.reason = message


def denied_action(message: str, service: str, operation: str) -> str:
    """Return the IAM action that a refusal names, or else the one of the call.

    >>> denied_action("... is not authorized to perform: ec2:RunInstances on ...", "autoscaling", "X")
    'ec2:RunInstances'
    """
    found = _DENIED_ACTION.search(message)
    return found["action"] if found else f"{service}:{operation}"


class StackFailed(AwsError):
    """A stack that could not be brought to what is wanted. The details are the resources that failed."""

    def __init__(self, name: str, reason: str, causes: Sequence[str] = ()) -> None:
        super().__init__(
            f"The stack {name} failed: {reason}.",
            details=causes,
            remedy="Remove the cause, and repeat the command: it continues. "
            "Remove everything with: gyrus cluster down",
        )


class StackDeletionFailed(AwsError):
    """A stack that could not be removed. The details are the resources that stay."""

    def __init__(self, name: str, reason: str, causes: Sequence[str]) -> None:
        super().__init__(
            f"The stack {name} could not be removed: {reason}.",
            details=causes,
            remedy="Remove what uses these resources, and repeat the command",
        )


class NoCluster(AwsError):
    """An EKS cluster that does not exist."""

    def __init__(self, name: str, region: str) -> None:
        super().__init__(
            f"There is no EKS cluster {name} in {region}.",
            remedy="Create it with: gyrus cluster up. If it exists, check cluster_name and region",
        )


class ChangeRefused(AwsError):
    """A change of cluster.yaml for which the cluster, or its data, would have to be replaced."""

    def __init__(self, name: str, faults: Sequence[str]) -> None:
        super().__init__(
            f"The cluster {name} cannot be changed like this.",
            details=faults,
            remedy="Undo the change in cluster.yaml, or create a cluster of another name, and move the APIs",
        )


class NodesRemain(AwsError):
    """Nodes of a group that were not replaced, or not emptied, in time. The details name them."""

    def __init__(self, group: str, what: str, names: Sequence[str]) -> None:
        super().__init__(
            f"The nodes of the group {group} are not {what} in time.",
            details=names,
            remedy="See why: gyrus cluster info. Then repeat the command: it continues",
        )


class GroupsRemain(AwsError):
    """Auto Scaling groups or instances that did not end in time. The details name them."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(
            "Auto Scaling groups or instances of the cluster did not end in time.",
            details=names,
            remedy="See their activity in the AWS console, and repeat the command: it continues",
        )


class ForeignCluster(AwsError):
    """An EKS cluster of the same name that gyrus did not make."""

    def __init__(self, name: str, region: str) -> None:
        super().__init__(
            f"The EKS cluster {name} in {region} was not made by gyrus. Nothing was removed.",
            remedy="Check cluster_name and region in cluster.yaml",
        )


class BucketNotEmptied(AwsError):
    """Objects that S3 did not delete. The details name them."""

    def __init__(self, bucket: str, objects: Sequence[str]) -> None:
        super().__init__(
            f"Objects of the bucket {bucket} were not deleted.",
            details=objects,
            remedy="Remove their locks, or keep the bucket with --keep-data, and repeat the command",
        )

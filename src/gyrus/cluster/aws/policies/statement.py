"""One statement of an IAM policy with its reason, and the resources that statements name. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gyrus.cluster.aws import resource_names as aws_names
from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.regions import partition_of

VERSION = "2012-10-17"
ANY_ACCOUNT = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyStatement:
    """The actions that a policy allows, on which resources, and why."""

    name: str
    """Its ``Sid``: letters and digits."""
    actions: tuple[str, ...]
    resources: tuple[str, ...] = ("*",)
    conditions: Mapping[str, Mapping[str, str | Sequence[str]]] = field(
        default_factory=dict[str, Mapping[str, str | Sequence[str]]]
    )
    reason: str

    def document(self) -> dict[str, Any]:
        conditions = {"Condition": self.conditions} if self.conditions else {}
        return {
            "Sid": self.name,
            "Effect": "Allow",
            "Action": list(self.actions),
            "Resource": list(self.resources),
            **conditions,
        }


@dataclass(frozen=True, slots=True)
class PolicyScope:
    """The cluster whose resources a policy names."""

    spec: ClusterSpec
    account: str = ANY_ACCOUNT
    """The account, or a text that stands for it."""

    @property
    def partition(self) -> str:
        return partition_of(self.spec.region)

    @property
    def cluster(self) -> str:
        return self.spec.cluster_name

    @property
    def bucket(self) -> str:
        """The ARN of the cluster's bucket."""
        return f"arn:{self.partition}:s3:::{aws_names.bucket_name(self.spec, self.account)}"

    @property
    def queue(self) -> str:
        return self.arn("sqs", aws_names.queue_name(self.cluster))

    @property
    def scaling_groups(self) -> str:
        name = f"{aws_names.group_prefix(self.cluster)}*"
        return self.arn("autoscaling", f"autoScalingGroup:*:autoScalingGroupName/{name}")

    def log_groups(self, *names: str) -> tuple[str, ...]:
        """Return the ARNs of log groups, and of all that is in them."""
        arns = (self.arn("logs", f"log-group:{name}") for name in names)
        return tuple(text for arn in arns for text in (arn, f"{arn}:*"))

    def arn(self, service: str, name: str) -> str:
        """Return the ARN of a resource of the cluster's region."""
        return f"arn:{self.partition}:{service}:{self.spec.region}:{self.account}:{name}"

    def iam(self, name: str) -> str:
        """Return the ARN of a resource of IAM, which has no region."""
        return f"arn:{self.partition}:iam::{self.account}:{name}"


def policy_document(statements: Sequence[PolicyStatement]) -> dict[str, Any]:
    return {"Version": VERSION, "Statement": [statement.document() for statement in statements]}


def policy_table(statements: Sequence[PolicyStatement]) -> str:
    """Return the statements as a table of Markdown, for the guide."""
    lines = ["| Statement | Actions | Resources | Reason |", "|---|---|---|---|"]
    for each in statements:
        actions = ", ".join(f"`{action}`" for action in each.actions)
        resources = ", ".join(f"`{name}`" for name in each.resources) if each.resources != ("*",) else "all"
        where = f"{resources}{_conditions(each)}"
        lines.append(f"| {each.name} | {actions} | {where} | {each.reason} |")
    return "\n".join(lines)


def _conditions(statement: PolicyStatement) -> str:
    keys = (
        f"`{key}` is {_either(value)}"
        for block in statement.conditions.values()
        for key, value in block.items()
    )
    text = " and ".join(keys)
    return f", where {text}" if text else ""


def _either(value: str | Sequence[str]) -> str:
    values = (value,) if isinstance(value, str) else tuple(value)
    return " or ".join(f"`{each}`" for each in values)

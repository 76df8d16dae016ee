"""Each right that the source needs is in the policy of its caller."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatch

from gyrus.cluster.aws.policies.administrator import administrator_statements
from gyrus.cluster.aws.policies.operator import operator_statements
from gyrus.cluster.aws.policies.statement import PolicyScope, PolicyStatement
from support.aws.called_actions import called_rights
from support.cluster_templates import cluster

OPERATOR = ("nodes/", "cloudwatch/", "prices/")
"""Modules that run in the operator alone. The others run in the command line."""
CERTIFICATE = "arn:aws:acm:eu-west-1:123456789012:certificate/1a2b3c4d"
SCOPE = PolicyScope(
    cluster(
        ssl_certificate_arn=CERTIFICATE, iam_policy_arns=["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]
    )
)


def missing(statements: Iterable[PolicyStatement], *, of_operator: bool) -> dict[str, list[str]]:
    allowed = [action for statement in statements for action in statement.actions]
    needed = {
        right: sorted(module for module in modules if module.startswith(OPERATOR) is of_operator)
        for right, modules in called_rights().items()
    }
    return {
        right: modules
        for right, modules in needed.items()
        if modules and not any(fnmatch(right, pattern) for pattern in allowed)
    }


def test_the_administrator_may_do_what_the_commands_do() -> None:
    assert missing(administrator_statements(SCOPE), of_operator=False) == {}


def test_the_operator_may_do_what_its_modules_do() -> None:
    assert missing(operator_statements(SCOPE), of_operator=True) == {}


def test_the_source_is_read() -> None:
    rights = called_rights()
    assert len(rights) > 50
    assert rights["sqs:DeleteMessage"] == {"nodes/notice_queue"}
    assert "removal" in rights["logs:DeleteLogGroup"]

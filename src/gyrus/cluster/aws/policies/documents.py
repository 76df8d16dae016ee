"""The policies of a cluster as documents of IAM, each within IAM's limit. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.policies.administrator import administrator_statements
from gyrus.cluster.aws.policies.operator import installed_statements, operator_statements
from gyrus.cluster.aws.policies.statement import ANY_ACCOUNT, PolicyScope, PolicyStatement, policy_document

LARGEST = 6144
"""Characters of a managed policy of IAM, without spaces."""


def policy_documents(spec: ClusterSpec, account: str = ANY_ACCOUNT) -> dict[str, list[dict[str, Any]]]:
    """Return the policies by the name of their holder. Several documents stand for one that is too large.

    ``installed-operator`` is the operator's on a cluster that ``gyrus cluster install`` did not create.
    """
    scope = PolicyScope(spec, account)
    found = {
        "administrator": administrator_statements(scope),
        "operator": operator_statements(scope),
        "installed-operator": installed_statements(scope),
    }
    return {name: documents_of(statements) for name, statements in found.items()}


def documents_of(statements: Sequence[PolicyStatement]) -> list[dict[str, Any]]:
    """Return as few documents as hold the statements in their order."""
    groups: list[list[PolicyStatement]] = [[]]
    for statement in statements:
        if groups[-1] and _size([*groups[-1], statement]) > LARGEST:
            groups.append([])
        groups[-1].append(statement)
    return [policy_document(group) for group in groups]


def _size(statements: Sequence[PolicyStatement]) -> int:
    return len(json.dumps(policy_document(statements), separators=(",", ":")))

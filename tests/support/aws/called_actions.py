"""The AWS actions that gyrus's source calls, found in the source itself, with the rights that they need."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import gyrus.cluster.aws

ROOT = Path(gyrus.cluster.aws.__path__[0])
CALLERS = ("call", "pages", "_gone")
CALLERS_OF_ONE_SERVICE = {"_make": "logs"}
"""Functions that get the operation alone."""
PREFIXES = {
    "elbv2": "elasticloadbalancing",
    "elb": "elasticloadbalancing",
    "service-quotas": "servicequotas",
}
RIGHTS = {
    "s3:HeadBucket": ("s3:ListBucket",),
    "s3:ListObjectVersions": ("s3:ListBucketVersions",),
    "s3:ListMultipartUploads": ("s3:ListBucketMultipartUploads",),
    "s3:DeleteObjects": ("s3:DeleteObject", "s3:DeleteObjectVersion"),
    "sqs:DeleteMessageBatch": ("sqs:DeleteMessage",),
    "sts:GetCallerIdentity": (),
}
"""By operation: the rights that it needs, if they are not named like it."""


def called_rights() -> Mapping[str, frozenset[str]]:
    """Return the rights that the source needs, each with the modules that need it."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for module, service, operation in called_operations():
        action = f"{PREFIXES.get(service, service)}:{_operations(service)[operation]}"
        for right in RIGHTS.get(action, (action,)):
            found[right].add(module)
    return {right: frozenset(modules) for right, modules in found.items()}


def called_operations() -> Iterator[tuple[str, str, str]]:
    """Yield module, service and operation of each call. Raises AssertionError if one cannot be read."""
    for file in sorted(ROOT.rglob("*.py")):
        module = file.relative_to(ROOT).with_suffix("").as_posix()
        tree = ast.parse(file.read_text("utf-8"))
        constants = _constants(tree)
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = _name(node.func)
            if name in CALLERS:
                yield from ((module, *pair) for pair in _called(node, constants, f"{file}:{node.lineno}"))
            elif service := CALLERS_OF_ONE_SERVICE.get(name):
                yield module, service, _text(node.args[0], constants)


def _called(node: ast.Call, constants: Mapping[str, str], place: str) -> Iterator[tuple[str, str]]:
    words = [_text(argument, constants) for argument in node.args]
    pairs = [(one, two) for one, two in pairwise(words) if one and two]
    found = [(one, two) for one, two in pairs if two in _operations(one)]
    passed_on = any(isinstance(each, ast.Name) and each.id == "operation" for each in node.args)
    assert found or passed_on, f"{place}: the operation of this call cannot be read"
    yield from found


def _text(argument: ast.expr, constants: Mapping[str, str]) -> str:
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return argument.value
    return constants.get(argument.id, "") if isinstance(argument, ast.Name) else ""


def _constants(tree: ast.Module) -> dict[str, str]:
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name) and isinstance(node.value.value, str)
    }


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


@cache
def _operations(service: str) -> Mapping[str, str]:
    """Return the operations of a service by the names of their methods. Empty if there is no such service."""
    session: Any = _session()
    if service not in session.get_available_services():
        return {}
    snake: Any = import_module("botocore").xform_name
    return {snake(name): name for name in session.get_service_model(service).operation_names}


@cache
def _session() -> Any:
    return import_module("botocore.session").get_session()

"""The context of an EKS cluster in a kubeconfig, as kubectl and gyrus use it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from gyrus.cluster.aws.eks import EXECUTION_VERSION, EksCluster
from gyrus.cluster.errors import ClusterError

SECTIONS = ("clusters", "users", "contexts")


def context_name(cluster: str, region: str) -> str:
    """Return the name of a cluster's context, and of its entries.

    >>> context_name("vision", "eu-west-1")
    'vision.eu-west-1'
    """
    return f"{cluster}.{region}"


def with_context(config: dict[str, Any], cluster: EksCluster, program: Sequence[str]) -> dict[str, Any]:
    """Return a kubeconfig with a cluster's context. Pure.

    ``program`` prints a token: its words. The current context stays, unless there is none.
    """
    name = context_name(cluster.name, cluster.region)
    entries: dict[str, dict[str, Any]] = {
        "clusters": {
            "name": name,
            "cluster": {"server": cluster.endpoint, "certificate-authority-data": cluster.authority},
        },
        "users": {
            "name": name,
            "user": {
                "exec": {
                    "apiVersion": EXECUTION_VERSION,
                    "command": program[0],
                    "args": list(program[1:]),
                    "interactiveMode": "Never",
                }
            },
        },
        "contexts": {"name": name, "context": {"cluster": name, "user": name}},
    }
    changed = _without(config, name)
    for section, entry in entries.items():
        changed[section] = [*changed[section], entry]
    changed["current-context"] = changed.get("current-context") or name
    return {"apiVersion": "v1", "kind": "Config"} | changed


def without_context(config: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a kubeconfig without a cluster's entries. Pure."""
    changed = _without(config, name)
    if changed.get("current-context") == name:
        changed["current-context"] = ""
    return changed


def read_kubeconfig(file: Path) -> dict[str, Any]:
    """Return a kubeconfig; an empty one if there is no file. Raises ClusterError."""
    try:
        config: Any = yaml.safe_load(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ClusterError(
            f"{file} is not a readable kubeconfig: {' '.join(str(error).split())}.",
            remedy="Correct it, or set KUBECONFIG to the path of another file.",
        ) from error
    if config is not None and not isinstance(config, dict):
        raise ClusterError(
            f"{file} is not a kubeconfig: it has no fields.",
            remedy="Correct it, or set KUBECONFIG to the path of another file.",
        )
    return config or {}  # pyright: ignore[reportUnknownVariableType] -- of any type


def write_kubeconfig(file: Path, config: dict[str, Any]) -> None:
    """Replace a kubeconfig in one step; only its owner can read it. Raises ClusterError."""
    written = file.with_name(f"{file.name}.new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            yaml.safe_dump(config, out, sort_keys=False)
        written.replace(file)
    except OSError as error:
        raise ClusterError(
            f"{file} cannot be written: {error.strerror}.",
            remedy="Set KUBECONFIG to the path of another file.",
        ) from error


def _without(config: dict[str, Any], name: str) -> dict[str, Any]:
    changed = dict(config)
    for section in SECTIONS:
        entries: list[dict[str, Any]] = changed.get(section) or []
        changed[section] = [entry for entry in entries if entry.get("name") != name]
    return changed

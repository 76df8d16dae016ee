"""The remedy for an object of an installation that the cluster refuses. Pure."""

from __future__ import annotations

import re

from gyrus.cluster.errors import ObjectNotAccepted
from gyrus.contract import cluster as names
from gyrus.kubernetes.errors import ObjectInvalid, ObjectRefused
from gyrus.kubernetes.refusals import is_quota, why_refused
from gyrus.kubernetes.resources import Manifest, name_of, namespace_of

_PORT_TAKEN = re.compile(r"nodePort: Invalid value: (?P<port>\d+): provided port is already allocated")
_FIXED_VOLUME = re.compile(r"immutable after creation|can not be less than (?:previous|status)")
_PORTS = {names.GATEWAY: "gateway.node_port", names.EXTERNAL_API: "operator.api.node_port"}


def refusal(manifest: Manifest, error: ObjectInvalid | ObjectRefused) -> ObjectNotAccepted:
    """Return the error for an object that the cluster does not accept."""
    cause, message = why_refused(str(error)), str(error)
    if found := _PORT_TAKEN.search(message):
        cause = f"another Service has the node port {found['port']}"
    elif manifest["kind"] == "PersistentVolumeClaim" and _FIXED_VOLUME.search(message):
        cause = "a volume keeps its class, and its size only grows"
    return ObjectNotAccepted(
        f"The cluster does not accept {manifest['kind']} {name_of(manifest)}: {cause}.",
        remedy=_remedy(manifest, message),
    )


def pods_remedy(message: str, deployment: str, namespace: str) -> str:
    """Return what to do about pods of a Deployment that the cluster refuses."""
    part = "operator" if deployment == names.OPERATOR else "gateway"
    if is_quota(message) or "failed quota" in message:
        setting = f"{part}.resources" + (" or gateway.replicas" if part == "gateway" else "")
        return f"Raise the quota (kubectl describe quota --namespace {namespace}), or lower {setting}."
    if "LimitRange" in why_refused(message):
        return (
            f"Change the LimitRange (kubectl describe limits --namespace {namespace}), or {part}.resources."
        )
    if "PriorityClass" in message:
        return "Create it with: gyrus cluster install"
    return ""


def _remedy(manifest: Manifest, message: str) -> str:
    namespace = namespace_of(manifest) or names.NAMESPACE
    if _PORT_TAKEN.search(message):
        setting = _PORTS.get(name_of(manifest), "the node port")
        return f"Choose another {setting} in the values file, or leave it out for a free one."
    if manifest["kind"] == "PersistentVolumeClaim" and _FIXED_VOLUME.search(message):
        return (
            "Put operator.storage and operator.storage_class in the values file back to what they were. For "
            "another volume, which begins empty: gyrus cluster uninstall, then gyrus cluster install"
        )
    if is_quota(message):
        return f"Raise the quota: kubectl describe quota --namespace {namespace}"
    if "being terminated" in message:
        return (
            f"Wait until it is gone, and run the command again: kubectl wait --for=delete "
            f"namespace/{namespace} --timeout=5m"
        )
    return "Correct the values file, or ask the administrator of the cluster."

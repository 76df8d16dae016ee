"""One object ``apis.gyrus.dev``, read, and the manifests of the objects that gyrus creates. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gyrus.contract import cluster
from gyrus.contract.operator import ApiOwner
from gyrus.kubernetes.resources import APIS, KubernetesObject, Manifest

OWNER_LABEL = f"{cluster.GROUP}/owner"
"""``cli`` on an object that mirrors an API of the CLI. Manifests need no label."""


@dataclass(frozen=True, slots=True)
class ApiObject(KubernetesObject):
    @property
    def generation(self) -> int:
        """The number of the specification: every change of ``spec`` raises it."""
        return self.manifest["metadata"].get("generation", 0)

    @property
    def spec(self) -> Mapping[str, Any]:
        return self.manifest.get("spec") or {}

    @property
    def labelled(self) -> bool:
        """True if gyrus created it."""
        return self.labels.get(OWNER_LABEL) == ApiOwner.CLI

    @property
    def mirrors(self) -> bool:
        """True if gyrus created it for an API of the CLI, and no manifest was applied to it since."""
        return self.labelled and self.spec.keys() <= {"kind"}


def mirror(name: str, namespace: str, kind: str | None) -> Manifest:
    """Return the object of an API that the CLI deployed. ``kind``: None if it is not known yet."""
    return {
        "apiVersion": APIS.api_version,
        "kind": APIS.kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {OWNER_LABEL: str(ApiOwner.CLI), "app.kubernetes.io/managed-by": cluster.MANAGER},
        },
        "spec": {"kind": kind} if kind else {},
    }


def owner_reference(manifest: Manifest) -> Manifest:
    """Return the reference by which pods and budgets name this object as their owner."""
    return {
        "apiVersion": APIS.api_version,
        "kind": APIS.kind,
        "name": manifest["metadata"]["name"],
        "uid": manifest["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }

"""The definition of the custom resource: one object for each API, named as the API."""

from __future__ import annotations

from gyrus.cluster.manifests.objects import INSTANCE, Installation, metadata
from gyrus.contract import cluster as names
from gyrus.kubernetes.resources import Manifest

COLUMNS = (
    ("Kind", "string", ".spec.kind"),
    ("Status", "string", ".status.status"),
    ("Owner", "string", ".status.owner"),
    ("Revision", "integer", ".status.revision"),
    ("Ready", "integer", ".status.replicas.ready"),
    ("Requested", "integer", ".status.replicas.requested"),
    ("In flight", "integer", ".status.in_flight"),
    ("Endpoint", "string", ".status.endpoint"),
    ("Age", "date", ".metadata.creationTimestamp"),
)
"""The columns of ``kubectl get apis.gyrus.dev``: what ``gyrus get`` lists."""


def custom_resource_definition(installation: Installation) -> Manifest:
    """Return the definition of ``apis.gyrus.dev``. All installations of a cluster share it."""
    shared = metadata(installation, f"{names.PLURAL}.{names.GROUP}", namespaced=False)
    del shared["labels"][INSTANCE]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": shared,
        "spec": {
            "group": names.GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": names.KIND,
                "listKind": f"{names.KIND}List",
                "plural": names.PLURAL,
                "singular": "api",
                "categories": ["gyrus"],
            },
            "versions": [
                {
                    "name": names.VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": _schema()},
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [
                        {"name": name, "type": kind, "jsonPath": path} for name, kind, path in COLUMNS
                    ],
                }
            ],
        },
    }


def _schema() -> Manifest:
    """Return a structural schema. The operator checks ``spec``, and reports its faults in ``status``."""
    return {
        "type": "object",
        "properties": {
            "spec": {
                "description": "The API's specification, with the fields of the YAML of gyrus.",
                "type": "object",
                "x-kubernetes-preserve-unknown-fields": True,
            },
            "status": {
                "description": "The state of the API. The operator writes it.",
                "type": "object",
                "x-kubernetes-preserve-unknown-fields": True,
                "properties": {
                    "observedGeneration": {"type": "integer"},
                    "status": {"type": "string"},
                    "owner": {"type": "string"},
                    "revision": {"type": "integer"},
                    "endpoint": {"type": "string"},
                    "in_flight": {"type": "integer"},
                    "message": {"type": "string"},
                    "replicas": {
                        "type": "object",
                        "properties": {
                            "requested": {"type": "integer"},
                            "ready": {"type": "integer"},
                            "up_to_date": {"type": "integer"},
                        },
                    },
                    "conditions": {
                        "type": "array",
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["type"],
                        "items": _condition(),
                    },
                },
            },
        },
    }


def _condition() -> Manifest:
    """Return the schema of Kubernetes' own conditions."""
    text: Manifest = {"type": "string"}
    return {
        "type": "object",
        "required": ["type", "status", "reason", "message", "lastTransitionTime"],
        "properties": {
            "type": text,
            "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
            "reason": text,
            "message": text,
            "observedGeneration": {"type": "integer"},
            "lastTransitionTime": {"type": "string", "format": "date-time"},
        },
    }

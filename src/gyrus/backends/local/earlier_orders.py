"""The first format of orders on disk, which carried the API's specification instead of a workload."""

from __future__ import annotations

import json
from typing import Any

from gyrus.backends.protocol import ReplicaOrder
from gyrus.spec import stored
from gyrus.spec.realtime import RealtimeSpec

VERSION = 1
"""Version of the specifications in these orders."""


def is_earlier(document: dict[str, Any]) -> bool:
    return "spec" in document


def read_earlier(document: dict[str, Any]) -> ReplicaOrder:
    """Read an order of the first format. Raises ValueError, TypeError, KeyError."""
    spec = stored.read(json.dumps(document["spec"]), VERSION, endpoint_path="")
    if not isinstance(spec, RealtimeSpec):
        raise ValueError(f"its specification is not that of a RealtimeAPI: {spec}")
    return ReplicaOrder(
        id=document["id"],
        api=spec.name,
        generation=document["generation"],
        revision=document["revision"],
        workload=spec.workload(document["package"]),
    )

"""An installation of gyrus on Kubernetes, as commands show it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gyrus.cluster.overview import Overview


def overview_data(found: Overview) -> dict[str, Any]:
    """Return an installation as ``-o json`` prints it."""
    return {
        "namespace": found.namespace,
        "version": found.version,
        "healthy": found.healthy(datetime.now(UTC)),
        "operator": found.operator.url("https") if not found.operator.missing else None,
        "gateway": found.gateway.endpoints if not found.gateway.missing else None,
        "parts": [
            {
                "name": part.name,
                "ready": part.ready,
                "requested": part.requested,
                "healthy": part.healthy,
                "message": part.problem.message if part.problem else "",
            }
            for part in found.parts
        ],
    }

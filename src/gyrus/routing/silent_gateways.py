"""When a gateway that does not answer stops to count. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

GIVEN_UP_AFTER = 30.0
"""Seconds without a connection, and without Kubernetes' word that it is ready, after which it is given up."""


@dataclass(frozen=True, slots=True)
class GatewayPod:
    """The state of a gateway's pod in Kubernetes."""

    statistics: str | None = None
    """Host and port of its statistics. None while it has no address."""
    ready: bool = True
    """True if its Service sends connections to it."""


@dataclass(slots=True)
class SilentGateways:
    """Gateways that neither the operator nor Kubernetes reaches, and since when.

    A gateway whose stream broke goes on serving, and counts. One that Kubernetes does not reach either gets
    no new connections, and may never come back: its node is lost, or it hangs. Without a bound, each
    rollout would wait for its acknowledgement for ever.
    """

    _since: dict[str, float] = field(default_factory=dict[str, float])

    def given_up(
        self,
        now: float,
        counted: Collection[str],
        connected: Collection[str],
        pods: Mapping[str, GatewayPod],
    ) -> frozenset[str]:
        """Return the gateways that no longer count.

        ``now``: seconds of a clock that never goes backwards. ``counted``: the gateways that count now.
        ``connected``: those with an open stream. ``pods``: those that exist.
        """
        silent = {name for name in counted if name in pods and not pods[name].ready and name not in connected}
        self._since = {name: self._since.get(name, now) for name in silent}
        return frozenset(name for name, since in self._since.items() if now - since >= GIVEN_UP_AFTER)

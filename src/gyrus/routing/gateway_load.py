"""The gateway's own limits, from Envoy's statistics, and the message about those that it reaches. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gyrus.routing.resources import bodies
from gyrus.routing.resources.overload import SCARCEST
from gyrus.routing.settings import GatewaySettings
from gyrus.state.gateway_load import GatewayLimit, GatewayLoad, LimitUse

STATISTICS = (
    r"/stats?filter=^(http\.gyrus\.downstream_cx_active"
    r"|listener\..*\.downstream_global_cx_overflow"
    r"|cluster\.gyrus\.bodies\.[a-z]%2B\.upstream_rq_(active|active_overflow)"
    r"|overload\.envoy\.overload_actions\.reset_high_memory_stream\.count)$"
)
RECENT = 10.0
"""Seconds for which a refusal counts as recent."""

_LINE = re.compile(r"^(\S+): (\d+)$", re.MULTILINE)
_OVERFLOW = ".downstream_global_cx_overflow"
_RESETS = "overload.envoy.overload_actions.reset_high_memory_stream.count"


def load_of(text: str, settings: GatewaySettings) -> GatewayLoad:
    """Read the answer to :data:`STATISTICS`."""
    found = {name: int(value) for name, value in _LINE.findall(text)}
    connections = LimitUse(
        used=found.get("http.gyrus.downstream_cx_active", 0),
        most=settings.connections.most,
        refused=sum(value for name, value in found.items() if name.endswith(_OVERFLOW)),
    )
    tiers = {tier.name: (f"cluster.{bodies.name_of(tier)}", tier.most) for tier in settings.tiers}
    uses = {
        name: LimitUse(
            used=found.get(f"{cluster}.upstream_rq_active", 0),
            most=most,
            refused=found.get(f"{cluster}.upstream_rq_active_overflow", 0),
        )
        for name, (cluster, most) in tiers.items()
    }
    return GatewayLoad(connections=connections, bodies=uses, resets=found.get(_RESETS, 0))


@dataclass(slots=True)
class LimitWatch:
    """The recent refusals of one gateway."""

    _last: GatewayLoad | None = None
    _connections: float = float("-inf")
    """Time of the last observed refusal."""
    _bodies: float = float("-inf")
    _resets: float = float("-inf")

    def note(self, load: GatewayLoad, now: float) -> GatewayLimit | None:
        """Note the present use. Returns the limit to report, or None. ``now``: monotonic seconds."""
        last, self._last = self._last, load
        if last is not None:
            if load.connections.refused > last.connections.refused:
                self._connections = now
            if _refused_bodies(load) > _refused_bodies(last):
                self._bodies = now
            if load.resets > last.resets:
                self._resets = now
        return self._limit(load, now - RECENT)

    def forget(self) -> None:
        """Drop what is known, because the next gateway counts from zero."""
        self._last = None

    def _limit(self, load: GatewayLoad, since: float) -> GatewayLimit | None:
        connections = load.connections
        if self._connections > since:
            return GatewayLimit(
                f"The gateway closes new connections: its limit of {connections.most} is reached. It ends "
                "idle ones early. For a higher limit, raise that of open files (ulimit -n).",
                refusing=True,
            )
        if self._resets > since:
            message = "The gateway resets its largest requests: its memory for requests is used up."
            return GatewayLimit(message, refusing=True)
        if self._bodies > since:
            longest = max(load.bodies.values(), key=lambda use: use.used / max(1, use.most))
            return GatewayLimit(
                f"The gateway refuses further requests with long bodies: {longest.used} are under way, and "
                f"its memory suffices for {longest.most} of their length.",
                refusing=True,
            )
        if connections.used >= SCARCEST * connections.most:
            return GatewayLimit(
                f"The gateway ends idle connections early: {connections.used} of at most {connections.most} "
                "connections are open.",
                refusing=False,
            )
        return None


def _refused_bodies(load: GatewayLoad) -> int:
    return sum(use.refused for use in load.bodies.values())

"""Envoy's protection against too many connections and too much memory (bootstrap).

Connections beyond the limit are closed at once. Long before, Envoy shortens the time for which it keeps idle
connections: new clients find a place, and only idle ones lose theirs. Envoy's own count of connections cannot
trigger that, so the gateway's owner writes it to a file as a share of the limit (see
``gyrus.routing.pressure``).
"""

from __future__ import annotations

from pathlib import Path

from gyrus.routing.resources.kinds import Json, extension, seconds
from gyrus.routing.settings import GatewaySettings

REFRESH = 0.25
"""Seconds between two readings of the resources."""
SCARCE = 0.1
"""Share of the connections from which idle ones are kept for a shorter time."""
SCARCEST = 0.4
"""Share from which they are kept for the shortest time."""
SHRINKING = 0.75
RESETTING = 0.85
"""Shares of the heap from which Envoy returns free memory, and resets the largest requests."""

CONNECTIONS = "envoy.resource_monitors.global_downstream_max_connections"
PRESSURE = "envoy.resource_monitors.injected_resource"
HEAP = "envoy.resource_monitors.fixed_heap"

_MONITORS = "envoy.extensions.resource_monitors"
_TIMERS = "envoy.config.overload.v3.ScaleTimersOverloadActionConfig"


def overload_manager(settings: GatewaySettings, pressure: Path) -> Json:
    limits = settings.connections
    return {
        "refresh_interval": seconds(REFRESH),
        "resource_monitors": [
            extension(
                CONNECTIONS,
                f"{_MONITORS}.downstream_connections.v3.DownstreamConnectionsConfig",
                max_active_downstream_connections=str(limits.most),
            ),
            extension(
                PRESSURE,
                f"{_MONITORS}.injected_resource.v3.InjectedResourceConfig",
                filename=str(pressure),
            ),
            extension(
                HEAP, f"{_MONITORS}.fixed_heap.v3.FixedHeapConfig", max_heap_size_bytes=str(settings.heap)
            ),
        ],
        "buffer_factory_config": {"minimum_account_to_track_power_of_two": 20},  # from a megabyte
        "actions": [
            _idle_times(limits.shortest_idle),
            {"name": "envoy.overload_actions.shrink_heap", "triggers": [_above(HEAP, SHRINKING)]},
            {
                "name": "envoy.overload_actions.reset_high_memory_stream",
                "triggers": [_scaled(HEAP, RESETTING, 0.95)],
            },
        ],
    }


def _idle_times(shortest: float) -> Json:
    scale = {"timer": "HTTP_DOWNSTREAM_CONNECTION_IDLE", "min_timeout": seconds(shortest)}
    config = {"@type": f"type.googleapis.com/{_TIMERS}", "timer_scale_factors": [scale]}
    return {
        "name": "envoy.overload_actions.reduce_timeouts",
        "triggers": [_scaled(PRESSURE, SCARCE, SCARCEST)],
        "typed_config": config,
    }


def _above(resource: str, share: float) -> Json:
    return {"name": resource, "threshold": {"value": share}}


def _scaled(resource: str, least: float, most: float) -> Json:
    return {"name": resource, "scaled": {"scaling_threshold": least, "saturation_threshold": most}}

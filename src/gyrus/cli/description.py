"""Everything about one API, as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

import click

from gyrus.cli.apis import first_line
from gyrus.cli.costs import api_lines
from gyrus.cli.output import (
    age,
    bold,
    dim,
    duration,
    indented,
    outcome_styled,
    phase_styled,
    status_styled,
    table,
)
from gyrus.cli.replicas import doing
from gyrus.contract.costs import ApiCostView
from gyrus.contract.operator import (
    ApiDescription,
    ApiOwner,
    ApiView,
    Cause,
    EventView,
    ForkServerView,
    PoolView,
    ReplicaView,
    RolloutView,
    StartupTimes,
    TrafficView,
)
from gyrus.contract.replica import FAILING
from gyrus.contract.visible import escaped, shown

MASK = "********"
"""Shown in place of the value of a variable."""

REPLICA_HEADERS = ("REPLICA", "REVISION", "PHASE", "RESTARTS", "AGE", "")
REPLICA_IDS = "Ids are NAME-GENERATION-RANDOM. Every deploy, rollback and refresh begins a new generation."
POOL_HEADERS = ("REVISION", "GENERATION", "SHARE", "IN FLIGHT", "REQUESTS", "5XX", "P50", "P95", "P99")
EVENT_HEADERS = ("FIRST", "LAST", "COUNT", "REASON", "REPLICA", "")


def described(
    description: ApiDescription, now: float | None = None, *, cost: ApiCostView | None = None
) -> str:
    """Format everything about an API. Texts are escaped, so that none of them acts on a terminal."""
    description = shown(description)
    sections = {
        "": _summary(description),
        "Replicas": _replicas(description.replicas, now),
        "Failures": "\n\n".join(_failures(description.replicas)),
        "Scaling": "\n".join(_scaling(description)),
        "Traffic since the gateway started": _traffic(description.traffic, description.pools),
        "Cost": _cost(cost),
        "Events": _events(description.events),
        "Specification": "\n".join(_yaml(description.spec)),
    }
    return "\n\n".join(_section(title, text) for title, text in sections.items() if text)


def masked(description: ApiDescription) -> ApiDescription:
    """Return the description without the values of environment variables, which may be secrets."""
    variables = description.spec.get("env")
    if not isinstance(variables, dict) or not variables:
        return description
    hidden = dict.fromkeys(cast("dict[str, Any]", variables), MASK)
    return replace(description, spec={**description.spec, "env": hidden})


def _cost(cost: ApiCostView | None) -> str:
    lines = api_lines(cost) if cost else {}
    return "\n".join(f"{key:<18} {text}" for key, text in lines.items())


def _section(title: str, text: str) -> str:
    return f"{bold(title)}\n{indented(text)}" if title else text


def _summary(description: ApiDescription) -> str:
    api = description.api
    counts = api.replicas
    since = f"updated {age(api.updated_at)} ago, first deployed {age(api.created_at)} ago"
    lines = {
        "status": _status(api),
        "endpoint": api.endpoint,
        "revision": f"{api.revision}, {since}",
        "replicas": f"{counts.ready} ready of {counts.requested}, {counts.up_to_date} up to date",
        "in flight": str(api.in_flight),
        "rollout": _rollout(description.rollout),
    }
    if api.owner is ApiOwner.MANIFEST:
        lines["owner"] = f"a manifest: the object {api.name} of apis.gyrus.dev"
    title = bold(f"{api.name} ({api.kind})")
    return "\n".join([title, *(f"  {key:<10} {text}" for key, text in lines.items())])


def _status(api: ApiView) -> str:
    """Return the status with its reason, whose first word may be the status already."""
    reason = first_line(api.message)
    first, _, rest = reason.partition(": ")
    if first.lower() == api.status:
        reason = rest
    return status_styled(api.status) + (f": {reason}" if reason else "")


def _rollout(rollout: RolloutView) -> str:
    of = "to" if rollout.cause is Cause.ROLLBACK else "of"
    text = f"{rollout.cause} {of} revision {rollout.revision}: {outcome_styled(rollout.outcome)}"
    began = f", started {age(rollout.started_at)} ago"
    return text + began + (f"\n{indented(rollout.message, 13)}" if rollout.message else "")


def _replicas(replicas: tuple[ReplicaView, ...], now: float | None) -> str:
    if not replicas:
        return ""
    rows = table(REPLICA_HEADERS, [_replica(replica, now) for replica in replicas])
    return f"{rows}\n{dim(REPLICA_IDS)}"


def _replica(replica: ReplicaView, now: float | None) -> tuple[str, ...]:
    import time

    status = replica.status
    lived = duration((now or time.time()) - status.started_at) if status.started_at else "-"
    old = "" if replica.up_to_date else dim(" (old)")
    # The phase has its own column: show the activity only if it adds to that.
    what = doing(replica)
    return (
        status.id,
        f"{status.revision}{old}",
        phase_styled(status.phase),
        str(status.restarts),
        lived,
        dim(what) if what != status.phase else "",
    )


def _failures(replicas: tuple[ReplicaView, ...]) -> Iterator[str]:
    """Yield each troubled replica's reason and last lines."""
    for replica in replicas:
        status = replica.status
        if status.phase not in FAILING and not (status.restarts and status.last_lines):
            continue
        reason = click.style(f"{status.reason or 'last failure'}:", fg="red")
        lines = "\n".join(status.last_lines)
        yield f"{status.id}: {reason} {status.message}".rstrip() + (f"\n{indented(lines)}" if lines else "")


def _scaling(description: ApiDescription) -> Iterator[str]:
    """Yield the bounds, the last decision with its inputs, and the times that a start takes."""
    if bounds := _bounds(description.spec.get("autoscaling")):
        yield f"{'bounds':<10} {bounds}"
    if scaling := description.scaling:
        yield f"{'decision':<10} {age(scaling.time)} ago, with {scaling.was} requested: {scaling.message}"
        if scaling.inputs:
            yield f"{'inputs':<10} " + ", ".join(
                f"{name} {value:g}" for name, value in scaling.inputs.items()
            )
    if description.held:
        yield f"{'held':<10} {description.held}, until a replica is ready"
    if description.starts:
        yield f"{'starts':<10} {', '.join(map(_start, description.starts))}"
    if description.fork_server:
        yield f"{'next':<10} {_fork_server(description.fork_server)}"


def _bounds(autoscaling: dict[str, Any] | None) -> str:
    """Format the bounds as specified, with the number of scheduled minima. Empty if there are none."""
    if not autoscaling or not {"min_replicas", "max_replicas"} <= autoscaling.keys():
        return ""
    least, most = autoscaling["min_replicas"], autoscaling["max_replicas"]
    lines = len(autoscaling.get("schedule", ()))
    scheduled = f", and {lines} scheduled {'minimum' if lines == 1 else 'minima'}" if lines else ""
    return f"{least} to {most} replicas{scheduled}"


def _start(times: StartupTimes) -> str:
    return f"{times.kind} {times.median:.2f} s (median of {times.count})"


def _fork_server(fork_server: ForkServerView) -> str:
    """Describe how the next replica will start."""
    if fork_server.because:
        return f"cold: {fork_server.because}"
    return f"warm: forked from a process that has loaded the handler ({fork_server.memory / 2**20:.0f} MiB)"


def _traffic(traffic: TrafficView, pools: tuple[PoolView, ...]) -> str:
    """Return the traffic of all generations together, then of each that is routed, and of the others."""
    if not traffic.requests:
        return ""
    requests = "request" if traffic.requests == 1 else "requests"
    codes = ", ".join(f"{code} {count}" for code, count in sorted(traffic.by_code.items()))
    quantiles = {"p50": traffic.p50, "p95": traffic.p95, "p99": traffic.p99}
    times = ", ".join(
        f"{name} {_milliseconds(value)}" for name, value in quantiles.items() if value is not None
    )
    rows = [*map(_pool, pools), *_earlier(traffic, pools)] if pools else []
    by_generation = table(POOL_HEADERS, rows) if rows else ""
    total = f"{traffic.requests} {requests}: {codes}"
    return "\n".join(text for text in (total, times, by_generation) if text)


def _milliseconds(value: float) -> str:
    """Return a latency. Envoy counts whole milliseconds, and interpolates between them."""
    return f"{value:.1f} ms" if value >= 1 else "<1 ms"


def _earlier(traffic: TrafficView, pools: tuple[PoolView, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the row of the generations that are gone, so that the rows add up to the total."""
    requests = traffic.requests - sum(pool.traffic.requests for pool in pools)
    failed = _failed(traffic) - sum(_failed(pool.traffic) for pool in pools)
    if requests > 0:
        yield "earlier", "-", "-", "-", str(requests), str(max(0, failed)), "-", "-", "-"


def _failed(traffic: TrafficView) -> int:
    return traffic.by_code.get("5xx", 0)


def _pool(pool: PoolView) -> tuple[str, ...]:
    traffic = pool.traffic
    times = (traffic.p50, traffic.p95, traffic.p99)
    return (
        str(pool.revision),
        str(pool.generation),
        f"{pool.share:.0%}",
        str(pool.in_flight),
        str(traffic.requests),
        str(_failed(traffic)),
        *("-" if value is None else _milliseconds(value) for value in times),
    )


def _events(events: tuple[EventView, ...]) -> str:
    return events_table(events) if events else ""


def events_table(events: Iterable[EventView]) -> str:
    """Return a table in the order of first occurrences, so that a repeated event keeps its place."""
    # The sort is stable: events of one moment stay in the order of their ids.
    ordered = sorted(shown(list(events)), key=_began)
    return table(EVENT_HEADERS, [_event_row(event) for event in ordered])


def _event_row(event: EventView) -> tuple[str, ...]:
    times = age(event.first_time or event.time), age(event.time), str(event.count)
    return *times, _reason(event), event.replica or "-", first_line(event.message)


def _began(event: EventView) -> datetime:
    return datetime.fromisoformat(event.first_time or event.time)


def event_line(event: EventView) -> str:
    """Format an event as a line: ``12:00:00 ScaledUp Scaled from 1 to 2: …``."""
    event = shown(event)
    moment = datetime.fromisoformat(event.time).astimezone()
    times = f" ×{event.count}" if event.count > 1 else ""
    return f"{dim(f'{moment:%H:%M:%S}')} {_reason(event)}{times} {first_line(event.message)}"


def _reason(event: EventView) -> str:
    return click.style(event.reason, fg="yellow") if event.type == "warning" else event.reason


def _yaml(value: dict[str, Any], depth: int = 0) -> Iterator[str]:
    """Yield the non-empty fields, as in a YAML file. Scalars are JSON, which is YAML too."""
    import msgspec

    for key, item in value.items():
        if isinstance(item, dict):
            lines = list(_yaml(item, depth + 1))  # pyright: ignore[reportUnknownArgumentType] a JSON object
            yield from ["  " * depth + f"{escaped(key)}:", *lines] if lines else ()
        elif item not in (None, []):
            text = item if isinstance(item, str) else msgspec.json.encode(item).decode()
            yield "  " * depth + f"{escaped(key)}: {escaped(text)}"

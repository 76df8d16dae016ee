"""The costs of an hour or of a day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from gyrus.cost.division import ApiPart, CostParts

HOUR, DAY = 3600, 86_400
"""Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCosts:
    """One API's costs in a bucket."""

    part: ApiPart = field(default_factory=ApiPart)
    requests: int = 0
    metered: int = 0
    """Milliseconds for which the API existed and was metered."""

    def plus(self, other: ApiCosts) -> ApiCosts:
        return ApiCosts(
            part=self.part.plus(other.part),
            requests=self.requests + other.requests,
            metered=self.metered + other.metered,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CostBucket:
    """The costs of a span of time that begins on the hour. Amounts are billionths of a dollar."""

    start: int
    """Seconds since the epoch."""
    length: int = HOUR
    metered: int = 0
    """Milliseconds."""
    unmetered: int = 0
    """Milliseconds in which no operator ran, and whose costs are unknown."""
    machines: int = 0
    apis: Mapping[str, ApiCosts] = field(default_factory=dict[str, ApiCosts])
    idle: int = 0
    idle_spot_saved: int = 0
    shared: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def bill(self) -> int:
        return self.machines + sum(self.shared.values())

    def charged(self, parts: CostParts, apis: Iterable[str], milliseconds: int) -> CostBucket:
        """Return the bucket with the costs of one more span of time. ``apis``: those that exist."""
        costs = dict(self.apis)
        for name in {*apis, *parts.apis}:
            more = ApiCosts(part=parts.apis.get(name, ApiPart()), metered=milliseconds)
            costs[name] = costs[name].plus(more) if name in costs else more
        return replace(
            self,
            metered=self.metered + milliseconds,
            machines=self.machines + parts.machines,
            apis=costs,
            idle=self.idle + parts.idle,
            idle_spot_saved=self.idle_spot_saved + parts.idle_spot_saved,
            shared=_added(self.shared, parts.shared),
        )

    def requested(self, requests: Mapping[str, int]) -> CostBucket:
        """Return the bucket with more answered requests."""
        costs = dict(self.apis)
        for name, number in requests.items():
            costs[name] = costs.get(name, ApiCosts()).plus(ApiCosts(requests=number))
        return replace(self, apis=costs)

    def missed(self, milliseconds: int) -> CostBucket:
        """Return the bucket with more time that was not metered."""
        return replace(self, unmetered=self.unmetered + milliseconds)


def total_costs(buckets: Iterable[CostBucket], *, start: int = 0, length: int = 0) -> CostBucket:
    """Return the sum of buckets, as one."""
    found = tuple(buckets)
    apis: dict[str, ApiCosts] = {}
    shared: dict[str, int] = {}
    for bucket in found:
        for name, costs in bucket.apis.items():
            apis[name] = apis[name].plus(costs) if name in apis else costs
        shared = _added(shared, bucket.shared)
    return CostBucket(
        start=start,
        length=length,
        metered=sum(bucket.metered for bucket in found),
        unmetered=sum(bucket.unmetered for bucket in found),
        machines=sum(bucket.machines for bucket in found),
        apis=apis,
        idle=sum(bucket.idle for bucket in found),
        idle_spot_saved=sum(bucket.idle_spot_saved for bucket in found),
        shared=shared,
    )


def _added(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    return {name: first.get(name, 0) + second.get(name, 0) for name in {**first, **second}}

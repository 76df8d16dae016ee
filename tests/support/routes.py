"""Routes as control would write them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gyrus.state.board import Board, Pool, Route, WeightedPool


def route_to(
    api: str, endpoints: Iterable[str] = (), *, activator: str | None = None, **changes: Any
) -> Route:
    """A route with one pool. ``changes``: fields of the route or of its pool. The activator, where it is one
    of the endpoints, is no replica."""
    named = ("generation", "revision", "protocol", "queueing", "runtime_answers")
    of_pool: dict[str, Any] = {"generation": 1, "revision": 1}
    of_pool |= {name: changes.pop(name) for name in named if name in changes}
    given: dict[str, Any] = {"path": f"/{api}", "timeout": 5.0, **changes}
    replicas = frozenset(endpoints) - {activator}
    pool = Pool(api=api, replicas=replicas, fallback=frozenset(endpoints) - replicas, **of_pool)
    return Route(api=api, shares=(WeightedPool(pool=pool),), **given)


def pools_of(api: str, *replicas: Iterable[str], weights: Iterable[int]) -> tuple[WeightedPool, ...]:
    """Shares of generations 1, 2, …: the newest first."""
    shares = [
        WeightedPool(
            pool=Pool(api=api, generation=number, revision=number, replicas=frozenset(those)), weight=weight
        )
        for number, (those, weight) in enumerate(zip(replicas, weights, strict=True), 1)
    ]
    return tuple(reversed(shares))


def acknowledge(board: Board, *routes: Route) -> None:
    """Write these routes, as acknowledged by every gateway."""
    for route in routes:
        board.routes[route.api] = route
        board.acknowledged[route.api] = {pool.id: pool.endpoints for pool in route.pools}
        board.acknowledged_signals.notify(route.api)

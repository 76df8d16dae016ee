"""The shutdown of the platform: refuse new requests, finish those in flight, stop all replicas."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import Protocol

from gyrus.backends.protocol import ReplicaRunner, WarmStarts
from gyrus.state.board import Board, Endpoints, Pool, Route

log = logging.getLogger(__name__)


class StoppedBackend(ReplicaRunner, WarmStarts, Protocol):
    """The parts of a backend that the shutdown needs."""


async def withdraw_routes(board: Board, activator: str, patience: float) -> None:
    """Take all replicas out of the routes, and wait at most ``patience`` seconds for the acknowledgement.

    The gateway then sends new requests, and those that replicas requeue, to the activator, which refuses them
    with the reason. Requests in flight continue.
    """
    board.routes = {api: _withdrawn(route, activator) for api, route in board.routes.items()}
    with board.acknowledged_signals.listen() as listener:
        board.route_signals.notify(*board.routes)
        try:
            async with asyncio.timeout(patience):
                while _reachable(board) - {activator}:
                    await listener.wait()
        except TimeoutError:
            log.warning("the gateway did not acknowledge the withdrawal of all routes within %g s", patience)


def _reachable(board: Board) -> Endpoints:
    return frozenset[str]().union(*map(board.reachable_of, board.reachable))


def _withdrawn(route: Route, activator: str) -> Route:
    shares = (replace(share, pool=_without_replicas(share.pool, activator)) for share in route.shares)
    return replace(route, shares=tuple(shares))


def _without_replicas(pool: Pool, activator: str) -> Pool:
    fallback = frozenset({activator} if pool.protocol == "http1" else ())  # the activator serves HTTP/1 only
    return replace(pool, replicas=frozenset(), fallback=fallback)


async def stop_replicas(backend: StoppedBackend, grace: float) -> None:
    """Drain every replica, and wait until none is left. The backend must be running."""
    with backend.changes.listen() as listener:
        await backend.expect_no_orders()
        for api in backend.apis():
            for replica in backend.observe(api):
                await backend.stop(replica, grace=grace)
        while backend.apis():
            await listener.wait()

"""The shutdown of the platform: refuse new requests, finish those in flight, stop all replicas."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import Protocol

from gyrus.backends.protocol import ReplicaRunner, WarmStarts
from gyrus.state.board import Board, Route

log = logging.getLogger(__name__)


class StoppedBackend(ReplicaRunner, WarmStarts, Protocol):
    """The parts of a backend that the shutdown needs."""


async def withdraw_routes(board: Board, patience: float) -> None:
    """Withdraw all routes, and wait at most ``patience`` seconds until the gateway has acknowledged that.

    The gateway then sends no more requests to replicas. Requests in flight continue.
    """
    board.routes = {api: _withdrawn(route) for api, route in board.routes.items()}
    with board.acknowledged_signals.listen() as listener:
        board.route_signals.notify(*board.routes)
        try:
            async with asyncio.timeout(patience):
                while any(endpoints for pools in board.reachable.values() for endpoints in pools.values()):
                    await listener.wait()
        except TimeoutError:
            log.warning("the gateway did not acknowledge the withdrawal of all routes within %g s", patience)


def _withdrawn(route: Route) -> Route:
    shares = (
        replace(share, pool=replace(share.pool, replicas=frozenset(), fallback=frozenset()))
        for share in route.shares
    )
    return replace(route, shares=tuple(shares))


async def stop_replicas(backend: StoppedBackend, grace: float) -> None:
    """Drain every replica, and wait until none is left. The backend must be running."""
    with backend.changes.listen() as listener:
        await backend.expect_no_orders()
        for api in backend.apis():
            for replica in backend.observe(api):
                await backend.stop(replica, grace=grace)
        while backend.apis():
            await listener.wait()

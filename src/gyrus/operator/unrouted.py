"""The moment from which no gateway routes to a replica, for the pod that waits for it in its pre-stop hook.

The operator stops a replica only after this moment. A pod that is deleted by others, in a drain or by hand,
learns it here: control sees the deletion, takes the replica out of the routes, and the gateways acknowledge
that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from gyrus.aio.signals import listen
from gyrus.contract.replica import Phase
from gyrus.state.board import Board, Endpoints

ENDING = frozenset({Phase.DRAINING, Phase.GONE})


class ReplicaEndpoints(Protocol):
    """The part of the backend that knows where replicas listen."""

    def endpoints_of(self, replica: str) -> tuple[str, Endpoints] | None:
        """Return the API and all endpoints of a replica. Returns None if nothing of it exists."""
        ...


class UnroutedReplicas:
    """Waits for replicas that leave the routes."""

    def __init__(self, board: Board, backend: ReplicaEndpoints, complete: Callable[[], bool]) -> None:
        """``complete``: returns True if the board has what every gateway uses."""
        self._board = board
        self._backend = backend
        self._complete = complete

    async def wait(self, replica: str) -> None:
        """Return as soon as no gateway routes to the replica, now or later."""
        board = self._board
        sources = board.replica_signals, board.acknowledged_signals, board.gateway_signals
        with listen(*sources) as listener:
            while not self._is_unrouted(replica):
                await listener.wait()

    def _is_unrouted(self, replica: str) -> bool:
        if not self._complete():
            return False
        found = self._backend.endpoints_of(replica)
        return found is None or is_unrouted(self._board, replica, *found)


def is_unrouted(board: Board, replica: str, api: str, endpoints: Endpoints) -> bool:
    """Return True if no gateway routes to a replica, and control will not route to it again. Pure."""
    noted = next((each for each in board.replicas.get(api, ()) if each.id == replica), None)
    if noted is not None and noted.status.phase not in ENDING:
        return False  # control has not seen its end yet
    return board.reachable_of(api).isdisjoint(endpoints)

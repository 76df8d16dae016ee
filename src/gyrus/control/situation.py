"""All that a decision about one API depends on, gathered before it is taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

from typing_extensions import TypeVar

from gyrus.contract.operator import Outcome
from gyrus.contract.replica import Phase, ReplicaStatus
from gyrus.spec.realtime import RealtimeSpec
from gyrus.spec.stored import StoredSpec
from gyrus.state.board import Replica
from gyrus.state.records import Api, Generation


def all_endpoints(status: ReplicaStatus) -> frozenset[str]:
    """Wherever any process of the replica listens, ready or not."""
    listening = (process.endpoint for process in status.processes if process.endpoint)
    return frozenset((*status.endpoints, *listening))


SpecT = TypeVar("SpecT", bound=StoredSpec, default=RealtimeSpec)


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation(Generic[SpecT]):
    """One API: its intent, its replicas, and what the gateway is known to do."""

    api: Api
    target_spec: SpecT
    live_spec: SpecT | None
    """Of the live generation; None before there is one, and where it is of another kind."""
    replicas: tuple[Replica, ...]
    """All that exist, the draining ones included, oldest first."""
    retiring: frozenset[str]
    """Ids of replicas that must get no more requests. Once retiring, a replica never comes back."""
    acknowledged: frozenset[str] | None
    """Endpoints that requests surely reach. None: the API is not routed, or nothing is known of it yet."""
    reachable: frozenset[str] | None
    """Endpoints that requests may reach. None: the gateway knows nothing of the API, and will not."""
    fault: str = ""
    """Why no replica of the target can be started, in a sentence; empty: nothing is known against it."""
    held: int = 0
    """Requests that wait because no replica is there."""
    activator: str | None = None
    """The endpoint that stands in for replicas while there is none; None: nothing does."""
    room: int | None = None
    """The most replicas of the target for which there is capacity, in the place of all that exist. None: no
    limit is known."""

    @property
    def kept(self) -> tuple[Replica, ...]:
        """The replicas that were not told to go."""
        return tuple(
            replica
            for replica in self.replicas
            if replica.id not in self.retiring and replica.status.phase not in (Phase.DRAINING, Phase.GONE)
        )

    @property
    def current(self) -> tuple[Replica, ...]:
        """Of those, the ones of the target generation."""
        return tuple(replica for replica in self.kept if replica.generation == self.api.target.number)

    @property
    def outdated(self) -> tuple[Replica, ...]:
        return tuple(replica for replica in self.kept if replica.generation != self.api.target.number)

    @property
    def superseding(self) -> Generation | None:
        """The live generation that the rollout under way is to replace, if there is one."""
        api = self.api
        under_way = api.outcome is Outcome.PROGRESSING and not api.deleting
        return api.live if under_way and api.live != api.target else None

    def available(self, replica: Replica) -> bool:
        """It is ready, and the gateway has acknowledged it.

        A new replica also has all of its processes up: the first of them cannot stand in for an old replica.
        """
        if replica.generation == self.api.target.number and _still_starting(replica.status):
            return False
        endpoints = frozenset(replica.status.endpoints)
        return replica.status.phase is Phase.READY and bool(endpoints & (self.acknowledged or frozenset()))

    @property
    def leaving(self) -> bool:
        """Some replica was told to go and still holds what it has."""
        return len(self.kept) < len(self.replicas)

    def unrouted(self, replica: Replica) -> bool:
        """The gateway sends it nothing any more, and will not."""
        return not all_endpoints(replica.status) & (self.reachable or frozenset())


def _still_starting(status: ReplicaStatus) -> bool:
    """Some process of it starts for the first time, and has not failed."""
    return any(process.phase is Phase.STARTING and not process.restarts for process in status.processes)

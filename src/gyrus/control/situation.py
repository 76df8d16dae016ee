"""All that a decision about one API depends on, gathered before it is taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Generic

from typing_extensions import TypeVar

from gyrus.contract.operator import Outcome
from gyrus.contract.replica import Phase, ReplicaStatus
from gyrus.spec.realtime import RealtimeSpec
from gyrus.spec.stored import StoredSpec
from gyrus.state.board import ByPool, Endpoints, Replica, pool_id
from gyrus.state.records import Api, Generation


def all_endpoints(status: ReplicaStatus) -> Endpoints:
    """Wherever any process of the replica listens, ready or not."""
    listening = (process.endpoint for process in status.processes if process.endpoint)
    return frozenset((*status.endpoints, *listening))


SpecT = TypeVar("SpecT", bound=StoredSpec, default=RealtimeSpec)


@dataclass(frozen=True, kw_only=True)
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
    acknowledged: ByPool
    """Endpoints that requests surely reach. A pool is missing while it is not routed as it should be, or
    nothing is known of it yet."""
    reachable: Endpoints
    """Endpoints that requests of the API may reach, in any pool."""
    specs: Mapping[int, SpecT] = field(default_factory=dict[int, SpecT])
    """By revision, of replicas that are neither the target's nor live."""
    fault: str = ""
    """Why no replica of the target can be started, in a sentence; empty: nothing is known against it."""
    held: int = 0
    """Requests that wait because no replica is there."""
    activator: str | None = None
    """The endpoint that stands in for replicas while there is none; None: nothing does."""
    room: int | None = None
    """The most replicas of the target for which there is capacity, in the place of all that exist. None: no
    limit is known."""

    @cached_property
    def kept(self) -> tuple[Replica, ...]:
        """The replicas that were not told to go."""
        return tuple(
            replica
            for replica in self.replicas
            if replica.id not in self.retiring and replica.status.phase not in (Phase.DRAINING, Phase.GONE)
        )

    @cached_property
    def current(self) -> tuple[Replica, ...]:
        """Of those, the ones of the target generation."""
        return tuple(replica for replica in self.kept if replica.generation == self.api.target.number)

    @cached_property
    def outdated(self) -> tuple[Replica, ...]:
        return tuple(replica for replica in self.kept if replica.generation != self.api.target.number)

    @property
    def superseding(self) -> Generation | None:
        """The live generation that the rollout under way is to replace, if there is one."""
        api = self.api
        under_way = api.outcome is Outcome.PROGRESSING and not api.deleting
        return api.live if under_way and api.live != api.target else None

    def spec_of(self, replica: Replica) -> SpecT:
        """What the replica was made from, as far as known."""
        api, revision = self.api, replica.status.revision
        if api.live and self.live_spec and revision == api.live.revision:
            return self.live_spec
        return self.specs.get(revision, self.target_spec)

    def available(self, replica: Replica) -> bool:
        """It is ready, and the gateway has acknowledged it in its own pool, where new requests go.

        A new replica also has all of its processes up: the first of them cannot stand in for an old replica.
        """
        if replica.generation == self.api.target.number and _still_starting(replica.status):
            return False
        return replica.status.phase is Phase.READY and self.reaches(replica)

    def reaches(self, replica: Replica) -> bool:
        """Requests surely reach it in its own pool."""
        pool = self.acknowledged.get(pool_id(self.api.name, replica.generation), frozenset[str]())
        return not pool.isdisjoint(replica.status.endpoints)

    @property
    def leaving(self) -> bool:
        """Some replica was told to go and still holds what it has."""
        return len(self.kept) < len(self.replicas)

    def unrouted(self, replica: Replica) -> bool:
        """The gateway sends it nothing any more, and will not.

        What it requeues from now on finds a host: a pool's endpoints change as a whole, so that a gateway
        that has given up the last replica of a pool uses the pool's fallback."""
        return self.reachable.isdisjoint(all_endpoints(replica.status))


def _still_starting(status: ReplicaStatus) -> bool:
    """Some process of it starts for the first time, and has not failed."""
    return any(process.phase is Phase.STARTING and not process.restarts for process in status.processes)

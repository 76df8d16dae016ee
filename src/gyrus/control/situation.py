"""The facts that a decision about one API depends on, gathered before the decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Generic

from typing_extensions import TypeVar

from gyrus.contract.operator import Outcome
from gyrus.contract.replica import Phase, ReplicaStatus
from gyrus.spec.api import ApiSpec
from gyrus.spec.stored import StoredSpec
from gyrus.state.board import ByPool, Endpoints, Replica, pool_id
from gyrus.state.records import Api, Generation


def all_endpoints(status: ReplicaStatus) -> Endpoints:
    """Return all endpoints at which processes of the replica listen, ready or not."""
    listening = (process.endpoint for process in status.processes if process.endpoint)
    return frozenset((*status.endpoints, *listening))


SpecT_co = TypeVar("SpecT_co", bound=StoredSpec, default=StoredSpec, covariant=True)
"""The class of the target's specification, by which the planner is chosen."""


@dataclass(frozen=True, kw_only=True)
class Situation(Generic[SpecT_co]):
    """One API: its intent, its replicas, and the acknowledged state of the gateway."""

    api: Api
    target_spec: SpecT_co
    live_spec: ApiSpec | None
    """The live generation's specification, which may be of another kind. None before there is one."""
    replicas: tuple[Replica, ...]
    """All existing replicas, including draining ones, oldest first."""
    retiring: frozenset[str]
    """Ids of replicas that must receive no more requests. Retiring cannot be undone."""
    acknowledged: ByPool
    """Endpoints that requests are certain to reach. A pool is missing while some gateway does not route it as
    it should, or has not reported yet."""
    reachable: Endpoints
    """Endpoints that requests of the API may reach, in any pool."""
    specs: Mapping[int, ApiSpec] = field(default_factory=dict[int, ApiSpec])
    """Specifications, by revision, of replicas that are neither the target's nor live."""
    fault: str = ""
    """The reason, in a sentence, why no replica of the target can be started. Empty if no reason is known."""
    refused: str = ""
    """The part of the target's configuration that a gateway refuses, as a sentence. Empty if it refuses
    nothing."""
    held: int = 0
    """Requests that wait because there is no replica."""
    activator: str | None = None
    """The endpoint that receives requests while there is no replica. None if there is none."""
    bridge: str | None = None
    """The gateway's own endpoint for requests that change the protocol. None if it has none."""
    in_flight: Mapping[str, int] = field(default_factory=dict[str, int])
    """By replica: its requests in flight, if that matters to the decision. A replica that did not report them
    is missing."""
    capacity: int | None = None
    """The most replicas of the target for which there would be capacity without any existing one. None if no
    limit is known."""
    preemptable: frozenset[str] | None = None
    """Replicas whose end would let one run that waits for capacity. None if that holds for any of them."""

    @cached_property
    def kept(self) -> tuple[Replica, ...]:
        """The replicas that neither retire nor stop."""
        return tuple(
            replica
            for replica in self.replicas
            if replica.id not in self.retiring and replica.status.phase not in (Phase.DRAINING, Phase.GONE)
        )

    @cached_property
    def current(self) -> tuple[Replica, ...]:
        """The kept replicas of the target generation."""
        return tuple(replica for replica in self.kept if replica.generation == self.api.target.number)

    @property
    def staying(self) -> tuple[Replica, ...]:
        """The current replicas that need not be evacuated from their nodes."""
        return tuple(replica for replica in self.current if not replica.evacuation)

    @cached_property
    def outdated(self) -> tuple[Replica, ...]:
        return tuple(replica for replica in self.kept if replica.generation != self.api.target.number)

    @property
    def superseding(self) -> Generation | None:
        """The live generation that the present rollout replaces. None without such a rollout."""
        api = self.api
        under_way = api.outcome is Outcome.PROGRESSING and not api.deleting
        return api.live if under_way and api.live != api.target else None

    def spec_of(self, replica: Replica) -> ApiSpec | SpecT_co:
        """Return the replica's specification, or the target's if it is not known."""
        api, revision = self.api, replica.status.revision
        if api.live and self.live_spec and revision == api.live.revision:
            return self.live_spec
        return self.specs.get(revision, self.target_spec)

    def available(self, replica: Replica) -> bool:
        """Return True if it is ready, and the gateway has acknowledged it in its own pool.

        A replica of the target must also have started all of its processes: one process of several cannot
        replace an old replica.
        """
        if replica.generation == self.api.target.number and _still_starting(replica.status):
            return False
        return replica.status.phase is Phase.READY and self.reaches(replica)

    def reaches(self, replica: Replica) -> bool:
        """Return True if requests are certain to reach it in its own pool."""
        pool = self.acknowledged.get(pool_id(self.api.name, replica.generation), frozenset[str]())
        return not pool.isdisjoint(replica.status.endpoints)

    @property
    def leaving(self) -> bool:
        """True if some replica retires or stops, and still holds its capacity."""
        return len(self.kept) < len(self.replicas)

    def unrouted(self, replica: Replica) -> bool:
        """Return True if no gateway sends it requests, now or later.

        Requests that it requeues from now on find another host. A pool's endpoints change as a whole, so a
        gateway that no longer has the last replica of a pool has the pool's fallback.
        """
        return self.reachable.isdisjoint(all_endpoints(replica.status))


def _still_starting(status: ReplicaStatus) -> bool:
    """Return True if one of its processes starts for the first time, and has not failed."""
    return any(process.phase is Phase.STARTING and not process.restarts for process in status.processes)

"""The seam between control and whatever runs replicas."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from gyrus.aio.signals import Signals
from gyrus.contract.operator import CapacityView, ForkServerView, LogLine, LogQuery
from gyrus.contract.replica import ReplicaStatus
from gyrus.spec.realtime import RealtimeSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaOrder:
    """One replica, as control wants it."""

    id: str
    """Unique for ever, safe in a path and a DNS label: ``<api>-<generation>-<5 characters>``."""
    generation: int
    revision: int
    spec: RealtimeSpec
    package: str | None
    """Digest of the archive of the project's files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One replica that exists, or of which something still exists."""

    generation: int
    status: ReplicaStatus


class Backend(Protocol):
    """Runs replicas.

    Replicas survive the operator: a new instance finds those of the last one (:meth:`run` adopts them before
    it first rings ``changes``). A replica whose process dies is started again in its place, with back-off.
    A replica that failed for good stays, with its reason, until it is stopped.

    What replicas ask for in ``compute`` is not given out twice, where the backend counts it. One for which
    there is no capacity is PENDING with ``Reason.CAPACITY`` and a message, and is served in the order of the
    orders. One that ends leaves its share to a waiting one of its own API that needs no more; when it is gone
    from the observation, that one waits no more. One that asks for more than there is at all fails as
    ``Reason.UNSCHEDULABLE``.
    """

    name: str
    changes: Signals
    """Rung with the names of APIs whose replicas changed."""

    async def adopt(self) -> None:
        """Find the replicas that exist already. Called once, before anything else."""
        ...

    async def run(self) -> None:
        """Watch over the replicas until cancelled. Cancelling leaves them running."""
        ...

    async def start(self, order: ReplicaOrder) -> None:
        """See to it that this replica exists. Idempotent by id; returns before it is ready.

        What goes wrong later (environment, import, …) is told in its observation, not raised.
        """
        ...

    async def stop(self, replica: str, *, grace: float) -> None:
        """Tell it to drain and exit, and kill it ``grace`` seconds later. Idempotent; returns at once.

        It stays in the observation, DRAINING, until nothing of it runs; then it is gone from there.
        """
        ...

    def expect(self, api: str, order: ReplicaOrder | None) -> None:
        """Orders like this one (whatever its id) may come at any moment, and no others of this API: what
        makes them start sooner may be kept at hand, as ``spec.warm_start`` says. None: no orders. Idempotent.
        """
        ...

    def fork_server(self, api: str) -> ForkServerView | None:
        """What is kept at hand for the orders that are expected; None: nothing is to be. Cheap."""
        ...

    async def expect_no_orders(self) -> None:
        """No orders will come any more. Returns when nothing is kept at hand. The backend must be running."""
        ...

    def observe(self) -> Mapping[str, Observation]:
        """All replicas by id, as known now. Cheap, without I/O."""
        ...

    def room(self, spec: RealtimeSpec) -> int | None:
        """The most replicas of this API, as specified, for which there is capacity; None: no limit is known.

        Its own count: what they hold is its own, whatever else waits. What other APIs hold, or wait for, is
        not there. Cheap, without I/O.
        """
        ...

    def capacity(self) -> CapacityView | None:
        """What there is for replicas and who has it, as known now; None: unknown. Cheap, without I/O."""
        ...

    def logs(self, query: LogQuery) -> AsyncIterator[LogLine]:
        """In time order across replicas."""
        ...

    async def remove(self, api: str) -> None:
        """Forget what is left of an API without replicas: logs, folders. Idempotent."""
        ...

    async def forget_packages(self, digests: frozenset[str]) -> None:
        """These packages are no longer needed."""
        ...

"""The protocol between control and the backends that run replicas, in one small part for each need.

``Backend`` joins them. A consumer names the parts that it needs, so that a reader sees what it can do::

    ReplicaRunner    start, stop, observe      the reconciler, the shutdown
    CapacitySource   how many replicas fit     the reconciler, the autoscaler, the operator API
    WarmStarts       which orders may come     the reconciler
    LogSource        output of replicas        the operator API
    Cleanup          what remains of the past  the reconciler, the controller
    BackendProcess   adopt, run                the operator
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from gyrus.aio.signals import Signals
from gyrus.contract.operator import CapacityView, ForkServerView, LogLine, LogQuery
from gyrus.contract.replica import ReplicaStatus
from gyrus.contract.workload import ComputeResources, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaOrder:
    """One replica, as control requires it."""

    id: str
    """Unique for ever, safe in a path and a DNS label: ``<api>-<generation>-<5 characters>``."""
    api: str
    generation: int
    revision: int
    workload: Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One replica that exists, or of which something still exists."""

    generation: int
    status: ReplicaStatus


class ReplicaRunner(Protocol):
    """Runs replicas.

    Replicas survive the operator: a new instance finds those of the last one. A replica whose process dies
    is started again in its place, with back-off. A replica that failed for good stays, with its reason, until
    it is stopped.

    **It reads its own writes.** When :meth:`start` has returned, :meth:`observe` has that replica; when
    :meth:`stop` has returned, :meth:`observe` shows it DRAINING, or gone. A backend that learns of its
    replicas from elsewhere, later (a watch of a cluster), adds what it has written to what it has read: a
    caller that looks again must never start the same replica twice, nor send requests to one it has stopped.
    """

    changes: Signals
    """Notified with the names of APIs whose replicas changed."""

    async def start(self, order: ReplicaOrder) -> None:
        """Make this replica exist. Idempotent by id; returns before the replica is ready.

        What goes wrong later (environment, import, …) is reported in its observation, not raised.
        """
        ...

    async def stop(self, replica: str, *, grace: float) -> None:
        """Drain it, and kill it after ``grace`` seconds. Idempotent; returns at once.

        It stays in the observation, DRAINING, until nothing of it runs; then it is gone from there.
        """
        ...

    def observe(self, api: str) -> Mapping[str, Observation]:
        """Return this API's replicas by id, as known now. Without I/O, and without a look at other APIs'."""
        ...

    def apis(self) -> Collection[str]:
        """Return the names of the APIs of which a replica exists. Without I/O."""
        ...


class CapacitySource(Protocol):
    """Counts what replicas ask for in ``compute``, and gives nothing out twice.

    A replica for which there is no capacity is PENDING with ``Reason.CAPACITY`` and a message, and is served
    in the order of the orders. One that ends leaves its share to a waiting one of its own API that needs no
    more; when it is gone from the observation, that one no longer waits. One that asks for more than there is
    at all fails as ``Reason.UNSCHEDULABLE``.
    """

    def capacity_for(self, api: str, compute: ComputeResources) -> int | None:
        """Return how many replicas of this API, each with this compute, fit. None if no limit is known.

        The replicas that it has count as free: what they hold is its own, whatever else waits. What other
        APIs hold, or wait for, is not available. Cheap, without I/O.
        """
        ...

    def capacity(self) -> CapacityView | None:
        """Return the capacity there is and its holders, as known now. None if unknown. Cheap, without I/O."""
        ...


class WarmStarts(Protocol):
    """Prepares for expected replicas, so that they start sooner, as far as ``Code.preload`` allows."""

    def expect(self, api: str, order: ReplicaOrder | None) -> None:
        """Prepare for orders like this one (whatever its id), and for no others of this API.
        None means no orders. Idempotent.
        """
        ...

    def fork_server(self, api: str) -> ForkServerView | None:
        """Return the fork server for the expected orders. None if none is required. Cheap."""
        ...

    async def expect_no_orders(self) -> None:
        """End all preparations, for no orders will come. Returns when they have ended. Needs :meth:`run`."""
        ...


class LogSource(Protocol):
    def logs(self, query: LogQuery) -> AsyncIterator[LogLine]:
        """Lines of all replicas of an API, in time order."""
        ...


class Cleanup(Protocol):
    """Removes what outlives replicas."""

    async def remove(self, api: str) -> None:
        """Forget what is left of an API without replicas: logs, folders. Idempotent."""
        ...

    async def forget_packages(self, digests: frozenset[str]) -> None:
        """Remove these packages, which no revision needs."""
        ...


class BackendProcess(Protocol):
    """The life cycle: :meth:`adopt` once, then :meth:`run` for as long as the operator lives."""

    name: str

    async def adopt(self) -> None:
        """Find the replicas that exist already. Called once, before anything else."""
        ...

    async def run(self) -> None:
        """Take care of the replicas until cancelled. Cancelling leaves them running."""
        ...


class Backend(ReplicaRunner, CapacitySource, WarmStarts, LogSource, Cleanup, BackendProcess, Protocol):
    """All of it, as one object."""

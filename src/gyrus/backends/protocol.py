"""The seam between control and whatever runs replicas: one small protocol for each consumer's need.

``Backend`` joins them all. A consumer names the part that it needs, so that its tests, and a reader, see
what it can do::

    ReplicaRunner    start, stop, observe      the reconciler, the end of the platform
    CapacitySource   how many replicas fit     the reconciler, the autoscaler, the operator API
    WarmStarts       which orders may come     the reconciler
    LogSource        what replicas printed     the operator API
    Cleanup          what is no longer needed  the reconciler, the controller
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
        """Tell it to drain and exit, and kill it ``grace`` seconds later. Idempotent; returns at once.

        It stays in the observation, DRAINING, until nothing of it runs; then it is gone from there.
        """
        ...

    def observe(self, api: str) -> Mapping[str, Observation]:
        """This API's replicas by id, as known now. Without I/O; its cost grows with *their* number alone."""
        ...

    def apis(self) -> Collection[str]:
        """Names of the APIs of which a replica exists. Without I/O."""
        ...


class CapacitySource(Protocol):
    """Counts what replicas ask for in ``compute``, and gives nothing out twice.

    A replica for which there is no capacity is PENDING with ``Reason.CAPACITY`` and a message, and is served
    in the order of the orders. One that ends leaves its share to a waiting one of its own API that needs no
    more; when it is gone from the observation, that one no longer waits. One that asks for more than there is
    at all fails as ``Reason.UNSCHEDULABLE``.
    """

    def capacity_for(self, api: str, compute: ComputeResources) -> int | None:
        """The most replicas of this API, each with this compute, that fit; None: no limit is known.

        The replicas that it has count as free: what they hold is its own, whatever else waits. What other
        APIs hold, or wait for, is not available. Cheap, without I/O.
        """
        ...

    def capacity(self) -> CapacityView | None:
        """What there is for replicas and who has it, as known now; None: unknown. Cheap, without I/O."""
        ...


class WarmStarts(Protocol):
    """Keeps ready what makes expected replicas start sooner, as far as ``Code.preload`` says."""

    def expect(self, api: str, order: ReplicaOrder | None) -> None:
        """Orders like this one (whatever its id) may come at any moment, and no others of this API.
        None: no orders. Idempotent.
        """
        ...

    def fork_server(self, api: str) -> ForkServerView | None:
        """What is ready for the orders that are expected; None: nothing has to be. Cheap."""
        ...

    async def expect_no_orders(self) -> None:
        """No orders will come any more. Returns when nothing is kept ready. The backend must be running."""
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
        """These packages are no longer needed."""
        ...


class BackendProcess(Protocol):
    """What the operator does with a backend: once :meth:`adopt`, then :meth:`run` for as long as it lives."""

    name: str

    async def adopt(self) -> None:
        """Find the replicas that exist already. Called once, before anything else."""
        ...

    async def run(self) -> None:
        """Take care of the replicas until cancelled. Cancelling leaves them running."""
        ...


class Backend(ReplicaRunner, CapacitySource, WarmStarts, LogSource, Cleanup, BackendProcess, Protocol):
    """All of it, as one object."""

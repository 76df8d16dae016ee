"""The protocol between control and the backends that run replicas, in one small part for each need.

``Backend`` joins the parts. A consumer names the parts that it needs, so that readers see what it can do::

    Part             Contents                  Consumers
    ReplicaRunner    start, stop, observe      the reconciler, the shutdown
    CapacitySource   how many replicas fit     the reconciler, the autoscaler, the operator API
    MachineSource    what replicas hold where  the cost meter
    WarmStarts       which orders may come     the reconciler
    LogSource        output of replicas        the operator API
    Cleanup          logs and packages to remove  the reconciler, the controller
    BackendProcess   adopt, run                the operator
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gyrus.aio.signals import Signals
from gyrus.contract.operator import AmountView, CapacityView, ForkServerView, LogLine, LogQuery
from gyrus.contract.replica import ReplicaStatus
from gyrus.contract.workload import ComputeResources, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaOrder:
    """One replica that control requires."""

    id: str
    """Unique for ever, safe in a path and a DNS label: ``<api>-<generation>-<5 characters>``."""
    api: str
    generation: int
    revision: int
    workload: Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One replica that exists, or a part of which still exists."""

    generation: int
    status: ReplicaStatus
    evacuation: str = ""
    """The reason why a replica elsewhere must replace it: its node is drained or lost. Empty if none must."""


class ReplicaRunner(Protocol):
    """Runs replicas.

    Replicas survive the operator: a new instance finds the replicas of the last one. A replica whose process
    dies is started again under the same id, with back-off. A replica that failed for good stays, with its
    reason, until it is stopped.

    **A backend reads its own writes.** After :meth:`start` returns, :meth:`observe` has the replica. After
    :meth:`stop` returns, :meth:`observe` shows the replica as DRAINING, or not at all. A backend that gets
    the state of its replicas from elsewhere, with a delay (a watch of a cluster), adds its own writes to what
    it has read. Otherwise a caller would start the same replica twice, or send requests to a stopped one.
    """

    changes: Signals
    """Signals with the names of APIs whose replicas changed."""

    async def start(self, order: ReplicaOrder) -> None:
        """Create this replica. Idempotent by id. Returns before the replica is ready.

        Later failures (environment, import, …) are reported in its observation, not raised.
        """
        ...

    async def stop(self, replica: str, *, grace: float) -> None:
        """Drain a replica, and kill it after ``grace`` seconds. Idempotent. Returns at once.

        The replica stays in the observation as DRAINING until nothing of it runs. Then it is removed from it.
        """
        ...

    def observe(self, api: str) -> Mapping[str, Observation]:
        """Return this API's replicas by id, as known now. Does no I/O; its cost depends on this API alone."""
        ...

    def apis(self) -> Collection[str]:
        """Return the names of all APIs with a replica. Does no I/O."""
        ...


class CapacitySource(Protocol):
    """Counts what replicas request in ``compute``, and allocates nothing twice.

    A replica without capacity is PENDING with ``Reason.CAPACITY`` and a message. Waiting replicas get
    capacity in the order of their orders. A replica that ends passes its share to a waiting replica of its
    own API that needs no more. When the first is gone from the observation, the second no longer waits. A
    replica that requests more than the total fails with ``Reason.UNSCHEDULABLE``.

    In a cluster, the scheduler decides all of this, and nodes may be added for what waits. A backend of a
    cluster therefore knows no limit: :meth:`capacity_for` is None.
    """

    def capacity_for(self, api: str, compute: ComputeResources) -> int | None:
        """Return how many replicas of this API, each with this compute, fit.

        The shares of its own replicas always count as free. Capacity that other APIs hold or wait for does
        not. Does no I/O. Returns None if no limit is known.
        """
        ...

    def shortage_for(self, api: str, compute: ComputeResources) -> str:
        """Return why one more replica of this API does not fit: needs, free capacity, remedy. Does no I/O.

        Returns "" if it fits.
        """
        ...

    def preemptable(self, api: str) -> Collection[str] | None:
        """Return the replicas of this API whose end would let one run that waits for capacity.

        Only if that is certain as far as it is known. Does no I/O. Returns None if that holds for any of them
        as long as :meth:`capacity_for` is not exceeded.
        """
        ...

    def capacity(self) -> CapacityView | None:
        """Return the total, held and claimed capacity, as known now. Does no I/O. Returns None if unknown."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldAmount:
    """The part of a machine that one replica holds."""

    api: str
    amount: AmountView


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningMachine:
    """A machine on which replicas may run, whether or not any does."""

    name: str
    total: AmountView
    held: tuple[HeldAmount, ...] = ()
    instance_type: str = ""
    """Empty if it is unknown."""
    group: str = ""
    """The node group of cluster.yaml. Empty if it is of none."""
    spot: bool = False
    region: str = ""
    """The region of AWS that it is in. Empty if it is none of AWS."""
    zone: str = ""
    price: float | None = None
    """US dollars per hour, as the machine itself states it. None if it states none."""


class MachineSource(Protocol):
    def machines(self) -> Sequence[RunningMachine]:
        """Return the machines, and what replicas hold on them. Does no I/O."""
        ...


class WarmStarts(Protocol):
    """Prepares for expected replicas, so that they start sooner, as far as ``Code.preload`` allows."""

    def expect(self, api: str, order: ReplicaOrder | None) -> None:
        """Prepare for orders like this one (whatever its id), and for no others of this API. Idempotent.

        None means that no orders are expected.
        """
        ...

    def fork_server(self, api: str) -> ForkServerView | None:
        """Return the fork server for the expected orders. Does no I/O. Returns None if none is required."""
        ...

    async def expect_no_orders(self) -> None:
        """End all preparations, and return when they have ended. No orders will come. Needs :meth:`run`."""
        ...


class LogSource(Protocol):
    def logs(self, query: LogQuery) -> AsyncIterator[LogLine]:
        """Yield the lines of all replicas of an API, in time order."""
        ...


class Cleanup(Protocol):
    """Removes files that outlive replicas."""

    async def remove(self, api: str) -> None:
        """Remove the rest of an API without replicas: logs, folders. Idempotent."""
        ...

    async def forget_packages(self, digests: frozenset[str]) -> None:
        """Remove these packages, which no revision needs any more."""
        ...


class BackendProcess(Protocol):
    """The life cycle of a backend: :meth:`adopt` once, then :meth:`run` until the operator exits."""

    name: str

    async def adopt(self) -> None:
        """Find the replicas that exist already. Called once, before anything else."""
        ...

    async def run(self) -> None:
        """Supervise the replicas until cancelled. Cancelling leaves them running."""
        ...


class Backend(
    ReplicaRunner,
    CapacitySource,
    MachineSource,
    WarmStarts,
    LogSource,
    Cleanup,
    BackendProcess,
    Protocol,
):
    """All parts of the protocol, as one object."""

"""The Kubernetes backend: its replicas, and what it follows of the cluster."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import suppress

import msgspec

from gyrus.aio.clock import Clock
from gyrus.aio.signals import Signals
from gyrus.aio.ticks import ticks
from gyrus.backends.kubernetes.capacity import capacity_view, preemptable
from gyrus.backends.kubernetes.cluster_watches import ClusterWatches
from gyrus.backends.kubernetes.environments import EnvironmentBuilds
from gyrus.backends.kubernetes.log_copies import LogCopies, OwnPod
from gyrus.backends.kubernetes.logs import LogSources, RunningPod, read_logs
from gyrus.backends.kubernetes.machines import PlacedReplica, machines_of
from gyrus.backends.kubernetes.observed import why_deleted
from gyrus.backends.kubernetes.pod import LEAVING, Pod
from gyrus.backends.kubernetes.pod_writer import OwnerOf, PodWriter, no_owner
from gyrus.backends.kubernetes.programs import Programs
from gyrus.backends.kubernetes.replica import PodReplica
from gyrus.backends.kubernetes.replica_logs import ReplicaLogs
from gyrus.backends.kubernetes.resources import (
    decode_order,
)
from gyrus.backends.kubernetes.settings import KubernetesSettings
from gyrus.backends.kubernetes.status_reports import StatusReports
from gyrus.backends.protocol import Observation, ReplicaOrder, RunningMachine
from gyrus.backends.replica_index import ReplicaIndex
from gyrus.contract.cluster import BUILDER_ROLE, ORDER_ANNOTATION, ROLE_LABEL
from gyrus.contract.operator import CapacityView, ForkServerView, LogLine, LogQuery
from gyrus.contract.replica import BECOMING, Phase, Reason
from gyrus.contract.workload import ComputeResources
from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.errors import (
    KubernetesError,
)
from gyrus.kubernetes.resources import Manifest
from gyrus.log_archive.archive import ArchiveError
from gyrus.log_archive.intake import LogIntake

log = logging.getLogger(__name__)

OVERDUE = 30.0
"""Seconds after the end of a pod's grace at which its record is removed: its node is lost."""
LOOK_AT_TIMES = 10.0
"""Seconds between two looks for pods that should have ended or should be ready by now."""
LOOK_FOR_WAITING = 5.0
"""Seconds between two looks at the replicas that have waited long for capacity."""
FAILURE_SHOWN = 0.3
"""Seconds for which a failure is shown, after it was read, that was over before it was seen."""
READ_WITHIN = 5.0
"""Seconds for which such a failure waits to be read."""
LATENESS_SHOWN = 5.0
"""Seconds for which the failure of a pod that was not ready in time is shown, before the pod is replaced."""
READY_EVERY = 5
"""A ready replica's report is read this many times less often than that of another."""


class KubernetesBackend:
    """Replicas as pods, which outlive the operator."""

    name = "kubernetes"

    def __init__(
        self,
        client: ClusterClient,
        settings: KubernetesSettings,
        programs: Programs,
        clock: Clock,
        *,
        is_built: Callable[[str], bool],
        intake: LogIntake,
        owner: OwnerOf = no_owner,
    ) -> None:
        """``is_built``: returns True if the environment with this key is stored.

        ``intake``: the archive of the replicas' logs, which this backend runs.
        """
        self.changes = Signals()
        self._client = client
        self._settings = settings
        self._clock = clock
        self._watches = ClusterWatches(client, settings.namespace, clock)
        self._reports = StatusReports(self._to_read, self._reported, clock, proof=settings.proof)
        self.environments = EnvironmentBuilds(
            client, self._watches.pods, settings, clock, is_built, self._watches.warnings
        )
        """The builds of Python environments. The files server reports to it."""
        self._writer = PodWriter(
            client=client,
            settings=settings,
            programs=programs,
            environments=self.environments,
            owner=owner,
            clock=clock,
            records=self,
        )
        self._replicas = ReplicaIndex[PodReplica]()
        self._intake = intake
        self.replica_logs = ReplicaLogs(intake, self._api_of)
        """The lines that supervisors send. The files server passes them on."""
        self._by_address: dict[str, str] = {}
        """Ids of replicas by the address of their pod."""
        self._began = clock.now().timestamp()
        self._freed: dict[str, float] = {}
        """By API with replicas: the time at which the latest pod of it that held capacity was gone."""
        self._unsettled: set[str] = set()
        """Ids of replicas whose supervisors' reports may have news."""
        self._looks = 0
        """Number of times that reports have been read."""
        self._tasks: asyncio.TaskGroup | None = None

    # The protocol

    async def adopt(self) -> None:
        await self._watches.list()
        for name in tuple(self._watches.pods):
            self.notice(name)

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as self._tasks:
                self._tasks.create_task(self._watches.run(self), name="cluster")
                self._tasks.create_task(self._reports.run(), name="status reports")
                self._tasks.create_task(self._watch_times(), name="overdue pods")
                self._tasks.create_task(self._intake.run(), name="log archive")
                self._tasks.create_task(self._copies().run(), name="copies of logs")
                self._tasks.create_task(self._look_for_waiting(), name="replicas that wait for capacity")
                for replica in tuple(self._replicas):
                    self.notice(replica.id)
                    self._ensure(replica)
                self.changes.notify(*self._replicas.apis)
        finally:
            self._tasks = None

    async def start(self, order: ReplicaOrder) -> None:
        if order.id in self._replicas:
            return
        replica = PodReplica(order, self._clock.now().timestamp())
        replica.report(Phase.PENDING, "accepted")
        self._replicas.add(order.api, order.id, replica)
        self.changes.notify(order.api)
        # An attempt without a build is awaited, so that the pod carries the order when the caller goes on.
        await self._writer.try_now(replica)
        self._ensure(replica)

    async def stop(self, replica: str, *, grace: float) -> None:
        found = self._replicas.get(replica)
        if found is None or found.stopping:
            return
        found.grace = grace
        await _end(found.task)
        self._look(found)
        with suppress(KubernetesError):
            await self._writer.delete(found)
        self._ensure(found)

    def expect(self, api: str, order: ReplicaOrder | None) -> None:
        pass  # fork servers need one process tree, which pods do not share

    def fork_server(self, api: str) -> ForkServerView | None:
        return None

    async def expect_no_orders(self) -> None:
        pass

    def proof_at(self, endpoint: str) -> str:
        """Return the proof of private calls to the replica at an endpoint. Empty if there is none there."""
        replica = self._by_address.get(endpoint.rpartition(":")[0].strip("[]"))
        return self._settings.proof(replica) if replica else ""

    def endpoints_of(self, replica: str) -> tuple[str, frozenset[str]] | None:
        """Return the API and all endpoints of a replica. Returns None if nothing of it exists."""
        found = self._replicas.get(replica)
        if found is None:
            return None
        pod = found.pod
        endpoints = map(pod.address, pod.serving_ports) if pod and pod.ip else ()
        return found.order.api, frozenset(endpoints)

    def observe(self, api: str) -> Mapping[str, Observation]:
        replicas = self._replicas.of(api)
        for replica in replicas.values():
            replica.shown.set()
        return {id: replica.observation for id, replica in replicas.items() if replica.observation}

    def apis(self) -> Collection[str]:
        return tuple(self._replicas.apis)

    def capacity_for(self, api: str, compute: ComputeResources) -> int | None:
        return None  # pods that wait are what makes an autoscaler of nodes add some

    def shortage_for(self, api: str, compute: ComputeResources) -> str:
        return ""

    def preemptable(self, api: str) -> Collection[str] | None:
        own = tuple(self._replicas.of(api).values())
        if not any(replica.waits_for_capacity for replica in own):
            return None
        return preemptable(
            held={replica.id: place for replica in own if (place := replica.place)},
            waiting=[each for replica in own if (each := replica.waiting)],
            others=[
                each for replica in self._replicas if replica.order.api != api and (each := replica.waiting)
            ],
            nodes={
                name: node
                for name, node in (self._watches.nodes or {}).items()
                if name not in self._watches.evacuations
            },
            now=self._clock.now().timestamp(),
            freed_at=self._freed.get(api, self._began),
        )

    def capacity(self) -> CapacityView | None:
        if self._watches.nodes is None:
            return None
        held = [place for replica in self._replicas if (place := replica.place)]
        waiting = [replica.requested for replica in self._replicas if replica.waits_for_capacity]
        return capacity_view(self._watches.nodes, self._watches.evacuations, held, waiting)

    def machines(self) -> Sequence[RunningMachine]:
        placed = (
            PlacedReplica(replica.order.api, place) for replica in self._replicas if (place := replica.place)
        )
        return machines_of(self._watches.nodes or {}, placed)

    def logs(self, query: LogQuery) -> AsyncIterator[LogLine]:
        sources = LogSources(
            client=self._client,
            namespace=self._settings.namespace,
            pods=self._running_pods,
            changes=self.changes,
            archive=self._intake,
        )
        return read_logs(sources, query)

    async def remove(self, api: str) -> None:
        with suppress(ArchiveError):  # what is left is removed by its age
            await self.replica_logs.remove(api)

    async def forget_packages(self, digests: frozenset[str]) -> None:
        """Do nothing: a pod has its own copy of its package."""

    # What the cluster shows

    def pods_changed(self, names: Collection[str]) -> None:
        # A pod that came and went between two lists is in no signal.
        unconfirmed = {replica.id for replica in self._replicas if replica.own}
        for name in unconfirmed.union(names):
            self.notice(name)

    def pod_warned(self, name: str) -> None:
        if replica := self._replicas.get(name):
            self._look(replica)
        else:
            self.environments.notice(name)

    def nodes_changed(self, names: Collection[str]) -> None:
        for replica in tuple(self._replicas):
            if replica.pod and replica.pod.node in names:
                self._look(replica)

    def notice(self, name: str) -> None:
        """Take over what the watch shows of a pod."""
        seen = self._watches.pods.get(name)
        if seen is not None and Pod(seen).labels.get(ROLE_LABEL) == BUILDER_ROLE:
            self.environments.notice(name)
            self._remove_builders()
            return
        last = Pod(seen) if seen is not None else None
        if last is not None and last.finished:
            seen = None  # the record of a pod may stay for ten seconds after its last process
        replica = self._replicas.get(name) or self._adopt(seen)
        if replica is None:
            self.environments.notice(name)
            return
        ended = None if replica.stopping else last or replica.pod
        if replica.see(seen, self._watches.version):
            if replica.pod and replica.pod.ip:
                replica.address = replica.pod.ip
                self._by_address[replica.address] = name
            self._look(replica)
        elif ended:  # by others
            message = why_deleted(ended, self._watches.warnings(ended.uid))
            self.report(replica, Phase.GONE, message, Reason.EVICTED)
            self._look(replica)
        else:
            self.forget(replica)

    def _adopt(self, seen: Manifest | None) -> PodReplica | None:
        """Add the replica of a pod that an earlier operator created. Returns None if its order is damaged."""
        if seen is None:
            return None
        pod = Pod(seen)
        try:
            order = decode_order(pod.annotations.get(ORDER_ANNOTATION, ""))
        except msgspec.MsgspecError as error:
            log.error("The pod %s is left alone: the order in its annotation is damaged: %s", pod.name, error)
            return None
        replica = PodReplica(order, pod.created_at or self._clock.now().timestamp())
        if pod.deleted:
            replica.grace = 0.0  # most likely an earlier operator stopped it
        self._replicas.add(order.api, order.id, replica)
        return replica

    def _look(self, replica: PodReplica) -> None:
        uid = replica.pod.uid if replica.pod else ""
        evacuation = self._watches.evacuations.get(replica.pod.node, "") if replica.pod else ""
        now = self._clock.now().timestamp()
        if replica.look(now, self._reports.get(replica.id), self._watches.warnings(uid), evacuation):
            self.changes.notify(replica.order.api)
        if replica.late and not replica.replacing and self._tasks:
            replica.replacing = True
            self._tasks.create_task(self._replace_late(replica), name=f"replacement of {replica.id}")
        if replica.serves_on and not replica.leaving and self._tasks:
            replica.leaving = True
            self._tasks.create_task(self._leave_in_time(replica), name=f"end of {replica.id}")
        if replica.unshown and self._tasks:
            self._tasks.create_task(self._look_again(replica), name=f"recovery of {replica.id}")
        if replica.status_address and (replica.stale or replica.phase is not Phase.READY):
            self._unsettled.add(replica.id)
        if replica.phase is Phase.GONE and not replica.stopping:
            replica.grace = 0.0  # nothing of it runs: only its pod's record is left
            if self._tasks:
                self._tasks.create_task(self._remove_gone(replica), name=f"end of {replica.id}")

    async def _leave_in_time(self, replica: PodReplica) -> None:
        """Take a replica out of the routes before its pod ends, also if it has not been replaced by then."""
        if pod := replica.pod:
            # The bound without the time of the cluster, in case that its clock differs from the operator's.
            left = min(pod.leaves_at - self._clock.now().timestamp(), pod.serves_on - LEAVING)
            await self._clock.sleep(max(left, 0.0))
        replica.must_leave = True
        if replica.id in self._replicas:
            self._look(replica)

    async def _replace_late(self, replica: PodReplica) -> None:
        """Stop a replica that was not ready in time, once that has been shown. Control starts another one."""
        await self._clock.sleep(LATENESS_SHOWN)
        replica.replacing = False
        if replica.late:
            await self.stop(replica.id, grace=0.0)

    async def _look_again(self, replica: PodReplica) -> None:
        """Show a replica's recovery, after its failure has been shown."""
        await self._until_shown(replica)
        if replica.id in self._replicas:
            self._look(replica)

    async def _remove_gone(self, replica: PodReplica) -> None:
        """Delete the record of a replica's pod, after its end has been shown with the reason."""
        await self._until_shown(replica)
        self._ensure(replica)

    async def _until_shown(self, replica: PodReplica) -> None:
        """Wait until the latest observation has been read, and for as long as people may see it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(READ_WITHIN):
                await replica.shown.wait()
        await self._clock.sleep(FAILURE_SHOWN)

    def forget(self, replica: PodReplica) -> None:
        api = replica.order.api
        if replica.id in self._replicas:
            self._replicas.remove(replica.id)
            self._freed[api] = self._clock.now().timestamp()
            if not self._replicas.of(api):
                del self._freed[api]
            self._reports.forget(replica.id)
            self._unsettled.discard(replica.id)
            self.replica_logs.gone(replica.id, replica.order.api)
            if self._by_address.get(replica.address) == replica.id:  # a newer pod may have it by now
                del self._by_address[replica.address]
            self.changes.notify(replica.order.api)

    # What the pods' writer calls

    def exists(self, replica: PodReplica) -> bool:
        return replica.id in self._replicas

    def report(
        self,
        replica: PodReplica,
        phase: Phase,
        message: str,
        reason: Reason | None = None,
        lines: tuple[str, ...] = (),
    ) -> None:
        if not replica.stopping and replica.report(phase, message, reason, lines):
            self.changes.notify(replica.order.api)

    # Logs

    def _api_of(self, id: str) -> str | None:
        replica = self._replicas.get(id)
        return replica.order.api if replica else None

    def _running_pods(self, api: str) -> tuple[RunningPod, ...]:
        return tuple(
            RunningPod(replica.pod, replica.observation.status if replica.observation else None)
            for replica in self._replicas.of(api).values()
            if replica.pod
        )

    def _own_pods(self) -> list[OwnPod]:
        return [(replica.order.api, replica.pod) for replica in self._replicas if replica.pod]

    def _copies(self) -> LogCopies:
        return LogCopies(
            client=self._client,
            namespace=self._settings.namespace,
            intake=self._intake,
            clock=self._clock,
            pods=self._own_pods,
            changes=self.changes,
        )

    # What the supervisors report

    def _to_read(self) -> Mapping[str, str]:
        addresses: dict[str, str] = {}
        self._looks += 1
        if self._looks % READY_EVERY == 0:
            self._unsettled.update(replica.id for replica in self._replicas)
        for id in tuple(self._unsettled):
            replica = self._replicas.get(id)
            address = replica.status_address if replica else None
            if replica and address:
                addresses[id] = address
                replica.stale = False
            if address is None or (replica and replica.phase is Phase.READY):
                self._unsettled.discard(id)
        return addresses

    def _reported(self, id: str) -> None:
        if replica := self._replicas.get(id):
            self._look(replica)

    # What the backend does

    def _ensure(self, replica: PodReplica) -> None:
        if self._tasks:
            self._writer.ensure(replica, self._tasks)

    async def _watch_times(self) -> None:
        """Look at pods of which no news comes, as long as this runs."""
        async for _ in ticks(self._clock, LOOK_AT_TIMES):
            for replica in tuple(self._replicas):
                if replica.pod and replica.phase in BECOMING:
                    self._look(replica)
                await self._remove_overdue(replica)

    async def _remove_overdue(self, replica: PodReplica) -> None:
        """Remove a pod that should have ended long ago. Its node is lost and cannot confirm it."""
        ends_by = replica.pod.ends_by if replica.pod else None
        if ends_by is not None and ends_by < self._clock.now().timestamp() - OVERDUE:
            log.warning("The pod %s of a lost node is removed", replica.id)
            with suppress(KubernetesError):  # the next look tries again
                await self._writer.delete(replica, now=True)

    async def _look_for_waiting(self) -> None:
        """Signal the APIs of which a replica has waited so long that another one may end in its favour."""
        shown: Mapping[str, Collection[str] | None] = {}
        async for _ in ticks(self._clock, LOOK_FOR_WAITING):
            found = {api: ids for api in self.apis() if (ids := self.preemptable(api))}
            self.changes.notify(*(api for api, ids in found.items() if shown.get(api) != ids))
            shown = found

    def _remove_builders(self) -> None:
        if self._tasks:
            for pod in self.environments.left_over():
                self._tasks.create_task(self.environments.remove(pod), name=f"removal of {pod.name}")


async def _end(task: asyncio.Task[None] | None) -> None:
    """Cancel a task, and wait until it has ended."""
    if task is not None and not task.done():
        task.cancel()
        await asyncio.wait((task,))

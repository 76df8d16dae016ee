"""The local backend: its replicas, and the services that they share."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from gyrus.aio.clock import Clock
from gyrus.aio.signals import Signals
from gyrus.aio.start_limiter import FairSemaphore
from gyrus.backends.local.adoption import Adopted, find_replicas
from gyrus.backends.local.capacity import Allocations, Share, needs_of
from gyrus.backends.local.capacity_messages import capacity_view, shortage_message, this_machine
from gyrus.backends.local.configuration import NOTIFY_SOCKET
from gyrus.backends.local.folder import ReplicaFolder
from gyrus.backends.local.fork_servers import ForkServers
from gyrus.backends.local.logs.reader import Present, read_logs
from gyrus.backends.local.logs.retention import forget_gone
from gyrus.backends.local.machine import look_at_machine
from gyrus.backends.local.placement import PlacementQueue
from gyrus.backends.local.preparation import Projects, Services
from gyrus.backends.local.replica import Found, LocalReplica
from gyrus.backends.local.settings import LocalSettings
from gyrus.backends.local.status_socket import status_notifications
from gyrus.backends.protocol import Observation, ReplicaOrder, RunningMachine
from gyrus.backends.replica_index import ReplicaIndex
from gyrus.contract.home import Home
from gyrus.contract.operator import CapacityView, ForkServerView, LogLine, LogQuery
from gyrus.contract.workload import ComputeResources
from gyrus.environments.cache import EnvironmentCache
from gyrus.objects.model_cache import ModelCache
from gyrus.objects.opening import open_objects

log = logging.getLogger(__name__)


class LocalBackend:
    """Replicas as supervised processes of this machine, which outlive the operator."""

    name = "local"

    def __init__(
        self, home: Home, projects: Projects, clock: Clock, settings: LocalSettings | None = None
    ) -> None:
        self.changes = Signals()
        self._home = home
        self._settings = settings or LocalSettings()
        self._services = Services(
            home=home,
            clock=clock,
            settings=self._settings,
            projects=projects,
            environments=EnvironmentCache(
                home.python_environments,
                home.runtimes,
                clock,
                building_at_once=self._settings.building_at_once,
            ),
            models=ModelCache(home.models, open_objects),
            placement=PlacementQueue(Allocations(overcommit=self._settings.overcommit)),
            starting=FairSemaphore(self._settings.starting_at_once, self._settings.longest_turn),
        )
        self._fork_servers = ForkServers(self._services, self.changes.notify)
        self._replicas = ReplicaIndex[LocalReplica]()
        self._creating: set[str] = set()
        self._tasks: asyncio.TaskGroup | None = None

    # The protocol

    async def adopt(self) -> None:
        await asyncio.to_thread(_make_folders, self._home)
        await self._look_at_machine()
        for adopted in await asyncio.to_thread(find_replicas, self._home):
            self._adopt(adopted)
        await asyncio.to_thread(self._fork_servers.adopt)

    async def run(self) -> None:
        await asyncio.to_thread(_make_folders, self._home)
        try:
            async with asyncio.TaskGroup() as self._tasks:
                with status_notifications(self._home.run / NOTIFY_SOCKET, self._notice):
                    for replica in tuple(self._replicas):
                        self._care(self._tasks, replica)
                    self.changes.notify(*self._replicas.apis)
                    await self._fork_servers.run()
        finally:
            self._tasks = None

    async def start(self, order: ReplicaOrder) -> None:
        if order.id in self._replicas or order.id in self._creating:
            return  # also if an earlier call for the same replica still creates the folder
        folder = ReplicaFolder(self._home.replicas / order.id)
        self._creating.add(order.id)
        try:
            await asyncio.to_thread(folder.create, order)
        finally:
            self._creating.discard(order.id)
        replica = self._take_on(order, folder)
        self.changes.notify(order.api)
        if self._tasks:
            self._care(self._tasks, replica)

    async def stop(self, replica: str, *, grace: float) -> None:
        if found := self._replicas.get(replica):
            await found.stop(grace)

    def expect(self, api: str, order: ReplicaOrder | None) -> None:
        self._fork_servers.expect(api, order)

    def fork_server(self, api: str) -> ForkServerView | None:
        return self._fork_servers.view(api)

    async def expect_no_orders(self) -> None:
        await self._fork_servers.close()

    def observe(self, api: str) -> Mapping[str, Observation]:
        return {id: replica.observation for id, replica in self._replicas.of(api).items()}

    def apis(self) -> Collection[str]:
        return tuple(self._replicas.apis)

    def capacity_for(self, api: str, compute: ComputeResources) -> int | None:
        return self._services.placement.allocations.capacity_for(api, needs_of(compute))

    def shortage_for(self, api: str, compute: ComputeResources) -> str:
        return shortage_message(self._services.placement.allocations, api, needs_of(compute))

    def preemptable(self, api: str) -> Collection[str] | None:
        return None  # a replica that ends passes its share on

    def capacity(self) -> CapacityView:
        return capacity_view(self._services.placement.allocations)

    def machines(self) -> Sequence[RunningMachine]:
        return (this_machine(self._services.placement.allocations),)

    def logs(self, query: LogQuery) -> AsyncIterator[LogLine]:
        return read_logs(self._home.replica_logs / query.api, query, self._present)

    async def remove(self, api: str) -> None:
        self._fork_servers.expect(api, None)
        await asyncio.to_thread(shutil.rmtree, self._home.replica_logs / api, ignore_errors=True)

    async def forget_packages(self, digests: frozenset[str]) -> None:
        forked = tuple(self._fork_servers.in_use())
        # Revisions may be gone while replicas or fork servers of them still run.
        used = {replica.order.workload.code.package for replica in self._replicas}
        used |= {package for package, _ in forked}
        await self._services.projects.forget(digests - used)
        await self._forget_models()
        folders = [ReplicaFolder(self._home.replicas / r.order.id) for r in self._replicas]
        configs = [folder.config() for folder in folders]
        damaged = [
            f.id for f, c in zip(folders, configs, strict=True) if c is None and f.config_file.exists()
        ]
        if damaged:  # the environments of these replicas are unknown, and must not be removed
            log.warning("No environment is removed: the configuration of %s is damaged", ", ".join(damaged))
            return
        await self._services.environments.sweep(
            frozenset(Path(config.python) for config in configs if config) | {python for _, python in forked}
        )

    async def _forget_models(self) -> None:
        """Remove unused models beyond the limit."""
        orders = [replica.order for replica in self._replicas] + [*self._fork_servers.orders()]
        used = {order.workload.code.models for order in orders}
        await self._services.models.sweep({models.key for models in used if models}, self._settings.models)

    # Replicas

    async def _look_at_machine(self) -> None:
        machine = self._settings.machine or await asyncio.to_thread(look_at_machine, os.environ)
        placement = self._services.placement
        placement.turn_to(replace(placement.allocations, machine=machine))

    def _adopt(self, adopted: Adopted) -> None:
        placement = self._services.placement
        if adopted.order.id not in self._replicas:
            replica = self._take_on(adopted.order, adopted.folder, adopted.found)
            if adopted.found.holds:
                share = Share(claim=replica.claim, gpus=adopted.found.devices)
                placement.turn_to(placement.allocations.keep(share))

    def _take_on(
        self, order: ReplicaOrder, folder: ReplicaFolder, found: Found | None = None
    ) -> LocalReplica:
        def changed() -> None:
            self.changes.notify(order.api)

        replica = LocalReplica(order, folder, self._services, self._fork_servers, changed, found)
        self._replicas.add(order.api, order.id, replica)
        return replica

    def _care(self, tasks: asyncio.TaskGroup, replica: LocalReplica) -> None:
        tasks.create_task(self._see_through(replica), name=f"replica {replica.order.id}")

    async def _see_through(self, replica: LocalReplica) -> None:
        """Run it to its end, then remove it from the observations."""
        await self._run_to_its_end(replica)
        order = replica.order
        self._replicas.remove(order.id)
        self.changes.notify(order.api)
        living = self._replicas.of(order.api).keys()
        logs = self._home.replica_logs / order.api
        try:
            await asyncio.to_thread(forget_gone, logs, frozenset(living), self._settings.gone_logs)
        except Exception as error:  # the end of the next replica tries again
            log.warning("Old logs of %s could not be removed: %s", order.api, error)

    async def _run_to_its_end(self, replica: LocalReplica) -> None:
        """Run it, again after each error of the system. Give up if its remains cannot be removed."""
        clock, backoff, id = self._services.clock, self._settings.backoff, replica.order.id
        for failures in range(self._settings.removals):
            try:
                await replica.run()
                return
            except Exception as error:
                log.error("Removing replica %s failed; trying again: %s", id, error, exc_info=error)
                await clock.sleep(backoff.delay(failures))
        log.error(
            "Remains of replica %s could not be removed; the next start of the platform tries again", id
        )

    def _notice(self, name: str) -> None:
        if replica := self._replicas.get(name):
            replica.notice()
        else:
            self._fork_servers.notice(name)

    def _present(self, replica: str) -> Present | None:
        found = self._replicas.get(replica)
        return Present.of(found.observation.status) if found else None


def _make_folders(home: Home) -> None:
    """Create the folders. Raises PermissionError if another user owns the folder of sockets."""
    home.replicas.mkdir(parents=True, exist_ok=True)
    home.fork_servers.mkdir(exist_ok=True)
    home.run.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check_ours(home.run)


def _check_ours(run: Path) -> None:
    """Check the owner, because the folder may be in a place where every user may write."""
    found = run.lstat()
    if run.is_symlink() or found.st_uid != os.geteuid():
        raise PermissionError(f"{run} belongs to another user; remove it, or choose another GYRUS_HOME")
    run.chmod(0o700)

"""The local backend: a caretaker for every replica, and what they share."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

from gyrus.aio.clock import Clock
from gyrus.aio.hint import Hints
from gyrus.backends.local.adoption import Adopted, find_replicas
from gyrus.backends.local.capacity import Ledger, Share, needs_of
from gyrus.backends.local.caretaker import Caretaker, Found
from gyrus.backends.local.configuration import NOTIFY_SOCKET
from gyrus.backends.local.environments.shelf import EnvironmentShelf
from gyrus.backends.local.folder import ReplicaFolder
from gyrus.backends.local.logs.reader import Present, read_logs
from gyrus.backends.local.logs.retention import forget_gone
from gyrus.backends.local.machine import look_at_machine
from gyrus.backends.local.notices import listening
from gyrus.backends.local.parking import Parking
from gyrus.backends.local.places import Places
from gyrus.backends.local.preparation import Projects, Workshop
from gyrus.backends.local.settings import LocalSettings
from gyrus.backends.local.telling import capacity_view
from gyrus.backends.local.turns import Turns
from gyrus.backends.protocol import Observation, ReplicaOrder
from gyrus.contract.home import Home
from gyrus.contract.operator import CapacityView, LogLine, LogQuery, ParkedView
from gyrus.spec.api import ApiSpec

log = logging.getLogger(__name__)


class LocalBackend:
    """Replicas as supervised processes of this machine, which outlive the operator."""

    name = "local"

    def __init__(
        self, home: Home, projects: Projects, clock: Clock, settings: LocalSettings | None = None
    ) -> None:
        self.changes = Hints()
        self._home = home
        self._settings = settings or LocalSettings()
        self._workshop = Workshop(
            home=home,
            clock=clock,
            settings=self._settings,
            projects=projects,
            environments=EnvironmentShelf(home, clock, building_at_once=self._settings.building_at_once),
            places=Places(Ledger(overcommit=self._settings.overcommit)),
            starting=Turns(self._settings.starting_at_once, self._settings.longest_turn),
        )
        self._parking = Parking(self._workshop, self.changes.notify)
        self._caretakers: dict[str, Caretaker] = {}
        self._creating: set[str] = set()
        self._tasks: asyncio.TaskGroup | None = None

    # The protocol

    async def adopt(self) -> None:
        await asyncio.to_thread(_make_folders, self._home)
        await self._look_at_machine()
        for adopted in await asyncio.to_thread(find_replicas, self._home):
            self._adopt(adopted)
        await asyncio.to_thread(self._parking.adopt)

    async def run(self) -> None:
        await asyncio.to_thread(_make_folders, self._home)
        try:
            async with asyncio.TaskGroup() as self._tasks:
                with listening(self._home.run / NOTIFY_SOCKET, self._notice):
                    for caretaker in tuple(self._caretakers.values()):
                        self._care(self._tasks, caretaker)
                    self.changes.notify(*{c.order.spec.name for c in self._caretakers.values()})
                    await self._parking.run()
        finally:
            self._tasks = None

    async def start(self, order: ReplicaOrder) -> None:
        if order.id in self._caretakers or order.id in self._creating:
            return
        folder = ReplicaFolder(self._home.replicas / order.id)
        self._creating.add(order.id)
        try:
            await asyncio.to_thread(folder.create, order)
        finally:
            self._creating.discard(order.id)
        caretaker = self._take_on(order, folder)
        self.changes.notify(order.spec.name)
        if self._tasks:
            self._care(self._tasks, caretaker)

    async def stop(self, replica: str, *, grace: float) -> None:
        if caretaker := self._caretakers.get(replica):
            await caretaker.stop(grace)

    def expect(self, api: str, order: ReplicaOrder | None) -> None:
        self._parking.expect(api, order)

    def parked(self, api: str) -> ParkedView | None:
        return self._parking.view(api)

    async def expect_nothing(self) -> None:
        await self._parking.close()

    def observe(self) -> Mapping[str, Observation]:
        return {id: caretaker.observation for id, caretaker in self._caretakers.items()}

    def room(self, spec: ApiSpec) -> int | None:
        return self._workshop.places.ledger.room(spec.name, needs_of(spec.compute))

    def capacity(self) -> CapacityView:
        return capacity_view(self._workshop.places.ledger)

    def logs(self, query: LogQuery) -> AsyncIterator[LogLine]:
        return read_logs(self._home.replica_logs / query.api, query, self._present)

    async def remove(self, api: str) -> None:
        self._parking.expect(api, None)
        await asyncio.to_thread(shutil.rmtree, self._home.replica_logs / api, ignore_errors=True)

    async def forget_packages(self, digests: frozenset[str]) -> None:
        parked = tuple(self._parking.in_use())
        used = {caretaker.order.package for caretaker in self._caretakers.values()}
        used |= {package for package, _ in parked}
        await self._workshop.projects.forget(digests - used)
        configs = [ReplicaFolder(self._home.replicas / id).config() for id in self._caretakers]
        await self._workshop.environments.sweep(
            frozenset(Path(config.python) for config in configs if config) | {python for _, python in parked}
        )

    # Caretakers

    async def _look_at_machine(self) -> None:
        machine = self._settings.machine or await asyncio.to_thread(look_at_machine, os.environ)
        places = self._workshop.places
        places.turn_to(replace(places.ledger, machine=machine))

    def _adopt(self, adopted: Adopted) -> None:
        places = self._workshop.places
        if adopted.order.id not in self._caretakers:
            caretaker = self._take_on(adopted.order, adopted.folder, adopted.found)
            if adopted.found.holds:
                share = Share(claim=caretaker.claim, gpus=adopted.found.launch.devices)
                places.turn_to(places.ledger.keep(share))

    def _take_on(self, order: ReplicaOrder, folder: ReplicaFolder, found: Found | None = None) -> Caretaker:
        def changed() -> None:
            self.changes.notify(order.spec.name)

        caretaker = Caretaker(order, folder, self._workshop, self._parking, changed, found)
        self._caretakers[order.id] = caretaker
        return caretaker

    def _care(self, tasks: asyncio.TaskGroup, caretaker: Caretaker) -> None:
        tasks.create_task(self._see_through(caretaker), name=f"replica {caretaker.order.id}")

    async def _see_through(self, caretaker: Caretaker) -> None:
        """To its end, and then it is gone from what is observed."""
        await caretaker.run()
        order = caretaker.order
        del self._caretakers[order.id]
        self.changes.notify(order.spec.name)
        living = {id for id, c in self._caretakers.items() if c.order.spec.name == order.spec.name}
        logs = self._home.replica_logs / order.spec.name
        await asyncio.to_thread(forget_gone, logs, living, self._settings.gone_logs)

    def _notice(self, name: str) -> None:
        if caretaker := self._caretakers.get(name):
            caretaker.notice()
        else:
            self._parking.notice(name)

    def _present(self, replica: str) -> Present | None:
        caretaker = self._caretakers.get(replica)
        return Present.of(caretaker.observation.status) if caretaker else None


def _make_folders(home: Home) -> None:
    """Raises PermissionError where somebody else has made them before us."""
    home.replicas.mkdir(parents=True, exist_ok=True)
    home.parked.mkdir(exist_ok=True)
    home.run.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check_ours(home.run)


def _check_ours(run: Path) -> None:
    """It may be in a folder where everybody may write."""
    found = run.lstat()
    if run.is_symlink() or found.st_uid != os.geteuid():
        raise PermissionError(f"{run} belongs to somebody else; remove it, or choose another GYRUS_HOME")
    run.chmod(0o700)

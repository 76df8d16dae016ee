"""The place of one parked process, from the expectation of orders to its end."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from gyrus.aio.tasks import run_until
from gyrus.backends.local.configuration import Ground, configure
from gyrus.backends.local.parked import ParkedFolder, ParkedProcess
from gyrus.backends.local.preparation import Impossible, Workshop, furnish
from gyrus.backends.local.supervision import ExitWatch, Supervisor
from gyrus.backends.local.turns import Turn, Turns
from gyrus.backends.protocol import ReplicaOrder
from gyrus.contract.operator import ParkedView
from gyrus.contract.parking import Loads, Parked, ParkedPhase, ParkingConfig
from gyrus.contract.replica import Phase, Reason

log = logging.getLogger(__name__)

MOST_DEATHS = 5
"""So often a process may die before it is parked; then it is given up."""
LONG = 3600.0
"""Seconds between two looks at a process that is watched by the system."""
NOT_LINUX = "forks need Linux"
HAS_GPU = "CUDA does not survive a fork, and it has a GPU"
NOT_LOADED = "the parked process had not loaded the handler yet"
DIED = "the parked process had died"


def name_of(order: ReplicaOrder) -> str:
    return f"{order.spec.name}-{order.revision}"


def obstacle(order: ReplicaOrder) -> str | None:
    """Why replicas like this one can never be forks."""
    if not sys.platform.startswith("linux"):
        return NOT_LINUX
    return HAS_GPU if order.spec.compute.gpu else None


def _say_nothing(phase: Phase, message: str, reason: Reason | None = None) -> None:
    """What is parked is no replica, and has no status."""


@dataclass(frozen=True, slots=True)
class AtHand:
    """A process that takes orders."""

    ground: Ground
    process: ParkedProcess
    socket: str
    memory: int
    """Bytes."""

    async def fork(self, config_file: Path, known: Callable[[Supervisor], None]) -> Supervisor:
        """Raises NoFork."""
        return await self.process.fork(self.socket, config_file, known)


class Spot:
    def __init__(
        self,
        order: ReplicaOrder,
        folder: ParkedFolder,
        workshop: Workshop,
        turns: Turns,
        changed: Callable[[], None],
    ) -> None:
        """``order``: one like those that are expected. ``turns``: to load. ``changed``: the view has."""
        self.order = order
        self.name = name_of(order)
        self.at_hand: AtHand | None = None
        self.because = NOT_LOADED
        """Why nothing is at hand."""
        self._given_up = False
        self._changed = changed
        self._folder = folder
        self._workshop = workshop
        self._turns = turns
        self._noticed = asyncio.Event()
        self._ending = asyncio.Event()

    def suits(self, order: ReplicaOrder) -> bool:
        """An order like that is what it is for: which rollout asks makes no difference."""
        ours = self.order
        return (order.revision, order.package, order.spec) == (ours.revision, ours.package, ours.spec)

    @property
    def view(self) -> ParkedView:
        if self.at_hand:
            return ParkedView(phase=ParkedPhase.PARKED, memory=self.at_hand.memory)
        phase = ParkedPhase.IMPOSSIBLE if self._given_up else ParkedPhase.LOADING
        return ParkedView(phase=phase, because=self.because)

    def notice(self) -> None:
        self._noticed.set()

    def end(self) -> None:
        """:meth:`run` returns when nothing is parked any more."""
        self._ending.set()
        self.at_hand = None

    async def run(self) -> None:
        """Cancelled, it leaves parked what is parked."""
        await run_until(self._ending, self._live())
        await self._ending.wait()
        await asyncio.to_thread(self._folder.clear)

    async def _live(self) -> None:
        """Ends where it is given up."""
        deaths = 0
        while deaths < MOST_DEATHS:
            try:
                deaths = 0 if await self._park() else deaths + 1
            except Impossible as fault:
                self._give_up(str(fault))
                return
            except Exception as error:
                log.warning("%s could not be parked", self.name, exc_info=error)
                self.because = f"it could not be parked: {error}"
                deaths += 1
            await self._workshop.clock.sleep(self._workshop.settings.backoff.delay(deaths))
        self._give_up(f"a process that was to be parked has died {deaths} times while it loaded")

    def _give_up(self, because: str) -> None:
        log.info("replicas of %s start cold: %s", self.name, because)
        self.because, self._given_up = because, True
        self._changed()

    async def _park(self) -> bool:
        """One life of a process. Whether it was parked. Raises Impossible, OSError."""
        self.because = NOT_LOADED
        ground = await furnish(self.order, self._folder.path / "project", self._workshop, _say_nothing)
        config = self._configure(ground)
        if process := await asyncio.to_thread(self._folder.find, config):
            return await self._watch(process, config, ground)
        turn = await self._turns.take(lambda before: None)
        try:
            await asyncio.to_thread(self._folder.prepare, config)
            process = ParkedProcess.launch(config.replica.python, self._folder)
            return await self._watch(process, config, ground, turn)
        finally:
            turn.give_back()

    def _configure(self, ground: Ground) -> ParkingConfig:
        home = self._workshop.home
        replica = configure(self.order, ground, home, self._workshop.settings)
        return ParkingConfig(
            name=self.name,
            loads=Loads(self.order.spec.warm_start),
            socket=str(home.run / f"{self.name}.park"),
            replica=replace(replica, id="", log_dir=""),
        )

    async def _watch(
        self, process: ParkedProcess, config: ParkingConfig, ground: Ground, turn: Turn | None = None
    ) -> bool:
        """Until it dies. Whether it was parked. Raises Impossible."""
        parked = False
        with ExitWatch(process, self._noticed) as watch:
            while not watch.exited:
                if not parked and (status := await self._parked_status()):
                    parked = True
                    self.at_hand = AtHand(ground, process, config.socket, status.memory)
                    self._changed()
                    if turn:
                        turn.give_back()
                await watch.wait(LONG if parked else self._workshop.settings.reread)
        self.at_hand, self.because = None, DIED
        self._changed()
        process.reap()
        if (
            status := await asyncio.to_thread(self._folder.status)
        ) and status.phase is ParkedPhase.IMPOSSIBLE:
            raise Impossible(Reason.IMPORT, status.because)
        return parked

    async def _parked_status(self) -> Parked | None:
        status = await asyncio.to_thread(self._folder.status)
        return status if status and status.phase is ParkedPhase.PARKED else None

"""Parked processes: one for each revision that may be asked for replicas, so that these start as its forks.

::

    expected → its turn → LOADING → PARKED ── died ──► again, after the back-off
                             │
                        IMPOSSIBLE: replicas start cold, and say why
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from gyrus.backends.local.parked import ParkedFolder
from gyrus.backends.local.preparation import Workshop
from gyrus.backends.local.spot import NOT_LOADED, AtHand, Spot, name_of, obstacle
from gyrus.backends.local.turns import Turns
from gyrus.backends.protocol import ReplicaOrder
from gyrus.contract.operator import ParkedView
from gyrus.contract.parking import ParkedPhase

LOADING_AT_ONCE = 1
LONGEST_LOAD = 60.0
"""Seconds for which one that loads keeps others waiting."""


class Parking:
    """Has parked what is expected, as far as that can be done."""

    def __init__(self, workshop: Workshop, changed: Callable[[str], None]) -> None:
        """``changed``: told of APIs of which something else is parked now."""
        self._tell = changed
        self._workshop = workshop
        self._turns = Turns(LOADING_AT_ONCE, LONGEST_LOAD)
        self._expected: dict[str, ReplicaOrder | None] = {}
        """By API. None: what is parked of it has to go."""
        self._spots: dict[str, Spot] = {}
        """By API."""
        self._left: dict[str, ParkedFolder] = {}
        """By name: what an earlier operator left, and nobody has expected yet."""
        self._changed = asyncio.Event()
        self._gone = asyncio.Event()
        self._closed = False

    # What others ask of it

    def expect(self, api: str, order: ReplicaOrder | None) -> None:
        """Orders like this one may come, and no others of this API. None: no orders."""
        if self._closed:
            return
        wanted = order if order and order.spec.warm_start != "off" else None
        spot, known = self._spots.get(api), self._expected.get(api)
        if wanted and known and spot and spot.suits(wanted) and spot.suits(known):
            return  # it is told again and again
        if wanted or spot or self._left or api in self._expected:
            self._expected[api] = wanted
            self._changed.set()

    def view(self, api: str) -> ParkedView | None:
        """For people."""
        order = self._expected.get(api)
        if order is None:
            return None
        if because := obstacle(order):
            return ParkedView(phase=ParkedPhase.IMPOSSIBLE, because=because)
        spot = self._spots.get(api)
        return spot.view if spot else ParkedView(phase=ParkedPhase.LOADING, because=NOT_LOADED)

    def at_hand(self, order: ReplicaOrder) -> AtHand | None:
        spot = self._spots.get(order.spec.name)
        return spot.at_hand if spot and spot.suits(order) else None

    def because(self, order: ReplicaOrder) -> str:
        """Why there is nothing at hand for it, where there should be."""
        if order.spec.warm_start == "off":
            return ""
        spot = self._spots.get(order.spec.name)
        return obstacle(order) or (spot.because if spot and spot.suits(order) else "")

    def notice(self, name: str) -> None:
        """Something may have happened to it."""
        for spot in self._spots.values():
            if spot.name == name:
                spot.notice()

    def in_use(self) -> Iterator[tuple[str | None, Path]]:
        """Packages and interpreters."""
        for spot in self._spots.values():
            if spot.at_hand:
                yield spot.order.package, spot.at_hand.ground.python

    async def close(self) -> None:
        """No orders will come any more. Returns when nothing is parked; :meth:`run` must be running."""
        self._closed = True
        self._expected.clear()
        self._changed.set()
        while self._spots or self._left:
            self._gone.clear()
            await self._gone.wait()

    # Its own work

    def adopt(self) -> None:
        """Find what an earlier operator left. Blocks."""
        for path in self._workshop.home.parked.iterdir():
            self._left[path.name] = ParkedFolder(path)

    async def run(self) -> None:
        """Cancelled, it leaves parked what is parked."""
        self._spots.clear()
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._settle(tasks)
                await self._changed.wait()
                self._changed.clear()

    async def _settle(self, tasks: asyncio.TaskGroup) -> None:
        for api, spot in self._spots.items():
            order = self._expected.get(api)
            if order is None or not spot.suits(order):
                spot.end()
        for api in tuple(self._expected):
            order = self._expected.get(api)  # as it is now: others go on while something is cleared away
            if order is None:
                self._expected.pop(api, None)
            elif api not in self._spots and not obstacle(order):
                self._open(tasks, order)
            await self._clear_away(api)
        if self._closed:
            await self._clear_away(None)

    def _open(self, tasks: asyncio.TaskGroup, order: ReplicaOrder) -> None:
        name = name_of(order)
        self._left.pop(name, None)  # it will look there itself
        folder, api = ParkedFolder(self._workshop.home.parked / name), order.spec.name
        spot = Spot(order, folder, self._workshop, self._turns, partial(self._tell, api))
        self._spots[api] = spot
        tasks.create_task(self._see_through(spot), name=f"parked {name}")

    async def _see_through(self, spot: Spot) -> None:
        await spot.run()
        del self._spots[spot.order.spec.name]
        self._changed.set()
        self._gone.set()

    async def _clear_away(self, api: str | None) -> None:
        """What an earlier operator left of this API, or of all, and nobody will ask for."""
        for name, folder in tuple(self._left.items()):
            if api is None or name.rpartition("-")[0] == api:
                await asyncio.to_thread(folder.clear)
                del self._left[name]
        self._gone.set()

"""Fork servers: one for each API that expects orders, so that its replicas start as forks.

::

    expected → permit → LOADING → READY ── died ──► again, after the back-off
                           │
                      IMPOSSIBLE: replicas start cold, and report why
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from gyrus.aio.start_limiter import FairSemaphore
from gyrus.backends.local.fork_server import NOT_LOADED, ForkServer, ReadyForkServer, name_of, unsafe_to_fork
from gyrus.backends.local.fork_server_process import ForkServerFolder
from gyrus.backends.local.preparation import Services
from gyrus.backends.protocol import ReplicaOrder
from gyrus.contract.fork_server import ForkServerPhase
from gyrus.contract.operator import ForkServerView

log = logging.getLogger(__name__)

LOADING_AT_ONCE = 1
LONGEST_LOAD = 60.0
"""Seconds after which a loading fork server no longer holds its permit."""


class ForkServers:
    """Runs a fork server for every API that expects orders, if one is possible."""

    def __init__(self, services: Services, changed: Callable[[str], None]) -> None:
        """Begin without any. ``changed`` is called with the API whose fork server has changed."""
        self._on_change = changed
        self._services = services
        self._starts = FairSemaphore(LOADING_AT_ONCE, LONGEST_LOAD)
        self._expected: dict[str, ReplicaOrder | None] = {}
        """Expected orders, by API. None means that the API's fork server must end."""
        self._servers: dict[str, ForkServer] = {}
        """Running fork servers, by API."""
        self._left: dict[str, ForkServerFolder] = {}
        """By name: fork servers of an earlier operator, for which no orders are expected so far."""
        self._changed = asyncio.Event()
        self._gone = asyncio.Event()
        self._closed = False

    # Interface

    def expect(self, api: str, order: ReplicaOrder | None) -> None:
        """Prepare for orders like this one, and for no others of this API. None means no orders."""
        if self._closed:
            return
        wanted = order if order and order.workload.code.preload else None
        server, known = self._servers.get(api), self._expected.get(api)
        if wanted and known and server and server.suits(wanted) and server.suits(known):
            return  # the reconciler repeats its expectation in each pass
        if wanted or server or self._left or api in self._expected:
            self._expected[api] = wanted
            self._changed.set()

    def view(self, api: str) -> ForkServerView | None:
        """Return the fork server of an API, for display. Returns None if no orders are expected."""
        order = self._expected.get(api)
        if order is None:
            return None
        if because := unsafe_to_fork(order):
            return ForkServerView(phase=ForkServerPhase.IMPOSSIBLE, because=because)
        server = self._servers.get(api)
        return server.view if server else ForkServerView(phase=ForkServerPhase.LOADING, because=NOT_LOADED)

    def ready(self, order: ReplicaOrder) -> ReadyForkServer | None:
        server = self._servers.get(order.api)
        return server.ready if server and server.suits(order) else None

    def because(self, order: ReplicaOrder) -> str:
        """Return why no fork server is ready for this order. Returns an empty string if it needs none."""
        if order.workload.code.preload is None:
            return ""
        server = self._servers.get(order.api)
        return unsafe_to_fork(order) or (server.because if server and server.suits(order) else "")

    def notice(self, name: str) -> None:
        """Make the named fork server read its status, which may have changed."""
        for server in self._servers.values():
            if server.name == name:
                server.notice()

    def orders(self) -> Iterator[ReplicaOrder]:
        """Yield the orders that fork servers have loaded, or are loading, a handler for."""
        for server in self._servers.values():
            yield server.order

    def in_use(self) -> Iterator[tuple[str | None, Path]]:
        """Yield the packages and interpreters that fork servers use."""
        for server in self._servers.values():
            if server.ready:
                yield server.order.workload.code.package, server.ready.context.python

    async def close(self) -> None:
        """End all fork servers, and return when they have ended. Needs :meth:`run`."""
        self._closed = True
        self._expected.clear()
        self._changed.set()
        while self._servers or self._left:
            self._gone.clear()
            await self._gone.wait()

    # Implementation

    def adopt(self) -> None:
        """Find the fork servers of an earlier operator. Blocks."""
        home = self._services.home
        if home.earlier_fork_servers.exists():
            for path in home.earlier_fork_servers.iterdir():
                _clear(ForkServerFolder(path))
        for path in home.fork_servers.iterdir():
            self._left[path.name] = ForkServerFolder(path)

    async def run(self) -> None:
        """Run the fork servers until cancelled. Cancelling leaves their processes running."""
        self._servers.clear()
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._settle(tasks)
                await self._changed.wait()
                self._changed.clear()

    async def _settle(self, tasks: asyncio.TaskGroup) -> None:
        for api, server in self._servers.items():
            order = self._expected.get(api)
            if order is None or not server.suits(order):
                server.end()
        for api in tuple(self._expected):
            order = self._expected.get(api)  # read again: it may have changed in the awaits of this loop
            if order is None:
                self._expected.pop(api, None)
            elif api not in self._servers and not unsafe_to_fork(order):
                self._open(tasks, order)
            await self._clear_away(api)
        if self._closed:
            await self._clear_away(None)

    def _open(self, tasks: asyncio.TaskGroup, order: ReplicaOrder) -> None:
        name = name_of(order)
        self._left.pop(name, None)  # the fork server itself finds a process that is left there
        folder, api = ForkServerFolder(self._services.home.fork_servers / name), order.api
        server = ForkServer(order, folder, self._services, self._starts, partial(self._on_change, api))
        self._servers[api] = server
        tasks.create_task(self._see_through(server), name=f"fork server {name}")

    async def _see_through(self, server: ForkServer) -> None:
        try:
            await server.run()
        except Exception as error:
            log.error("Fork server %s could not be removed: %s", server.name, error, exc_info=error)
        del self._servers[server.order.api]
        self._changed.set()
        self._gone.set()

    async def _clear_away(self, api: str | None) -> None:
        """Remove the remaining fork servers of an earlier operator. None means those of all APIs."""
        for name, folder in tuple(self._left.items()):
            if api is None or name.rpartition("-")[0] == api:
                await asyncio.to_thread(_clear, folder)
                del self._left[name]
        self._gone.set()


def _clear(folder: ForkServerFolder) -> None:
    try:
        folder.clear()
    except OSError as error:
        log.warning("A fork server's folder could not be removed, the next start tries again: %s", error)

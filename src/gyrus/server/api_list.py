"""The list of all APIs for its watchers. Each change is rendered once, for any number of watchers."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import orjson

from gyrus.aio.signals import Listener, listen
from gyrus.aio.slices import slices
from gyrus.server.context import ServerContext
from gyrus.server.views import Views
from gyrus.state.api_cache import ApiCache
from gyrus.state.errors import UnknownApi
from gyrus.state.records import Api

RENDER_EVERY = 10.0
"""Seconds after which every API is rendered again: traffic changes without a signal."""

MOST_GONE = 1000
"""Deleted APIs that are remembered for watchers that do not know of the deletion yet."""


@dataclass(frozen=True, slots=True)
class _Entry:
    version: int
    """Version of the list in which the entry changed last."""
    body: bytes | None
    """The ApiView in JSON. None if the API was deleted."""


class ApiList:
    """All APIs, each rendered when it has changed. The list has a version, which grows.

    A reader calls :meth:`refresh`, and then gets the changes since the version that it read before.
    """

    def __init__(self, context: ServerContext, views: Views) -> None:
        board = context.board
        self._context = context
        self._views = views
        self._records = ApiCache(context.store, context.clock)
        self._sources = (board.intent_signals, board.replica_signals, board.acknowledged_signals)
        self._changed = Listener()
        for source in self._sources:
            source.join(self._changed)
        self._gateway = Listener()  # a listener of its own, since its keys are not names of APIs
        board.gateway_signals.join(self._gateway)
        self._turn = asyncio.Lock()
        self._rendered_at: float | None = None
        self._version = 0
        self._oldest = 0
        """Version since which all changes are known."""
        self._entries: dict[str, _Entry] = {}
        """By API, in the order of their versions."""
        self._whole: bytes | None = None
        """The rendered list, for further readers until the list changes."""
        self._since: dict[int, bytes] = {}
        """By version: the rendered changes since then, for further readers until the list changes."""

    @contextmanager
    def changes(self) -> Generator[Listener]:
        """Return a listener for all signals of changes of the list."""
        with listen(*self._sources, self._context.board.gateway_signals) as listener:
            yield listener

    async def refresh(self) -> int:
        """Render the APIs that may have changed since the last refresh. Returns the list's version."""
        async with self._turn:
            changed = self._changed.take()
            self._records.invalidate(changed)
            try:
                records = await self._records.refresh()
                await self._render(records, self._due(records) or changed)
            except BaseException:
                self._rendered_at = None  # the taken changes are lost: render every API next time
                raise
        return self._version

    def whole(self) -> bytes:
        """Return the list in JSON."""
        if self._whole is None:
            bodies = (self._entries[name].body for name in sorted(self._entries))
            self._whole = b"[%s]" % b",".join(body for body in bodies if body)
        return self._whole

    def since(self, version: int) -> bytes | None:
        """Return the changes since this version, as ApiChanges in JSON. Returns None if it is too old."""
        if version < self._oldest:
            return None
        if version not in self._since:
            newer = dict(self._newer(version))
            apis = b",".join(body for body in newer.values() if body)
            gone = orjson.dumps([name for name, body in newer.items() if body is None])
            self._since[version] = b'{"apis":[%s],"gone":%s}' % (apis, gone)
        return self._since[version]

    def _newer(self, version: int) -> Iterator[tuple[str, bytes | None]]:
        for name, entry in reversed(self._entries.items()):
            if entry.version <= version:
                return
            yield name, entry.body

    def _due(self, records: Mapping[str, Api]) -> Collection[str]:
        """Return all names, including those of deleted APIs, if it is time to render them all."""
        now = self._context.clock.monotonic()
        if self._gateway.take() or self._rendered_at is None or now - self._rendered_at >= RENDER_EVERY:
            self._rendered_at = now
            return records.keys() | self._entries.keys()
        return ()

    async def _render(self, records: Mapping[str, Api], names: Collection[str]) -> None:
        fresh = {
            name: body
            async for name in slices(tuple(names), clock=self._context.clock)
            if (body := await self._body(records.get(name))) != self._body_before(name)
        }
        if not fresh:
            return
        self._version += 1
        self._whole = None
        self._since.clear()
        for name, body in fresh.items():
            self._entries.pop(name, None)  # so that it moves to the end: entries are ordered by version
            self._entries[name] = _Entry(self._version, body)
        self._forget_gone()

    def _body_before(self, name: str) -> bytes | None:
        return self._entries[name].body if name in self._entries else None

    async def _body(self, api: Api | None) -> bytes | None:
        try:
            return orjson.dumps(await self._views.see(api)) if api else None
        except UnknownApi:  # deleted since its record was read
            return None

    def _forget_gone(self) -> None:
        gone = [name for name, entry in self._entries.items() if entry.body is None]
        if len(gone) > MOST_GONE:
            self._oldest = self._version
            for name in gone:
                del self._entries[name]

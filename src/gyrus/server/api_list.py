"""The list of all APIs as its watchers get it: each change is rendered once, whatever their number."""

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
"""Deleted APIs that are remembered for watchers that have not heard of them."""


@dataclass(frozen=True, slots=True)
class _Entry:
    version: int
    """The list's version since which the entry is as it is."""
    body: bytes | None
    """The ApiView in JSON. None: the API is gone."""


class ApiList:
    """All APIs, each rendered when something has changed. The list has a version, which grows.

    A reader calls :meth:`refresh`, and asks for what is newer than the version that it read before.
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
        self._gateway = Listener()  # apart, since its keys are no APIs
        board.gateway_signals.join(self._gateway)
        self._turn = asyncio.Lock()
        self._rendered_at: float | None = None
        self._version = 0
        self._oldest = 0
        """The version since when all changes are known."""
        self._entries: dict[str, _Entry] = {}
        """By API, in the order of their versions."""
        self._whole: bytes | None = None
        self._since: dict[int, bytes] = {}
        """By version: what is newer. Both as rendered for one reader, until the list changes."""

    @contextmanager
    def changes(self) -> Generator[Listener]:
        """Return a listener for everything that may change the list."""
        with listen(*self._sources, self._context.board.gateway_signals) as listener:
            yield listener

    async def refresh(self) -> int:
        """Render what may have changed since the last refresh. Returns the list's version."""
        async with self._turn:
            changed = self._changed.take()
            self._records.invalidate(changed)
            try:
                records = await self._records.refresh()
                await self._render(records, self._due(records) or changed)
            except BaseException:
                self._rendered_at = None  # what had changed is unknown now
                raise
        return self._version

    def whole(self) -> bytes:
        """Return the list in JSON."""
        if self._whole is None:
            bodies = (self._entries[name].body for name in sorted(self._entries))
            self._whole = b"[%s]" % b",".join(body for body in bodies if body)
        return self._whole

    def since(self, version: int) -> bytes | None:
        """Return what is newer than this version, as ApiChanges in JSON; None if it is too old to know."""
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
        """Return every name there is or was, if it is time to render them all."""
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
            self._entries.pop(name, None)  # so that it becomes the last one
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

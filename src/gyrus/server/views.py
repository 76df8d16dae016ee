"""Views of APIs for callers, from the store and the board."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime

from gyrus.aio.slices import slices
from gyrus.contract.operator import ApiDescription, ApiView, Deployed, EventView, RevisionView
from gyrus.server.context import ServerContext
from gyrus.state import status
from gyrus.state.errors import UnknownApi
from gyrus.state.records import Api, Revision
from gyrus.state.status import ApiObservation

REMEMBERED = 2000
"""Revisions that are kept in memory."""

FLUSH_TIMEOUT = 1.0
"""Seconds for which a read of events waits for those that are not stored yet."""


class Views:
    """Reads for callers. All methods that take a name raise UnknownApi."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._revisions: dict[tuple[str, datetime, int], Revision] = {}

    async def every(self) -> list[ApiView]:
        """Return views of all APIs, by name."""
        seen: list[ApiView] = []
        async for api in slices(await self._context.store.apis(), clock=self._context.clock):
            with suppress(UnknownApi):  # deleted since the list was read
                seen.append(await self.see(api))
        return seen

    async def one(self, name: str) -> ApiView:
        return await self.see(await self.api(name))

    async def whole(self, name: str) -> ApiDescription:
        store = self._context.store
        # The rollout is read before its API, so that a rollout that is reported as done has an API that is
        # live.
        rollouts = await store.rollouts(name)
        if not rollouts:
            raise UnknownApi(name)
        api = await self.api(name)
        wanted = await self._wanted(api)
        events = await store.events(name)
        return status.describe(
            api, wanted, rollouts[0], events, self._observation(api), self._context.gateway
        )

    async def history(self, name: str) -> tuple[RevisionView, ...]:
        """Return the revisions of an API, newest first."""
        store = self._context.store
        api = await self.api(name)
        return status.revision_views(api, await store.revisions(name), await store.rollouts(name))

    async def events(self, name: str, since: float | None, after: int, limit: int) -> tuple[EventView, ...]:
        """Return the latest events with ids above ``after``, oldest first. ``since`` is in epoch seconds."""
        await self.api(name)
        latest = await self._context.store.events(name, limit, after)
        return status.event_views(e for e in latest if since is None or e.time.timestamp() >= since)

    async def flush_events(self) -> None:
        """Wait until recorded events can be read, so that callers find the events of their own acts.

        Waits for at most FLUSH_TIMEOUT: a store that cannot write events does not prevent reading them.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_TIMEOUT):
                await self._context.events.flushed()

    async def begun(self, api: Api) -> Deployed:
        """Describe the rollout that began with this record."""
        wanted = await self._wanted(api)
        return status.deployed(api, wanted.spec, self._context.gateway, changed=True)

    async def api(self, name: str) -> Api:
        api = await self._context.store.api(name)
        if api is None:
            raise UnknownApi(name)
        return api

    async def see(self, api: Api) -> ApiView:
        return status.view(api, await self._wanted(api), self._observation(api), self._context.gateway)

    def _observation(self, api: Api) -> ApiObservation:
        return ApiObservation.on(self._context.board, api.name)

    async def _wanted(self, api: Api) -> Revision:
        """Return the target's revision. Revisions never change, so each is read only once."""
        # An API that was deleted and created again has other revisions with the same numbers.
        key = (api.name, api.created_at, api.target.revision)
        if key not in self._revisions:
            revision = await self._context.store.revision(api.name, api.target.revision)
            if revision is None:  # deleted since its record was read
                raise UnknownApi(api.name)
            if len(self._revisions) >= REMEMBERED:
                self._revisions.clear()
            self._revisions[key] = revision
        return self._revisions[key]

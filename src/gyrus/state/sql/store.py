"""The Store over SQL."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from gyrus.contract.operator import Cause, Outcome
from gyrus.spec.api import ApiSpec
from gyrus.state import transitions
from gyrus.state.errors import Conflict, UnknownApi, UnknownPackage, UnknownRevision, UnknownToken
from gyrus.state.events.folding import combine_repetitions
from gyrus.state.records import (
    UNNAMED,
    Api,
    Author,
    Event,
    Package,
    Revision,
    Rollout,
    ScalingMemory,
    StartupTime,
    StoredCosts,
    Token,
)
from gyrus.state.sql import queries
from gyrus.state.sql.database import Database
from gyrus.state.sql.dialects import create_engine
from gyrus.state.sql.migration import upgrade
from gyrus.state.store import KEPT_EVENTS, KEPT_REVOKED, KEPT_STARTS, SHOWN_ROLLOUTS, Change

SPARE_EVENTS = 100
"""Surplus events of an API that may be stored until the oldest are deleted. Readers do not get them."""


@asynccontextmanager
async def open_store(url: str, leader: str = "") -> AsyncGenerator[SqlStore]:
    """Open the store at ``sqlite:////path`` or ``postgresql://…``, and upgrade its schema.

    ``leader``: a name that no other operator has had, if several reach the database. From now on, the others
    cannot write: each write of theirs raises LeaderReplaced.

    Raises StoreUnusable, StorageFull.
    """
    database = Database(create_engine(url), leader)
    try:
        await upgrade(database)
        if leader:
            async with database.migrating() as connection:
                await queries.replace_leader(connection, leader)
        yield SqlStore(database)
    finally:
        await database.close()


class SqlStore:
    """Implements :class:`gyrus.state.store.Store`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._unpruned: dict[str, int] = {}
        """By API: number of events stored since old ones were last deleted. A missing API is due."""

    # Intent

    async def deploy(
        self, specs: Sequence[ApiSpec], package: str | None, at: datetime, by: Author = UNNAMED
    ) -> tuple[Change, ...]:
        async with self._database.writing() as connection:
            if package is not None and await queries.find_package(connection, package) is None:
                raise UnknownPackage(package)
            return tuple([await _deploy(connection, spec, package, at, by) for spec in specs])

    async def rollback(self, name: str, to: int | None, at: datetime, by: Author = UNNAMED) -> Api:
        async with self._database.writing() as connection:
            api = await _kept(connection, name)
            history = await queries.latest_rollouts(connection, name)
            number = transitions.rollback_revision(api, history, to)
            return await _begin(connection, api, number, Cause.ROLLBACK, at, by)

    async def refresh(self, name: str, at: datetime, by: Author = UNNAMED) -> Api:
        async with self._database.writing() as connection:
            api = await _kept(connection, name)
            return await _begin(connection, api, api.target.revision, Cause.REFRESH, at, by)

    async def mark_deleting(self, name: str, at: datetime) -> Api:
        async with self._database.writing() as connection:
            api = await _known(connection, name)
            return await _update(connection, api, transitions.delete(api, at))

    async def remove(self, name: str) -> None:
        async with self._database.writing() as connection:
            api = await queries.find_api(connection, name)
            if api is None:
                return
            transitions.require_deleting(api)
            await queries.delete_api(connection, name)

    async def finish(self, api: Api, outcome: Outcome, message: str, at: datetime) -> Api:
        async with self._database.writing() as connection:
            current = await _unchanged(connection, api)
            ended = transitions.end(current, outcome, message)
            await queries.end_rollout(connection, current, outcome, message, at)
            return await _update(connection, current, ended)

    async def scale(self, api: Api, replicas: int) -> Api:
        async with self._database.writing() as connection:
            current = await _unchanged(connection, api)
            return await _update(connection, current, transitions.scale(current, replicas))

    async def api(self, name: str) -> Api | None:
        async with self._database.reading() as connection:
            return await queries.find_api(connection, name)

    async def apis(self) -> tuple[Api, ...]:
        async with self._database.reading() as connection:
            return await queries.all_apis(connection)

    # History

    async def revision(self, name: str, number: int) -> Revision | None:
        async with self._database.reading() as connection:
            return await queries.find_revision(connection, name, number)

    async def latest_revision(self, name: str) -> Revision | None:
        async with self._database.reading() as connection:
            return await queries.latest_revision(connection, name)

    async def revisions(self, name: str) -> tuple[Revision, ...]:
        async with self._database.reading() as connection:
            return await queries.all_revisions(connection, name)

    async def rollouts(self, name: str) -> tuple[Rollout, ...]:
        async with self._database.reading() as connection:
            return await queries.latest_rollouts(connection, name, SHOWN_ROLLOUTS)

    async def record(self, *events: Event) -> tuple[Event, ...]:
        if not events:
            return ()
        await self._prune_events({event.api for event in events})
        async with self._database.relaxed_writing() as connection:
            names = await queries.existing_names(connection, {event.api for event in events})
            wanted = [event for event in events if event.api in names]
            earlier = await queries.take_events(connection, {event.id for event in wanted if event.id})
            stored = await queries.insert_events(connection, combine_repetitions(wanted, earlier))
        for event in stored:
            self._unpruned[event.api] = self._unpruned.get(event.api, 0) + 1
        return stored

    async def events(self, name: str, limit: int = 100, after: int = 0) -> tuple[Event, ...]:
        async with self._database.reading() as connection:
            return await queries.latest_events(connection, name, min(limit, KEPT_EVENTS), after)

    async def record_start(self, start: StartupTime) -> None:
        async with self._database.writing() as connection:
            if await queries.find_revision(connection, start.api, start.revision):
                await queries.insert_start(connection, start)
                await queries.prune_starts(connection, start, KEPT_STARTS)

    async def starts(self, name: str, revision: int) -> tuple[StartupTime, ...]:
        async with self._database.reading() as connection:
            return await queries.all_starts(connection, name, revision)

    async def save_memories(self, memories: Sequence[ScalingMemory]) -> None:
        async with self._database.relaxed_writing() as connection:
            known = await queries.lock_names(connection, {memory.api for memory in memories})
            for memory in memories:
                if known.get(memory.api) == memory.created_at:
                    await queries.replace_memory(connection, memory)

    async def memory(self, name: str) -> ScalingMemory | None:
        async with self._database.reading() as connection:
            return await queries.find_memory(connection, name)

    async def save_nodes_record(self, document: bytes) -> None:
        async with self._database.writing() as connection:
            await queries.replace_nodes_record(connection, document)

    async def nodes_record(self) -> bytes | None:
        async with self._database.reading() as connection:
            return await queries.find_nodes_record(connection)

    async def save_costs(self, costs: Sequence[StoredCosts], gone: Sequence[int]) -> None:
        async with self._database.relaxed_writing() as connection:
            await queries.replace_costs(connection, costs, gone)

    async def costs(self) -> tuple[StoredCosts, ...]:
        async with self._database.reading() as connection:
            return await queries.all_costs(connection)

    # Packages

    async def record_package(self, package: Package) -> None:
        async with self._database.writing() as connection:
            known = await queries.find_package(connection, package.digest)
            if known is None:
                await queries.insert_package(connection, package)
            elif known.uploaded_at < package.uploaded_at:
                await queries.touch_package(connection, package.digest, package.uploaded_at)

    async def package(self, digest: str) -> Package | None:
        async with self._database.reading() as connection:
            return await queries.find_package(connection, digest)

    async def forget_packages(self, unused_since: datetime) -> tuple[str, ...]:
        async with self._database.writing() as connection:
            return await queries.delete_unused_packages(connection, unused_since)

    # Tokens

    async def create_token(self, token: Token) -> None:
        async with self._database.writing() as connection:
            if await queries.active_token(connection, token.name):
                raise Conflict(transitions.token_taken(token))
            await queries.insert_token(connection, token)

    async def revoke_token(self, name: str, at: datetime) -> Token:
        async with self._database.writing() as connection:
            token = await queries.active_token(connection, name)
            if token is None:
                raise UnknownToken(name)
            await queries.revoke_token(connection, token.digest, at)
            await queries.prune_tokens(connection, KEPT_REVOKED)
        return replace(token, revoked_at=at)

    async def tokens(self) -> tuple[Token, ...]:
        async with self._database.reading() as connection:
            return await queries.all_tokens(connection)

    # Steps

    async def _prune_events(self, names: Iterable[str]) -> None:
        """Delete old events of the APIs that are due, in a transaction each: no write waits for long."""
        for name in names:
            if self._unpruned.get(name, SPARE_EVENTS) >= SPARE_EVENTS:
                async with self._database.relaxed_writing() as connection:
                    await queries.prune_events(connection, name, KEPT_EVENTS)
                self._unpruned[name] = 0


async def _deploy(
    connection: AsyncConnection, spec: ApiSpec, package: str | None, at: datetime, by: Author
) -> Change:
    api = await queries.find_api(connection, spec.name)
    latest = await queries.latest_revision(connection, spec.name)
    if api is None or latest is None:
        return Change(await _create(connection, spec, package, at, by), changed=True)
    transitions.require_owner(api, by.owner)
    transitions.require_kept(api)
    if transitions.is_wanted(api, latest, spec, package):
        return Change(api, changed=False)
    number = latest.number
    if not latest.has(spec, package):
        number += 1
        await queries.insert_revision(connection, transitions.snapshot(spec, number, package, at))
    return Change(await _begin(connection, api, number, Cause.DEPLOY, at, by), changed=True)


async def _create(
    connection: AsyncConnection, spec: ApiSpec, package: str | None, at: datetime, by: Author
) -> Api:
    await _require_free(connection, spec)
    api = transitions.create(spec, at, by)
    await queries.insert_api(connection, api)
    await queries.insert_revision(connection, transitions.snapshot(spec, 1, package, at))
    await queries.insert_rollout(connection, api.name, api.target)
    return api


async def _begin(
    connection: AsyncConnection, api: Api, revision: int, cause: Cause, at: datetime, by: Author
) -> Api:
    """Begin a new generation, which supersedes the progressing one."""
    wanted = await queries.find_revision(connection, api.name, revision)
    if wanted is None:
        raise UnknownRevision(api.name, revision)
    await _require_free(connection, transitions.readable_spec(wanted))
    number = await queries.next_generation(connection, api.name)
    begun = transitions.begin(api, number, wanted, cause, at, by)
    if api.outcome is Outcome.PROGRESSING:
        await queries.end_rollout(connection, api, Outcome.SUPERSEDED, "", at)
    await queries.insert_rollout(connection, api.name, begun.target)
    return await _update(connection, api, begun)


async def _update(connection: AsyncConnection, old: Api, new: Api) -> Api:
    """Write the record if it differs. Returns the record as readers get it."""
    if new == old:
        return old
    await queries.update_api(connection, new)
    return await _known(connection, new.name)


async def _require_free(connection: AsyncConnection, spec: ApiSpec) -> None:
    owner = await queries.owner_of_path(connection, spec.endpoint_path, spec.name)
    if owner is not None:
        raise Conflict(transitions.endpoint_taken(spec, owner))


async def _known(connection: AsyncConnection, name: str) -> Api:
    api = await queries.find_api(connection, name)
    if api is None:
        raise UnknownApi(name)
    return api


async def _kept(connection: AsyncConnection, name: str) -> Api:
    api = await _known(connection, name)
    transitions.require_kept(api)
    return api


async def _unchanged(connection: AsyncConnection, read: Api) -> Api:
    current = await _known(connection, read.name)
    transitions.require_same(current, read)
    return current

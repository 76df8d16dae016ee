"""All queries, by name. Each runs in the transaction of its ``connection``."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, exists, func, insert, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gyrus.aio.slices import slices
from gyrus.contract.operator import ApiOwner, Cause, Outcome
from gyrus.contract.replica import StartKind
from gyrus.spec import stored
from gyrus.spec.upgrades import current_version
from gyrus.state.errors import StaleVersion
from gyrus.state.records import (
    Api,
    Event,
    Generation,
    Package,
    Revision,
    Rollout,
    ScalingMemory,
    StartupTime,
    StoredCosts,
    Token,
)
from gyrus.state.sql.tables import (
    apis,
    cost_buckets,
    events,
    leadership,
    memories,
    nodes_record,
    packages,
    revisions,
    rollouts,
    starts,
    tokens,
)
from gyrus.state.transitions import readable_spec

_target = rollouts.alias("target_rollout")
_live = rollouts.alias("live_rollout")

_APIS = (
    select(
        apis,
        _target.c.revision.label("target_revision"),
        _target.c.cause.label("target_cause"),
        _target.c.started_at.label("target_started_at"),
        _target.c.started_by.label("target_started_by"),
        _live.c.revision.label("live_revision"),
        _live.c.cause.label("live_cause"),
        _live.c.started_at.label("live_started_at"),
        _live.c.started_by.label("live_started_by"),
    )
    .join(_target, (_target.c.api == apis.c.name) & (_target.c.number == apis.c.target))
    .outerjoin(_live, (_live.c.api == apis.c.name) & (_live.c.number == apis.c.live))
)


# APIs


async def find_api(connection: AsyncConnection, name: str) -> Api | None:
    row = (await connection.execute(_APIS.where(apis.c.name == name))).one_or_none()
    return _api(row) if row else None


async def all_apis(connection: AsyncConnection) -> tuple[Api, ...]:
    rows = await connection.execute(_APIS)
    found = [_api(row) async for row in slices(rows)]
    return tuple(sorted(found, key=lambda api: api.name))


async def insert_api(connection: AsyncConnection, api: Api) -> None:
    await connection.execute(insert(apis).values(name=api.name, **_columns(api)))


async def update_api(connection: AsyncConnection, api: Api) -> None:
    """Replace the version before this one. Raises StaleVersion if it is not the current one."""
    replaced = (apis.c.name == api.name) & (apis.c.version == api.version - 1)
    result = await connection.execute(update(apis).where(replaced).values(**_columns(api)))
    if result.rowcount != 1:
        raise StaleVersion(f"{api.name} has changed since it was read.")


async def delete_api(connection: AsyncConnection, name: str) -> None:
    """Delete the API and all its rows in other tables."""
    await connection.execute(delete(apis).where(apis.c.name == name))


async def owner_of_path(connection: AsyncConnection, path: str, other_than: str) -> str | None:
    """Return the other API whose target or live revision has this endpoint path. Returns None if none has."""
    wanted = or_(rollouts.c.number == apis.c.target, rollouts.c.number == apis.c.live)
    query = (
        select(apis.c.name)
        .join(rollouts, (rollouts.c.api == apis.c.name) & wanted)
        .join(revisions, (revisions.c.api == apis.c.name) & (revisions.c.number == rollouts.c.revision))
        .where(revisions.c.path == path, apis.c.name != other_than)
        .limit(1)
    )
    return (await connection.execute(query)).scalar_one_or_none()


# Revisions


async def find_revision(connection: AsyncConnection, api: str, number: int) -> Revision | None:
    query = select(revisions).where(revisions.c.api == api, revisions.c.number == number)
    row = (await connection.execute(query)).one_or_none()
    return _revision(row) if row else None


async def latest_revision(connection: AsyncConnection, api: str) -> Revision | None:
    query = select(revisions).where(revisions.c.api == api).order_by(revisions.c.number.desc()).limit(1)
    row = (await connection.execute(query)).one_or_none()
    return _revision(row) if row else None


async def all_revisions(connection: AsyncConnection, api: str) -> tuple[Revision, ...]:
    query = select(revisions).where(revisions.c.api == api).order_by(revisions.c.number.desc())
    return tuple(map(_revision, await connection.execute(query)))


async def insert_revision(connection: AsyncConnection, revision: Revision) -> None:
    spec = readable_spec(revision)
    await connection.execute(
        insert(revisions).values(
            api=revision.api,
            number=revision.number,
            digest=revision.digest,
            spec=stored.write(spec),
            spec_version=current_version(),
            path=spec.endpoint_path,
            package=revision.package,
            created_at=revision.created_at,
        )
    )


# Rollouts


async def latest_rollouts(
    connection: AsyncConnection, api: str, limit: int | None = None
) -> tuple[Rollout, ...]:
    """Return the latest rollouts, newest first."""
    query = select(rollouts).where(rollouts.c.api == api).order_by(rollouts.c.number.desc()).limit(limit)
    return tuple(map(_rollout, await connection.execute(query)))


async def next_generation(connection: AsyncConnection, api: str) -> int:
    query = select(func.coalesce(func.max(rollouts.c.number), 0) + 1).where(rollouts.c.api == api)
    return (await connection.execute(query)).scalar_one()


async def insert_rollout(connection: AsyncConnection, api: str, generation: Generation) -> None:
    """Insert a progressing rollout."""
    await connection.execute(
        insert(rollouts).values(
            api=api,
            number=generation.number,
            revision=generation.revision,
            cause=generation.cause,
            outcome=Outcome.PROGRESSING,
            message="",
            started_at=generation.started_at,
            started_by=generation.started_by,
        )
    )


async def end_rollout(
    connection: AsyncConnection, api: Api, outcome: Outcome, message: str, at: datetime
) -> None:
    """End the rollout to this record's target."""
    own = (rollouts.c.api == api.name) & (rollouts.c.number == api.target.number)
    ended = {"outcome": outcome, "message": message, "finished_at": at}
    await connection.execute(update(rollouts).where(own).values(**ended))


# Events


async def existing_names(connection: AsyncConnection, names: Collection[str]) -> frozenset[str]:
    """Return the names that an API has."""
    found = await connection.execute(select(apis.c.name).where(apis.c.name.in_(names)))
    return frozenset(found.scalars())


async def take_events(connection: AsyncConnection, ids: Collection[int]) -> dict[int, Event]:
    """Delete the events with these ids, and return those that existed."""
    chosen = events.c.id.in_(ids)
    found = {row.id: _event(row) for row in await connection.execute(select(events).where(chosen))}
    if found:
        await connection.execute(delete(events).where(chosen))
    return found


async def insert_events(connection: AsyncConnection, new: Sequence[Event]) -> tuple[Event, ...]:
    """Insert these events, and return them with their ids. No other insertion may run at the same time.

    Ids only grow, so that reading them afterwards is enough; a RETURNING that keeps the order inserts row by
    row on SQLite, which takes five times as long.
    """
    if not new:
        return ()
    before = (await connection.execute(select(func.max(events.c.id)))).scalar() or 0
    await connection.execute(insert(events), [_event_columns(event) for event in new])
    added = select(events.c.id).where(events.c.id > before).order_by(events.c.id)
    ids = (await connection.execute(added)).scalars()
    return tuple(replace(event, id=id) for event, id in zip(new, ids, strict=True))


async def prune_events(connection: AsyncConnection, api: str, keep: int) -> None:
    """Keep the newest ``keep`` events of an API."""
    own = events.c.api == api
    last = select(events.c.id).where(own).order_by(events.c.id.desc()).limit(1).offset(keep)
    await connection.execute(delete(events).where(own, events.c.id <= last.scalar_subquery()))


async def latest_events(connection: AsyncConnection, api: str, limit: int, after: int) -> tuple[Event, ...]:
    """Return the newest events with an id above ``after``, oldest first."""
    own = (events.c.api == api) & (events.c.id > after)
    query = select(events).where(own).order_by(events.c.id.desc()).limit(limit)
    return tuple(reversed([_event(row) for row in await connection.execute(query)]))


# Starts


async def insert_start(connection: AsyncConnection, start: StartupTime) -> None:
    await connection.execute(
        insert(starts).values(
            api=start.api,
            revision=start.revision,
            kind=start.kind,
            seconds=start.seconds,
            time=start.time,
        )
    )


async def prune_starts(connection: AsyncConnection, start: StartupTime, keep: int) -> None:
    """Keep the newest ``keep`` starts of this one's revision and kind."""
    own = (starts.c.api == start.api) & (starts.c.revision == start.revision) & (starts.c.kind == start.kind)
    last = select(starts.c.id).where(own).order_by(starts.c.id.desc()).limit(1).offset(keep)
    await connection.execute(delete(starts).where(own, starts.c.id <= last.scalar_subquery()))


async def all_starts(connection: AsyncConnection, api: str, revision: int) -> tuple[StartupTime, ...]:
    """Return the stored starts of a revision, oldest first."""
    query = select(starts).where(starts.c.api == api, starts.c.revision == revision).order_by(starts.c.id)
    return tuple(map(_start, await connection.execute(query)))


# Memories


async def lock_names(connection: AsyncConnection, names: Collection[str]) -> dict[str, datetime]:
    """Return the times of creation of the APIs with these names. None of them is deleted in the meantime.

    SQLite needs no lock for that, since it has one writer.
    """
    query = select(apis.c.name, apis.c.created_at).where(apis.c.name.in_(names))
    rows = await connection.execute(query.with_for_update(read=True, key_share=True))
    return {row.name: row.created_at for row in rows}


async def replace_memory(connection: AsyncConnection, memory: ScalingMemory) -> None:
    await connection.execute(delete(memories).where(memories.c.api == memory.api))
    await connection.execute(
        insert(memories).values(
            api=memory.api, version=memory.version, document=memory.document, saved_at=memory.saved_at
        )
    )


async def find_memory(connection: AsyncConnection, api: str) -> ScalingMemory | None:
    query = select(memories, apis.c.created_at).join(apis, apis.c.name == memories.c.api)
    row = (await connection.execute(query.where(memories.c.api == api))).one_or_none()
    return _memory(row) if row else None


# Nodes


async def replace_nodes_record(connection: AsyncConnection, document: bytes) -> None:
    await connection.execute(delete(nodes_record))
    await connection.execute(insert(nodes_record).values(id=1, document=document))


async def find_nodes_record(connection: AsyncConnection) -> bytes | None:
    return (await connection.execute(select(nodes_record.c.document))).scalar_one_or_none()


async def replace_costs(
    connection: AsyncConnection, costs: Sequence[StoredCosts], gone: Sequence[int]
) -> None:
    starts = [*gone, *(each.start for each in costs)]
    if starts:
        await connection.execute(delete(cost_buckets).where(cost_buckets.c.start.in_(starts)))
    if costs:
        rows = [{"start": each.start, "version": each.version, "document": each.document} for each in costs]
        await connection.execute(insert(cost_buckets), rows)


async def all_costs(connection: AsyncConnection) -> tuple[StoredCosts, ...]:
    rows = await connection.execute(select(cost_buckets).order_by(cost_buckets.c.start))
    return tuple(StoredCosts(start=row.start, version=row.version, document=row.document) for row in rows)


# Packages


async def find_package(connection: AsyncConnection, digest: str) -> Package | None:
    row = (await connection.execute(select(packages).where(packages.c.digest == digest))).one_or_none()
    return Package(digest=row.digest, size=row.size, uploaded_at=row.uploaded_at) if row else None


async def insert_package(connection: AsyncConnection, package: Package) -> None:
    row = {"digest": package.digest, "size": package.size, "uploaded_at": package.uploaded_at}
    await connection.execute(insert(packages).values(**row))


async def touch_package(connection: AsyncConnection, digest: str, uploaded_at: datetime) -> None:
    query = update(packages).where(packages.c.digest == digest)
    await connection.execute(query.values(uploaded_at=uploaded_at))


async def delete_unused_packages(connection: AsyncConnection, uploaded_before: datetime) -> tuple[str, ...]:
    """Delete the packages that no revision refers to, and return their digests."""
    used = exists(select(literal(1)).where(revisions.c.package == packages.c.digest))
    query = delete(packages).where(packages.c.uploaded_at < uploaded_before, ~used)
    deleted: Sequence[str] = (await connection.execute(query.returning(packages.c.digest))).scalars().all()
    return tuple(sorted(deleted))


# Tokens


async def active_token(connection: AsyncConnection, name: str) -> Token | None:
    """Return the token of this name that is not revoked. Returns None if there is none."""
    query = select(tokens).where(tokens.c.name == name, tokens.c.revoked_at.is_(None))
    row = (await connection.execute(query)).one_or_none()
    return _token(row) if row else None


async def insert_token(connection: AsyncConnection, token: Token) -> None:
    await connection.execute(
        insert(tokens).values(
            digest=token.digest,
            name=token.name,
            read_only=token.read_only,
            created_at=token.created_at,
            created_by=token.created_by,
            revoked_at=token.revoked_at,
        )
    )


async def revoke_token(connection: AsyncConnection, digest: str, at: datetime) -> None:
    await connection.execute(update(tokens).where(tokens.c.digest == digest).values(revoked_at=at))


async def prune_tokens(connection: AsyncConnection, keep: int) -> None:
    """Keep the latest ``keep`` revoked tokens."""
    revoked = select(tokens.c.digest).where(tokens.c.revoked_at.is_not(None))
    latest = revoked.order_by(tokens.c.revoked_at.desc(), tokens.c.digest.desc()).limit(keep)
    surplus = tokens.c.revoked_at.is_not(None) & tokens.c.digest.not_in(latest.scalar_subquery())
    await connection.execute(delete(tokens).where(surplus))


async def all_tokens(connection: AsyncConnection) -> tuple[Token, ...]:
    """Return all tokens, by name and time of creation."""
    rows = await connection.execute(select(tokens))
    return tuple(sorted(map(_token, rows), key=lambda token: (token.name, token.created_at)))


# Leadership


async def replace_leader(connection: AsyncConnection, leader: str) -> None:
    """Make this operator the only one that may write."""
    await connection.execute(delete(leadership))
    await connection.execute(insert(leadership).values(leader=leader))


# Rows and records


def _api(row: Row[Any]) -> Api:
    target = Generation(
        number=row.target,
        revision=row.target_revision,
        cause=Cause(row.target_cause),
        started_at=row.target_started_at,
        started_by=row.target_started_by,
    )
    live = row.live and Generation(
        number=row.live,
        revision=row.live_revision,
        cause=Cause(row.live_cause),
        started_at=row.live_started_at,
        started_by=row.live_started_by,
    )
    return Api(
        name=row.name,
        kind=row.kind,
        version=row.version,
        target=target,
        live=live,
        outcome=Outcome(row.outcome),
        message=row.message,
        replicas=row.replicas,
        deleting=row.deleting,
        created_at=row.created_at,
        updated_at=row.updated_at,
        owner=ApiOwner(row.owner),
    )


def _columns(api: Api) -> dict[str, Any]:
    """Return all columns but the name."""
    return {
        "kind": api.kind,
        "version": api.version,
        "target": api.target.number,
        "live": api.live.number if api.live else None,
        "outcome": api.outcome,
        "message": api.message,
        "replicas": api.replicas,
        "deleting": api.deleting,
        "created_at": api.created_at,
        "updated_at": api.updated_at,
        "owner": api.owner,
    }


def _revision(row: Row[Any]) -> Revision:
    return Revision(
        api=row.api,
        number=row.number,
        digest=row.digest,
        spec=stored.read(row.spec, row.spec_version, row.path),
        package=row.package,
        created_at=row.created_at,
    )


def _rollout(row: Row[Any]) -> Rollout:
    generation = Generation(
        number=row.number,
        revision=row.revision,
        cause=Cause(row.cause),
        started_at=row.started_at,
        started_by=row.started_by,
    )
    return Rollout(
        api=row.api,
        generation=generation,
        outcome=Outcome(row.outcome),
        message=row.message,
        finished_at=row.finished_at,
    )


def _start(row: Row[Any]) -> StartupTime:
    return StartupTime(
        api=row.api,
        revision=row.revision,
        kind=StartKind(row.kind),
        seconds=row.seconds,
        time=row.time,
    )


def _memory(row: Row[Any]) -> ScalingMemory:
    return ScalingMemory(
        api=row.api,
        created_at=row.created_at,
        version=row.version,
        document=row.document,
        saved_at=row.saved_at,
    )


def _token(row: Row[Any]) -> Token:
    return Token(
        name=row.name,
        digest=row.digest,
        read_only=row.read_only,
        created_at=row.created_at,
        created_by=row.created_by,
        revoked_at=row.revoked_at,
    )


def _event(row: Row[Any]) -> Event:
    return Event(
        api=row.api,
        time=row.time,
        type=row.type,
        reason=row.reason,
        message=row.message,
        replica=row.replica,
        count=row.occurrences,
        first_time=row.first_time,
        id=row.id,
    )


def _event_columns(event: Event) -> dict[str, Any]:
    return {
        "api": event.api,
        "time": event.time,
        "type": event.type,
        "reason": event.reason,
        "message": event.message,
        "replica": event.replica,
        "occurrences": event.count,
        "first_time": event.first_time,
    }

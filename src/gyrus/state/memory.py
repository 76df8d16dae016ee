"""The Store in memory: for tests, and as the simplest description of a store's behaviour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

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
    Generation,
    Package,
    Revision,
    Rollout,
    ScalingMemory,
    StartupTime,
    StoredCosts,
    Token,
)
from gyrus.state.store import KEPT_EVENTS, KEPT_REVOKED, KEPT_STARTS, SHOWN_ROLLOUTS, Change


@dataclass(slots=True)
class _Entry:
    """One API and its history, oldest first."""

    api: Api
    revisions: list[Revision]
    rollouts: list[Rollout]
    events: dict[int, Event] = field(default_factory=dict[int, Event])
    """By id, in ascending order."""
    starts: list[StartupTime] = field(default_factory=list[StartupTime])
    memory: ScalingMemory | None = None

    def revision(self, number: int) -> Revision | None:
        return self.revisions[number - 1] if 0 < number <= len(self.revisions) else None

    @property
    def paths(self) -> set[str]:
        """The endpoint paths of the target's and the live revision."""
        kept = {generation.revision for generation in (self.api.target, self.api.live) if generation}
        return {revision.spec.endpoint_path for revision in self.revisions if revision.number in kept}


@dataclass(slots=True)
class MemoryStore:
    """Implements :class:`gyrus.state.store.Store`. Its contents are lost with it."""

    _entries: dict[str, _Entry] = field(default_factory=dict[str, _Entry])
    _packages: dict[str, Package] = field(default_factory=dict[str, Package])
    _tokens: dict[str, Token] = field(default_factory=dict[str, Token])
    """By digest."""
    _nodes_record: bytes | None = None

    _costs: dict[int, StoredCosts] = field(default_factory=dict[int, StoredCosts])
    """By start."""
    _last_event: int = 0
    """Id of the newest event of all APIs."""

    # Intent

    async def deploy(
        self, specs: Sequence[ApiSpec], package: str | None, at: datetime, by: Author = UNNAMED
    ) -> tuple[Change, ...]:
        if package is not None and package not in self._packages:
            raise UnknownPackage(package)
        before = {name: _copy(entry) for name, entry in self._entries.items()}
        try:
            return tuple([self._deploy(spec, package, at, by) for spec in specs])
        except Conflict:
            self._entries = before
            raise

    async def rollback(self, name: str, to: int | None, at: datetime, by: Author = UNNAMED) -> Api:
        entry = self._kept(name)
        number = transitions.rollback_revision(entry.api, entry.rollouts[::-1], to)
        return self._begin(entry, number, Cause.ROLLBACK, at, by)

    async def refresh(self, name: str, at: datetime, by: Author = UNNAMED) -> Api:
        entry = self._kept(name)
        return self._begin(entry, entry.api.target.revision, Cause.REFRESH, at, by)

    async def mark_deleting(self, name: str, at: datetime) -> Api:
        entry = self._known(name)
        entry.api = transitions.delete(entry.api, at)
        return entry.api

    async def remove(self, name: str) -> None:
        if name in self._entries:
            transitions.require_deleting(self._entries[name].api)
            del self._entries[name]

    async def finish(self, api: Api, outcome: Outcome, message: str, at: datetime) -> Api:
        entry = self._unchanged(api)
        ended = transitions.end(entry.api, outcome, message)
        _end_rollout(entry, outcome, message, at)
        entry.api = ended
        return ended

    async def scale(self, api: Api, replicas: int) -> Api:
        entry = self._unchanged(api)
        entry.api = transitions.scale(entry.api, replicas)
        return entry.api

    async def api(self, name: str) -> Api | None:
        return self._entries[name].api if name in self._entries else None

    async def apis(self) -> tuple[Api, ...]:
        return tuple(self._entries[name].api for name in sorted(self._entries))

    # History

    async def revision(self, name: str, number: int) -> Revision | None:
        return self._entries[name].revision(number) if name in self._entries else None

    async def latest_revision(self, name: str) -> Revision | None:
        return self._entries[name].revisions[-1] if name in self._entries else None

    async def revisions(self, name: str) -> tuple[Revision, ...]:
        return tuple(self._entries[name].revisions[::-1]) if name in self._entries else ()

    async def rollouts(self, name: str) -> tuple[Rollout, ...]:
        newest_first = self._entries[name].rollouts[::-1] if name in self._entries else []
        return tuple(newest_first[:SHOWN_ROLLOUTS])

    async def record(self, *events: Event) -> tuple[Event, ...]:
        wanted = [event for event in events if event.api in self._entries]
        taken = [self._entries[e.api].events.pop(e.id, None) for e in wanted if e.id]
        earlier = {event.id: event for event in taken if event and event.id}
        return tuple([self._keep(event) for event in combine_repetitions(wanted, earlier)])

    async def events(self, name: str, limit: int = 100, after: int = 0) -> tuple[Event, ...]:
        kept = self._entries[name].events if name in self._entries else {}
        newer = [event for id, event in kept.items() if id > after]
        return tuple(newer[max(len(newer) - limit, 0) :])

    async def record_start(self, start: StartupTime) -> None:
        entry = self._entries.get(start.api)
        if entry is None or entry.revision(start.revision) is None:
            return
        alike = [s for s in entry.starts if (s.revision, s.kind) == (start.revision, start.kind)]
        for oldest in alike[: max(0, len(alike) + 1 - KEPT_STARTS)]:
            entry.starts.remove(oldest)
        entry.starts.append(start)

    async def starts(self, name: str, revision: int) -> tuple[StartupTime, ...]:
        kept = self._entries[name].starts if name in self._entries else []
        return tuple(start for start in kept if start.revision == revision)

    async def save_memories(self, memories: Sequence[ScalingMemory]) -> None:
        for memory in memories:
            entry = self._entries.get(memory.api)
            if entry and entry.api.created_at == memory.created_at:
                entry.memory = memory

    async def memory(self, name: str) -> ScalingMemory | None:
        return self._entries[name].memory if name in self._entries else None

    async def save_costs(self, costs: Sequence[StoredCosts], gone: Sequence[int]) -> None:
        for start in gone:
            self._costs.pop(start, None)
        self._costs |= {each.start: each for each in costs}

    async def costs(self) -> tuple[StoredCosts, ...]:
        return tuple(self._costs[start] for start in sorted(self._costs))

    # Packages

    async def save_nodes_record(self, document: bytes) -> None:
        self._nodes_record = document

    async def nodes_record(self) -> bytes | None:
        return self._nodes_record

    async def record_package(self, package: Package) -> None:
        known = self._packages.setdefault(package.digest, package)
        if known.uploaded_at < package.uploaded_at:
            self._packages[package.digest] = replace(known, uploaded_at=package.uploaded_at)

    async def package(self, digest: str) -> Package | None:
        return self._packages.get(digest)

    async def forget_packages(self, unused_since: datetime) -> tuple[str, ...]:
        used = {revision.package for entry in self._entries.values() for revision in entry.revisions}
        old = (package.digest for package in self._packages.values() if package.uploaded_at < unused_since)
        forgotten = tuple(sorted(digest for digest in old if digest not in used))
        for digest in forgotten:
            del self._packages[digest]
        return forgotten

    # Tokens

    async def create_token(self, token: Token) -> None:
        if self._active(token.name):
            raise Conflict(transitions.token_taken(token))
        self._tokens[token.digest] = token

    async def revoke_token(self, name: str, at: datetime) -> Token:
        token = self._active(name)
        if token is None:
            raise UnknownToken(name)
        revoked = self._tokens[token.digest] = replace(token, revoked_at=at)
        gone = sorted((each.revoked_at, each.digest) for each in self._tokens.values() if each.revoked_at)
        for _, digest in gone[:-KEPT_REVOKED]:
            del self._tokens[digest]
        return revoked

    async def tokens(self) -> tuple[Token, ...]:
        return tuple(sorted(self._tokens.values(), key=lambda token: (token.name, token.created_at)))

    # Steps

    def _active(self, name: str) -> Token | None:
        return next((t for t in self._tokens.values() if t.name == name and t.revoked_at is None), None)

    def _keep(self, event: Event) -> Event:
        kept = self._entries[event.api].events
        self._last_event += 1
        stored = kept[self._last_event] = replace(event, id=self._last_event)
        if len(kept) > KEPT_EVENTS:
            del kept[next(iter(kept))]
        return stored

    def _deploy(self, spec: ApiSpec, package: str | None, at: datetime, by: Author) -> Change:
        entry = self._entries.get(spec.name)
        if entry is None:
            return Change(self._create(spec, package, at, by), changed=True)
        transitions.require_owner(entry.api, by.owner)
        transitions.require_kept(entry.api)
        latest = entry.revisions[-1]
        if transitions.is_wanted(entry.api, latest, spec, package):
            return Change(entry.api, changed=False)
        if not latest.has(spec, package):
            entry.revisions.append(transitions.snapshot(spec, latest.number + 1, package, at))
        return Change(self._begin(entry, entry.revisions[-1].number, Cause.DEPLOY, at, by), changed=True)

    def _create(self, spec: ApiSpec, package: str | None, at: datetime, by: Author) -> Api:
        self._require_free(spec)
        api = transitions.create(spec, at, by)
        revision = transitions.snapshot(spec, 1, package, at)
        self._entries[spec.name] = _Entry(api, [revision], [_progressing(api.name, api.target)])
        return api

    def _begin(self, entry: _Entry, number: int, cause: Cause, at: datetime, by: Author) -> Api:
        wanted = entry.revision(number)
        if wanted is None:
            raise UnknownRevision(entry.api.name, number)
        self._require_free(transitions.readable_spec(wanted))
        begun = transitions.begin(entry.api, len(entry.rollouts) + 1, wanted, cause, at, by)
        if entry.api.outcome is Outcome.PROGRESSING:
            _end_rollout(entry, Outcome.SUPERSEDED, "", at)
        entry.rollouts.append(_progressing(begun.name, begun.target))
        entry.api = begun
        return begun

    def _require_free(self, spec: ApiSpec) -> None:
        for name, entry in self._entries.items():
            if name != spec.name and spec.endpoint_path in entry.paths:
                raise Conflict(transitions.endpoint_taken(spec, name))

    def _known(self, name: str) -> _Entry:
        if name not in self._entries:
            raise UnknownApi(name)
        return self._entries[name]

    def _kept(self, name: str) -> _Entry:
        entry = self._known(name)
        transitions.require_kept(entry.api)
        return entry

    def _unchanged(self, read: Api) -> _Entry:
        entry = self._known(read.name)
        transitions.require_same(entry.api, read)
        return entry


def _copy(entry: _Entry) -> _Entry:
    return replace(entry, revisions=[*entry.revisions], rollouts=[*entry.rollouts])


def _progressing(api: str, generation: Generation) -> Rollout:
    return Rollout(api=api, generation=generation, outcome=Outcome.PROGRESSING, message="", finished_at=None)


def _end_rollout(entry: _Entry, outcome: Outcome, message: str, at: datetime) -> None:
    """End the target's rollout."""
    index = entry.api.target.number - 1  # rollouts are ordered by their numbers, from 1
    ended = replace(entry.rollouts[index], outcome=outcome, message=message, finished_at=at)
    entry.rollouts[index] = ended

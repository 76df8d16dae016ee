"""The seam to durable state. Every method is one transaction; when it returns, the write is on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gyrus.contract.operator import Outcome
from gyrus.spec.api import ApiSpec
from gyrus.state.records import Api, Event, Package, Revision, Rollout, StartupTime

SHOWN_ROLLOUTS = 100
KEPT_EVENTS = 1000
KEPT_STARTS = 20
"""Of each revision and kind."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a deploy did to one API."""

    api: Api
    changed: bool
    """False: the same specification and files were wanted already."""


class Store(Protocol):
    """Intent, history and events.

    All methods may raise :class:`gyrus.state.errors.StorageFull` and ``StoreUnusable``; the others that they
    raise are named.
    """

    async def deploy(self, specs: Sequence[ApiSpec], package: str | None, at: datetime) -> tuple[Change, ...]:
        """Want these APIs, all or none.

        For each: where the latest revision has the same digest and is the target, and its rollout has not
        failed, nothing changes. Where the latest revision has the same digest otherwise (its rollout failed,
        or the API was rolled back), a new generation of that revision begins; else a new revision (number
        one above the highest) and a new generation. The rollout that was progressing is superseded. A new
        API starts with ``spec.autoscaling.initial`` replicas; an old one keeps its number, clamped to the
        new minimum (at least 1, unless ``init_replicas`` is 0) and maximum.

        Raises UnknownPackage where ``package`` was never recorded; Conflict where one of them is being
        deleted, or another API has its endpoint.
        """
        ...

    async def rollback(self, name: str, to: int | None, at: datetime) -> Api:
        """Begin a new generation of an earlier revision.

        ``to`` None: the revision of the newest rollout that was done, other than the target's revision.

        Raises UnknownApi, UnknownRevision, Conflict (being deleted; nothing to roll back to; ``to`` is the
        target already and its rollout has not failed; another API has its endpoint).
        """
        ...

    async def refresh(self, name: str, at: datetime) -> Api:
        """Begin a new generation of the target's revision. Raises UnknownApi, Conflict (being deleted)."""
        ...

    async def mark_deleting(self, name: str, at: datetime) -> Api:
        """Want it gone. Idempotent. Raises UnknownApi."""
        ...

    async def remove(self, name: str) -> None:
        """Forget a deleted API with its revisions, rollouts and events. Idempotent.

        Raises Conflict where it is not being deleted.
        """
        ...

    async def finish(self, api: Api, outcome: Outcome, message: str, at: datetime) -> Api:
        """End the rollout of ``api.target``: DONE makes the target live; FAILED makes the last live
        generation the target again (if there is none, the target stays and its failure is told; it may still
        be DONE later).

        Raises StaleVersion where the API has changed since ``api`` was read, UnknownApi.
        """
        ...

    async def scale(self, api: Api, replicas: int, at: datetime) -> Api:
        """Request this many replicas. Raises StaleVersion, UnknownApi."""
        ...

    async def api(self, name: str) -> Api | None: ...

    async def apis(self) -> tuple[Api, ...]:
        """All of them, the ones being deleted included, by name."""
        ...

    async def revision(self, name: str, number: int) -> Revision | None: ...

    async def revisions(self, name: str) -> tuple[Revision, ...]:
        """Newest first."""
        ...

    async def rollouts(self, name: str) -> tuple[Rollout, ...]:
        """Newest first; at most the last 100."""
        ...

    async def record(self, *events: Event) -> tuple[Event, ...]:
        """Store these events and return them with their new ids. An unknown API's are dropped.

        An event with an id repeats the stored event of that id and takes its place: the counts add up. Where
        that one is no longer stored, the event stands for itself. Of each API the newest 1,000 are kept.

        Unlike every other write, this one survives the process at once, and the machine's failure only a
        moment later: deploys do not wait for the disk on behalf of events.
        """
        ...

    async def events(self, name: str, limit: int = 100, after: int = 0) -> tuple[Event, ...]:
        """Return the newest ``limit`` with an id above ``after``, oldest first."""
        ...

    async def record_start(self, start: StartupTime) -> None:
        """Keep how long a replica took; of each revision and kind the newest 20 are kept. An unknown
        revision's is dropped."""
        ...

    async def starts(self, name: str, revision: int) -> tuple[StartupTime, ...]:
        """All that are kept of a revision, oldest first."""
        ...

    async def record_package(self, package: Package) -> None:
        """Idempotent; of two uploads the later one's time is kept."""
        ...

    async def package(self, digest: str) -> Package | None: ...

    async def forget_packages(self, unused_since: datetime) -> tuple[str, ...]:
        """Forget the packages uploaded before then that no revision refers to, and name them."""
        ...

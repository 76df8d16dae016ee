"""The seam to durable state. Every method is one transaction; when it returns, the write is on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gyrus.contract.operator import Outcome
from gyrus.spec.api import ApiSpec
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

SHOWN_ROLLOUTS = 100
KEPT_EVENTS = 1000
KEPT_STARTS = 20
"""Starts of each revision and kind."""
KEPT_REVOKED = 1000
"""Revoked tokens."""


@dataclass(frozen=True, slots=True)
class Change:
    """The effect of a deploy on one API."""

    api: Api
    changed: bool
    """False if the target had the same specification and files already."""


class Store(Protocol):
    """Intent, history and events.

    All methods may raise :class:`gyrus.state.errors.StorageFull` and ``StoreUnusable``. Their docstrings name
    the other errors.
    """

    async def deploy(
        self, specs: Sequence[ApiSpec], package: str | None, at: datetime, by: Author = UNNAMED
    ) -> tuple[Change, ...]:
        """Make these specifications the APIs' targets, all or none. New APIs get the author's owner.

        For each API: if the latest revision has the same digest and is the target, and its rollout has not
        failed, nothing changes. If the latest revision has the same digest otherwise (its rollout failed, or
        the API was rolled back), a new generation of that revision begins. Else a new revision (its number
        one above the highest) and a new generation begin. The progressing rollout is superseded. A new API
        starts with ``spec.autoscaling.initial`` replicas. An old one keeps its number, clamped to the new
        minimum (at least 1, unless ``init_replicas`` is 0) and maximum.

        Raises UnknownPackage if ``package`` was never recorded, and Conflict if one of the APIs is being
        deleted, has another owner, or if another API has its endpoint.
        """
        ...

    async def rollback(self, name: str, to: int | None, at: datetime, by: Author = UNNAMED) -> Api:
        """Begin a new generation of an earlier revision.

        If ``to`` is None, that is the revision of the newest rollout that was done, other than the target's.

        Raises UnknownApi, UnknownRevision, Conflict (the API is being deleted; there is no earlier revision;
        ``to`` is the target already and its rollout has not failed; another API has its endpoint).
        """
        ...

    async def refresh(self, name: str, at: datetime, by: Author = UNNAMED) -> Api:
        """Begin a new generation of the target's revision. Raises UnknownApi, Conflict (being deleted)."""
        ...

    async def mark_deleting(self, name: str, at: datetime) -> Api:
        """Mark the API for deletion. Idempotent. Raises UnknownApi."""
        ...

    async def remove(self, name: str) -> None:
        """Remove a deleted API with all that is stored of it. Idempotent.

        Raises Conflict if it is not being deleted.
        """
        ...

    async def finish(self, api: Api, outcome: Outcome, message: str, at: datetime) -> Api:
        """End the rollout of ``api.target``.

        DONE makes the target live. FAILED makes the last live generation the target again. If there is none,
        the target stays, its failure is shown, and it may still be DONE later.

        Raises StaleVersion if the API has changed since ``api`` was read, UnknownApi.
        """
        ...

    async def scale(self, api: Api, replicas: int) -> Api:
        """Request this many replicas. Raises StaleVersion, UnknownApi."""
        ...

    async def api(self, name: str) -> Api | None: ...

    async def apis(self) -> tuple[Api, ...]:
        """Return all APIs, including those that are being deleted, by name."""
        ...

    async def revision(self, name: str, number: int) -> Revision | None: ...

    async def latest_revision(self, name: str) -> Revision | None:
        """Return the newest revision, which may not be the target. Returns None if there is no such API."""
        ...

    async def revisions(self, name: str) -> tuple[Revision, ...]:
        """Return all revisions, newest first."""
        ...

    async def rollouts(self, name: str) -> tuple[Rollout, ...]:
        """Return the latest 100 rollouts, newest first."""
        ...

    async def record(self, *events: Event) -> tuple[Event, ...]:
        """Store these events and return them with their new ids. Events of unknown APIs are dropped.

        An event with an id repeats the stored event of that id and replaces it: the counts add up. If that
        event is no longer stored, the new one is stored alone. Of each API the newest 1,000 are kept.

        Unlike other writes, these are on disk only a moment later. Until then they survive the end of the
        process, but not a failure of the machine. So deploys never wait until events are on disk.
        """
        ...

    async def events(self, name: str, limit: int = 100, after: int = 0) -> tuple[Event, ...]:
        """Return the newest ``limit`` events with an id above ``after``, oldest first."""
        ...

    async def record_start(self, start: StartupTime) -> None:
        """Store the time that a replica's start took. A start of an unknown revision is dropped.

        Of each revision and kind the newest 20 are kept.
        """
        ...

    async def starts(self, name: str, revision: int) -> tuple[StartupTime, ...]:
        """Return the stored starts of a revision, oldest first."""
        ...

    async def save_memories(self, memories: Sequence[ScalingMemory]) -> None:
        """Store these memories, each instead of its API's earlier one.

        Memories of APIs that are unknown, or were created at another time, are dropped. The write is as
        durable as that of events (see :meth:`record`).
        """
        ...

    async def memory(self, name: str) -> ScalingMemory | None:
        """Return the stored memory of an API. Returns None if there is none."""
        ...

    async def save_nodes_record(self, document: bytes) -> None:
        """Store what the next driver of nodes must know, instead of the earlier document.

        It is on disk when this returns.
        """
        ...

    async def nodes_record(self) -> bytes | None:
        """Return that document. Returns None if there is none."""
        ...

    async def save_costs(self, costs: Sequence[StoredCosts], gone: Sequence[int]) -> None:
        """Store these costs, each instead of earlier ones with its start, and remove those that are gone.

        ``gone``: starts. The write is as durable as that of events (see :meth:`record`).
        """
        ...

    async def costs(self) -> tuple[StoredCosts, ...]:
        """Return all stored costs, by start."""
        ...

    async def record_package(self, package: Package) -> None:
        """Record an upload. Idempotent: of two uploads of a package, the later one's time is kept."""
        ...

    async def package(self, digest: str) -> Package | None: ...

    async def forget_packages(self, unused_since: datetime) -> tuple[str, ...]:
        """Remove the packages uploaded before then that no revision refers to. Returns their digests."""
        ...

    async def create_token(self, token: Token) -> None:
        """Store a token. Raises Conflict if another one has its name and is not revoked."""
        ...

    async def revoke_token(self, name: str, at: datetime) -> Token:
        """Revoke the token of this name. Of the revoked ones, the latest 1,000 are kept.

        Raises UnknownToken if there is none, or if it is revoked already.
        """
        ...

    async def tokens(self) -> tuple[Token, ...]:
        """Return all tokens, also revoked ones, by name and time of creation."""
        ...

"""Durable facts. Frozen: a change makes a new one. Times are aware and in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gyrus.contract.operator import Cause, Outcome
from gyrus.contract.replica import StartKind
from gyrus.spec.api import ApiSpec
from gyrus.spec.stored import StoredSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """What an API's replicas ought to be: a revision, and a number that a refresh raises too.

    A replica is up to date when its generation is the API's target.
    """

    number: int
    revision: int
    cause: Cause
    started_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """The intent for one API."""

    name: str
    kind: str
    version: int
    """Raised by every write; a writer names the version that it read."""
    target: Generation
    """What the replicas ought to be now."""
    live: Generation | None
    """The last generation whose rollout was done; what a failed rollout falls back to."""
    outcome: Outcome
    """Of the latest rollout."""
    message: str
    """Of the latest rollout: why it failed; else empty. Its first line is a sentence; the lines after it are
    the failing replica's last ones."""
    replicas: int
    """How many replicas are requested."""
    deleting: bool
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """An immutable snapshot of an API's specification and files."""

    api: str
    number: int
    digest: str
    """``ApiSpec.digest`` as the gyrus that stored it counted it: for people, not to compare."""
    spec: StoredSpec
    package: str | None
    """Digest of the archive of its files."""
    created_at: datetime

    @property
    def fault(self) -> str:
        """The reason why nothing can be started of it, in a sentence. Empty if it can be read."""
        return "" if isinstance(self.spec, ApiSpec) else self.spec.sentence(self.number)

    def has(self, spec: ApiSpec, package: str | None) -> bool:
        """Return whether it is a snapshot of this specification with these files."""
        return isinstance(self.spec, ApiSpec) and self.spec.digest(self.package) == spec.digest(package)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One move of an API to a generation, for its history."""

    api: str
    generation: Generation
    outcome: Outcome
    message: str
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to an API, for people to read."""

    api: str
    time: datetime
    """Of the latest occurrence."""
    type: str
    """``normal`` or ``warning``."""
    reason: str
    """One CamelCase word, stable."""
    message: str
    replica: str | None = None
    count: int = 1
    """How often it has happened: repetitions are folded into one event."""
    first_time: datetime | None = None
    """Of the first occurrence, where there are several."""
    id: int | None = None
    """Given by the store, and higher than all ids before it; a repetition gives the event a new one. None: it
    is not stored yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartupTime:
    """One replica that became reachable, for the next one's expected time."""

    api: str
    revision: int
    kind: StartKind
    seconds: float
    """From its order to its first endpoint that the gateway had acknowledged."""
    time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """An uploaded archive."""

    digest: str
    size: int
    """Bytes."""
    uploaded_at: datetime

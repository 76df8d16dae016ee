"""Durable facts, as frozen records: a change makes a new record. Times are aware and in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gyrus.contract.operator import ApiOwner, Cause, Outcome
from gyrus.contract.replica import StartKind
from gyrus.spec.api import ApiSpec
from gyrus.spec.stored import StoredSpec


@dataclass(frozen=True, slots=True)
class Author:
    """The origin of a change."""

    name: str = ""
    """For people: ``token ci``, ``user root``, ``manifest iris``."""
    owner: ApiOwner = ApiOwner.CLI


UNNAMED = Author()


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """The desired state of an API's replicas: a revision, and a number that a refresh raises too.

    A replica is up to date when its generation is the API's target.
    """

    number: int
    revision: int
    cause: Cause
    started_at: datetime
    started_by: str = ""
    """The token, the user or the manifest that began it. Empty if an earlier gyrus began it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """The intent for one API."""

    name: str
    kind: str
    version: int
    """A number that every write raises. A writer names the version that it read."""
    target: Generation
    """The generation that the replicas should have now."""
    live: Generation | None
    """The last generation whose rollout was done. A failed rollout falls back to it."""
    outcome: Outcome
    """The latest rollout's outcome."""
    message: str
    """The reason why the latest rollout failed, or empty. Its first line is a sentence, followed by the
    failing replica's last lines of output."""
    replicas: int
    """The number of requested replicas."""
    deleting: bool
    created_at: datetime
    updated_at: datetime
    """Time of the user's last change: a deploy, a rollback, a refresh, a deletion."""
    owner: ApiOwner = ApiOwner.CLI


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """An immutable snapshot of an API's specification and files."""

    api: str
    number: int
    digest: str
    """``ApiSpec.digest`` as computed by the gyrus that stored it: for people, not for comparison."""
    spec: StoredSpec
    package: str | None
    """Digest of the archive of its files. None if it has none."""
    created_at: datetime

    @property
    def fault(self) -> str:
        """The reason, in a sentence, why no replica of it can be started. Empty if it can be read."""
        return "" if isinstance(self.spec, ApiSpec) else self.spec.sentence(self.number)

    def has(self, spec: ApiSpec, package: str | None) -> bool:
        """Return True if it is a snapshot of this specification with these files."""
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
    """A change of an API or of its replicas, for people to read."""

    api: str
    time: datetime
    """The latest occurrence."""
    type: str
    """``normal`` or ``warning``."""
    reason: str
    """One CamelCase word. It never changes, so that scripts can match it."""
    message: str
    replica: str | None = None
    count: int = 1
    """Number of occurrences: repetitions are folded into one event."""
    first_time: datetime | None = None
    """The first occurrence. None if there is only one."""
    id: int | None = None
    """Assigned by the store, and higher than all earlier ids. A repetition gives the event a new id. None if
    the event is not stored yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartupTime:
    """The measured start of one replica, from which the next one's is predicted."""

    api: str
    revision: int
    kind: StartKind
    seconds: float
    """Time from its order until the gateway acknowledged its first endpoint."""
    time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingMemory:
    """The knowledge of the autoscaler about one API, for the next operator."""

    api: str
    created_at: datetime
    """``Api.created_at``: an API that was deleted and created again has another."""
    version: int
    """The version of the document."""
    document: bytes
    saved_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCosts:
    """The costs of the cluster in an hour or a day."""

    start: int
    """Seconds since the epoch."""
    version: int
    """The version of the document."""
    document: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token of the operator's API. What is stored of it opens nothing."""

    name: str
    digest: str
    """SHA-256 of the token, in hexadecimal digits. Tokens are random, so that it needs no salt."""
    read_only: bool
    created_at: datetime
    created_by: str
    """The token or the user that created it."""
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """An uploaded archive."""

    digest: str
    size: int
    """Bytes."""
    uploaded_at: datetime

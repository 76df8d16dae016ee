"""The books on one stream: what Envoy has confirmed, what is on its way, what to send next. Pure.

Of each kind at most one push is on its way; changes that come meanwhile wait for its answer, so that what is
confirmed is always known exactly. The kinds do not wait for each other, but for this:

- Routes and listeners wait until no cluster is on its way: Envoy answers for clusters once they are warm,
  and a route to one that is not fails.
- Clusters are removed only when the routes that Envoy confirmed are the ones wanted now.
- Endpoints never wait: a cluster is warm only once it has its endpoints, so waiting would be for ever.

Envoy refuses a push as a whole, though it applies what is good in it. The resources of a refused push are
therefore sent once more one by one; what is refused alone is not sent again until it has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gyrus.routing.resources.kinds import CLUSTER, ENDPOINTS, KINDS, LISTENER, ROUTES
from gyrus.routing.xds.messages import DeltaRequest


class Versioned(Protocol):
    @property
    def version(self) -> str: ...


class Resources(Protocol):
    """What Envoy should know."""

    def of_kind(self, kind: str) -> Mapping[str, Versioned]: ...
    def resource(self, kind: str, name: str) -> Versioned | None:
        """Also answers for some that ``of_kind`` does not list: what Envoy asks about must have an answer."""
        ...

    def keeps(self, kind: str) -> frozenset[str]:
        """Names that are not removed though ``of_kind`` does not list them. Envoy is not sent them either."""
        ...


@dataclass(frozen=True, slots=True)
class Push:
    """Resources on their way: the version by name, None for a removal."""

    kind: str
    nonce: str
    versions: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Nack:
    """A resource that Envoy did not take, with its reason."""

    kind: str
    name: str
    version: str
    message: str


@dataclass(frozen=True, slots=True)
class Ack:
    """What Envoy said to a push."""

    push: Push
    refusals: tuple[Nack, ...] = ()
    """What it will not get again unless it changes."""


@dataclass(slots=True)
class _TypeState:
    """Of one kind."""

    started: bool = False
    """Envoy has asked for this kind; only then is its ``confirmed`` known."""
    wildcard: bool = False
    """Envoy takes all there is."""
    waiting: bool = False
    """Envoy has nothing and waits for a first answer before it asks for more, be it that there is nothing."""
    subscribed: set[str] = field(default_factory=set[str])
    """Names that Envoy has asked for on this stream. With ``wildcard`` they are of no account."""
    confirmed: dict[str, str] = field(default_factory=dict[str, str])
    on_its_way: Push | None = None
    refused: dict[str, Nack] = field(default_factory=dict[str, Nack])
    """What was refused alone, by name; until something else is taken."""
    unconfirmed: dict[str, str | None] = field(default_factory=dict[str, str | None])
    """What was in a refused push together: Envoy may have taken it or not. Each is sent again, alone."""
    again: set[str] = field(default_factory=set[str])
    """Names to send though their version is confirmed."""


class StreamState:
    """One stream's books. :meth:`receive` what Envoy says, then send what :meth:`next_push` gives, until it
    gives nothing."""

    def __init__(self, node: str = "") -> None:
        self.node = node
        """The id of the Envoy at its other end. Two processes share it during a hot restart."""
        self._books = {kind: _TypeState() for kind in KINDS}
        self._count = 0
        self._synced = False

    @classmethod
    def restored(cls, node: str, confirmed: Mapping[str, Mapping[str, str]]) -> StreamState:
        """The state of an earlier operator's stream, as far as Envoy reports it: versions by kind and
        name."""
        session = cls(node)
        for kind, versions in confirmed.items():
            session._books[kind].started = True
            session._books[kind].confirmed.update(versions)
        return session

    # what is known

    @property
    def synced(self) -> bool:
        """Envoy has told all that it has. It asks for endpoints and routes only where it has clusters and
        listeners."""
        clusters, listeners = self._books[CLUSTER], self._books[LISTENER]
        self._synced = self._synced or (
            (clusters.started and listeners.started)
            and (self._books[ENDPOINTS].started or not clusters.confirmed)
            and (self._books[ROUTES].started or not listeners.confirmed)
        )
        return self._synced

    def confirmed(self, kind: str) -> Mapping[str, str]:
        """The versions that Envoy has taken, by name."""
        return self._books[kind].confirmed

    def possible(self, kind: str, name: str) -> frozenset[str | None]:
        """The versions of this resource one of which Envoy is using now; None: it may not have it at all."""
        books = self._books[kind]
        versions = {books.confirmed.get(name)}
        if name in books.unconfirmed:
            versions.add(books.unconfirmed[name])
        if books.on_its_way and name in books.on_its_way.versions:
            versions.add(books.on_its_way.versions[name])
        return frozenset(versions)

    def names(self, kind: str) -> frozenset[str]:
        """Everything of this kind that Envoy may have now."""
        books = self._books[kind]
        names = frozenset(books.confirmed) | books.unconfirmed.keys()
        return names | books.on_its_way.versions.keys() if books.on_its_way else names

    @property
    def refusals(self) -> tuple[Nack, ...]:
        """What Envoy does not take as it is now."""
        return tuple(refusal for books in self._books.values() for refusal in books.refused.values())

    def settled(self, wanted: Resources) -> bool:
        """Envoy has confirmed all that is wanted, but for what it refused."""
        idle = all(
            not books.on_its_way and not self._changes(kind, wanted) for kind, books in self._books.items()
        )
        return self.synced and idle and self._routes_are(wanted)

    # what Envoy says

    def receive(self, request: DeltaRequest) -> Ack | None:
        """Note a request; returns the answer that it may hold."""
        books = self._books.get(request.type_url)
        if books is None:
            return None
        self._subscribe(books, request)
        push = books.on_its_way
        if push is None or request.response_nonce != push.nonce:
            return None
        books.on_its_way = None
        if request.HasField("error_detail"):
            return Ack(push, self._refuse(books, push, request.error_detail.message))
        self._confirm(books, push)
        return Ack(push)

    def _subscribe(self, books: _TypeState, request: DeltaRequest) -> None:
        added = set(request.resource_names_subscribe)
        removed = set(request.resource_names_unsubscribe)
        if not books.started:
            books.started = True
            # A first request that names nothing is a wildcard: clusters and listeners come that way,
            # endpoints and routes by name.
            books.wildcard = not added or "*" in added
            # After a broken stream Envoy lists what it still has, so that only the differences are sent.
            books.confirmed.update(request.initial_resource_versions)
            # An Envoy that has nothing asks for no listeners before it has an answer about clusters, not even
            # when there are none: an empty push is that answer.
            books.waiting = books.wildcard and not books.confirmed
        else:
            # Envoy asks again for a name that it has when something new waits for it, such as a cluster that
            # it has made again. It waits for an answer, so that the version it has must be sent once more.
            books.again |= added & books.confirmed.keys()
        books.subscribed |= added
        books.subscribed -= removed
        for name in removed:
            # Envoy drops what it unsubscribes from and does not answer for it: it is neither confirmed nor in
            # doubt. The same name starts from nothing when it is subscribed to again.
            books.confirmed.pop(name, None)
            books.unconfirmed.pop(name, None)

    def _confirm(self, books: _TypeState, push: Push) -> None:
        for name, version in push.versions.items():
            books.unconfirmed.pop(name, None)
            books.refused.pop(name, None)
            if version is None:
                books.confirmed.pop(name, None)
            else:
                books.confirmed[name] = version

    def _refuse(self, books: _TypeState, push: Push, message: str) -> tuple[Nack, ...]:
        if len(push.versions) != 1:
            books.unconfirmed |= push.versions
            return ()
        (name, version), *_ = push.versions.items()
        books.unconfirmed.pop(name, None)
        refusal = books.refused[name] = Nack(push.kind, name, version or "", message)
        return (refusal,)

    # what to send

    def next_push(self, wanted: Resources) -> Push | None:
        """The next push; it counts as sent."""
        for kind in KINDS:
            books = self._books[kind]
            self._forget_refusals(kind, books, wanted)
            if books.started and not books.on_its_way and self._may_send(kind, wanted):
                changes = self._changes(kind, wanted)
                if changes or books.waiting:
                    return self._send(kind, books, changes)
        return None

    def _forget_refusals(self, kind: str, books: _TypeState, wanted: Resources) -> None:
        """A refusal stands as long as what was refused is wanted. If that is wanted again later, it is sent
        again: what an Envoy cannot take now it may take then."""
        for name, refusal in tuple(books.refused.items()):
            found = wanted.resource(kind, name)
            if found is None or found.version != refusal.version:
                del books.refused[name]

    def _may_send(self, kind: str, wanted: Resources) -> bool:
        if kind not in (LISTENER, ROUTES):
            return True
        clusters = self._books[CLUSTER]
        return clusters.started and not clusters.on_its_way and not self._upserts(CLUSTER, wanted)

    def _changes(self, kind: str, wanted: Resources) -> dict[str, str | None]:
        return {**self._upserts(kind, wanted), **dict.fromkeys(self._removals(kind, wanted))}

    def _upserts(self, kind: str, wanted: Resources) -> dict[str, str]:
        books = self._books[kind]
        resources = wanted.of_kind(kind)
        asked = resources.keys() if books.wildcard else books.subscribed
        upserts: dict[str, str] = {}
        for name in asked:
            # A confirmed name that is not among the resources stays as it is: it belongs to a cluster that is
            # about to be removed. One that Envoy waits for gets an answer, be it that there is nothing.
            if name in resources or name not in books.confirmed or name in books.again:
                found = resources.get(name) or wanted.resource(kind, name)
                if found and self._is_due(books, name, found.version):
                    upserts[name] = found.version
        return upserts

    def _is_due(self, books: _TypeState, name: str, version: str) -> bool:
        if name in books.again or name in books.unconfirmed:
            return True
        refusal = books.refused.get(name)
        return version != books.confirmed.get(name) and (refusal is None or version != refusal.version)

    def _removals(self, kind: str, wanted: Resources) -> Iterable[str]:
        """Only what Envoy takes all of is removed; it unsubscribes from the rest by itself."""
        books = self._books[kind]
        if not books.wildcard or (kind == CLUSTER and not self._routes_are(wanted)):
            return ()
        had = books.confirmed.keys() | books.unconfirmed.keys()
        return had - wanted.of_kind(kind).keys() - wanted.keeps(kind)

    def _routes_are(self, wanted: Resources) -> bool:
        routes = self._books[ROUTES]
        tables = wanted.of_kind(ROUTES)
        return not routes.on_its_way and all(
            routes.confirmed.get(name) == table.version for name, table in tables.items()
        )

    def _send(self, kind: str, books: _TypeState, changes: dict[str, str | None]) -> Push:
        suspect = next((name for name in changes if name in books.unconfirmed), None)
        if suspect is not None:
            changes = {suspect: changes[suspect]}
        self._count += 1
        books.on_its_way = Push(kind, str(self._count), changes)
        books.again -= changes.keys()
        books.waiting = False
        if kind == CLUSTER:
            self._rewarm(changes)
        return books.on_its_way

    def _rewarm(self, clusters: Mapping[str, str | None]) -> None:
        """A changed cluster waits for its endpoints again, without asking for them: Envoy makes a new cluster
        beside the old one and keeps the subscription. The push of the cluster is confirmed only when the new
        one has its endpoints, and everything that waits for that push would wait for ever."""
        books, endpoints = self._books[CLUSTER], self._books[ENDPOINTS]
        known = books.confirmed.keys() | books.unconfirmed.keys()
        changed = {name for name, version in clusters.items() if version and name in known}
        endpoints.again |= changed & endpoints.subscribed

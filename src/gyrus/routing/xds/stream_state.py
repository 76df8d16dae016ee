"""The state of one stream: what Envoy has acknowledged, what is in flight, and what to send next. Pure.

Each kind of resource has at most one push in flight. Later changes wait for its answer, so that the
acknowledged versions are always known exactly. The kinds do not wait for each other, with these exceptions:

- Routes and listeners wait until no cluster is in flight. Envoy acknowledges clusters once they are warm, and
  a route to a cold cluster fails.
- Clusters are removed only when the routes that Envoy acknowledged are the current target.
- Endpoints never wait. A cluster is warm only once it has its endpoints, so both would wait for ever.

Envoy refuses a push as a whole, although it applies the valid resources in it. The resources of a refused
push are therefore sent again one by one. A resource that is refused alone is not sent again until it changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from gyrus.routing.resources.kinds import CLUSTER, ENDPOINTS, KINDS, LISTENER, ROUTES
from gyrus.routing.xds.messages import DeltaRequest
from gyrus.state.board import is_pool

MOST = 200
"""Resources in one push. The endpoints of a thousand pools in one message would hold the operator's event
loop for 40 ms, and Envoy's main thread too."""


class Versioned(Protocol):
    @property
    def version(self) -> str: ...


class Resources(Protocol):
    """The resources that Envoy should have: the target of a stream."""

    def of_kind(self, kind: str) -> Mapping[str, Versioned]: ...
    def resource(self, kind: str, name: str) -> Versioned | None:
        """Return one resource, or None if it does not exist.

        Some are not listed by ``of_kind``: Envoy must get an answer for every name that it asks for.
        """
        ...

    def keeps(self, kind: str) -> frozenset[str]:
        """Return the names to neither send nor remove, although ``of_kind`` does not list them."""
        ...


@dataclass(frozen=True, slots=True)
class Push:
    """Resources in flight: the version by name, None for a removal."""

    kind: str
    nonce: str
    versions: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Nack:
    """A resource that Envoy refused, with its reason."""

    kind: str
    name: str
    version: str
    message: str


@dataclass(frozen=True, slots=True)
class Ack:
    """Envoy's answer to a push."""

    push: Push
    refusals: tuple[Nack, ...] = ()
    """The resources that are not sent again until they change."""


@dataclass(slots=True)
class _TypeState:
    """The state of one kind of resource."""

    started: bool = False
    """True once Envoy has asked for this kind: ``confirmed`` is known only from then on."""
    wildcard: bool = False
    """True if Envoy subscribes to all resources of this kind."""
    waiting: bool = False
    """True if Envoy has nothing and waits for a first answer, even an empty one, before it asks for more."""
    subscribed: set[str] = field(default_factory=set[str])
    """Names that Envoy has asked for on this stream. ``wildcard`` overrides them."""
    confirmed: dict[str, str] = field(default_factory=dict[str, str])
    """Acknowledged versions, by name."""
    on_its_way: Push | None = None
    """The push in flight."""
    refused: dict[str, Nack] = field(default_factory=dict[str, Nack])
    """Resources that were refused alone, by name, until Envoy acknowledges another version."""
    unconfirmed: dict[str, str | None] = field(default_factory=dict[str, str | None])
    """Versions of a push that was refused as a whole: Envoy may use them. Each is sent again, alone."""
    again: set[str] = field(default_factory=set[str])
    """Names to send although Envoy has acknowledged their version."""


class StreamState:
    """The state of one stream.

    Pass each request to :meth:`receive`, then send the pushes of :meth:`next_push` until it returns None.
    """

    def __init__(self, node: str = "") -> None:
        self.node = node
        """The id of the Envoy at its other end. Two processes share it during a hot restart."""
        self._types = {kind: _TypeState() for kind in KINDS}
        self._count = 0
        self._synced = False

    @classmethod
    def restored(cls, node: str, confirmed: Mapping[str, Mapping[str, str]]) -> StreamState:
        """Build the state of an earlier operator's stream from Envoy's report: versions by kind and name."""
        stream = cls(node)
        for kind, versions in confirmed.items():
            stream._types[kind].started = True
            stream._types[kind].confirmed.update(versions)
        return stream

    # Known facts

    @property
    def synced(self) -> bool:
        """True once Envoy has reported everything that it has.

        Envoy asks for endpoints only if it has clusters of pools, and for routes only if it has listeners.
        """
        # Kept once it is true: a first cluster that Envoy has acknowledged must not take it back.
        clusters, listeners = self._types[CLUSTER], self._types[LISTENER]
        self._synced = self._synced or (
            (clusters.started and listeners.started)
            and (self._types[ENDPOINTS].started or not any(map(is_pool, clusters.confirmed)))
            and (self._types[ROUTES].started or not listeners.confirmed)
        )
        return self._synced

    def confirmed(self, kind: str) -> Mapping[str, str]:
        """Return the versions that Envoy has acknowledged, by name."""
        return self._types[kind].confirmed

    def possible(self, kind: str, name: str) -> frozenset[str | None]:
        """Return the versions of this resource that Envoy may use now; None among them: it may lack it."""
        state = self._types[kind]
        if not state.unconfirmed and not state.on_its_way:
            return frozenset((state.confirmed.get(name),))
        versions = {state.confirmed.get(name)}
        if name in state.unconfirmed:
            versions.add(state.unconfirmed[name])
        if state.on_its_way and name in state.on_its_way.versions:
            versions.add(state.on_its_way.versions[name])
        return frozenset(versions)

    def names(self, kind: str) -> frozenset[str]:
        """Return the names of all resources of this kind that Envoy may have now."""
        state = self._types[kind]
        names = frozenset(state.confirmed) | state.unconfirmed.keys()
        return names | state.on_its_way.versions.keys() if state.on_its_way else names

    def may_have(self, kind: str, name: str) -> bool:
        """Return True if Envoy may have this resource now: if it is among :meth:`names`."""
        state = self._types[kind]
        sent = state.on_its_way.versions if state.on_its_way else ()
        return name in state.confirmed or name in state.unconfirmed or name in sent

    @property
    def refusals(self) -> tuple[Nack, ...]:
        """The resources that Envoy refuses in their current version."""
        return tuple(refusal for state in self._types.values() for refusal in state.refused.values())

    def refusal(self, kind: str, name: str) -> Nack | None:
        """Return the refusal of this resource in its current version, or None."""
        return self._types[kind].refused.get(name)

    def settled(self, wanted: Resources) -> bool:
        """Return True if Envoy has acknowledged the whole target, except what it refused."""
        idle = all(
            not state.on_its_way and not self._changes(kind, wanted) for kind, state in self._types.items()
        )
        return self.synced and idle and self._routes_are(wanted)

    # Requests from Envoy

    def receive(self, request: DeltaRequest) -> Ack | None:
        """Record a request. Returns the answer to a push, or None if the request contains none."""
        state = self._types.get(request.type_url)
        if state is None:
            return None  # a kind that this operator does not serve
        # Every request may change the subscription, an acknowledgement too.
        self._subscribe(state, request)
        push = state.on_its_way
        # A plain subscription has no nonce. Only the answer to the push in flight ends it.
        if push is None or request.response_nonce != push.nonce:
            return None
        state.on_its_way = None
        if request.HasField("error_detail"):
            return Ack(push, self._refuse(state, push, request.error_detail.message))
        self._confirm(state, push)
        return Ack(push)

    def _subscribe(self, state: _TypeState, request: DeltaRequest) -> None:
        added = set(request.resource_names_subscribe)
        removed = set(request.resource_names_unsubscribe)
        if not state.started:
            state.started = True
            # A first request without names is a wildcard. Envoy subscribes to clusters and listeners in this
            # way, and to endpoints and routes by name.
            state.wildcard = not added or "*" in added
            # On a new stream, Envoy lists the versions that it still has. They count as acknowledged, so that
            # only the differences are sent.
            state.confirmed.update(request.initial_resource_versions)
            # An Envoy that has nothing does not ask for listeners before it has an answer about clusters. If
            # there are no clusters, an empty push is that answer.
            state.waiting = state.wildcard and not state.confirmed
        else:
            # Envoy subscribes again to a name that it already has if something new needs the resource, such
            # as a cluster that it has built again. It warms only after an answer, so the acknowledged version
            # is sent once more. The first request of a stream names what Envoy has without such a need.
            state.again |= added & state.confirmed.keys()
        state.subscribed |= added
        state.subscribed -= removed
        for name in removed:
            # Envoy drops a resource when it unsubscribes, and acknowledges nothing for it. The resource is
            # then neither acknowledged nor in doubt: a later subscription to the name has to be answered in
            # full.
            state.confirmed.pop(name, None)
            state.unconfirmed.pop(name, None)

    def _confirm(self, state: _TypeState, push: Push) -> None:
        # An acknowledgement covers the whole push, removals included: it ends every doubt about these names.
        for name, version in push.versions.items():
            state.unconfirmed.pop(name, None)
            state.refused.pop(name, None)
            if version is None:
                state.confirmed.pop(name, None)
            else:
                state.confirmed[name] = version

    def _refuse(self, state: _TypeState, push: Push, message: str) -> tuple[Nack, ...]:
        if len(push.versions) != 1:
            # Envoy does not report which resource is at fault, and may have applied the others.
            state.unconfirmed |= push.versions
            return ()
        # A resource that is refused alone was not applied: Envoy still uses the acknowledged version.
        (name, version), *_ = push.versions.items()
        state.unconfirmed.pop(name, None)
        refusal = state.refused[name] = Nack(push.kind, name, version or "", message)
        return (refusal,)

    # Pushes to Envoy

    def next_push(self, wanted: Resources) -> Push | None:
        """Return the next push, which counts as sent. Returns None if nothing can be sent now."""
        for kind in KINDS:
            state = self._types[kind]
            self._forget_refusals(kind, state, wanted)
            if state.started and not state.on_its_way and self._may_send(kind, wanted):
                changes = self._changes(kind, wanted)
                if changes or state.waiting:
                    return self._send(kind, state, changes)
        return None

    def _forget_refusals(self, kind: str, state: _TypeState, wanted: Resources) -> None:
        """Forget the refusals of versions that are not in the target any more.

        If such a version returns to the target, it is sent again, because Envoy may accept it then.
        """
        for name, refusal in tuple(state.refused.items()):
            found = wanted.resource(kind, name)
            if found is None or found.version != refusal.version:
                del state.refused[name]

    def _may_send(self, kind: str, wanted: Resources) -> bool:
        if kind not in (LISTENER, ROUTES):
            return True
        # Requests to a cluster that Envoy lacks or still warms fail, so every due cluster comes first.
        # Removals of clusters do not count: they wait for the routes in their turn.
        clusters = self._types[CLUSTER]
        return clusters.started and not clusters.on_its_way and not self._upserts(CLUSTER, wanted)

    def _changes(self, kind: str, wanted: Resources) -> dict[str, str | None]:
        return {**self._upserts(kind, wanted), **dict.fromkeys(self._removals(kind, wanted))}

    def _upserts(self, kind: str, wanted: Resources) -> dict[str, str]:
        state = self._types[kind]
        resources = wanted.of_kind(kind)
        asked = resources.keys() if state.wildcard else state.subscribed
        upserts: dict[str, str] = {}
        for name in asked:
            # An acknowledged name that is not in the target stays as it is: it belongs to a cluster that is
            # about to be removed. A name that Envoy waits for always gets an answer, even an empty one,
            # because its cluster would stay cold without one.
            if name in resources or name not in state.confirmed or name in state.again:
                found = resources.get(name) or wanted.resource(kind, name)
                if found and self._is_due(state, name, found.version):
                    upserts[name] = found.version
        return upserts

    def _is_due(self, state: _TypeState, name: str, version: str) -> bool:
        if name in state.again or name in state.unconfirmed:
            return True  # an answer is due even if the version has not changed
        refusal = state.refused.get(name)
        return version != state.confirmed.get(name) and (refusal is None or version != refusal.version)

    def _removals(self, kind: str, wanted: Resources) -> Iterable[str]:
        """Return the names to remove.

        Only wildcard kinds have removals: Envoy unsubscribes from the names of the others itself.
        """
        state = self._types[kind]
        # Envoy may route to a cluster until it has acknowledged a table without it.
        if not state.wildcard or (kind == CLUSTER and not self._routes_are(wanted)):
            return ()
        # A resource in doubt is removed too: Envoy may have applied it from the refused push.
        had = state.confirmed.keys() | state.unconfirmed.keys()
        return had - wanted.of_kind(kind).keys() - wanted.keeps(kind)

    def _routes_are(self, wanted: Resources) -> bool:
        routes = self._types[ROUTES]
        tables = wanted.of_kind(ROUTES)
        return not routes.on_its_way and all(
            routes.confirmed.get(name) == table.version for name, table in tables.items()
        )

    def _send(self, kind: str, state: _TypeState, changes: dict[str, str | None]) -> Push:
        # A resource of a refused push is sent alone, so that a refusal names the resource at fault.
        unconfirmed_names = next((name for name in changes if name in state.unconfirmed), None)
        if unconfirmed_names is not None:
            changes = {unconfirmed_names: changes[unconfirmed_names]}
        changes = dict(islice(changes.items(), MOST))
        self._count += 1
        state.on_its_way = Push(kind, str(self._count), changes)
        state.again -= changes.keys()
        state.waiting = False
        if kind == CLUSTER:
            self._rewarm(changes)
        return state.on_its_way

    def _rewarm(self, clusters: Mapping[str, str | None]) -> None:
        """Send the endpoints of changed clusters again.

        Envoy builds the new cluster beside the old one and keeps the old one's subscription, so it does not
        ask for the endpoints again. But the new cluster is warm only once it has received them, and Envoy
        acknowledges the cluster's push only then. Without this, everything that waits for that push would
        wait for ever.
        """
        state, endpoints = self._types[CLUSTER], self._types[ENDPOINTS]
        # A new cluster needs nothing: Envoy subscribes to its endpoints itself.
        known = state.confirmed.keys() | state.unconfirmed.keys()
        changed = {name for name, version in clusters.items() if version and name in known}
        endpoints.again |= changed & endpoints.subscribed

"""An Envoy as the protocol describes it, small enough to explore: it takes, refuses and acknowledges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gyrus.routing.resources.kinds import CLUSTER, ENDPOINTS, KINDS, LISTENER, ROUTES
from gyrus.routing.xds.stream_state import Ack, Push, Resources, StreamState


@dataclass
class Fault:
    message: str


@dataclass
class Message:
    """A request; the shape of ``DeltaDiscoveryRequest``."""

    type_url: str
    response_nonce: str = ""
    resource_names_subscribe: Iterable[str] = ()
    resource_names_unsubscribe: Iterable[str] = ()
    initial_resource_versions: Mapping[str, str] = field(default_factory=dict[str, str])
    error: str = ""
    id: str = "fake"

    @property
    def node(self) -> Message:
        return self

    @property
    def error_detail(self) -> Fault:
        return Fault(self.error)

    def HasField(self, field_name: str) -> bool:  # noqa: N802 (protobuf's name)
        return field_name == "error_detail" and bool(self.error)


@dataclass
class FakeEnvoy:
    """Holds versions by kind and name. Answers for clusters only once they have their endpoints."""

    bad: set[str] = field(default_factory=set[str])
    """Versions that it refuses."""
    has: dict[str, dict[str, str]] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    asked: set[str] = field(default_factory=set[str])
    """Kinds that it has asked for on this stream."""
    subscribed: set[str] = field(default_factory=set[str])
    """Clusters whose endpoints it has asked for on this stream."""
    tables: set[str] = field(default_factory=set[str])
    """Route tables that it has asked for on this stream: each listener has one of its own name."""
    warm: set[str] = field(default_factory=set[str])
    pushes: list[Push] = field(default_factory=list[Push])
    unanswered: list[Push] = field(default_factory=list[Push])
    stream: StreamState = field(default_factory=StreamState)
    initialised: bool = False
    """It has had a first answer about clusters, and goes on to listeners."""

    def connect(self, stream: StreamState | None = None) -> None:
        """Open a new stream, which reports what it has."""
        self.stream = stream or StreamState()
        self.asked, self.subscribed, self.tables = set(), set(), set()
        self.pushes.clear()
        self.unanswered.clear()
        self._ask(CLUSTER)
        self._ask_for_more()

    def take(self, wanted: Resources) -> Push | None:
        """Let it have the next push; it does not answer yet."""
        push = self.stream.next_push(wanted)
        if push:
            self.pushes.append(push)
            self.initialised = True
            self.unanswered.append(push)
            self._apply(push)
            self._ask_for_more()
        return push

    def answer(self) -> Ack | None:
        """Let it answer the first push that it can answer."""
        for push in self.unanswered:
            if push.kind != CLUSTER or self._is_warm(push):
                self.unanswered.remove(push)
                error = "refused" if self._refuses(push) else ""
                return self.stream.receive(Message(push.kind, push.nonce, error=error))
        return None

    def settle(self, wanted: Resources) -> None:
        """Exchange messages until neither side has any."""
        for _ in range(10_000):
            if not self.take(wanted) and not self.answer():
                return
        raise AssertionError("they never end")

    def _apply(self, push: Push) -> None:
        for name, version in push.versions.items():
            if version in self.bad:
                self.warm.add(name)  # a refused assignment ends the cluster's wait, too
            elif version is None:
                self.has[push.kind].pop(name, None)
            else:
                if push.kind == CLUSTER and self.has[CLUSTER].get(name) != version:
                    self.warm.discard(name)
                if push.kind == ENDPOINTS:
                    self.warm.add(name)
                self.has[push.kind][name] = version

    def _ask_for_more(self) -> None:
        gone = self.subscribed - self.has[CLUSTER].keys()
        if gone:
            self.subscribed -= gone
            for name in gone:
                self.has[ENDPOINTS].pop(name, None)
            self.stream.receive(Message(ENDPOINTS, resource_names_unsubscribe=tuple(gone)))
        added = self.has[CLUSTER].keys() - self.subscribed
        if added:
            self.subscribed |= added
            self._ask(ENDPOINTS, added)
        if self.initialised:
            self._ask(LISTENER)
        self._ask_for_tables()

    def _ask_for_tables(self) -> None:
        listeners = set(self.has[LISTENER])
        if gone := self.tables - listeners:
            self.tables -= gone
            for name in gone:
                self.has[ROUTES].pop(name, None)
            self.stream.receive(Message(ROUTES, resource_names_unsubscribe=tuple(gone)))
        if added := listeners - self.tables:
            self.tables |= added
            self._ask(ROUTES, added)

    def _ask(self, kind: str, names: Iterable[str] = ()) -> None:
        first = kind not in self.asked
        if first or kind in (ENDPOINTS, ROUTES):
            self.asked.add(kind)
            had = self.has[kind] if first else {}
            self.stream.receive(
                Message(kind, resource_names_subscribe=tuple(names), initial_resource_versions=dict(had))
            )

    def _is_warm(self, push: Push) -> bool:
        names = {name for name, version in push.versions.items() if version and version not in self.bad}
        return names & self.has[CLUSTER].keys() <= self.warm

    def _refuses(self, push: Push) -> bool:
        return any(version in self.bad for version in push.versions.values())

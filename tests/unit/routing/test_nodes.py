"""Several gateways: relied on is what all of them have, and unused is what none of them can use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gyrus.routing.nodes import GatewayNodes
from gyrus.routing.resources.kinds import CLUSTER, ENDPOINTS, LISTENER, ROUTES
from gyrus.routing.settings import GatewaySettings
from gyrus.routing.snapshot import EMPTY, Snapshot, build
from gyrus.routing.xds.stream_state import StreamState
from gyrus.state.board import Endpoints
from support.examples import examples
from support.fake_envoy import FakeEnvoy
from support.routes import route_to

POOL = "iris/1"
NAMES = ("a", "b", "c")


@dataclass
class Fleet:
    """One API with one pool behind several Envoys. Each moves by itself."""

    nodes: GatewayNodes = field(default_factory=GatewayNodes)
    envoys: dict[str, FakeEnvoy] = field(default_factory=dict[str, FakeEnvoy])
    snapshot: Snapshot = EMPTY
    meanings: dict[str, Endpoints] = field(default_factory=dict[str, Endpoints])
    wanted: Endpoints = frozenset()

    def want(self, *endpoints: str) -> None:
        self.wanted = frozenset(endpoints)
        self.snapshot = build({"iris": route_to("iris", endpoints)}, GatewaySettings(), None, self.snapshot)
        self.meanings[self.snapshot.of_kind(ENDPOINTS)[POOL].version] = self.wanted
        self.nodes.wanted(self.snapshot)

    def connect(self, name: str) -> None:
        """A new node, or a new stream of one that was cut off."""
        envoy = self.envoys.setdefault(name, FakeEnvoy())
        self.cut(name)
        stream = StreamState(name)
        self.nodes.opened(stream)
        envoy.connect(stream)
        self.listen(name)

    def cut(self, name: str) -> None:
        if (envoy := self.envoys.get(name)) is not None:
            self.nodes.closed(envoy.stream)

    def kill(self, name: str) -> None:
        if name in self.envoys:
            self.nodes.gone(name)
            del self.envoys[name]

    def take(self, name: str) -> None:
        self._move(name, lambda envoy: envoy.take(self.snapshot))

    def answer(self, name: str) -> None:
        self._move(name, lambda envoy: envoy.answer())

    def settle(self, name: str) -> None:
        self._move(name, lambda envoy: envoy.settle(self.snapshot))

    def _move(self, name: str, act: Callable[[FakeEnvoy], object]) -> None:
        if (envoy := self.envoys.get(name)) is not None:
            synced = envoy.stream.synced
            act(envoy)
            if not synced:
                self.listen(name)

    def listen(self, name: str) -> None:
        if self.envoys[name].stream.synced:
            self.nodes.synced(self.envoys[name].stream)

    def used(self, name: str) -> Endpoints:
        """What this Envoy truly uses."""
        has = self.envoys[name].has
        return (
            self.meanings.get(has[ENDPOINTS].get(POOL, ""), frozenset())
            if POOL in has[CLUSTER]
            else frozenset()
        )

    def serves(self, name: str) -> bool:
        has = self.envoys[name].has
        return bool(has[LISTENER] and has[ROUTES])

    @property
    def acknowledged(self) -> Endpoints | None:
        return self.nodes.acknowledged(POOL, self.wanted, routed=True)

    @property
    def reachable(self) -> Endpoints:
        return self.nodes.reachable(POOL, self.wanted) or frozenset()


def fleet(*names: str) -> Fleet:
    """All serve, with one endpoint."""
    made = Fleet()
    made.want("unix:/1")
    for name in names:
        made.connect(name)
        made.settle(name)
    return made


def test_endpoint_counts_when_all_have_confirmed_it() -> None:
    both = fleet("a", "b")
    assert both.acknowledged == {"unix:/1"}
    both.want("unix:/1", "unix:/2")
    both.settle("a")
    assert both.acknowledged == {"unix:/1"}
    both.settle("b")
    assert both.acknowledged == {"unix:/1", "unix:/2"}


def test_endpoint_is_reachable_until_all_have_given_it_up() -> None:
    both = fleet("a", "b")
    both.want("unix:/2")
    both.settle("a")
    assert both.acknowledged == {"unix:/1"}
    assert both.reachable == {"unix:/1", "unix:/2"}
    both.settle("b")
    assert both.acknowledged == both.reachable == {"unix:/2"}


def test_node_that_is_cut_off_counts_until_it_is_gone() -> None:
    both = fleet("a", "b")
    both.cut("b")
    both.want("unix:/2")
    both.settle("a")
    assert both.reachable == {"unix:/1", "unix:/2"}
    assert both.acknowledged == {"unix:/1"}
    both.nodes.gone("b")
    assert both.reachable == both.acknowledged == {"unix:/2"}


def test_new_node_counts_when_it_has_its_listener_and_routes() -> None:
    made = fleet("a")
    made.connect("b")
    while not made.envoys["b"].stream.confirmed(ROUTES):
        assert made.nodes.serving() == ("a",)
        assert made.acknowledged == {"unix:/1"}
        made.take("b")
        made.answer("b")
    made.settle("b")
    assert made.nodes.serving() == ("a", "b")


def test_new_node_is_reckoned_with_as_soon_as_it_is_sent_something() -> None:
    made = fleet("a")
    made.connect("b")
    for _ in range(2):  # clusters, and the endpoints that they wait for
        made.take("b")
    made.want("unix:/2")
    made.settle("a")
    assert made.acknowledged == {"unix:/1", "unix:/2"}, "the new node may use what is not wanted any more"
    assert made.reachable == {"unix:/1", "unix:/2"}


def test_node_of_which_an_earlier_operator_is_known_serves_already() -> None:
    made = Fleet()
    made.want("unix:/2")
    made.nodes.restore("a", {POOL: frozenset({"unix:/1"})})
    assert made.nodes.serving() == ("a",)
    assert made.reachable == {"unix:/1", "unix:/2"}
    assert made.acknowledged == {"unix:/1"}


def test_stream_that_ends_after_its_node_changes_nothing() -> None:
    both = fleet("a", "b")
    stream = both.envoys["b"].stream
    both.nodes.gone("b")
    both.nodes.closed(stream)
    both.nodes.synced(stream)
    assert both.nodes.serving() == ("a",)
    assert both.nodes.clusters() == {POOL}


steps = st.lists(
    st.one_of(
        st.tuples(st.just("want"), st.sets(st.sampled_from(["unix:/1", "unix:/2", "unix:/3"]), min_size=1)),
        st.tuples(
            st.sampled_from(["take", "answer", "settle", "connect", "cut", "kill"]), st.sampled_from(NAMES)
        ),
    ),
    max_size=40,
)


@settings(max_examples=examples(3), deadline=None)
@given(steps)
def test_control_is_never_misled_by_any_of_them(steps: list[tuple[str, Any]]) -> None:
    made = fleet("a", "b")
    for name, argument in steps:
        if name == "want":
            made.want(*argument)
        else:
            getattr(made, name)(argument)
        for envoy in made.envoys:
            assert made.used(envoy) <= made.reachable, f"{envoy} uses what is not reachable"
            if made.serves(envoy) and envoy in made.nodes.serving():
                relied_on = (made.acknowledged or frozenset()) & made.wanted
                assert relied_on <= made.used(envoy), f"{envoy} lacks what is acknowledged"
    for envoy in tuple(made.envoys):
        made.connect(envoy)
        made.settle(envoy)
    expected = made.wanted if made.envoys else None
    assert made.acknowledged == expected

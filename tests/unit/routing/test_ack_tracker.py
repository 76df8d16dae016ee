"""What control may rely on: a reported wanted endpoint is used, and a used unwanted one is reported."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gyrus.routing.nodes import GatewayNodes
from gyrus.routing.resources.kinds import CLUSTER, ENDPOINTS, ROUTES
from gyrus.routing.settings import GatewaySettings
from gyrus.routing.snapshot import EMPTY, Snapshot, build
from gyrus.routing.xds.stream_state import StreamState
from gyrus.state.board import Route, api_of, pool_id
from support.examples import examples
from support.fake_envoy import FakeEnvoy
from support.routes import route_to

SETTINGS = GatewaySettings()
NODE = "one"


@dataclass
class Operator:
    """The gateway's part, without its tasks; a new one may take over the same Envoy."""

    envoy: FakeEnvoy
    routes: dict[str, Route] = field(default_factory=dict[str, Route])
    nodes: GatewayNodes = field(default_factory=GatewayNodes)
    snapshot: Snapshot = EMPTY
    meanings: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    """The content of each version of endpoints, of any operator."""
    tables: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    stream: StreamState | None = None
    restored: bool = False
    """It had to guess which of Envoy's clusters have routes: all."""

    def want(self, api: str, *endpoints: str) -> None:
        self.routes[api] = route_to(api, endpoints)
        self.publish()

    def drop(self, api: str) -> None:
        self.routes.pop(api, None)
        self.publish()

    def publish(self) -> None:
        self.snapshot = build(self.routes, SETTINGS, None, self.snapshot)
        self.nodes.wanted(self.snapshot)
        for api, route in self.routes.items():
            self.meanings[self.snapshot.of_kind(ENDPOINTS)[pool_id(api, 1)].version] = route.endpoints
        self.tables[self.snapshot.of_kind(ROUTES)["gyrus"].version] = frozenset(self.routes)

    def connect(self) -> None:
        if self.stream:
            self.nodes.closed(self.stream)
        self.stream = StreamState(NODE)
        self.nodes.opened(self.stream)
        self.envoy.connect(self.stream)
        self.listen(reported=False)

    def listen(self, reported: bool) -> None:
        if self.stream and self.stream.synced and not reported:
            self.nodes.synced(self.stream)

    def take(self) -> None:
        if self.stream:
            reported = self.stream.synced
            self.envoy.take(self.snapshot)
            self.listen(reported)

    def answer(self) -> None:
        if self.stream:
            reported = self.stream.synced
            self.envoy.answer()
            self.listen(reported)

    def settle(self) -> None:
        self.envoy.settle(self.snapshot)
        self.listen(reported=False)

    def successor(self) -> Operator:
        """Another operator, which asks Envoy what it has."""
        new = Operator(self.envoy, dict(self.routes), meanings=self.meanings, tables=self.tables)
        new.restored = True
        new.nodes.restore(NODE, {name: self.used(api_of(name)) for name in self.envoy.has[CLUSTER]})
        new.publish()
        return new

    def used(self, api: str) -> frozenset[str]:
        """What Envoy truly uses."""
        pool = pool_id(api, 1)
        if pool not in self.envoy.has[CLUSTER]:
            return frozenset()
        return self.meanings.get(self.envoy.has[ENDPOINTS].get(pool, ""), frozenset())

    def is_routed(self, api: str) -> bool:
        return api in self.tables.get(self.envoy.has[ROUTES].get("gyrus", ""), frozenset[str]())

    def acknowledged(self, api: str) -> frozenset[str] | None:
        route = self.routes.get(api)
        wanted = route.endpoints if route else None
        return self.nodes.acknowledged(pool_id(api, 1), wanted, routed=route is not None)


def started(**routes: tuple[str, ...]) -> Operator:
    operator = Operator(FakeEnvoy())
    operator.publish()
    operator.connect()
    for api, endpoints in routes.items():
        operator.want(api, *endpoints)
    operator.settle()
    return operator


def test_new_api_is_not_there_until_its_route_is() -> None:
    operator = started()
    operator.want("iris", "unix:/a")
    seen: list[frozenset[str] | None] = []
    for _ in range(10):
        operator.take()
        seen.append(operator.acknowledged("iris"))
        operator.answer()
    assert set(seen) == {None, frozenset({"unix:/a"})}
    assert operator.acknowledged("iris") == {"unix:/a"}


def test_api_without_replicas_is_routed_and_empty() -> None:
    assert started(iris=()).acknowledged("iris") == frozenset()


def test_new_endpoint_counts_when_it_is_confirmed() -> None:
    operator = started(iris=("unix:/a",))
    operator.want("iris", "unix:/a", "unix:/b")
    operator.take()
    assert operator.acknowledged("iris") == {"unix:/a"}
    operator.answer()
    assert operator.acknowledged("iris") == {"unix:/a", "unix:/b"}


def test_old_endpoint_counts_until_its_removal_is_confirmed() -> None:
    operator = started(iris=("unix:/a", "unix:/b"))
    operator.want("iris", "unix:/a")
    operator.take()
    assert operator.acknowledged("iris") == {"unix:/a", "unix:/b"}
    operator.answer()
    assert operator.acknowledged("iris") == {"unix:/a"}


def test_endpoint_that_was_wanted_for_a_moment_counts_while_it_may_be_used() -> None:
    operator = started(iris=("unix:/a",))
    operator.want("iris", "unix:/a", "unix:/b")
    operator.take()
    operator.want("iris", "unix:/a")
    assert operator.acknowledged("iris") == {"unix:/a", "unix:/b"}
    operator.settle()
    assert operator.acknowledged("iris") == {"unix:/a"}


def test_removed_api_stays_until_its_cluster_is_gone() -> None:
    operator = started(iris=("unix:/a",))
    operator.drop("iris")
    while operator.envoy.has[CLUSTER]:
        assert operator.acknowledged("iris") == {"unix:/a"}
        operator.take()
        operator.answer()
    operator.settle()
    assert operator.acknowledged("iris") is None


def test_broken_stream_changes_nothing_and_a_dead_envoy_everything() -> None:
    operator = started(iris=("unix:/a",))
    assert operator.stream
    operator.nodes.closed(operator.stream)
    assert operator.acknowledged("iris") == {"unix:/a"}
    operator.nodes.gone(NODE)
    assert operator.acknowledged("iris") is None
    assert operator.nodes.clusters() == frozenset()


def test_next_operator_knows_what_envoy_uses() -> None:
    first = started(iris=("unix:/a",), other=("unix:/o",))
    second = first.successor()
    second.drop("other")
    second.want("iris", "unix:/b")
    assert second.acknowledged("iris") == {"unix:/a"}
    assert second.acknowledged("other") == {"unix:/o"}
    second.connect()
    assert second.acknowledged("iris") == {"unix:/a"}
    assert second.acknowledged("other") == {"unix:/o"}
    second.settle()
    assert second.acknowledged("iris") == {"unix:/b"}
    assert second.acknowledged("other") is None


def test_during_a_hot_restart_both_envoys_count() -> None:
    operator = started(iris=("unix:/a",))
    old = operator.stream
    new = StreamState(NODE)
    operator.nodes.opened(new)
    FakeEnvoy().connect(new)
    operator.want("iris", "unix:/b")
    fresh = FakeEnvoy()
    fresh.connect(new)
    fresh.settle(operator.snapshot)
    assert operator.acknowledged("iris") == {"unix:/a", "unix:/b"}
    assert old
    operator.nodes.closed(old)
    assert operator.acknowledged("iris") == {"unix:/b"}


def test_old_versions_are_forgotten() -> None:
    operator = started(iris=("unix:/a",))
    for number in range(1500):
        operator.want("iris", f"unix:/{number}")
    assert len(operator.nodes._versions._assignments) <= 1005  # pyright: ignore[reportPrivateUsage] (a leak shows nowhere else)
    assert operator.acknowledged("iris") == {"unix:/a"}
    operator.settle()
    assert operator.acknowledged("iris") == {"unix:/1499"}


def test_old_route_tables_are_forgotten() -> None:
    operator = started(iris=("unix:/a",))
    for number in range(200):
        operator.want(f"api-{number}", "unix:/b")
        operator.drop(f"api-{number}")
        operator.want(f"other-{number}", "unix:/c")
        operator.settle()
        operator.drop(f"other-{number}")
    assert len(operator.nodes._versions._tables) <= 102  # pyright: ignore[reportPrivateUsage] (a leak shows nowhere else)
    operator.settle()
    assert operator.acknowledged("iris") == {"unix:/a"}


names = st.sampled_from(["x", "y"])
endpoints = st.lists(st.sampled_from(["unix:/1", "unix:/2", "unix:/3"]), max_size=3)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("want"), names, endpoints),
        st.tuples(st.just("drop"), names),
        st.tuples(st.just("take")),
        st.tuples(st.just("answer")),
        st.tuples(st.just("connect")),
        st.tuples(st.just("restart")),
    ),
    max_size=30,
)


@settings(max_examples=examples(2), deadline=None)
@given(steps)
def test_control_is_never_misled(steps: list[Any]) -> None:
    operator = started(x=("unix:/1",))
    for step in steps:
        match step:
            case ("want", api, wanted):
                operator.want(api, *wanted)
            case ("restart",):
                operator = operator.successor()
            case (name, *arguments):
                getattr(operator, name)(*arguments)
            case _:
                raise AssertionError(step)
        for api in ("x", "y"):
            wanted = operator.routes[api].endpoints if api in operator.routes else frozenset[str]()
            reported, used = operator.acknowledged(api), operator.used(api)
            assert used - wanted <= (reported or frozenset()), "an unwanted endpoint is used and not told of"
            assert (reported or frozenset()) & wanted <= used, "a wanted endpoint is told of and not used"
            if (
                api in operator.routes
                and reported is not None
                and reported <= wanted
                and not operator.restored
            ):
                assert operator.is_routed(api)
    if operator.stream is None:
        operator.connect()
    operator.settle()
    for api in ("x", "y"):
        wanted = operator.routes[api].endpoints if api in operator.routes else None
        assert operator.acknowledged(api) == wanted

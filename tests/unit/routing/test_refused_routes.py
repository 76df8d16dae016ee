"""Routes that an Envoy refuses: they are found, and no other API loses its route meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gyrus.routing.refused_routes import RefusedRoutes
from gyrus.routing.resources import probe
from gyrus.routing.resources.kinds import ROUTES
from gyrus.routing.settings import GatewaySettings
from gyrus.routing.snapshot import EMPTY, Snapshot, build
from gyrus.routing.xds.stream_state import StreamState
from gyrus.state.board import Route, WeightedPool
from support.fake_envoy import FakeEnvoy
from support.routes import route_to

SETTINGS = GatewaySettings()
TABLE = "gyrus"
APIS = ("a", "b", "c", "d", "e")
Entry = tuple[str, float]
"""An API, and its timeout: what an Envoy may refuse."""


@dataclass
class Refusing:
    """The versions of the tables that one Envoy refuses, by their entries."""

    entries: set[Entry]
    meanings: dict[str, frozenset[Entry]]

    def __contains__(self, version: str | None) -> bool:
        return not self.entries.isdisjoint(self.meanings.get(version or "", ()))


@dataclass
class Operator:
    """The operator's part of what happens between routes and Envoys."""

    routes: dict[str, Route] = field(default_factory=dict[str, Route])
    refused: RefusedRoutes = field(default_factory=RefusedRoutes)
    snapshot: Snapshot = EMPTY
    envoys: dict[str, FakeEnvoy] = field(default_factory=dict[str, FakeEnvoy])
    meanings: dict[str, frozenset[Entry]] = field(default_factory=dict[str, frozenset[Entry]])

    def __post_init__(self) -> None:
        self.publish()

    def publish(self) -> None:
        self.refused.wanted(self.routes)
        table, trial = self.refused.table(self.routes), self.refused.trial
        self.snapshot = build(self.routes, SETTINGS, None, self.snapshot, table=table, trial=trial)
        for name, shown in ((TABLE, table), (probe.NAME, trial)):
            if resource := self.snapshot.resource(ROUTES, name):
                entries = frozenset((api, route.timeout) for api, route in shown.items())
                self.meanings[resource.version] = entries

    def want(self, api: str, timeout: float = 1.0) -> None:
        self.routes[api] = route_to(api, ["unix:/1"], timeout=timeout)
        self.publish()

    def drop(self, api: str) -> None:
        self.routes.pop(api, None)
        self.publish()

    def envoy(self, name: str, *bad: Entry) -> None:
        refusing: Any = Refusing(set(bad), self.meanings)
        self.envoys[name] = FakeEnvoy(bad=refusing)
        self.connect(name)

    def connect(self, name: str) -> None:
        envoy = self.envoys[name]
        if self.refused.closed(envoy.stream):
            self.publish()
        envoy.connect(StreamState(name))

    def take(self, name: str) -> bool:
        envoy = self.envoys[name]
        push = envoy.take(self.snapshot)
        if push and push.kind == ROUTES:
            self.refused.sent(envoy.stream, push, self.snapshot.table)
        return push is not None

    def answer(self, name: str) -> bool:
        envoy = self.envoys[name]
        answer = envoy.answer()
        if answer and answer.push.kind == ROUTES and self.refused.answered(envoy.stream, answer.push):
            self.publish()
        return answer is not None

    def settle(self) -> None:
        for _ in range(2000):
            moved = [act(name) for act in (self.take, self.answer) for name in self.envoys]
            if not any(moved):
                return
        raise AssertionError("they never end")

    def routed(self, name: str, table: str = TABLE) -> dict[str, float]:
        """What this Envoy routes, with the timeout of each API."""
        return dict(self.meanings.get(self.envoys[name].has[ROUTES].get(table, ""), ()))


def started(*bad: Entry) -> Operator:
    operator = Operator()
    operator.envoy("x", *bad)
    operator.settle()
    return operator


def test_refused_api_is_left_out_and_named() -> None:
    operator = started(("bad", 1.0))
    for api in ("good", "bad", "better"):
        operator.want(api)
    operator.settle()
    assert operator.routed("x") == {"good": 1.0, "better": 1.0}
    assert {api: refused.reason for api, refused in operator.refused.by_api.items()} == {"bad": "refused"}


def test_refused_change_leaves_the_last_accepted_route() -> None:
    operator = started(("a", 2.0))
    operator.want("a")
    operator.settle()
    operator.want("a", 2.0)
    operator.want("b")
    operator.settle()
    assert operator.routed("x") == {"a": 1.0, "b": 1.0}
    assert operator.refused.by_api.keys() == {"a"}
    operator.want("a", 3.0)
    operator.settle()
    assert operator.routed("x") == {"a": 3.0, "b": 1.0}
    assert not operator.refused.by_api


def test_search_needs_no_try_where_one_route_has_changed() -> None:
    operator = started(("a", 2.0))
    operator.want("a")
    operator.settle()
    operator.want("a", 2.0)
    operator.take("x")
    operator.answer("x")
    assert operator.refused.by_api.keys() == {"a"}
    assert not operator.refused.trial


def test_envoy_of_an_earlier_operator_loses_no_route_during_the_search() -> None:
    operator = started()
    for api in APIS:
        operator.want(api)
    operator.settle()
    successor = Operator(dict(operator.routes), meanings=operator.meanings, envoys=operator.envoys)
    envoy: Any = successor.envoys["x"]
    envoy.bad.entries = {("a", 2.0), ("f", 1.0)}
    successor.connect("x")
    successor.want("a", 2.0)
    successor.want("f")
    while successor.take("x") or successor.answer("x"):
        assert {"b", "c", "d", "e"} <= successor.routed("x").keys()
    assert successor.refused.by_api.keys() == {"a", "f"}
    assert successor.routed("x", probe.NAME) == {}


def test_route_that_another_envoy_refuses_is_left_out_everywhere() -> None:
    operator = started()
    operator.want("a")
    operator.want("b")
    operator.envoy("y", ("a", 1.0))
    operator.settle()
    assert operator.routed("x") == operator.routed("y") == {"b": 1.0}


def test_path_of_a_stand_in_belongs_to_the_api_that_asks_for_it_now() -> None:
    operator = started(("a", 2.0))
    operator.want("a")
    operator.settle()
    operator.routes["a"] = route_to("a", ["unix:/1"], timeout=2.0, path="/other")
    operator.routes["b"] = route_to("b", ["unix:/1"], path="/a")
    operator.publish()
    operator.settle()
    assert operator.routed("x").keys() == {"b"}


def test_api_keeps_its_route_while_the_cluster_of_the_next_is_refused() -> None:
    operator = started()
    operator.want("a")
    operator.settle()
    before = operator.routes["a"]
    pool = replace(before.pools[0], generation=2)
    after = replace(before, shares=(WeightedPool(pool=pool, weight=10_000),))
    assert operator.refused.table({"a": after}, frozenset({"a/2"})) == {"a": before}
    assert operator.refused.table({"a": after}, frozenset({"a/1", "a/2"})) == {"a": after}
    assert operator.refused.table({"a": after}) == {"a": after}


def test_two_envoys_that_refuse_different_routes_are_both_searched() -> None:
    """The second search tries a group that its Envoy has judged last in the first search."""
    for others in (("c",), ("c", "d"), ("d", "e")):
        for first, second in (("a", "b"), ("b", "a")):
            operator = Operator()
            operator.envoy("x", (first, 1.0))
            operator.envoy("y", (second, 1.0))
            for api in ("a", "b", *others):
                operator.want(api)
            operator.settle()
            assert operator.routed("x") == operator.routed("y") == dict.fromkeys(others, 1.0)
            assert not operator.refused.trial


entries = st.tuples(st.sampled_from(APIS), st.sampled_from([1.0, 2.0]))
steps = st.lists(
    st.one_of(
        st.tuples(st.just("want"), entries),
        st.tuples(st.just("drop"), st.tuples(st.sampled_from(APIS))),
        st.tuples(st.sampled_from(["take", "answer", "connect"]), st.tuples(st.sampled_from(["x", "y"]))),
    ),
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@given(steps, st.sets(entries), st.sets(entries))
def test_good_apis_always_reach_every_envoy(steps: list[Any], at_x: set[Entry], at_y: set[Entry]) -> None:
    operator = Operator()
    operator.envoy("x", *at_x)
    operator.envoy("y", *at_y)
    bad = at_x | at_y
    for name, arguments in steps:
        act: Callable[..., Any] = getattr(operator, name)
        act(*arguments)
    operator.settle()
    good = {api: route.timeout for api, route in operator.routes.items() if (api, route.timeout) not in bad}
    for envoy in operator.envoys:
        routed = operator.routed(envoy)
        assert {api: routed.get(api) for api in good} == good
        assert bad.isdisjoint(routed.items())
    assert operator.refused.by_api.keys() == operator.routes.keys() - good.keys()
    assert not operator.refused.trial

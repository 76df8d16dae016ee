"""The books of a stream, against an Envoy that does what the protocol allows, in any order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gyrus.routing.resources.kinds import CLUSTER, ENDPOINTS, LISTENER, ROUTES
from gyrus.routing.xds.stream_state import MOST, StreamState
from support.examples import examples
from support.fake_envoy import FakeEnvoy, Message


@dataclass(frozen=True)
class Version:
    version: str


@dataclass
class World:
    """APIs with the version of their cluster and of their endpoints."""

    apis: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    kept: frozenset[str] = frozenset()

    def of_kind(self, kind: str) -> Mapping[str, Version]:
        return {
            CLUSTER: {name: Version(f"{name}-c{versions[0]}") for name, versions in self.apis.items()},
            ENDPOINTS: {name: Version(f"{name}-e{versions[1]}") for name, versions in self.apis.items()},
            LISTENER: {"gyrus": Version("l1")},
            ROUTES: {"gyrus": Version("r:" + ",".join(sorted(self.apis)))},
        }[kind]

    def keeps(self, kind: str) -> frozenset[str]:
        return self.kept if kind == CLUSTER else frozenset()

    def resource(self, kind: str, name: str) -> Version | None:
        found = self.of_kind(kind).get(name)
        return found or (Version("absent") if kind == ENDPOINTS else None)

    def versions(self, kind: str) -> dict[str, str]:
        return {name: found.version for name, found in self.of_kind(kind).items()}


def connected(world: World) -> FakeEnvoy:
    envoy = FakeEnvoy()
    envoy.connect()
    envoy.settle(world)
    return envoy


def routed(table: str) -> set[str]:
    return set(table.removeprefix("r:").split(",")) - {""}


def assert_in_step(envoy: FakeEnvoy, world: World) -> None:
    for kind in (CLUSTER, ENDPOINTS, LISTENER, ROUTES):
        assert envoy.has[kind] == world.versions(kind)
        assert envoy.stream.confirmed(kind) == world.versions(kind)


def test_fresh_envoy_gets_clusters_then_endpoints_then_listener_then_routes() -> None:
    envoy = connected(World({"a": (1, 1), "b": (1, 1)}))
    assert [push.kind for push in envoy.pushes] == [CLUSTER, ENDPOINTS, LISTENER, ROUTES]
    assert envoy.stream.settled(World({"a": (1, 1), "b": (1, 1)}))


def test_envoy_without_apis_is_answered_too() -> None:
    world = World()
    envoy = connected(world)
    assert [push.kind for push in envoy.pushes] == [CLUSTER, LISTENER, ROUTES]
    assert envoy.stream.settled(world)


def test_reconnected_envoy_gets_nothing() -> None:
    world = World({"a": (1, 1), "b": (1, 1)})
    envoy = connected(world)
    envoy.connect()
    envoy.settle(world)
    assert envoy.pushes == []
    assert envoy.stream.synced
    assert envoy.stream.settled(world)


def test_reconnected_envoy_gets_what_changed() -> None:
    world = World({"a": (1, 1), "b": (1, 1)})
    envoy = connected(world)
    world.apis["b"] = (1, 2)
    envoy.connect()
    envoy.settle(world)
    assert [(push.kind, dict(push.versions)) for push in envoy.pushes] == [(ENDPOINTS, {"b": "b-e2"})]


def test_route_goes_before_its_cluster() -> None:
    world = World({"a": (1, 1), "b": (1, 1)})
    envoy = connected(world)
    envoy.pushes.clear()
    del world.apis["a"]
    assert envoy.take(world) is not None
    assert envoy.take(world) is None, "the cluster waits until the routes are confirmed"
    envoy.settle(world)
    assert [(push.kind, dict(push.versions)) for push in envoy.pushes] == [
        (ROUTES, {"gyrus": "r:b"}),
        (CLUSTER, {"a": None}),
    ]


def test_cluster_that_is_kept_goes_only_when_it_is_not_kept_any_more() -> None:
    world = World({"a": (1, 1), "b": (1, 1)})
    envoy = connected(world)
    envoy.pushes.clear()
    del world.apis["a"]
    world.kept = frozenset({"a"})
    envoy.settle(world)
    assert [push.kind for push in envoy.pushes] == [ROUTES]
    assert envoy.stream.settled(world)
    world.kept = frozenset()
    envoy.settle(world)
    assert [(push.kind, dict(push.versions)) for push in envoy.pushes[1:]] == [(CLUSTER, {"a": None})]


def test_changed_cluster_gets_its_endpoints_again() -> None:
    world = World({"a": (1, 1)})
    envoy = connected(world)
    envoy.pushes.clear()
    world.apis["a"] = (2, 1)
    envoy.settle(world)
    assert [push.kind for push in envoy.pushes] == [CLUSTER, ENDPOINTS]
    assert_in_step(envoy, world)


def test_refused_push_is_sent_one_by_one() -> None:
    world = World({"a": (1, 1), "b": (1, 1), "c": (1, 1)})
    envoy = FakeEnvoy(bad={"b-e1"})
    envoy.connect()
    envoy.settle(world)
    assert [refusal.name for refusal in envoy.stream.refusals] == ["b"]
    assert envoy.has[ENDPOINTS] == {"a": "a-e1", "c": "c-e1"}
    assert envoy.stream.confirmed(ROUTES) == {"gyrus": "r:a,b,c"}
    assert envoy.stream.settled(world), "what was refused alone is not waited for"
    world.apis["b"] = (1, 2)
    envoy.settle(world)
    assert envoy.stream.refusals == ()
    assert_in_step(envoy, world)


def test_what_was_refused_is_sent_again_when_it_is_wanted_again() -> None:
    world = World({"a": (1, 1)})
    envoy = connected(world)
    envoy.bad = {"a-e2"}
    world.apis["a"] = (1, 2)
    envoy.settle(world)
    assert [refusal.name for refusal in envoy.stream.refusals] == ["a"]
    world.apis["a"] = (1, 1)
    envoy.settle(world)
    assert envoy.stream.refusals == ()
    envoy.bad.clear()
    world.apis["a"] = (1, 2)
    envoy.settle(world)
    assert_in_step(envoy, world)


def test_stale_answer_is_no_answer() -> None:
    world = World({"a": (1, 1)})
    envoy = connected(world)
    world.apis["a"] = (1, 2)
    push = envoy.take(world)
    assert push is not None
    assert envoy.stream.receive(Message(ENDPOINTS, "0")) is None
    assert envoy.stream.possible(ENDPOINTS, "a") == {"a-e1", "a-e2"}
    assert envoy.stream.receive(Message(ENDPOINTS, push.nonce)) is not None
    assert envoy.stream.possible(ENDPOINTS, "a") == {"a-e2"}


def test_unknown_kind_is_ignored() -> None:
    assert StreamState().receive(Message("type.googleapis.com/envoy.config.route.v3.Other")) is None


names = st.sampled_from(["a", "b", "c"])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("set"), names, st.integers(1, 2), st.integers(1, 3)),
        st.tuples(st.just("drop"), names),
        st.tuples(st.just("take")),
        st.tuples(st.just("answer")),
        st.tuples(st.just("connect")),
    ),
    max_size=40,
)


@settings(max_examples=examples(2), deadline=None)
@given(steps, st.sets(st.sampled_from(["a-e2", "b-c2", "c-e1"])))
def test_whatever_happens_envoy_ends_with_what_is_wanted(steps: list[Any], bad: set[str]) -> None:
    world, envoy = World(), FakeEnvoy(bad=bad)
    envoy.connect()
    for step in steps:
        match step:
            case ("set", name, cluster, endpoints):
                world.apis[name] = (cluster, endpoints)
            case ("drop", name):
                world.apis.pop(name, None)
            case ("take",):
                envoy.take(world)
            case ("answer",):
                envoy.answer()
            case _:
                envoy.connect()
        for kind in (CLUSTER, ENDPOINTS):
            for name, version in envoy.has[kind].items():
                assert version in envoy.stream.possible(kind, name), "the books miss what Envoy has"
        table = envoy.has[ROUTES].get("gyrus", "")
        assert routed(table) - envoy.has[CLUSTER].keys() <= {version[0] for version in bad if "-c" in version}
    envoy.settle(world)
    for kind in (CLUSTER, ENDPOINTS, LISTENER, ROUTES):
        for name, version in world.versions(kind).items():
            if version not in bad:
                assert envoy.has[kind].get(name) == version or (kind == ENDPOINTS and f"{name}-c2" in bad)
    assert envoy.has[CLUSTER].keys() <= world.apis.keys()


def test_a_push_has_a_limited_number_of_resources() -> None:
    world = World({f"api-{number}": (1, 1) for number in range(2 * MOST + 1)})
    envoy = connected(world)
    sizes = {kind: [len(p.versions) for p in envoy.pushes if p.kind == kind] for kind in (CLUSTER, ENDPOINTS)}
    assert max(sizes[CLUSTER]) <= MOST
    assert max(sizes[ENDPOINTS]) <= MOST
    assert_in_step(envoy, world)
    world.apis.clear()
    envoy.pushes.clear()
    envoy.settle(world)
    assert [len(push.versions) for push in envoy.pushes if push.kind == CLUSTER] == [MOST, MOST, 1]
    # No route leads to a cluster that is removed, nor to one that Envoy does not have yet.
    assert envoy.pushes[0].kind == ROUTES


def test_a_name_that_envoy_may_have_is_among_its_names() -> None:
    envoy, world = FakeEnvoy(), World({"a": (1, 1), "b": (1, 1)})
    envoy.connect()
    while envoy.take(world) or envoy.answer():
        for kind in (CLUSTER, ENDPOINTS):
            had = {name for name in ("a", "b", "c") if envoy.stream.may_have(kind, name)}
            assert had == envoy.stream.names(kind)

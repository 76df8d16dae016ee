"""The configuration that Envoy gets, and that nothing is sent twice."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import replace
from typing import Any, Literal

import pytest
from google.protobuf.json_format import ParseError
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gyrus.routing.resources import bridge
from gyrus.routing.resources.kinds import CLUSTER, ENDPOINTS, KINDS, LISTENER, ROUTES
from gyrus.routing.route_table import outer
from gyrus.routing.settings import GatewaySettings
from gyrus.routing.snapshot import EMPTY, Snapshot, build, changed
from gyrus.routing.xds.messages import encode
from gyrus.state.board import Pool, Route, WeightedPool
from support.routes import pools_of, route_to

SETTINGS = GatewaySettings()


def route(api: str, *endpoints: str, path: str | None = None, timeout: float = 1.0) -> Route:
    return route_to(api, endpoints, path=path or f"/{api}", timeout=timeout)


def by_api(*routes: Route) -> dict[str, Route]:
    return {route.api: route for route in routes}


paths = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3).map(
    lambda parts: "/" + "/".join(parts)
)
endpoints = st.frozensets(st.sampled_from(["unix:/1", "unix:/2", "127.0.0.1:80"]))
PROTOCOLS: tuple[Literal["http1", "http2"], ...] = ("http1", "http2")
protocols = st.sampled_from(PROTOCOLS)
shares = st.tuples(st.integers(1, 3), endpoints, protocols, st.sampled_from([0, 2500, 7500]))


@st.composite
def routes(draw: st.DrawFn) -> Route:
    api = draw(st.sampled_from(["one", "two", "three"]))
    drawn = draw(st.lists(shares, min_size=1, max_size=3, unique_by=lambda share: share[0]))
    assume(any(weight for *_, weight in drawn))
    made = [
        WeightedPool(
            pool=Pool(api=api, generation=n, revision=n, replicas=to, protocol=protocol), weight=weight
        )
        for n, to, protocol, weight in drawn
    ]
    timeout, idempotent = draw(st.sampled_from([1.0, 2.0])), draw(st.booleans())
    return Route(api=api, path=draw(paths), shares=tuple(made), timeout=timeout, idempotent=idempotent)


tables = st.lists(routes(), max_size=3, unique_by=lambda route: route.path).map(lambda found: by_api(*found))


@settings(deadline=None)  # the machine may be busy
@given(tables, tables)
def test_what_is_taken_over_is_what_would_have_been_built(
    before: dict[str, Route], now: dict[str, Route]
) -> None:
    last = build(before, SETTINGS, None, bridge_at="unix:/bridge")
    taken_over = build(now, SETTINGS, None, last, bridge_at="unix:/bridge")
    again = build(now, SETTINGS, None, bridge_at="unix:/bridge")
    for kind in KINDS:
        assert taken_over.of_kind(kind) == again.of_kind(kind)


def test_other_endpoints_change_nothing_but_endpoints() -> None:
    last = build(by_api(route("a", "unix:/1"), route("b", "unix:/2")), SETTINGS, None)
    now = build(by_api(route("a", "unix:/3"), route("b", "unix:/2")), SETTINGS, None, last)
    assert changed(last, now) == {"a/1"}
    for kind in (CLUSTER, LISTENER, ROUTES):
        assert now.of_kind(kind) == last.of_kind(kind)
    assert now.of_kind(ENDPOINTS)["a/1"] != last.of_kind(ENDPOINTS)["a/1"]
    assert now.of_kind(ENDPOINTS)["b/1"] is last.of_kind(ENDPOINTS)["b/1"]


def test_other_timeout_changes_the_table_alone() -> None:
    last = build(by_api(route("a", "unix:/1")), SETTINGS, None)
    now = build(by_api(route("a", "unix:/1", timeout=9.0)), SETTINGS, None, last)
    assert [kind for kind in KINDS if now.of_kind(kind) != last.of_kind(kind)] == [ROUTES]


def weighed(*weights: int) -> Route:
    return dataclasses.replace(route("a"), shares=pools_of("a", ["unix:/1"], ["unix:/2"], weights=weights))


def test_other_weights_change_the_table_alone() -> None:
    last = build(by_api(weighed(7500, 2500)), SETTINGS, None)
    now = build(by_api(weighed(2500, 7500)), SETTINGS, None, last)
    assert [kind for kind in KINDS if now.of_kind(kind) != last.of_kind(kind)] == [ROUTES]
    assert now.routed == last.routed == {"a/1", "a/2"}


def test_each_pool_is_a_cluster_and_one_without_weight_is_not_routed() -> None:
    snapshot = build(by_api(weighed(0, 10_000)), SETTINGS, None)
    assert snapshot.of_kind(CLUSTER).keys() == snapshot.of_kind(ENDPOINTS).keys() == {"a/1", "a/2"}
    assert snapshot.routed == {"a/2"}
    last = build(by_api(route("a", "unix:/1")), SETTINGS, None)
    assert changed(last, snapshot) == {"a/1", "a/2"}


def test_leftovers_are_kept_with_their_endpoints_and_not_sent() -> None:
    leftovers = {"b": frozenset({"unix:/2"}), "c/1": None, "a/1": None}
    snapshot = build(by_api(route("a", "unix:/1")), SETTINGS, None, EMPTY, leftovers)
    assert snapshot.of_kind(CLUSTER).keys() == {"a/1"}
    assert snapshot.of_kind(ENDPOINTS).keys() == {"a/1", "b"}
    assert snapshot.endpoints == {"a/1": {"unix:/1"}, "b": {"unix:/2"}}
    assert snapshot.keeps(CLUSTER) == {"b", "c/1"}
    assert not snapshot.keeps(ENDPOINTS)


def test_unwanted_cluster_has_no_endpoints() -> None:
    snapshot = build({}, SETTINGS, None)
    found = snapshot.resource(ENDPOINTS, "gone")
    assert found is not None
    assert found.body == encode(ENDPOINTS, {"cluster_name": "gone", "endpoints": []})
    assert snapshot.resource(CLUSTER, "gone") is None
    assert EMPTY.of_kind(CLUSTER) == {}


def test_bridge_has_the_apis_that_speak_both_protocols_and_follows_them() -> None:
    newest, oldest = pools_of("a", ["unix:/1"], ["unix:/2"], weights=(5000, 5000))
    grpc = replace(newest, pool=replace(newest.pool, protocol="http2"))
    plain, mixed = route("a", "unix:/1"), replace(route("a"), shares=(grpc, oldest))
    other = route("b", "unix:/3")

    def bridges(*wanted: Route, last: Snapshot = EMPTY, leftovers: Any = None) -> tuple[Snapshot, bytes]:
        built = build(by_api(*wanted), SETTINGS, None, last, leftovers or {}, bridge_at="unix:/bridge")
        table = built.resource(ROUTES, bridge.NAME)
        assert table
        return built, table.body

    first, body = bridges(plain, other)
    assert b"a/" not in body
    second, body = bridges(mixed, other, last=first)
    assert b"a/2" in body
    assert b"a/1" not in body, "it leads to the newest pool with replicas"
    third, body = bridges(replace(mixed, shares=(grpc,)), other, last=second)
    assert b"a/" not in body
    _, body = bridges(
        replace(mixed, shares=(grpc,)), other, last=third, leftovers={"a/1": frozenset({"unix:/bridge"})}
    )
    assert b"a/2" in body


def test_outer_routes_innermost_first() -> None:
    table = {path: route(path.replace("/", "-"), path=path) for path in ("/a", "/a/b", "/a/b/c", "/ab")}
    assert [one.path for one in outer(table["/a/b/c"], table)] == ["/a/b", "/a"]
    assert outer(table["/ab"], table) == ()


def test_unknown_field_is_an_error() -> None:
    with pytest.raises(ParseError):
        encode(CLUSTER, {"nmae": "iris"})


def test_routes_under_a_path_follow_what_changes_above_them() -> None:
    """An entry has the routes of the paths around it too."""
    inner, other = route("inner", path="/a/b"), route("other", path="/x")
    before = by_api(route("outer", path="/a"), inner, other)
    now = {**before, "outer": route("outer", path="/a", timeout=9.0)}
    last = build(before, SETTINGS, None)
    assert build(now, SETTINGS, None, last).of_kind(ROUTES) == build(now, SETTINGS, None).of_kind(ROUTES)
    moved = {**before, "outer": route("outer", path="/x/y")}
    assert build(moved, SETTINGS, None, last).of_kind(ROUTES) == build(moved, SETTINGS, None).of_kind(ROUTES)


def test_one_change_among_five_hundred_is_quick() -> None:
    wanted = by_api(*(route(f"api-{n}", *(f"unix:/{n}.{m}.sock" for m in range(4))) for n in range(500)))
    last = build(wanted, SETTINGS, None)
    wanted["api-7"] = route("api-7")
    began = time.perf_counter()
    build(wanted, SETTINGS, None, last)
    assert time.perf_counter() - began < 0.05, "it takes 0.4 ms here"

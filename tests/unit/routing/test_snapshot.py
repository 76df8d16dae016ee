"""What Envoy is told, and that nothing is told twice."""

from __future__ import annotations

import dataclasses
import time

import pytest
from google.protobuf.json_format import ParseError
from hypothesis import given
from hypothesis import strategies as st

from gyrus.routing.resources.kinds import CLUSTER, ENDPOINTS, KINDS, LISTENER, ROUTES
from gyrus.routing.settings import GatewaySettings
from gyrus.routing.snapshot import EMPTY, build, changed, outer
from gyrus.routing.xds.messages import encode
from gyrus.state.board import Route

SETTINGS = GatewaySettings()


def route(api: str, *endpoints: str, path: str | None = None, timeout: float = 1.0) -> Route:
    return Route(api=api, path=path or f"/{api}", endpoints=frozenset(endpoints), timeout=timeout)


def by_api(*routes: Route) -> dict[str, Route]:
    return {route.api: route for route in routes}


paths = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3).map(
    lambda parts: "/" + "/".join(parts)
)
routes = st.builds(
    Route,
    api=st.sampled_from(["one", "two", "three"]),
    path=paths,
    endpoints=st.frozensets(st.sampled_from(["unix:/1", "unix:/2", "127.0.0.1:80"])),
    timeout=st.sampled_from([1.0, 2.0]),
    idempotent=st.booleans(),
    protocol=st.sampled_from(["http1", "http2"]),
)
tables = st.lists(routes, max_size=3, unique_by=lambda route: route.path).map(lambda found: by_api(*found))


@given(tables, tables)
def test_what_is_taken_over_is_what_would_have_been_built(
    before: dict[str, Route], now: dict[str, Route]
) -> None:
    last = build(before, SETTINGS, None)
    taken_over, anew = build(now, SETTINGS, None, last), build(now, SETTINGS, None)
    for kind in KINDS:
        assert taken_over.of_kind(kind) == anew.of_kind(kind)


def test_other_endpoints_change_nothing_but_endpoints() -> None:
    last = build(by_api(route("a", "unix:/1"), route("b", "unix:/2")), SETTINGS, None)
    now = build(by_api(route("a", "unix:/3"), route("b", "unix:/2")), SETTINGS, None, last)
    assert changed(last, now) == {"a"}
    for kind in (CLUSTER, LISTENER, ROUTES):
        assert now.of_kind(kind) == last.of_kind(kind)
    assert now.of_kind(ENDPOINTS)["a"] != last.of_kind(ENDPOINTS)["a"]
    assert now.of_kind(ENDPOINTS)["b"] is last.of_kind(ENDPOINTS)["b"]


def test_other_timeout_changes_the_table_alone() -> None:
    last = build(by_api(route("a", "unix:/1")), SETTINGS, None)
    now = build(by_api(route("a", "unix:/1", timeout=9.0)), SETTINGS, None, last)
    assert [kind for kind in KINDS if now.of_kind(kind) != last.of_kind(kind)] == [ROUTES]


def test_cluster_that_nobody_wants_has_no_endpoints() -> None:
    snapshot = build({}, SETTINGS, None)
    found = snapshot.resource(ENDPOINTS, "gone")
    assert found is not None
    assert found.body == encode(ENDPOINTS, {"cluster_name": "gone", "endpoints": []})
    assert snapshot.resource(CLUSTER, "gone") is None
    assert EMPTY.of_kind(CLUSTER) == {}


def test_outer_routes_innermost_first() -> None:
    table = {path: route(path.replace("/", "-"), path=path) for path in ("/a", "/a/b", "/a/b/c", "/ab")}
    assert [one.path for one in outer(table["/a/b/c"], table)] == ["/a/b", "/a"]
    assert outer(table["/ab"], table) == ()


def test_unknown_field_is_an_error() -> None:
    with pytest.raises(ParseError):
        encode(CLUSTER, {"nmae": "iris"})


def test_one_change_among_five_hundred_is_quick() -> None:
    wanted = by_api(*(route(f"api-{n}", *(f"unix:/{n}.{m}.sock" for m in range(4))) for n in range(500)))
    last = build(wanted, SETTINGS, None)
    wanted["api-7"] = dataclasses.replace(wanted["api-7"], endpoints=frozenset[str]())
    began = time.perf_counter()
    build(wanted, SETTINGS, None, last)
    assert time.perf_counter() - began < 0.05, "it takes 0.3 ms here"

"""A cluster that no route needs stays until no request can be in it."""

from __future__ import annotations

from dataclasses import replace

from gyrus.routing.leftovers import LINGER, Leftovers, stand_in
from support.routes import pools_of, route_to

ROUTE = route_to("iris", ["unix:/new"], generation=2)


def look(leftovers: Leftovers, now: float, *, routed: bool = False, in_flight: int | None = 0) -> bool:
    """Whether the cluster is kept."""
    unneeded = frozenset({"iris/1"})
    flying = None if in_flight is None else {"iris/1": in_flight}
    leftovers.look(now, unneeded, may_route_to=lambda _: routed, in_flight=flying)
    return "iris/1" in leftovers.kept(now)


def test_it_stays_a_while_after_its_route() -> None:
    leftovers = Leftovers()
    assert look(leftovers, 0.0, routed=True)
    assert look(leftovers, 100.0, routed=True), "a late gateway still routes to it"
    assert look(leftovers, 100.0 + LINGER - 0.1)
    assert not look(leftovers, 100.0 + LINGER)


def test_it_stays_while_requests_are_in_it() -> None:
    leftovers = Leftovers()
    assert look(leftovers, 0.0)
    assert look(leftovers, 100.0, in_flight=1)
    assert look(leftovers, 100.0 + LINGER - 0.1)
    assert not look(leftovers, 100.0 + LINGER)


def test_it_stays_while_nothing_is_known_of_its_requests() -> None:
    leftovers = Leftovers()
    assert look(leftovers, 0.0, in_flight=None)
    assert look(leftovers, 100.0, in_flight=None)
    assert look(leftovers, 100.0 + LINGER - 0.1)
    assert not look(leftovers, 100.0 + LINGER)


def test_one_that_is_needed_again_begins_from_nothing() -> None:
    leftovers = Leftovers()
    look(leftovers, 0.0)
    leftovers.look(1.0, frozenset(), may_route_to=lambda _: False, in_flight={})
    assert leftovers.kept(1.0) == frozenset()
    assert look(leftovers, 100.0)


def test_requests_in_it_end_where_new_ones_go() -> None:
    assert stand_in(ROUTE, still_routed=False) == {"unix:/new"}
    held = route_to("iris", ["unix:/activator"], activator="unix:/activator")
    assert stand_in(held, still_routed=False) == {"unix:/activator"}
    both = replace(ROUTE, shares=pools_of("iris", ["unix:/1"], ["unix:/2"], weights=(5000, 5000)))
    assert stand_in(both, still_routed=False) == {"unix:/1", "unix:/2"}


def test_requests_of_another_protocol_take_the_bridge() -> None:
    newest, oldest = pools_of("iris", ["unix:/1"], ["unix:/2"], weights=(5000, 5000))
    grpc = replace(newest, pool=replace(newest.pool, protocol="http2"))
    mixed = replace(ROUTE, shares=(grpc, oldest))
    assert stand_in(mixed, still_routed=False, bridge="unix:/bridge") == {"unix:/bridge"}
    assert stand_in(mixed, still_routed=False) is None, "without a bridge, the endpoints stay"
    only_grpc = replace(ROUTE, shares=(grpc,))
    for known in ("http1", None):
        assert stand_in(only_grpc, still_routed=False, protocol=known, bridge="unix:/b") == {"unix:/b"}
    assert stand_in(only_grpc, still_routed=False, protocol="http2", bridge="unix:/b") == {"unix:/2"}
    waiting = route_to("iris", protocol="http2")
    assert stand_in(waiting, still_routed=False, protocol="http1", bridge="unix:/b") is None


def test_of_a_deleted_api_nothing_is_left_once_no_gateway_routes_to_it() -> None:
    assert stand_in(None, still_routed=True) is None
    assert stand_in(None, still_routed=False) == frozenset()

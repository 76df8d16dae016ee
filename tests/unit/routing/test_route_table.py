"""The route table's bytes, and what a change of one API costs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

import pytest
from google.protobuf.descriptor_pool import Default
from google.protobuf.message_factory import GetMessageClass

from gyrus.aio.virtual import VirtualClock
from gyrus.routing.ads import SLICE, AdsGateway
from gyrus.routing.encoder import Encoder, speaks_http2
from gyrus.routing.resources import routes as resources
from gyrus.routing.resources.kinds import ENDPOINTS, ROUTES
from gyrus.routing.settings import GatewaySettings, UnixAddress
from gyrus.routing.snapshot import EMPTY, Snapshot, build, encode_ahead
from gyrus.routing.xds.messages import encode, write_response
from gyrus.state.board import Board, Route
from support.looking import until
from support.routes import pools_of, route_to

TABLE = GetMessageClass(Default().FindMessageTypeByName(ROUTES.rpartition("/")[2]))
SETTINGS = GatewaySettings()
Protocol = Literal["http1", "http2"]
PROTOCOLS: tuple[Protocol, ...] = ("http1", "http2")
NAMES = [f"api-{number}" for number in range(40)]


def updating(api: str, *weights: int, protocol: Protocol = "http1") -> Route:
    """A route in the middle of an update."""
    shares = pools_of(api, *([f"unix:/{api}/{n}"] for n in range(len(weights))), weights=weights)
    pools = (dataclasses.replace(share.pool, protocol=protocol) for share in shares)
    shares = tuple(dataclasses.replace(share, pool=pool) for share, pool in zip(shares, pools, strict=True))
    return Route(api=api, path=f"/{api}", timeout=5.0, shares=shares)


def table(snapshot: Snapshot) -> bytes:
    return snapshot.of_kind(ROUTES)["gyrus"].body


def written_by_protobuf(routes: dict[str, Route]) -> Any:
    """The whole table, read from the JSON form at once."""
    value = resources.table(SETTINGS)
    guarded = value["virtual_hosts"][0]["matcher"]
    by_name = guarded["on_no_match"]["matcher"]
    by_path = by_name["on_no_match"]["matcher"]
    by_path["matcher_tree"]["prefix_match_map"]["map"] = {
        route.path: resources.entry(route, SETTINGS) for route in routes.values()
    }
    by_name["matcher_tree"]["exact_match_map"]["map"] = {
        route.api: resources.called(route, SETTINGS) for route in routes.values() if speaks_http2(route)
    }
    if not by_name["matcher_tree"]["exact_match_map"]["map"]:
        guarded["on_no_match"]["matcher"] = by_path
    if not routes:
        del guarded["on_no_match"]
    return TABLE.FromString(encode(ROUTES, value))


@pytest.mark.parametrize("count", [0, 1, len(NAMES)])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_joined_bytes_are_a_table_as_protobuf_writes_it(count: int, protocol: Protocol) -> None:
    routes = {name: updating(name, 5000, 5000, protocol=protocol) for name in NAMES[:count]}
    found = TABLE.FromString(table(build(routes, SETTINGS, None)))
    assert found == written_by_protobuf(routes)
    assert len(found.SerializeToString()) == len(table(build(routes, SETTINGS, None)))


def test_names_of_all_kinds_and_both_trees() -> None:
    """A name that needs two bytes for a letter, and a table in which only some APIs speak HTTP/2."""
    mixed = {"ä": updating("ä", 1, 2), "b": updating("b", 1, protocol="http2"), "a": updating("a", 1)}
    body = table(build(mixed, SETTINGS, None))
    assert TABLE.FromString(body) == written_by_protobuf(mixed)
    assert table(build(dict(sorted(mixed.items())), SETTINGS, None)) == body


def test_a_change_of_weights_encodes_one_entry() -> None:
    routes = {name: updating(name, 2500, 7500) for name in NAMES}
    last = build(routes, SETTINGS, None)
    routes["api-7"] = updating("api-7", 7500, 2500)
    encoder = Encoder(SETTINGS)
    now = build(routes, SETTINGS, None, last, encoder=encoder)
    assert encoder.encoded == 1
    assert table(now) == table(build(routes, SETTINGS, None)) != table(last)
    kept = [path for path, entry in now.entries.by_path.items() if entry is last.entries.by_path[path]]
    assert len(kept) == len(NAMES) - 1


def test_a_change_of_endpoints_encodes_one_assignment() -> None:
    routes = {name: route_to(name, ["unix:/1"]) for name in NAMES}
    last = build(routes, SETTINGS, None)
    routes["api-7"] = route_to("api-7", ["unix:/2"])
    encoder = Encoder(SETTINGS)
    now = build(routes, SETTINGS, None, last, encoder=encoder)
    assert encoder.encoded == 1
    assert now.of_kind(ENDPOINTS)["api-7/1"] != last.of_kind(ENDPOINTS)["api-7/1"]
    assert now.entries is last.entries


def test_what_was_encoded_ahead_is_not_encoded_again() -> None:
    routes = {name: updating(name, 5000, 5000, protocol="http2") for name in NAMES}
    routes["outer"] = route_to("outer", path="/api-1")
    routes["api-1"] = dataclasses.replace(routes["api-1"], path="/api-1/inner")
    encoder = Encoder(SETTINGS)
    assert [*encode_ahead(routes, EMPTY, encoder)] == [*routes.values()]
    encoded = encoder.encoded
    ahead = build(routes, SETTINGS, None, encoder=encoder)
    assert encoder.encoded == encoded
    assert ahead == build(routes, SETTINGS, None)


def test_nothing_is_encoded_ahead_without_a_change() -> None:
    routes = {name: updating(name, 5000, 5000) for name in NAMES}
    last, encoder = build(routes, SETTINGS, None), Encoder(SETTINGS)
    assert not [*encode_ahead(routes, last, encoder)]
    routes["api-7"] = updating("api-7", 5000, 5000)  # another object with the same content
    assert len([*encode_ahead(routes, last, encoder)]) == 1
    assert encoder.encoded == 0


class Working(VirtualClock):
    """A clock by which everything takes a millisecond."""

    read = 0
    slices = 0

    def monotonic(self) -> float:
        self.read += 1
        return self.read / 1000

    async def sleep(self, seconds: float) -> None:
        self.slices += not seconds
        await super().sleep(seconds)


async def test_others_run_while_many_changes_are_encoded(tmp_path: Path) -> None:
    board, clock = Board(), Working()
    board.routes.update({name: route_to(name, ["unix:/1"]) for name in NAMES})
    async with AdsGateway(board, UnixAddress(tmp_path / "ads.sock"), SETTINGS, clock).serving():
        begun = clock.slices
        assert begun >= len(NAMES) / 5
        board.routes.update({name: route_to(name, ["unix:/2"]) for name in NAMES})
        board.route_signals.notify(*NAMES)
        await until(lambda: clock.slices >= begun + len(NAMES) / 5)


class Pausing(VirtualClock):
    """A clock by which nothing takes time, and which counts the pauses for others."""

    pauses = 0

    async def sleep(self, seconds: float) -> None:
        self.pauses += not seconds
        await super().sleep(seconds)


async def test_others_run_while_the_first_configuration_is_built(tmp_path: Path) -> None:
    board, clock = Board(), Pausing()
    names = [f"api-{number}" for number in range(2 * SLICE + 1)]
    board.routes.update({name: route_to(name, ["unix:/1"]) for name in names})
    async with AdsGateway(board, UnixAddress(tmp_path / "ads.sock"), SETTINGS, clock).serving():
        assert clock.pauses == 3
        assert board.reachable.keys() == set(names)


def test_a_response_is_one_as_protobuf_writes_it() -> None:
    kind = GetMessageClass(
        Default().FindMessageTypeByName("envoy.service.discovery.v3.DeltaDiscoveryResponse")
    )
    given = [("a", "v1", b"x" * 300), ("b", "v2", b"")]
    expected: Any = kind(type_url=ROUTES, nonce="7", removed_resources=["c", "d"])
    for name, version, body in given:
        added = expected.resources.add(name=name, version=version)
        added.resource.type_url, added.resource.value = ROUTES, body
    parts = [(name, version, (body[:1], body[1:])) for name, version, body in given]
    assert kind.FromString(write_response(ROUTES, "7", parts, ["c", "d"])) == expected

"""Several gateways: what one of them lacks is not relied on, and what one of them uses stays."""

from __future__ import annotations

import shutil
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import grpc.aio
import pytest
import pytest_asyncio

from gyrus.aio.clock import SystemClock
from gyrus.routing.ads import AdsGateway
from gyrus.routing.errors import TlsUnusable
from gyrus.routing.settings import GatewaySettings, TlsAddress, TlsFiles
from gyrus.state.board import Board, WeightedPool
from support.gateways import GatewayNode, Gateways, Wire, tls_files
from support.routes import route_to
from support.upstreams import Upstream, free_port, until


@pytest_asyncio.fixture
async def gateways(tmp_path: Path) -> AsyncGenerator[Gateways]:
    async with Gateways(tmp_path).serving() as serving:
        yield serving


@pytest_asyncio.fixture
async def old(gateways: Gateways) -> AsyncGenerator[Upstream]:
    async with gateways.upstream("old").serving() as upstream:
        yield upstream


@pytest_asyncio.fixture
async def new(gateways: Gateways) -> AsyncGenerator[Upstream]:
    async with gateways.upstream("new").serving() as upstream:
        yield upstream


class Pair(NamedTuple):
    """Two gateways that route ``iris`` to ``old``. The test disturbs the wire of the other one."""

    steady: GatewayNode
    other: GatewayNode
    wire: Wire


@pytest_asyncio.fixture
async def pair(gateways: Gateways, old: Upstream) -> Pair:
    steady, other = await gateways.node("steady"), await gateways.node("other")
    await gateways.route("iris", old)
    return Pair(steady, other, gateways.wires[other.name])


async def test_what_a_late_gateway_lacks_is_not_acknowledged_and_what_it_uses_is_reachable(
    gateways: Gateways, pair: Pair, old: Upstream, new: Upstream
) -> None:
    prompt, late, wire = pair
    wire.hold_up()
    gateways.put_route("iris", new)
    await prompt.answers("iris", "new")
    await gateways.confirmed(prompt.name)
    assert await late.ask("iris") == "old"
    assert gateways.acknowledged("iris") == {old.endpoint}, "only what every gateway has counts"
    assert gateways.reachable("iris") == {old.endpoint, new.endpoint}
    wire.go_on()
    await until(lambda: gateways.reachable("iris") == frozenset({new.endpoint}))
    assert gateways.acknowledged("iris") == {new.endpoint}
    assert await late.ask("iris") == "new"


async def test_gateway_that_is_cut_off_counts_until_it_is_gone(
    gateways: Gateways, pair: Pair, old: Upstream, new: Upstream
) -> None:
    connected, lost, wire = pair
    wire.cut()
    await until(lambda: gateways.ads.streams == 1)
    gateways.put_route("iris", new)
    await connected.answers("iris", "new")
    await gateways.confirmed(connected.name)
    assert await lost.ask("iris") == "old", "it goes on with what it has"
    assert gateways.acknowledged("iris") == {old.endpoint}
    assert gateways.reachable("iris") == {old.endpoint, new.endpoint}
    lost.kill()
    assert old.endpoint in gateways.reachable("iris"), "a broken stream does not tell that it has ended"
    gateways.ads.node_gone(lost.name)
    await until(lambda: gateways.reachable("iris") == frozenset({new.endpoint}))
    assert gateways.acknowledged("iris") == {new.endpoint}


async def test_gateway_that_comes_back_reports_what_it_has(
    gateways: Gateways, pair: Pair, old: Upstream, new: Upstream
) -> None:
    connected, lost, wire = pair
    wire.cut()
    await until(lambda: gateways.ads.streams == 1)
    gateways.put_route("iris", new)
    await connected.answers("iris", "new")
    await wire.open()
    await until(lambda: gateways.reachable("iris") == frozenset({new.endpoint}))
    assert await lost.ask("iris") == "new"


async def test_new_gateway_counts_once_it_serves(gateways: Gateways, old: Upstream, new: Upstream) -> None:
    first = await gateways.node("first")
    await gateways.route("iris", old)
    second = await gateways.node("second", held_up=True)
    await until(lambda: gateways.ads.streams == 2)
    await gateways.route("iris", new)
    assert gateways.reachable("iris") == {new.endpoint}, "it was sent nothing, so that it can use nothing"
    assert await second.ask("iris") == ""
    gateways.wires["second"].go_on()
    await second.answers("iris", "new")
    await until(lambda: gateways.serves("second"))
    gateways.wires["second"].hold_up()
    gateways.put_route("iris", old)
    await first.answers("iris", "old")
    await gateways.confirmed("first")
    assert gateways.acknowledged("iris") == {new.endpoint}, "it counts from now on"
    assert gateways.reachable("iris") == {old.endpoint, new.endpoint}


async def test_what_one_gateway_refuses_is_not_acknowledged(
    gateways: Gateways, pair: Pair, old: Upstream, new: Upstream
) -> None:
    takes, refuses, wire = pair
    wire.spoilt = b"new.sock", b"new\0sock"  # a path that Envoy does not take
    gateways.put_route("iris", new)
    await takes.answers("iris", "new")
    await until(lambda: "iris" in gateways.board.refused)
    assert "endpoints of iris/1" in gateways.board.refused["iris"].message
    assert await refuses.ask("iris") == "old"
    assert gateways.acknowledged("iris") == {old.endpoint}
    assert gateways.reachable("iris") == {old.endpoint, new.endpoint}
    wire.spoilt = None
    await gateways.route("iris", old)
    await until(lambda: not gateways.board.refused)
    await gateways.route("iris", new)
    assert await refuses.ask("iris") == "new"


async def test_cluster_that_is_refused_gets_no_requests_and_holds_up_no_other_api(
    gateways: Gateways, old: Upstream, new: Upstream
) -> None:
    node = await gateways.node("refuses")
    await gateways.route("iris", old)
    # HTTP/2 for upstreams becomes an unknown protocol, so that Envoy refuses every cluster of such a pool.
    gateways.wires["refuses"].spoilt = b"\x1a\x02\x12\x00", b"\x1a\x02\x7a\x00"
    before = gateways.board.routes["iris"]
    pool = replace(before.pools[0], generation=2, protocol="http2", replicas=frozenset({new.endpoint}))
    shares = (WeightedPool(pool=pool, weight=9_000), WeightedPool(pool=before.pools[0], weight=1_000))
    gateways.board.routes["iris"] = replace(before, shares=shares)
    gateways.board.route_signals.notify("iris")
    await until(lambda: "iris" in gateways.board.refused)
    assert "cluster of iris/2" in gateways.board.refused["iris"].message
    await gateways.route("other", old)
    assert {await node.ask("iris") for _ in range(30)} == {"old"}
    assert "iris/2" not in gateways.board.acknowledged["iris"]


async def test_new_pool_is_acknowledged_when_every_gateway_routes_to_it(
    gateways: Gateways, pair: Pair, old: Upstream, new: Upstream
) -> None:
    prompt, late, wire = pair
    wire.hold_up()
    gateways.put_route("iris", new, generation=2)
    await prompt.answers("iris", "new")
    await gateways.confirmed(prompt.name)
    assert "iris/2" not in gateways.board.acknowledged["iris"]
    assert await late.ask("iris") == "old"
    assert old.endpoint in gateways.reachable("iris")
    wire.go_on()
    await until(lambda: gateways.board.acknowledged["iris"].get("iris/2") == frozenset({new.endpoint}))
    await until(lambda: old.endpoint not in gateways.reachable("iris"))
    await until(lambda: set(gateways.board.acknowledged["iris"]) == {"iris/2"})


# mutual TLS

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


@needs_openssl
async def test_gateway_with_a_certificate_is_configured_over_tcp(tmp_path: Path) -> None:
    board, settings = Board(), GatewaySettings(port=free_port(), concurrency=1)
    operator, envoy = (tls_files(tmp_path, "authority", name) for name in ("operator", "envoy"))
    address = TlsAddress(host="127.0.0.1", port=free_port(), tls=operator)
    node = GatewayNode("secured", tmp_path, settings, address, tls=envoy)
    async with Upstream("a", tmp_path / "a.sock").serving() as upstream:
        board.routes["iris"] = route_to("iris", [upstream.endpoint])
        async with AdsGateway(board, address, settings, SystemClock()).serving():
            node.start()
            try:
                await until(lambda: board.acknowledged_of("iris") == frozenset({upstream.endpoint}))
                await node.answers("iris", "a")
            finally:
                node.kill()


@needs_openssl
async def test_gateway_without_a_certificate_of_the_authority_is_refused(tmp_path: Path) -> None:
    operator, stranger = (
        tls_files(tmp_path, "authority", "operator"),
        tls_files(tmp_path, "other", "stranger"),
    )
    address = TlsAddress(host="127.0.0.1", port=free_port(), tls=operator)
    ads = AdsGateway(Board(), address, GatewaySettings(), SystemClock())
    async with ads.serving():
        assert await code_of(address, None) is grpc.StatusCode.UNAVAILABLE
        assert await code_of(address, stranger) is grpc.StatusCode.UNAVAILABLE
        assert await code_of(address, operator) is grpc.StatusCode.OK
        assert await code_of(address, operator, plain=True) is grpc.StatusCode.UNAVAILABLE
    assert ads.streams == 0


@needs_openssl
async def test_certificate_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    files = replace(tls_files(tmp_path, "authority", "operator"), key=tmp_path / "missing.key")
    address = TlsAddress(host="127.0.0.1", port=free_port(), tls=files)
    with pytest.raises(TlsUnusable, match=r"missing\.key"):
        async with AdsGateway(Board(), address, GatewaySettings(), SystemClock()).serving():
            pass


async def code_of(address: TlsAddress, files: TlsFiles | None, *, plain: bool = False) -> grpc.StatusCode:
    """Return how a stream ends that shows this certificate and sends nothing."""
    rpc: Any = grpc  # its stubs leave the generics open
    authority = address.tls.authority.read_bytes()
    pair = (files.key.read_bytes(), files.certificate.read_bytes()) if files else (None, None)
    credentials = rpc.ssl_channel_credentials(authority, *pair)
    to = f"{address.host}:{address.port}"
    channel = rpc.aio.insecure_channel(to) if plain else rpc.aio.secure_channel(to, credentials)
    async with channel:
        method = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
        call = channel.stream_stream(method)(iter(()))
        try:
            async for _ in call:
                pass
        except grpc.aio.AioRpcError as error:
            return error.code()
        return await call.code()

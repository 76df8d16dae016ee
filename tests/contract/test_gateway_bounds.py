"""The gateway's own bounds with the real Envoy: connections, bodies, hosts and origins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import httpx
import pytest
import pytest_asyncio

from gyrus.contract.problem import MEDIA_TYPE
from gyrus.routing.settings import MIB, ConnectionLimits, GatewaySettings
from gyrus.spec.cors import Cors
from support.upstreams import Stage, Upstream, free_port, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONNECTIONS = ConnectionLimits(most=100, idle=60.0, shortest_idle=0.5)
SHOP = "https://www.shop.example"
CORS = Cors.model_validate({"origins": ["https://*.shop.example"], "credentials": True, "max_age": "1m"})
PREFLIGHT = {"origin": SHOP, "access-control-request-method": "POST"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Stage]:
    settings = GatewaySettings(
        port=free_port(), concurrency=1, connections=CONNECTIONS, bodies=48 * MIB, hosts=("models.example",)
    )
    async with Stage(tmp_path_factory.mktemp("home"), settings).running() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def echo(stage: Stage) -> AsyncGenerator[Upstream]:
    async with stage.upstream("echo").serving() as upstream:
        await stage.route("iris", upstream)
        await stage.route("shop", upstream, cors=CORS)
        await stage.route("any", upstream, cors=Cors(origins=("*",)))
        await stage.route("asleep", cors=CORS)
        yield upstream


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(stage: Stage, echo: Upstream) -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=10, base_url=stage.url) as client:
        yield client


# hosts and origins


@pytest.mark.parametrize("host", ["evil.example", "127.evil.example", "localhost.evil.example:80"])
async def test_another_host_is_refused(client: httpx.AsyncClient, echo: Upstream, host: str) -> None:
    before = len(echo.requests)
    answered = await client.post("/any", headers={"host": host})
    assert answered.status_code == 421
    assert answered.headers["content-type"] == MEDIA_TYPE
    assert host in answered.json()["detail"]
    assert "gyrus up --host" in answered.json()["detail"]
    assert len(echo.requests) == before


@pytest.mark.parametrize("host", ["localhost", "iris.localhost:1", "[::1]:8080", "models.example"])
async def test_own_hosts_are_answered(client: httpx.AsyncClient, host: str) -> None:
    assert (await client.get("/iris", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": SHOP},
        {"origin": "null"},
        {"origin": "http://localhost:1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": SHOP, "connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13"},
    ],
)
async def test_a_page_of_another_origin_needs_a_policy(
    client: httpx.AsyncClient, echo: Upstream, headers: dict[str, str]
) -> None:
    before = len(echo.requests)
    for method in ("GET", "POST", "OPTIONS"):
        answered = await client.request(method, "/iris", headers=headers)
        assert answered.status_code == 403
        assert answered.headers["content-type"] == MEDIA_TYPE
        assert "API iris" in answered.json()["detail"]
        assert "networking.cors" in answered.json()["detail"]
    assert len(echo.requests) == before


async def test_the_gateways_own_pages_need_none(client: httpx.AsyncClient, stage: Stage) -> None:
    for headers in (
        {"origin": f"http://localhost:{stage.settings.port}"},
        {"origin": "http://localhost:9000", "sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "same-origin"},
        {},
    ):
        assert (await client.post("/iris", headers=headers)).status_code == 200


@pytest.mark.parametrize("api", ["shop", "asleep"])
async def test_preflights_are_answered_without_a_replica(client: httpx.AsyncClient, api: str) -> None:
    answered = await client.options(f"/{api}", headers=PREFLIGHT)
    assert answered.status_code == 200
    assert answered.headers["access-control-allow-origin"] == SHOP
    assert answered.headers["access-control-allow-methods"] == "GET, HEAD, POST"
    assert "content-type" in answered.headers["access-control-allow-headers"]
    assert answered.headers["access-control-allow-credentials"] == "true"
    assert answered.headers["access-control-max-age"] == "60"


@pytest.mark.parametrize(("api", "status"), [("shop", 200), ("asleep", 503)])
async def test_answers_and_the_gateways_errors_have_cors_headers(
    client: httpx.AsyncClient, api: str, status: int
) -> None:
    answered = await client.post(f"/{api}", headers={"origin": SHOP})
    assert answered.status_code == status
    assert answered.headers["access-control-allow-origin"] == SHOP
    assert "retry-after" in answered.headers["access-control-expose-headers"]


@pytest.mark.parametrize("origin", ["https://shop.example", "https://evilshop.example", "null"])
async def test_a_policy_allows_its_origins_alone(client: httpx.AsyncClient, origin: str) -> None:
    for method in ("POST", "OPTIONS"):
        answered = await client.request(method, "/shop", headers=PREFLIGHT | {"origin": origin})
        assert answered.status_code == 403
    assert (await client.post("/any", headers={"origin": origin})).status_code == 200


async def test_a_change_of_the_policy_applies_to_a_running_api(
    stage: Stage, client: httpx.AsyncClient, echo: Upstream
) -> None:
    await stage.route("later", echo)
    assert (await client.post("/later", headers={"origin": SHOP})).status_code == 403
    stage.put_route("later", echo, cors=CORS)
    async with asyncio.timeout(10):
        while (await client.post("/later", headers={"origin": SHOP})).status_code != 200:
            pass


async def test_a_client_cannot_choose_the_gateways_retries(client: httpx.AsyncClient) -> None:
    sent = {"x-envoy-max-retries": "9", "x-envoy-retry-on": "5xx", "x-gyrus-counted": "1", "x-other": "1"}
    seen = (await client.post("/iris", headers=sent)).json()["headers"]
    assert {name for name in seen if name.startswith("x-envoy-")} == set()
    assert "x-gyrus-counted" not in seen
    assert seen["x-other"] == "1"


# bodies


async def test_a_long_body_is_served_and_logged_once(
    stage: Stage, client: httpx.AsyncClient, echo: Upstream
) -> None:
    answered = await client.post(
        "/shop/sub?q", content=b"x" * (2 * MIB), headers={"x-request-id": "long", "origin": SHOP}
    )
    seen = answered.json()
    assert (seen["length"], seen["target"]) == (2 * MIB, "/sub?q")
    assert seen["headers"]["x-request-id"] == answered.headers["x-request-id"] == "long"
    assert "x-gyrus-counted" not in seen["headers"]
    assert seen["headers"]["x-forwarded-for"].count(",") == 0, "one pass adds the client"
    assert answered.headers["access-control-allow-origin"] == SHOP
    line = await stage.logged("long")
    assert (line["api"], line["code"]) == ("shop", 200)


async def test_a_body_of_unknown_length_is_served(client: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncGenerator[bytes]:
        for _ in range(4):
            yield b"x" * 1000

    assert (await client.post("/iris", content=pieces())).json()["length"] == 4000


async def unfinished(stage: Stage, length: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.settings.port)
    writer.write(b"POST /iris HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\nxxx" % length)
    return reader, writer


async def test_long_bodies_are_refused_at_the_bound_and_short_ones_never(
    stage: Stage, client: httpx.AsyncClient
) -> None:
    most = stage.settings.tiers[0].most
    held = [await unfinished(stage, 2 * MIB) for _ in range(most)]
    try:
        await until(lambda: stage.board.gateway_load.bodies["large"].used == most)
        answered = await client.post("/iris", content=b"x" * 2 * MIB)
        assert answered.status_code == 503
        assert answered.headers["retry-after"] == "1"
        assert answered.json()["type"] == "urn:gyrus:problem:bodies-full"
        assert (await client.post("/iris", content=b"x" * 50_000)).status_code == 200
        assert (await client.post("/iris", content=b"x" * 500_000)).status_code == 200, "another tier"
        await until(lambda: (limit := stage.board.gateway_limit) is not None and limit.refusing)
        for reader, writer in held:
            writer.write(b"x" * (2 * MIB - 3))
            assert (await reader.readline()).startswith(b"HTTP/1.1 200"), "it was in progress"
    finally:
        for _, writer in held:
            writer.close()
    await until(lambda: not stage.board.gateway_load.bodies["large"].used)
    assert (await client.post("/iris", content=b"x" * 2 * MIB)).status_code == 200


# connections


async def test_idle_connections_give_way_to_new_ones(stage: Stage, echo: Upstream) -> None:
    most = stage.settings.connections.most
    opened = [await asyncio.open_connection("127.0.0.1", stage.settings.port) for _ in range(most + 20)]
    try:
        await until(lambda: stage.board.gateway_load.connections.refused > 0)
        await until(lambda: (limit := stage.board.gateway_limit) is not None and limit.refusing)
        await until(lambda: stage.board.gateway_load.connections.used < most * 0.6)
        async with httpx.AsyncClient(timeout=10) as fresh:
            for _ in range(20):
                assert (await fresh.post(f"{stage.url}/iris")).status_code == 200
        assert len(echo.requests) >= 20
    finally:
        for _, writer in opened:
            writer.close()
    await until(lambda: stage.board.gateway_load.connections.used < 5)


async def test_a_long_body_counts_as_one_connection(stage: Stage) -> None:
    async with httpx.AsyncClient(timeout=10) as one:
        assert (await one.post(f"{stage.url}/iris", content=b"x" * 2 * MIB)).status_code == 200
    assert (await stage.gateway.envoy.admin.request("GET", "/ready")).startswith(b"LIVE")

"""Retries with the real Envoy: their two budgets, and answers that requeue a request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace

import httpx
import pytest
import pytest_asyncio

from gyrus.contract import problem
from gyrus.contract.replica import LAST_TRY, PLATFORM_REQUEUE_HEADER, POOL_HEADER, RETRIED_HEADER
from gyrus.routing.settings import GatewaySettings
from gyrus.state.board import Route
from support.routes import route_to
from support.upstreams import Request, Stage, answer, free_port, until, wanted

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "of-this-platform"
MANY = 20
"""More requeues than retries of what may have begun."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Stage]:
    settings = GatewaySettings(port=free_port(), concurrency=1, requeue_secret=SECRET)
    async with Stage(tmp_path_factory.mktemp("home"), settings).running() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client() -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=30) as client:
        yield client


async def hang_up(request: Request, writer: asyncio.StreamWriter) -> None:
    del request
    writer.transport.abort()


@dataclass
class Requeues:
    """Requeue the first requests, and answer the others."""

    number: int
    header: tuple[str, str] = ("x-gyrus-requeue", "1")
    seen: int = 0
    headers: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        self.seen += 1
        self.headers.append(request.headers)
        if self.seen <= self.number:
            name, value = self.header
            writer.write(answer(503, b"requeued", **{name: value}))
        else:
            writer.write(answer(200, b"done"))


async def settled(stage: Stage, route: Route) -> str:
    """Want this route, and wait until the gateway has it and nothing else."""
    stage.board.routes[route.api] = route
    stage.board.route_signals.notify(route.api)
    expected = wanted(route)
    await until(lambda: stage.board.acknowledged.get(route.api, {}).items() >= expected.items())
    return stage.url + route.path


def without_runtime(route: Route) -> Route:
    """A route to servers without the runtime in front."""
    shares = tuple(replace(share, pool=replace(share.pool, runtime_answers=False)) for share in route.shares)
    return replace(route, shares=shares)


@pytest.mark.parametrize(
    ("method", "idempotent", "runs"), [("GET", False, 3), ("POST", True, 3), ("POST", False, 1)]
)
async def test_what_may_have_begun_is_sent_again_twice_at_most(
    stage: Stage, client: httpx.AsyncClient, method: str, idempotent: bool, runs: int
) -> None:
    async with stage.upstream("hangs-up", hang_up).serving() as upstream:
        route = without_runtime(route_to("hangs-up", [upstream.endpoint], idempotent=idempotent))
        url = await settled(stage, route)
        refused = await client.request(method, url, content=b"x" * 1000 if method == "POST" else None)
        assert len(upstream.requests) == runs
        assert (refused.status_code, refused.json()["type"]) == (502, problem.UPSTREAM_FAILED.type)
        assert "API hangs-up" in refused.json()["detail"]
        assert not [name for name in refused.headers if name.startswith("x-gyrus")]
        await stage.forget("hangs-up")


@pytest.mark.parametrize("requeued", [0, 1])
async def test_last_try_follows_all_tries_that_may_have_begun(
    stage: Stage, client: httpx.AsyncClient, requeued: int
) -> None:
    """A requeue of the first try uses one of the three up, and never the last try."""
    requeues = Requeues(requeued)

    async def judge(request: Request, writer: asyncio.StreamWriter) -> None:
        if requeues.seen < requeued:
            await requeues(request, writer)
        elif request.headers.get(RETRIED_HEADER) == LAST_TRY:
            writer.write(answer(502, b"judged"))
        else:
            await hang_up(request, writer)

    async with stage.upstream("judged", judge).serving() as upstream:
        url = await settled(stage, route_to("judged", [upstream.endpoint]))
        judged = await client.get(url)
        assert (judged.status_code, judged.content) == (502, b"judged")
        tries = [request.headers.get(RETRIED_HEADER) for request in upstream.requests]
        assert tries == [None, "1", "1", LAST_TRY]
        await stage.forget("judged")


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_requeues_have_a_budget_of_their_own(
    stage: Stage, client: httpx.AsyncClient, method: str
) -> None:
    requeues = Requeues(MANY)
    async with stage.upstream("requeues", requeues).serving() as upstream:
        url = await settled(stage, route_to("requeues", [upstream.endpoint], idempotent=True))
        body = b"x" * 300_000 if method == "POST" else b""
        answered = await client.request(method, url, content=body)
        assert (answered.status_code, answered.content) == (200, b"done")
        assert len(upstream.requests) == MANY + 1
        assert {len(request.body) for request in upstream.requests} == {len(body)}
        assert len({headers["x-gyrus-arrived"] for headers in requeues.headers}) == 1
        assert {headers[POOL_HEADER] for headers in requeues.headers} == {"requeues/1"}
        assert [RETRIED_HEADER in headers for headers in requeues.headers] == [False] + [True] * MANY
        await stage.forget("requeues")


async def test_requeues_do_not_renew_the_budget_of_what_may_have_begun(
    stage: Stage, client: httpx.AsyncClient
) -> None:
    """Each run that hangs up is followed by many requeues."""

    async def requeue_or_hang_up(request: Request, writer: asyncio.StreamWriter) -> None:
        nonlocal runs
        if request.headers.get(RETRIED_HEADER) == LAST_TRY:
            writer.write(answer(502, b"judged"))
        elif len(upstream.requests) % 6 == 1:
            runs += 1
            await hang_up(request, writer)
        else:
            writer.write(answer(503, b"requeued", x_gyrus_requeue="1"))

    runs = 0
    async with stage.upstream("both", requeue_or_hang_up).serving() as upstream:
        url = await settled(stage, route_to("both", [upstream.endpoint]))
        assert (await client.get(url)).status_code == 502
        assert runs == 3
        await stage.forget("both")


async def test_request_that_hangs_up_once_is_answered_by_the_next_replica(
    stage: Stage, client: httpx.AsyncClient
) -> None:
    async with (
        stage.upstream("good").serving() as good,
        stage.upstream("bad", hang_up).serving() as bad,
    ):
        url = await settled(stage, without_runtime(route_to("mixed", [good.endpoint, bad.endpoint])))
        for _ in range(20):
            answered = await client.get(url + "/deep?q=1")
            assert answered.status_code == 200
            assert answered.json()["target"] == "/deep?q=1"
        await stage.forget("mixed")


@pytest.mark.parametrize("name", ["x-gyrus-requeue", "X-Gyrus-Requeue", "X-GYRUS-REQUEUE", "x-gyrus-broken"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_server_without_the_runtime_cannot_requeue(
    stage: Stage, client: httpx.AsyncClient, name: str, method: str
) -> None:
    async with stage.upstream("claims", Requeues(1000, header=(name, "1"))).serving() as upstream:
        url = await settled(stage, without_runtime(route_to("claims", [upstream.endpoint], idempotent=True)))
        answered = await client.request(method, url)
        assert (answered.status_code, answered.content) == (503, b"requeued")
        assert len(upstream.requests) == 1
        assert not [header for header in answered.headers if header.startswith("x-gyrus")]
        await stage.forget("claims")


async def test_server_cannot_guess_the_platform_s_secret(stage: Stage, client: httpx.AsyncClient) -> None:
    claims = Requeues(1000, header=(PLATFORM_REQUEUE_HEADER, "1"))
    async with stage.upstream("guesses", claims).serving() as upstream:
        url = await settled(stage, without_runtime(route_to("guesses", [upstream.endpoint])))
        answered = await client.get(url)
        assert (answered.status_code, len(upstream.requests)) == (503, 1)
        assert PLATFORM_REQUEUE_HEADER not in answered.headers
        await stage.forget("guesses")


async def test_the_platform_itself_requeues_in_every_pool(stage: Stage, client: httpx.AsyncClient) -> None:
    releases = Requeues(1, header=(PLATFORM_REQUEUE_HEADER, SECRET))
    async with stage.upstream("released", releases).serving() as upstream:
        url = await settled(stage, without_runtime(route_to("released", [upstream.endpoint])))
        answered = await client.post(url, content=b"x")
        assert (answered.status_code, len(upstream.requests)) == (200, 2)
        assert PLATFORM_REQUEUE_HEADER not in answered.headers
        await stage.forget("released")


async def test_log_names_the_pool_of_a_request_that_was_sent_again(
    stage: Stage, client: httpx.AsyncClient
) -> None:
    async with stage.upstream("again", Requeues(2)).serving() as upstream:
        url = await settled(stage, route_to("again", [upstream.endpoint]))
        await client.get(url, headers={"x-request-id": "sent-again"})
        assert (await stage.logged("sent-again"))["pool"] == "again/1"
        await stage.forget("again")


async def test_counts_are_of_pools_only(stage: Stage, client: httpx.AsyncClient) -> None:
    async with stage.upstream("counted", Requeues(3)).serving() as upstream:
        url = await settled(stage, route_to("counted", [upstream.endpoint]))
        await client.get(url)
        boards = (stage.board.acknowledged, stage.board.reachable, stage.board.traffic)
        assert not [api for board in boards for api in board if "." in api]
        await stage.forget("counted")

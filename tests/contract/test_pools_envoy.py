"""Pools with the real Envoy: their shares, their counts, and that nothing is lost when one of them goes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from gyrus.state.board import Pool, Route, Traffic, WeightedPool
from support.http2_upstream import Http2Upstream
from support.load import Load
from support.routes import pools_of, route_to
from support.upstreams import Request, Stage, Upstream, answer, until, wanted

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Stage]:
    async with Stage(tmp_path_factory.mktemp("home")).running() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client() -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=10) as client:
        yield client


def put(stage: Stage, route: Route) -> str:
    """Want this route; returns its URL."""
    stage.board.routes[route.api] = route
    stage.board.route_signals.notify(route.api)
    return stage.url + route.path


async def settled(stage: Stage, route: Route) -> str:
    """Want this route, and wait until the gateway has it and nothing else."""
    url = put(stage, route)
    expected = wanted(route)
    await until(lambda: stage.board.acknowledged.get(route.api, {}).items() >= expected.items())
    return url


def two(api: str, old: Upstream, new: Upstream, weights: tuple[int, int]) -> Route:
    return replace(route_to(api), shares=pools_of(api, [old.endpoint], [new.endpoint], weights=weights))


class HoldsAndRequeues:
    """Keep each request until the test asks for it."""

    def __init__(self) -> None:
        self.returns = asyncio.Event()

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        del request
        await self.returns.wait()
        writer.write(answer(503, b"", x_gyrus_requeue="1"))


async def test_new_requests_are_shared_by_weight_and_counted_by_pool(
    stage: Stage, client: httpx.AsyncClient
) -> None:
    def traffic() -> Traffic:
        return stage.board.traffic.get("shared", Traffic())

    async with stage.upstream("heavy").serving() as heavy, stage.upstream("light").serving() as light:
        url = await settled(stage, two("shared", heavy, light, (7500, 2500)))
        seen = Counter([(await client.post(url, content=b"x")).json()["upstream"] for _ in range(400)])
        assert seen.total() == 400
        assert 250 < seen["heavy"] < 350, "300 on average; 50 is more than five deviations"
        await until(lambda: traffic().view.requests == 400)
        assert {name: pool.view.requests for name, pool in traffic().pools.items()} == {
            "shared/1": seen["heavy"],
            "shared/2": seen["light"],
        }
        await until(lambda: all(pool.view.p50 is not None for pool in traffic().pools.values()))
        await stage.forget("shared")


async def test_request_goes_to_the_pool_that_its_route_chose_and_is_logged_with_it(
    stage: Stage, client: httpx.AsyncClient
) -> None:
    async with stage.upstream("first").serving() as first, stage.upstream("second").serving() as second:
        url = await settled(stage, two("logged", first, second, (0, 10_000)))
        answered = await client.get(url, headers={"x-request-id": "to-the-second"})
        assert answered.json()["upstream"] == "second"
        line = await stage.logged("to-the-second")
        assert (line["api"], line["pool"]) == ("logged", "logged/2")
        await stage.forget("logged")


async def test_what_the_last_replica_of_a_pool_requeues_is_answered_by_the_next_pool(
    stage: Stage, client: httpx.AsyncClient
) -> None:
    leaving = HoldsAndRequeues()
    async with stage.upstream("leaving", leaving).serving() as old, stage.upstream("next").serving() as new:
        url = await settled(stage, route_to("handed", [old.endpoint]))
        asked = [asyncio.create_task(client.post(url, content=b"x")) for _ in range(20)]
        await until(lambda: len(old.requests) == 20)
        emptied = Pool(api="handed", generation=1, revision=1, fallback=frozenset({new.endpoint}))
        target = Pool(api="handed", generation=2, revision=2, replicas=frozenset({new.endpoint}))
        shares = (WeightedPool(pool=target), WeightedPool(pool=emptied, weight=0))
        await settled(stage, replace(route_to("handed"), shares=shares))
        await until(lambda: stage.board.reachable_of("handed") == frozenset({new.endpoint}))
        leaving.returns.set()
        answers = await asyncio.gather(*asked)
        assert Counter(one.json()["upstream"] for one in answers) == {"next": 20}
        await stage.forget("handed")


async def test_what_is_requeued_in_a_pool_that_left_its_route_is_answered(
    stage: Stage, client: httpx.AsyncClient
) -> None:
    """Requests in flight keep its cluster, for longer than one lingers that is quiet."""
    leaving = HoldsAndRequeues()
    async with stage.upstream("gone", leaving).serving() as old, stage.upstream("here").serving() as new:
        url = await settled(stage, route_to("left", [old.endpoint]))
        asked = [asyncio.create_task(client.post(url, content=b"x")) for _ in range(20)]
        await until(lambda: stage.board.traffic.get("left", Traffic()).in_flight == 20)
        await settled(stage, route_to("quiet", [old.endpoint]))
        await settled(stage, route_to("left", [new.endpoint], generation=2))
        await until(lambda: stage.board.reachable_of("left") == frozenset({new.endpoint}))
        await stage.forget("quiet")
        await until(lambda: "quiet" not in stage.board.reachable)
        assert stage.board.reachable["left"].keys() == {"left/1", "left/2"}
        leaving.returns.set()
        assert Counter([(await one).json()["upstream"] for one in asked]) == {"here": 20}
        await until(lambda: set(stage.board.reachable["left"]) == {"left/2"})
        await stage.forget("left")


def handed_over(api: str, old: Pool, new: Pool) -> Route:
    """The last replica of the old pool has left."""
    shares = (WeightedPool(pool=new), WeightedPool(pool=old, weight=0))
    return replace(route_to(api), shares=shares)


async def test_what_is_requeued_reaches_replicas_of_the_other_protocol(
    stage: Stage, client: httpx.AsyncClient
) -> None:
    """First through the old pool of the route, then through a leftover."""
    bridge = frozenset({stage.board.bridge or ""})
    leaving = HoldsAndRequeues()
    next_one = Http2Upstream("next", stage.home.run / "h2.sock")
    async with stage.upstream("http1", leaving).serving() as old, next_one.serving() as new:
        before = Pool(api="spoken", generation=1, revision=1, replicas=frozenset({old.endpoint}))
        after = Pool(
            api="spoken",
            generation=2,
            revision=2,
            protocol="http2",
            replicas=frozenset({new.endpoint}),
        )
        url = await settled(stage, replace(route_to("spoken"), shares=(WeightedPool(pool=before),)))
        asked = [asyncio.create_task(client.post(f"{url}/deep?a=b", content=b"xyz")) for _ in range(40)]
        await until(lambda: len(old.requests) == 40)
        await settled(stage, handed_over("spoken", before, after))
        emptied = replace(before, replicas=frozenset(), fallback=bridge)
        await settled(stage, handed_over("spoken", emptied, after))
        leaving.returns.set()
        answers = await asyncio.gather(*asked)
        assert Counter(one.status_code for one in answers) == {200: 40}
        seen = [one.json() for one in answers]
        assert {(one["upstream"], one["target"], one["length"]) for one in seen} == {("next", "/deep?a=b", 3)}
        arrived = {one["headers"]["x-gyrus-arrived"] for one in seen}
        assert arrived == {request.headers["x-gyrus-arrived"] for request in old.requests}
        ids = [one.headers["x-request-id"] for one in answers]
        assert ids == [one["headers"]["x-request-id"] for one in seen]
        leaving.returns.clear()
        await settled(stage, replace(route_to("spoken"), shares=(WeightedPool(pool=before),)))
        asked = [asyncio.create_task(client.post(url, content=b"x")) for _ in range(20)]
        await until(lambda: len(old.requests) == 60)
        await settled(stage, replace(route_to("spoken"), shares=(WeightedPool(pool=after),)))
        await until(lambda: stage.board.reachable["spoken"].get("spoken/1") == bridge)
        leaving.returns.set()
        answers = await asyncio.gather(*asked)
        assert Counter(one.status_code for one in answers) == {200: 20}
        await stage.forget("spoken")


async def test_requests_of_http2_reach_replicas_of_http1(stage: Stage) -> None:
    async with stage.upstream("one").serving() as one:
        old = Pool(
            api="back",
            generation=1,
            revision=1,
            protocol="http2",
            fallback=frozenset({stage.board.bridge or ""}),
        )
        new = Pool(api="back", generation=2, revision=2, replicas=frozenset({one.endpoint}))
        shares = (WeightedPool(pool=new, weight=1), WeightedPool(pool=old, weight=9_999))
        url = await settled(stage, replace(route_to("back"), shares=shares))
        async with httpx.AsyncClient(http1=False, http2=True) as client:
            answers = [await client.post(url, content=b"x") for _ in range(10)]
        assert {(one.status_code, one.json()["upstream"]) for one in answers} == {(200, "one")}
        await stage.forget("back")


async def test_request_that_finds_no_way_over_the_bridge_waits_for_one(stage: Stage) -> None:
    """Two pools that lead to each other: no request goes round between them without a pause."""
    async with stage.upstream("found").serving() as one, httpx.AsyncClient() as client:
        lost = Pool(api="lost", generation=1, revision=1, fallback=frozenset({stage.board.bridge or ""}))
        url = await settled(stage, replace(route_to("lost"), shares=(WeightedPool(pool=lost),)))
        asked = asyncio.create_task(client.post(url, content=b"x"))
        admin, counter = (
            stage.gateway.envoy.admin,
            "/stats?filter=^cluster.lost/1.upstream_rq_retry$&usedonly",
        )
        while b": " not in await admin.request("GET", counter):  # noqa: ASYNC110 (Envoy sets no event of ours)
            await asyncio.sleep(0.01)
        await settled(
            stage,
            replace(
                route_to("lost", [one.endpoint]),
                shares=(
                    WeightedPool(
                        pool=replace(lost, replicas=frozenset({one.endpoint}), fallback=frozenset())
                    ),
                ),
            ),
        )
        assert (await asked).json()["upstream"] == "found"
        await stage.forget("lost")


async def test_pools_that_come_and_go_under_load_fail_nothing(stage: Stage) -> None:
    async with stage.upstream("even").serving() as even, stage.upstream("odd").serving() as odd:
        pair = even, odd
        url = await settled(stage, route_to("rolling", [even.endpoint]))
        async with Load(url, 300) as load:
            for generation in range(2, 12):
                before, after = pair[generation % 2 - 1], pair[generation % 2]
                old = Pool(
                    api="rolling",
                    generation=generation - 1,
                    revision=1,
                    replicas=frozenset({before.endpoint}),
                )
                new = replace(old, generation=generation, replicas=frozenset({after.endpoint}))
                both = (WeightedPool(pool=new, weight=5000), WeightedPool(pool=old, weight=5000))
                await settled(stage, replace(route_to("rolling"), shares=both))
                last = replace(old, replicas=frozenset(), fallback=new.replicas)
                moved = (WeightedPool(pool=new), WeightedPool(pool=last, weight=0))
                await settled(stage, replace(route_to("rolling"), shares=moved))
                await settled(stage, replace(route_to("rolling"), shares=(WeightedPool(pool=new),)))
        assert load.result.failed == (), str(load.result)
        await until(lambda: set(stage.board.reachable["rolling"]) == {"rolling/11"})
        await stage.forget("rolling")


def named_like_its_api(api: str, generation: int) -> str:
    del generation
    return api


async def test_cluster_of_an_earlier_operator_ends_its_requests_and_goes(
    tmp_path: Path, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before there were pools, an API's cluster had the API's name."""
    leaving, first = HoldsAndRequeues(), Stage(tmp_path)
    async with first.upstream("a", leaving).serving() as old, first.upstream("b").serving() as new:
        with monkeypatch.context() as patched:
            patched.setattr("gyrus.state.board.pool_id", named_like_its_api)
            async with first.operating():
                url = await settled(first, route_to("iris", [old.endpoint]))
                asked = [asyncio.create_task(client.post(url, content=b"x")) for _ in range(10)]
                await until(lambda: len(old.requests) == 10)
        second = first.restarted()
        second.board.routes["iris"] = route_to("iris", [new.endpoint])
        try:
            await second.gateway.adopt()
            assert second.board.reachable["iris"] == {"iris": {old.endpoint}}
            async with second.operating():
                await until(lambda: second.board.reachable_of("iris") == frozenset({new.endpoint}))
                assert second.board.reachable["iris"].keys() == {"iris", "iris/1"}
                leaving.returns.set()
                assert Counter([(await one).json()["upstream"] for one in asked]) == {"b": 10}
                await until(lambda: set(second.board.reachable["iris"]) == {"iris/1"})
        finally:
            await second.gateway.stop()

"""The gate with the real Envoy, in front of small real servers."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import websockets.asyncio.client
import websockets.asyncio.server

from gyrus.aio.clock import SystemClock
from gyrus.contract.problem import MEDIA_TYPE
from gyrus.contract.replica import ARRIVED_HEADER, HandlerConfig, Limits, Phase
from gyrus.gate.activator import Activator
from gyrus.gate.rebalancer import Rebalancer
from gyrus.gate.replicas import Replicas as Processes
from gyrus.gate.replicas import count_in_flight
from gyrus.state.board import Board, QueuePolicy
from support.replicas import Replicas
from support.upstreams import Stage, Upstream, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB = 1024 * 1024


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Stage]:
    async with Stage(tmp_path_factory.mktemp("home")).running() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def activator(stage: Stage) -> AsyncGenerator[Activator]:
    async with Activator(stage.board, stage.home.activator_socket, SystemClock()).serving() as serving:
        yield serving


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client() -> AsyncGenerator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=30, limits=limits) as client:
        yield client


class Api:
    """One API's route, as control would write it."""

    def __init__(self, stage: Stage, activator: Activator, name: str, **changes: Any) -> None:
        self.stage, self.activator, self.name = stage, activator, name
        self.queueing: dict[str, Any] = {
            "slots": 1, "longest_queue": 100, "processes": 1, "replicas": 1, "hold": 20.0, "generation": 1,
            **changes,
        }  # fmt: skip
        self.timeout = 20.0

    @property
    def held(self) -> int:
        return self.stage.board.held.get(self.name, 0)

    async def route(self, *upstreams: Upstream | str) -> str:
        """To these, or to the activator where there are none."""
        return await self.stage.route(
            self.name,
            *(upstreams or (self.activator.endpoint,)),
            timeout=self.timeout,
            activator=self.activator.endpoint,
            queueing=QueuePolicy(**self.queueing),
        )

    def gone(self) -> None:
        self.stage.remove_route(self.name)


async def test_request_to_a_cold_api_is_held_and_answered(
    stage: Stage, activator: Activator, client: httpx.AsyncClient
) -> None:
    api = Api(stage, activator, "cold")
    url = await api.route()
    with stage.board.demand_signals.listen() as demand:
        asked = asyncio.create_task(client.post(url, content=b"x" * 1000))
        assert await demand.wait() == {"cold"}
    await until(lambda: api.held == 1)
    async with stage.upstream("cold-1").serving() as upstream:
        await api.route(upstream)
        answered = await asked
    assert answered.status_code == 200
    assert answered.json()["length"] == 1000
    assert "cold" not in stage.board.held


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [0, 1000, 100_000, 10 * MIB, 20 * MIB])
async def test_bodies_of_all_sizes_arrive_whole(
    stage: Stage, activator: Activator, client: httpx.AsyncClient, size: int, chunked: bool
) -> None:
    api = Api(stage, activator, "bodies")
    url = await api.route()

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, size, 65536):
            yield b"x" * min(65536, size - start)

    asked = asyncio.create_task(client.post(url, content=pieces() if chunked else b"x" * size))
    await until(lambda: api.held == 1)
    async with stage.upstream("bodies-1").serving() as upstream:
        await api.route(upstream)
        answered = await asked
        assert answered.status_code == 200
        assert answered.json()["length"] == size
        assert len(upstream.requests) == 1


async def test_requests_are_released_in_order_of_arrival(
    stage: Stage, activator: Activator, client: httpx.AsyncClient
) -> None:
    api = Api(stage, activator, "order")
    url = await api.route()
    asked: list[asyncio.Task[httpx.Response]] = []
    for number in range(60):
        asked.append(asyncio.create_task(client.get(f"{url}/{number}")))
        await until(lambda number=number: api.held == number + 1)
        await asyncio.sleep(0.002)  # arrivals are sent in milliseconds
    async with stage.upstream("order-1").serving() as upstream:
        await api.route(upstream)
        answers = await asyncio.gather(*asked)
        assert {each.status_code for each in answers} == {200}
        came = [int(each.target[1:]) for each in upstream.requests]
        arrived = [
            float(each.headers[ARRIVED_HEADER])
            for each in sorted(upstream.requests, key=lambda r: int(r.target[1:]))
        ]
    assert arrived == sorted(arrived)
    assert max(abs(place - number) for place, number in enumerate(came)) <= 20


async def test_none_fails_when_replicas_come_and_go(
    stage: Stage, activator: Activator, client: httpx.AsyncClient
) -> None:
    api = Api(stage, activator, "flap", longest_queue=1000)
    url = await api.route()
    codes: list[int] = []

    async def ask(until_: asyncio.Event) -> None:
        while not until_.is_set():
            codes.append((await client.post(url, content=b"x")).status_code)

    over = asyncio.Event()
    async with stage.upstream("flap-1").serving() as upstream, asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(ask(over))
        for _ in range(20):
            await api.route(upstream)
            answered = len(codes)
            await until(lambda answered=answered: len(codes) > answered + 20)
            await api.route()
            await until(lambda: api.held > 0)
        await api.route(upstream)
        over.set()
    assert set(codes) == {200}
    assert len(codes) > 100


FRAMINGS = {"content-length": "content-length: {}", "chunked": "transfer-encoding: chunked"}


async def send(stage: Stage, target: str, size: int, framing: str) -> asyncio.StreamWriter:
    _, writer = await asyncio.open_connection("127.0.0.1", stage.settings.port)
    body = b"x" * size
    head = f"POST {target} HTTP/1.1\r\nhost: localhost\r\n{FRAMINGS[framing].format(size)}\r\n\r\n"
    pieces = (b"%x\r\n" % size, body, b"\r\n0\r\n\r\n") if framing == "chunked" and size else (body,)
    writer.write(head.encode() + b"".join(pieces))
    return writer


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("size", [0, 1000, 10 * MIB])
async def test_request_leaves_with_its_client(
    stage: Stage, activator: Activator, size: int, framing: str
) -> None:
    api = Api(stage, activator, "left")
    await api.route()
    writer = await send(stage, "/left", size, framing)
    await until(lambda: api.held == 1)
    writer.transport.abort()
    assert await until(lambda: api.held == 0) < 2
    assert activator.bodies.total == 0


@pytest.mark.parametrize(
    ("changes", "timeout", "status", "kind", "words"),
    [
        ({"hold": 0.2}, 20.0, 503, "no-replica", "max_hold, 0.2 s: waiting for a replica to start"),
        ({"hold": 0.2}, 0.2, 504, "timeout", "timeout of 0.2 s: waiting for a replica to start"),
        (
            {"unavailable_reason": "ImportError: no module."},
            20.0,
            503,
            "no-replica",
            "API refused has no working replica: ImportError: no module. `gyrus describe refused`",
        ),
        (
            {"longest_queue": 0, "slots": 0},
            20.0,
            503,
            "queue-full",
            "0 requests wait for one, which is the limit",
        ),
    ],
)
@pytest.mark.parametrize("size", [0, 1000, 20 * MIB])
async def test_refusals(
    stage: Stage, activator: Activator, client: httpx.AsyncClient,
    changes: dict[str, Any], timeout: float, status: int, kind: str, words: str, size: int,
) -> None:  # fmt: skip
    api = Api(stage, activator, "refused", **changes)
    api.timeout = timeout
    url = await api.route()
    answered = await client.post(url, content=b"x" * size, headers={"x-request-id": "mine"})
    assert answered.status_code == status
    assert answered.headers["content-type"] == MEDIA_TYPE
    assert ("retry-after" in answered.headers) == (status == 503)
    problem = answered.json()
    assert problem["type"] == f"urn:gyrus:problem:{kind}"
    assert words in problem["detail"]
    assert problem["instance"] == "urn:gyrus:request:mine"
    assert api.held == 0


async def test_held_request_of_an_api_that_is_deleted_or_fails_is_answered_at_once(
    stage: Stage, activator: Activator, client: httpx.AsyncClient
) -> None:
    api = Api(stage, activator, "ends")
    url = await api.route()
    asked = asyncio.create_task(client.get(url))
    await until(lambda: api.held == 1)
    api.queueing["unavailable_reason"] = "InitFailure: no model"
    await api.route()
    answered = await asked
    assert answered.status_code == 503
    assert "InitFailure: no model" in answered.json()["detail"]
    api.queueing["unavailable_reason"] = ""
    await api.route()
    asked = asyncio.create_task(client.get(url))
    await until(lambda: api.held == 1)
    api.gone()
    assert (await asked).status_code == 404


async def test_a_head_is_held_like_any_other(
    stage: Stage, activator: Activator, client: httpx.AsyncClient
) -> None:
    api = Api(stage, activator, "head", hold=0.1)
    url = await api.route()
    for _ in range(3):  # over the same connection: an answer with a body would end it
        answered = await client.head(url)
        assert (answered.status_code, answered.content) == (503, b"")


async def test_websocket_to_a_cold_api(stage: Stage, activator: Activator) -> None:
    api = Api(stage, activator, "socket")
    url = await api.route()

    async def echo(connection: websockets.asyncio.server.ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async def ask() -> str | bytes:
        address = url.replace("http", "ws")
        async with websockets.asyncio.client.connect(address, proxy=None) as connection:
            await connection.send("hello")
            return await connection.recv()

    asked = asyncio.create_task(ask())
    await until(lambda: api.held == 1)
    path = stage.home.run / "socket-1.sock"
    async with websockets.asyncio.server.unix_serve(echo, str(path)):
        await api.route(f"unix:{path}")
        assert await asked == "hello"
    assert api.held == 0


async def test_what_is_held_when_the_operator_goes_is_answered_under_the_next_one(
    stage: Stage, client: httpx.AsyncClient
) -> None:
    board = Board()
    board.routes = stage.board.routes
    first = Activator(board, stage.home.run / "other.sock", SystemClock())
    api = Api(stage, first, "handed-over")
    async with first.serving():
        url = await api.route()
        asked = [asyncio.create_task(client.post(url, content=b"x" * MIB)) for _ in range(20)]
        await until(lambda: board.held.get(api.name) == 20)
    assert not board.held
    async with Activator(board, stage.home.run / "other.sock", SystemClock()).serving():
        await until(lambda: board.held.get(api.name) == 20)
        async with stage.upstream("handed-over-1").serving() as upstream:
            await api.route(upstream)
            board.acknowledged = stage.board.acknowledged
            board.acknowledged_signals.notify(api.name)
            answers = await asyncio.gather(*asked)
    assert [each.status_code for each in answers] == [200] * 20


async def test_what_is_held_when_everything_ends_is_refused(stage: Stage, client: httpx.AsyncClient) -> None:
    board = Board()
    board.routes = stage.board.routes
    ending = Activator(board, stage.home.run / "ending.sock", SystemClock())
    api = Api(stage, ending, "ending")
    async with ending.serving():
        url = await api.route()
        asked = asyncio.create_task(client.get(url))
        await until(lambda: board.held.get(api.name) == 1)
        ending.refuse_all()
        for answered in (await asked, await client.get(url)):
            assert answered.status_code == 503
            assert answered.headers["retry-after"] == "1"
            assert "The platform of API ending is shutting down." in answered.json()["detail"]


SLEEPER = """
import asyncio, os

class Handler:
    async def predict(self, payload):
        if isinstance(payload, str):
            while not os.path.exists(payload):
                await asyncio.sleep(0.01)
        else:
            await asyncio.sleep(payload)
        return os.getpid()
"""
"""Its payload is the number of seconds to take, or the path of a file to wait for."""


@pytest.fixture(scope="module")
def replicas(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Generator[list[str]]:
    """Three real ones of one slot each: where they listen."""
    with contextlib.closing(Replicas(tmp_path_factory.mktemp("r"))) as running:
        started = [
            running.launch(
                script=SLEEPER,
                handler=HandlerConfig(path="server.py"),
                limits=Limits(max_concurrency=1, timeout=20),
                backlog_socket=str(stage.home.backlog_socket),
            )
            for _ in range(3)
        ]
        yield [each.until_phase(Phase.READY).endpoints[0] for each in started]


@contextlib.asynccontextmanager
async def rebalancing(stage: Stage) -> AsyncGenerator[None]:
    task = asyncio.create_task(Rebalancer(stage.board, stage.home.backlog_socket, SystemClock()).run())
    await until(stage.home.backlog_socket.exists)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until_busy(number: int, replicas: list[str]) -> None:
    """Wait until these work on so many requests, and none waits."""
    await _until_load((number, 0), replicas)


async def until_waiting(number: int, replicas: list[str]) -> None:
    """Wait until each of these works on one request, and so many wait."""
    await _until_load((len(replicas), number), replicas)


async def _until_load(wanted: tuple[int, int], replicas: list[str]) -> None:
    asking = Processes()
    try:
        async with asyncio.timeout(10):
            while True:
                loads = (await asking.loads(replicas)).values()
                found = sum(load.busy for load in loads), sum(load.waiting for load in loads)
                if (len(loads), found) == (len(replicas), wanted):
                    return
                await asyncio.sleep(0.01)
    finally:
        await asking.close()


async def test_requests_in_flight_are_counted_by_replica(
    stage: Stage, activator: Activator, client: httpx.AsyncClient, replicas: list[str]
) -> None:
    api = Api(stage, activator, "counted")
    url = await api.route(replicas[0])
    asked = [asyncio.create_task(client.post(url, json=0.5)) for _ in range(3)]
    counts = {replicas[0]: 3, replicas[1]: 0}
    async with asyncio.timeout(10):
        while True:
            if await count_in_flight([*counts, "unix:/nothing.sock"]) == counts:
                break
            await asyncio.sleep(0.01)
    await asyncio.gather(*asked)


async def test_queue_of_a_busy_replica_is_shared_out_when_others_come(
    stage: Stage, activator: Activator, client: httpx.AsyncClient, replicas: list[str]
) -> None:
    api = Api(stage, activator, "a")
    url = await api.route(replicas[0])
    async with rebalancing(stage):
        asked = [asyncio.create_task(client.post(url, json=0.1)) for _ in range(30)]
        await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        await api.route(*replicas)
        answers = await asyncio.gather(*asked)
    assert [each.status_code for each in answers] == [200] * 30
    shares = Counter(each.json() for each in answers)
    assert len(shares) == 3
    assert min(shares.values()) >= 5  # 9 at best; 0 if they had all stayed where they were


async def test_no_request_waits_behind_a_long_one_while_another_replica_is_free(
    stage: Stage, activator: Activator, client: httpx.AsyncClient, replicas: list[str], tmp_path: Path
) -> None:
    api = Api(stage, activator, "a")
    url = await api.route(*replicas[:2])
    end = tmp_path / "end"
    async with rebalancing(stage):
        long = asyncio.create_task(client.post(url, json=str(end)))
        await until_busy(1, replicas)
        short = [asyncio.create_task(client.post(url, json=0.05)) for _ in range(8)]
        answers = await asyncio.gather(*short)
        assert not long.done()
        end.touch()
        assert (await long).status_code == 200
    assert [each.status_code for each in answers] == [200] * 8
    await until_busy(0, replicas)


COMPUTER = """
import os

class Handler:
    def predict(self, payload):
        while isinstance(payload, str) and not os.path.exists(payload):
            sum(range(1000))
        return [os.getpid(), payload]
"""
"""Holds the interpreter until the file at the path in its payload exists."""


async def test_processes_of_one_replica_share_its_queue_though_one_computes(
    stage: Stage, activator: Activator, client: httpx.AsyncClient, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("p")
    first, second = (folder / name for name in ("first", "second"))
    with contextlib.closing(Replicas(folder)) as running:
        replica = running.launch(
            script=COMPUTER,
            handler=HandlerConfig(path="server.py"),
            processes=2,
            limits=Limits(max_concurrency=1, timeout=20),
            backlog_socket=str(stage.home.backlog_socket),
        )
        endpoints = list(replica.until(lambda status: len(status.endpoints) == 2).endpoints)
        url = await Api(stage, activator, "p", slots=2, processes=2).route(*endpoints)
        async with rebalancing(stage):
            long = [asyncio.create_task(client.post(url, json=str(path))) for path in (first, second)]
            await until_busy(2, endpoints)
            short = [asyncio.create_task(client.post(url, json=number)) for number in range(20)]
            await until_waiting(20, endpoints)
            second.touch()
            answers = [each.json() for each in await asyncio.gather(*short)]
            assert not long[0].done()
            first.touch()
            pids = [(await each).json()[0] for each in long]
    assert len(set(pids)) == 2
    assert {pid for pid, _ in answers} == {pids[1]}

"""One queue over many replicas: a request's place and time count from its arrival at the gateway."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from gyrus.contract.replica import LONGEST_KEPT_BODY, Limits
from support.serving import Client, Serving, detail, eventually, serving

ONE = Limits(max_concurrency=1, max_queue_length=5, timeout=5.0)
INTERNAL = "x-gyrus-internal: 1"


class Turnstile:
    """Let one request through at a time, on the test's request."""

    def __init__(self) -> None:
        self.entered: list[Any] = []
        self.open = asyncio.Semaphore(0)

    def handler(self) -> type[Any]:
        turnstile = self

        class Handler:
            async def predict(self, payload: Any, headers: Any) -> Any:
                turnstile.entered.append(payload)
                await turnstile.open.acquire()
                return sorted(headers)

        return Handler


def arrived(seconds_ago: float) -> str:
    return f"x-gyrus-arrived: {time.time() - seconds_ago:.3f}"


async def load(server: Serving) -> dict[str, Any]:
    return json.loads((await server.ask(None, INTERNAL, path="/-/load", method="GET")).body)


async def test_requests_are_started_in_the_order_of_their_arrival(tmp_path: Path) -> None:
    turnstile = Turnstile()
    async with serving(turnstile.handler(), tmp_path, limits=ONE) as server:
        asking: list[asyncio.Task[Any]] = []
        for n, (name, age) in enumerate((("first", 0.0), ("young", 0.1), ("old", 3.0), ("middle", 1.0))):
            asking.append(server.asking(name, arrived(age)))
            await eventually(
                lambda n=n: server.admission.queue.busy + server.admission.queue.waiting == n + 1
            )
        for _ in asking:
            turnstile.open.release()
        await asyncio.gather(*asking)
    assert turnstile.entered == ["first", "old", "middle", "young"]


async def test_its_time_runs_from_its_arrival(tmp_path: Path) -> None:
    turnstile = Turnstile()
    async with serving(turnstile.handler(), tmp_path, limits=ONE) as server:
        began = time.monotonic()
        running = server.asking("first")
        await eventually(lambda: server.admission.queue.busy == 1)
        waiting = server.asking("second")
        await eventually(lambda: server.admission.queue.waiting == 1)
        older = await server.ask("older", arrived(4.7))
        assert (older.status, time.monotonic() - began < 3) == (504, True)
        too_late = await server.ask("too late", arrived(6))
        assert too_late.status == 504
        assert "still waiting" in detail(too_late)
        turnstile.open.release()
        turnstile.open.release()
        assert [(await task).status for task in (running, waiting)] == [200, 200]
    assert turnstile.entered == ["first", "second"]


@pytest.mark.parametrize("reported", ["soon", "nan", "-1", "1e300", "99999999999"])
async def test_an_arrival_that_cannot_be_true_is_left_aside(tmp_path: Path, reported: str) -> None:
    turnstile = Turnstile()
    turnstile.open.release()
    async with serving(turnstile.handler(), tmp_path, limits=ONE) as server:
        assert (await server.ask("a", f"x-gyrus-arrived: {reported}")).status == 200


async def test_a_handler_does_not_see_the_platforms_headers(tmp_path: Path) -> None:
    turnstile = Turnstile()
    turnstile.open.release()
    async with serving(turnstile.handler(), tmp_path, limits=ONE) as server:
        reply = await server.ask("a", arrived(0), "x-gyrus-api: a", "x-mine: 1")
        assert [name for name in json.loads(reply.body) if name.startswith("x-")] == ["x-mine"]


async def test_request_whose_tries_are_used_up_is_not_started(tmp_path: Path) -> None:
    turnstile = Turnstile()
    async with serving(turnstile.handler(), tmp_path, limits=ONE) as server:
        reply = await server.ask("a", arrived(1), "x-gyrus-pool: a/1", "x-gyrus-retried: last")
    assert (reply.status, json.loads(reply.body)["type"]) == (502, "urn:gyrus:problem:upstream-failed")
    assert not turnstile.entered


async def test_the_load_is_reported_inside_only(tmp_path: Path) -> None:
    turnstile = Turnstile()
    async with serving(turnstile.handler(), tmp_path, limits=ONE) as server:
        asking = [server.asking(n) for n in range(3)]
        await eventually(lambda: server.admission.queue.waiting == 2)
        reported = await load(server)
        first, second = reported.pop("waited")
        assert first >= second >= 0
        assert reported == {"slots": 1, "busy": 1, "waiting": 2, "movable": 2, "places": 3, "begun": 1}
        assert (await server.ask(None, path="/-/load", method="GET")).status == 404
        for _ in asking:
            turnstile.open.release()
        await asyncio.gather(*asking)


async def test_a_body_that_the_gateway_does_not_keep_is_never_requeued(tmp_path: Path) -> None:
    turnstile = Turnstile()
    async with serving(turnstile.handler(), tmp_path, limits=ONE) as server:
        first = server.asking("first")
        await eventually(lambda: server.admission.queue.busy == 1)
        large = server.asking("x" * LONGEST_KEPT_BODY)
        small = server.asking("small")
        await eventually(lambda: server.admission.queue.waiting == 2)
        assert (await load(server))["movable"] == 1
        server.admission.drain()
        assert (await small).headers["x-gyrus-requeue"] == "1"
        late = server.asking("y" * LONGEST_KEPT_BODY)
        await eventually(lambda: server.admission.queue.waiting == 2)
        for _ in range(3):
            turnstile.open.release()
        assert [(await task).status for task in (first, large, late)] == [200, 200, 200]


async def test_the_replica_signals_when_a_request_has_to_wait(tmp_path: Path) -> None:
    turnstile, path = Turnstile(), str(tmp_path / "backlog")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(path)
        heard.settimeout(5)
        async with serving(turnstile.handler(), tmp_path, limits=ONE, backlog_socket=path) as server:
            first = server.asking(1)
            await eventually(lambda: server.admission.queue.busy == 1)
            second = server.asking(2)
            assert await asyncio.to_thread(heard.recv, 100) == b"t"
            for _ in range(2):
                turnstile.open.release()
            await asyncio.gather(first, second)


async def test_an_order_during_a_drain_keeps_no_request_here(tmp_path: Path) -> None:
    turnstile = Turnstile()
    async with serving(turnstile.handler(), tmp_path, limits=ONE) as server:
        first = server.asking("first")
        await eventually(lambda: server.admission.queue.busy == 1)
        waiting = [server.asking(n) for n in range(5)]
        await eventually(lambda: server.admission.queue.waiting == 5)
        server.admission.drain()
        server.admission.requeue(1)
        assert [(await task).headers.get("x-gyrus-requeue") for task in waiting] == ["1"] * 5
        turnstile.open.release()
        assert (await first).status == 200


async def test_the_slots_that_a_running_batch_leaves_empty_stay_empty(tmp_path: Path) -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()

    class Handler:
        async def predict(self, payload: list[Any]) -> list[Any]:
            entered.set()
            await go_on.wait()
            return payload

    limits = Limits(max_concurrency=4, max_queue_length=5, timeout=5.0)
    async with serving(Handler, tmp_path, limits=limits, batch_max_size=4, batch_max_wait=0.001) as server:
        running = server.asking(1)
        await entered.wait()
        waiting = server.asking(2)
        await eventually(lambda: server.admission.queue.waiting == 1)
        reported = await load(server)
        assert (reported["slots"], reported["busy"], reported["waiting"], reported["movable"]) == (4, 4, 1, 1)
        go_on.set()
        assert [(await task).status for task in (running, waiting)] == [200, 200]


class Quick:
    async def predict(self, payload: float) -> None:
        await asyncio.sleep(payload)


class QuickInThreads:
    lock = threading.Lock()
    running, most = 0, 0

    def predict(self, payload: float) -> None:
        counts = QuickInThreads
        with self.lock:
            counts.running += 1
            counts.most = max(counts.most, counts.running)
        time.sleep(payload)
        with self.lock:
            counts.running -= 1


@pytest.mark.parametrize("handler", [Quick, QuickInThreads])
async def test_whatever_happens_no_slot_stays_taken(tmp_path: Path, handler: type[Any]) -> None:
    """Many clients on few slots: some leave, some are requeued, some are late, the rest are answered."""
    chance = random.Random(7)
    limits = Limits(max_concurrency=3, max_queue_length=20, timeout=0.5)
    async with serving(handler, tmp_path, limits=limits) as server:

        async def visit() -> None:
            client = await server.connect()
            for _ in range(chance.randrange(1, 40)):
                body = json.dumps(chance.choice([0.0, 0.0, 0.001])).encode()
                client.send(body, "Content-Type: application/json", arrived(chance.random() * 0.6))
                if chance.random() < 0.1:
                    break
                await answer_of(client)
            client.leave()

        async with asyncio.TaskGroup() as visits:
            for _ in range(400):
                visits.create_task(visit(), name="client")
                if chance.random() < 0.3:
                    server.admission.requeue(chance.randrange(8))
                await asyncio.sleep(0)
        await eventually(lambda: server.admission.queue.empty)
        queue, overdue = server.admission.queue, server.admission.overdue
        assert (queue.busy, queue.waiting, queue.movable, len(overdue)) == (0, 0, 0, 0)
    assert getattr(handler, "most", 3) == 3


async def answer_of(client: Client) -> None:
    head = await client.until(b"\r\n\r\n")
    (length,) = (queue for queue in head.lower().split(b"\r\n") if queue.startswith(b"content-length:"))
    async with asyncio.timeout(10):
        await client.reader.readexactly(int(length.partition(b":")[2]))

"""Requests over a real socket: slots, queue, deadlines, disconnects, requeueing."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gyrus.contract.replica import Limits
from support.serving import Serving, detail, eventually, serving
from support.wire import Received, read_replies

ONE = Limits(max_concurrency=1, max_queue_length=2)


class Gate:
    """A handler's predict waits until the test lets it go on."""

    def __init__(self) -> None:
        self.entered: list[Any] = []
        self.left: list[Any] = []
        self.cancelled: list[Any] = []
        self.threads: set[int] = set()
        self.opened = threading.Event()

    def handler(self, *, on_loop: bool) -> type[Any]:
        gate = self

        class InThread:
            def predict(self, payload: Any, cancelled: Callable[[], bool]) -> Any:
                gate.entered.append(payload)
                gate.threads.add(threading.get_ident())
                while not gate.opened.wait(0.002):
                    if cancelled():
                        gate.cancelled.append(payload)
                        break
                gate.left.append(payload)
                return payload

        class OnLoop:
            async def predict(self, payload: Any) -> Any:
                gate.entered.append(payload)
                try:
                    while not gate.opened.is_set():  # noqa: ASYNC110 -- a thread sets it
                        await asyncio.sleep(0.002)
                except asyncio.CancelledError:
                    gate.cancelled.append(payload)
                    raise
                finally:
                    gate.left.append(payload)
                return payload

        return OnLoop if on_loop else InThread


@pytest.fixture(params=[False, True], ids=["thread", "loop"])
def on_loop(request: pytest.FixtureRequest) -> bool:
    return request.param


async def fill(server: Serving, gate: Gate, waiting: int) -> list[asyncio.Task[Any]]:
    """One request in the slot, and so many behind it, in order."""
    tasks = [server.asking(0)]
    await eventually(lambda: gate.entered)
    for number in range(1, waiting + 1):
        tasks.append(server.asking(number))
        await eventually(lambda number=number: server.admission.queue.waiting == number)
    return tasks


async def test_first_in_first_out(tmp_path: Path, on_loop: bool) -> None:
    gate = Gate()
    async with serving(gate.handler(on_loop=on_loop), tmp_path, limits=ONE) as server:
        tasks = await fill(server, gate, 2)
        gate.opened.set()
        replies = [await task for task in tasks]
    assert gate.entered == [0, 1, 2]
    assert [json.loads(reply.body) for reply in replies] == [0, 1, 2]


async def test_a_thread_takes_the_next_call_without_the_loop(tmp_path: Path) -> None:
    gate = Gate()
    handler = gate.handler(on_loop=False)
    async with serving(handler, tmp_path, limits=Limits(max_concurrency=1, max_queue_length=9)) as server:
        tasks = await fill(server, gate, waiting=5)
        gate.opened.set()
        until = time.monotonic() + 10
        while len(gate.left) < 6 and time.monotonic() < until:
            time.sleep(0.001)  # noqa: ASYNC251 -- the loop must not run meanwhile
        assert gate.left == [0, 1, 2, 3, 4, 5]
        assert [(await task).status for task in tasks] == [200] * 6
        assert (await server.ask(6)).status == 200
    assert len(gate.threads) == 1


async def test_a_full_queue_refuses(tmp_path: Path, on_loop: bool) -> None:
    gate = Gate()
    async with serving(gate.handler(on_loop=on_loop), tmp_path, limits=ONE) as server:
        tasks = await fill(server, gate, 2)
        refused = await server.ask("one too many")
        assert refused.status == 503
        assert refused.headers["retry-after"] == "1"
        assert "x-gyrus-requeue" not in refused.headers
        assert detail(refused).startswith("All slots are busy (1) and the queue is full (2 waiting);")
        assert server.metrics.rejected == 1
        gate.opened.set()
        assert [(await task).status for task in tasks] == [200, 200, 200]
    assert "one too many" not in gate.entered


async def test_slots_run_side_by_side(tmp_path: Path, on_loop: bool) -> None:
    gate = Gate()
    async with serving(gate.handler(on_loop=on_loop), tmp_path, limits=Limits(max_concurrency=4)) as server:
        tasks = [server.asking(number) for number in range(6)]
        await eventually(lambda: len(gate.entered) == 4 and server.admission.queue.waiting == 2)
        gate.opened.set()
        assert [(await task).status for task in tasks] == [200] * 6


async def test_without_a_limit_no_request_waits(tmp_path: Path, on_loop: bool) -> None:
    gate = Gate()
    unlimited = Limits(max_concurrency=None, max_queue_length=0)
    async with serving(gate.handler(on_loop=on_loop), tmp_path, limits=unlimited) as server:
        tasks = [server.asking(number) for number in range(20)]
        await eventually(lambda: len(gate.entered) == 20)
        gate.opened.set()
        assert [(await task).status for task in tasks] == [200] * 20


async def test_the_loop_answers_while_threads_are_busy(tmp_path: Path) -> None:
    gate = Gate()
    async with serving(gate.handler(on_loop=False), tmp_path, limits=ONE) as server:
        tasks = await fill(server, gate, 1)
        assert json.loads((await server.ask(path="/readyz", method="GET")).body) == {"ready": True}
        metrics = (await server.ask(path="/metrics", method="GET")).body.decode().splitlines()
        assert "gyrus_replica_in_flight 2.0" in metrics
        assert "gyrus_replica_queued 1.0" in metrics
        gate.opened.set()
        await asyncio.gather(*tasks)


async def test_waiting_requests_are_requeued_on_demand(tmp_path: Path, on_loop: bool) -> None:
    gate = Gate()
    limits = Limits(max_concurrency=1, max_queue_length=5)
    async with serving(gate.handler(on_loop=on_loop), tmp_path, limits=limits) as server:
        tasks = await fill(server, gate, 4)
        assert await server.requeue(2) == 2
        requeued = [await tasks[n] for n in (1, 2)]  # the first arrivals
        assert [reply.status for reply in requeued] == [503, 503]
        assert [reply.headers["x-gyrus-requeue"] for reply in requeued] == ["1", "1"]
        assert server.admission.queue.waiting == 2
        assert await server.requeue(9) == 2
        assert [(await tasks[n]).status for n in (3, 4)] == [503, 503]
        assert await server.requeue(1) == 0
        gate.opened.set()
        assert (await tasks[0]).status == 200
    assert gate.entered == [0], "nothing that was given back was started"


async def test_requeue_is_for_the_platform_alone(tmp_path: Path) -> None:
    async with serving(Gate().handler(on_loop=True), tmp_path) as server:
        assert (await server.ask({"at_most": 1}, path="/-/requeue")).status == 404
        wrong = await server.ask({"at_most": -1}, "x-gyrus-internal: 1", path="/-/requeue")
        assert wrong.status == 400


async def test_a_replica_that_others_reach_demands_a_proof(tmp_path: Path) -> None:
    gate = Gate()
    async with serving(gate.handler(on_loop=True), tmp_path, proof="a1b2") as server:
        for headers in ((), ("x-gyrus-internal: 1",), ("x-gyrus-internal: 1", "x-gyrus-proof: a1b3")):
            for path, method in (("/-/requeue", "POST"), ("/-/load", "GET")):
                refused = await server.ask({"at_most": 1}, *headers, path=path, method=method)
                assert refused.status == 404
        assert detail(refused) == "/-/load is private to the platform and not served to clients."
        assert (await server.ask(None, "x-gyrus-proof: a1b2", path="/-/load", method="GET")).status == 200
        assert (await server.ask({"at_most": 1}, "x-gyrus-proof: a1b2", path="/-/requeue")).status == 200


async def test_a_drain_requeues_what_waits_and_finishes_what_is_started(
    tmp_path: Path, on_loop: bool
) -> None:
    gate = Gate()
    async with serving(gate.handler(on_loop=on_loop), tmp_path, limits=ONE) as server:
        tasks = await fill(server, gate, 2)
        server.admission.drain()
        for task in tasks[1:]:
            assert (await task).headers["x-gyrus-requeue"] == "1"
        late = await server.ask("late")
        assert (late.status, late.headers["x-gyrus-requeue"]) == (503, "1")
        ready = await server.ask(path="/readyz", method="GET")
        assert (ready.status, json.loads(ready.body)["reason"]) == (503, "Draining")
        gate.opened.set()
        assert (await tasks[0]).status == 200
        assert (await server.ask("straggler")).status == 200, "a slot is free"


async def test_a_client_that_leaves_loses_its_place(tmp_path: Path, on_loop: bool) -> None:
    gate = Gate()
    async with serving(gate.handler(on_loop=on_loop), tmp_path, limits=ONE) as server:
        (first,) = await fill(server, gate, 0)
        impatient = await server.connect()
        impatient.send(b'"gone"')
        await eventually(lambda: server.admission.queue.waiting == 1)
        impatient.leave()
        await eventually(lambda: server.admission.queue.waiting == 0)
        gate.opened.set()
        assert (await first).status == 200
        assert server.metrics.abandoned == 1
    assert gate.entered == [0]


async def test_predict_learns_that_its_client_left(tmp_path: Path, on_loop: bool) -> None:
    gate = Gate()
    async with serving(gate.handler(on_loop=on_loop), tmp_path, limits=ONE) as server:
        client = await server.connect()
        client.send(b'"gone"')
        await eventually(lambda: gate.entered)
        client.leave()
        await eventually(lambda: gate.cancelled == ["gone"])
        await eventually(lambda: server.admission.queue.empty)


async def test_timeout_of_one_that_runs(tmp_path: Path, on_loop: bool) -> None:
    gate = Gate()
    limits = Limits(max_concurrency=1, timeout=0.05)
    async with serving(gate.handler(on_loop=on_loop), tmp_path, limits=limits) as server:
        reply = await server.ask("slow")
        assert reply.status == 504
        assert detail(reply) == "The request was not answered within 0.05 s. predict() was still running."
        await eventually(lambda: gate.cancelled == ["slow"])


async def test_timeout_of_one_that_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    class Deaf:
        def predict(self, payload: Any) -> Any:
            release.wait(10)
            return payload

    limits = Limits(max_concurrency=1, timeout=0.05)
    async with serving(Deaf, tmp_path, limits=limits) as server:
        replies = await asyncio.gather(server.ask(1), server.ask(2))
        assert [reply.status for reply in replies] == [504, 504]
        assert any(detail(reply).endswith("It was still waiting for a slot.") for reply in replies)
        assert server.admission.queue.waiting == 0
        assert server.admission.queue.busy == 1, "a thread cannot be interrupted: its slot stays taken"
        ready = await server.ask(path="/readyz", method="GET")
        assert ready.status == 200, "it may end soon"
        monkeypatch.setattr("gyrus.runtime.readiness.PATIENCE", 0.0)
        ready = await server.ask(path="/readyz", method="GET")
        assert (ready.status, json.loads(ready.body)["reason"]) == (503, "Stuck")
        release.set()
        await eventually(lambda: server.admission.queue.empty)
        assert (await server.ask(path="/readyz", method="GET")).status == 200


async def test_a_task_that_is_cancelled_before_its_first_step_frees_its_slot(tmp_path: Path) -> None:
    class Handler:
        async def predict(self, payload: Any) -> Any:
            return payload

    async with serving(Handler, tmp_path, limits=ONE) as server:
        for _ in range(200):
            client = await server.connect()
            client.send(b"1")
            client.leave()
        await eventually(lambda: server.admission.queue.empty and not server.server.connections)
        assert (await server.ask(1)).status == 200


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_post_predict_comes_after_the_answer(tmp_path: Path, asynchronous: bool) -> None:
    go_on, seen = threading.Event(), list[Any]()

    class InThread:
        def predict(self, payload: Any) -> Any:
            return {"answer": payload}

        def post_predict(self, response: Any, payload: Any, request_id: str) -> None:
            go_on.wait(10)
            seen.append((response, payload, request_id))

    class OnLoop:
        async def predict(self, payload: Any) -> Any:
            return {"answer": payload}

        async def post_predict(self, response: Any, payload: Any, request_id: str) -> None:
            while not go_on.is_set():  # noqa: ASYNC110 -- a thread sets it
                await asyncio.sleep(0.001)
            seen.append((response, payload, request_id))

    async with serving(OnLoop if asynchronous else InThread, tmp_path, limits=ONE) as server:
        assert (await server.ask(7, "x-request-id: r1")).status == 200
        assert seen == []
        assert server.admission.queue.busy == 1, "the slot is busy until it is over"
        go_on.set()
        await eventually(lambda: server.admission.queue.empty)
    assert seen == [({"answer": 7}, 7, "r1")]


async def test_exceptions_of_any_kind_are_answers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Handler:
        def predict(self, payload: str) -> Any:
            match payload:
                case "exit":
                    raise SystemExit(3)
                case "stop":
                    raise StopIteration
                case _:
                    raise ValueError("the secret")

    class OnLoop:
        async def predict(self, payload: Any) -> Any:
            return Handler().predict(payload)

    for handler in (Handler, OnLoop):
        async with serving(handler, tmp_path, limits=ONE) as server:
            for payload in ("value", "exit", "stop"):
                reply = await server.ask(payload, "x-request-id: abc")
                assert reply.status == 500
                assert "secret" not in reply.body.decode()
                assert "Traceback" not in reply.body.decode()
                assert json.loads(reply.body)["instance"] == "urn:gyrus:request:abc"
    assert "ValueError: the secret" in caplog.text
    assert "gyrus/runtime" not in caplog.text, "only the user's frames"


class Echo:
    def predict(self, payload: Any, headers: Any) -> Any:
        return {"payload": payload, "coded": "content-encoding" in headers}


class EchoOnLoop:
    async def predict(self, payload: Any, headers: Any) -> Any:
        return {"payload": payload, "coded": "content-encoding" in headers}


class EchoBatch:
    def predict(self, payload: list[Any]) -> Any:
        return [{"payload": each, "coded": False} for each in payload]


class EchoBatchOnLoop:
    async def predict(self, payload: list[Any]) -> Any:
        return [{"payload": each, "coded": False} for each in payload]


ECHOES = [(Echo, 1), (EchoOnLoop, 1), (EchoBatch, 2), (EchoBatchOnLoop, 2)]


async def sent(server: Serving, body: bytes, *headers: str) -> Received:
    client = await server.connect()
    client.send(body, "Content-Type: application/json", "Connection: close", *headers)
    (reply,) = read_replies(await client.rest())
    client.leave()
    return reply


@pytest.mark.parametrize(("handler", "size"), ECHOES)
async def test_a_compressed_body_is_decompressed(tmp_path: Path, handler: type[Any], size: int) -> None:
    async with serving(handler, tmp_path, limits=Limits(max_body=10_000), batch_max_size=size) as server:
        reply = await sent(server, gzip.compress(b'{"a": 1}'), "Content-Encoding: gzip")
        assert json.loads(reply.body) == {"payload": {"a": 1}, "coded": False}
        bomb = gzip.compress(b'"' + b"x" * 10_000 + b'"')
        assert (await sent(server, bomb, "Content-Encoding: gzip")).status == 413
        reply = await sent(server, b"{}", "Content-Encoding: br")
        assert reply.status == 415
        assert reply.headers["accept-encoding"] == "gzip, deflate, zstd"


@pytest.mark.parametrize(("handler", "size"), [(EchoOnLoop, 1), (EchoBatchOnLoop, 2)])
async def test_decompression_does_not_run_on_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handler: type[Any], size: int
) -> None:
    threads: list[int] = []
    real = zlib.decompressobj

    def recorded(wbits: int) -> Any:
        threads.append(threading.get_ident())
        return real(wbits)

    monkeypatch.setattr(zlib, "decompressobj", recorded)
    async with serving(handler, tmp_path, batch_max_size=size) as server:
        assert (await sent(server, gzip.compress(b"1"), "Content-Encoding: gzip")).status == 200
    assert threads
    assert threading.get_ident() not in threads

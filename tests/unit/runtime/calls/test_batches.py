from __future__ import annotations

import asyncio
import gzip
import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gyrus.contract.replica import Limits
from support.serving import Serving, detail, eventually, serving
from support.wire import read_replies

LIMITS = Limits(max_concurrency=8, max_queue_length=10)
BATCHES = Limits(max_concurrency=4, max_queue_length=10)


@dataclass
class Number:
    value: int


class Doubling:
    sizes: list[int]

    def __init__(self) -> None:
        type(self).sizes = []

    def predict(self, payload: list[Number]) -> list[int]:
        type(self).sizes.append(len(payload))
        return [number.value * 2 for number in payload]


class DoublingOnLoop(Doubling):
    async def predict(self, payload: list[Number]) -> list[int]:  # pyright: ignore[reportIncompatibleMethodOverride] -- the async twin
        return Doubling.predict(self, payload)


@pytest.mark.parametrize("handler", [Doubling, DoublingOnLoop])
async def test_requests_that_come_together_are_one_call(tmp_path: Path, handler: type[Doubling]) -> None:
    async with serving(handler, tmp_path, limits=LIMITS, batch_max_size=4, batch_max_wait=5) as server:
        replies = await asyncio.gather(*(server.ask({"value": number}) for number in range(8)))
        assert [json.loads(reply.body) for reply in replies] == [number * 2 for number in range(8)]
        assert handler.sizes == [4, 4], "full batches do not wait"


async def test_a_batch_does_not_wait_for_ever(tmp_path: Path) -> None:
    async with serving(Doubling, tmp_path, limits=LIMITS, batch_max_size=4, batch_max_wait=0.02) as server:
        assert (await server.ask({"value": 1})).body == b"2"
        assert Doubling.sizes == [1]


async def test_a_payload_that_does_not_fit_spoils_no_others(tmp_path: Path) -> None:
    async with serving(Doubling, tmp_path, limits=LIMITS, batch_max_size=3, batch_max_wait=5) as server:
        good, bad, other = await asyncio.gather(
            server.ask({"value": 1}), server.ask({"value": "x"}), server.ask({"value": 2})
        )
        assert (good.body, bad.status, other.body) == (b"2", 422, b"4")
        assert Doubling.sizes == [2]


@pytest.mark.parametrize(
    ("answer", "reported"),
    [
        ([1], "a batch of 2 needs a list of as many answers, not 1"),
        ({"a": 1, "b": 2}, "a batch of 2 needs a list of as many answers, not a dict"),
        ("ab", "a batch of 2 needs a list of as many answers, not a str"),
        (None, "a batch of 2 needs a list of as many answers, not a NoneType"),
    ],
)
async def test_as_many_answers_as_payloads(tmp_path: Path, answer: Any, reported: str) -> None:
    class Handler:
        def predict(self, payload: list[Any]) -> Any:
            return answer

    async with serving(Handler, tmp_path, limits=LIMITS, batch_max_size=2, batch_max_wait=5) as server:
        replies = await asyncio.gather(server.ask(1), server.ask(2))
        assert [reply.status for reply in replies] == [500, 500]
        assert all(reported in detail(reply) for reply in replies)


async def test_one_answer_that_cannot_be_sent_spoils_no_others(tmp_path: Path) -> None:
    class Handler:
        def predict(self, payload: list[Any]) -> list[Any]:
            return [object() if entry == 1 else entry for entry in payload]

    async with serving(Handler, tmp_path, limits=LIMITS, batch_max_size=2, batch_max_wait=5) as server:
        bad, good = await asyncio.gather(server.ask(1), server.ask(2))
        assert (bad.status, good.status) == (500, 200)


async def test_an_exception_fails_the_whole_batch(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Handler:
        def predict(self, payload: list[Any]) -> list[Any]:
            raise ValueError("no")

    async with serving(Handler, tmp_path, limits=LIMITS, batch_max_size=2, batch_max_wait=5) as server:
        replies = await asyncio.gather(server.ask(1, "x-request-id: r1"), server.ask(2, "x-request-id: r2"))
        assert [reply.status for reply in replies] == [500, 500]
    assert caplog.text.count("ValueError: no") == 1
    assert "r1" in caplog.text
    assert "r2" in caplog.text


async def test_lists_of_everything(tmp_path: Path) -> None:
    seen: list[Any] = []

    class Handler:
        def predict(self, payload: list[Any], request_id: list[str], query_params: list[Any]) -> list[Any]:
            return [[p, r, q] for p, r, q in zip(payload, request_id, query_params, strict=True)]

        def post_predict(self, response: list[Any], payload: list[Any]) -> None:
            seen.append((response, payload))

    async with serving(Handler, tmp_path, limits=LIMITS, batch_max_size=2, batch_max_wait=5) as server:
        await asyncio.gather(
            server.ask(1, "x-request-id: r1", path="/?a=1"), server.ask(2, "x-request-id: r2")
        )
    ((response, payload),) = seen
    assert sorted(payload) == [1, 2]
    assert sorted(response) == [[1, "r1", {"a": "1"}], [2, "r2", {}]]


async def test_a_batch_in_the_making_can_be_left_and_requeued(tmp_path: Path) -> None:
    async with serving(Doubling, tmp_path, limits=LIMITS, batch_max_size=4, batch_max_wait=60) as server:
        first = server.asking({"value": 1})
        await eventually(lambda: server.admission.queue.waiting == 1)
        client = await server.connect()
        client.send(b'{"value": 2}')
        await eventually(lambda: server.admission.queue.waiting == 2)
        client.leave()
        await eventually(lambda: server.admission.queue.waiting == 1)
        assert await server.requeue(5) == 1
        assert (await first).headers["x-gyrus-requeue"] == "1"
    assert Doubling.sizes == []


async def test_while_batches_run_the_next_one_grows(tmp_path: Path) -> None:
    opened, sizes = threading.Event(), list[int]()

    class Handler:
        def predict(self, payload: list[Any]) -> list[Any]:
            sizes.append(len(payload))
            opened.wait(10)
            return payload

    async with serving(Handler, tmp_path, limits=LIMITS, batch_max_size=4, batch_max_wait=0) as server:
        tasks = [server.asking(0)]
        await eventually(lambda: len(sizes) == 1)
        tasks.append(server.asking(1))
        await eventually(lambda: len(sizes) == 2)
        tasks += [server.asking(number) for number in range(2, 6)]
        await eventually(lambda: server.admission.queue.waiting == 4)
        opened.set()
        assert [(await task).status for task in tasks] == [200] * 6
    assert sizes == [1, 1, 4]


async def test_the_queue_is_bounded(tmp_path: Path) -> None:
    limits = Limits(max_concurrency=2, max_queue_length=1)
    async with serving(Doubling, tmp_path, limits=limits, batch_max_size=2, batch_max_wait=0) as server:
        replies = await asyncio.gather(*(server.ask({"value": 1}) for _ in range(50)))
        assert {reply.status for reply in replies} <= {200, 503}
        assert sum(Doubling.sizes) == sum(reply.status == 200 for reply in replies)


async def test_batches_that_hang_make_it_unready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gyrus.runtime.readiness.PATIENCE", 0.0)
    opened = threading.Event()

    class Handler:
        def predict(self, payload: list[Any]) -> list[Any]:
            opened.wait(10)
            return payload

    limits = Limits(max_concurrency=8, timeout=0.05)
    async with serving(Handler, tmp_path, limits=limits, batch_max_size=4, batch_max_wait=0) as server:
        assert (await server.ask(1)).status == 504
        assert (await server.ask(path="/readyz", method="GET")).status == 200, "another batch can run"
        assert (await server.ask(2)).status == 504
        assert (await server.ask(path="/readyz", method="GET")).status == 503
        opened.set()
        await eventually(lambda: server.admission.queue.empty)
        assert (await server.ask(path="/readyz", method="GET")).status == 200


async def test_without_a_set_wait_one_request_starts_at_once(tmp_path: Path) -> None:
    async with serving(Doubling, tmp_path, limits=LIMITS, batch_max_size=4, batch_max_wait=None) as server:
        for number in range(5):
            assert (await server.ask({"value": number})).body == str(number * 2).encode()
        assert Doubling.sizes == [1] * 5


@pytest.mark.parametrize("handler", [Doubling, DoublingOnLoop])
async def test_without_a_set_wait_all_are_answered(tmp_path: Path, handler: type[Doubling]) -> None:
    async with serving(handler, tmp_path, limits=BATCHES, batch_max_size=4, batch_max_wait=None) as server:

        async def client(first: int) -> None:
            for number in range(first, first + 20):
                assert (await server.ask({"value": number})).body == str(number * 2).encode()

        await asyncio.gather(*(client(number * 100) for number in range(9)))
        assert sum(handler.sizes) == 180
        assert max(handler.sizes) <= 4
        assert server.metrics.batches == len(handler.sizes)


class Gated:
    """Reading payloads and encoding answers take longer than the model, so both overlap with it."""

    opened: threading.Event
    entered: list[int]

    def __init__(self) -> None:
        type(self).opened, type(self).entered = threading.Event(), []
        Gated.opened.set()

    def predict(self, payload: list[list[int]]) -> list[Any]:
        Gated.entered.append(len(payload))
        assert Gated.opened.wait(30)
        return payload


async def warm_up(server: Serving) -> None:
    for _ in range(3):
        await server.ask([1] * 20_000)


async def test_payloads_of_waiting_requests_are_read_while_a_batch_runs(tmp_path: Path) -> None:
    limits = Limits(max_concurrency=2, max_queue_length=10)
    async with serving(Gated, tmp_path, limits=limits, batch_max_size=2, batch_max_wait=0) as server:
        await warm_up(server)
        Gated.opened.clear()
        running = server.asking([1])
        await eventually(lambda: len(Gated.entered) == 4)
        waiting = [server.asking([2]), server.asking("wrong")]
        queue = server.admission.queue
        await eventually(lambda: sum(call.prepared is not None for call in queue.next(2)) == 2)
        assert queue.waiting == 2, "they can still leave"
        gone = await server.connect()
        gone.send(b"[3]", "Content-Type: application/json")
        await eventually(lambda: queue.waiting == 3)
        gone.leave()
        await eventually(lambda: queue.waiting == 2)
        assert await server.requeue(1) == 1
        await eventually(lambda: queue.waiting == 1)
        Gated.opened.set()
        assert (await running).status == 200
        assert sorted([(await reply).status for reply in waiting]) == [422, 503]


async def test_answers_are_encoded_while_the_next_batch_runs(tmp_path: Path) -> None:
    limits = Limits(max_concurrency=2, max_queue_length=10)
    async with serving(Gated, tmp_path, limits=limits, batch_max_size=2, batch_max_wait=0) as server:
        await warm_up(server)
        Gated.opened.clear()
        first = server.asking([1])
        await eventually(lambda: len(Gated.entered) == 4)
        second = [server.asking([2]), server.asking([3])]
        await eventually(lambda: server.admission.queue.waiting == 2)
        Gated.opened.set()
        await eventually(lambda: len(Gated.entered) == 5)
        Gated.opened.clear()
        assert (await first).status == 200
        Gated.opened.set()
        assert [(await reply).status for reply in second] == [200, 200]


async def test_a_compressed_payload_is_read_once_by_all_threads(tmp_path: Path) -> None:
    limits = Limits(max_concurrency=2, max_queue_length=10)
    body = gzip.compress(json.dumps([2]).encode())
    async with serving(Gated, tmp_path, limits=limits, batch_max_size=2, batch_max_wait=0) as server:
        await warm_up(server)
        Gated.opened.clear()
        running = server.asking([1])
        await eventually(lambda: len(Gated.entered) == 4)
        client = await server.connect()
        client.send(body, "Content-Type: application/json", "Content-Encoding: gzip", "Connection: close")
        queue = server.admission.queue
        await eventually(lambda: [call.prepared for call in queue.next(1)] == [{"payload": [2]}])
        Gated.opened.set()
        (reply,) = read_replies(await client.rest())
        client.leave()
        assert (reply.status, reply.body) == (200, b"[2]")
        assert (await running).status == 200

"""Requests that wait while others are free are moved, and no replica is asked without a reason."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import pytest_asyncio

from gyrus.aio.clock import SystemClock
from gyrus.contract.replica import LOAD_PATH, REQUEUE_PATH
from gyrus.gate.rebalancer import TRAFFIC_EVERY, Rebalancer
from gyrus.gate.replicas import PATIENCE, Replicas
from gyrus.queueing.balance import RequeueRequest
from gyrus.queueing.timing import pause_after
from gyrus.state.board import Board, PoolTraffic, QueuePolicy, Traffic
from support.routes import acknowledge, pools_of, route_to
from support.upstreams import Request, Upstream, answer, until

QUEUEING = QueuePolicy(slots=1, longest_queue=100, processes=1, replicas=2, hold=30, generation=1)


class Process:
    """A replica's process with a queue; what it requeues goes to ``other``."""

    def __init__(self, path: Path, waiting: int = 0, busy: int = 0) -> None:
        self.upstream = Upstream(path.stem, path, self.answer)
        self.waiting, self.busy = waiting, busy
        self.other: Process | None = None
        self.looks = 0
        self.delay = 0.0
        """Seconds after which it answers."""
        self.asked = 0
        self.proofs: set[str | None] = set()
        """The proofs of the calls to it."""
        self.runs = asyncio.Event()
        """Cleared while its event loop is blocked: it answers nothing."""
        self.runs.set()

    async def answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        assert request.headers["x-gyrus-internal"] == "1"
        self.proofs.add(request.headers.get("x-gyrus-proof"))
        self.asked += 1
        await self.runs.wait()
        await asyncio.sleep(self.delay)
        if request.target == LOAD_PATH:
            self.looks += 1
            writer.write(answer(200, json.dumps(self.load()).encode()))
        else:
            assert (request.method, request.target) == ("POST", REQUEUE_PATH)
            number = min(self.waiting, json.loads(request.body)["at_most"])
            self.give(number)
            writer.write(answer(200, json.dumps({"given_back": number}).encode()))

    def load(self) -> dict[str, object]:
        reported = {"slots": 1, "busy": self.busy, "waiting": self.waiting, "movable": self.waiting}
        return {**reported, "places": 101 - self.busy - self.waiting, "waited": [1.0] * self.waiting}

    def give(self, number: int) -> None:
        assert self.other is not None
        self.waiting -= number
        for _ in range(number):
            if self.other.busy:
                self.other.waiting += 1
            else:
                self.other.busy = 1


def rebalancing(api: str) -> bool:
    """Whether the rebalancer looks at the API again and again. If not, nothing is asked of its replicas."""
    return any(task.get_name().startswith(f"rebalance {api}/") for task in asyncio.all_tasks())


class RecordingClock(SystemClock):
    """The machine's clock, which records the pauses."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await super().sleep(seconds)


class House:
    def __init__(self, board: Board, backlog_socket: Path, one: Process, other: Process) -> None:
        self.board, self.backlog_socket, self.one, self.other = board, backlog_socket, one, other
        self.clock = RecordingClock()

    def route(self, queueing: QueuePolicy | None = QUEUEING, api: str = "a") -> None:
        to = (self.one.upstream.endpoint, self.other.upstream.endpoint)
        acknowledge(self.board, route_to(api, to, queueing=queueing))

    def notify(self, api: str = "a") -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as backlog_socket:
            backlog_socket.sendto(api.encode(), str(self.backlog_socket))


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncGenerator[House]:
    board = Board()
    one, other = Process(tmp_path / "one.sock"), Process(tmp_path / "other.sock")
    one.other, other.other = other, one
    backlog_socket = tmp_path / "backlog.sock"
    async with one.upstream.serving(), other.upstream.serving():
        house = House(board, backlog_socket, one, other)
        working = asyncio.create_task(Rebalancer(board, backlog_socket, house.clock).run())
        await until(backlog_socket.exists)
        yield house
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working
    assert not backlog_socket.exists()


async def test_a_replica_that_comes_gets_work_and_a_little_more(house: House) -> None:
    house.one.waiting, house.one.busy = 20, 1
    house.route()
    await until(lambda: house.other.waiting > 0)
    assert (house.one.waiting, house.other.busy, house.other.waiting) == (18, 1, 1)
    house.other.waiting = 0
    await until(lambda: house.other.waiting > 0)
    assert house.one.waiting < 18


async def test_replica_that_signals_is_looked_at_and_looks_end_with_the_queue(house: House) -> None:
    house.route()
    await until(lambda: house.one.looks == 1)
    house.one.waiting, house.one.busy = 1, 1
    house.notify()
    await until(lambda: house.other.busy == 1)
    await until(lambda: house.one.waiting == 0)
    looks = house.one.looks
    await until(lambda: not rebalancing("a"))
    assert house.one.looks <= looks + 1


async def test_calls_carry_the_proof_of_their_replica(house: House) -> None:
    one, other = house.one.upstream.endpoint, house.other.upstream.endpoint
    house.one.waiting, house.one.busy = 2, 1
    replicas = Replicas({one: "a1", other: ""}.__getitem__)
    assert await replicas.requeue({one: RequeueRequest(1)}) == 1
    assert (await replicas.loads((one, other))).keys() == {one, other}
    await replicas.close()
    assert (house.one.proofs, house.other.proofs) == ({"a1"}, {None})


async def test_the_rebalancer_proves_its_calls(tmp_path: Path) -> None:
    board, path = Board(), tmp_path / "backlog.sock"
    one, other = Process(tmp_path / "one.sock"), Process(tmp_path / "other.sock")
    async with one.upstream.serving(), other.upstream.serving():
        house = House(board, path, one, other)
        work = Rebalancer(board, path, house.clock, lambda endpoint: f"proof of {endpoint}").run()
        working = asyncio.create_task(work)
        await until(path.exists)
        house.route()
        await until(lambda: one.looks > 0 and other.looks > 0)
        working.cancel()
        await asyncio.wait([working])
    assert one.proofs == {f"proof of {one.upstream.endpoint}"}
    assert other.proofs == {f"proof of {other.upstream.endpoint}"}


async def test_crowd_in_the_gateway_is_reason_enough(house: House) -> None:
    house.route()
    await until(lambda: house.one.looks == 1)
    house.one.waiting, house.one.busy = 1, 1
    house.board.traffic["a"] = Traffic(in_flight=3, pools={"a/1": PoolTraffic(in_flight=3)})
    await until(lambda: house.other.busy == 1)


async def test_requests_move_within_a_pool_alone(house: House, tmp_path: Path) -> None:
    """A pool with a single replica has nowhere to move them: it is not asked, though another pool is."""
    third = Process(tmp_path / "third.sock", waiting=20, busy=1)
    third.other = house.other
    house.one.waiting, house.one.busy = 20, 1
    one, other = house.one.upstream.endpoint, house.other.upstream.endpoint
    async with third.upstream.serving():
        shares = pools_of("a", [one], [other, third.upstream.endpoint], weights=(5000, 5000))
        queued = (replace(share, pool=replace(share.pool, queueing=QUEUEING)) for share in shares)
        acknowledge(house.board, replace(route_to("a"), shares=tuple(queued)))
        await until(lambda: house.other.waiting > 0)
    assert (house.one.waiting, house.one.looks) == (20, 0)


async def test_what_has_no_queue_of_ours_is_never_asked(house: House, tmp_path: Path) -> None:
    third, fourth = Process(tmp_path / "third.sock"), Process(tmp_path / "fourth.sock")
    house.route(None)
    house.notify()
    house.notify("unknown")
    async with third.upstream.serving(), fourth.upstream.serving():
        House(house.board, house.backlog_socket, third, fourth).route(api="b")
        house.notify("b")
        await until(lambda: third.looks)  # notifications are taken in their order
        assert not rebalancing("a")
        assert not rebalancing("unknown")
        assert house.one.looks == house.other.looks == 0
        await until(lambda: not rebalancing("b"))


async def test_dead_replica_hinders_no_other(house: House) -> None:
    house.one.waiting, house.one.busy = 3, 1
    house.other.upstream.kill()
    house.route()
    await until(lambda: house.one.looks >= 2)
    house.other.upstream.socket.unlink()
    await house.other.upstream.start()
    await until(lambda: house.other.busy == 1)


async def test_process_that_answers_late_is_asked_again_as_soon_as_any_other(house: House) -> None:
    """A handler in pure Python keeps the interpreter from the loop that answers."""
    house.one.waiting, house.one.busy, house.one.delay = 20, 1, 0.02
    house.other.busy, house.other.waiting = 1, 20
    house.route()
    await until(lambda: house.one.looks >= 4)
    assert max(house.clock.pauses) <= TRAFFIC_EVERY
    assert pause_after(2) in house.clock.pauses


async def test_a_blocked_process_delays_no_other_and_is_asked_once(house: House, tmp_path: Path) -> None:
    third = Process(tmp_path / "third.sock")
    third.runs.clear()
    house.one.waiting, house.one.busy = 30, 1
    async with third.upstream.serving():
        endpoints = tuple(process.upstream.endpoint for process in (house.one, house.other, third))
        acknowledge(house.board, route_to("a", endpoints, queueing=QUEUEING))
        await until(lambda: house.other.busy == 1)
        looks, began = house.one.looks, asyncio.get_running_loop().time()
        await until(lambda: house.one.looks >= looks + 10)
        assert asyncio.get_running_loop().time() - began < 9 * PATIENCE, "no look waits for it"
        assert third.asked == 1
        third.runs.set()
        await until(lambda: third.looks >= 2)


async def test_a_process_that_is_unready_while_it_is_blocked_requeues_what_waits_there(house: House) -> None:
    house.one.waiting, house.one.busy = 3, 1
    house.one.runs.clear()
    house.route()
    await until(lambda: house.one.asked == 1 and house.other.looks >= 2)
    acknowledge(house.board, route_to("a", (house.other.upstream.endpoint,), queueing=QUEUEING))
    house.one.runs.set()  # the first pause between two requests
    await until(lambda: house.one.waiting == 0)
    assert (house.other.busy, house.other.waiting) == (1, 2)
    await until(lambda: not rebalancing("a"))

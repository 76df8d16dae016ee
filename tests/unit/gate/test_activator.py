"""The activator by itself: the test is the gateway, over real connections."""

from __future__ import annotations

import asyncio
import gc
import json
import random
import stat
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from gyrus.aio.clock import SystemClock
from gyrus.contract.problem import BODIES_FULL, QUEUE_FULL
from gyrus.contract.replica import API_HEADER, ARRIVED_HEADER, LONGEST_KEPT_BODY
from gyrus.gate.activator import Activator
from gyrus.gate.connection import GatewayConnection
from gyrus.gate.hold_limits import HoldLimits
from gyrus.gate.relay import connect
from gyrus.gate.request import LONGEST_KEPT_HERE, READ
from gyrus.state.board import Board, QueuePolicy
from gyrus.state.gateway_load import LimitUse
from support.routes import acknowledge, route_to
from support.upstreams import Upstream, until

APIS = ("a", "b", "c")
QUEUEING = QueuePolicy(slots=1, longest_queue=20_000, processes=1, replicas=1, hold=30, generation=1)


class Gate:
    """An activator, and a gateway that acknowledges at once."""

    def __init__(self, activator: Activator) -> None:
        self.activator = activator
        self.board = activator.board

    def route(self, api: str, *endpoints: str, queueing: QueuePolicy = QUEUEING) -> None:
        activator = self.activator.endpoint
        to = endpoints or (activator,)
        route = route_to(api, to, timeout=30.0, activator=activator, queueing=queueing)
        acknowledge(self.board, route)

    async def connect(self) -> Caller:
        return Caller(*await asyncio.open_unix_connection(self.activator.endpoint.removeprefix("unix:")))


class Caller:
    """One connection of the gateway's."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def ask(self, api: str, *headers: str, body: bytes = b"", arrived: float | None = None) -> None:
        lines = [f"POST / HTTP/1.1\r\nhost: x\r\n{API_HEADER}: {api}\r\nx-request-id: r"]
        lines += [f"{ARRIVED_HEADER}: {arrived:.3f}"] if arrived is not None else []
        lines += headers or [f"content-length: {len(body)}"]
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + body)

    async def answer(self) -> tuple[int, bool]:
        """Return its status, and whether it is requeued. Raises EOFError."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.partition("content-length: ")[2].split("\r\n")[0])
        await self.reader.readexactly(length)
        return int(head.split()[1]), "x-gyrus-requeue: 1" in head

    async def problem(self) -> str:
        """Return the type of the problem in its answer."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.partition("content-length: ")[2].split("\r\n")[0])
        return json.loads(await self.reader.readexactly(length))["type"]


@pytest_asyncio.fixture
async def gate(tmp_path: Path) -> AsyncGenerator[Gate]:
    async with Activator(Board(), tmp_path / "gate.sock", SystemClock()).serving() as activator:
        yield Gate(activator)


async def test_socket_is_its_owners_and_replaces_a_stale_one(tmp_path: Path) -> None:
    path = tmp_path / "run" / "gate.sock"
    for _ in range(2):
        async with Activator(Board(), path, SystemClock()).serving():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert not path.exists()
        path.touch()


async def test_one_connection_serves_one_request_after_the_other(gate: Gate) -> None:
    gate.route("a")
    caller = await gate.connect()
    for number in range(3):
        gate.route("a")
        caller.ask("a", body=b"x" * number)
        await until(lambda: gate.board.held.get("a") == 1)
        gate.route("a", "unix:/replica")
        assert await caller.answer() == (503, True)
    assert gate.board.held == {}


async def test_first_come_is_first_released_whatever_the_connections(gate: Gate) -> None:
    gate.route("a")
    order = random.Random(1).sample(range(50), 50)
    released: list[int] = []

    async def ask(place: int) -> None:
        caller = await gate.connect()
        caller.ask("a", arrived=time.time() - 10 + place / 100)
        await caller.answer()
        released.append(place)

    async with asyncio.TaskGroup() as group:
        for place in order:
            group.create_task(ask(place))
        await until(lambda: gate.board.held.get("a") == 50)
        gate.route("a", "unix:/replica")
    assert released == sorted(order)


async def test_hold_begins_at_the_activator_and_the_timeout_at_the_gateway(gate: Gate) -> None:
    gate.route("a", queueing=replace(QUEUEING, hold=5))
    requeued, late = await gate.connect(), await gate.connect()
    requeued.ask("a", arrived=time.time() - 10)  # it waited at a replica that died
    late.ask("a", arrived=time.time() - 40)
    assert await late.answer() == (504, False)
    assert gate.board.held == {"a": 1}
    gate.route("a", "unix:/replica")
    assert await requeued.answer() == (503, True)


async def test_only_as_many_go_on_as_the_replicas_have_places_for(gate: Gate) -> None:
    few = replace(QUEUEING, slots=1, longest_queue=10)
    gate.route("a", queueing=replace(few, replicas=5))
    callers = [await gate.connect() for _ in range(40)]
    for caller in callers:
        caller.ask("a")
    await until(lambda: gate.board.held.get("a") == 40)
    gate.route("a", "unix:/replica", queueing=few)
    await until(lambda: gate.board.held.get("a") == 29)
    gate.route("a", "unix:/replica", "unix:/another", queueing=few)
    await until(lambda: gate.board.held.get("a") == 18)


async def test_nothing_is_released_to_what_is_not_acknowledged(gate: Gate) -> None:
    gate.route("a")
    caller = await gate.connect()
    caller.ask("a")
    await until(lambda: gate.board.held.get("a") == 1)
    gate.board.acknowledged["a"] = {"a/1": frozenset({gate.activator.endpoint, "unix:/gone"})}
    gate.board.acknowledged_signals.notify("a")
    gate.board.routes["a"] = route_to("a", ["unix:/new"], timeout=30.0, queueing=QUEUEING)
    gate.board.route_signals.notify("a")
    asking = asyncio.create_task(caller.answer())
    await asyncio.wait([asking], timeout=0.1)
    assert not asking.done()
    gate.board.acknowledged["a"] = {"a/1": frozenset({"unix:/new"})}
    gate.board.acknowledged_signals.notify("a")
    assert await asking == (503, True)


async def test_nothing_is_released_while_a_pool_has_only_the_activator(gate: Gate) -> None:
    """A released request is sent again in the pool that it came through, whichever that is."""
    gate.route("a")
    caller = await gate.connect()
    caller.ask("a")
    await until(lambda: gate.board.held.get("a") == 1)
    held, new = frozenset({gate.activator.endpoint}), frozenset({"unix:/new"})
    gate.board.routes["a"] = route_to("a", new, timeout=30.0, queueing=QUEUEING, generation=2)
    gate.board.acknowledged["a"] = {"a/2": new, "a/1": held}
    gate.board.acknowledged_signals.notify("a")
    asking = asyncio.create_task(caller.answer())
    gate.route(
        "b", "unix:/replica"
    )  # looked at after the first: when its request is back, the first was seen
    other = await gate.connect()
    other.ask("b")
    assert await other.answer() == (503, True)
    assert not asking.done()
    gate.board.acknowledged["a"] = {"a/2": new, "a/1": new, "a/0": frozenset()}
    gate.board.acknowledged_signals.notify("a")
    assert await asking == (503, True)


async def test_requests_are_released_over_the_bridge(gate: Gate) -> None:
    """The only replicas speak HTTP/2. The gateway leads there, and long bodies go through it too."""
    gate.route("a")
    caller, long = await gate.connect(), await gate.connect()
    caller.ask("a")
    long.ask("a", f"content-length: {LONGEST_KEPT_BODY + 1}")
    await until(lambda: gate.board.held.get("a") == 2)
    path = Path(gate.activator.endpoint.removeprefix("unix:")).with_name("bridge.sock")
    async with Upstream("bridge", path).serving() as bridge:
        gate.board.bridge = bridge.endpoint
        old = route_to("a", [bridge.endpoint], activator=bridge.endpoint, queueing=QUEUEING).shares[0]
        new = route_to("a", ["unix:/grpc"], generation=2, protocol="http2").shares[0]
        route = replace(route_to("a", timeout=30.0), shares=(new, replace(old, weight=0)))
        acknowledge(gate.board, route)
        assert await caller.answer() == (503, True)
        await until(lambda: gate.board.held.get("a") is None)
        long.writer.write(bytes(LONGEST_KEPT_BODY + 1))
        assert (await long.answer())[0] == 200
        assert len(bridge.requests) == 1


async def test_more_than_the_platform_may_hold_is_refused(gate: Gate) -> None:
    gate.activator.limits = HoldLimits(requests=2)
    for api in ("a", "b", "c"):
        gate.route(api)
    callers = [await gate.connect() for _ in range(3)]
    for caller, api in zip(callers, ("a", "b", "c"), strict=True):
        caller.ask(api)
        await until(lambda: gate.board.held != {})
    done, _ = await asyncio.wait(
        [asyncio.create_task(caller.answer()) for caller in callers], return_when=asyncio.FIRST_COMPLETED
    )
    assert [task.result() for task in done] == [(503, False)]


async def refusals_of(callers: Sequence[Caller], held: Callable[[], int], number: int) -> list[str]:
    """Wait until this many requests are held. Returns the types of the others' problems."""
    asked = [asyncio.create_task(caller.problem()) for caller in callers]
    await until(lambda: held() == number and sum(task.done() for task in asked) == len(callers) - number)
    found = [task.result() for task in asked if task.done()]
    for task in asked:
        task.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    return found


async def test_one_api_leaves_a_reserve_to_the_others(gate: Gate) -> None:
    gate.activator.limits = HoldLimits(requests=40)
    for api in ("a", "b"):
        gate.route(api)
    first = [await gate.connect() for _ in range(60)]
    for caller in first:
        caller.ask("a")
    refused = await refusals_of(first, lambda: gate.board.held.get("a", 0), 30)
    assert set(refused) == {QUEUE_FULL.type}
    second = [await gate.connect() for _ in range(20)]
    for caller in second:
        caller.ask("b")
    await refusals_of(second, lambda: gate.board.held.get("b", 0), 8)
    assert gate.board.hold_load["requests"] == LimitUse(used=38, most=40, refused=42)


async def test_bytes_of_bodies_are_bounded_in_all_with_a_reserve_for_other_apis(gate: Gate) -> None:
    """The bodies never end, and each client sends as much as it can."""
    most = gate.activator.bodies.most = 40 * (LONGEST_KEPT_HERE + READ)
    for api in ("a", "b"):
        gate.route(api)
    first = [await gate.connect() for _ in range(60)]
    for caller in first:
        caller.ask("a", "transfer-encoding: chunked", body=b"fffffff\r\n" + b"x" * 1000)
    refused = await refusals_of(first, lambda: gate.board.held.get("a", 0), 30)
    assert set(refused) == {BODIES_FULL.type}
    for caller in first:
        caller.writer.write(b"x" * 500_000)
    gone = await gate.connect()
    gone.ask("b", "transfer-encoding: chunked", body=b"fffffff\r\nx")
    await until(lambda: gate.board.held.get("b") == 1)
    whole = await gate.connect()
    whole.ask("a", body=b"x" * 100)  # the gateway keeps this one
    await until(lambda: gate.board.held.get("a") == 31)
    await until(lambda: gate.activator.bodies.total > most * 3 // 4)
    assert gate.activator.bodies.total <= most
    for caller in (*first, gone):
        caller.writer.transport.abort()
    await until(lambda: gate.board.held == {"a": 1})
    assert gate.activator.bodies.total == 0


async def test_connections_are_bounded(gate: Gate, caplog: pytest.LogCaptureFixture) -> None:
    gate.activator.limits = HoldLimits(requests=2)
    gate.route("a")
    callers = [await gate.connect() for _ in range(5)]
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await callers[-1].answer()
    callers[0].ask("a")
    await until(lambda: gate.board.held == {"a": 1})
    assert "limit of connections" in caplog.text
    assert gate.board.hold_load["connections"].refused == 1


async def test_body_that_waits_keeps_little_and_its_client_may_go(gate: Gate) -> None:
    gate.route("a")
    caller = await gate.connect()
    caller.ask("a", f"content-length: {LONGEST_KEPT_BODY + 1}")
    for _ in range(64):
        caller.writer.write(b"x" * 65536)
    await until(lambda: gate.activator.bodies.total > 65536)
    assert gate.activator.bodies.total < 1_000_000
    caller.writer.transport.abort()
    await until(lambda: gate.board.held == {})
    assert gate.activator.bodies.total == 0


async def test_body_that_waits_goes_to_the_replica_that_takes_connections(gate: Gate, tmp_path: Path) -> None:
    size = LONGEST_KEPT_BODY + 1
    gate.route("a")
    caller = await gate.connect()
    caller.ask("a", f"content-length: {size}", body=b"x" * size)
    await until(lambda: gate.board.held == {"a": 1})
    dead = f"unix:{tmp_path / 'dead.sock'}"
    gate.route("a", dead)
    await asyncio.sleep(0)
    async with Upstream("up", tmp_path / "up.sock").serving() as upstream:
        gate.route("a", upstream.endpoint)
        assert await caller.answer() == (200, False)
        assert [len(request.body) for request in upstream.requests] == [size]
        assert upstream.requests[0].headers["connection"] == "close"
    assert gate.activator.bodies.total == 0


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """Connecting to a replica has begun; it may end."""
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def slowly(
        client: asyncio.Transport, endpoint: str, passing: Counter[str]
    ) -> asyncio.Transport | None:
        begun.set()
        onward = await connect(client, endpoint, passing)
        await may_end.wait()
        return onward

    monkeypatch.setattr("gyrus.gate.activator.connect", slowly)
    return begun, may_end


async def test_body_that_ends_while_the_replica_is_called_is_requeued(
    gate: Gate, tmp_path: Path, slow: tuple[asyncio.Event, asyncio.Event]
) -> None:
    gate.route("a")
    caller = await gate.connect()
    caller.ask("a", "transfer-encoding: chunked", body=b"1\r\nx\r\n")
    await until(lambda: gate.board.held == {"a": 1})
    async with Upstream("up", tmp_path / "up.sock").serving() as upstream:
        gate.route("a", upstream.endpoint)
        await slow[0].wait()
        caller.writer.write(b"0\r\n\r\n")
        await until(lambda: gate.activator.bodies.total == 0)
        slow[1].set()
        assert await caller.answer() == (503, True)
        assert upstream.requests == []
        gate.route("b")
        caller.ask("b")  # the connection goes on
        gate.route("b", upstream.endpoint)
        assert await caller.answer() == (503, True)


async def test_refused_while_the_replica_is_called_is_refused_once(
    gate: Gate, tmp_path: Path, slow: tuple[asyncio.Event, asyncio.Event]
) -> None:
    gate.route("a")
    caller = await gate.connect()
    caller.ask("a", "transfer-encoding: chunked", body=b"1\r\nx\r\n")
    await until(lambda: gate.board.held == {"a": 1})
    async with Upstream("up", tmp_path / "up.sock").serving() as upstream:
        gate.route("a", upstream.endpoint)
        await slow[0].wait()
        gate.activator.refuse_all()
        slow[1].set()
        assert await caller.answer() == (503, False)
        assert upstream.requests == []


async def test_garbage_ends_its_connection_alone(gate: Gate) -> None:
    gate.route("a")
    good, bad = await gate.connect(), await gate.connect()
    good.ask("a")
    bad.writer.write(b"\x00\x01 what is this\r\n\r\n")
    assert await bad.reader.read() == b""
    gate.route("a", "unix:/replica")
    assert await good.answer() == (503, True)


async def one(gate: Gate, chance: random.Random) -> str:
    """A request whose client may go away at any moment."""
    caller = await gate.connect()
    api, size = chance.choice(APIS), chance.choice([0, 10, 100_000, 300_000])
    if chance.random() < 0.3:
        caller.ask(api, "transfer-encoding: chunked", body=b"%x\r\n" % size + b"x" * size)
    else:
        caller.ask(api, f"content-length: {size}", body=b"x" * (size // chance.choice([1, 2])))
    try:
        async with asyncio.timeout(chance.choice([0.001, 0.01, 0.05, 0.5])):
            await caller.answer()
        return "answered"
    except TimeoutError:
        return "left"
    except (EOFError, ConnectionError):
        return "passed on in vain"
    finally:
        caller.writer.transport.abort()


async def stir(gate: Gate, chance: random.Random) -> None:
    """Replicas come and go, and so do APIs."""
    while True:
        api = chance.choice(APIS)
        if chance.random() < 0.2:
            del gate.board.routes[api]
            gate.board.route_signals.notify(api)
            await asyncio.sleep(0.005)
        gate.route(api, *chance.choice([(), ("unix:/one",), ("unix:/one", "unix:/other")]))
        await asyncio.sleep(0.005)


def living_connections() -> list[GatewayConnection]:
    gc.collect()
    return [each for each in gc.get_objects() if isinstance(each, GatewayConnection)]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
async def test_nothing_is_left_of_thousands_in_any_order(gate: Gate, seed: int) -> None:
    chance = random.Random(seed)
    for api in APIS:
        gate.route(api)
    stirring = asyncio.create_task(stir(gate, chance))
    outcomes: Counter[str] = Counter()
    for _ in range(15):
        outcomes.update(await asyncio.gather(*(one(gate, chance) for _ in range(100))))
    stirring.cancel()
    assert set(outcomes) >= {"answered", "left"}
    await until(lambda: gate.board.held == {})
    await until(lambda: not living_connections())
    assert gate.activator.bodies.total == 0

"""The bound on bodies under way, and their least pace."""

from __future__ import annotations

from time import monotonic

import pytest

from gyrus.contract.replica import Limits
from gyrus.runtime.server.answer import Answer
from gyrus.runtime.server.bodies import FREE, LEAST_PACE, LONGEST, STEP, BodyBudget, is_too_slow, most_of
from gyrus.runtime.server.problems import RequestRefused
from gyrus.runtime.server.reader import Reader
from support.wire import Wire

MIB = 1024 * 1024


def head(length: int | None) -> bytes:
    framing = b"transfer-encoding: chunked" if length is None else b"content-length: %d" % length
    return b"POST / HTTP/1.1\r\nhost: x\r\n" + framing + b"\r\n\r\n"


def chunk(size: int) -> bytes:
    return b"%x\r\n%b\r\n" % (size, b" " * size)


def test_a_declared_length_is_reserved_at_once_and_released_at_the_end() -> None:
    budget = BodyBudget(MIB)
    reader = Reader(Limits(), budget)
    reader.feed(head(FREE + 100))
    assert budget.reserved == 100
    reader.feed(b" " * (FREE + 100))
    assert reader.complete
    assert budget.reserved == 0


def test_a_new_body_is_refused_at_the_bound_and_the_others_go_on() -> None:
    budget = BodyBudget(MIB)
    first, second = Reader(Limits(), budget), Reader(Limits(), budget)
    first.feed(head(MIB))
    with pytest.raises(RequestRefused) as raised:
        second.feed(head(MIB))
    assert (raised.value.kind.status, raised.value.headers["retry-after"]) == (503, "1")
    first.feed(b" " * MIB)
    assert len(first.complete) == 1


def test_a_small_body_is_never_refused() -> None:
    budget = BodyBudget(MIB)
    budget.reserve(MIB)
    for length in (FREE, None):
        reader = Reader(Limits(), budget)
        reader.feed(head(length) + (b" " * FREE if length else chunk(FREE) + b"0\r\n\r\n"))
        assert reader.complete


def test_a_body_of_unknown_length_reserves_as_it_grows() -> None:
    budget = BodyBudget(MIB)
    reader = Reader(Limits(), budget)
    reader.feed(head(None) + chunk(FREE))
    assert budget.reserved == 0
    reader.feed(chunk(1))
    assert budget.reserved == STEP
    with pytest.raises(RequestRefused):
        reader.feed(chunk(2 * MIB))
    reader.drop_body()
    assert budget.reserved == 0


def test_a_lost_connection_releases_its_body() -> None:
    wire = Wire()
    wire.send(head(MIB) + b" " * 1000)
    assert wire.server.bodies.reserved == MIB - FREE
    wire.connection.connection_lost(None)
    assert wire.server.bodies.reserved == 0


def test_a_refused_body_releases_its_memory_before_the_connection_ends() -> None:
    wire = Wire()
    bodies = wire.server.bodies
    wire.send(head(MIB))
    wire.send(b" " * 1000)
    wire.connection.check(monotonic() + 31)
    assert wire.statuses == [408]
    assert bodies.reserved == 0
    assert not wire.transport.aborted


def test_the_bound_admits_two_of_the_longest_bodies() -> None:
    assert most_of(Limits(max_body=512 * MIB)) == 1024 * MIB


@pytest.mark.parametrize(
    ("size", "elapsed", "slow"),
    [
        (0, 29, False),
        (0, 31, True),
        (1000, 60, True),
        (17_000 * 60, 60, False),
        (LEAST_PACE * 1000, 1000, False),
        (32 * MIB, LONGEST + 1, True),
    ],
)
def test_pace(size: int, elapsed: float, slow: bool) -> None:
    assert is_too_slow(size, elapsed, 30) is slow


def test_a_body_of_single_bytes_is_ended() -> None:
    wire = Wire()
    wire.send(head(MIB))
    began = monotonic()
    wire.connection.check(began)
    for second in range(20, 60, 20):
        wire.send(b" ")
        wire.connection._since = began + second  # pyright: ignore[reportPrivateUsage] -- as if it had come then
        wire.connection.check(began + second + 1)
    assert wire.statuses == [408]
    assert b"4 KiB per second" in wire.transport.written


def test_the_pace_of_each_request_counts_from_its_own_beginning() -> None:
    wire = Wire()
    for _ in range(2):
        wire.send(head(10))
        wire.connection.check(monotonic())
        wire.send(b" " * 10)
        wire.exchanges[-1].answer(Answer(200, None))
    assert wire.statuses == [200, 200]

"""Who goes, in which order, and how fast."""

from __future__ import annotations

from time import monotonic

from gyrus.queueing.line import Line
from gyrus.queueing.pace import GIVE_EVERY
from gyrus.runtime.departures import Departures
from support.serving import eventually


def full(waiting: int) -> Line[int]:
    line: Line[int] = Line(1, waiting)
    assert line.start_at_once(-1)
    for item in range(waiting):
        assert line.wait(item, float(item))
    return line


async def test_they_go_one_by_one_the_oldest_first() -> None:
    line, gone = full(30), list[tuple[int, float]]()
    began = monotonic()
    assert Departures(line, lambda item: gone.append((item, monotonic() - began))).order(20) == 20
    assert len(gone) == 1
    await eventually(lambda: len(gone) == 20)
    assert [item for item, _ in gone] == list(range(20))
    assert all(when >= number * GIVE_EVERY * 0.9 for number, (_, when) in enumerate(gone))
    assert line.waiting == 10


async def test_who_is_started_or_has_left_is_passed_over() -> None:
    line, gone = full(4), list[int]()
    assert Departures(line, gone.append).order(None) == 4
    line.finish(-1)
    assert line.start_next() == [1]
    assert line.leave(2)
    await eventually(lambda: line.waiting == 0)
    assert gone == [0, 3]
    assert line.started == {1}


async def test_a_later_order_is_about_those_who_wait_then() -> None:
    line, gone = full(9), list[int]()
    departures = Departures(line, gone.append)
    assert departures.order(9) == 9
    assert departures.order(2) == 2
    await eventually(lambda: len(gone) == 3)
    assert gone == [0, 1, 2]
    assert departures.order(None) == 6
    await eventually(lambda: line.waiting == 0)

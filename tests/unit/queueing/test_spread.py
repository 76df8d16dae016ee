"""Who of a queue goes elsewhere, and in what order all are started then."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gyrus.queueing.spread import spread


@given(st.integers(0, 200), st.data())
def test_as_many_go_as_should(waiting: int, data: st.DataObject) -> None:
    going = data.draw(st.integers(0, waiting))
    positions = spread(waiting, going)
    assert len(positions) == going
    assert positions == sorted(set(positions))
    assert set(positions) <= set(range(waiting))


@given(others=st.integers(1, 8), rounds=st.integers(1, 30))
def test_nobody_is_started_more_than_one_round_out_of_order(others: int, rounds: int) -> None:
    """One place stays, and as many others take what goes, each one request a round, in their order."""
    waiting = rounds * (others + 1)
    going = spread(waiting, rounds * others)
    staying = [position for position in range(waiting) if position not in set(going)]
    started = {position: n // others for n, position in enumerate(going)}
    started |= {position: n for n, position in enumerate(staying)}
    in_order = [started[position] for position in range(waiting)]
    assert in_order == sorted(in_order)


@given(st.integers(1, 200), st.data())
def test_who_has_waited_longest_goes(waiting: int, data: st.DataObject) -> None:
    assert spread(waiting, data.draw(st.integers(1, waiting)))[0] == 0


@given(st.integers(1, 200), st.data())
def test_gaps_are_alike(waiting: int, data: st.DataObject) -> None:
    positions = spread(waiting, data.draw(st.integers(1, waiting)))
    gaps = {later - earlier for earlier, later in pairwise(positions)}
    assert not gaps or max(gaps) - min(gaps) <= 1

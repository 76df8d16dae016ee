"""Which events are the same, and what becomes of their counts and times."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gyrus.state.events.folding import REMEMBERED, WINDOW, StoredEvents, combine_repetitions, fold, key
from gyrus.state.records import Event

START = datetime(2030, 1, 1, tzinfo=UTC)


def event(message: str = "", second: float = 0, **fields: object) -> Event:
    time = START + timedelta(seconds=second)
    plain = Event(api="iris", time=time, type="normal", reason="Ready", message=message, replica="iris-1-a")
    return replace(plain, **fields)  # pyright: ignore[reportArgumentType] the tests name real fields


def test_each_of_these_makes_another_event() -> None:
    others: dict[str, Any] = {
        "api": "b",
        "type": "warning",
        "reason": "Gone",
        "message": "x",
        "replica": None,
    }
    assert len({key(event()), *(key(event(**{name: value})) for name, value in others.items())}) == 6
    assert key(event()) == key(event(second=9, count=3, id=4, first_time=START))


def test_acts_and_their_results_are_no_repetitions() -> None:
    """They happen again, but each belongs to its own place in the history."""
    deployed = [replace(event("live", at), reason="RolloutDone") for at in (1, 2)]
    assert len({key(each) for each in deployed}) == 2
    assert len({key(replace(each, reason="Killed")) for each in deployed}) == 1


@given(st.lists(st.integers(1, 5), min_size=2, max_size=6), st.data())
def test_the_order_of_folding_does_not_matter(counts: list[int], data: st.DataObject) -> None:
    events = [event(second=second, count=count) for second, count in enumerate(counts)]
    while len(events) > 1:
        at = data.draw(st.integers(0, len(events) - 2))
        events[at : at + 2] = [fold(*events[at : at + 2])]
    assert events == [event(second=len(counts) - 1, count=sum(counts), first_time=START)]


def test_a_stored_event_is_repeated_once() -> None:
    stored = event("x", id=7, count=2)
    again = event("x", 5, id=7)
    assert combine_repetitions([again, again, event("y", 6, id=8)], {7: stored}) == [
        event("x", 5, count=3, first_time=START),
        event("x", 5),
        event("y", 6),
    ]


class TestStoredEvents:
    def named(self, stored: Iterable[Event], later: Event) -> int | None:
        known = StoredEvents()
        known.remember(stored)
        return known.named(later).id

    def test_the_same_again_has_the_id_of_the_last(self) -> None:
        stored = [event(id=1), event("other", id=2), event(id=3)]
        assert self.named(stored, event(second=5)) == 3
        assert self.named(stored, event("third", 5)) is None

    def test_after_a_while_it_is_news_again(self) -> None:
        seconds = WINDOW.total_seconds()
        assert self.named([event(id=1)], event(second=seconds)) == 1
        assert self.named([event(id=1)], event(second=seconds + 1)) is None

    def test_what_has_not_happened_for_long_is_forgotten(self) -> None:
        stored = [event(str(number), id=number + 1) for number in range(REMEMBERED)]
        again = event("0", id=REMEMBERED + 1)
        known = StoredEvents()
        known.remember([*stored, again, event("new", id=REMEMBERED + 2)])
        assert known.named(event("0")).id == again.id
        assert known.named(event("1")).id is None
        assert known.named(event("2")).id == 3

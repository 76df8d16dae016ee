"""Whatever is added: never too many, in order, and nothing gets lost unseen."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gyrus.state.events.buffer import EventBuffer
from gyrus.state.events.folding import key
from gyrus.state.records import Event

START = datetime(2030, 1, 1, tzinfo=UTC)


def event(api: str, message: str, second: float) -> Event:
    time = START + timedelta(seconds=second)
    return Event(api=api, time=time, type="normal", reason="R", message=message)


def occurrences(events: list[Event]) -> Counter[tuple[str, str]]:
    found = Counter[tuple[str, str]]()
    for each in events:
        found[each.api, each.message] += each.count
    return found


@given(
    added=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("uvwxyz")), max_size=40),
    most=st.integers(1, 8),
    most_of_one=st.integers(1, 4),
)
def test_each_occurrence_is_taken_or_returned(
    added: list[tuple[str, str]], most: int, most_of_one: int
) -> None:
    buffer = EventBuffer(most, most_of_one)
    displaced: list[Event] = []
    for second, (api, message) in enumerate(added):
        displaced += filter(None, [buffer.add(event(api, message, second))])
        assert len(buffer) <= most
    size, taken = len(buffer), [*buffer.take()]
    assert len(taken) == size
    assert len({key(each) for each in taken}) == len(taken)
    assert max(Counter(each.api for each in taken).values(), default=0) <= most_of_one
    assert occurrences([*taken, *displaced]) == Counter(added)
    for api in "abc":
        times = [each.time for each in taken if each.api == api]
        assert times == sorted(times)
    assert (len(buffer), buffer.take()) == (0, ())


def test_an_apis_newest_event_displaces_its_own_oldest() -> None:
    buffer = EventBuffer(most=4, most_of_one=3)
    for second, message in enumerate("uvwx"):
        displaced = buffer.add(event("a", message, second))
        assert displaced == (event("a", "u", 0) if message == "x" else None)
    assert buffer.add(event("b", "u", 4)) is None
    assert buffer.add(event("c", "u", 5)) == event("c", "u", 5)  # it is full, of others' events
    assert buffer.add(event("b", "v", 6)) == event("b", "u", 4)
    assert [(each.api, each.message) for each in buffer.take()] == [*(("a", m) for m in "vwx"), ("b", "v")]

"""Batches within the limits of PutLogEvents."""

from hypothesis import given
from hypothesis import strategies as st

from gyrus.cluster.aws.cloudwatch import events
from gyrus.cluster.aws.cloudwatch.events import LogEvent, divided, event

NOW = 1_800_000_000.0
MILLIS = int(NOW * 1000)
SIZES = st.sampled_from([26, 27, 1000, 100_000, events.EVENT])
TIMES = st.integers(-15 * 86_400_000, 3 * 3_600_000) | st.integers(-1000, 1000)


@st.composite
def log_events(draw: st.DrawFn) -> list[LogEvent]:
    pairs = draw(st.lists(st.tuples(TIMES, SIZES), max_size=40))
    return [LogEvent(MILLIS + time, str(number), size) for number, (time, size) in enumerate(pairs)]


@given(log_events())
def test_each_batch_is_within_the_limits_and_in_time_order(given: list[LogEvent]) -> None:
    for batch in divided(given, NOW).batches:
        times = [each.time for each in batch]
        assert times == sorted(times)
        assert times[-1] - times[0] < 24 * 3600 * 1000
        assert sum(each.size for each in batch) <= 1_048_576
        assert 0 < len(batch) <= 10_000
        assert times[0] > MILLIS - 14 * 86_400_000
        assert times[-1] < MILLIS + 2 * 3_600_000


@given(log_events())
def test_each_event_is_in_one_batch_or_counted(given: list[LogEvent]) -> None:
    found = divided(given, NOW)
    sent = [each for batch in found.batches for each in batch]
    assert len(sent) + found.refused == len(given)
    assert len({each.message for each in sent}) == len(sent)
    assert [each.time for each in sent] == sorted(each.time for each in sent)


def test_a_batch_has_at_most_ten_thousand_events() -> None:
    found = divided([event(NOW, "") for _ in range(20_001)], NOW)
    assert [len(batch) for batch in found.batches] == [10_000, 10_000, 1]


def test_the_size_of_an_event_is_that_of_its_bytes_and_26() -> None:
    assert event(1.5, "é") == LogEvent(1500, "é", 28)


def test_events_that_are_too_old_or_too_new_are_counted_apart() -> None:
    found = divided([event(NOW - 15 * 86_400, ""), event(NOW, ""), event(NOW + 8000, "")], NOW)
    assert (found.too_old, found.too_new, len(found.batches)) == (1, 1, 1)

"""The bounded backlog."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from gyrus.cluster.aws.cloudwatch.backlog import OWN_MEMORY, EventBacklog
from gyrus.cluster.aws.cloudwatch.events import event

OPERATIONS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 300)) | st.integers(1, 2000), max_size=40
)


@given(OPERATIONS)
def test_no_event_is_lost_uncounted_and_memory_is_bounded(operations: list[tuple[str, int] | int]) -> None:
    backlog = EventBacklog(2000)
    offered, dropped, taken, reported = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for number, each in enumerate(operations):
        if isinstance(each, int):
            for part in backlog.take(each):
                taken[part.stream] += len(part.events)
                reported[part.stream] += part.dropped
                times = [one.time for one in part.events]
                assert times == sorted(times)
        else:
            stream, length = each
            offered[stream] += 1
            dropped += backlog.add(stream, [event(number, "x" * length)])
        assert 0 <= backlog.size <= 2000
    assert offered.total() == dropped.total() + taken.total() + len(backlog)
    assert all(reported[stream] <= dropped[stream] for stream in "abc")


def test_the_oldest_events_are_dropped_whatever_their_stream() -> None:
    backlog = EventBacklog(2 * (OWN_MEMORY + 27))
    assert backlog.add("a", [event(1, "x")]) == Counter()
    assert backlog.add("b", [event(2, "x"), event(3, "x")]) == Counter({"a": 1})
    backlog.add("a", [event(4, "x")])
    assert [(each.stream, len(each.events), each.dropped) for each in backlog.take(9999)] == [
        ("b", 1, 1),
        ("a", 1, 1),
    ]
    assert backlog.size == 0

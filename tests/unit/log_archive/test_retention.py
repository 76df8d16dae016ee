"""What an archive removes: the oldest, and no more than its limits demand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gyrus.log_archive.archive import ArchiveLimits
from gyrus.log_archive.retention import expired
from gyrus.log_archive.segment import Segment

APIS = ("iris", "wine")
NOW = 100.0


@st.composite
def some_segments(draw: st.DrawFn) -> list[Segment]:
    made = draw(st.lists(st.tuples(st.sampled_from(APIS), st.integers(0, 100), st.integers(1, 50))))
    return [
        Segment(key=str(number), api=api, replica=f"{api}-1-a", first=0.0, last=float(last), size=size)
        for number, (api, last, size) in enumerate(made)
    ]


limits = st.builds(
    ArchiveLimits, per_api=st.integers(0, 300), total=st.integers(0, 500), age=st.floats(0.0, 120.0)
)


@given(some_segments(), limits)
def test_what_is_left_is_within_the_limits(segments: list[Segment], limits: ArchiveLimits) -> None:
    removed = expired(segments, limits, NOW)
    left = [segment for segment in segments if segment not in removed]
    assert sum(segment.size for segment in left) <= limits.total
    for api in APIS:
        assert sum(segment.size for segment in left if segment.api == api) <= limits.per_api
    assert all(segment.last >= NOW - limits.age for segment in left)


@given(some_segments(), limits)
def test_the_oldest_of_an_api_go_first(segments: list[Segment], limits: ArchiveLimits) -> None:
    removed = expired(segments, limits, NOW)
    assert [segment.last for segment in removed] == sorted(segment.last for segment in removed)
    for api in APIS:
        gone = [segment.last for segment in removed if segment.api == api]
        left = [segment.last for segment in segments if segment.api == api and segment not in removed]
        assert not gone or not left or max(gone) <= min(left)


@given(some_segments())
def test_nothing_goes_within_the_limits(segments: list[Segment]) -> None:
    size = sum(segment.size for segment in segments)
    assert expired(segments, ArchiveLimits(per_api=size, total=size, age=NOW), NOW) == []


def test_an_api_with_much_output_takes_none_of_another_within_its_own_limit() -> None:
    def segment(key: int, api: str, last: float) -> Segment:
        return Segment(key=str(key), api=api, replica="r", first=0.0, last=last, size=10)

    quiet = segment(0, "iris", 1.0)
    loud = [segment(number, "wine", 10.0 + number) for number in range(1, 11)]
    removed = expired([quiet, *loud], ArchiveLimits(per_api=30, total=60), NOW)
    assert [each.key for each in removed] == ["1", "2", "3", "4", "5", "6", "7"]

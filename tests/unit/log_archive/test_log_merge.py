"""Two copies of a log become one: each line once, as often as the log has it."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from gyrus.contract.operator import LogLine
from gyrus.log_archive.log_merge import Copy, LogMerge

some_lines = st.lists(st.sampled_from("abc"))
orders = st.lists(st.sampled_from([Copy.CLUSTER, Copy.ARCHIVE]), max_size=40)


def line(message: str, run: int = 0) -> LogLine:
    return LogLine(time=1.0, replica="iris-1-aaaaa", message=message, run=run)


@given(some_lines, some_lines, orders)
def test_a_line_is_admitted_as_often_as_the_copy_with_most_of_it_has_it(
    cluster: list[str], archive: list[str], turns: list[Copy]
) -> None:
    merge, admitted = LogMerge(), Counter[str]()
    left = {Copy.CLUSTER: list(cluster), Copy.ARCHIVE: list(archive)}
    for copy in [*turns, *([Copy.CLUSTER] * len(cluster)), *([Copy.ARCHIVE] * len(archive))]:
        if left[copy] and merge.admit(copy, line(message := left[copy].pop(0))):
            admitted[message] += 1
    assert admitted == Counter(cluster) | Counter(archive)


def test_copies_with_other_numbers_of_restarts_are_the_same_line() -> None:
    merge = LogMerge()
    assert merge.admit(Copy.CLUSTER, line("a", run=0))
    assert not merge.admit(Copy.ARCHIVE, line("a", run=1))


def test_what_is_remembered_is_bounded() -> None:
    merge = LogMerge(remembered=2)
    for message in "abc":
        assert merge.admit(Copy.CLUSTER, line(message))
    assert [merge.admit(Copy.ARCHIVE, line(message)) for message in "cba"] == [False, False, True]

"""Traces as people have them, and the errors for files that are none."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyrus.simulator.trace import Trace, TraceError, read


def traced(folder: Path, text: str) -> Trace:
    file = folder / "trace.csv"
    file.write_text(text)
    return read(file)


def test_dates_with_seven_digits_and_no_final_newline(tmp_path: Path) -> None:
    trace = traced(
        tmp_path,
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2023-11-16 18:17:03.9799600,4808,10\n"
        "2023-11-16 18:17:04.0319600,3180,8",
    )
    assert trace.name == "trace.csv"
    assert trace.start == pytest.approx(1700158623.97996)
    assert trace.arrivals == pytest.approx([0, 0.052])
    assert trace.columns == {"ContextTokens": ("4808", "3180"), "GeneratedTokens": ("10", "8")}
    assert trace.length == pytest.approx(0.052)


@pytest.mark.parametrize(
    ("text", "start", "arrivals"),
    [
        ("time,n\n0,1\n1.5,2\n", 0, [0, 1.5]),
        ("n;arrived_at\nx;10\ny;12\n", 10, [0, 2]),
        ("t\n2023-11-16T18:00:00Z\n2023-11-16T20:00:01+02:00\n", 1700157600, [0, 1]),
        ("\ufeffTime\n3\n\n7\n", 3, [0, 4]),
        ("when,what\n2023-11-16,a\n2023-11-17,b\n", 1700092800, [0, 86400]),
    ],
)
def test_times_are_recognised(tmp_path: Path, text: str, start: float, arrivals: list[float]) -> None:
    trace = traced(tmp_path, text)
    assert (trace.start, list(trace.arrivals)) == (start, arrivals)


def test_without_names_columns_are_numbered(tmp_path: Path) -> None:
    trace = traced(tmp_path, "0.5,120\n0.25,80\n")
    assert trace.start == 0.25
    assert trace.columns == {"column2": ("80", "120")}


def test_the_column_is_chosen_by_its_name_first(tmp_path: Path) -> None:
    trace = traced(tmp_path, "size,Timestamp\n7,100\n9,101\n")
    assert trace.arrivals == (0, 1)
    assert trace.columns == {"size": ("7", "9")}


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ("", "has no requests"),
        ("time,n\n", "has no requests"),
        ("name,kind\na,b\n", "no column holds times (the columns are name, kind)"),
        ("time\n1\nsoon\n", "trace.csv:3: time: 'soon' is not a time"),
        ("time\n1\nnan\n", "trace.csv:3: time: 'nan' is not a time"),
        ("time\n2023-11-16 18:00\n5\n", "trace.csv:3: time: '5' is not a time"),
        ("time,n\n1,2\n3\n", "trace.csv:3: has 1 columns, not 2"),
    ],
)
def test_faults_are_reported_with_their_place(tmp_path: Path, text: str, reported: str) -> None:
    with pytest.raises(TraceError) as raised:
        traced(tmp_path, text)
    assert reported in str(raised.value)
    assert str(raised.value).startswith(str(tmp_path / "trace.csv"))


def test_a_file_that_is_not_there_and_one_that_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"none\.csv: cannot be read: No such file"):
        read(tmp_path / "none.csv")
    (tmp_path / "trace.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TraceError, match="is not UTF-8 text"):
        read(tmp_path / "trace.csv")


TRACES = st.lists(st.floats(0, 1e6), min_size=1, max_size=200).map(
    lambda times: Trace(
        "t", 5.0, tuple(sorted(time - min(times) for time in times)), {"n": tuple(map(str, times))}
    )
)


@given(TRACES, st.floats(0.001, 1))
def test_thinning_keeps_its_share_evenly(trace: Trace, share: float) -> None:
    thin = trace.thinned(share)
    assert len(thin) == pytest.approx(len(trace) * share, abs=1)
    assert set(thin.arrivals) <= set(trace.arrivals)
    assert len(thin.columns["n"]) == len(thin)
    assert thin.arrivals[0] == 0


@given(TRACES, st.floats(0, 1e6), st.floats(0.1, 100))
def test_cutting_and_hastening_keep_the_order(trace: Trace, seconds: float, speed: float) -> None:
    first = trace.first(seconds)
    assert len(first) == sum(arrival < seconds for arrival in trace.arrivals)
    assert list(trace.faster(speed).arrivals) == sorted(trace.faster(speed).arrivals)
    assert trace.faster(speed).length == pytest.approx(trace.length / speed)

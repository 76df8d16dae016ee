"""Lines as documents, and back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyrus.cluster.aws.cloudwatch.documents import DocumentReader, batch_number, events_of
from gyrus.cluster.aws.cloudwatch.events import LogEvent
from gyrus.contract.operator import LogLine

SMALL = 700
"""Bytes of an event, so that messages are divided."""
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
MESSAGES = (
    TEXTS
    | TEXTS.map(lambda text: text * 60)
    | st.dictionaries(TEXTS, st.integers() | TEXTS, max_size=3).map(json.dumps)
    | st.sampled_from(["", "{", "{}", '{"a": NaN}', '{"a": 1} ', "[1]", '"x"', "null", "\x00\x1f\n"])
)


@st.composite
def lines(draw: st.DrawFn) -> LogLine:
    return LogLine(
        time=draw(st.floats(1e9, 2e9)),
        replica=draw(st.sampled_from(["iris-1-abcde", "iris-2-fghij"])),
        message=draw(MESSAGES),
        stream=draw(st.sampled_from(["stdout", "stderr", "gyrus"])),
        level=draw(st.none() | st.just("error")),
        request_id=draw(st.none() | st.text("0123456789abcdef-", min_size=1, max_size=40)),
        process=draw(st.integers(0, 3)),
        run=draw(st.integers(0, 3)),
    )


def read(events: list[LogEvent], stream: str = "apis/iris/iris-1-abcde") -> list[LogLine]:
    reader = DocumentReader()
    found = [line for each in events for line in reader.lines(stream, each.message)]
    return [*found, *reader.rest()]


@given(st.lists(lines(), max_size=5))
def test_lines_come_back_as_they_were(given: list[LogLine]) -> None:
    events = list(events_of(given, 7, api="iris", revision=3, longest=SMALL))
    assert read(events) == given
    assert all(each.size <= SMALL and each.size == len(each.message.encode()) + 26 for each in events)


@given(st.lists(lines(), max_size=5), st.data())
def test_events_that_were_sent_twice_are_one_line(given: list[LogLine], data: st.DataObject) -> None:
    events = list(events_of(given, 7, longest=SMALL))
    twice = [each for each in events for _ in range(data.draw(st.integers(1, 2)))]
    assert read(twice) == given


def test_equal_lines_stay_several() -> None:
    line = LogLine(time=1.0, replica="a", message="same")
    assert len(read(list(events_of([line, line], 1)))) == 2


def test_the_labels_are_fields_and_a_json_message_stays_json() -> None:
    line = LogLine(time=1.5, replica="iris-3-abcde", message='{"user": 1}', level="error", request_id="r")
    [event] = events_of([line], 9, api="iris", revision=3)
    assert json.loads(event.message) == {
        "time": 1.5,
        "message": {"user": 1},
        "id": "9.0",
        "api": "iris",
        "replica": "iris-3-abcde",
        "revision": 3,
        "level": "error",
        "request_id": "r",
    }


def test_a_long_message_is_marked_in_each_part() -> None:
    events = list(events_of([LogLine(time=1.0, replica="a", message="x" * 1000)], 1, longest=SMALL))
    marks = [(json.loads(each.message)["part"], json.loads(each.message)["parts"]) for each in events]
    assert marks == [(1, 2), (2, 2)]


def test_what_is_left_of_a_divided_line_is_shown() -> None:
    events = list(events_of([LogLine(time=1.0, replica="a", message="x" * 1000)], 1, longest=SMALL))
    [line] = read(events[1:])
    assert line.message == "x" * 500


def test_a_character_that_utf_8_cannot_represent_is_escaped() -> None:
    [event] = events_of([LogLine(time=1.0, replica="a", message="\ud800")], 1)
    assert json.loads(event.message)["message"] == "\\ud800"


@pytest.mark.parametrize(("text", "number"), [("{}", None), ("hello", None), ("[", None)])
def test_events_of_others_have_no_number_and_no_line(text: str, number: int | None) -> None:
    assert batch_number(text) is number
    assert read([LogEvent(1, text, 30)]) == []


def test_the_number_of_a_batch_is_in_its_events() -> None:
    [event] = events_of([LogLine(time=1.0, replica="a", message="")], 123)
    assert batch_number(event.message) == 123

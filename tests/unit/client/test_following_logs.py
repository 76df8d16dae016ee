"""Following logs past the end of a stream."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlencode

import msgspec
import pytest

from gyrus.client import streams
from gyrus.client.environments import Environment
from gyrus.client.errors import OperatorUnreachable, UnknownApi
from gyrus.client.streams import Streams
from gyrus.client.transport import Transport
from gyrus.contract.operator import LogLine, LogQuery
from gyrus.contract.problem import Problem

END = UnknownApi(Problem(type="urn:x", title="Unknown API", status=404, detail="no API named iris"), "iris")


def line(time: float, message: str, replica: str = "iris-1-a") -> LogLine:
    return LogLine(time=time, replica=replica, message=message)


class Scripted(Transport):
    """Answers each request for a stream with the next lines, or with an error after or instead of them."""

    def __init__(self, *answers: list[LogLine | Exception]) -> None:
        super().__init__(Environment("far", "https://127.0.0.1:1"), 1)
        self.queries: list[dict[str, list[str]]] = []
        self._answers = iter(answers)

    @contextmanager
    def stream(
        self, path: str, query: Iterable[tuple[str, str]], seconds: float | None = None
    ) -> Generator[Iterator[bytes]]:
        self.queries.append(parse_qs(urlencode(list(query))))
        answer = next(self._answers)
        if answer and isinstance(answer[0], UnknownApi):
            raise answer[0]
        yield self._sent(answer)

    def _sent(self, answer: list[LogLine | Exception]) -> Iterator[bytes]:
        for each in answer:
            if isinstance(each, Exception):
                raise each
            yield msgspec.json.encode(each) + b"\n"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "PAUSE", 0.0)


def followed(operator: Transport, **query: object) -> list[str]:
    fields = msgspec.convert({"api": "iris", "follow": True, **query}, LogQuery)
    return [each.message for each in Streams(operator).logs(fields)]


def test_a_stream_that_ends_is_continued_until_the_api_is_deleted() -> None:
    operator = Scripted([line(10, "first")], [line(20, "second")], [END])
    assert followed(operator) == ["first", "second"]
    assert operator.queries == [
        {"follow": ["true"]},
        {"follow": ["true"], "since": ["5.0"]},
        {"follow": ["true"], "since": ["15.0"]},
    ]


def test_no_line_is_shown_twice_and_a_late_one_is_not_lost() -> None:
    late = line(9, "of another replica", "iris-1-b")
    operator = Scripted(
        [line(1, "old"), line(10, "first")], [late, line(10, "first"), line(11, "new")], [END]
    )
    assert followed(operator) == ["old", "first", "of another replica", "new"]


def test_only_the_first_stream_has_a_tail() -> None:
    operator = Scripted([line(10, "first")], [END])
    followed(operator, tail=1)
    assert operator.queries[1] == {"follow": ["true"], "since": ["5.0"]}


def test_without_a_line_the_question_stays_the_same() -> None:
    operator = Scripted([], [line(10, "first")], [END])
    with pytest.raises(UnknownApi):
        followed(Scripted([END]), tail=0)
    assert followed(operator, tail=0) == ["first"]
    assert operator.queries[1] == {"follow": ["true"], "tail": ["0"]}


def test_a_broken_stream_is_continued() -> None:
    lost = OperatorUnreachable("No operator answers.")
    assert followed(Scripted([line(10, "first"), lost], [line(20, "second")], [END])) == ["first", "second"]


def test_an_operator_that_never_answered_is_reported_at_once() -> None:
    with pytest.raises(OperatorUnreachable, match=r"^No operator answers\.$"):
        followed(Scripted([OperatorUnreachable("No operator answers.")]))


def test_an_operator_that_stays_away_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "PATIENCE", -1.0)
    lost = OperatorUnreachable("No operator answers.")
    with pytest.raises(OperatorUnreachable):
        followed(Scripted([line(10, "first"), lost]))

"""Prints and log records as lines, each with its request."""

from __future__ import annotations

import io
import json
import logging
import os
import threading
from collections.abc import Iterator

import pytest

from gyrus.contract.replica import Phase, Reason
from gyrus.runtime.telemetry.control import CONTROL_FD, Control, ControlPipe, PlainText, open_control
from gyrus.runtime.telemetry.output import LogHandler, LogStream, current_request


@pytest.fixture
def pipe() -> Iterator[tuple[ControlPipe, io.BufferedReader]]:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as read:
        yield ControlPipe(writer), read
        try:
            os.close(writer)
        except OSError:
            pass


def lines(pipe: tuple[ControlPipe, io.BufferedReader], number: int) -> list[dict[str, object]]:
    return [json.loads(pipe[1].readline()) for _ in range(number)]


def test_a_line_a_message(pipe: tuple[ControlPipe, io.BufferedReader]) -> None:
    stream = LogStream("stdout", io.StringIO(), pipe[0])
    current_request.set("r1")
    print("one", "two", file=stream)
    print("three ", end="", file=stream, flush=True)
    print("four\nfive", file=stream)
    current_request.set(None)
    print(file=stream)
    found = lines(pipe, 4)
    assert [line["message"] for line in found] == ["one two", "three four", "five", ""]
    assert [line["request_id"] for line in found] == ["r1", "r1", "r1", None]
    assert {line["stream"] for line in found} == {"stdout"}
    assert {line["kind"] for line in found} == {"log"}


def test_threads_do_not_mix_their_lines(pipe: tuple[ControlPipe, io.BufferedReader]) -> None:
    stream = LogStream("stdout", io.StringIO(), pipe[0])
    stream.write("first ")
    other = threading.Thread(target=lambda: stream.write("other\n"))
    other.start()
    other.join()
    stream.write("line\n")
    assert [line["message"] for line in lines(pipe, 2)] == ["other", "first line"]


def test_a_line_without_end_is_not_held_for_ever(pipe: tuple[ControlPipe, io.BufferedReader]) -> None:
    LogStream("stdout", io.StringIO(), pipe[0]).write("x" * 70_000)
    assert lines(pipe, 1)[0]["message"] == "x" * 70_000


def test_log_records(pipe: tuple[ControlPipe, io.BufferedReader]) -> None:
    logger = logging.Logger("my.model", logging.INFO)
    logger.addHandler(LogHandler(pipe[0]))
    logger.warning("slow: %d ms", 5)
    try:
        raise ValueError("no")
    except ValueError:
        logger.exception("failed")
    warning, error = lines(pipe, 2)
    assert (warning["level"], warning["message"]) == ("warning", "my.model: slow: 5 ms")
    assert error["level"] == "error"
    assert str(error["message"]).startswith("my.model: failed\nTraceback")
    assert str(error["message"]).endswith("ValueError: no")


def test_status(pipe: tuple[ControlPipe, io.BufferedReader]) -> None:
    pipe[0].status(Phase.FAILED, "bad", reason=Reason.IMPORT, lines=("a", "b"))
    assert lines(pipe, 1) == [
        {"kind": "status", "phase": "failed", "reason": "ImportError", "message": "bad", "lines": ["a", "b"]}
    ]


def test_many_writers_never_mix_their_lines(pipe: tuple[ControlPipe, io.BufferedReader]) -> None:
    def write(number: int) -> None:
        for _ in range(50):
            pipe[0].log("stdout", str(number) * 9000, level=None, request_id=None)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    messages = [str(line["message"]) for line in lines(pipe, 200)]
    for writer in writers:
        writer.join()
    assert all(len(message) == 9000 and len({*message}) == 1 for message in messages)


def test_a_supervisor_that_is_gone_does_not_matter(pipe: tuple[ControlPipe, io.BufferedReader]) -> None:
    pipe[1].close()
    pipe[0].log("stdout", "nobody reads this", level=None, request_id=None)


def test_without_a_supervisor_it_is_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CONTROL_FD, raising=False)
    out = io.StringIO()
    control: Control = open_control(out)
    assert isinstance(control, PlainText)
    control.status(Phase.FAILED, "no such file", reason=Reason.IMPORT, lines=("Traceback",))
    control.log("stdout", "hello", level=None, request_id="r1")
    assert out.getvalue() == "Traceback\ngyrus: failed: ImportError: no such file\n[r1] hello\n"

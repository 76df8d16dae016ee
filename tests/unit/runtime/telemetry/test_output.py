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
from gyrus.runtime.supervisor.lines import CONTINUED
from gyrus.runtime.telemetry.control import CONTROL_FD, Control, ControlPipe, PlainText, open_control
from gyrus.runtime.telemetry.output import LogHandler, current_request, log_stream


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
    stream = log_stream("stdout", None, pipe[0])
    current_request.set("r1")
    print("one", "two", file=stream)
    print("three ", end="", file=stream)
    print("four\nfive", file=stream)
    print(file=stream)
    current_request.set(None)
    print("six", file=stream)
    found = lines(pipe, 5)
    assert [line["message"] for line in found] == ["one two", "three four", "five", "", "six"]
    assert [line["request_id"] for line in found] == ["r1", "r1", "r1", "r1", None]
    assert {line["stream"] for line in found} == {"stdout"}
    assert {line["kind"] for line in found} == {"log"}


def test_a_flush_ends_the_line(pipe: tuple[ControlPipe, io.BufferedReader]) -> None:
    stream = log_stream("stdout", None, pipe[0])
    print("user carol", end=" ", file=stream, flush=True)
    print(file=stream)
    print(end="", file=stream, flush=True)
    print("\r 50%", end="", file=stream, flush=True)
    print("\r100%", end="", file=stream, flush=True)
    print(file=stream)
    print("done\n\nnext", file=stream)
    assert [line["message"] for line in lines(pipe, 6)] == ["user carol ", " 50%", "100%", "done", "", "next"]


def test_unfinished_text_is_the_request_s_that_printed_it(
    pipe: tuple[ControlPipe, io.BufferedReader],
) -> None:
    stream = log_stream("stdout", None, pipe[0])
    for request in ("A", "B"):
        current_request.set(request)
        print("from", request, end=" ", file=stream)
    current_request.set(None)
    print("from none", file=stream)
    found = [(line["message"], line["request_id"]) for line in lines(pipe, 3)]
    assert found == [("from A ", "A"), ("from B ", "B"), ("from none", None)]


def test_threads_do_not_mix_their_lines(pipe: tuple[ControlPipe, io.BufferedReader]) -> None:
    stream = log_stream("stdout", None, pipe[0])
    stream.write("first ")
    other = threading.Thread(target=lambda: stream.write("other\n"))
    other.start()
    other.join()
    stream.write("line\n")
    assert [line["message"] for line in lines(pipe, 2)] == ["other", "first line"]


def test_the_end_of_a_thread_ends_its_line(pipe: tuple[ControlPipe, io.BufferedReader]) -> None:
    stream = log_stream("stdout", None, pipe[0])
    other = threading.Thread(target=lambda: stream.write("last words"))
    other.start()
    other.join()
    assert lines(pipe, 1)[0]["message"] == "last words"


def test_a_long_line_is_cut_with_a_mark(pipe: tuple[ControlPipe, io.BufferedReader]) -> None:
    stream = log_stream("stdout", None, pipe[0])
    stream.write("x" * 70_000)
    assert lines(pipe, 1)[0]["message"] == "x" * 65_536 + CONTINUED
    stream.write("y\n")
    assert lines(pipe, 1)[0]["message"] == "x" * (70_000 - 65_536) + "y"
    stream.write("ü" * 40_000 + "\n")
    assert "".join(str(line["message"]).removesuffix(CONTINUED) for line in lines(pipe, 2)) == "ü" * 40_000


def test_a_long_record_is_cut_with_a_mark(pipe: tuple[ControlPipe, io.BufferedReader]) -> None:
    pipe[0].log("stderr", "x" * 300_000, level="info", request_id=None)
    assert lines(pipe, 1)[0]["message"] == "x" * 262_144 + CONTINUED


def test_it_is_an_ordinary_text_stream(pipe: tuple[ControlPipe, io.BufferedReader]) -> None:
    with open(os.devnull, "w") as original:
        stream = log_stream("stdout", original, pipe[0])
        assert (stream.name, stream.mode, stream.encoding) == ("<stdout>", "w", "utf-8")
        assert (stream.isatty(), stream.writable(), stream.readable(), stream.seekable()) == (
            False, True, False, False
        )  # fmt: skip
        assert stream.fileno() == original.fileno()
        stream.reconfigure(line_buffering=True)
        stream.reconfigure(encoding="ascii", errors="replace")
        assert (stream.line_buffering, stream.encoding, stream.errors) == (True, "ascii", "replace")
        print("é", file=stream)
        stream.reconfigure(encoding="latin-1")
        print("é", file=stream)
        stream.writelines(["a\n", "b\n"])
        stream.buffer.write(b"bytes\n")
        stream.close()
        print("still open", file=stream)
        again = io.TextIOWrapper(stream.detach(), encoding="utf-8", line_buffering=True)
        print("wrapped é", file=again)
        found = [line["message"] for line in lines(pipe, 7)]
        assert found == ["?", "é", "a", "b", "bytes", "still open", "wrapped é"]


def test_the_logging_of_the_handler_works(pipe: tuple[ControlPipe, io.BufferedReader]) -> None:
    stream = log_stream("stderr", None, pipe[0])
    logger = logging.Logger("mine", logging.INFO)
    logger.addHandler(logging.StreamHandler(stream))
    logger.info("one\ntwo")
    assert [line["message"] for line in lines(pipe, 2)] == ["one", "two"]


def test_printing_while_a_message_is_written_neither_waits_nor_mixes(
    pipe: tuple[ControlPipe, io.BufferedReader], monkeypatch: pytest.MonkeyPatch
) -> None:
    write, depth = os.write, 0

    def interrupted(fd: int, data: bytes) -> int:
        nonlocal depth
        depth += 1
        if depth == 1:  # as a signal handler, between two parts of a message
            pipe[0].log("stdout", "in between", level=None, request_id=None)
        return write(fd, bytes(data)[:10])

    monkeypatch.setattr(os, "write", interrupted)
    pipe[0].log("stdout", "first", level=None, request_id=None)
    assert [line["message"] for line in lines(pipe, 2)] == ["first", "in between"]


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

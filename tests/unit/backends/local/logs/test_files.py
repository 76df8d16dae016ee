"""Every line once and in order, whatever rotation does, forwards and backwards."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gyrus.backends.local.logs.files import ReplicaLog
from gyrus.runtime.supervisor.logfile import LogEntry, LogFile
from support.examples import examples


class Writer:
    """Writes numbered lines as a supervisor does."""

    def __init__(self, folder: Path, size: int = 600, old_files: int = 900) -> None:
        self.file = LogFile(str(folder), "iris-1-aaaaa", size=size, old_files=old_files)
        self.count = 0

    def write(self, lines: int) -> None:
        self.file.write(
            LogEntry(message=f"<{self.count + n}>", time=float(self.count + n)) for n in range(lines)
        )
        self.count += lines


def numbers(lines: list[bytes]) -> list[int]:
    return [int(line.split(b"<")[1].split(b">")[0]) for line in lines]


def test_a_log_that_is_not_there_yet_has_no_lines(tmp_path: Path) -> None:
    log = ReplicaLog(tmp_path / "iris-1-aaaaa")
    assert list(log.lines()) == []
    assert list(log.backwards()) == []
    (tmp_path / "iris-1-aaaaa").mkdir()
    Writer(tmp_path / "iris-1-aaaaa").write(3)
    assert numbers(list(log.lines())) == [0, 1, 2]
    log.close()


@settings(max_examples=examples(0.4), deadline=None)
@given(st.lists(st.integers(0, 40), max_size=12), st.integers(150, 900))
def test_forwards_nothing_is_missed_and_nothing_comes_twice(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int], size: int
) -> None:
    folder = tmp_path_factory.mktemp("log")
    writer, log, seen = Writer(folder, size), ReplicaLog(folder), list[int]()
    for step in steps:
        writer.write(step)
        seen += numbers(list(log.lines()))
        assert seen == list(range(writer.count))
    log.close()


@settings(max_examples=examples(0.4), deadline=None)
@given(st.integers(0, 60), st.integers(0, 60), st.integers(150, 900), st.integers(0, 70))
def test_backwards_and_then_on(
    tmp_path_factory: pytest.TempPathFactory, before: int, after: int, size: int, taken: int
) -> None:
    folder = tmp_path_factory.mktemp("log")
    writer, log = Writer(folder, size), ReplicaLog(folder)
    writer.write(before)
    backwards = log.backwards()
    writer.write(after)
    newest = [line for line, _ in zip(backwards, range(taken), strict=False)]
    assert numbers(newest) == list(range(before))[::-1][:taken]
    assert numbers(list(log.lines())) == list(range(before, before + after))
    log.close()


def test_lines_longer_than_a_block_are_read_backwards(tmp_path: Path) -> None:
    lines = [bytes([65 + n]) * (n * 50_000) for n in range(1, 5)]
    (tmp_path / "replica.log").write_bytes(b"".join(line + b"\n" for line in lines) + b"half a li")
    log = ReplicaLog(tmp_path)
    assert list(log.backwards()) == lines[::-1]
    with (tmp_path / "replica.log").open("ab") as file:
        file.write(b"ne\n")
    assert list(log.lines()) == [b"half a line"]
    log.close()


def test_files_behind_a_rotation_under_way_are_found(tmp_path: Path) -> None:
    """Every moment of a rotation: one number is missing."""
    for gap in range(5):
        folder = tmp_path / str(gap)
        writer, log = Writer(folder, size=150), ReplicaLog(folder)
        writer.write(1)
        assert numbers(list(log.lines())) == [0]
        writer.write(12)
        for number in reversed(range(gap, 13)):
            name = f"replica.log.{number}" if number else "replica.log"
            if (folder / name).exists():
                (folder / name).rename(folder / f"replica.log.{number + 1}")
        assert numbers(list(log.lines())) == list(range(1, 13))
        log.close()


def test_reading_keeps_pace_with_a_writer_that_rotates(tmp_path: Path) -> None:
    writer, log, seen = Writer(tmp_path, size=20_000), ReplicaLog(tmp_path), list[int]()
    thread = threading.Thread(target=lambda: [writer.write(50) for _ in range(200)])
    thread.start()
    while thread.is_alive():
        seen += numbers(list(log.lines()))
    thread.join()
    seen += numbers(list(log.lines()))
    assert seen == list(range(10_000))
    log.close()

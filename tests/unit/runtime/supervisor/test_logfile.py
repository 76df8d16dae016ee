"""The log consists of readable lines, is bounded, and survives a full disk."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from gyrus.contract.operator import LogLine
from gyrus.runtime.codec import decode
from gyrus.runtime.supervisor.logfile import LogEntry, LogFile, LogOutput


def entry(message: str) -> LogEntry:
    return LogEntry(message=message, time=1.0)


def messages(path: Path) -> list[str]:
    return [json.loads(line)["message"] for line in path.read_text().splitlines()]


def test_lines_are_the_contracts(tmp_path: Path) -> None:
    log = LogFile(str(tmp_path / "logs"), "a-1-x")
    full = LogEntry(
        message="ü\n\ud800", time=2.5, stream="stderr", level="info", request_id="r", process=1, run=2
    )
    log.write([full, entry("")])
    first, second = (tmp_path / "logs" / "replica.log").read_bytes().splitlines()
    assert decode(LogLine, first) == LogLine(
        time=2.5,
        replica="a-1-x",
        message="ü\n?",
        stream="stderr",
        level="info",
        request_id="r",
        process=1,
        run=2,
    )
    assert decode(LogLine, second) == LogLine(time=1.0, replica="a-1-x", message="")
    assert set(json.loads(second)) == {"time", "replica", "message"}


def test_old_files_are_kept_and_the_oldest_dropped(tmp_path: Path) -> None:
    log = LogFile(str(tmp_path), "a", size=200, old_files=2)
    for number in range(20):
        log.write([entry(f"{number:030}")])
    assert {path.name for path in tmp_path.iterdir()} == {"replica.log", "replica.log.1", "replica.log.2"}
    assert all(path.stat().st_size <= 200 for path in tmp_path.iterdir())
    kept = [n for name in (".2", ".1", "") for n in map(int, messages(tmp_path / f"replica.log{name}"))]
    assert kept == list(range(kept[0], 20))


def test_a_new_log_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    for message in ("one", "two"):
        log = LogFile(str(tmp_path), "a")
        log.write([entry(message)])
        log.close()
    assert messages(tmp_path / "replica.log") == ["one", "two"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_loses_lines_and_reports_it(tmp_path: Path) -> None:
    path = tmp_path / "replica.log"
    path.symlink_to("/dev/full")
    log = LogFile(str(tmp_path), "a")
    log.write([entry("lost"), entry("lost too")])
    log.write([entry("and this")])
    path.unlink()
    log.write([entry("there is space")])
    log.write([entry("and still")])
    assert messages(path) == [
        "3 lines before this one were lost: the log could not be written (is the disk full?)",
        "there is space",
        "and still",
    ]


def test_a_full_pipe_loses_whole_lines_and_reports_their_number() -> None:
    reader, writer = os.pipe()
    log = LogOutput("a-1-x", writer)
    for number in range(3000):  # many times the pipe's 64 KiB
        log.write([entry(f"{number} {'x' * 100}")])
    received = b""
    while chunk := os.read(reader, 8192):
        received += chunk
        if len(chunk) < 8192:
            break
    log.write([entry("last")])
    log.close()
    os.close(writer)
    received += os.read(reader, 65536)
    os.close(reader)
    found = [json.loads(line)["message"] for line in received.splitlines()]
    numbers = [int(message.split()[0]) for message in found[:-2]]
    assert numbers == list(range(len(numbers)))
    assert found[-2].startswith(f"{3000 - len(numbers)} lines before this one were lost")
    assert found[-1] == "last"


def test_output_without_a_reader_is_dropped() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    log = LogOutput("a-1-x", writer)
    log.write([entry("unheard")])
    log.close()
    os.close(writer)

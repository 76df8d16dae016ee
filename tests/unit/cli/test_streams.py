"""The command's streams when they are full, closed, or without a reader."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

COMMANDS = ("--version", "--help", "schema", "up --help", "env -o json")


def run(command: str, redirection: str, home: Path) -> subprocess.CompletedProcess[str]:
    line = f'exec "$0" -m gyrus.cli.main {command} {redirection}'
    environ = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        ["bash", "-c", line, sys.executable],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_output_is_one_line_and_a_failure(command: str, tmp_path: Path) -> None:
    done = run(command, "> /dev/full", tmp_path)
    assert (done.returncode, done.stderr) == (
        1,
        "error: The output cannot be written: No space left on device.\n",
    )


def test_a_closed_output_too(tmp_path: Path) -> None:
    done = run("schema", ">&-", tmp_path)
    assert (done.returncode, done.stderr) == (1, "error: The output cannot be written: it is closed.\n")


def test_nothing_fails_again_if_errors_cannot_be_written_either(tmp_path: Path) -> None:
    assert run("schema", ">/dev/full 2>/dev/full", tmp_path).returncode == 1
    assert run("schema", ">&- 2>&- <&-", tmp_path).returncode == 1


def test_a_payload_that_is_not_text(tmp_path: Path) -> None:
    done = run("predict any $'\"\\xff\"'", "", tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: The payload is not UTF-8 text.\n")


@pytest.mark.parametrize(
    ("name", "what"), [("folder", "a folder"), ("pipe", "a pipe"), ("/dev/zero", "a device")]
)
def test_a_payload_that_is_no_file(name: str, what: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    subprocess.run(["mkfifo", tmp_path / "pipe"], check=True)
    done = run(f"predict any @{tmp_path / name}", "", tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: The payload {tmp_path / name} is {what}, not a file.\n")

"""The lock that shows which process holds it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gyrus.aio.process_lock import holder

pytestmark = pytest.mark.processes

HOLD = """
import os, subprocess, sys, time
from gyrus.aio.process_lock import hold
hold(sys.argv[1])
subprocess.run(["true"], check=True)
if os.fork() == 0:
    print(os.getpid(), flush=True)
    time.sleep(600)
time.sleep(600)
"""


@pytest.fixture
def held(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """A lock, and its holder with a fork."""
    lock = tmp_path / "lock"
    command = (sys.executable, "-c", HOLD, str(lock))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout
    assert process.stdout.readline()
    yield lock, process
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()


def test_the_holder_is_named_and_no_fork_inherits_the_lock(held: tuple[Path, subprocess.Popen[str]]) -> None:
    lock, process = held
    assert holder(str(lock)) == process.pid
    process.kill()
    process.wait()
    assert holder(str(lock)) is None  # though its fork still runs


def test_another_process_is_refused(held: tuple[Path, subprocess.Popen[str]]) -> None:
    lock, _ = held
    second = subprocess.run(
        (sys.executable, "-c", HOLD, str(lock)), capture_output=True, text=True, check=False
    )
    assert "BlockingIOError" in second.stderr


def test_a_lock_that_was_never_taken_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        holder(str(tmp_path / "lock"))


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").touch()
    with pytest.raises(OSError, match="symbolic links"):
        holder(str(tmp_path / "lock"))

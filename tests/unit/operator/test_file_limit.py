"""The limit of open files, in a process of its own: lowering it for this one could not be undone."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from gyrus.operator.file_limit import raise_file_limit

SCRIPT = """
import resource
from gyrus.operator.file_limit import raise_file_limit
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
print(raise_file_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def limits(soft: int, hard: int) -> list[int]:
    """What may be held, and the limits afterwards."""
    command = [sys.executable, "-c", SCRIPT.format(soft=soft, hard=hard)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [int(word) for word in done.stdout.split()]


@pytest.mark.processes
def test_limit_is_raised_as_far_as_is_allowed() -> None:
    assert limits(256, 4096) == [1194, 4096, 4096]
    assert limits(4096, 4096) == [1194, 4096, 4096]


@pytest.mark.processes
def test_nothing_is_held_with_hardly_any_descriptors() -> None:
    assert limits(128, 256) == [0, 256, 256]


def test_a_limit_that_cannot_be_raised_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(which: int, limits: tuple[int, int]) -> None:
        raise ValueError("current limit exceeds maximum limit")

    def current(which: int) -> tuple[int, int]:
        return 1112, resource.RLIM_INFINITY

    monkeypatch.setattr(resource, "getrlimit", current)
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert raise_file_limit() == 200

"""A pod serves on until no gateway routes to it, within its bounds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator

import pytest

from gyrus.pods import pre_stop
from gyrus.pods.pre_stop import AGAIN, ROUTED, UNROUTED, wait_for


class Operator:
    """An operator that gives these answers, each after some seconds of virtual time."""

    def __init__(self, answers: Iterable[tuple[int | None, float]]) -> None:
        self.now = 100.0
        self.asked = 0
        self._answers: Iterator[tuple[int | None, float]] = iter(answers)
        self._last: tuple[int | None, float] = (None, 0.0)

    def ask(self, seconds: float) -> int | None:
        self.asked += 1
        self._last = next(self._answers, self._last)
        status, takes = self._last
        self.now += min(takes, seconds)
        return status if takes <= seconds else None

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def wait(self) -> float:
        began = self.now
        wait_for(self.ask, 5.0, 15.0, self.sleep, lambda: self.now)
        return self.now - began


@pytest.mark.parametrize(
    ("answers", "seconds"),
    [
        ([(UNROUTED, 0.1)], 0.1),
        ([(ROUTED, 5.0), (UNROUTED, 1.0)], 6.0),
        ([(ROUTED, 5.0)], 15.0),
        ([(None, 0.0)], 5.0),
        ([(None, 2.0)], 5.0),
        ([(404, 0.0)], 5.0),
        ([(401, 0.0)], 5.0),
        ([(503, 0.0), (503, 0.0), (UNROUTED, 0.2)], 2 * AGAIN + 0.2),
        ([(ROUTED, 5.0), (None, 0.0)], 15.0),
        ([(None, 0.0), (ROUTED, 3.0), (None, 0.0), (UNROUTED, 0.5)], 2 * AGAIN + 3.5),
    ],
)
def test_waits(answers: list[tuple[int | None, float]], seconds: float) -> None:
    operator = Operator(answers)
    assert operator.wait() == pytest.approx(seconds)
    assert operator.asked < 40


@pytest.mark.processes
def test_the_hook_needs_no_package_and_never_fails() -> None:
    order = (
        '{"url": "https://127.0.0.1:1/unrouted", "pod": "a", "proof": "b", "ca": "/none", '
        '"pause": 0.1, "longest": 1}'
    )
    ran = subprocess.run(
        [sys.executable, "-I", "-S", pre_stop.__file__, order], capture_output=True, timeout=20
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")

"""Log lines that repeat are folded; no other line is lost."""

from __future__ import annotations

import logging
from collections.abc import Generator

import pytest

from gyrus.operator import repeated_lines
from gyrus.operator.repeated_lines import MOST, WINDOW, FoldedLines


class Written(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def written() -> Written:
    return Written()


@pytest.fixture
def log(written: Written, clock: Clock) -> Generator[logging.Logger]:
    logger = logging.Logger("x", logging.INFO)
    logger.addHandler(FoldedLines(written, now=clock))
    yield logger
    logger.handlers[0].close()


def test_a_flood_leaves_few_lines_and_its_number(log: logging.Logger, written: Written, clock: Clock) -> None:
    for port in range(10_000):
        log.warning("refused port %d", port)
    assert len(written.lines) == MOST
    assert written.lines[0] == "refused port 0"
    assert written.lines[-1] == f"refused port {MOST - 1} (more such lines are only counted, for 60 s)"
    clock.now += WINDOW
    for port in (1, 2):
        log.warning("refused port %d", port)
    left = 10_000 - MOST
    assert written.lines[MOST:] == [f"refused port 1 (and {left} such lines before it)", "refused port 2"]


def test_other_lines_pass(log: logging.Logger, written: Written) -> None:
    for number in range(10_000):
        log.error(f"connection 0x{number:x} of fd {number} failed")
    for api in ("a", "b"):
        log.warning("API %s failed", api)
    log.error("API %s failed", "a")
    assert written.lines[MOST:] == ["API a failed", "API b failed", "API a failed"]


def test_what_the_user_did_is_never_folded(log: logging.Logger, written: Written) -> None:
    for number in range(1000):
        log.info("deployed %d", number)
    assert len(written.lines) == 1000


def test_kinds_are_bounded(log: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeated_lines, "KINDS", 10)
    [folding] = log.handlers
    assert isinstance(folding, FoldedLines)
    for number in range(100):
        log.warning("line " + "x" * number)
    assert len(folding._counts) == 10  # pyright: ignore[reportPrivateUsage] (its memory)

"""A blocked event loop is reported by a thread, with its time and its place."""

from __future__ import annotations

import asyncio
import runpy
import time
from itertools import pairwise
from pathlib import Path

import pytest

from gyrus.runtime.handler.failure import note_project
from gyrus.runtime.loop_watch import BEAT, LATE, NOT_BLOCKED, REPORTED, LoopState, LoopWatch


def checks(beats: list[float], moments: list[float]) -> list[float]:
    """Return what is reported at these moments; each beat is the last one at its moment."""
    state, reported = LoopState(0.0), list[float]()
    for now, beat in zip(moments, beats, strict=True):
        state, seconds = state.check(now, beat)
        if seconds is not None:
            reported.append(seconds)
    return reported


def test_a_loop_that_runs_is_not_reported() -> None:
    moments = [n * BEAT for n in range(1, 100)]
    assert checks(moments, moments) == []


def test_a_block_is_reported_when_its_time_has_doubled_and_when_it_ends() -> None:
    moments = [n * BEAT for n in range(1, 42)]
    *blocked, over = checks([*[0.0] * 40, 10.25], moments)
    assert over == NOT_BLOCKED
    assert blocked[0] == REPORTED
    assert all(later >= 2 * earlier for earlier, later in pairwise(blocked))
    assert len(blocked) == 4


def test_a_process_that_did_not_run_at_all_is_no_blocked_loop() -> None:
    """As when the machine slept: the loop gets its turn before it is blamed."""
    assert checks([0.0, 100.0], [100.0, 100.0 + BEAT]) == []
    late = 3 * BEAT + LATE + 0.1
    assert checks([0.0] * 4, [BEAT, 2 * BEAT, late, late + BEAT]) == [late + BEAT]


async def test_a_coroutine_that_blocks_is_found(tmp_path: Path) -> None:
    reported: list[tuple[float, str]] = []
    file = tmp_path / "handler.py"
    file.write_text("def wait(done):\n    while not done():\n        pass\n")
    note_project(str(tmp_path))
    wait = runpy.run_path(str(file))["wait"]
    watch = LoopWatch(lambda seconds, place: reported.append((seconds, place)))
    watch.start()
    deadline = time.monotonic() + 30
    wait(lambda: reported or time.monotonic() > deadline)
    async with asyncio.timeout(30):
        while len(reported) < 2:  # noqa: ASYNC110 -- no signal exists
            await asyncio.sleep(0.01)
    watch.stop()
    (seconds, place), over = reported
    assert seconds >= REPORTED
    assert place in ("handler.py:2 in wait", "handler.py:3 in wait")
    assert over == (NOT_BLOCKED, "")


def test_without_a_thread_the_loop_goes_unwatched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: object) -> None:
        raise RuntimeError("can't start new thread")

    async def watched() -> None:
        monkeypatch.setattr("threading.Thread.start", refuse)
        LoopWatch(lambda seconds, place: None).start()

    asyncio.run(watched())

"""Failures of handlers that leave the process in a bad state are answered at once, and serving goes on."""

from __future__ import annotations

import asyncio
import builtins
import io
import json
import linecache
import locale
import logging
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Never

import pytest

from gyrus.contract.replica import Limits
from gyrus.runtime.telemetry.runtime_log import runtime_log
from support.serving import detail, serving

TWO = Limits(max_concurrency=2, timeout=5.0)
FAILED = "urn:gyrus:problem:handler-failed"


class Broken(Exception):
    """An exception whose own methods fail."""

    def __str__(self) -> str:
        raise SystemExit("no text")

    __repr__ = __str__

    def __bool__(self) -> bool:
        raise ValueError("no truth")


class Untraceable(Exception):
    @property
    def __traceback__(self) -> Never:  # pyright: ignore[reportIncompatibleVariableOverride]
        raise ValueError("no traceback")

    @property
    def __cause__(self) -> Never:  # pyright: ignore[reportIncompatibleVariableOverride]
        raise KeyboardInterrupt

    @property
    def __class__(self) -> Never:  # pyright: ignore[reportIncompatibleMethodOverride] -- broken on purpose
        raise MemoryError


class Nameless(type):
    @property
    def __name__(cls) -> Never:  # pyright: ignore[reportIncompatibleVariableOverride]
        raise ValueError("no name")


class OfNamelessClass(Exception, metaclass=Nameless):
    pass


class NotJoined(Exception):
    __notes__ = 5  # type: ignore[assignment]


def deep() -> Never:
    return deep()


def lose_the_folder() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)


def fail(*args: Any, **kwargs: Any) -> Never:
    raise ValueError("replaced")


def lower_the_recursion_limit() -> None:
    sys.setrecursionlimit(len(traceback.extract_stack()) + 12)


def lose_logging() -> None:
    logging.disable(logging.CRITICAL)
    logging.getLogger("gyrus").disabled = True


STATES: dict[str, Callable[[pytest.MonkeyPatch], object]] = {
    "folder": lambda patch: lose_the_folder(),
    "getcwd": lambda patch: patch.setattr(os, "getcwd", fail),
    "open": lambda patch: patch.setattr(builtins, "open", fail),
    "print": lambda patch: patch.setattr(builtins, "print", fail),
    "repr": lambda patch: patch.setattr(builtins, "repr", fail),
    "traceback": lambda patch: patch.setattr(traceback, "format_exception", fail),
    "traceback class": lambda patch: patch.setattr(traceback, "TracebackException", None),
    "linecache": lambda patch: patch.setattr(linecache, "getlines", fail),
    "json": lambda patch: patch.setattr(json, "dumps", fail),
    "stdout": lambda patch: patch.setattr(sys, "stdout", None),
    "stderr": lambda patch: patch.setattr(sys, "stderr", io.StringIO().close()),
    "logger": lambda patch: patch.setattr(logging, "getLogger", fail),
    "logging": lambda patch: lose_logging(),
    "umask": lambda patch: os.umask(0o777),
    "locale": lambda patch: locale.setlocale(locale.LC_ALL, ""),
    "recursion limit": lambda patch: lower_the_recursion_limit(),
}

ERRORS: dict[str, Callable[[], BaseException]] = {
    "text": Broken,
    "traceback": Untraceable,
    "name": OfNamelessClass,
    "notes": NotJoined,
    "group": lambda: ExceptionGroup("many", [ValueError("one"), Broken()]),
    "interrupt": KeyboardInterrupt,
    "exit": lambda: SystemExit(3),
    "generator exit": GeneratorExit,
    "memory": MemoryError,
    "end of iteration": StopIteration,
    "end of async iteration": StopAsyncIteration,
    "cancellation": asyncio.CancelledError,
}


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    folder, limit, level = os.getcwd(), sys.getrecursionlimit(), logging.root.manager.disable
    umask = os.umask(0o22)
    os.umask(umask)
    words = locale.setlocale(locale.LC_ALL)
    yield
    os.chdir(folder)
    os.umask(umask)
    locale.setlocale(locale.LC_ALL, words)
    sys.setrecursionlimit(limit)
    logging.disable(level)
    logging.getLogger("gyrus").disabled = False


def raising(act: Callable[[], object]) -> dict[str, tuple[type[Any], bool]]:
    """Handlers of every kind that act before the answer, with whether they batch."""

    class InThread:
        def predict(self, payload: Any) -> Any:
            return act() if payload else "fine"

    class OnLoop:
        async def predict(self, payload: Any) -> Any:
            return act() if payload else "fine"

    class Awaited:
        def predict(self, payload: Any) -> Any:
            return OnLoop().predict(payload)

    class Items:
        def predict(self, payload: Any) -> Any:
            if payload:
                act()
            yield "fine"

    class ItemsOnLoop:
        async def predict(self, payload: Any) -> Any:
            if payload:
                act()
            yield "fine"

    class Batch:
        def predict(self, payload: list[Any]) -> Any:
            return [act() if entry else "fine" for entry in payload]

    class BatchOnLoop:
        async def predict(self, payload: list[Any]) -> Any:
            return [act() if entry else "fine" for entry in payload]

    return {
        "thread": (InThread, False),
        "loop": (OnLoop, False),
        "awaited": (Awaited, False),
        "items": (Items, False),
        "items on loop": (ItemsOnLoop, False),
        "batch": (Batch, True),
        "batch on loop": (BatchOnLoop, True),
    }


async def check(handler: type[Any], folder: Path, *, batched: bool) -> str:
    """Fail three times with two slots, then answer. Returns the detail of the failure."""
    async with serving(handler, folder, limits=TWO, batch_max_size=2 if batched else 1) as server:
        replies = [await server.ask(1) for _ in range(3)]
        assert [reply.status for reply in replies] == [500, 500, 500]
        assert (await server.ask(0)).status == 200
        return detail(replies[0])


KINDS = tuple(raising(lambda: None))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("state", STATES)
async def test_a_failure_in_a_bad_state_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, state: str
) -> None:
    def act() -> Never:
        STATES[state](monkeypatch)
        raise ValueError("no such model")

    handler, batched = raising(act)[kind]

    async with serving(handler, tmp_path, limits=TWO, batch_max_size=2 if batched else 1) as server:
        replies = [await server.ask(1)]
        monkeypatch.undo()
        replies.append(await server.ask(1))
        monkeypatch.undo()
        assert [reply.status for reply in replies] == [500, 500]
        assert (await server.ask(0)).status == 200


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ERRORS)
async def test_any_exception_is_answered(tmp_path: Path, kind: str, name: str) -> None:
    def act() -> Never:
        raise ERRORS[name]()

    if name == "end of async iteration" and kind == "items on loop":
        pytest.skip("Python turns it into a RuntimeError")
    handler, batched = raising(act)[kind]
    assert await check(handler, tmp_path, batched=batched)


@pytest.mark.parametrize("kind", KINDS)
async def test_endless_recursion_is_answered(tmp_path: Path, kind: str) -> None:
    handler, batched = raising(deep)[kind]
    assert "RecursionError" in await check(handler, tmp_path, batched=batched)


class Recorded:
    """A control that keeps what was logged."""

    def __init__(self) -> None:
        self.logged: list[tuple[str, str | None]] = []

    def status(self, *args: Any, **kwargs: Any) -> None: ...

    def log(self, stream: str, message: str, *, level: str | None, request_id: str | None) -> None:
        self.logged.append((message, request_id))

    def poison(self, request_id: str) -> None: ...

    def blocked(self, message: str) -> None: ...


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    control = Recorded()
    runtime_log.connect(control)
    yield control
    runtime_log.connect(None)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_traceback_needs_no_logging(tmp_path: Path, recorded: Recorded, kind: str) -> None:
    def act() -> Never:
        lose_logging()
        raise ValueError("MARK")

    handler, batched = raising(act)[kind]
    async with serving(handler, tmp_path, limits=TWO, batch_max_size=2 if batched else 1) as server:
        assert (await server.ask(1, "x-request-id: r-1")).status == 500
    ((message, request_id),) = recorded.logged
    assert message.endswith("ValueError: MARK")
    assert request_id == "r-1"


async def test_a_broken_error_is_logged_with_its_place(tmp_path: Path, recorded: Recorded) -> None:
    def act() -> Never:
        raise Broken

    handler, _ = raising(act)["thread"]
    assert "Broken" in await check(handler, tmp_path, batched=False)
    assert "in act" in recorded.logged[0][0]


@pytest.mark.parametrize("kind", ["thread", "loop"])
@pytest.mark.parametrize("name", ERRORS)
async def test_a_failing_post_predict_releases_its_slot(tmp_path: Path, kind: str, name: str) -> None:
    class InThread:
        def predict(self, payload: Any) -> Any:
            return payload

        def post_predict(self) -> None:
            lose_the_folder()
            raise ERRORS[name]()

    class OnLoop:
        async def predict(self, payload: Any) -> Any:
            return payload

        async def post_predict(self) -> None:
            lose_the_folder()
            raise ERRORS[name]()

    handler = InThread if kind == "thread" else OnLoop
    async with serving(handler, tmp_path, limits=Limits(max_concurrency=1, timeout=5.0)) as server:
        for number in range(3):
            assert (await server.ask(number)).status == 200


async def test_an_answer_whose_head_cannot_be_written_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gyrus.runtime.server.answer import Answer

    class Handler:
        def predict(self, payload: Any) -> Any:
            return payload

    answers = iter(
        [Answer(200, "text/plain", b"", (("x", "\N{SNOWMAN}"),)), Answer(200, "text/plain", b"fine")]
    )

    def encode(result: object) -> Answer:
        return next(answers)

    monkeypatch.setattr("gyrus.runtime.calls.thread_runner.encode", encode)
    async with serving(Handler, tmp_path, limits=TWO) as server:
        assert (await server.ask(1)).status == 500
        assert (await server.ask(1)).status == 200


async def test_a_thread_survives_an_exception_that_was_set_for_it(tmp_path: Path) -> None:
    import ctypes
    import threading

    class Handler:
        def predict(self, payload: Any) -> Any:
            ident = ctypes.c_ulong(threading.get_ident())
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(SystemExit))
            return payload

    async with serving(Handler, tmp_path, limits=Limits(max_concurrency=1, timeout=5.0)) as server:
        assert {(await server.ask(number)).status for number in range(5)} <= {200, 500}

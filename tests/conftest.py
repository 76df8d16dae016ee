"""The mark of tests that start processes, and the number of examples, by which ``make test-fast`` is fast.

CONTRIBUTING.md describes both. In a run that leaves such tests out, a test that starts a process without
the mark fails.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from support.examples import register_profiles

register_profiles()

TESTS = Path(__file__).parent
STARTING_FIXTURES = frozenset({"platform", "shared_platform", "postgresql_server", "replicas"})
"""Fixtures that start processes."""
STARTING_PARAMETERS = frozenset({"local", "postgresql"})
"""Parameters of fixtures that run the same test over every backend or store: those that start processes."""
STARTING_EVENTS = frozenset(
    {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec", "os.system"}
)
"""Python's audit events."""

_started: list[str] = []
"""The processes that this one has started, if the run leaves processes out."""


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell's background job ignores Ctrl-C, and so would every process that the tests start.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if "not processes" in config.option.markexpr:
        sys.addaudithook(_note)


@pytest.hookimpl(tryfirst=True)  # before tests are selected by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and _starts_processes(item):
            item.add_marker("processes")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    before = len(_started)
    result = yield
    if started := _started[before:]:
        pytest.fail(f"it starts processes ({', '.join(started)}): mark it with pytest.mark.processes")
    return result


def _starts_processes(item: pytest.Function) -> bool:
    path = item.path.relative_to(TESTS)
    if path.parts[0] == "e2e" or path.name.endswith("_envoy.py"):
        return True
    parameters: dict[str, object] = item.callspec.params if hasattr(item, "callspec") else {}
    used = set(item.fixturenames) - parameters.keys()
    return bool(STARTING_FIXTURES & used or STARTING_PARAMETERS & set(map(str, parameters.values())))


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event in STARTING_EVENTS:
        _started.append(str(arguments[0]) if arguments else event)

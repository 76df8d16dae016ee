"""Platforms for end-to-end tests, and their logs in the report of a test that failed."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from support.platform import Platform, platform_of_its_own

TAIL = 6000
"""Characters of each log in a report."""


@pytest.fixture
def platform() -> Generator[Platform]:
    """A platform for one test alone."""
    with platform_of_its_own() as platform:
        yield platform


@pytest.fixture(scope="module")
def shared_platform() -> Generator[Platform]:
    """A platform for the tests of one file, which leave alone what the others have deployed.

    That may be more than the machine has.
    """
    with platform_of_its_own(options=("--overcommit",)) as platform:
        yield platform


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        for platform in item.funcargs.values():
            if isinstance(platform, Platform):
                report.sections.extend(_logs(platform))
    return report


def _logs(platform: Platform) -> list[tuple[str, str]]:
    home = platform.home
    files = [home.operator_log, *home.replica_logs.glob("*/*/replica.log"), *home.envoy.glob("*.log")]
    return [(str(file), _tail(file)) for file in files if file.is_file()]


def _tail(file: Path) -> str:
    return file.read_text("utf-8", errors="replace")[-TAIL:]

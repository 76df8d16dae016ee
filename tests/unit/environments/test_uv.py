"""Running uv: its progress, its faults, and its end."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import psutil
import pytest

from gyrus.environments.uv import Progress, UvFailed, error_message, run_uv
from support.looking import has_ended, until


def progress(*lines: str) -> list[str]:
    reported = Progress()
    return [message for line in lines if (message := reported.of(line))]


def test_its_lines_become_what_is_being_done() -> None:
    assert progress(
        "Resolved 11 packages in 358ms",
        "Downloading scipy (33.7MiB)",
        "Downloading scikit-learn (8.9MiB)",
        "   Building wheezy==1.0",
        " Downloaded scikit-learn",
        "      Built wheezy==1.0",
        "Prepared 6 packages in 274ms",
        "Installed 11 packages in 35ms",
        " + scipy==1.17.1",
    ) == [
        "fetching 11 packages",
        "downloading scipy (33.7MiB)",
        "downloading scikit-learn (8.9MiB)",
        "building wheezy==1.0",
        "downloaded scikit-learn (1 so far, of 11 packages)",
        "built wheezy==1.0 (2 so far, of 11 packages)",
        "installing 11 packages",
    ]


@pytest.mark.parametrize(
    ("lines", "reported"),
    [
        (
            ["error: No solution found", "  cause: Because x was not found, y."],
            "No solution found",
        ),
        (
            ["  × No solution found:", "  ╰─▶ Because x was not found, y."],
            "No solution found",
        ),
        (["error: Failed", "  Caused by: a", "  Caused by: b"], "Failed"),
        (["Resolved", "it went wrong"], "it went wrong"),
        ([], ""),
    ],
)
def test_its_fault_fits_into_a_line(lines: list[str], reported: str) -> None:
    assert error_message(lines) == reported


@pytest.mark.processes
async def test_a_failure_has_its_own_words(tmp_path: Path) -> None:
    bad = tmp_path / "requirements.txt"
    bad.write_text("foo bar baz\n")
    arguments = ("pip", "install", "--dry-run", "--offline", "--target", str(tmp_path / "t"), "-r", str(bad))
    with pytest.raises(UvFailed, match=r"parse requirement in `requirements\.txt`") as failure:
        await run_uv(arguments, folder=tmp_path, environ=os.environ)
    assert any("foo bar baz" in line for line in failure.value.lines)
    assert "\x1b" not in "".join(failure.value.lines)


@pytest.mark.processes
async def test_cancelled_it_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    """uv builds a package whose build never ends."""
    package = tmp_path / "endless"
    package.mkdir()
    pid_file = tmp_path / "pid"
    (package / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "endless"\nbackend-path = ["."]\n'
    )
    (package / "endless.py").write_text(
        f"import os, time\nopen({str(pid_file)!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)\n"
    )
    arguments = ("pip", "install", "--offline", "--no-cache", "--target", str(tmp_path / "t"), str(package))
    task = asyncio.create_task(run_uv(arguments, folder=tmp_path, environ=os.environ))
    await until(lambda: pid_file.exists() and bool(pid_file.read_text()))
    builder = psutil.Process(int(pid_file.read_text()))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: has_ended(builder))

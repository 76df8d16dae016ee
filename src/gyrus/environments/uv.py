"""Running uv, and its output as one line."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

from uv import find_uv_bin

from gyrus.environments.errors import EnvironmentFailure

LAST_LINES = 30
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_COUNT = re.compile(r"(Resolved|Prepared|Installed) (\d+) packages?\b")
_DOING = re.compile(r"\s*(Downloading|Building|Updating) (.+)")
_DONE = re.compile(r"\s*(Downloaded|Built|Updated) (\S+)")
_NOISE = re.compile(
    r"(Using (CPython|Python) |Creating virtual environment|Activate with|warning: Failed to hardlink)"
)


def find_uv() -> str:
    """Return the path of uv. Raises EnvironmentFailure."""
    try:
        return find_uv_bin()
    except FileNotFoundError:
        if found := shutil.which("uv"):
            return found
    raise EnvironmentFailure("uv, which builds environments, is missing; install gyrus again")


class UvFailed(Exception):
    """An exit of uv with another code than 0."""

    def __init__(self, code: int, lines: Sequence[str]) -> None:
        super().__init__(error_message(lines) or f"uv exited with code {code}")
        self.lines = tuple(lines)


async def run_uv(
    arguments: Sequence[str],
    *,
    folder: Path,
    environ: Mapping[str, str],
    keep: Sequence[int] = (),
    on_line: Callable[[str], None] = lambda line: None,
) -> None:
    """Run uv until it exits. Cancelling kills it with all processes that it started.

    ``keep``: file descriptors that uv holds open until it exits. Raises UvFailed, EnvironmentFailure.
    """
    process = await asyncio.create_subprocess_exec(
        find_uv(),
        "--color=never",
        *arguments,
        cwd=folder,
        env=dict(environ),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
        pass_fds=tuple(keep),
    )
    lines: deque[str] = deque(maxlen=LAST_LINES)
    try:
        assert process.stdout is not None
        async for raw in _lines(process.stdout):
            line = _ANSI.sub("", raw.decode(errors="replace")).rstrip()
            if line and not _NOISE.match(line):
                lines.append(line)
                on_line(line)
        code = await process.wait()
    finally:
        if process.returncode is None:
            _kill_group(process.pid)
            await process.wait()
    if code != 0:
        raise UvFailed(code, tuple(lines))


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Yield lines of any length. A stream's own iterator fails on long ones."""
    rest = b""
    while chunk := await stream.read(65536):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line
    if rest:
        yield rest


def _kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        pass


class Progress:
    """Turns uv's lines into messages about its progress."""

    def __init__(self) -> None:
        self._total = 0
        self._fetched = 0

    def of(self, line: str) -> str | None:
        """Return one line for the user. Returns None if this line shows no progress."""
        if match := _COUNT.match(line):
            return self._counted(match[1], int(match[2]))
        if match := _DOING.match(line):
            return f"{match[1].lower()} {match[2]}"
        if match := _DONE.match(line):
            self._fetched += 1
            return f"{match[1].lower()} {match[2]} ({self._fetched} so far, of {_packages(self._total)})"
        return None

    def _counted(self, verb: str, count: int) -> str | None:
        if verb == "Resolved":
            self._total = count
            return f"fetching {_packages(count)}"
        if verb == "Prepared":
            return f"installing {_packages(self._total)}"
        return None


def _packages(count: int) -> str:
    return "1 package" if count == 1 else f"{count} packages"


def error_message(lines: Sequence[str]) -> str:
    """Return the fault in one line: the text after ``error:``. The lines that come with it show its cause."""
    starts = [n for n, line in enumerate(lines) if re.match(r"\s*(error:|×)", line)]
    if not starts:
        return lines[-1].strip() if lines else ""
    return _bare(lines[starts[0]])


def _bare(line: str) -> str:
    return re.sub(r"^\s*(error:|×)\s*", "", line).strip().rstrip(":")

"""The home of an operator: its folders, its lock, and the token of its API.

Leadership on one machine is the lock of the home. The kernel releases it with the process, however that ends.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from gyrus.aio.clock import Clock, SystemClock
from gyrus.contract.home import Home
from gyrus.operator.errors import StartError

CHECK = 1.0
"""Seconds between two looks at whether the lock file is still the one that is locked."""


@dataclass(slots=True)
class HomeLock:
    """The leadership of the operator that holds its home's lock. Implements
    :class:`gyrus.operator.leadership.Leadership`.

    Two locks: on the lock file, and on the home's folder itself. A lock file can be removed or replaced, and
    would let a second operator in; the folder's lock keeps it out until the first one has noticed and ended.
    """

    home: Home
    clock: Clock = field(default_factory=SystemClock)
    _file: int = -1
    """Its descriptor, while it is locked."""

    @asynccontextmanager
    async def acquire(self) -> AsyncGenerator[None]:
        """Make the home's folders and hold its locks. Raises StartError where either cannot be had."""
        make_folders(self.home)
        with ExitStack() as held:
            held.enter_context(_opened(self.home.root, os.O_RDONLY | os.O_DIRECTORY, self._lock_folder))
            self._file = held.enter_context(_opened(self.home.lock, os.O_RDWR | os.O_CREAT, self._lock))
            try:
                yield
            finally:
                with suppress(OSError):  # something of ours goes on without us, and listens there
                    self.home.run.rmdir()

    async def lost(self) -> str:
        while (reason := self._check()) is None:
            await self.clock.sleep(CHECK)
        return reason

    def _check(self) -> str | None:
        """Return what has become of the lock file; None: nothing."""
        held = os.fstat(self._file)
        try:
            found = self.home.lock.stat()
        except OSError as error:
            return f"its lock file {self.home.lock} is gone ({error.strerror})"
        if (found.st_dev, found.st_ino) != (held.st_dev, held.st_ino):
            return f"its lock file {self.home.lock} has been replaced"
        return None

    def _lock_folder(self, descriptor: int) -> None:
        """Lock it, unless it is on a file system that locks no folders, such as NFS."""
        with suppress(OSError):
            self._lock(descriptor)

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StartError(
                f"Another operator already runs in {self.home.root}; use it, end it with `gyrus down`, "
                "or set GYRUS_HOME to another folder."
            ) from error


@contextmanager
def _opened(path: Path, flags: int, lock: Callable[[int], None]) -> Generator[int]:
    """A descriptor of this file, locked; closing it releases the lock."""
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        lock(descriptor)
        yield descriptor
    finally:
        os.close(descriptor)


def make_folders(home: Home) -> None:
    """Create what is missing, readable by its owner only."""
    try:
        for folder in (home.root, home.run, home.operator_log.parent, home.envoy, home.replicas):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if home.run.stat().st_uid != os.getuid():
            raise StartError(f"{home.run} belongs to another user; set GYRUS_HOME to a shorter path.")
        probe = home.root / ".writable"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise StartError(
            f"The operator cannot write to {error.filename or home.root}: {error.strerror}. "
            "Make it writable, or set GYRUS_HOME to a folder that is."
        ) from error


def remove_run_folder(home: Home) -> None:
    """Nothing listens any more: leave no file outside the home."""
    shutil.rmtree(home.run, ignore_errors=True)


def token_of(home: Home) -> str:
    """The operator's bearer token, made at the first start. Its file is readable by its owner only.

    An empty file (the machine died while it was written) holds no token: every caller would know that one.
    """
    if not home.token.exists() or not home.token.read_text().strip():
        _write_secret(home.token, secrets.token_urlsafe(32))
    return home.token.read_text().strip()


def _write_secret(path: Path, secret: str) -> None:
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret + "\n")
    temporary.replace(path)

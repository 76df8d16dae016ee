"""The lock of a home.

On one machine, the home's lock is the leadership. The kernel releases it when the process ends, even if
killed.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from gyrus.aio.clock import Clock, SystemClock
from gyrus.contract.home import Home
from gyrus.operator.errors import StartError
from gyrus.operator.home_folder import make_folders

log = logging.getLogger(__name__)

GONE = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE)
"""Errors that show that a file is gone; all others may pass."""
CHECK = 1.0
"""Seconds between two checks that the lock file is still the locked one."""


@dataclass(slots=True)
class HomeLock:
    """The leadership of the operator that holds its home's lock.

    Implements :class:`gyrus.operator.leadership.Leadership`. There are two locks: on the lock file, and on
    the home's folder itself. If the lock file is removed or replaced, a second operator could lock the new
    file. The folder's lock keeps it out until the first operator has noticed that and ended.
    """

    home: Home
    clock: Clock = field(default_factory=SystemClock)
    _file: int = -1
    """Descriptor of the locked lock file. -1 before it is locked."""
    _unknown: bool = False
    """True if the last check could not be made."""

    @asynccontextmanager
    async def acquire(self) -> AsyncGenerator[None]:
        """Create the home's folders and hold its locks. Raises StartError if that is not possible."""
        make_folders(self.home)
        with ExitStack() as held:
            held.enter_context(_opened(self.home.root, os.O_RDONLY | os.O_DIRECTORY, self._lock_folder))
            self._file = held.enter_context(_opened(self.home.lock, os.O_RDWR | os.O_CREAT, self._lock))
            try:
                yield
            finally:
                if self._check() is None:  # otherwise the folder may be the next leader's
                    with suppress(OSError):  # not empty while replicas or the gateway listen there
                        self.home.run.rmdir()

    async def lost(self) -> str:
        while (reason := self._check()) is None:
            await self.clock.sleep(CHECK)
        return reason

    def _check(self) -> str | None:
        """Return the reason why the lock file is not the locked one any more. Returns None if it is."""
        held = os.fstat(self._file)
        try:
            found = self.home.lock.stat()
        except OSError as error:
            return self._without_file(error)
        self._unknown = False
        if (found.st_dev, found.st_ino) != (held.st_dev, held.st_ino):
            return f"its lock file {self.home.lock} has been replaced"
        return None

    def _without_file(self, error: OSError) -> str | None:
        """Return the reason if the file is gone. An error of the disk does not release the lock."""
        if error.errno in GONE:
            return f"its lock file {self.home.lock} is gone ({error.strerror})"
        if not self._unknown:
            self._unknown = True
            log.warning("The lock file %s cannot be checked now: %s", self.home.lock, error.strerror)
        return None

    def _lock_folder(self, descriptor: int) -> None:
        """Lock the folder, unless its file system cannot lock folders, such as NFS."""
        with suppress(OSError):  # StartError is no OSError: a lock held by another operator is still refused
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
    """Open and lock this file. The end of the block closes it, which releases the lock."""
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        lock(descriptor)
        yield descriptor
    finally:
        os.close(descriptor)

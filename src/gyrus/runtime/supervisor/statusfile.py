"""The file ``status.json``: always complete and current, with a notification of each change.

The file is not trusted to stay: if it is removed, damaged or replaced, it is written again.
"""

from __future__ import annotations

import os
import socket

from gyrus.contract.replica import STATUS_FILE, ReplicaStatus
from gyrus.runtime.codec import encode

RETRY = 1.0
"""Seconds until a failed write (the disk is full) is retried."""
CHECK = 2.0
"""Seconds between two checks that the file is still the one that was written."""
NOTIFY_AGAIN = 0.05
"""Seconds until a listener whose queue was full is notified again."""


FileMark = tuple[int, int, int]
"""Inode, size and time of the last change (ns): another file, or a changed one, has another mark."""


class StatusFile:
    """The writer of a replica's status."""

    def __init__(self, folder: str, notify: str | None) -> None:
        self._path = os.path.join(folder, STATUS_FILE)
        self._notify = notify
        self._written: ReplicaStatus | None = None
        self._mark: FileMark | None = None
        """The file as it was written last."""
        self._check_at = 0.0
        self._unreported = False
        self.retry_at: float | None = None
        """Monotonic seconds when a failed write or notification is tried again."""

    @property
    def wakes_at(self) -> float:
        """Monotonic seconds when :meth:`write` must be called again even without a change."""
        return self._check_at if self.retry_at is None else self.retry_at

    def write(self, status: ReplicaStatus, now: float) -> None:
        """Write the status and notify, unless the file is current and the notification was sent."""
        if self.retry_at is not None and now < self.retry_at:
            return
        self.retry_at = None
        if status != self._written or self._is_lost(now):
            self._replace(status, now)
        if self._unreported:
            self._notify_operator(status.id, now)

    def _is_lost(self, now: float) -> bool:
        """Return True if it is time for a check, and the file is not the one that was written."""
        if now < self._check_at:
            return False
        self._check_at = now + CHECK
        return _mark(self._path) != self._mark

    def _replace(self, status: ReplicaStatus, now: float) -> None:
        fresh = f"{self._path}.new"
        try:
            with open(fresh, "wb") as file:
                file.write(encode(status))
            mark = _mark(fresh)  # before it has its name: whatever changes the file later is noticed
            os.replace(fresh, self._path)
        except OSError:
            self.retry_at = now + RETRY
        else:
            self._written, self._unreported = status, self._notify is not None
            self._mark, self._check_at = mark, now + CHECK

    def _notify_operator(self, replica: str, now: float) -> None:
        assert self._notify is not None
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifications:
            notifications.setblocking(False)
            try:
                notifications.sendto(replica.encode(), self._notify)
            except BlockingIOError:
                self.retry_at = now + NOTIFY_AGAIN
                return
            except OSError:
                pass  # no platform listens now; it reads the file when it starts
        self._unreported = False


def _mark(path: str) -> FileMark | None:
    """Return the mark of the file. Returns None if it is missing."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns

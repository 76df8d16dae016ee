"""The file ``status.json``: always complete and current, with a notification of each change."""

from __future__ import annotations

import os
import socket

from gyrus.contract.replica import STATUS_FILE, ReplicaStatus
from gyrus.runtime.codec import encode

RETRY = 1.0
"""Seconds until a failed write (the disk is full) is retried."""
NOTIFY_AGAIN = 0.05
"""Seconds until a listener whose queue was full is notified again."""


class StatusFile:
    """The writer of a replica's status."""

    def __init__(self, folder: str, notify: str | None) -> None:
        self._path = os.path.join(folder, STATUS_FILE)
        self._notify = notify
        self._written: ReplicaStatus | None = None
        self._unreported = False
        self.retry_at: float | None = None
        """Monotonic seconds when :meth:`write` must be called again even without a change."""

    def write(self, status: ReplicaStatus, now: float) -> None:
        """Write the status and notify, unless the file is current and the notification was sent."""
        if self.retry_at is not None and now < self.retry_at:
            return
        self.retry_at = None
        if status != self._written:
            self._replace(status, now)
        if self._unreported:
            self._notify_operator(status.id, now)

    def _replace(self, status: ReplicaStatus, now: float) -> None:
        fresh = f"{self._path}.new"
        try:
            with open(fresh, "wb") as file:
                file.write(encode(status))
            os.replace(fresh, self._path)
        except OSError:
            self.retry_at = now + RETRY
        else:
            self._written, self._unreported = status, self._notify is not None

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

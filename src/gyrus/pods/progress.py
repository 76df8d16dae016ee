"""The progress of a build: printed in the pod, and reported to the operator for the users."""

from __future__ import annotations

import asyncio
import sys

from gyrus.pods.failure import PodFailed
from gyrus.pods.files_client import FilesClient, TemporaryFailure


class BuildProgress:
    """Reports the latest message. A report that fails is not repeated, since the next one replaces it."""

    def __init__(self, files: FilesClient, path: str) -> None:
        self._files = files
        self._path = path
        self._message = ""
        self._changed = asyncio.Event()

    def report(self, message: str) -> None:
        """Take the present step. Returns at once."""
        if message != self._message:
            print(message, file=sys.stderr, flush=True)  # noqa: T201
            self._message = message
            self._changed.set()

    async def send(self) -> None:
        """Send the messages until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await asyncio.to_thread(self._files.post_once, self._path, self._message)
            except (TemporaryFailure, PodFailed) as failure:
                print(f"the progress was not reported: {failure}", file=sys.stderr, flush=True)  # noqa: T201

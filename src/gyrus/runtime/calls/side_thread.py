"""A thread for work that overlaps with a running batch: payloads of the next one, answers of the last one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any


class SideThread:
    """One thread, started with the first work. Work is done in its order, and must not raise."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._inbox: SimpleQueue[tuple[Callable[..., None], tuple[Any, ...]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    @property
    def dead(self) -> bool:
        return self._thread is not None and not self._thread.is_alive()

    def put(self, work: Callable[..., None], *arguments: Any) -> None:
        """Do the work after all that was put before. Callable from any thread.

        If the system has no more threads, the caller does the work.
        """
        if self._thread is not None or self._start():
            self._inbox.put((work, arguments))
        else:
            work(*arguments)

    def stop(self) -> None:
        """End the thread after the work that was put."""
        self._inbox.put(None)

    def _start(self) -> bool:
        with self._starting:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    return False
                self._thread = thread
        return True

    def _run(self) -> None:
        while (given := self._inbox.get()) is not None:
            work, arguments = given
            work(*arguments)
            del given, work, arguments  # keep nothing alive while waiting

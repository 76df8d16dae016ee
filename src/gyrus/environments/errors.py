"""EnvironmentFailure    an environment cannot be built: the reason, and the installer's last lines"""

from __future__ import annotations


class EnvironmentFailure(Exception):
    """The failed build of an environment. ``str()`` is one line; ``lines`` are the installer's last lines."""

    def __init__(self, message: str, lines: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.lines = lines

"""EnvironmentFailure    an environment cannot be built: the reason, and the installer's last lines"""

from __future__ import annotations


class EnvironmentFailure(Exception):
    """``str()`` of it is one line; ``lines`` are the last ones that the installer printed."""

    def __init__(self, message: str, lines: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.lines = lines

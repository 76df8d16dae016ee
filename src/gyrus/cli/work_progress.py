"""The progress of a long computation: the share that is done and the time that is left.

On a terminal it is a line on stderr that is redrawn; elsewhere only the first line is printed.
"""

from __future__ import annotations

import time
from typing import Self

from gyrus.cli.output import duration
from gyrus.cli.spinner import Spinner

REDRAW_EVERY = 0.1
"""Seconds."""
FORESEEABLE = 0.01
"""Share of the work after which its length can be estimated."""


class WorkProgress:
    """A line about a computation between enter and exit."""

    def __init__(self, what: str) -> None:
        self._spinner = Spinner(what)
        self._begun = self._drawn = time.monotonic()

    def __enter__(self) -> Self:
        self._spinner.__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        self._spinner.__exit__(*raised)

    def show(self, what: str, share: float) -> None:
        """Show the present step, and the share of all the work that is done."""
        now = time.monotonic()
        if now - self._drawn >= REDRAW_EVERY:
            self._drawn = now
            self._spinner.tick(f"{what}: {status(share, now - self._begun)}")


def status(share: float, elapsed: float) -> str:
    """Describe how far the work is, after ``elapsed`` seconds.

    >>> status(0.25, 60.0), status(0.0, 5.0)
    ('25% done, about 3m left', '0% done')
    """
    done = f"{share:.0%} done"
    if share < FORESEEABLE:
        return done
    return f"{done}, about {duration(elapsed / share * (1 - share))} left"

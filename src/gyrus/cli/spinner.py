"""The display of a long step: a spinner on a terminal, one line elsewhere."""

from __future__ import annotations

import itertools
import sys
import time
from typing import Self

import click

from gyrus.cli.output import duration, is_terminal, print_note

FRAMES = "|/-\\"
ERASE_LINE = "\r\x1b[2K"


class Spinner:
    """A spinner on stderr between enter and exit; the caller calls :meth:`tick` about ten times a second."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._live = is_terminal(sys.stderr)
        self._frames = itertools.cycle(FRAMES)
        self._begun = time.monotonic()

    def __enter__(self) -> Self:
        if self._live:
            self.tick()
        else:
            print_note(self._what)
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            click.echo(ERASE_LINE, err=True, nl=False)

    def tick(self, what: str | None = None) -> None:
        self._what = what or self._what
        if self._live:
            since = duration(time.monotonic() - self._begun)
            click.echo(f"{ERASE_LINE}{next(self._frames)} {self._what} ({since})", err=True, nl=False)

"""Output: results to stdout, everything else to stderr, colour to terminals only."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import IO, Any

import click

from gyrus.contract.visible import escaped_json, escaped_lines

_STYLE = re.compile(r"(\x1b\[[0-9;]*m)")
STATUS_COLOURS = {
    "live": "green", "idle": "cyan", "creating": "yellow", "updating": "yellow",
    "degraded": "magenta", "failed": "red", "deleting": "bright_black",
}  # fmt: skip
PHASE_COLOURS = {
    "ready": "green", "failed": "red", "backoff": "red", "unready": "magenta", "draining": "bright_black",
    "gone": "bright_black",
}  # fmt: skip
OUTCOME_COLOURS = {"done": "green", "failed": "red", "progressing": "yellow"}


def is_terminal(stream: IO[Any]) -> bool:
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def has_colour(stream: IO[Any]) -> bool:
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


def print_result(text: str = "") -> None:
    """Print a result to stdout."""
    click.echo(safe(text), color=has_colour(sys.stdout))


def print_note(text: str = "") -> None:
    """Print progress or an explanation to stderr. If that is full or closed, the text is lost."""
    with contextlib.suppress(OSError):
        click.echo(safe(text), err=True, color=has_colour(sys.stderr))


def safe(text: str) -> str:
    """Escape what would act on a terminal, except for styles and the ends of lines."""
    return "".join(part if _STYLE.fullmatch(part) else escaped_lines(part) for part in _STYLE.split(text))


def print_json(value: object) -> None:
    """Print the command's one JSON document."""
    import msgspec

    _print_exact(msgspec.json.format(msgspec.json.encode(value)).decode())


def print_json_line(value: object) -> None:
    """Print one document of a JSON stream."""
    import msgspec

    _print_exact(msgspec.json.encode(value).decode())


def _print_exact(document: str) -> None:
    """Print JSON. A terminal gets special characters as JSON's escapes, which mean the same."""
    click.echo(escaped_json(document) if is_terminal(sys.stdout) else document, color=True)


def status_styled(status: str) -> str:
    return click.style(status, fg=STATUS_COLOURS.get(status))


def phase_styled(phase: str) -> str:
    return click.style(phase, fg=PHASE_COLOURS.get(phase))


def outcome_styled(outcome: str) -> str:
    return click.style(outcome, fg=OUTCOME_COLOURS.get(outcome))


def bold(text: str) -> str:
    return click.style(text, bold=True)


def dim(text: str) -> str:
    return click.style(text, dim=True)


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Format a table. Columns are as wide as their widest cell; cells may be styled.

    >>> print(table(["NAME", "AGE"], [["iris", "3s"], ["text", "12m"]]))
    NAME  AGE
    iris  3s
    text  12m
    """
    lines = [[bold(header) if header else "" for header in headers], *([*row] for row in rows)]
    widths = [max(len(click.unstyle(line[column])) for line in lines) for column in range(len(headers))]
    return "\n".join(_row(line, widths) for line in lines)


def figures_beside(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Format a table whose first column is text and whose others are figures, aligned to the right.

    >>> print(figures_beside(["NAME", "COST"], [["iris", "$1"], ["text", "$12"]]))
    NAME  COST
    iris    $1
    text   $12
    """
    cells = [list(headers), *(list(row) for row in rows)]
    widths = [max(len(click.unstyle(row[column])) for row in cells) for column in range(len(headers))]
    aligned = [
        [
            cell if column == 0 else " " * (widths[column] - len(click.unstyle(cell))) + cell
            for column, cell in enumerate(row)
        ]
        for row in cells
    ]
    return table(aligned[0], aligned[1:])


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    missing = (width - len(click.unstyle(cell)) for cell, width in zip(cells, widths, strict=True))
    return "  ".join(cell + " " * spaces for cell, spaces in zip(cells, missing, strict=True)).rstrip()


def age(time: str, now: datetime | None = None) -> str:
    """Format the time since an RFC 3339 time: ``8s``, ``5m``, ``3h``, ``12d``."""
    then = datetime.fromisoformat(time)
    return duration(((now or datetime.now(UTC)) - then).total_seconds())


def duration(seconds: float) -> str:
    """Format seconds in one unit, rounded down; below ten of a unit, add the next smaller one.

    >>> duration(8.4), duration(75), duration(3600), duration(40 * 3600)
    ('8s', '1m15s', '1h', '40h')
    """
    left = max(0, int(seconds))
    if left < 60:
        return f"{left}s"
    if left < 3600:
        minutes, rest = divmod(left, 60)
        return f"{minutes}m{rest}s" if minutes < 10 and rest else f"{minutes}m"
    if left < 48 * 3600:
        hours, rest = divmod(left // 60, 60)
        return f"{hours}h{rest}m" if hours < 10 and rest else f"{hours}h"
    return f"{left // 86400}d"


def counted(number: int, noun: str) -> str:
    """Format a number of things.

    >>> counted(1, "request"), counted(2000, "request")
    ('1 request', '2,000 requests')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def warning(text: str) -> str:
    return click.style("warning: ", fg="yellow", bold=True) + text


def indented(text: str, by: int = 2) -> str:
    return "\n".join(" " * by + line if line else "" for line in text.splitlines())

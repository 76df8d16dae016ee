"""Tables for people."""

from __future__ import annotations

from collections.abc import Sequence


def render(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a table. The first column is text, the others are figures."""
    lines = [heading, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heading))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )

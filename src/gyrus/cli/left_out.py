"""Reports for the user about the files that ignore files leave out of a package."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

import click

from gyrus.cli.output import print_note
from gyrus.client.errors import RolloutFailed
from gyrus.contract.visible import escaped
from gyrus.packaging.errors import IGNORE_FILE
from gyrus.packaging.left_out import LeftOutFile

MOST_NAMED = 3


def warnings(left_out: Iterable[LeftOutFile]) -> list[str]:
    """Return a sentence for the files that look like models and that no ``.gyrusignore`` leaves out."""
    models = [file for file in left_out if file.may_be_model and not file.deliberate]
    if not models:
        return []
    largest = sorted(models, key=lambda file: file.size, reverse=True)
    named = ", ".join(file.name for file in largest[:MOST_NAMED])
    more = f" and {len(models) - MOST_NAMED} more" if len(models) > MOST_NAMED else ""
    what = "looks like a model, but is" if len(models) == 1 else "look like models, but are"
    return [
        f"{named}{more} {what} not in the package, because {largest[0].source} leaves it out. To include "
        f"{PurePosixPath(largest[0].name).name}, {largest[0].remedy}; to leave it out without this warning, "
        f"add the line /{largest[0].name} to {IGNORE_FILE}."
    ]


def warn(left_out: Iterable[LeftOutFile]) -> None:
    """Print the warnings on stderr."""
    for warning in warnings(left_out):
        print_note(click.style("warning: ", fg="yellow", bold=True) + escaped(warning))


def explained(fault: RolloutFailed, left_out: Sequence[LeftOutFile]) -> str:
    """Return the remedy if a replica did not find a file that the package lacks. Empty if that is not it."""
    lines = [line for line in (fault.reason, *fault.last_lines) if "No such file or directory" in line]
    for file in left_out:
        if any(_names(line, file.name) for line in lines):
            cause = f"{file.name} is in the project, but {file.source} leaves it out of the package"
            return f"{cause}: {file.remedy}."
    return ""


def _names(line: str, name: str) -> bool:
    """Return True if the line quotes the name, or an absolute path that ends with it."""
    return any(f"{before}{name}{quote}" in line for quote in "'\"" for before in (quote, f"{quote}./", "/"))

"""The faults of a specification and their places.

SpecError              one or more faults; nothing was done
└── NoSpecification    there is no file to check
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field

from gyrus.contract.visible import escaped

Path = tuple[str | int, ...]
"""A position in a document: ``("env", "KEY")``, ``("process", "command", 1)``."""


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A place in a text. Line and column count from 1."""

    line: int
    column: int


START = Mark(1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """A fault within a value, without the file that it came from."""

    path: Path
    message: str
    remedy: str = ""
    at_key: bool = False
    """True if the fault is in the key, not in its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecFault:
    """One fault of a specification.

    >>> print(SpecFault(file="gyrus.yaml", mark=Mark(4, 3), field="handler.pth", message="unknown field",
    ...                 remedy='did you mean "path"?'))
    gyrus.yaml:4:3: handler.pth: unknown field; did you mean "path"?
    """

    file: str
    mark: Mark | None
    """The place in the file; None if the value came without a text."""
    field: str
    message: str
    remedy: str = ""

    @property
    def line(self) -> int | None:
        return self.mark.line if self.mark else None

    @property
    def column(self) -> int | None:
        return self.mark.column if self.mark else None

    def __str__(self) -> str:
        place = f"{self.file}:{self.mark.line}:{self.mark.column}" if self.mark else self.file
        message = f"{self.message}; {self.remedy}" if self.remedy else self.message
        return ": ".join(part for part in (place, self.field, message) if part)


class SpecError(Exception):
    """One or more faults of a specification, in the order of the text."""

    faults: tuple[SpecFault, ...]

    def __init__(self, faults: Iterable[SpecFault]) -> None:
        self.faults = tuple(sorted(set(faults), key=_order))
        super().__init__("\n".join(map(str, self.faults)))


class NoSpecification(SpecError):
    """A missing file or folder, as the only fault."""


@dataclass(slots=True)
class Findings:
    """Collects the faults of one file."""

    file: str
    faults: list[SpecFault] = field(default_factory=list[SpecFault])

    def add(self, mark: Mark | None, path: Path | str, message: str, remedy: str = "") -> None:
        name = path if isinstance(path, str) else dotted(path)
        self.faults.append(SpecFault(file=self.file, mark=mark, field=name, message=message, remedy=remedy))


def dotted(path: Path) -> str:
    """Return ``handler.path`` or ``process.command[1]``. The mark shows which API of the file it is."""
    path = path[1:] if path and isinstance(path[0], int) else path
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return escaped("".join(parts).removeprefix("."))


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that ``word`` most likely stands for. Returns None if none is close."""
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[close[0]] if close else None


def _order(fault: SpecFault) -> tuple[str, Mark, str, str]:
    return (fault.file, fault.mark or START, fault.field, fault.message)

"""The rules of a folder's ``.gitignore`` and ``.gyrusignore`` files.

They follow git: a file's patterns apply below its folder, deeper files override outer ones, the last matching
line decides, and nothing in an ignored folder can be included again. If both files are in one folder,
``.gyrusignore`` comes last.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gyrus.packaging.errors import IGNORE_FILE, FolderRefused

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE_FILES = (".gitignore", IGNORE_FILE)

_ALWAYS = frozenset({".git", ".hg", ".svn", "__pycache__", ".DS_Store"})
_VIRTUAL_ENVIRONMENT = "pyvenv.cfg"
"""The file that marks a folder as a virtual environment."""


def never_packed(path: Path, *, is_file: bool) -> bool:
    """Return True for paths outside every project: histories, caches, environments (and links to them)."""
    if path.name in _ALWAYS:
        return True
    return path.suffix == ".pyc" if is_file else os.path.isfile(path / _VIRTUAL_ENVIRONMENT)


@dataclass(frozen=True, slots=True)
class Rule:
    """The rule that leaves a path out."""

    folder: str
    """The folder of the ignore file, relative to the project: empty, or ending with a slash."""
    deliberate: bool
    """True if it is in a ``.gyrusignore``."""

    @property
    def source(self) -> str:
        """The ignore file, relative to the project."""
        return self.folder + (IGNORE_FILE if self.deliberate else IGNORE_FILES[0])


@dataclass(frozen=True, slots=True)
class Ignoring:
    """The rules of one folder: its own, then those of the folders around it."""

    folder: str
    """Relative to the project: empty, or ending with a slash."""
    rules: GitIgnoreSpec | None
    deliberate: GitIgnoreSpec | None
    """The rules that are in the ``.gyrusignore``."""
    outer: Ignoring | None

    @classmethod
    def of(cls, path: Path, folder: str, outer: Ignoring | None) -> Ignoring:
        """Read the rules of the folder at ``path``."""
        lines = {name: _lines(path / name) for name in IGNORE_FILES}
        rules = _compiled(path, [line for name in IGNORE_FILES for line in lines[name]])
        return cls(folder, rules, _compiled(path, lines[IGNORE_FILE]), outer)

    def ignores(self, path: str) -> bool:
        """Return whether a path is left out. It is relative to the project; a folder's ends with a slash."""
        return self.rule(path) is not None

    def rule(self, path: str) -> Rule | None:
        """Return the rule that leaves a path out. Returns None if the path is not left out."""
        level: Ignoring | None = self
        while level:
            inside = path.removeprefix(level.folder)
            verdict = level.rules.check_file(inside).include if level.rules else None
            if verdict is not None:
                own = level.deliberate is not None and level.deliberate.check_file(inside).include
                return Rule(level.folder, bool(own)) if verdict else None
            level = level.outer
        return None


def _compiled(path: Path, lines: list[str]) -> GitIgnoreSpec | None:
    if not lines:
        return None
    from pathspec import GitIgnoreSpec

    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError as error:
        raise FolderRefused(
            f"the ignore files in {path} cannot be read: {error}; correct the pattern"
        ) from error


def _lines(file: Path) -> list[str]:
    if not os.path.isfile(file):
        return []
    try:
        return file.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError as error:
        raise FolderRefused(f"{file} cannot be read: {error.strerror}; check its permissions") from error

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
class Ignoring:
    """The rules of one folder: its own, then those of the folders around it."""

    folder: str
    """Relative to the project: empty, or ending with a slash."""
    rules: GitIgnoreSpec | None
    outer: Ignoring | None

    @classmethod
    def of(cls, path: Path, folder: str, outer: Ignoring | None) -> Ignoring:
        """Read the rules of the folder at ``path``."""
        lines = [line for name in IGNORE_FILES for line in _lines(path / name)]
        return cls(folder, _compiled(path, lines), outer)

    def ignores(self, path: str) -> bool:
        """Return whether a path is left out. It is relative to the project; a folder's ends with a slash."""
        level: Ignoring | None = self
        while level:
            if level.rules:
                verdict = level.rules.check_file(path.removeprefix(level.folder)).include
                if verdict is not None:
                    return verdict
            level = level.outer
        return False


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

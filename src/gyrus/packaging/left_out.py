"""The files of a project that its ignore files leave out of the package although the API may need them.

git ignores many a model, because it is large. A package without it fails only in the replica.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

from gyrus.packaging.errors import IGNORE_FILE, FolderRefused
from gyrus.packaging.ignoring import Ignoring, never_packed

MODELS = frozenset(
    {
        ".cbm", ".ckpt", ".gguf", ".h5", ".hdf5", ".joblib", ".keras", ".onnx", ".pb", ".pickle", ".pkl",
        ".pt", ".pth", ".safetensors", ".skops", ".tflite", ".ubj",
    }
)  # fmt: skip
"""Suffixes of files that hold a model, whatever their size."""
LARGE_MODELS = frozenset({".bin", ".json", ".model", ".npy", ".npz", ".txt"})
"""Suffixes of files that may hold a model, if the file is large."""
LARGE = 2**20
"""Bytes."""
MOST = 20_000
"""Files and folders that are examined: an ignored folder may hold a whole data set."""
NO_MODELS = frozenset({"node_modules", "site-packages"})
"""Ignored folders that are not examined, besides hidden ones."""


@dataclass(frozen=True, slots=True)
class LeftOutFile:
    """A file that an ignore file leaves out."""

    name: str
    """Relative to the project, with slashes."""
    size: int
    """Bytes."""
    source: str
    """The ignore files that do it, as words: ``.gitignore`` or ``models/.gitignore``."""
    deliberate: bool
    """True if a ``.gyrusignore`` does it, which is for gyrus alone."""
    line: str
    """The line that includes the file again, in the ``.gyrusignore`` beside ``source``."""

    @property
    def may_be_model(self) -> bool:
        suffix = PurePosixPath(self.name).suffix.lower()
        return suffix in MODELS or (suffix in LARGE_MODELS and self.size >= LARGE)

    @property
    def remedy(self) -> str:
        """The clause that names the line to add, so that the file is included."""
        return f"add the line {self.line} to {PurePosixPath(self.source).parent / IGNORE_FILE}"


def left_out_files(folder: Path, *, apart: Collection[Path] = ()) -> tuple[LeftOutFile, ...]:
    """Return the files that ignore files leave out, by name; of a very large project only some.

    ``apart`` names folders, at any place, that are not part of the project. Raises FolderRefused.
    """
    root = folder.resolve()
    without = frozenset(path.resolve() for path in apart)
    examined = islice(_below(root, "", None, None, without), MOST)
    return tuple(sorted((file for file in examined if file), key=lambda file: file.name))


def check_named(
    files: Iterable[LeftOutFile], named: Iterable[tuple[str, str]], *, needed: Collection[str] = ()
) -> None:
    """Refuse a project whose specification names a file that is left out.

    ``named`` yields fields and texts that may be paths; those ``needed`` certainly are. Others may be left
    out by a ``.gyrusignore``. Raises FolderRefused.
    """
    left_out = {file.name: file for file in files}
    for field, text in named:
        file = left_out.get(os.path.normpath(text).replace(os.sep, "/"))
        if file is None or (file.deliberate and text not in needed):
            continue
        otherwise = (
            ""
            if text in needed
            else f" If the API does not need the file, add the line /{file.name} to {IGNORE_FILE}."
        )
        raise FolderRefused(
            f"{field} names {file.name}, but {file.source} leaves it out of the package; "
            f"{file.remedy}.{otherwise}"
        )


def _below(
    path: Path, prefix: str, outer: Ignoring | None, inside: LeftOutFile | None, apart: frozenset[Path]
) -> Iterator[LeftOutFile | None]:
    """Yield each file and folder: those that are left out, and None for the others.

    ``inside``: the ignored folder that this one is in.
    """
    ignoring = None if inside else Ignoring.of(path, prefix, outer)
    for item in _scan(path):
        place, name = Path(item.path), prefix + item.name
        is_folder = item.is_dir(follow_symlinks=False)
        if never_packed(place, is_file=not is_folder) or place in apart:
            continue
        name += "/" if is_folder else ""
        ignored = _in_ignored(inside, name, item) if inside else _ignored(ignoring, name, item)
        if not is_folder:
            yield ignored
            continue
        yield None
        if not ignored or not (item.name.startswith(".") or item.name in NO_MODELS):
            yield from _below(place, name, ignoring, ignored, apart)


def _ignored(ignoring: Ignoring | None, name: str, item: os.DirEntry[str]) -> LeftOutFile | None:
    rule = ignoring.rule(name) if ignoring else None
    if rule is None:
        return None
    line = f"!/{name.removeprefix(rule.folder)}"
    return LeftOutFile(name, _size(item), rule.source, rule.deliberate, line)


def _in_ignored(folder: LeftOutFile, name: str, item: os.DirEntry[str]) -> LeftOutFile:
    """Return a file or folder in an ignored folder: the line that includes the folder includes it too."""
    return LeftOutFile(name, _size(item), folder.source, folder.deliberate, folder.line)


def _size(item: os.DirEntry[str]) -> int:
    try:
        return item.stat(follow_symlinks=False).st_size
    except OSError:  # gone meanwhile
        return 0


def _scan(path: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as items:
            return sorted(items, key=lambda item: item.name)
    except OSError:  # an ignored folder need not be readable
        return []

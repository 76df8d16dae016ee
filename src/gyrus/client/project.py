"""The content of a deploy: the specifications in a YAML file, and an archive of the folder around it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote

from gyrus.contract.home import Home
from gyrus.contract.operator import LARGEST_PACKAGE

if TYPE_CHECKING:
    from gyrus.packaging.left_out import LeftOutFile
    from gyrus.spec.api import ApiSpec
    from gyrus.spec.load import SpecFile

CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ProjectArchive:
    """An archive in a temporary file."""

    digest: str
    size: int
    """Bytes."""
    _file: BinaryIO = field(repr=False)

    def chunks(self, on_progress: Callable[[int, int], None] | None = None) -> Iterator[bytes]:
        """Yield the archive's bytes; call ``on_progress`` with the bytes yielded so far and their total."""
        self._file.seek(0)
        sent = 0
        while chunk := self._file.read(CHUNK):
            yield chunk
            sent += len(chunk)
            if on_progress:
                on_progress(sent, self.size)


@dataclass(frozen=True, slots=True)
class Project:
    """Everything that one deploy sends."""

    file: Path
    specs: Sequence[dict[str, Any]]
    package: ProjectArchive
    left_out: Sequence[LeftOutFile] = ()
    """Files that ignore files leave out of the package."""

    @classmethod
    @contextmanager
    def read(cls, path: Path, largest: int = LARGEST_PACKAGE) -> Generator[Project]:
        """Read a YAML file, or a folder with ``gyrus.yaml``. The package exists until the block ends.

        The package does not have the YAML file itself: a change of one API in it changes no other API.

        ``largest``: the most bytes of a package that the operator takes.

        Raises ``gyrus.spec.faults.SpecError`` and ``gyrus.packaging.errors.PackagingError``.
        """
        from gyrus.packaging.archive import pack
        from gyrus.spec.load import load

        found = load(path)
        left_out = left_out_of(found)
        with tempfile.TemporaryFile(prefix="gyrus-") as file:
            needed = _files(found.apis)
            without = {found.path.name} - needed
            archive = pack(found.folder, file, needed=needed, without=without, limit=largest)
            specs = [_with_absolute_models(spec.model_dump(mode="json"), found.folder) for spec in found.apis]
            yield cls(found.path, specs, ProjectArchive(archive.digest, archive.size, file), left_out)


def _with_absolute_models(spec: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return a specification in which models of this machine have a URL, which the operator understands."""
    handler = spec.get("handler")
    if not handler or not handler["models"] or "://" in handler["models"]:
        return spec
    place = (folder / handler["models"]).resolve()
    return {**spec, "handler": {**handler, "models": f"file://{quote(str(place))}"}}


def left_out_of(found: SpecFile) -> Sequence[LeftOutFile]:
    """Return the files that ignore files leave out of the package.

    Raises ``gyrus.packaging.errors.FolderRefused`` if the specifications name one of them.
    """
    from gyrus.packaging.left_out import check_named, left_out_files
    from gyrus.spec.mentions import mentions

    left_out = left_out_files(found.folder, apart=(Home.default().root,))
    named = (mention for spec in found.apis for mention in mentions(spec))
    check_named(left_out, named, needed=_files(found.apis))
    return left_out


def _files(specs: Sequence[ApiSpec]) -> set[str]:
    """Return the files of the project that the specifications name."""
    return {file for spec in specs for file in spec.files}

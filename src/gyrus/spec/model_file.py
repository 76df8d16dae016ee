"""Reading a file of YAML that is one mapping into a model, or into all of its faults with their places."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from gyrus.spec.characters import unsuitable_texts
from gyrus.spec.diagnosis import Elsewhere, elsewhere_in_an_api, translated
from gyrus.spec.document import Value, fields_of, read
from gyrus.spec.faults import START, Contradiction, Mark, NoSpecification, Path, SpecError, SpecFault, dotted
from gyrus.spec.plain_file import NotPlain, read_plain_file

LARGEST = 2**20
"""The most bytes of a file."""

M = TypeVar("M", bound=BaseModel)


def _no_text(_: Path) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile(Generic[M]):
    """A kind of file: its model, and what the messages about it need."""

    model: type[M]
    example: str
    """The remedy for a file that is no mapping."""
    missing: str = "check the path"
    """The remedy for a file that does not exist."""
    is_text: Callable[[Path], bool] = _no_text
    """True for a path whose scalar is text, as it is written: ``1.30`` is no number there."""
    elsewhere: Elsewhere = elsewhere_in_an_api
    """The message and the remedy for a field that this kind of file does not have, by its name."""

    def load(self, path: FilePath) -> M:
        """Read a file. Raises SpecError, and NoSpecification if there is none."""
        return self.parse(read_text(path, self.missing), str(path))

    def parse(self, text: str, file: str) -> M:
        """Check a text, which the faults call ``file``. Raises SpecError."""
        if not _has_content(text):
            return self._checked({}, None, [], file)
        root, found = read(text.removeprefix("\ufeff"), file)
        if not fields_of(root.data):
            whole = Contradiction(path=(), message="the file must be a mapping", remedy=self.example)
            raise SpecError([_placed(whole, None, file)])
        found += [_placed(fault, root, file) for fault in unsuitable_texts(root.data)]
        found += [_placed(fault, root, file) for fault in self._doubts(root, ())]
        return self._checked(self._as_written(root, ()), root, found, file)

    def _checked(self, data: Any, root: Value | None, found: list[SpecFault], file: str) -> M:
        try:
            made = self.model.model_validate(data)
        except ValidationError as error:
            known = {fault.field for fault in found}
            more = [
                _placed(fault, root, file) for fault in translated(error, self.model, root, self.elsewhere)
            ]
            raise SpecError([*found, *(fault for fault in more if fault.field not in known)]) from error
        if found:
            raise SpecError(found)
        return made

    def _as_written(self, value: Value, path: Path) -> Any:
        if isinstance(value.data, dict):
            return {key: self._as_written(child, (*path, key)) for key, child in value.children.items()}
        if isinstance(value.data, list):
            return [self._as_written(child, (*path, key)) for key, child in value.children.items()]
        is_number = isinstance(value.data, (int, float)) and not isinstance(value.data, bool)
        return value.source if is_number and self.is_text(path) else value.data

    def _doubts(self, value: Value, path: Path) -> Iterator[Contradiction]:
        """Yield the scalars that not all versions of YAML read alike, except booleans and texts."""
        if value.doubt and not isinstance(value.data, bool) and not self.is_text(path):
            message, remedy = value.doubt
            yield Contradiction(path=path, message=message, remedy=remedy)
        for key, child in value.children.items():
            yield from self._doubts(child, (*path, key))


def read_text(path: FilePath, missing: str) -> str:
    """Return the text of a file that the user names. Raises SpecError, and NoSpecification.

    ``missing``: the remedy for a file that does not exist.
    """
    try:
        content = read_plain_file(path, LARGEST)
    except FileNotFoundError as error:
        fault = _whole(path, f"there is no file {path}", missing)
        raise NoSpecification([fault]) from error
    except (NotPlain, OSError) as error:
        why = str(error) if isinstance(error, NotPlain) else f"cannot be read: {error.strerror}"
        raise SpecError([_whole(path, why, "name a YAML file")]) from error
    if len(content) > LARGEST:
        raise SpecError([_whole(path, f"has more than {LARGEST:,} bytes", "is it the right file?")])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        mark = Mark(before.count(b"\n") + 1, len(before) - before.rfind(b"\n"))
        raise SpecError([_whole(path, "is not UTF-8 text", "save the file as UTF-8", mark)]) from error


def _placed(fault: Contradiction, root: Value | None, file: str) -> SpecFault:
    mark = root.mark_of(fault.path, key=fault.at_key) if root else START
    return SpecFault(
        file=file, mark=mark, field=dotted(fault.path), message=fault.message, remedy=fault.remedy
    )


def _has_content(text: str) -> bool:
    return any(line.split("#")[0].strip() not in ("", "---") for line in text.splitlines())


def _whole(path: FilePath, message: str, remedy: str, mark: Mark | None = None) -> SpecFault:
    return SpecFault(file=str(path), mark=mark, field="", message=message, remedy=remedy)

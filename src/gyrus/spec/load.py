"""Reading a YAML file into checked specifications, or into all of its faults at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gyrus.contract.visible import escaped
from gyrus.spec import faults
from gyrus.spec.api import ApiSpec
from gyrus.spec.characters import unsuitable_texts
from gyrus.spec.declarations import unread_declarations
from gyrus.spec.diagnosis import validate
from gyrus.spec.document import Value, fields_of, read
from gyrus.spec.faults import Contradiction, NoSpecification, SpecError, SpecFault, dotted
from gyrus.spec.plain_file import NotPlain, read_plain_file
from gyrus.spec.project import handler_faults, missing_files, nearest_file

FILE = "gyrus.yaml"
LARGEST = 2**20
"""The most bytes of a specification's file."""
OTHER_FILES = {
    ".py": "a Python file", ".ipynb": "a notebook", ".toml": "a TOML file", ".txt": "a text file",
    ".md": "a Markdown file", ".sh": "a shell script", ".tar": "an archive", ".zip": "an archive",
    ".whl": "an archive", ".pkl": "a model", ".pt": "a model", ".onnx": "a model", ".safetensors": "a model",
}  # fmt: skip
"""Files that users name by mistake, by their suffix."""


@dataclass(frozen=True, slots=True)
class SpecFile:
    """A file without faults."""

    path: Path
    folder: Path
    """The project's folder. The file's paths are relative to it, and it is packaged."""
    apis: tuple[ApiSpec, ...]


def load(path: Path, *, files: bool = True) -> SpecFile:
    """Read a YAML file, or the ``gyrus.yaml`` of a folder, and check that the files it names are there.

    Faults name the file as ``path`` does: a relative path stays relative. Without ``files``, the files that
    it names need not exist.

    Raises SpecError, and NoSpecification if there is no such file.
    """
    file = path / FILE if path.is_dir() else path
    _check_suffix(file)
    draft = _Draft.of(_text(file), str(file))
    for entry in draft.entries if files else ():
        for missing in missing_files(entry.data, file.parent):
            draft.blame(entry, missing)
        draft.faults += handler_faults(entry.data, file.parent)
    if files and not all(map(_names_requirements, draft.entries)):
        draft.faults += unread_declarations(file.parent)
    return SpecFile(file, file.parent, draft.finish())


def loads(text: str, name: str) -> tuple[ApiSpec, ...]:
    """Check a YAML text. Faults call its file ``name``. Files that the text names are not checked.

    Raises SpecError.
    """
    return _Draft.of(text, name).finish()


def check(apis: Sequence[Any], name: str) -> tuple[ApiSpec, ...]:
    """Check plain data that came without a text.

    Raises SpecError, whose faults have no marks.
    """
    entries = [
        _Entry(index, data, None, list(unsuitable_texts(data)) or validate(data))
        for index, data in enumerate(apis)
    ]
    draft = _Draft(name, entries, [])
    draft.settle()
    return draft.finish()


@dataclass(frozen=True, slots=True)
class _Entry:
    """One API of the file."""

    index: int
    data: Any
    written: Value | None
    outcome: ApiSpec | list[Contradiction]
    doubts: tuple[Contradiction, ...] = ()

    @property
    def name(self) -> str | None:
        name = fields_of(self.data).get("name")
        return name if isinstance(name, str) else None

    def line(self, path: faults.Path) -> str:
        return f"in line {self.written.mark_of(path).line}" if self.written else f"as number {self.index + 1}"


@dataclass(slots=True)
class _Draft:
    """A file that is being checked."""

    file: str
    entries: list[_Entry]
    faults: list[SpecFault]

    @classmethod
    def of(cls, text: str, file: str) -> _Draft:
        root, found = read(text.removeprefix("\ufeff"), file)
        draft = cls(file, [_entry(index, item) for index, item in enumerate(_items(root, file))], found)
        draft.settle()
        return draft

    def settle(self) -> None:
        """Collect the faults of each API, and those of the APIs compared with each other."""
        for entry in self.entries:
            for doubt in entry.doubts:
                self.blame(entry, doubt)
            if isinstance(entry.outcome, list):
                for fault in entry.outcome:
                    self.blame(entry, fault)
        for entry, fault in _twins(self.entries):
            self.blame(entry, fault)

    def blame(self, entry: _Entry, fault: Contradiction) -> None:
        mark = entry.written.mark_of(fault.path, key=fault.at_key) if entry.written else None
        name = escaped(entry.name or f"[{entry.index}]")
        file = self.file if entry.written else f"{self.file}: {name}"
        field = dotted(fault.path)
        self.faults.append(
            SpecFault(file=file, mark=mark, field=field, message=fault.message, remedy=fault.remedy)
        )

    def finish(self) -> tuple[ApiSpec, ...]:
        if self.faults:
            raise SpecError(self.faults)
        return tuple(entry.outcome for entry in self.entries if isinstance(entry.outcome, ApiSpec))


def _items(root: Value, file: str) -> list[Value]:
    """Return the file's APIs. A single API needs no list around it."""
    if fields_of(root.data):
        return [root]
    if root.children:
        return list(root.children.values())
    what = "the file must be a list of APIs" if root.source else "the file is empty"
    raise SpecError(
        [SpecFault(file=file, mark=root.mark, field="", message=what, remedy="begin with: - name: my-api")]
    )


def _entry(index: int, item: Value) -> _Entry:
    data = _as_written(item)
    doubts = tuple(_doubts(item, ()))
    outcome = list(unsuitable_texts(data)) or validate(data, item)
    if isinstance(outcome, list):
        outcome = [fault for fault in outcome if all(fault.path != doubt.path for doubt in doubts)]
    return _Entry(index, data, item, outcome, doubts)


def _doubts(value: Value, path: faults.Path) -> Iterator[Contradiction]:
    """Yield the scalars that not all versions of YAML read alike, where that matters.

    Texts are taken as they are written. Fields that are booleans may be written as yes, no, on or off.
    """
    if _is_text(path):
        return
    if value.doubt and ("config" in path or not isinstance(value.data, bool)):
        message, remedy = value.doubt
        yield Contradiction(path=path, message=message, remedy=remedy)
    for key, child in value.children.items():
        yield from _doubts(child, (*path, key))


def _is_text(path: faults.Path) -> bool:
    """Return True for a section in which every value is text, as it is written."""
    if path[:1] == ("env",) or path[:2] == ("process", "command"):
        return True
    if path[:2] != ("pod", "containers") or len(path) < 4:
        return False
    return path[3] in ("env", "command", "args") or path[4:6] == ("exec", "command")


def _as_written(item: Value) -> Any:
    """Return the data, with numbers as text where text is required: ``PORT: 8080``, ``[serve, 8080]``."""
    data = dict(fields_of(item.data))
    if not data:
        return item.data
    if isinstance(data.get("env"), dict):
        data["env"] = {key: _text_of(value) for key, value in item.at(("env",)).children.items()}
    process = fields_of(data.get("process"))
    if isinstance(process.get("command"), list):
        words = item.at(("process", "command")).children.values()
        data["process"] = {**process, "command": [_text_of(word) for word in words]}
    if "pod" in data:
        data["pod"] = _texts_of(item.at(("pod",)), ("pod",))
    return data


def _texts_of(value: Value, path: faults.Path) -> Any:
    """Return the data below a path, with numbers as text where text is required."""
    if isinstance(value.data, dict):
        return {key: _texts_of(child, (*path, key)) for key, child in value.children.items()}
    if isinstance(value.data, list):
        return [_texts_of(child, (*path, key)) for key, child in value.children.items()]
    return _text_of(value) if _is_text(path) else value.data


def _text_of(value: Value) -> Any:
    is_number = isinstance(value.data, (int, float)) and not isinstance(value.data, bool)
    return value.source if is_number else value.data


def _names_requirements(entry: _Entry) -> bool:
    fields = fields_of(entry.data)
    return any(fields_of(fields.get(source)).get("requirements") for source in ("handler", "process"))


def _twins(entries: Iterable[_Entry]) -> Iterator[tuple[_Entry, Contradiction]]:
    """Yield the APIs that have the name or the endpoint of an earlier one."""
    names: dict[str, _Entry] = {}
    endpoints: dict[str, _Entry] = {}
    for entry in entries:
        if entry.name is not None:
            first = names.setdefault(entry.name, entry)
            if first is not entry:
                message = f"{entry.name} is the name of another API too, {first.line(('name',))}"
                yield entry, Contradiction(path=("name",), message=message, remedy="rename one of them")
                continue
        if isinstance(entry.outcome, ApiSpec):
            path = entry.outcome.endpoint_path
            first = endpoints.setdefault(path, entry)
            if first is not entry:
                where = ("networking", "endpoint")
                message = f"{path} is the endpoint of {first.name} too, {first.line(where)}"
                yield entry, Contradiction(path=where, message=message, remedy="choose another endpoint")


def _text(file: Path) -> str:
    try:
        content = read_plain_file(file, LARGEST)
    except FileNotFoundError as error:
        raise _missing(file) from error
    except NotPlain as error:
        raise _whole_file(
            file, f"{error}, and a specification is a file", "write the YAML to a file"
        ) from error
    except OSError as error:
        raise _whole_file(file, f"cannot be read: {error.strerror}", "") from error
    if len(content) > LARGEST:
        message = f"has more than {LARGEST:,} bytes, the most of a specification"
        raise _whole_file(file, message, "is it the right file?")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        mark = faults.Mark(before.count(b"\n") + 1, len(before) - before.rfind(b"\n"))
        message, remedy = "is not UTF-8 text", "save the file as UTF-8"
        raise SpecError(
            [SpecFault(file=str(file), mark=mark, field="", message=message, remedy=remedy)]
        ) from error


def _check_suffix(file: Path) -> None:
    """Refuse a file that is certainly no YAML, before its text is read as some. Raises SpecError."""
    kind = OTHER_FILES.get(file.suffix)
    if kind is None or not file.is_file():
        return
    beside = file.parent / FILE
    remedy = f"write one with: gyrus init {file.parent}"
    if beside.is_file():
        remedy = f'did you mean "{beside}"?'
    raise _whole_file(file, f"is {kind}, and a specification is a YAML file", remedy)


def _whole_file(file: Path, message: str, remedy: str) -> SpecError:
    return SpecError([SpecFault(file=str(file), mark=None, field="", message=message, remedy=remedy)])


def _missing(file: Path) -> NoSpecification:
    """Name the outermost thing that is missing: the folder, or the file in it."""
    message, remedy = _absence(file, file.parent)
    return NoSpecification([SpecFault(file=str(file), mark=None, field="", message=message, remedy=remedy)])


def _absence(file: Path, folder: Path) -> tuple[str, str]:
    if not folder.is_dir():
        return f"there is no folder {folder}", "check the path"
    if close := nearest_file(file.name, folder, {".yaml", ".yml"}):
        return f"there is no file {file}", f'did you mean "{folder / close}"?'
    if file.name == FILE:
        project = "" if folder == Path() else f" {folder}"
        return f"the folder {folder.absolute()} has no {FILE}", f"write a project with: gyrus init{project}"
    return f"there is no file or folder {file}", f"write a new project with: gyrus init {file}"

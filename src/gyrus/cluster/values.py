"""Reading a values file into settings, or into all of its faults with their places."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from gyrus.cluster.settings import ClusterSettings
from gyrus.spec.diagnosis import translated
from gyrus.spec.document import fields_of, read
from gyrus.spec.faults import START, Mark, NoSpecification, SpecError, SpecFault, dotted
from gyrus.spec.plain_file import NotPlain, read_plain_file

LARGEST = 2**20
"""The most bytes of a values file."""


def load_values(path: Path) -> ClusterSettings:
    """Read a values file. Raises SpecError."""
    return parse_values(_text(path), str(path))


def parse_values(text: str, file: str) -> ClusterSettings:
    """Check the text of a values file, which the faults call ``file``. Raises SpecError."""
    if not _has_content(text):
        return ClusterSettings()
    root, found = read(text.removeprefix("\ufeff"), file)
    if not fields_of(root.data):
        message, remedy = "the file must be a mapping", "write for example gateway: {replicas: 2}"
        raise SpecError([SpecFault(file=file, mark=START, field="", message=message, remedy=remedy)])
    try:
        settings = ClusterSettings.model_validate(root.data)
    except ValidationError as error:
        found += [
            SpecFault(
                file=file,
                mark=root.mark_of(fault.path, key=fault.at_key),
                field=dotted(fault.path),
                message=fault.message,
                remedy=fault.remedy,
            )
            for fault in translated(error, ClusterSettings, root)
        ]
        raise SpecError(found) from error
    if found:
        raise SpecError(found)
    return settings


def _has_content(text: str) -> bool:
    return any(line.split("#")[0].strip() not in ("", "---") for line in text.splitlines())


def _text(path: Path) -> str:
    try:
        content = read_plain_file(path, LARGEST)
    except FileNotFoundError as error:
        fault = _whole(path, f"there is no file {path}", "check the path")
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


def _whole(path: Path, message: str, remedy: str, mark: Mark | None = None) -> SpecFault:
    return SpecFault(file=str(path), mark=mark, field="", message=message, remedy=remedy)

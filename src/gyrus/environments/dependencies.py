"""The packages that a project requires, and the file that lists them."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from gyrus.environments.errors import EnvironmentFailure

DEFAULT_FILES = ("requirements.txt", "pyproject.toml")
_REFERENCE = re.compile(r"(?:-r|--requirement|-c|--constraint)(?:\s*=\s*|\s+|(?=[^-\s=]))(.+)")
_LOCAL = re.compile(
    r"(^|\s)(-e|--editable)\b|(^|[\s=@])(\.{0,2}/|\.($|[\s\[;]))|file:|^(?!.*://).*\.(whl|zip|tar\.gz)\b"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependencies:
    """The packages that an environment needs besides the runtime."""

    file: Path | None = None
    """``requirements.txt`` or ``pyproject.toml``; None means no packages."""
    content: tuple[str, ...] = ()
    """All that decides what is installed. Equal contents give equal environments."""
    local: bool = False
    """True if files of the project itself are installed. Each package then needs its own environment."""


def find_dependencies(project: Path, named: str | None) -> Dependencies:
    """Return the dependencies of a project.

    ``named``: the file that the specification names. None means the first of the default files that exists.

    Raises EnvironmentFailure.
    """
    if named is not None:
        file = project / named
        if not file.is_file():
            raise EnvironmentFailure(
                f"the file {named} (requirements) is not in the project; add it or correct the name"
            )
        return _read(file)
    for name in DEFAULT_FILES:
        if (project / name).is_file() and (found := _read(project / name)).file:
            return found
    return Dependencies()


def _read(file: Path) -> Dependencies:
    try:
        return _read_pyproject(file) if file.suffix == ".toml" else _read_requirements(file)
    except UnicodeDecodeError as error:
        raise EnvironmentFailure(f"{file.name} is not UTF-8 text: {error}; save it as UTF-8") from error
    except OSError as error:
        raise EnvironmentFailure(f"{file.name} cannot be read: {error}") from error


# requirements.txt


def _read_requirements(file: Path) -> Dependencies:
    content: list[str] = []
    for part in _with_references(file, set()):
        content.extend(_lines(part.read_text("utf-8-sig")))
    local = any(_LOCAL.search(line) for line in content if not _REFERENCE.fullmatch(line))
    return Dependencies(file=file, content=tuple(content), local=local)


def _with_references(file: Path, seen: set[Path]) -> Iterator[Path]:
    """Yield the file and the files that it refers to. Skip a missing one: the installer reports it."""
    if file in seen or not file.is_file():
        return
    seen.add(file)
    yield file
    for line in _lines(file.read_text("utf-8-sig")):
        if reference := _REFERENCE.fullmatch(line):
            yield from _with_references((file.parent / reference[1].strip()).resolve(), seen)


def _lines(text: str) -> Iterator[str]:
    """Yield the lines without comments; skip empty ones, and join continued ones."""
    for line in text.replace("\\\n", " ").splitlines():
        bare = re.sub(r"(^|\s)#.*$", "", line).strip()
        if bare:
            yield bare


# pyproject.toml


def _read_pyproject(file: Path) -> Dependencies:
    """Return only the project's dependencies, because the project itself is on the path already.

    A file without a project in it (for example, with the settings of linters) has no dependencies.
    """
    try:
        document = tomllib.loads(file.read_text("utf-8-sig"))
    except tomllib.TOMLDecodeError as error:
        raise EnvironmentFailure(f"{file.name} is not valid TOML: {error}") from error
    tools = _table(document, "tool")
    project = _table(document, "project")
    if not project and "poetry" not in tools:
        return Dependencies()
    dynamic = not project or "dependencies" in project.get("dynamic", ())
    decisive = {
        "dependencies": project.get("dependencies"),
        "python": project.get("requires-python"),
        "uv": tools.get("uv"),
        "all": document if dynamic else None,
    }
    sources = json.dumps(_table(_table(tools, "uv"), "sources"), default=str)
    local = dynamic or '"path"' in sources or '"workspace"' in sources
    content = json.dumps(decisive, sort_keys=True, default=str)
    return Dependencies(file=file, content=(content,), local=local)


def _table(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = document.get(name)
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}

"""The packages that a project requires, and the file that lists them."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from gyrus.environments.errors import EnvironmentFailure
from gyrus.environments.python_versions import PythonRequirement, python_requirements

DEFAULT_FILES = ("requirements.txt", "pyproject.toml")
_BUILT_FILES = ("setup.py", "setup.cfg")
"""Files that uv reads by building the project's metadata."""
_UV_LOCK = "uv.lock"
_REFERENCE = re.compile(r"(?:-r|--requirement|-c|--constraint)(?:\s*=\s*|\s+|(?=[^-\s=]))(.+)")
_REQUIREMENT = re.compile(r"\s*([\w.-]+)\s*(?:\[[^]]*\])?\s*([^;@]*)")
_REQUIRE_HASHES = "--require-hashes"
_INCLUDED = re.compile(r"(?:-r|--requirement)(?![\w-]*constraint).*")
_INDEX_OPTION = re.compile(
    r"(?:-i|--index-url|--extra-index-url|-f|--find-links|--no-index|--no-binary|--only-binary)\b.*"
)
_FIND_LINKS = re.compile(r"(?:-f|--find-links)(?:\s*=\s*|\s+|(?=[^-\s=]))(.+)")
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
    pythons: tuple[PythonRequirement, ...] = ()
    """Restrictions of the Python version."""
    options: tuple[str, ...] = ()
    """Options of the requirements file that name indexes and choose between wheels and sources."""
    hashed: tuple[str, ...] = ()
    """The requirements, if they have hashes: then they are a lock already, and all of them must have some."""
    uv_lock: bool = False
    """True if uv's own lock file is beside the project file."""
    named_indexes: bool = False
    """True if the project file assigns packages to indexes, so that a lock alone cannot find them."""


def find_dependencies(project: Path, named: str | None) -> Dependencies:
    """Return the dependencies of a project.

    ``named``: the file that the specification names. None means the first of the default files that exists.

    Raises EnvironmentFailure.
    """
    found = _named(project, named) if named is not None else _usual(project)
    return replace(found, pythons=python_requirements(project, found.file))


def _named(project: Path, name: str) -> Dependencies:
    file = project / name
    if not file.is_file():
        raise EnvironmentFailure(
            f"the file {name} (requirements) is not in the project; add it or correct the name"
        )
    return _read(project, file)


def _usual(project: Path) -> Dependencies:
    for name in DEFAULT_FILES:
        if (project / name).is_file() and (found := _read(project, project / name)).file:
            return found
    return Dependencies()


def _read(project: Path, file: Path) -> Dependencies:
    try:
        if file.name in _BUILT_FILES:
            return Dependencies(file=file, content=(file.read_text("utf-8-sig"),), local=True)
        return _read_pyproject(file) if file.suffix == ".toml" else _read_requirements(project, file)
    except UnicodeDecodeError as error:
        raise EnvironmentFailure(f"{file.name} is not UTF-8 text: {error}; save it as UTF-8") from error
    except OSError as error:
        raise EnvironmentFailure(f"{file.name} cannot be read: {error}") from error


# requirements.txt


def _read_requirements(project: Path, file: Path) -> Dependencies:
    content: list[str] = []
    required: list[str] = []
    options: list[str] = []
    for part, constrains in _with_references(file, set()):
        lines = tuple(_lines(part.read_text("utf-8-sig")))
        content.extend(lines)
        required.extend(() if constrains else lines)
        options.extend(_option(line, part.parent, project) for line in lines if _INDEX_OPTION.fullmatch(line))
    own = tuple(line for line in required if not _REFERENCE.fullmatch(line))
    return Dependencies(
        file=file,
        content=tuple(content),
        local=any(_LOCAL.search(line) for line in content if not _REFERENCE.fullmatch(line)),
        options=tuple(options),
        hashed=_hashed(own),
    )


def _option(line: str, folder: Path, project: Path) -> str:
    """Return the option with a path relative to the project, not to the folder of its file."""
    match = _FIND_LINKS.fullmatch(line)
    if match is None or "://" in match[1] or not (folder / match[1]).exists():
        return line
    return f"--find-links {os.path.relpath(folder / match[1], project)}"


def _hashed(lines: tuple[str, ...]) -> tuple[str, ...]:
    """Return the requirements if the file checks hashes, as pip decides it: one hash is enough."""
    if not any("--hash=" in line or line == _REQUIRE_HASHES for line in lines):
        return ()
    return tuple(line for line in lines if not line.startswith("--") and not _INDEX_OPTION.fullmatch(line))


def _with_references(file: Path, seen: set[Path], constrains: bool = False) -> Iterator[tuple[Path, bool]]:
    """Yield the file and the files that it refers to, and whether they only constrain.

    Skip a missing one: the installer reports it.
    """
    if file in seen or not file.is_file():
        return
    seen.add(file)
    yield file, constrains
    for line in _lines(file.read_text("utf-8-sig")):
        if reference := _REFERENCE.fullmatch(line):
            inner = constrains or not _INCLUDED.fullmatch(line)
            yield from _with_references((file.parent / reference[1].strip()).resolve(), seen, inner)


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
    lock = file.with_name(_UV_LOCK) if project and not dynamic else None
    locked = _own_lock(lock, document) if lock and lock.is_file() else None
    decisive = {
        "dependencies": project.get("dependencies"),
        "python": project.get("requires-python"),
        "uv": tools.get("uv"),
        "all": document if dynamic else None,
    } | ({"lock": locked} if locked else {})
    sources = json.dumps(_table(_table(tools, "uv"), "sources"), default=str)
    local = dynamic or '"path"' in sources or '"workspace"' in sources
    content = json.dumps(decisive, sort_keys=True, default=str)
    return Dependencies(
        file=file,
        content=(content,),
        local=local,
        uv_lock=locked is not None,
        named_indexes='"index"' in sources,
    )


def _own_lock(file: Path, document: Mapping[str, Any]) -> str:
    """Return the text of uv's lock file. Raises EnvironmentFailure if the project file is newer than that."""
    text = file.read_text("utf-8")
    try:
        packages = tomllib.loads(text).get("package", [])
    except tomllib.TOMLDecodeError as error:
        raise EnvironmentFailure(
            f"{file.name} is not valid TOML: {error}; write it again: uv lock"
        ) from error
    recorded = _recorded(packages)
    project = _table(document, "project")
    matches = filter(None, map(_REQUIREMENT.match, project.get("dependencies", ())))
    declared = {_normal(match[1]): _sorted(match[2]) for match in matches}
    changed = sorted(name for name, range in declared.items() if recorded.get(name, name) not in {"", range})
    if changed:
        raise EnvironmentFailure(
            f"{file.name} does not fit {', '.join(changed)} in pyproject.toml; write it again: uv lock"
        )
    return text


def _recorded(packages: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the ranges of the dependencies for which a lock was made; empty for those with a source."""
    roots = (package for package in packages if "." in dict(package.get("source", {})).values())
    metadata = (_table(root, "metadata").get("requires-dist", ()) for root in roots)
    return {_normal(one["name"]): _sorted(one.get("specifier", "")) for all in metadata for one in all}


def _sorted(specifier: str) -> str:
    return ",".join(sorted(part.strip().replace(" ", "") for part in specifier.strip(" ()").split(",")))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _table(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = document.get(name)
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}

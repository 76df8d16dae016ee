"""The versions of Python that a project requires, in ``pyproject.toml`` and ``.python-version``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from gyrus.environments.errors import EnvironmentFailure

VERSION_FILE = ".python-version"
_PINNED = re.compile(r"(?:cpython[-@]?|python-?)?(\d+(?:\.\d+)?)(?:\.\d+)?")
_CLAUSE = re.compile(r"(~=|===?|!=|<=|>=|<|>)\s*v?(\d+(?:\.\d+)*)(\.\*)?\S*")

Version = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PythonRequirement:
    """A restriction of the Python version."""

    specifier: str
    """As in PEP 440: ``>=3.11,<3.14``."""
    source: str
    """The place of the restriction, for messages."""

    def allows(self, version: Version) -> bool:
        """Return whether this version of Python is allowed. Raises EnvironmentFailure if it is unreadable."""
        clauses = [clause.strip() for clause in self.specifier.split(",") if clause.strip()]
        return all(_allows(clause, version, self.source) for clause in clauses)


def python_requirements(project: Path, file: Path | None) -> tuple[PythonRequirement, ...]:
    """Return all restrictions of a project whose dependencies are in ``file``. Raises EnvironmentFailure."""
    documents = [project / "pyproject.toml"]
    if file and file.suffix == ".toml" and file not in documents:
        documents.append(file)
    found = [one for path in documents for one in _of_project_file(path)]
    return (*found, *_of_version_file(project / VERSION_FILE))


def combined(requirements: Iterable[PythonRequirement]) -> str:
    return ",".join(requirement.specifier for requirement in requirements)


def _of_project_file(path: Path) -> Iterable[PythonRequirement]:
    document = _document(path)
    specifier = _table(document, "project").get("requires-python")
    if isinstance(specifier, str) and specifier.strip():
        yield PythonRequirement(specifier, f"requires-python of {path.name}")
    poetry = _table(_table(document, "tool"), "poetry")
    python = _table(poetry, "dependencies").get("python")
    if isinstance(python, str) and python.strip() not in {"", "*"}:
        yield PythonRequirement(_from_poetry(python), f"python of tool.poetry.dependencies in {path.name}")


def _document(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}  # the reader of the dependencies reports it, if they are in this file


def _table(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = document.get(name)
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _from_poetry(constraint: str) -> str:
    """Return Poetry's constraint as PEP 440 has it: ``^3.11`` allows all of Python 3 from 3.11 on."""
    clauses = (clause.strip() for clause in constraint.split(","))
    return ",".join(_clause_from_poetry(clause) for clause in clauses)


def _clause_from_poetry(clause: str) -> str:
    match = re.fullmatch(r"([\^~]?)\s*(\d+)((?:\.\d+)*)(\.\*)?", clause)
    if match is None:
        return clause
    sign, major, rest, _ = match.groups()
    if sign == "^":
        return f">={major}{rest},<{int(major) + 1}"
    parts = rest.split(".")[1:]
    return f"=={major}{''.join(f'.{part}' for part in parts[:1])}.*"


def _of_version_file(path: Path) -> Iterable[PythonRequirement]:
    """Yield the version of the file. Of a patch release (3.12.4), only 3.12 counts."""
    try:
        lines = [line.split("#")[0].strip() for line in path.read_text("utf-8-sig").splitlines()]
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        raise EnvironmentFailure(f"{VERSION_FILE} cannot be read: {error}") from error
    version_text = next(filter(None, lines), "system")
    if version_text == "system":
        return
    if match := _PINNED.fullmatch(version_text):
        yield PythonRequirement(f"=={match[1]}.*", VERSION_FILE)
    elif _CLAUSE.match(version_text):
        yield PythonRequirement(version_text, VERSION_FILE)
    else:
        message = f"{VERSION_FILE} requires {version_text!r}, which is no version of CPython"
        remedy = "write a version such as 3.12, or leave the file out with a line in .gyrusignore"
        raise EnvironmentFailure(f"{message}; {remedy}")


def _allows(clause: str, version: Version, source: str) -> bool:
    match = _CLAUSE.fullmatch(clause)
    if match is None:
        remedy = "write for example >=3.11"
        raise EnvironmentFailure(f"{source} is {clause!r}, which is no range of versions; {remedy}")
    sign, wanted, prefix = match[1], tuple(map(int, match[2].split("."))), bool(match[3])
    same = _padded(version, len(wanted))[: len(wanted)] == wanted
    equal = same if prefix else _padded(version, len(wanted)) == _padded(wanted, len(version))
    above = _padded(version, len(wanted)) > _padded(wanted, len(version))
    match sign:
        case "==" | "===":
            return equal
        case "!=":
            return not equal
        case ">=":
            return above or equal
        case ">":
            return above
        case "<=":
            return not above or equal
        case "<":
            return not above and not equal
        case _:  # ~= 3.11.2 means >= 3.11.2 and == 3.11.*
            return (above or equal) and version[: len(wanted) - 1] == wanted[:-1]


def _padded(version: Version, length: int) -> Version:
    return version + (0,) * (length - len(version))

"""Dependencies that a project declares where gyrus does not read them: a fault. Runs no code."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gyrus.spec.document import fields_of
from gyrus.spec.faults import SpecFault

REQUIREMENTS = "requirements.txt"
PROJECT = "pyproject.toml"
ANYWAY = f"if the API needs none of them, add an empty {REQUIREMENTS}"


def unread_declarations(folder: Path) -> Iterator[SpecFault]:
    """Yield a fault for each file that declares dependencies, if no file does so that gyrus reads.

    Files that cannot be read declare nothing.
    """
    if (folder / REQUIREMENTS).is_file():
        return
    project = _toml(folder / PROJECT)
    if fields_of(project.get("project")):
        return
    if fault := _poetry(project):
        yield _fault(folder / PROJECT, *fault)
        return
    if _poetry_dependencies(project):
        return
    for name, (declares, remedy) in _FILES.items():
        if (folder / name).is_file() and declares(_text(folder / name)):
            yield _fault(folder / name, "declares dependencies, and gyrus does not read them", remedy)


def _poetry(project: dict[str, Any]) -> tuple[str, str] | None:
    """Return the fault if Poetry's dependencies cannot be learned by a build of the project's metadata."""
    if not _poetry_dependencies(project):
        return None
    backend = fields_of(project.get("build-system")).get("build-backend")
    poetry = fields_of(fields_of(project.get("tool")).get("poetry"))
    if str(backend).startswith("poetry.") and poetry.get("package-mode") is not False:
        return None
    remedy = f"write them as dependencies in [project], or run: poetry export -o {REQUIREMENTS}"
    return "declares dependencies for Poetry alone, and gyrus does not read them", remedy


def _poetry_dependencies(project: dict[str, Any]) -> bool:
    poetry = fields_of(fields_of(project.get("tool")).get("poetry"))
    return bool(fields_of(poetry.get("dependencies")).keys() - {"python"})


def _pipfile(text: str) -> bool:
    try:
        return bool(tomllib.loads(text).get("packages"))
    except tomllib.TOMLDecodeError:
        return True


def _has(pattern: str) -> Callable[[str], bool]:
    return lambda text: re.search(pattern, text, re.MULTILINE) is not None


_WRITE = f"list them in {REQUIREMENTS}; {ANYWAY}"
_CONDA = f"gyrus installs from PyPI: list the packages with their names there in {REQUIREMENTS}; {ANYWAY}"
_BUILT = "name it as requirements: of the handler or process, or {}"
_CONDA_FILE = (_has(r"^\s*dependencies\s*:"), _CONDA)
_FILES: dict[str, tuple[Callable[[str], bool], str]] = {
    "environment.yml": _CONDA_FILE,
    "environment.yaml": _CONDA_FILE,
    "conda.yml": _CONDA_FILE,
    "conda.yaml": _CONDA_FILE,
    "pixi.toml": (_has(r"^\[(pypi-)?dependencies"), _CONDA),
    "Pipfile": (_pipfile, f"run: pipenv requirements > {REQUIREMENTS}; {ANYWAY}"),
    "setup.py": (_has(r"\binstall_requires\b"), _BUILT.format(_WRITE)),
    "setup.cfg": (_has(r"^\s*install_requires\s*="), _BUILT.format(_WRITE)),
    "requirements.in": (_has(r"^\s*[\w-]"), f"run: uv pip compile requirements.in -o {REQUIREMENTS}"),
}
"""By name: whether a text declares dependencies, and the remedy."""


def _fault(file: Path, message: str, remedy: str) -> SpecFault:
    return SpecFault(file=str(file), mark=None, field="", message=message, remedy=remedy)


def _toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_text(file))
    except tomllib.TOMLDecodeError:
        return {"project": {"unreadable": True}}  # the operator reports it when it reads the dependencies


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return ""

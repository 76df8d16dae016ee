"""Restrictions of the Python version, and the versions that they allow."""

from __future__ import annotations

from pathlib import Path

import pytest

from gyrus.environments.errors import EnvironmentFailure
from gyrus.environments.interpreters import Interpreter, choose_interpreter
from gyrus.environments.python_versions import PythonRequirement, python_requirements

OWN = Interpreter(path="/py", version=(3, 11, 7), build="x")


@pytest.mark.parametrize(
    "specifier",
    [
        ">=3.11",
        ">=3.9,<4",
        "==3.11.*",
        "~=3.11",
        "~=3.11.2",
        ">3.11",
        "<3.12",
        "!=3.12.*",
        "==3.11.7",
        ">= 3.8",
        "",
    ],
)
def test_versions_that_are_allowed(specifier: str) -> None:
    assert PythonRequirement(specifier, "x").allows((3, 11, 7))


@pytest.mark.parametrize(
    "specifier",
    [">=3.12", "<3.11", "==3.12.*", "~=3.12", "~=3.11.8", ">3.11.7", "!=3.11.*", "<=3.11"],
)
def test_versions_that_are_not(specifier: str) -> None:
    assert not PythonRequirement(specifier, "x").allows((3, 11, 7))


@pytest.mark.parametrize(
    ("text", "specifier"),
    [
        ('[project]\nrequires-python = ">=3.12"\n', ">=3.12"),
        ('[tool.poetry.dependencies]\npython = "^3.12"\n', ">=3.12,<4"),
        ('[tool.poetry.dependencies]\npython = "~3.12"\n', "==3.12.*"),
        ('[tool.poetry.dependencies]\npython = ">=3.9,<3.13"\n', ">=3.9,<3.13"),
    ],
)
def test_project_files(tmp_path: Path, text: str, specifier: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    [found] = python_requirements(tmp_path, tmp_path / "requirements.txt")
    assert found.specifier == specifier


@pytest.mark.parametrize(
    ("text", "specifier"),
    [
        ("3.12\n", "==3.12.*"),
        ("# comment\n3.12.4\n3.11\n", "==3.12.*"),
        ("cpython-3.12.1", "==3.12.*"),
        ("python3.12", "==3.12.*"),
        ("3", "==3.*"),
        (">=3.11,<3.13", ">=3.11,<3.13"),
    ],
)
def test_version_files(tmp_path: Path, text: str, specifier: str) -> None:
    (tmp_path / ".python-version").write_text(text)
    assert [found.specifier for found in python_requirements(tmp_path, None)] == [specifier]


@pytest.mark.parametrize("text", ["", "system\n", "# nothing\n"])
def test_version_files_without_a_version(tmp_path: Path, text: str) -> None:
    (tmp_path / ".python-version").write_text(text)
    assert not python_requirements(tmp_path, None)


def test_another_implementation_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".python-version").write_text("pypy3.10\n")
    with pytest.raises(
        EnvironmentFailure, match=r"^\.python-version requires 'pypy3\.10', which is no version"
    ):
        python_requirements(tmp_path, None)


def test_an_unreadable_range_is_refused() -> None:
    with pytest.raises(
        EnvironmentFailure, match=r"^x is 'three', which is no range of versions; write for example"
    ):
        PythonRequirement("three", "x").allows((3, 11, 7))


def test_gyruss_own_interpreter_is_taken_where_it_is_allowed() -> None:
    assert choose_interpreter((PythonRequirement(">=3.9", "x"),), {}, OWN) is OWN


def test_versions_before_those_of_the_runtime_are_refused() -> None:
    with pytest.raises(EnvironmentFailure, match=r"its runtime needs 3\.11 or newer: allow such a version$"):
        choose_interpreter((PythonRequirement("<3.10", "x"),), {}, OWN)

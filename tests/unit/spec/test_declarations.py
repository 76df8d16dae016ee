"""Declared dependencies that gyrus does not read are refused, with the way to declare them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gyrus.spec.declarations import unread_declarations
from gyrus.spec.faults import SpecError
from gyrus.spec.load import load

POETRY = '[tool.poetry.dependencies]\npython = "^3.11"\nnumpy = "^2"\n'
FILES = {
    "environment.yml": "name: x\ndependencies:\n  - numpy\n",
    "conda.yaml": "dependencies: [numpy]\n",
    "pixi.toml": '[dependencies]\nnumpy = "*"\n',
    "Pipfile": '[packages]\nnumpy = "*"\n',
    "setup.py": "from setuptools import setup\nsetup(install_requires=['numpy'])\n",
    "setup.cfg": "[options]\ninstall_requires =\n  numpy\n",
    "requirements.in": "numpy\n",
    "pyproject.toml": POETRY,
}


def faults(folder: Path) -> list[str]:
    return [str(fault) for fault in unread_declarations(folder)]


@pytest.mark.parametrize("name", FILES)
def test_each_is_refused_with_a_remedy(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(FILES[name])
    [fault] = faults(tmp_path)
    assert fault.startswith(f"{tmp_path / name}: declares dependencies")
    assert "requirements.txt" in fault
    (tmp_path / "requirements.txt").write_text("")
    assert not faults(tmp_path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("environment.yml", "name: x\n"),
        ("Pipfile", "[dev-packages]\n"),
        ("setup.py", "setup()\n"),
        ("pyproject.toml", "[tool.ruff]\n"),
        ("pyproject.toml", '[tool.poetry.dependencies]\npython = "^3.11"\n'),
        ("pyproject.toml", POETRY + '[build-system]\nbuild-backend = "poetry.core.masonry.api"\n'),
        ("pyproject.toml", "[broken"),
    ],
)
def test_what_declares_nothing_or_is_read_later_passes(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert not faults(tmp_path)


def test_a_project_file_that_is_read_goes_before_them(tmp_path: Path) -> None:
    (tmp_path / "environment.yml").write_text(FILES["environment.yml"])
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\ndependencies = []\n')
    assert not faults(tmp_path)


def test_a_specification_that_names_its_requirements_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "handler.py").write_text("class Handler:\n    def predict(self, payload): return 1\n")
    (tmp_path / "setup.py").write_text(FILES["setup.py"])
    text = "name: a\nhandler: {path: handler.py}\n"
    (tmp_path / "gyrus.yaml").write_text(text)
    with pytest.raises(SpecError, match=r"setup\.py: declares dependencies, and gyrus does not read them"):
        load(tmp_path)
    (tmp_path / "gyrus.yaml").write_text(text.replace("handler.py", "handler.py, requirements: setup.py"))
    assert load(tmp_path).apis

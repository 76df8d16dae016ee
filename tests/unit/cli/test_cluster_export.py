"""The export of an operator's APIs."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import yaml

from support.command_line import Gyrus
from support.operator_thread import Operator


@pytest.fixture
def deployed(operator: Operator, gyrus: Gyrus, tmp_path: Path) -> Path:
    """A project whose API is deployed."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "handler.py").write_text("class Handler:\n    def predict(self, payload): ...\n")
    (folder / "api.yaml").write_text(
        "{name: iris, kind: RealtimeAPI, handler: {path: handler.py}, env: {A: b}}"
    )
    (folder / "gyrus.yaml").write_text("{name: other, kind: RealtimeAPI, handler: {path: handler.py}}")
    ran = gyrus("deploy", folder / "api.yaml", "--no-wait")
    assert ran.code == 0, ran.err
    return folder


def test_a_project_with_its_files(deployed: Path, gyrus: Gyrus, tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    ran = gyrus("cluster", "export", "--folder", folder)
    assert ran.code == 0, ran.err
    file = folder / "iris" / "iris.gyrus.yaml"  # the project has a gyrus.yaml of its own
    assert ran.out.splitlines() == [
        f"1 API exported to {folder}.",
        f"Deploy each with: gyrus -e OTHER deploy {folder}/NAME",
    ]
    assert ran.err.splitlines() == [
        f"iris revision 1 is in {file}",
        "warning: The files have the values of environment variables, which may be secrets.",
    ]
    (spec,) = yaml.safe_load(file.read_text())
    assert (spec["name"], spec["env"]) == ("iris", {"A": "b"})
    assert (folder / "iris" / "handler.py").read_text() == (deployed / "handler.py").read_text()
    assert (folder / "iris" / "handler.py").stat().st_mode & stat.S_IWUSR
    assert [entry.name for entry in folder.iterdir()] == ["iris"]
    assert gyrus("validate", file).code == 0


def test_json_alone_writes_nothing(
    deployed: Path, gyrus: Gyrus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (found,) = gyrus("cluster", "export", "-o", "json").json
    assert (found["name"], found["revision"], found["spec"]["env"]) == ("iris", 1, {"A": "b"})
    assert len(found["package"]) == 64
    assert not (tmp_path / "gyrus-export").exists()


def test_a_folder_that_exists_is_left_alone(deployed: Path, gyrus: Gyrus, tmp_path: Path) -> None:
    there = tmp_path / "copies" / "iris"
    there.mkdir(parents=True)
    ran = gyrus("cluster", "export", "--folder", tmp_path / "copies")
    assert ran.code == 2
    assert ran.err == (
        f"error: {there} exists already.\n  Remove it, or name another folder with --folder.\n"
    )
    assert [*there.iterdir()] == []


def test_a_folder_that_cannot_be_written(deployed: Path, gyrus: Gyrus, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    ran = gyrus("cluster", "export", "--folder", file / "copies")
    assert ran.code == 2
    assert ran.err == (
        f"error: iris cannot be written to {file / 'copies'}: Not a directory.\n"
        "  Name a folder on a disk with free space that you may write to: --folder FOLDER.\n"
    )


def test_an_operator_without_apis(operator: Operator, gyrus: Gyrus, tmp_path: Path) -> None:
    ran = gyrus("cluster", "export", "--folder", tmp_path / "copies")
    assert (ran.code, ran.out) == (0, f"0 APIs exported to {tmp_path / 'copies'}.\n")

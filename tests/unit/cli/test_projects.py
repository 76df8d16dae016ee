"""``gyrus init`` and ``gyrus validate``: no operator is needed."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from gyrus.cli.commands.init import FILES
from gyrus.packaging.archive import pack
from gyrus.spec.load import load
from support.command_line import Gyrus


def test_what_init_writes_is_valid(gyrus: Gyrus, tmp_path: Path) -> None:
    folder = tmp_path / "My Flats"
    ran = gyrus("init", folder)
    assert ran.code == 0
    assert ran.out.split("\n")[:-1] == [str(folder / name) for name in FILES.values()]
    deploy, tried = (shlex.split(line.partition(":")[2]) for line in ran.err.splitlines()[1:])
    assert deploy == ["gyrus", "deploy", str(folder)]
    assert tried == ["gyrus", "predict", "my-flats", f"@{folder / 'sample.json'}"]
    [api] = load(folder).apis
    assert api.name == "my-flats"
    assert gyrus("validate", folder).code == 0


def test_tests_are_not_uploaded(gyrus: Gyrus, tmp_path: Path) -> None:
    gyrus("init", tmp_path / "flats")
    with (tmp_path / "archive").open("wb") as into:
        files = pack(tmp_path / "flats", into).files
    assert "handler.py" in files
    assert "test_handler.py" not in files


def test_init_uses_this_folder_by_default(
    gyrus: Gyrus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "flats").mkdir()
    monkeypatch.chdir(tmp_path / "flats")
    assert gyrus("init", "-o", "json").json["name"] == "flats"
    assert (tmp_path / "flats" / ".gyrusignore").is_file()


def test_nothing_is_overwritten(gyrus: Gyrus, tmp_path: Path) -> None:
    (tmp_path / "handler.py").write_text("mine")
    ran = gyrus("init", tmp_path)
    assert ran.code == 2
    assert "already has handler.py, and gyrus init overwrites nothing" in ran.err
    assert (tmp_path / "handler.py").read_text() == "mine"
    assert not (tmp_path / "gyrus.yaml").exists()


def test_validate_shows_every_fault(gyrus: Gyrus, tmp_path: Path) -> None:
    file = tmp_path / "gyrus.yaml"
    file.write_text("- name: iris\n  handlr: {path: handler.py}\n  timeout: 5\n")
    ran = gyrus("validate", file)
    assert (ran.code, ran.out) == (2, "")
    assert f"  {file}:2:3: handlr: unknown field" in ran.err
    assert f"  {file}:3:12: timeout: " in ran.err
    reported = gyrus("validate", file, "-o", "json")
    assert reported.code == 2
    assert reported.json["valid"] is False
    assert {fault["line"] for fault in reported.json["faults"]} >= {2, 3}


def test_validate_shows_what_is_fine(gyrus: Gyrus, tmp_path: Path) -> None:
    gyrus("init", tmp_path / "flats")
    ran = gyrus("validate", tmp_path / "flats")
    assert ran.out.startswith(f"{tmp_path / 'flats' / 'gyrus.yaml'} is valid.\n")
    assert "flats  RealtimeAPI  handler.py  1 to 4    /flats" in ran.out
    assert gyrus("validate", tmp_path / "flats", "-o", "json").json["apis"][0]["name"] == "flats"


def ignored_model(folder: Path, config: str = "{}") -> Path:
    """Write a project whose model git ignores."""
    folder.mkdir()
    (folder / "gyrus.yaml").write_text(f"- name: flats\n  handler: {{path: handler.py, config: {config}}}\n")
    (folder / "handler.py").write_text("class Handler:\n    def predict(self, payload): ...\n")
    (folder / ".gitignore").write_text("*.pkl\n")
    (folder / "model.pkl").touch()
    return folder


def test_a_model_that_git_ignores_is_a_warning(gyrus: Gyrus, tmp_path: Path) -> None:
    folder = ignored_model(tmp_path / "flats")
    warning = (
        "model.pkl looks like a model, but is not in the package, because .gitignore leaves it out. To "
        "include model.pkl, add the line !/model.pkl to .gyrusignore; to leave it out without this warning, "
        "add the line /model.pkl to .gyrusignore."
    )
    ran = gyrus("validate", folder)
    assert (ran.code, ran.err) == (0, f"warning: {warning}\n")
    assert gyrus("validate", folder, "-o", "json").json["warnings"] == [warning]
    (folder / ".gyrusignore").write_text("/model.pkl\n")
    assert gyrus("validate", folder).err == ""


def test_a_model_that_the_yaml_names_and_git_ignores_is_a_fault(gyrus: Gyrus, tmp_path: Path) -> None:
    folder = ignored_model(tmp_path / "flats", "{weights: [model.pkl]}")
    ran = gyrus("validate", folder)
    assert (ran.code, ran.out) == (2, "")
    assert "handler.config.weights[0] names model.pkl, but .gitignore leaves it out" in ran.err
    [fault] = gyrus("validate", folder, "-o", "json").json["faults"]
    assert "add the line !/model.pkl to .gyrusignore" in fault["message"]


def test_an_ignored_handler_is_a_fault(gyrus: Gyrus, tmp_path: Path) -> None:
    folder = ignored_model(tmp_path / "flats")
    (folder / ".gyrusignore").write_text("handler.py\n")
    ran = gyrus("validate", folder)
    assert ran.code == 2
    assert "handler.path names handler.py, but .gyrusignore leaves it out" in ran.err


def test_validate_without_a_file_shows_how_to_create_one(gyrus: Gyrus, tmp_path: Path) -> None:
    ran = gyrus("validate", tmp_path)
    assert ran.code == 2
    assert "gyrus init" in ran.err


@pytest.mark.processes
def test_the_project_passes_its_own_test(gyrus: Gyrus, tmp_path: Path) -> None:
    gyrus("init", tmp_path / "flats")
    tested = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", "."]
    ran = subprocess.run(tested, cwd=tmp_path / "flats", capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
    assert "1 passed" in ran.stdout

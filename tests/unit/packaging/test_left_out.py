"""The files that ignore files leave out although the API may need them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gyrus.packaging import left_out
from gyrus.packaging.errors import FolderRefused
from gyrus.packaging.left_out import LARGE, LeftOutFile, check_named, left_out_files


def by_name(project: Path) -> dict[str, LeftOutFile]:
    return {file.name: file for file in left_out_files(project)}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "handler.py").touch()
    (tmp_path / "model.pkl").write_text("a model")
    (tmp_path / ".gitignore").write_text("*.pkl\n")
    return tmp_path


def test_a_file_comes_with_its_ignore_file_and_the_line_that_includes_it(project: Path) -> None:
    file = by_name(project)["model.pkl"]
    assert (file.size, file.source, file.deliberate) == (7, ".gitignore", False)
    assert file.remedy == "add the line !/model.pkl to .gyrusignore"


def test_the_remedy_works(project: Path) -> None:
    for place in ("model.pkl", "data/model.bin", "nested/model.pkl"):
        (project / place).parent.mkdir(exist_ok=True)
        (project / place).touch()
    (project / ".gitignore").write_text("*.pkl\n/data/\n")
    (project / "nested" / ".gitignore").write_text("*\n")
    for file in left_out_files(project):
        folder = (project / file.source).parent
        with (folder / ".gyrusignore").open("a") as rules:
            rules.write(f"{file.line}\n")
    assert not {name for name in by_name(project) if "model" in name}


def test_a_line_in_gyrusignore_is_deliberate(project: Path) -> None:
    (project / ".gyrusignore").write_text("/model.pkl\n")
    file = by_name(project)["model.pkl"]
    assert (file.source, file.deliberate) == (".gyrusignore", True)


def test_files_in_an_ignored_folder(project: Path) -> None:
    (project / "models" / "deep").mkdir(parents=True)
    (project / "models" / "deep" / "net.onnx").touch()
    (project / ".gitignore").write_text("models/\n")
    assert by_name(project)["models/deep/net.onnx"].remedy == "add the line !/models/ to .gyrusignore"


def test_hidden_folders_and_environments_are_not_examined(project: Path) -> None:
    for folder in (".cache", "node_modules", "venv"):
        (project / folder).mkdir()
        (project / folder / "model.pkl").touch()
    (project / "venv" / "pyvenv.cfg").touch()
    (project / ".gitignore").write_text(".cache\nnode_modules\nvenv\n")
    assert by_name(project) == {}


def test_a_data_set_takes_bounded_time(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(left_out, "MOST", 10)
    (project / "data").mkdir()
    for number in range(100):
        (project / "data" / f"{number}.pt").touch()
    (project / ".gitignore").write_text("data\n")
    assert len(left_out_files(project)) < 10


@pytest.mark.parametrize(
    ("name", "size", "is_model"),
    [
        ("a.pkl", 10, True),
        ("a.ONNX", 10, True),
        ("a.txt", 10, False),
        ("a.bin", LARGE, True),
        ("a.txt", LARGE, True),
        ("a.csv", LARGE, False),
    ],
)
def test_what_may_be_a_model(name: str, size: int, is_model: bool) -> None:
    assert LeftOutFile(name, size, ".gitignore", False, "").may_be_model is is_model


def test_a_named_file_is_refused(project: Path) -> None:
    with pytest.raises(FolderRefused) as refused:
        check_named(left_out_files(project), [("handler.config.model", "./model.pkl")])
    assert str(refused.value) == (
        "handler.config.model names model.pkl, but .gitignore leaves it out of the package; add the line "
        "!/model.pkl to .gyrusignore. If the API does not need the file, add the line /model.pkl to "
        ".gyrusignore."
    )


def test_a_named_file_may_be_left_out_on_purpose_unless_it_is_needed(project: Path) -> None:
    (project / ".gyrusignore").write_text("model.pkl\n")
    named = [("handler.config.model", "model.pkl")]
    check_named(left_out_files(project), named)
    with pytest.raises(FolderRefused, match=r"\.gyrusignore leaves it out"):
        check_named(left_out_files(project), named, needed={"model.pkl"})

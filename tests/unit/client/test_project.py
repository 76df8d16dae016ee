"""The package of a project."""

from __future__ import annotations

from pathlib import Path

from gyrus.client.project import Project

HANDLER = "class Handler:\n    def predict(self, payload): return 1\n"


def digest(folder: Path) -> str:
    with Project.read(folder) as project:
        return project.package.digest


def test_a_change_of_the_yaml_alone_changes_no_package(tmp_path: Path) -> None:
    (tmp_path / "handler.py").write_text(HANDLER)
    (tmp_path / "gyrus.yaml").write_text("name: a\nhandler: {path: handler.py}\n")
    before = digest(tmp_path)
    (tmp_path / "gyrus.yaml").write_text("name: a\nhandler: {path: handler.py}\ntimeout: 5s\n")
    assert digest(tmp_path) == before
    (tmp_path / "handler.py").write_text(HANDLER + "\n")
    assert digest(tmp_path) != before

"""``pip install .`` gives a ``gyrus`` that works from any folder, also without the repository."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import uv

from support.platform import REPOSITORY, platform_of_its_own

HANDLER = """
class Handler:
    def predict(self, payload):
        return {"doubled": payload["number"] * 2}
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The command of an environment into which a copy of the sources was installed, the copy being gone."""
    sources, environment = tmp_path / "sources", tmp_path / "environment"
    sources.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, sources)
    shutil.copytree(REPOSITORY / "src", sources / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for arguments in (
        ("venv", str(environment)),
        ("pip", "install", "--python", str(environment), str(sources)),
    ):
        subprocess.run([uv.find_uv_bin(), "--quiet", *arguments], check=True)
    shutil.rmtree(sources)
    return environment / "bin" / "gyrus"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_installed_gyrus_serves(installed: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "handler.py").write_text(HANDLER)
    (project / "gyrus.yaml").write_text("- {name: double, handler: {path: handler.py}}\n")
    with platform_of_its_own(str(installed)) as platform:
        platform.gyrus("deploy", project, "--yes")
        assert json.loads(platform.gyrus("predict", "double", '{"number": 21}')) == {"doubled": 42}

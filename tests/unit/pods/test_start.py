"""The start of the runtime in an image of the user's own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gyrus.contract.pods import environment_folder
from gyrus.pods.fetch import bring_runtime
from gyrus.pods.start import complete, mismatch

SETTINGS = {"image": "localhost/iris:1", "python": "3.11", "soabi": "cpython-311-x86_64-linux-gnu"}


def test_an_equal_python_fits() -> None:
    assert mismatch(SETTINGS, "cpython-311-x86_64-linux-gnu", "3.11.2") == ""


def test_another_python_is_named_with_the_remedy() -> None:
    assert mismatch(SETTINGS, "cpython-39-x86_64-linux-gnu", "3.9.1") == (
        "the image localhost/iris:1 has Python 3.9.1 (cpython-39-x86_64-linux-gnu), and a handler's image "
        "needs Python 3.11 (cpython-311-x86_64-linux-gnu); build it from an image such as python:3.11-slim"
    )


@pytest.mark.processes
def test_the_environment_has_the_images_packages_and_the_runtime(tmp_path: Path) -> None:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = tmp_path / "packages"
    (packages / "light").mkdir(parents=True)
    (packages / "light" / "__init__.py").write_text("WHERE = 'runtime'")
    (packages / "urllib3").mkdir()
    own = tmp_path / "own"
    for name in ("flowers", "light"):
        (own / name).mkdir(parents=True)
        (own / name / "__init__.py").write_text("WHERE = 'image'")
    root = tmp_path / "gyrus"
    root.mkdir()
    for _ in range(2):  # Kubernetes may run it again
        bring_runtime("localhost/iris:1", root, packages)
    environment = root / Path(environment_folder("image")).relative_to("/gyrus")
    assert not (environment / "lib" / version / "site-packages" / "urllib3").exists()
    executable = str(Path(sys.executable).resolve())
    for _ in range(2):
        complete(str(environment), executable, [str(own)])
    code = "import flowers, light; print(flowers.WHERE, light.WHERE)"
    ran = subprocess.run(
        [str(environment / "bin" / "python"), "-I", "-c", code], capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == ["image", "runtime"]
    assert (root / "start.py").exists()

"""The runtime's code beside a handler: whole, by content, and enough to run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gyrus.environments.runtime_copy import RuntimeCode


def test_it_is_copied_once_and_whole(tmp_path: Path) -> None:
    code = RuntimeCode.installed()
    place = code.place(tmp_path / "runtimes")
    assert place == tmp_path / "runtimes" / code.digest
    assert RuntimeCode.installed().place(tmp_path / "runtimes") == place
    assert [path.name for path in (tmp_path / "runtimes").iterdir()] == [code.digest]
    assert (place / "gyrus/contract/replica.py").read_bytes() == (
        code.source / "contract/replica.py"
    ).read_bytes()
    assert not (place / "gyrus/control").exists()


@pytest.mark.processes
def test_the_copy_runs_without_the_operator_installed(tmp_path: Path) -> None:
    place = RuntimeCode.installed().place(tmp_path)
    script = f"import sys; sys.path.insert(0, {str(place)!r}); import gyrus.runtime.supervisor.loop as m"
    script += "; print(m.__file__)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(str(place))


def test_other_code_is_another_copy(tmp_path: Path) -> None:
    first = RuntimeCode.installed()
    source = first.place(tmp_path) / "gyrus"
    assert RuntimeCode.at(source) == RuntimeCode(source, first.digest)
    (source / "__init__.py").write_text("changed = True\n")
    assert RuntimeCode.at(source).digest != first.digest

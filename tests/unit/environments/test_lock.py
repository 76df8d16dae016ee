"""Locks: their entries, and their files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gyrus.environments.lock import Lock, LockFile, entries, pins

TEXT = "idna==3.9 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\nRuamel.YAML[jinja]==1.0\n-e ./own\n./x\n"
LOCK = Lock(project=TEXT, runtime="orjson==3", runtime_requirements=("orjson>=3",))


def test_pins_are_exact_versions_by_normal_names() -> None:
    assert pins(TEXT) == {"idna": "3.9", "ruamel-yaml": "1.0"}


def test_an_entry_has_its_hashes() -> None:
    assert next(iter(entries(TEXT))).count("--hash") == 2
    assert len(list(entries(TEXT))) == 4


def test_a_lock_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = LockFile.of(tmp_path / "p.locks", None, "CPython 3.11", "linux")
    assert file.read() is None
    file.write(LOCK)
    assert file.read() == LOCK
    assert [path.name for path in file.path.parent.iterdir()] == [file.path.name]


def test_each_file_of_requirements_and_each_python_has_its_own(tmp_path: Path) -> None:
    files = {
        LockFile.of(tmp_path, *inputs)
        for inputs in (
            (None, "CPython 3.11", "linux"),
            ("a.txt", "CPython 3.11", "linux"),
            (None, "CPython 3.12", "linux"),
            (None, "CPython 3.11", "mac"),
        )
    }
    assert len(files) == 4


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"format": 99}', '{"format": 1, "more": 2}'])
def test_a_damaged_lock_counts_as_missing(tmp_path: Path, content: str) -> None:
    file = LockFile(tmp_path / "x.json")
    file.path.write_text(content)
    assert file.read() is None


def test_another_lock_of_the_package_is_a_start(tmp_path: Path) -> None:
    old = LockFile.of(tmp_path, None, "CPython 3.11", "linux")
    new = LockFile.of(tmp_path, None, "CPython 3.12", "linux")
    assert new.other() is None
    old.write(replace(LOCK, project="idna==3.9"))
    found = new.other()
    assert found
    assert found.project == "idna==3.9"

"""Files that are read at once, or refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gyrus.spec.faults import SpecError
from gyrus.spec.load import load
from gyrus.spec.plain_file import NotPlain, read_plain_file


def test_a_file_is_read_and_a_larger_one_as_far_as_needed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read_plain_file(tmp_path / "a") == b"12345"
    assert read_plain_file(tmp_path / "a", 3) == b"1234"


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, kind in (
        (tmp_path / "pipe", "a pipe"),
        (tmp_path, "a folder"),
        (Path("/dev/zero"), "a device"),
    ):
        with pytest.raises(NotPlain, match=f"^is {kind}$"):
            read_plain_file(path)
    with pytest.raises(SpecError, match="is a pipe, and a specification is a file"):
        load(tmp_path / "pipe")


def test_files_of_another_kind_are_named(tmp_path: Path) -> None:
    (tmp_path / "handler.py").write_text("x: 1\n")
    message = "is a Python file, and a specification is a YAML file; "
    with pytest.raises(SpecError, match=f"{message}write one with: gyrus init"):
        load(tmp_path / "handler.py")
    (tmp_path / "gyrus.yaml").touch()
    with pytest.raises(SpecError, match=f'{message}did you mean "{tmp_path}/gyrus.yaml"'):
        load(tmp_path / "handler.py")

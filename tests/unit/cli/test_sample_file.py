"""Sample payloads beside the YAML or the handler."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from gyrus.cli.sample_file import LARGEST, UnusableSample, find_sample, usable_samples

SPEC: dict[str, Any] = {"name": "iris", "handler": {"path": "models/handler.py"}, "max_body": "32Mi"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    return tmp_path


def test_the_most_specific_file_is_taken(folder: Path) -> None:
    assert find_sample(SPEC, folder) is None
    places = ["sample.json", "models/sample.json", "iris.sample.json", "models/iris.sample.json"]
    for place in places:
        (folder / place).write_text("{}")
        assert find_sample(SPEC, folder) == folder / place


def test_a_server_has_its_sample_beside_the_yaml(folder: Path) -> None:
    (folder / "sample.json").write_text("1")
    assert find_sample({"name": "words", "handler": None}, folder) == folder / "sample.json"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b'{\n  "a": 1,\n}', ":2:9: the sample payload is not JSON: trailing comma"),
        (b"", ":1:1: the sample payload is not JSON: "),
        (b'"\xff"', ":1:1: the sample payload is not JSON: "),
        (b"NaN", ":1:1: the sample payload is not JSON: "),
        (b"[" * 5000 + b"]" * 5000, " is not JSON: "),
    ],
)
def test_what_is_not_json_is_named_with_its_place(folder: Path, content: bytes, fault: str) -> None:
    (folder / "sample.json").write_bytes(content)
    with pytest.raises(UnusableSample) as raised:
        find_sample(SPEC, folder)
    assert str(raised.value).startswith(str(folder / "sample.json"))
    assert fault in str(raised.value)


@pytest.mark.parametrize(("max_body", "most"), [("1Ki", 1024), ("1Gi", LARGEST)])
def test_the_size_is_bounded(folder: Path, max_body: str, most: int) -> None:
    sample = folder / "sample.json"
    sample.write_bytes(b" " * (most - 1) + b"1")
    assert find_sample(SPEC | {"max_body": max_body}, folder)
    sample.write_bytes(b" " * most + b"1")
    with pytest.raises(UnusableSample, match=f"is larger than {most:,} bytes"):
        find_sample(SPEC | {"max_body": max_body}, folder)


@pytest.mark.skipif(sys.platform == "win32", reason="needs pipes")
def test_what_is_no_file_is_not_read(folder: Path) -> None:
    os.mkfifo(folder / "sample.json")
    with pytest.raises(UnusableSample, match="is a pipe, not a file"):
        find_sample(SPEC, folder)
    (folder / "iris.sample.json").mkdir()
    with pytest.raises(UnusableSample, match="is a folder, not a file"):
        find_sample(SPEC, folder)


def test_a_file_of_several_apis_is_reported_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "sample.json").write_text("{")
    (folder / "b.sample.json").write_text("{}")
    specs = [{"name": name, "handler": {"path": "handler.py"}} for name in ("a", "b", "c")]
    assert usable_samples(specs, folder) == {"b": folder / "b.sample.json"}
    reported = capsys.readouterr().err
    assert reported.count("\n") == 1
    assert f"warning: {folder / 'sample.json'}:1:" in reported

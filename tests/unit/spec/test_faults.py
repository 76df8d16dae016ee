"""The exact words for everything that can be wrong with a file."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from gyrus.spec.faults import SpecError
from gyrus.spec.load import check, loads


def faults(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        loads(textwrap.dedent(text), "gyrus.yaml")
    assert str(caught.value) == "\n".join(map(str, caught.value.faults))
    return [str(fault) for fault in caught.value.faults]


def wrong_files() -> Iterator[tuple[str, list[str]]]:
    """The cases of ``wrong.txt``: YAML, then the faults, in lines that begin with >>>."""
    text = (Path(__file__).parent / "wrong.txt").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("########")]
    for block in "\n".join(lines).strip().split("\n\n"):
        yaml = [line for line in block.strip().splitlines() if not line.startswith(">>> ")]
        yield "\n".join(yaml) + "\n", [line[4:] for line in block.splitlines() if line.startswith(">>> ")]


@pytest.mark.parametrize(("text", "expected"), list(wrong_files()))
def test_what_is_reported_of_a_wrong_file(text: str, expected: list[str]):
    assert expected
    assert faults(text) == expected


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "- name: a\n\n   b: 1",
            "3:4: this line is indented more than line 1; indent the fields of one API alike",
        ),
        ("- name: a\n\tb: 1", "2:1: a tab is used to indent; YAML indents with spaces only"),
        ("- name: a\n  b: 1\n\tc: 1", "3:1: a tab is used to indent; YAML indents with spaces only"),
        ("a: b\nc: \x01", "2:4: the character U+0001 is not allowed in YAML; remove it"),
        ("[" * 100_000, "1:41: is nested more than 40 levels deep; flatten it"),
        ("", "1:1: the file is empty; begin with: - name: my-api"),
        ("# only a comment\n", "1:1: the file is empty; begin with: - name: my-api"),
    ],
)
def test_what_a_text_file_of_cases_cannot_hold(text: str, fault: str):
    assert faults(text) == [f"gyrus.yaml:{fault}"]


def test_an_aliased_bomb_is_refused():
    lines = [
        "- name: a",
        "  handler:",
        "    path: h.py",
        "    config:",
        "      a0: &a0 [x, x, x, x, x, x, x, x, x]",
    ]
    for n in range(1, 9):
        alias = ", ".join([f"*a{n - 1}"] * 9)
        lines.append(f"      a{n}: &a{n} [{alias}]")
    assert faults("\n".join(lines))[0].endswith("the file holds more than 50000 values; check its aliases")


def test_faults_carry_their_place():
    with pytest.raises(SpecError) as caught:
        loads("- name: a\n  handler: {path: h.py}\n  timout: 5s\n", "dir/gyrus.yaml")
    (fault,) = caught.value.faults
    assert (fault.file, fault.line, fault.column, fault.field) == ("dir/gyrus.yaml", 3, 3, "timout")
    assert (fault.message, fault.remedy) == ("unknown field", 'did you mean "timeout"?')


def test_data_without_a_text_is_named_by_its_api():
    with pytest.raises(SpecError) as caught:
        check([{"name": "a", "handler": {"path": "h.py"}, "timeout": 5}, {"name": "a"}, 3], "request")
    assert [str(fault) for fault in caught.value.faults] == [
        "request: [2]: an API must be a mapping, not 3; write - name: my-api",
        "request: a: names nothing that answers requests; "
        "exactly one of handler, model, process, pod is required",
        "request: a: name: a is the name of another API too, as number 1; rename one of them",
        "request: a: timeout: 5 has no unit; write for example 5s",
    ]
    assert caught.value.faults[0].line is None

"""The check of the project's prose finds what it should, and nothing else."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "plain_english.py"


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("plain_english", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


check = loaded()


def findings(tmp_path: Path, name: str, text: str) -> list[str]:
    file = tmp_path / name
    file.write_text(text)
    return [f"{finding.line}: {finding.message}" for finding in check.check_file(file)]


@pytest.mark.parametrize(
    "text",
    [
        '"""What is wrong."""\n',
        'def f() -> None:\n    """Whether it is there."""\n',
        "x = 1\n# whoever asks gets it\n",
        "x = 1  # a replica who waits\n",
        'x = "The gateway tells why."\n',
        'LIMIT = 3\n"""Of one replica."""\n',
        'x = f"{1} is given back"\n',
    ],
)
def test_python_that_reads_at_half_speed_is_found(tmp_path: Path, text: str) -> None:
    assert len(findings(tmp_path, "a.py", text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        '"""The reason for the refusal."""\n',
        'def f() -> None:\n    """Return True if it is there."""\n',
        "x = 1  # people who deploy, and a user who waits\n",
        'x = "told"\n',
        "x = 1  # ``told`` is an identifier\n",
        "x = 1  # quotes 'anew'; plain: ok\n",
        'LIMIT = 3\n"""Seconds."""\n',
    ],
)
def test_plain_python_passes(tmp_path: Path, text: str) -> None:
    assert findings(tmp_path, "a.py", text) == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("told = 1\n", "told"),
        ("def tell_all() -> None: ...\n", "tell_all"),
        ("def f(nobody: int) -> None: ...\n", "nobody"),
        ("class BellTower: ...\n", "BellTower"),
        ("class HTTPShelf: ...\n", "HTTPShelf"),
        ("class A:\n    def __init__(self) -> None:\n        self._parked = 1\n", "_parked"),
        ("import json as rehearsal\n", "rehearsal"),
        ("def test_a_request_is_given_back() -> None: ...\n", "test_a_request_is_given_back"),
        ("for who in ():\n    pass\n", "who"),
    ],
)
def test_names_with_private_words_are_found(tmp_path: Path, text: str, name: str) -> None:
    (found,) = findings(tmp_path, "a.py", text)
    assert f"the name {name} contains" in found


def test_names_of_modules_are_checked(tmp_path: Path) -> None:
    assert findings(tmp_path, "bell.py", "x = 1\n") == ['1: the name bell contains "bell": signal, notify']


@pytest.mark.parametrize(
    "text",
    [
        "bellows = whole = essay = 1\n",
        "class Intellect: ...\n",
        "file.tell()\n",
        "told = 1  # plain: ok\n",
        "given = back = 1\n",
    ],
)
def test_other_names_pass(tmp_path: Path, text: str) -> None:
    assert findings(tmp_path, "a.py", text) == []


def test_in_tests_messages_and_first_words_are_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "ROOT", tmp_path)
    (tmp_path / "tests").mkdir()
    text = '"""What is free."""\n\nx = "a server told it"\ny = 1  # nobody sees it\n'
    assert findings(tmp_path, "tests/a.py", text) == [
        '4: "nobody": name it, or write "no client", "a replica"'
    ]


def test_documents_are_read_without_their_code(tmp_path: Path) -> None:
    text = "# Title\n\nSee `told` and:\n\n```console\n$ tell\nsaid\n```\n\nNobody waits.\n"
    assert findings(tmp_path, "a.md", text) == ['10: "Nobody": name it, or write "no client", "a replica"']


@pytest.mark.parametrize(
    "subject",
    [
        "Add a check",
        "Process requests in order",
        "Bring the gateway up again",
        "Split `Route` from its pools",
    ],
)
def test_imperative_subjects_pass(subject: str) -> None:
    assert list(check.commit_faults([subject])) == []


@pytest.mark.parametrize(
    "subject",
    [
        "A check is added",
        "Adds a check",
        "Added a check",
        "add a check",
        "Add a check.",
        "Adding",
        "Add " + "x" * 70,
    ],
)
def test_other_subjects_are_found(subject: str) -> None:
    assert len(list(check.commit_faults([subject]))) == 1

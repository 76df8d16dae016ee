"""The command line as a function, and an operator for it."""

from __future__ import annotations

import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from gyrus.cli.main import main
from support.command_line import Gyrus, Ran
from support.operator_thread import Operator, operator_thread


@pytest.fixture
def gyrus(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Gyrus:
    """Runs a command line within this process, its home in ``tmp_path``, its input empty."""
    monkeypatch.setenv("GYRUS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GYRUS_ENV", raising=False)

    def run(*arguments: str | Path) -> Ran:
        monkeypatch.setattr(sys, "argv", ["gyrus", *map(str, arguments)])
        capsys.readouterr()
        code = main()
        printed = capsys.readouterr()
        return Ran(code, printed.out, printed.err)

    return run


@pytest.fixture
def operator(tmp_path: Path, gyrus: Gyrus) -> Generator[Operator]:
    """The local platform of the command lines that this test runs."""
    with operator_thread(tmp_path / "home") as operator:
        yield operator

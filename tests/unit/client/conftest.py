"""An operator for the client's tests."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from gyrus.client.client import Client
from support.operator_thread import TOKEN, Operator, operator_thread


@pytest.fixture
def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Operator]:
    """One of its own for each test; ``$GYRUS_HOME`` is its home."""
    monkeypatch.setenv("GYRUS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GYRUS_ENV", raising=False)
    with operator_thread(tmp_path / "home") as operator:
        yield operator


@pytest.fixture
def client(operator: Operator) -> Generator[Client]:
    with Client.at(operator.url, TOKEN, certificate=operator.certificate) as client:
        yield client

"""What is written down of a replica is read as it was meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from gyrus.backends.local.folder import LaunchRecord, ReplicaFolder, StopRecord, Unreadable
from gyrus.spec.realtime import RealtimeSpec
from strategies.specs import api_specs
from support.backends import order, order_of
from support.examples import examples


@settings(
    max_examples=examples(0.5), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(api_specs())
def test_every_order_is_read_back(tmp_path: Path, spec: RealtimeSpec) -> None:
    folder = ReplicaFolder(tmp_path / "iris-1-aaaaa")
    made = order_of(spec, id="iris-1-aaaaa", generation=3, package=None)
    folder.create(made)
    assert folder.order() == made


def test_an_order_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    folder = ReplicaFolder(tmp_path / "a")
    (folder.path / "order.json.fresh").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        folder.create(order("a"))
    assert not folder.path.exists()


def test_what_was_not_written_is_not_there(tmp_path: Path) -> None:
    folder = ReplicaFolder(tmp_path / "a")
    assert (folder.launch(), folder.stop(), folder.status(), folder.config()) == (None, None, None, None)
    assert folder.last_errors() == ()
    assert folder.order() is None


def test_notes_are_read_back(tmp_path: Path) -> None:
    folder = ReplicaFolder(tmp_path)
    folder.note(LaunchRecord(pid=7, restarts=2, devices=("0",)))
    folder.mark_stopped(StopRecord(12.5))
    folder.errors_file.write_text("\n".join(f"line {n}" for n in range(20)))
    assert folder.launch() == LaunchRecord(pid=7, restarts=2, devices=("0",))
    assert folder.stop() == StopRecord(12.5)
    assert folder.last_errors(2) == ("line 18", "line 19")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b'{"spec": {"name": 1}}', b'{"spec": {}, "more": 1}']
)
def test_an_order_of_another_version_is_reported_as_unreadable(tmp_path: Path, content: bytes) -> None:
    folder = ReplicaFolder(tmp_path)
    (tmp_path / "order.json").write_bytes(content)
    with pytest.raises(Unreadable, match=str(tmp_path)):
        folder.order()


def test_a_status_that_cannot_be_understood_is_none(tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text('{"id": 3}')
    assert ReplicaFolder(tmp_path).status() is None


def test_removing_is_thorough(tmp_path: Path) -> None:
    folder = ReplicaFolder(tmp_path / "a")
    folder.create(order())
    folder.remove()
    folder.remove()
    assert not folder.path.exists()

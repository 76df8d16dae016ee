"""The program of the pods that keep the nodes' caches."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from gyrus.pods import keep_cache


def test_the_folder_belongs_to_the_pods_alone(tmp_path: Path) -> None:
    keep_cache.prepare(tmp_path, os.getuid())
    assert tmp_path.stat().st_mode & 0o777 == 0o700


def test_it_ends_when_it_is_asked_to(tmp_path: Path) -> None:
    ended = threading.Event()
    keeping = threading.Thread(target=keep_cache.shrink, args=(tmp_path, 0, ended), name="keep cache")
    keeping.start()
    ended.set()
    keeping.join(timeout=10)
    assert not keeping.is_alive()


def test_an_unknown_act_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert keep_cache.main(["clean"]) == 2
    assert "prepare|shrink" in capsys.readouterr().err

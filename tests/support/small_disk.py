"""A file system of its own, which a test can fill."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(size: int, *options: str) -> Generator[Path]:
    """Mount one of ``size`` bytes. Skips the test where that is not possible.

    ``options``: further options of mount, such as ``ro``.
    """
    place = Path(tempfile.mkdtemp(prefix="gyrus-disk-", dir="/tmp"))
    settings = ",".join((f"size={size}", "mode=700", *options))
    command = ["mount", "-t", "tmpfs", "-o", settings, "tmpfs", str(place)]
    try:
        if sys.platform != "linux" or not shutil.which("mount") or _fails(command):
            pytest.skip("a file system of its own can be mounted by root on Linux only")
        try:
            yield place
        finally:
            subprocess.run(["umount", "--lazy", str(place)], check=True)
    finally:
        place.rmdir()


def _fails(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode != 0

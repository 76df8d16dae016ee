"""A gyrus of the past, from this repository's history, beside today's."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

from support.platform import REPOSITORY

RUN = "from gyrus.cli.main import main; raise SystemExit(main())"


def is_known(commit: str) -> bool:
    """Return whether the history reaches back to this commit."""
    asked = ("git", "cat-file", "-e", f"{commit}^{{commit}}")
    return subprocess.run(asked, cwd=REPOSITORY, capture_output=True, check=False).returncode == 0


def command_of(commit: str, folder: Path) -> str:
    """Return the path of a ``gyrus`` command that runs the code of this commit, with today's dependencies."""
    archive = folder / "gyrus.tar"
    subprocess.run(("git", "archive", "--output", str(archive), commit, "src"), cwd=REPOSITORY, check=True)
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    command = folder / "gyrus"
    command.write_text(f"#!/bin/sh\nPYTHONPATH={folder / 'src'} exec {sys.executable} -P -c '{RUN}' \"$@\"\n")
    command.chmod(0o755)
    return str(command)

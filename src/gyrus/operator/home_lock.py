"""What an operator must own before it starts: its home, alone, and the token of its API."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from gyrus.contract.home import Home


class StartError(Exception):
    """The operator cannot start. The message is for the user, and names the remedy."""


@contextmanager
def exclusive(home: Home) -> Generator[None]:
    """Make the home's folders and hold its lock. Raises StartError where either cannot be had."""
    make_folders(home)
    descriptor = os.open(home.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise StartError(
            f"Another operator already runs in {home.root}; use it, end it with `gyrus down`, "
            "or set GYRUS_HOME to another folder."
        ) from error
    try:
        yield
    finally:
        with suppress(OSError):  # something of ours goes on without us, and listens there
            home.run.rmdir()
        os.close(descriptor)


def make_folders(home: Home) -> None:
    """Create what is missing, readable by its owner only."""
    try:
        for folder in (home.root, home.run, home.operator_log.parent, home.envoy, home.replicas):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if home.run.stat().st_uid != os.getuid():
            raise StartError(f"{home.run} belongs to another user; set GYRUS_HOME to a shorter path.")
        probe = home.root / ".writable"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise StartError(
            f"The operator cannot write to {error.filename or home.root}: {error.strerror}. "
            "Make it writable, or set GYRUS_HOME to a folder that is."
        ) from error


def remove_run_folder(home: Home) -> None:
    """Nothing listens any more: leave no file outside the home."""
    shutil.rmtree(home.run, ignore_errors=True)


def token_of(home: Home) -> str:
    """The operator's bearer token, made at the first start. Its file is readable by its owner only.

    An empty file (the machine died while it was written) holds no token: every caller would know that one.
    """
    if not home.token.exists() or not home.token.read_text().strip():
        _write_secret(home.token, secrets.token_urlsafe(32))
    return home.token.read_text().strip()


def _write_secret(path: Path, secret: str) -> None:
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret + "\n")
    temporary.replace(path)

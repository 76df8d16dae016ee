"""The home's folders: created for their owner alone, and refused if other users could reach them."""

from __future__ import annotations

import shutil
from pathlib import Path

from gyrus.aio.private_folder import not_private
from gyrus.contract.home import Home
from gyrus.operator.errors import StartError

UMASK = 0o077
"""The operator's umask, and that of all processes that it starts: what they create is their owner's alone."""


def make_folders(home: Home, *, shared: bool = True) -> None:
    """Create the missing folders. Raises StartError if the home cannot be used, or is not private.

    ``shared``: False if no other user can reach the home, as on a volume of one pod. It is not checked then,
    since Kubernetes creates volumes that each of the pod's users may write.
    """
    make = _make_private if shared else _make
    try:
        make(home.root)
        if home.run.is_symlink():  # its place may be in /tmp, where every user could have made it
            raise StartError(f"{home.run} is a link. Remove it, or set GYRUS_HOME to a shorter path.")
        make(home.run)
        for folder in (home.operator_log.parent, home.envoy, home.replicas):
            folder.mkdir(exist_ok=True, mode=0o700)
            _check_writable(folder)
        for folder in (home.root, home.run):
            _check_writable(folder)
    except OSError as error:
        raise StartError(
            f"The operator cannot write to {error.filename or home.root}: {error.strerror}. "
            "Make it writable, or set GYRUS_HOME to a folder that is."
        ) from error


def remove_run_folder(home: Home) -> None:
    """Remove the folder of sockets, which is outside the home. No process may listen there any more."""
    shutil.rmtree(home.run, ignore_errors=True)


def _make(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def _make_private(folder: Path) -> None:
    """Create the folder, or check that it is private. Raises StartError and OSError."""
    _make(folder)
    if reason := not_private(folder):
        raise StartError(reason)


def _check_writable(folder: Path) -> None:
    """Write a file of some size, since a full disk may still have space for an empty one. Raises OSError."""
    probe = folder / ".writable"
    try:
        probe.write_bytes(bytes(4096))
    except OSError as error:
        error.filename = str(folder)
        raise
    finally:
        probe.unlink(missing_ok=True)

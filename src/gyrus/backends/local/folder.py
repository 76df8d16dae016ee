"""A replica's folder: its order, its supervisor's configuration, and its supervisor's status.

::

    order.json      control's order; the replica exists as long as this file does
    launch.json     the supervisor's process, for the next operator
    stop.json       the request to stop
    config.json     the supervisor's configuration
    status.json     the supervisor's report
    supervisor.lock locked by the supervisor as long as it runs
    supervisor.err  the supervisor's own output
    work/           working folders of the replica's processes

Each file is replaced as a whole. So a process that is killed at any moment leaves either the old file or the
new one. If the machine itself goes down, the latest file may be lost. This does no harm: the replica ended
with the machine, and the desired state is in the store.
"""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from gyrus.backends.local import earlier_orders
from gyrus.backends.protocol import ReplicaOrder
from gyrus.contract.replica import (
    CONFIG_FILE,
    ERRORS_FILE,
    LOCK_FILE,
    STATUS_FILE,
    ReplicaConfig,
    ReplicaStatus,
)

T = TypeVar("T")
REMOVALS = 3
"""Attempts to empty a folder into which a cancelled launch may still write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchRecord:
    """The last launch of a supervisor."""

    pid: int | None = None
    """The supervisor's pid; None if the launch had not happened yet."""
    restarts: int = 0
    """Restarts of the replica before this launch, including those after the deaths of its supervisors."""
    devices: tuple[str, ...] = ()
    """Names of the GPUs that the replica holds."""


@dataclass(frozen=True, slots=True)
class StopRecord:
    deadline: float
    """Seconds since the epoch, after which the replica is killed."""


class Unreadable(Exception):
    """An order that is damaged, or of an unknown version. The message is a clause that names the file."""


@dataclass(frozen=True, slots=True)
class ReplicaFolder:
    path: Path

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def config_file(self) -> Path:
        return self.path / CONFIG_FILE

    @property
    def lock_file(self) -> Path:
        """The file by whose lock the supervisor proves its identity."""
        return self.path / LOCK_FILE

    @property
    def errors_file(self) -> Path:
        """The output of the supervisor itself: empty unless it fails."""
        return self.path / ERRORS_FILE

    def create(self, order: ReplicaOrder) -> None:
        """Create the folder with the order. If it raises OSError, it leaves nothing behind."""
        try:
            self._create(order)
        except OSError:
            with suppress(OSError):
                self.remove()
            raise

    def _create(self, order: ReplicaOrder) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        self._write("order.json", order)

    def order(self) -> ReplicaOrder | None:
        """Read the order, in its first format too. Returns None if there is none. Raises Unreadable."""
        file = self.path / "order.json"
        try:
            document: dict[str, Any] = msgspec.json.decode(file.read_bytes())
            if earlier_orders.is_earlier(document):
                return earlier_orders.read_earlier(document)
            return msgspec.convert(document, ReplicaOrder)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise Unreadable(f"its order {file} cannot be read ({error})") from error

    def ordered_at(self) -> float | None:
        """Return the time of the order, in seconds since the epoch. Returns None if there is no order."""
        try:
            return (self.path / "order.json").stat().st_mtime
        except OSError:
            return None

    def prepare_launch(self, config: ReplicaConfig, launch: LaunchRecord) -> None:
        """Remove the last supervisor's report, which is no longer valid, and write the files of a launch."""
        # In this order, so that no operator takes the old report for one of the new supervisor.
        (self.path / STATUS_FILE).unlink(missing_ok=True)
        # Absent until the new supervisor takes it: an unlocked one shows that its supervisor has ended.
        (self.path / LOCK_FILE).unlink(missing_ok=True)
        self.note(launch)
        self._write(CONFIG_FILE, config)

    def config(self) -> ReplicaConfig | None:
        return self._read(CONFIG_FILE, ReplicaConfig)

    def note(self, launch: LaunchRecord) -> None:
        self._write("launch.json", launch)

    def launch(self) -> LaunchRecord | None:
        return self._read("launch.json", LaunchRecord)

    def status(self) -> ReplicaStatus | None:
        return self._read(STATUS_FILE, ReplicaStatus)

    def mark_stopped(self, stop: StopRecord) -> None:
        self._write("stop.json", stop)

    def stop(self) -> StopRecord | None:
        return self._read("stop.json", StopRecord)

    def is_writable(self) -> bool:
        """Return True if a file of the size of a status can be written now."""
        probe = self.path / "probe.fresh"
        try:
            probe.write_bytes(bytes(4096))
            probe.unlink()
        except OSError:
            return False
        return True

    def last_errors(self, count: int = 10) -> tuple[str, ...]:
        try:
            with self.errors_file.open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - 16_384))
                return tuple(file.read().decode(errors="replace").splitlines()[-count:])
        except OSError:
            return ()

    def remove(self) -> None:
        """Remove the folder, the order first: a partly removed folder must not be adopted as a replica.

        Raises OSError.
        """
        (self.path / "order.json").unlink(missing_ok=True)
        for _ in range(REMOVALS):
            remove_tree(self.path)
            if not self.path.exists():
                return
        shutil.rmtree(self.path)

    def _write(self, name: str, value: object) -> None:
        write_document(self.path / name, value)

    def _read(self, name: str, kind: type[T]) -> T | None:
        return read_document(self.path / name, kind)


def remove_tree(path: Path) -> None:
    """Remove a folder, even if a handler has made folders in it read-only."""
    for place, folders, _ in os.walk(path):
        for folder in (os.path.join(place, name) for name in folders):
            if not os.path.islink(folder):
                with suppress(OSError):
                    os.chmod(folder, stat.S_IRWXU)
    shutil.rmtree(path, ignore_errors=True)


def write_document(path: Path, value: object) -> None:
    """Write a value as JSON, completely or not at all. Raises OSError."""
    fresh = path.with_name(f"{path.name}.fresh")
    fresh.write_bytes(msgspec.json.encode(value))
    os.replace(fresh, path)


def read_document(path: Path, kind: type[T]) -> T | None:
    """Read a value. Returns None if the file is missing or cannot be decoded."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError):
        return None

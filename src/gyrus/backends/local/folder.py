"""A replica's folder: what was ordered, what its supervisor was told, and what that says.

::

    order.json    what control wants; the replica exists as long as this file does
    launch.json   what we know of its supervisor and would forget with our memory
    stop.json     it was told to stop
    config.json   for the supervisor
    status.json   by the supervisor
    supervisor.err

Each is replaced as a whole, so that whoever dies at whatever moment leaves one or the other. The machine's
own death may cost the latest: it has ended the replica too, and what is wanted is in the store.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from gyrus.backends.local import earlier_orders
from gyrus.backends.protocol import ReplicaOrder
from gyrus.contract.replica import CONFIG_FILE, ERRORS_FILE, STATUS_FILE, ReplicaConfig, ReplicaStatus

T = TypeVar("T")
REMOVALS = 3
"""Tries to empty a folder into which a cancelled launch may just be writing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchRecord:
    """The supervisor that was launched last."""

    pid: int | None = None
    """None: it was about to be launched."""
    restarts: int = 0
    """What the replica had restarted before it, the deaths of its supervisors included."""
    devices: tuple[str, ...] = ()
    """GPUs that the replica holds."""


@dataclass(frozen=True, slots=True)
class StopRecord:
    deadline: float
    """Seconds since the epoch, after which the replica is killed."""


class Unreadable(Exception):
    """The folder's order is missing, or of a version that we do not know."""


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
    def errors_file(self) -> Path:
        """What the supervisor itself prints: empty unless it fails."""
        return self.path / ERRORS_FILE

    def create(self, order: ReplicaOrder) -> None:
        """Where it raises OSError, nothing is left."""
        try:
            self._create(order)
        except OSError:
            self.remove()
            raise

    def _create(self, order: ReplicaOrder) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        self._write("order.json", order)

    def order(self) -> ReplicaOrder:
        """Raises Unreadable."""
        try:
            document: dict[str, Any] = msgspec.json.decode((self.path / "order.json").read_bytes())
            if earlier_orders.is_earlier(document):
                return earlier_orders.read_earlier(document)
            return msgspec.convert(document, ReplicaOrder)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise Unreadable(f"{self.path}: {error}") from error

    def ordered_at(self) -> float | None:
        """Seconds since the epoch."""
        try:
            return (self.path / "order.json").stat().st_mtime
        except OSError:
            return None

    def prepare_launch(self, config: ReplicaConfig, launch: LaunchRecord) -> None:
        """What the last supervisor said is void from now on."""
        (self.path / STATUS_FILE).unlink(missing_ok=True)
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

    def last_errors(self, count: int = 10) -> tuple[str, ...]:
        try:
            with self.errors_file.open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - 16_384))
                return tuple(file.read().decode(errors="replace").splitlines()[-count:])
        except OSError:
            return ()

    def remove(self) -> None:
        """The order first: a folder that is removed by half must not come back to life."""
        (self.path / "order.json").unlink(missing_ok=True)
        for _ in range(REMOVALS):
            shutil.rmtree(self.path, ignore_errors=True)
            if not self.path.exists():
                break

    def _write(self, name: str, value: object) -> None:
        write_document(self.path / name, value)

    def _read(self, name: str, kind: type[T]) -> T | None:
        return read_document(self.path / name, kind)


def write_document(path: Path, value: object) -> None:
    """As JSON, whole or not at all. Raises OSError."""
    fresh = path.with_name(f"{path.name}.fresh")
    fresh.write_bytes(msgspec.json.encode(value))
    os.replace(fresh, path)


def read_document(path: Path, kind: type[T]) -> T | None:
    """None where it is missing or cannot be understood."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError):
        return None

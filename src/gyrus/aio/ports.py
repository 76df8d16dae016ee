"""The process that listens on a TCP port of this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil


@dataclass(frozen=True, slots=True)
class PortOwner:
    name: str
    pid: int
    command: tuple[str, ...]
    """Its command line. Empty if the system does not reveal it."""

    def __str__(self) -> str:
        return f"{self.name} (process {self.pid})"


def port_owner(port: int) -> PortOwner | None:
    """Return the process that listens on this port. Returns None if the system does not reveal it."""
    import psutil

    try:
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and tuple(connection.laddr)[1:2] == (port,)
            if listens and connection.pid:
                return _process(psutil.Process(connection.pid))
    except (psutil.Error, OSError):
        pass
    return None


def _process(process: psutil.Process) -> PortOwner:
    import psutil

    try:
        command = tuple(process.cmdline())
    except psutil.AccessDenied:
        command = ()
    return PortOwner(process.name(), process.pid, command)

"""The notification that the operator serves: to the process that started it, and to later commands."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress

import psutil

from gyrus.contract.home import Home


class ReadyNotification:
    """One line through ``--ready-fd``, and the file in which the CLI finds the operator."""

    def __init__(self, home: Home, ready_fd: int | None) -> None:
        self._home = home
        self._ready_fd = ready_fd

    def ready(
        self, operator_port: int | None, gateway_port: int, *, overcommit: bool, hosts: Sequence[str] = ()
    ) -> None:
        process = psutil.Process()
        facts = {
            "pid": process.pid,
            "pid_started": process.create_time(),
            "operator_port": operator_port,
            "gateway_port": gateway_port,
            "overcommit": overcommit,
            "hosts": list(hosts),
            "socket": str(self._home.control_socket),
        }
        temporary = self._home.operator_file.with_suffix(".new")
        temporary.write_text(json.dumps(facts))
        temporary.replace(self._home.operator_file)  # atomic: no command reads half a file
        self._notify({"ready": True})

    def failed(self, message: str) -> None:
        self._notify({"error": message})

    def withdraw(self) -> None:
        """Remove the file, unless another operator has written it since."""
        with suppress(OSError, ValueError):
            if json.loads(self._home.operator_file.read_bytes())["pid"] == os.getpid():
                self._home.operator_file.unlink()

    def _notify(self, message: dict[str, object]) -> None:
        """Notify the process that started this one, which may have exited already."""
        if self._ready_fd is None:
            return
        with suppress(OSError):
            os.write(self._ready_fd, json.dumps(message).encode() + b"\n")
            os.close(self._ready_fd)
        self._ready_fd = None

"""Real replicas: a real supervisor in its own session, with small real programs to run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gyrus.contract.replica import Phase, ProcessConfig, ReplicaConfig, ReplicaStatus
from gyrus.runtime.codec import decode, encode

WAIT = 20.0
"""Seconds; generous, for the machine may be busy."""
SERVE = ("python", "-m", "http.server", "--bind", "127.0.0.1", "$PORT")


@dataclass(slots=True)
class Running:
    """One supervisor under test."""

    folder: Path
    process: subprocess.Popen[bytes]
    seen: list[ReplicaStatus] = field(default_factory=list[ReplicaStatus])
    """Every status that was found in the file, in order."""

    @property
    def work(self) -> Path:
        """The working folder of its first process."""
        return self.folder / "work" / "0"

    @property
    def status(self) -> ReplicaStatus:
        return decode(ReplicaStatus, (self.folder / "status.json").read_bytes())

    def until(self, wanted: Callable[[ReplicaStatus], object], seconds: float = WAIT) -> ReplicaStatus:
        """Look until the status is as wanted."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with suppress(FileNotFoundError):
                status = self.status
                if not self.seen or self.seen[-1] != status:
                    self.seen.append(status)
                if wanted(status):
                    return status
            time.sleep(0.01)
        raise AssertionError(f"not seen within {seconds} s; last: {self.seen[-1:]}; log:\n{self.log_text}")

    def until_phase(self, phase: Phase, seconds: float = WAIT) -> ReplicaStatus:
        return self.until(lambda status: status.phase is phase, seconds)

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float = WAIT) -> int:
        return self.process.wait(seconds)

    @property
    def log_text(self) -> str:
        path = self.folder / "logs" / "replica.log"
        return path.read_text() if path.exists() else "(none)"

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log_text.splitlines()]

    def messages(self, stream: str) -> list[str]:
        return [line["message"] for line in self.log if line.get("stream", "stdout") == stream]

    def members(self) -> set[int]:
        """Living processes of its group, without the supervisor."""
        found: set[int] = set()
        for entry in Path("/proc").iterdir():
            with suppress(OSError, ValueError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[2]) == self.process.pid and fields[0] not in "ZX":
                    found.add(int(entry.name))
        return found - {self.process.pid}

    def until_alone(self, seconds: float = WAIT) -> None:
        end = time.monotonic() + seconds
        while self.members():
            assert time.monotonic() < end, f"left behind: {self.members()}"
            time.sleep(0.01)


class Replicas:
    """Starts replicas in folders of their own, and leaves none behind."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.running: list[Running] = []

    def run(self, *command: str, script: str | None = None, **config: Any) -> Running:
        """A ``process:`` replica; ``script`` is put into its project as ``server.py``."""
        ready_path = config.pop("ready_path", None)
        return self.launch(
            script=script,
            process=ProcessConfig(command=command or ("python", "server.py"), ready_path=ready_path),
            **config,
        )

    def launch(self, script: str | None = None, **config: Any) -> Running:
        folder = self.root / str(len(self.running))
        project = folder / "project"
        project.mkdir(parents=True)
        if script is not None:
            (project / "server.py").write_text(textwrap.dedent(script))
        settings: dict[str, Any] = {
            "id": f"a-1-{len(self.running):05}",
            "api": "a",
            "revision": 1,
            "project": str(project),
            "work_dir": str(folder / "work"),
            "python": sys.executable,
            "run_dir": str(folder),
            "log_dir": str(folder / "logs"),
            "grace": 5.0,
            "start_timeout": 20.0,
        }
        (folder / "config.json").write_bytes(encode(ReplicaConfig(**(settings | config))))
        command = [sys.executable, "-m", "gyrus.runtime.supervisor", str(folder / "config.json")]
        with open(folder / "supervisor.err", "wb") as errors:
            process = subprocess.Popen(command, stderr=errors, start_new_session=True)
        self.running.append(Running(folder, process))
        return self.running[-1]

    def close(self) -> None:
        for running in self.running:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(running.process.pid, signal.SIGKILL)
            running.process.wait(WAIT)

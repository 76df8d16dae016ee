"""Real fork servers, and the replicas that are forks of them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from gyrus.contract.fork_server import (
    GO,
    ForkReply,
    ForkServerConfig,
    ForkServerPhase,
    ForkServerStatus,
    Preload,
)
from gyrus.contract.replica import HandlerConfig, Phase, ReplicaConfig, ReplicaStatus
from gyrus.runtime.codec import decode, encode
from support.looking import has_ended

WAIT = 20.0
"""Seconds; generous, for the machine may be busy."""
T = TypeVar("T")


@dataclass(slots=True)
class Fork:
    """A replica that was ordered."""

    folder: Path
    pid: int

    @property
    def status(self) -> ReplicaStatus:
        return decode(ReplicaStatus, (self.folder / "status.json").read_bytes())

    def until(self, wanted: Callable[[ReplicaStatus], object]) -> ReplicaStatus:
        def find() -> ReplicaStatus | None:
            status = self.status
            return status if wanted(status) else None

        return look_for(find, self.reported)

    def until_ready(self) -> ReplicaStatus:
        return self.until(lambda status: status.phase is Phase.READY)

    def ask(self, payload: object, process: int = 0) -> Any:
        """What the handler answers."""
        body = json.dumps(payload).encode()
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(WAIT)
            client.connect(self.status.endpoints[process].removeprefix("unix:"))
            client.sendall(
                b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nx-request-id: r-1\r\n"
                b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
            )
            answer = b"".join(iter(lambda: client.recv(65536), b""))
        return json.loads(answer.partition(b"\r\n\r\n")[2])

    @property
    def lines(self) -> dict[str, dict[str, Any]]:
        """Of its log, by their message."""
        lines = map(json.loads, (self.folder / "logs" / "replica.log").read_text().splitlines())
        return {line["message"]: line for line in lines}

    def reported(self) -> str:
        with suppress(OSError):
            return f"{self.status}\n{(self.folder / 'logs' / 'replica.log').read_text()}"
        return "nothing"

    def end(self) -> None:
        os.kill(self.pid, signal.SIGTERM)
        look_for(lambda: has_ended(self.pid), self.reported)


@dataclass(slots=True)
class ForkServerUnderTest:
    root: Path
    config: ForkServerConfig
    process: subprocess.Popen[bytes]
    forks: list[Fork] = field(default_factory=list[Fork])

    @property
    def folder(self) -> Path:
        return self.root / "fork-server"

    @property
    def output(self) -> str:
        return (self.folder / "output.log").read_text()

    @property
    def status(self) -> ForkServerStatus:
        return decode(ForkServerStatus, (self.folder / "status.json").read_bytes())

    def until(self, phase: ForkServerPhase) -> ForkServerStatus:
        def find() -> ForkServerStatus | None:
            status = self.status
            return status if status.phase is phase else None

        return look_for(find, lambda: self.output)

    def prepare(self, **changes: Any) -> Path:
        """The configuration of a new replica."""
        id = f"a-1-{len(list(self.root.glob('a-1-*'))):05}"
        folder = self.root / id
        folder.mkdir()
        settings = {"id": id, "log_dir": str(folder / "logs"), "work_dir": str(folder / "work"), **changes}
        document = json.loads(encode(self.config.replica)) | settings
        path = folder / "config.json"
        path.write_text(json.dumps(document))
        return path

    def call(self) -> socket.socket:
        """A connection to it."""
        line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        line.settimeout(WAIT)
        line.connect(self.config.socket)
        return line

    def order(self, **changes: Any) -> Fork:
        path = self.prepare(**changes)
        with self.call() as line:
            line.send(os.fsencode(path))
            reply = decode(ForkReply, line.recv(4096))
            assert reply.refused == ""
            line.send(GO)
        self.forks.append(Fork(path.parent, reply.pid))
        return self.forks[-1]

    def refusal(self, **changes: Any) -> str:
        with self.call() as line:
            line.send(os.fsencode(self.prepare(**changes)))
            return decode(ForkReply, line.recv(4096)).refused

    def close(self) -> None:
        for group in (self.process.pid, *(fork.pid for fork in self.forks)):
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        self.process.wait(WAIT)


StartForkServer = Callable[..., ForkServerUnderTest]
"""Parks a handler, given what it reads and settings of :func:`start_fork_server`."""


def start_fork_server(
    root: Path,
    handler: str,
    *,
    preload: Preload = Preload.MODULE,
    files: Mapping[str, str] | None = None,
    **replica: Any,
) -> ForkServerUnderTest:
    """``root``: a folder where the path of a socket is not too long."""
    project, folder = root / "project", root / "fork-server"
    project.mkdir()
    folder.mkdir()
    for name, text in {"handler.py": textwrap.dedent(handler), **(files or {})}.items():
        (project / name).write_text(text)
    settings: dict[str, Any] = {
        "id": "",
        "api": "a",
        "revision": 1,
        "project": str(project),
        "work_dir": str(folder / "work"),
        "python": sys.executable,
        "handler": HandlerConfig(path="handler.py", config={"step": 1}),
        "run_dir": str(root),
        "grace": 5.0,
        "start_timeout": 20.0,
        "notify": str(root / "backlog"),
    }
    config = ForkServerConfig(
        name="a-1",
        preload=preload,
        socket=str(root / "a-1.fork"),
        replica=ReplicaConfig(**(settings | replica)),
    )
    (folder / "config.json").write_bytes(encode(config))
    command = [sys.executable, "-I", "-m", "gyrus.runtime.fork_server", str(folder / "config.json")]
    with (folder / "output.log").open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    return ForkServerUnderTest(root, config, process)


def look_for(find: Callable[[], T | None], reported: Callable[[], str]) -> T:
    """Look until it is there."""
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        with suppress(FileNotFoundError):
            if (found := find()) is not None and found is not False:
                return found
        time.sleep(0.01)
    raise AssertionError(f"not seen within {WAIT} s; {reported()}")

"""A platform of a test's own: its home, its ports, and the command line that a user would type."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from gyrus.contract.home import Home

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLES = REPOSITORY / "examples"
GYRUS = str(Path(sys.executable).with_name("gyrus"))
COMMAND_SECONDS = 300

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class CommandFailed(AssertionError):
    """A command ended with another code than it should have; its whole output is in the message."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What an endpoint answered."""

    status: int
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Platform:
    home: Home
    gateway_port: int
    operator_port: int
    command: str = GYRUS
    """The gyrus that is called."""

    def gyrus(self, *arguments: str | Path, code: int = 0, text: str | None = None) -> str:
        """Standard output of a gyrus command that must end with ``code``. ``text`` is its standard input."""
        return self._run(arguments, code, text).stdout

    def notes(self, *arguments: str | Path) -> str:
        """Standard error of a gyrus command that must succeed: its progress and explanations."""
        return self._run(arguments, 0, None).stderr

    def failure(self, *arguments: str | Path, code: int = 1) -> str:
        """Standard error of a gyrus command that must fail with ``code``."""
        return self._run(arguments, code, None).stderr

    def _run(
        self, arguments: tuple[str | Path, ...], code: int, text: str | None
    ) -> subprocess.CompletedProcess[str]:
        command = [self.command, *map(str, arguments)]
        done = subprocess.run(
            command,
            env=self.environment,
            input=text or "",
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if done.returncode != code:
            raise CommandFailed(
                f"gyrus {' '.join(command[1:])} ended with {done.returncode}, not {code}\n"
                f"--- stdout\n{done.stdout}--- stderr\n{done.stderr}"
            )
        return done

    def json(self, *arguments: str | Path) -> Any:
        return json.loads(self.gyrus("-o", "json", *arguments))

    def up(self, *options: str) -> None:
        ports = ("--gateway-port", str(self.gateway_port), "--operator-port", str(self.operator_port))
        self.gyrus("up", *ports, *options)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.gateway_port}/{path}"

    def ask(self, path: str, payload: object = None, **headers: str) -> Reply:
        """POST ``payload`` as JSON to the gateway, or GET where there is none."""
        body = None if payload is None else json.dumps(payload).encode()
        return self.send(path, body, **{"content-type": "application/json", **headers})

    def send(self, path: str, body: bytes | None, **headers: str) -> Reply:
        """The same with a body as it is."""
        request = urllib.request.Request(self.url(path), body, headers)
        try:
            with _DIRECT.open(request, timeout=60) as answer:
                return _reply(answer)
        except urllib.error.HTTPError as refusal:
            return _reply(refusal)

    def processes(self) -> list[psutil.Process]:
        """Everything that runs for this home: its operator, its Envoy, its replicas and what they started."""
        return [process for process in psutil.process_iter() if self._owns(process)]

    def remains(self) -> list[str]:
        """What ``gyrus down`` ought to have ended or removed, and has not."""
        processes = [f"process {process.pid}: {_command_line(process)}" for process in self.processes()]
        ports = [f"port {port} listens" for port in (self.gateway_port, self.operator_port) if _listens(port)]
        sockets = [f"{path} is there" for path in self._run_files()]
        return processes + ports + sockets

    def _run_files(self) -> list[Path]:
        run = self.home.run
        if not run.exists():
            return []
        return [*run.iterdir()] if self.home.root in run.parents else [run]

    @property
    def environment(self) -> dict[str, str]:
        """What its commands are run with."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GYRUS_")}
        return {**kept, "GYRUS_HOME": str(self.home.root), "NO_COLOR": "1"}

    def _owns(self, process: psutil.Process) -> bool:
        root = str(self.home.root)
        try:
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                return False
            return process.environ().get("GYRUS_HOME") == root or any(
                root in word for word in process.cmdline()
            )
        except psutil.Error:
            return False


@contextmanager
def platform_of_its_own(
    command: str = GYRUS,
    root: Path | None = None,
    options: tuple[str, ...] = (),
    at_start: str | None = None,
) -> Generator[Platform]:
    """A running platform, brought up with ``options``. At the end it is stopped, and nothing of it may be
    left. ``at_start``: the gyrus that brings it up and that is yielded, where ``command`` only stops it."""
    # Not pytest's temporary folder: its long path would move the sockets out of the home.
    root = root or Path(tempfile.mkdtemp(prefix="gyrus-", dir="/tmp"))
    gateway_port, operator_port = free_ports(2)
    platform = Platform(Home(root), gateway_port, operator_port, command)
    started = replace(platform, command=at_start or command)
    try:
        started.up(*options)
        yield started
    finally:
        try:
            platform.gyrus("down")
            remains = platform.remains()
        finally:
            for process in platform.processes():
                process.kill()
            shutil.rmtree(root, ignore_errors=True)
            shutil.rmtree(platform.home.run, ignore_errors=True)
    assert remains == []


def free_ports(number: int) -> list[int]:
    probes = [socket.socket() for _ in range(number)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def _reply(answer: Any) -> Reply:
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return Reply(answer.status, headers, answer.read())


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return "?"

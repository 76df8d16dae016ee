"""Backends to test, and what their tests do to them."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
import urllib.request
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from gyrus.aio.clock import SystemClock
from gyrus.backends.local.backend import LocalBackend
from gyrus.backends.local.capacity import Machine
from gyrus.backends.local.fork_server_process import ForkServerFolder
from gyrus.backends.local.settings import LocalSettings
from gyrus.backends.local.supervisor_process import find_supervisors
from gyrus.backends.memory import MemoryBackend, Step, works
from gyrus.backends.memory import MemoryMachine as MemoryMachine
from gyrus.backends.protocol import Backend, Observation, ReplicaOrder, ReplicaRunner
from gyrus.contract.home import Home
from gyrus.contract.replica import Phase, ProcessConfig, Reason, RestartPolicy
from gyrus.spec.realtime import RealtimeSpec
from support.looking import until as looked

PATIENCE = 30.0
"""Seconds after which what a test waits for will not happen any more."""

SERVER = """
import http.server, os, sys, urllib.parse

class Echo(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print(urllib.parse.unquote(self.path), flush=True)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments):
        pass

http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Echo).serve_forever()
"""
"""Prints the path of every request."""


EXIT = ("python", "-c", "import sys; sys.exit(int(sys.argv[1]))")
"""Exits with the code that follows."""


@contextmanager
def short_home() -> Generator[Home]:
    """A home whose path is short enough for sockets."""
    root = Path(tempfile.mkdtemp(prefix="gyrus-", dir="/tmp"))
    try:
        yield Home(root)
    finally:
        shutil.rmtree(root, ignore_errors=True)


@dataclass(slots=True)
class Folder:
    """Every package is this folder."""

    path: Path
    forgotten: set[str] = field(default_factory=set[str])
    fault: Exception | None = None

    async def project(self, digest: str) -> Path:
        if self.fault:
            raise self.fault
        return self.path

    def locks(self, digest: str) -> Path:
        return self.path.with_name(f"{self.path.name}.locks")

    async def forget(self, digests: Iterable[str]) -> None:
        self.forgotten.update(digests)


def spec(api: str = "iris", **changes: object) -> RealtimeSpec:
    """A server of a few lines."""
    process = {"command": ["python", "server.py"]}
    return RealtimeSpec.model_validate({"name": api, "process": process, **changes})


def order(
    id: str = "iris-1-aaaaa", *, generation: int = 1, package: str = "d1", **changes: object
) -> ReplicaOrder:
    made = spec(id.rsplit("-", 2)[0], **changes)
    return order_of(made, id=id, generation=generation, package=package)


def order_of(spec: RealtimeSpec, *, id: str, generation: int = 1, package: str | None = "d1") -> ReplicaOrder:
    workload = spec.workload(package)
    return ReplicaOrder(id=id, api=spec.name, generation=generation, revision=generation, workload=workload)


@asynccontextmanager
async def running(backend: Backend) -> AsyncGenerator[None]:
    """Like an operator: adopt, run; and in the end it is cut off."""
    await backend.adopt()
    task = asyncio.create_task(backend.run(), name="backend")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))
        if not task.cancelled():
            task.result()


def all_of(backend: ReplicaRunner) -> dict[str, Observation]:
    """The observations of all APIs' replicas, by id."""
    return {id: seen for api in backend.apis() for id, seen in backend.observe(api).items()}


async def until(backend: Backend, what: Callable[[], bool]) -> None:
    """Wait for a condition; check it at each signal of the backend."""
    with backend.changes.listen() as changes:
        async with asyncio.timeout(PATIENCE):
            while not what():
                await changes.wait()


async def observed(backend: Backend, id: str, phase: Phase) -> Observation:
    """What is observed of a replica when it has come to a phase."""
    await until(backend, lambda: id in all_of(backend) and all_of(backend)[id].status.phase is phase)
    return all_of(backend)[id]


async def gone(backend: Backend, id: str) -> None:
    await until(backend, lambda: id not in all_of(backend))


class World(Protocol):
    """A place where replicas run, whatever backend looks at it."""

    """True if the output of replicas that are gone can be read."""

    def backend(self, *, cores: float | None = None) -> Backend:
        """A new instance, as after a restart of the operator, on a machine with so many cores."""
        ...

    def broken(self, id: str) -> ReplicaOrder:
        """An order that cannot be carried out."""
        ...

    def ending(self, id: str, code: int) -> ReplicaOrder:
        """An order for a program that runs once, and exits with this code."""
        ...

    def kill(self, backend: Backend, id: str) -> None:
        """End its process without asking."""
        ...

    async def write_line(self, backend: Backend, id: str, message: str) -> None:
        """Make a ready replica print this; returns when it is in the log."""
        ...


@dataclass(slots=True)
class MemoryWorld:
    machine: MemoryMachine = field(default_factory=MemoryMachine)

    def backend(self, *, cores: float | None = None) -> MemoryBackend:
        return MemoryBackend(self._script, machine=self.machine, cores=cores)

    def _script(self, order: ReplicaOrder) -> tuple[Step, ...]:
        failed = Step(phase=Phase.FAILED, reason=Reason.DEPENDENCIES, message="no such file")
        process = order.workload.code.process
        if process and process.command[:-1] == EXIT:
            return _exits(int(process.command[-1]))
        return (failed,) if "missing" in repr(order.workload) else tuple(works(order))

    def broken(self, id: str) -> ReplicaOrder:
        return _broken(id)

    def ending(self, id: str, code: int) -> ReplicaOrder:
        return running_once(id, *EXIT, str(code))

    def kill(self, backend: Backend, id: str) -> None:
        assert isinstance(backend, MemoryBackend)
        backend.kill(id)

    async def write_line(self, backend: Backend, id: str, message: str) -> None:
        assert isinstance(backend, MemoryBackend)
        backend.write(id, message)


@dataclass(slots=True)
class LocalWorld:
    home: Home
    packages: Folder
    settings: LocalSettings = field(default_factory=LocalSettings)

    @property
    def project(self) -> Path:
        return self.packages.path

    def backend(self, *, cores: float | None = None) -> LocalBackend:
        settings = self.settings
        if cores is not None:
            settings = replace(settings, machine=Machine(cpu=round(cores * 1000), mem=2**40))
        return LocalBackend(self.home, self.packages, SystemClock(), settings)

    def broken(self, id: str) -> ReplicaOrder:
        return _broken(id)

    def ending(self, id: str, code: int) -> ReplicaOrder:
        return running_once(id, *EXIT, str(code))

    def kill(self, backend: Backend, id: str) -> None:
        pid = all_of(backend)[id].status.processes[0].pid
        assert pid
        os.kill(pid, signal.SIGKILL)

    async def write_line(self, backend: Backend, id: str, message: str) -> None:
        (endpoint,) = all_of(backend)[id].status.endpoints
        await asyncio.to_thread(_get, f"http://{endpoint}{message}")
        log = self.home.replica_logs / all_of(backend)[id].status.api / id / "replica.log"
        await looked(lambda: f'"message":"{message}"' in log.read_text())


@contextmanager
def local_world(settings: LocalSettings | None = None) -> Generator[LocalWorld]:
    """With a home of its own; whatever runs in it at the end is killed."""
    with short_home() as home:
        project = home.root / "files"
        project.mkdir()
        (project / "server.py").write_text(SERVER)
        world = LocalWorld(home, Folder(project), settings or LocalSettings())
        try:
            yield world
        finally:
            kill_all(home)


def kill_all(home: Home) -> None:
    for path, pids in find_supervisors().items():
        for pid in pids if Path(path).is_relative_to(home.root) else ():
            os.killpg(pid, signal.SIGKILL)
    for path in home.fork_servers.glob("*"):
        ForkServerFolder(path).clear()


def _broken(id: str) -> ReplicaOrder:
    process = {"command": ["python", "server.py"], "requirements": "missing.txt"}
    return order(id, process=process)


def running_once(id: str, *command: str) -> ReplicaOrder:
    """An order for a program that serves nothing, and is not started again."""
    made = order(id)
    process = ProcessConfig(command=command, serves=False)
    code = replace(made.workload.code, process=process)
    return replace(made, workload=replace(made.workload, code=code, restart=RestartPolicy.NEVER))


def _exits(code: int) -> tuple[Step, ...]:
    if code == 0:
        return (Step(phase=Phase.READY), Step(phase=Phase.SUCCEEDED, exit_code=0))
    message = f"it exited with code {code}"
    end = Step(phase=Phase.FAILED, reason=Reason.EXITED, message=message, exit_code=code)
    return (Step(phase=Phase.READY), end)


def _get(url: str) -> None:
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        answer.read()


class OneEnvironment:
    """A choice of Python environments that has one for all packages."""

    KEY = "0" * 32

    async def environment(self, package: str | None, requirements: str | None) -> str:
        return self.KEY

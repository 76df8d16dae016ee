"""A real operator in a thread: server, store and control; replicas in memory; an endpoint that echoes.

For tests of whatever talks to an operator. Only what costs processes is missing: replicas and Envoy.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil

from gyrus import __version__
from gyrus.aio.clock import SystemClock
from gyrus.backends.memory import MemoryBackend
from gyrus.contract.home import Home
from gyrus.contract.operator import OperatorInfo
from gyrus.contract.problem import MEDIA_TYPE
from gyrus.control.controller import Controller
from gyrus.control.reconciler import Reconciler
from gyrus.operator.certificate import tls_of
from gyrus.packaging.store import PackageStore
from gyrus.server.app import ServerContext, build_app
from gyrus.server.listening import listen_in_home, listen_on_port
from gyrus.server.serving import serve
from gyrus.state.board import Board
from gyrus.state.events.recorder import EVERY
from gyrus.state.records import Event
from gyrus.state.sql.store import open_store
from support.aws.models import local_models
from support.gateway import acknowledge
from support.recorder import recording
from support.servers import running

TOKEN = "the-operators-token"
PACKAGE_LIMIT = 16 * 1024 * 1024
"""Bytes; the real one would take long to reach."""


@dataclass
class Operator:
    """What a test may see of it and do to it. Backend and board are used with :meth:`call` alone."""

    home: Home
    port: int
    gateway: str
    """Base URL of the endpoints, as the operator reports it."""
    backend: MemoryBackend
    board: Board
    loop: asyncio.AbstractEventLoop
    record: Callable[[Event], None]
    """Record an event, with :meth:`call`."""
    stopped: threading.Event = field(default_factory=threading.Event)
    """Set when it was asked to stop everything."""

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def certificate(self) -> Path:
        return self.home.certificate

    def announce(self, **changes: object) -> None:
        """Write the file by which the command line finds it."""
        started = psutil.Process().create_time()
        facts = {
            "pid": os.getpid(), "pid_started": started, "operator_port": self.port, "gateway_port": 1,
            "socket": str(self.home.control_socket),
        }  # fmt: skip
        self.home.operator_file.write_text(json.dumps(facts | changes))

    def call(self, act: Callable[[], None]) -> None:
        """Do something to its backend, in its own loop."""
        done = threading.Event()
        self.loop.call_soon_threadsafe(lambda: (act(), done.set()))
        assert done.wait(10)

    def write(self, replica: str, message: str, at: float | None = None) -> None:
        """Let a replica log something."""
        self.call(lambda: self.backend.write(replica, message, time=at))

    def replica_ids(self, api: str) -> list[str]:
        return list(self.backend.observe(api))


@contextmanager
def operator_thread(folder: Path, backend: MemoryBackend | None = None) -> Generator[Operator]:
    """Runs from here to the end of the block."""
    with echo_server() as gateway:
        ready: list[Operator] = []
        failed: list[BaseException] = []
        reported, end = threading.Event(), threading.Event()

        def work() -> None:
            try:
                asyncio.run(_operate(folder, backend or MemoryBackend(), gateway, ready, reported, end))
            except BaseException as fault:
                failed.append(fault)
                reported.set()

        thread = threading.Thread(target=work, name="operator")
        thread.start()
        assert reported.wait(30)
        try:
            if failed:
                raise failed[0]
            yield ready[0]
        finally:
            end.set()
            thread.join(30)
    assert not failed, failed


async def _operate(
    folder: Path,
    backend: MemoryBackend,
    gateway: str,
    ready: list[Operator],
    reported: threading.Event,
    end: threading.Event,
) -> None:
    home = Home(folder)
    home.root.mkdir(exist_ok=True, mode=0o700)
    home.token.write_text(TOKEN)
    board, clock, started = Board(gateway="running"), SystemClock(), asyncio.Event()
    packages = PackageStore(home.packages, home.projects, earlier=home.earlier_projects, limit=PACKAGE_LIMIT)
    packages.clean_up()
    remote = listen_on_port("127.0.0.1", 0, tls_of(home))
    listeners = [listen_in_home(home.control_socket), remote]
    port = remote.socket.getsockname()[1]

    def info() -> OperatorInfo:
        return OperatorInfo(
            version=__version__, gateway=operator.gateway, gateway_state=board.gateway,
            backend="memory", pid=os.getpid(), home=str(folder),
        )  # fmt: skip

    async def stop() -> None:
        operator.stopped.set()

    async with (
        open_store(f"sqlite+aiosqlite:///{home.database}") as store,
        recording(store, board, every=EVERY) as events,
    ):
        context = ServerContext(
            store=store,
            board=board,
            events=events,
            packages=packages,
            models=local_models,
            logs=backend,
            capacity=backend.capacity,
            clock=clock,
            token=TOKEN,
            info=info,
            stop=stop,
        )
        operator = Operator(home, port, gateway, backend, board, asyncio.get_running_loop(), events.record)
        await backend.adopt()
        controller = Controller(Reconciler(store, board, backend, clock, events))
        await controller.restore()
        async with asyncio.TaskGroup() as group:
            bodies = (backend.run(), acknowledge(board), controller.run())
            tasks = [group.create_task(body) for body in bodies]
            await asyncio.sleep(0)  # the gateway listens before the first route is published
            tasks.append(group.create_task(serve(build_app(context), listeners, started=started, grace=1)))
            await started.wait()
            ready.append(operator)
            operator.announce()
            reported.set()
            await asyncio.to_thread(end.wait)
            for task in reversed(tasks):
                task.cancel()
            await asyncio.wait(tasks)


@contextmanager
def echo_server() -> Generator[str]:
    """Stands where the gateway would: answers every POST, under any path, with what it was sent."""
    with running(ThreadingHTTPServer(("127.0.0.1", 0), _Echo), "echo") as port:
        yield f"http://127.0.0.1:{port}"


class _Echo(BaseHTTPRequestHandler):
    """The content type decides how: text/event-stream in two pieces, text/x-problem as a problem."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        media_type = self.headers.get("content-type", "")
        if media_type == "text/event-stream":
            self._stream(b"data: 1\n\n", b"data: 2\n\n")
        elif media_type == "text/x-problem":
            problem = {"type": "urn:x", "title": "Bad", "status": 422, "detail": "area: is missing"}
            self._answer(422, json.dumps(problem).encode(), MEDIA_TYPE)
        else:
            self._answer(200, body, media_type)

    def _answer(self, status: int, body: bytes, media_type: str) -> None:
        self.send_response(status)
        self.send_header("content-type", media_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, *pieces: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for piece in (*pieces, b""):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""

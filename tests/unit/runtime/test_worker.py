"""The worker as a process: its reports, its serving and its end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gyrus.contract.replica import HandlerConfig, Limits, ReplicaConfig
from gyrus.runtime.codec import encode
from gyrus.runtime.worker import SWITCH_INTERVAL
from support.wire import Received, read_replies

pytestmark = pytest.mark.processes

WAIT = 30.0


@dataclass
class Worker:
    process: subprocess.Popen[bytes]
    socket: Path
    reported: Iterator[dict[str, Any]]
    heard: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def until(self, **wanted: Any) -> dict[str, Any]:
        for queue in self.reported:
            self.heard.append(queue)
            if all(queue.get(key) == value for key, value in wanted.items()):
                return queue
        raise AssertionError(f"it ended without saying {wanted}: {self.heard}")

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(WAIT)
        client.connect(str(self.socket))
        return client

    def ask(self, body: str = "", *, path: str = "/", method: str = "POST") -> Received:
        with self.connect() as client:
            client.sendall(request(body, path=path, method=method, close=True))
            return read_replies(receive(client))[0]

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        return self.process.wait(WAIT)


def request(body: str = "", *, path: str = "/", method: str = "POST", close: bool = False) -> bytes:
    reported = "Connection: close\r\n" if close else ""
    return (
        f"{method} {path} HTTP/1.1\r\nHost: a\r\n{reported}Content-Length: {len(body)}\r\n\r\n{body}".encode()
    )


def receive(client: socket.socket, end: bytes | None = None) -> bytes:
    data = b""
    while end is None or not data.endswith(end):
        if not (more := client.recv(65536)):
            break
        data += more
    return data


Start = Callable[..., Worker]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    workers: list[Worker] = []

    def begin(code: str, *, limits: Limits | None = None, grace: float = 10.0, **config: Any) -> Worker:
        (tmp_path / "project").mkdir()
        (tmp_path / "project" / "handler.py").write_text(textwrap.dedent(code))
        replica = ReplicaConfig(
            id="api-1-abcde", api="api", revision=1, project=str(tmp_path / "project"), python=sys.executable,
            handler=HandlerConfig(path="handler.py", config=config), limits=limits or Limits(), grace=grace,
            run_dir=str(tmp_path),
        )  # fmt: skip
        (tmp_path / "config.json").write_bytes(encode(replica))
        reader, writer = os.pipe()
        process = subprocess.Popen(
            [sys.executable, "-m", "gyrus.runtime.worker", str(tmp_path / "config.json"), "0"],
            env={**os.environ, "GYRUS_CONTROL_FD": str(writer)},
            pass_fds=(writer,),
            stdout=subprocess.PIPE,
        )
        os.close(writer)
        control = os.fdopen(reader, "rb")
        worker = Worker(process, tmp_path / "api-1-abcde.0.sock", (json.loads(queue) for queue in control))
        workers.append(worker)
        return worker

    yield begin
    for worker in workers:
        worker.process.kill()
        worker.process.communicate()


def test_a_life(start: Start) -> None:
    worker = start(
        """
        import atexit, os, sys, logging
        print("imported")
        atexit.register(print, "goodbye", end="")
        class Handler:
            def __init__(self, config):
                self.config = config
            def predict(self, payload, request_id):
                print("asked", payload)
                logging.getLogger("mine").warning("careful")
                os.write(1, b"from C")
                return {"got": payload, "config": self.config, "cwd": os.getcwd(), "path": sys.path[0]}
        """,
        threshold=0.5,
    )
    assert worker.until(kind="status")["phase"] == "starting"
    assert worker.until(kind="log")["message"] == "imported"
    worker.until(phase="ready")
    assert worker.ask(path="/healthz", method="GET").status == 200
    assert worker.ask(path="/readyz", method="GET").status == 200
    reply = worker.ask('{"a": 1}')
    folder = str(worker.socket.parent / "project")
    assert json.loads(reply.body) == {
        "got": {"a": 1},
        "config": {"threshold": 0.5},
        "cwd": folder,
        "path": folder,
    }
    asked = worker.until(kind="log", message="asked {'a': 1}")
    assert (asked["stream"], asked["request_id"]) == ("stdout", reply.headers["x-request-id"])
    careful = worker.until(kind="log", message="mine: careful")
    assert (careful["level"], careful["request_id"]) == ("warning", reply.headers["x-request-id"])
    worker.stop()
    worker.until(phase="draining")
    worker.until(message="goodbye")
    assert worker.wait() == 0
    assert worker.process.stdout is not None
    assert worker.process.stdout.read() == b"from C"


@pytest.mark.parametrize(
    ("code", "reason", "message"),
    [
        (
            "import nothing_of_this_name",
            "ImportError",
            "handler.py cannot be imported: ModuleNotFoundError: ",
        ),
        ("def f(:", "ImportError", "handler.py cannot be imported: SyntaxError: "),
        (
            "class Handler:\n    def __init__(self): 1 / 0\n    def predict(self): ...",
            "InitFailure",
            "Handler.__init__ failed: ZeroDivisionError: division by zero (handler.py:2)",
        ),
    ],
)
def test_a_failure_is_reported_and_ends_it(start: Start, code: str, reason: str, message: str) -> None:
    worker = start(code)
    failed = worker.until(phase="failed")
    assert failed["reason"] == reason
    assert failed["message"].startswith(message)
    assert failed["lines"]
    assert worker.wait() == 1
    assert not worker.socket.exists()


def test_a_folder_that_cannot_hold_the_socket(start: Start, tmp_path: Path) -> None:
    worker = start("class Handler:\n    def predict(self): ...")
    worker.until(phase="ready")
    worker.stop()
    worker.wait()
    config = (tmp_path / "config.json").read_text().replace(f'"run_dir":"{tmp_path}"', '"run_dir":"/nowhere"')
    (tmp_path / "config.json").write_text(config)
    reported = subprocess.run(
        [sys.executable, "-m", "gyrus.runtime.worker", str(tmp_path / "config.json"), "0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert reported.returncode == 1
    assert "gyrus: failed: NotListening: cannot listen on /nowhere" in reported.stderr


SLOW = """
    import pathlib, time
    class Handler:
        def predict(self, payload):
            print("began", flush=True)
            while not pathlib.Path("go").exists():
                time.sleep(0.005)
            return payload
"""


def test_a_drain(start: Start, tmp_path: Path) -> None:
    """Started requests finish, waiting ones are requeued, new ones are answered, connections end."""
    worker = start(SLOW)
    worker.until(phase="ready")
    with worker.connect() as running, worker.connect() as waiting, worker.connect() as idle:
        running.sendall(request('"running"'))
        worker.until(message="began")
        waiting.sendall(request('"waiting"'))
        idle.sendall(request(path="/metrics", method="GET"))
        while b"gyrus_replica_queued 1.0\n" not in receive(idle, b"gyrus_replica_slots_overdue 0.0\n"):
            idle.sendall(request(path="/metrics", method="GET"))
        worker.stop()
        (requeued,) = read_replies(receive(waiting))
        assert requeued.status == 503
        assert requeued.headers["x-gyrus-requeue"] == "1"
        assert requeued.headers["connection"] == "close"
        late = worker.ask('"late"')
        assert late.headers["x-gyrus-requeue"] == "1"
        assert worker.ask(path="/readyz", method="GET").status == 503
        (tmp_path / "project" / "go").touch()
        (finished,) = read_replies(receive(running))
        assert (finished.status, finished.body) == (200, b"running")
        assert finished.headers["connection"] == "close"
        assert worker.process.poll() is None, "a connection is open yet"
    assert worker.wait() == 0


def test_a_drain_ends_with_its_grace(start: Start) -> None:
    worker = start(SLOW, grace=0.3)
    worker.until(phase="ready")
    with worker.connect() as running:
        running.sendall(request('"running"'))
        worker.until(message="began")
        worker.stop()
        assert worker.wait() == 0
        assert receive(running) == b""


def test_a_loop_that_is_blocked_does_not_claim_to_be_ready(start: Start) -> None:
    worker = start(
        """
        import time
        class Handler:
            async def predict(self):
                print("blocked")
                time.sleep(60)
        """
    )
    worker.until(phase="ready")
    with worker.connect() as client, worker.connect() as probe:
        client.sendall(request())
        worker.until(message="blocked")
        probe.settimeout(0.3)
        probe.sendall(request(path="/readyz", method="GET"))
        with pytest.raises(TimeoutError):
            probe.recv(1)


def test_it_listens_on_tcp_if_configured(tmp_path: Path) -> None:
    (tmp_path / "handler.py").write_text("class Handler:\n    def predict(self, payload): return payload\n")
    replica = ReplicaConfig(
        id="t",
        api="t",
        revision=1,
        project=str(tmp_path),
        python="",
        handler=HandlerConfig(path="handler.py"),
    )
    (tmp_path / "c").write_bytes(encode(replica))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen(
        [sys.executable, "-m", "gyrus.runtime.worker", str(tmp_path / "c"), "0"],
        env={**os.environ, "GYRUS_BIND": f"127.0.0.1:{port}"},
        stderr=subprocess.PIPE,
    ) as worker:
        assert worker.stderr is not None
        assert next(queue for queue in worker.stderr if b"ready" in queue)
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(request("5", close=True))
            assert read_replies(receive(client))[0].body == b"5"
        worker.send_signal(signal.SIGINT)
        assert worker.wait(WAIT) == 0


def test_a_computing_handler_leaves_the_interpreter_to_the_loop_soon(start: Start) -> None:
    code = """
        import sys

        class Handler:
            def __init__(self): self.found = sys.getswitchinterval()
            def predict(self): return self.found
    """
    worker = start(code)
    worker.until(phase="ready")
    assert float(worker.ask().body) == pytest.approx(SWITCH_INTERVAL)


def test_its_imports_are_light() -> None:
    """A cold start waits for them."""
    code = "import sys, gyrus.runtime.worker; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"pydantic", "numpy", "click", "fastapi", "pathlib", "http.client", "multiprocessing", "unittest"}
    assert heavy & {*loaded.stdout.split()} == set()


def test_an_object_that_was_pickled_in_a_script(start: Start) -> None:
    """Its class has the module ``__main__``, which is the worker's own program."""
    worker = start(
        """
        import multiprocessing, pickle

        class Control:
            pass

        class Handler:
            def __init__(self):
                self.model = pickle.loads(b"c__main__\\nControl\\n)\\x81.")

            def predict(self):
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    return [type(self.model).__module__, pool.apply(abs, (-1,))]
        """
    )
    worker.until(phase="ready")
    assert json.loads(worker.ask().body) == ["handler", 1]

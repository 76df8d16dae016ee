"""The user's own server behind the queue proxy in one replica."""

from __future__ import annotations

import os
import signal
import socket
import threading
from pathlib import Path

from gyrus.contract.replica import Limits, Phase
from support.replicas import WAIT, Replicas, Running

SLOW = """
    import http.server, os, time
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            print("asked", self.path, flush=True)
            while self.path == "/slow" and not os.path.exists("go"): time.sleep(0.01)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(str(os.getpid()).encode())
    http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answer).serve_forever()
"""


def start(replicas: Replicas, folder: Path) -> Running:
    limits = Limits(max_concurrency=1, max_queue_length=1)
    return replicas.run(script=SLOW, queue_proxy=True, limits=limits, run_dir=str(folder))


def ask(endpoint: str, path: str = "/") -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(WAIT)
        client.connect(endpoint.removeprefix("unix:"))
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: client.recv(4096), b""))


class Asking(threading.Thread):
    """A request under way."""

    def __init__(self, endpoint: str, path: str) -> None:
        super().__init__(daemon=True)
        self._question = endpoint, path
        self.answer = b""
        self.start()

    def run(self) -> None:
        self.answer = ask(*self._question)


def test_the_queue_proxy_is_the_endpoint_and_the_server_comes_back_behind_it(
    replicas: Replicas, short_folder: Path
) -> None:
    replica = start(replicas, short_folder)
    status = replica.until_phase(Phase.READY)
    (endpoint,) = status.endpoints
    assert endpoint == f"unix:{short_folder}/{status.id}.0.sock"
    server, queue_proxy = status.processes
    assert server.pid
    assert str(server.pid).encode() in ask(endpoint)

    os.kill(server.pid, signal.SIGKILL)
    lost = replica.until(lambda status: status.endpoints == ())
    assert lost.processes[1].phase is Phase.READY
    back = replica.until_phase(Phase.READY)
    assert back.processes[1].pid == queue_proxy.pid
    assert back.processes[0].endpoint == server.endpoint
    assert str(back.processes[0].pid).encode() in ask(endpoint)

    assert queue_proxy.pid
    os.kill(queue_proxy.pid, signal.SIGKILL)
    replica.until(lambda status: status.processes[1].restarts == 1 and status.phase is Phase.READY)
    assert str(back.processes[0].pid).encode() in ask(endpoint)


def test_the_queue_proxy_ends_before_the_server_and_loses_nothing(
    replicas: Replicas, short_folder: Path
) -> None:
    replica = start(replicas, short_folder)
    (endpoint,) = replica.until_phase(Phase.READY).endpoints
    asking = Asking(endpoint, "/slow")
    replica.until(lambda _: "asked /slow" in replica.messages("stdout"))
    replica.terminate()
    replica.until_phase(Phase.DRAINING)
    (replica.work / "go").write_text("")
    assert replica.wait() == 0
    asking.join(WAIT)
    assert asking.answer.startswith(b"HTTP/1.1 200 OK\r\n")
    ends = [message for message in replica.messages("gyrus") if " ended " in message]
    assert ends == ["the queue proxy ended (code 0)", "the process ended (code -15)"]
    assert list(short_folder.glob("*.sock")) == []
    replica.until_alone(0)


def test_a_queue_proxy_that_cannot_end_is_ended(replicas: Replicas, short_folder: Path) -> None:
    replica = replicas.run(script=SLOW, queue_proxy=True, run_dir=str(short_folder), grace=0.7)
    (endpoint,) = replica.until_phase(Phase.READY).endpoints
    Asking(endpoint, "/slow")
    replica.until(lambda _: "asked /slow" in replica.messages("stdout"))
    replica.terminate()
    assert replica.wait() == 0
    assert replica.status.processes[1].exit_code == -signal.SIGKILL
    assert replica.status.phase is Phase.GONE
    replica.until_alone(0)

"""Replicas listen at their configured addresses, on Unix sockets and on TCP alike."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from gyrus.contract.replica import HandlerConfig, Limits, Phase, ReplicaStatus
from support.replicas import SERVE, WAIT, Replicas, Running

HANDLER = "import os\nclass Handler:\n    def predict(self, payload): return os.getpid()\n"
ANSWER = """
    import http.server, os
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(str(os.getpid()).encode())
    http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answer).serve_forever()
"""


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=WAIT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(WAIT)
        self.sock.connect(self._path)


def ask(endpoint: str) -> int:
    """The pid of the process that answers there."""
    if endpoint.startswith("unix:"):
        client = UnixConnection(endpoint.removeprefix("unix:"))
    else:
        client = http.client.HTTPConnection(endpoint, timeout=WAIT)
    try:
        client.request("POST", "/", b"{}", {"content-type": "application/json"})
        answer = client.getresponse()
        assert answer.status == 200
        return int(answer.read())
    finally:
        client.close()


def addresses(kind: str, folder: Path, count: int) -> tuple[str, ...]:
    if kind == "unix":
        return tuple(f"unix:{folder}/listen.{n}" for n in range(count))
    return tuple(f"{host}:{free_port(host)}" for host in ("127.0.0.1", "0.0.0.0")[:count])


def free_port(host: str) -> int:
    with socket.create_server((host, 0)) as found:
        return found.getsockname()[1]


def serving(replicas: Replicas, folder: Path, listen: tuple[str, ...]) -> Running:
    return replicas.launch(
        handler=HandlerConfig(path="server.py"),
        processes=len(listen),
        listen=listen,
        run_dir=str(folder),
        python=sys.executable,
        script=HANDLER,
    )


def all_ready(status: ReplicaStatus) -> bool:
    return all(process.phase is Phase.READY for process in status.processes)


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_each_process_of_a_handler_listens_on_its_own_address(
    replicas: Replicas, short_folder: Path, kind: str
) -> None:
    listen = addresses(kind, short_folder, 2)
    replica = serving(replicas, short_folder, listen)
    status = replica.until(all_ready)
    assert status.endpoints == listen
    assert [ask(endpoint) for endpoint in listen] == [process.pid for process in status.processes]
    victim = status.processes[0].pid
    assert victim
    os.kill(victim, signal.SIGKILL)
    again = replica.until(lambda status: status.processes[0].restarts == 1 and all_ready(status))
    assert again.endpoints == listen
    assert ask(listen[0]) == again.processes[0].pid != victim
    replica.terminate()
    assert replica.wait() == 0
    assert not list(short_folder.glob("listen.*"))


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_the_queue_proxy_listens_there(replicas: Replicas, short_folder: Path, kind: str) -> None:
    listen = addresses(kind, short_folder, 1)
    limits = Limits(max_concurrency=1)
    replica = replicas.run(
        script=ANSWER, queue_proxy=True, limits=limits, listen=listen, run_dir=str(short_folder)
    )
    status = replica.until_phase(Phase.READY)
    assert status.endpoints == listen
    assert ask(listen[0]) == status.processes[0].pid
    replica.terminate()
    assert replica.wait() == 0


def test_a_server_that_is_not_ours_gets_that_port_every_time(replicas: Replicas) -> None:
    (listen,) = addresses("tcp", Path(), 1)
    replica = replicas.run(script=ANSWER, listen=(listen,))
    first = replica.until_phase(Phase.READY)
    assert first.endpoints == (listen,)
    pid = ask(listen)
    assert pid == first.processes[0].pid
    os.kill(pid, signal.SIGKILL)
    again = replica.until(lambda status: status.restarts == 1 and status.phase is Phase.READY)
    assert again.endpoints == (listen,)
    assert ask(listen) == again.processes[0].pid != pid


@pytest.mark.parametrize(
    ("listen", "reported"),
    [
        (("unix:/tmp/a", "unix:/tmp/b"), "listen has 2 addresses, for 1 process"),
        (("unix:/tmp/a",), "the process listens on $PORT, so that listen cannot be unix:/tmp/a"),
    ],
)
def test_addresses_that_do_not_fit_are_refused(
    replicas: Replicas, listen: tuple[str, ...], reported: str
) -> None:
    replica = replicas.run(*SERVE, listen=listen)
    assert replica.wait() != 0
    assert reported in (replica.folder / "supervisor.err").read_text()

"""A replica as in a pod: its workers listen on TCP ports, and its supervisor serves the status."""

from __future__ import annotations

import json
import socket
import textwrap
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from gyrus.contract.replica import HandlerConfig, Limits, Phase, Reason, ReplicaStatus
from gyrus.runtime.codec import decode
from support.replicas import WAIT, Replicas, Running

SLOW = """
    import pathlib, time
    class Handler:
        def __init__(self, config): ...
        def predict(self, payload):
            pathlib.Path(payload["mark"]).touch()
            time.sleep(1.0)
            return "done"
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def get(port: int, path: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=WAIT) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def post(port: int, payload: object) -> tuple[int, str | None]:
    """Returns the status, and the header that requeues."""
    data = json.dumps(payload).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", data, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=WAIT) as answer:
            return answer.status, None
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get("x-gyrus-requeue")


def start(replicas: Replicas, folder: Path, handler: str, port: int, status_port: int) -> Running:
    (folder / "project").mkdir()
    (folder / "project/handler.py").write_text(textwrap.dedent(handler))
    return replicas.launch(
        handler=HandlerConfig(path="handler.py"),
        project=str(folder / "project"),
        listen=(f"127.0.0.1:{port}",),
        status_address=f"127.0.0.1:{status_port}",
        limits=Limits(max_concurrency=1),
        grace=10.0,
    )


def until_code(port: int, code: int) -> bytes:
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        with suppress(OSError):
            answered, body = get(port, "/readyz")
            if answered == code:
                return body
        time.sleep(0.02)
    raise AssertionError(f"{code} was not answered within {WAIT} s")


def test_a_stop_requeues_what_waits_or_arrives_and_finishes_the_rest(
    replicas: Replicas, tmp_path: Path
) -> None:
    port, status_port, mark = free_port(), free_port(), tmp_path / "mark"
    running = start(replicas, tmp_path, SLOW, port, status_port)
    until_code(status_port, 200)
    with ThreadPoolExecutor() as clients:
        started = clients.submit(post, port, {"mark": str(mark)})
        while not mark.exists():
            time.sleep(0.01)
        waiting = clients.submit(post, port, {"mark": str(mark)})
        time.sleep(0.1)
        running.terminate()
        body = until_code(status_port, 503)
        assert post(port, {"mark": str(mark)}) == (503, "1")
        assert waiting.result() == (503, "1")
        assert started.result() == (200, None)
    assert json.loads(body)
    assert running.wait() == 0


def test_a_server_that_only_its_pod_can_reach_is_not_ready(replicas: Replicas) -> None:
    port = free_port()
    running = replicas.run(
        "python", "-m", "http.server", "--bind", "127.0.0.1", "$PORT", listen=(f"0.0.0.0:{port}",)
    )
    status = running.until(lambda status: "cannot reach it" in status.message)
    assert status.phase is Phase.STARTING
    assert f"it listens on 127.0.0.1:{port} alone" in status.message


def test_a_server_on_all_addresses_is_ready(replicas: Replicas) -> None:
    running = replicas.run("python", "-m", "http.server", "$PORT", listen=(f"0.0.0.0:{free_port()}",))
    running.until_phase(Phase.READY)


def test_the_status_has_the_reason_of_a_failed_start(replicas: Replicas, tmp_path: Path) -> None:
    status_port = free_port()
    running = start(replicas, tmp_path, "import missing_module", free_port(), status_port)
    running.until_phase(Phase.FAILED)
    code, body = get(status_port, "/status")
    status = decode(ReplicaStatus, body)
    assert code == 200
    assert status.reason is Reason.IMPORT
    assert "missing_module" in status.message
    assert get(status_port, "/readyz")[0] == 503

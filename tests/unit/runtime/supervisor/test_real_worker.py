"""Supervisor and worker together: a handler from its project folder to its end."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import textwrap
from pathlib import Path

from gyrus.contract.replica import HandlerConfig, Phase, Reason
from support.replicas import WAIT, Replicas, Running


def start(replicas: Replicas, folder: Path, handler: str, **files: str) -> Running:
    (folder / "project").mkdir()
    for name, text in {"handler": handler, **files}.items():
        (folder / "project" / f"{name}.py").write_text(textwrap.dedent(text))
    return replicas.launch(
        handler=HandlerConfig(path="handler.py"), run_dir=str(folder), project=str(folder / "project")
    )


def ask(endpoint: str, payload: object) -> bytes:
    body = json.dumps(payload).encode()
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(WAIT)
        client.connect(endpoint.removeprefix("unix:"))
        client.sendall(
            b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nx-request-id: r-1\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        return b"".join(iter(lambda: client.recv(4096), b""))


def test_a_handler_serves_logs_and_goes(replicas: Replicas, short_folder: Path) -> None:
    handler = """
        import os
        import helper
        class Handler:
            def __init__(self, config): print("loaded")
            def predict(self, payload):
                print("asked", flush=True)
                os.write(1, b"from below\\n")
                return {"twice": helper.twice(payload["n"])}
    """
    # The second module has the name of one of the standard library: it must not disturb the worker.
    replica = start(replicas, short_folder, handler, helper="def twice(n): return 2 * n", queue="1/0")
    (endpoint,) = replica.until_phase(Phase.READY).endpoints
    assert ask(endpoint, {"n": 21}).endswith(b'{"twice":42}')
    replica.terminate()
    assert replica.wait() == 0
    assert replica.status.processes[0].exit_code == 0
    lines = {line["message"]: line for line in replica.log}
    assert lines["asked"]["request_id"] == "r-1"
    assert "request_id" not in lines["loaded"]
    assert lines["from below"].get("stream", "stdout") == "stdout"


def test_a_missing_module_is_final_and_its_traceback_is_reported(
    replicas: Replicas, short_folder: Path
) -> None:
    replica = start(
        replicas, short_folder, "import no_such_module\nclass Handler:\n    def predict(self): ..."
    )
    status = replica.until_phase(Phase.FAILED)
    assert status.reason is Reason.IMPORT
    assert "no_such_module" in status.message
    assert status.last_lines[-1] == "ModuleNotFoundError: No module named 'no_such_module'"
    assert status.last_lines.count("Traceback (most recent call last):") == 1
    traces = [message for message in replica.messages("gyrus") if message.startswith("Traceback ")]
    assert len(traces) == 1
    assert traces[0].endswith("ModuleNotFoundError: No module named 'no_such_module'")


def test_a_failing_init_is_reported_and_tried_again(replicas: Replicas, short_folder: Path) -> None:
    handler = """
        class Handler:
            def __init__(self, config): raise RuntimeError("no weights")
            def predict(self): ...
    """
    replica = start(replicas, short_folder, handler)
    status = replica.until(lambda status: status.phase is Phase.BACKOFF and status.restarts == 1)
    assert status.reason is Reason.INIT
    assert status.last_lines[-1] == "RuntimeError: no weights"


def test_a_killed_worker_comes_back(replicas: Replicas, short_folder: Path) -> None:
    replica = start(replicas, short_folder, "class Handler:\n    def predict(self): return 1")
    pid = replica.until_phase(Phase.READY).processes[0].pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    status = replica.until(lambda status: status.restarts == 1 and status.phase is Phase.READY)
    assert ask(status.endpoints[0], {}).endswith(b"\r\n\r\n1")


def test_a_handler_that_holds_the_interpreter_is_reported_within_five_seconds(
    replicas: Replicas, short_folder: Path
) -> None:
    handler = """
        import ctypes
        class Handler:
            def predict(self):
                ctypes.PyDLL(None).sleep(8)  # does not let go of the GIL
                return 1
    """
    replica = start(replicas, short_folder, handler)
    (endpoint,) = replica.until_phase(Phase.READY).endpoints
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(endpoint.removeprefix("unix:"))
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        status = replica.until_phase(Phase.UNREADY, seconds=5)
        assert status.reason is Reason.UNRESPONSIVE
        replica.until_phase(Phase.READY)


def test_setup_runs_on_the_loop_that_serves_and_teardown_after_the_last_request(
    replicas: Replicas, short_folder: Path
) -> None:
    handler = """
        import asyncio, logging.config
        logging.config.dictConfig({"version": 1})
        class Handler:
            def __init__(self):
                self.made = asyncio.get_event_loop().create_task(self.count())
                self.number = 0
            async def count(self):
                while True:
                    self.number += 1
                    await asyncio.sleep(0.001)
            async def setup(self):
                await asyncio.sleep(0.05)
                asyncio.create_task(self.fail(), name="poll")
                print("set up")
            async def fail(self): raise ValueError("MARK")
            async def predict(self): return self.number > 0
            async def teardown(self): print("torn down")
    """
    replica = start(replicas, short_folder, handler)
    (endpoint,) = replica.until_phase(Phase.READY).endpoints
    assert ask(endpoint, {}).endswith(b"\r\n\r\ntrue")
    replica.terminate()
    assert replica.wait() == 0
    messages = [line["message"] for line in replica.log]
    assert messages.index("set up") < messages.index("torn down")
    assert [message for message in messages if "the background task poll failed" in message]


def test_a_setup_that_does_not_end_fails_the_start(replicas: Replicas, short_folder: Path) -> None:
    (short_folder / "project").mkdir()
    (short_folder / "project" / "handler.py").write_text(
        "import asyncio\nclass Handler:\n    async def setup(self): await asyncio.Event().wait()\n"
        "    def predict(self): ..."
    )
    replica = replicas.launch(
        handler=HandlerConfig(path="handler.py"),
        run_dir=str(short_folder),
        project=str(short_folder / "project"),
        start_timeout=1.5,
    )
    status = replica.until_phase(Phase.BACKOFF)
    assert status.reason is Reason.START_TIMEOUT
    assert "waiting for Handler.setup" in status.message


def test_a_failing_setup_is_reported(replicas: Replicas, short_folder: Path) -> None:
    handler = """
        class Handler:
            async def setup(self): raise ConnectionError("no database")
            def predict(self): ...
    """
    replica = start(replicas, short_folder, handler)
    status = replica.until_phase(Phase.BACKOFF)
    assert status.reason is Reason.INIT
    assert "Handler.setup failed: ConnectionError: no database (handler.py:3)" in status.message


def test_tracebacks_are_logged_whatever_the_handler_does_to_logging(
    replicas: Replicas, short_folder: Path
) -> None:
    handler = """
        import logging, os, tempfile
        class Handler:
            def predict(self):
                logging.disable(logging.CRITICAL)
                logging.getLogger().handlers.clear()
                logging.basicConfig(force=True, stream=open(os.devnull, "w"))
                with tempfile.TemporaryDirectory() as folder:
                    os.chdir(folder)
                raise ValueError("MARK")
    """
    replica = start(replicas, short_folder, handler)
    (endpoint,) = replica.until_phase(Phase.READY).endpoints
    for _ in range(2):
        assert b" 500 " in ask(endpoint, {})
    replica.terminate()
    assert replica.wait() == 0
    traces = [line for line in replica.log if "MARK" in line["message"]]
    assert {line["request_id"] for line in traces} == {"r-1"}


def test_an_async_handler_that_blocks_is_named_with_its_line(replicas: Replicas, short_folder: Path) -> None:
    handler = """
        import time
        class Handler:
            async def predict(self):
                time.sleep(8)
                return 1
    """
    replica = start(replicas, short_folder, handler)
    (endpoint,) = replica.until_phase(Phase.READY).endpoints
    blocked = re.compile(
        r"its event loop has been blocked for more than \d s at handler\.py:5 in predict: predict is async "
        r"but blocks; make it def predict, or let it await asyncio\.to_thread\(\.\.\.\)"
    )
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(WAIT)
        client.connect(endpoint.removeprefix("unix:"))
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
        status = replica.until(lambda status: status.reason is not None)
        assert (status.phase, status.reason) == (Phase.READY, Reason.UNRESPONSIVE)
        assert blocked.fullmatch(status.message)
        unready = replica.until_phase(Phase.UNREADY).message
        assert unready.startswith("GET /readyz was not answered within 3 s; its event loop has been blocked ")
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
    status = replica.until(lambda status: status.phase is Phase.READY and status.reason is None)
    assert status.message == ""
    [logged] = [message for message in replica.messages("gyrus") if "blocked" in message]
    assert blocked.fullmatch(logged.removeprefix("process 0: "))

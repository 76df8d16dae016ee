"""A handler's processes as the supervisor observes them: through their control pipe and their socket.

The worker here is a small script that speaks the same protocol as the real one.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import textwrap
from pathlib import Path
from typing import Any

from gyrus.contract.replica import HandlerConfig, Phase, Reason, ReplicaStatus
from support.replicas import Replicas, Running

WORKER = """
    import http.server, json, os, signal, socket, sys, threading, time
    control = os.fdopen(int(os.environ["GYRUS_CONTROL_FD"]), "w", buffering=1)
    config, index = json.load(open(sys.argv[-2])), sys.argv[-1]
    path = f"{config['run_dir']}/{config['id']}.{index}.sock"

    def emit(**reported):
        print(json.dumps(reported), file=control, flush=True)

    def status(phase, **more):
        emit(kind="status", phase=phase, **more)

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            code = 503 if os.path.exists("wedged") else 200
            self.send_response(code)
            self.end_headers()
        def log_message(self, *_): pass
        def address_string(self): return ""

    class Server(http.server.ThreadingHTTPServer):
        address_family = socket.AF_UNIX
        def server_bind(self): self.socket.bind(self.server_address)

    def serve():
        server = Server(path + ".new", Answer)
        os.rename(path + ".new", path)
        signal.signal(signal.SIGTERM, lambda *_: (status("draining"), sys.exit(0)))
        status("ready")
        server.serve_forever()
"""


def start(replicas: Replicas, folder: Path, script: str, **config: Any) -> Running:
    """A replica whose interpreter runs ``script`` instead of the worker."""
    program = folder / "worker.py"
    program.write_text(textwrap.dedent(WORKER) + textwrap.dedent(script))
    interpreter = folder / "python"
    interpreter.write_text(f'#!/bin/sh\nexec {sys.executable} {program} "$@"\n')
    interpreter.chmod(0o755)
    return replicas.launch(
        handler=HandlerConfig(path="handler.py"), python=str(interpreter), run_dir=str(folder), **config
    )


def test_each_process_has_its_socket(replicas: Replicas, short_folder: Path) -> None:
    replica = start(replicas, short_folder, "serve()", processes=2)
    status = replica.until(lambda status: len(status.endpoints) == 2)
    assert status.endpoints == tuple(f"unix:{short_folder}/{status.id}.{n}.sock" for n in (0, 1))

    assert status.processes[1].pid
    os.kill(status.processes[1].pid, signal.SIGKILL)
    alone = replica.until(lambda status: len(status.endpoints) == 1)
    assert alone.phase is Phase.READY
    assert alone.message == "1 of 2 processes are ready; process 1: it was killed by SIGKILL"
    back = replica.until(lambda status: len(status.endpoints) == 2)
    assert [process.restarts for process in back.processes] == [0, 1]

    replica.terminate()
    assert replica.wait() == 0
    assert [process.exit_code for process in replica.status.processes] == [0, 0]
    assert list(short_folder.glob("*.sock")) == []


def test_not_ready_before_it_reports_it(replicas: Replicas, short_folder: Path) -> None:
    script = """
        status("starting", message="loading the model")
        while not os.path.exists("go"): time.sleep(0.01)
        serve()
    """
    replica = start(replicas, short_folder, script)
    replica.until(lambda status: status.message == "loading the model" and status.phase is Phase.STARTING)
    (replica.work / "go").write_text("")
    assert replica.until_phase(Phase.READY).message == ""


def test_a_readiness_check_that_fails_is_reported_and_forgiven(
    replicas: Replicas, short_folder: Path
) -> None:
    replica = start(replicas, short_folder, "serve()")
    replica.until_phase(Phase.READY)
    sign = replica.work / "wedged"
    sign.write_text("")
    status = replica.until_phase(Phase.UNREADY, seconds=5)
    assert status.reason is Reason.UNRESPONSIVE
    assert status.message == "GET /readyz was answered with 503"
    sign.unlink()
    replica.until_phase(Phase.READY)


def _failing(reason: Reason) -> str:
    return f"""
        print("loading")
        lines = ["Traceback (most recent call last):", "ValueError: no weights"]
        status("failed", reason="{reason}", message="ValueError: no weights", lines=lines)
        sys.exit(1)
    """


def test_an_import_error_is_final(replicas: Replicas, short_folder: Path) -> None:
    replica = start(replicas, short_folder, _failing(Reason.IMPORT))
    status = replica.until_phase(Phase.FAILED)
    assert status.reason is Reason.IMPORT
    assert status.message == "ValueError: no weights"
    assert status.last_lines == ("loading", "Traceback (most recent call last):", "ValueError: no weights")
    assert status.processes[0].exit_code == 1
    assert status.restarts == 0


def test_a_failing_init_is_tried_again(replicas: Replicas, short_folder: Path) -> None:
    replica = start(replicas, short_folder, _failing(Reason.INIT))
    status = replica.until(lambda status: status.restarts == 1 and status.phase is Phase.BACKOFF)
    assert status.reason is Reason.INIT
    assert status.last_lines[-1] == "ValueError: no weights"


def test_a_start_that_takes_too_long_is_reported(replicas: Replicas, short_folder: Path) -> None:
    script = "status('starting', message='loading the model')\ntime.sleep(600)"
    replica = start(replicas, short_folder, script, start_timeout=1.0)
    status = replica.until_phase(Phase.BACKOFF)
    assert status.reason is Reason.START_TIMEOUT
    assert status.message == "the handler was not ready within 1 s of its start (loading the model)"


def test_log_lines_of_all_kinds_arrive(replicas: Replicas, short_folder: Path) -> None:
    script = """
        emit(kind="log", time=1.5, stream="stderr", level="warning", request_id="r-1", message="two\\nlines")
        control.write("not json\\n")
        control.write('{"kind": "status", "phase": "dancing"}\\n')
        control.write('{"kind": "log", "time": "never", "message": {}}\\n')
        os.write(1, b"from C \\xff\\n")
        os.write(2, b"no newline at the end")
        sys.exit(3)
    """
    replica = start(replicas, short_folder, script)
    status = replica.until_phase(Phase.BACKOFF)
    reported = [line for line in replica.log if line["message"] == "two\nlines"]
    assert reported == [
        {
            "time": 1.5,
            "replica": status.id,
            "message": "two\nlines",
            "stream": "stderr",
            "level": "warning",
            "request_id": "r-1",
        }
    ]
    gyrus = replica.messages("gyrus")
    assert "not json" in gyrus
    assert '{"kind": "status", "phase": "dancing"}' in gyrus
    assert json.dumps({"kind": "log", "time": "never", "message": {}}) in gyrus
    assert replica.messages("stdout") == ["from C \ufffd"]
    assert set(status.last_lines) == {"two", "lines", "from C \ufffd", "no newline at the end"}


def test_the_last_words_of_a_killed_process_are_kept(replicas: Replicas, short_folder: Path) -> None:
    script = """
        for number in range(2000): print("word", number)
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGSEGV)
    """
    replica = start(replicas, short_folder, script)
    status = replica.until_phase(Phase.BACKOFF)
    assert status.message == "it was killed by SIGSEGV"
    assert status.last_lines == tuple(f"word {number}" for number in range(1970, 2000))
    assert replica.messages("stdout")[:2000] == [f"word {number}" for number in range(2000)]


def test_a_missing_interpreter_is_reported(replicas: Replicas, short_folder: Path) -> None:
    replica = replicas.launch(
        handler=HandlerConfig(path="h.py"), python="/no/such/python", run_dir=str(short_folder)
    )
    status: ReplicaStatus = replica.until_phase(Phase.FAILED)
    assert status.reason is Reason.DEPENDENCIES
    assert status.message == "/no/such/python is missing; deploy again to rebuild the environment"

"""Each process of a replica has its own copy of the project, from its start until the replica's end."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from gyrus.contract.replica import HandlerConfig, Phase, Reason
from gyrus.runtime.supervisor.workspace import LARGE
from support.replicas import Replicas, Running
from unit.runtime.supervisor.test_real_worker import ask

pytestmark = pytest.mark.processes

HANDLER = """
import os, sys
import state
class Handler:
    def predict(self, payload):
        with open("seen", "a") as seen:
            seen.write(payload)
        if payload == "!":
            os.chmod(".", 0o500)
            os.kill(os.getpid(), 9)
        return {"cwd": os.getcwd(), "file": __file__, "seen": open("seen").read(), "path": sys.path[0]}
"""


def start(replicas: Replicas, folder: Path, handler: str, **config: Any) -> Running:
    project = folder / "project"
    project.mkdir()
    (project / "handler.py").write_text(handler)
    (project / "state.py").write_text("")
    return replicas.launch(
        handler=HandlerConfig(path="handler.py"), run_dir=str(folder), project=str(project), **config
    )


def asked(endpoint: str, payload: str) -> Any:
    return json.loads(ask(endpoint, payload).partition(b"\r\n\r\n")[2])


def test_processes_do_not_share_files_and_a_restart_begins_again(
    replicas: Replicas, short_folder: Path
) -> None:
    replica = start(replicas, short_folder, HANDLER, processes=2)
    one, other = replica.until(lambda status: len(status.endpoints) == 2).endpoints
    asked(one, "a")
    assert asked(one, "b")["seen"] == "ab"
    found = asked(other, "c")
    assert found == {
        "cwd": str(replica.folder / "work" / "1"),
        "file": str(replica.folder / "work" / "1" / "handler.py"),
        "path": str(replica.folder / "work" / "1"),
        "seen": "c",
    }
    ask(one, "!")
    replica.until(lambda status: status.restarts == 1 and len(status.endpoints) == 2)
    assert asked(one, "d")["seen"] == "d"
    assert sorted(os.listdir(short_folder / "project")) == ["handler.py", "state.py"]
    replica.terminate()
    assert replica.wait() == 0
    assert not (replica.folder / "work").exists()


def test_a_command_runs_in_its_own_folder(replicas: Replicas) -> None:
    replica = replicas.run(
        script="""
        import http.server, os
        open("server.py", "a").write("# used")
        print(os.getcwd(), flush=True)
        http.server.test(http.server.SimpleHTTPRequestHandler, port=int(os.environ["PORT"]), bind="127.0.0.1")
    """
    )
    replica.until_phase(Phase.READY)
    assert replica.messages("stdout")[0] == str(replica.work)
    assert not (replica.folder / "project" / "server.py").read_text().endswith("# used")
    assert (replica.work / "server.py").read_text().endswith("# used")


@pytest.mark.parametrize("process", [True, False])
def test_a_changed_package_is_not_used(replicas: Replicas, short_folder: Path, process: bool) -> None:
    (short_folder / "package").mkdir()
    (short_folder / "package" / "model.bin").write_bytes(bytes(LARGE))
    config: dict[str, Any] = {"project": str(short_folder / "package"), "run_dir": str(short_folder)}
    if process:
        replica = replicas.run("true", **config)
    else:
        replica = replicas.launch(handler=HandlerConfig(path="handler.py"), **config)
    status = replica.until_phase(Phase.FAILED)
    assert status.reason is Reason.PACKAGE
    assert "package/model.bin was changed after it was unpacked" in status.message


FORKS = """
import multiprocessing, os, time
def chatter(number):
    for line in range(200):
        print(f"{number}:{line:03}:" + "x" * 3000)
        os.write(2, b"")
class Handler:
    def __init__(self, config):
        print("unfinished", end=" ")
        fork = multiprocessing.get_context("fork").Process
        self.loaders = [fork(target=chatter, args=(number,)) for number in range(4)]
        for loader in self.loaders:
            loader.start()
    def predict(self, payload):
        for loader in self.loaders:
            loader.join()
        print("joined")
        return multiprocessing.current_process().name
"""


def test_forks_of_a_handler_log_whole_lines_and_no_protocol(replicas: Replicas, short_folder: Path) -> None:
    replica = start(replicas, short_folder, FORKS)
    (endpoint,) = replica.until_phase(Phase.READY).endpoints
    assert ask(endpoint, "").endswith(b"MainProcess")
    wanted = {f"{number}:{line:03}:" + "x" * 3000 for number in range(4) for line in range(200)}
    replica.until(lambda _: len(replica.messages("stdout")) >= len(wanted) + 2)
    assert sorted(replica.messages("stdout")) == sorted([*wanted, "unfinished ", "joined"])


LAST_WORDS = """
import os, signal, threading
class Handler:
    def predict(self, payload):
        print("user", payload, end=" ", flush=payload != "quiet")
        if payload == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if payload == "crashed":
            os.kill(os.getpid(), signal.SIGSEGV)
        if payload == "thread":
            thread = threading.Thread(target=lambda: print("from a thread", end=""))
            thread.start()
            thread.join()
        return os.getpid()
"""


def test_unfinished_lines_survive_their_request_thread_and_process(
    replicas: Replicas, short_folder: Path
) -> None:
    replica = start(replicas, short_folder, LAST_WORDS)
    (endpoint,) = replica.until_phase(Phase.READY).endpoints
    for payload in ("quiet", "thread", "killed"):
        ask(endpoint, payload)
    replica.until(lambda status: status.restarts == 1 and status.phase is Phase.READY)
    ask(endpoint, "crashed")
    replica.until(lambda status: status.restarts == 2)
    lines = [line for line in replica.log if line.get("stream", "stdout") == "stdout"]
    assert [line["message"] for line in lines] == [
        "user quiet ", "user thread ", "from a thread", "user killed ", "user crashed "
    ]  # fmt: skip
    assert [line.get("request_id") for line in lines] == ["r-1", "r-1", None, "r-1", "r-1"]


GREEDY = """
import os, resource
class Handler:
    def __init__(self, config):
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    def predict(self, payload):
        self.held = []
        while True:
            try:
                self.held.append(os.open("/dev/null", os.O_RDONLY))
            except OSError:
                return len(self.held)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="reads /proc")
def test_running_out_of_file_descriptors_has_a_name(replicas: Replicas, short_folder: Path) -> None:
    replica = start(replicas, short_folder, GREEDY)
    (endpoint,) = replica.until_phase(Phase.READY).endpoints
    ask(endpoint, "")
    status = replica.until_phase(Phase.UNREADY)
    wanted = "all its 256 file descriptors are in use: close files and connections, or raise ulimit -n"
    assert wanted in status.message
    assert any(wanted in message for message in replica.messages("gyrus"))

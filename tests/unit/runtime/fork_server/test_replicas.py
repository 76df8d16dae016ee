"""A fork server and its forks, from loading to the end."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from gyrus.contract.fork_server import ForkServerPhase, Preload
from gyrus.contract.replica import Phase, Reason, StartKind
from support.fork_servers import ForkServerUnderTest, StartForkServer, look_for
from support.looking import has_ended

pytestmark = [pytest.mark.processes, pytest.mark.skipif(sys.platform != "linux", reason="forks need Linux")]

HANDLER = """
import logging, os, random, signal
import numpy

print("imported")
IMPORTED_BY = os.getpid()
os.environ["LEFT_BY_MODULE"] = "yes"
signal.signal(signal.SIGHUP, signal.SIG_IGN)
KEPT = open(__file__)
LOG = logging.getLogger("mine")

class Handler:
    def __init__(self, config):
        self.made_by = os.getpid()
        self.step = config["step"]
        self.count = 0
        self.table = numpy.ones((4, 4))

    def predict(self, payload):
        print("asked", flush=True)
        LOG.warning("logged")
        self.count += self.step
        return {
            "count": self.count, "pid": os.getpid(), "imported_by": IMPORTED_BY, "made_by": self.made_by,
            "random": random.random(), "numpy": float(numpy.random.random()), "cwd": os.getcwd(),
            "env": {k: os.environ.get(k) for k in payload["env"]},
            "hangup": signal.getsignal(signal.SIGHUP) == signal.SIG_IGN,
            "kept": len(KEPT.read()) > 0,
            "files": [os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")
                      if os.path.lexists(f"/proc/self/fd/{n}")],
        }
"""
ASKED = {"env": ["GYRUS_REPLICA", "LEFT_BY_MODULE", "OPENBLAS_NUM_THREADS", "MINE", "GYRUS_RESTRAINED"]}


def pid_of(fork_server: ForkServerUnderTest) -> int:
    return fork_server.until(ForkServerPhase.READY).pid


def test_replicas_are_forks_and_share_nothing_that_changes(fork_server: StartForkServer) -> None:
    lot = fork_server(HANDLER, env={"MINE": "1"})
    assert lot.until(ForkServerPhase.READY).memory > 10_000_000
    first, second = lot.order(), lot.order()
    statuses = [first.until_ready(), second.until_ready()]
    assert {status.start for status in statuses} == {StartKind.WARM}
    one, other = first.ask(ASKED), second.ask(ASKED)
    assert one["imported_by"] == other["imported_by"] == pid_of(lot)
    assert one["made_by"] == one["pid"] == statuses[0].processes[0].pid
    assert other["made_by"] == other["pid"] != one["pid"]
    assert one["count"] == other["count"] == 1
    assert first.ask(ASKED)["count"] == 2
    assert one["random"] != other["random"]
    assert one["numpy"] != other["numpy"]


def test_a_fork_finds_itself_as_if_it_had_started_again(fork_server: StartForkServer) -> None:
    """But for what its module has left: that is there once, and kept."""
    lot = fork_server(HANDLER, env={"MINE": "1"})
    pid_of(lot)
    fork = lot.order()
    fork.until_ready()
    found = fork.ask(ASKED)
    assert found["env"] == {
        "GYRUS_REPLICA": fork.folder.name,
        "LEFT_BY_MODULE": "yes",
        "OPENBLAS_NUM_THREADS": None,
        "GYRUS_RESTRAINED": None,
        "MINE": "1",
    }
    assert found["cwd"] == str(fork.folder / "work" / "0")
    assert found["hangup"]
    assert found["kept"]
    assert not [file for file in found["files"] if "replica.log" in file or "output.log" in file]
    look_for(lambda: "asked" in fork.lines, fork.reported)
    assert fork.lines["asked"]["request_id"] == "r-1"
    assert fork.lines["mine: logged"]["request_id"] == "r-1"
    assert "imported" not in fork.lines
    assert "imported" in lot.output
    assert (fork.folder / "supervisor.err").read_text() == ""


def test_an_instance_that_is_made_before_is_shared(fork_server: StartForkServer) -> None:
    lot = fork_server(HANDLER, preload=Preload.MODEL)
    pid = pid_of(lot)
    first, second = lot.order(), lot.order()
    for fork in (first, second):
        fork.until_ready()
        found = fork.ask(ASKED)
        assert found["made_by"] == pid
        assert found["count"] == 1


def test_all_processes_of_a_replica_are_forks(fork_server: StartForkServer) -> None:
    lot = fork_server(HANDLER)
    pid_of(lot)
    fork = lot.order(processes=2)
    fork.until(lambda status: len(status.endpoints) == 2)
    one, other = (fork.ask(ASKED, process) for process in (0, 1))
    assert one["imported_by"] == other["imported_by"] == pid_of(lot)
    assert one["pid"] != other["pid"]
    assert one["random"] != other["random"]


def test_it_is_seen_as_what_it_has_become(fork_server: StartForkServer) -> None:
    lot = fork_server(HANDLER)
    pid_of(lot)
    fork = lot.order()
    status = fork.until_ready()
    supervisor = psutil.Process(fork.pid)
    words = [word for word in supervisor.cmdline() if word]
    assert words[1:] == ["-I", "-m", "gyrus.runtime.supervisor", str(fork.folder / "config.json")]
    assert supervisor.environ()["GYRUS_REPLICA"] == fork.folder.name
    assert os.getsid(fork.pid) == os.getpgid(fork.pid) == fork.pid == status.pid
    assert status.pid_started == pytest.approx(supervisor.create_time(), abs=0.02)
    (worker,) = supervisor.children()
    assert [word for word in worker.cmdline() if word][3:] == [
        "gyrus.runtime.worker",
        str(fork.folder / "config.json"),
        "0",
    ]
    assert worker.environ()["GYRUS_REPLICA"] == fork.folder.name


def test_it_drains_and_ends_and_leaves_nothing(fork_server: StartForkServer) -> None:
    lot = fork_server(HANDLER)
    pid_of(lot)
    fork = lot.order()
    worker = fork.until_ready().processes[0].pid
    assert worker
    fork.end()
    assert fork.status.phase is Phase.GONE
    assert fork.status.processes[0].exit_code == 0
    assert has_ended(worker)
    assert not psutil.Process(lot.process.pid).children()  # no zombie either


def test_a_killed_worker_is_forked_again(fork_server: StartForkServer) -> None:
    lot = fork_server(HANDLER)
    pid_of(lot)
    fork = lot.order()
    worker = fork.until_ready().processes[0].pid
    assert worker
    os.kill(worker, signal.SIGKILL)
    status = fork.until(lambda status: status.restarts == 1 and status.phase is Phase.READY)
    assert status.start is StartKind.WARM
    found = fork.ask(ASKED)
    assert found["imported_by"] == lot.process.pid
    assert found["count"] == 1


def test_a_killed_supervisor_takes_its_worker_along(fork_server: StartForkServer) -> None:
    lot = fork_server(HANDLER)
    pid_of(lot)
    fork, other = lot.order(), lot.order()
    worker = fork.until_ready().processes[0].pid
    assert worker
    other.until_ready()
    os.kill(fork.pid, signal.SIGKILL)
    look_for(lambda: has_ended(worker), fork.reported)
    assert other.ask(ASKED)["count"] == 1


def test_replicas_go_on_without_the_fork_server(fork_server: StartForkServer) -> None:
    lot = fork_server(HANDLER)
    pid_of(lot)
    fork = lot.order()
    worker = fork.until_ready().processes[0].pid
    assert worker
    os.kill(lot.process.pid, signal.SIGKILL)
    lot.process.wait()
    assert fork.ask(ASKED)["count"] == 1
    os.kill(worker, signal.SIGKILL)
    status = fork.until(lambda status: status.restarts == 1 and status.phase is Phase.READY)
    assert status.start is StartKind.WARM
    fork.end()


def test_an_exit_code_is_reported(fork_server: StartForkServer) -> None:
    handler = """
        import os
        class Handler:
            def predict(self, payload): os._exit(7)
    """
    lot = fork_server(handler)
    pid_of(lot)
    fork = lot.order()
    fork.until_ready()
    with pytest.raises(ValueError, match="Expecting value"):
        fork.ask({})
    status = fork.until(lambda status: status.restarts == 1)
    assert status.processes[0].exit_code == 7


def test_what_dies_before_it_is_ready_is_loaded_again(fork_server: StartForkServer) -> None:
    """What a fork of it cannot do, a process of its own may be able to."""
    handler = """
        import os
        IMPORTED_BY = os.getpid()
        class Handler:
            def __init__(self, config):
                if IMPORTED_BY != os.getpid(): raise RuntimeError("not in a fork")
            def predict(self, payload): return 1
    """
    lot = fork_server(handler)
    pid_of(lot)
    fork = lot.order()
    failed = fork.until(lambda status: status.phase is Phase.BACKOFF)
    assert failed.reason is Reason.INIT
    assert failed.last_lines[-1] == "RuntimeError: not in a fork"
    status = fork.until_ready()
    assert status.start is StartKind.COLD
    assert status.cold_because == "a fork of the fork server died before it was ready"


def test_a_client_that_orders_and_leaves_gets_nothing(fork_server: StartForkServer) -> None:
    lot = fork_server(HANDLER)
    pid_of(lot)
    with lot.call() as line:
        line.send(os.fsencode(lot.prepare()))
        line.recv(4096)
    with lot.call():
        pass
    silent = lot.call()  # delays no other
    fork = lot.order()
    fork.until_ready()
    silent.close()
    look_for(lambda: len(psutil.Process(lot.process.pid).children()) == 1, lambda: lot.output)
    assert not (lot.root / "a-1-00000" / "status.json").exists()


def test_an_order_of_another_revision_is_refused(fork_server: StartForkServer) -> None:
    lot = fork_server(HANDLER)
    pid_of(lot)
    assert lot.refusal(revision=2, env={"A": "1"}).endswith(
        "differs from the fork server's in: revision, env"
    )
    assert "cannot be read" in lot.refusal(id=7)


def test_an_order_with_a_name_that_does_not_fit_is_refused(fork_server: StartForkServer) -> None:
    lot = fork_server(HANDLER)
    pid_of(lot)
    far: Path = lot.root / ("x" * 200)
    lot.prepare().parent.rename(far)
    with lot.call() as line:
        line.send(os.fsencode(far / "config.json"))
        assert b"its command line cannot be replaced" in line.recv(4096)


UNPICKLING = """
import pickle

class Scaler:
    pass

MODEL = pickle.loads(b"c__main__\\nScaler\\n)\\x81.")

class Handler:
    def predict(self, payload):
        return type(pickle.loads(b"c__main__\\nScaler\\n)\\x81.")) is type(MODEL) is Scaler
"""


def test_an_object_that_was_pickled_in_a_script(fork_server: StartForkServer) -> None:
    lot = fork_server(UNPICKLING)
    pid_of(lot)
    fork = lot.order()
    fork.until_ready()
    assert fork.ask({}) is True


FOLDERS = """
import os, sys
from pathlib import Path
import helper
HERE = Path(__file__).parent
Path("made_by_module").write_text("module")

class Handler:
    def predict(self, payload):
        if payload == "fail":
            raise ValueError(payload)
        with open("seen", "a") as seen:
            seen.write(payload)
        import late
        return {
            "cwd": os.getcwd(), "file": __file__, "helper": helper.__file__, "late": late.__file__,
            "path": sys.path[0], "seen": open("seen").read(), "made": open("made_by_module").read(),
            "project": os.environ["GYRUS_PROJECT"], "writable": os.access("handler.py", os.W_OK),
        }
"""


@pytest.mark.parametrize("preload", [Preload.MODULE, Preload.MODEL])
def test_each_fork_works_in_a_copy_of_the_fork_server_s_folder(
    fork_server: StartForkServer, preload: Preload
) -> None:
    lot = fork_server(FOLDERS, preload=preload, files={"helper.py": "", "late.py": ""})
    pid_of(lot)
    first, second = lot.order(processes=2), lot.order()
    first.until(lambda status: len(status.endpoints) == 2)
    second.until_ready()
    for fork, process in ((first, 0), (first, 1), (second, 0)):
        work = fork.folder / "work" / str(process)
        fork.ask("a", process)
        assert fork.ask("b", process) == {
            "cwd": str(work),
            "file": str(work / "handler.py"),
            "helper": str(work / "helper.py"),
            "late": str(work / "late.py"),
            "path": str(work),
            "seen": "ab",
            "made": "module",
            "project": str(work),
            "writable": True,
        }
    first.ask("fail")
    look_for(
        lambda: any('  File "handler.py", line 11, in predict' in line for line in first.lines),
        first.reported,
    )
    loaded = lot.folder / "work" / "0"
    assert not (loaded / "seen").exists()
    assert not (loaded / "handler.py").stat().st_mode & 0o222, "forks know its path from the import"
    assert not (lot.root / "project" / "made_by_module").exists()
    second.end()
    assert not (second.folder / "work").exists()

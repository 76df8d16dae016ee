"""State that does not survive a fork is detected and reported."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from gyrus.contract.fork_server import ForkServerPhase, Preload
from support.fork_servers import StartForkServer

pytestmark = [pytest.mark.processes, pytest.mark.skipif(sys.platform != "linux", reason="forks need Linux")]

WITHOUT_EFFECT = "class Handler:\n    def predict(self, payload): return 1\n"
THREADS = """
import threading, time
for name in "ab":
    threading.Thread(target=time.sleep, args=(60,), name=name, daemon=True).start()
"""
PROCESS = "import subprocess\nchild = subprocess.Popen(['sleep', '60'])\n"
CUDA = """
import sys, types
sys.modules["torch"] = torch = types.ModuleType("torch")
torch.cuda = types.SimpleNamespace(is_initialized=lambda: True)
"""
ON_SIGNAL = """
import signal, threading, time
signal.signal(signal.SIGUSR1, lambda *_: threading.Thread(target=time.sleep, args=(60,)).start())
"""
EVENT_LOOP = """
import asyncio
loop = asyncio.new_event_loop()
"""
IN_INIT = """
import threading, time
class Handler:
    def __init__(self, config):
        threading.Thread(target=time.sleep, args=(60,), name="loader", daemon=True).start()
    def predict(self, payload): return 1
"""


@pytest.mark.parametrize(
    ("handler", "because"),
    [
        (THREADS, "importing handler.py started 2 threads: a, b"),
        (PROCESS, "importing handler.py started 1 process: sleep"),
        (CUDA, "importing handler.py initialised CUDA"),
        (EVENT_LOOP, "importing handler.py opened an event loop"),
        ("import no_such_module\n", "handler.py cannot be imported: ModuleNotFoundError: No module named"),
        ("raise SystemExit(3)\n", "handler.py cannot be imported: SystemExit: 3"),
        (
            "import os\nos.environ['GYRUS_REPLICA']\n",
            "handler.py cannot be imported: KeyError: 'GYRUS_REPLICA'",
        ),
    ],
    ids=["threads", "process", "CUDA", "event loop", "missing module", "exit", "depends on the replica"],
)
def test_it_gets_no_fork_server(fork_server: StartForkServer, handler: str, because: str) -> None:
    lot = fork_server(handler + WITHOUT_EFFECT)
    assert lot.until(ForkServerPhase.IMPOSSIBLE).because.startswith(because)
    assert lot.process.wait(20) == 1


def test_threads_of_an_instance_matter_where_that_is_made(fork_server: StartForkServer) -> None:
    lot = fork_server(IN_INIT, preload=Preload.MODEL)
    status = lot.until(ForkServerPhase.IMPOSSIBLE)
    assert status.because == "making the instance of handler.py started 1 thread: loader"
    lot = fork_server(IN_INIT, preload=Preload.MODULE)
    lot.until(ForkServerPhase.READY)
    assert lot.order().until_ready()


def test_a_thread_that_starts_later_ends_it(fork_server: StartForkServer) -> None:
    lot = fork_server(ON_SIGNAL + WITHOUT_EFFECT)
    os.kill(lot.until(ForkServerPhase.READY).pid, signal.SIGUSR1)
    with lot.call() as line:
        assert line.recv(100) == b""
    assert (
        lot.until(ForkServerPhase.IMPOSSIBLE).because == "a thread was started after the handler was loaded"
    )

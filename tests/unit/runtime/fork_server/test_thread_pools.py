"""Libraries with their own threads: none before the fork, the usual number after it."""

from __future__ import annotations

import ctypes
import os
import sys

import pytest

from gyrus.contract.fork_server import ForkServerPhase
from gyrus.runtime.fork_server import thread_pools
from support.fork_servers import StartForkServer, look_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks need Linux")

COUNTS = """
import ctypes, os
import numpy

def threads():
    path = next(l.split()[-1] for l in open("/proc/self/maps") if "openblas" in l)
    names = [f"{p}openblas_get_num_threads{s}" for p in ("scipy_", "") for s in ("64_", "")]
    library = ctypes.CDLL(path)
    return next(getattr(library, name)() for name in names if hasattr(library, name))

BEFORE = threads()

class Handler:
    def predict(self, payload):
        return {"before": BEFORE, "now": threads(), "variable": os.environ.get("OPENBLAS_NUM_THREADS")}
"""


@pytest.mark.processes
def test_openblas_has_its_threads_a_moment_after_the_fork(fork_server: StartForkServer) -> None:
    lot = fork_server(COUNTS)
    lot.until(ForkServerPhase.READY)
    fork = lot.order()
    fork.until_ready()
    assert fork.ask({})["before"] == 1
    wanted = {"before": 1, "now": len(os.sched_getaffinity(0)), "variable": None}
    look_for(lambda: True if fork.ask({}) == wanted else None, fork.reported)


@pytest.mark.processes
def test_openblas_has_as_many_as_the_user_asks_for(fork_server: StartForkServer) -> None:
    lot = fork_server(COUNTS, env={"OPENBLAS_NUM_THREADS": "3"})
    lot.until(ForkServerPhase.READY)
    fork = lot.order()
    fork.until_ready()
    wanted = {"before": 1, "now": 3, "variable": "3"}
    look_for(lambda: True if fork.ask({}) == wanted else None, fork.reported)


def test_openmp_works_alone_while_it_is_restrained() -> None:
    try:
        gomp = ctypes.CDLL("libgomp.so.1")
    except OSError:
        pytest.skip("there is no libgomp")
    before = gomp.omp_get_max_threads()
    gomp.omp_set_num_threads(3)
    try:
        restraint = thread_pools.restrain()
        assert gomp.omp_get_max_threads() == 1
        thread_pools.release(restraint)
        assert gomp.omp_get_max_threads() == 3
    finally:
        gomp.omp_set_num_threads(before)


def test_torch_works_alone_while_it_is_restrained(monkeypatch: pytest.MonkeyPatch) -> None:
    class Torch:
        threads = 7

        def get_num_threads(self) -> int:
            return self.threads

        def set_num_threads(self, number: int) -> None:
            self.threads = number

    torch = Torch()
    monkeypatch.setitem(sys.modules, "torch", torch)
    restraint = thread_pools.restrain()
    assert torch.threads == 1
    thread_pools.release(restraint)
    assert torch.threads == 7


def test_random_numbers_of_numpy_begin_again() -> None:
    import numpy as np

    state = np.random.get_state()
    try:
        np.random.seed(1)
        first = np.random.random()
        np.random.seed(1)
        thread_pools.reseed()
        assert np.random.random() != first
    finally:
        np.random.set_state(state)

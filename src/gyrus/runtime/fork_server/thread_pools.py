"""Thread pools of numeric libraries: limited to one thread during loading, restored after the fork.

OpenBLAS starts its threads when it is loaded, so an environment variable limits it. OpenMP and torch start
theirs with the first parallel work, so they are limited before the instance is created, in the thread that
creates it.

New threads of OpenBLAS spin for about 30 ms before they sleep, which delays a start on few cores: iris took
200 ms instead of 30 ms on two (2026-11-25). So a fork restores them a moment later.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

OPENBLAS = "OPENBLAS_NUM_THREADS"
MOMENT = 1.0
"""Seconds after the fork until OpenBLAS gets its threads."""
_RESTRAINED = "GYRUS_RESTRAINED"
"""Variable with the former value of ``OPENBLAS_NUM_THREADS``; empty if there was none."""
_ASKED = (OPENBLAS, "GOTO_NUM_THREADS", "OMP_NUM_THREADS")
"""Variables by which users set the number of OpenBLAS threads; the first one that is set counts."""
_OPENBLAS_SETTERS = (
    "scipy_openblas_set_num_threads64_",
    "scipy_openblas_set_num_threads",
    "openblas_set_num_threads64_",
    "openblas_set_num_threads",
)
_OPENMP = ("libgomp", "libiomp", "libomp")


@dataclass(frozen=True, slots=True)
class ThreadPoolLimits:
    """Numbers of threads without the limit."""

    openmp: Mapping[str, int] = field(default_factory=dict[str, int])
    """By path of the library."""
    torch: int | None = None
    """Threads of torch; None means that torch is not loaded."""


def restrained(env: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which importing numpy starts no thread."""
    return {**env, OPENBLAS: "1", _RESTRAINED: env.get(OPENBLAS, "")}


def restrain() -> ThreadPoolLimits:
    """Limit the loaded libraries to this thread, and return the numbers of threads before."""
    torch = sys.modules.get("torch")
    before = ThreadPoolLimits(
        openmp={path: _openmp(path).omp_get_max_threads() for path in _loaded(*_OPENMP)},
        torch=torch.get_num_threads() if torch else None,
    )
    _apply(ThreadPoolLimits(openmp=dict.fromkeys(before.openmp, 1), torch=1))
    return before


def release(restraint: ThreadPoolLimits) -> None:
    """Restore, in a fork, the numbers of threads that the libraries would have without the limit."""
    _apply(restraint)
    before = os.environ.pop(_RESTRAINED, None)
    if before is not None:
        os.environ.pop(OPENBLAS, None)
        os.environ |= {OPENBLAS: before} if before else {}
        threading.Thread(target=_release_openblas, args=(_wanted(),), name="OpenBLAS", daemon=True).start()


def reseed() -> None:
    """Reseed numpy, so that forks do not draw the same numbers. :mod:`random` reseeds itself."""
    if numpy_random := sys.modules.get("numpy.random"):
        numpy_random.seed()


def _apply(threads: ThreadPoolLimits) -> None:
    for path, number in threads.openmp.items():
        _openmp(path).omp_set_num_threads(ctypes.c_int(number))
    if threads.torch and (torch := sys.modules.get("torch")):
        torch.set_num_threads(threads.torch)


def _release_openblas(threads: int) -> None:
    time.sleep(MOMENT)
    for path in _loaded("openblas"):
        _set_openblas(path, threads)


def _wanted() -> int:
    """Return the number of threads that OpenBLAS would choose itself."""
    given = (os.environ.get(name, "").strip() for name in _ASKED)
    return next((int(text) for text in given if text.isdigit() and int(text)), len(os.sched_getaffinity(0)))


def _loaded(*parts: str) -> Iterator[str]:
    """Return the paths of the loaded libraries whose file names contain one of these parts."""
    with open("/proc/self/maps") as maps:
        mapped = {line.split(None, 5)[5].rstrip("\n") for line in maps if ".so" in line}
    return (path for path in sorted(mapped) if any(part in os.path.basename(path) for part in parts))


def _set_openblas(path: str, threads: int) -> None:
    library = ctypes.CDLL(path)
    for setter in _OPENBLAS_SETTERS:
        if function := getattr(library, setter, None):
            function(ctypes.c_int(threads))
            return


def _openmp(path: str) -> ctypes.CDLL:
    return ctypes.CDLL(path)

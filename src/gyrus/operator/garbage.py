"""Short garbage collections, so that they do not block the event loop.

A full collection visits every object that is alive: 0.3 s for 100,000 replicas, at any moment. So the objects
that survive one are frozen (:func:`gc.freeze`), and the next one visits only newer objects. Reference
counting still frees frozen objects. Only cycles of them remain until the thorough collection, which visits
everything. It waits until garbage can matter, and then for a moment in which no request waits for the
operator.
"""

from __future__ import annotations

import gc
import resource
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

from gyrus.aio.clock import Clock

# A collection visits the objects that were created since the last one of its generation. With these
# thresholds, a full one follows each middle one and visits some 4,200 objects, in 1 to 2 ms. With Python's
# (and freezing), it visits 23,000. The sum does not grow: each object is still visited three times at most.
MIDDLE = 2
"""Collections of the youngest generation before one of the middle generation (Python's default is 10)."""
FULL = 0
"""Collections of the middle generation before a full one becomes due (Python's default is 10)."""

LOOK = 60.0
"""Seconds between two looks at the memory in use."""
GROWTH = 0.25
"""Part by which the operator's peak of memory grows before a thorough collection is due. Python's own rule is
the same, for the number of objects."""
LONGEST = 24 * 3600.0
"""Seconds after which one is due in any case: garbage may hold more than memory, such as open files."""
QUIET_LOOK = 1.0
"""Seconds between two looks for a quiet moment."""
PATIENCE = 600.0
"""Seconds for which a due collection waits for a quiet moment."""


@contextmanager
def short_collections() -> Generator[None]:
    """Freeze the objects that are alive now, and those that survive a full collection in the block."""
    thresholds = gc.get_threshold()
    gc.set_threshold(thresholds[0], MIDDLE, FULL)
    gc.callbacks.append(_freeze_survivors)
    _freeze()
    try:
        yield
    finally:
        gc.callbacks.remove(_freeze_survivors)
        gc.set_threshold(*thresholds)
        gc.unfreeze()


def peak_of_memory() -> int:
    """Return the most memory that this process has used, in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


async def collect_garbage(
    clock: Clock, quiet: Callable[[], bool], peak: Callable[[], int] = peak_of_memory
) -> None:
    """Collect thoroughly whenever garbage can matter, until cancelled.

    ``quiet``: returns True if no request waits for the operator. ``peak``: returns the most memory that was
    in use, in bytes.
    """
    while True:
        await _growth(clock, peak)
        await _quiet_moment(clock, quiet)
        collect_thoroughly()


async def _growth(clock: Clock, peak: Callable[[], int]) -> None:
    """Wait until the peak of memory has grown by GROWTH, or for LONGEST."""
    # A leak raises the peak sooner or later. Until then it uses memory that the process has had before. What
    # an operator needs first (its APIs, the gateway's configuration) is no growth, so the sleep comes first.
    began = clock.monotonic()
    await clock.sleep(LOOK)
    before = peak()
    while peak() < before * (1 + GROWTH) and clock.monotonic() - began < LONGEST:
        await clock.sleep(LOOK)


async def _quiet_moment(clock: Clock, quiet: Callable[[], bool]) -> None:
    """Wait for a moment without waiting requests, for at most PATIENCE."""
    began = clock.monotonic()
    while not quiet() and clock.monotonic() - began < PATIENCE:
        await clock.sleep(QUIET_LOOK)


def collect_thoroughly() -> None:
    """Collect all garbage, that of frozen objects too, and freeze the rest."""
    gc.unfreeze()
    gc.collect()
    _freeze()


def _freeze() -> None:
    gc.freeze()
    # This collection visits almost no object. Python derives from that number when the next full one is
    # worthwhile: it would otherwise wait for a quarter as many new objects as are frozen now.
    gc.collect()


def _freeze_survivors(phase: str, info: dict[str, int]) -> None:
    """Freeze the survivors of a full collection. The collector calls this at its start and end."""
    if phase == "stop" and info["generation"] == 2:
        gc.freeze()

"""Intervals of requeueing and balancing, for the gate, the runtime and the simulator. In seconds."""

from __future__ import annotations

REQUEUE_EVERY = 0.001
"""Between two requests that one replica requeues, or that the gate releases to the replicas of one API.

Requests that are sent all at once would reach the same replica, because the gateway has not yet counted any
of them.
"""

LOOK_EVERY = 0.025
"""Between two passes over the queues of an API that has waiting requests."""

ASKING = 0.0001
"""Cost of asking one process about its queue: the operator's own time, without the wait for the answer."""

REST = 20
"""Multiple of the operator's own time for a pass for which the API is left alone after it."""

LONGEST_REPORTED = 256
"""Number of its oldest waiting requests for which a process reports the waiting time."""


def pause_after(processes: int) -> float:
    """Return the seconds between two passes that ask this number of processes.

    The time that the operator waits for answers is not counted: it is free for other work then, and the
    queues of a busy process, which answers late, need the next pass as soon as any other.
    """
    return max(LOOK_EVERY, REST * ASKING * processes)

"""Intervals of requeueing and balancing, for the gate, the runtime and the simulator. In seconds."""

from __future__ import annotations

REQUEUE_EVERY = 0.001
"""Between two requests that one replica requeues, or that the gate releases to the replicas of one API.

Requests that are sent all at once would reach the same replica, because the gateway has not yet counted any
of them.
"""

LOOK_EVERY = 0.025
"""Between two passes over the queues of an API that has waiting requests."""

REST = 20
"""Multiple of a pass's duration for which the API is left alone after it."""

LONGEST_REPORTED = 256
"""Number of its oldest waiting requests for which a process reports the waiting time."""

"""How fast waiting requests are looked after: for those who do it, and for who rehearses it. In seconds."""

from __future__ import annotations

REQUEUE_EVERY = 0.001
"""Between two requests that one replica gives back, or that are released to one API's replicas. All at once
would find the same replica, where the gateway has not yet counted any."""

LOOK_EVERY = 0.025
"""Between two looks at the queues of an API of which somebody waits."""

REST = 20
"""After a look, that API is left alone for so many times as long as the look took."""

LONGEST_REPORTED = 256
"""Of how many requests, the oldest ones, a process tells how long they have waited."""

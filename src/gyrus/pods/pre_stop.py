"""The pre-stop hook of a replica, ``python /gyrus/pre_stop.py ORDER``: wait until no gateway routes to it.

ORDER is a JSON object with the arguments of :func:`wait`. The operator knows what the gateways use: a pod
that it stops itself ends at once, and one that others delete ends when all gateways have left it. The fetcher
has put the program into the pod's volume, since it also runs in images that the user built: it needs nothing
but the standard library, and Python 3.7 can read it.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from collections.abc import Callable

CONNECT_TIMEOUT = 2.0
AGAIN = 0.5
"""Seconds between two attempts to reach the operator."""
UNROUTED = 204
ROUTED = 202

Ask = Callable[[float], "int | None"]
"""Asks the operator, for at most these seconds. Returns the status of its answer, or None without one."""


def wait(url: str, pod: str, proof: str, ca: str, pause: float, longest: float) -> None:
    """Return when the pod may end. Times in seconds.

    ``pause``: the time to serve on if the operator does not answer, because it is away or of an earlier
    release. ``longest``: the time if it answers that a gateway may still route to the pod.
    """

    def ask(seconds: float) -> int | None:
        return _ask(url, f"{pod}.{proof}", ca, seconds)

    wait_for(ask, pause, longest, time.sleep, time.monotonic)


def wait_for(
    ask: Ask, pause: float, longest: float, sleep: Callable[[float], None], monotonic: Callable[[], float]
) -> None:
    """Ask until no gateway routes to the pod, or until the time is over."""
    began, bound = monotonic(), pause
    while True:
        left = began + bound - monotonic()
        if left <= 0:
            return
        status = ask(left)
        if status == UNROUTED:
            return
        if status == ROUTED:
            bound = longest
        else:
            sleep(min(AGAIN, left))


def _ask(url: str, credential: str, ca: str, seconds: float) -> int | None:
    try:
        import ssl  # a Python without it must still pause

        _, _, authority, path = url.split("/", 3)
        context = ssl.create_default_context(cafile=ca)
        connection = http.client.HTTPSConnection(
            authority, timeout=min(CONNECT_TIMEOUT, seconds), context=context
        )
        try:
            connection.connect()
            connection.sock.settimeout(seconds)
            connection.request("GET", f"/{path}", headers={"authorization": f"Bearer {credential}"})
            return connection.getresponse().status
        finally:
            connection.close()
    except (OSError, ValueError, ImportError, http.client.HTTPException):
        return None


if __name__ == "__main__":
    wait(**json.loads(sys.argv[1]))

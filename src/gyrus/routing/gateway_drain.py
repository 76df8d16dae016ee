"""``python -m gyrus.routing.gateway_drain``: what a gateway's pod does before Kubernetes ends it.

The Service may send new connections for some seconds after the pod's deletion. Envoy therefore serves on, and
closes each connection after its next answer. The program ends once no request is in progress.
"""

from __future__ import annotations

import asyncio
import re
import sys
from contextlib import suppress

from gyrus.aio.clock import Clock, SystemClock
from gyrus.routing.admin import Admin, AdminError
from gyrus.routing.gateway_pod import PodFiles

LEAST = 6.0
"""Seconds for all nodes to learn that the pod gets no new connections."""
EVERY = 0.25
ACTIVE = r"/stats?filter=^http\.gyrus\.downstream_rq_active$"
_VALUE = re.compile(r": (\d+)$", re.MULTILINE)


async def drain(admin: Admin, clock: Clock, least: float = LEAST) -> None:
    """Let Envoy finish. Returns when it has no request any more; Kubernetes bounds the time."""
    began = clock.monotonic()
    with suppress(AdminError):
        await admin.request("POST", "/healthcheck/fail")
    while clock.monotonic() - began < least or await _active(admin):
        await clock.sleep(EVERY)


async def _active(admin: Admin) -> int:
    """Return the clients' requests in progress. An Envoy that does not answer has none."""
    try:
        text = (await admin.request("GET", ACTIVE)).decode()
    except AdminError:
        return 0
    return sum(int(value) for value in _VALUE.findall(text))


if __name__ == "__main__":
    asyncio.run(drain(Admin(PodFiles().envoy.admin), SystemClock()))
    sys.exit(0)

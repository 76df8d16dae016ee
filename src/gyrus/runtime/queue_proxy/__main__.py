"""The program ``python -m gyrus.runtime.queue_proxy <config.json>``."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from functools import partial

from gyrus.contract.replica import ReplicaConfig
from gyrus.runtime.codec import decode
from gyrus.runtime.private_calls import PrivateCalls
from gyrus.runtime.queue_proxy.proxy import QueueProxy
from gyrus.runtime.queue_proxy.upstream import ConnectionPool
from gyrus.runtime.server.server import bind
from gyrus.runtime.telemetry.backlog_signal import BacklogSignal

CONTROL_FD = "GYRUS_CONTROL_FD"
UPSTREAM = "GYRUS_UPSTREAM"
"""Environment variable with ``host:port`` of the server behind the proxy."""


def main(path: str) -> None:
    with open(path, "rb") as file:
        config = decode(ReplicaConfig, file.read())
    host, _, port = os.environ[UPSTREAM].rpartition(":")
    announce = partial(_announce, int(os.environ.pop(CONTROL_FD)))
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(config, host, int(port), announce))


async def _serve(config: ReplicaConfig, host: str, port: int, announce: partial[None]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    pool = ConnectionPool(host, port, config.limits.max_header)
    signal_backlog = BacklogSignal(config.backlog_socket, config.api)
    private_calls = PrivateCalls(config.proof.encode())
    proxy = QueueProxy(config.limits, pool, signal_backlog, private_calls=private_calls)
    await proxy.run(bind(config.address(0)), stop, announce)


def _announce(control: int, phase: str) -> None:
    os.write(control, json.dumps({"kind": "status", "phase": phase}).encode() + b"\n")


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.Loop


if __name__ == "__main__":
    main(sys.argv[1])

"""Puts together what runs one handler."""

from __future__ import annotations

import asyncio

from gyrus.contract.replica import ReplicaConfig
from gyrus.runtime.calls.call import Call
from gyrus.runtime.calls.desk import Desk
from gyrus.runtime.calls.in_threads import InThreads
from gyrus.runtime.calls.line import Line
from gyrus.runtime.calls.on_loop import OnLoop
from gyrus.runtime.calls.singly import Singly
from gyrus.runtime.calls.threads import Threads
from gyrus.runtime.handler.handler import Handler
from gyrus.runtime.telemetry.metrics import Metrics


def assemble(handler: Handler, config: ReplicaConfig, counted: Metrics) -> tuple[Desk, Threads]:
    limits = config.limits
    line: Line[Call] = Line(limits.max_concurrency, limits.max_queue_length)
    desk = Desk(line, limits, counted)
    threads = Threads(asyncio.get_running_loop())
    runner = OnLoop(handler, desk, threads) if handler.is_async else InThreads(handler, desk, threads)
    desk.open(Singly(line, runner))
    return desk, threads

"""Puts together what runs one handler."""

from __future__ import annotations

import asyncio

from gyrus.contract.replica import ReplicaConfig
from gyrus.queueing.line import Line
from gyrus.runtime.calls.batch_runners import BatchesInThreads, BatchesOnLoop
from gyrus.runtime.calls.call import Call
from gyrus.runtime.calls.desk import Desk, Starter
from gyrus.runtime.calls.in_batches import InBatches
from gyrus.runtime.calls.in_threads import InThreads
from gyrus.runtime.calls.on_loop import OnLoop
from gyrus.runtime.calls.singly import Singly
from gyrus.runtime.calls.threads import Threads
from gyrus.runtime.handler.handler import Handler
from gyrus.runtime.telemetry.bell import Bell
from gyrus.runtime.telemetry.metrics import Metrics


def assemble(handler: Handler, config: ReplicaConfig, counted: Metrics) -> tuple[Desk, Threads]:
    limits = config.limits
    line: Line[Call] = Line(limits.max_concurrency, limits.max_queue_length)
    desk = Desk(line, limits, counted, Bell(config.bell, config.api))
    threads = Threads(asyncio.get_running_loop())
    desk.open(_starter(handler, config, line, desk, threads))
    return desk, threads


def _starter(
    handler: Handler, config: ReplicaConfig, line: Line[Call], desk: Desk, threads: Threads
) -> Starter:
    settings = config.handler
    if handler.batched and settings is not None:
        batches = BatchesOnLoop if handler.is_async else BatchesInThreads
        runner = batches(handler, desk, threads)
        return InBatches(line, runner, settings.batch_max_size, settings.batch_max_wait)
    return Singly(line, (OnLoop if handler.is_async else InThreads)(handler, desk, threads))

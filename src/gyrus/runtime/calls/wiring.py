"""Construction of the parts that run one handler."""

from __future__ import annotations

import asyncio

from gyrus.contract.replica import ReplicaConfig
from gyrus.runtime.calls.admission import Admission, Scheduler
from gyrus.runtime.calls.async_runner import AsyncRunner
from gyrus.runtime.calls.batch_runners import AsyncBatchRunner, ThreadBatchRunner
from gyrus.runtime.calls.batching import BatchScheduler
from gyrus.runtime.calls.call import Call
from gyrus.runtime.calls.shared_slots import SharedSlotQueue
from gyrus.runtime.calls.single import SingleScheduler
from gyrus.runtime.calls.thread_runner import ThreadRunner
from gyrus.runtime.calls.threads import Threads
from gyrus.runtime.handler.handler import LoadedHandler
from gyrus.runtime.telemetry.backlog_signal import BacklogSignal
from gyrus.runtime.telemetry.metrics import Metrics
from gyrus.runtime.telemetry.output import end_lines


def wire(handler: LoadedHandler, config: ReplicaConfig, counted: Metrics) -> tuple[Admission, Threads]:
    limits = config.limits
    threads = Threads(asyncio.get_running_loop(), most=limits.max_concurrency, after=end_lines)
    shared: SharedSlotQueue[Call] = SharedSlotQueue(limits.max_concurrency, limits.max_queue_length)
    admission = Admission(shared, limits, counted, BacklogSignal(config.backlog_socket, config.api))
    admission.open(_scheduler(handler, config, shared, admission, threads))
    return admission, threads


def _scheduler(
    handler: LoadedHandler,
    config: ReplicaConfig,
    queue: SharedSlotQueue[Call],
    admission: Admission,
    threads: Threads,
) -> Scheduler:
    settings = config.handler
    if handler.batched and settings is not None:
        batches = AsyncBatchRunner if handler.is_async else ThreadBatchRunner
        runner = batches(handler, admission, threads)
        return BatchScheduler(queue, runner, settings.batch_max_size, settings.batch_max_wait)
    if handler.is_async:
        return SingleScheduler(queue, AsyncRunner(handler, admission, threads))
    return SingleScheduler(queue, ThreadRunner(handler, admission, threads, queue))

"""Construction of the parts that run one handler."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gyrus.contract.replica import Reason, ReplicaConfig, records_folder
from gyrus.contract.system_limits import OUT_OF_PROCESSES
from gyrus.queueing.slots import SlotQueue
from gyrus.runtime.calls.admission import Admission, Scheduler
from gyrus.runtime.calls.async_runner import AsyncRunner
from gyrus.runtime.calls.batch_runners import AsyncBatchRunner, ThreadBatchRunner
from gyrus.runtime.calls.batching import BatchScheduler
from gyrus.runtime.calls.call import Call
from gyrus.runtime.calls.shared_slots import SharedSlotQueue
from gyrus.runtime.calls.single import SingleScheduler
from gyrus.runtime.calls.suspects import CallRecord
from gyrus.runtime.calls.thread_runner import ThreadRunner
from gyrus.runtime.calls.threads import Threads
from gyrus.runtime.handler.failure import LoadFailed
from gyrus.runtime.handler.handler import LoadedHandler
from gyrus.runtime.started import MOST_ROWS, StartedRequests
from gyrus.runtime.telemetry.backlog_signal import BacklogSignal
from gyrus.runtime.telemetry.metrics import Metrics
from gyrus.runtime.telemetry.output import end_lines
from gyrus.runtime.telemetry.runtime_log import runtime_log


def wire(
    handler: LoadedHandler,
    config: ReplicaConfig,
    counted: Metrics,
    report_poison: Callable[[str], None] = lambda request_id: None,
) -> tuple[Admission, Threads]:
    """Build the parts. Raises LoadFailed if no thread can be started."""
    limits, requests = config.limits, _started_requests(config)
    threads = _threads(limits.max_concurrency)
    record = CallRecord(requests) if requests else None
    # Without threads that take calls, no request pays for locks.
    kind = SlotQueue[Call] if handler.is_async else SharedSlotQueue[Call]
    queue = kind(limits.max_concurrency, limits.max_queue_length, record)
    backlog_signal = BacklogSignal(config.backlog_socket, config.api)
    admission = Admission(queue, limits, counted, backlog_signal, requests, report_poison)
    admission.open(_scheduler(handler, config, queue, admission, threads))
    return admission, threads


def _threads(most: int | None) -> Threads:
    """Return threads of which one runs: if no other can be started later, calls wait for that one."""
    threads = Threads(asyncio.get_running_loop(), most=most, after=end_lines)
    try:
        threads.start_one()
    except RuntimeError as error:
        message = f"no thread can be started for the handler ({error}): {OUT_OF_PROCESSES}"
        raise LoadFailed(Reason.EXHAUSTED, message) from error
    return threads


def _started_requests(config: ReplicaConfig) -> StartedRequests | None:
    """Create the record of started requests. Returns None without a folder for it, as for tests by hand."""
    if not config.run_dir:
        return None
    folder = records_folder(config.run_dir, config.api)
    try:
        return StartedRequests(folder, config.id, config.limits.max_concurrency or MOST_ROWS)
    except OSError as error:
        runtime_log.warning(f"requests that take down workers are not recognised: {folder}: {error}")
        return None


def _scheduler(
    handler: LoadedHandler,
    config: ReplicaConfig,
    queue: SlotQueue[Call],
    admission: Admission,
    threads: Threads,
) -> Scheduler:
    settings = config.handler
    if handler.batched and settings is not None:
        batches = AsyncBatchRunner if handler.is_async else ThreadBatchRunner
        size = settings.batch_max_size
        return BatchScheduler(
            queue, batches(handler, admission, threads, size), size, settings.batch_max_wait
        )
    if not isinstance(queue, SharedSlotQueue):
        return SingleScheduler(queue, AsyncRunner(handler, admission, threads))
    return SingleScheduler(queue, ThreadRunner(handler, admission, threads, queue))

"""The way of lines to CloudWatch: a bounded backlog, and one task that sends it in batches.

::

    offer, add ──► backlog ──► send ──► PutLogEvents
                   (full: the oldest    ├── stream or group is missing: create it, send again
                    are dropped,        ├── busy, unreachable, not allowed: wait, send again
                    counted, reported)  └── refused: counted, reported

Nothing that offers lines ever waits for CloudWatch. A batch whose answer is lost is sent again, so that an
event may be stored twice: readers leave out the second one by its id.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass

from gyrus.aio.backoff import Backoff
from gyrus.aio.clock import Clock
from gyrus.cluster.aws.calls import AwsCaller
from gyrus.cluster.aws.cloudwatch.backlog import EventBacklog, TakenEvents
from gyrus.cluster.aws.cloudwatch.documents import events_of
from gyrus.cluster.aws.cloudwatch.events import LogEvent, LogEventBatch, divided
from gyrus.cluster.aws.cloudwatch.reader import read_lines
from gyrus.cluster.aws.cloudwatch.target import CloudWatchTarget, replica_stream
from gyrus.cluster.aws.errors import AwsError, AwsNotFound, AwsRejected
from gyrus.contract.operator import LogLine, LogQuery
from gyrus.log_archive.archive import LogBatch
from gyrus.log_archive.export import ExportCounts

log = logging.getLogger(__name__)

EVERY = 2.0
"""Seconds between two rounds, so that batches are not of single lines."""
ROUND = 4 * 2**20
"""Bytes that are sent at a time."""
REPORT = 60.0
"""Seconds between two reports of dropped lines."""
REPORTED = 5
"""Streams that a report names."""
FLUSH = 3.0
"""Seconds at the end for what is left. An operator that has lost its leadership has ten to end."""
RETRY = Backoff(1.0, 30.0)
KEPT_DAYS = 30
"""Retention of a log group that the shipper had to create. A base stack sets its own."""
AHEAD = 60.0
"""Seconds by which the clock of a node may be ahead of the operator's."""
KNOWN = 4096
"""Sources whose last batch is remembered."""
EXISTS = "ResourceAlreadyExistsException"

RevisionOf = Callable[[str, str], int]
"""Returns the revision of a replica by its API and id. Returns 0 if it is not known."""


@dataclass(frozen=True, slots=True)
class _Unsent:
    """A batch, and the stream that gets it."""

    stream: str
    events: LogEventBatch


class LogShipper:
    """Implements :class:`gyrus.log_archive.export.LogExport`. Not thread-safe: one event loop owns it."""

    def __init__(
        self,
        calls: AwsCaller,
        target: CloudWatchTarget,
        clock: Clock,
        revision_of: RevisionOf,
        backlog: EventBacklog | None = None,
    ) -> None:
        self.counts = ExportCounts()
        self._calls = calls
        self._target = target
        self._clock = clock
        self._revision_of = revision_of
        self._backlog = EventBacklog() if backlog is None else backlog
        self._more = asyncio.Event()
        self._unsent: list[_Unsent] = []
        """Batches of the present round, without those that CloudWatch has."""
        self._numbers: OrderedDict[tuple[str, str], int] = OrderedDict()
        """By replica and source: the number of its last batch."""
        self._unreported: Counter[str] = Counter()
        """By stream: lines that are dropped and not reported yet."""
        self._fault = ""
        """The present reason why nothing is sent. Empty if there is none."""

    def offer(self, batch: LogBatch) -> None:
        source = (batch.replica, batch.source)
        if self._numbers.get(source) == batch.number:
            return
        self._numbers[source] = batch.number
        self._numbers.move_to_end(source)
        if len(self._numbers) > KNOWN:
            self._numbers.popitem(last=False)
        self.add(
            replica_stream(batch.api, batch.replica),
            events_of(
                batch.lines,
                batch.number,
                api=batch.api,
                revision=self._revision_of(batch.api, batch.replica),
            ),
        )

    def add(self, stream: str, events: Iterable[LogEvent]) -> None:
        """Take events of a stream. Never waits."""
        dropped = self._backlog.add(stream, events)
        self._count_dropped(dropped)
        self.counts.waiting = self._backlog.size
        self._more.set()

    def read(self, query: LogQuery, until: float) -> AsyncGenerator[LogLine]:
        latest = self._clock.now().timestamp() + AHEAD
        return read_lines(self._calls, self._target, query, min(until, latest))

    async def run(self) -> None:
        """Send until cancelled; then send what is left, for at most FLUSH seconds."""
        self._more.set()  # an earlier run may have left batches
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._send(), name="CloudWatch: log")
                group.create_task(self._report(), name="CloudWatch: dropped lines")
        finally:
            await self._flush()

    # Sending

    async def _send(self) -> None:
        while True:
            await self._more.wait()
            await self._clock.sleep(EVERY)
            while self._unsent or len(self._backlog):
                await self._round(self._backlog.take(ROUND))
            self._more.clear()

    async def _round(self, taken: list[TakenEvents]) -> None:
        """Send events, until CloudWatch has taken or refused each."""
        self.counts.waiting = self._backlog.size
        for each in taken:
            self._divide(each)
        failures = 0
        while self._unsent:
            async with asyncio.TaskGroup() as group:
                for batch in tuple(self._unsent):
                    group.create_task(self._try(batch), name=f"CloudWatch: {batch.stream}")
            if self._unsent:
                await self._clock.sleep(RETRY.delay(failures))
                failures += 1

    def _divide(self, taken: TakenEvents) -> None:
        now = self._clock.now().timestamp()
        events = (*_gap(taken, now), *taken.events)
        ready = divided(events, now)
        self._unsent += [_Unsent(taken.stream, batch) for batch in ready.batches]
        if ready.refused:
            self._count_dropped(Counter({taken.stream: ready.refused}))

    async def _try(self, batch: _Unsent) -> None:
        """Send a batch. It stays unsent if another try may help."""
        try:
            answer = await self._put_or_create(batch)
        except AwsRejected as error:
            self.counts.failures += 1
            self._unsent.remove(batch)
            self._count_dropped(Counter({batch.stream: len(batch.events)}))
            log.warning("CloudWatch refuses %d lines of %s: %s", len(batch.events), batch.stream, error)
        except AwsError as error:
            self._failed(error)
        else:
            self._unsent.remove(batch)
            self._taken(batch, answer)

    async def _put_or_create(self, batch: _Unsent) -> int:
        """Send a batch, into a new stream if there is none. Returns the number of refused events."""
        try:
            return await self._put(batch)
        except AwsNotFound:
            await self._create(batch.stream)
            return await self._put(batch)

    async def _put(self, batch: _Unsent) -> int:
        events = [{"timestamp": each.time, "message": each.message} for each in batch.events]
        answer = await self._calls.call(
            "logs",
            "put_log_events",
            logGroupName=self._target.log_group,
            logStreamName=batch.stream,
            logEvents=events,
        )
        return refused_events(answer.get("rejectedLogEventsInfo") or {}, len(events))

    async def _create(self, stream: str) -> None:
        """Create a stream, and its log group if that is missing."""
        group = self._target.log_group
        try:
            await self._make("create_log_stream", logGroupName=group, logStreamName=stream)
        except AwsNotFound:
            await self._make("create_log_group", logGroupName=group)
            await self._calls.call(
                "logs", "put_retention_policy", logGroupName=group, retentionInDays=KEPT_DAYS
            )
            await self._make("create_log_stream", logGroupName=group, logStreamName=stream)

    async def _make(self, operation: str, **arguments: str) -> None:
        """Create something that may exist already: another task may have created it."""
        try:
            await self._calls.call("logs", operation, **arguments)
        except AwsRejected as error:
            if error.code != EXISTS:
                raise

    async def _flush(self) -> None:
        """Send once what is left. The sending task has ended."""
        try:
            async with asyncio.timeout(FLUSH):
                for each in self._backlog.take(self._backlog.size + 1):
                    self._divide(each)
                for batch in tuple(self._unsent):
                    await self._try(batch)
        except TimeoutError:
            pass
        left = sum(len(batch.events) for batch in self._unsent)
        if left:
            self.counts.dropped += left
            log.warning("%d lines of the log have not reached CloudWatch before the operator's end", left)

    # Counting

    def _taken(self, batch: _Unsent, refused: int) -> None:
        if self._fault:
            log.info("CloudWatch takes lines again.")
            self._fault = ""
        self.counts.lines += len(batch.events) - refused
        if refused:
            self._count_dropped(Counter({batch.stream: refused}))

    def _failed(self, error: AwsError) -> None:
        self.counts.failures += 1
        if not self._fault:
            log.warning("CloudWatch takes no lines of the log: %s. The newest ones wait in memory.", error)
        self._fault = str(error)

    def _count_dropped(self, dropped: Counter[str]) -> None:
        self._unreported.update(dropped)
        self.counts.dropped += dropped.total()

    async def _report(self) -> None:
        """Report dropped lines, at most once in REPORT seconds."""
        while True:
            await self._clock.sleep(REPORT)
            if self._unreported:
                log.warning("%s", report_of(self._unreported))
                self._unreported.clear()


def refused_events(info: dict[str, int], events: int) -> int:
    """Return how many events of a batch PutLogEvents has refused, by its answer.

    >>> refused_events({"tooOldLogEventEndIndex": 2, "tooNewLogEventStartIndex": 9}, 10)
    3
    """
    too_old = max(info.get("tooOldLogEventEndIndex", 0), info.get("expiredLogEventEndIndex", 0))
    return too_old + events - info.get("tooNewLogEventStartIndex", events)


def report_of(dropped: Counter[str]) -> str:
    """Return the report of dropped lines, the streams with most of them first.

    >>> report_of(Counter({"apis/iris/iris-1-abcde": 3, "operator/gyrus-operator-0": 1}))
    'CloudWatch did not get 4 lines of the log: 3 of apis/iris/iris-1-abcde, 1 of operator/gyrus-operator-0'
    """
    named = dropped.most_common(REPORTED)
    parts = [f"{number} of {stream}" for stream, number in named]
    if others := len(dropped) - len(named):
        rest = dropped.total() - sum(number for _, number in named)
        parts.append(f"{rest} of {others} other {'stream' if others == 1 else 'streams'}")
    lines = "1 line" if dropped.total() == 1 else f"{dropped.total()} lines"
    return f"CloudWatch did not get {lines} of the log: {', '.join(parts)}"


def _gap(taken: TakenEvents, now: float) -> tuple[LogEvent, ...]:
    """Return the line that marks dropped events in their own stream."""
    if not taken.dropped:
        return ()
    first = taken.events[0].time / 1000
    folder, _, rest = taken.stream.partition("/")
    api, _, replica = rest.partition("/") if folder == "apis" else ("", "", rest)
    lines = "1 line is" if taken.dropped == 1 else f"{taken.dropped} lines are"
    line = LogLine(
        time=first,
        replica=replica,
        message=f"{lines} missing here: CloudWatch was slower than the log",
        stream="gyrus",
        level="warning",
    )
    return tuple(events_of([line], int(now * 1e9), api=api))

"""Reading an API's lines back from CloudWatch, page by page."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from gyrus.cluster.aws.calls import AwsCaller
from gyrus.cluster.aws.cloudwatch.documents import DocumentReader
from gyrus.cluster.aws.cloudwatch.target import CloudWatchTarget, api_streams, replica_stream
from gyrus.cluster.aws.errors import AwsError, AwsNotFound
from gyrus.contract.operator import LogLine, LogQuery
from gyrus.log_archive.archive import ArchiveError

MOST_PAGES = 500
"""Pages of one query. A page has at most 1 MB or 10,000 events."""
FIRST_WINDOW = 3600.0
"""Seconds before the end in which the newest lines are looked for first."""
WINDOW_GROWTH = 4


@dataclass(slots=True)
class _PageCount:
    left: int = MOST_PAGES
    cut_off: bool = False
    """True if there are further pages, which are not read."""


async def read_lines(
    calls: AwsCaller, target: CloudWatchTarget, query: LogQuery, until: float
) -> AsyncGenerator[LogLine]:
    """Yield the lines of an API up to a time in time order. Iterate within :func:`contextlib.aclosing`.

    ``previous`` and ``follow`` are ignored. ``until``: seconds since the epoch. Raises ArchiveError.
    """
    pages = _PageCount()
    try:
        if query.tail is not None:
            for line in await _newest(calls, target, query, until, pages):
                yield line
            return
        async with aclosing(_between(calls, target, query, (query.since or 0.0, until), pages)) as lines:
            async for line in lines:
                yield line
    except AwsNotFound:  # no line has been sent yet
        return
    except AwsError as error:
        raise ArchiveError(f"CloudWatch cannot be read: {error}") from error


def windows_before(until: float, since: float) -> Iterator[tuple[float, float]]:
    """Yield successive windows of time that grow, the newest first, down to ``since``.

    >>> list(windows_before(20_000.0, 0.0))
    [(16400.0, 20000.0), (2000.0, 16400.0), (0.0, 2000.0)]
    """
    width = FIRST_WINDOW
    while until > since:
        begin = max(since, until - width)
        yield begin, until
        until, width = begin, width * WINDOW_GROWTH


async def _newest(
    calls: AwsCaller, target: CloudWatchTarget, query: LogQuery, until: float, pages: _PageCount
) -> list[LogLine]:
    """Return the newest lines in time order. It reads no older windows than it must."""
    assert query.tail is not None
    found: list[LogLine] = []
    for window in windows_before(until, query.since or 0.0):
        missing = query.tail - len(found)
        if missing <= 0:
            break
        newest: deque[LogLine] = deque(maxlen=missing)
        async with aclosing(_between(calls, target, query, window, pages)) as lines:
            async for line in lines:
                newest.append(line)
        found = [*newest, *found]
    return found


async def _between(
    calls: AwsCaller,
    target: CloudWatchTarget,
    query: LogQuery,
    window: tuple[float, float],
    pages: _PageCount,
) -> AsyncGenerator[LogLine]:
    """Yield the lines of a window, its begin included and its end not."""
    begin, end = window
    reader = DocumentReader()
    async with aclosing(_events(calls, _arguments(target, query, window), pages)) as events:
        async for event in events:
            stream = str(event.get("logStreamName", ""))
            if not stream.startswith(api_streams(query.api)):  # some emulators ignore the prefix
                continue
            for line in reader.lines(stream, str(event.get("message", ""))):
                if begin <= line.time < end:
                    yield line
    for line in reader.rest():
        if begin <= line.time < end:
            yield line
    if pages.cut_off:
        yield _cut_off(query, end)


async def _events(
    calls: AwsCaller, arguments: dict[str, Any], pages: _PageCount
) -> AsyncGenerator[dict[str, Any]]:
    while pages.left > 0:
        pages.left -= 1
        answer = await calls.call("logs", "filter_log_events", **arguments)
        for event in answer.get("events", ()):
            yield event
        if not answer.get("nextToken"):
            return
        arguments = arguments | {"nextToken": answer["nextToken"]}
    pages.cut_off = True


def _arguments(target: CloudWatchTarget, query: LogQuery, window: tuple[float, float]) -> dict[str, Any]:
    named = (
        {"logStreamNames": [replica_stream(query.api, query.replica)]}
        if query.replica
        else {"logStreamNamePrefix": api_streams(query.api)}
    )
    begin, end = window
    times = {"startTime": max(0, int(begin * 1000)), "endTime": int(end * 1000) + 1}
    return {"logGroupName": target.log_group, **named, **times}


def _cut_off(query: LogQuery, time: float) -> LogLine:
    message = f"lines are left out here: CloudWatch has more than {MOST_PAGES} pages. Use a later --since"
    return LogLine(
        time=time, replica=query.replica or query.api, message=message, stream="gyrus", level="warning"
    )

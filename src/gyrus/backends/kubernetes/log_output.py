"""The output of a pod's containers, as the cluster's nodes keep it, read line by line."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from gyrus.backends.kubernetes.pod import ContainerState, Pod, seconds
from gyrus.contract.operator import LogLine
from gyrus.kubernetes.client import ClusterClient

log = logging.getLogger(__name__)

_TIME = re.compile(r"([-0-9]+T[:0-9]+)(?:\.(\d{1,9}))?(Z|[-+][:0-9]+)")
SECOND = 10**9
"""Nanoseconds."""


@dataclass(frozen=True, slots=True)
class Output:
    """One line of a container."""

    at: int
    """When the node received it, in nanoseconds since the epoch. It grows from line to line."""
    line: LogLine


async def read_output(
    client: ClusterClient,
    namespace: str,
    pod: Pod,
    container: ContainerState,
    *,
    follow: bool = False,
    previous: bool = False,
    tail: int | None = None,
    since: float | None = None,
    after: int = 0,
) -> AsyncGenerator[Output]:
    """Yield the lines of a container. Iterate within :func:`contextlib.aclosing`.

    ``previous``: those before its last restart. ``since``: seconds since the epoch. ``after``: only lines
    after the one of this time (:attr:`Output.at`). Raises as :meth:`ClusterClient.logs`.
    """
    begin = max(since or 0.0, after // SECOND)  # the cluster counts in whole seconds
    texts = client.logs(
        pod.name,
        namespace,
        container=container.name,
        follow=follow,
        previous=previous,
        tail=tail,
        since=_rfc3339(begin) if begin else None,
    )
    run = container.restarts - int(previous)
    async with aclosing(texts):
        async for text in texts:
            output = parse(pod, container, text, run)
            if output and output.at > after:
                yield output


def parse(pod: Pod, container: ContainerState, text: str, run: int) -> Output | None:
    """Return the line that a supervisor wrote as JSON, or that another program wrote as text.

    In a pod with several containers, the line names its container. Returns None for a line without a time,
    which is no output but the node's own message.
    """
    time, _, message = text.partition(" ")
    try:
        at = nanoseconds(time)
    except ValueError:
        log.debug("The log of %s: %s", pod.name, text)
        return None
    if pod.supervised and message.startswith("{"):
        try:
            document: dict[str, Any] = msgspec.json.decode(message, type=dict[str, Any])
            return Output(at, msgspec.convert({**document, "replica": pod.name}, LogLine))
        except (msgspec.MsgspecError, TypeError):
            pass
    names = [each.name for each in pod.talking]
    if len(names) > 1:
        message = f"[{container.name}] {message}"
    line = LogLine(
        time=at / SECOND,
        replica=pod.name,
        message=message,
        run=run,
        process=names.index(container.name) if container.name in names else 0,
    )
    return Output(at, line)


def nanoseconds(time: str) -> int:
    """Parse a time of RFC 3339 without losing digits. Raises ValueError.

    >>> nanoseconds("1970-01-01T00:00:01.000000002Z"), nanoseconds("1970-01-01T00:00:01Z")
    (1000000002, 1000000000)
    """
    match = _TIME.fullmatch(time)
    base = seconds(match[1] + match[3]) if match else None
    if match is None or base is None:
        raise ValueError(f"{time!r} is not a time")
    return int(base) * SECOND + int((match[2] or "").ljust(9, "0"))


def _rfc3339(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat().replace("+00:00", "Z")

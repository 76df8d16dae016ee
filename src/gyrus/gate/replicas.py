"""Asks replicas' processes what they have to do, and to give some of it back.

::

    NoAnswer    the process is gone, or is not ours, or too busy
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, cast

from gyrus.contract.replica import LOAD_PATH, REQUEUE_PATH, QueueLoad
from gyrus.queueing.balance import RequeueRequest

PATIENCE = 0.5
"""Seconds until an answer."""
UNIX = "unix:"
MOST_HEADER = 16 * 1024
LOAD = frozenset(each.name for each in fields(QueueLoad))


class NoAnswer(Exception):
    pass


@dataclass(slots=True)
class _QueueState:
    """A connection to one process."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


@dataclass(slots=True)
class Replicas:
    """Connections to the processes of one API, kept as long as they are asked again and again."""

    _queues: dict[str, _QueueState] = field(default_factory=dict[str, _QueueState])

    async def loads(self, endpoints: Iterable[str]) -> dict[str, QueueLoad]:
        """By endpoint: of those that answer."""
        endpoints = tuple(endpoints)
        answers = await asyncio.gather(*(self._load(endpoint) for endpoint in endpoints))
        return {endpoint: load for endpoint, load in zip(endpoints, answers, strict=True) if load is not None}

    async def requeue(self, givings: Mapping[str, RequeueRequest]) -> int:
        """Ask each to give back so many; returns how many they will."""
        return sum(await asyncio.gather(*(self._requeue(*each) for each in givings.items())))

    def close(self) -> None:
        for endpoint in tuple(self._queues):
            self._hang_up(endpoint)

    async def _load(self, endpoint: str) -> QueueLoad | None:
        """None: it does not answer, or is of another version of the platform that tells too little."""
        try:
            told = await self._ask(endpoint, "GET", LOAD_PATH)
            return QueueLoad(**{name: value for name, value in told.items() if name in LOAD})
        except (NoAnswer, TypeError):
            return None

    async def _requeue(self, endpoint: str, request: RequeueRequest) -> int:
        order = {"at_most": request.number, "first": request.first, "spare": request.spare}
        try:
            answer = await self._ask(endpoint, "POST", REQUEUE_PATH, order)
        except NoAnswer:
            return 0
        return int(answer.get("requeued", answer.get("given_back", 0)))  # replicas of earlier versions

    async def _ask(
        self, endpoint: str, method: str, path: str, body: Mapping[str, int] | None = None
    ) -> dict[str, Any]:
        """Raises NoAnswer. A connection that was closed while it was idle is not the process's fault."""
        request = _request(method, path, body)
        known = endpoint in self._queues
        try:
            async with asyncio.timeout(PATIENCE):
                try:
                    return await self._exchange(endpoint, request)
                except (OSError, EOFError):
                    self._hang_up(endpoint)
                    if not known:
                        raise
                    return await self._exchange(endpoint, request)
        except (OSError, EOFError, asyncio.LimitOverrunError, ValueError, LookupError) as error:
            self._hang_up(endpoint)
            raise NoAnswer(f"{endpoint} does not answer {path}: {error}") from error

    async def _exchange(self, endpoint: str, request: bytes) -> dict[str, Any]:
        line = self._queues.get(endpoint)
        if line is None:
            line = self._queues[endpoint] = _QueueState(*await _open(endpoint))
        line.writer.write(request)
        head = (await line.reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status = head.split(maxsplit=2)[1]
        length = int(head.partition("content-length:")[2].split(maxsplit=1)[0])
        body = await line.reader.readexactly(length)
        if status != "200":
            raise ValueError(f"it answers {status}")
        answer = json.loads(body)
        if not isinstance(answer, dict):
            raise ValueError("it answers with what is no object")
        return cast("dict[str, Any]", answer)

    def _hang_up(self, endpoint: str) -> None:
        if (line := self._queues.pop(endpoint, None)) is not None:
            line.writer.transport.abort()


def _request(method: str, path: str, body: Mapping[str, int] | None) -> bytes:
    content = json.dumps(body).encode() if body is not None else b""
    head = (
        f"{method} {path} HTTP/1.1\r\nhost: gyrus\r\nx-gyrus-internal: 1\r\n"
        f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


async def _open(endpoint: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if endpoint.startswith(UNIX):
        return await asyncio.open_unix_connection(endpoint.removeprefix(UNIX), limit=MOST_HEADER)
    host, _, port = endpoint.rpartition(":")
    return await asyncio.open_connection(host.strip("[]"), int(port), limit=MOST_HEADER)

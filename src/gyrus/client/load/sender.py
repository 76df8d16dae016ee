"""The sender of a load: it sends each request when the request is due."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from gyrus.client.load.address import Address
from gyrus.client.load.connection import ConnectionBroken, LoadReply
from gyrus.client.load.connections import Connections
from gyrus.client.load.result import RequestResult, Result
from gyrus.client.transport import parse_problem

OPEN_FILES = "no connection: too many open files"
"""The cause of failure of requests that this machine's file limit prevented."""

_BY_STATUS = {503: Result.REFUSED, 504: Result.TIMED_OUT}


@dataclass(frozen=True, slots=True)
class Due:
    """A request to send ``at`` seconds after the beginning."""

    number: int
    """The request's number, for its result."""
    at: float
    body: bytes


class Sender:
    """One run of a load against one URL."""

    def __init__(
        self,
        url: str,
        timeout: float,
        on_result: Callable[[RequestResult], None],
        authority: Path | None = None,
    ) -> None:
        """Prepare a load. Raises BadEnvironments.

        ``timeout`` is the number of seconds from a request's due time until it is abandoned. ``on_result`` is
        called with each result, in the order in which the results become known. ``authority``: one of the
        server's certificate, to trust beside those of this system.
        """
        self._address = Address.of(url, authority)
        self._connections = Connections(self._address)
        self._timeout = timeout
        self._on_result = on_result
        self._began = 0.0
        self.sent = 0
        self.under_way = 0

    @property
    def elapsed(self) -> float:
        """Seconds since the load began."""
        return asyncio.get_running_loop().time() - self._began

    async def run(self, requests: Iterable[Due]) -> None:
        """Send all requests, in order of their times, and wait for the last answer."""
        self._began = asyncio.get_running_loop().time()
        try:
            async with asyncio.TaskGroup() as group:
                for request in requests:
                    await asyncio.sleep(max(0.0, request.at - self.elapsed))
                    self.sent += 1
                    group.create_task(self._send(request), name=f"request {self.sent}")
        finally:
            self._connections.close()

    async def _send(self, request: Due) -> None:
        self.under_way += 1
        sent = self.elapsed
        try:
            fate, cause, example = await self._outcome(request)
        finally:
            self.under_way -= 1
        self._on_result(
            RequestResult(
                number=request.number,
                due=request.at,
                sent=sent,
                ended=self.elapsed,
                fate=fate,
                cause=cause,
                example=example,
            )
        )

    async def _outcome(self, request: Due) -> tuple[Result, str, str]:
        try:
            async with asyncio.timeout_at(self._began + request.at + self._timeout):
                async with self._connections.one() as connection:
                    head = self._address.head(len(request.body))
                    return judged(await connection.exchange(head, request.body))
        except TimeoutError:
            return Result.TIMED_OUT, f"no answer within {self._timeout:g} s", ""
        except ConnectionBroken as fault:
            return Result.FAILED, "the connection broke", str(fault)
        except OSError as fault:
            if fault.errno in (errno.EMFILE, errno.ENFILE):
                return Result.FAILED, OPEN_FILES, str(fault)
            return Result.FAILED, "no connection", str(fault)


def judged(reply: LoadReply) -> tuple[Result, str, str]:
    """Return the result, the cause and an example.

    >>> judged(LoadReply(200, "application/json", b"{}", 2))[0].value
    'answered'
    >>> judged(LoadReply(503, "text/plain", b"later", 5))
    (<Result.REFUSED: 'refused'>, '503', 'later')
    """
    if reply.status < 400:
        return Result.ANSWERED, "", ""
    fate = _BY_STATUS.get(reply.status, Result.FAILED)
    problem = parse_problem(reply.beginning, reply.media_type)
    if problem is None:
        return fate, str(reply.status), reply.beginning[:500].decode(errors="replace")
    slug = problem.type.rpartition(":")[2]
    return fate, f"{reply.status} {slug}", problem.detail or problem.title

"""The reports of supervisors in pods, read over HTTP."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping

import msgspec

from gyrus.aio.clock import Clock
from gyrus.aio.http.client import HttpClient
from gyrus.aio.http.errors import HttpError
from gyrus.aio.http.message import HttpRequest
from gyrus.aio.ticks import ticks
from gyrus.contract.replica import PROOF_HEADER, STATUS_PATH, ReplicaStatus

log = logging.getLogger(__name__)

EVERY = 1.0
"""Seconds between readings of a replica that is not ready."""
TIMEOUT = 2.0
AT_ONCE = 32


class StatusReports:
    """The latest report of each replica whose supervisor can be reached."""

    def __init__(
        self,
        wanted: Callable[[], Mapping[str, str]],
        changed: Callable[[str], None],
        clock: Clock,
        *,
        proof: Callable[[str], str],
    ) -> None:
        """Read reports from now on.

        ``wanted``: returns the addresses of the supervisors to read now, by replica. ``changed``: takes the
        id of a replica whose report has changed. ``proof``: returns the proof of private calls to a replica.
        """
        self._wanted = wanted
        self._changed = changed
        self._clock = clock
        self._proof = proof
        self._client = HttpClient(keep_alive=False)
        self._reports: dict[str, ReplicaStatus] = {}
        self._permits = asyncio.Semaphore(AT_ONCE)

    def get(self, replica: str) -> ReplicaStatus | None:
        return self._reports.get(replica)

    def forget(self, replica: str) -> None:
        self._reports.pop(replica, None)

    async def run(self) -> None:
        """Read reports until cancelled."""
        try:
            async for _ in ticks(self._clock, EVERY):
                await self.read(self._wanted().items())
        finally:
            self._client.close()

    async def read(self, addresses: Iterable[tuple[str, str]]) -> None:
        """Read these replicas' reports. A report that cannot be read is no longer known."""
        async with asyncio.TaskGroup() as group:
            for replica, address in addresses:
                group.create_task(self._read(replica, address), name=f"status of {replica}")

    async def _read(self, replica: str, address: str) -> None:
        async with self._permits:
            report = await self._ask(replica, address)
        before = self._reports.get(replica)
        if report is None:
            self._reports.pop(replica, None)
        else:
            self._reports[replica] = report
        if report != before:
            self._changed(replica)

    async def _ask(self, replica: str, address: str) -> ReplicaStatus | None:
        request = HttpRequest("GET", STATUS_PATH, {PROOF_HEADER: self._proof(replica)})
        try:
            answer = await self._client.send(address, request, timeout=TIMEOUT)
            return msgspec.json.decode(answer.body, type=ReplicaStatus) if answer.status == 200 else None
        except (HttpError, msgspec.MsgspecError) as error:
            log.debug("The status of %s cannot be read from %s: %s", replica, address, error)
            return None

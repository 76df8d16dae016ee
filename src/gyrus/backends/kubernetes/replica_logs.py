"""The lines that supervisors send: which API they belong to, and whether they are kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gyrus.contract.operator import LogLine
from gyrus.log_archive.archive import LogBatch, UnknownReplica
from gyrus.log_archive.intake import LogIntake

LATELY_GONE = 10_000
"""Replicas that are remembered after their end, since their last lines may come later."""


@dataclass(slots=True)
class ReplicaLogs:
    """Implements :class:`gyrus.server.files.LineArchive`."""

    intake: LogIntake
    api_of: Callable[[str], str | None]
    """Returns the API of a replica that exists. Returns None for others."""
    _gone: OrderedDict[str, str] = field(default_factory=OrderedDict[str, str])
    """The APIs of replicas that are gone."""

    async def append(self, replica: str, number: int, lines: Sequence[LogLine]) -> None:
        api = self.api_of(replica) or self._gone.get(replica)
        if api is None:
            raise UnknownReplica(f"There is no replica {replica}: its lines are not archived.")
        await self.intake.add(LogBatch(api=api, replica=replica, number=number, lines=tuple(lines)))

    def gone(self, replica: str, api: str) -> None:
        """Learn that a replica is gone. Its supervisor may still have lines to send."""
        self._gone[replica] = api
        if len(self._gone) > LATELY_GONE:
            self._gone.popitem(last=False)

    async def remove(self, api: str) -> None:
        """Remove the log of an API, and accept no more lines of its replicas. Raises ArchiveError."""
        for replica in [replica for replica, own in self._gone.items() if own == api]:
            del self._gone[replica]
        await self.intake.remove(api)

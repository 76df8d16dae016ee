"""A replica's launch: write its configuration, then start a supervisor, as a fork or as a program."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from gyrus.backends.local.configuration import LaunchContext, configure
from gyrus.backends.local.folder import ReplicaFolder
from gyrus.backends.local.fork_server_process import ForkFailed
from gyrus.backends.local.fork_servers import ForkServers
from gyrus.backends.local.observed_status import ObservedStatus
from gyrus.backends.local.supervisor_process import SupervisorProcess
from gyrus.backends.protocol import ReplicaOrder
from gyrus.contract.home import Home

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Launcher:
    order: ReplicaOrder
    folder: ReplicaFolder
    home: Home
    fork_servers: ForkServers
    status: ObservedStatus

    async def launch(
        self, context: LaunchContext, launched: Callable[[SupervisorProcess], None]
    ) -> SupervisorProcess:
        """Start a supervisor: as a fork if a fork server is ready, else as a program. Raises OSError.

        Calls ``launched`` without an await after the start, so that no supervisor is lost.
        """
        because = self.fork_servers.because(self.order)
        if fork_server := self.fork_servers.ready(self.order):
            try:
                await self._write_configuration(context)
                return await fork_server.fork(self.folder.config_file, launched)
            except ForkFailed as error:
                log.warning("%s starts cold: %s", self.order.id, error)
                because = str(error)
        await self._write_configuration(context, because)
        supervisor = SupervisorProcess.launch(
            str(context.python), self.folder.config_file, self.folder.errors_file
        )
        launched(supervisor)
        return supervisor

    async def note(self) -> None:
        """Write the supervisor's pid to the folder, for the next operator. Raises OSError."""
        await asyncio.to_thread(self.folder.note, self.status.launch)

    async def _write_configuration(self, context: LaunchContext, cold_because: str = "") -> None:
        config = replace(configure(self.order, context, self.home), cold_because=cold_because)
        self.status.launch = replace(self.status.launch, pid=None, devices=context.devices)
        await asyncio.to_thread(self.folder.prepare_launch, config, self.status.launch)

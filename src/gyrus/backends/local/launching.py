"""A replica's launch: its configuration is written, then a supervisor begins, by a fork or as a program."""

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
        """Fork the fork server where one is ready, else start a program. Raises OSError.

        ``launched`` is called without a pause after the launch, so that no supervisor runs unknown.
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
        """Write the supervisor's pid down for the next operator. Raises OSError."""
        await asyncio.to_thread(self.folder.note, self.status.launch)

    async def _write_configuration(self, context: LaunchContext, cold_because: str = "") -> None:
        config = replace(configure(self.order, context, self.home), cold_because=cold_because)
        self.status.launch = replace(self.status.launch, pid=None, devices=context.devices)
        await asyncio.to_thread(self.folder.prepare_launch, config, self.status.launch)

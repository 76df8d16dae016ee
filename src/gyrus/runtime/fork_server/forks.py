"""The start of a worker by a warm replica's supervisor: the supervisor is a fork and forks again."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from gyrus.contract.replica import ReplicaConfig
from gyrus.runtime import worker
from gyrus.runtime.fork_server import proctitle, thread_pools
from gyrus.runtime.fork_server.loading import Loaded, open_files
from gyrus.runtime.fork_server.relocation import relocate
from gyrus.runtime.supervisor.child import SIGNALS, Child, PipeEnds, begin
from gyrus.runtime.supervisor.role import Role
from gyrus.runtime.supervisor.working_folder import WorkingFolder
from gyrus.runtime.telemetry.control import ControlPipe


@dataclass(frozen=True, slots=True)
class Forks:
    """A way to start a process (see :class:`gyrus.runtime.supervisor.child.StartChild`)."""

    config: ReplicaConfig
    loaded: Loaded

    def __call__(
        self, role: Role, command: Sequence[str], env: Mapping[str, str], folder: WorkingFolder
    ) -> Child:
        def become(ends: PipeEnds) -> NoReturn:
            self._become(role, command, ends, folder)

        return begin(become)

    def _become(self, role: Role, command: Sequence[str], ends: PipeEnds, folder: WorkingFolder) -> NoReturn:
        """Become a worker. Raises CannotStart."""
        # The signals are those of a new program, except where the handler's module set others.
        for number in SIGNALS:
            signal.signal(number, self.loaded.signals[number])
        pipe = self._take_over_files(ends)
        if self.loaded.folder is None:
            folder.enter()
        else:
            self._move(self.loaded.folder, folder)
        with suppress(proctitle.TitleTooLong, OSError):
            proctitle.show(command, self.config.id)
        sys.argv[1:] = command[-2:]
        os.environ[proctitle.REPLICA] = self.config.id
        thread_pools.release(self.loaded.restraint)
        thread_pools.reseed()
        code = 1
        try:
            code = self._work(role.index, pipe)
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
        worker.leave(code)

    def _move(self, loaded: str, folder: WorkingFolder) -> None:
        """Move from the fork server's working folder to the process's own copy of it."""
        assert folder.own
        folder.enter_copy_of(loaded)
        relocate(loaded, folder.own)

    def _take_over_files(self, ends: PipeEnds) -> int:
        """Close all files of the supervisor, and return the control pipe."""
        kept = self.loaded.files | {0, 1, 2, ends.control}
        for fd in open_files() - kept:
            with suppress(OSError):
                os.close(fd)
        return ends.control

    def _work(self, index: int, pipe: int) -> int:
        control = self.loaded.relay
        control.turn_to(ControlPipe(pipe))
        return worker.work(self.config, index, control, self.loaded.make)

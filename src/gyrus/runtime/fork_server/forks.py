"""The start of a worker by a warm replica's supervisor: the supervisor is a fork and forks again."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from gyrus.contract.replica import ReplicaConfig
from gyrus.runtime import worker
from gyrus.runtime.fork_server import proctitle, thread_pools
from gyrus.runtime.fork_server.loading import SIGNALS, Loaded, open_files
from gyrus.runtime.supervisor import kernel
from gyrus.runtime.supervisor.child import Child, PipeEnds, new_pipes
from gyrus.runtime.supervisor.role import Role
from gyrus.runtime.telemetry.control import ControlPipe


@dataclass(frozen=True, slots=True)
class Forks:
    """A way to start a process (see :class:`gyrus.runtime.supervisor.child.StartChild`)."""

    config: ReplicaConfig
    loaded: Loaded

    def __call__(self, role: Role, command: Sequence[str], env: Mapping[str, str], folder: str) -> Child:
        parent = os.getpid()
        pipes, ends = new_pipes(control=True)
        # Until the fork has its own signal handlers, a signal would run the supervisor's in it.
        masked = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            pid = os.fork()
            if pid == 0:
                self._become(role, command, ends, parent, masked)
        except OSError:
            for pipe in pipes:
                pipe.close()
            raise
        finally:
            ends.close()
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)
        return Child(pid, pipes)

    def _become(
        self, role: Role, command: Sequence[str], ends: PipeEnds, parent: int, masked: Collection[int]
    ) -> NoReturn:
        """Become a worker."""
        code = 1
        try:
            kernel.die_with(parent)
            self._take_over_signals(masked)
            control = self._take_over_files(ends)
            with suppress(proctitle.TitleTooLong, OSError):
                proctitle.show(command, self.config.id)
            sys.argv[1:] = command[-2:]
            os.environ[proctitle.REPLICA] = self.config.id
            thread_pools.release(self.loaded.restraint)
            thread_pools.reseed()
            code = self._work(role.index, control)
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
        worker.leave(code)

    def _take_over_signals(self, masked: Collection[int]) -> None:
        """Reset the signals to those of a new program, except where the handler's module set others."""
        signal.set_wakeup_fd(-1)
        for number in SIGNALS:
            signal.signal(number, self.loaded.signals[number])
        signal.pthread_sigmask(signal.SIG_SETMASK, masked)

    def _take_over_files(self, ends: PipeEnds) -> int:
        """Close all files of the supervisor, and return the control pipe."""
        assert ends.control is not None
        os.dup2(ends.stdout, 1)
        os.dup2(ends.stderr, 2)
        kept = self.loaded.files | {0, 1, 2, ends.control}
        for fd in open_files() - kept:
            with suppress(OSError):
                os.close(fd)
        return ends.control

    def _work(self, index: int, pipe: int) -> int:
        control = self.loaded.relay
        control.turn_to(ControlPipe(pipe))
        os.chdir(self.config.project)
        return worker.work(self.config, index, control, self.loaded.make)

"""The program ``python -P -m gyrus.runtime.fork_server.process <config.json> <padding>``: load, report, fork.

It waits for orders without a timer, so that a waiting fork server takes memory and nothing else.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from gyrus.contract.fork_server import ForkServerConfig, ForkServerPhase, ForkServerStatus, Preload
from gyrus.contract.replica import STATUS_FILE, ReplicaConfig
from gyrus.contract.system_limits import explain
from gyrus.runtime.codec import decode, encode
from gyrus.runtime.fork_server import proctitle
from gyrus.runtime.fork_server.child import supervise
from gyrus.runtime.fork_server.fork_safety import has_threads, unsafe_to_fork
from gyrus.runtime.fork_server.loading import Loaded, load
from gyrus.runtime.handler.failure import LoadFailed
from gyrus.runtime.project import keep_main_out_of_children
from gyrus.runtime.supervisor import kernel
from gyrus.runtime.supervisor.processtable import resident


def main(arguments: Sequence[str]) -> int:
    """Load the handler and fork on request. Returns exit code 1 if forks are impossible; see the status."""
    path = arguments[0]
    with open(path, "rb") as file:
        config = decode(ForkServerConfig, file.read())
    os.environ.pop(proctitle.REPLICA, None)  # no replica yet: code that needs one must fail, not use a blank
    status = StatusReporter(config, os.path.dirname(path))
    status.write_phase(ForkServerPhase.LOADING)
    try:
        loaded = _load(config)
    except CannotFork as impossible:
        status.write_phase(ForkServerPhase.IMPOSSIBLE, because=str(impossible))
        return 1
    _wait_for_orders(config, loaded, status)
    return 1


class CannotFork(Exception):
    """Forks are impossible. The message is the reason, as a clause."""


class StatusReporter:
    """The writer of ``status.json``, which notifies the platform of each change."""

    def __init__(self, config: ForkServerConfig, folder: str) -> None:
        self._config = config
        self._path = os.path.join(folder, STATUS_FILE)
        self._began = time.monotonic()

    def write_phase(self, phase: ForkServerPhase, *, because: str = "") -> None:
        is_ready = phase is ForkServerPhase.READY
        content = ForkServerStatus(
            phase=phase,
            pid=os.getpid(),
            because=because,
            memory=resident(os.getpid()) if is_ready else 0,
            loaded_in=round(time.monotonic() - self._began, 3) if is_ready else 0.0,
        )
        with open(f"{self._path}.new", "wb") as file:
            file.write(encode(content))
        os.replace(f"{self._path}.new", self._path)
        self._notify()

    def _notify(self) -> None:
        """Notify the platform. If it does not listen now, it reads the file when it starts."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifications, suppress(OSError):
            notifications.setblocking(False)
            notifications.sendto(self._config.name.encode(), self._config.replica.notify or "")


def _load(config: ForkServerConfig) -> Loaded:
    """Load the handler. Raises CannotFork."""
    assert config.replica.handler is not None
    kernel.work_in_background()
    what = config.replica.handler.path
    try:
        loaded = load(config.replica, config.preload)
    except LoadFailed as failed:
        print(*failed.lines, sep="\n", file=sys.__stderr__, flush=True)
        raise CannotFork(failed.message) from failed
    except BaseException as error:
        raise CannotFork(f"loading {what} failed: {error!r}") from error
    if did := unsafe_to_fork():
        act = "importing" if config.preload is Preload.MODULE else "making the instance of"
        raise CannotFork(f"{act} {what} {did}")
    return loaded


def _wait_for_orders(config: ForkServerConfig, loaded: Loaded, status: StatusReporter) -> None:
    """Fork on request. Returns when forks have become impossible."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # forks leave no zombies; the platform watches them
    with suppress(FileNotFoundError):
        os.unlink(config.socket)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(config.socket)
        listener.listen(64)
        status.write_phase(ForkServerPhase.READY)
        while True:
            connection, _ = listener.accept()
            with connection:
                if has_threads():
                    break
                _fork(listener, connection, config.replica, loaded)
    status.write_phase(
        ForkServerPhase.IMPOSSIBLE, because="a thread was started after the handler was loaded"
    )


def _fork(
    listener: socket.socket, connection: socket.socket, fork_server: ReplicaConfig, loaded: Loaded
) -> None:
    """Fork; the fork reads the order, so that a client that sends none does not delay the others."""
    try:
        if os.fork() == 0:
            listener.close()
            supervise(connection, fork_server, loaded)
    except OSError as error:  # no memory, too many processes: the closed connection is the reply
        print(f"a fork failed: {explain(error)}", file=sys.__stderr__, flush=True)


if __name__ == "__main__":
    keep_main_out_of_children()
    code = main(sys.argv[1:])
    os._exit(code)  # exit handlers of the handler's module run in its workers only

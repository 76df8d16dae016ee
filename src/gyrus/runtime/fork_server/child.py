"""A fork of the fork server that becomes a replica's supervisor."""

from __future__ import annotations

import os
import signal
import socket
import sys
import traceback
from typing import NoReturn

from gyrus.contract.fork_server import GO, LONGEST_WORD, ForkReply
from gyrus.contract.replica import ERRORS_FILE, ReplicaConfig
from gyrus.runtime.codec import CodecError, decode, encode
from gyrus.runtime.fork_server import proctitle
from gyrus.runtime.fork_server.forks import Forks
from gyrus.runtime.fork_server.loading import Loaded
from gyrus.runtime.supervisor import kernel
from gyrus.runtime.supervisor.child import SIGNALS
from gyrus.runtime.supervisor.identity import prove_identity
from gyrus.runtime.supervisor.loop import Supervisor


class ForkRefused(Exception):
    """The fork cannot become that replica. The message is the reason."""


def supervise(connection: socket.socket, fork_server: ReplicaConfig, loaded: Loaded) -> NoReturn:
    """Read the order, take on the replica's title, reply, and supervise once the reply is acknowledged."""
    code = 1
    try:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        kernel.lead_session()
        kernel.work_in_foreground()
        path = connection.recv(LONGEST_WORD).decode()
        if path and (config := _accepted(path, fork_server, connection)):
            _run(config, path, loaded)
            code = 0
    except BaseException:
        traceback.print_exc(file=sys.__stderr__)
    os._exit(code)


def _accepted(path: str, fork_server: ReplicaConfig, connection: socket.socket) -> ReplicaConfig | None:
    """Reply to the order, and return the replica's configuration.

    Returns None if the fork cannot become the replica, or if the client has left without acknowledgement.
    """
    with connection:
        try:
            config = _become(path, fork_server)
        except ForkRefused as refused:
            connection.send(encode(ForkReply(refused=str(refused))))
            return None
        connection.send(encode(ForkReply(pid=os.getpid())))
        return config if connection.recv(LONGEST_WORD) == GO else None


def _become(path: str, fork_server: ReplicaConfig) -> ReplicaConfig:
    config = _read(path)
    if differing := [name for name in _ALIKE if getattr(config, name) != getattr(fork_server, name)]:
        raise ForkRefused(
            f"the replica's configuration differs from the fork server's in: {', '.join(differing)}"
        )
    try:
        proctitle.show((config.python, "-I", "-m", "gyrus.runtime.supervisor", path), config.id)
    except (proctitle.TitleTooLong, OSError) as error:
        raise ForkRefused(f"its command line cannot be replaced: {error}") from error
    return config


_ALIKE = ("api", "revision", "project", "python", "handler", "env")
"""Fields that must be equal, because they were used when the handler was loaded."""


def _read(path: str) -> ReplicaConfig:
    try:
        with open(path, "rb") as file:
            return decode(ReplicaConfig, file.read())
    except (OSError, CodecError) as error:
        raise ForkRefused(f"the replica's configuration {path} cannot be read: {error}") from error


def _run(config: ReplicaConfig, path: str, loaded: Loaded) -> None:
    folder = os.path.dirname(path)
    os.chdir(folder)
    errors = os.open(os.path.join(folder, ERRORS_FILE), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(errors, 1)
    os.dup2(errors, 2)
    os.close(errors)
    kernel.adopt_orphans()
    if prove_identity(path):
        Supervisor(config, path, Forks(config, loaded)).run()
    else:
        print(f"another supervisor already runs with {path}", file=sys.__stderr__, flush=True)

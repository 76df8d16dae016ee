"""The roles of a replica's processes, derived from its configuration. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from gyrus.contract.replica import READY_PATH, Reason, ReplicaConfig
from gyrus.runtime.supervisor.process_state import ProcessRules

UNIX = "unix:"
_PORT = re.compile(r"\$?\{PORT\}|\$PORT\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """One process that the replica runs and restarts."""

    index: int
    name: str
    """Name in messages."""
    command: tuple[str, ...]
    address: str | None
    """Its address, ``unix:/path`` or ``host:port``; None means a TCP port of 127.0.0.1, new at each start."""
    ready_path: str | None
    """Path that answers 2xx when it is ready; None means that it is ready once it accepts connections."""
    announces: bool
    """True for gyrus' own programs, which report on a control pipe when they listen."""
    rules: ProcessRules
    behind_queue_proxy: bool = False
    """True if it keeps its port across restarts, because the queue proxy knows it."""
    queue_proxy: bool = False
    """True if it is a proxy in front of another process and must end before that."""
    serves: bool = True
    """False if it listens nowhere."""

    @property
    def socket(self) -> str | None:
        """Path of the Unix socket on which it listens; None if there is none."""
        if self.address and self.address.startswith(UNIX):
            return self.address.removeprefix(UNIX)
        return None

    @property
    def port(self) -> int | None:
        """TCP port of its configured address; None if there is none."""
        if self.address is None or self.socket:
            return None
        return int(self.address.rpartition(":")[2])

    def words(self, port: int | None) -> tuple[str, ...]:
        """Return the command to run, with the port filled in."""
        if port is None:
            return self.command
        return tuple(expand(word, port) for word in self.command)


def roles_of(config: ReplicaConfig, config_path: str) -> tuple[Role, ...]:
    """Return the processes of a replica. Raises ValueError if ``listen`` does not fit them."""
    _check_addresses(config)
    if config.process is None:
        return tuple(_worker(config, config_path, index) for index in range(config.processes))
    if config.queue_proxy:
        return (replace(_server(config), behind_queue_proxy=True), _queue_proxy(config, config_path))
    return (_server(config),)


def _check_addresses(config: ReplicaConfig) -> None:
    count = config.processes if config.process is None else 1
    if config.listen and len(config.listen) != count:
        processes = f"{count} processes" if count > 1 else "1 process"
        raise ValueError(f"listen has {len(config.listen)} addresses, for {processes}")
    if config.process and not config.queue_proxy and config.listen and config.listen[0].startswith(UNIX):
        raise ValueError(f"the process listens on $PORT, so that listen cannot be {config.listen[0]}")


def expand(word: str, port: int) -> str:
    """Replace ``$PORT``, ``${PORT}`` and ``{PORT}`` anywhere in the word."""
    return _PORT.sub(str(port), word)


# -P: the project is the working folder, and a module of the project must not replace one of gyrus' modules.
# The worker itself puts the project on the path after its own imports.


def _worker(config: ReplicaConfig, config_path: str, index: int) -> Role:
    return Role(
        index=index,
        name=f"process {index}",
        command=(config.python, "-P", "-m", "gyrus.runtime.worker", config_path, str(index)),
        address=config.address(index),
        ready_path=READY_PATH,
        announces=True,
        rules=ProcessRules(
            start_timeout=config.start_timeout,
            late_message="the handler was not ready",
            restart=config.restart,
        ),
    )


def _server(config: ReplicaConfig) -> Role:
    assert config.process is not None
    command, path = config.process.command, config.process.ready_path
    listens = f"GET {path} was not answered with 2xx" if path else "nothing accepted connections on $PORT"
    return Role(
        index=0,
        name="the process",
        command=command,
        address=config.listen[0] if config.listen and not config.queue_proxy else None,
        ready_path=path,
        announces=False,
        serves=config.process.serves,
        rules=ProcessRules(
            start_timeout=config.start_timeout,
            late=Reason.NOT_LISTENING,
            late_message=f"{command[0]} runs, but {listens}",
            restart=config.restart,
        ),
    )


def _queue_proxy(config: ReplicaConfig, config_path: str) -> Role:
    return Role(
        index=1,
        name="the queue proxy",
        command=(config.python, "-P", "-m", "gyrus.runtime.queue_proxy", config_path),
        address=config.address(0),
        ready_path=READY_PATH,
        announces=True,
        rules=ProcessRules(
            start_timeout=config.start_timeout,
            late_message="the queue proxy was not ready",
            restart=config.restart,
        ),
        queue_proxy=True,
    )

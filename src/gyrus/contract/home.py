"""The layout of ``$GYRUS_HOME``, where the local platform keeps everything. Only paths, no acts."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

LONGEST_RUN_DIR = 45
"""Unix socket paths are limited to about 100 bytes, and the file names in ``run`` take up to 58 of them."""


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of one local platform."""

    root: Path

    @classmethod
    def default(cls) -> Home:
        """``$GYRUS_HOME``, or ``~/.gyrus``."""
        configured = os.environ.get("GYRUS_HOME")
        return cls(Path(configured).expanduser().absolute() if configured else Path.home() / ".gyrus")

    @property
    def environments_file(self) -> Path:
        """The operators that the CLI knows (``gyrus env``)."""
        return self.root / "environments.json"

    @property
    def token(self) -> Path:
        """The operator's bearer token; mode 0600."""
        return self.root / "token"

    @property
    def operator_file(self) -> Path:
        """``{"pid": …, "pid_started": …, "operator_port": …, "gateway_port": …}`` of the running operator."""
        return self.root / "operator.json"

    @property
    def settings_file(self) -> Path:
        """The ports that ``gyrus up`` was last given."""
        return self.root / "settings.json"

    @property
    def lock(self) -> Path:
        """Held (flock) by the one operator of this home."""
        return self.root / "operator.lock"

    @property
    def operator_log(self) -> Path:
        return self.root / "logs" / "operator.log"

    @property
    def database(self) -> Path:
        return self.root / "state.db"

    @property
    def packages(self) -> Path:
        """Uploaded archives, ``<digest>.tar``."""
        return self.root / "packages"

    @property
    def projects(self) -> Path:
        """Unpacked archives, one folder a digest."""
        return self.root / "projects"

    @property
    def python_environments(self) -> Path:
        """Environments of handlers, one folder a content digest."""
        return self.root / "environments"

    @property
    def runtimes(self) -> Path:
        """Copies of the runtime's code, one folder a content digest."""
        return self.root / "runtimes"

    @property
    def replicas(self) -> Path:
        """One folder a replica: config, status."""
        return self.root / "replicas"

    @property
    def fork_servers(self) -> Path:
        """One folder a fork server: config, status, output."""
        return self.root / "fork-servers"

    @property
    def earlier_fork_servers(self) -> Path:
        """Where gyrus 0.1 before the first release kept them: an upgrade ends what still runs there."""
        return self.root / "parked"

    @property
    def replica_logs(self) -> Path:
        """``<api>/<replica>/``; outlives the replica, until the API is deleted."""
        return self.root / "logs" / "replicas"

    @property
    def envoy(self) -> Path:
        """Envoy's bootstrap, pid file and logs."""
        return self.root / "envoy"

    @property
    def activator_socket(self) -> Path:
        """Where the gateway sends the requests of an API that has no replica."""
        return self.run / "activator.sock"

    @property
    def backlog_socket(self) -> Path:
        """Where replicas report that a request has to wait (``ReplicaConfig.backlog_socket``).

        The file keeps its first name: replicas that an earlier gyrus started send there.
        """
        return self.run / "bell.sock"

    @property
    def run(self) -> Path:
        """Sockets. Elsewhere when the home's path is too long for a socket's; removed by ``gyrus down``."""
        inside = self.root / "run"
        if len(os.fsencode(inside)) <= LONGEST_RUN_DIR:
            return inside
        name = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]
        return Path("/tmp") / f"gyrus-{name}"

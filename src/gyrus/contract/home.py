"""The layout of ``$GYRUS_HOME``, where the local platform keeps all its data. Only paths, no I/O."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

LONGEST_RUN_DIR = 45
"""Bytes. Paths of Unix sockets are limited to about 100 bytes, and file names in ``run`` have up to 58."""


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of one local platform."""

    root: Path

    @classmethod
    def default(cls) -> Home:
        """Return ``$GYRUS_HOME``, or ``~/.gyrus``."""
        configured = os.environ.get("GYRUS_HOME")
        return cls(Path(configured).expanduser().absolute() if configured else Path.home() / ".gyrus")

    @classmethod
    def of_command(cls, words: Sequence[str]) -> Home | None:
        """Return the home of the operator or gateway that has this command line. Returns None for others.

        >>> Home.of_command(["python", "-m", "gyrus.operator", "--home", "/a"])
        Home(root=PosixPath('/a'))
        >>> Home.of_command(["envoy", "--config-path", "/a/envoy/bootstrap.json"])
        Home(root=PosixPath('/a'))
        """
        options = dict(pairwise(words))
        if "gyrus.operator" in words and "--home" in options:
            return cls(Path(options["--home"]))
        bootstrap = Path(options.get("--config-path", ""))
        home = cls(bootstrap.parent.parent)
        return home if bootstrap == home.envoy_bootstrap else None

    @property
    def environments_file(self) -> Path:
        """The operators that the CLI knows (``gyrus env``)."""
        return self.root / "environments.json"

    @property
    def token(self) -> Path:
        """The bearer token of the operator's TCP port; mode 0600. Each start of an operator changes it."""
        return self.root / "token"

    @property
    def control_socket(self) -> Path:
        """The Unix socket of the operator's API; mode 0600."""
        return self.root / "operator.sock"

    @property
    def certificate(self) -> Path:
        """The certificate of the operator's TCP port, for its clients."""
        return self.root / "operator.crt"

    @property
    def certificate_key(self) -> Path:
        """The private key of that certificate; mode 0600."""
        return self.root / "operator.key"

    @property
    def operator_file(self) -> Path:
        """The running operator: its process, its ports and its socket."""
        return self.root / "operator.json"

    @property
    def settings_file(self) -> Path:
        """The settings of the last ``gyrus up``."""
        return self.root / "settings.json"

    @property
    def lock(self) -> Path:
        """The lock (flock) that the one operator of this home holds."""
        return self.root / "operator.lock"

    @property
    def operator_log(self) -> Path:
        return self.root / "logs" / "operator.log"

    @property
    def database(self) -> Path:
        return self.root / "state.db"

    @property
    def packages(self) -> Path:
        """Uploaded archives, ``<digest>.tar``, and the locks of their dependencies in ``<digest>.locks/``."""
        return self.root / "packages"

    @property
    def projects(self) -> Path:
        """Unpacked archives, one folder per digest. No process writes there."""
        return self.root / "revisions"

    @property
    def earlier_projects(self) -> Path:
        """Unpacked archives in which replicas of earlier versions work and write."""
        return self.root / "projects"

    @property
    def python_environments(self) -> Path:
        """Environments of handlers, one folder per content digest."""
        return self.root / "environments"

    @property
    def environment_archives(self) -> Path:
        """Archives of environments that builders in a cluster have uploaded."""
        return self.root / "environment-archives"

    @property
    def models(self) -> Path:
        """Models that handlers load, one folder per content."""
        return self.root / "models"

    @property
    def runtimes(self) -> Path:
        """Copies of the runtime's code, one folder per content digest."""
        return self.root / "runtimes"

    @property
    def replicas(self) -> Path:
        """Replicas, one folder for each: config, status."""
        return self.root / "replicas"

    @property
    def fork_servers(self) -> Path:
        """Fork servers, one folder for each: config, status, output."""
        return self.root / "fork-servers"

    @property
    def earlier_fork_servers(self) -> Path:
        """The folder of fork servers in gyrus 0.1 before its first release; an upgrade stops those in it."""
        return self.root / "parked"

    @property
    def replica_logs(self) -> Path:
        """Logs in ``<api>/<replica>/``. They outlive the replica, until the API is deleted."""
        return self.root / "logs" / "replicas"

    @property
    def log_archive(self) -> Path:
        """Output of replicas in a cluster, ``<api>/…``, within the limits of the operator."""
        return self.root / "log-archive"

    @property
    def envoy(self) -> Path:
        """Envoy's bootstrap, pid file and logs."""
        return self.root / "envoy"

    @property
    def envoy_bootstrap(self) -> Path:
        return self.envoy / "bootstrap.json"

    @property
    def requeue_secret(self) -> Path:
        """The secret by which the gateway recognises the platform's own requeues; mode 0600."""
        return self.root / "requeue-secret"

    @property
    def activator_socket(self) -> Path:
        """The socket to which the gateway sends the requests of an API without a replica."""
        return self.run / "activator.sock"

    @property
    def backlog_socket(self) -> Path:
        """The socket on which replicas signal a waiting request (``ReplicaConfig.backlog_socket``).

        The file keeps its first name, since replicas that an earlier gyrus started send to it.
        """
        return self.run / "bell.sock"

    @property
    def run(self) -> Path:
        """The folder of sockets; in /tmp if the home's path is too long. ``gyrus down`` removes it."""
        inside = self.root / "run"
        if len(os.fsencode(inside)) <= LONGEST_RUN_DIR:
            return inside
        name = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]
        return Path("/tmp") / f"gyrus-{name}"

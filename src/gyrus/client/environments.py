"""The operators that have a name. ``local`` is always one of them: this machine's platform."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from gyrus.client.errors import BadEnvironments, OperatorUnreachable, UnknownEnvironment
from gyrus.contract.cluster import NAMESPACE
from gyrus.contract.home import Home

LOCAL = "local"
_TOKEN_REMEDY = (
    "Ask for a token of your own (gyrus token create NAME), and set it with: gyrus env add\n"
    "On one machine, the operator's first token is in the file token of its GYRUS_HOME, and each start "
    "changes it."
)
_CERTIFICATE_REMEDY = "Check the URL, and that the certificate of `gyrus env add` is the operator's."


@dataclass(frozen=True, slots=True)
class Environment:
    """One operator: its address, and how both sides prove themselves."""

    name: str
    url: str
    """``https://…``, or ``unix://PATH`` of a socket on this machine."""
    token: str = field(default="", repr=False)
    """Empty for a socket, which needs none."""
    token_source: str = "its token"
    """The token's origin, for messages."""
    remedy: str = ""
    """The remedy if the operator does not answer."""
    certificate: Path | None = None
    """The only certificate to accept, in a PEM file."""
    authority: Path | None = None
    """The authority of an installation on Kubernetes, in a PEM file: its certificates for the operator are
    accepted. Without both files, those that this system trusts are."""
    endpoint_authority: Path | None = None
    """An authority of the endpoints' certificate, in a PEM file, beside those that this system trusts."""
    token_remedy: str = _TOKEN_REMEDY
    """The remedy if the operator does not accept the token."""
    certificate_remedy: str = _CERTIFICATE_REMEDY
    """The remedy if the server has another certificate."""


@dataclass(frozen=True, slots=True)
class ClusterPlace:
    """The installation on Kubernetes that an environment is the operator of."""

    context: str
    """The name of the kubeconfig's context."""
    namespace: str

    @property
    def options(self) -> str:
        """The options by which the commands of ``gyrus cluster`` find it.

        >>> ClusterPlace("staging", "gyrus").options
        '--context staging'
        """
        namespace = f" --namespace {self.namespace}" if self.namespace != NAMESPACE else ""
        return f"--context {shlex.quote(self.context)}{namespace}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentEntry:
    """A stored environment. Exactly one of ``token`` and ``token_file`` is set."""

    url: str
    token: str | None = None
    token_file: str | None = None
    certificate: str | None = None
    """The file of the only certificate to accept."""
    authority: str | None = None
    endpoint_authority: str | None = None
    cluster: ClusterPlace | None = None
    """The installation that ``gyrus cluster`` has added. None if ``gyrus env add`` added it."""


@dataclass(frozen=True, slots=True)
class OperatorFile:
    """The file in which a running operator publishes its process and ports."""

    pid: int
    pid_started: float
    gateway_port: int
    operator_port: int | None = None
    overcommit: bool = False
    hosts: tuple[str, ...] = ()
    socket: str | None = None
    """The Unix socket of its API. None for an operator from before gyrus had it."""


@dataclass(frozen=True, slots=True)
class Environments:
    """The remote environments and the one in use."""

    current: str = LOCAL
    entries: Mapping[str, EnvironmentEntry] = field(default_factory=dict[str, EnvironmentEntry])

    @classmethod
    def load(cls, home: Home) -> Environments:
        """Load the environments of this home; the default if none are stored. Raises BadEnvironments."""
        file = home.environments_file
        try:
            return msgspec.json.decode(file.read_bytes(), type=_Remembered).environments()
        except FileNotFoundError:
            return cls()
        except OSError as fault:
            raise _unusable(home, fault) from fault
        except msgspec.DecodeError as fault:
            raise BadEnvironments(
                f"The list of environments {file} cannot be read: {fault}.",
                remedy="Repair the file, or remove it and add the operators again with: gyrus env add",
            ) from fault

    def save(self, home: Home) -> None:
        """Store the environments; only their owner can read the file, since it contains tokens."""
        file = home.environments_file
        written = file.with_suffix(".new")
        remembered = _Remembered(current=self.current, entries=dict(self.entries))
        try:
            _create(home.root)
            with open(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
                out.write(msgspec.json.format(msgspec.json.encode(remembered)) + b"\n")
            written.replace(file)  # atomic: no reader sees half a file
        except OSError as fault:
            raise _unusable(home, fault) from fault

    def names(self) -> tuple[str, ...]:
        return (LOCAL, *sorted(self.entries))

    def added(self, name: str, entry: EnvironmentEntry) -> Environments:
        return Environments(self.current, {**self.entries, name: entry})

    def removed(self, name: str) -> Environments:
        """Return the environments without this one. Raises UnknownEnvironment."""
        self._check(name)
        rest = {other: entry for other, entry in self.entries.items() if other != name}
        return Environments(LOCAL if self.current == name else self.current, rest)

    def using(self, name: str) -> Environments:
        """Return the environments with this one in use. Raises UnknownEnvironment."""
        self._check(name)
        return Environments(name, self.entries)

    def choose(self, name: str | None = None) -> str:
        """Return the given name, else that in ``$GYRUS_ENV``, else the one in use.

        Raises UnknownEnvironment.
        """
        chosen = name or os.environ.get("GYRUS_ENV") or self.current
        self._check(chosen)
        return chosen

    def resolve(self, name: str, home: Home) -> Environment:
        """Find an operator's address and token.

        Raises UnknownEnvironment and BadEnvironments. Raises OperatorUnreachable if the local platform does
        not run.
        """
        self._check(name)
        if name == LOCAL:
            return local_environment(home)
        entry = self.entries[name]
        in_file = entry.token_file is not None
        token = _read_token(Path(entry.token_file)) if entry.token_file else entry.token or ""
        source = f"the token in {entry.token_file}" if in_file else f"the token of environment {name}"
        return Environment(
            name,
            entry.url,
            token,
            source,
            certificate=_path(entry.certificate),
            authority=_path(entry.authority),
            endpoint_authority=_path(entry.endpoint_authority),
            **_remedies(entry),
        )

    def _check(self, name: str) -> None:
        if name not in self.names():
            known = self.names()
            raise UnknownEnvironment(
                name, known, f"Known are: {', '.join(known)}. Add one with: gyrus env add"
            )


def _remedies(entry: EnvironmentEntry) -> dict[str, str]:
    if entry.cluster is None:
        return {"remedy": f"Check that the operator runs and that this machine reaches {entry.url}."}
    options = entry.cluster.options
    address = urlsplit(entry.url)
    check = f"Check the operator with: gyrus cluster health {options}"
    if address.hostname in ("localhost", "127.0.0.1", "::1"):
        check = (
            f"Check that the tunnel to it runs: kubectl --context {shlex.quote(entry.cluster.context)} "
            f"--namespace {entry.cluster.namespace} port-forward service/gyrus-operator "
            f"{address.port}:8443\n{check}"
        )
    connect = f"gyrus cluster connect {options}"
    return {
        "remedy": check,
        "token_remedy": f"Get the installation's present token with: {connect}",
        "certificate_remedy": f"Get the installation's present certificate with: {connect}",
    }


def local_environment(home: Home) -> Environment:
    """Return this machine's platform. Raises OperatorUnreachable if it does not run."""
    operator = read_operator_file(home)
    remedy = "Start it with: gyrus up"
    if operator is None:
        raise OperatorUnreachable("The local platform is not running.", remedy=remedy)
    if operator.socket is None:
        raise OperatorUnreachable(
            f"The operator of the local platform (process {operator.pid}) is of an earlier gyrus.",
            remedy="Replace it, while replicas and gateway continue, with: gyrus up",
        )
    return Environment(LOCAL, f"unix://{home.control_socket}", remedy=remedy)


def read_operator_file(home: Home) -> OperatorFile | None:
    """Read the file of the local operator, whose process may have died since.

    Returns None if there is none.
    """
    try:
        return msgspec.json.decode(home.operator_file.read_bytes(), type=OperatorFile)
    except FileNotFoundError:
        return None
    except OSError as fault:
        raise _unusable(home, fault) from fault
    except msgspec.DecodeError as fault:
        raise BadEnvironments(
            f"The operator's file {home.operator_file} cannot be read: {fault}.",
            remedy="Stop the platform and start it again: gyrus down, then gyrus up",
        ) from fault


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _create(folder: Path) -> None:
    """Create a folder for its owner alone. No umask lets other users write to those above it."""
    missing = [above for above in folder.parents if not above.exists()]
    for above in reversed(missing):
        above.mkdir(mode=0o755, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)


def _unusable(home: Home, fault: OSError) -> BadEnvironments:
    return BadEnvironments(
        f"gyrus cannot use its home {home.root}: {fault.strerror}.",
        remedy="Set GYRUS_HOME to a folder that you may read and write.",
    )


def _read_token(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as fault:
        why = fault.strerror if isinstance(fault, OSError) else fault
        raise BadEnvironments(
            f"The operator's token cannot be read from {file}: {why}.",
            remedy="The file must exist, and you must be allowed to read it.",
        ) from fault


@dataclass(frozen=True, slots=True, kw_only=True)
class _Remembered:
    """Content of the file."""

    current: str = LOCAL
    entries: dict[str, EnvironmentEntry] = field(default_factory=dict[str, EnvironmentEntry])

    def environments(self) -> Environments:
        known = self.current if self.current in self.entries else LOCAL
        return Environments(known, self.entries)

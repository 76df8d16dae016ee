"""A replica as the platform sees it, and what the platform tells a replica when it starts one.

The *supervisor* (:mod:`gyrus.runtime.supervisor`) is the first process of every replica. It reads a
:class:`ReplicaConfig` from ``config.json`` in the replica's folder, runs the replica's processes, and keeps
``status.json`` (a :class:`ReplicaStatus`) in the same folder true. Both files are JSON, replaced atomically,
and outlive every process that reads them: whoever restarts finds the truth there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

CONFIG_FILE = "config.json"
STATUS_FILE = "status.json"
ERRORS_FILE = "supervisor.err"
"""What the supervisor itself prints: empty unless it fails."""

REQUEUE_HEADER = "x-gyrus-requeue"
"""Set to ``1`` on a 503 that gives back a request which no handler has started.

The gateway retries such an answer on another replica, whatever the method, and never shows it to a client.
"""

ARRIVED_HEADER = "x-gyrus-arrived"
"""Set by the gateway: when the request first arrived there, in seconds since the epoch, with microseconds.
The same on every try, so that a request's place in every queue and its time are counted from there."""

API_HEADER = "x-gyrus-api"
"""Set by the gateway: the name of the API that the request is for."""

LONGEST_KEPT_BODY = 12 * 1024 * 1024
"""Bytes. The gateway keeps a body up to this length for another try. A request with a longer one can be tried
only once, and so is never given back."""

PRIVATE_HEADERS = "x-gyrus-"
"""How the names of headers between the platform's own parts begin: a client's are removed, and neither a
handler nor a server that is not ours sees any."""

HEALTH_PATH = "/healthz"
READY_PATH = "/readyz"
METRICS_PATH = "/metrics"
REQUEUE_PATH = "/-/requeue"
"""POST ``{"at_most": n, "first": f, "spare": s}``: give back up to n waiting requests, those that arrived
first, one a millisecond; after the first f of them, s stay (both are 0 where they are not named). Answers
``{"requeued": m}`` at once, with the number that will be. Local to the replica."""
LOAD_PATH = "/-/load"
"""GET: a :class:`QueueLoad`. Local to the replica."""


class Phase(StrEnum):
    """Where a replica, or one process of it, stands."""

    PENDING = "pending"
    """Accepted, and waiting for its turn or for a free place on the machine."""
    BUILDING = "building"
    """Its Python environment is being built."""
    STARTING = "starting"
    """Its process runs, and is not yet able to answer."""
    READY = "ready"
    """A slot can run the handler."""
    UNREADY = "unready"
    """It was ready and now fails its readiness check."""
    BACKOFF = "backoff"
    """It died, and will be started again at ``ReplicaStatus.retry_at``."""
    FAILED = "failed"
    """It cannot start, and trying again would not help. ``reason`` says why."""
    DRAINING = "draining"
    """It was told to stop; it finishes what it has started."""
    GONE = "gone"
    """Nothing of it runs any more."""


class StartKind(StrEnum):
    """How a replica came to run."""

    COLD = "cold"
    """Everything was loaded anew."""
    WARM = "warm"
    """By a fork of a process that had loaded the handler before."""


class Reason(StrEnum):
    """Why a replica is not ready. Stable words: scripts may match them."""

    DEPENDENCIES = "DependencyFailure"
    IMPORT = "ImportError"
    INIT = "InitFailure"
    NOT_LISTENING = "NotListening"
    OUT_OF_MEMORY = "OutOfMemory"
    KILLED = "Killed"
    EXITED = "Exited"
    START_TIMEOUT = "StartTimeout"
    UNRESPONSIVE = "Unresponsive"
    PACKAGE = "PackageFailure"
    SUPERVISOR_DIED = "SupervisorDied"
    UNSCHEDULABLE = "Unschedulable"
    """It asks for more than there is."""
    CAPACITY = "WaitingForCapacity"
    """It is PENDING until others give back what they hold of the machine."""


FATAL: frozenset[Reason] = frozenset(
    {Reason.DEPENDENCIES, Reason.IMPORT, Reason.PACKAGE, Reason.UNSCHEDULABLE}
)
"""Reasons for which a second start would fail like the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLoad:
    """What one process of a replica has to do at this moment."""

    slots: int | None
    """None: no limit."""
    busy: int
    """Slots that are taken."""
    waiting: int
    movable: int
    """Of those that wait, the ones that could be given back."""
    places: int
    """How many more it would take before it refused one."""
    waited: tuple[float, ...]
    """Seconds since the arrival of those that could be given back, longest first: of some hundreds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerConfig:
    """How to load and run the user's handler class."""

    path: str
    """Python file, relative to the project folder."""
    class_name: str | None = None
    config: dict[str, Any] = field(default_factory=dict[str, Any])
    batch_max_size: int = 1
    batch_max_wait: float = 0.0
    """Seconds to wait for a batch to fill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessConfig:
    """How to run an HTTP server that is not ours; it listens on ``$PORT``."""

    command: tuple[str, ...]
    ready_path: str | None = None
    """Answers 2xx when ready. None: ready as soon as the port accepts connections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one *process* of a replica accepts. Times in seconds, sizes in bytes."""

    max_concurrency: int | None = 1
    """Slots. None: no limit."""
    max_queue_length: int = 100
    timeout: float = 60.0
    """From a request's arrival to its answer's start; a stream may go on beyond it."""
    max_body: int = 32 * 1024 * 1024
    max_header: int = 64 * 1024
    header_timeout: float = 10.0
    body_timeout: float = 30.0
    """Longest silence within a body, or of a client that does not take its answer."""
    keep_alive: float = 75.0
    """Longer than the gateway's idle timeout, so that it is always the gateway that closes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaConfig:
    """Everything that a supervisor needs to run one replica."""

    id: str
    """Unique for ever, safe in a path: ``<api>-<generation>-<5 characters>``."""
    api: str
    revision: int
    project: str
    """Folder with the user's files: the working folder of the replica's processes."""
    python: str
    """Interpreter of the replica's environment."""
    handler: HandlerConfig | None = None
    process: ProcessConfig | None = None
    processes: int = 1
    limits: Limits = Limits()
    """Per process; the supervisor's caller has already divided the replica's slots among its processes."""
    env: dict[str, str] = field(default_factory=dict[str, str])
    memory: int | None = None
    """Bytes of resident memory of the whole replica; beyond it the replica is killed."""
    start_timeout: float = 600.0
    """Seconds that a process may take from its start until it is ready."""
    grace: float = 60.0
    """Seconds that a process may take from SIGTERM to its exit before it is killed."""
    run_dir: str = ""
    """Short folder for Unix sockets (their paths are limited to about 100 bytes). Process n of a handler
    listens on ``<run_dir>/<id>.<n>.sock``."""
    log_dir: str = ""
    """Folder for ``replica.log`` and its rotated predecessors."""
    notify: str | None = None
    """Unix datagram socket that is sent the replica's id whenever ``status.json`` has changed. It may be
    absent: then nobody listens just now."""
    queue_proxy: bool = False
    """Put the runtime's front (slots, queue, requeue, drain) before a ``process``."""
    backlog_socket: str | None = None
    """Unix datagram socket that is sent the API's name when a request has to wait: others may have a free
    slot. It may be absent: then nobody listens just now."""
    cold_because: str = ""
    """Why its processes are not forked from a parked one, where that was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStatus:
    """One process of a replica."""

    index: int
    phase: Phase
    pid: int | None = None
    endpoint: str | None = None
    """``unix:/path`` or ``127.0.0.1:port``; where the gateway reaches it."""
    restarts: int = 0
    reason: Reason | None = None
    message: str = ""
    """One line: what is happening, or what went wrong."""
    exit_code: int | None = None
    """Of its last exit; negative: the signal's number."""
    last_lines: tuple[str, ...] = ()
    """The last lines that it printed before its last failure, the traceback included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaStatus:
    """A replica, as its backend observed it. What a supervisor writes to ``status.json``."""

    id: str
    api: str
    revision: int
    phase: Phase
    """Of the whole: READY when at least one process is ready, else the phase of the process nearest to it."""
    reason: Reason | None = None
    message: str = ""
    last_lines: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    """Of the processes that are ready."""
    restarts: int = 0
    pid: int | None = None
    """The supervisor's. It leads the replica's process group, so the group's id is the same number."""
    pid_started: float | None = None
    """The supervisor's start time (seconds since the epoch, as psutil tells it): a pid may be reused."""
    processes: tuple[ProcessStatus, ...] = ()
    started_at: float | None = None
    """Seconds since the epoch."""
    ready_at: float | None = None
    """When it first became ready."""
    retry_at: float | None = None
    start: StartKind = StartKind.COLD
    cold_because: str = ""
    """Why it did not start warm, where that was asked for: a clause, without a full stop."""

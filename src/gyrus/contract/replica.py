"""A replica's configuration, which the platform writes, and its status, which the replica reports.

The *supervisor* (:mod:`gyrus.runtime.supervisor`) is the first process of every replica. It reads a
:class:`ReplicaConfig` from ``config.json`` in the replica's folder, runs the replica's processes, and keeps
``status.json`` (a :class:`ReplicaStatus`) in the same folder up to date. Both files are JSON and are replaced
atomically. They outlive every process that reads them, so that a restarted process finds the truth there.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

CONFIG_FILE = "config.json"
STATUS_FILE = "status.json"
ERRORS_FILE = "supervisor.err"
"""The supervisor's own output: empty unless it fails."""

LOCK_FILE = "supervisor.lock"
"""The file that a replica's supervisor keeps locked as long as it runs (:mod:`gyrus.aio.process_lock`)."""

REQUEUE_HEADER = "x-gyrus-requeue"
"""Set to ``1`` on a 503 that requeues a request which no handler has started.

The gateway retries such a request on another replica, whatever its method, and never shows the 503 to a
client.
"""

ARRIVED_HEADER = "x-gyrus-arrived"
"""Set by the gateway: the time of the request's first arrival, in seconds since the epoch, with microseconds.
It is the same on every try, so that the request's place in every queue and its timeout count from it."""

PLATFORM_REQUEUE_HEADER = "gyrus-requeue"
"""Set to the platform's secret by the activator and by the gateway itself when they requeue a request.

They answer in the same pools as users' servers without the runtime in front, whose ``x-gyrus-requeue`` the
gateway does not believe. Neither a replica nor a client knows the secret."""

POOL_HEADER = "x-gyrus-pool"
"""Set by the gateway, to the pool that the route chose, on requests that it may send again although a replica
may have started them: GET, HEAD, and APIs that are declared idempotent."""

RETRIED_HEADER = "x-gyrus-retried"
"""Set by the gateway on such a request from its second try on: to ``1``, or to ``LAST_TRY``."""

LAST_TRY = "last"
"""The value on one more try than a replica may begin. The first one may have been requeued, which the gateway
does not count apart. So only a replica that knows how many others died with the request may start it."""

BROKEN_HEADER = "x-gyrus-broken"
"""Set to ``1`` by the gateway's second pass on its own answer to a request that a replica may have started.
It never leaves the gateway."""

API_HEADER = "x-gyrus-api"
"""Set by the gateway: the name of the API that the request is for."""

LONGEST_KEPT_BODY = 12 * 1024 * 1024
"""Bytes. The gateway buffers a body up to this length for another try. A request with a longer body can be
tried only once, and is therefore never requeued."""

INTERNAL_HEADER = "x-gyrus-internal"
"""Set to ``1`` by the operator on its private calls to a replica's process."""

PROOF_HEADER = "x-gyrus-proof"
"""Set by the operator to ``ReplicaConfig.proof`` on its private calls to a replica that others can reach.
Such a replica answers 404 without it. Replicas of earlier releases ignore it."""

PRIVATE_HEADERS = "x-gyrus-"
"""Prefix of the headers between the platform's own parts. The gateway removes them from a client's request;
neither a handler nor a user's server receives any."""

HEALTH_PATH = "/healthz"
READY_PATH = "/readyz"
STATUS_PATH = "/status"
"""GET: the :class:`ReplicaStatus`, from the supervisor's own port (``ReplicaConfig.status_address``). A
private call, since it has lines of the log."""
METRICS_PATH = "/metrics"
LOGS_PATH = "/logs"
"""POST to the operator's files server: lines of the replica's log, one ``LogLine`` a line, as JSON. It takes
the secret of :func:`gyrus.contract.cluster.log_secret`, and no other path does."""
BATCH_HEADER = "x-gyrus-batch"
"""Number of these lines, on each try the same: lines with the number of the replica's last ones are stored
already."""
LARGEST_LOG_BATCH = 1024 * 1024
"""Bytes of the lines of one request."""
OPENAPI_PATH = "/openapi.json"
REQUEUE_PATH = "/-/requeue"
"""POST ``{"at_most": n, "first": f, "spare": s}``: requeue up to n waiting requests, the earliest arrivals
first, one per millisecond. After the first f of them, s stay (f and s default to 0). The answer
``{"requeued": m}`` comes at once, with the number that will be requeued. A private call."""
LOAD_PATH = "/-/load"
"""GET: a :class:`QueueLoad`. A private call."""


def records_folder(run_dir: str, api: str) -> str:
    """Return the folder in which the processes of an API record the requests that they have started.

    The names of a replica's files begin with its id and a dot.
    """
    return os.path.join(run_dir, "started", api)


class Phase(StrEnum):
    """The phase of a replica, or of one of its processes."""

    PENDING = "pending"
    """Accepted, and waiting for a permit to start or for capacity."""
    BUILDING = "building"
    """Its Python environment is being built."""
    STARTING = "starting"
    """Its process runs, but cannot answer yet."""
    READY = "ready"
    """A slot can run the handler."""
    UNREADY = "unready"
    """Running and once ready, but now failing its readiness check."""
    BACKOFF = "backoff"
    """Exited, to be started again at ``ReplicaStatus.retry_at``."""
    SUCCEEDED = "succeeded"
    """Ended by itself with exit code 0, not to be started again (``RestartPolicy.NEVER``)."""
    FAILED = "failed"
    """Unable to start, or not to be started again: another try would not help. ``reason`` states why."""
    DRAINING = "draining"
    """Stopping: it finishes the requests that it has started."""
    GONE = "gone"
    """Ended: no process of it runs."""


FINAL: frozenset[Phase] = frozenset({Phase.SUCCEEDED, Phase.FAILED})
"""Phases in which no process of a replica runs, or will."""


class RestartPolicy(StrEnum):
    """The consequence of a process's exit in a replica that was not stopped."""

    ALWAYS = "always"
    """The process is started again, with back-off."""
    NEVER = "never"
    """The replica ends with the process: SUCCEEDED if its exit code is 0, else FAILED. No replica runs
    twice, not even where nothing is known of how the first run ended."""


FAILING = (Phase.FAILED, Phase.BACKOFF, Phase.UNREADY)
"""Phases of a replica that has a fault, the worst first."""

BECOMING = (Phase.PENDING, Phase.BUILDING, Phase.STARTING)
"""Phases on the way to READY, in their order."""


class StartKind(StrEnum):
    """The kind of a replica's start."""

    COLD = "cold"
    """A new process that loads everything again."""
    WARM = "warm"
    """A fork of a process that has loaded the handler before."""


class Reason(StrEnum):
    """The reason why a replica is not ready. The words are stable, so that scripts can match them."""

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
    MODELS = "ModelsUnreachable"
    """The object store of the models does not answer now."""
    EXHAUSTED = "ResourceExhausted"
    """Disk space, file descriptors or processes have run out."""
    SUPERVISOR_DIED = "SupervisorDied"
    UNSCHEDULABLE = "Unschedulable"
    """Request for more than the machine has."""
    ORDER = "OrderUnreadable"
    """READY, but the operator could not start it again."""
    CAPACITY = "WaitingForCapacity"
    """PENDING until other replicas release capacity."""
    IMAGE = "ImagePullFailure"
    """The container image cannot be pulled."""
    CONTAINER = "ContainerFailure"
    """The container cannot be created or started."""
    REFUSED = "Refused"
    """The cluster refuses the pod: a quota, a policy, or a missing right."""
    EVICTED = "Evicted"
    """The node ended the pod, or is lost."""


FATAL: frozenset[Reason] = frozenset(
    {Reason.DEPENDENCIES, Reason.IMPORT, Reason.PACKAGE, Reason.UNSCHEDULABLE}
)
"""Reasons for which a second start would fail like the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLoad:
    """The present load of one process of a replica."""

    slots: int | None
    """Slots; None means no limit."""
    busy: int
    """Slots in use."""
    waiting: int
    movable: int
    """Waiting requests that can be requeued."""
    places: int
    """Requests that it accepts before it refuses one."""
    waited: tuple[float, ...]
    """Seconds since the arrival of the movable requests, longest first; of some hundreds at most."""
    begun: int = 0
    """Requests that it has started since it runs. Processes of earlier versions report 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerConfig:
    """The user's handler class, and how to load and run it."""

    path: str
    """Python file, relative to the project folder."""
    class_name: str | None = None
    config: dict[str, Any] = field(default_factory=dict[str, Any])
    models: str | None = None
    """Folder with the models, which no process may change; None: there are none."""
    batch_max_size: int = 1
    batch_max_wait: float | None = 0.0
    """Seconds to wait for a batch to fill; None: as long as it pays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessConfig:
    """The command of a user's program.

    It is an HTTP server that listens on ``$PORT``, or a program that serves nothing.
    """

    command: tuple[str, ...]
    ready_path: str | None = None
    """A path that answers 2xx when the server is ready; None means ready once the port accepts
    connections."""
    serves: bool = True
    """False if the program has no port and no endpoint: it is ready as soon as it runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one *process* of a replica. Times in seconds, sizes in bytes."""

    max_concurrency: int | None = 1
    """Slots; None means no limit."""
    max_queue_length: int = 100
    timeout: float = 60.0
    """Seconds from a request's arrival to the start of its answer. A stream may continue beyond it."""
    max_body: int = 32 * 1024 * 1024
    max_header: int = 64 * 1024
    header_timeout: float = 10.0
    body_timeout: float = 30.0
    """Longest pause within a request's body, or in a client's reading of its answer."""
    keep_alive: float = 75.0
    """Idle time of a connection. It is longer than the gateway's, so that always the gateway closes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogArchiveAccess:
    """The place to which a supervisor sends a copy of its replica's log (:mod:`gyrus.log_archive`)."""

    url: str
    """URL of the operator's files server, without a slash at its end."""
    secret: str
    """The secret that opens the replica's own log, and nothing else."""
    ca: str
    """Path of the certificate that the server's is checked against."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaConfig:
    """The configuration with which a supervisor runs one replica."""

    id: str
    """Unique for ever, safe in a path: ``<api>-<generation>-<5 characters>``."""
    api: str
    revision: int
    project: str
    """Folder with the user's files, which no process may change."""
    python: str
    """Interpreter of the replica's environment."""
    handler: HandlerConfig | None = None
    process: ProcessConfig | None = None
    processes: int = 1
    limits: Limits = Limits()
    """Limits per process: the replica's slots are already divided among its processes."""
    env: dict[str, str] = field(default_factory=dict[str, str])
    memory: int | None = None
    """Bytes of resident memory of the whole replica. The supervisor kills a replica that exceeds them."""
    start_timeout: float = 600.0
    """Seconds for a process from its start until it is ready."""
    grace: float = 60.0
    """Seconds for a process from SIGTERM to its exit, after which it is killed."""
    run_dir: str = ""
    """Short folder for Unix sockets (their paths are limited to about 100 bytes). Unless ``listen`` names
    another address, process n of a handler listens on ``<run_dir>/<id>.<n>.sock``."""
    log_dir: str = ""
    """Folder for ``replica.log`` and its rotated predecessors."""
    notify: str | None = None
    """Unix datagram socket that receives the replica's id whenever ``status.json`` has changed. The socket is
    absent while the operator does not run."""
    restart: RestartPolicy = RestartPolicy.ALWAYS
    listen: tuple[str, ...] = ()
    """The addresses of its processes, one each: ``unix:/path`` or ``host:port``; with the queue proxy, only
    the proxy's. By default Unix sockets in ``run_dir``; for a ``process`` without the proxy, which must
    listen on TCP, a free port of 127.0.0.1."""
    queue_proxy: bool = False
    """True to put the runtime's queue proxy (slots, queue, requeue, drain) before a ``process``."""
    backlog_socket: str | None = None
    """Unix datagram socket that receives the API's name when a request has to wait, since another replica may
    have a free slot. The socket is absent while the operator does not run."""
    cold_because: str = ""
    """The reason for a cold start although warm starts are requested."""
    work_dir: str = ""
    """Folder for the working folders of its processes, each a copy of the project, new at each start. Empty:
    the processes work in the project's folder itself."""

    proof: str = ""
    """The value of :data:`PROOF_HEADER` by which the replica knows the operator's private calls. Empty: only
    the operator and the gateway reach the replica, as with Unix sockets."""
    status_address: str | None = None
    """``host:port`` on which the supervisor itself serves the replica's status; None: nowhere."""
    metrics_address: str | None = None
    """``host:port`` on which the supervisor serves the metrics of its processes, which must have TCP
    addresses in ``listen``; None: nowhere."""
    holds: str | None = None
    """File on which the supervisor holds a shared lock as long as it runs: what it names is in use."""
    holds_models: str | None = None
    """Likewise for its models."""
    log_to_stdout: bool = False
    """True to write the lines of the log to the supervisor's stdout, as in a container, and to no file."""
    log_archive: LogArchiveAccess | None = None
    """The archive that gets each line, too; None: none does."""

    def working_folder(self, index: int) -> str:
        """Return the working folder of a process."""
        return os.path.join(self.work_dir, str(index)) if self.work_dir else self.project

    def address(self, index: int) -> str:
        """Return the address of a process of ours, a worker or the queue proxy."""
        if self.listen:
            return self.listen[index]
        return f"unix:{os.path.join(self.run_dir, f'{self.id}.{index}.sock')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStatus:
    """One process of a replica."""

    index: int
    phase: Phase
    pid: int | None = None
    endpoint: str | None = None
    """The address for the gateway: ``unix:/path`` or ``127.0.0.1:port``."""
    restarts: int = 0
    failures: int = 0
    """Failures in a row. A minute of readiness ends the row."""
    reason: Reason | None = None
    message: str = ""
    """One line: the present step, or the failure."""
    exit_code: int | None = None
    """Code of its last exit; the negative number of the signal if one killed it."""
    last_lines: tuple[str, ...] = ()
    """Last lines of its output before its last failure, including the traceback."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoisonedRequest:
    """A request that a replica refused, because it had taken down two workers."""

    id: str
    """The ``x-request-id``, which a client may have chosen."""
    refused_at: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaStatus:
    """A replica as its backend observed it; the content of a supervisor's ``status.json``."""

    id: str
    api: str
    revision: int
    phase: Phase
    """Phase of the whole: READY if at least one process is, else that of the process closest to READY."""
    reason: Reason | None = None
    message: str = ""
    last_lines: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    """Endpoints of the ready processes."""
    restarts: int = 0
    failures: int = 0
    """Failures in a row of the process that its phase is that of. 0 from supervisors of earlier versions."""
    pid: int | None = None
    """The supervisor's pid. It is also the id of the replica's process group, which the supervisor leads."""
    pid_started: float | None = None
    """The supervisor's start time (psutil's, in seconds since the epoch), since a pid may be reused."""
    processes: tuple[ProcessStatus, ...] = ()
    started_at: float | None = None
    """Seconds since the epoch."""
    ready_at: float | None = None
    """When it first became ready."""
    retry_at: float | None = None
    exit_code: int | None = None
    """Exit code of the process that ended a replica with ``RestartPolicy.NEVER``; negative for a signal."""
    start: StartKind = StartKind.COLD
    cold_because: str = ""
    """The reason for a cold start although warm starts are requested: a clause, without a full stop."""
    poisoned: tuple[PoisonedRequest, ...] = ()
    """The last requests that it refused because they had taken down two workers, the newest last."""

"""The agreement between the operator and the programs in a pod of a replica or of a builder.

The operator writes an order into the pod's manifest. The *fetcher*, the init container of a replica, brings
the project and the Python environment into the pod and writes the replica's configuration. The *builder*, the
only container of its pod, builds an environment and uploads it. Both reach only the operator's files server.
The *sidecar*, beside containers of the user's own, reaches only these.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from gyrus.contract.cluster import CONFIG_FILE, POD_FOLDER, TLS_FOLDER
from gyrus.contract.models import ModelFolder
from gyrus.contract.replica import Limits, Reason, ReplicaConfig

PYTHON = "/opt/gyrus/bin/python"
"""gyrus's own interpreter, in both images."""
FETCH_COMMAND = (PYTHON, "-I", "-m", "gyrus.pods.fetch")
BUILD_COMMAND = (PYTHON, "-I", "-m", "gyrus.pods.build")

ORDER = "GYRUS_ORDER"
"""Environment variable with the order, as JSON: a :class:`FetchOrder` or a :class:`BuildOrder`."""
FILES = "GYRUS_FILES"
"""Environment variable with the URL of the files server, without a slash at its end."""
POD = "GYRUS_POD"
"""Environment variable with the pod's name."""
SECRET = "GYRUS_SECRET"
"""Environment variable with the pod's secret (:func:`gyrus.contract.cluster.replica_secret`). The container
that runs the user's code does not get it."""
CA = "GYRUS_CA"
"""Environment variable with the path of the certificate that the files server's is checked against."""
CA_FILE = f"{TLS_FOLDER}/ca.crt"
"""The default of that path."""

STATUS_PORT = 18003
"""The supervisor's own port in a pod: ``/status`` and ``/readyz``. Likewise the sidecar's: ``/readyz`` and
``/drained``."""
METRICS_PORT = 18005
"""The supervisor's port for Prometheus in a pod: ``/metrics``, with the metrics of all its processes."""
PROXY_PORT = 18004
"""The queue proxy's port in a pod with containers of the user's own."""
DRAINED_PATH = "/drained"
"""GET: is answered when the sidecar's last request has ended, so that a container's pre-stop hook can wait
for it; soon if the pod is not being deleted."""
SIDECAR_COMMAND = (PYTHON, "-I", "-m", "gyrus.pods.sidecar")
START_FILE = f"{POD_FOLDER}/start.py"
"""The program that starts the runtime in an image of the user's own: a copy of ``gyrus.pods.start``."""
START_SETTINGS = f"{POD_FOLDER}/start.json"
"""Its settings: what the runtime's compiled packages require of the image's Python."""
START_COMMAND = ("python3", "-I", START_FILE, CONFIG_FILE)
PRE_STOP_FILE = f"{POD_FOLDER}/pre_stop.py"
"""The program of a replica's pre-stop hook: a copy of ``gyrus.pods.pre_stop``, so that all images have it."""
UNROUTED_PATH = "/unrouted"
"""GET, at the files server: 204 as soon as no gateway routes to the pod that asks, or 202 after a while."""
MODELS_PATH = "/models"
"""POST a :class:`gyrus.contract.models.ModelFolder` to ``/models/urls``, at the files server: the answer is a
:class:`ModelUrls`. POST it to ``/models/<n>``: the content of the file of this number."""
MODELS_PROOF = "x-gyrus-models-proof"
"""The proof that the pod may fetch these models."""
IMAGE_ENVIRONMENT = "image"
"""Stands for the key of the Python environment of an image."""

PROJECT_FOLDER = f"{POD_FOLDER}/project"
ENVIRONMENTS_FOLDER = f"{POD_FOLDER}/environments"
MODELS_FOLDER = f"{POD_FOLDER}/models"
RUNTIMES_FOLDER = f"{POD_FOLDER}/runtimes"
RUN_FOLDER = f"{POD_FOLDER}/run"
LOG_FOLDER = f"{POD_FOLDER}/log"
WORK_FOLDER = f"{POD_FOLDER}/work"
"""The working folders of a replica's processes: ``ReplicaConfig.work_dir``."""

POD_USER = 65532
"""The user and the group of all processes of the images."""
KEEP_CACHE = (PYTHON, "-I", "-m", "gyrus.pods.keep_cache")
"""The program that keeps a node's cache; ``prepare`` or ``shrink`` follows."""
CACHE_LIMIT = "GYRUS_CACHE_LIMIT"
"""Environment variable of that program: the bytes that unused environments may take."""

DIGEST_HEADER = "x-gyrus-digest"
"""SHA-256 of a file's bytes, in hexadecimal digits, on uploads and downloads."""
REDIRECT_HEADER = "x-gyrus-redirect"
"""Set to ``1`` by programs that follow a redirect to a signed URL of an object store. The answer of the files
server then has :data:`DIGEST_HEADER`, and the URL needs no proof of the pod's."""
UNREACHABLE = 75
"""Exit code of the fetcher and the builder if they could not reach the operator: a retry may help. The code 1
means that a retry would fail likewise."""
TERMINATION_LOG = "/dev/termination-log"
"""The file that Kubernetes keeps in the status of an ended container: a :class:`PodFailure`, as JSON."""
LONGEST_TERMINATION_LOG = 4096
"""Bytes of it that Kubernetes keeps."""
FORMAT = 1
"""Version of an environment's archive. Another layout needs a higher number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchOrder:
    """The content of a replica's pod."""

    package: str | None
    """Digest of the project's archive. None means that the project is empty."""
    environment: str
    """Key of the Python environment; :data:`IMAGE_ENVIRONMENT` to bring the runtime alone."""
    models: ModelFolder | None = None
    """The handler's models; None: there are none."""
    models_proof: str = ""
    """The proof that the pod may fetch these models: see :func:`models_purpose`."""
    cached: bool = False
    """True if :data:`ENVIRONMENTS_FOLDER` is a folder of the node, which its pods share."""
    image: str = ""
    """The image that has the Python packages then, for messages."""
    config: ReplicaConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUrls:
    """The answer of the files server to a pod that may fetch models."""

    urls: tuple[str, ...]
    """A signed URL of each file, in their order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOrder:
    """One Python environment to build."""

    environment: str
    """Key of the environment."""
    package: str | None
    """Digest of the project's archive. None means that the project is empty."""
    requirements: str | None = None
    """The requirements file that the specification names. None means the first of the usual ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreStopOrder:
    """The arguments of :func:`gyrus.pods.pre_stop.wait`. Times in seconds."""

    url: str
    """URL of :data:`UNROUTED_PATH` at the operator's files server."""
    pod: str
    proof: str
    ca: str = CA_FILE
    pause: float = 5.0
    """How long the pod serves on if the operator does not answer."""
    longest: float = 30.0
    """How long it serves on if the operator answers that a gateway may still route to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarOrder:
    """The work of the container beside the user's own. Times in seconds."""

    api: str
    upstream: int
    """The port on which the user's container answers."""
    limits: Limits = field(default_factory=Limits)
    probe: bool = True
    """True to be ready only while that port accepts connections."""
    proxy: bool = True
    """True to put the queue proxy before that port."""
    pre_stop: PreStopOrder | None = None
    """How the pod serves on after its deletion was requested. None: not at all."""
    grace: float = 60.0
    """From then on, the longest time for the requests that it has started."""
    origin: bool = False
    """True to name Cortex's origin in each answer."""
    proof: str = ""
    """See ``ReplicaConfig.proof``: the queue proxy's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodFailure:
    """The reason why a fetcher or a builder failed."""

    reason: Reason
    message: str
    """One line."""
    lines: tuple[str, ...] = ()
    """The installer's last lines."""

    def shortened(self) -> bytes:
        """Encode the failure for the termination log.

        If it is too long, its first lines are left out, and then the end of its message.
        """
        message, lines = self.message, self.lines
        while True:
            encoded = json.dumps({"reason": self.reason, "message": message, "lines": lines}).encode()
            if len(encoded) <= LONGEST_TERMINATION_LOG:
                return encoded
            message, lines = (message, lines[1:]) if lines else (message[: len(message) * 9 // 10], ())


def environment_folder(environment: str) -> str:
    """Return the folder of an environment. Builder and replicas use the same, since it cannot be moved."""
    return f"{ENVIRONMENTS_FOLDER}/{environment}"


def use_lock(folder: str, environment: str) -> str:
    """Return the file that a replica locks while it uses an environment of a node's cache."""
    return f"{folder}/{environment}.use"


def models_purpose(key: str) -> str:
    """Return the purpose of a pod's proof for models (:func:`gyrus.contract.cluster.replica_proof`).

    Without it, a pod could read whatever the operator can read.
    """
    return f"models-{key}"


def cached_models(key: str) -> str:
    """Return the name of models in the folder of the node that its pods share."""
    return f"models-{key}"


def models_folder(key: str, *, cached: bool) -> str:
    """Return the folder of a replica's models. ``cached``: in the folder of the node."""
    return f"{ENVIRONMENTS_FOLDER}/{cached_models(key)}" if cached else f"{MODELS_FOLDER}/{key}"


def python_of(environment: str) -> str:
    """Return the interpreter of an environment."""
    return f"{environment_folder(environment)}/bin/python"


def serve_command(environment: str) -> tuple[str, ...]:
    """Return the command of a replica's main container: the supervisor."""
    return (python_of(environment), "-I", "-m", "gyrus.runtime.supervisor", CONFIG_FILE)


def builder_name(environment: str) -> str:
    """Return the name of the pod that builds an environment. A suffix ``-<attempt>`` may follow.

    The files server accepts an environment from such a pod only, so that no builder, which runs the setup
    code of a project's packages, can replace the environment of another project.
    """
    return f"gyrus-build-{environment}"


def builds(pod: str, environment: str) -> bool:
    """Return True if the pod of this name is a builder of this environment.

    >>> [builds(pod, "7d3f") for pod in ("gyrus-build-7d3f", "gyrus-build-7d3f-2", "iris-1-abcde")]
    [True, True, False]
    """
    name = builder_name(environment)
    return pod == name or pod.startswith(f"{name}-")

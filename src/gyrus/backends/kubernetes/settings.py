"""Settings of the backend: the facts of an installation that its pods need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gyrus.contract.cluster import (
    CALLS,
    FILES_PORT,
    NAMESPACE,
    PRE_STOP,
    SERVES_ON_ANNOTATION,
    operator_host,
    replica_proof,
)
from gyrus.contract.pods import UNROUTED_PATH, PreStopOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesSettings:
    """Facts of an installation. Times in seconds."""

    namespace: str = NAMESPACE
    image: str
    """Full reference of the runtime image, for replicas and builders."""
    secret: str
    """The installation's secret, from which each pod's is derived."""
    runtime: str
    """Digest of the runtime's code in the image: it is part of an environment's identity."""
    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()
    """Names of Secrets with the credentials of registries."""
    priority_class: str = ""
    """The PriorityClass of replicas that name none, and of builders. Empty: the cluster's default."""
    serving_on: float = 5.0
    """How long a pod serves on after its deletion was requested, if the operator does not answer when it asks
    whether a gateway routes to it. 0: it does not ask, and ends at once."""
    longest_leave: float = 30.0
    """How long it serves on if the operator answers that a gateway may still route to it."""
    node_cache: str = ""
    """Folder of each node with the Python environments that its pods share. Empty: each pod has its own."""
    builder_cpu: float = 0.5
    """Cores that a builder requests."""
    builder_mem: int = 512 * 2**20
    """Bytes that a builder requests."""
    sidecar_cpu: float = 0.05
    """Cores that the container beside images of the user's own requests."""
    sidecar_mem: int = 48 * 2**20
    """Bytes that it requests."""
    builder_variables: Mapping[str, str] = field(default_factory=dict[str, str])
    """Settings of package indexes and proxies: ``PIP_*``, ``UV_*``, ``HTTPS_PROXY``."""

    @property
    def files(self) -> str:
        """The URL of the operator's files server."""
        return f"https://{operator_host(self.namespace)}:{FILES_PORT}"

    def pre_stop(self, replica: str) -> PreStopOrder | None:
        """Return how a replica's pod leaves. Returns None if it ends at once."""
        if not self.serving_on:
            return None
        return PreStopOrder(
            url=self.files + UNROUTED_PATH,
            pod=replica,
            proof=replica_proof(self.secret, PRE_STOP, replica),
            pause=self.serving_on,
            longest=self.longest_leave,
        )

    @property
    def serves_on(self) -> dict[str, str]:
        """The annotation of pods whose containers all wait until no gateway routes to them."""
        return {SERVES_ON_ANNOTATION: f"{self.longest_leave:g}"} if self.serving_on else {}

    def proof(self, replica: str) -> str:
        """Return the proof of the operator's private calls to a replica."""
        return replica_proof(self.secret, CALLS, replica)

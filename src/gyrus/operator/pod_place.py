"""The place of the operator in a cluster: what the installation has put into its pod."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gyrus.contract import cluster
from gyrus.operator.errors import StartError
from gyrus.server.tls_files import ServerCertificate


@dataclass(frozen=True, slots=True, kw_only=True)
class PodPlace:
    """The operator's pod."""

    namespace: str
    pod: str
    address: str
    """Its IP address."""
    runtime_image: str
    gateway_url: str
    """Base URL of the endpoints, as clients outside the cluster see it. Empty if the Service has it."""
    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()
    """Names of Secrets with the credentials of registries."""
    priority_class: str = ""
    """The PriorityClass of replicas and builders; "" for the cluster's default."""
    node_cache: str = ""
    """Folder of each node with the environments that its pods share; "" if there is none."""
    nodes: str = ""
    """The node groups on AWS, as JSON; "" if there are none."""
    objects: str = ""
    """URL of the object store of packages, environments and old logs; "" if there is none."""
    tls: Path = Path(cluster.TLS_FOLDER)
    secrets: Path = Path(cluster.SECRETS_FOLDER)

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> PodPlace:
        """Read the pod's variables. Raises StartError if one is missing."""
        try:
            namespace = environ[cluster.POD_NAMESPACE_VARIABLE]
            return cls(
                namespace=namespace,
                pod=environ[cluster.POD_NAME_VARIABLE],
                address=environ[cluster.POD_ADDRESS_VARIABLE],
                runtime_image=environ[cluster.RUNTIME_IMAGE_VARIABLE],
                gateway_url=environ.get(cluster.GATEWAY_URL_VARIABLE, ""),
                pull_policy=environ.get(cluster.PULL_POLICY_VARIABLE, "IfNotPresent"),
                pull_secrets=tuple(filter(None, environ.get(cluster.PULL_SECRETS_VARIABLE, "").split(","))),
                node_cache=environ.get(cluster.NODE_CACHE_VARIABLE, ""),
                nodes=environ.get(cluster.NODES_VARIABLE, ""),
                objects=environ.get(cluster.OBJECTS_VARIABLE, ""),
                priority_class=environ.get(cluster.PRIORITY_CLASS_VARIABLE, ""),
            )
        except KeyError as error:
            raise StartError(
                f"The variable {error.args[0]} is missing: --cluster is for the operator's pod, which "
                "`gyrus cluster install` creates."
            ) from error

    def secret(self, name: str) -> str:
        """Return one of the installation's secrets: ``token``, ``requeue`` or ``replicas``.

        Raises StartError if it cannot be read.
        """
        file = self.secrets / name
        try:
            return file.read_text().strip()
        except OSError as error:
            raise StartError(
                f"The secret {name} cannot be read ({file}: {error.strerror}). Run `gyrus cluster install` "
                f"again, which restores the Secret {cluster.OPERATOR_SECRETS}."
            ) from error

    def server_tls(self) -> ServerCertificate:
        """Return the TLS settings of the operator's ports. Raises StartError if they cannot be used."""
        try:
            return ServerCertificate(self.tls / "tls.crt", self.tls / "tls.key")
        except OSError as error:  # ssl.SSLError is one
            raise StartError(
                f"The certificate in {self.tls} cannot be used: {error}. Run `gyrus cluster install` again, "
                f"which restores the Secret {cluster.OPERATOR_TLS}."
            ) from error

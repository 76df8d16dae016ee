"""``python -m gyrus.routing.gateway_pod``: the program of a gateway's pod. It starts Envoy in its own place.

Envoy gets its configuration from the operator's Service by mutual TLS, and keeps it without the operator. All
gateways have one configuration, so the paths of their own sockets are the same in each pod.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from gyrus.contract import cluster
from gyrus.routing.bootstrap import EnvoyFiles, bootstrap, tls_secrets
from gyrus.routing.envoy import locate
from gyrus.routing.errors import EnvoyFailed
from gyrus.routing.resources import file_secrets, tls_listener
from gyrus.routing.resources.kinds import Json
from gyrus.routing.resources.readiness import readiness
from gyrus.routing.resources.tls_listener import TlsListener
from gyrus.routing.settings import ConnectionLimits, GatewaySettings, TlsAddress, TlsFiles

FOLDER = Path(cluster.GATEWAY_FOLDER)
MIB = 1024 * 1024


def gateway_settings(requeue_secret: str = "", hosts: tuple[str, ...] = ()) -> GatewaySettings:
    """Return the settings of all gateways of a cluster. Operator and pods must agree on them."""
    return GatewaySettings(
        port=cluster.GATEWAY_PORT,
        address=cluster.ANY_HOST,
        concurrency=1,
        hosts=hosts,
        connections=ConnectionLimits(most=20_000),
        bodies=256 * MIB,
        across_machines=True,
        requeue_secret=requeue_secret,
    )


def tls_files(folder: Path = Path(cluster.TLS_FOLDER)) -> TlsFiles:
    """Return the files that a Secret of certificates has in this folder."""
    return TlsFiles(certificate=folder / "tls.crt", key=folder / "tls.key", authority=folder / "ca.crt")


@dataclass(frozen=True, slots=True)
class PodFiles:
    """The paths of a gateway's own files, equal in all pods."""

    folder: Path = FOLDER

    @property
    def bootstrap(self) -> Path:
        return self.folder / "bootstrap.json"

    @property
    def bridge(self) -> str:
        """The endpoint of its listener that changes protocols."""
        return f"unix:{self.folder}/bridge.sock"

    @property
    def retries(self) -> str:
        """The endpoint of its listener for second passes."""
        return f"unix:{self.folder}/retries.sock"

    @property
    def envoy(self) -> EnvoyFiles:
        return EnvoyFiles(
            admin=self.folder / "admin.sock",
            bodies=self.folder / "bodies.sock",
            pressure=self.folder / "pressure",
        )


def bootstrap_of(
    node: str,
    ads_at: TlsAddress,
    settings: GatewaySettings,
    files: PodFiles,
    readiness_port: int = cluster.ADMIN_PORT,
    endpoint_tls: TlsListener | None = None,
) -> Json:
    """Build the bootstrap of a gateway's pod. ``node``: the pod's name."""
    built = bootstrap(node, files.envoy, ads_at, settings, ads_at.tls, reports=True)
    static = built["static_resources"]
    ready = readiness(files.envoy.admin, readiness_port, static["clusters"])
    if endpoint_tls:
        ready["listeners"] += [
            tls_listener.listener(settings, endpoint_tls, access_log="/dev/stdout"),
            tls_listener.redirecting(settings, endpoint_tls),
        ]
    return {**built, "static_resources": {**static, **ready}}


def endpoint_tls_of(environ: Mapping[str, str], files: PodFiles) -> TlsListener | None:
    """Return the TLS settings of the endpoints. Returns None if they have no certificate."""
    https_port = environ.get(cluster.HTTPS_PORT_VARIABLE)
    if not https_port:
        return None
    folder = Path(cluster.ENDPOINT_TLS_FOLDER)
    return TlsListener(
        port=cluster.GATEWAY_TLS_PORT,
        redirect_port=cluster.REDIRECT_PORT,
        https_port=int(https_port),
        certificate=file_secrets.certificate(
            "gyrus.endpoint-certificate", files.folder, folder / "tls.crt", folder / "tls.key"
        ),
    )


def documents_of(environ: Mapping[str, str], files: PodFiles) -> dict[Path, Json]:
    """Return the bootstrap of the pod with these variables, and the resources that it names, by their files.

    Raises KeyError.
    """
    host = cluster.operator_host(environ[cluster.POD_NAMESPACE_VARIABLE])
    ads_at = TlsAddress(host=host, port=cluster.XDS_PORT, tls=tls_files())
    node, tls = environ[cluster.POD_NAME_VARIABLE], endpoint_tls_of(environ, files)
    built = bootstrap_of(node, ads_at, gateway_settings(), files, endpoint_tls=tls)
    secrets = [*tls_secrets(files.envoy, ads_at.tls), *([tls.certificate] if tls else [])]
    return {files.bootstrap: built, **{secret.file: secret.document for secret in secrets}}


def main() -> NoReturn:
    """Write the bootstrap, and become Envoy."""
    files = PodFiles()
    try:
        documents = documents_of(os.environ, files)
        binary, _ = locate()
    except KeyError as error:
        sys.stderr.write(f"gyrus: The variable {error.args[0]} is missing in the gateway's pod.\n")
        sys.exit(2)
    except EnvoyFailed as error:
        sys.stderr.write(f"gyrus: {error}\n")
        sys.exit(1)
    files.folder.mkdir(parents=True, exist_ok=True)
    files.envoy.pressure.write_text("0.0")
    for file, document in documents.items():
        file.write_text(json.dumps(document))
    options = ("--config-path", str(files.bootstrap), "--concurrency", "1", "--disable-hot-restart")
    os.execv(binary, (str(binary), *options))


if __name__ == "__main__":
    main()

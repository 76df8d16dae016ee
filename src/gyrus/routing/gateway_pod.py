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
from gyrus.routing.bootstrap import EnvoyFiles, bootstrap
from gyrus.routing.envoy import locate
from gyrus.routing.errors import EnvoyFailed
from gyrus.routing.resources.kinds import Json
from gyrus.routing.resources.readiness import readiness
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
) -> Json:
    """Build the bootstrap of a gateway's pod. ``node``: the pod's name."""
    built = bootstrap(node, files.envoy, ads_at, settings, ads_at.tls, reports=True)
    static = built["static_resources"]
    ready = readiness(files.envoy.admin, readiness_port, static["clusters"])
    return {**built, "static_resources": {**static, **ready}}


def _bootstrap(environ: Mapping[str, str], files: PodFiles) -> Json:
    """Build the bootstrap of the pod with these variables. Raises KeyError."""
    host = cluster.operator_host(environ[cluster.POD_NAMESPACE_VARIABLE])
    ads_at = TlsAddress(host=host, port=cluster.XDS_PORT, tls=tls_files())
    return bootstrap_of(environ[cluster.POD_NAME_VARIABLE], ads_at, gateway_settings(), files)


def main() -> NoReturn:
    """Write the bootstrap, and become Envoy."""
    files = PodFiles()
    try:
        built = _bootstrap(os.environ, files)
        binary, _ = locate()
    except KeyError as error:
        sys.stderr.write(f"gyrus: The variable {error.args[0]} is missing in the gateway's pod.\n")
        sys.exit(2)
    except EnvoyFailed as error:
        sys.stderr.write(f"gyrus: {error}\n")
        sys.exit(1)
    files.folder.mkdir(parents=True, exist_ok=True)
    files.envoy.pressure.write_text("0.0")
    file = files.folder / "bootstrap.json"
    file.write_text(json.dumps(built))
    options = ("--config-path", str(file), "--concurrency", "1", "--disable-hot-restart")
    os.execv(binary, (str(binary), *options))


if __name__ == "__main__":
    main()

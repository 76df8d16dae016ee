"""Connections to an operator, each of which proves the operator before anything is sent.

A Unix socket proves the user whose process listens. Everywhere else, TLS proves a certificate's owner. There
is no third kind: over plain HTTP, any process that listens on the address would get the token.
"""

from __future__ import annotations

import hashlib
import os
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3.connection import HTTPConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from gyrus.aio import unix_sockets
from gyrus.client.environments import Environment
from gyrus.client.errors import BadEnvironments, UnprovenOperator
from gyrus.client.proof import OPERATOR_NAME

MOST = 8
"""Connections to keep open."""
SOCKET = "unix://"
PLAIN = "http://"


def connections(environment: Environment) -> urllib3.HTTPConnectionPool:
    """Return the pool of connections to this operator. Raises BadEnvironments."""
    if environment.url.startswith(SOCKET):
        path = Path(environment.url.removeprefix(SOCKET))
        return _UnixConnectionPool("localhost", maxsize=MOST, path=path)
    if not is_safe(environment.url):
        raise BadEnvironments(refusal(environment.url), remedy=REMEDY)
    address = urlsplit(environment.url)
    assert address.hostname
    return urllib3.HTTPSConnectionPool(address.hostname, address.port, maxsize=MOST, **_proof(environment))


def base_path(environment: Environment) -> str:
    """Return the path at which the operator's API begins."""
    return "" if environment.url.startswith(SOCKET) else urlsplit(environment.url).path.rstrip("/")


REMEDY = (
    "Use https://, with the operator's certificate: gyrus env add NAME --url https://HOST:PORT "
    "--token-file FILE --certificate FILE"
)


def is_safe(url: str) -> bool:
    """Return whether the server at this URL has to prove itself before it gets anything."""
    try:
        address = urlsplit(url)
        return address.scheme == "https" and bool(address.hostname) and address.port != 0
    except ValueError:  # no valid host or port
        return False


def refusal(url: str) -> str:
    """Return the reason why an operator is not used at this URL."""
    if url.startswith(PLAIN):
        return f"{url} is refused: over plain HTTP, whatever listens there would get the token."
    return f"{url} is not the URL of an operator."


def _proof(environment: Environment) -> dict[str, Any]:
    """Return the options that accept the environment's certificate only, or those of its authority."""
    if environment.certificate:
        # The certificate signs itself, so its owner's key proves all: neither issuer nor host name does.
        return {"cert_reqs": ssl.CERT_NONE, "assert_fingerprint": _fingerprint(environment.certificate)}
    if environment.authority:
        # Clients reach the operator by addresses that no certificate can have: its own name proves it.
        context = trusting(environment.authority)
        return {"ssl_context": context, "assert_hostname": OPERATOR_NAME}
    return {"cert_reqs": ssl.CERT_REQUIRED}


def trusting(authority: Path, *, beside_system: bool = False) -> ssl.SSLContext:
    """Return the settings that trust the authorities of a file. Raises BadEnvironments."""
    context = ssl.create_default_context() if beside_system else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(authority)
    except OSError as fault:  # ssl.SSLError is one
        raise BadEnvironments(
            f"The authority cannot be read from {authority}: {fault.strerror or fault}.",
            remedy="On Kubernetes, write it again with: gyrus cluster connect",
        ) from fault
    return context


def _fingerprint(certificate: Path) -> str:
    try:
        encoded = ssl.PEM_cert_to_DER_cert(certificate.read_text(encoding="ascii").strip())
    except (OSError, ValueError) as fault:  # a UnicodeError is a ValueError
        raise BadEnvironments(
            f"The operator's certificate cannot be read from {certificate}: {fault}.",
            remedy="It is the file operator.crt in the operator's GYRUS_HOME. Copy it again.",
        ) from fault
    return hashlib.sha256(encoded).hexdigest()


class _UnixConnection(HTTPConnection):
    """A connection to a Unix socket, closed at once if another user's process listens there."""

    def __init__(self, *args: Any, path: Path, **options: Any) -> None:
        super().__init__(*args, **options)
        self._path = path

    def _new_conn(self) -> Any:
        try:
            connection = unix_sockets.connect(self._path, self.timeout)
        except TimeoutError as fault:
            raise ConnectTimeoutError(self, f"{self._path}: {fault}") from fault
        except OSError as fault:
            raise NewConnectionError(self, f"{self._path}: {fault}") from fault
        uid = unix_sockets.peer_uid(connection)
        if uid != os.geteuid():
            connection.close()
            raise UnprovenOperator(
                f"The process that listens at {self._path} belongs to another user (id {uid}). "
                "Nothing was sent to it.",
                remedy="Use your own platform, or run the command as the user who started that one.",
            )
        return connection


class _UnixConnectionPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _UnixConnection  # pyright: ignore[reportAssignmentType] -- as urllib3 does itself

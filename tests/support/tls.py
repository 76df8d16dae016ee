"""Certificates for tests."""

from __future__ import annotations

import ssl
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import trustme

from gyrus.contract.home import Home
from support.servers import running


class Authority:
    """Issues certificates for names, and contexts that trust these alone."""

    def __init__(self) -> None:
        self._ca = trustme.CA()

    @property
    def certificate(self) -> str:
        """The authority's own certificate, which clients trust."""
        return self._ca.cert_pem.bytes().decode()

    def server(self, name: str, *, clients: Authority | None = None) -> ssl.SSLContext:
        """A server's context. ``clients``: the authority whose certificate it requires of each client."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._certify(context, name)
        if clients is not None:
            clients._trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client(self, name: str | None = None, *, issuer: Authority | None = None) -> ssl.SSLContext:
        """A client's context. ``name``: of its own certificate; ``issuer``: of that, if not this one."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._trust(context)
        if name is not None:
            (issuer or self)._certify(context, name)
        return context

    def _certify(self, context: ssl.SSLContext, name: str) -> None:
        with self._ca.issue_cert(name).private_key_and_cert_chain_pem.tempfile() as file:
            context.load_cert_chain(file)

    def _trust(self, context: ssl.SSLContext) -> None:
        context.load_verify_locations(cadata=self.certificate)


@contextmanager
def tls_server(home: Home, handler: type[BaseHTTPRequestHandler]) -> Generator[str]:
    """A server that has the certificate of this home's operator. Yields its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(home.certificate, home.certificate_key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with running(server, "TLS server") as port:
        yield f"https://127.0.0.1:{port}"

"""Certificates for tests."""

from __future__ import annotations

import ssl

import trustme


class Authority:
    """Issues certificates for names, and contexts that trust these alone."""

    def __init__(self) -> None:
        self._ca = trustme.CA()

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
        context.load_verify_locations(cadata=self._ca.cert_pem.bytes().decode())

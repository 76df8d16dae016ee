"""A load's destination, and its requests on the wire."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import h11

from gyrus.client.connections import trusting
from gyrus.client.transport import USER_AGENT


@dataclass(frozen=True, slots=True)
class Address:
    """One URL to post to."""

    host: str
    port: int
    target: str
    authority: str
    context: ssl.SSLContext | None = None
    """The TLS settings; None means without TLS."""
    _heads: dict[int, h11.Request] = field(default_factory=dict[int, h11.Request], compare=False)

    @classmethod
    def of(cls, url: str, authority: Path | None = None) -> Self:
        """Return the address of a URL. Raises BadEnvironments.

        ``authority``: one to trust beside those of this system.
        """
        parts = urlsplit(url)
        assert parts.hostname is not None, f"{url} is an endpoint"
        secure = parts.scheme == "https"
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(
            host=parts.hostname,
            port=parts.port or (443 if secure else 80),
            target=target,
            authority=parts.netloc.rpartition("@")[2],
            context=_context(authority) if secure else None,
        )

    def head(self, length: int) -> h11.Request:
        """Return the head of a request with a body of this length.

        Building it is half of the work of sending a request, so it is built once per length.
        """
        head = self._heads.get(length)
        if head is None:
            head = self._heads[length] = self._request(length)
        return head

    def _request(self, length: int) -> h11.Request:
        fields: Mapping[str, str] = {
            "host": self.authority,
            "user-agent": USER_AGENT,
            "content-type": "application/json",
            "content-length": str(length),
        }
        return h11.Request(method="POST", target=self.target, headers=list(fields.items()))


def _context(authority: Path | None) -> ssl.SSLContext:
    return trusting(authority, beside_system=True) if authority else ssl.create_default_context()

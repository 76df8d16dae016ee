"""Where a load goes, and what its requests look like on the wire."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

import h11

from gyrus.client.transport import USER_AGENT


@dataclass(frozen=True, slots=True)
class Address:
    """One URL that is posted to."""

    host: str
    port: int
    target: str
    authority: str
    context: ssl.SSLContext | None = None
    """None: without TLS."""
    _heads: dict[int, h11.Request] = field(default_factory=dict[int, h11.Request], compare=False)

    @classmethod
    def of(cls, url: str) -> Self:
        parts = urlsplit(url)
        assert parts.hostname is not None, f"{url} is an endpoint"
        secure = parts.scheme == "https"
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(
            host=parts.hostname,
            port=parts.port or (443 if secure else 80),
            target=target,
            authority=parts.netloc.rpartition("@")[2],
            context=ssl.create_default_context() if secure else None,
        )

    def head(self, length: int) -> h11.Request:
        """Of a request with a body so long. Making it is half of the work, so it is made once a length."""
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

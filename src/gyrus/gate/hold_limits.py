"""The bounds of what the activator holds, and the part of each that no single API may take. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

MIB = 1024 * 1024
SHARE = 3
"""An API may hold this many times what is still free: three quarters if no other API holds anything. So there
is always a reserve for another API, and it shrinks as more of them hold requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldLimits:
    """The limits of all APIs together."""

    requests: int = 10_000
    body_bytes: int = 256 * MIB
    """Bytes of requests whose bodies only the activator and the client have."""

    @property
    def connections(self) -> int:
        """Connections of gateways. One that has no held request serves a refusal, or is idle."""
        return 2 * self.requests


def has_space(own: int, total: int, most: int, size: int = 1) -> bool:
    """Return True if an API may take ``size`` more.

    ``own``: what it has already. ``total``: what all APIs have. ``most``: the limit of all.
    """
    return total + size <= most and own < SHARE * (most - total)


class HeldBytes:
    """The bytes that held requests reserve, by API. Bookkeeping."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.total = 0
        self._by_api: Counter[str] = Counter()

    def growth(self, api: str) -> int:
        """Return the bytes by which the API's requests may grow, so that the others keep their reserve."""
        free = max(0, self.most - self.total)
        return max(0, SHARE * free - self.of(api)) // (SHARE + 1)

    def of(self, api: str) -> int:
        return self._by_api[api]

    def change(self, api: str, by: int) -> None:
        """Reserve more, or release some."""
        self.total += by
        self._by_api[api] += by
        if not self._by_api[api]:
            del self._by_api[api]

"""The use of the gateway's own limits: connections, and requests with long bodies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitUse:
    """The use of one limit."""

    used: int = 0
    most: int = 0
    refused: int = 0
    """Refusals since the gateway started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayLoad:
    """The use of all limits, as the gateway counted it."""

    connections: LimitUse = LimitUse()
    bodies: Mapping[str, LimitUse] = field(default_factory=dict[str, LimitUse])
    """By tier of lengths: requests with long bodies."""
    resets: int = 0
    """Requests that the gateway has reset because its memory ran short."""


@dataclass(frozen=True, slots=True)
class GatewayLimit:
    """A limit that the gateway has reached, or is about to reach."""

    message: str
    refusing: bool
    """True if the gateway has refused requests because of it within the last seconds."""

"""GatewayError
├── GatewayPortTaken       another program listens where the gateway should
└── EnvoyFailed     Envoy does not start, or ends at once
"""

from __future__ import annotations


class GatewayError(Exception):
    """Base of what the gateway raises. The message is for the user."""


class GatewayPortTaken(GatewayError):
    pass


class EnvoyFailed(GatewayError):
    pass

"""GatewayError
├── GatewayPortTaken    another program listens where the gateway should
├── EnvoyFailed         Envoy does not start, or ends at once
├── TlsUnusable         the certificates of the configuration port cannot be used
└── TrafficUnknown      a gateway does not report its traffic now
"""

from __future__ import annotations


class GatewayError(Exception):
    """Base of the gateway's errors. The message is for the user."""


class GatewayPortTaken(GatewayError):
    pass


class EnvoyFailed(GatewayError):
    pass


class TlsUnusable(GatewayError):
    pass


class TrafficUnknown(GatewayError):
    pass

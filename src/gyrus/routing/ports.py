"""Checks of the gateway's port: that it is free, or that it is open."""

from __future__ import annotations

import socket

from gyrus.aio.ports import port_owner
from gyrus.contract.home import Home
from gyrus.routing.errors import GatewayPortTaken

CONNECT_TIMEOUT = 0.2
"""Seconds for a connection. On the same machine, the answer is immediate."""


def check_free(address: str, port: int) -> None:
    """Check that the gateway can listen on this port. Raises GatewayPortTaken if it cannot."""
    try:
        with socket.socket(_family(address), socket.SOCK_STREAM) as attempt:
            # As Envoy does: connections in TIME_WAIT do not block the port.
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            attempt.bind((address, port))
    except PermissionError as error:
        raise GatewayPortTaken(
            f"The gateway is not allowed to listen on port {port}: ports below 1024 need privileges. "
            "Choose another port with --gateway-port."
        ) from error
    except OSError as error:
        reason = _occupied(port) or f"{error.strerror}. Choose"
        raise GatewayPortTaken(
            f"The gateway cannot listen on {address}:{port}: {reason} another port with --gateway-port."
        ) from error


def _occupied(port: int) -> str:
    """Name the process that has the port, and how to stop it. Empty if the system does not reveal it."""
    listener = port_owner(port)
    if listener is None:
        return ""
    if home := Home.of_command(listener.command):
        return (
            f"the platform in {home.root} has the port, with {listener}. "
            f"Stop it (GYRUS_HOME={home.root} gyrus down), or choose"
        )
    return f"{listener} has the port. Stop it, or choose"


def listens(address: str, port: int) -> bool:
    """Return True if a process accepts connections on this port."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)
    try:
        socket.create_connection((host, port), timeout=CONNECT_TIMEOUT).close()
    except OSError:
        return False
    return True


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET

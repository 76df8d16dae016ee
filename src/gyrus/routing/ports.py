"""Is the gateway's port free, and if not, who has it?"""

from __future__ import annotations

import socket

import psutil

from gyrus.routing.errors import GatewayPortTaken

CONNECT_TIMEOUT = 0.2
"""Seconds. On the machine itself the answer comes at once."""


def check_free(address: str, port: int) -> None:
    """Raises GatewayPortTaken where nothing can listen there now."""
    try:
        with socket.socket(_family(address), socket.SOCK_STREAM) as attempt:
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            attempt.bind((address, port))
    except PermissionError as error:
        raise GatewayPortTaken(
            f"The gateway may not listen on port {port}: ports below 1024 need privileges. "
            "Choose another port with --gateway-port."
        ) from error
    except OSError as error:
        who = holder(port)
        reason = f"{who} has the port. Stop it, or choose" if who else f"{error.strerror}. Choose"
        raise GatewayPortTaken(
            f"The gateway cannot listen on {address}:{port}: {reason} another port with --gateway-port."
        ) from error


def listens(address: str, port: int) -> bool:
    """Whether somebody takes connections there."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)
    try:
        socket.create_connection((host, port), timeout=CONNECT_TIMEOUT).close()
    except OSError:
        return False
    return True


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def holder(port: int) -> str | None:
    """``name (process 123)`` of who listens on the port, where the system tells us."""
    try:
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and tuple(connection.laddr)[1:2] == (port,)
            if listens and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    except (psutil.Error, OSError):
        pass
    return None

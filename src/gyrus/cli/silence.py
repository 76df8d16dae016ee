"""The reason why the operator of this machine does not answer, and what still runs."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from gyrus.cli import local
from gyrus.cli.failures import CommandFailure
from gyrus.client.errors import OperatorUnreachable
from gyrus.contract.home import Home

CONNECT_TIMEOUT = 0.2
"""Seconds for a connection. On the same machine, the answer is immediate."""


def explained(home: Home, fault: OperatorUnreachable) -> CommandFailure:
    """Return the failure with what still runs, and where to look. Looks at this machine's processes."""
    log = f"The operator's log is {home.operator_log}"
    if (operator := local.running(home)) and operator.socket is None:  # an earlier gyrus
        return CommandFailure(fault.message, remedy=fault.remedy)
    if operator:
        message = (
            f"{fault.message} Its process {operator.pid} still runs: it is shutting down, or it is blocked."
        )
        return CommandFailure(message, remedy=log)
    if port := serving_port(home):
        message = (
            "The operator of the local platform has ended. The endpoints still serve at "
            f"http://127.0.0.1:{port}/<name>, but nothing can be deployed, scaled or shown."
        )
        return CommandFailure(message, remedy=f"Start an operator that takes them over: gyrus up\n{log}")
    if home.operator_file.exists():  # an orderly end removes it
        message = "The local platform is not running. Its operator has ended unexpectedly."
        return CommandFailure(message, remedy=f"Start it with: gyrus up\n{log}")
    return CommandFailure(fault.message, remedy=fault.remedy)


def serving_port(home: Home) -> int | None:
    """Return the port at which a gateway without an operator still serves. Returns None if none does."""
    if not local.mentioned_by_process(home.envoy):
        return None
    return next((port for port in _gateway_ports(home) if _accepts(port)), None)


def _gateway_ports(home: Home) -> Iterator[int]:
    from gyrus.client.environments import read_operator_file
    from gyrus.client.errors import BadEnvironments

    try:
        if operator := read_operator_file(home):
            yield operator.gateway_port
    except BadEnvironments:
        pass
    yield local.remembered(home).gateway


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=CONNECT_TIMEOUT).close()
    except OSError:
        return False
    return True

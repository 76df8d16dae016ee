"""A TCP port for the user's own server."""

from __future__ import annotations

import random
import socket
from dataclasses import dataclass

HOST = "127.0.0.1"
LOWEST, HIGHEST = 20_000, 32_767
"""Below the ports that the kernel gives to outgoing connections, so that none of those can take it."""
TRIES = 200


@dataclass(frozen=True, slots=True)
class Port:
    """A port that no other replica has.

    The server itself must listen on it, so the supervisor cannot reserve it by listening. It binds the UDP
    port of the same number instead, as a sign to other supervisors. The kernel releases that port when this
    process exits.
    """

    number: int
    claim: socket.socket

    def release(self) -> None:
        self.claim.close()

    @property
    def endpoint(self) -> str:
        return f"{HOST}:{self.number}"


def pick_port() -> Port:
    for _ in range(TRIES):
        number = random.randint(LOWEST, HIGHEST)
        if (claim := _claim(number)) is not None:
            return Port(number, claim)
    raise OSError(f"no free port was found between {LOWEST} and {HIGHEST}")


def _claim(number: int) -> socket.socket | None:
    claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        claim.bind((HOST, number))
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((HOST, number))
    except OSError:
        claim.close()
        return None
    return claim

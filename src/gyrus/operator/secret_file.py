"""Files that only their owner may read."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from gyrus.contract.home import Home


def write_secret(path: Path, secret: bytes) -> None:
    """Write this file, all or nothing. No other user can read it at any moment."""
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)  # an existing file would keep its mode
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret)
    temporary.replace(path)


def new_token(home: Home) -> str:
    """Create the bearer token of this operator's port. It replaces the last operator's."""
    token = secrets.token_urlsafe(32)
    write_secret(home.token, token.encode() + b"\n")
    return token


def remove_token(home: Home) -> None:
    """Remove the token of an operator before this one: without a port there is none."""
    home.token.unlink(missing_ok=True)


def requeue_secret_of(home: Home) -> str:
    """Return the secret of the platform's own requeues. It outlives the operator, like the gateway.

    An empty file (after a failure of the machine) is no secret, since every caller would know it. A new one
    is created then.
    """
    if not home.requeue_secret.exists() or not home.requeue_secret.read_text().strip():
        write_secret(home.requeue_secret, secrets.token_urlsafe(32).encode() + b"\n")
    return home.requeue_secret.read_text().strip()

"""The environment variables of a replica's processes. Pure.

A replica gets the variables that every program needs and those of its specification. It gets no others of the
operator's environment, which may contain secrets.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from gyrus.contract.replica import ReplicaConfig

INHERITED = frozenset(
    {
        "HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "REQUESTS_CA_BUNDLE", "SHELL",
        "SSL_CERT_DIR", "SSL_CERT_FILE", "TMPDIR", "TZ", "USER",
    }
)  # fmt: skip
BYTECODE = "PYTHONDONTWRITEBYTECODE"
"""The variable that no replica gets: each start would compile all imported packages again. The first start
writes their bytecode into the environment, for all later ones, and that of the project into its own working
folder."""
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def environment_of(config: ReplicaConfig, inherited: Mapping[str, str]) -> dict[str, str]:
    """Build the variables of all processes of a replica; the caller adds those of one process (``PORT``)."""
    kept = {key: value for key, value in inherited.items() if key in INHERITED or key.startswith("LC_")}
    base = {"PATH": DEFAULT_PATH, "HOME": "/", "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
    chosen = base | kept | config.env
    chosen.pop(BYTECODE, None)
    return chosen | _python_environment(config.python, chosen["PATH"]) | _identity(config)


def _identity(config: ReplicaConfig) -> dict[str, str]:
    return {
        "GYRUS_API": config.api,
        "GYRUS_REPLICA": config.id,
        "GYRUS_REVISION": str(config.revision),
    }


def _python_environment(python: str, path: str) -> dict[str, str]:
    """Put the replica's Python environment first on the path of commands."""
    folder = os.path.dirname(python)
    found = {"PATH": path if path.split(os.pathsep)[0] == folder else f"{folder}{os.pathsep}{path}"}
    prefix = os.path.dirname(folder)
    if os.path.exists(os.path.join(prefix, "pyvenv.cfg")):
        found["VIRTUAL_ENV"] = prefix
    return found

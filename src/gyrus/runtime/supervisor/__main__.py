"""The program ``python -m gyrus.runtime.supervisor <config.json>``."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager

from gyrus.contract.replica import ReplicaConfig
from gyrus.runtime.codec import CodecError, decode
from gyrus.runtime.supervisor import kernel
from gyrus.runtime.supervisor.identity import prove_identity
from gyrus.runtime.supervisor.loop import Supervisor


def main(arguments: list[str]) -> int:
    """Run the supervisor.

    Returns 0 after it was stopped, 2 if its configuration cannot be read or another supervisor has it.
    """
    if len(arguments) != 1:
        print("usage: python -m gyrus.runtime.supervisor <config.json>", file=sys.stderr)  # noqa: T201
        return 2
    path = os.path.abspath(arguments[0])
    try:
        with open(path, "rb") as file:
            config = decode(ReplicaConfig, file.read())
    except (OSError, CodecError) as error:
        print(f"the replica's configuration {path} cannot be read: {error}", file=sys.stderr)  # noqa: T201
        return 2
    kernel.lead_session()
    kernel.adopt_orphans()
    if not prove_identity(path):
        print(f"another supervisor already runs with {path}", file=sys.stderr)  # noqa: T201
        return 2
    with held(config.holds), held(config.holds_models):
        Supervisor(config, path).run()
    return 0


@contextmanager
def held(path: str | None) -> Generator[None]:
    """Hold a shared lock on a file. None: on nothing."""
    if path is None:
        yield
        return
    with open(path, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

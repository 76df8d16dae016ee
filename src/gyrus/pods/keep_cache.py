"""The program of the pods that keep the nodes' caches: ``python -m gyrus.pods.keep_cache prepare|shrink``.

``prepare`` runs once as root: the folder of a node belongs to root, and pods run as another user. ``shrink``
goes on: it removes unused environments beyond the limit.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from gyrus.contract.pods import CACHE_LIMIT, ENVIRONMENTS_FOLDER, POD_USER
from gyrus.kubernetes.amounts import quantity
from gyrus.pods.node_cache import EnvironmentsOfNode

log = logging.getLogger(__name__)

EVERY = 300.0
"""Seconds between two looks."""


def prepare(folder: Path, user: int = POD_USER) -> None:
    """Give the folder to the user of all pods, and let no other user enter it. Raises OSError."""
    os.chown(folder, user, user)
    folder.chmod(0o700)


def shrink(folder: Path, limit: int, ended: threading.Event) -> None:
    """Keep the folder below its limit until ``ended`` is set."""
    cache = EnvironmentsOfNode(folder)
    while True:
        try:
            for key in cache.shrink(limit):
                log.info("Removed the environment %s, which no replica has used for the longest time", key)
        except OSError as error:
            log.warning("The cache in %s could not be looked at: %s", folder, error)
        if ended.wait(EVERY):
            return


def main(arguments: list[str]) -> int:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    folder = Path(ENVIRONMENTS_FOLDER)
    match arguments:
        case ["prepare"]:
            prepare(folder)
        case ["shrink"]:
            ended = threading.Event()

            def end(_number: int, _frame: FrameType | None) -> None:
                ended.set()

            signal.signal(signal.SIGTERM, end)
            shrink(folder, int(quantity(os.environ[CACHE_LIMIT])), ended)
        case _:
            print("usage: python -m gyrus.pods.keep_cache prepare|shrink", file=sys.stderr)  # noqa: T201
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

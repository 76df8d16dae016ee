"""The program ``python -m gyrus.runtime.fork_server <config.json>``: it executes the fork server's process.

That process needs a worker's environment from its start, because libraries read variables when they load.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from gyrus.contract.fork_server import ForkServerConfig
from gyrus.runtime.codec import CodecError, decode
from gyrus.runtime.fork_server import proctitle, thread_pools
from gyrus.runtime.supervisor.environment import environment_of


def main(path: str) -> NoReturn:
    try:
        with open(path, "rb") as file:
            config = decode(ForkServerConfig, file.read())
    except (OSError, CodecError) as error:
        sys.exit(f"the configuration {path} cannot be read: {error}")
    env = environment_of(config.replica, os.environ)
    command = (
        config.replica.python,
        "-P",
        "-m",
        "gyrus.runtime.fork_server.process",
        path,
        proctitle.PADDING,
    )
    os.execve(command[0], command, proctitle.with_padding(thread_pools.restrained(env)))


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]))

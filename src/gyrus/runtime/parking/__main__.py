"""``python -m gyrus.runtime.parking <config.json>``: becomes a program with a worker's environment."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from gyrus.contract.parking import ParkingConfig
from gyrus.runtime.codec import CodecError, decode
from gyrus.runtime.parking import nameplate, numerics
from gyrus.runtime.supervisor.environment import environment_of


def main(path: str) -> NoReturn:
    try:
        with open(path, "rb") as file:
            config = decode(ParkingConfig, file.read())
    except (OSError, CodecError) as error:
        sys.exit(f"the configuration {path} cannot be read: {error}")
    env = environment_of(config.replica, os.environ)
    command = (config.replica.python, "-P", "-m", "gyrus.runtime.parking.process", path, nameplate.ROOM)
    os.execve(command[0], command, nameplate.with_room(numerics.restrained(env)))


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]))

"""AWS on loopback: ministack, with what it lacks. Run by :class:`support.aws.account.AwsAccount`.

    python -m support.aws.emulator HOST PORT

ministack carries out CloudFormation's operations one resource after the other, with roll-backs and events.
This adds the types of resources that it does not know, time that a resource takes, and failures on demand.
"""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from typing import Any

from support.aws.emulator import control, region_data, resource_types, scaling


def main(host: str, port: int) -> None:
    from hypercorn.config import Config

    hypercorn: Any = import_module("hypercorn.asyncio")  # its types are incomplete
    resource_types.add()
    region_data.add()
    scaling.add()
    config = Config()
    config.bind = [f"{host}:{port}"]
    config.loglevel = "WARNING"
    ministack: Any = import_module("ministack.app")
    wrapped: Any = control.wrapped(ministack.app)
    asyncio.run(hypercorn.serve(wrapped, config))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

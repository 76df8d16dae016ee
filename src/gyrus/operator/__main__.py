"""``python -m gyrus.operator``: the operator's process."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

from gyrus.contract.home import Home
from gyrus.operator import leadership
from gyrus.operator.errors import StartError
from gyrus.operator.home_lock import HomeLock
from gyrus.operator.leadership import Leadership
from gyrus.operator.logs import set_up_logging
from gyrus.operator.readiness import ReadyNotification

log = logging.getLogger("gyrus.operator")


def main() -> int:
    arguments = _parser().parse_args()
    home = Home(arguments.home.absolute())
    ready_notification = ReadyNotification(home, arguments.ready_fd)
    try:
        asyncio.run(_lead(arguments, home, ready_notification))
    except StartError as error:
        ready_notification.failed(str(error))
        sys.stderr.write(f"gyrus: {error}\n")
        return 1
    except BaseException as error:
        if lost := leadership.loss(error):
            ready_notification.failed(f"The operator stopped while it started: {lost}.")
            return leadership.EXIT_CODE
        log.exception("the operator has failed")
        ready_notification.failed(f"The operator failed while it started; see {home.operator_log}.")
        raise
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m gyrus.operator", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--gateway-port", type=int, default=8080)
    parser.add_argument("--operator-port", type=int, default=8079)
    parser.add_argument("--overcommit", action="store_true", help="do not count replicas' CPU and memory")
    parser.add_argument("--ready-fd", type=int, help="file descriptor to notify when the operator serves")
    parser.add_argument("--foreground", action="store_true", help="log to the terminal too")
    parser.add_argument(
        "--clean", action="store_true", help="stop orphaned replicas and the gateway, then exit"
    )
    return parser


async def _lead(arguments: argparse.Namespace, home: Home, ready_notification: ReadyNotification) -> None:
    lock = HomeLock(home)
    async with lock.acquire():
        set_up_logging(home.operator_log, foreground=arguments.foreground)
        await _run(arguments, home, ready_notification, lock)


async def _run(
    arguments: argparse.Namespace, home: Home, ready_notification: ReadyNotification, lock: Leadership
) -> None:
    from gyrus.operator.operator import (  # imported late, since it is slow: a second operator must fail fast
        OperatorSettings,
        StopRequest,
        clean,
        operate,
    )

    if arguments.clean:
        await clean(home)
        return
    ending = StopRequest()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, ending.leave)
    loop.add_signal_handler(signal.SIGINT, ending.end_everything)
    settings = OperatorSettings(
        home=home,
        operator_port=arguments.operator_port,
        gateway_port=arguments.gateway_port,
        overcommit=arguments.overcommit,
    )
    await operate(settings, ready_notification, ending, lock)


if __name__ == "__main__":
    sys.exit(main())

"""The model server's process: ``python -m gyrus.runtime.worker <config.json> <index>``.

It reads its configuration, loads the handler, serves until a signal stops it, drains and exits. It listens on
the address of its configuration, or on ``$GYRUS_BIND`` (``127.0.0.1:8000``). If a supervisor started it, it
reports its status and log lines to the supervisor, otherwise on stderr.
"""

from __future__ import annotations

import asyncio
import atexit
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, NoReturn

from gyrus.contract.replica import Phase, Reason, ReplicaConfig
from gyrus.runtime.calls.steps import log_failure
from gyrus.runtime.codec import CodecError, decode
from gyrus.runtime.handler.failure import LoadFailed
from gyrus.runtime.handler.handler import LoadedHandler
from gyrus.runtime.handler.loading import enter_project, load
from gyrus.runtime.handler.main_module import stand_in
from gyrus.runtime.lifecycle import serve
from gyrus.runtime.project import keep_main_out_of_children
from gyrus.runtime.server.server import bind
from gyrus.runtime.telemetry.control import Control, SwitchableControl, open_control
from gyrus.runtime.telemetry.output import capture
from gyrus.runtime.telemetry.runtime_log import runtime_log

BIND = "GYRUS_BIND"
SWITCH_INTERVAL = 0.001
"""Seconds for which a thread in pure Python keeps the interpreter from the event loop.

With Python's own 5 ms, each answer, each requeue and each reading of a request would take so much longer
while a handler computes.
"""


def main(arguments: Sequence[str]) -> int:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until there is something to drain
    control = SwitchableControl(open_control(sys.stderr))
    try:
        config, index = read_config(arguments)
    except LoadFailed as failed:
        return report_failure(failed, control)
    capture(control)
    runtime_log.connect(control)
    return work(config, index, control, partial(start, config, index, control))


def work(config: ReplicaConfig, index: int, control: Control, make: Callable[[], LoadedHandler]) -> int:
    """Serve with the handler of ``make``, which may raise LoadFailed. Returns the exit code."""
    runner = new_runner()
    sys.setswitchinterval(SWITCH_INTERVAL)  # before the handler, which may set its own
    try:
        handler = make()
        gc.collect()
        gc.freeze()  # the objects of the loaded handler stay, so collections need not examine them again
        if runner.get_loop().is_closed():  # by the handler, which has used it for work of its own
            runner = new_runner()
        with listener(config, index) as bound, runner:
            run(runner.get_loop(), serve(config, handler, bound, control))
    except LoadFailed as failed:
        return report_failure(failed, control)
    return 0


def report_failure(failed: LoadFailed, control: Control) -> int:
    control.status(Phase.FAILED, failed.message, reason=failed.reason, lines=failed.lines)
    return 1


def leave(code: int) -> NoReturn:
    """Exit without waiting for threads: one may be in a call that never returns."""
    atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage] -- os._exit skips the handler's
    os._exit(code)


def read_config(arguments: Sequence[str]) -> tuple[ReplicaConfig, int]:
    """Read the configuration and the worker's index. Raises LoadFailed."""
    try:
        path, index = arguments
        with open(path, "rb") as file:
            return decode(ReplicaConfig, file.read()), int(index)
    except (ValueError, OSError, CodecError) as error:
        message = f"the worker's configuration cannot be read: {error}; pass a config.json and an index"
        raise LoadFailed(Reason.EXITED, message) from error


def start(config: ReplicaConfig, index: int, control: Control) -> LoadedHandler:
    """Load the handler. Raises LoadFailed."""
    if config.handler is None:
        raise LoadFailed(Reason.EXITED, "the configuration has no handler")
    control.status(Phase.STARTING, f"loading {config.handler.path}")
    stand_in()
    loop_factory()  # before the project can be imported: a module of it may be named uvloop
    enter_project(config.working_folder(index))
    return load(config.handler)


def listener(config: ReplicaConfig, index: int) -> socket.socket:
    """Bind the worker's socket. Raises LoadFailed."""
    address = os.environ.get(BIND) or config.address(index)
    try:
        return bind(address)
    except (OSError, ValueError) as error:
        place = address.removeprefix("unix:")
        raise LoadFailed(Reason.NOT_LISTENING, f"cannot listen on {place}: {error}") from error


def new_runner() -> asyncio.Runner:
    """Create the event loop that serves, and make it the one that a handler's ``__init__`` finds.

    Tasks that ``__init__`` starts there run as soon as the loop does.
    """
    runner = asyncio.Runner(loop_factory=loop_factory())
    asyncio.set_event_loop(runner.get_loop())
    return runner


def run(loop: asyncio.AbstractEventLoop, main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on the loop until it ends.

    An exception that ends an event loop, raised in a task or callback of the handler, ends only that task.
    """
    task = loop.create_task(main, name="serve")
    while True:
        try:
            loop.run_until_complete(task)
            return
        except (SystemExit, KeyboardInterrupt) as error:
            if task.done():
                raise
            log_failure(error, "a task of the handler")


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Return the factory of uvloop's event loop if uvloop is installed, else asyncio's."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


if __name__ == "__main__":
    keep_main_out_of_children()
    leave(main(sys.argv[1:]))

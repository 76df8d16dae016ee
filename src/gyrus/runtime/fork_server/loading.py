"""The handler that a fork server has loaded, and the process state that its forks inherit."""

from __future__ import annotations

import gc
import importlib
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from gyrus.contract.fork_server import Preload
from gyrus.contract.replica import HandlerConfig, Phase, ReplicaConfig
from gyrus.runtime.fork_server import thread_pools
from gyrus.runtime.fork_server.thread_pools import ThreadPoolLimits
from gyrus.runtime.handler.failure import LoadFailed
from gyrus.runtime.handler.handler import LoadedHandler
from gyrus.runtime.handler.importing import import_file
from gyrus.runtime.handler.loading import enter_project, find_class, make
from gyrus.runtime.handler.main_module import stand_in
from gyrus.runtime.supervisor import workspace
from gyrus.runtime.supervisor.child import SIGNALS
from gyrus.runtime.supervisor.working_folder import CannotStart, WorkingFolder
from gyrus.runtime.telemetry.control import PlainText, SwitchableControl
from gyrus.runtime.telemetry.output import capture
from gyrus.runtime.telemetry.runtime_log import runtime_log
from gyrus.runtime.worker import loop_factory

LATE = ("concurrent.futures.thread", "importlib.readers")
"""Modules of the standard library that forks would import: for the loop's threads, for data of packages."""

SignalHandler = Callable[..., object] | int


@dataclass(frozen=True, slots=True)
class Loaded:
    """The state of a fork server after loading."""

    make: Callable[[], LoadedHandler]
    """Function that returns the handler in a fork. Raises LoadFailed."""
    relay: SwitchableControl
    """The control through which all printed and logged lines pass."""
    restraint: ThreadPoolLimits
    signals: Mapping[signal.Signals, SignalHandler]
    """Signal handlers after the import of the handler's module."""
    files: frozenset[int]
    """Descriptors that the handler's module left open, and the standard three."""
    folder: str | None
    """The working folder in which the handler was loaded; None if that is the project itself."""


def load(config: ReplicaConfig, preload: Preload) -> Loaded:
    """Load the handler, or its module only. Raises LoadFailed."""
    assert config.handler is not None
    _import_what_comes_late()
    relay = SwitchableControl(PlainText(sys.stderr))
    capture(relay)
    runtime_log.connect(relay)
    stand_in()
    folder = _enter_folder(config)
    enter_project(folder or config.project)
    maker, restraint = _maker(config.handler, preload, relay)
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        if stream:
            stream.flush()  # else every fork would print the buffered text
    gc.collect()
    gc.freeze()  # a collection in a fork would write to the shared memory pages, and so copy them
    if folder:
        workspace.protect(folder)
    return Loaded(maker, relay, restraint, _signals(), open_files(), folder)


def _enter_folder(config: ReplicaConfig) -> str | None:
    """Create and enter the working folder, if the configuration has one. Raises LoadFailed."""
    if not config.work_dir:
        return None
    folder = WorkingFolder.of(config, 0)
    try:
        folder.enter()
    except CannotStart as error:
        raise LoadFailed(error.verdict.reason, error.verdict.message) from error
    return folder.own


def _maker(
    config: HandlerConfig, preload: Preload, relay: SwitchableControl
) -> tuple[Callable[[], LoadedHandler], ThreadPoolLimits]:
    found = find_class(import_file(config.path), config.path, config.class_name)
    if preload is Preload.MODULE:
        return partial(_make, found, config, relay), ThreadPoolLimits()
    restraint = thread_pools.restrain()
    handler = make(found, config)
    return lambda: handler, restraint


def _make(found: type, config: HandlerConfig, relay: SwitchableControl) -> LoadedHandler:
    relay.status(Phase.STARTING, f"creating an instance of {found.__name__}")
    return make(found, config)


def _import_what_comes_late() -> None:
    """Import the modules that every worker, or many handlers, would import after the fork: 30 ms for iris.

    Call it before the project's folder is on the module search path: its modules may have the same names.
    """
    loop_factory()
    for name in LATE:
        importlib.import_module(name)


def open_files() -> frozenset[int]:
    """Return the open descriptors, without the one that lists them."""
    listed = map(int, os.listdir("/proc/self/fd"))
    return frozenset(fd for fd in listed if os.path.lexists(f"/proc/self/fd/{fd}"))


def _signals() -> dict[signal.Signals, SignalHandler]:
    """Return the signal handlers; one that was not set in Python cannot be kept."""
    return {number: signal.getsignal(number) or signal.SIG_DFL for number in SIGNALS}

"""What a parked process has loaded, and what of itself it has to hand on to its forks."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from gyrus.contract.parking import Loads
from gyrus.contract.replica import HandlerConfig, Phase, ReplicaConfig
from gyrus.runtime.handler.handler import Handler
from gyrus.runtime.handler.loading import enter_project, find_class, import_file, make
from gyrus.runtime.parking import numerics
from gyrus.runtime.parking.numerics import Restraint
from gyrus.runtime.telemetry.control import PlainText, Relay
from gyrus.runtime.telemetry.output import capture

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP)
"""Those that parked processes and supervisors answer in their own way."""

SignalHandler = Callable[..., object] | int


@dataclass(frozen=True, slots=True)
class Loaded:
    make: Callable[[], Handler]
    """In a fork: what serves. Raises LoadFailed."""
    relay: Relay
    """What is printed and logged goes through it."""
    restraint: Restraint
    signals: Mapping[signal.Signals, SignalHandler]
    """What the handler's module left of them."""
    files: frozenset[int]
    """Descriptors that the handler's module left open, and the standard three."""


def load(config: ReplicaConfig, loads: Loads) -> Loaded:
    """Raises LoadFailed."""
    assert config.handler is not None
    relay = Relay(PlainText(sys.stderr))
    capture(relay)
    enter_project(config.project)
    maker, restraint = _maker(config.handler, loads, relay)
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        if stream:
            stream.flush()  # else every fork would print it
    gc.collect()
    gc.freeze()  # a collection in a fork would touch, and so copy, what is shared
    return Loaded(maker, relay, restraint, _signals(), open_files())


def _maker(config: HandlerConfig, loads: Loads, relay: Relay) -> tuple[Callable[[], Handler], Restraint]:
    found = find_class(import_file(config.path), config.path, config.class_name)
    if loads is Loads.MODULE:
        return partial(_make, found, config, relay), Restraint()
    restraint = numerics.restrain()
    handler = make(found, config)
    return lambda: handler, restraint


def _make(found: type, config: HandlerConfig, relay: Relay) -> Handler:
    relay.status(Phase.STARTING, f"making an instance of {found.__name__}")
    return make(found, config)


def open_files() -> frozenset[int]:
    """Descriptors, without that by which they are listed."""
    listed = map(int, os.listdir("/proc/self/fd"))
    return frozenset(fd for fd in listed if os.path.lexists(f"/proc/self/fd/{fd}"))


def _signals() -> dict[signal.Signals, SignalHandler]:
    """A handler that is not Python's cannot be kept."""
    return {number: signal.getsignal(number) or signal.SIG_DFL for number in SIGNALS}

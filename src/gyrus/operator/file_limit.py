"""The limit of files and connections that the operator may have open."""

from __future__ import annotations

import resource
from contextlib import suppress
from dataclasses import replace

from gyrus.gate.hold_limits import HoldLimits

ENOUGH = 65_536
"""Highest limit to set. More is of no use, and a program that inherits the limit may iterate over it."""
OTHERS = 512
"""Files reserved for the operator itself, and for its streams of logs and events."""


def hold_limits() -> HoldLimits:
    """Raise the limit of files. Returns the activator's limits within it."""
    usual = HoldLimits()
    return replace(usual, requests=min(usual.requests, raise_file_limit()))


def raise_file_limit() -> int:
    """Raise the limit as far as allowed. Returns the number of requests that can be held within it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(OSError, ValueError):  # macOS may allow less than its hard limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
    available = ENOUGH if soft == resource.RLIM_INFINITY else soft
    return max(0, available - OTHERS) // 3

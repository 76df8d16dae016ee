"""How many files and connections the operator may have open."""

from __future__ import annotations

import resource
from contextlib import suppress

ENOUGH = 65_536
"""More is no use, and what inherits it may count them all."""
OTHERS = 512
"""Of the operator's own, and of its streams of logs and events."""


def raise_file_limit() -> int:
    """Raise the limit as far as is allowed; how many held requests it leaves room for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(OSError, ValueError):  # macOS may allow less than its hard limit says
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
    available = ENOUGH if soft == resource.RLIM_INFINITY else soft
    return max(0, available - OTHERS) // 3

"""The name of the machine, which every report of figures begins with."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path


def description() -> str:
    return (
        f"{datetime.now(UTC):%Y-%m-%d} · {_processor()} · {os.cpu_count()} cores · "
        f"{platform.system()} {platform.release()} · {platform.python_implementation()} "
        f"{platform.python_version()}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()

"""The machine's GPUs."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

VISIBLE_DEVICES = "CUDA_VISIBLE_DEVICES"

_LISTED = re.compile(r"^(\s*)(GPU \d+|MIG .*?):.*\(UUID: ([^)]+)\)", re.MULTILINE)


def detect(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the CUDA names of the devices that this process may use. May take seconds if there are any."""
    if VISIBLE_DEVICES in environ:
        return tuple(name.strip() for name in environ[VISIBLE_DEVICES].split(",") if name.strip())
    if (program := shutil.which("nvidia-smi")) and (listed := _listed(program)):
        return listed
    numbered = (re.fullmatch(r"nvidia(\d+)", device.name) for device in Path("/dev").glob("nvidia*"))
    return tuple(sorted((match[1] for match in numbered if match), key=int))


def _listed(program: str) -> tuple[str, ...]:
    try:
        done = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return parse_list(done.stdout)


def parse_list(text: str) -> tuple[str, ...]:
    """Return the devices of ``nvidia-smi -L``. Of a GPU with MIG instances, only the instances count."""
    found: list[tuple[bool, str]] = [(bool(m[1]), m[3]) for m in _LISTED.finditer(text)]
    cut = {n - 1 for n, (instance, _) in enumerate(found) if instance and n and not found[n - 1][0]}
    return tuple(uuid for n, (_, uuid) in enumerate(found) if n not in cut)

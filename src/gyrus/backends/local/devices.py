"""The machine's GPUs, and which replica holds which."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from gyrus.backends.local.configuration import VISIBLE_DEVICES

_LISTED = re.compile(r"^(\s*)(GPU \d+|MIG .*?):.*\(UUID: ([^)]+)\)", re.MULTILINE)


def detect(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Names by which CUDA knows the devices that we may use. Takes up to seconds where there are some."""
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
    """The devices of ``nvidia-smi -L``: a GPU that is cut into MIG instances is not one, they are."""
    found: list[tuple[bool, str]] = [(bool(m[1]), m[3]) for m in _LISTED.finditer(text)]
    cut = {n - 1 for n, (instance, _) in enumerate(found) if instance and n and not found[n - 1][0]}
    return tuple(uuid for n, (_, uuid) in enumerate(found) if n not in cut)


class Devices:
    """Given out in the order of asking; a replica keeps its own until it is gone."""

    def __init__(self, names: tuple[str, ...] = ()) -> None:
        self.names = names
        self._held: dict[str, tuple[str, ...]] = {}
        self._waiting: dict[str, tuple[int, asyncio.Future[None], Callable[[int], None]]] = {}

    def keep(self, replica: str, devices: tuple[str, ...]) -> None:
        """A replica that was found holds these."""
        if devices:
            self._held[replica] = devices

    async def take(self, replica: str, count: int, report: Callable[[int], None]) -> tuple[str, ...]:
        """``count`` devices, at most as many as there are; ``report`` is told how many are free meanwhile."""
        if count == 0 or replica in self._held:
            return self._held.get(replica, ())
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[replica] = (count, place, report)
        self._serve()
        try:
            await place
        except BaseException:
            self._waiting.pop(replica, None)
            self.give_back(replica)
            raise
        return self._held[replica]

    def give_back(self, replica: str) -> None:
        """Idempotent."""
        self._held.pop(replica, None)
        self._serve()

    def _free(self) -> list[str]:
        held = {name for names in self._held.values() for name in names}
        return [name for name in self.names if name not in held]

    def _serve(self) -> None:
        """In order: one who needs many is not passed by those who need few."""
        while self._waiting:
            replica, (count, place, _) = next(iter(self._waiting.items()))
            free = self._free()
            if count > len(free):
                break
            del self._waiting[replica]
            self._held[replica] = tuple(free[:count])
            if not place.done():
                place.set_result(None)
        for _, _, report in tuple(self._waiting.values()):
            report(len(self._free()))

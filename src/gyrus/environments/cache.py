"""All environments in one folder. Each is built once and shared by all projects that need it."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import shutil
import sys
import sysconfig
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from gyrus.aio.clock import Clock
from gyrus.aio.single_flight import Report, SingleFlight
from gyrus.aio.start_limiter import FairSemaphore
from gyrus.environments.builder import Builder, EnvironmentFolder, EnvironmentSpec
from gyrus.environments.dependencies import find_dependencies
from gyrus.environments.errors import EnvironmentFailure
from gyrus.environments.key import EnvironmentInputs, key_of
from gyrus.environments.pip_settings import PipSettings, read_pip_settings
from gyrus.environments.runtime_copy import RUNTIME_REQUIREMENTS, RuntimeCode

log = logging.getLogger(__name__)

REMEMBERED = 60.0
"""Seconds for which a failed build is not repeated for the same asker."""
LONGEST_BUILD = 3600.0
"""Seconds after which a build no longer holds its permit."""
UNUSED = 30 * 24 * 3600.0
"""Seconds after its last use at which an environment is removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentRequest:
    """A project's requirements of an environment."""

    asker: str
    """The deploy of an API. A failure is remembered for its asker only; another asker starts a new build."""
    project: Path
    package: str | None
    """Digest of the project's files."""
    requirements: str | None
    """The requirements file that the specification names."""


@dataclass(frozen=True, slots=True)
class _Failed:
    failure: EnvironmentFailure
    asker: str
    until: float
    """Monotonic seconds."""


class EnvironmentCache:
    def __init__(
        self,
        environments: Path,
        runtimes: Path,
        clock: Clock,
        *,
        building_at_once: int = 2,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Create a cache on these folders.

        ``environments``: the folder of the environments. ``runtimes``: the folder of the copies of gyrus's
        own code. ``environ``: variables with pip's and uv's settings; None means those of this process.
        """
        self._environments = environments
        self._runtimes = runtimes
        self._clock = clock
        self._environ = os.environ if environ is None else environ
        self._building = SingleFlight[Path]("environment")
        self._builds = FairSemaphore(building_at_once, LONGEST_BUILD)
        self._looking = asyncio.Lock()
        """Keeps the order of the callers: each goes on to queue for capacity, in this order."""
        self._failed: dict[str, _Failed] = {}

    async def python(self, request: EnvironmentRequest, report: Report) -> Path:
        """Return the interpreter of this project's environment. Build the environment if it is missing.

        Calls ``report`` with the progress of a build. Raises EnvironmentFailure.
        """
        async with self._looking:
            inputs, need = await asyncio.to_thread(self._need, request)
            if await asyncio.to_thread(self._use, need):
                return need.place.python
        key = need.place.folder.name
        self._recall(key, request.asker)
        try:
            return await self._building.join(key, partial(self._build, inputs.pip, need), report)
        except EnvironmentFailure as failure:
            self._failed[key] = _Failed(failure, request.asker, self._clock.monotonic() + REMEMBERED)
            raise

    async def sweep(self, in_use: frozenset[Path]) -> None:
        """Remove the environments unused for 30 days. ``in_use``: the interpreters of running processes."""
        await asyncio.to_thread(_sweep, self._environments, in_use, time.time() - UNUSED)

    def _need(self, request: EnvironmentRequest) -> tuple[EnvironmentInputs, EnvironmentSpec]:
        dependencies = find_dependencies(request.project, request.requirements)
        runtime = RuntimeCode.installed()
        inputs = EnvironmentInputs(
            dependencies=dependencies.content,
            project=request.package if dependencies.local else None,
            runtime=runtime.digest,
            runtime_requirements=RUNTIME_REQUIREMENTS,
            python=f"{os.path.realpath(sys.executable)} {sys.version}",
            platform=f"{sysconfig.get_platform()} {platform.libc_ver()}",
            pip=_absolute(read_pip_settings(self._environ)),
        )
        place = EnvironmentFolder(folder=self._environments / key_of(inputs))
        return inputs, EnvironmentSpec(
            place=place, dependencies=dependencies, project=request.project, runtime=runtime
        )

    def _use(self, need: EnvironmentSpec) -> bool:
        """Return True if the environment is complete. Then record its use, and restore its runtime's copy."""
        if not need.place.complete:
            return False
        try:
            need.runtime.place(self._runtimes)
            os.utime(need.place.marker)
        except OSError as error:
            log.warning("%s could not be written: %s", self._runtimes, error)
        return True

    async def _build(self, pip: PipSettings, need: EnvironmentSpec, report: Report) -> Path:
        builder = Builder(base_python=sys.executable, runtimes=self._runtimes, pip=pip, environ=self._environ)
        permit = await self._builds.take(lambda before: report(f"waiting to build ({before} before it)"))
        try:
            return await builder.build(need, report)
        finally:
            permit.release()

    def _recall(self, key: str, asker: str) -> None:
        """Raise the failure that this asker's last build had, if it is recent."""
        failed = self._failed.get(key)
        if failed is None:
            return
        if failed.asker == asker and self._clock.monotonic() < failed.until:
            raise failed.failure
        del self._failed[key]


def _absolute(settings: PipSettings) -> PipSettings:
    """Make relative paths absolute: uv runs in the project's folder, but pip's paths are relative to ours."""
    links = tuple(os.path.abspath(link) if os.path.exists(link) else link for link in settings.find_links)
    return replace(settings, find_links=links, constraints=tuple(map(_path_or_url, settings.constraints)))


def _path_or_url(place: str) -> str:
    return place if "://" in place else os.path.abspath(place)


def _sweep(environments: Path, in_use: frozenset[Path], before: float) -> None:
    for folder in environments.glob("[!.]*"):
        place = EnvironmentFolder(folder=folder)
        try:
            if place.python not in in_use and place.marker.stat().st_mtime < before:
                place.marker.unlink()
                shutil.rmtree(folder, ignore_errors=True)
        except FileNotFoundError:
            continue  # it has no marker yet: a build of it is in progress

"""All environments in one folder. Each is built once and shared by all projects that need it.

A project without a lock gets one: that of an equal resolution not long ago, else a new one. It is kept beside
the project's package once it has been installed, and decides all later environments of the package.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import shutil
import sysconfig
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from gyrus.aio.clock import Clock
from gyrus.aio.single_flight import Report, SingleFlight
from gyrus.aio.start_limiter import FairSemaphore
from gyrus.environments.builder import Builder, EnvironmentFolder, EnvironmentSpec, unwritable
from gyrus.environments.dependencies import Dependencies, find_dependencies
from gyrus.environments.errors import EnvironmentFailure
from gyrus.environments.interpreters import Interpreter, choose_interpreter
from gyrus.environments.key import EnvironmentInputs, ResolutionInputs
from gyrus.environments.lock import Lock, LockFile
from gyrus.environments.pip_settings import PipSettings, read_pip_settings, uv_variables
from gyrus.environments.resolver import Resolver
from gyrus.environments.runtime_copy import RUNTIME_REQUIREMENTS, RuntimeCode
from gyrus.environments.uv import Progress

log = logging.getLogger(__name__)

REMEMBERED = 60.0
"""Seconds for which a failed build is not repeated for the same asker."""
LONGEST_BUILD = 3600.0
"""Seconds after which a build no longer holds its permit."""
_RESOLUTIONS = ".resolutions"
"""The folder of recent locks, by what they were resolved from."""
UNUSED = 30 * 24 * 3600.0
"""Seconds after its last use at which an environment or a recent lock is removed."""


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
    locks: Path | None = None
    """The folder of the package's locks; None: the project has no package that could keep one."""
    name: str | None = None
    """The name of the environment's folder. None means the digest of its content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Need:
    """A project that needs an environment."""

    project: Path
    dependencies: Dependencies
    interpreter: Interpreter
    resolution: ResolutionInputs
    runtime: RuntimeCode
    recent: LockFile
    """The lock of an equal resolution, of any package."""
    kept: LockFile | None
    """The lock of this package."""
    lock: Lock | None
    """The content of either; None if neither exists."""
    name: str | None
    """The requested name of the environment's folder."""

    @property
    def key(self) -> str:
        return self.inputs(self.lock).key if self.lock else self.resolution.key

    def inputs(self, lock: Lock) -> EnvironmentInputs:
        return EnvironmentInputs(
            lock=lock,
            project=self.resolution.project,
            runtime=self.runtime.digest,
            python=self.interpreter.build,
            platform=self.resolution.platform,
        )

    def keep(self, lock: Lock) -> None:
        """Keep the lock for this package, and for others unless they already have other versions."""
        if self.kept and self.kept.read() != lock:
            self.kept.write(lock)
        recent = self.recent.read()
        if recent is None or (recent.project == lock.project and recent != lock):
            self.recent.write(lock)


@dataclass(frozen=True, slots=True)
class _Built:
    python: Path
    lock: Lock


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
        self._building = SingleFlight[_Built]("environment")
        self._builds = FairSemaphore(building_at_once, LONGEST_BUILD)
        self._looking = asyncio.Lock()
        """Keeps the order of the callers: each goes on to queue for capacity, in this order."""
        self._failed: dict[str, _Failed] = {}

    async def python(self, request: EnvironmentRequest, report: Report) -> Path:
        """Return the interpreter of this project's environment. Build the environment if it is missing.

        Calls ``report`` with the progress of a build. Raises EnvironmentFailure.
        """
        async with self._looking:
            need = await asyncio.to_thread(self._need, request)
            if python := await asyncio.to_thread(self._existing, need):
                return python
        self._recall(need.key, request.asker)
        try:
            built = await self._building.join(need.key, partial(self._build, need), report)
            async with self._looking:
                await asyncio.to_thread(need.keep, built.lock)
        except OSError as error:
            raise unwritable(error, self._environments) from error
        except EnvironmentFailure as failure:
            self._failed[need.key] = _Failed(failure, request.asker, self._clock.monotonic() + REMEMBERED)
            raise
        return built.python

    async def lock_file(self, request: EnvironmentRequest) -> LockFile | None:
        """Return the file of this package's lock, which may not exist yet.

        Returns None if the request names no folder of locks. Raises EnvironmentFailure.
        """
        return (await asyncio.to_thread(self._need, request)).kept

    async def sweep(self, in_use: frozenset[Path]) -> None:
        """Remove the environments unused for 30 days. ``in_use``: the interpreters of running processes."""
        before = time.time() - UNUSED
        await asyncio.to_thread(_sweep, self._environments, in_use, before)
        await asyncio.to_thread(_sweep_locks, self._environments / _RESOLUTIONS, before)

    def _need(self, request: EnvironmentRequest) -> _Need:
        dependencies = find_dependencies(request.project, request.requirements)
        interpreter = choose_interpreter(dependencies.pythons, self._environ)
        resolution = ResolutionInputs(
            dependencies=dependencies.content,
            project=request.package if dependencies.local else None,
            runtime_requirements=RUNTIME_REQUIREMENTS,
            python=interpreter.minor,
            platform=f"{sysconfig.get_platform()} {platform.libc_ver()}",
            pip=_absolute(read_pip_settings(self._environ)),
        )
        recent = LockFile(self._environments / _RESOLUTIONS / f"{resolution.key}.json")
        kept = None
        if request.locks:
            kept = LockFile.of(
                request.locks, request.requirements, resolution.python, sysconfig.get_platform()
            )
        return _Need(
            project=request.project,
            dependencies=dependencies,
            interpreter=interpreter,
            resolution=resolution,
            runtime=RuntimeCode.installed(),
            recent=recent,
            kept=kept,
            lock=(kept.read() if kept else None) or recent.read(),
            name=request.name,
        )

    def _existing(self, need: _Need) -> Path | None:
        """Return the interpreter of a complete environment; record its use. Returns None if there is none.

        This also restores the runtime's copy and the package's lock, if they are missing.
        """
        if need.lock is None:
            return None
        place = self._place(need, need.lock)
        if not place.complete:
            return None
        try:
            need.runtime.place(self._runtimes)
            os.utime(place.marker)
            need.keep(need.lock)
            os.utime(need.recent.path)
        except OSError as error:
            log.warning("%s could not be written: %s", error.filename or self._runtimes, error)
        return place.python

    def _place(self, need: _Need, lock: Lock) -> EnvironmentFolder:
        return EnvironmentFolder(folder=self._environments / (need.name or need.inputs(lock).key))

    async def _build(self, need: _Need, report: Report) -> _Built:
        permit = await self._builds.take(lambda before: report(f"waiting to build ({before} before it)"))
        try:
            return await self._resolve_and_build(need, report)
        finally:
            permit.release()

    async def _resolve_and_build(self, need: _Need, report: Report) -> _Built:
        progress = Progress()

        def hear(line: str) -> None:
            if message := progress.of(line):
                report(message)

        pip = need.resolution.pip
        environ = uv_variables(pip, self._environ)
        resolver = Resolver(pip=pip, environ=environ, interpreter=need.interpreter, on_line=hear)
        lock = await self._lock(need, resolver, report)
        spec = EnvironmentSpec(
            place=self._place(need, lock),
            dependencies=need.dependencies,
            project=need.project,
            runtime=need.runtime,
            interpreter=need.interpreter,
            lock=lock,
        )
        builder = Builder(runtimes=self._runtimes, pip=pip, environ=environ, on_line=hear)
        return _Built(await builder.build(spec, report), lock)

    async def _lock(self, need: _Need, resolver: Resolver, report: Report) -> Lock:
        """Return the lock. An upgrade of gyrus with other requirements changes the runtime's part only."""
        if need.lock and need.lock.runtime_requirements == RUNTIME_REQUIREMENTS:
            return need.lock
        report("resolving dependencies")
        if need.lock is None:
            before = await asyncio.to_thread(need.kept.other) if need.kept else None
            return await resolver.resolve(need.dependencies, need.project, before)
        runtime = await resolver.runtime(need.lock.project, need.dependencies, need.lock.runtime)
        return replace(need.lock, runtime=runtime, runtime_requirements=RUNTIME_REQUIREMENTS)

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


def _sweep_locks(folder: Path, before: float) -> None:
    for file in folder.glob("*.json"):
        try:
            if file.stat().st_mtime < before:
                file.unlink()
        except FileNotFoundError:
            continue  # another operator of the same home has removed it

"""The build of one environment in its final folder, from a lock.

The builder writes the marker last, so an environment with a marker is complete.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from gyrus.aio.single_flight import Report
from gyrus.environments.dependencies import Dependencies
from gyrus.environments.errors import EnvironmentFailure
from gyrus.environments.interpreters import Interpreter
from gyrus.environments.lock import Lock
from gyrus.environments.pip_settings import PipSettings, uv_arguments
from gyrus.environments.resolver import installing
from gyrus.environments.runtime_copy import RuntimeCode
from gyrus.environments.uv import UvFailed, run_uv

MARKER = ".complete"
"""The file that is written last. Its modification time is that of the latest use."""
LOCK_POLL = 0.2
"""Seconds between two attempts to lock an environment that another process builds."""
_RESOLUTION = frozenset(
    {"UV_CONSTRAINT", "UV_OVERRIDE", "UV_EXCLUDE", "UV_PRERELEASE", "UV_RESOLUTION", "UV_EXCLUDE_NEWER"}
)
"""Variables that choose versions. The lock has chosen them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentFolder:
    """The folder of an environment, which may not exist yet."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def marker(self) -> Path:
        return self.folder / MARKER

    @property
    def lock(self) -> Path:
        """The lock file. It is beside the folder, because the folder is removed and created again."""
        return self.folder.with_name(f".{self.folder.name}.lock")

    @property
    def complete(self) -> bool:
        """True if it is built, and its interpreter has not been uninstalled meanwhile."""
        return self.marker.exists() and self.python.exists()


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSpec:
    """The inputs of one build and its folder."""

    place: EnvironmentFolder
    dependencies: Dependencies
    project: Path
    runtime: RuntimeCode
    interpreter: Interpreter
    lock: Lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Builder:
    """Builds environments by uv.

    The build compiles no bytecode: the first start compiles what it imports, and later ones find it. The
    first start of iris takes 4.9 s of CPU, later ones 1.8 s. Compiling everything takes the build at least
    20 s with two cores: iris imports 750 of the environment's 2,400 modules (2026-11-27).
    """

    runtimes: Path
    pip: PipSettings
    environ: Mapping[str, str]
    """The variables for uv."""
    on_line: Callable[[str], None] = lambda line: None

    async def build(self, need: EnvironmentSpec, report: Report) -> Path:
        """Build the environment and return its interpreter. Raises EnvironmentFailure."""
        place = need.place
        try:
            place.folder.parent.mkdir(parents=True, exist_ok=True)
            async with _locked(place, report) as lock:
                if not place.complete:
                    await self._build(need, report, lock)
        except OSError as error:
            raise unwritable(error, place.folder) from error
        return place.python

    async def _build(self, need: EnvironmentSpec, report: Report, lock: int) -> None:
        place, project = need.place, need.project
        report("making an environment")
        await asyncio.to_thread(_clear, place.folder)
        runtime = await asyncio.to_thread(need.runtime.place, self.runtimes)
        making = (
            "venv",
            "--no-project",
            "--no-python-downloads",
            "--python",
            need.interpreter.path,
            str(place.folder),
        )
        await self._run(making, project, lock, "making an environment")
        site_packages(place.folder).joinpath("gyrus.pth").write_text(f"{runtime}\n")
        report("installing packages")
        if need.lock.project.strip():
            options = self._project_options(need)
            await self._install(need, options, need.lock.project, lock, need.dependencies)
        if need.lock.runtime.strip():
            await self._install(
                need, ("--no-deps", "--requirements"), need.lock.runtime, lock, Dependencies()
            )
        place.marker.write_text("")

    def _project_options(self, need: EnvironmentSpec) -> tuple[str, ...]:
        """Return the options for the project's lock. The last one takes the lock's file."""
        dependencies = need.dependencies
        if dependencies.hashed:
            return ("--require-hashes", "--requirements")
        if dependencies.named_indexes and dependencies.file:  # only the project file names their indexes
            return ("--requirements", str(dependencies.file), "--constraints")
        return ("--no-deps", "--requirements")

    async def _install(
        self, need: EnvironmentSpec, options: tuple[str, ...], text: str, lock: int, what: Dependencies
    ) -> None:
        """Install these packages: from uv's cache if it has all of them, else from the indexes."""
        with tempfile.NamedTemporaryFile("w", prefix="gyrus-", suffix=".txt") as file:
            file.write(f"{_with_absolute_links(text, need.project)}\n")
            file.flush()
            settings = uv_arguments(replace(self.pip, constraints=(), pre=False), self.environ)
            command = ("pip", "install", "--python", str(need.place.python), *settings, *options, file.name)
            try:
                await self._run((*command, "--offline"), need.project, lock, installing(what))
            except EnvironmentFailure:
                await self._run(command, need.project, lock, installing(what))

    async def _run(self, arguments: tuple[str, ...], folder: Path, lock: int, what: str) -> None:
        environ = {name: value for name, value in self.environ.items() if name not in _RESOLUTION}
        try:
            await run_uv(arguments, folder=folder, environ=environ, keep=(lock,), on_line=self.on_line)
        except UvFailed as error:
            raise EnvironmentFailure(f"{what} failed: {error}", error.lines) from error


def _with_absolute_links(requirements: str, project: Path) -> str:
    """Make the paths of ``--find-links`` absolute: uv takes them relative to the file, which is elsewhere."""
    return re.sub(
        r"^--find-links (?!/|\w+://)(.+)$",
        lambda match: f"--find-links {project / match[1]}",
        requirements,
        flags=re.MULTILINE,
    )


def unwritable(error: OSError, folder: Path) -> EnvironmentFailure:
    message = f"the environment could not be written ({error.filename or folder}: {error.strerror or error})"
    return EnvironmentFailure(f"{message}; free disk space or correct its permissions")


def site_packages(environment: Path) -> Path:
    """Return the folder of an environment's packages."""
    return next((environment / "lib").glob("python3*/site-packages"))


@asynccontextmanager
async def _locked(place: EnvironmentFolder, report: Report) -> AsyncGenerator[int]:
    """Lock this environment against all other processes; yield the lock's file descriptor.

    An installer that outlives its operator holds the lock until it exits, because it inherits the descriptor.
    """
    lock = os.open(place.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not _try_lock(lock):
            report("waiting for another process that builds the same environment")
            await asyncio.sleep(LOCK_POLL)
        yield lock
    finally:
        os.close(lock)


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _clear(folder: Path) -> None:
    if folder.exists():
        # The marker goes first: a folder that is only partly removed must not count as complete.
        (folder / MARKER).unlink(missing_ok=True)
        shutil.rmtree(folder)

"""The build of one environment in its final folder.

The builder writes the marker last, so an environment with a marker is complete.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import sysconfig
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gyrus.aio.single_flight import Report
from gyrus.environments.dependencies import Dependencies
from gyrus.environments.errors import EnvironmentFailure
from gyrus.environments.pip_settings import PipSettings, uv_arguments, uv_environment
from gyrus.environments.runtime_copy import RUNTIME_REQUIREMENTS, RuntimeCode
from gyrus.environments.uv import Progress, UvFailed, run_uv

MARKER = ".complete"
"""The file that is written last. Its modification time is that of the latest use."""
LOCK_POLL = 0.2
"""Seconds between two attempts to lock an environment that another process builds."""
_NOT_FOR_UV = frozenset(
    {"VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH", "UV_PROJECT", "UV_SYSTEM_PYTHON", "UV_PYTHON"}
)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Builder:
    """Builds environments by uv.

    The build compiles no bytecode: the first start compiles only what it imports. Compiling everything at the
    build made iris live 1.5 s later and a torch handler 4 s later, with two cores (2026-11-24).
    """

    base_python: str
    runtimes: Path
    pip: PipSettings
    environ: Mapping[str, str]

    async def build(self, need: EnvironmentSpec, report: Report) -> Path:
        """Build the environment and return its interpreter. Raises EnvironmentFailure."""
        place, dependencies = need.place, need.dependencies
        try:
            place.folder.parent.mkdir(parents=True, exist_ok=True)
            async with _locked(place, report) as lock:
                if not place.complete:
                    await self._build(need, report, lock)
        except UvFailed as error:
            raise EnvironmentFailure(f"{_what(dependencies)} failed: {error}", error.lines) from error
        except OSError as error:
            where = error.filename or place.folder
            message = f"the environment could not be written ({where}: {error.strerror or error})"
            raise EnvironmentFailure(f"{message}; free disk space or correct its permissions") from error
        return place.python

    async def _build(self, need: EnvironmentSpec, report: Report, lock: int) -> None:
        place, dependencies, project = need.place, need.dependencies, need.project
        report("making an environment")
        await asyncio.to_thread(_clear, place.folder)
        runtime = await asyncio.to_thread(need.runtime.place, self.runtimes)
        environ = self._environ()
        making = (
            "venv",
            "--no-project",
            "--no-python-downloads",
            "--python",
            self.base_python,
            str(place.folder),
        )
        await run_uv(making, folder=project, environ=environ, keep=(lock,))
        site_packages(place.folder).joinpath("gyrus.pth").write_text(f"{runtime}\n")
        report("resolving dependencies")
        progress = Progress()

        def hear(line: str) -> None:
            if message := progress.of(line):
                report(message)

        await run_uv(
            self._install(place, dependencies), folder=project, environ=environ, keep=(lock,), on_line=hear
        )
        place.marker.write_text("")

    def _install(self, place: EnvironmentFolder, dependencies: Dependencies) -> tuple[str, ...]:
        wanted = ("--requirements", str(dependencies.file)) if dependencies.file else ()
        settings = uv_arguments(self.pip, self.environ)
        return ("pip", "install", "--python", str(place.python), *settings, *wanted, *RUNTIME_REQUIREMENTS)

    def _environ(self) -> dict[str, str]:
        own = {key: value for key, value in self.environ.items() if key not in _NOT_FOR_UV}
        return own | uv_environment(self.pip, self.environ)


def site_packages(environment: Path) -> Path:
    """Return the folder of an environment's packages. Its Python version is the one of this process."""
    variables = {"base": str(environment), "platbase": str(environment)}
    return Path(sysconfig.get_path("purelib", "venv", variables))


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


def _what(dependencies: Dependencies) -> str:
    return f"installing {dependencies.file.name}" if dependencies.file else "installing gyrus's runtime"

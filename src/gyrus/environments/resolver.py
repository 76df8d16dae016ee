"""The resolution of a project's requirements into a lock, by uv.

The project's requirements are resolved alone, and gyrus's own afterwards, within what the project has chosen:
a conflict between the two is reported as gyrus's, not as a fault of the project's file.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gyrus.environments.dependencies import Dependencies
from gyrus.environments.errors import EnvironmentFailure
from gyrus.environments.interpreters import Interpreter
from gyrus.environments.lock import Lock, entries, normal_name, pins
from gyrus.environments.pip_settings import PipSettings, uv_arguments
from gyrus.environments.runtime_copy import RUNTIME_REQUIREMENTS
from gyrus.environments.uv import UvFailed, run_uv

_PLAIN = ("--generate-hashes", "--no-header", "--no-annotate", "--no-python-downloads")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolver:
    pip: PipSettings
    environ: Mapping[str, str]
    """The variables for uv."""
    interpreter: Interpreter
    on_line: Callable[[str], None] = lambda line: None

    async def resolve(self, dependencies: Dependencies, project: Path, before: Lock | None = None) -> Lock:
        """Return a lock.

        ``before``: a lock of the same package, for another version of Python. Its versions are kept where
        they fit. Raises EnvironmentFailure.
        """
        try:
            own = await self._project(dependencies, project, before.project if before else "")
        except UvFailed as error:
            raise self._failure(installing(dependencies), error) from error
        runtime = await self.runtime(own, dependencies, before.runtime if before else "")
        return Lock(project=own, runtime=runtime, runtime_requirements=RUNTIME_REQUIREMENTS)

    async def runtime(self, own: str, dependencies: Dependencies, before: str = "") -> str:
        """Return the locked packages of gyrus's runtime beside the project's. Raises EnvironmentFailure."""
        chosen = {name: version for name, version in pins(own).items() if name in _RUNTIME_NAMES}
        limits = "".join(f"{name}=={version}\n" for name, version in chosen.items())
        with tempfile.TemporaryDirectory(prefix="gyrus-") as name:
            folder = Path(name)
            wanted, constraints = folder / "runtime.txt", folder / "chosen.txt"
            wanted.write_text("\n".join(RUNTIME_REQUIREMENTS))
            constraints.write_text(limits)
            try:
                text = await self._compile(
                    wanted, folder, folder / "lock.txt", before, ("--constraints", str(constraints))
                )
            except UvFailed as error:
                if not chosen or dependencies.file is None:
                    raise self._failure(RUNTIME, error) from error
                raise _conflict(chosen, dependencies.file.name, error) from error
        return "\n".join(entry for entry in entries(text) if not pins(entry).keys() & chosen.keys())

    def _failure(self, step: str, error: UvFailed) -> EnvironmentFailure:
        python = self.interpreter
        given = f" for {python.minor} ({python.required_by})" if python.required_by else ""
        return EnvironmentFailure(f"{step}{given} failed: {error}", error.lines)

    async def _project(self, dependencies: Dependencies, project: Path, before: str) -> str:
        if dependencies.file is None:
            return ""
        if dependencies.hashed:
            return "\n".join((*dependencies.options, *dependencies.hashed))
        with tempfile.TemporaryDirectory(prefix="gyrus-") as folder:
            output = Path(folder) / "lock.txt"
            if dependencies.uv_lock:
                text = await self._export(dependencies.file.parent, output)
            else:
                text = await self._compile(dependencies.file, project, output, before)
        return "\n".join((*dependencies.options, text))

    async def _compile(
        self, file: Path, folder: Path, output: Path, before: str, more: tuple[str, ...] = ()
    ) -> str:
        if before:
            output.write_text(before)  # uv keeps the versions in an existing output
        settings = uv_arguments(self.pip, self.environ)
        arguments = (*_PLAIN, "--python", self.interpreter.path, "--output-file", str(output))
        await run_uv(
            ("pip", "compile", str(file), *arguments, *settings, *more),
            folder=folder,
            environ=self.environ,
            on_line=self.on_line,
        )
        return output.read_text()

    async def _export(self, folder: Path, output: Path) -> str:
        """Return uv's own lock as a requirements file."""
        what = ("--frozen", "--no-dev", "--no-emit-project", "--format", "requirements-txt")
        how = ("--no-header", "--no-annotate", "--no-python-downloads", "--python", self.interpreter.path)
        await run_uv(
            ("export", *what, *how, "--output-file", str(output)),
            folder=folder,
            environ=self.environ,
            on_line=self.on_line,
        )
        return output.read_text()


_RUNTIME_NAMES = frozenset(normal_name(one.partition(">=")[0]) for one in RUNTIME_REQUIREMENTS)


RUNTIME = "installing gyrus's runtime"


def installing(dependencies: Dependencies) -> str:
    return f"installing {dependencies.file.name}" if dependencies.file else RUNTIME


def _conflict(chosen: Mapping[str, str], file: str, error: UvFailed) -> EnvironmentFailure:
    needs = [one for one in RUNTIME_REQUIREMENTS if normal_name(one.partition(">=")[0]) in chosen]
    has = ", ".join(f"{name} {version}" for name, version in sorted(chosen.items()))
    return EnvironmentFailure(
        f"gyrus itself needs {', '.join(needs)} in the process of the handler, and {file} "
        f"leads to {has}; allow a version that fits both",
        error.lines,
    )

"""The choice of an interpreter: gyrus's own if the project allows it, else another that is installed here."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gyrus.environments.errors import EnvironmentFailure
from gyrus.environments.python_versions import PythonRequirement, Version, combined
from gyrus.environments.uv import find_uv

OLDEST: Version = (3, 11)
"""The oldest version on which gyrus's runtime works."""
NEWEST_KNOWN = 100
"""A minor version of Python 3 above all that exist."""
LONGEST_SEARCH = 60.0
"""Seconds."""
_QUERY = (
    "import json, platform, sys;"
    "print(json.dumps([list(sys.version_info[:3]), platform.python_implementation(), sys.version]))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    path: str
    version: Version
    """Major, minor and patch release."""
    build: str
    """Implementation, version and build, and the file: all that two equal interpreters share."""
    implementation: str = "CPython"
    required_by: str = field(default="", compare=False)
    """The restriction for which it was chosen, for messages. Empty for gyrus's own."""

    @property
    def minor(self) -> str:
        """Implementation and version without the patch release. Packages are chosen by it."""
        return f"{self.implementation} {self.version[0]}.{self.version[1]}"


def own_interpreter() -> Interpreter:
    """Return the interpreter of this process."""
    return Interpreter(
        path=sys.executable,
        version=sys.version_info[:3],
        build=f"{os.path.realpath(sys.executable)} {sys.version}",
        implementation=platform.python_implementation(),
    )


def choose_interpreter(
    requirements: Sequence[PythonRequirement], environ: Mapping[str, str], own: Interpreter | None = None
) -> Interpreter:
    """Return gyrus's own interpreter if all requirements allow it, else another one that they allow.

    Blocks. Raises EnvironmentFailure.
    """
    own = own or own_interpreter()
    against = [requirement for requirement in requirements if not requirement.allows(own.version)]
    if not against:
        return own
    found = _find(requirements, environ) if _is_possible(requirements) else None
    if found and found.version >= OLDEST and _allowed(requirements, found.version):
        return replace(found, required_by=f"{against[0].source} requires Python {against[0].specifier}")
    raise _missing(against[0], requirements, own)


def _missing(
    against: PythonRequirement, requirements: Sequence[PythonRequirement], own: Interpreter
) -> EnvironmentFailure:
    ours = ".".join(map(str, own.version))
    oldest = ".".join(map(str, OLDEST))
    begin = f"{against.source} requires Python {against.specifier}, and gyrus runs Python {ours}"
    if not _is_possible(requirements):
        return EnvironmentFailure(f"{begin}; its runtime needs {oldest} or newer: allow such a version")
    return EnvironmentFailure(
        f"{begin}; this machine has no other Python that fits. "
        f"Install one with: uv python install '{combined(requirements)}', or allow Python {ours}"
    )


def _is_possible(requirements: Sequence[PythonRequirement]) -> bool:
    """Return True if a Python on which the runtime works may fit."""
    return any(_allowed(requirements, (3, minor, 99)) for minor in range(OLDEST[1], NEWEST_KNOWN))


def _allowed(requirements: Sequence[PythonRequirement], version: Version) -> bool:
    return all(requirement.allows(version) for requirement in requirements)


def _find(requirements: Sequence[PythonRequirement], environ: Mapping[str, str]) -> Interpreter | None:
    wanted = f"{combined(requirements)},>={'.'.join(map(str, OLDEST))}"
    arguments = ("--color=never", "python", "find", "--no-project", "--no-python-downloads", wanted)
    if found := _output([find_uv(), *arguments], _search_environ(environ)):
        return _ask(found.splitlines()[-1])
    return None


def _ask(path: str) -> Interpreter | None:
    """Run the interpreter to learn its version. Returns None if it does not work."""
    if not (answer := _output([path, "-I", "-c", _QUERY])):
        return None
    version, implementation, build = json.loads(answer)
    return Interpreter(
        path=path,
        version=tuple(version),
        build=f"{os.path.realpath(path)} {build}",
        implementation=implementation,
    )


def _output(command: Sequence[str], environ: Mapping[str, str] | None = None) -> str | None:
    try:
        done = subprocess.run(
            command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=LONGEST_SEARCH, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def _search_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for the search: with pyenv's interpreters in place of its shims.

    A shim of a version that is not active fails, and uv ends its search there.
    """
    apart = {"VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH", "UV_PYTHON", "UV_SYSTEM_PYTHON"}
    folders = environ.get("PATH", os.defpath).split(os.pathsep)
    kept = [folder for folder in folders if Path(folder).name != "shims"]
    root = Path(environ.get("PYENV_ROOT") or Path(environ.get("HOME") or Path.home()) / ".pyenv")
    kept += sorted(str(folder) for folder in root.glob("versions/*/bin"))
    return {name: value for name, value in environ.items() if name not in apart} | {
        "PATH": os.pathsep.join(kept)
    }

"""Environments as uv really builds them."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gyrus.aio.clock import SystemClock
from gyrus.contract.home import Home
from gyrus.environments.cache import EnvironmentCache, EnvironmentRequest
from gyrus.environments.errors import EnvironmentFailure
from support.wheels import make_wheel

pytestmark = pytest.mark.processes


@dataclass
class Bench:
    """A home, a project, and a folder with wheels that pip's settings name."""

    root: Path
    heard: list[str] = field(default_factory=list[str])
    environ: dict[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        self.project.mkdir()
        self.wheels.mkdir()
        self.environ = os.environ | {"PIP_FIND_LINKS": str(self.wheels)}
        self.cache = self.new_cache()

    @property
    def project(self) -> Path:
        return self.root / "project"

    @property
    def wheels(self) -> Path:
        return self.root / "wheels"

    @property
    def home(self) -> Home:
        return Home(self.root / "home")

    def new_cache(self) -> EnvironmentCache:
        home = self.home
        return EnvironmentCache(home.python_environments, home.runtimes, SystemClock(), environ=self.environ)

    def require(self, text: str, file: str = "requirements.txt") -> None:
        (self.project / file).write_text(text)

    async def python(self, asker: str = "iris/1", package: str | None = "p1") -> Path:
        request = EnvironmentRequest(asker=asker, project=self.project, package=package, requirements=None)
        return await self.cache.python(request, self.heard.append)

    async def failure(self, asker: str = "iris/1") -> EnvironmentFailure:
        with pytest.raises(EnvironmentFailure) as failure:
            await self.python(asker)
        return failure.value


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def prints(python: Path, code: str) -> str:
    done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


async def test_without_requirements_there_is_the_runtime(bench: Bench) -> None:
    python = await bench.python()
    code = "import httptools, msgspec, orjson, uvloop, gyrus.runtime.supervisor as s; print(s.__file__)"
    assert prints(python, code).startswith(str(bench.home.runtimes))
    assert bench.heard[:2] == ["making an environment", "resolving dependencies"]
    bench.heard.clear()
    assert await bench.python(asker="wine/1", package="p2") == python
    assert bench.heard == []


async def test_find_links_of_pip_win_with_a_local_version(bench: Bench) -> None:
    """As ``torch==2.13.0`` must take the CPU build that pip's settings point to."""
    make_wheel(bench.wheels, "gyrustiny", "1.0")
    make_wheel(bench.wheels, "gyrustiny", "1.0+cpu")
    bench.require("gyrustiny==1.0\n")
    assert prints(await bench.python(), "import gyrustiny; print(gyrustiny.version)") == "1.0+cpu"


async def test_a_project_file_has_its_dependencies_installed_and_not_itself(bench: Bench) -> None:
    make_wheel(bench.wheels, "gyrustiny", "1.0")
    bench.require('[project]\nname = "mine"\nversion = "1"\ndependencies = ["gyrustiny"]\n', "pyproject.toml")
    python = await bench.python()
    code = "import gyrustiny, importlib.util; print(importlib.util.find_spec('mine'))"
    assert prints(python, code) == "None"


async def test_simultaneous_requests_get_one_build(bench: Bench) -> None:
    make_wheel(bench.wheels, "gyrustiny", "1.0")
    bench.require("gyrustiny\n")
    pythons = await asyncio.gather(*(bench.python(f"api{n}/1") for n in range(5)))
    assert len(set(pythons)) == 1
    assert bench.heard.count("making an environment") == 5  # reported to each, done once
    assert len(list(bench.home.python_environments.glob("[!.]*"))) == 1


async def test_a_failed_install_has_the_installers_words(bench: Bench) -> None:
    bench.require("gyrusnosuch==1\n")
    bench.environ["PIP_NO_INDEX"] = "1"
    failure = await bench.failure()
    assert str(failure) == "installing requirements.txt failed: No solution found when resolving dependencies"
    assert any("gyrusnosuch" in line for line in failure.lines)


async def test_a_failure_is_remembered_for_a_deploy_and_tried_again_for_the_next(bench: Bench) -> None:
    bench.require("gyrustiny\n")
    bench.environ["PIP_NO_INDEX"] = "1"
    await bench.failure("iris/1")
    bench.heard.clear()
    await bench.failure("iris/1")
    assert bench.heard == []
    await bench.failure("iris/2")
    assert "resolving dependencies" in bench.heard
    await bench.failure("iris/1")


async def test_what_was_left_half_built_is_built_again(bench: Bench) -> None:
    python = await bench.python()
    environment = python.parent.parent
    (environment / ".complete").unlink()
    (environment / "pyvenv.cfg").write_text("broken")
    assert prints(await bench.python(), "import orjson; print('whole')") == "whole"


async def test_an_environment_whose_interpreter_is_gone_is_built_again(bench: Bench) -> None:
    python = await bench.python()
    python.unlink()
    python.symlink_to("/nowhere/python3")
    assert await bench.python() == python
    assert prints(python, "print('here')") == "here"


async def test_the_runtime_that_an_environment_refers_to_is_put_back(bench: Bench) -> None:
    await bench.python()
    shutil.rmtree(bench.home.runtimes)
    assert (
        prints(await bench.python(), "import gyrus.contract.home as m; print(m.__name__)")
        == "gyrus.contract.home"
    )


async def test_it_waits_for_another_process_that_builds_the_same(bench: Bench) -> None:
    python = await bench.python()
    environment = python.parent.parent
    (environment / ".complete").unlink()
    with (environment.parent / f".{environment.name}.lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        task = asyncio.create_task(bench.python())
        await _until_heard(bench.heard, "waiting for another process that builds the same environment")
        (environment / ".complete").write_text("")
        bench.heard.clear()
    assert await task == python
    assert "making an environment" not in bench.heard


async def test_cancelled_it_leaves_nothing_that_looks_whole(bench: Bench) -> None:
    package = bench.project / "endless"
    package.mkdir()
    (package / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "endless"\nbackend-path = ["."]\n'
    )
    (package / "endless.py").write_text("import time\ntime.sleep(600)\n")
    bench.require("./endless\n")
    task = asyncio.create_task(bench.python())
    await _until_heard(bench.heard, "resolving dependencies")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not list(bench.home.python_environments.glob("*/.complete"))
    bench.require("")
    await bench.python()


async def test_files_of_the_project_make_an_environment_of_its_own(bench: Bench) -> None:
    wheel = make_wheel(bench.project, "gyrustiny", "1.0")
    bench.require(f"./{wheel.name}\n")
    one = await bench.python(package="p1")
    assert prints(one, "import gyrustiny; print(gyrustiny.version)") == "1.0"
    assert await bench.python(package="p2") != one
    assert await bench.python(package="p1") == one


async def test_a_home_that_cannot_be_written_is_reported(bench: Bench) -> None:
    bench.home.root.mkdir()
    bench.home.python_environments.write_text("a file where a folder should be")
    failure = await bench.failure()
    assert str(failure) == (
        f"the environment could not be written ({bench.home.python_environments}: File exists); "
        "free disk space or correct its permissions"
    )


async def test_what_is_unused_for_long_is_removed(bench: Bench) -> None:
    python = await bench.python()
    await bench.cache.sweep(frozenset())
    assert python.exists()
    os.utime(python.parent.parent / ".complete", (0, 0))
    await bench.cache.sweep(frozenset({python}))
    assert python.exists()
    await bench.cache.sweep(frozenset())
    assert not python.exists()


async def _until_heard(heard: list[str], message: str) -> None:
    await _until(lambda: message in heard)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 (the list sends no signal)
            await asyncio.sleep(0.01)

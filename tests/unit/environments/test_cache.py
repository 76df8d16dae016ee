"""Environments as uv really builds them."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gyrus.aio.clock import SystemClock
from gyrus.contract.home import Home
from gyrus.environments.cache import EnvironmentCache, EnvironmentRequest
from gyrus.environments.errors import EnvironmentFailure
from gyrus.environments.interpreters import choose_interpreter
from gyrus.environments.python_versions import PythonRequirement
from gyrus.environments.uv import find_uv
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

    def locks(self, package: str) -> Path:
        return self.root / "packages" / f"{package}.locks"

    def forget(self) -> None:
        """Remove all environments and recent locks, as if they were unused for long."""
        shutil.rmtree(self.home.python_environments)

    def new_cache(self) -> EnvironmentCache:
        home = self.home
        return EnvironmentCache(home.python_environments, home.runtimes, SystemClock(), environ=self.environ)

    def require(self, text: str, file: str = "requirements.txt") -> None:
        (self.project / file).write_text(text)

    async def python(self, asker: str = "iris/1", package: str | None = "p1") -> Path:
        locks = self.locks(package) if package else None
        request = EnvironmentRequest(
            asker=asker, project=self.project, package=package, requirements=None, locks=locks
        )
        return await self.cache.python(request, self.heard.append)

    async def failure(self, asker: str = "iris/1", package: str = "p1") -> EnvironmentFailure:
        with pytest.raises(EnvironmentFailure) as failure:
            await self.python(asker, package)
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
    assert bench.heard[0] == "resolving dependencies"
    assert {"making an environment", "installing packages"} <= set(bench.heard)
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


# Locks

TINY = "import gyrustiny; print(gyrustiny.version)"


async def test_a_package_gets_the_same_versions_after_its_environment_is_gone(bench: Bench) -> None:
    make_wheel(bench.wheels, "gyrustiny", "1.0")
    bench.require("gyrustiny\n")
    assert prints(await bench.python(), TINY) == "1.0"
    make_wheel(bench.wheels, "gyrustiny", "2.0")
    bench.forget()
    assert prints(await bench.python("iris/2"), TINY) == "1.0"
    assert "resolving dependencies" not in bench.heard[bench.heard.index("installing packages") :]


async def test_other_files_with_the_same_requirements_get_the_same_versions(bench: Bench) -> None:
    make_wheel(bench.wheels, "gyrustiny", "1.0")
    bench.require("gyrustiny\n")
    python = await bench.python(package="p1")
    make_wheel(bench.wheels, "gyrustiny", "2.0")
    assert await bench.python("iris/2", package="p2") == python
    bench.forget()
    assert prints(await bench.python("iris/2", package="p2"), TINY) == "1.0"


async def test_changed_requirements_are_resolved_again_and_the_old_lock_stays(bench: Bench) -> None:
    make_wheel(bench.wheels, "gyrustiny", "1.0")
    bench.require("gyrustiny\n")
    await bench.python(package="p1")
    make_wheel(bench.wheels, "gyrustiny", "2.0")
    bench.require("gyrustiny>=1\n")
    assert prints(await bench.python("iris/2", package="p2"), TINY) == "2.0"
    bench.require("gyrustiny\n")
    bench.forget()
    assert prints(await bench.python("iris/3", package="p1"), TINY) == "1.0"


async def test_a_lock_outlives_the_settings_with_which_it_was_made(bench: Bench) -> None:
    make_wheel(bench.wheels, "gyrustiny", "1.0")
    bench.require("gyrustiny\n")
    await bench.python()
    mirror = bench.root / "mirror"
    make_wheel(mirror, "gyrustiny", "2.0")
    make_wheel(mirror, "gyrustiny", "1.0")
    bench.forget()
    shutil.copy(next(bench.wheels.glob("*.whl")), mirror)  # the same bytes: a wheel's times are in its hash
    shutil.rmtree(bench.wheels)
    bench.environ["PIP_FIND_LINKS"] = str(mirror)
    assert prints(await bench.python("iris/2"), TINY) == "1.0"


async def test_a_package_with_other_bytes_under_the_same_version_is_refused(bench: Bench) -> None:
    make_wheel(bench.wheels, "gyrustiny", "1.0")
    bench.require("gyrustiny\n")
    bench.environ["UV_CACHE_DIR"] = str(bench.root / "cache")
    await bench.python()
    make_wheel(bench.wheels, "gyrustiny", "1.0", requires=("six",))
    bench.forget()
    shutil.rmtree(bench.root / "cache")
    failure = await bench.failure("iris/2")
    assert any("Hash mismatch" in line or "hash" in line.lower() for line in failure.lines)


async def test_a_failed_install_leaves_no_lock(bench: Bench) -> None:
    (bench.wheels / "gyrustiny-1.0-py3-none-any.whl").write_bytes(b"no wheel")
    bench.require("gyrustiny\n")
    await bench.failure()
    assert not list(bench.root.glob("packages/*/*.json"))


async def test_an_old_package_without_a_lock_gets_one(bench: Bench) -> None:
    make_wheel(bench.wheels, "gyrustiny", "1.0")
    bench.require("gyrustiny\n")
    python = await bench.python()
    shutil.rmtree(bench.locks("p1"))
    assert await bench.python() == python
    [lock] = bench.locks("p1").iterdir()
    lock.write_text("{damaged")
    assert await bench.python() == python


async def test_locked_versions_are_installed_without_an_index(bench: Bench) -> None:
    """uv does not ask the index, even if what it has cached of it is out of date."""
    make_wheel(bench.wheels, "gyrustiny", "1.0")
    bench.require("gyrustiny\n")
    await bench.python()
    bench.forget()
    nowhere = "http://127.0.0.1:9"
    bench.environ |= {"HTTPS_PROXY": nowhere, "HTTP_PROXY": nowhere, "UV_HTTP_RETRIES": "0"}
    assert prints(await bench.python("iris/2"), TINY) == "1.0"


async def test_requirements_with_hashes_are_checked_and_gyrus_adds_its_own_apart(bench: Bench) -> None:
    wheel = make_wheel(bench.wheels, "gyrustiny", "1.0")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    bench.require(f"--require-hashes\ngyrustiny==1.0 \\\n    --hash=sha256:{digest}\n")
    assert prints(await bench.python(), "import gyrustiny, orjson; print(gyrustiny.version)") == "1.0"
    bench.environ["UV_CACHE_DIR"] = str(bench.root / "cache")
    bench.require(f"gyrustiny==1.0 --hash=sha256:{'0' * 64}\n")
    failure = await bench.failure("iris/2", "p2")
    assert str(failure).startswith("installing requirements.txt failed: ")


async def test_a_conflict_with_gyrus_is_reported_as_its_own(bench: Bench) -> None:
    make_wheel(bench.wheels, "orjson", "3.6.0")
    make_wheel(bench.wheels, "gyrustiny", "1.0", requires=("orjson<3.7",))
    expected = (
        "gyrus itself needs orjson>=3.9.15 in the process of the handler, and requirements.txt leads to "
        "orjson 3.6.0; allow a version that fits both"
    )
    bench.require("orjson==3.6.0\n")
    assert str(await bench.failure()) == expected
    bench.require("gyrustiny\n")
    assert str(await bench.failure("iris/2")) == expected


async def test_packages_that_gyrus_needs_too_keep_the_versions_of_the_project(bench: Bench) -> None:
    make_wheel(bench.wheels, "orjson", "3.10.0")
    bench.require("orjson<3.11\n")
    assert prints(await bench.python(), "import orjson, msgspec; print(orjson.version)") == "3.10.0"


async def test_options_of_the_requirements_file_apply_to_the_lock(bench: Bench) -> None:
    make_wheel(bench.project / "own", "gyrustiny", "1.0")
    bench.require("--find-links ./own\ngyrustiny\n-r more.txt\n")
    bench.require("--no-binary gyrusnosuch\n", "more.txt")
    assert prints(await bench.python(), TINY) == "1.0"
    bench.forget()
    assert prints(await bench.python("iris/2"), TINY) == "1.0"


async def test_markers_choose_what_is_installed_here(bench: Bench) -> None:
    make_wheel(bench.wheels, "gyrustiny", "1.0")
    bench.require("gyrustiny; sys_platform != 'win32'\ngyrusnosuch; sys_platform == 'win32'\n")
    assert prints(await bench.python(), TINY) == "1.0"


async def test_uvs_own_lock_decides(bench: Bench) -> None:
    make_wheel(bench.wheels, "gyrustiny", "1.0")
    text = '[project]\nname = "mine"\nversion = "1"\ndependencies = ["gyrustiny>=1"]\n'
    text += 'requires-python = ">=3.11"\n'
    bench.require(text, "pyproject.toml")
    locking = await asyncio.create_subprocess_exec(
        *(find_uv(), "lock", "--quiet", "--no-index", "--find-links", str(bench.wheels)), cwd=bench.project
    )
    assert await locking.wait() == 0
    make_wheel(bench.wheels, "gyrustiny", "2.0")
    bench.require(text.replace(">=1", ">=2"), "pyproject.toml")
    failure = await bench.failure()
    assert str(failure) == "uv.lock does not fit gyrustiny in pyproject.toml; write it again: uv lock"
    bench.require(text, "pyproject.toml")
    assert prints(await bench.python("iris/2"), TINY) == "1.0"


async def test_a_version_of_python_that_is_not_installed_is_refused(bench: Bench) -> None:
    bench.require('[project]\nname = "mine"\nrequires-python = ">=3.39"\n', "pyproject.toml")
    failure = await bench.failure()
    assert str(failure).startswith(
        "requires-python of pyproject.toml requires Python >=3.39, and gyrus runs "
    )
    assert "uv python install '>=3.39'" in str(failure)


async def test_another_installed_version_of_python_is_used(bench: Bench) -> None:
    other = next((o for o in (12, 13, 14) if _installed(f"==3.{o}.*") and sys.version_info[1] != o), None)
    if other is None:
        pytest.skip("no other version of Python is installed")
    for name in ("gyrustiny", "httptools", "msgspec", "orjson", "uvloop"):  # the index may lack them for it
        make_wheel(bench.wheels, name, "99.0")
    bench.require("gyrustiny\n")
    bench.require(f"3.{other}.0\n", ".python-version")
    code = "import sys, gyrustiny, orjson, gyrus; print(sys.version_info[1])"
    assert prints(await bench.python(), code) == str(other)


def _installed(specifier: str) -> bool:
    try:
        choose_interpreter((PythonRequirement(specifier, "test"),), os.environ)
    except EnvironmentFailure:
        return False
    return True

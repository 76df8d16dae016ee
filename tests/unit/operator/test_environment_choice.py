"""A package shares the environment of an equal resolution, and keeps the versions that it has."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gyrus.environments.errors import EnvironmentFailure
from gyrus.operator.environment_choice import EnvironmentChoice
from gyrus.packaging.archive import pack
from gyrus.packaging.environment_store import EnvironmentStore
from gyrus.packaging.store import PackageStore

LOCK = "0123456789abcdef"
"""Name of the lock, as the builder would choose it."""


async def chunks(content: bytes) -> AsyncIterator[bytes]:
    yield content


@dataclass
class Operator:
    """The stores of one operator. Projects are packed in a folder of their own."""

    home: Path
    image: str = "runtime:1"
    runtime: str = "r"

    def __post_init__(self) -> None:
        self.packages = PackageStore(self.home / "packages", self.home / "projects")
        self.environments = EnvironmentStore(self.home / "archives")
        self.packages.clean_up()
        self.environments.clean_up()
        self.choice = EnvironmentChoice(
            self.packages, self.environments, image=self.image, runtime=self.runtime
        )

    async def upload(self, **files: str) -> str:
        """Store a package with these files. A name has ``__`` where the file's has a dot."""
        folder = self.home / f"project-{hashlib.sha256(repr(files).encode()).hexdigest()[:8]}"
        folder.mkdir(exist_ok=True)
        for name, content in files.items():
            (folder / name.replace("__", ".")).write_text(content)
        output = io.BytesIO()
        packed = pack(folder, output)
        await self.packages.add(packed.digest, chunks(output.getvalue()))
        return packed.digest

    async def build(self, package: str, key: str, versions: str) -> None:
        """Store an environment and its lock, as a builder does."""
        document: dict[str, object] = {
            "format": 1,
            "project": versions,
            "runtime": "",
            "runtime_requirements": [],
        }
        content = json.dumps(document).encode()
        self.packages.locks(package).mkdir(exist_ok=True)
        (self.packages.locks(package) / f"{LOCK}.json").write_bytes(content)
        await self.environments.keep_lock(key, LOCK, content)
        await self.environments.add(key, hashlib.sha256(content).hexdigest(), chunks(content))

    async def of(self, package: str | None, requirements: str | None = None) -> str:
        return await self.choice.environment(package, requirements)


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path)


async def test_a_change_of_the_code_keeps_the_environment_and_its_lock(operator: Operator) -> None:
    first = await operator.upload(handler__py="a = 1", requirements__txt="flowers\n")
    key = await operator.of(first)
    await operator.build(first, key, "flowers==1.2")
    second = await operator.upload(handler__py="a = 2", requirements__txt="flowers\n")
    assert await operator.of(second) == key
    names = {path.name for path in operator.packages.locks(second).iterdir()}
    assert f"{LOCK}.json" in names


async def test_other_requirements_need_another_environment(operator: Operator) -> None:
    first = await operator.upload(requirements__txt="flowers\n")
    await operator.build(first, await operator.of(first), "flowers==1.2")
    other = await operator.upload(requirements__txt="trees\n")
    assert await operator.of(other) != await operator.of(first)


async def test_a_package_keeps_its_environment_after_a_restart(operator: Operator) -> None:
    first = await operator.upload(handler__py="a = 1", requirements__txt="flowers\n")
    key = await operator.of(first)
    await operator.build(first, key, "flowers==1.2")
    assert await Operator(operator.home).of(first) == key


async def test_a_package_with_a_lock_shares_only_an_environment_with_the_same_lock(
    operator: Operator,
) -> None:
    old = await operator.upload(handler__py="a = 1", requirements__txt="flowers\n")
    await operator.build(old, await operator.of(old), "flowers==1.2")
    later = Operator(operator.home, image="runtime:2")
    new = await later.upload(handler__py="a = 2", requirements__txt="flowers\n")
    key = await later.of(new)
    await later.build(new, key, "flowers==2.0")
    assert await later.of(old) != key  # its lock has version 1.2
    third = await later.upload(handler__py="a = 3", requirements__txt="flowers\n")
    assert await later.of(third) == key


@pytest.mark.parametrize("change", [{"image": "runtime:2"}, {"runtime": "s"}])
async def test_another_image_or_runtime_needs_another_environment(
    operator: Operator, change: dict[str, str]
) -> None:
    package = await operator.upload(requirements__txt="flowers\n")
    before = await operator.of(package)
    assert await Operator(operator.home, **change).of(package) != before
    assert await Operator(operator.home).of(None) != await Operator(operator.home, **change).of(None)


async def test_files_of_the_project_that_are_installed_are_not_shared(operator: Operator) -> None:
    first = await operator.upload(handler__py="a = 1", requirements__txt="./lib.whl\n")
    await operator.build(first, await operator.of(first), "lib==1")
    second = await operator.upload(handler__py="a = 2", requirements__txt="./lib.whl\n")
    assert await operator.of(second) != await operator.of(first)


async def test_an_environment_without_a_known_lock_is_not_shared(operator: Operator) -> None:
    first = await operator.upload(handler__py="a = 1", requirements__txt="flowers\n")
    key = await operator.of(first)
    await operator.environments.add(key, hashlib.sha256(b"e").hexdigest(), chunks(b"e"))
    second = await operator.upload(handler__py="a = 2", requirements__txt="flowers\n")
    assert await operator.of(second) != key


async def test_a_missing_requirements_file_is_named(operator: Operator) -> None:
    package = await operator.upload(handler__py="a = 1")
    with pytest.raises(
        EnvironmentFailure, match=r"the file needs\.txt \(requirements\) is not in the project"
    ):
        await operator.of(package, "needs.txt")


async def test_an_unknown_package_is_named(operator: Operator) -> None:
    with pytest.raises(EnvironmentFailure, match=f"The package {'0' * 64} does not exist"):
        await operator.of("0" * 64)

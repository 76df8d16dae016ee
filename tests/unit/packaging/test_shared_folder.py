"""Stores of packages and environments whose files the next operator has, too."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gyrus.packaging.archive import pack
from gyrus.packaging.environment_store import UNUSED, EnvironmentStore
from gyrus.packaging.errors import DigestMismatch, UnknownPackage
from gyrus.packaging.shared_folder import SharedFolder
from gyrus.packaging.store import PackageStore
from support.shared_files import MemoryFiles

KEY, LOCK = "0" * 32, "1" * 16


async def chunks(content: bytes) -> AsyncIterator[bytes]:
    yield content


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def files() -> MemoryFiles:
    return MemoryFiles()


async def packages(files: MemoryFiles, folder: Path) -> PackageStore:
    """Return the store of an operator that has just begun to lead."""
    shared = SharedFolder(files, "packages", folder / "packages")
    store = PackageStore(folder / "packages", folder / "projects", shared=shared)
    store.clean_up()
    await store.load()
    return store


async def environments(files: MemoryFiles, folder: Path) -> EnvironmentStore:
    shared = SharedFolder(files, "environments", folder / "environments")
    store = EnvironmentStore(folder / "environments", shared=shared)
    store.clean_up()
    await store.load()
    return store


@pytest.fixture
def package(tmp_path: Path) -> bytes:
    project = tmp_path / "project"
    project.mkdir()
    (project / "handler.py").write_text("class Handler: ...\n")
    content = io.BytesIO()
    pack(project, content)
    return content.getvalue()


async def test_the_next_operator_has_packages_and_their_locks(
    files: MemoryFiles, package: bytes, tmp_path: Path
) -> None:
    digest, lock = digest_of(package), b"{}"
    first = await packages(files, tmp_path / "first")
    await first.add(digest, chunks(package))
    await first.add_lock(digest, LOCK, digest_of(lock), chunks(lock))
    second = await packages(files, tmp_path / "second")
    assert second.has(digest)
    assert (await second.fetched(digest)).read_bytes() == package
    assert await second.lock(digest, LOCK) == lock
    assert (await second.project(digest) / "handler.py").exists()
    await second.forget([digest])
    assert files.files == {}
    assert not (await packages(files, tmp_path / "first")).has(digest)


async def test_a_package_that_is_not_shared_is_not_there(
    files: MemoryFiles, package: bytes, tmp_path: Path
) -> None:
    """An operator that was killed before the end of an upload has left it in its folder only."""
    digest = digest_of(package)
    await (await packages(files, tmp_path)).add(digest, chunks(package))
    files.files.clear()
    later = await packages(files, tmp_path)
    assert not later.has(digest)
    with pytest.raises(UnknownPackage, match="does not exist; deploy the project again"):
        await later.fetched(digest)
    await later.add(digest, chunks(package))
    assert list(files.files) == [f"packages/{digest}.tar"]


async def test_a_damaged_file_is_not_used(files: MemoryFiles, package: bytes, tmp_path: Path) -> None:
    digest = digest_of(package)
    await (await packages(files, tmp_path / "first")).add(digest, chunks(package))
    name = f"packages/{digest}.tar"
    files.files[name] = (files.files[name][0], package[:-1] + b"x")
    later = await packages(files, tmp_path / "second")
    with pytest.raises(DigestMismatch):
        await later.fetched(digest)
    files.files[name] = (files.files[name][0], b"")
    with pytest.raises(UnknownPackage, match="is not in the operators' store any more"):
        await later.fetched(digest)


async def test_the_next_operator_has_environments(files: MemoryFiles, tmp_path: Path) -> None:
    first = await environments(files, tmp_path / "first")
    await first.add(KEY, digest_of(b"a"), chunks(b"a"))
    second = await environments(files, tmp_path / "second")
    assert second.has(KEY)
    assert (await second.environment(KEY)).path.read_bytes() == b"a"
    await second.add(KEY, digest_of(b"b"), chunks(b"b"), replace=True)
    assert (await (await environments(files, tmp_path / "first")).environment(KEY)).path.read_bytes() == b"b"
    assert [content for _, content in files.files.values()] == [b"b"]


async def test_a_use_by_an_earlier_operator_counts(files: MemoryFiles, tmp_path: Path) -> None:
    first = await environments(files, tmp_path / "first")
    await first.add(KEY, digest_of(b"a"), chunks(b"a"))
    used = (await first.environment(KEY)).path.stat().st_mtime
    await first.sweep(used)  # as every day
    second = await environments(files, tmp_path / "second")
    await second.sweep(used + UNUSED - 1)
    assert second.has(KEY)
    await second.sweep(used + UNUSED + 1)
    assert not second.has(KEY)
    assert files.files == {}


async def test_a_use_is_passed_on(files: MemoryFiles, tmp_path: Path) -> None:
    store = await environments(files, tmp_path)
    await store.add(KEY, digest_of(b"a"), chunks(b"a"))
    os.utime((await store.environment(KEY)).path, (4e9, 4e9))
    await store.sweep(0.0)
    assert [file.used_at for file, _ in files.files.values()] == [4e9]


async def test_the_next_operator_has_the_locks_of_environments(files: MemoryFiles, tmp_path: Path) -> None:
    first = await environments(files, tmp_path / "first")
    await first.add(KEY, digest_of(b"a"), chunks(b"a"))
    await first.keep_lock(KEY, LOCK, b"{}")
    second = await environments(files, tmp_path / "second")
    assert second.lock(KEY) == (LOCK, b"{}")
    await second.sweep(4e9)
    assert files.files == {}


async def test_the_next_operator_has_what_was_written_beside_a_package(
    files: MemoryFiles, package: bytes, tmp_path: Path
) -> None:
    digest = digest_of(package)
    first = await packages(files, tmp_path / "first")
    await first.add(digest, chunks(package))
    first.locks(digest).mkdir()
    (first.locks(digest) / "1.environment").write_text(KEY)
    await first.publish_locks(digest)
    second = await packages(files, tmp_path / "second")
    await second.fetch_locks(digest)
    assert (second.locks(digest) / "1.environment").read_text() == KEY

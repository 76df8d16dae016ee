"""What every store of shared files does."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gyrus.objects.memory import MemoryObjects
from gyrus.packaging.object_files import ObjectFiles
from gyrus.packaging.shared_folder import SharedFile, SharedFiles
from gyrus.state.errors import LeaderReplaced
from gyrus.state.sql import files as module
from gyrus.state.sql.files import open_files
from gyrus.state.sql.store import open_store
from support.shared_files import MemoryFiles

CHUNK = 10


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", CHUNK)
    monkeypatch.setattr(module, "CHUNKS_AT_ONCE", 2)


@pytest.fixture(params=["memory", "objects", "sqlite", "postgresql"])
async def files(request: pytest.FixtureRequest) -> AsyncIterator[SharedFiles]:
    if request.param in ("memory", "objects"):
        yield MemoryFiles() if request.param == "memory" else ObjectFiles(MemoryObjects())
        return
    url = request.getfixturevalue(request.param)
    async with open_store(url, "a/1"):
        opened = open_files(url, "a/1")
        yield opened
        await opened.close()


def described(content: bytes) -> SharedFile:
    return SharedFile(digest=hashlib.sha256(content).hexdigest(), size=len(content), used_at=1.5)


async def put(files: SharedFiles, name: str, content: bytes, folder: Path) -> SharedFile:
    source = folder / "source"
    source.write_bytes(content)
    await files.put(name, described(content), source)
    return described(content)


async def read(files: SharedFiles, name: str) -> bytes:
    return b"".join([chunk async for chunk in files.read(name)])


@pytest.mark.parametrize("size", [0, 1, CHUNK, 2 * CHUNK, 2 * CHUNK + 1, 55])
async def test_what_was_put_is_read(files: SharedFiles, size: int, tmp_path: Path) -> None:
    content = bytes(range(size))
    file = await put(files, "packages/a", content, tmp_path)
    assert await files.load() == {"packages/a": file}
    assert await read(files, "packages/a") == content


async def test_a_later_file_replaces_an_earlier_one(files: SharedFiles, tmp_path: Path) -> None:
    await put(files, "a", b"earlier, and longer than the later one", tmp_path)
    later = await put(files, "a", b"later", tmp_path)
    assert await files.load() == {"a": later}
    assert await read(files, "a") == b"later"


async def test_a_use_and_a_removal(files: SharedFiles, tmp_path: Path) -> None:
    await put(files, "a", b"a", tmp_path)
    await put(files, "b", b"b", tmp_path)
    await files.use("a", 7.25)
    await files.remove(["b", "unknown"])
    assert {name: file.used_at for name, file in (await files.load()).items()} == {"a": 7.25}
    assert await read(files, "b") == b""


async def test_a_file_that_an_operator_did_not_complete_is_removed(database: str, tmp_path: Path) -> None:
    async with open_store(database, "a/1"):
        files = open_files(database, "a/1")
        with pytest.raises(FileNotFoundError):
            await files.put("a", described(b"a"), tmp_path / "missing")
        assert await read(files, "a") == b""
        assert await files.load() == {}
        await files.close()


async def test_an_operator_that_does_not_lead_stores_nothing(database: str, tmp_path: Path) -> None:
    async with open_store(database, "a/1"), open_store(database, "b/2"):
        files = open_files(database, "a/1")
        with pytest.raises(LeaderReplaced):
            await put(files, "a", b"a", tmp_path)
        await files.close()

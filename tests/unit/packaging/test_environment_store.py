from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gyrus.packaging.environment_store import UNUSED, EnvironmentStore
from gyrus.packaging.errors import DigestMismatch, PackageTooLarge, UnknownPackage

KEY = "0123456789abcdef" * 2


async def chunks(*content: bytes) -> AsyncIterator[bytes]:
    for chunk in content:
        yield chunk


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> EnvironmentStore:
    store = EnvironmentStore(tmp_path / "archives", limit=100)
    store.clean_up()
    return store


async def test_an_archive_is_found_by_a_later_operator(store: EnvironmentStore, tmp_path: Path) -> None:
    await store.add(KEY, digest_of(b"ab"), chunks(b"a", b"b"))
    later = EnvironmentStore(tmp_path / "archives")
    assert not later.has(KEY)
    later.clean_up()
    assert await later.environment(KEY) == await store.environment(KEY)
    assert (await later.environment(KEY)).path.read_bytes() == b"ab"


async def test_the_first_archive_stays(store: EnvironmentStore) -> None:
    await store.add(KEY, digest_of(b"a"), chunks(b"a"))
    await store.add(KEY, digest_of(b"b"), chunks(b"b"))
    assert (await store.environment(KEY)).digest == digest_of(b"a")


async def test_an_archive_is_replaced_on_request(store: EnvironmentStore, tmp_path: Path) -> None:
    for content in (b"a", b"b", b"b"):
        await store.add(KEY, digest_of(content), chunks(content), replace=True)
    assert (await store.environment(KEY)).path.read_bytes() == b"b"
    assert list((tmp_path / "archives").iterdir()) == [(await store.environment(KEY)).path]


async def test_what_is_damaged_or_too_large_leaves_nothing(store: EnvironmentStore, tmp_path: Path) -> None:
    with pytest.raises(DigestMismatch, match="is not the environment"):
        await store.add(KEY, digest_of(b"a"), chunks(b"b"))
    with pytest.raises(PackageTooLarge, match="The environment is larger than the allowed 100 bytes"):
        await store.add(KEY, digest_of(b"a"), chunks(bytes(101)))
    assert list((tmp_path / "archives").iterdir()) == []


@pytest.mark.parametrize(("key", "digest"), [("../../etc", "0" * 64), (KEY, "../0")])
async def test_names_are_checked(store: EnvironmentStore, key: str, digest: str) -> None:
    with pytest.raises(DigestMismatch, match="lower-case hexadecimal digits"):
        await store.add(key, digest, chunks(b""))


async def test_environments_that_are_unused_for_long_are_removed(
    store: EnvironmentStore, tmp_path: Path
) -> None:
    unused, lost, used = "1" * 32, "2" * 32, "3" * 32
    for key in (unused, lost, used):
        await store.add(key, digest_of(b"a"), chunks(b"a"))
        os.utime((await store.environment(key)).path, (1.0, 1.0))
    (tmp_path / f"archives/{lost}.{digest_of(b'a')}.tar.zst").unlink()
    stored = await store.environment(used)  # a use
    await store.sweep(stored.path.stat().st_mtime + UNUSED - 1)
    with pytest.raises(UnknownPackage, match="is not built yet"):
        await store.environment(unused)
    assert not store.has(lost)
    assert list((tmp_path / "archives").iterdir()) == [stored.path]


def test_incomplete_uploads_are_removed(store: EnvironmentStore, tmp_path: Path) -> None:
    (tmp_path / "archives/.unfinished-1").write_text("half")
    store.clean_up()
    assert list((tmp_path / "archives").iterdir()) == []

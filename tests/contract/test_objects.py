"""What every store of objects does."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gyrus.objects import s3
from gyrus.objects.errors import NoSuchObject, ObjectChanged, ObjectExists, ObjectsRefused
from gyrus.objects.folder import FolderObjects
from gyrus.objects.location import parse_location
from gyrus.objects.memory import MemoryObjects
from gyrus.objects.opening import open_objects
from gyrus.objects.store import ObjectStore, content
from support.aws.emulators import Emulator, ministack, moto_server

PART = 10


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with moto_server(tmp_path_factory.mktemp("moto")) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def mini(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with ministack(tmp_path_factory.mktemp("ministack")) as emulator:
        yield emulator


S3 = [pytest.param(name, marks=[pytest.mark.aws, pytest.mark.processes]) for name in ("moto", "mini")]


@pytest.fixture(params=["memory", "folder", *S3])
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ObjectStore]:
    monkeypatch.setattr(s3, "PART", PART)
    match request.param:
        case "memory":
            yield MemoryObjects()
        case "folder":
            yield FolderObjects(tmp_path / "objects")
        case name:
            yield opened(request.getfixturevalue(name))


def opened(emulator: Emulator, *, versioned: bool = False) -> ObjectStore:
    location = parse_location(f"s3://{emulator.bucket(versioned=versioned)}/some/prefix/")
    return open_objects(location, emulator.variables)


async def names(store: ObjectStore, folder: str = "") -> list[str]:
    return sorted([info.name async for info in store.list(folder)])


@pytest.mark.parametrize("size", [0, 1, PART, PART + 1, 35])
async def test_what_was_put_is_read(store: ObjectStore, size: int, tmp_path: Path) -> None:
    data = bytes(range(size))
    (tmp_path / "source").write_bytes(data)
    await store.put("a/b", data)
    await store.put("a/c", tmp_path / "source")
    assert await content(store, "a/b") == await content(store, "a/c") == data
    info = await store.head("a/b")
    assert (info.name, info.size) == ("a/b", size)
    assert info in [replace(found, modified=info.modified) async for found in store.list()]


async def test_a_part_is_read(store: ObjectStore) -> None:
    await store.put("a", bytes(range(35)))
    info = await store.head("a")

    async def part(begin: int, end: int | None = None) -> bytes:
        return b"".join([chunk async for chunk in store.read(info, begin, end)])

    assert await part(3, 8) == bytes(range(3, 8))
    assert await part(8, 29) == bytes(range(8, 29))
    assert await part(30) == bytes(range(30, 35))
    assert await part(30, 99) == bytes(range(30, 35))


async def test_a_later_object_replaces_an_earlier_one(store: ObjectStore) -> None:
    await store.put("a", b"earlier and longer")
    earlier = await store.head("a")
    await store.put("a", b"later")
    assert await content(store, "a") == b"later"
    assert (await store.head("a")).tag != earlier.tag
    with pytest.raises(ObjectChanged, match=r"a has changed, and its store keeps no earlier versions"):
        [chunk async for chunk in store.read(earlier)]


async def test_an_object_is_created_once(store: ObjectStore) -> None:
    await store.put("a", b"first", create=True)
    with pytest.raises(ObjectExists, match=r"The object .*/a exists already; choose another name"):
        await store.put("a", b"second", create=True)
    assert await content(store, "a") == b"first"


async def test_of_many_creators_one_wins(store: ObjectStore) -> None:
    async def create(number: int) -> bool:
        try:
            await store.put("lock", str(number).encode(), create=True)
        except ObjectExists:
            return False
        return True

    won = await asyncio.gather(*(create(number) for number in range(8)))
    assert won.count(True) == 1
    assert int(await content(store, "lock")) == won.index(True)


async def test_objects_are_listed_by_folder(store: ObjectStore) -> None:
    assert await names(store) == []
    for name in ("a/b", "a/c/d", "ab", "z ~1.5"):
        await store.put(name, b"x")
    assert await names(store) == ["a/b", "a/c/d", "ab", "z ~1.5"]
    assert await names(store, "a") == ["a/b", "a/c/d"]
    assert await names(store, "unknown") == []


async def test_more_objects_than_a_page_are_listed(store: ObjectStore) -> None:
    for first in range(0, 1030, 103):
        await asyncio.gather(*(store.put(f"{number:04}", b"") for number in range(first, first + 103)))
    assert len(await names(store)) == 1030


async def test_objects_are_removed(store: ObjectStore) -> None:
    for name in ("a", "b", "c"):
        await store.put(name, b"x")
    await store.delete(["a", "b", "unknown"])
    await store.delete([])
    assert await names(store) == ["c"]


async def test_an_unknown_object_is_reported(store: ObjectStore) -> None:
    with pytest.raises(NoSuchObject, match=r"^The object .*/a/b does not exist; check its name, or store it"):
        await store.head("a/b")
    await store.put("a/b", b"x")
    info = await store.head("a/b")
    await store.delete(["a/b"])
    with pytest.raises(NoSuchObject):
        [chunk async for chunk in store.read(info)]


@pytest.mark.parametrize("name", ["", "/a", "a/../b", "a//b", ".", "a/"])
async def test_a_name_that_leaves_the_store_is_refused(store: ObjectStore, name: str) -> None:
    with pytest.raises(ObjectsRefused, match="cannot be the name of an object: write it without"):
        await store.put(name, b"x")


async def test_a_signed_url_opens_one_object(store: ObjectStore) -> None:
    await store.put("a/b", b"content")
    url = await store.signed_url("a/b", 60)
    if url is not None:
        assert await asyncio.to_thread(lambda: urllib.request.urlopen(url).read()) == b"content"
    assert (url is None) == isinstance(store, FolderObjects | MemoryObjects)


@pytest.mark.aws
@pytest.mark.processes
@pytest.mark.parametrize("name", ["moto", "mini"])
async def test_a_versioned_bucket_keeps_what_was_read_before(
    name: str, request: pytest.FixtureRequest
) -> None:
    store = opened(request.getfixturevalue(name), versioned=True)
    await store.put("a", b"earlier")
    earlier = await store.head("a")
    await store.put("a", b"later")
    assert earlier.version
    assert b"".join([chunk async for chunk in store.read(earlier)]) == b"earlier"


@pytest.mark.aws
@pytest.mark.processes
@pytest.mark.parametrize("name", ["moto", "mini"])
async def test_an_unknown_bucket_is_reported(name: str, request: pytest.FixtureRequest) -> None:
    emulator: Emulator = request.getfixturevalue(name)
    store = open_objects(parse_location("s3://no-such-bucket/a"), emulator.variables)
    expected = (
        "The bucket no-such-bucket of s3://no-such-bucket/a{} does not exist: correct the URL, or create it."
    )
    for call, place in ((names(store), ""), (store.put("b", b"x"), "/b")):
        with pytest.raises(ObjectsRefused) as raised:
            await call
        assert str(raised.value) == expected.format(place)


@pytest.mark.aws
@pytest.mark.processes
async def test_a_bucket_of_another_region_is_reported(mini: Emulator) -> None:
    bucket = f"{mini.bucket()}-eu"
    mini.client("s3").create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    with pytest.raises(ObjectsRefused) as raised:
        await names(open_objects(parse_location(f"s3://{bucket}"), mini.variables))
    assert str(raised.value) == (
        f"The bucket {bucket} of s3://{bucket} is not in the region us-east-1: set AWS_REGION to the "
        f"bucket's region. `aws s3api get-bucket-location --bucket {bucket}` prints it."
    )

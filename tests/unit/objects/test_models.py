from __future__ import annotations

import pytest

from gyrus.contract.models import ModelFolder, ModelObject
from gyrus.objects import models as module
from gyrus.objects.errors import NoSuchObject, ObjectsRefused
from gyrus.objects.location import ObjectLocation
from gyrus.objects.memory import MemoryObjects
from gyrus.objects.models import resolve_models


class Bucket:
    """Stores at all locations of one bucket."""

    def __init__(self, **objects: bytes) -> None:
        self.objects = objects

    async def resolved(self, url: str) -> ModelFolder:
        return await resolve_models(url, self.opened)

    def opened(self, location: ObjectLocation) -> MemoryObjects:
        store, start = MemoryObjects(location.url), f"{location.path}/" if location.path else ""
        for name, content in self.objects.items():
            if name.startswith(start):
                store.put_now(name.removeprefix(start), content)
        return store


async def test_all_objects_of_a_folder_are_the_models() -> None:
    bucket = Bucket(**{"iris/a": b"1", "iris/b/c": b"22", "iris-2/a": b"3"})
    found = await bucket.resolved("s3://models/iris/")
    assert found.url == "s3://models/iris"
    assert [(file.name, file.size) for file in found.files] == [("a", 1), ("b/c", 2)]
    assert found.size == 3


async def test_one_object_is_a_folder_with_it() -> None:
    bucket = Bucket(**{"iris/model.bin": b"1", "iris/other": b"2"})
    found = await bucket.resolved("s3://models/iris/model.bin")
    assert (found.url, [file.name for file in found.files]) == ("s3://models/iris", ["model.bin"])


async def test_empty_objects_that_stand_for_folders_are_left_out() -> None:
    bucket = Bucket(**{"iris/b": b"", "iris/b/c": b"22", "iris/empty": b""})
    found = await bucket.resolved("s3://models/iris/")
    assert [file.name for file in found.files] == ["b/c", "empty"]


@pytest.mark.parametrize("url", ["s3://models", "s3://models/iris", "s3://models/a/b"])
async def test_missing_models_are_reported_once(url: str) -> None:
    with pytest.raises(NoSuchObject) as raised:
        await Bucket().resolved(url)
    assert str(raised.value) == (
        f"There are no models at {url}: no object has this name, or one that begins with it and a slash. "
        "Check the URL, or store the models there."
    )


async def test_too_many_files_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_FILES", 2)
    bucket = Bucket(**{f"iris/{name}": b"" for name in "abc"})
    with pytest.raises(
        ObjectsRefused, match=r"^The models at s3://m-1/iris are 3 files with \d+ bytes of names"
    ):
        await bucket.resolved("s3://m-1/iris")


def test_a_key_depends_on_what_the_objects_contain() -> None:
    def folder(**changed: str | int) -> ModelFolder:
        fields = {"name": "a", "size": 1, "tag": "t"} | changed
        return ModelFolder(url="s3://m", files=(ModelObject(**fields),))  # pyright: ignore[reportArgumentType]

    keys = [
        folder().key,
        folder(name="b").key,
        folder(size=2).key,
        folder(tag="u").key,
        folder(version="v").key,
    ]
    assert len({*keys}) == 5
    assert folder().key == keys[0]
    assert len(keys[0]) == 32

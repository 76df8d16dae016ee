"""The exact objects that a URL of models stands for now."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import PurePosixPath

from gyrus.contract.models import ModelFolder, ModelObject
from gyrus.objects.errors import NoSuchObject, ObjectsRefused
from gyrus.objects.location import ObjectLocation, parse_location
from gyrus.objects.opening import StoreOpener
from gyrus.objects.store import ObjectInfo, ObjectStore

MOST_FILES = 1000
LONGEST_NAMES = 64 * 1024
"""Bytes of all names, tags and versions: the order of a pod has them."""
AT_ONCE = 16


async def resolve_shared_models(url: str, open_store: StoreOpener) -> ModelFolder:
    """Do as :func:`resolve_models`, for replicas on several machines."""
    if not parse_location(url).bucket:
        raise ValueError("is on one machine, and replicas run on several; store the models in a bucket")
    return await resolve_models(url, open_store)


async def resolve_models(url: str, open_store: StoreOpener) -> ModelFolder:
    """Return the objects under this URL, or the one object that it names.

    Raises ObjectError, and ValueError if it is not a URL of objects.
    """
    location = parse_location(url)
    store = open_store(location)
    found: list[ObjectInfo] = []
    async with aclosing(store.list()) as listed:
        async for info in listed:
            found.append(info)
            if len(found) > 2 * MOST_FILES:
                break
    if not found:
        store, found = await _single(location, open_store)
    folder = ModelFolder(url=store.url, files=await _pinned(store, _without_markers(found)))
    _check_bounds(folder, url)
    return folder


async def _single(location: ObjectLocation, open_store: StoreOpener) -> tuple[ObjectStore, list[ObjectInfo]]:
    """Return the object that a location names itself, in the store of its folder."""
    parent, _, name = location.path.rpartition("/")
    missing = NoSuchObject(
        f"There are no models at {location.url}: no object has this name, or one that begins with it and a "
        "slash. Check the URL, or store the models there."
    )
    if not name:
        raise missing
    store = open_store(ObjectLocation(location.bucket, parent if location.bucket else parent or "/"))
    try:
        return store, [await store.head(name)]
    except NoSuchObject:
        raise missing from None


async def _pinned(store: ObjectStore, found: Sequence[ObjectInfo]) -> tuple[ModelObject, ...]:
    """Return the files with the ids of their versions, if the store has any: lists do not have them."""
    first = await store.head(found[0].name)
    if first.version is None:
        return tuple(map(_file_of, found))
    limit = asyncio.Semaphore(AT_ONCE)

    async def pinned(info: ObjectInfo) -> ModelObject:
        async with limit:
            return _file_of(await store.head(info.name))

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(pinned(info), name=f"version of {info.name}") for info in found]
    return tuple(task.result() for task in tasks)


def _file_of(info: ObjectInfo) -> ModelObject:
    return ModelObject(name=info.name, size=info.size, tag=info.tag, version=info.version)


def _without_markers(found: Sequence[ObjectInfo]) -> list[ObjectInfo]:
    """Return the objects without the empty ones that stand for folders, in the order of their names."""
    folders = {parent.as_posix() for info in found for parent in PurePosixPath(info.name).parents}
    kept = [info for info in found if info.size or info.name not in folders]
    return sorted(kept, key=lambda info: info.name)


def _check_bounds(folder: ModelFolder, url: str) -> None:
    names = len(folder.encoded())
    if len(folder.files) > MOST_FILES or names > LONGEST_NAMES:
        raise ObjectsRefused(
            f"The models at {url} are {len(folder.files):,} files with {names:,} bytes of names and tags, "
            f"and at most {MOST_FILES:,} and {LONGEST_NAMES:,} are possible: name a folder with fewer files, "
            "or store them as an archive."
        )

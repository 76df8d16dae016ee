"""The protocol of a store of objects."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gyrus.objects.errors import NoSuchObject, ObjectChanged, ObjectExists, ObjectsRefused

CHUNK = 1024 * 1024
"""Bytes that a folder or the memory yields at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """One version of an object."""

    name: str
    """Its name in the store, with slashes."""
    size: int
    """Bytes."""
    tag: str
    """Differs between two contents of the object: the ETag in S3, without its quotation marks."""
    modified: float
    """Seconds since the epoch."""
    version: str | None = None
    """The id with which the store keeps this version although the object changes. None: it does not."""


class ObjectStore(Protocol):
    """Objects by name, each whole or not there. The methods raise :mod:`gyrus.objects.errors`.

    They can be cancelled at any time.
    """

    @property
    def url(self) -> str:
        """The URL under which the names are, without a slash at its end."""
        ...

    async def put(self, name: str, content: bytes | Path, *, create: bool = False) -> None:
        """Store these bytes, or those of a file. ``create``: raise ObjectExists if the object exists."""
        ...

    async def head(self, name: str) -> ObjectInfo:
        """Return the present version of an object. Raises NoSuchObject."""
        ...

    def read(self, pinned: ObjectInfo, begin: int = 0, end: int | None = None) -> AsyncGenerator[bytes]:
        """Yield bytes of this version from ``begin`` on, before ``end``. None: to its last one.

        Raises ObjectChanged if the store has another version only, and NoSuchObject.
        """
        ...

    def list(self, folder: str = "") -> AsyncGenerator[ObjectInfo]:
        """Yield the objects whose names begin with this folder and a slash. Empty: all of the store."""
        ...

    async def delete(self, names: Iterable[str]) -> None:
        """Remove these objects. Idempotent."""
        ...

    async def signed_url(self, name: str, lifetime: float) -> str | None:
        """Return a URL with which anyone can read the object for some seconds. None: the store has none."""
        ...


async def content(store: ObjectStore, name: str) -> bytes:
    """Return all bytes of an object. Raises :mod:`gyrus.objects.errors`."""
    return b"".join([chunk async for chunk in store.read(await store.head(name))])


def checked_name(name: str) -> str:
    """Return a name that every store can have. Raises ObjectsRefused."""
    if not name or any(part in ("", ".", "..") for part in name.split("/")) or "\0" in name:
        raise ObjectsRefused(f"{name!r} cannot be the name of an object: write it without //, . and ..")
    return name


def no_such_object(url: str) -> NoSuchObject:
    return NoSuchObject(f"The object {url} does not exist; check its name, or store it again.")


def object_exists(url: str) -> ObjectExists:
    return ObjectExists(f"The object {url} exists already; choose another name, or delete it first.")


def object_changed(url: str) -> ObjectChanged:
    return ObjectChanged(
        f"The object {url} has changed, and its store keeps no earlier versions; turn on the versioning of "
        "the bucket, and deploy again what uses the object."
    )

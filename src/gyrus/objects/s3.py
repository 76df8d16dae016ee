"""Objects in S3, or in a store that speaks like it, by obstore."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from gyrus.objects.credentials import AwsAccess
from gyrus.objects.errors import ObjectsRefused
from gyrus.objects.s3_failures import failure_of
from gyrus.objects.store import ObjectInfo, checked_name

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta
    from obstore.store import S3Store

PART = 8 * 1024 * 1024
"""Bytes of one request of a read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Patience:
    """How long requests are tried. Times in seconds."""

    connect: float = 5.0
    request: float = 60.0
    """For one request, with its answer of at most :data:`PART` bytes."""
    retries: int = 5
    """After server errors and lost connections, with growing pauses and jitter."""
    all_retries: float = 60.0
    """From the first try to the last."""


class S3Objects:
    """Implements :class:`gyrus.objects.store.ObjectStore`."""

    def __init__(
        self, bucket: str, prefix: str, access: AwsAccess, patience: S3Patience = S3Patience()
    ) -> None:
        """``prefix``: the beginning of all names, without a slash at its ends; may be empty.

        Raises ObjectsRefused if obstore is not installed.
        """
        self._bucket = bucket
        self._prefix = prefix
        self._region = access.region
        self._store = _open(bucket, access, patience)

    @property
    def url(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    async def put(self, name: str, content: bytes | Path, *, create: bool = False) -> None:
        with self._translated(name):
            await self._store.put_async(self._key(name), content, mode="create" if create else "overwrite")

    async def head(self, name: str) -> ObjectInfo:
        with self._translated(name):
            return self._info(await self._store.head_async(self._key(name)))

    async def read(self, pinned: ObjectInfo, begin: int = 0, end: int | None = None) -> AsyncGenerator[bytes]:
        last = pinned.size if end is None else min(end, pinned.size)
        if not pinned.size:
            await self._part(pinned, 0, 0)  # that it is there, and has not changed
        while begin < last:
            data = await self._part(pinned, begin, min(begin + PART, last))
            begin += len(data)
            yield data

    async def list(self, folder: str = "") -> AsyncGenerator[ObjectInfo]:
        within = "/".join(filter(None, (self._prefix, folder)))
        with self._translated(folder):
            pages = self._store.list(within or None)  # pyright: ignore[reportUnknownMemberType] -- Arrow's
            async for page in pages:
                for meta in page:
                    yield self._info(meta)

    async def delete(self, names: Iterable[str]) -> None:
        keys = [self._key(name) for name in names]
        if keys:
            with self._translated(""):
                await self._store.delete_async(keys)

    async def signed_url(self, name: str, lifetime: float) -> str | None:
        from obstore import sign_async

        with self._translated(name):
            return await sign_async(self._store, "GET", self._key(name), timedelta(seconds=lifetime))

    async def _part(self, pinned: ObjectInfo, begin: int, end: int) -> bytes:
        options: GetOptions = (
            {"version": pinned.version} if pinned.version else {"if_match": f'"{pinned.tag}"'}
        )
        if (begin, end) != (0, pinned.size):
            options["range"] = (begin, end)
        with self._translated(pinned.name):
            result = await self._store.get_async(self._key(pinned.name), options=options)
            return bytes(await result.bytes_async())

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{checked_name(name)}" if self._prefix else checked_name(name)

    def _info(self, meta: ObjectMeta) -> ObjectInfo:
        start = f"{self._prefix}/" if self._prefix else ""
        return ObjectInfo(
            name=meta["path"].removeprefix(start),
            size=meta["size"],
            tag=(meta["e_tag"] or "").strip('"'),
            modified=meta["last_modified"].timestamp(),
            version=meta["version"] if meta["version"] != "null" else None,
        )

    @contextmanager
    def _translated(self, name: str) -> Generator[None]:
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, FileNotFoundError, PermissionError) as error:
            url = f"{self.url}/{name}" if name else self.url
            raise failure_of(str(error), url, self._bucket, self._region) from error


def _open(bucket: str, access: AwsAccess, patience: S3Patience) -> S3Store:
    try:
        from obstore.store import S3Store
    except ImportError as error:
        raise ObjectsRefused(
            f"s3://{bucket} cannot be reached without the package obstore: install gyrus[aws] where the "
            "operator runs."
        ) from error
    return S3Store(
        bucket,
        config=access.settings(),
        client_options={
            "allow_http": access.endpoint.startswith("http://"),
            "connect_timeout": timedelta(seconds=patience.connect),
            "timeout": timedelta(seconds=patience.request),
        },
        retry_config={
            "max_retries": patience.retries,
            "retry_timeout": timedelta(seconds=patience.all_retries),
        },
    )

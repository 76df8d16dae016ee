"""Packages from the web: downloaded with limits. The store checks their digest and their content."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import urllib3
from urllib3.exceptions import HTTPError

from gyrus import __version__
from gyrus.contract.visible import escaped
from gyrus.packaging.errors import PackagingError
from gyrus.packaging.store import PackageStore

CHUNK = 2**20
SILENCE = 30.0
"""Seconds without a byte after which a download has failed."""
LONGEST = 600.0
"""Seconds for the whole download."""
MOST_REDIRECTS = 5
_HEADERS = {"user-agent": f"gyrus/{__version__}", "accept-encoding": "identity"}


class DownloadFailed(Exception):
    """A package that could not be fetched. The message names the address, the cause and the remedy."""


class PackageDownloads:
    """Fetches packages into a store."""

    def __init__(self, packages: PackageStore) -> None:
        self._packages = packages

    async def fetch(self, url: str, digest: str) -> int:
        """Download a package and store it. Returns its size in bytes. Raises DownloadFailed."""
        try:
            async with asyncio.timeout(LONGEST), aclosing(_body(url)) as chunks:
                return await self._packages.add(digest, chunks)
        except TimeoutError as error:
            raise _failed(url, f"it takes longer than {LONGEST:g} s", "use a nearer server") from error
        except PackagingError as error:
            raise _failed(url, str(error).rstrip("."), "check spec.package.sha256 and the file") from error
        except (HTTPError, OSError) as error:
            cause = " ".join(str(error).split()) or type(error).__name__
            raise _failed(url, cause, "check that the operator's pod reaches the address") from error


async def _body(url: str) -> AsyncGenerator[bytes]:
    """Yield the body of the answer. Raises DownloadFailed if it is not a success."""
    timeout = urllib3.Timeout(connect=10.0, read=SILENCE)
    retries = urllib3.Retry(connect=2, read=0, redirect=MOST_REDIRECTS, status=0, other=0)
    with urllib3.PoolManager(timeout=timeout, retries=retries, headers=_HEADERS) as pool:
        response = await asyncio.to_thread(pool.request, "GET", url, preload_content=False)
        try:
            if response.status != 200:
                raise _failed(url, f"the server answered {response.status}", "check spec.package.url")
            while chunk := await asyncio.to_thread(response.read, CHUNK):
                yield chunk
        finally:
            response.close()


def _failed(url: str, cause: str, remedy: str) -> DownloadFailed:
    return DownloadFailed(f"spec.package.url: {escaped(url)} could not be fetched: {cause}; {remedy}")

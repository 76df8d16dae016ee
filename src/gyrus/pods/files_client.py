"""The client of the operator's files server. It retries while the operator is away, and checks digests."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import random
import sys
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import IO, TypeVar

import urllib3
from urllib3.exceptions import HTTPError

from gyrus.aio.backoff import Backoff
from gyrus.contract.pods import DIGEST_HEADER, MODELS_PROOF, REDIRECT_HEADER
from gyrus.contract.replica import Reason
from gyrus.pods.failure import FilesUnreachable, PodFailed
from gyrus.pods.order import FilesAccess

T = TypeVar("T")

RETRY = Backoff(first=0.2, most=5.0)
PATIENCE = 300.0
"""Seconds for which the client retries. Then the pod ends, and Kubernetes starts its container again."""
TIMEOUT = urllib3.Timeout(connect=5.0, read=60.0)
CHUNK = 1024 * 1024
OUTSIDE_TRIES = 4
"""Tries at an object store before the operator is asked."""
_LARGEST_PROBLEM = 64 * 1024
_TEMPORARY = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)


class TemporaryFailure(Exception):
    """A failure after which a retry may help: no connection, an answer that ended early, a server's error."""


class FilesClient:
    """Its methods block."""

    def __init__(
        self,
        access: FilesAccess,
        *,
        patience: float = PATIENCE,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._access = access
        self._patience = patience
        self._sleep = sleep
        self._monotonic = monotonic
        self._pool = urllib3.PoolManager(
            ca_certs=access.ca,
            timeout=TIMEOUT,
            retries=False,
            headers={"authorization": access.authorization},
        )
        self._outside = urllib3.PoolManager(timeout=TIMEOUT, retries=False)
        """For signed URLs of an object store, whose certificate a public authority has signed."""
        self._redirects = True

    def download(self, path: str, take: Callable[[IO[bytes]], T]) -> T:
        """Pass the file's content to ``take``, and return its result.

        Calls ``take`` again for each try, so it must begin from the start each time. Raises PodFailed.
        """
        result, _ = self._retrying(f"fetching {path}", lambda: self._download(path, take))
        return result

    def download_with_digest(self, path: str, take: Callable[[IO[bytes]], None]) -> str:
        """Do as :meth:`download`, and return the digest of the content."""
        _, digest = self._retrying(f"fetching {path}", lambda: self._download(path, take))
        return digest

    def upload(self, path: str, file: Path) -> None:
        """Send the file. Raises PodFailed."""
        digest = _digest(file)
        headers = {DIGEST_HEADER: digest, "content-length": str(file.stat().st_size)}

        def send() -> None:
            with file.open("rb") as content:
                self._request("PUT", path, content, headers)

        self._retrying(f"storing {path}", send)

    def post_for(self, path: str, body: bytes, proof: str) -> bytes:
        """Send a body, and return the content of the answer. Raises PodFailed."""
        content: list[bytes] = []
        self.download_by_post(path, body, proof, lambda answer: content.append(answer.read()))
        return content[-1]

    def download_by_post(self, path: str, body: bytes, proof: str, take: Callable[[IO[bytes]], None]) -> None:
        """Pass the content of the answer to a body to ``take``, as :meth:`download` does."""
        headers = {MODELS_PROOF: proof, "content-type": "application/json"}

        def attempt() -> None:
            answer = self._open("POST", path, body, headers)
            try:
                if answer.status >= HTTPStatus.BAD_REQUEST:
                    raise self._refusal(answer, path)
                with io.BufferedReader(_CheckedReader(answer, path, None), CHUNK) as reader:
                    take(reader)
            except HTTPError as error:
                raise TemporaryFailure(_words(error)) from error
            finally:
                answer.close()

        self._retrying(f"fetching {path}", attempt)

    def download_outside(self, url: str, tag: str, take: Callable[[IO[bytes]], None]) -> bool:
        """Pass the content of a signed URL to ``take``. Returns False if the object has another tag.

        Returns False also if the object is gone, and if its store cannot be reached after some tries.
        """
        for number in range(OUTSIDE_TRIES):
            try:
                return self._download_outside(url, tag, take)
            except TemporaryFailure as failure:
                print(f"{url.partition('?')[0]}: {failure}; trying again", file=sys.stderr)  # noqa: T201
                self._sleep(RETRY.delay(number))
        return False

    def _download_outside(self, url: str, tag: str, take: Callable[[IO[bytes]], None]) -> bool:
        try:
            answer = self._outside.request(
                "GET", url, headers={"if-match": f'"{tag}"'}, preload_content=False, redirect=False
            )
        except (HTTPError, OSError) as error:
            raise TemporaryFailure(_words(error)) from error
        try:
            if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status in _TEMPORARY:
                raise TemporaryFailure(f"it answered with status {answer.status}")
            if answer.status != HTTPStatus.OK:
                return False
            with io.BufferedReader(_CheckedReader(answer, url, None), CHUNK) as reader:
                take(reader)
            return True
        except HTTPError as error:
            raise TemporaryFailure(_words(error)) from error
        finally:
            answer.close()

    def has(self, path: str) -> bool:
        """Return True if the server has the file. Raises PodFailed."""

        def ask() -> bool:
            try:
                self._request("HEAD", path)
            except NotThere:
                return False
            return True

        return self._retrying(f"looking for {path}", ask)

    def digest_once(self, path: str) -> str | None:
        """Return the digest of the server's file. Returns None if it is not known, without a retry."""
        try:
            answer = self._open("HEAD", path)
        except TemporaryFailure:
            return None
        with contextlib.closing(answer):
            return answer.headers.get(DIGEST_HEADER) if answer.status == HTTPStatus.OK else None

    def post_once(self, path: str, text: str) -> None:
        """Send a text without a retry. Raises TemporaryFailure, PodFailed."""
        self._request("POST", path, text.encode(), {"content-type": "text/plain; charset=utf-8"})

    def _download(self, path: str, take: Callable[[IO[bytes]], T]) -> tuple[T, str]:
        """Return what ``take`` returned, and the digest of the content."""
        headers = {REDIRECT_HEADER: "1"} if self._redirects else {}
        answer = self._open("GET", path, headers=headers)
        digest = answer.headers.get(DIGEST_HEADER)
        if answer.status == HTTPStatus.TEMPORARY_REDIRECT:
            answer = self._follow(answer)
        try:
            if answer.status >= HTTPStatus.BAD_REQUEST:
                raise self._refusal(answer, path)
            content = _CheckedReader(answer, path, digest)
            with io.BufferedReader(content, CHUNK) as reader:
                try:
                    result = take(reader)
                except PodFailed:  # it may be unreadable because it was damaged on its way
                    content.check(reader)
                    raise
                content.check(reader)
            return result, content.digest
        except HTTPError as error:
            raise TemporaryFailure(_words(error)) from error
        finally:
            answer.close()

    def _follow(self, redirect: urllib3.BaseHTTPResponse) -> urllib3.BaseHTTPResponse:
        """Open the URL of an object store, without the pod's proof.

        Raises TemporaryFailure if that fails: the next try gets the content from the operator.
        """
        url = redirect.headers["location"]
        redirect.close()
        cause = ""
        try:
            answer = self._outside.request("GET", url, preload_content=False, redirect=False)
            if answer.status == HTTPStatus.OK:
                return answer
            cause = f"it answered with status {answer.status}"
            answer.close()
        except (HTTPError, OSError) as error:
            cause = _words(error)
        self._redirects = False
        place = url.partition("?")[0]  # the rest is a proof
        raise TemporaryFailure(f"{place} cannot be fetched ({cause}), and the operator is asked for it")

    def _request(
        self, method: str, path: str, body: IO[bytes] | bytes | None = None, headers: Mapping[str, str] = {}
    ) -> None:
        answer = self._open(method, path, body, headers)
        try:
            if answer.status >= HTTPStatus.BAD_REQUEST:
                raise self._refusal(answer, path)
            answer.drain_conn()
        finally:
            answer.close()

    def _open(
        self, method: str, path: str, body: IO[bytes] | bytes | None = None, headers: Mapping[str, str] = {}
    ) -> urllib3.BaseHTTPResponse:
        own = dict(self._pool.headers) | dict(headers)
        try:
            return self._pool.request(
                method, self._access.url + path, body=body, headers=own, preload_content=False, redirect=False
            )
        except (HTTPError, OSError) as error:
            raise TemporaryFailure(_words(error)) from error

    def _refusal(self, answer: urllib3.BaseHTTPResponse, path: str) -> Exception:
        detail = _detail(answer)
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status in _TEMPORARY:
            return TemporaryFailure(detail)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            message = f"the operator does not know the secret of the pod {self._access.pod}; delete the pod"
            return PodFailed(Reason.PACKAGE, message)
        if answer.status == HTTPStatus.NOT_FOUND:
            return NotThere(Reason.PACKAGE, detail)
        return PodFailed(Reason.PACKAGE, f"the operator refused {path}: {detail}")

    def _retrying(self, what: str, attempt: Callable[[], T]) -> T:
        until = self._monotonic() + self._patience
        failures = 0
        while True:
            try:
                return attempt()
            except TemporaryFailure as failure:
                delay = RETRY.delay(failures) * random.uniform(0.5, 1.0)
                failures += 1
                if self._monotonic() + delay > until:
                    raise FilesUnreachable(
                        Reason.PACKAGE, f"{what} from the operator at {self._access.url} failed: {failure}"
                    ) from failure
                print(f"{what} failed: {failure}; trying again", file=sys.stderr, flush=True)  # noqa: T201
                self._sleep(delay)


class NotThere(PodFailed):
    """A file that the server does not have."""


class _CheckedReader(io.RawIOBase):
    """The body of an answer, while its digest is computed."""

    def __init__(self, answer: urllib3.BaseHTTPResponse, path: str, digest: str | None) -> None:
        """``digest``: that of the whole content; None if it is unknown."""
        self._answer = answer
        self._path = path
        self._expected = digest
        self._hash = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        data = self._answer.read(len(buffer))
        self._hash.update(data)
        buffer[: len(data)] = data
        return len(data)

    @property
    def digest(self) -> str:
        """Return the digest of what has been read."""
        return self._hash.hexdigest()

    def check(self, rest: IO[bytes]) -> None:
        """Read the rest of the content. Raise TemporaryFailure if all of it is not that of the digest."""
        while rest.read(CHUNK):
            pass
        digest = self._expected
        if digest is not None and self.digest != digest:
            raise TemporaryFailure(f"{self._path} was damaged on its way: its digest is not {digest}")


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _detail(answer: urllib3.BaseHTTPResponse) -> str:
    """Return the detail of the problem document, or else the status."""
    try:
        match json.loads(answer.read(_LARGEST_PROBLEM)):
            case {"detail": str(detail)}:
                return detail
            case _:
                pass
    except (ValueError, HTTPError):
        pass
    return f"it answered with status {answer.status}"


def _words(error: Exception) -> str:
    """Return the cause without the names of the client's own objects."""
    text = str(error)
    return text.rpartition(">: ")[2] or type(error).__name__

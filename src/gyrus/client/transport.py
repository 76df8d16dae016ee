"""One operator over HTTP: the token, retries, and the error for each kind of answer."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import quote, unquote

import msgspec
import urllib3
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError, ReadTimeoutError, SSLError

from gyrus import __version__
from gyrus.client.connections import base_path, connections
from gyrus.client.environments import Environment
from gyrus.client.errors import (
    ClientError,
    Conflict,
    Invalid,
    NotFound,
    OperatorFailed,
    OperatorUnreachable,
    ReadOnlyToken,
    Refused,
    Unauthorized,
    UnexpectedAnswer,
    UnknownApi,
    UnprovenOperator,
)
from gyrus.client.proof import Trust
from gyrus.contract import problem as problems
from gyrus.contract.operator import TOKEN_HEADER
from gyrus.contract.problem import Problem

T = TypeVar("T")

CONNECT_TIMEOUT = 5.0
USER_AGENT = f"gyrus/{__version__}"
SILENCE = 60.0
"""Seconds without a byte after which a stream counts as broken; the operator sends bytes more often."""

_BY_STATUS: dict[int, type[Refused]] = {403: ReadOnlyToken, 404: NotFound, 409: Conflict}


class Transport:
    """A sender of requests to one operator. Several threads may share it."""

    def __init__(self, environment: Environment, timeout: float) -> None:
        self.environment = environment
        self._timeout = timeout
        self._headers = {"user-agent": USER_AGENT}
        if environment.token:
            self._headers[TOKEN_HEADER] = f"Bearer {environment.token}"
        self._base = base_path(environment) + "/v1"
        self._pool = connections(environment)

    def close(self) -> None:
        self._pool.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        json: object = None,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        idempotent: bool = True,
        allowed: frozenset[int] = frozenset(),
    ) -> BaseHTTPResponse:
        """Send a request and return the whole answer.

        Raises an error status as its error, unless ``allowed``.
        """
        sent = self._headers | dict(headers or {})
        if json is not None:
            body = msgspec.json.encode(json)
            sent["content-type"] = "application/json"
        answer = self._request(
            method,
            path,
            fields=dict(query or {}),
            body=body,
            headers=sent,
            # A body that is read while it is sent cannot be sent twice.
            retries=_retries(idempotent and (body is None or isinstance(body, bytes))),
            timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT, read=self._timeout),
        )
        if answer.status >= 400 and answer.status not in allowed:
            raise self._refusal(answer, answer.data, path)
        return answer

    def get(self, path: str, shape: type[T], **query: str) -> T:
        return self.decode(self.send("GET", path, query=query), shape)

    @contextmanager
    def stream(
        self, path: str, query: Iterable[tuple[str, str]], seconds: float | None = None
    ) -> Generator[Iterator[bytes]]:
        """Yield the chunks of a streamed answer, and cut it off after ``seconds``.

        Iterating raises OperatorUnreachable if the connection breaks.
        """
        answer = self._request(
            "GET",
            path,
            fields=list(query),
            headers=self._headers,
            preload_content=False,
            retries=_retries(again=True),
            timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT, read=SILENCE),
        )
        cut = _Cut(answer, seconds)
        try:
            if answer.status >= 400:
                raise self._refusal(answer, answer.read(), path)
            with cut:
                yield self._chunks(answer, cut)
        finally:
            answer.close()

    def decode(self, answer: BaseHTTPResponse, shape: type[T]) -> T:
        return self.read(answer.data, shape)

    def read(self, data: bytes, shape: type[T]) -> T:
        """Decode an answer. Raises UnexpectedAnswer."""
        try:
            return msgspec.json.decode(data, type=shape)
        except msgspec.DecodeError as fault:
            raise self._unexpected(str(fault)) from fault

    def _request(self, method: str, path: str, **options: Any) -> BaseHTTPResponse:
        try:
            return self._pool.request(method, self._base + path, redirect=False, **options)
        except HTTPError as fault:
            raise self._unreachable(fault) from fault

    def _chunks(self, answer: BaseHTTPResponse, cut: _Cut) -> Iterator[bytes]:
        try:
            yield from answer.stream(65536)
        except (HTTPError, OSError, ValueError) as fault:
            if not cut.made:  # after a cut, the error is only its effect
                raise self._unreachable(fault) from fault

    def _unreachable(self, fault: Exception) -> ClientError:
        cause = getattr(fault, "reason", None) or fault
        if isinstance(cause, SSLError):
            trust = Trust(
                certificate=self.environment.certificate,
                authority=self.environment.authority,
                remedy=self.environment.certificate_remedy,
            )
            unproven = trust.operator_unproven(cause, datetime.now(UTC))
            return UnprovenOperator(
                f"The server at {self.environment.url} did not prove that it is the operator: "
                f"{unproven.cause}. Nothing was sent to it.",
                remedy=unproven.remedy,
            )
        if isinstance(cause, ReadTimeoutError):
            why = f"The operator at {self.environment.url} did not answer in time."
        else:
            why = f"No operator answers at {self.environment.url}."
        return OperatorUnreachable(why, remedy=self.environment.remedy)

    def _unexpected(self, why: str) -> UnexpectedAnswer:
        return UnexpectedAnswer(
            f"The server at {self.environment.url} is not an operator of version {__version__}: {why}",
            remedy="Check the environment's URL, and that both sides run the same version: gyrus version",
        )

    def _refusal(self, answer: BaseHTTPResponse, body: bytes, path: str) -> ClientError:
        problem = parse_problem(body, answer.headers.get("content-type", ""))
        if problem is None:
            return self._unexpected(f"it answered {answer.status}")
        if problem.type == problems.REVOKED_TOKEN.type:
            return Unauthorized(problem, remedy="Set the new one with: gyrus env add")
        if answer.status == 401:
            message = (
                f"The operator at {self.environment.url} does not accept {self.environment.token_source}."
            )
            return Unauthorized(problem, message, remedy=self.environment.token_remedy)
        if problem.type == problems.UNKNOWN_API.type:
            return UnknownApi(problem, unquote(path.split("/")[2]))
        fallback = Invalid if answer.status < 500 else OperatorFailed
        return _BY_STATUS.get(answer.status, fallback)(problem)


def api_path(name: str) -> str:
    return f"/apis/{quote(name, safe='')}"


def parse_problem(body: bytes, media_type: str) -> Problem | None:
    """Parse a problem document. Returns None if this is none."""
    if not media_type.startswith(problems.MEDIA_TYPE):
        return None
    try:
        return msgspec.json.decode(body, type=Problem)
    except msgspec.DecodeError:
        return None


def _retries(again: bool) -> urllib3.Retry:
    """Return the retries: none if connecting fails, two for a broken connection if repeating is safe."""
    broken = 2 if again else 0
    return urllib3.Retry(
        total=None, connect=0, read=broken, redirect=0, status=0, other=0,
        allowed_methods=None, backoff_factor=0.1, raise_on_status=False,
    )  # fmt: skip


class _Cut:
    """A timer that ends the reading of an answer."""

    def __init__(self, answer: BaseHTTPResponse, seconds: float | None) -> None:
        self.made = False
        self._answer = answer
        self._timer = None if seconds is None else threading.Timer(max(seconds, 0), self._make)

    def __enter__(self) -> None:
        if self._timer:
            self._timer.daemon = True
            self._timer.start()

    def __exit__(self, *_: object) -> None:
        if self._timer:
            self._timer.cancel()

    def _make(self) -> None:
        self.made = True
        with suppress(OSError, RuntimeError, ValueError):  # the answer has just ended by itself
            self._answer.shutdown()

"""The bounds of requests' bodies: how large, and how slow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from fastapi import FastAPI, Request, Response
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gyrus.contract import problem
from gyrus.contract.problem import ProblemType
from gyrus.server.problems import answer, document

LARGEST_DEPLOYMENT = 2 * 1024 * 1024
"""Bytes of the specifications of one deployment: 1,000 of 2 KiB."""
LARGEST = 64 * 1024
"""Bytes of any other body, except a package, whose bound is the package store's."""
PATIENCE = 30.0
"""Seconds that any body may take."""
LEAST_PACE = 16 * 1024
"""Bytes per second that a body must have on average once PATIENCE is over."""

_LIMITS: Mapping[tuple[str, str], int] = {("POST", "/v1/deployments"): LARGEST_DEPLOYMENT}

BodyLimits = Callable[[str, str], int | None]
"""Function that returns the most bytes of a request's body by its method and path. None means that the route
has its own bound."""


class _Refused(HTTPException):
    """A body that is out of bounds. FastAPI passes on only errors of this kind while it reads a body."""

    def __init__(self, kind: ProblemType, detail: str) -> None:
        super().__init__(kind.status, detail)
        self.kind = kind

    def response(self) -> Response:
        """Return the answer. The rest of the body is not read, so the connection ends."""
        return answer(document(self.kind, self.detail), {"connection": "close"})


def install(app: FastAPI, limits: BodyLimits | None = None) -> None:
    """Bound the bodies of all requests. ``limits``: by default :func:`limit_of`."""
    app.add_middleware(BodyBounds, limits=limits or limit_of)
    app.add_exception_handler(_Refused, _refuse)


async def _refuse(_request: Request, error: Exception) -> Response:
    assert isinstance(error, _Refused)
    return error.response()


class BodyBounds:
    """Refuses bodies that are too large or too slow, before they take memory."""

    def __init__(self, app: ASGIApp, limits: BodyLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(receive, self._limits(scope["method"], scope["path"]))
        try:
            body.check_declared(Headers(scope=scope).get("content-length"))
        except _Refused as refused:
            await refused.response()(scope, receive, send)
        else:
            await self._app(scope, body.receive, send)


def limit_of(method: str, path: str) -> int | None:
    """Return the most bytes of this request's body. Returns None if the route has its own bound."""
    if method == "PUT" and path.startswith("/v1/packages/"):
        return None
    return _LIMITS.get((method, path), LARGEST)


class _Body:
    """One request's body while it arrives."""

    def __init__(self, receive: Receive, limit: int | None) -> None:
        self._receive = receive
        self._limit = limit
        self._began = asyncio.get_running_loop().time()
        self._bytes = 0
        self._complete = False

    def check_declared(self, length: str | None) -> None:
        if length and length.isdecimal():
            self._check(int(length))

    async def receive(self) -> Message:
        if self._complete:
            return await self._receive()  # waits until the client disconnects
        deadline = self._began + PATIENCE + self._bytes / LEAST_PACE
        try:
            async with asyncio.timeout_at(deadline):
                message = await self._receive()
        except TimeoutError:
            raise _Refused(
                problem.BODY_TIMEOUT,
                f"{self._bytes} bytes of the body arrived in {deadline - self._began:.0f} s. "
                f"Send at least {LEAST_PACE // 1024} KiB/s.",
            ) from None
        self._bytes += len(message.get("body", b""))
        self._check(self._bytes)
        self._complete = not message.get("more_body", False)
        return message

    def _check(self, size: int) -> None:
        if self._limit is not None and size > self._limit:
            raise _Refused(
                problem.BODY_TOO_LARGE,
                f"The body has more than {self._limit} bytes. Send less: deploy fewer APIs at a time.",
            )

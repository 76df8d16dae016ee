"""The check of the client: a request is answered if it is local, or has a token that allows it."""

from __future__ import annotations

import asyncio
import logging

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gyrus.contract import problem
from gyrus.contract.operator import TOKEN_HEADER
from gyrus.contract.problem import Problem
from gyrus.server.connection import USER
from gyrus.server.context import ServerContext
from gyrus.server.problems import answer, document
from gyrus.server.tokens import Caller, TokenBook
from gyrus.state.errors import StateError
from gyrus.state.records import Token

log = logging.getLogger(__name__)

CALLER = "caller"
"""Key in a request's ASGI state: its :class:`gyrus.server.tokens.Caller`."""
_READING = ("GET", "HEAD")
_PACKAGES = "/v1/packages/"
"""Packages may hold secrets: only a token that may deploy gets them."""


class Authorisation:
    """Checks every request before any other code reads it.

    Requests over the Unix socket need no token: the system has proved that their client is the operator's own
    user.
    """

    def __init__(self, app: ASGIApp, context: ServerContext, tokens: TokenBook) -> None:
        self._app = app
        self._context = context
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        caller = await self._caller(scope)
        refused = caller if isinstance(caller, Problem) else _forbidden(caller, scope)
        if refused:
            await _refuse(refused, scope, receive, send)
        elif isinstance(caller, Caller):
            scope.setdefault("state", {})[CALLER] = caller
            await self._serve(caller, scope, receive, send)

    async def _caller(self, scope: Scope) -> Caller | Problem:
        """Return the client, or why it is refused."""
        if user := scope.get("state", {}).get(USER):
            return Caller(f"user {user}")
        scheme, _, token = Headers(scope=scope).get(TOKEN_HEADER, "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            detail = f"Send the header `Authorization: Bearer TOKEN` with {self._context.token_source}."
            return document(problem.UNAUTHORIZED, detail)
        try:
            found = await self._tokens.find(token.strip())
        except StateError as error:
            log.error("a token could not be checked", exc_info=error)
            return document(problem.INTERNAL, str(error))
        if isinstance(found, Caller):
            return found
        if found is not None:
            return document(problem.REVOKED_TOKEN, revoked(found))
        detail = f"The operator does not know the token. Send {self._context.token_source}."
        return document(problem.UNAUTHORIZED, detail)

    async def _serve(self, caller: Caller, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request. It ends at once if its token is revoked."""
        started = False

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        limit = asyncio.timeout(None)
        try:
            async with limit:
                with self._tokens.used(caller, limit):
                    await self._app(scope, receive, noted)
        except TimeoutError:
            if not limit.expired() or caller.token is None:
                raise
            if started:  # the client learns the reason when it asks again
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            else:
                detail = f"The token {caller.token.name} was revoked while the request was served."
                await _refuse(document(problem.REVOKED_TOKEN, detail), scope, receive, send)


def revoked(token: Token) -> str:
    """Return the message for a request with a revoked token."""
    at = f"{token.revoked_at:%Y-%m-%d %H:%M:%S} UTC"
    return f"The token {token.name} was revoked on {at}. Ask for another one: gyrus token create NAME."


def _forbidden(caller: Caller, scope: Scope) -> Problem | None:
    """Return why this caller may not send this request. Returns None if it may."""
    method, path = scope["method"], scope["path"]
    has_code = method == "GET" and path.startswith(_PACKAGES)
    if not caller.read_only or (method in _READING and not has_code):
        return None
    log.warning("refused %s %s of the read-only %s", method, path, caller.name)
    effect = "returns the files of an API" if has_code else "changes something"
    detail = (
        f"The {caller.name} may only read, and {method} {path} {effect}. Use a token that was "
        "created without --read-only."
    )
    return document(problem.READ_ONLY_TOKEN, detail)


async def _refuse(refusal: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    headers = {"WWW-Authenticate": "Bearer"} if refusal.status == problem.UNAUTHORIZED.status else None
    await answer(refusal, headers)(scope, receive, send)

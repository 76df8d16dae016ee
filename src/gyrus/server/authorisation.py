"""The check of the client: no request is answered that is neither local nor has the token."""

from __future__ import annotations

import hmac

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from gyrus.contract import problem
from gyrus.contract.operator import TOKEN_HEADER
from gyrus.server.connection import LOCAL
from gyrus.server.context import ServerContext
from gyrus.server.problems import answer, document


class Authorisation:
    """Checks every request before any other code reads it.

    Requests over the Unix socket need no token: the system has proved that their client is the operator's own
    user.
    """

    def __init__(self, app: ASGIApp, context: ServerContext) -> None:
        self._app = app
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._allows(scope):
            await self._app(scope, receive, send)
            return
        detail = (
            "Send the header `Authorization: Bearer TOKEN` with the token that is in "
            f"{self._context.token_file}."
        )
        refusal = answer(document(problem.UNAUTHORIZED, detail), {"WWW-Authenticate": "Bearer"})
        await refusal(scope, receive, send)

    def _allows(self, scope: Scope) -> bool:
        return scope.get("state", {}).get(LOCAL) is True or self._has_token(Headers(scope=scope))

    def _has_token(self, headers: Headers) -> bool:
        if not self._context.token:
            return False
        scheme, _, token = headers.get(TOKEN_HEADER, "").partition(" ")
        # Takes the same time for every token, so that timing does not reveal how much of it is right.
        same = hmac.compare_digest(token.strip().encode(), self._context.token.encode())
        return scheme.lower() == "bearer" and same

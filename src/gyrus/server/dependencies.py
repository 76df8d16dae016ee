"""Dependencies that route functions declare by the type of an argument."""

from __future__ import annotations

import asyncio
from typing import Annotated, cast

from fastapi import Depends, Path, Request

from gyrus.server.api_list import ApiList
from gyrus.server.context import ServerContext
from gyrus.server.tokens import Caller, TokenBook
from gyrus.server.views import Views

# These are coroutines because FastAPI would run plain functions in threads.


async def _context(request: Request) -> ServerContext:
    return cast(ServerContext, request.app.state.context)


async def _views(request: Request) -> Views:
    return cast(Views, request.app.state.views)


async def _api_list(request: Request) -> ApiList:
    return cast(ApiList, request.app.state.api_list)


async def _closing(request: Request) -> asyncio.Event:
    return cast(asyncio.Event, request.app.state.closing)


async def _tokens(request: Request) -> TokenBook:
    return cast(TokenBook, request.app.state.tokens)


async def _caller(request: Request) -> Caller:
    return cast(Caller, request.state.caller)


ContextDep = Annotated[ServerContext, Depends(_context)]
ViewsDep = Annotated[Views, Depends(_views)]
ApiListDep = Annotated[ApiList, Depends(_api_list)]
ClosingDep = Annotated[asyncio.Event, Depends(_closing)]
"""The event that is set when the server is about to end, so that streams end too."""
TokensDep = Annotated[TokenBook, Depends(_tokens)]
CallerDep = Annotated[Caller, Depends(_caller)]
Digest = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="SHA-256 of the package, in hex")]

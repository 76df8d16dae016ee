"""The assembly of the operator's HTTP API."""

from __future__ import annotations

import asyncio
from typing import cast

from fastapi import FastAPI
from fastapi.routing import APIRoute

from gyrus import __version__
from gyrus.server import (
    apis,
    bodies,
    costs,
    deployments,
    logs,
    metrics,
    openapi,
    packages,
    platform,
    problems,
    token_routes,
    watch,
)
from gyrus.server.api_list import ApiList
from gyrus.server.authorisation import Authorisation
from gyrus.server.context import ServerContext
from gyrus.server.tokens import TokenBook
from gyrus.server.views import Views

__all__ = ["ServerContext", "build_app", "closing"]

_ROUTERS = (
    platform.router,
    packages.router,
    deployments.router,
    apis.router,
    logs.router,
    watch.router,
    metrics.router,
    token_routes.router,
    costs.router,
)


def build_app(context: ServerContext) -> FastAPI:
    """Build the ASGI application. Serve it with :func:`gyrus.server.serving.serve`."""
    app = FastAPI(
        title="gyrus operator",
        summary="Deploy machine-learning models as production APIs",
        version=__version__,
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=_operation,
    )
    app.state.context = context
    views = app.state.views = Views(context)
    app.state.api_list = ApiList(context, views)
    app.state.closing = asyncio.Event()
    for router in _ROUTERS:
        app.include_router(router, prefix="/v1")
    problems.install(app)
    openapi.install(app)
    bodies.install(app)
    tokens = app.state.tokens = TokenBook(context.store, context.clock, context.token)
    app.add_middleware(
        Authorisation, context=context, tokens=tokens
    )  # the last one added is the first one called
    return app


def closing(app: FastAPI) -> asyncio.Event:
    """Return the event that ends all streams when it is set."""
    return cast(asyncio.Event, app.state.closing)


def _operation(route: APIRoute) -> str:
    return route.name

"""The API of an operator that does not lead: it refuses all requests."""

from __future__ import annotations

import asyncio

from fastapi import FastAPI, Response

from gyrus.contract import problem
from gyrus.server import bodies
from gyrus.server.problems import answer, document

RETRY_AFTER = 5
"""Seconds."""
_METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"]


def build_standby_app() -> FastAPI:
    """Build the ASGI application. Serve it with :func:`gyrus.server.serving.serve`."""
    app = FastAPI(title="gyrus standby", openapi_url=None, docs_url=None, redoc_url=None)
    app.state.closing = asyncio.Event()
    app.add_api_route("/{path:path}", _refuse, methods=_METHODS, response_class=Response)
    bodies.install(app)
    return app


async def _refuse() -> Response:
    detail = "Another operator leads, and this one waits to replace it. Use the address of the Service."
    return answer(document(problem.STANDBY, detail), {"retry-after": str(RETRY_AFTER)})

"""The API's own description."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from gyrus.contract.problem import FaultsProblem, Problem

_SECURITY = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "The token in $GYRUS_HOME/token. Not needed over the socket $GYRUS_HOME/operator.sock",
    }
}


def install(app: FastAPI) -> None:
    """Add problems and the bearer token to the description that FastAPI derives from the routes."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _described(app)
        return app.openapi_schema

    app.openapi = openapi


def _described(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for kind in (Problem, FaultsProblem):
        schemas[kind.__name__] = TypeAdapter(kind).json_schema()
    components["securitySchemes"] = _SECURITY
    document["security"] = [{"token": []}]
    return document

"""The OpenAPI 3.1 document of the API, generated from the annotations and docstrings of ``predict``."""

from __future__ import annotations

import json
from typing import Any

from gyrus.contract import problem
from gyrus.contract.problem import ProblemType
from gyrus.runtime.handler.handler import LoadedHandler
from gyrus.runtime.handler.validation import check_for

REFERENCE = "#/components/schemas/{name}"
Json = dict[str, Any]

_PROBLEM: Json = {
    "type": "object",
    "description": "The problem (RFC 9457).",
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "format": "uri"},
    },
    "required": ["type", "title", "status", "detail"],
}


def describe(handler: LoadedHandler, api: str, revision: int) -> bytes:
    """Generate the document as UTF-8 JSON. Addresses are relative: the gateway decides the API's address."""
    components: Json = {"Problem": _PROBLEM}
    summary, _, rest = handler.description.partition("\n")
    operation: Json = {
        "operationId": "predict",
        "summary": summary,
        "responses": _responses(handler, components),
    }
    if rest.strip():
        operation["description"] = rest.strip()
    operations: Json = {}
    if handler.answers_get:
        operations["get"] = operation
    operations["post"] = {**operation, **_request_body(handler, components)}
    document = {
        "openapi": "3.1.0",
        "info": {"title": api, "version": str(revision)},
        "servers": [{"url": "."}],
        "paths": {"/": operations},
        "components": {"schemas": components},
    }
    return json.dumps(document, ensure_ascii=False).encode()


def _request_body(handler: LoadedHandler, components: Json) -> Json:
    if not handler.signature.wants("payload"):
        return {}
    if handler.payload is bytes:
        content: Json = {"application/octet-stream": {}}
    elif handler.payload is str:
        content = {"text/plain": {"schema": {"type": "string"}}}
    else:
        content = {"application/json": {"schema": _schema(handler.payload, components)}}
    return {"requestBody": {"required": "payload" not in handler.signature.optional, "content": content}}


def _responses(handler: LoadedHandler, components: Json) -> Json:
    answer = _schema(handler.answer, components)
    return {
        "200": {"description": "The prediction.", "content": {"application/json": {"schema": answer}}},
        "422": _failure(problem.INVALID_PAYLOAD),
        "500": _failure(problem.HANDLER_FAILED),
        "503": _failure(problem.QUEUE_FULL),
        "504": _failure(problem.TIMEOUT),
    }


def _failure(kind: ProblemType) -> Json:
    reference = {"$ref": REFERENCE.format(name="Problem")}
    return {"description": kind.title, "content": {problem.MEDIA_TYPE: {"schema": reference}}}


def _schema(hint: Any, components: Json) -> Json:
    """Return the schema of a type. Returns ``{}``, which allows any value, if the type is unknown."""
    check = check_for(hint)
    if check is None:
        return {}
    try:
        schema, named = check.schema(REFERENCE)
    except Exception:  # a type that can be checked, but not described
        return {}
    components.update(named)
    return schema

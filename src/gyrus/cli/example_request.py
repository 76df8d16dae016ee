"""An example request for an API, made from the API's OpenAPI document. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gyrus.cli.example_value import Indescribable, example_of

JSON = "application/json"
TEXT = "text/plain"
Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ExampleRequest:
    """A request to paste."""

    method: str = "POST"
    path: str = "/"
    """The path below the API's endpoint."""
    media_type: str = JSON
    """The type of the body. "" if the request has none."""
    payload: Any = None
    known: bool = False
    """False if the document does not describe the payload: the user has to write one."""


def request_of(document: Object) -> ExampleRequest | None:
    """Return an example of a request that the document describes; a complete one, if there is any.

    Returns None if it describes none, or is no OpenAPI document.
    """
    try:
        found = [_request(path, *operation, document) for path, operation in _operations(document)]
    except (AttributeError, TypeError, LookupError, ValueError, ArithmeticError, RecursionError):
        return None
    return next((request for request in found if request.known), found[0] if found else None)


def _operations(document: Object) -> list[tuple[str, tuple[str, Object]]]:
    """Return the operations that need neither parameters nor headers; requests with a body first."""
    return [
        (path, (method, item[method]))
        for method in ("post", "get")
        for path, item in document.get("paths", {}).items()
        if method in item and not _needs_parameters(path, item, item[method])
    ]


def _needs_parameters(path: str, item: Object, operation: Object) -> bool:
    """Return True if a request needs more than a body. A parameter that is a reference counts as required."""
    parameters = [*item.get("parameters", ()), *operation.get("parameters", ())]
    return "{" in path or any(each.get("required") or "$ref" in each for each in parameters)


def _request(path: str, method: str, operation: Object, document: Object) -> ExampleRequest:
    body = operation.get("requestBody")
    verb = method.upper()
    if body is None or method == "get":
        return ExampleRequest(verb, path, media_type="", known=True)
    content = body.get("content", {})
    media_type = next((kind for kind in (JSON, TEXT, *content) if kind in content), JSON)
    if media_type in (JSON, TEXT):
        payload, known = _described(content.get(media_type, {}), document)
        if known:
            return ExampleRequest(verb, path, media_type, payload, known)
    if body.get("required") is False:  # written only by servers for which no body is a request
        return ExampleRequest(verb, path, media_type="", known=True)
    return ExampleRequest(verb, path, media_type)


def _described(content: Object, document: Object) -> tuple[Any, bool]:
    """Return an example of a body, and True; None and False if the document does not describe it."""
    if "example" in content:
        return content["example"], True
    for named in content.get("examples", {}).values():
        if "value" in named:
            return named["value"], True
    try:
        return example_of(content.get("schema", {}), document), True
    except Indescribable:
        return None, False

"""The problem documents that this API returns for errors."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from gyrus.contract import problem
from gyrus.contract.problem import MEDIA_TYPE, FaultsProblem, Problem, ProblemType
from gyrus.log_archive.archive import ArchiveError, ArchiveFull, UnknownReplica
from gyrus.objects.errors import NoSuchObject, ObjectChanged, ObjectError
from gyrus.packaging import errors as packaging
from gyrus.spec.faults import SpecError
from gyrus.state.errors import (
    Conflict,
    StaleVersion,
    StorageFull,
    StoreUnusable,
    UnknownApi,
    UnknownPackage,
    UnknownRevision,
    UnknownToken,
)

log = logging.getLogger(__name__)


class UnreadableRequest(Exception):
    """A request whose body cannot be read. The message names the place and the fault."""


PROBLEM_OF: Mapping[type[Exception], ProblemType] = {
    UnknownApi: problem.UNKNOWN_API,
    UnknownRevision: problem.UNKNOWN_REVISION,
    UnknownPackage: problem.UNKNOWN_PACKAGE,
    UnknownToken: problem.UNKNOWN_TOKEN,
    Conflict: problem.CONFLICT,
    StaleVersion: problem.CONFLICT,
    StorageFull: problem.STORAGE_FULL,
    StoreUnusable: problem.INTERNAL,
    packaging.DigestMismatch: problem.DIGEST_MISMATCH,
    packaging.PackageTooLarge: problem.PACKAGE_TOO_LARGE,
    packaging.BrokenArchive: problem.BAD_REQUEST,
    packaging.UnknownPackage: problem.NOT_FOUND,
    UnreadableRequest: problem.BAD_REQUEST,
    packaging.StorageFull: problem.STORAGE_FULL,
    ArchiveFull: problem.STORAGE_FULL,
    ArchiveError: problem.LOG_ARCHIVE,
    NoSuchObject: problem.NOT_FOUND,
    ObjectChanged: problem.NOT_FOUND,
    ObjectError: problem.OBJECT_STORE,
    UnknownReplica: problem.NOT_FOUND,
}
"""Errors whose messages are for the user."""

MOST_FAULTS = 100
"""Faults of specifications that one answer lists."""

_OF_ALL = (problem.UNAUTHORIZED, problem.REVOKED_TOKEN, problem.READ_ONLY_TOKEN)
_OF_STATUS = {404: problem.NOT_FOUND, 405: problem.METHOD_NOT_ALLOWED}


def answer(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """Return the document as a response."""
    content = {key: value for key, value in asdict(problem).items() if value is not None}
    return Response(orjson.dumps(content), problem.status, headers, MEDIA_TYPE)


def document(kind: ProblemType, detail: str) -> Problem:
    return Problem(type=kind.type, title=kind.title, status=kind.status, detail=detail)


def install(app: FastAPI) -> None:
    """Answer every exception with its problem."""
    for kind in PROBLEM_OF:
        app.add_exception_handler(kind, _foreseen)
    app.add_exception_handler(SpecError, _invalid_spec)
    app.add_exception_handler(RequestValidationError, _unreadable)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(ClientDisconnect, _unheard)
    app.add_exception_handler(Exception, _unforeseen)


def responses(*kinds: ProblemType) -> dict[int | str, dict[str, Any]]:
    """Describe, for OpenAPI, the problems that a route may answer with, and those that every route may."""
    described: dict[int | str, dict[str, Any]] = {}
    for kind in (*_OF_ALL, *kinds):
        earlier = described.get(kind.status, {}).get("description")
        named = f"{kind.title} (`{kind.type}`)"
        described[kind.status] = _response(f"{earlier}; {named}" if earlier else named)
    return described | {"default": _response("Any other problem")}


def _response(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {MEDIA_TYPE: {"schema": schema}}}


async def _foreseen(request: Request, error: Exception) -> Response:
    kind = next(PROBLEM_OF[kind] for kind in type(error).__mro__ if kind in PROBLEM_OF)
    if kind is problem.INTERNAL:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return answer(document(kind, str(error)))


async def _invalid_spec(_request: Request, error: Exception) -> Response:
    assert isinstance(error, SpecError)
    kind = problem.INVALID_SPEC
    faults = tuple(map(str, error.faults[:MOST_FAULTS]))
    if more := len(error.faults) - len(faults):
        faults += (f"and {more} more",)
    return answer(
        FaultsProblem(
            type=kind.type, title=kind.title, status=kind.status, detail="\n".join(faults), faults=faults
        )
    )


async def _unreadable(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = (f"{_place(fault['loc'])}: {fault['msg']}" for fault in error.errors())
    return answer(document(problem.BAD_REQUEST, "\n".join(faults)))


def _place(location: tuple[str | int, ...]) -> str:
    """Format a place such as ``body.apis`` or ``query.tail``."""
    return ".".join(map(str, location))


async def _refused(request: Request, error: Exception) -> Response:
    """Answer Starlette's own errors: an unknown route, or a method that it does not have."""
    assert isinstance(error, HTTPException)
    kind = _OF_STATUS.get(error.status_code, problem.BAD_REQUEST)
    detail = f"{request.method} {request.url.path}: {error.detail}; GET /v1/openapi.json lists all routes."
    return answer(document(kind, detail), error.headers)


async def _unheard(_request: Request, _error: Exception) -> Response:
    """Answer a client that has disconnected in the middle of its request. It does not receive the answer."""
    return Response(status_code=400)


async def _unforeseen(request: Request, error: Exception) -> Response:
    """Answer an unexpected error. Uvicorn logs its traceback."""
    detail = f"{request.method} {request.url.path} failed ({type(error).__name__}); see the operator's log."
    return answer(document(problem.INTERNAL, detail))

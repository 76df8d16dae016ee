"""Routes that upload the files of APIs, and return them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse

from gyrus.contract import problem
from gyrus.server.dependencies import ContextDep, Digest
from gyrus.server.problems import responses
from gyrus.state.records import Package

router = APIRouter(prefix="/packages")
_ARCHIVE: dict[str, Any] = {"content": {"application/x-tar": {}}}


@router.head("/{digest}", responses=responses(problem.NOT_FOUND), response_class=Response)
async def has_package(digest: Digest, context: ContextDep) -> Response:
    """Answer 200 if the package has been uploaded, else 404."""
    known = context.packages.has(digest) and await context.store.package(digest) is not None
    return Response(status_code=200 if known else 404)


@router.get(
    "/{digest}",
    response_class=FileResponse,
    responses=responses(problem.NOT_FOUND) | {200: _ARCHIVE},
)
async def download_package(digest: Digest, context: ContextDep) -> FileResponse:
    """Return the tar archive of this package. A token that may only read is refused."""
    return FileResponse(await context.packages.fetched(digest), media_type="application/x-tar")


@router.put(
    "/{digest}",
    status_code=201,
    response_class=Response,
    responses=responses(
        problem.BAD_REQUEST, problem.DIGEST_MISMATCH, problem.PACKAGE_TOO_LARGE, problem.STORAGE_FULL
    ),
    openapi_extra={"requestBody": {"required": True, "content": {"application/x-tar": {}}}},
)
async def upload_package(digest: Digest, request: Request, context: ContextDep) -> Response:
    """Store this tar archive. Safe to repeat."""
    size = await context.packages.add(digest, request.stream())
    package = Package(digest=digest, size=size, uploaded_at=context.clock.now())
    await context.store.record_package(package)
    return Response(status_code=201)

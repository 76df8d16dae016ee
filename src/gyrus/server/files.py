"""The files server of a cluster: packages, Python environments and logs, for pods of replicas and builders.

It is an application of its own on a port of its own, so that no pod can reach the operator's API with its
secret. Any pod of the installation may read files; only the builder of an environment may write it. A replica
may append to its own log, and learns here when no gateway routes to it.
"""

from __future__ import annotations

import asyncio
import hmac
import re
import time
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Annotated, Protocol, cast

import msgspec
from fastapi import APIRouter, Depends, FastAPI, Header, Path, Query, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from gyrus import __version__
from gyrus.aio.tasks import first_of
from gyrus.contract import problem
from gyrus.contract.cluster import PRE_STOP, log_secret, replica_proof, replica_secret
from gyrus.contract.models import ModelFolder
from gyrus.contract.operator import LogLine
from gyrus.contract.pods import (
    DIGEST_HEADER,
    MODELS_PATH,
    MODELS_PROOF,
    REDIRECT_HEADER,
    UNROUTED_PATH,
    ModelUrls,
    builds,
    models_purpose,
)
from gyrus.contract.replica import BATCH_HEADER, LARGEST_LOG_BATCH, LOGS_PATH
from gyrus.objects.location import parse_location
from gyrus.objects.opening import StoreOpener
from gyrus.objects.store import ObjectInfo
from gyrus.packaging.environment_store import EnvironmentStore
from gyrus.server import bodies, problems
from gyrus.server.dependencies import ClosingDep, Digest
from gyrus.server.problems import UnreadableRequest, answer, document

LONGEST_MESSAGE = 1000
"""Characters of a progress message that are kept."""
URL_LIFETIME = 3600.0
"""Seconds for which a pod can begin to fetch a file of its models by its URL."""
CLOCKS = 60.0
"""Seconds by which the clock of a pod's node may be ahead. A line that is later counts as one of now."""
LONGEST_WAIT = 5.0
"""Seconds after which a pod that waits for the gateways gets an answer, and asks again."""
LARGEST_MODELS = 256 * 1024
"""Bytes of the names, tags and versions of models."""
_LOCK = re.compile(r"/packages/[^/]+/locks/[^/]+")

_folder = msgspec.json.Decoder(ModelFolder)
_line = msgspec.json.Decoder(LogLine)

router = APIRouter()


class Packages(Protocol):
    """The store of packages."""

    def has(self, digest: str) -> bool: ...

    async def fetched(self, digest: str) -> FilePath:
        """Return the file of a package's archive. Raises UnknownPackage and StorageFull."""
        ...

    async def signed_url(self, digest: str) -> str | None:
        """Return a URL with which a pod can fetch a package's archive. None: this store has to pass it on."""
        ...

    async def lock(self, digest: str, name: str) -> bytes:
        """Return a lock of a package's dependencies. Raises UnknownPackage."""
        ...

    async def add_lock(
        self, digest: str, name: str, content_digest: str, chunks: AsyncIterable[bytes]
    ) -> None:
        """Keep a lock beside its package. Raises :mod:`gyrus.packaging.errors`."""
        ...


class LineArchive(Protocol):
    """The log archive."""

    async def append(self, replica: str, number: int, lines: Sequence[LogLine]) -> None:
        """Store the next lines of a replica; do nothing if its last lines had this number.

        Raises UnknownReplica, ArchiveError.
        """
        ...


class Builds(Protocol):
    """The builds of environments in progress."""

    def is_build_of(self, environment: str, package: str) -> bool:
        """Return True if the environment is being built from this package."""
        ...

    def progress(self, environment: str, message: str) -> None:
        """Take the present step of a build, for display."""
        ...

    def stored(self, environment: str) -> None:
        """Learn that the environment is complete in the store."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesContext:
    """The dependencies of the files server."""

    packages: Packages
    environments: EnvironmentStore
    builds: Builds
    logs: LineArchive
    unrouted: Callable[[str], Awaitable[None]]
    """Returns as soon as no gateway routes to the replica with this name."""
    open_store: StoreOpener
    """Opens the stores of models."""
    secret: str
    """The installation's secret for replicas, from which that of each pod is derived."""


def build_files_app(context: FilesContext) -> FastAPI:
    """Build the ASGI application. Serve it with :func:`gyrus.server.serving.serve`."""
    app = FastAPI(title="gyrus files", version=__version__, openapi_url=None, docs_url=None, redoc_url=None)
    app.state.context = context
    app.state.closing = asyncio.Event()
    app.include_router(router)
    problems.install(app)
    app.add_exception_handler(MayNotWrite, _forbidden)
    bodies.install(app, _limit_of)
    app.add_middleware(PodAuthorisation, secret=context.secret)  # the last one added is called first
    return app


class PodAuthorisation:
    """Answers only requests that prove which pod they come from. It notes the pod's name for the routes.

    The path of logs has a secret of its own, which the container with the user's code knows.
    """

    def __init__(self, app: ASGIApp, secret: str) -> None:
        self._app = app
        self._secret = secret

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif pod := pod_of(Headers(scope=scope).get("authorization", ""), self._secret, scope["path"]):
            scope.setdefault("state", {})["pod"] = pod
            await self._app(scope, receive, send)
        else:
            detail = "Send the header `Authorization: Bearer POD.SECRET` with the secret of the pod."
            refusal = answer(document(problem.UNAUTHORIZED, detail), {"WWW-Authenticate": "Bearer"})
            await refusal(scope, receive, send)


def _right(path: str, secret: str, pod: str) -> str:
    """Return the secret that a path demands."""
    if path == LOGS_PATH:
        return log_secret(secret, pod)
    if path == UNROUTED_PATH:
        return replica_proof(secret, PRE_STOP, pod)
    return replica_secret(secret, pod)


def pod_of(authorization: str, secret: str, path: str) -> str | None:
    """Return the pod that this header proves on this path. Returns None if it proves nothing. Pure.

    The container of the user's code has no secret that opens files: it has one for its log, and one for its
    question about routes.
    """
    scheme, _, token = authorization.partition(" ")
    pod, _, given = token.strip().rpartition(".")
    right = _right(path, secret, pod)
    same = hmac.compare_digest(given.encode(), right.encode())
    return pod if scheme.lower() == "bearer" and pod and same else None


class MayNotWrite(Exception):
    """A write by a pod that is not the builder of the environment."""


async def _context(request: Request) -> FilesContext:
    return cast(FilesContext, request.app.state.context)


async def _pod(request: Request) -> str:
    return cast(str, request.state.pod)


FilesContextDep = Annotated[FilesContext, Depends(_context)]
PodDep = Annotated[str, Depends(_pod)]
EnvironmentKey = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
LockName = Annotated[str, Path(pattern="^[0-9a-f]{16}$")]
BatchNumber = Annotated[int, Header(alias=BATCH_HEADER, ge=0, lt=2**63)]
ModelsProof = Annotated[str, Header(alias=MODELS_PROOF)]
RedirectsDep = Annotated[bool, Header(alias=REDIRECT_HEADER)]
FileDigest = Annotated[str, Header(alias=DIGEST_HEADER, pattern="^[0-9a-f]{64}$")]


@router.get("/packages/{digest}", response_class=FileResponse)
async def package(digest: Digest, context: FilesContextDep, redirects: RedirectsDep = False) -> Response:
    """Return a package's archive, or redirect to it in an object store."""
    if redirects and (url := await context.packages.signed_url(digest)):
        return _redirect(url, digest)
    return FileResponse(await context.packages.fetched(digest), headers={DIGEST_HEADER: digest})


@router.get("/packages/{digest}/locks/{name}", response_class=Response)
async def lock(digest: Digest, name: LockName, context: FilesContextDep) -> Response:
    """Return a lock of a package's dependencies."""
    return Response(await context.packages.lock(digest, name), media_type="application/json")


@router.put("/packages/{digest}/locks/{name}", status_code=201, response_class=Response)
async def store_lock(
    digest: Digest,
    name: LockName,
    environment: Annotated[str, Query(pattern="^[0-9a-f]{32}$")],
    content_digest: FileDigest,
    request: Request,
    context: FilesContextDep,
    pod: PodDep,
) -> Response:
    """Keep a lock beside its package. ``environment``: the environment that was built from it."""
    _check_builder(pod, environment)
    if not (context.packages.has(digest) and context.builds.is_build_of(environment, digest)):
        raise MayNotWrite(f"The environment {environment} is not built from the package {digest}.")
    await context.packages.add_lock(digest, name, content_digest, request.stream())
    await context.environments.keep_lock(environment, name, await context.packages.lock(digest, name))
    return Response(status_code=201)


@router.head("/environments/{key}", response_class=Response)
async def has_environment(key: EnvironmentKey, context: FilesContextDep) -> Response:
    """Answer 200 with the digest of its archive if the environment is stored, else 404."""
    digest = context.environments.digest(key)
    return Response(status_code=200, headers={DIGEST_HEADER: digest}) if digest else Response(status_code=404)


@router.get("/environments/{key}", response_class=FileResponse)
async def environment(
    key: EnvironmentKey, context: FilesContextDep, redirects: RedirectsDep = False
) -> Response:
    """Return an environment's archive, or redirect to it in an object store."""
    if redirects and (signed := await context.environments.signed_url(key)):
        return _redirect(*signed)
    found = await context.environments.environment(key)
    return FileResponse(found.path, headers={DIGEST_HEADER: found.digest}, media_type="application/zstd")


@router.put("/environments/{key}", status_code=201, response_class=Response)
async def store_environment(
    key: EnvironmentKey,
    content_digest: FileDigest,
    request: Request,
    context: FilesContextDep,
    pod: PodDep,
    replace: bool = False,
) -> Response:
    """Store this archive. ``replace``: also if there is one already. By default, the first one stays."""
    _check_builder(pod, key)
    await context.environments.add(key, content_digest, request.stream(), replace=replace)
    context.builds.stored(key)
    return Response(status_code=201)


@router.post("/environments/{key}/progress", status_code=204, response_class=Response)
async def report_progress(
    key: EnvironmentKey, request: Request, context: FilesContextDep, pod: PodDep
) -> Response:
    """Take the present step of a build: one line of plain text."""
    _check_builder(pod, key)
    message = (await request.body()).decode(errors="replace")
    context.builds.progress(key, " ".join(message.split())[:LONGEST_MESSAGE])
    return Response(status_code=204)


@router.post(f"{MODELS_PATH}/urls", response_class=Response)
async def model_urls(request: Request, context: FilesContextDep, pod: PodDep, proof: ModelsProof) -> Response:
    """Return signed URLs of the models that this pod may fetch."""
    models = _models(await request.body(), context, pod, proof)
    store = context.open_store(parse_location(models.url))
    urls = [await store.signed_url(file.name, URL_LIFETIME) or "" for file in models.files]
    return Response(msgspec.json.encode(ModelUrls(urls=tuple(urls))), media_type="application/json")


@router.post(f"{MODELS_PATH}/{{number}}", response_class=StreamingResponse)
async def model_file(
    number: Annotated[int, Path(ge=0)],
    request: Request,
    context: FilesContextDep,
    pod: PodDep,
    proof: ModelsProof,
) -> StreamingResponse:
    """Return one file of the models that this pod may fetch: also a version that has been replaced."""
    models = _models(await request.body(), context, pod, proof)
    if number >= len(models.files):
        raise MayNotWrite(f"The models of the pod {pod} have {len(models.files)} files.")
    file = models.files[number]
    info = ObjectInfo(name=file.name, size=file.size, tag=file.tag, version=file.version, modified=0.0)
    chunks = context.open_store(parse_location(models.url)).read(info)
    first = await anext(chunks, b"")  # before the answer begins: an error has a status of its own

    async def content() -> AsyncGenerator[bytes]:
        async with aclosing(chunks):
            yield first
            async for chunk in chunks:
                yield chunk

    return StreamingResponse(content(), media_type="application/octet-stream")


def _models(body: bytes, context: FilesContext, pod: str, proof: str) -> ModelFolder:
    """Return the models in a body. Raises MayNotWrite if the operator has not given them to the pod."""
    try:
        models = _folder.decode(body)
    except msgspec.MsgspecError as error:
        raise UnreadableRequest(f"body: {error}") from error
    right = replica_proof(context.secret, models_purpose(models.key), pod)
    if not hmac.compare_digest(proof.encode(), right.encode()):
        raise MayNotWrite(f"The pod {pod} may not fetch these models of {models.url}.")
    return models


@router.post(LOGS_PATH, status_code=204, response_class=Response)
async def append_lines(
    number: BatchNumber, request: Request, context: FilesContextDep, pod: PodDep
) -> Response:
    """Archive lines of the replica's log. Lines that cannot be read are left out."""
    lines = tuple(read_lines(await request.body(), pod, time.time() + CLOCKS))
    if lines:
        await context.logs.append(pod, number, lines)
    return Response(status_code=204)


def read_lines(body: bytes, replica: str, latest: float) -> Iterator[LogLine]:
    """Yield the lines of a body, each as JSON. ``latest``: no line is later, in seconds since the epoch."""
    for text in body.split(b"\n"):
        try:
            line = _line.decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
        yield replace(line, replica=replica, time=min(line.time, latest))


@router.get(UNROUTED_PATH, response_class=Response)
async def unrouted(context: FilesContextDep, pod: PodDep, closing: ClosingDep) -> Response:
    """Answer 204 as soon as no gateway routes to the pod that asks. 202: some gateway may; ask again."""

    async def known() -> int:
        await context.unrouted(pod)
        return 204

    async def unknown(code: int, end: Awaitable[object]) -> int:
        await end
        return code

    waits = unknown(202, asyncio.sleep(LONGEST_WAIT)), unknown(503, closing.wait())
    return Response(status_code=await first_of(known(), *waits))


def _redirect(url: str, digest: str) -> Response:
    return Response(status_code=307, headers={"location": url, DIGEST_HEADER: digest})


def _check_builder(pod: str, environment: str) -> None:
    if not builds(pod, environment):
        raise MayNotWrite(f"The pod {pod} does not build the environment {environment}.")


async def _forbidden(_request: Request, error: Exception) -> Response:
    return answer(document(problem.FORBIDDEN, str(error)))


def _limit_of(method: str, path: str) -> int | None:
    """Return the most bytes of a body. An archive's and a lock's bound is that of its store."""
    if path == LOGS_PATH:
        return LARGEST_LOG_BATCH
    if path.startswith(MODELS_PATH):
        return LARGEST_MODELS
    is_upload = method == "PUT" and (path.startswith("/environments/") or _LOCK.fullmatch(path))
    return None if is_upload else bodies.LARGEST

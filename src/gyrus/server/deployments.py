"""The route that deploys APIs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import msgspec
from fastapi import APIRouter, Request
from pydantic import TypeAdapter

from gyrus.contract import problem
from gyrus.contract.operator import Deployed, DeployRequest
from gyrus.objects.errors import ObjectError, ObjectsUnreachable
from gyrus.server import audit
from gyrus.server.context import ModelResolver, ServerContext
from gyrus.server.dependencies import CallerDep, ContextDep
from gyrus.server.problems import UnreadableRequest, responses
from gyrus.spec.api import ApiSpec, ModelSnapshot
from gyrus.spec.faults import SpecError, SpecFault
from gyrus.spec.load import check
from gyrus.state import status
from gyrus.state.errors import UnknownPackage
from gyrus.state.records import Author

router = APIRouter()

_SCHEMA = TypeAdapter(DeployRequest).json_schema()

SOURCE = "apis"
"""The field of the request that faults refer to."""


MOST = 1000
"""APIs of one deployment. Their transaction, and the check before it, hold up every other change."""


@router.post(
    "/deployments",
    responses=responses(
        problem.BAD_REQUEST,
        problem.INVALID_SPEC,
        problem.UNKNOWN_PACKAGE,
        problem.CONFLICT,
        problem.STORAGE_FULL,
    ),
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": _SCHEMA}}}},
)
async def deploy(request: Request, context: ContextDep, caller: CallerDep) -> list[Deployed]:
    """Deploy these APIs, all or none. Safe to repeat: unchanged APIs begin no rollout."""
    content = await request.body()
    async with context.checking:
        asked, specs = await asyncio.to_thread(checked, content)
    if not context.containers:
        _refuse_images(specs)
    if asked.package is not None and not context.packages.has(asked.package):
        raise UnknownPackage(asked.package)
    specs = await _with_models(specs, context)
    by = Author(caller.name)
    changes = await context.store.deploy(specs, asked.package, context.clock.now(), by)
    audit.begun(context, caller, *(change.api for change in changes if change.changed))
    return [
        status.deployed(change.api, spec, context.gateway, changed=change.changed)
        for spec, change in zip(specs, changes, strict=True)
    ]


def checked(content: bytes) -> tuple[DeployRequest, tuple[ApiSpec, ...]]:
    """Return the request in this body, and its specifications. Raises UnreadableRequest and SpecError.

    It computes for seconds in the worst case: run it in a thread.
    """
    request = _decoded(content)
    if not request.apis:
        raise SpecError([_fault(SOURCE, "the list is empty", "name at least one API to deploy")])
    if len(request.apis) > MOST:
        message = f"the list has {len(request.apis)} APIs, and one deployment at most {MOST}"
        raise SpecError([_fault(SOURCE, message, "deploy them in several parts")])
    return request, _specs(request)


def _decoded(content: bytes) -> DeployRequest:
    try:
        return msgspec.json.decode(content, type=DeployRequest)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as fault:
        raise UnreadableRequest(f"body: {fault}") from fault


def _specs(request: DeployRequest) -> tuple[ApiSpec, ...]:
    try:
        specs = check(request.apis, SOURCE)
    except RecursionError as fault:
        raise UnreadableRequest("body: apis: nested too deeply") from fault
    without_package = [spec.name for spec in specs if spec.needs_package] if request.package is None else []
    if without_package:
        remedy = "upload their package, and send its digest"
        raise SpecError(
            _fault(f"{SOURCE}: {name}", "its files are missing", remedy) for name in without_package
        )
    return specs


async def _with_models(specs: Sequence[ApiSpec], context: ServerContext) -> tuple[ApiSpec, ...]:
    """Return the specifications with the objects that their models are now. Raises SpecError, ObjectError."""
    return tuple([await _resolved(spec, context.models) for spec in specs])


async def _resolved(spec: ApiSpec, resolve: ModelResolver) -> ApiSpec:
    if spec.models is None:
        return spec.with_models(None)
    try:
        return spec.with_models(ModelSnapshot.of(await resolve(spec.models)))
    except ObjectsUnreachable:
        raise
    except (ObjectError, ValueError) as error:
        message = f"{spec.models} {error}" if isinstance(error, ValueError) else str(error)
        where = f"{SOURCE}: {spec.name}"
        fault = SpecFault(file=where, mark=None, field="handler.models", message=message.rstrip("."))
        raise SpecError([fault]) from error


def _refuse_images(specs: Iterable[ApiSpec]) -> None:
    """Refuse specifications that need containers. Raises SpecError if there are any."""
    faults = [_needs_containers(spec) for spec in specs if spec.needs_containers]
    if faults:
        raise SpecError(faults)


def _needs_containers(spec: ApiSpec) -> SpecFault:
    field = spec.needs_containers
    message = "works on Kubernetes only, and this platform runs on one machine"
    remedy = "deploy it with -e to an environment of gyrus cluster install, or "
    remedy += "write a process or a handler" if field == "pod" else f"remove {field}"
    return SpecFault(file=f"{SOURCE}: {spec.name}", mark=None, field=field, message=message, remedy=remedy)


def _fault(where: str, message: str, remedy: str) -> SpecFault:
    return SpecFault(file=where, mark=None, field="", message=message, remedy=remedy)

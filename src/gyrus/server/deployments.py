"""The route that deploys APIs."""

from __future__ import annotations

from fastapi import APIRouter

from gyrus.contract import problem
from gyrus.contract.operator import Deployed, DeployRequest
from gyrus.server import audit
from gyrus.server.dependencies import ContextDep
from gyrus.server.problems import responses
from gyrus.spec.api import ApiSpec
from gyrus.spec.faults import SpecError, SpecFault
from gyrus.spec.load import check
from gyrus.state import status
from gyrus.state.errors import UnknownPackage

router = APIRouter()

SOURCE = "apis"
"""The field of the request that faults refer to."""


@router.post(
    "/deployments",
    responses=responses(
        problem.BAD_REQUEST,
        problem.INVALID_SPEC,
        problem.UNKNOWN_PACKAGE,
        problem.CONFLICT,
        problem.STORAGE_FULL,
    ),
)
async def deploy(request: DeployRequest, context: ContextDep) -> list[Deployed]:
    """Deploy these APIs, all or none. Safe to repeat: unchanged APIs begin no rollout."""
    specs = checked(request)
    if request.package is not None and not context.packages.has(request.package):
        raise UnknownPackage(request.package)
    changes = await context.store.deploy(specs, request.package, context.clock.now())
    audit.begun(context, *(change.api for change in changes if change.changed))
    return [
        status.deployed(change.api, spec, context.gateway, changed=change.changed)
        for spec, change in zip(specs, changes, strict=True)
    ]


def checked(request: DeployRequest) -> tuple[ApiSpec, ...]:
    """Return the specifications of the request. Raises SpecError."""
    if not request.apis:
        raise SpecError([_fault(SOURCE, "the list is empty", "name at least one API to deploy")])
    specs = check(request.apis, SOURCE)
    without_package = [spec.name for spec in specs if spec.needs_package] if request.package is None else []
    if without_package:
        remedy = "upload their package, and send its digest"
        raise SpecError(
            _fault(f"{SOURCE}: {name}", "its files are missing", remedy) for name in without_package
        )
    return specs


def _fault(where: str, message: str, remedy: str) -> SpecFault:
    return SpecFault(file=where, mark=None, field="", message=message, remedy=remedy)

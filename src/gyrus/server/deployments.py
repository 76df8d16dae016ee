"""Deploying."""

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
"""The field of the request that faults are found in."""


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
    """Want these APIs, all or none. Safe to repeat: what is wanted already begins nothing."""
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
    """The specifications. Raises SpecError."""
    if not request.apis:
        raise SpecError([_fault(SOURCE, "there is none", "name at least one API to deploy")])
    specs = check(request.apis, SOURCE)
    homeless = [spec.name for spec in specs if spec.needs_package] if request.package is None else []
    if homeless:
        remedy = "upload their package, and name its digest"
        raise SpecError(_fault(f"{SOURCE}: {name}", "its files are missing", remedy) for name in homeless)
    return specs


def _fault(where: str, message: str, remedy: str) -> SpecFault:
    return SpecFault(file=where, mark=None, field="", message=message, remedy=remedy)

"""Deploying."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import ValidationError

from gyrus.contract import problem
from gyrus.contract.operator import Deployed, DeployRequest
from gyrus.server import acts
from gyrus.server.given import GivenContext
from gyrus.server.problems import InvalidSpecs, responses
from gyrus.spec.api import ApiSpec
from gyrus.state import view
from gyrus.state.errors import UnknownPackage

router = APIRouter()


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
async def deploy(request: DeployRequest, context: GivenContext) -> list[Deployed]:
    """Want these APIs, all or none. Safe to repeat: what is wanted already begins nothing."""
    specs = checked(request)
    if request.package is not None and not context.shelf.has(request.package):
        raise UnknownPackage(request.package)
    changes = await context.store.deploy(specs, request.package, context.clock.now())
    await acts.begun(context, *(change.api for change in changes if change.changed))
    return [
        view.deployed(change.api, spec, context.gateway, changed=change.changed)
        for spec, change in zip(specs, changes, strict=True)
    ]


def checked(request: DeployRequest) -> list[ApiSpec]:
    """The specifications. Raises InvalidSpecs with every fault that there is."""
    specs: list[ApiSpec] = []
    faults: list[str] = [] if request.apis else ["apis: there is none; name at least one API to deploy"]
    for index, api in enumerate(request.apis):
        try:
            specs.append(ApiSpec.model_validate(api))
        except ValidationError as error:
            faults += (f"{_label(index, api)}: {fault}" for fault in _faults(error))
    faults += _contradictions(specs, request.package)
    if faults:
        raise InvalidSpecs(*faults)
    return specs


def _contradictions(specs: list[ApiSpec], package: str | None) -> list[str]:
    """What is wrong with them together."""
    names = [spec.name for spec in specs]
    faults = [f"{name}: two APIs of one deployment have this name" for name in _repeated(names)]
    if package is None:
        faults += (
            f"{spec.name}: a handler needs its files: upload a package" for spec in specs if spec.handler
        )
    return faults


def _repeated(names: list[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})


def _label(index: int, api: dict[str, Any]) -> str:
    name = api.get("name")
    return name if isinstance(name, str) and name else f"apis[{index}]"


def _faults(error: ValidationError) -> list[str]:
    return [
        f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" if fault["loc"] else fault["msg"]
        for fault in error.errors(include_url=False, include_context=False)
    ]

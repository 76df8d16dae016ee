"""Routes of the operator itself."""

from __future__ import annotations

import logging
from dataclasses import replace

from fastapi import APIRouter, Response

from gyrus.contract.operator import OperatorInfo
from gyrus.server.dependencies import CallerDep, ContextDep
from gyrus.server.problems import responses

log = logging.getLogger(__name__)

router = APIRouter()


@router.get("/info", responses=responses())
async def get_info(context: ContextDep) -> OperatorInfo:
    """Return the operator's version and addresses, and its machine's capacity for replicas."""
    return replace(context.info(), capacity=context.capacity())


@router.post("/stop", status_code=202, response_class=Response, responses=responses())
async def stop(context: ContextDep, caller: CallerDep) -> Response:
    """Drain all replicas, stop the gateway, and end the operator. Its next start restores deployed APIs."""
    log.info("a stop of the platform was requested by %s", caller.name)
    await context.stop()
    return Response(status_code=202)

"""The operator itself."""

from __future__ import annotations

from fastapi import APIRouter, Response

from gyrus.contract.operator import OperatorInfo
from gyrus.server.given import GivenContext
from gyrus.server.problems import responses

router = APIRouter()


@router.get("/info", responses=responses())
async def get_info(context: GivenContext) -> OperatorInfo:
    """Which operator this is."""
    return context.info()


@router.post("/stop", status_code=202, response_class=Response, responses=responses())
async def stop(context: GivenContext) -> Response:
    """Drain all replicas, stop the gateway, end the operator. What is deployed stays wanted."""
    await context.stop()
    return Response(status_code=202)

"""Routes of the operator itself."""

from __future__ import annotations

import logging
from dataclasses import replace

from fastapi import APIRouter, Response

from gyrus.contract import problem
from gyrus.contract.nodes import NodesView
from gyrus.contract.operator import OperatorInfo
from gyrus.server.dependencies import CallerDep, ContextDep
from gyrus.server.problems import answer, document, responses

log = logging.getLogger(__name__)

REFUSED_IN_A_CLUSTER = (
    "A cluster's operator is not stopped by a request, because the cluster would start it again. To remove "
    "gyrus from the cluster, run `gyrus cluster uninstall`; `gyrus down` stops the platform of your own "
    "machine."
)
"""The answer of an operator in a cluster to a request to stop the platform."""

router = APIRouter()


@router.get("/info", responses=responses())
async def get_info(context: ContextDep) -> OperatorInfo:
    """Return the operator's version and addresses, and its machine's capacity for replicas."""
    return replace(context.info(), capacity=context.capacity())


@router.get("/nodes", responses=responses())
async def get_nodes(context: ContextDep) -> NodesView:
    """Return the cluster's nodes as the operator plans them. Empty if it plans none."""
    return context.board.nodes or NodesView(scaler="none")


@router.post("/stop", status_code=202, response_class=Response, responses=responses(problem.FORBIDDEN))
async def stop(context: ContextDep, caller: CallerDep) -> Response:
    """Drain all replicas, stop the gateway, and end the operator. Its next start restores deployed APIs.

    A cluster's operator refuses this, since the cluster would start it again at once.
    """
    if context.stop_refusal:
        return answer(document(problem.FORBIDDEN, context.stop_refusal))
    log.info("a stop of the platform was requested by %s", caller.name)
    await context.stop()
    return Response(status_code=202)

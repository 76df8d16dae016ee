"""The route that reads the costs."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter

from gyrus.contract.costs import CostView
from gyrus.server.dependencies import ContextDep
from gyrus.server.problems import responses

router = APIRouter()


@router.get("/costs", responses=responses())
async def get_costs(context: ContextDep) -> CostView:
    """Return the costs of the cluster and of its APIs: today, in this month, per hour, and a forecast."""
    return await asyncio.to_thread(context.costs)

"""Routes that read APIs, and routes that act on one API."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from gyrus.contract import problem
from gyrus.contract.operator import (
    ApiDescription,
    ApiOwner,
    ApiView,
    Deployed,
    EventView,
    RevisionView,
    RollbackRequest,
)
from gyrus.server import audit, replica_documents
from gyrus.server.dependencies import CallerDep, ContextDep, ViewsDep
from gyrus.server.problems import responses
from gyrus.state import transitions
from gyrus.state.records import Author
from gyrus.state.store import KEPT_EVENTS

LAST_ID = 2**63 - 1
"""The highest possible id of an event."""

router = APIRouter(prefix="/apis")

_OF_ONE = responses(problem.UNKNOWN_API)
_OF_AN_ACT = responses(problem.UNKNOWN_API, problem.CONFLICT, problem.STORAGE_FULL)


@router.get("", responses=responses())
async def list_apis(views: ViewsDep) -> list[ApiView]:
    """List all APIs, by name."""
    return await views.every()


@router.get("/{name}", responses=_OF_ONE)
async def get_api(name: str, views: ViewsDep) -> ApiView:
    """Return a short view of one API."""
    return await views.one(name)


@router.get("/{name}/description", responses=_OF_ONE)
async def describe_api(name: str, views: ViewsDep) -> ApiDescription:
    """Return the full description of one API."""
    await views.flush_events()
    return await views.whole(name)


@router.get("/{name}/openapi", responses=_OF_ONE)
async def get_openapi(name: str, context: ContextDep, views: ViewsDep) -> dict[str, Any]:
    """Return the OpenAPI document that the API's replicas serve. Empty if none is ready, or none has one.

    Unlike a request through the gateway, this is no traffic: it keeps no API awake, and wakes none.
    """
    await views.api(name)
    return await replica_documents.openapi_of(context.board, name)


@router.get("/{name}/revisions", responses=_OF_ONE)
async def list_revisions(name: str, views: ViewsDep) -> list[RevisionView]:
    """List the API's revisions with their rollouts, newest first."""
    return list(await views.history(name))


@router.get("/{name}/events", responses=responses(problem.UNKNOWN_API, problem.BAD_REQUEST))
async def list_events(
    name: str,
    views: ViewsDep,
    since: float | None = None,
    after: Annotated[int, Query(ge=0, le=LAST_ID)] = 0,
    limit: Annotated[int, Query(ge=0, le=KEPT_EVENTS)] = 100,
) -> list[EventView]:
    """List the API's latest events, oldest first.

    At most `limit` events are returned, none before `since` (seconds since the epoch), and only those with an
    id above `after`. To follow the events, request those after the last one's id: an event that happens again
    gets a new id.
    """
    await views.flush_events()
    return list(await views.events(name, since, after, limit))


@router.post(
    "/{name}/rollback",
    responses=responses(
        problem.UNKNOWN_API, problem.UNKNOWN_REVISION, problem.CONFLICT, problem.STORAGE_FULL
    ),
)
async def roll_back(
    name: str,
    context: ContextDep,
    views: ViewsDep,
    caller: CallerDep,
    request: RollbackRequest | None = None,
) -> Deployed:
    """Roll back to an earlier revision."""
    transitions.require_owner(await views.api(name), ApiOwner.CLI)
    to = request.to if request else None
    api = await context.store.rollback(name, to, context.clock.now(), Author(caller.name))
    audit.begun(context, caller, api)
    return await views.begun(api)


@router.post("/{name}/refresh", responses=_OF_AN_ACT)
async def refresh(name: str, context: ContextDep, views: ViewsDep, caller: CallerDep) -> Deployed:
    """Replace the API's replicas with new ones of the same revision."""
    api = await context.store.refresh(name, context.clock.now(), Author(caller.name))
    audit.begun(context, caller, api)
    return await views.begun(api)


@router.delete("/{name}", status_code=202, responses=_OF_AN_ACT)
async def delete_api(name: str, context: ContextDep, views: ViewsDep, caller: CallerDep) -> ApiView:
    """Delete the API: its replicas drain, and then it is removed. Safe to repeat."""
    before = await views.api(name)
    transitions.require_owner(before, ApiOwner.CLI)
    api = await context.store.mark_deleting(name, context.clock.now())
    if not before.deleting:
        audit.deleted(context, caller, api)
    return await views.see(api)

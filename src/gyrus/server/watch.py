"""Changes of APIs as they happen, as server-sent events."""

from __future__ import annotations

from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Response

from gyrus.aio.signals import listen
from gyrus.aio.tasks import first_of
from gyrus.server.context import ServerContext
from gyrus.server.dependencies import ClosingDep, ContextDep, ViewsDep
from gyrus.server.problems import responses
from gyrus.server.stream import LiveResponse, Write
from gyrus.server.views import Views
from gyrus.state.errors import UnknownApi

KEEP_ALIVE = 10.0
"""Seconds of silence after which a comment is sent; what rings no bell (traffic) is looked at then, too."""

PACE = 0.05
"""Shortest time between two looks, in seconds: changes that come faster are told as one."""

ALL = ""
"""Stands for the list of all APIs; no API has this name."""

router = APIRouter()


@router.get(
    "/watch",
    response_class=Response,
    responses=responses()
    | {200: {"description": "Server-sent events", "content": {"text/event-stream": {}}}},
)
async def watch(
    context: ContextDep,
    views: ViewsDep,
    closing: ClosingDep,
    name: Annotated[list[str] | None, Query()] = None,
) -> Response:
    """What these APIs are, at once and at every change; without names, the list of all.

    `event: api` has an ApiDescription, `event: gone` a `name`, `event: apis` a list of ApiView. A client that
    is slow misses states, never the latest.
    """
    watched = frozenset(name or [ALL])

    async def body(write: Write) -> None:
        await _tell(write, watched, context, views)

    return LiveResponse(body, "text/event-stream", closing)


async def _tell(write: Write, watched: frozenset[str], context: ServerContext, views: Views) -> None:
    board = context.board
    told: dict[str, bytes] = {}
    with listen(board.intent_signals, board.replica_signals, board.acknowledged_signals) as changes:
        stale = watched
        while True:
            for name in sorted(stale):
                frame = await _frame(name, views)
                if told.get(name) != frame:
                    told[name] = frame
                    await write(frame)
            await context.clock.sleep(PACE)
            changed = await first_of(changes.wait(), _silence(context))
            if changed is None:
                await write(b": still here\n\n")
            stale = watched if changed is None else watched & (changed | {ALL})


async def _silence(context: ServerContext) -> None:
    await context.clock.sleep(KEEP_ALIVE)


async def _frame(name: str, views: Views) -> bytes:
    """The event that tells the present state."""
    if name == ALL:
        return _event("apis", await views.every())
    try:
        return _event("api", await views.whole(name))
    except UnknownApi:
        return _event("gone", {"name": name})


def _event(kind: str, data: object) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), orjson.dumps(data))

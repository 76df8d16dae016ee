"""Changes of APIs as they happen, as server-sent events."""

from __future__ import annotations

from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Response

from gyrus.aio.signals import Listener, listen
from gyrus.aio.tasks import first_of
from gyrus.server.api_list import ApiList
from gyrus.server.context import ServerContext
from gyrus.server.dependencies import ApiListDep, ClosingDep, ContextDep, ViewsDep
from gyrus.server.problems import responses
from gyrus.server.stream import LiveResponse, Write
from gyrus.server.views import Views
from gyrus.state.errors import UnknownApi

KEEP_ALIVE = 10.0
"""Seconds of silence after which a comment is sent. Facts without a signal (traffic) are read then, too."""

PACE = 0.05
"""Shortest time between two reads of named APIs, in seconds. Faster changes are reported as one."""

LIST_PACE = 1.0
"""The same for the list of all APIs. All its watchers read at the same moments."""

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
    api_list: ApiListDep,
    closing: ClosingDep,
    name: Annotated[list[str] | None, Query()] = None,
    changes: bool = False,
) -> Response:
    """Send the present state of these APIs, at once and at every change. Without names, send the list of all.

    `event: api` has an ApiDescription, `event: gone` a `name`, `event: apis` a list of ApiView. With
    `changes`, only the first list is whole: later ones are `event: changes` with an ApiChanges. A slow client
    misses intermediate states, but never the latest.
    """

    async def body(write: Write) -> None:
        if name:
            await _send_apis(write, frozenset(name), context, views)
        else:
            await _send_list(write, context, api_list, changes=changes)

    return LiveResponse(body, "text/event-stream", closing)


async def _send_apis(write: Write, watched: frozenset[str], context: ServerContext, views: Views) -> None:
    board = context.board
    sent: dict[str, bytes] = {}
    sources = (board.intent_signals, board.replica_signals, board.acknowledged_signals, board.event_signals)
    with listen(*sources) as changes:
        stale = watched
        while True:
            for name in sorted(stale):
                frame = await _frame(name, views)
                if sent.get(name) != frame:
                    sent[name] = frame
                    await write(frame)
            await context.clock.sleep(PACE)
            changed = await _next_change(changes, write, context)
            stale = watched if changed is None else watched & changed


async def _send_list(write: Write, context: ServerContext, api_list: ApiList, *, changes: bool) -> None:
    sent: int | None = None
    with api_list.changes() as listener:
        while True:
            version = await api_list.refresh()
            if version != sent:
                newer = api_list.since(sent) if changes and sent is not None else None
                await write(_event("changes", newer) if newer else _event("apis", api_list.whole()))
                sent = version
            # All watchers wake at the same full second, so that one refresh serves them all.
            await context.clock.sleep(LIST_PACE - context.clock.monotonic() % LIST_PACE)
            await _next_change(listener, write, context)


async def _next_change(listener: Listener, write: Write, context: ServerContext) -> frozenset[str] | None:
    """Wait for a change and return its names. After a long silence, send a comment and return None."""
    changed = await first_of(listener.wait(), _silence(context))
    if changed is None:
        await write(b": still here\n\n")
    return changed


async def _silence(context: ServerContext) -> None:
    await context.clock.sleep(KEEP_ALIVE)


async def _frame(name: str, views: Views) -> bytes:
    """Return the event that reports the present state."""
    try:
        return _event("api", orjson.dumps(await views.whole(name)))
    except UnknownApi:
        return _event("gone", orjson.dumps({"name": name}))


def _event(kind: str, data: bytes) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), data)

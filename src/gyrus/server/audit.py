"""The records of an act: an event and a line of the log for people, and a signal for control."""

from __future__ import annotations

import logging

from gyrus.contract.operator import Cause
from gyrus.server.context import ServerContext
from gyrus.server.tokens import Caller
from gyrus.state.records import Api, Event

log = logging.getLogger(__name__)

_BEGUN = {
    Cause.DEPLOY: ("Deployed", "Revision {0} deployed"),
    Cause.ROLLBACK: ("RolledBack", "Rolled back to revision {0}"),
    Cause.REFRESH: ("Refreshed", "Replacement of the replicas of revision {0} requested"),
}


def begun(context: ServerContext, caller: Caller, *apis: Api) -> None:
    """Notify control of rollouts that were begun and stored, and record their events."""
    context.board.intent_signals.notify(*(api.name for api in apis))
    context.events.record(*(_event(context, caller, api, *_BEGUN[api.target.cause]) for api in apis))


def deleted(context: ServerContext, caller: Caller, api: Api) -> None:
    """Notify control of a stored deletion, and record its event."""
    context.board.intent_signals.notify(api.name)
    context.events.record(_event(context, caller, api, "Deleted", "Deletion requested"))


def _event(context: ServerContext, caller: Caller, api: Api, reason: str, message: str) -> Event:
    text = f"{message.format(api.target.revision)} by {caller.name}"
    log.info("%s: %s", api.name, text)
    return Event(api=api.name, time=context.clock.now(), type="normal", reason=reason, message=text)

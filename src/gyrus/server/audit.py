"""The records of a user's act: an event for people, and a signal for control."""

from __future__ import annotations

from gyrus.contract.operator import Cause
from gyrus.server.context import ServerContext
from gyrus.state.records import Api, Event

_BEGUN = {
    Cause.DEPLOY: ("Deployed", "Revision {0} deployed"),
    Cause.ROLLBACK: ("RolledBack", "Rolled back to revision {0}"),
    Cause.REFRESH: ("Refreshed", "Replicas of revision {0} are being replaced"),
}


def begun(context: ServerContext, *apis: Api) -> None:
    """Notify control of rollouts that were begun and stored, and record their events."""
    context.board.intent_signals.notify(*(api.name for api in apis))
    context.events.record(*(_event(context, api, *_BEGUN[api.target.cause]) for api in apis))


def deleted(context: ServerContext, api: Api) -> None:
    """Notify control of a stored deletion, and record its event."""
    context.board.intent_signals.notify(api.name)
    context.events.record(_event(context, api, "Deleted", "Deletion was requested"))


def _event(context: ServerContext, api: Api, reason: str, message: str) -> Event:
    text = message.format(api.target.revision)
    return Event(api=api.name, time=context.clock.now(), type="normal", reason=reason, message=text)

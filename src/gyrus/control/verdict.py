"""The verdict on a rollout: it is done, has failed, or continues."""

from __future__ import annotations

from dataclasses import dataclass

from gyrus.contract.operator import Outcome
from gyrus.contract.replica import Phase, Reason
from gyrus.control.situation import Situation
from gyrus.state.board import Replica, pool_id

ATTEMPTS = 3
"""Starts that a new replica may attempt before its rollout fails."""

SLOW_REASONS = frozenset({Reason.START_TIMEOUT, Reason.NOT_LISTENING})
"""Reasons that fail the rollout at once, since one such failure has taken a long time already."""


@dataclass(frozen=True, slots=True)
class Verdict:
    outcome: Outcome
    message: str = ""
    """A sentence as the first line, then the failing replica's last lines of output."""


def judge(situation: Situation) -> Verdict | None:
    """Return the end of the rollout. Returns None while it continues, and after its end.

    A first rollout that failed may still succeed later. Its replicas are kept, since there is nothing to fall
    back to, and the fault (such as an unreachable model store) may pass.
    """
    api = situation.api
    fallen_back = api.outcome is Outcome.FAILED and api.live is not None
    if api.outcome is Outcome.DONE or api.deleting or fallen_back:
        return None
    if _complete(situation):
        return Verdict(Outcome.DONE)
    if api.outcome is Outcome.PROGRESSING:
        if situation.refused:
            return Verdict(Outcome.FAILED, _refused(situation))
        for replica in situation.current:
            if _has_failed(replica):
                return Verdict(Outcome.FAILED, explain(situation, replica))
    return None


def _refused(situation: Situation) -> str:
    revision = situation.api.target.revision
    return f"Revision {revision} was refused by the gateway: {situation.refused.rstrip('.')}."


def _complete(situation: Situation) -> bool:
    available = sum(situation.available(replica) for replica in situation.current)
    superseded = (r for r in situation.replicas if r.generation != situation.api.target.number)
    return (
        pool_id(situation.api.name, situation.api.target.number) in situation.acknowledged
        and available >= situation.api.replicas
        and not situation.outdated
        and all(situation.unrouted(replica) for replica in superseded)
    )


def _has_failed(replica: Replica) -> bool:
    status = replica.status
    if status.phase is Phase.FAILED:
        return True
    return status.phase is not Phase.READY and (
        status.restarts >= ATTEMPTS
        or (status.phase is Phase.BACKOFF and status.restarts >= ATTEMPTS - 1)
        or (status.phase is Phase.BACKOFF and status.reason in SLOW_REASONS)
    )


def explain(situation: Situation, replica: Replica) -> str:
    """Return the message to the user about a rollout that failed because of this replica."""
    status = replica.status
    revision = situation.api.target.revision
    reason = f" ({status.reason})" if status.reason else ""
    sentence = f"Revision {revision} did not become ready{reason}: {status.message.rstrip('.')}."
    return "\n".join((sentence, *status.last_lines))

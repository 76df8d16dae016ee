"""The activity of one replica, as text."""

from __future__ import annotations

from gyrus.contract.operator import ReplicaView
from gyrus.contract.replica import Phase

WORDS = {
    Phase.PENDING: "waiting",
    Phase.BUILDING: "building environment",
    Phase.STARTING: "starting",
    Phase.READY: "ready",
    Phase.UNREADY: "not ready",
    Phase.BACKOFF: "waiting to start again",
    Phase.SUCCEEDED: "succeeded",
    Phase.FAILED: "failed",
    Phase.DRAINING: "draining",
    Phase.GONE: "gone",
}


def doing(replica: ReplicaView) -> str:
    """Describe a replica's activity: ``building environment: installing scikit-learn``."""
    status = replica.status
    word = WORDS[status.phase]
    if status.phase is Phase.READY and not replica.routed:
        word = "ready, not yet routed"
    has_reason = status.reason and status.phase not in (
        Phase.READY,
        Phase.PENDING,
    )  # whose message names the reason
    reason = f" ({status.reason})" if has_reason else ""
    message = status.message.partition("\n")[0]
    # Do not repeat a phase that the message begins with.
    if message.lower().startswith(word):
        return word + reason + message[len(word) :]
    return f"{word}{reason}: {message}" if message else word + reason

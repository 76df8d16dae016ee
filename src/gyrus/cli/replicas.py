"""What one replica is doing, in words."""

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
    Phase.FAILED: "failed",
    Phase.DRAINING: "draining",
    Phase.GONE: "gone",
}


def doing(replica: ReplicaView) -> str:
    """``building environment: installing scikit-learn``"""
    status = replica.status
    word = WORDS[status.phase]
    if status.phase is Phase.READY and not replica.routed:
        word = "ready, not yet routed"
    reason = f" ({status.reason})" if status.reason and status.phase is not Phase.READY else ""
    message = status.message.partition("\n")[0]
    # A message that says what the phase says already adds nothing.
    told = message.removeprefix(word).lstrip() if message.lower().startswith(word) else message
    return f"{word}{reason}: {told}" if told else word + reason

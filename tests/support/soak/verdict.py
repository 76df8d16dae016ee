"""Explains what clients saw by what was done to the platform. Pure.

Whatever nothing explains is a failure of the platform.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from support.soak.apis import Target
from support.soak.scenario import Kill, Victim
from support.soak.visitor import Seen

AT_ONCE = 2.0
"""Seconds after a kill within which a client learns that its request was lost."""
AROUND = 1.5
"""Seconds before and after a moment in which replicas must have been ready to count for it."""
SLACK = 0.3
"""Seconds between the client's clock and the event."""


class Explanation(StrEnum):
    ANSWERED = "answered"
    LEFT = "the client went away"
    FULL = "the queue was full"
    KILLED = "in flight at a kill"
    NO_REPLICA = "no replica, and no operator to hold it"
    NONE = "UNEXPLAINED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Killed:
    """A kill that was done. Times in seconds since the beginning."""

    kill: Kill
    at: float
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What was done and seen while the load ran."""

    kills: Sequence[Killed] = ()
    away: Sequence[tuple[float, float]] = ()
    """From when until when there was no operator."""
    ready: Mapping[str, Sequence[tuple[float, int]]] = field(
        default_factory=dict[str, Sequence[tuple[float, int]]]
    )
    """By API: when its operator was asked, and how many replicas were ready."""

    def killed_during(self, api: str, sent: float, ended: float) -> bool:
        """Something of this API was killed while the request was in flight, and it ended at once by that."""
        return any(
            kill.kill.api == api and sent <= kill.at + SLACK and kill.at - SLACK <= ended <= kill.at + AT_ONCE
            for kill in self.kills
        )

    def surely_ready(self, api: str, at: float) -> int:
        """Replicas that were ready for some time before and after; at least one."""
        around = [ready for when, ready in self.ready.get(api, ()) if abs(when - at) < AROUND]
        return max(1, min(around, default=1))

    def had_no_replica(self, api: str, sent: float, ended: float) -> bool:
        """No operator was there, and the API had no replica when it was last seen, or has lost one since."""
        away = [since for since, until in self.away if since - SLACK <= ended and sent <= until + SLACK]
        if not away:
            return False
        seen = [ready for at, ready in self.ready.get(api, ()) if at <= ended]
        lost = any(
            kill.kill.api == api
            and kill.kill.victim is not Victim.OPERATOR
            and away[0] - 20 < kill.at < ended
            for kill in self.kills
        )
        return lost or not seen or seen[-1] == 0


@dataclass(frozen=True, slots=True)
class Judge:
    targets: Mapping[str, Target]
    history: History
    seen: Sequence[Seen]

    def explain(self, seen: Seen) -> Explanation:
        if seen.whole:
            return Explanation.ANSWERED
        if seen.left and not self._is_error(seen):
            return Explanation.LEFT
        if self._is_full(seen):
            return Explanation.FULL
        if self._is_killed(seen):
            return Explanation.KILLED
        if self._has_no_owner(seen):
            return Explanation.NO_REPLICA
        return Explanation.NONE

    def all(self) -> Counter[Explanation]:
        return Counter(self.explain(seen) for seen in self.seen)

    def unexplained(self) -> list[Seen]:
        return [seen for seen in self.seen if self.explain(seen) is Explanation.NONE]

    def crowd(self, api: str, at: float) -> int:
        """Requests of this API that may have taken a place at this time. One whose client went away may have
        one until its work is done, for nothing can interrupt a thread."""
        return sum(
            seen.ask.api == api
            and seen.sent <= at
            and at <= seen.ended + (seen.ask.seconds if seen.left else 0.0) + SLACK
            for seen in self.seen
        )

    def _is_error(self, seen: Seen) -> bool:
        return seen.status is not None and seen.status >= 400

    def _is_full(self, seen: Seen) -> bool:
        """Refused as in the contract, and there were requests enough to fill each replica that was surely
        there."""
        if (seen.status, seen.problem, seen.retry_after) != (503, "queue-full", True):
            return False
        target = self.targets[seen.ask.api]
        replicas = self.history.surely_ready(target.name, seen.ended)
        return self.crowd(target.name, seen.ended) > replicas * (target.slots + target.queue)

    def _is_killed(self, seen: Seen) -> bool:
        """A request whose work may have begun is not given to another replica: 502 is the answer, and a
        stream that has begun breaks off. An API that is idempotent loses none but those."""
        begun = seen.status == 200
        lost = begun or (seen.status, seen.problem) == (502, "upstream-failed")
        if not lost or (self.targets[seen.ask.api].idempotent and not begun):
            return False
        return self.history.killed_during(seen.ask.api, seen.sent, seen.ended)

    def _has_no_owner(self, seen: Seen) -> bool:
        reported = (seen.status, seen.problem, seen.retry_after) == (503, "no-replica", True)
        return reported and self.history.had_no_replica(seen.ask.api, seen.sent, seen.ended)

"""What to do next about one API. Pure: the same situation always gives the same plan."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gyrus.contract.operator import Outcome
from gyrus.contract.replica import Phase
from gyrus.control.rolling_update import Margins, to_preempt, to_retire, to_revive, to_start
from gyrus.control.route import route as route  # the module is a planner: it has both functions
from gyrus.control.situation import Situation
from gyrus.control.verdict import Verdict, judge
from gyrus.state.board import Replica, Route

REPLACE_AFTER = 60.0
"""Seconds after which a replica of the live generation that failed for good is replaced by a fresh one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The next step. Applying it twice does no harm."""

    start: int = 0
    """Replicas of the target generation to start."""
    revive: int = 0
    """Replicas of the live generation to start, which the target is to replace."""
    retiring: frozenset[str] = frozenset()
    """All replicas that must get no requests, those of earlier plans included."""
    makes_way: str | None = None
    """Of those, the one that leaves now only because the machine has no room for its successor beside it."""
    stop: tuple[str, ...] = ()
    """Replicas that the gateway no longer knows: to be drained and ended."""
    route: Route | None = None
    """What the gateway should do; None: it should forget the API."""
    verdict: Verdict | None = None
    forget: bool = False
    """Nothing of a deleted API is left: remove it."""
    wake_after: float | None = None
    """Seconds until this should be looked at again though nothing has changed."""


def plan(situation: Situation, now: datetime) -> Plan:
    """Decide the next step.

    A step that gives up on a rollout starts and stops nothing: the next one is planned from the intent that
    the verdict leaves.
    """
    if situation.api.deleting:
        return _delete(situation)
    verdict = judge(situation)
    if verdict and verdict.outcome is Outcome.FAILED:
        return Plan(verdict=verdict, retiring=situation.retiring, route=route(situation, situation.retiring))
    return _roll(situation, verdict, now)


def _delete(situation: Situation) -> Plan:
    everything = frozenset(replica.id for replica in situation.replicas)
    if situation.reachable:
        return Plan(retiring=everything)
    return Plan(retiring=everything, stop=_running(situation.replicas), forget=not situation.replicas)


def _roll(situation: Situation, verdict: Verdict | None, now: datetime) -> Plan:
    margins = Margins.of(situation.target_spec.update_strategy, situation.api.replicas)
    broken, wait = _broken(situation, now)
    leaving = (*to_retire(situation, margins), *broken)
    way = None if leaving else to_preempt(situation)
    retiring = situation.retiring | {replica.id for replica in (*leaving, *((way,) if way else ()))}
    unrouted = tuple(r for r in situation.replicas if r.id in retiring and situation.unrouted(r))
    return Plan(
        start=to_start(situation, margins),
        revive=to_revive(situation, margins),
        retiring=retiring,
        makes_way=way.id if way else None,
        stop=_running(unrouted),
        route=route(situation, retiring),
        verdict=verdict,
        wake_after=wait,
    )


def _broken(situation: Situation, now: datetime) -> tuple[tuple[Replica, ...], float | None]:
    """Replicas of what is live to replace, and the seconds until the next one is due."""
    if situation.api.live != situation.api.target:
        return (), None
    ages = {
        replica: now.timestamp() - (replica.status.started_at or 0.0)
        for replica in situation.current
        if replica.status.phase is Phase.FAILED
    }
    due = tuple(replica for replica, age in ages.items() if age >= REPLACE_AFTER)
    waiting = [REPLACE_AFTER - age for age in ages.values() if age < REPLACE_AFTER]
    return due, min(waiting, default=None)


def _running(replicas: tuple[Replica, ...]) -> tuple[str, ...]:
    """Ids of those that have not been told to stop."""
    return tuple(r.id for r in replicas if r.status.phase not in (Phase.DRAINING, Phase.GONE))

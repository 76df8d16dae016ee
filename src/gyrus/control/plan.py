"""The plan of the next step of one API. Pure: the same situation always gives the same plan.

The functions of this module are the planner of every kind whose replicas serve requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gyrus.contract.operator import Outcome
from gyrus.contract.replica import Phase
from gyrus.control.rolling_update import Margins, to_preempt, to_retire, to_revive, to_start
from gyrus.control.route import route as route  # the module is a planner: it has both functions
from gyrus.control.situation import Situation
from gyrus.control.verdict import Verdict, judge
from gyrus.spec.replicated import ServingSpec
from gyrus.state.board import Replica, Route

REPLACE_AFTER = 60.0
"""Seconds after which a new replica replaces one of the live generation that failed for good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The next step. Applying it twice does no harm."""

    start: int = 0
    """Number of replicas of the target generation to start."""
    revive: int = 0
    """Number of replicas to start of the live generation, which the target replaces."""
    retiring: frozenset[str] = frozenset()
    """All replicas that must receive no new requests, including those of earlier plans."""
    preempts: str | None = None
    """The replica among ``retiring`` that stops first because there is no capacity for its replacement beside
    it. None if there is none."""
    stop: tuple[str, ...] = ()
    """Replicas that no gateway uses any more: drain and end them."""
    route: Route | None = None
    """The route that gateways should have. None to remove the API's route."""
    verdict: Verdict | None = None
    forget: bool = False
    """True to remove the API: it is deleted, and has no replica left."""
    wake_after: float | None = None
    """Seconds after which to plan again even if nothing has changed. None if there is no need."""


def plan(situation: Situation[ServingSpec], now: datetime) -> Plan:
    """Decide the next step.

    A step that fails a rollout starts and stops no replica: the verdict changes the intent, and the next step
    is planned from that.
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


def _roll(situation: Situation[ServingSpec], verdict: Verdict | None, now: datetime) -> Plan:
    margins = Margins.of(situation.target_spec.update_limits, situation.api.replicas)
    broken, wait = _broken(situation, now)
    leaving = (*to_retire(situation, margins), *broken)
    preempted = None if leaving else to_preempt(situation)  # replicas that leave anyway release capacity
    retiring = situation.retiring | {r.id for r in (*leaving, *((preempted,) if preempted else ()))}
    unrouted = tuple(r for r in situation.replicas if r.id in retiring and situation.unrouted(r))
    return Plan(
        start=to_start(situation, margins),
        revive=to_revive(situation, margins),
        retiring=retiring,
        preempts=preempted.id if preempted else None,
        stop=_running(unrouted),
        route=route(situation, retiring),
        verdict=verdict,
        wake_after=wait,
    )


def _broken(situation: Situation, now: datetime) -> tuple[tuple[Replica, ...], float | None]:
    """Return the failed live replicas to replace, and the seconds until the next one is due, if any."""
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
    """Return the ids of those that have not been stopped yet."""
    return tuple(r.id for r in replicas if r.status.phase not in (Phase.DRAINING, Phase.GONE))

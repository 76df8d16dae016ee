"""The arithmetic of a rolling update: how many replicas may come and go at this moment.

The rules are those of a Kubernetes Deployment: never more than ``wanted + surge`` replicas that were not told
to go, never fewer than ``wanted - unavailable`` that answer requests. On a full machine that could wait for
ever: see :func:`to_preempt`.
"""

from __future__ import annotations

from dataclasses import dataclass

from gyrus.contract.replica import Phase, Reason
from gyrus.control.situation import Situation
from gyrus.spec.api import UpdateStrategy
from gyrus.spec.quantities import share_of
from gyrus.state.board import Replica
from gyrus.state.status import BECOMING


@dataclass(frozen=True, slots=True)
class Margins:
    """How far the number of replicas may stray from the wanted one."""

    surge: int
    unavailable: int

    @classmethod
    def of(cls, strategy: UpdateStrategy, wanted: int) -> Margins:
        surge = share_of(strategy.max_surge, wanted, up=True)
        unavailable = share_of(strategy.max_unavailable, wanted, up=False)
        if surge == 0 and unavailable == 0:
            return cls(surge=0, unavailable=1)  # both rounded to nothing: without one, no step could be taken
        return cls(surge, unavailable)


def to_revive(situation: Situation, margins: Margins) -> int:
    """How many replicas of the live generation to start now.

    Where nothing at all runs in the middle of a rollout (the platform was stopped), what was live goes on
    serving until its successor can. An API that may be idle waits for requests to ask for it.
    """
    live = situation.live_spec
    if situation.superseding is None or situation.kept or live is None:
        return 0
    if not (live.autoscaling.min_replicas or situation.held):
        return 0
    return _places_beside_the_target(situation, margins)


def to_start(situation: Situation, margins: Margins) -> int:
    """How many replicas of the target generation to start now."""
    wanted = situation.api.replicas
    missing = wanted - len(situation.current)
    room = wanted + margins.surge - len(situation.kept) - to_revive(situation, margins)
    return max(0, min(missing, room))


def to_retire(situation: Situation, margins: Margins) -> tuple[Replica, ...]:
    """Replicas to take out of traffic now: outdated ones, then those beyond the wanted number."""
    wanted = situation.api.replicas
    surplus = _expendable_first(situation, situation.current)[: max(0, len(situation.current) - wanted)]
    standing_in = _standing_in(situation, margins)
    useless = tuple(
        r for r in situation.outdated if r.status.phase is not Phase.READY and r.id not in standing_in
    )
    serving = tuple(replica for replica in situation.outdated if situation.available(replica))
    gone = {replica.id for replica in surplus}
    available = sum(situation.available(replica) for replica in situation.kept if replica.id not in gone)
    spare = max(0, available - max(0, wanted - margins.unavailable))
    return (*surplus, *useless, *serving[:spare])


def to_preempt(situation: Situation) -> Replica | None:
    """An old replica that answers requests, to take out of traffic so that a new one gets its share.

    That is so where all new ones that do not answer yet wait for capacity, and no other replica is about to
    give any back. Not where ``max_unavailable`` was set to nothing, instead of being rounded to it; and not
    where fewer new replicas would fit than answer now: then it would not help.
    """
    coming = [replica for replica in situation.current if not situation.available(replica)]
    if not coming or situation.leaving or not all(_waits_for_capacity(replica) for replica in coming):
        return None
    serving = [replica for replica in situation.kept if situation.available(replica)]
    fits = situation.room is None or situation.room >= len(serving)
    allowed = share_of(situation.target_spec.update_strategy.max_unavailable, 100, up=True) > 0
    outdated = (replica for replica in situation.outdated if replica in serving)
    return next(outdated, None) if fits and allowed else None


def _waits_for_capacity(replica: Replica) -> bool:
    return replica.status.phase is Phase.PENDING and replica.status.reason is Reason.CAPACITY


def _standing_in(situation: Situation, margins: Margins) -> frozenset[str]:
    """Replicas of the live generation that start while nothing answers: they may be the first to."""
    live = situation.superseding
    if live is None or any(situation.available(replica) for replica in situation.kept):
        return frozenset()
    starting = [r.id for r in situation.outdated if r.generation == live.number and _starts_first(r)]
    return frozenset(starting[: _places_beside_the_target(situation, margins)])


def _starts_first(replica: Replica) -> bool:
    return replica.status.phase in BECOMING and not replica.status.restarts


def _places_beside_the_target(situation: Situation, margins: Margins) -> int:
    """How many other replicas there may be, so that at least one of the target's has a place."""
    wanted = situation.api.replicas
    beside = wanted + margins.surge - max(1, len(situation.current))
    return max(0, min(wanted, beside))


def _expendable_first(situation: Situation, replicas: tuple[Replica, ...]) -> tuple[Replica, ...]:
    """Those that answer nothing come first, the farthest from it before others; then the youngest."""
    youngest_first = tuple(reversed(replicas))
    return tuple(sorted(youngest_first, key=lambda each: (situation.available(each), _progress(each))))


def _progress(replica: Replica) -> int:
    """How far it is on its way to being ready."""
    phase = replica.status.phase
    return BECOMING.index(phase) if phase in BECOMING else len(BECOMING)

"""The arithmetic of a rolling update: the number of replicas that may start and stop at this moment.

The rules are those of a Kubernetes Deployment: never more than ``wanted + surge`` replicas that are kept, and
never fewer than ``wanted - unavailable`` that answer requests. On a full machine, these rules alone could
wait forever: see :func:`to_preempt`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gyrus.contract.replica import BECOMING, Phase, Reason
from gyrus.control.situation import Situation
from gyrus.spec.api import UpdateStrategy
from gyrus.spec.quantities import share_of
from gyrus.spec.replicated import ServingSpec
from gyrus.state.board import Replica


@dataclass(frozen=True, slots=True)
class Margins:
    """Limits of the difference between the number of replicas and the requested one."""

    surge: int
    unavailable: int

    @classmethod
    def of(cls, strategy: UpdateStrategy, wanted: int) -> Margins:
        surge = share_of(strategy.max_surge, wanted, up=True)
        unavailable = share_of(strategy.max_unavailable, wanted, up=False)
        if surge == 0 and unavailable == 0:
            return cls(surge=0, unavailable=1)  # both rounded to 0, which would allow no step at all
        return cls(surge, unavailable)


def to_revive(situation: Situation, margins: Margins) -> int:
    """Return the number of replicas of the live generation to start now.

    If no replica runs in the middle of a rollout (the platform was stopped), the live generation serves until
    the target can. An API that may be idle gets these replicas only when requests wait.
    """
    live = situation.live_spec
    if situation.superseding is None or situation.kept or not isinstance(live, ServingSpec):
        return 0
    if live.may_be_idle and not situation.held:
        return 0
    return _places_beside_the_target(situation, margins)


def to_start(situation: Situation, margins: Margins) -> int:
    """Return the number of replicas of the target generation to start now."""
    wanted = situation.api.replicas
    missing = wanted - len(situation.staying)
    evacuated = sum(bool(replica.evacuation) for replica in situation.kept)
    most = wanted + margins.surge + evacuated - len(situation.kept) - to_revive(situation, margins)
    return max(0, min(missing, most))


def to_retire(situation: Situation, margins: Margins) -> tuple[Replica, ...]:
    """Return the replicas to take out of traffic now: those beyond the requested number, and outdated ones.

    An outdated replica that serves leaves only while enough others are available, and one that is evacuated
    only once it is replaced.
    """
    wanted = situation.api.replicas
    staying = situation.staying
    surplus = _expendable_first(situation, staying)[: max(0, len(staying) - wanted)]
    standing_in = _standing_in(situation, margins)
    useless = tuple(
        r for r in situation.outdated if r.status.phase is not Phase.READY and r.id not in standing_in
    )
    serving = tuple(replica for replica in situation.outdated if situation.available(replica))
    gone = {replica.id for replica in surplus}
    available = sum(situation.available(replica) for replica in situation.kept if replica.id not in gone)
    spare = max(0, available - max(0, wanted - margins.unavailable))
    replaced = _replaced(situation, available - len(serving[:spare]))
    return (*surplus, *useless, *serving[:spare], *replaced)


def _replaced(situation: Situation, available: int) -> tuple[Replica, ...]:
    """Return the evacuated replicas without which enough others are available.

    ``available``: the available replicas that nothing else retires now.
    """
    evacuated = [replica for replica in situation.current if replica.evacuation]
    serving = [replica for replica in evacuated if situation.available(replica)]
    if available < situation.api.replicas:
        return ()
    spare = available - situation.api.replicas
    return (*(replica for replica in evacuated if replica not in serving), *serving[:spare])


def to_preempt(situation: Situation[ServingSpec]) -> Replica | None:
    """Return the serving old replica to take out of traffic so that a new one gets its capacity, or None.

    All new replicas that do not answer yet must wait for capacity, and no other replica may be about to
    release any. Returns None if ``max_unavailable`` was set to 0, instead of being rounded to it. Returns
    None, too, if fewer new replicas would fit than answer now, or if no old one would leave enough to a new
    one: preemption would not help then.
    """
    coming = [replica for replica in situation.current if not situation.available(replica)]
    if not coming or situation.leaving or not all(_waits_for_capacity(replica) for replica in coming):
        return None
    serving = [replica for replica in situation.kept if situation.available(replica)]
    fits = situation.capacity is None or situation.capacity >= len(serving)
    allowed = share_of(situation.target_spec.update_limits.max_unavailable, 100, up=True) > 0
    helpful = situation.preemptable
    outdated = (
        replica
        for replica in situation.outdated
        if replica in serving and (helpful is None or replica.id in helpful)
    )
    return next(outdated, None) if fits and allowed else None


def _waits_for_capacity(replica: Replica) -> bool:
    return replica.status.phase is Phase.PENDING and replica.status.reason is Reason.CAPACITY


def _standing_in(situation: Situation, margins: Margins) -> frozenset[str]:
    """Return the ids of live replicas that start while no replica answers: they may be the first to."""
    live = situation.superseding
    if live is None or any(situation.available(replica) for replica in situation.kept):
        return frozenset()
    starting = [r.id for r in situation.outdated if r.generation == live.number and _starts_first(r)]
    return frozenset(starting[: _places_beside_the_target(situation, margins)])


def _starts_first(replica: Replica) -> bool:
    return replica.status.phase in BECOMING and not replica.status.restarts


def _places_beside_the_target(situation: Situation, margins: Margins) -> int:
    """Return the number of other replicas that may exist, so that at least one of the target's can start."""
    wanted = situation.api.replicas
    beside = wanted + margins.surge - max(1, len(situation.current))
    return max(0, min(wanted, beside))


def _expendable_first(situation: Situation, replicas: tuple[Replica, ...]) -> tuple[Replica, ...]:
    """Sort unavailable replicas first (the farthest from being ready before others), then the least busy.

    Of equally busy replicas, the youngest is first. One that does not report its requests counts as the
    busiest.
    """
    youngest_first = tuple(reversed(replicas))  # the sort is stable: it keeps this order among equals

    def usefulness(replica: Replica) -> tuple[bool, int, float]:
        busy = situation.in_flight.get(replica.id, math.inf)
        return situation.available(replica), _progress(replica), busy

    return tuple(sorted(youngest_first, key=usefulness))


def _progress(replica: Replica) -> int:
    """Return the position of its phase on the way to being ready."""
    phase = replica.status.phase
    return BECOMING.index(phase) if phase in BECOMING else len(BECOMING)

"""The rules of a Lease. No two operators lead at the same time, however late they look."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from gyrus.operator import lease as rules
from gyrus.operator.lease import Lease, LeaseSighting
from support.examples import examples


def test_a_free_lease_may_be_taken_at_once() -> None:
    assert rules.may_take(rules.seen(None, Lease(), 5.0), "a", 5.0)
    assert rules.may_take(rules.seen(None, Lease(holder="a"), 5.0), "a", 5.0), "after a restart of the pod"


def test_the_lease_of_another_is_taken_only_after_its_duration_without_a_change() -> None:
    held = Lease(holder="a", renewed="1")
    first = rules.seen(None, held, 100.0)
    assert not rules.may_take(first, "b", 100.0 + rules.DURATION - 0.1)
    assert rules.may_take(first, "b", 100.0 + rules.DURATION)
    later = rules.seen(first, Lease(holder="a", renewed="2"), 105.0)
    assert not rules.may_take(later, "b", 100.0 + rules.DURATION), "it was renewed meanwhile"


def test_only_a_change_of_the_holder_counts_as_a_transition() -> None:
    taken = rules.taken(Lease(), "a", "1")
    assert taken.transitions == 1
    assert rules.taken(taken, "a", "2").transitions == 1
    assert rules.taken(taken, "b", "3") == Lease(holder="b", renewed="3", transitions=2)


@dataclass
class Pod:
    """An operator's pod with a clock of its own."""

    name: str
    shift: float
    sighting: LeaseSighting | None = None
    renewed: float | None = None
    """By its own clock, while it believes to lead."""

    def leads(self, now: float) -> bool:
        return self.renewed is not None and not rules.is_lost(self.renewed, now + self.shift)


@dataclass
class Room:
    """Pods that look at one lease."""

    pods: list[Pod]
    lease: Lease = field(default_factory=Lease)
    writes: int = 0

    def look(self, pod: Pod, now: float) -> None:
        own = now + pod.shift
        pod.sighting = rules.seen(pod.sighting, self.lease, own)
        if pod.renewed is not None and (self.lease.holder != pod.name or rules.is_lost(pod.renewed, own)):
            pod.renewed = None
        elif pod.renewed is not None or rules.may_take(pod.sighting, pod.name, own):
            self.writes += 1
            self.lease = rules.taken(self.lease, pod.name, str(self.writes))
            pod.renewed = own


@settings(max_examples=examples(1.0))
@given(
    looks=st.lists(st.tuples(st.integers(0, 2), st.floats(0, 12)), max_size=60),
    shifts=st.tuples(*[st.floats(-1000, 1000)] * 3),
)
def test_at_most_one_operator_leads(
    looks: list[tuple[int, float]], shifts: tuple[float, float, float]
) -> None:
    room = Room([Pod(f"pod-{number}", shift) for number, shift in enumerate(shifts)])
    now = 0.0
    for number, passed in looks:
        now += passed
        room.look(room.pods[number], now)
        leaders = [pod.name for pod in room.pods if pod.leads(now)]
        assert len(leaders) <= 1, leaders

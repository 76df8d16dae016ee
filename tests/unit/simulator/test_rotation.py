"""The rotation against a plain search through all replicas."""

from __future__ import annotations

from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gyrus.queueing.slots import SlotQueue
from gyrus.simulator.rotation import Rotation, SimulatedReplica
from support.examples import examples


class Rotations(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.rotation = Rotation(Random(1))
        self.replicas: list[SimulatedReplica] = []
        self.number = 0

    @rule()
    def add(self) -> None:
        self.number += 1
        queue: SlotQueue[int] = SlotQueue(1, 1)
        replica = SimulatedReplica(self.number, queue, 0.0)
        self.rotation.add(replica)
        self.replicas.append(replica)

    @precondition(lambda self: self.replicas)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        replica = data.draw(st.sampled_from(self.replicas))
        self.rotation.remove(replica)
        self.replicas.remove(replica)
        assert not replica.routed

    @precondition(lambda self: self.replicas)
    @rule(times=st.integers(1, 5))
    def send(self, times: int) -> None:
        for _ in range(times):
            replica = self.rotation.pick()
            assert replica.in_flight == min(each.in_flight for each in self.replicas)
            self.rotation.took(replica)

    @precondition(lambda self: any(replica.in_flight for replica in self.replicas))
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        busy = [replica for replica in self.replicas if replica.in_flight]
        self.rotation.gave(data.draw(st.sampled_from(busy)))

    @invariant()
    def it_knows_them_all(self) -> None:
        loads = [replica.in_flight for replica in self.replicas]
        assert self.rotation.size == len(loads)
        assert self.rotation.lowest == min(loads, default=0)
        assert self.rotation.highest == max(loads, default=0)
        assert set(self.rotation.replicas()) == set(self.replicas)


TestRotations = Rotations.TestCase
TestRotations.settings = settings(max_examples=examples(1), stateful_step_count=40, deadline=None)


def test_equals_are_chosen_evenly() -> None:
    rotation = Rotation(Random(1))
    for number in range(4):
        queue: SlotQueue[int] = SlotQueue(1, 1)
        rotation.add(SimulatedReplica(number, queue, 0.0))
    chosen = [rotation.pick().number for _ in range(4000)]
    assert all(900 < chosen.count(number) < 1100 for number in range(4))

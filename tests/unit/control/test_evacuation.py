"""Replicas on nodes that are drained or lost: another one serves before they stop."""

from __future__ import annotations

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st

from gyrus.contract.operator import Outcome
from gyrus.contract.replica import Phase
from gyrus.control.events import replica_events
from support.examples import examples
from support.world import NOW, World, api, generation, replica, spec


def live_world(replicas: int) -> World:
    world = World(api(replicas=replicas), spec())
    world.settle()
    assert world.api.outcome is Outcome.DONE
    return world


def test_the_only_replica_of_a_drained_node_stops_once_another_serves() -> None:
    world = live_world(1)
    world.evacuate("r1")
    step = world.reconcile()
    assert (step.start, step.retiring) == (1, frozenset())
    assert world.reconcile().start == 0  # it is under way
    world.become("r2", Phase.READY)
    assert not world.reconcile().retiring  # the gateway does not use it yet
    world.catch_up()
    assert world.reconcile().retiring == {"r1"}
    world.catch_up()
    assert world.reconcile().stop == ("r1",)
    world.settle()
    assert sorted(world.replicas) == ["r2"]


def test_all_replicas_of_a_node_are_replaced_at_once() -> None:
    world = live_world(4)
    world.evacuate("r1", "r2")
    assert world.reconcile().start == 2
    world.become("r5", Phase.READY)
    world.catch_up()
    world.reconcile()
    world.catch_up()
    assert world.reconcile().retiring == {"r1"}
    world.settle()
    assert sorted(world.replicas) == ["r3", "r4", "r5", "r6"]


def test_without_capacity_elsewhere_the_replica_goes_on() -> None:
    world = live_world(1)
    world.places = 1
    world.evacuate("r1")
    for _ in range(3):
        step = world.reconcile()
        world.catch_up()
        assert not step.retiring
    assert world.available() == 1


def test_a_replica_of_a_lost_node_is_replaced_and_comes_back_in_vain() -> None:
    world = live_world(1)
    world.become("r1", Phase.UNREADY)
    world.evacuate("r1")
    assert world.reconcile().start == 1
    world.become("r2", Phase.READY)
    world.reconcile()
    world.catch_up()
    assert world.reconcile().retiring == {"r1"}


def test_a_node_that_is_uncordoned_keeps_one_replica_more_until_it_is_surplus() -> None:
    world = live_world(1)
    world.evacuate("r1")
    world.reconcile()
    world.replicas["r1"] = dataclasses.replace(world.replicas["r1"], evacuation="")
    assert world.reconcile().retiring == {"r2"}  # it does not serve yet


def test_an_idle_api_needs_no_replacement() -> None:
    world = live_world(1)
    world.evacuate("r1")
    world.api = dataclasses.replace(world.api, replicas=0)
    step = world.reconcile()
    assert (step.start, step.retiring) == (0, {"r1"})


@given(
    replicas=st.integers(1, 6),
    drained=st.sets(st.integers(1, 6)),
    updating=st.booleans(),
    turns=st.lists(st.sampled_from(["ready", "push", "acknowledge", "end"]), max_size=30),
)
@settings(max_examples=examples(2))
def test_a_drain_never_reduces_what_answers(
    replicas: int, drained: set[int], updating: bool, turns: list[str]
) -> None:
    world = live_world(replicas)
    world.evacuate(*(f"r{number}" for number in drained if number <= replicas))
    if updating:
        target = generation(world.api.target.number + 1)
        world.api = dataclasses.replace(world.api, target=target, outcome=Outcome.PROGRESSING)
    least = replicas - (replicas // 4 if updating else 0)
    for turn in turns:
        world.reconcile()
        match turn:
            case "ready":
                for name in world.in_phase(Phase.STARTING)[:1]:
                    world.become(name, Phase.READY)
            case "end":
                for name in world.in_phase(Phase.DRAINING)[:1]:
                    world.end_one(name)
            case "push":
                world.push()
            case _:
                world.acknowledge()
        assert world.available() >= least
    world.settle()
    assert len(world.replicas) == replicas
    assert not any(each.evacuation for each in world.replicas.values())


def test_an_evacuation_is_an_event() -> None:
    before = replica("r1")
    after = dataclasses.replace(before, evacuation="node a is cordoned")
    [event] = replica_events("iris", [before], [after], NOW)
    assert event.reason == "Evacuating"
    assert event.message == "Replica r1 is being replaced: node a is cordoned"
    assert not list(replica_events("iris", [after], [after], NOW))

"""Rollouts as a user would describe them, and what must hold whatever happens on the way."""

from __future__ import annotations

import dataclasses

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gyrus.contract.operator import Outcome
from gyrus.contract.replica import Phase, Reason
from gyrus.control.plan import plan
from gyrus.control.rolling_update import Margins
from gyrus.spec.api import UpdateStrategy
from support.examples import examples
from support.world import NOW, World, api, generation, replica, spec


def live_world(replicas: int, **strategy: object) -> World:
    world = World(api(replicas=replicas), spec(update_strategy=strategy))
    world.settle()
    assert world.api.outcome is Outcome.DONE
    return world


def deploy(world: World) -> None:
    number = world.api.target.number + 1
    world.api = dataclasses.replace(world.api, target=generation(number), outcome=Outcome.PROGRESSING)


def test_a_first_deploy_comes_live_only_when_the_gateway_has_acknowledged_it() -> None:
    world = World(api(replicas=2), spec())
    world.reconcile()
    for name in world.in_phase(Phase.STARTING):
        world.become(name, Phase.READY)
    world.reconcile()
    assert world.api.outcome is Outcome.PROGRESSING
    world.catch_up()
    world.reconcile()
    assert world.api.outcome is Outcome.DONE


def test_an_update_of_one_replica_starts_the_new_one_before_the_old_one_leaves() -> None:
    world = live_world(1)
    deploy(world)
    step = world.reconcile()
    assert (step.start, step.retiring) == (1, frozenset())
    world.become("r2", Phase.READY)
    step = world.reconcile()
    assert step.route
    assert len(step.route.endpoints) == 2
    assert not step.retiring  # not acknowledged yet
    world.catch_up()
    step = world.reconcile()
    assert step.retiring == {"r1"}
    assert not step.stop  # the gateway may still use it
    world.catch_up()
    assert world.reconcile().stop == ("r1",)
    assert world.api.outcome is Outcome.DONE


def test_without_surge_one_replica_leaves_first() -> None:
    world = live_world(2, max_surge=0, max_unavailable=1)
    deploy(world)
    step = world.reconcile()
    assert step.start == 0
    assert len(step.retiring) == 1
    world.settle()
    assert {r.generation for r in world.replicas.values()} == {2}
    assert len(world.replicas) == 2


def test_margins_round_as_in_kubernetes_and_never_both_to_nothing() -> None:
    assert Margins.of(UpdateStrategy(), 10) == Margins(3, 2)
    assert Margins.of(UpdateStrategy(max_surge=0), 1) == Margins(0, 1)


def test_scaling_down_takes_the_least_busy_then_the_youngest() -> None:
    world = live_world(4)
    world.api = dataclasses.replace(world.api, replicas=2)
    present = world.situation()
    counts = {"r1": 1, "r2": 0, "r3": 1, "r4": 2}
    assert plan(dataclasses.replace(present, in_flight=counts), NOW).retiring == {"r2", "r3"}
    silent = {"r1": 4, "r4": 4}  # a replica that does not answer may be the busiest
    assert plan(dataclasses.replace(present, in_flight=silent), NOW).retiring == {"r1", "r4"}
    assert plan(present, NOW).retiring == {"r3", "r4"}


def test_scaling_down_takes_what_answers_nothing_then_the_youngest() -> None:
    world = live_world(4)
    assert sorted(world.replicas) == ["r1", "r2", "r3", "r4"]
    world.become("r2", Phase.BACKOFF, Reason.KILLED)
    world.api = dataclasses.replace(world.api, replicas=2)
    assert world.reconcile().retiring == {"r2", "r4"}
    world.settle()
    assert sorted(world.replicas) == ["r1", "r3"]


def test_scaling_down_takes_what_waits_before_what_starts() -> None:
    world = live_world(4)
    world.become("r1", Phase.PENDING)
    world.become("r4", Phase.STARTING)
    world.api = dataclasses.replace(world.api, replicas=3)
    assert world.reconcile().retiring == {"r1"}


def test_scaled_to_zero_and_back_every_replica_is_another() -> None:
    world = live_world(2)
    world.api = dataclasses.replace(world.api, replicas=0)
    step = world.reconcile()
    assert step.retiring == {"r1", "r2"}
    assert step.stop == ()  # the gateway may still use them
    world.api = dataclasses.replace(world.api, replicas=1)
    assert world.reconcile().start == 1
    world.settle()
    assert sorted(world.replicas) == ["r3"]


def test_a_rollout_that_the_gateway_refuses_fails_with_its_reason_and_falls_back() -> None:
    world = live_world(1)
    deploy(world)
    world.refused = "Envoy refuses the routes of iris: no"
    world.reconcile()
    assert world.api.outcome is Outcome.FAILED
    assert world.api.message == "Revision 2 was refused by the gateway: Envoy refuses the routes of iris: no."
    assert world.api.target.number == 1
    world.refused = ""
    world.settle()
    assert sorted(world.replicas) == ["r1"]


def test_a_fatal_failure_falls_back_at_once_and_the_old_revision_serves_all_along() -> None:
    world = live_world(2)
    deploy(world)
    world.reconcile()
    [name] = world.in_phase(Phase.STARTING)
    world.become(name, Phase.FAILED, Reason.IMPORT)
    world.reconcile()
    assert world.api.outcome is Outcome.FAILED
    assert world.api.target.number == 1
    assert "Revision 2 did not become ready (ImportError): " in world.api.message
    world.settle()
    assert sorted(world.replicas) == ["r1", "r2"]
    assert world.available() == 2
    assert world.api.outcome is Outcome.FAILED  # the failure is reported until the next deploy


def test_init_failures_are_given_three_attempts() -> None:
    world = live_world(1)
    deploy(world)
    world.reconcile()
    for restarts in (0, 1):
        world.become("r2", Phase.BACKOFF, Reason.INIT, restarts)
        world.reconcile()
        assert world.api.outcome is Outcome.PROGRESSING
    world.become("r2", Phase.BACKOFF, Reason.INIT, 2)
    world.reconcile()
    assert world.api.outcome is Outcome.FAILED


def test_a_first_deploy_that_failed_may_still_succeed() -> None:
    world = World(api(), spec())
    world.reconcile()
    world.become("r1", Phase.BACKOFF, Reason.INIT, 2)
    world.reconcile()
    assert world.api.outcome is Outcome.FAILED
    assert sorted(world.replicas) == ["r1"]
    world.settle()
    assert world.api.outcome is Outcome.DONE


def test_a_deploy_during_a_rollout_supersedes_it() -> None:
    world = live_world(3)
    deploy(world)
    world.reconcile()
    deploy(world)
    world.settle()
    assert world.api.outcome is Outcome.DONE
    assert [r.generation for r in world.replicas.values()] == [3, 3, 3]


def test_deleting_stops_replicas_only_after_the_gateway_forgot_the_api() -> None:
    world = live_world(2)
    world.api = dataclasses.replace(world.api, deleting=True)
    assert world.reconcile().stop == ()
    world.catch_up()
    assert sorted(world.reconcile().stop) == ["r1", "r2"]
    world.settle()
    assert world.forgotten


def test_a_restarted_operator_retires_nothing_before_the_gateway_reports() -> None:
    world = live_world(2)
    deploy(world)
    world.reconcile()
    world.pushed = world.acknowledged = None
    assert not world.reconcile().retiring


def test_a_replica_that_failed_after_the_rollout_is_replaced_after_a_while() -> None:
    world = live_world(2)
    world.become("r1", Phase.FAILED, Reason.DEPENDENCIES)
    step = world.reconcile()
    assert not step.retiring
    assert step.wake_after == 60
    old = replica(
        "r1", 1, Phase.FAILED, Reason.DEPENDENCIES, started_at=world.api.created_at.timestamp() - 61
    )
    world.replicas["r1"] = old
    assert world.reconcile().retiring == {"r1"}


def test_one_that_fails_after_a_fall_back_is_replaced_too() -> None:
    world = live_world(1)
    deploy(world)
    world.reconcile()
    world.become("r2", Phase.FAILED, Reason.IMPORT)
    world.settle()
    assert world.api.outcome is Outcome.FAILED
    long_ago = world.api.created_at.timestamp() - 61
    world.replicas["r1"] = replica("r1", 1, Phase.FAILED, Reason.DEPENDENCIES, started_at=long_ago)
    assert "r1" in world.reconcile().retiring
    world.settle()
    assert world.available() == 1


def platform_restarts(world: World) -> None:
    """`gyrus down`, then `up`: nothing runs, and the gateway is another."""
    world.replicas.clear()
    world.pushed = world.acknowledged = world.routed = None


def serving(world: World) -> list[int]:
    """The generations of the replicas that answer, after everything but the newest has come up."""
    for _ in range(4):
        world.reconcile()
        world.catch_up()
        for name in world.in_phase(Phase.STARTING):
            if world.replicas[name].generation != world.api.target.number:
                world.become(name, Phase.READY)
    situation = world.situation()
    return [r.generation for r in world.replicas.values() if situation.available(r)]


def test_a_platform_that_was_stopped_within_a_rollout_serves_what_was_live() -> None:
    world = live_world(4)
    deploy(world)
    world.reconcile()
    platform_restarts(world)
    step = world.reconcile()
    assert (step.revive, step.start) == (4, 1)
    assert serving(world) == [1, 1, 1]  # a quarter was stopped for the new ones
    world.settle()
    assert [r.generation for r in world.replicas.values()] == [2, 2, 2, 2]


def test_a_place_is_left_for_the_target() -> None:
    world = live_world(2, max_surge=0, max_unavailable=1)
    deploy(world)
    platform_restarts(world)
    step = world.reconcile()
    assert (step.revive, step.start) == (1, 1)


def test_what_was_live_and_is_broken_is_not_revived_twice() -> None:
    world = live_world(1)
    deploy(world)
    platform_restarts(world)
    world.reconcile()
    [old] = [name for name, r in world.replicas.items() if r.generation == 1]
    world.become(old, Phase.BACKOFF, Reason.INIT, 1)
    assert world.reconcile().revive == 0
    assert old in world.retiring
    assert world.reconcile().revive == 0


def test_what_was_idle_is_revived_only_for_requests() -> None:
    idle = {"min_replicas": 0}
    world = World(api(), spec(autoscaling=idle))
    world.settle()
    world.replicas.clear()
    deploy(world)
    assert world.situation().kept == ()
    assert world.reconcile().revive == 0
    world.replicas.clear()
    world.held = 1
    assert world.reconcile().revive == 1


def full_world(replicas: int, places: int, **strategy: object) -> World:
    """All live, and there is no capacity for more than ``places``."""
    world = live_world(replicas, **strategy)
    world.places = places
    deploy(world)
    return world


def test_on_a_full_machine_one_old_replica_is_preempted_and_the_next_only_after_it_was_replaced() -> None:
    world = full_world(2, places=2)
    assert world.reconcile().retiring == frozenset()
    step = world.reconcile()
    assert step.preempts == "r1"
    assert step.retiring == {"r1"}
    world.catch_up()
    assert world.reconcile().stop == ("r1",)
    assert world.reconcile().preempts is None  # it is not gone yet
    world.end_one("r1")
    [new] = world.in_phase(Phase.STARTING)
    assert world.reconcile().preempts is None
    world.become(new, Phase.READY)
    world.catch_up()
    world.reconcile()
    world.catch_up()
    assert world.reconcile().preempts == "r2"
    world.settle()
    assert world.api.outcome is Outcome.DONE
    assert world.available() == 2


def test_no_replica_is_preempted_if_there_is_capacity() -> None:
    world = full_world(2, places=3)
    for _ in range(3):
        assert world.reconcile().retiring == frozenset()


def test_no_replica_is_preempted_if_none_may_be_unavailable() -> None:
    world = full_world(2, places=2, max_unavailable=0)
    for _ in range(3):
        assert world.reconcile().retiring == frozenset()


def test_no_replica_is_preempted_for_replicas_of_which_fewer_fit() -> None:
    world = full_world(2, places=2)
    world.reconcile()
    situation = dataclasses.replace(world.situation(), capacity=1)
    assert plan(situation, NOW).preempts is None


def test_only_replicas_whose_place_a_new_one_could_take_are_preempted() -> None:
    world = full_world(2, places=2)
    world.reconcile()
    situation = dataclasses.replace(world.situation(), capacity=None)
    assert plan(situation, NOW).preempts == "r1"
    assert plan(dataclasses.replace(situation, preemptable=frozenset({"r2"})), NOW).preempts == "r2"
    assert plan(dataclasses.replace(situation, preemptable=frozenset()), NOW).preempts is None


def test_an_update_of_what_never_fitted_whole_goes_through() -> None:
    world = World(api(replicas=5), spec())
    world.settle()
    for name in ("r4", "r5"):
        world.become(name, Phase.PENDING, Reason.CAPACITY)
    world.places = 3
    deploy(world)
    world.settle()
    ready = [world.replicas[name].generation for name in world.in_phase(Phase.READY)]
    assert ready == [2, 2, 2]


KINDS = st.sampled_from(
    ["reconcile", "ready", "push", "acknowledge", "end", "deploy", "crash", "scale", "restart"]
)
EVENTS = st.lists(st.tuples(KINDS, st.integers(0, 9)), max_size=120)


@settings(max_examples=examples(2), deadline=None)
@given(wanted=st.integers(1, 6), events=EVENTS, surge=st.integers(0, 3))
def test_on_a_full_machine_at_most_one_more_is_missing_and_the_rollout_ends(
    wanted: int, events: list[tuple[str, int]], surge: int
) -> None:
    world = live_world(wanted, max_surge=surge, max_unavailable="1%")
    world.places = wanted
    for event, choice in events:
        happen(world, event, choice, faults=False)
        assert world.available() >= wanted - 1
    world.settle()
    assert [r.generation for r in world.replicas.values()] == [world.api.target.number] * wanted
    assert world.available() == wanted


@settings(max_examples=examples(3), deadline=None)
@given(
    wanted=st.integers(1, 6),
    surge=st.integers(0, 3),
    unavailable=st.integers(0, 3),
    events=EVENTS,
    faults=st.booleans(),
)
def test_whatever_happens_margins_hold_and_the_rollout_ends(
    wanted: int, surge: int, unavailable: int, events: list[tuple[str, int]], faults: bool
) -> None:
    assume(surge or unavailable)
    world = live_world(wanted, max_surge=surge, max_unavailable=unavailable)
    margins = Margins.of(world.spec.update_strategy, wanted)
    for event, choice in events:
        happen(world, event, choice, faults)
        if not faults:
            assert world.available() >= wanted - margins.unavailable
            assert len(world.situation().kept) <= wanted + margins.surge
    world.settle()
    assert [r.generation for r in world.replicas.values()] == [world.api.target.number] * world.api.replicas
    assert world.api.outcome in (Outcome.DONE, Outcome.FAILED)
    assert world.available() == world.api.replicas


def happen(world: World, event: str, choice: int, faults: bool) -> None:
    match event:
        case "reconcile":
            world.reconcile()
        case "acknowledge":
            world.acknowledge()
        case "push":
            world.push()
        case "deploy":
            deploy(world)
        case "ready":
            if names := world.in_phase(Phase.STARTING, Phase.BACKOFF):
                world.become(names[choice % len(names)], Phase.READY)
        case "end":
            if names := world.in_phase(Phase.DRAINING):
                world.end_one(names[choice % len(names)])
        case "crash" if faults:
            if names := world.in_phase(Phase.READY, Phase.STARTING):
                world.become(names[choice % len(names)], Phase.BACKOFF, Reason.KILLED, choice)
        case "restart" if faults:
            platform_restarts(world)
            world.reconcile()
            assert len(world.situation().kept) <= world.api.replicas + margins_of(world).surge
            assert world.api.replicas == 0 or len(serving(world)) >= lowest(world)
        case "scale" if faults:
            world.api = dataclasses.replace(world.api, replicas=choice % 7)
        case _:
            pass


def margins_of(world: World) -> Margins:
    return Margins.of(world.spec.update_strategy, world.api.replicas)


def lowest(world: World) -> int:
    """How many replicas must answer though the target's do not yet."""
    beside = world.api.live is not None and world.api.live != world.api.target
    return max(0, world.api.replicas - margins_of(world).unavailable) if beside else 0


def with_processes(world: World, name: str, *phases: Phase, restarts: int = 0) -> None:
    """The replica's first process is ready; the others are in these phases."""
    ready = world.replicas[name].status.processes[0]
    others = (
        dataclasses.replace(ready, index=index, phase=phase, endpoint=None, restarts=restarts)
        for index, phase in enumerate(phases, 1)
    )
    status = dataclasses.replace(world.replicas[name].status, processes=(ready, *others))
    world.replicas[name] = dataclasses.replace(world.replicas[name], status=status)


def update_with_a_half_ready_replica(phase: Phase, restarts: int) -> tuple[World, str]:
    world = live_world(1)
    deploy(world)
    world.reconcile()
    [new] = world.in_phase(Phase.STARTING)
    world.become(new, Phase.READY)
    with_processes(world, new, phase, restarts=restarts)
    for _ in range(3):
        world.reconcile()
        world.catch_up()
    return world, new


def test_an_old_replica_stays_until_all_processes_of_the_new_one_are_up() -> None:
    world, new = update_with_a_half_ready_replica(Phase.STARTING, restarts=0)
    assert not world.in_phase(Phase.DRAINING)
    assert world.api.outcome is Outcome.PROGRESSING
    with_processes(world, new, Phase.READY)
    world.settle()
    assert world.api.outcome is Outcome.DONE
    assert list(world.replicas) == [new]


def test_a_process_that_failed_beside_others_does_not_hold_an_update_up() -> None:
    world, _ = update_with_a_half_ready_replica(Phase.STARTING, restarts=1)
    assert world.in_phase(Phase.DRAINING)


def test_a_new_replica_that_is_half_up_is_superseded_at_once() -> None:
    world, new = update_with_a_half_ready_replica(Phase.STARTING, restarts=0)
    deploy(world)
    world.settle()
    [newest] = world.in_phase(Phase.READY)
    assert newest != new
    assert world.api.outcome is Outcome.DONE

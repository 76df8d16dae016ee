"""For all orders and releases: no share is allocated twice, no claim starves, everything is released."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from gyrus.backends.local.capacity import (
    Allocations,
    Amount,
    Claim,
    Machine,
    Resource,
    Share,
    needs_of,
    total_of,
)
from gyrus.contract.workload import ComputeResources
from gyrus.spec.api import Compute
from gyrus.spec.workload import compute_of
from support.examples import examples

MACHINE = Machine(cpu=2000, mem=1000, gpus=("0", "1", "2"))


def amount(cpu: int = 0, mem: int = 0, gpu: int = 0) -> Amount:
    return {Resource.CPU: cpu, Resource.MEMORY: mem, Resource.GPU: gpu}


def claim(replica: str, cpu: int = 0, mem: int = 0, gpu: int = 0, at: float = 0.0) -> Claim:
    """Of the API that its name begins with; those of the same moment are in the order of their names."""
    api = replica.partition("-")[0]
    return Claim(replica=replica, api=api, needs=amount(cpu, mem, gpu), at=at)


def allocations(*claims: Claim, machine: Machine = MACHINE, overcommit: bool = False) -> Allocations:
    made = Allocations(machine=machine, overcommit=overcommit)
    for number, asked in enumerate(claims):
        made = made.ask(replace(asked, at=float(number)))
    return made


def names(claims: Iterable[Claim]) -> list[str]:
    return [asked.replica for asked in claims]


def test_what_a_specification_needs() -> None:
    assert needs_of(compute_of(Compute())) == amount(cpu=200)
    compute = Compute.model_validate({"cpu": "1500m", "mem": "1Mi", "gpu": 2})
    assert needs_of(compute_of(compute)) == amount(cpu=1500, mem=2**20, gpu=2)
    assert needs_of(ComputeResources(cpu=0.0001))[Resource.CPU] == 1


def test_each_gpu_has_one_holder() -> None:
    made = allocations(claim("a", gpu=1), claim("b", gpu=2), claim("c"))
    assert {name: share.gpus for name, share in made.shares.items()} == {
        "a": ("0",),
        "b": ("1", "2"),
        "c": (),
    }


def test_asking_twice_is_asking_once() -> None:
    made = allocations(claim("a", cpu=1500), claim("b", cpu=1500))
    assert made.ask(claim("a", cpu=1500)) is made
    assert made.ask(claim("b", cpu=1500)) is made
    assert made.leave("nobody") is made


def test_the_place_in_the_line_is_that_of_the_order() -> None:
    made = (
        allocations(claim("a", cpu=2000))
        .ask(claim("late", cpu=2000, at=9))
        .ask(claim("early", cpu=2000, at=8))
    )
    assert names(made.queue) == ["early", "late"]


def test_a_small_one_overtakes_if_that_delays_no_other() -> None:
    made = allocations(claim("a", cpu=1000, gpu=3), claim("big", cpu=500, gpu=1))
    assert "small" in made.ask(claim("small", cpu=500, at=9)).shares  # 500 stay free for big
    assert "small" not in made.ask(claim("small", cpu=501, at=9)).shares
    assert "other" in made.ask(claim("other", mem=1000, at=9)).shares  # of what big does not need


def test_of_what_it_does_not_need_nothing_is_lacking() -> None:
    made = Allocations(machine=MACHINE).keep(Share(claim=claim("a", cpu=3000)))
    assert "b" in made.ask(claim("b", mem=10)).shares


def test_a_share_goes_to_the_successor_before_the_line() -> None:
    made = allocations(
        claim("x-1", cpu=1000), claim("y-1", cpu=1000), claim("z-1", cpu=1000), claim("x-2", cpu=1000)
    )
    assert names(made.queue) == ["z-1", "x-2"]
    assert set(made.leave("x-1").shares) == {"y-1", "x-2"}
    assert set(made.leave("y-1").shares) == {"x-1", "z-1"}


def test_a_successor_that_needs_more_takes_its_place_in_the_line() -> None:
    made = allocations(
        claim("x-1", cpu=1000), claim("y-1", cpu=900), claim("z-1", cpu=1000), claim("x-2", cpu=1001)
    )
    assert set(made.leave("x-1").shares) == {"y-1", "z-1"}
    alone = allocations(claim("x-1", cpu=1000), claim("y-1", cpu=900), claim("x-2", cpu=1001))
    assert set(alone.leave("x-1").shares) == {"y-1", "x-2"}


def test_a_successor_takes_over_even_what_exceeds_the_machine() -> None:
    small = replace(MACHINE, cpu=100)
    found = (
        Allocations(machine=small)
        .keep(Share(claim=claim("x-1", cpu=80)))
        .keep(Share(claim=claim("y-1", cpu=80)))
    )
    assert set(found.ask(claim("x-2", cpu=80)).leave("x-1").shares) == {"y-1", "x-2"}


def test_gpus_that_are_not_there_any_more_are_not_allocated() -> None:
    lost = Allocations(machine=MACHINE).keep(Share(claim=claim("x-1", gpu=2), gpus=("8", "9")))
    full = lost.ask(claim("y-1", gpu=3)).ask(claim("x-2", gpu=2))
    after = full.leave("x-1")
    assert set(after.shares) == {"y-1"}
    assert after.leave("y-1").shares["x-2"].gpus == ("0", "1")


def test_overcommitted_only_gpus_are_counted() -> None:
    made = allocations(claim("a", cpu=9000, mem=9000, gpu=2), claim("b", gpu=2), overcommit=True)
    assert names(made.queue) == ["b"]
    assert made.impossible(amount(cpu=9000, gpu=4)) == (Resource.GPU,)
    assert made.capacity_for("a", amount(cpu=1)) is None
    assert made.capacity_for("a", amount(cpu=1, gpu=1)) == 2  # one GPU is kept for b


def test_more_than_the_whole_machine_is_impossible() -> None:
    made = allocations()
    assert made.impossible(amount(cpu=2000, mem=1000, gpu=3)) == ()
    assert made.impossible(amount(cpu=2001, mem=1001, gpu=4)) == tuple(Resource)


def test_capacity_is_what_an_api_holds_and_what_no_other_wants() -> None:
    made = allocations(claim("x-1", cpu=500), claim("x-2", cpu=500), claim("y-1", cpu=300))
    assert made.capacity_for("x", amount(cpu=500)) == 3
    assert made.capacity_for("x", amount(cpu=500, gpu=2)) == 1
    assert made.capacity_for("x", amount()) is None
    waiting = made.ask(claim("y-2", cpu=900, at=9))
    assert waiting.capacity_for("x", amount(cpu=500)) == 2
    assert waiting.capacity_for("z", amount(cpu=1)) == 0
    assert waiting.capacity_for("y", amount(cpu=100)) == 10


claims = st.builds(
    claim,
    replica=st.builds("{}-{}".format, st.sampled_from("xyz"), st.integers(0, 99)),
    cpu=st.integers(0, 20).map(lambda tenths: tenths * 100),
    mem=st.integers(0, 10).map(lambda tenths: tenths * 100),
    gpu=st.integers(0, 3),
    at=st.integers(0, 5).map(float),
)


class Use(RuleBasedStateMachine):
    """Replicas come and go as they like; some were there before."""

    replicas = Bundle[str]("replicas")

    def __init__(self) -> None:
        super().__init__()
        self.allocations = Allocations(machine=MACHINE)
        self.asked: dict[str, Claim] = {}

    @rule(target=replicas, asked=claims)
    def ask(self, asked: Claim) -> str:
        new = asked.replica not in self.asked
        self.asked.setdefault(asked.replica, asked)
        self.allocations = self.allocations.ask(self.asked[asked.replica])
        if new and asked.replica in self.allocations.shares:
            self.passed_no_claim(asked)
        return asked.replica

    @rule(replica=consumes(replicas))
    def leave(self, replica: str) -> None:
        self.asked.pop(replica, None)
        self.allocations = self.allocations.leave(replica)

    def passed_no_claim(self, new: Claim) -> None:
        """Of what it was given, there is enough left for all earlier claims."""
        before = [waiting.needs for waiting in self.allocations.queue if waiting.place < new.place]
        wanted = total_of(before)
        for resource in Resource:
            assert not new.needs[resource] or self.allocations.free[resource] >= wanted[resource]

    @invariant()
    def nothing_is_given_out_twice(self) -> None:
        held = total_of(share.claim.needs for share in self.allocations.shares.values())
        assert all(held[resource] <= MACHINE.amount[resource] for resource in Resource)
        gpus = Counter(name for share in self.allocations.shares.values() for name in share.gpus)
        assert set(gpus.values()) <= {1}
        assert all(len(s.gpus) == s.claim.needs[Resource.GPU] for s in self.allocations.shares.values())

    @invariant()
    def every_claim_holds_or_waits(self) -> None:
        known = Counter([*self.allocations.shares, *names(self.allocations.queue)])
        assert known == Counter(list(self.asked))
        assert [c.place for c in self.allocations.queue] == sorted(c.place for c in self.allocations.queue)

    @invariant()
    def the_first_in_the_queue_waits_for_something(self) -> None:
        for shortage in self.allocations.shortages():
            assert shortage.lacking
            if not shortage.before:
                assert all(shortage.claim.needs[r] > shortage.free[r] for r in shortage.lacking)

    def teardown(self) -> None:
        """As holders go, one after the other, every claim in the queue is met."""
        allocations = self.allocations
        served: set[str] = set()
        while allocations.shares:
            replica = next(iter(allocations.shares))
            served.add(replica)
            allocations = allocations.leave(replica)
        assert served == set(self.asked)
        assert allocations.free == MACHINE.amount
        assert not allocations.queue

    @invariant()
    def capacity_suffices_for_what_runs(self) -> None:
        for share in self.allocations.shares.values():
            api, needs = share.claim.api, share.claim.needs
            alike = [
                s for s in self.allocations.shares.values() if s.claim.api == api and s.claim.needs == needs
            ]
            capacity_for = self.allocations.capacity_for(api, needs)
            assert capacity_for is None or capacity_for >= len(alike)


TestUse = pytest.mark.slow(Use.TestCase)
TestUse.settings = settings(max_examples=examples(1.5), stateful_step_count=25, deadline=None)


@given(st.lists(claims, max_size=12), st.lists(claims, max_size=12))
def test_what_was_found_is_kept_and_then_nothing_more_is_given_out(
    found: list[Claim], asked: list[Claim]
) -> None:
    made = Allocations(machine=MACHINE)
    for number, old in enumerate(found):
        made = made.keep(Share(claim=replace(old, replica=f"{old.replica}-{number}")))
    excess = {resource: max(0, -free) for resource, free in made.free.items()}
    for number, new in enumerate(asked):
        made = made.ask(replace(new, replica=f"{new.replica}-new-{number}", at=float(number)))
        assert all(max(0, -free) <= excess[resource] for resource, free in made.free.items())

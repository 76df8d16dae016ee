"""Messages about the machine's capacity."""

from __future__ import annotations

from gyrus.backends.local.capacity import Allocations, Amount, Claim, Machine, Resource
from gyrus.backends.local.capacity_messages import capacity_view, impossible, shortage_message, waiting
from gyrus.contract.operator import AmountView, CapacityView

GI = 2**30
MACHINE = Machine(cpu=2000, mem=8 * GI, gpus=("0",))


def amount(cpu: int = 0, mem: int = 0, gpu: int = 0) -> Amount:
    return {Resource.CPU: cpu, Resource.MEMORY: mem, Resource.GPU: gpu}


def holding(*shares: tuple[int, str, Amount]) -> Allocations:
    """So many replicas of these APIs, which need this."""
    allocations = Allocations(machine=MACHINE)
    for count, api, needs in shares:
        for number in range(count):
            allocations = allocations.ask(Claim(replica=f"{api}-{number}", api=api, needs=needs))
    return allocations


def reported(allocations: Allocations, *asked: Amount) -> list[str]:
    for number, needs in enumerate(asked):
        name = f"new{number}"
        allocations = allocations.ask(Claim(replica=name, api=name, needs=needs, at=float(number + 1)))
    return [waiting(shortage, allocations) for shortage in allocations.shortages()]


def test_what_is_missing_and_what_holds_it() -> None:
    allocations = holding((8, "iris", amount(200)), (1, "flat", amount(200)))
    assert reported(allocations, amount(cpu=500)) == [
        "waiting for capacity: needs 500m CPU, 200m of 2 free (8 replicas of iris, 1 of flat hold 1.8)"
    ]


def test_everything_that_is_missing() -> None:
    allocations = holding((1, "iris", amount(1500, 7 * GI, 1)))
    assert reported(allocations, amount(1000, 2 * GI, 1)) == [
        "waiting for capacity: needs 1 CPU, 500m of 2 free (1 replica of iris holds 1.5); "
        "needs 2Gi memory, 1Gi of 8Gi free (1 replica of iris holds 7Gi); "
        "needs 1 GPU, 0 of 1 free (1 replica of iris holds 1)"
    ]


def test_for_which_replica_something_is_kept() -> None:
    allocations = holding((1, "iris", amount(1500)))
    assert reported(allocations, amount(1000), amount(600), amount(100))[2] == (
        "waiting for capacity: needs 100m CPU, 500m of 2 free, kept for new0 and 1 more ahead in the queue "
        "(1 replica of iris holds 1.5)"
    )


def test_why_one_more_replica_does_not_fit_and_the_remedy() -> None:
    allocations = holding((8, "iris", amount(200)), (1, "flat", amount(200, gpu=1)))
    assert shortage_message(allocations, "new", amount(cpu=200)) == ""
    assert shortage_message(allocations, "new", amount(cpu=500)) == (
        "there is no capacity: needs 500m CPU, 200m of 2 free (8 replicas of iris, 1 of flat hold 1.8); "
        "delete or scale down other APIs, request less in compute, or use gyrus up --overcommit, "
        "which does not count CPU and memory"
    )
    assert shortage_message(allocations, "new", amount(gpu=1)) == (
        "there is no capacity: needs 1 GPU, 0 of 1 free (1 replica of flat holds 1); "
        "delete or scale down other APIs, or request less in compute"
    )
    assert "this machine has 2 cores" in shortage_message(allocations, "new", amount(cpu=3000))


def test_capacity_that_is_claimed_is_not_free_for_one_more() -> None:
    allocations = holding((1, "iris", amount(1500)), (1, "large", amount(1000)))
    assert "500m of 2 free, kept for large" in shortage_message(allocations, "new", amount(cpu=100))


def test_many_holders_are_summed_up() -> None:
    shares = [(1, name, amount(cpu)) for name, cpu in zip("abcde", (500, 400, 300, 200, 100), strict=True)]
    assert reported(holding(*shares), amount(cpu=600)) == [
        "waiting for capacity: needs 600m CPU, 500m of 2 free "
        "(1 replica of a, 1 of b, 1 of c, 2 of 2 other APIs hold 1.5)"
    ]


def test_what_can_never_be() -> None:
    allocations, needs = Allocations(machine=MACHINE), amount(2500, 9 * GI, 2)
    assert [impossible(resource, needs, allocations) for resource in Resource] == [
        "compute.cpu is 2.5, and this machine has 2 cores; "
        "request less, or use gyrus up --overcommit, which does not count CPU and memory",
        "compute.mem is 9Gi, and this machine has 8Gi; "
        "request less, or use gyrus up --overcommit, which does not count CPU and memory",
        "compute.gpu is 2, and this machine has 1; request fewer, or deploy to a machine with more",
    ]


def test_the_whole_in_numbers() -> None:
    allocations = holding((2, "iris", amount(800, GI)), (1, "wine", amount(800)))
    assert capacity_view(allocations) == CapacityView(
        total=AmountView(cpu=2.0, mem=8 * GI, gpu=1),
        held=AmountView(cpu=1.6, mem=2 * GI, gpu=0),
        waiting=AmountView(cpu=0.8, mem=0, gpu=0),
        replicas=2,
        replicas_waiting=1,
        overcommit=False,
    )

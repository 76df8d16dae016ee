"""The meter of costs, and an operator's restart."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pytest

from gyrus.aio.virtual import VirtualClock
from gyrus.backends.protocol import HeldAmount, RunningMachine
from gyrus.contract.operator import AmountView, TrafficView
from gyrus.control.cost_meter import CostMeter
from gyrus.cost.observation import MachinePrice
from gyrus.state.board import Board, Traffic
from gyrus.state.errors import StorageFull
from gyrus.state.memory import MemoryStore
from gyrus.state.records import StoredCosts
from support.world import spec

TWO_CORES = AmountView(cpu=2, mem=0, gpu=0)
ONE_CORE = AmountView(cpu=1, mem=0, gpu=0)


class WatchedStore(MemoryStore):
    """Remembers the starts of what was saved, or refuses to save."""

    def __init__(self) -> None:
        super().__init__()
        self.saved: list[list[int]] = []
        self.full = False

    async def save_costs(self, costs: Sequence[StoredCosts], gone: Sequence[int]) -> None:
        if self.full:
            raise StorageFull("the disk is full")
        self.saved.append([each.start for each in costs])
        await super().save_costs(costs, gone)


class Stage:
    """A machine of $3.60 an hour, half of which iris reserves, and one operator's meter after the other."""

    def __init__(self, price: float | None = 3.6) -> None:
        self.store = WatchedStore()
        self.clock = VirtualClock()
        self.board = Board()
        self.price = price
        self.held: tuple[HeldAmount, ...] = (HeldAmount(api="iris", amount=ONE_CORE),)

    def machines(self) -> tuple[RunningMachine, ...]:
        return (RunningMachine(name="one", total=TWO_CORES, held=self.held),)

    def price_of(self, machine: RunningMachine) -> MachinePrice | None:
        return None if self.price is None else MachinePrice(usd=self.price, on_demand=self.price)

    async def deploy(self, **autoscaling: int) -> None:
        await self.store.deploy([spec(autoscaling=autoscaling)], None, self.clock.now())

    async def operator(self) -> CostMeter:
        meter = CostMeter(
            self.store, self.board, self.clock, self, self.price_of, {"EKS": 0.36}, "Set a price."
        )
        await meter.recall()
        return meter

    async def measure(self, meter: CostMeter, seconds: float) -> None:
        await self.clock.advance(seconds)
        await meter.measure()


async def test_time_is_charged_and_published() -> None:
    stage = Stage()
    await stage.deploy()
    meter = await stage.operator()
    await stage.measure(meter, 0)
    await stage.measure(meter, 10)
    view = meter.view()
    [iris] = view.apis
    assert view.known
    assert iris.cost.month == pytest.approx(0.005)
    assert view.bill.month == pytest.approx(0.011)
    spending = stage.board.spending
    assert spending is not None
    assert spending.per_hour == {"iris": pytest.approx(1.8)}
    assert spending.total == {"iris": pytest.approx(0.005)}
    assert (spending.idle_per_hour, spending.shared_per_hour) == (pytest.approx(1.8), pytest.approx(0.36))


async def test_requests_are_counted() -> None:
    stage = Stage()
    await stage.deploy()
    meter = await stage.operator()
    await stage.measure(meter, 0)
    stage.board.traffic["iris"] = Traffic(view=TrafficView(requests=500))
    await stage.measure(meter, 10)
    [iris] = meter.view().apis
    assert iris.requests == 500
    assert iris.per_1000_requests == pytest.approx(0.01)


async def test_an_api_at_zero_saves_one_replica() -> None:
    stage = Stage()
    stage.held = ()
    await stage.deploy(min_replicas=0, init_replicas=0)
    meter = await stage.operator()
    await stage.measure(meter, 0)
    await stage.measure(meter, 10)
    [iris] = meter.view().apis
    assert iris.cost.month == 0
    assert iris.zero_saved == pytest.approx(0.01 * 0.2 / 2, rel=0.01)  # 200m of two cores by default


async def test_without_a_price_nothing_is_published_and_the_remedy_is_known() -> None:
    stage = Stage(price=None)
    meter = await stage.operator()
    assert meter.view().remedy == "Repeat the command: the operator has just started."
    await stage.measure(meter, 0)
    assert stage.board.spending is None
    assert (meter.view().known, meter.view().remedy) == (False, "Set a price.")


async def test_the_next_operator_continues_and_charges_nothing_twice() -> None:
    stage = Stage()
    await stage.deploy()
    meter = await stage.operator()
    for _ in range(7):
        await stage.measure(meter, 10)
    await meter.save()
    await stage.measure(meter, 10)  # killed after this: it is not stored
    following = await stage.operator()
    await stage.measure(following, 20)
    assert following.view().bill.month == pytest.approx(0.0011 * 90)
    assert following.view().history == 90


async def test_a_long_time_without_an_operator_is_not_charged() -> None:
    stage = Stage()
    meter = await stage.operator()
    await stage.measure(meter, 0)
    await stage.measure(meter, 10)
    await meter.save()
    following = await stage.operator()
    await stage.measure(following, 3600)
    view = following.view()
    assert (view.history, view.unmetered) == (10, 3600)


async def test_only_what_has_changed_is_stored() -> None:
    stage = Stage()
    meter = await stage.operator()
    for _ in range(8):
        await stage.measure(meter, 600)
    await meter.save()
    await stage.measure(meter, 600)
    await meter.save()
    await meter.save()
    first, second, third = stage.store.saved
    assert len(first) > 1
    assert second == first[-1:]
    assert third == []


async def test_costs_that_cannot_be_stored_are_stored_later(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage()
    meter = await stage.operator()
    await stage.measure(meter, 0)
    await stage.measure(meter, 10)
    stage.store.full = True
    with caplog.at_level(logging.WARNING):
        await meter.save()
    assert "cannot store the costs: " in caplog.text
    stage.store.full = False
    await meter.save()
    assert len(await stage.store.costs()) == 1


async def test_costs_that_cannot_be_read_are_dropped(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage()
    await stage.store.save_costs([StoredCosts(start=3600, version=99, document=b"")], [])
    with caplog.at_level(logging.WARNING):
        meter = await stage.operator()
    assert "dropping the costs of the time from 3600: they have version 99" in caplog.text
    await stage.measure(meter, 0)
    await stage.measure(meter, 10)
    await meter.save()
    assert len(await stage.store.costs()) >= 1

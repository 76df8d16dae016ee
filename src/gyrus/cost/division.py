"""The division of machines' prices among APIs, by what their replicas reserve.

A machine's price is divided among its cores, its memory and its GPUs in the ratio of their usual prices,
which are those of OpenCost. Each API pays for its part of each resource. What no API reserves is the
cluster's idle capacity.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from gyrus.contract.operator import AmountView
from gyrus.cost.money import nano, price_for
from gyrus.cost.observation import ApiUse, CostObservation, MachineReservation, PricedMachine

CORE, GIB, GPU = 31_611, 4_237, 950_000
"""Usual prices per hour, in millionths of a US dollar: of a core, of a GiB of memory, of a GPU."""
BYTES, THOUSANDTHS = 2**30, 1000
"""Parts of a GiB, and of a core."""
WEIGHTS = (CORE * BYTES, GIB * THOUSANDTHS, GPU * BYTES * THOUSANDTHS)
"""The values of a thousandth of a core, of a byte and of a GPU, as whole numbers in the same unit."""
MILLION = 10**6

_Amounts = tuple[int, int, int]
"""Thousandths of a core, bytes, GPUs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiPart:
    """One API's part of the costs of a span of time. Amounts are billionths of a dollar."""

    cost: int = 0
    unused: int = 0
    """The part of ``cost`` for replicas' slots that no request used."""
    spot_saved: int = 0
    """The difference to the price on demand."""
    zero_saved: int = 0
    """The value of the one replica that it did not have while it was scaled to zero."""

    def plus(self, other: ApiPart) -> ApiPart:
        return ApiPart(
            cost=self.cost + other.cost,
            unused=self.unused + other.unused,
            spot_saved=self.spot_saved + other.spot_saved,
            zero_saved=self.zero_saved + other.zero_saved,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CostParts:
    """The costs of a span of time. ``machines`` is the sum of all APIs and ``idle``."""

    machines: int = 0
    apis: Mapping[str, ApiPart] = field(default_factory=dict[str, ApiPart])
    idle: int = 0
    """For capacity of machines that no API reserves."""
    idle_spot_saved: int = 0
    shared: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True)
class ResourceRates:
    """The prices of a machine's resources per hour, in US dollars."""

    core: float
    gib: float
    gpu: float

    def price(self, amount: AmountView) -> float:
        return amount.cpu * self.core + amount.mem / BYTES * self.gib + amount.gpu * self.gpu


def divided(observed: CostObservation, milliseconds: int) -> CostParts:
    """Return the costs of a span of time during which the cluster was as it is observed."""
    parts: dict[str, ApiPart] = {}
    machines = idle = idle_spot_saved = 0
    for machine in observed.machines:
        if machine.price is None:
            continue
        cost = price_for(nano(machine.price.usd), milliseconds)
        saved = max(0, price_for(nano(machine.price.on_demand), milliseconds) - cost)
        paid = saved_by_apis = 0
        for api, owned, value in _shares(machine):
            part = cost * owned // value
            free = MILLION - _busy(observed.apis.get(api))
            new = ApiPart(cost=part, unused=part * free // MILLION, spot_saved=saved * owned // value)
            parts[api] = parts[api].plus(new) if api in parts else new
            paid, saved_by_apis = paid + new.cost, saved_by_apis + new.spot_saved
        machines += cost
        idle += cost - paid
        idle_spot_saved += saved - saved_by_apis
    for api, amount in _saved_at_zero(observed, milliseconds):
        parts[api] = parts.get(api, ApiPart()).plus(ApiPart(zero_saved=amount))
    shared = {name: price_for(nano(usd), milliseconds) for name, usd in observed.shared.items()}
    return CostParts(machines=machines, apis=parts, idle=idle, idle_spot_saved=idle_spot_saved, shared=shared)


def resource_rates(machines: Iterable[PricedMachine]) -> ResourceRates | None:
    """Return the average prices of the resources of the priced machines. Returns None if there are none."""
    price, value = 0.0, 0
    for machine in machines:
        if machine.price is not None:
            price += machine.price.usd
            value += _value(_resources(machine.total))
    if not value:
        return None
    each = price / value
    return ResourceRates(
        core=WEIGHTS[0] * THOUSANDTHS * each, gib=WEIGHTS[1] * BYTES * each, gpu=WEIGHTS[2] * each
    )


def _shares(machine: PricedMachine) -> Iterator[tuple[str, int, int]]:
    """Yield the value of what each API owns of the machine, and that of the whole machine.

    Those of all APIs are at most the whole: of a resource that is reserved twice, each owns less.
    """
    total = _resources(machine.total)
    value = _value(total)
    if not value:
        return
    reserved = _sums(machine.reservations)
    taken = [sum(amounts[number] for amounts in reserved.values()) for number in range(3)]
    for api, amounts in reserved.items():
        cpu, mem, gpu = (
            amount if most <= there else amount * there // most
            for amount, most, there in zip(amounts, taken, total, strict=True)
        )
        yield api, _value((cpu, mem, gpu)), value


def _sums(reservations: Iterable[MachineReservation]) -> Mapping[str, _Amounts]:
    sums: dict[str, _Amounts] = {}
    for each in reservations:
        cpu, mem, gpu = _resources(each.amount)
        known = sums.get(each.api, (0, 0, 0))
        sums[each.api] = (known[0] + cpu, known[1] + mem, known[2] + gpu)
    return sums


def _saved_at_zero(observed: CostObservation, milliseconds: int) -> Iterator[tuple[str, int]]:
    rates = resource_rates(observed.machines)
    if rates is None:
        return
    for api, use in observed.apis.items():
        if use.at_zero:
            yield api, price_for(nano(rates.price(use.replica)), milliseconds)


def _busy(use: ApiUse | None) -> int:
    """Return the part of slots in use, in millionths."""
    return round(min(1.0, max(0.0, use.busy)) * MILLION) if use else 0


def _resources(amount: AmountView) -> _Amounts:
    return round(amount.cpu * THOUSANDTHS), amount.mem, amount.gpu


def _value(amounts: _Amounts) -> int:
    return sum(amount * weight for amount, weight in zip(amounts, WEIGHTS, strict=True))
